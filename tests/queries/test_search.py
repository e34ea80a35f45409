"""Routes against the same question answered by a plain walk over records, one object each: same rows, same order, same texts."""

import heapq
import itertools
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import BASES
from chiptrail.graphmodel.selection import actors_named, goods_code
from chiptrail.queries.legs import exact_sums
from chiptrail.queries.routes import COLUMNS, supply_routes
from chiptrail.queries.timing import in_order, union, usable

_EPOCH = pd.Timestamp("1970-01-01")
Key = tuple[str, str]
Spans = list[tuple[float, float]]


def reach(before, leg, wait):
    """As in `timing`, by comparing every span with every other."""
    wait = math.inf if wait is None else wait
    return union([(max(lo, s), min(hi + wait, e)) for s, e in leg for lo, hi in before if max(lo, s) <= min(hi + wait, e)])


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


def slow_routes(
    network, *, origins, destinations, concept=None, products=None, since=None, until=None, k=10, max_hops=4, by="smallest_leg",
    max_wait_days=None, same_digits=4, prefer="exporter",
):
    """The table of `supply_routes`, by a walk over records as objects; the concept and the window are taken as they are given."""
    firms = network.level == "firms"
    trades = counted_once(network.where(products=products).where(since=since, until=until, partly=firms), prefer=prefer)
    trades = plain(trades[trades["left_aside"].eq("")])
    search = _Search(
        edges=_edges(trades, network.links, same_digits), starts=actors_named(network, origins),
        ends=actors_named(network, destinations), concept=concept, full_length=firms, wait=max_wait_days, max_hops=max_hops,
        unfit={a["actor_id"] for a in network.actors.to_dict("records") if a["kind"] == "placeholder" or a["role"] == "logistics"},
    )
    return _table(search.best(k, by), dict(zip(network.actors["actor_id"], network.actors["name"], strict=True)))


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
    unfit: set[str]

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
        """The walk as a route that joins on a key, with the records that can take part; None if time or an inner actor forbids it."""
        if key[0] == "HS" and self.unfit & set(nodes[1:-1]):
            return None
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


# --- random networks ------------------------------------------------------------------------------------------------------

PERIODS = ("2022", "2022-01", "2022-02", "2022-01-05", "2022-01-20", "2022-02-10", "2022-02-20", "2022-01-10..2022-02-05")
OPEN = ("..2022-01-15", "..2022-02", "", "2022-01-25..")
VALUES = ((1.0,), (None,), (None, 1.0, 2.0), (0.1, 0.2, 0.3, 0.7, 1.1, None), (1.0, 2.0, 3.0, 5.0, 8.0, 13.0))
COUNTRIES = ("USA", "HKG", "TUR", "KAZ", "RUS", "ARE", "CHN")


def random_network(rng, build):
    """A small network with many ties, unknown values, open periods, cases, links, wide codes and sets of codes."""
    firms = rng.random() < 0.6
    names = [f"{letter}.{rng.choice(COUNTRIES)}" for letter in "abcdefghi"[:rng.randint(4, 9)]] if firms else list(COUNTRIES)
    if firms and rng.random() < 0.3:
        names[0] = f"Unnamed.{rng.choice(COUNTRIES)}"
    codes = ["854231", "854232", "8542", "8541", "85", "8541+8542"] + (["", "847150", "84+8542"] if firms else [])
    codes, values = rng.choice([["8542"], codes]), rng.choice(VALUES)
    rows = []
    for _ in range(rng.randint(3, rng.choice([10, 40]))):
        more = {"basis": rng.choice(["recorded", "alleged"]), "goods": rng.choice(["", "x", "y"])}
        if firms and rng.random() < 0.5:
            more["case"] = rng.choice(["", "c1", "c2"])
        if not firms and rng.random() < 0.3:
            more |= {"flow": "import", "partner_concept": "origin", "reported_by": "X"}
        period = rng.choice(PERIODS + OPEN if firms else PERIODS)
        rows.append((*rng.sample(names, 2), rng.choice(codes), period, rng.choice(values), more))
    links = []
    for _ in range(rng.choice([0, 1, 4]) if firms else 0):
        case = {"case": rng.choice(["", "c1", "c2"])}
        links.append(rng.choice([("brand", *rng.choices(names, k=2), case),
                                 ("makes_weapon", rng.choice(names), rng.choice(["w:x", "w:y"]), case)]))
    network = build(rows, level="firms" if firms else "countries", links=links)
    if not firms or rng.random() < 0.7:
        return network
    actors = network.actors.assign(role=network.actors["role"].mask(network.actors["actor_id"].eq(names[-1]), "logistics"))
    return TradeNetwork(level="firms", actors=actors, trades=network.trades, links=network.links, sources=network.sources)


def random_question(rng, network):
    names = sorted({*network.actors["actor_id"], *network.actors["country"]} - {""})
    firms = network.level == "firms"
    asked = {
        "origins": rng.sample(names, min(len(names), rng.randint(1, 3))),
        "destinations": rng.sample(names, min(len(names), rng.randint(1, 3))),
        "concept": rng.choice([None, None, "dispatched", "brand"] if firms else ["origin", "dispatched"]),
        "k": rng.choice([1, 3, 10, 1_000]), "max_hops": rng.randint(1, 5), "max_wait_days": rng.choice([None, None, 0, 3, 20]),
        "same_digits": rng.choice([4, 4, 2]), "prefer": rng.choice(["exporter", "importer"]),
        "products": rng.choice([None, None, None, "8542", "chips"]),
    }
    return asked | ({"since": rng.choice(["2022", "2022-01"]), "until": "2022"} if not firms or rng.random() < 0.5 else {})


@pytest.mark.soak
def test_routes_equal_a_walk_over_records(build, campaign):
    found = []
    for seed in campaign(1_000):
        rng = random.Random(seed)
        network = random_network(rng, build)
        for order in ("smallest_leg", "hops", "arrival"):
            asked = random_question(rng, network) | {"by": order}
            expected = slow_routes(network, **asked)
            pd.testing.assert_frame_equal(supply_routes(network, **asked), expected, obj=f"seed {seed}, {asked}")
            found.append(expected["route"].nunique())
    assert sum(n > 0 for n in found) > len(found) // 5, "too few networks with a route to mean anything"
    assert max(found) > 5


def test_sums_of_a_leg_are_rounded_once():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(0, 30, 5_000)) * rng.choice([0.0, 1.0, 0.1], 5_000)
    offset = np.unique(np.append(rng.integers(0, 5_000, 900), [0, 5_000]))
    expected = [math.fsum(values[a:b]) for a, b in itertools.pairwise(offset)]
    assert exact_sums(values, offset).tolist() == expected
