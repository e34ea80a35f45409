"""Places the nodes of a graph in layers from left (sends) to right (receives), the same way every time."""

import math
from collections.abc import Iterable

import networkx as nx
import numpy as np

_COLUMN, _ROW = 160, 88
_SWEEPS = 12
_MANY = 40


def positions(graph: nx.DiGraph, loose: Iterable[str] = (), *, aspect: float = 1.7) -> dict[str, tuple[int, int]]:
    """Pixel position of each node: one block for each connected part, the largest first, set in lines like words.

    Parameters
    ----------
    graph
        Directed graph; names sort the nodes where nothing else does, so the order of rows makes no difference.
    loose
        Nodes that stand together in one block at the end, connected or not.
    aspect
        Width over height that the picture should have.
    """
    loose = set(loose)
    parts = [set(part) for part in nx.weakly_connected_components(graph.subgraph(set(graph) - loose))]
    parts.sort(key=lambda part: (-len(part), min(part)))
    blocks = [_block(graph.subgraph(part), aspect) for part in [*parts, loose] if part]
    sizes = [(max(x for x, _ in b.values()) + _COLUMN, max(y for _, y in b.values()) + 1.5 * _ROW) for b in blocks]
    line = max([math.sqrt(aspect * sum(w * h for w, h in sizes)), *(w for w, _ in sizes)], default=0)
    placed: dict[str, tuple[int, int]] = {}
    left = top = bottom = 0.0
    for block, (width, height) in zip(blocks, sizes, strict=True):
        if left and left + width > line:
            left, top = 0.0, bottom
        placed |= {name: (round(left + x), round(top + y)) for name, (x, y) in block.items()}
        left, bottom = left + width, max(bottom, top + height)
    return placed


def _block(graph: nx.DiGraph, aspect: float) -> dict[str, tuple[float, float]]:
    """Positions within one block, from (0, 0) on: columns by layer, long layers in several columns."""
    if len(graph) > _MANY and not nx.is_directed_acyclic_graph(graph):
        return _spread(graph, aspect)
    layer = _layers(graph)
    tallest = max(4, math.ceil(1.1 * math.sqrt(len(graph))))
    columns: list[list[str]] = []
    for number in sorted(set(layer.values())):
        names = sorted(name for name in graph if layer[name] == number)
        n_columns = math.ceil(len(names) / tallest)
        columns += [names[i::n_columns] for i in range(n_columns)]
    height = max(map(len, columns))
    row: dict[str, float] = {}
    for _ in range(_SWEEPS):
        for column in columns:
            column.sort(key=lambda name: (_mean([row[other] for other in nx.all_neighbors(graph, name) if other in row]), name))
            row |= {name: i + (height - len(column)) / 2 for i, name in enumerate(column)}
    top = min(row.values())
    # Neighbouring columns of one layer are shifted by half a row, so that long names do not meet.
    return {
        name: (float(x * _COLUMN), (row[name] - top) * _ROW + (x % 2) * _ROW / 3)
        for x, column in enumerate(columns) for name in column
    }


def _spread(graph: nx.DiGraph, aspect: float) -> dict[str, tuple[float, float]]:
    """Positions for a large block with circles: neighbours near each other, crowded places drawn apart."""
    plain = nx.Graph()
    plain.add_nodes_from(sorted(graph))
    plain.add_edges_from(sorted({(min(edge), max(edge)) for edge in graph.edges}))
    spring = nx.spring_layout(plain, seed=1, iterations=300, k=2 / math.sqrt(len(plain)))
    place = np.array([spring[name] for name in plain])
    place = (place - place.min(axis=0)) / np.ptp(place, axis=0)
    rank = place.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable") / (len(plain) - 1)
    side = math.sqrt(1.6 * len(plain) * _COLUMN * _ROW)
    place = (place + rank) / 2 * side * np.array([math.sqrt(aspect), 1 / math.sqrt(aspect)])
    return {name: (float(x), float(y)) for name, (x, y) in zip(plain, place, strict=True)}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _layers(graph: nx.DiGraph) -> dict[str, int]:
    """Layer of each node: the longest path to it; where flows go in circles, its trophic level (MacKay et al. 2020)."""
    if nx.is_directed_acyclic_graph(graph):
        return {name: i for i, names in enumerate(nx.topological_generations(graph)) for name in names}
    names = sorted(graph)
    weights = nx.to_numpy_array(graph, nodelist=names, weight=None)
    np.fill_diagonal(weights, 0)
    inward, outward = weights.sum(axis=0), weights.sum(axis=1)
    level = np.linalg.lstsq(np.diag(inward + outward) - weights - weights.T, inward - outward, rcond=None)[0]
    level -= level.min()
    longest = max(max(steps.values()) for _, steps in nx.all_pairs_shortest_path_length(graph))
    scaled = np.round(level * longest / max(level.max(), 1e-9), 6)
    return dict(zip(names, np.floor(scaled + 0.5).astype(int).tolist(), strict=True))
