"""Entries for attribution: the mixing kernel against what a user of numpy or networkx writes, on the network of `measures`.

Origins are a twentieth of the actors and destinations another. With numpy the matrix I - P is dense, in the memory of all pairs of
actors, so it is solved for a smaller network. With networkx a user follows the goods along the edges until a million millionth is
left, on a graph whose shares are known: the origins' goods, then the hub's own, which tell how often they return and where they end.
"""

from collections.abc import Iterator

import networkx as nx
import numpy as np
from entry import Entry
from measures import network

from chiptrail.queries import balances, kernels, mixing

DENSE_PART, HUBS = 3, 200
"""The dense matrix is asked of a network this many times smaller, for as many hubs as `attribution` lists."""


def entries(actors: int, flows: int, seed: int) -> Iterator[Entry]:
    """What goes through hubs, with numpy on a smaller network and with networkx on the whole."""
    graph, origins, ends, hubs, size = _asked(max(60, actors // DENSE_PART), max(300, flows // DENSE_PART), seed)
    few = graph, origins, ends, hubs[:HUBS]
    yield Entry(f"attribution to {len(few[-1])} hubs, by the fundamental matrix", size, lambda: _ours(*few), lambda: _dense(*few),
                _check, "numpy, dense")
    graph, origins, ends, hubs, size = _asked(actors, flows, seed)
    theirs = _digraph(graph, origins, ends)
    chain, one = _chain(graph, origins, ends), hubs[:1]
    yield Entry("attribution to one hub, by following the goods", size,
                lambda: mixing.through(chain, mixing.dispatched(chain, origins), one, ends),
                lambda: _by_networkx(theirs, origins, ends, one), _check)
    yield Entry("least and most through one hub, by the balances of all", size,
                lambda: (balances.balanced(chain, origins=origins, destinations=ends, hub=int(one[0])),
                         mixing.through(chain, mixing.dispatched(chain, origins), one, ends)[0]),
                None, _check_bounds, "alone: two linear programs")


def _asked(actors: int, flows: int, seed: int) -> tuple[kernels.Graph, np.ndarray, np.ndarray, np.ndarray, str]:
    """The network, its origins, destinations and hubs (first those with the most straight from and to these), and its size."""
    graph = network(actors, flows, seed)
    origins, ends, hubs = np.split(np.random.default_rng(seed).permutation(actors), [actors // 20, actors // 10])
    tails, weights = graph.tails(), graph.values
    taken = np.bincount(graph.indices, weights=weights * np.isin(tails, origins), minlength=actors)
    given = np.bincount(tails, weights=weights * np.isin(graph.indices, ends), minlength=actors)
    order = np.argsort(-np.minimum(taken, given)[hubs], kind="stable")
    return graph, origins, ends, hubs[order], f"{actors:,} actors, {len(graph.indices):,} flows"


def _chain(graph: kernels.Graph, origins: np.ndarray, ends: np.ndarray) -> mixing.Chain:
    return mixing.chain_of(graph.tails(), graph.indices, graph.values, len(graph.indptr) - 1, absorbing=np.r_[origins, ends])


def _ours(graph: kernels.Graph, origins: np.ndarray, ends: np.ndarray, hubs: np.ndarray) -> np.ndarray:
    chain = _chain(graph, origins, ends)
    return mixing.through(chain, mixing.dispatched(chain, origins), hubs, ends)


def _dense(graph: kernels.Graph, origins: np.ndarray, ends: np.ndarray, hubs: np.ndarray) -> np.ndarray:
    """The columns of N = (I - P)^-1 at the hubs, and beside them where all goods end."""
    n = len(graph.indptr) - 1
    sent = np.zeros((n, n))
    np.add.at(sent, (graph.tails(), graph.indices), graph.values)
    held = np.maximum(sent.sum(axis=0), sent.sum(axis=1))
    onward = np.divide(sent, held[:, None], out=np.zeros((n, n)), where=held[:, None] > 0)
    onward[np.r_[origins, ends]] = 0.0
    asked = np.zeros((n, len(hubs) + 1))
    asked[hubs, np.arange(len(hubs))] = 1.0
    asked[ends, -1] = 1.0
    solved = np.linalg.solve(np.eye(n) - onward, asked)
    amounts = sent[origins].sum(axis=0) @ solved[:, :-1]
    return amounts / solved[hubs, np.arange(len(hubs))] * solved[hubs, -1]


def _digraph(graph: kernels.Graph, origins: np.ndarray, ends: np.ndarray) -> nx.DiGraph:
    """Shares of what each actor holds that it sends on, on the edges; what the origins send, in USD."""
    found = nx.DiGraph()
    found.add_nodes_from(range(len(graph.indptr) - 1))
    found.add_weighted_edges_from(zip(graph.tails().tolist(), graph.indices.tolist(), graph.values.tolist(), strict=True))
    into, out = dict(found.in_degree(weight="weight")), dict(found.out_degree(weight="weight"))
    absorbing = set(origins.tolist()) | set(ends.tolist())
    for seller, _, edge in found.edges(data=True):
        edge["share"] = 0.0 if seller in absorbing else edge["weight"] / max(into[seller], out[seller])
    return found


def _by_networkx(graph: nx.DiGraph, origins: np.ndarray, ends: np.ndarray, hubs: np.ndarray) -> np.ndarray:
    entering: dict[int, float] = {}
    for _, buyer, usd in graph.out_edges(origins.tolist(), data="weight"):
        entering[buyer] = entering.get(buyer, 0.0) + usd
    amounts, found = _followed(graph, entering), []
    for hub in hubs.tolist():
        passing = _followed(graph, {hub: 1.0})
        found.append(amounts.get(hub, 0.0) / passing[hub] * sum(passing.get(end, 0.0) for end in ends.tolist()))
    return np.array(found)


def _followed(graph: nx.DiGraph, entering: dict[int, float]) -> dict[int, float]:
    """How much of what enters passes each actor, every time counted."""
    total, rest = dict(entering), entering
    small = 1e-12 * sum(entering.values())
    while sum(rest.values()) > small:
        received: dict[int, float] = {}
        for seller, amount in rest.items():
            for buyer, edge in graph.adj[seller].items():
                if edge["share"]:
                    received[buyer] = received.get(buyer, 0.0) + amount * edge["share"]
        for buyer, amount in received.items():
            total[buyer] = total.get(buyer, 0.0) + amount
        rest = received
    return total


def _check_bounds(ours: tuple[balances.Bounds, float], _: None) -> None:
    bounds, mixed = ours
    assert 0 <= bounds.least <= mixed <= bounds.most


def _check(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * theirs.max())
    assert theirs.max() > 0
