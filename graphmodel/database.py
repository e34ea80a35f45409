"""A connection to a Neo4j database, and its errors in plain words; passwords are handed to the driver and kept nowhere."""

import re
from types import TracebackType
from typing import Any, Self

from chiptrail.graphmodel.errors import ChiptrailError, InputError

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
_RETRY_SECONDS = 15.0


class Database:
    """An open connection to one database of a Neo4j server, to be used in a `with` statement.

    Parameters
    ----------
    uri
        Address such as `bolt://localhost:7687` or `neo4j+s://example.org`, without user and password.
    user, password
        Credentials.
    database
        Name of the database; the user's home database by default. Neo4j Community has one, `neo4j`.

    Raises
    ------
    InputError
        If the address is not well-formed.
    ChiptrailError
        If no server answers, the credentials are refused, or the database does not exist.

    Examples
    --------
    >>> with Database("bolt://localhost:7687", user="neo4j", password="...") as database:  # doctest: +SKIP
    ...     database.run("RETURN 1 AS one")
    [{'one': 1}]
    """

    def __init__(self, uri: str, *, user: str, password: str, database: str | None = None) -> None:
        from neo4j import GraphDatabase

        self.uri = _checked(uri)
        self.name = database or None
        try:
            self._driver = GraphDatabase.driver(
                self.uri, auth=(user, password), max_transaction_retry_time=_RETRY_SECONDS, connection_timeout=10.0,
                notifications_min_severity="OFF", telemetry_disabled=True, user_agent="chiptrail",
            )
        except Exception as error:
            raise self._told(error) from None
        try:
            self._driver.verify_connectivity()  # a query alone would try for long where no server is
            self.run("RETURN 1")
        except Exception as error:
            self._driver.close()
            raise self._told(error) from None

    def __repr__(self) -> str:
        return f"<Database {self.name or '(home)'} at {self.uri}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._driver.close()

    def run(self, query: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """The rows that a Cypher query gives, in a transaction of its own; what is only for the moment is tried again.

        Raises
        ------
        ChiptrailError
            If the server, the query or the connection fails.
        """
        names, rows = self.answer(query, **parameters)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def answer(self, query: str, /, **parameters: Any) -> tuple[list[str], list[list[Any]]]:
        """The names of the columns that a Cypher query gives, and its rows; as `run`, and with names where there is no row."""
        try:
            found = self._driver.execute_query(query, parameters_=parameters, database_=self.name)
            return list(found.keys), [[_python(value) for value in record.values()] for record in found.records]
        except Exception as error:
            raise self._told(error) from None

    def version(self) -> str:
        """Version and edition of the server, such as `5.26.29 community`."""
        rows = self.run("CALL dbms.components() YIELD name, versions, edition WHERE name = 'Neo4j Kernel' "
                        "RETURN versions[0] + ' ' + edition AS version")
        return str(rows[0]["version"])

    def _told(self, error: Exception) -> Exception:
        """The error in plain words; an error that is not the driver's stays what it is."""
        from neo4j import exceptions as e

        if isinstance(error, e.AuthError):
            return ChiptrailError(f"the server at {self.uri} refused the user or the password ({error.code or 'no code'}); check both")
        if isinstance(error, e.Neo4jError) and "DatabaseNotFound" in (error.code or ""):
            return ChiptrailError(f"the server at {self.uri} has no database {self.name!r}; Neo4j Community has one, 'neo4j'")
        if isinstance(error, e.ServiceUnavailable | e.SessionExpired | OSError):
            secure = "+s" in self.uri
            advice = "does it speak TLS? without, the address begins with bolt:// or neo4j://" if secure else (
                "is it running (`chiptrail neo4j serve`), and does it need TLS (bolt+s:// or neo4j+s://)?")
            return ChiptrailError(f"no Neo4j server answers at {self.uri}, or it went away; {advice}")
        if isinstance(error, e.Neo4jError):
            return ChiptrailError(f"Neo4j at {self.uri}: {(error.message or '')[:500]} ({error.code})")
        if isinstance(error, e.DriverError):
            return ChiptrailError(f"Neo4j at {self.uri}: {str(error)[:500]}")
        return error


def _python(value: Any) -> Any:
    """The value with days and times of Python in place of the driver's."""
    if isinstance(value, dict):
        return {name: _python(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_python(inner) for inner in value]
    return value.to_native() if hasattr(value, "to_native") else value


def _checked(uri: str) -> str:
    """Scheme, host and port of an address; refuses anything more, which may be secret, without repeating it."""
    if "@" in uri:
        raise InputError("leave user and password out of the server's address; give them by themselves")
    form = re.fullmatch(r"([a-z0-9+]+)://([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?/?", uri)
    if not form or form[1] not in SCHEMES:
        raise InputError(f"the address of the server must begin with one of {', '.join(f'{s}://' for s in SCHEMES)}, name a host and may "
                         "name a port, such as bolt://localhost:7687")
    return uri.rstrip("/")
