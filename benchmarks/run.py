"""Compares chiptrail with what its users would write or take instead: `make bench`.

Each entry runs both sides in turn in one process, asserts that they give the same answer, and reports the median times and their
ratio; the whole job runs in processes of its own, so that memory can be compared too. The tables go to the screen and, between two
markers, into README.md, group by group.
"""

import argparse
import importlib.metadata
import math
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import attribution
import chokepoints
import database
import files
import generate
import measures
import routes
import script
import startup
import views
import whole
from entry import Entry, measured

import chiptrail as ct

PAGE = Path(__file__).with_name("README.md")
Rows = Iterator[dict[str, str]]


def _files(folder: Path, scale: float, seed: int) -> Rows:
    return _asked(files.entries(folder, round(200_000 * scale), seed))


def _views(folder: Path, scale: float, seed: int) -> Rows:
    for actors, flows in ((20_000, 100_000), (300_000, 2_000_000)):
        yield from _asked(views.entries(round(actors * scale), round(flows * scale), seed))


def _measures(folder: Path, scale: float, seed: int) -> Rows:
    yield from _asked(measures.entries(round(20_000 * scale), round(100_000 * scale), seed))
    yield from _asked(measures.entries(round(300_000 * scale), round(2_000_000 * scale), seed, paths=False))


def _questions(folder: Path, scale: float, seed: int) -> Rows:
    """Hubs and routes between two sets; the peer of the routes lists every path, so these are asked of fewer shipments."""
    for flows, ask in ((500_000, files.hubs_entry), (100_000, routes.entries)):
        flows, actors = round(flows * scale), round(20_000 * scale)
        path = generate.write_shipments(folder, flows, actors, seed)
        network, trades = files.covered(ct.load_tables(path)), script.load(path)
        size = f"{actors:,} firms, {trades.groupby(['seller', 'buyer']).ngroups:,} pairs, {flows:,} shipments"
        yield from _asked(ask(network, trades, size))


def _attribution(folder: Path, scale: float, seed: int) -> Rows:
    return _asked(attribution.entries(round(20_000 * scale), round(100_000 * scale), seed))


def _closures(folder: Path, scale: float, seed: int) -> Rows:
    return _asked(chokepoints.entries(round(20_000 * scale), round(100_000 * scale), seed))


def _database(folder: Path, scale: float, seed: int) -> Rows:
    """Neo4j: needs Java and Maven."""
    path = generate.write_shipments(folder, round(200_000 * scale), round(2_000 * scale) + 60, seed)
    yield from database.rows(ct.load_tables(path), folder)


def _startup(folder: Path, scale: float, seed: int) -> Rows:
    return _asked(startup.entries())


def _whole(folder: Path, scale: float, seed: int) -> Rows:
    """The whole job, with the memory of the largest process, and how it grows from the smaller to the larger file."""
    before: dict[str, float] = {}
    for rows in (round(1_000_000 * scale), round(10_000_000 * scale)):
        path = generate.write_shipments(folder, rows, max(60, rows * 3 // 100), seed)
        for name, ask in (("read and aggregate by pair of firms", whole.aggregate), ("load, hubs, routes", whole.job)):
            runs = ask(path)
            whole.check(runs)
            ours, theirs = runs["ours"], runs["theirs"]
            steps = ", ".join(f"{step} {seconds:.3g}" for step, seconds in ours.steps.items())
            killed = math.isnan(theirs.seconds)
            yield {
                "question": name, "shipments": f"{rows:,}", "chiptrail": f"{ours.seconds:.3g} s ({steps})",
                "script": "killed: out of memory" if killed else f"{theirs.seconds:.3g} s",
                "script / chiptrail": "" if killed else f"{theirs.seconds / ours.seconds:.2g}",
                "chiptrail, MB": f"{ours.megabytes:,.0f}", "script, MB": "" if killed else f"{theirs.megabytes:,.0f}",
                "chiptrail / script, MB": "" if killed else f"{ours.megabytes / theirs.megabytes:.2g}",
                "time for ten times the rows": f"{ours.seconds / before[name]:.2g}" if name in before else "",
            }
            before[name] = ours.seconds
        path.unlink()


GROUPS: dict[str, Callable[[Path, float, int], Rows]] = {
    "files": _files, "views": _views, "measures": _measures, "questions": _questions, "attribution": _attribution,
    "closures": _closures, "startup": _startup, "database": _database, "whole": _whole,
}


def _asked(entries: Iterator[Entry]) -> Rows:
    return (measured(entry) for entry in entries)


def machine() -> str:
    """The machine and the versions, in a sentence."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("chiptrail", "pandas", "networkx", "scipy", "duckdb"))
    return (f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()}, "
            f"Python {platform.python_version()}, {versions}")


def table_text(rows: list[dict[str, str]], scale: float, seed: int) -> str:
    """The results as Markdown."""
    part = "" if scale == 1 else f"; sizes times {scale:g}"
    lines = [f"Measured on {machine()}; seed {seed}{part}.", "", "| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row.values()) + " |" for row in rows])


def main() -> None:
    """Runs the groups asked for, prints their tables and writes them into the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--group", action="append", choices=GROUPS, help="group of entries; may be repeated (default all)")
    parser.add_argument("--scale", type=float, default=1.0, help="all sizes times this (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of what is generated (default 1)")
    parser.add_argument("--page", type=Path, default=PAGE, help="page with the markers (default benchmarks/README.md)")
    options = parser.parse_args()
    for group in options.group or GROUPS:
        rows = []
        with tempfile.TemporaryDirectory(prefix="chiptrail-bench-") as folder:
            for row in GROUPS[group](Path(folder), options.scale, options.seed):
                rows.append(row)
                print(" | ".join(row.values()), flush=True)
        page = options.page.read_text(encoding="utf-8")
        begin, end = f"<!-- {group}: begin -->", f"<!-- {group}: end -->"
        before, after = page[: page.index(begin) + len(begin)], page[page.index(end):]
        options.page.write_text(f"{before}\n{table_text(rows, options.scale, options.seed)}\n{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
