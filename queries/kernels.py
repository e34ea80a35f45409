"""Measures of graphs as arrays, without names: scipy where it is fast, compiled loops for large graphs, networkx for small ones.

A graph is the rows of a sparse matrix: the edges of node i go to `indices[indptr[i]:indptr[i + 1]]`, each edge once, nodes 0 to
n - 1. Compiling costs about a second a process (ten at the first use after an installation), so `compiled` is imported only where
networkx would take longer. The answers do not depend on the number of processors.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import networkx as nx
import numpy as np
from scipy.sparse import csc_array, csr_array
from scipy.sparse.csgraph import connected_components

SMALL_WORK = 500_000
"""Up to this many sources times (nodes + edges), paths are left to networkx."""
MOST_WORK = 10_000_000_000
"""Beyond this many sources times (nodes + edges), about half a minute, queries leave measures over paths out and say so."""
SMALL_EDGES = 10_000
"""Up to this many edges, communities are left to networkx."""
_PART = 128
_THREADS = 8
_SEED = 0
_RESTART_EDGES = 150_000


class Graph(NamedTuple):
    """Directed edges by their first node, in the order of the second, with one number each."""

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray

    def reversed(self) -> "Graph":
        """The same edges in the other direction."""
        return graph_of(self.indices, self.tails(), self.values, len(self.indptr) - 1)

    def tails(self) -> np.ndarray:
        """The first node of each edge."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))


class Paths(NamedTuple):
    """What the shortest paths from the sources say of each node."""

    betweenness: np.ndarray
    """Sum over pairs of a source and a target of the share of their shortest paths that lead through the node."""
    distance: np.ndarray
    """Sum of the distances from the sources that reach the node, itself left out."""
    n_reached_from: np.ndarray
    """Number of those sources."""


def graph_of(tails: np.ndarray, heads: np.ndarray, values: np.ndarray, n: int) -> Graph:
    """The graph of n nodes with the given edges, of which no two are the same."""
    order = np.lexsort((heads, tails))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(tails, minlength=n)))).astype(np.int64)
    return Graph(indptr, np.asarray(heads)[order].astype(np.int32), np.asarray(values, dtype=np.float64)[order])


def pagerank(graph: Graph, *, damping: float = 0.85, tolerance: float = 1e-12) -> np.ndarray:
    """PageRank of each node, summing to 1, by the values of the edges; the mean error of a node is below the tolerance.

    A node without edges passes its rank to all nodes alike. That only scales the solution, so it is done in the end.
    """
    n = len(graph.indptr) - 1
    if not n:
        return np.empty(0)
    strength = _strength(graph)
    per_value = np.divide(damping, strength, out=np.zeros(n), where=strength > 0)
    shares = graph.values * np.repeat(per_value, np.diff(graph.indptr))
    steps = csc_array((shares, graph.indices, graph.indptr.astype(np.int32)), shape=(n, n))
    rank, change, given = np.full(n, 1 / n), np.inf, (1 - damping) / n
    while change > n * tolerance:
        for _ in range(4):
            before, rank = rank, steps @ rank
            rank += given
        change = np.abs(rank - before).sum()
    return rank / rank.sum()


def components(graph: Graph, *, strong: bool) -> np.ndarray:
    """The number of the weakly or strongly connected component of each node."""
    n = len(graph.indptr) - 1
    matrix = csr_array((np.ones(len(graph.indices), np.int8), graph.indices, graph.indptr.astype(np.int32)), shape=(n, n))
    return connected_components(matrix, connection="strong" if strong else "weak")[1]


