"""A network in Neo4j: pushed in batches, idempotent, counted at the end; cleared; or written as files for `neo4j-admin`."""

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.property_graph import LABELS, MARK, TYPES, Part, about_network, graph_parts, node_key
from chiptrail.graphmodel.schema import TABLES

Step = Callable[[int, int], None]
_BATCH = 5_000
_N_TIERS = 5
_TYPES = [name for names in TYPES.values() for name in names]
_ARROW = {"bool": "boolean", "int64": "long", "double": "double", "string": "string", "large_string": "string", "date32[day]": "date",
          "timestamp[us]": "localdatetime"}


def push_neo4j(
    network: TradeNetwork, database: Database, *, network_id: str, step: Step = lambda done, total: None,
) -> pd.DataFrame:
    """The counts of what stands in the database afterwards: `what` (labels or type), `n`.

    Every row of every table becomes a node or relationship; see `docs/neo4j.md`. Pushing again completes a push that was cut off;
    where the network stands whole, by counts, nothing is written. Only nodes with the label `Chiptrail` and this `network_id` are
    touched; labels and properties that a user gave them stay.

    Parameters
    ----------
    network
        The network.
    database
        Where to.
    network_id
        Its name in the database, 1 to 100 characters.
    step
        Called with the number of rows done, and of all.

    Raises
    ------
    ChiptrailError
        If another network stands there under this id, or at the end the counts are not those of the network.
    InputError
        If a column under `x_` cannot stand in a property graph.

    Examples
    --------
    >>> push_neo4j(network, database, network_id="mine")  # doctest: +SKIP
    """
    about = about_network(network) | {"network_id": checked_id(network_id), "key": node_key("network", network_id)}
    parts = list(graph_parts(network))
    for kind in (f"(x:{MARK})", *(f"()-[x:{name}]-()" for name in _TYPES)):
        database.run(f"CREATE CONSTRAINT IF NOT EXISTS FOR {kind} REQUIRE (x.network_id, x.key) IS UNIQUE")
    mark = f"MERGE (n:{MARK} {{network_id: $id, key: $about.key}}) ON CREATE SET n:Network, n = $about, n.complete = false "
    [found] = database.run(f"{mark} RETURN n.fingerprint AS fingerprint, n.complete AS complete", id=network_id, about=about)
    if found["fingerprint"] != about["fingerprint"]:
        raise ChiptrailError(
            f"another network stands under the id {network_id!r} in the database; give this one another id, or clear that one first"
        )
    expected = _expected(parts)
    if found["complete"] and _counted(database, network_id) == expected:
        return _table(expected)
    mark += "SET n += $about, n.complete = $complete RETURN n.fingerprint AS fingerprint"
    database.run(mark, id=network_id, about=about, complete=False)
    done, total = 0, sum(len(part.rows) for part in parts)
    for part in parts:
        query = _merge_query(part)
        for rows in part.batches(_BATCH):
            database.run(query, id=network_id, rows=rows)
            done += len(rows)
            step(done, total)
    counted = _counted(database, network_id)
    if counted != expected:
        wrong = ", ".join(f"{name}: {counted[name]:,} in place of {expected[name]:,}"
                          for name in sorted(expected.keys() | counted.keys()) if counted[name] != expected[name])
        raise ChiptrailError(f"the push of {network_id!r} is not whole ({wrong}); clear it and push again")
    database.run(mark, id=network_id, about=about, complete=True)
    return _table(counted)


