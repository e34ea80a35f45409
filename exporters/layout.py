"""Places the nodes of a graph in layers from left (sends) to right (receives), the same way every time."""

import math
from collections.abc import Iterable

import networkx as nx
import numpy as np

_COLUMN, _ROW = 160, 88
_SWEEPS = 12


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
    blocks = [_block(graph.subgraph(part)) for part in [*parts, loose] if part]
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


def _block(graph: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Positions within one block, from (0, 0) on: columns by layer, long layers in several columns."""
    if len(graph) > 40 and not nx.is_directed_acyclic_graph(graph):
        return _spread(graph)
    layer = _layers(graph)
    tallest = max(4, math.ceil(1.1 * math.sqrt(len(graph))))
    columns: list[list[str]] = []
    for number in sorted(set(layer.values())):
        names = sorted(name for name in graph if layer[name] == number)
        n_columns = math.ceil(len(names) / tallest)
        columns += [names[i::n_columns] for i in range(n_columns)]
    height = max(map(len, columns))
    row = {name: i + (height - len(column)) / 2 for column in columns for i, name in enumerate(column)}
    for _ in range(_SWEEPS):
        for column in columns:
            middle = {name: _mean([row[other] for other in nx.all_neighbors(graph, name)], row[name]) for name in column}
            column.sort(key=lambda name: (middle[name], name))  # noqa: B023
            row |= {name: i + (height - len(column)) / 2 for i, name in enumerate(column)}
    top = min(row.values())
    # Neighbouring columns of one layer are shifted by half a row, so that long names do not meet.
    return {
        name: (float(x * _COLUMN), (row[name] - top) * _ROW + (x % 2) * _ROW / 3)
        for x, column in enumerate(columns) for name in column
    }


def _spread(graph):
    u = nx.Graph(); u.add_nodes_from(sorted(graph)); u.add_edges_from(sorted(map(lambda e: tuple(sorted(e)), graph.edges)))
    start = nx.kamada_kawai_layout(u) if KK else nx.spring_layout(u, seed=1, iterations=300, k=1.5/math.sqrt(len(u)))
    xy = np.array([start[n] for n in u])
    d = np.sqrt(((xy[:,None]-xy[None])**2).sum(-1)); np.fill_diagonal(d, 9)
    scale = 75/np.quantile(d.min(1), 0.2)
    xy = (xy-xy.min(0))*scale*np.array([1.5,1.0])
    return {n: (float(x), float(y)) for n,(x,y) in zip(u, xy)}

KK=False
def _mean(values: list[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


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
