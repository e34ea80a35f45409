"""A network into Neo4j in three ways: chiptrail's push, a plain MERGE for each row, and `neo4j-admin import` of the files of chiptrail.

Each way starts with the network in memory and an empty server of its own, whose start and stop are not counted; the import works
while the server is stopped. All three must leave the same number of trades and the same sum of values.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import chiptrail as ct
from chiptrail.neo4j_server import admin, serving

RELEASE, PASSWORD = "5.26", "a password for benchmarks"
FEW = 5_000
"""Rows for the plain MERGE, which is too slow for more."""


def push(network: ct.TradeNetwork, database: ct.Database) -> None:
    """All tables, in batches, counted at the end."""
    ct.push_neo4j(network, database, network_id="benchmark")


def merge_rows(network: ct.TradeNetwork, database: ct.Database) -> None:
    """What a user would write: one query for each trade, with an index on the names; nothing but the trades."""
    database.run("CREATE CONSTRAINT FOR (c:Company) REQUIRE c.actor_id IS UNIQUE")
    query = ("MERGE (a:Company {actor_id: $seller_id}) MERGE (b:Company {actor_id: $buyer_id}) "
             "MERGE (a)-[t:TRADED {trade_id: $trade_id}]->(b) SET t.hs_code = $hs_code, t.value_usd = $value_usd, t.period_start = $day")
    for row in network.trades.to_dict("records"):
        database.run(query, day=row["period_start"].date(), **{name: row[name] for name in (
            "seller_id", "buyer_id", "trade_id", "hs_code", "value_usd")})


def rows(network: ct.TradeNetwork, folder: Path) -> Iterator[dict[str, str]]:
    """A row of the table for each way."""
    few = network.where(until=str(network.trades["period_end"].sort_values().iloc[min(FEW, len(network.trades)) - 1].date()))
    online: list[tuple[str, ct.TradeNetwork, Callable[[ct.TradeNetwork, ct.Database], None]]] = [
        ("chiptrail neo4j push", network, push), ("chiptrail neo4j push", few, push), ("a MERGE for each row", few, merge_rows)]
    speeds: dict[int, float] = {}
    for i, (way, held, work) in enumerate(online):
        with serving(RELEASE, folder / f"server-{i}", password=PASSWORD) as server, ct.Database(
                server.uri, user=server.user, password=PASSWORD) as database:
            start = time.perf_counter()
            work(held, database)
            seconds = time.perf_counter() - start
            check(held, database)
        speeds.setdefault(len(held.trades), len(held.trades) / seconds)
        yield _row(way, held, seconds, speeds[len(held.trades)])
    place = folder / "server-import"
    with serving(RELEASE, place, password=PASSWORD):
        pass
    start = time.perf_counter()
    admin(RELEASE, place, *ct.write_import_files(network, folder / "files", network_id="benchmark"))
    seconds = time.perf_counter() - start
    with serving(RELEASE, place, password=PASSWORD) as server, ct.Database(server.uri, user=server.user, password=PASSWORD) as database:
        check(network, database)
    yield _row("files and neo4j-admin import", network, seconds, speeds[len(network.trades)])


def check(network: ct.TradeNetwork, database: ct.Database) -> None:
    """Asserts that the database holds the trades of the network, by number and sum of values."""
    [found] = database.run("MATCH ()-[t:TRADED]->() RETURN count(t) AS n, sum(t.value_usd) AS usd")
    assert found["n"] == len(network.trades)
    assert abs(found["usd"] - network.trades["value_usd"].sum()) <= 1e-9 * found["usd"]


def _row(way: str, network: ct.TradeNetwork, seconds: float, push_speed: float) -> dict[str, str]:
    speed = len(network.trades) / seconds
    return {"way": way, "trades": f"{len(network.trades):,}", "seconds": f"{seconds:.3g}", "trades a second": f"{speed:,.0f}",
            "push / this way": f"{push_speed / speed:.2g}"}