def push_scores(database: Database, table: pd.DataFrame, *, network_id: str, prefix: str, by: str) -> int:
    """The number of actors that got scores: the numbers of a table of a query, as properties `prefix_column`.

    Each also gets one of the labels `Score1` (the largest fifth) to `Score5` by the rank of its value in `by`, for styles that
    size nodes by label. Scores written before under the same prefix are taken away.

    Parameters
    ----------
    database, network_id
        Where the network stands.
    table
        Answer of a query with an id of an actor in its first column that ends in `_id`, such as `transit_hubs` or `centrality`.
    prefix
        Begins the names of the properties, such as `hub`.
    by
        Column to size nodes by; an actor without a value in it gets no label.

    Raises
    ------
    InputError
        If the table has no such columns, or the prefix begins the name of a property of the network itself.
    ChiptrailError
        If the database has no such network.

    Notes
    -----
    A high score is a lead to check, not a finding; see the query's own cautions.
    """
    ids = next((str(name) for name in table if str(name).endswith("_id")), "")
    names = {column.name for columns in TABLES.values() for column in columns} | {"network_id", "own_columns"}
    taken = any(name.startswith(f"{prefix}_") for name in names)
    if not ids or by not in table or taken or not re.fullmatch("[a-z][a-z0-9]+", prefix):
        raise InputError(f"scores need a prefix that begins no column (not {prefix[:40]!r}), and a table with an id of actors "
                         f"and the column {by!r}; it has {', '.join(map(str, table))[:200]}")
    if not database.run(f"MATCH (n:{MARK}:Network {{network_id: $id}}) RETURN n.key", id=network_id):
        raise ChiptrailError(f"the database holds no network {network_id!r}; push it first")
    numbers = table.select_dtypes("number")
    tier = np.ceil(table[by].rank(ascending=False, method="first") / table[by].count() * _N_TIERS)
    rows: list[dict[str, Any]] = [
        {"key": node_key("actors", identity), "tier": place,
         "own": {f"{prefix}_{name}": None if pd.isna(value) else value for name, value in zip(numbers, values, strict=True)}}
        for identity, place, values in zip(table[ids], tier, numbers.astype(object).values.tolist(), strict=True)
    ]
    old = database.run(f"MATCH (n:{MARK} {{network_id: $id}}) WHERE n.actor_id IS NOT NULL "
                       "WITH n.key AS key, [k IN keys(n) WHERE k STARTS WITH $begin] AS names "
                       "WHERE size(names) > 0 RETURN key, names", id=network_id, begin=f"{prefix}_")
    tiers = [f"Score{i + 1}" for i in range(_N_TIERS)]
    database.run(f"MATCH (n:{MARK} {{network_id: $id}}) WHERE n:{'|'.join(tiers)} REMOVE n:{':'.join(tiers)}", id=network_id)
    match = f"UNWIND $rows AS row MATCH (n:{MARK} {{network_id: $id, key: row.key}})"
    gone = [{"key": row["key"], "own": dict.fromkeys(row["names"])} for row in old]
    database.run(f"{match} SET n += row.own", id=network_id, rows=gone)
    [found] = database.run(f"{match} SET n += row.own RETURN count(n) AS n", id=network_id, rows=rows)
    for i, label in enumerate(tiers, start=1):
        database.run(f"{match} SET n:{label}", id=network_id, rows=[row for row in rows if row["tier"] == i])
    return int(found["n"])


def clear_neo4j(database: Database, network_id: str, *, step: Step = lambda done, total: None) -> int:
    """The number of nodes removed: those of one network, with their relationships; nothing else is touched.

    Relationships that a user drew to these nodes go with them.

    Parameters
    ----------
    database, network_id
        Where the network stands.
    step
        Called with the number of nodes and relationships removed, and of all.
    """
    ours = f"MATCH (n:{MARK} {{network_id: $id}})"
    database.run(f"{ours} WHERE n:Network SET n.complete = false", id=network_id)
    [count] = database.run(f"{ours} OPTIONAL MATCH (n)-[r]->() RETURN count(DISTINCT n) AS nodes, count(r) AS edges", id=network_id)
    done, total = 0, count["nodes"] + count["edges"]
    # the node that says what the network is goes last, so that a clear cut off can be done again
    for remove in (f"{ours}-[r]-() WITH DISTINCT r LIMIT $most DELETE r RETURN count(*) AS n",
                   f"{ours} WHERE NOT n:Network WITH n LIMIT $most DETACH DELETE n RETURN count(*) AS n",
                   f"{ours} WITH n LIMIT $most DETACH DELETE n RETURN count(*) AS n"):
        while gone := database.run(remove, id=network_id, most=4 * _BATCH)[0]["n"]:
            done += gone
            step(done, max(done, total))
    return int(count["nodes"])


