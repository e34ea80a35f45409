"""Writes a trade network as GraphML, GEXF (Gephi) or a folder of CSV tables."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import pandas as pd

from chiptrail.exporters.tables import printable, write_table
from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import TABLES


def export_graphml(network: TradeNetwork, path: str | Path) -> Path:
    """The path of the GraphML file written: every actor a node, every trade and every link an edge.

    Parallel trades stay apart: an edge's id is its `trade_id`, or `link:` and its `link_id`. The attribute `relation` says
    `trade` or the kind of link; all other attributes are the columns of the data model, dates ISO. What is not given is left
    out. Characters that XML forbids become U+FFFD. The same network always gives the same bytes.

    Cautions: one flow may be told by two reporters, so sums over edges can count it twice.

    Parameters
    ----------
    network
        Any network; nothing of it is changed.
    path
        Where to write; a file that stands there is replaced.

    Raises
    ------
    InputError
        If two ids differ only in characters that XML forbids.

    Examples
    --------
    >>> import tempfile
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> net = load_bundled("firms")
    >>> path = export_graphml(net, Path(tempfile.mkdtemp()) / "firms.graphml")
    >>> len(nx.read_graphml(path)) == len(net.actors)
    True
    """
    buffer = io.BytesIO()
    nx.write_graphml_xml(_graph(network), buffer)
    return _write(path, buffer.getvalue())


def export_gexf(network: TradeNetwork, path: str | Path) -> Path:
    """The path of the GEXF file written, for Gephi: as `export_graphml`, with the actor's name as the node's label.

    Cautions: Gephi merges parallel edges unless told to keep them apart on import; edges carry no weight, because a value
    that is not known is not 1.

    Parameters
    ----------
    network
        Any network; nothing of it is changed.
    path
        Where to write; a file that stands there is replaced.

    Raises
    ------
    InputError
        If two ids differ only in characters that XML forbids.

    Examples
    --------
    >>> import tempfile
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> net = load_bundled("firms")
    >>> path = export_gexf(net, Path(tempfile.mkdtemp()) / "firms.gexf")
    >>> len(nx.read_gexf(path)) == len(net.actors)
    True
    """
    graph = _graph(network)
    for _, attributes in graph.nodes(data=True):
        attributes["label"] = attributes["name"]
    for _, _, key, attributes in graph.edges(keys=True, data=True):
        attributes["id"] = key
    buffer = io.BytesIO()
    nx.write_gexf(graph, buffer)
    return _write(path, re.sub(rb' lastmodifieddate="[^"]*"', b"", buffer.getvalue(), count=1))


def export_csv(network: TradeNetwork, folder: str | Path) -> Path:
    """The folder written: one CSV for each table of the data model, safe to open in a spreadsheet.

    `actors.csv`, `trades.csv`, `links.csv`, `listings.csv`, `totals.csv`, `coverage.csv`, `sources.csv`, also where a table is
    empty. Text that a spreadsheet would run as a formula gets an apostrophe in front; see `write_table`.

    Cautions: a spreadsheet drops the leading zero of an HS code when it opens a CSV.

    Parameters
    ----------
    network
        Any network; nothing of it is changed.
    folder
        Where to write; files of these names that stand there are replaced.

    Examples
    --------
    >>> import tempfile
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> folder = export_csv(load_bundled("firms"), tempfile.mkdtemp())
    >>> sorted(path.name for path in folder.iterdir())[:3]
    ['actors.csv', 'coverage.csv', 'links.csv']
    """
    target = Path(folder)
    for name in TABLES:
        write_table(getattr(network, name), target / f"{name}.csv")
    return target


def _graph(network: TradeNetwork) -> nx.MultiDiGraph:
    """The network as a graph whose ids and attributes every XML format can hold."""
    graph = nx.MultiDiGraph(level=network.level)
    actors, trades, links = network.actors, network.trades, network.links
    ids = {name: printable(name) for name in actors["actor_id"]}
    if len(set(ids.values())) < len(ids):
        raise InputError("two actor ids differ only in characters that XML forbids; give the actors other ids")
    graph.add_nodes_from((ids[row.pop("actor_id")], row) for row in _rows(actors))
    for row in _rows(trades):
        key = row.pop("trade_id")
        graph.add_edge(ids[row.pop("seller_id")], ids[row.pop("buyer_id")], key, relation="trade", **row)
    for row in _rows(links):
        key = f"link:{row.pop('link_id')}"
        kind = row.pop("kind")
        graph.add_edge(ids[row.pop("from_id")], ids[row.pop("to_id")], key, relation=kind, **row)
    if graph.number_of_edges() < len(trades) + len(links):
        raise InputError("two trade or link ids differ only in characters that XML forbids; give the rows other ids")
    return graph


def _rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows as attributes in the types that XML formats know, without what is not given."""
    for record in table.to_dict("records"):
        yield {printable(str(name)): _attribute(value) for name, value in record.items() if _is_given(value)}


def _is_given(value: Any) -> bool:
    return value != "" if isinstance(value, str) else not (pd.api.types.is_scalar(value) and pd.isna(value))


def _attribute(value: Any) -> str | int | float | bool:
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat()
    return value if isinstance(value, bool | int | float) else printable(str(value))


def _write(path: str | Path, content: bytes) -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target
