"""Entries on a file of shipments: load it, build the graph, rank hubs, find routes; ours against the script of `script`."""

from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import script
from entry import Entry
from generate import CODES, FIRST_DAY, LAST_DAY, write_shipments

import chiptrail as ct


def entries(folder: Path, rows: int, seed: int) -> Iterator[Entry]:
    """The entries, from files written into a folder."""
    firms = min(2_000, max(60, rows // 100))
    path = write_shipments(folder, rows, firms, seed)
    size = f"{rows:,} shipments, {firms:,} firms"
    yield Entry("load a file", size, lambda: ct.load_tables(path), lambda: script.load(path), check_loaded, "pandas")
    network, trades = covered(ct.load_tables(path)), script.load(path)
    yield Entry("build the graph", size, network.to_digraph, lambda: script.graph(trades), check_graph, "pandas + networkx")
    yield from hubs_entry(network, trades, size)
    few_rows, few_firms = max(300, rows // 80), min(150, max(40, rows // 1000))
    (folder / "few").mkdir()
    few = write_shipments(folder / "few", few_rows, few_firms, seed)
    small, small_trades = covered(ct.load_tables(few)), script.load(few)
    yield Entry(
        "ten best routes, 3 legs", f"{few_rows:,} shipments, {few_firms:,} firms",
        lambda: ct.supply_routes(small, k=10, max_hops=3, origins=["USA"], destinations=["RUS"]),
        lambda: script.routes(small_trades, 3), check_routes, "pandas + networkx",
    )


def hubs_entry(network: ct.TradeNetwork, trades: pd.DataFrame, size: str) -> Iterator[Entry]:
    """The hubs of a year, with inflow, outflow, upper bound and betweenness between the two sets."""
    yield Entry(
        "transit hubs of a year", size,
        lambda: ct.transit_hubs(network, since="2022", until="2022", origins=["USA"], destinations=["RUS"]),
        lambda: script.hubs(trades, "2022-01-01", "2022-12-31"), check_hubs, "pandas + networkx",
    )


def covered(network: ct.TradeNetwork) -> ct.TradeNetwork:
    """The network with the statement that its file holds all shipments of its years."""
    coverage = pd.DataFrame({"reporter": sorted(set(network.actors["country"]))}).assign(
        source_id=network.sources["source_id"].iloc[0], partners="*", products=" ".join(CODES), flow="export",
        partner_concept="destination", period_start=pd.Timestamp(FIRST_DAY), period_end=pd.Timestamp(LAST_DAY), complete=True,
    )
    return ct.TradeNetwork(
        level=network.level, actors=network.actors, trades=network.coded_trades, coverage=coverage, sources=network.sources
    )


def check_loaded(network: ct.TradeNetwork, trades: pd.DataFrame) -> None:
    """Asserts the same number of shipments and firms, and the same value and weight by code and month."""
    ours = network.trades
    names = network.actors.set_index("actor_id")["name"]
    assert len(ours) == len(trades)
    assert set(names) == set(trades["seller"]) | set(trades["buyer"])
    amounts = ["value_usd", "weight_kg"]
    a = ours.groupby(["hs_code", ours["period_start"].dt.strftime("%Y-%m")])[amounts].sum()
    b = trades.groupby(["hs_code", trades["date"].dt.strftime("%Y-%m")])[amounts].sum()
    np.testing.assert_allclose(a, b, rtol=1e-9)
    assert list(a.index) == list(b.index)


def check_graph(ours: nx.DiGraph, theirs: nx.DiGraph) -> None:
    """Asserts the same edges with the same value and number of shipments."""
    names = dict(ours.nodes(data="name"))
    a = {(names[s], names[b]): (edge["value_usd"], edge["n_records"]) for s, b, edge in ours.edges(data=True)}
    b = {(s, b): (edge["value_usd"], edge["n_records"]) for s, b, edge in theirs.edges(data=True)}
    assert a.keys() == b.keys()
    np.testing.assert_allclose([a[pair] for pair in b], list(b.values()), rtol=1e-9)


def check_hubs(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Asserts the same hubs with the same inflow, outflow, upper bound and betweenness, in the same order."""
    assert ours["status"].eq("ranked").all()
    columns = {"inflow_usd": "inflow", "outflow_usd": "outflow", "throughput_max_usd": "throughput", "betweenness": "betweenness"}
    table = ours.set_index("hub")
    assert set(table.index) == set(theirs.index)
    np.testing.assert_allclose(table[list(columns)], theirs.loc[table.index, list(columns.values())], rtol=1e-9, atol=1e-12)
    assert ours["throughput_max_usd"].is_monotonic_decreasing


def check_routes(ours: pd.DataFrame, theirs: list[tuple[float, tuple[str, ...], str]]) -> None:
    """Asserts the ten best values in order, each of a route of that value; which of equal routes come in is left open."""
    best = ours.drop_duplicates("route")
    found = [(path, joined.removeprefix("HS ")) for path, joined in zip(best["path"], best["joined_by"], strict=True)]
    values = {(" → ".join(path), heading): value for value, path, heading in theirs}
    assert len(set(found)) == min(10, len(theirs))
    np.testing.assert_allclose(best["smallest_leg_usd"], [value for value, _, _ in theirs[:10]], rtol=1e-9)
    np.testing.assert_allclose(best["smallest_leg_usd"], [values[route] for route in found], rtol=1e-9)
