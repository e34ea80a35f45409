"""Measures on arrays against networkx and numbers worked by hand, each on the path for small graphs and on the compiled one."""

import networkx as nx
import numpy as np
import pytest

from chiptrail.queries import kernels

SHAPES = ("sparse", "dense", "tree", "ties", "cycle", "apart", "wide")


@pytest.fixture(params=["small", "compiled"])
def path(request, monkeypatch):
    """Both ways to the same answer, whatever the size of the graph."""
    limit = 10**12 if request.param == "small" else -1
    monkeypatch.setattr(kernels, "SMALL_WORK", limit)
    monkeypatch.setattr(kernels, "SMALL_EDGES", limit)
    return request.param


def graph_from(edges, n):
    tails, heads, values = (np.array(side) for side in zip(*edges, strict=True)) if edges else (np.empty(0, int),) * 3
    return kernels.graph_of(tails, heads, values, n)


def random_graph(rng, shape, n):
    """A directed graph with self loops, nodes without edges, and lengths that tie or differ by orders of magnitude."""
    density = {"sparse": 1.5, "dense": 8, "tree": 1, "ties": 4, "cycle": 1, "apart": 3, "wide": 3}[shape]
    tails, heads = rng.integers(0, n, (2, int(density * n)))
    if shape == "tree":
        tails, heads = rng.integers(0, np.arange(1, n)), np.arange(1, n)
    elif shape == "cycle":
        tails, heads = np.arange(n), (np.arange(n) + 1) % n
    elif shape == "apart":
        heads = tails // 5 * 5 + heads % 5
        tails, heads = tails[heads < n], heads[heads < n]
    pairs = np.unique(tails * n + heads)
    lengths = rng.integers(1, 4, len(pairs)).astype(float) if shape == "ties" else np.exp(rng.normal(0, 2, len(pairs)))
    if shape == "wide":
        lengths = 10.0 ** rng.uniform(0, 9, len(pairs))
    return kernels.graph_of(pairs // n, pairs % n, lengths, n)


def networkx_of(graph):
    made = nx.DiGraph()
    made.add_nodes_from(range(len(graph.indptr) - 1))
    made.add_weighted_edges_from(zip(*(side.tolist() for side in (graph.tails(), graph.indices, graph.values)), strict=True))
    return made


def listed(scores):
    return [scores[node] for node in range(len(scores))]


def assert_equals_networkx(graph, sources, targets):
    made, n = networkx_of(graph), len(graph.indptr) - 1
    for lengths, weight in ((None, None), (graph.values, "weight")):
        found = kernels.shortest_paths(graph.indptr, graph.indices, sources, targets, lengths)
        asked = nx.betweenness_centrality_subset(made, sources.tolist(), targets.tolist(), normalized=False, weight=weight)
        np.testing.assert_allclose(found.betweenness, listed(asked), rtol=1e-9, atol=1e-9)
        far = np.full((n, n), np.inf)
        for start, ends in nx.all_pairs_dijkstra_path_length(made, weight=weight or (lambda *edge: 1)):
            far[start, list(ends)] = list(ends.values())
        np.fill_diagonal(far, np.inf)
        far = far[sources]
        np.testing.assert_array_equal(found.n_reached_from, np.isfinite(far).sum(axis=0))
        np.testing.assert_allclose(found.distance, np.where(np.isfinite(far), far, 0).sum(axis=0), rtol=1e-9)
    between = kernels.betweenness_between(graph.indptr, graph.indices, sources, targets)
    asked = nx.betweenness_centrality_subset(made, sources.tolist(), targets.tolist(), normalized=False)
    np.testing.assert_allclose(between, listed(asked), rtol=1e-9, atol=1e-9)
    pairs = sum(len(nx.descendants(made, s) & set(targets.tolist())) for s in sources.tolist())
    assert kernels.pairs_reached(graph.indptr, graph.indices, sources, targets) == pairs


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_paths_equal_networkx(path, shape, campaign, monkeypatch):
    monkeypatch.setattr(kernels, "_PART", 70)
    for seed in campaign(200):
        rng = np.random.default_rng(seed)
        n = 150 if seed % 5 == 4 else int(rng.integers(1, 30))
        graph = random_graph(rng, shape, n)
        everyone = np.arange(n)
        assert_equals_networkx(graph, everyone, everyone)
        assert_equals_networkx(graph, *(rng.permutation(n)[:rng.integers(0, n + 1)] for _ in range(2)))


@pytest.mark.soak
@pytest.mark.parametrize("shape", SHAPES)
def test_closeness_pagerank_and_components_equal_networkx(path, shape, campaign):
    for seed in campaign(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 120))
        graph = random_graph(rng, shape, n)
        made, nobody = networkx_of(graph), np.empty(0, int)
        for lengths, distance in ((None, None), (graph.values, "weight")):
            paths = kernels.shortest_paths(graph.indptr, graph.indices, np.arange(n), nobody, lengths)
            np.testing.assert_allclose(kernels.closeness(paths), listed(nx.closeness_centrality(made, distance=distance)), rtol=1e-9)
            assert not paths.betweenness.any()
        asked = nx.pagerank(made, tol=1e-13, max_iter=10_000)
        np.testing.assert_allclose(kernels.pagerank(graph), listed(asked), rtol=1e-6, atol=1e-10)
        for strong, find in ((True, nx.strongly_connected_components), (False, nx.weakly_connected_components)):
            labels = kernels.components(graph, strong=strong)
            groups = {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels)}
            assert groups == set(map(frozenset, find(made)))


