"""Entries for cuts and closures: chiptrail against networkx, on the network of `measures` with hubs between two sets.

Both sides start from what they work on: ours from arrays, the other from a graph of networkx whose hubs are split in two. Without a
bound on what a closure can cut, the user of networkx finds the largest flow again for every hub and every step; that takes days on
the large network, so the closures are asked of a smaller one.
"""

from collections.abc import Iterator

import networkx as nx
import numpy as np
from entry import Entry
from measures import network

from chiptrail.queries import cuts

CLOSED, MANY = 3, 10


def entries(actors: int, flows: int, seed: int) -> Iterator[Entry]:
    """The smallest cut of a network of this size, and the best closures of one an eightieth as large."""
    given, theirs, size_of_all = _between(actors, flows, seed)
    _compile()
    yield Entry("smallest cut between two sets", size_of_all, lambda: cuts.smallest_cut(given).cents,
                lambda: nx.minimum_cut(theirs, "origins", "destinations")[0], _check_amount)
    few, few_theirs, size = _between(max(60, actors // 80), max(300, flows // 80), seed)
    yield Entry(f"best {CLOSED} closures, one by one", size, lambda: cuts.best_closures(few, CLOSED, prove=False).after,
                lambda: _closures_by_networkx(few_theirs), _check_closures)
    yield Entry(f"best {MANY} closures, with bounds on any so many", size_of_all, lambda: cuts.best_closures(given, MANY), None,
                _check_many, "alone: networkx would take days")


def _compile() -> None:
    """Compiled loops are loaded once a process, before anything is measured."""
    both = np.repeat(-1, cuts.COMPILED_FROM)
    cuts.Flow(cuts.channels(both, both, np.ones(len(both), dtype=np.int64), cuts.COMPILED_FROM))


def _between(actors: int, flows: int, seed: int) -> tuple[cuts.Channels, nx.DiGraph, str]:
    """The hubs between a twentieth of the actors and another: our channels, the graph of networkx, and their size."""
    graph = network(actors, flows, seed)
    mixed = np.random.default_rng(seed).permutation(actors)
    origins, ends = (np.isin(np.arange(actors), part) for part in (mixed[:actors // 20], mixed[-actors // 20:]))
    tails, heads, amounts = graph.tails(), graph.indices.astype(np.int64), cuts.cents(graph.values)
    keep = ~ends[tails] & ~origins[heads] & ~(origins[tails] & ends[heads])
    tails, heads, amounts = tails[keep], heads[keep], amounts[keep]
    sellers, buyers = np.where(origins[tails], -1, tails), np.where(ends[heads], -1, heads)
    theirs = nx.DiGraph()
    theirs.add_edges_from(((hub, 0), (hub, 1)) for hub in range(actors) if not origins[hub] and not ends[hub])
    for seller, buyer, amount in zip(sellers.tolist(), buyers.tolist(), amounts.tolist(), strict=True):
        pair = "origins" if seller < 0 else (seller, 1), "destinations" if buyer < 0 else (buyer, 0)
        so_far = theirs.edges[pair]["capacity"] if theirs.has_edge(*pair) else 0
        theirs.add_edge(*pair, capacity=so_far + amount)
    hubs = np.where(origins | ends, -1, np.arange(actors))
    return cuts.channels(sellers, buyers, amounts, actors, hubs=hubs), theirs, f"{actors:,} actors, {len(amounts):,} flows"


def _closures_by_networkx(graph: nx.DiGraph) -> list[int]:
    """What is left after each closure, every hub tried at every step."""
    graph, left = graph.copy(), []
    for _ in range(CLOSED):
        amounts = {}
        for hub in [node for node in graph if node[1] == 1]:
            edges = list(graph.out_edges(hub, data=True))
            graph.remove_edges_from(edges)
            amounts[hub] = nx.maximum_flow_value(graph, "origins", "destinations")
            graph.add_edges_from(edges)
        best = min(amounts, key=lambda hub: (amounts[hub], hub))
        graph.remove_node(best)
        left.append(amounts[best])
    return left


def _check_amount(ours: int, theirs: int) -> None:
    assert ours == theirs > 0


def _check_many(ours: cuts.Closures, _: None) -> None:
    assert len(ours.after) == MANY
    assert ours.after == sorted(ours.after, reverse=True)


def _check_closures(ours: list[int], theirs: list[int]) -> None:
    assert ours == theirs
    assert len(ours) == CLOSED