def shortest_paths(
    indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, targets: np.ndarray, lengths: np.ndarray | None = None
) -> Paths:
    """Betweenness of each node between sources and targets, and its distance from the sources.

    In hops, or along edges of the given lengths, which are positive. Paths of one pair are equally long where their lengths, added
    from the source on, give the same floating-point number, as in networkx; a length too small to change that sum
    (sixteen orders of magnitude) makes no path equal to itself. Without targets only the distances are found.
    """
    n = len(indptr) - 1
    is_target = np.zeros(n, np.bool_)
    is_target[targets] = True
    if len(sources) * (n + len(indices)) <= SMALL_WORK:
        return _small_paths(indptr, indices, sources, np.flatnonzero(is_target), lengths)
    from chiptrail.queries import compiled

    fixed = [np.array(indptr, np.int64), np.array(indices, np.int32)]
    run: Callable[..., Any] = compiled.paths_by_hops
    if lengths is not None:
        fixed.append(np.array(lengths, np.float64))
        run = compiled.paths_by_length
    found = [np.zeros(n), np.zeros(n), np.zeros(n, np.int64)]
    for part in _in_threads(lambda some: run(*fixed, some, is_target), sources):
        for whole, more in zip(found, part, strict=True):
            whole += more
    return Paths(*found)


def betweenness_between(indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Betweenness in hops of each node between the sources and the targets, not normalised (Brandes 2008)."""
    if len(targets) < len(sources):
        graph = Graph(indptr, indices, np.empty(len(indices))).reversed()
        indptr, indices, sources, targets = graph.indptr, graph.indices, targets, sources
    return shortest_paths(indptr, indices, sources, targets).betweenness


def pairs_reached(indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> int:
    """Number of ordered pairs of a source and another node among the targets to which there is a path."""
    if len(targets) < len(sources):
        graph = Graph(indptr, indices, np.empty(len(indices))).reversed()
        indptr, indices, sources, targets = graph.indptr, graph.indices, targets, sources
    if len(sources) * (len(indptr) + len(indices)) <= SMALL_WORK:
        graph, ends = _networkx(indptr, indices), set(np.asarray(targets).tolist())
        return sum(len(nx.descendants(graph, s) & ends) for s in np.asarray(sources).tolist())
    from chiptrail.queries import compiled

    is_target = np.zeros(len(indptr) - 1, np.bool_)
    is_target[targets] = True
    fixed = np.array(indptr, np.int64), np.array(indices, np.int32)
    return sum(_in_threads(lambda some: compiled.pairs_reached(*fixed, some, is_target), sources))


def closeness(paths: Paths) -> np.ndarray:
    """Closeness of each node, r / (n - 1) times r / (sum of the distances to it), r the number of others that reach it; else 0."""
    n, r = len(paths.distance), paths.n_reached_from
    return np.divide(r, paths.distance, out=np.zeros(n), where=r > 0) * (r / max(n - 1, 1))


def communities(graph: Graph) -> np.ndarray:
    """The number of each node's community, for an undirected graph that has both directions of every edge.

    Small graphs: Louvain's method as in networkx, with a fixed seed. Others: nodes are moved as in Louvain's method, the
    communities are divided again within themselves, and the parts are the nodes of a coarser graph, treated likewise (after Traag,
    Waltman and van Eck 2019, doi 10.1038/s41598-019-41695-z); all is repeated, in another order of nodes, until the modularity
    stops rising. No step lowers it. The best of several starts is taken, of fewer where the graph is large and chance weighs less.
    What is not connected inside is divided in the end.
    """
    n = len(graph.indptr) - 1
    if len(graph.indices) <= 2 * SMALL_EDGES:
        found = nx.community.louvain_communities(_undirected(graph), weight="weight", seed=_SEED)
        labels = np.empty(n, np.int64)
        for number, group in enumerate(found):
            labels[list(group)] = number
        return labels
    rng, best = np.random.default_rng(_SEED), -np.inf
    for _ in range(min(4, 1 + _RESTART_EDGES // len(graph.indices))):
        labels, before = _improved(graph, np.arange(n), rng), -np.inf
        while (reached := modularity(graph, labels)) > before + 1e-7:
            before = reached
            if reached > best:
                best, chosen = reached, labels
            labels = _improved(graph, labels, rng)
    tails = graph.tails()
    inside = chosen[tails] == chosen[graph.indices]
    return components(graph_of(tails[inside], graph.indices[inside], graph.values[inside], n), strong=False)


def modularity(graph: Graph, labels: np.ndarray) -> float:
    """Modularity of a division of an undirected graph that has both directions of every edge."""
    twice = graph.values.sum()
    inside = graph.values[np.repeat(labels, np.diff(graph.indptr)) == labels[graph.indices]].sum()
    return float(inside / twice - ((np.bincount(labels, weights=_strength(graph)) / twice) ** 2).sum())


def _improved(graph: Graph, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Labels of a division whose modularity is no lower; nodes come in an order by chance."""
    from chiptrail.queries import compiled

    n = len(labels)
    order, strength, everywhere = rng.permutation(n), _strength(graph), np.zeros(n, np.int64)
    labels = labels.copy()
    compiled.settle(*graph, strength, order, everywhere, labels)
    labels = _compact(labels)
    if labels.max() + 1 == n:
        return labels
    parts = np.arange(n)
    compiled.settle(*graph, strength, order, labels, parts)
    parts = _compact(parts)
    if parts.max() + 1 == n:
        parts = labels
    start = np.empty(parts.max() + 1, np.int64)
    start[parts] = labels
    return _improved(Graph(*compiled.joined(*graph, parts, len(start))), start, rng)[parts]


def _compact(labels: np.ndarray) -> np.ndarray:
    """The same division with labels from 0 on, none of them unused; they are below the number of nodes."""
    used = np.zeros(len(labels), np.int64)
    used[labels] = 1
    return (np.cumsum(used) - 1)[labels]


def _strength(graph: Graph) -> np.ndarray:
    """The sum of the values of each node's edges."""
    sums, busy = np.zeros(len(graph.indptr) - 1), np.flatnonzero(np.diff(graph.indptr))
    if len(busy):
        sums[busy] = np.add.reduceat(graph.values, graph.indptr[busy])
    return sums


def _in_threads(run: Callable[[np.ndarray], Any], sources: np.ndarray) -> Iterator[Any]:
    """The answers for parts of the sources, always cut alike and in the same order."""
    sources = np.array(sources, np.int64)
    pool = ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS))
    try:
        yield from pool.map(run, [sources[i:i + _PART] for i in range(0, len(sources), _PART)])
    finally:
        pool.shutdown(cancel_futures=True)