def two_ways(edges, n):
    """An undirected graph with both directions of every edge."""
    return graph_from([*edges, *((b, a, value) for a, b, value in edges)], n)


def trade_like(seed, n=1500, m=12_000):
    """Heavy-tailed degrees and values, with blocs that trade more among themselves."""
    rng = np.random.default_rng(seed)
    popular = 1 / np.arange(1, n + 1) ** 0.8
    ends = np.sort(rng.choice(n, (m, 2), p=popular / popular.sum()), axis=1)
    pairs = np.unique(ends[ends[:, 0] != ends[:, 1]], axis=0)
    bloc = rng.integers(0, 12, n)
    values = np.exp(rng.normal(9, 2, len(pairs))) * np.where(bloc[pairs[:, 0]] == bloc[pairs[:, 1]], 1 + seed % 20, 1)
    return two_ways(list(zip(*pairs.T.tolist(), values.tolist(), strict=True)), n)


@pytest.mark.soak
def test_communities_have_no_lower_modularity_than_networkx(campaign, monkeypatch):
    monkeypatch.setattr(kernels, "SMALL_EDGES", -1)
    for seed in campaign(100):
        graph = trade_like(seed)
        made = nx.Graph(networkx_of(graph))
        asked = nx.community.louvain_communities(made, seed=seed)
        labels = kernels.communities(graph)
        reached = kernels.modularity(graph, labels)
        groups = [set(np.flatnonzero(labels == label).tolist()) for label in set(labels)]
        assert reached == pytest.approx(nx.community.modularity(made, groups))
        assert reached >= nx.community.modularity(made, asked) - 1e-12, seed


@pytest.mark.soak
def test_communities_leave_no_single_move_that_is_better(campaign, monkeypatch):
    """On small graphs with ties, lone nodes and values over many orders of magnitude; and every one is connected."""
    monkeypatch.setattr(kernels, "SMALL_EDGES", -1)
    for seed in campaign(400):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 25))
        pairs = list(nx.gnp_random_graph(n, 0.25, seed=seed).edges)
        if not pairs:
            continue
        values = np.ones(len(pairs)) if seed % 2 else 10.0 ** rng.uniform(0, 9, len(pairs))
        graph = two_ways([(a, b, value) for (a, b), value in zip(pairs, values.tolist(), strict=True)], n)
        labels = kernels.communities(graph)
        reached = kernels.modularity(graph, labels)
        for node in range(n):
            for other in {*labels.tolist(), n}:
                moved = labels.copy()
                moved[node] = other
                assert kernels.modularity(graph, moved) <= reached + 1e-7
        made = nx.Graph(networkx_of(graph))
        assert all(nx.is_connected(made.subgraph(np.flatnonzero(labels == label).tolist())) for label in set(labels))


