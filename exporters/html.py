"""Writes a trade network as an interactive graph on one HTML page that works offline."""

import base64
import functools
import hashlib
import json
import math
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import networkx as nx
import pandas as pd
from markupsafe import Markup

from chiptrail.exporters.layout import positions
from chiptrail.exporters.tables import printable
from chiptrail.graphmodel.countries import country_name
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import BASES

_EDGES_PER_ACTOR, _EDGES_ANYWAY = 2, 150
"""More edges than the larger of the two cannot be read."""
_MAX_REFS = 5
_QUIET = 100
"""A kind of link with more edges than this is drawn only when the reader asks for it."""
_INK = "#1f2328"


class _Look(NamedTuple):
    """How the page draws and explains one kind of node or edge; `dashes` belong to edges."""

    label: str
    colour: str
    shape: str = ""
    dashes: tuple[int, ...] = ()


# Colours by Okabe and Ito, which colour-blind readers can tell apart; shape and dashes say the same without colour.
_NODES = {
    "manufacturer": _Look("manufacturer", "#0072b2", "square"),
    "intermediary": _Look("intermediary", "#e69f00", "triangle"),
    "end_user": _Look("end user", "#d55e00", "diamond"),
    "logistics": _Look("logistics", "#009e73", "triangleDown"),
    "unknown": _Look("firm, role not known", "#8a8f98", "dot"),
    "country": _Look("country", "#56b4e9", "hexagon"),
    "bloc": _Look("group of countries reported as one", "#56b4e9", "box"),
    "weapon": _Look("weapon", "#cc79a7", "star"),
    "placeholder": _Look("unnamed in the source", "#ffffff", "dot"),
}
_EDGES = {
    "dispatched": _Look("trade, as dispatched: goods sent from one to the other", "#4b5563"),
    "origin": _Look("trade, by customs origin: goods made there, wherever they were sent from", "#0072b2", dashes=(14, 5)),
    "brand": _Look("brand: goods of this maker reached that actor; the source does not say who sold them", "#009e73",
                   dashes=(2, 5)),
    "component_found": _Look("part of this brand found in that weapon", "#cc79a7", dashes=(8, 4, 2, 4)),
    "makes_weapon": _Look("makes or helped develop that weapon", "#d55e00", dashes=(6, 3)),
}
_OPTIONS = {
    "physics": {"enabled": False},
    "layout": {"improvedLayout": False, "randomSeed": 1},
    "interaction": {"hover": True, "tooltipDelay": 150, "keyboard": {"enabled": True, "bindToWindow": False}},
    "nodes": {"size": 15, "borderWidth": 1.5, "font": {"size": 15, "color": _INK, "strokeWidth": 4, "strokeColor": "#ffffff"}},
    "edges": {"arrows": {"to": {"enabled": True, "scaleFactor": 0.5}}, "selectionWidth": 1.5, "hoverWidth": 1},
}


