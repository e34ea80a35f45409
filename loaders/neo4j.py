"""A network from Neo4j, the same that was pushed: table by table, value for value."""

import pandas as pd

from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.property_graph import ENDS, MARK, TYPES, fingerprint, network_from
from chiptrail.graphmodel.schema import KEYS, TABLES


def stored_networks(database: Database) -> pd.DataFrame:
    """One row per network in the database: `network_id`, `level`, `complete`, `n_actors`, `n_trades`; sorted by id."""
    rows = database.run(
        f"MATCH (n:{MARK}:Network) RETURN n.network_id AS network_id, n.level AS level, n.complete AS complete, "
        f"COUNT {{ MATCH (a:{MARK} {{network_id: n.network_id}}) WHERE a.actor_id IS NOT NULL }} AS n_actors, "
        f"COUNT {{ MATCH ()-[t:TRADED]->() WHERE t.network_id = n.network_id }} AS n_trades ORDER BY network_id")
    return pd.DataFrame(rows, columns=["network_id", "level", "complete", "n_actors", "n_trades"])


def pull_neo4j(database: Database, network_id: str, *, accept_changes: bool = False) -> TradeNetwork:
    """The network that stands in a database under this id, equal to the one that was pushed.

    Parameters
    ----------
    database
        Where from.
    network_id
        Its id; see `stored_networks`.
    accept_changes
        Also take a network that was changed in the database since it was pushed; it is validated like any other.

    Raises
    ------
    UnknownNameError
        If the database holds no such network.
    ChiptrailError
        If its push was not completed, or it was changed since and `accept_changes` is not set.
    ValidationError
        If changes made in the database break the data model.

    Examples
    --------
    >>> pull_neo4j(database, "mine")  # doctest: +SKIP
    """
    stored = stored_networks(database).set_index("network_id")
    if network_id not in stored.index:
        raise UnknownNameError("network in the database", network_id, list(stored.index))
    if not stored["complete"][network_id]:
        raise ChiptrailError(f"the push of {network_id!r} was cut off; push it again, which completes it")
    [about] = (row["about"] for row in database.run(f"MATCH (n:{MARK}:Network {{network_id: $id}}) RETURN properties(n) AS about",
                                                    id=network_id))
    network = network_from(about, {name: _rows(database, name, network_id) for name in TABLES})
    if not accept_changes and fingerprint(network) != about["fingerprint"]:
        raise ChiptrailError(f"{network_id!r} was changed in the database since it was pushed; accept the changes (--accept-changes), "
                             "or clear it and push it again")
    return network


def _rows(database: Database, table: str, network_id: str) -> list[dict]:
    """The properties of the nodes or relationships of a table."""
    if table in ENDS:
        first, last = ENDS[table]
        end = "b.name" if last == "list_name" else "b.actor_id"
        return [row | {first: row.pop("from"), last: row.pop("to")} for type_ in TYPES[table] for row in _flat(database.run(
            f"MATCH (a)-[r:{type_}]->(b) WHERE r.network_id = $id RETURN properties(r) AS own, a.actor_id AS `from`, {end} AS `to` "
            "ORDER BY r.key", id=network_id))]
    known = f" AND n.{KEYS[table]} IS NOT NULL" if table in KEYS else ""
    rows = database.run(f"MATCH (n:{MARK}) WHERE n.network_id = $id AND n.key STARTS WITH $begin{known} RETURN properties(n) AS own "
                        "ORDER BY n.key", id=network_id, begin=f"{table}:")
    return [row["own"] for row in rows]


def _flat(rows: list[dict]) -> list[dict]:
    return [row["own"] | {"from": row["from"], "to": row["to"]} for row in rows]
