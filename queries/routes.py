"""Routes: by which chains do goods get from the origins to the destinations, with the records of every leg?"""

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd

from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import BASES
from chiptrail.graphmodel.selection import actors_named, goods_code
from chiptrail.queries.answer import MEANING, answer, coarse_note, concept_or_default, names_of
from chiptrail.queries.question import latest_covered_year, question_of
from chiptrail.queries.timing import Spans, in_order, reach, union, usable

COLUMNS = (
    "route", "leg", "n_legs", "path", "seller_id", "seller", "buyer_id", "buyer", "kind", "leg_usd", "smallest_leg_usd",
    "concept", "joined_by", "coarse", "time", "arrival", "route_basis", "basis", "products", "goods", "first_date",
    "last_date", "n_records", "reported_by", "sources", "record_refs",
)
ORDERS = ("smallest_leg", "hops", "arrival")
_EPOCH = pd.Timestamp("1970-01-01")
Key = tuple[str, str]


@dataclass
class _Record:
    row: dict
    keys: frozenset[Key]
    coarse_for: frozenset[Key]
    span: tuple[float, float]
    dated: bool


@dataclass
class _Edge:
    """All records of one kind between a seller and a buyer, by what they can join on."""

    kind: str
    records: list[_Record]
    by_key: dict[Key, list[_Record]] = field(default_factory=dict)
    spans: dict[Key, Spans] = field(default_factory=dict)
    potential: dict[Key, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Route:
    nodes: tuple[str, ...]
    kinds: tuple[str, ...]
    key: Key
    records: tuple[tuple[_Record, ...], ...]
    time: str
    arrival: float
    value: float

    def rank(self, order: str) -> tuple:
        """Smaller is better; the same for every order of rows."""
        value = -math.inf if math.isnan(self.value) else self.value
        tie = (len(self.nodes), -value, self.arrival, self.nodes, self.key, self.kinds)
        return {"smallest_leg": (-value, *tie), "hops": tie, "arrival": (self.arrival, *tie)}[order]


def supply_routes(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, k: int = 10,
    max_hops: int = 4, by: str = "smallest_leg", max_wait_days: int | None = None, same_digits: int = 4,
    prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per leg of the k best routes from the origins to the destinations.

    A route visits no actor twice. Its legs share one HS prefix along the whole route, or belong to one documented case, and can
    follow each other in time. A leg is the set of all records between its two actors that can take part.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries, groups, or actors by name or id; a weapon can be a destination.
    concept
        What the first leg may be: `dispatched`, `origin` (customs origin, only as first leg) or `brand`. Default: `origin` for
        countries; for firms both `dispatched` and `brand`, each route saying which.
    products, since, until
        As in `TradeNetwork.where`; between firms records that lie partly inside the window count too. A network of countries
        without a window is asked about the latest year in which the most hubs have both legs covered.
    k
        Number of routes.
    max_hops
        Largest number of legs, links included.
    by
        `smallest_leg` (largest value first, unknown values last), `hops` (fewest first) or `arrival` (earliest possible day of the
        last trade first).
    max_wait_days
        Longest wait from one leg to the next; None for any.
    same_digits
        Digits of the HS code that the legs must share.
    prefer
        Whose report is taken where both sides told of a flow.

    Returns
    -------
    DataFrame
        `route` (rank), `leg`, `n_legs`, `path` (names), `seller_id`, `seller`, `buyer_id`, `buyer`, `kind` (trade, brand or
        makes_weapon), `leg_usd` (USD, sum of the leg's records; missing if one has no value), `smallest_leg_usd` (USD, over the
        trade legs; missing if one is), `concept`, `joined_by` (`HS 8542` or `case ...`), `coarse` (a code wider than the shared
        prefix, or a set of codes, was joined), `time` (`ordered`: every choice of moments is in time order; `overlapping`: some
        choice is; `undated`: a leg has no start date), `arrival` (earliest possible day of the last trade), `route_basis` and
        `basis` (the weakest of the route and of the leg), `products`, `goods`, `first_date`, `last_date`, `n_records`,
        `reported_by`, `sources` (ids) and `record_refs` (file and row).

    Raises
    ------
    UnknownNameError
        If a name, concept, order or product list is not known.
    NotComparableError
        If more than four digits shall agree across different or unknown HS versions.

    Notes
    -----
    None of the words for time says that the goods are the same. Routes share legs: never add their values. `brand` links can
    only begin a route and `makes_weapon` links only end it, outside the rules of product and time; a link that belongs to a case
    joins only trades of that case. Parts found in weapons are never crossed. Between countries the inner places of a route are
    neither origins nor destinations; between firms a route is given in its full length: one that another leg from an origin or to
    a destination would lengthen stands in the longer one.

    Examples
    --------
    >>> import chiptrail as ct
    >>> firms = ct.load_bundled("firms")
    >>> ct.supply_routes(firms, origins=["USA"], destinations=["RUS"], by="hops").groupby("route")["path"].first().size
    10
    """
    if by not in ORDERS:
        raise UnknownNameError("order", by, ORDERS, f"choose one of {', '.join(ORDERS)}")
    if concept is not None or network.level == "countries":
        concept = concept_or_default(network, concept)
    starts, ends = actors_named(network, origins), actors_named(network, destinations)
    notes = []
    part = network if products is None else network.where(products=products)
    if since is None and until is None and network.level == "countries":
        question = question_of(
            network, origins=origins, destinations=destinations, concept=concept or "dispatched", products=products)
        since, note = latest_covered_year(part, question, CoverageIndex(network))
        until = since
        notes.append(note)
    trades = counted_once(part.where(since=since, until=until, partly=network.level == "firms"), prefer=prefer)
    counted = trades[trades["left_aside"].eq("")]
    _check_versions(counted, same_digits)
    search = _Search(
        edges=_edges(counted, part.links, same_digits), starts=starts, ends=ends, concept=concept,
        full_length=network.level == "firms", wait=max_wait_days, max_hops=max_hops,
    )
    routes = search.best(k, by)
    notes += [
        coarse_note(counted, products),
        "a leg's value is what was traded between its two actors; that the same goods went on is not said",
        CoverageIndex(network).described(),
        *(MEANING[c] for c in sorted({_concept(route) for route in routes})),
    ]
    if not routes:
        notes.append("no chain of records meets the question; where the data do not cover a leg this says nothing")
    table = _table(routes, names_of(network))
    asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept, "products": products,
             "since": since, "until": until, "k": k, "max_hops": max_hops, "by": by, "max_wait_days": max_wait_days,
             "same_digits": same_digits, "prefer": prefer}
    used = {source for text in table["sources"] for source in text.split("; ")}
    return answer(table, network, question=asked, notes=notes, source_ids=used, left_aside=trades["left_aside"])


def _check_versions(trades: pd.DataFrame, same_digits: int) -> None:
    versions = sorted(set(trades.loc[trades["hs_code"].str.len().gt(4), "hs_version"]))
    if same_digits > 4 and (len(versions) > 1 or "" in versions):
        raise NotComparableError(
            f"codes of {' and '.join(v or 'unknown HS version' for v in versions)} compare at heading level only; "
            "use same_digits=4, or choose records of one HS version"
        )


def _edges(trades: pd.DataFrame, links: pd.DataFrame, digits: int) -> dict[str, dict[str, list[_Edge]]]:
    """Edges by seller and buyer; one edge for each kind: dispatched, origin, brand, makes_weapon."""
    told = goods_code(trades).unique()
    prefixes = {code[:digits] for codes in told for code in str(codes).split("+") if code}
    grouped: dict[tuple[str, str, str], list[_Record]] = {}
    for row in trades.to_dict("records"):
        record = _record(row, prefixes, digits)
        grouped.setdefault((row["seller_id"], row["buyer_id"], row["concept"]), []).append(record)
    for row in links[links["kind"].isin(["brand", "makes_weapon"])].to_dict("records"):
        record = _Record(row, frozenset(), frozenset(), (-math.inf, math.inf), False)
        grouped.setdefault((row["from_id"], row["to_id"], row["kind"]), []).append(record)
    edges: dict[str, dict[str, list[_Edge]]] = {}
    for (seller, buyer, kind), records in sorted(grouped.items(), key=lambda item: item[0]):
        edge = _Edge(kind, records)
        for record in records:
            for key in record.keys:
                edge.by_key.setdefault(key, []).append(record)
        for key, found in edge.by_key.items():
            edge.spans[key] = union([record.span for record in found])
            known = [r.row["value_usd"] for r in found if not math.isnan(r.row["value_usd"])]
            edge.potential[key] = math.fsum(known) if known else -math.inf
        edges.setdefault(seller, {}).setdefault(buyer, []).append(edge)
    return edges


def _record(row: dict, prefixes: set[str], digits: int) -> _Record:
    """A trade with the keys on which it can join others: HS prefixes, and its case."""
    codes = [row["hs_code"]] if row["hs_code"] else [c for c in row["product_set"].split("+") if c]
    exact = {("HS", code[:digits]) for code in codes}
    wider = {("HS", p) for p in prefixes for code in codes if len(code) < len(p) and p.startswith(code)}
    coarse = (exact if row["product_set"] else set()) | wider
    case = {("case", row["case"])} if row["case"] else set()
    start, end = row["period_start"], row["period_end"]
    span = (-math.inf if pd.isna(start) else (start - _EPOCH).days, math.inf if pd.isna(end) else (end - _EPOCH).days)
    return _Record(row, frozenset(exact | wider | case), frozenset(coarse), span, not pd.isna(start))


@dataclass
class _Search:
    """A question about routes: what may be walked, and from where to where."""

    edges: dict[str, dict[str, list[_Edge]]]
    starts: set[str]
    ends: set[str]
    concept: str | None
    full_length: bool
    wait: float | None
    max_hops: int

    def best(self, k: int, order: str) -> list[_Route]:
        """The k best routes, best first."""
        found: list[tuple[_Backwards, _Route]] = []
        self._to_end = self._legs_to_end()
        self._reversed: dict[str, list[str]] = {}
        for seller, buyers in self.edges.items():
            for buyer in buyers:
                self._reversed.setdefault(buyer, []).append(seller)
        depths = range(1, self.max_hops + 1) if order == "hops" else [self.max_hops]
        for depth in depths:
            found = []
            worst = [math.inf]
            for nodes, walked in self._paths(depth, order, worst):
                for route in self._routes(nodes, walked):
                    if len(found) < k:
                        heapq.heappush(found, (_Backwards(route.rank(order)), route))
                    elif route.rank(order) < found[0][0].rank:
                        heapq.heapreplace(found, (_Backwards(route.rank(order)), route))
                    if len(found) == k:
                        worst[0] = found[0][0].rank[0]
            if len(found) == k:
                break
        return [route for _, route in sorted(found, key=lambda item: item[0].rank)]

    def _legs_to_end(self) -> dict[str, int]:
        """Fewest legs from each actor to a destination, for pruning."""
        before: dict[str, set[str]] = {}
        for seller, buyers in self.edges.items():
            for buyer in buyers:
                before.setdefault(buyer, set()).add(seller)
        distance = dict.fromkeys(self.ends, 0)
        layer, steps = set(self.ends), 0
        while layer:
            steps += 1
            layer = {s for b in layer for s in before.get(b, ())} - set(distance)
            distance |= dict.fromkeys(layer, steps)
        return distance

    def _paths(
        self, depth: int, order: str, worst: list[float]
    ) -> Iterator[tuple[tuple[str, ...], tuple[_Edge, ...]]]:
        """Walks without repetition from an origin to a destination, of at most `depth` legs, that can still be a route."""
        for start in sorted(self.starts & set(self.edges)):
            stack: list[tuple[tuple[str, ...], tuple[_Edge, ...], dict[Key, tuple[float, Spans]] | None]] = [
                ((start,), (), None)]
            while stack:
                nodes, walked, state = stack.pop()
                if walked and nodes[-1] in self.ends:
                    yield nodes, walked
                    if not self.full_length:
                        continue
                if len(walked) == depth or (walked and walked[-1].kind == "makes_weapon"):
                    continue
                for buyer, edges in sorted(self.edges.get(nodes[-1], {}).items(), reverse=True):
                    if buyer in nodes or len(walked) + 1 + self._to_end.get(buyer, math.inf) > depth:
                        continue
                    if not self.full_length and buyer in self.starts:
                        continue
                    for edge in edges:
                        if not self._may_follow(edge, len(walked)):
                            continue
                        after = self._advance(state, edge)
                        if after == {} or self._hopeless(after, order, worst[0]):
                            continue
                        stack.append(((*nodes, buyer), (*walked, edge), after))

    def _may_follow(self, edge: _Edge, position: int) -> bool:
        if position:
            return edge.kind in ("dispatched", "makes_weapon")
        if self.concept:
            return edge.kind == self.concept
        return edge.kind in ("dispatched", "brand")

    def _advance(
        self, state: dict[Key, tuple[float, Spans]] | None, edge: _Edge
    ) -> dict[Key, tuple[float, Spans]] | None:
        """For each key on which the walk can still join: its smallest leg so far and the moments it can have reached.

        None where no trade has been walked yet; empty where no key is left.
        """
        if edge.kind in ("brand", "makes_weapon"):
            return state
        if state is None:
            return {key: (edge.potential[key], spans) for key, spans in edge.spans.items()}
        after = {}
        for key in state.keys() & edge.spans.keys():
            moments = reach(state[key][1], edge.spans[key], self.wait)
            if moments:
                after[key] = (min(state[key][0], edge.potential[key]), moments)
        return after

    def _hopeless(self, state: dict[Key, tuple[float, Spans]] | None, order: str, worst: float) -> bool:
        """Whether no route that begins like this can be among the best."""
        if not state or math.isinf(worst) or order == "hops":
            return False
        if order == "smallest_leg":
            return -max(value for value, _ in state.values()) > worst
        return min(moments[0][0] for _, moments in state.values()) > worst

    def _routes(self, nodes: tuple[str, ...], walked: tuple[_Edge, ...]) -> list[_Route]:
        """The routes along a walk, one for each key that gives other records."""
        trades = [edge for edge in walked if edge.kind in ("dispatched", "origin")]
        if not trades:
            return []
        kept: list[_Route] = []
        for key in sorted(set.intersection(*(set(edge.by_key) for edge in trades)), key=lambda k: (k[0] == "case", k)):
            route = self._route(nodes, walked, key)
            if route and not self._longer(route) and all(route.records != other.records for other in kept):
                kept.append(route)
        return kept

    def _route(self, nodes: tuple[str, ...], walked: tuple[_Edge, ...], key: Key) -> _Route | None:
        """The walk as a route that joins on a key, with the records that can take part; None if time forbids it."""
        legs = [edge.by_key[key] for edge in walked if edge.kind in ("dispatched", "origin")]
        dated = [[r for r in leg if r.dated] for leg in legs]
        time = ""
        moments: list[Spans] = []
        if all(dated):
            moments = usable([[r.span for r in leg] for leg in dated], self.wait)
            time, legs = ("dated", dated) if all(moments) else ("", legs)
        if not time:
            if all(r.dated for leg in legs for r in leg):
                return None
            moments = usable([[r.span for r in leg] for leg in legs], self.wait)
            time = "undated"
            if not all(moments):
                return None
        chosen = [
            tuple(r for r in leg if any(r.span[0] <= e and s <= r.span[1] for s, e in spans))
            for leg, spans in zip(legs, moments, strict=True)
        ]
        if time == "dated":
            time = "ordered" if in_order([[r.span for r in leg] for leg in chosen]) else "overlapping"
        if not _links_fit(walked, chosen):
            return None
        values = [_sum(leg) for leg in chosen]
        rest = iter(chosen)
        records = tuple(
            tuple(edge.records) if edge.kind in ("brand", "makes_weapon") else next(rest) for edge in walked
        )
        arrival = moments[-1][0][0] if time != "undated" else math.inf
        value = math.nan if any(math.isnan(v) for v in values) else min(values)
        return _Route(nodes, tuple(edge.kind for edge in walked), key, records, time, arrival, value)

    def _longer(self, route: _Route) -> bool:
        """Whether one more leg from an origin or to a destination makes a route that holds all its records."""
        if not self.full_length or len(route.kinds) == self.max_hops:
            return False
        walked = [self._edge(a, b, kind) for a, b, kind in zip(route.nodes[:-1], route.nodes[1:], route.kinds, strict=True)]
        onward = [
            ((*route.nodes, buyer), (*walked, edge), slice(0, -1))
            for buyer, edges in self.edges.get(route.nodes[-1], {}).items()
            if buyer in self.ends and buyer not in route.nodes and route.kinds[-1] != "makes_weapon"
            for edge in edges if self._may_follow(edge, len(walked))
        ]
        if route.kinds[0] == "dispatched":
            onward += [
                ((seller, *route.nodes), (edge, *walked), slice(1, None))
                for seller in self._reversed.get(route.nodes[0], [])
                if seller in self.starts and seller not in route.nodes
                for edge in self.edges[seller][route.nodes[0]] if self._may_follow(edge, 0)
            ]
        return any(
            (longer := self._route(nodes, tuple(edges), key)) and _holds(longer.records[same], route.records)
            for nodes, edges, same in onward for key in _shared_keys(edges)
        )

    def _edge(self, seller: str, buyer: str, kind: str) -> _Edge:
        return next(edge for edge in self.edges[seller][buyer] if edge.kind == kind)


@dataclass(frozen=True)
class _Backwards:
    """A rank that heapq pops when it is the worst."""

    rank: tuple

    def __lt__(self, other: "_Backwards") -> bool:
        return self.rank > other.rank


def _shared_keys(edges: Sequence[_Edge]) -> set[Key]:
    return set.intersection(*(set(e.by_key) for e in edges if e.kind in ("dispatched", "origin")))


def _holds(longer: Sequence[Sequence[_Record]], records: Sequence[Sequence[_Record]]) -> bool:
    return all({id(r) for r in b} <= {id(r) for r in a} for a, b in zip(longer, records, strict=True))


def _links_fit(walked: Sequence[_Edge], legs: Sequence[Sequence[_Record]]) -> bool:
    """Whether the link that begins and the link that ends a walk belong to no case, or to one of the trade beside them."""
    beside = [(edge, leg) for edge, leg in ((walked[0], legs[0]), (walked[-1], legs[-1])) if edge.kind in ("brand", "makes_weapon")]
    return all(
        {record.row["case"] for record in edge.records} & {"", *(record.row["case"] for record in leg)} for edge, leg in beside
    )


def _sum(records: Sequence[_Record]) -> float:
    return math.fsum(r.row["value_usd"] for r in records)


def _concept(route: _Route) -> str:
    return route.kinds[0] if route.kinds[0] != "makes_weapon" else "dispatched"


def _table(routes: Sequence[_Route], names: dict[str, str]) -> pd.DataFrame:
    rows = []
    for rank, route in enumerate(routes, start=1):
        bases = [r.row["basis"] for leg in route.records for r in leg]
        whole = {
            "route": rank, "n_legs": len(route.kinds), "path": " → ".join(names.get(n, n) for n in route.nodes),
            "smallest_leg_usd": route.value, "concept": _concept(route), "joined_by": " ".join(route.key),
            "coarse": any(route.key in r.coarse_for for leg in route.records for r in leg), "time": route.time,
            "arrival": pd.NaT if math.isinf(route.arrival) else _EPOCH + pd.Timedelta(days=route.arrival),
            "route_basis": max(bases, key=BASES.index),
        }
        for leg, (seller, buyer, kind, records) in enumerate(
            zip(route.nodes[:-1], route.nodes[1:], route.kinds, route.records, strict=True), start=1
        ):
            rows.append(whole | {
                "leg": leg, "seller_id": seller, "seller": names.get(seller, seller), "buyer_id": buyer,
                "buyer": names.get(buyer, buyer)} | _leg(kind, [record.row for record in records]))
    dtypes = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(["route", "leg", "n_legs", "n_records"], "int64") | dict.fromkeys(
        ["leg_usd", "smallest_leg_usd"], "float64") | dict.fromkeys(
        ["arrival", "first_date", "last_date"], "datetime64[us]") | {"coarse": "bool"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dtypes)


def _leg(kind: str, rows: list[dict]) -> dict:
    trade = kind in ("dispatched", "origin")
    starts = [r["period_start"] for r in rows if not pd.isna(r["period_start"])]
    ends = [r["period_end"] for r in rows if not pd.isna(r["period_end"])]
    codes = {r.get("hs_code") or r.get("product_set") or "" for r in rows} - {""}
    return {
        "kind": "trade" if trade else kind,
        "leg_usd": math.fsum(r["value_usd"] for r in rows) if trade else math.nan,
        "basis": max((r["basis"] for r in rows), key=BASES.index), "products": " ".join(sorted(codes)),
        "goods": "; ".join(sorted({r["goods"] for r in rows} - {""})), "first_date": min(starts, default=pd.NaT),
        "last_date": max(ends, default=pd.NaT), "n_records": len(rows),
        "reported_by": "; ".join(sorted({r.get("reported_by", "") for r in rows} - {""})),
        "sources": "; ".join(sorted({r["source_id"] for r in rows})),
        "record_refs": "; ".join(sorted(r["record_ref"] for r in rows)),
    }
