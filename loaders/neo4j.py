"""A network from Neo4j, the same that was pushed: table by table, value for value."""

from typing import Any

import pandas as pd

from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.property_graph import ENDS, MARK, TYPES, fingerprint, network_from
from chiptrail.graphmodel.schema import TABLES


def stored_networks(database: Database) -> pd.DataFrame:
    """One row per network in the database: `network_id`, `level`, `complete`, `n_actors`, `n_trades`; sorted by id.

    Not complete is one of which a push or a clear was cut off.
    """
    rows = database.run(
        f"MATCH (n:{MARK}) WITH n.network_id AS network_id, count(n.actor_id) AS n_actors, "
        "head(collect(CASE WHEN n:Network THEN n END)) AS about "
        "RETURN network_id, coalesce(about.level, '') AS level, coalesce(about.complete, false) AS complete, n_actors, "
        f"COUNT {{ MATCH (:{MARK})-[t:TRADED]->(:{MARK}) WHERE t.network_id = network_id }} AS n_trades ORDER BY network_id")
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
        Also take a network that was changed in the database since it was pushed; it is validated like any other. Changed
        values and removed rows are taken; properties and nodes that were added are not part of it.

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
        raise ChiptrailError(f"a push or a clear of {network_id!r} was cut off; push it again, which completes it, or clear it")
    [about] = (row["about"] for row in database.run(f"MATCH (n:{MARK}:Network {{network_id: $id}}) RETURN properties(n) AS about",
                                                    id=network_id))
    network = network_from(about, {name: _rows(database, name, network_id) for name in TABLES})
    if not accept_changes and fingerprint(network) != about["fingerprint"]:
        raise ChiptrailError(f"{network_id!r} was changed in the database since it was pushed; accept the changes (--accept-changes), "
                             "or clear it and push it again")
    return network


def _rows(database: Database, table: str, network_id: str) -> list[dict[str, Any]]:
    """The properties of the nodes or relationships of a table."""
    if table not in ENDS:
        rows = database.run(f"MATCH (n:{MARK}) WHERE n.network_id = $id AND n.key STARTS WITH $begin RETURN properties(n) AS own "
                            "ORDER BY n.key", id=network_id, begin=f"{table}:")
        return [row["own"] for row in rows]
    first, last = ENDS[table]
    end = "b.name" if last == "list_name" else "b.actor_id"
    rows = [row for name in TYPES[table] for row in database.run(
        f"MATCH (a:{MARK})-[r:{name}]->(b:{MARK}) WHERE r.network_id = $id "
        f"RETURN properties(r) AS own, a.actor_id AS first, {end} AS last ORDER BY r.key", id=network_id)]
    return [row["own"] | {first: row["first"], last: row["last"]} for row in rows]