def _small_paths(
    indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, targets: np.ndarray, lengths: np.ndarray | None
) -> Paths:
    n = len(indptr) - 1
    graph = _networkx(indptr, indices, lengths)
    weight = None if lengths is None else "weight"
    starts = np.asarray(sources).tolist()
    distance, reached = np.zeros(n), np.zeros(n, np.int64)
    for start in starts:
        found = nx.single_source_dijkstra_path_length(graph, start) if weight else nx.single_source_shortest_path_length(graph, start)
        del found[start]
        nodes = list(found)
        distance[nodes] += list(found.values())
        reached[nodes] += 1
    scores = {}
    if len(targets):
        scores = nx.betweenness_centrality_subset(graph, starts, targets.tolist(), normalized=False, weight=weight)
    return Paths(np.array([scores.get(node, 0.0) for node in range(n)]), distance, reached)


def _networkx(indptr: np.ndarray, indices: np.ndarray, lengths: np.ndarray | None = None) -> nx.DiGraph:
    n = len(indptr) - 1
    graph = nx.DiGraph()
    graph.add_nodes_from(range(n))
    tails = np.repeat(np.arange(n), np.diff(indptr))
    lengths = np.ones(len(indices)) if lengths is None else lengths
    graph.add_weighted_edges_from(zip(*(side.tolist() for side in (tails, indices, lengths)), strict=True))
    return graph


def _undirected(graph: Graph) -> nx.Graph:
    one_way = graph.tails() <= graph.indices
    edges = nx.Graph()
    edges.add_nodes_from(range(len(graph.indptr) - 1))
    edges.add_weighted_edges_from(zip(*(side[one_way].tolist() for side in (graph.tails(), graph.indices, graph.values)), strict=True))
    return edges