def test_communities_by_hand(path):
    """Two triangles and a thin bridge: inside 2 * 3 of 7, each of strength 7 of 14."""
    edges = [(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0), (3, 4, 1.0), (4, 5, 1.0), (3, 5, 1.0), (2, 3, 1.0)]
    graph = two_ways(edges, 6)
    labels = kernels.communities(graph)
    assert labels[0] == labels[1] == labels[2] != labels[3] == labels[4] == labels[5]
    assert kernels.modularity(graph, labels) == pytest.approx(6 / 7 - 2 * (7 / 14) ** 2)


def test_paths_by_hand(path):
    #  0 -> 1 -> 3 -> 4     0 -> 2 -> 3     1 -> 1     5 alone; by length 0-2-3 is 1 longer than 0-1-3
    edges = [(0, 1, 2.0), (0, 2, 2.0), (1, 3, 2.0), (2, 3, 3.0), (3, 4, 1.0), (1, 1, 0.5)]
    graph, everyone = graph_from(edges, 6), np.arange(6)
    hops = kernels.shortest_paths(graph.indptr, graph.indices, everyone, everyone)
    assert hops.betweenness.tolist() == [0, 1, 1, 3, 0, 0]
    assert hops.distance.tolist() == [0, 1, 1, 4, 8, 0]
    assert hops.n_reached_from.tolist() == [0, 1, 1, 3, 4, 0]
    lengths = kernels.shortest_paths(graph.indptr, graph.indices, everyone, everyone, graph.values)
    assert lengths.betweenness.tolist() == [0, 2, 0, 3, 0, 0]
    assert lengths.distance.tolist() == [0, 2, 2, 9, 13, 0]
    ends = np.array([0]), np.array([4, 5])
    assert kernels.betweenness_between(graph.indptr, graph.indices, *ends).tolist() == [0, 0.5, 0.5, 1, 0, 0]
    assert kernels.pairs_reached(graph.indptr, graph.indices, *ends) == 1


def test_lengths_too_small_to_add_make_no_path_longer_or_new(path):
    """1e20 + 1 is 1e20: nodes 1, 2 and 3 stand equally far, and the one path from 0 to 3 leads through both others."""
    graph = graph_from([(0, 1, 1e20), (1, 2, 1.0), (2, 3, 1.0)], 4)
    found = kernels.shortest_paths(graph.indptr, graph.indices, np.arange(4), np.arange(4), graph.values)
    assert found.betweenness.tolist() == [0, 2, 2, 0]
    assert found.distance.tolist() == [0, 1e20, 1e20 + 1, 1e20 + 3]


def test_no_nodes_and_no_edges(path):
    for n in (0, 1, 4):
        graph, everyone = graph_from([], n), np.arange(n)
        assert kernels.pagerank(graph).tolist() == [1 / max(n, 1)] * n
        assert len(kernels.components(graph, strong=True)) == n
        for lengths in (None, graph.values):
            paths = kernels.shortest_paths(graph.indptr, graph.indices, everyone, everyone, lengths)
            assert [*paths.betweenness, *kernels.closeness(paths)] == [0] * 2 * n
        assert kernels.pairs_reached(graph.indptr, graph.indices, everyone, everyone) == 0


def test_answers_do_not_depend_on_processors(monkeypatch):
    monkeypatch.setattr(kernels, "SMALL_WORK", -1)
    monkeypatch.setattr(kernels, "_PART", 100)
    graph, everyone = random_graph(np.random.default_rng(1), "dense", 700), np.arange(700)
    answers = set()
    for threads in (1, 2, 5):
        monkeypatch.setattr(kernels, "_THREADS", threads)
        found = kernels.shortest_paths(graph.indptr, graph.indices, everyone, everyone, graph.values)
        answers.add((found.betweenness.tobytes(), found.distance.tobytes()))
    assert len(answers) == 1
