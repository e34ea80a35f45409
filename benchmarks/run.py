"""Compares chiptrail with the pandas + networkx script that a user would write: `make bench`.

Each entry runs both sides in turn in one process, asserts that they give the same answer, and reports the median times and their
ratio. The table goes to the screen and, between two markers, into README.md.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pandas as pd
import script
from generate import CODES, FIRST_DAY, LAST_DAY, write_shipments

import chiptrail as ct

PAGE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
REPEATS, SECONDS = 5, 20.0


@dataclass(frozen=True)
class Entry:
    """A question put to both sides, and how to check that their answers are the same."""

    name: str
    size: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any]
    check: Callable[[Any, Any], None]


def entries(folder: Path, rows: int, seed: int) -> Iterator[Entry]:
    """The entries, from files written into a folder."""
    firms = min(2_000, max(60, rows // 100))
    path = write_shipments(folder, rows, firms, seed)
    size = f"{rows:,} shipments, {firms:,} firms"
    yield Entry("load a file", size, lambda: ct.load_tables(path), lambda: script.load(path), check_loaded)
    network, trades = _covered(ct.load_tables(path)), script.load(path)
    yield Entry("build the graph", size, network.to_digraph, lambda: script.graph(trades), check_graph)
    asked: dict[str, Any] = {"origins": ["USA"], "destinations": ["RUS"]}
    yield Entry(
        "transit hubs of a year", size, lambda: ct.transit_hubs(network, since="2022", until="2022", **asked),
        lambda: script.hubs(trades, "2022-01-01", "2022-12-31"), check_hubs,
    )
    few_rows, few_firms = max(300, rows // 80), min(150, max(40, rows // 1000))
    (folder / "few").mkdir()
    few = write_shipments(folder / "few", few_rows, few_firms, seed)
    small, small_trades = _covered(ct.load_tables(few)), script.load(few)
    yield Entry(
        "ten best routes, 3 legs", f"{few_rows:,} shipments, {few_firms:,} firms",
        lambda: ct.supply_routes(small, k=10, max_hops=3, **asked), lambda: script.routes(small_trades, 3), check_routes,
    )


def _covered(network: ct.TradeNetwork) -> ct.TradeNetwork:
    """The network with the statement that its file holds all shipments of its years."""
    coverage = pd.DataFrame({"reporter": sorted(set(network.actors["country"]))}).assign(
        source_id=network.sources["source_id"].iloc[0], partners="*", products=" ".join(CODES), flow="export",
        partner_concept="destination", period_start=pd.Timestamp(FIRST_DAY), period_end=pd.Timestamp(LAST_DAY), complete=True,
    )
    return ct.TradeNetwork(
        level=network.level, actors=network.actors, trades=network.trades, coverage=coverage, sources=network.sources
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


def measured(entry: Entry) -> dict[str, str]:
    """A row of the table: both sides in turn, up to 5 times or 20 seconds; raises AssertionError where the answers differ."""
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    while len(times["ours"]) < REPEATS and sum(times["ours"] + times["theirs"]) < SECONDS:
        answers = {}
        for side, question in (("theirs", entry.theirs), ("ours", entry.ours)):
            start = time.perf_counter()
            answers[side] = question()
            times[side].append(time.perf_counter() - start)
        if len(times["ours"]) == 1:
            entry.check(answers["ours"], answers["theirs"])
    ours, theirs = statistics.median(times["ours"]), statistics.median(times["theirs"])
    return {
        "question": entry.name, "size": entry.size, "chiptrail": f"{ours:.3g} s", "script": f"{theirs:.3g} s",
        "script / chiptrail": f"{theirs / ours:.2g}", "runs": str(len(times["ours"])),
    }


def machine() -> str:
    """The machine and the versions, in a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("chiptrail", "pandas", "networkx", "duckdb"))
    return (f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()}, "
            f"Python {platform.python_version()}, {versions}")


def table_text(rows: list[dict[str, str]], seed: int) -> str:
    """The results as Markdown."""
    lines = [f"Measured on {machine()}; seed {seed}.", "", "| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row.values()) + " |" for row in rows])


def main() -> None:
    """Runs all entries, prints the table and writes it into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000, help="number of shipments (default 200,000)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated shipments (default 1)")
    parser.add_argument("--page", type=Path, default=PAGE, help="page with the two markers (default benchmarks/README.md)")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="chiptrail-bench-") as folder:
        for entry in entries(Path(folder), options.rows, options.seed):
            rows.append(measured(entry))
            print(f"{rows[-1]['question']}: {rows[-1]['script / chiptrail']}", flush=True)
    text = table_text(rows, options.seed)
    print(f"\n{text}")
    page = options.page.read_text(encoding="utf-8")
    before, after = page[: page.index(BEGIN) + len(BEGIN)], page[page.index(END):]
    options.page.write_text(f"{before}\n{text}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
