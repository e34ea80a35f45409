"""Measures of a whole network, ours against networkx: each entry is a name, a size, both sides and the check of their answers.

The network is directed, any actor may sell to any other, popularity and values are heavy-tailed. Both sides start from what they
work on: ours from arrays, the other from a graph of networkx. Where networkx would take hours, both are asked for a sample of the
sources, so the answers stay comparable.
"""

from collections.abc import Callable, Iterator

import networkx as nx
import numpy as np
from entry import Entry

from chiptrail.queries import kernels

SAMPLE = 256


def network(actors: int, flows: int, seed: int) -> kernels.Graph:
    """Directed flows between different actors, each pair once, with heavy-tailed values."""
    rng = np.random.default_rng(seed)
    weight = 1 / np.arange(1, actors + 1) ** 0.8
    sellers, buyers = (rng.permutation(actors)[rng.choice(actors, 2 * flows, p=weight / weight.sum())] for _ in range(2))
    pairs = rng.permutation(np.unique(sellers * actors + buyers))
    pairs = pairs[pairs // actors != pairs % actors][:flows]
    return kernels.graph_of(pairs // actors, pairs % actors, np.exp(rng.normal(9, 2, len(pairs))), actors)


def entries(actors: int, flows: int, seed: int, *, paths: bool = True) -> Iterator[Entry]:
    """Entries for a network of this size; those that walk paths, and communities, take networkx hours on a large one."""
    graph = network(actors, flows, seed)
    lengths = graph.values.max() / graph.values
    theirs = nx.DiGraph()
    theirs.add_nodes_from(range(actors))
    for tail, head, value, length in zip(*(x.tolist() for x in (graph.tails(), *graph[1:], lengths)), strict=True):
        theirs.add_edge(tail, head, value_usd=value, distance=length)
    size = f"{actors:,} actors, {len(graph.indices):,} flows"
    arrays = graph.indptr, graph.indices
    everyone = np.arange(actors)
    rng = np.random.default_rng(seed)
    some = np.sort(rng.permutation(actors)[:SAMPLE])
    mixed = rng.permutation(actors)
    origins, ends = np.sort(mixed[:actors // 20]), np.sort(mixed[-actors * 6 // 10:])
    part = f"{size}, from {SAMPLE} of them"

    for digits in (12, 6):
        tolerance = 10.0 ** -digits
        yield Entry(f"PageRank, mean error 1e-{digits}", size, lambda t=tolerance: kernels.pagerank(graph, tolerance=t),
               lambda t=tolerance: nx.pagerank(theirs, weight="value_usd", tol=t, max_iter=1000), _check_ranks(tolerance))
    yield Entry("components, weak and strong", size, lambda: _our_components(graph), lambda: _their_components(theirs), _check_groups)
    if not paths:
        return
    yield Entry("closeness by value", part, lambda: kernels.shortest_paths(*arrays, some, everyone[:0], lengths),
           lambda: _distances(theirs, some), _check_distances)
    yield Entry("betweenness, exact", part, lambda: kernels.shortest_paths(*arrays, some, everyone).betweenness,
           lambda: nx.betweenness_centrality_subset(theirs, some.tolist(), everyone.tolist()), check_scores)
    yield Entry("betweenness by value, exact", part, lambda: kernels.shortest_paths(*arrays, some, everyone, lengths).betweenness,
           lambda: nx.betweenness_centrality_subset(theirs, some.tolist(), everyone.tolist(), weight="distance"), check_scores)
    yield Entry(f"betweenness between {len(origins):,} origins and {len(ends):,} destinations", size,
           lambda: kernels.betweenness_between(*arrays, origins, ends),
           lambda: nx.betweenness_centrality_subset(theirs, origins.tolist(), ends.tolist()), check_scores)
    both = _both_directions(graph)
    undirected = nx.Graph()
    undirected.add_nodes_from(range(actors))
    undirected.add_weighted_edges_from(zip(*(x.tolist() for x in (both.tails(), *both[1:])), strict=True))
    yield Entry("communities", size, lambda: kernels.communities(both),
           lambda: nx.community.louvain_communities(undirected, weight="weight", seed=0), _check_communities(both, undirected))


def check_scores(ours: np.ndarray, theirs: dict[int, float]) -> None:
    """Asserts the same score of each node."""
    np.testing.assert_allclose(ours, [theirs[node] for node in range(len(ours))], rtol=1e-9, atol=1e-6)


def _check_ranks(tolerance: float) -> Callable[[np.ndarray, dict[int, float]], None]:
    def check(ours: np.ndarray, theirs: dict[int, float]) -> None:
        error = np.abs(ours - [theirs[node] for node in range(len(ours))]).mean()
        assert error < 8 * tolerance, f"mean difference {error}"

    return check


def _distances(graph: nx.DiGraph, sources: np.ndarray) -> tuple[list[float], list[int]]:
    """Sum of the distances from the sources to each node, and how many of them reach it."""
    far, reached = [0.0] * len(graph), [0] * len(graph)
    for source in sources.tolist():
        for node, distance in nx.single_source_dijkstra_path_length(graph, source, weight="distance").items():
            far[node] += distance
            reached[node] += node != source
    return far, reached


def _check_distances(ours: kernels.Paths, theirs: tuple[list[float], list[int]]) -> None:
    np.testing.assert_allclose(ours.distance, theirs[0], rtol=1e-9)
    assert ours.n_reached_from.tolist() == theirs[1]


def _our_components(graph: kernels.Graph) -> list[np.ndarray]:
    return [kernels.components(graph, strong=strong) for strong in (False, True)]


def _their_components(graph: nx.DiGraph) -> list[list[set[int]]]:
    return [list(nx.weakly_connected_components(graph)), list(nx.strongly_connected_components(graph))]


def _check_groups(ours: list[np.ndarray], theirs: list[list[set[int]]]) -> None:
    for labels, groups in zip(ours, theirs, strict=True):
        assert len(groups) == labels.max() + 1
        assert all(len(set(labels[list(group)])) == 1 for group in groups)


def _both_directions(graph: kernels.Graph) -> kernels.Graph:
    n = len(graph.indptr) - 1
    ends = np.sort(np.column_stack([graph.tails(), graph.indices]), axis=1)
    pairs, place = np.unique(ends[:, 0] * n + ends[:, 1], return_inverse=True)
    values, low, high = np.bincount(place, weights=graph.values), pairs // n, pairs % n
    return kernels.graph_of(np.concatenate([low, high]), np.concatenate([high, low]), np.concatenate([values, values]), n)


def _check_communities(both: kernels.Graph, graph: nx.Graph) -> Callable[[np.ndarray, list[set[int]]], None]:
    def check(ours: np.ndarray, theirs: list[set[int]]) -> None:
        groups: dict[int, set[int]] = {}
        for node, label in enumerate(ours.tolist()):
            groups.setdefault(label, set()).add(node)
        reached, asked = (nx.community.modularity(graph, found) for found in (groups.values(), theirs))
        assert abs(reached - kernels.modularity(both, ours)) < 1e-9
        assert reached >= asked - 1e-12, f"modularity {reached}, networkx {asked}"

    return check
