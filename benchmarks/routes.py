"""Entries for routes: chiptrail against every simple path of networkx, on shipments as `generate` makes them.

networkx has no search for the widest, the earliest or the time-ordered path, so its user lists all paths of each heading up to the
number of legs and ranks them. Both answers must hold the same ranks in the same order; which of equal routes come in is left open.
"""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
import pandas as pd
from entry import Entry

import chiptrail as ct


class Found(NamedTuple):
    """A route of the brute force: smallest leg in USD, legs, first day of arrival, firms and heading."""

    value: float
    legs: int
    arrival: np.datetime64
    path: tuple[str, ...]
    heading: str


RANKS: dict[str, Callable[[Found], tuple]] = {
    "smallest_leg": lambda found: (-found.value, found.legs, found.arrival),
    "hops": lambda found: (found.legs, -found.value, found.arrival),
    "arrival": lambda found: (found.arrival, found.legs, -found.value),
}



def entries(network: ct.TradeNetwork, trades: pd.DataFrame, size: str, max_hops: int = 3) -> Iterator[Entry]:
    """Name, size, both sides and check of questions for best, hop-limited and time-ordered routes.

    The shipments are the same on both sides: as a network, and as `script.load` reads them.
    """
    questions: list[tuple[str, dict[str, Any]]] = [
        ("10 best routes", {"k": 10}), ("100 best routes", {"k": 100}), ("10 routes of fewest legs", {"k": 10, "by": "hops"}),
        ("10 earliest routes", {"k": 10, "by": "arrival"}), ("10 best routes, waits of 30 days", {"k": 10, "max_wait_days": 30}),
    ]
    for name, asked in questions:
        yield Entry(
            f"{name}, up to {max_hops} legs", size,
            lambda asked=asked: ct.supply_routes(network, origins=["USA"], destinations=["RUS"], max_hops=max_hops, **asked),
            lambda asked=asked: brute_force(trades, max_hops=max_hops, **asked), check_routes,
        )


def brute_force(
    trades: pd.DataFrame, *, k: int, max_hops: int, by: str = "smallest_leg", max_wait_days: int | None = None
) -> list[Found]:
    """The k best of all chains from the USA to Russia, each leg with the shipments of one heading that fit into the order of time."""
    trades = trades.assign(heading=trades["hs_code"].str[:4]).sort_values("date")
    found = []
    for heading, part in trades.groupby("heading"):
        legs: dict[tuple[str, str], tuple[list, list]] = {}
        columns = (part["seller"].tolist(), part["buyer"].tolist(), part["date"].to_numpy(), part["value_usd"].tolist())
        for seller, buyer, day, value in zip(*columns, strict=True):
            days, values = legs.setdefault((seller, buyer), ([], []))
            days.append(day)
            values.append(value)
        arrays = {pair: (np.array(days), np.array(values)) for pair, (days, values) in legs.items()}
        graph = nx.DiGraph(list(legs))
        origins = sorted(set(part.loc[part["seller_country"].eq("USA"), "seller"]))
        ends = set(part.loc[part["buyer_country"].eq("RUS"), "buyer"])
        for origin in origins:
            for path in nx.all_simple_paths(graph, origin, ends, cutoff=max_hops):
                told = _told([arrays[pair] for pair in pairwise(path)], max_wait_days)
                if told:
                    found.append(Found(told[0], len(path) - 1, told[1], tuple(path), str(heading)))
    return sorted(found, key=RANKS[by])[:k]


def _told(legs: list[tuple[np.ndarray, np.ndarray]], wait: int | None) -> tuple[float, np.datetime64] | None:
    """Smallest leg and first day of arrival, over the shipments that stand in a chain of days; None if there is no chain."""
    longest = np.timedelta64(10**6 if wait is None else wait, "D")
    for i in range(1, len(legs)):
        legs[i] = _kept(legs[i], legs[i - 1][0], np.timedelta64(0, "D"), longest)
    for i in reversed(range(len(legs) - 1)):
        legs[i] = _kept(legs[i], legs[i + 1][0], -longest, np.timedelta64(0, "D"))
    if not all(len(days) for days, _ in legs):
        return None
    return min(math.fsum(values) for _, values in legs), legs[-1][0][0]


def _kept(
    leg: tuple[np.ndarray, np.ndarray], other: np.ndarray, first: np.timedelta64, last: np.timedelta64
) -> tuple[np.ndarray, np.ndarray]:
    """The shipments of a leg for which some day of the other leg lies `first` to `last` before them."""
    days, values = leg
    kept = np.searchsorted(other, days - last, side="left") < np.searchsorted(other, days - first, side="right")
    return days[kept], values[kept]


def check_routes(ours: pd.DataFrame, theirs: list[Found]) -> None:
    """Asserts the same number of routes, and rank by rank the same value, number of legs and arrival."""
    best = ours.drop_duplicates("route")
    assert len(best) == len(theirs)
    assert best["n_legs"].tolist() == [found.legs for found in theirs]
    assert best["arrival"].to_numpy().astype("datetime64[D]").tolist() == [f.arrival.astype("datetime64[D]").item() for f in theirs]
    np.testing.assert_allclose(best["smallest_leg_usd"], [found.value for found in theirs], rtol=1e-12)