def export_html(network: TradeNetwork, path: str | Path, *, title: str = "", max_nodes: int = 300) -> Path:
    """The path of the HTML file written: the network as an interactive graph that works offline.

    The page holds all it needs and asks nothing of the network or other files. Actors are told apart by colour and shape, hover
    or click shows the evidence, and a search box jumps to a name. The same network always gives the same bytes.

    Cautions: an edge is a record that somebody published; it is no proof of wrongdoing. Large networks are cut to what can be
    read, and the page says what was left out; narrow the network with `network.where(...)` first.

    Parameters
    ----------
    network
        Any network; nothing of it is changed.
    path
        Where to write; a file that stands there is replaced.
    title
        Heading of the page; by default it names the kind of network.
    max_nodes
        Most actors shown: those with the largest known value, then those with the most trades and links.

    Examples
    --------
    >>> import tempfile
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> page = export_html(load_bundled("firms"), Path(tempfile.mkdtemp()) / "firms.html", title="Documented cases")
    >>> "<title>Documented cases</title>" in page.read_text(encoding="utf-8")
    True
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(graph_page(network, title=title, max_nodes=max_nodes).encode("utf-8"))
    return target


def graph_page(network: TradeNetwork, *, title: str = "", max_nodes: int = 300) -> str:
    """The page that `export_html` writes, as text; it also works as the `srcdoc` of an iframe.

    An iframe's page obeys the content security policy of the page around it too: that one must allow `script_hashes()`.

    Parameters
    ----------
    network, title, max_nodes
        As in `export_html`.

    Examples
    --------
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> graph_page(load_bundled("firms"), max_nodes=50).startswith("<!DOCTYPE html>")
    True
    """
    edges = pd.concat([_trade_edges(network), _link_edges(network)], ignore_index=True).astype({"is_trade": bool})
    actors, edges, left_out = _in_view(network.actors, edges, max_nodes)
    drawing = _drawing(network, actors, edges)
    data = json.dumps(drawing, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        data = data.replace(character, f"\\u{ord(character):04x}")
    known = edges["known_usd"].dropna()
    folder = resources.files("chiptrail.exporters") / "templates"
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string((folder / "graph.html").read_text(encoding="utf-8")).render(
        title=printable(title).strip() or f"Trade network of {network.level}",
        policy_hashes=" ".join(f"'{value}'" for value in script_hashes()),
        scripts=[Markup(script) for script in _scripts()],
        style=Markup(_vis_file("vis-network.css")),
        data=Markup(data),
        node_looks={kind: look for kind, look in _NODES.items() if kind in {n["sort"] for n in drawing["nodes"]}},
        edge_looks={kind: look for kind, look in _EDGES.items() if kind in set(edges["relation"])},
        quiet=_quiet(edges),
        value_range=(_money(known.min()), _money(known.max())) if len(known) else None,
        value_unknown=bool((edges["is_trade"] & edges["known_usd"].isna()).any()),
        left_out=left_out,
        sources=_sources_shown(network, actors, edges),
    )


def _quiet(edges: pd.DataFrame) -> dict[str, int]:
    """Kinds of links that begin hidden, with their number: too many to read the rest beside them."""
    counts = Counter(edges.loc[~edges["is_trade"], "relation"])
    return {kind: n for kind, n in counts.items() if n > _QUIET} if edges["is_trade"].any() else {}


def script_hashes() -> list[str]:
    """Hashes of the page's scripts, as a content security policy names them (`sha256-...`); the same for every network.

    Examples
    --------
    >>> [value[:7] for value in script_hashes()]
    ['sha256-', 'sha256-']
    """
    return [f"sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}" for s in _scripts()]


@functools.cache
def _scripts() -> tuple[str, str]:
    own = resources.files("chiptrail.exporters") / "templates" / "graph.js"
    return _vis_file("vis-network.min.js"), own.read_text(encoding="utf-8")


def _vis_file(name: str) -> str:
    text = (resources.files("pyvis") / "lib" / "vis-9.1.2" / name).read_text(encoding="utf-8")
    return re.sub(r"(?m)^//# sourceMappingURL=.*$", "", text)


def _trade_edges(network: TradeNetwork) -> pd.DataFrame:
    """One row per seller, buyer and concept: what is drawn and what its tooltip says."""
    flows = network.flows()
    return flows.rename(columns={"seller_id": "from_id", "buyer_id": "to_id", "concept": "relation"}).assign(
        is_trade=True, goods="", n_parts=float("nan")
    )


def _link_edges(network: TradeNetwork) -> pd.DataFrame:
    """One row per pair and kind of link, with the columns of `_trade_edges`."""
    links = network.links
    rank = {basis: i for i, basis in enumerate(BASES)}
    links["weakness"] = links["basis"].map(rank)
    groups = links.sort_values("record_ref", kind="stable").groupby(["from_id", "to_id", "kind"], sort=True)
    table = pd.DataFrame({
        "known_usd": float("nan"),
        "n_records": groups.size(),
        "n_without_value": 0,
        "n_left_aside": 0,
        "first_date": groups["period_start"].min(),
        "last_date": groups["period_end"].max(),
        "products": groups["hs_code"].agg(_joined),
        "basis": groups["weakness"].max().map(dict(enumerate(BASES))),
        "reported_by": "",
        "sources": groups["source_id"].agg(_joined),
        "record_refs": groups["record_ref"].agg("; ".join),
        "is_trade": False,
        "goods": groups["goods"].agg(_joined),
        "n_parts": groups["n_parts"].sum(min_count=1),
    })
    return table.reset_index().rename(columns={"kind": "relation"})


def _joined(values: pd.Series) -> str:
    return "; ".join(sorted(set(values) - {""}))


def _in_view(actors: pd.DataFrame, edges: pd.DataFrame, max_nodes: int) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """The actors and edges that are drawn, and a sentence on those that are not."""
    ends = edges.melt(["known_usd", "relation"], ["from_id", "to_id"], value_name="actor_id")
    ends["in_parts"] = ends["relation"].eq("component_found")
    ends["in_chains"] = ~ends["in_parts"]
    weight = ends.groupby("actor_id")[["known_usd", "in_chains", "in_parts"]].sum()
    ranked = actors.join(weight, on="actor_id").fillna({"known_usd": 0, "in_chains": 0, "in_parts": 0})
    ranked = ranked.sort_values(["known_usd", "in_chains", "in_parts", "actor_id"], ascending=[False, False, False, True])
    shown = actors[actors["actor_id"].isin(ranked["actor_id"].head(max_nodes))]

    among = edges[edges["from_id"].isin(shown["actor_id"]) & edges["to_id"].isin(shown["actor_id"])]
    among = among.sort_values(["known_usd", "n_parts", "from_id", "to_id"], ascending=[False, False, True, True])
    # Each kind of edge gets its share of the room, and each actor keeps its strongest edge.
    place = among.groupby("relation").cumcount()
    first = ~among.duplicated(["from_id"]) | ~among.duplicated(["to_id"])
    order = among.assign(first=~first, place=place).sort_values(["first", "place", "relation"], kind="stable")
    drawn = order.head(max(_EDGES_PER_ACTOR * len(shown), _EDGES_ANYWAY)).drop(columns=["first", "place"])
    drawn = drawn.sort_values(["is_trade", "relation", "from_id", "to_id"]).reset_index(drop=True)

    sentences = []
    if len(shown) < len(actors):
        sentences.append(f"{len(shown):,} of {len(actors):,} actors shown; the {len(actors) - len(shown):,} with the least "
                         "known trade and the fewest records left out.")
    if len(drawn) < len(edges):
        sentences.append(f"{len(drawn):,} of {len(edges):,} edges shown: those between these actors with the largest known "
                         "value or number of parts, at least the largest of each actor.")
    return shown, drawn, " ".join(sentences)


def _drawing(network: TradeNetwork, actors: pd.DataFrame, edges: pd.DataFrame) -> dict[str, Any]:
    """What vis-network draws, filled through pyvis under ids of our own: nodes, edges and options."""
    from pyvis.network import Network

    canvas = Network(directed=True)
    canvas.set_options(json.dumps(_OPTIONS))
    number = {actor: i for i, actor in enumerate(actors["actor_id"])}
    wide, narrow = (_places(edges, list(number), aspect) for aspect in (1.8, 0.7))
    listings = dict(list(network.listings.groupby("actor_id")))
    for actor in _rows(actors):
        sort = actor.kind if actor.kind in _NODES else actor.role
        canvas.add_node(
            number[actor.actor_id], label=_short(actor.name), sort=sort, **_node_style(sort),
            wide=wide[actor.actor_id], narrow=narrow[actor.actor_id],
            heading=_line(actor.name), evidence=_actor_evidence(actor, listings.get(actor.actor_id)),
        )
    names = dict(zip(actors["actor_id"], actors["name"], strict=True))
    titles = dict(zip(network.sources["source_id"], network.sources["title"], strict=True))
    logs = edges["known_usd"].where(edges["known_usd"] > 0).map(math.log10, na_action="ignore")
    low, span = logs.min(), max(logs.max() - logs.min(), 1e-9)
    parallel = edges.groupby(["from_id", "to_id"]).cumcount()
    for edge, log, n_before in zip(_rows(edges), logs, parallel, strict=True):
        canvas.add_edge(
            number[edge.from_id], number[edge.to_id], relation=edge.relation,
            **_edge_style(edge, 2 + 5 * (log - low) / span if log == log else 1.5),
            smooth={"enabled": True, "type": "curvedCW", "roundness": 0.1 + 0.12 * n_before},
            heading=_line(f"{names[edge.from_id]} → {names[edge.to_id]}"), evidence=_edge_evidence(edge, titles),
        )
    return {"nodes": canvas.nodes, "edges": canvas.edges, "options": canvas.options}


def _places(edges: pd.DataFrame, actors: list[str], aspect: float) -> dict[str, tuple[int, int]]:
    graph = nx.DiGraph()
    graph.add_nodes_from(sorted(actors))
    parts = edges["relation"].eq("component_found")
    backbone = edges[~parts]
    loose = set(actors) - set(backbone["from_id"]) - set(backbone["to_id"])
    inside = edges[parts & edges["from_id"].isin(loose) & edges["to_id"].isin(loose)]
    for table in (backbone, inside):
        graph.add_edges_from(sorted(zip(table["from_id"], table["to_id"], strict=True)))
    return positions(graph, loose, aspect=aspect)


def _node_style(sort: str) -> dict[str, Any]:
    look = _NODES[sort]
    colour = {"background": look.colour, "border": "#3d4450"}
    style: dict[str, Any] = {"shape": look.shape, "color": {**colour, "highlight": colour, "hover": colour}}
    if sort == "placeholder":
        style["shapeProperties"] = {"borderDashes": [4, 3]}
    return style


def _edge_style(edge: Any, width: float) -> dict[str, Any]:
    look = _EDGES[edge.relation]
    dashes: list[int] | bool = list(look.dashes) or False
    if edge.is_trade and math.isnan(edge.known_usd):
        dashes = [3, 4]
    return {"width": round(width, 2), "dashes": dashes, "color": {"color": look.colour, "highlight": look.colour,
                                                                  "hover": look.colour, "opacity": 0.75}}


def _actor_evidence(actor: Any, listings: pd.DataFrame | None) -> list[list[str]]:
    lines = [["kind", _NODES[actor.kind].label if actor.kind in _NODES else actor.kind]]
    if actor.kind in ("company", "placeholder"):
        lines.append(["role", _NODES[actor.role].label if actor.role != "unknown" else "not stated"])
    if actor.kind not in ("country", "bloc"):
        lines.append(["country", _country(actor.country)])
    if listings is not None:
        for row in _rows(listings):
            since = row.date_as_stated or _day(row.listed_from)
            until = _day(row.listed_to)
            dates = (f" since {since}" if since else "") + (f" until {until}" if until else "")
            lines.append(["listed", f"on {row.list_name}{dates} ({row.citation})"])
    elif actor.kind == "company":
        lines.append(["listed", "no listing found in the data at hand"])
    return [[label, _line(text)] for label, text in lines]


def _edge_evidence(edge: Any, titles: dict[str, str]) -> list[list[str]]:
    lines = [["kind", _EDGES[edge.relation].label]]
    if edge.is_trade:
        known = edge.n_records - edge.n_without_value
        value = _money(edge.known_usd) if known else "not known"
        lines.append(["value", f"{value} in {known:,} of {edge.n_records:,} records, the rest not known"
                      if known and edge.n_without_value else value])
    lines.append(["records", f"{edge.n_records:,}" + (
        f", and {edge.n_left_aside:,} other tellings of the same flow, not counted" if edge.n_left_aside else "")])
    if edge.n_parts == edge.n_parts:
        lines.append(["parts", f"{edge.n_parts:,.0f} different"])
    lines += [["goods", edge.goods], ["products", edge.products and f"HS {edge.products}"], ["period", _period(edge)],
              ["basis", f"{edge.basis} (the weakest)" if edge.n_records > 1 else edge.basis], ["reported by", edge.reported_by]]
    sources = [titles.get(source, source) for source in edge.sources.split("; ")]
    lines += [["from", _few(edge.record_refs.split("; "))], ["source", _few(sources)]]
    return [[label, _line(text)] for label, text in lines if text]


def _period(edge: Any) -> str:
    first, last = _day(edge.first_date), _day(edge.last_date)
    if first and last:
        return first if first == last else f"{first} to {last}"
    return f"not later than {last}, start not stated" if last else f"from {first}, end not stated" if first else "not stated"


def _day(date: Any) -> str:
    return "" if date is pd.NaT else date.date().isoformat()


def _few(items: list[str]) -> str:
    more = f" and {len(items) - _MAX_REFS:,} more" if len(items) > _MAX_REFS else ""
    return "; ".join(items[:_MAX_REFS]) + more


def _money(value: float) -> str:
    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if value >= size:
            return f"USD {value / size:,.3g}{word}" if value / size < 1000 else f"USD {value / size:,.0f}{word}"
    return f"USD {value:,.0f}"


def _country(code: str) -> str:
    try:
        return country_name(code) if code else "not stated"
    except UnknownNameError:
        return code


def _rows(table: pd.DataFrame) -> Iterator[Any]:
    return iter(table.itertuples(index=False))


def _line(text: str, longest: int = 600) -> str:
    """The text in one printable line, cut if it is very long."""
    line = " ".join(printable(text).split())
    return line if len(line) <= longest else f"{line[:longest]}… ({len(line):,} characters)"


def _short(name: str) -> str:
    return textwrap.fill(_line(name), 17, max_lines=2, placeholder="…")


def _sources_shown(network: TradeNetwork, actors: pd.DataFrame, edges: pd.DataFrame) -> list[dict[str, Any]]:
    """Sources of what is drawn; an address that is no plain web address is shown as text, not as a link."""
    listings = network.listings
    shown = set(listings.loc[listings["actor_id"].isin(actors["actor_id"]), "source_id"])
    shown |= {source for sources in edges["sources"] for source in sources.split("; ")}
    table = network.sources
    rows = table[table["source_id"].isin(shown)].sort_values(["title", "source_id"])
    return [
        {"title": _line(row.title), "publisher": _line(row.publisher), "url": _line(row.url, 2000),
         "is_link": bool(re.fullmatch(r"https?://[^\s<>\"'\\]+", row.url))}
        for row in _rows(rows)
    ]