def write_import_files(network: TradeNetwork, folder: str | Path, *, network_id: str) -> list[str]:
    """The arguments of `neo4j-admin database import full` that read the CSV files written to a folder.

    For first loads of millions of trades, into an empty database of a server that is stopped. Afterwards `push_neo4j` of the
    same network adds the constraints and checks the counts.

    Raises
    ------
    ChiptrailError
        If the folder exists and is not empty.
    InputError
        If a column under `x_` cannot stand in a property graph.

    Examples
    --------
    >>> write_import_files(network, "import", network_id="mine")  # doctest: +SKIP
    """
    target = Path(folder)
    if "," in str(target.resolve()):
        raise InputError(f"{target}: neo4j-admin takes no comma in the name of a folder; choose another")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ChiptrailError(f"{target} exists and is not empty; choose another folder")
    target.mkdir(parents=True, exist_ok=True)
    about = about_network(network) | {"network_id": checked_id(network_id), "key": node_key("network", network_id), "complete": True}
    parts = [Part("network", (MARK, "Network"), "", pd.DataFrame([about])), *graph_parts(network)]
    arguments = ["database", "import", "full"]
    for i, part in enumerate(parts):
        if part.rows.empty:
            continue
        path = target / f"{i:02}-{part.type or part.labels[-1]}.csv"
        _write_part(part, path, network_id)
        names = ":".join(part.labels) if part.labels else part.type
        arguments.append(f"--{'relationships' if part.type else 'nodes'}={names}={path.resolve()}")
    arguments.append(f"--report-file={target.resolve() / 'import.report'}")
    return [*arguments, "--multiline-fields=true", "--overwrite-destination=true", "neo4j"]


def checked_id(network_id: str) -> str:
    """The id of a network in a database, refused if it is none.

    Raises
    ------
    InputError
        If it is empty, longer than 100 characters or holds control characters.
    """
    if not re.fullmatch(r"[^\x00-\x1f\x7f]{1,100}", network_id):
        raise InputError(f"{network_id[:40]!r} cannot name a network in a database; give 1 to 100 characters")
    return network_id


def _merge_query(part: Part) -> str:
    if part.type:
        return (f"UNWIND $rows AS row MATCH (a:{MARK} {{network_id: $id, key: row.from_key}}) "
                f"MATCH (b:{MARK} {{network_id: $id, key: row.to_key}}) MERGE (a)-[x:{part.type} {{network_id: $id, key: row.key}}]->(b) "
                "SET x += row, x.from_key = null, x.to_key = null")
    return (f"UNWIND $rows AS row MERGE (x:{MARK} {{network_id: $id, key: row.key}}) "
            f"SET x += row, x:{':'.join(part.labels)}")


def _expected(parts: list[Part]) -> Counter[str]:
    """Nodes by label and relationships by type that a network has in a database."""
    counts = Counter({MARK: 1, "Network": 1})
    for part in parts:
        for name in (*part.labels, part.type):
            if name:
                counts[name] += len(part.rows)
    return +counts


def _counted(database: Database, network_id: str) -> Counter[str]:
    """The same, as the database has it; labels and types that a user added do not count."""
    nodes = database.run(f"MATCH (n:{MARK} {{network_id: $id}}) UNWIND labels(n) AS name WITH name WHERE name IN $names "
                         "RETURN name, count(*) AS n", id=network_id, names=LABELS)
    edges = database.run(f"MATCH (:{MARK} {{network_id: $id}})-[r {{network_id: $id}}]->(:{MARK}) WHERE type(r) IN $names "
                         "RETURN type(r) AS name, count(*) AS n", id=network_id, names=_TYPES)
    return Counter({row["name"]: row["n"] for row in [*nodes, *edges]})


def _table(counts: Counter[str]) -> pd.DataFrame:
    return pd.DataFrame(sorted(counts.items()), columns=["what", "n"])


def _write_part(part: Part, path: Path, network_id: str) -> None:
    """A CSV file in the layout of `neo4j-admin`; what is not given is an empty field, an empty text two quotation marks."""
    table = pa.Table.from_pandas(part.rows.assign(network_id=network_id), preserve_index=False)
    special = {"from_key": ":START_ID", "to_key": ":END_ID"} | ({} if part.type else {"key": "key:ID"})
    header = []
    for field in table.schema:
        if re.search(r'[\x00-\x1f"{}]', field.name):
            raise InputError(f"table {part.table}, column {field.name[:40]!r}: neo4j-admin takes no such name; rename it")
        kind = "string" if pa.types.is_null(field.type) else _ARROW[str(field.type)]
        header.append(special.get(field.name, f"{field.name}:{kind}"))
    with open(path, "wb") as out:
        out.write((",".join('"' + name.replace('"', '""') + '"' for name in header) + "\n").encode())
        written = pa.table({name: _written(table[name]) for name in table.column_names})
        pa.csv.write_csv(written, out, pa.csv.WriteOptions(include_header=False))


def _written(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times and infinite numbers as `neo4j-admin` reads them."""
    if pa.types.is_timestamp(column.type):
        return pc.strftime(column, format="%Y-%m-%dT%H:%M:%S")
    if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
        return pc.replace_substring(column.cast(pa.string()), "inf", "Infinity")
    return column
