"""The recorded flows that goods of a question can take from the origins to the destinations, as capacities of channels."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order

from chiptrail.graphmodel.aggregate import retrieval_dates
from chiptrail.graphmodel.coded import combined
from chiptrail.graphmodel.compiled import numbers
from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.coverage import DAY, CoverageIndex, Observed, Span
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import window
from chiptrail.graphmodel.selection import by_origin, goods_code, in_window
from chiptrail.graphmodel.tellings import PREFER, left_aside
from chiptrail.queries import cuts
from chiptrail.queries.answer import MEANING, coarse_note, concept_or_default, names_of
from chiptrail.queries.hubs import goods_classes
from chiptrail.queries.question import Question, closed_window, latest_covered_year, observed_leg, question_of, shared_years, unfit_between
from chiptrail.queries.throughflow import SIDES, brand_links

MARGIN, NOISE = 0.2, 0.1
_LEGS = {"in": "inflow", "out": "outflow"}
COVERED, APART = "both legs covered", "legs covered in different years"
DRAWS, MANY_FLOWS, FEW_DRAWS = 40, 20_000, 10


class Capacities(NamedTuple):
    """Flows between places, of which each is a hub and a class of goods that compare; -1 stands for origins and destinations.

    `hubs` are ids in sorted order, `hub` and `goods` the numbers of hub and class by place; of each flow `fob` and `cif` are the USD
    told in these terms (those not stated count as FOB), `unknown` whether a record has no value, and `told` its place among the
    records in the order of their ids (-1: from no single record). A place that is `limited` holds no more of the origins' goods than
    came straight from there, whoever else sent it any. `direct` are the USD from the origins straight to the destinations by class, NaN
    where a record has no value.
    """

    hubs: np.ndarray
    classes: list[str]
    hub: np.ndarray
    goods: np.ndarray
    sellers: np.ndarray
    buyers: np.ndarray
    fob: np.ndarray
    cif: np.ndarray
    unknown: np.ndarray
    told: np.ndarray
    limited: np.ndarray
    direct: dict[int, float]

    def usd(self) -> np.ndarray:
        """USD by flow as recorded; NaN where a record has no value."""
        return np.where(self.unknown, np.nan, self.fob + self.cif)

    def inflow(self, usd: np.ndarray) -> np.ndarray:
        """USD that came to each place straight from the origins, if the flows are of these USD."""
        first = (self.sellers < 0) & (self.buyers >= 0)
        return np.bincount(self.buyers[first], usd[first], len(self.hub))

    def channels(self, usd: np.ndarray | None = None) -> cuts.Channels:
        """The channels that flows of these USD (default: as recorded) leave open."""
        usd = self.usd() if usd is None else usd
        limits = np.where(self.limited, self.inflow(usd), np.nan)
        return cuts.channels(self.sellers, self.buyers, cuts.cents(usd), len(self.hub), hubs=self.hub, limits=cuts.cents(limits))

    def places(self, ids: Sequence[str]) -> list[int]:
        """The places of hubs by id."""
        return np.flatnonzero(np.isin(self.hubs[self.hub], ids)).tolist() if len(self.hub) else []


class Case(NamedTuple):
    """A question about channels, what is told of it by the exporter's and the importer's preference, and what the data cover."""

    network: TradeNetwork
    question: Question
    since: str | None
    until: str | None
    days: tuple[pd.Timestamp | None, pd.Timestamp | None]
    prefer: str
    coverage: CoverageIndex
    told: dict[str, Capacities]
    trades: pd.DataFrame
    notes: list[str]

    @property
    def base(self) -> Capacities:
        """What is told by the preference asked for."""
        return self.told[self.prefer]

    def seen(self, hub: str) -> dict[str, Observed]:
        """What the data cover of a hub's inflow from the origins and its outflow to the destinations."""
        return {side: observed_leg(self.coverage, hub, side, self.question, *self.days) for side in SIDES}

    def n_draws(self) -> int:
        """Number of networks in the ensemble."""
        return DRAWS if len(self.base.sellers) <= MANY_FLOWS else FEW_DRAWS

    def drawn(self) -> Iterator[tuple[Capacities, cuts.Channels]]:
        """The ensemble of networks that the data allow: the two recorded ones, then others drawn, seeded.

        Every other network prefers the importer's report. Of those drawn, what is told CIF is divided by 1 to 1.2; a value that nobody
        gives is nothing or without limit, as a coin falls; each flow is off by a factor with a standard deviation of its logarithm of
        0.1; and a place that is limited by what came from the origins is by what is drawn of it.
        """
        rng = np.random.default_rng(0)
        for number in range(self.n_draws()):
            told = self.told[PREFER[number % 2]]
            if number < len(PREFER):
                yield told, told.channels()
                continue
            size = int(told.told.max(initial=-1)) + 1
            margin, noise, coin = rng.uniform(0, MARGIN), np.exp(rng.normal(0, NOISE, size)), rng.random(size) < 0.5
            of_record = told.told >= 0
            factor, nothing = np.ones(len(told.told)), np.zeros(len(told.told), dtype=bool)
            factor[of_record], nothing[of_record] = noise[told.told[of_record]], coin[told.told[of_record]]
            usd = (told.fob + told.cif / (1 + margin)) * factor
            yield told, told.channels(np.where(told.unknown, np.where(nothing, 0.0, np.nan), usd))


def case_of(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None,
    products: str | Sequence[str] | None, since: str | None, until: str | None, prefer: str,
) -> Case:
    """The question with its window closed as `transit_hubs` closes it, and its channels."""
    concept = concept_or_default(network, concept)
    question = question_of(network, origins=origins, destinations=destinations, concept=concept, products=products)
    coverage, notes = CoverageIndex(network), [MEANING[concept]]
    part = network if products is None else network.where(products=products)
    if since is None and until is None and network.level == "countries":
        since, note = latest_covered_year(part, question, coverage)
        until = since
        notes.append(note)
    since, until = closed_window(part, since, until)
    trades = part.coded_trades
    inside = in_window(trades, since, until)
    concerned = trades["seller_id"].isin(question.origins) | trades["buyer_id"].isin(question.destinations)
    straddling = int((in_window(trades, since, until, partly=True) & ~inside & concerned).sum())
    if straddling:
        notes.append(f"{straddling:,} records lie only partly inside the period, or have no dates, and are not counted")
    usable = _chosen(network, trades[inside], question).sort_values("trade_id", ignore_index=True)
    days = window(since, until)
    usable, n_apart = (usable, 0) if network.coverage.empty else _in_shared_years(usable, question, coverage, *days)
    if n_apart:
        notes.append(f"{n_apart:,} records of hubs lie in years that the data do not cover, or that cannot meet the years covered of the "
                     "hub's other leg, and are not counted")
    told, kept = {}, usable
    for side in (prefer, *(other for other in PREFER if other != prefer)):
        chosen = usable.assign(left_aside=left_aside(usable, level=network.level, prefer=side, retrieved=retrieval_dates(network)))
        kept = chosen if side == prefer else kept
        told[side] = _capacities(network, chosen[chosen["left_aside"].eq("")], question)
    notes += [coarse_note(kept, products), coverage.described()]
    case = Case(network, question, since, until, days, prefer, coverage, told, kept, notes)
    return case._replace(told={side: capacities._replace(limited=_limited(case, capacities)) for side, capacities in told.items()})


def _chosen(network: TradeNetwork, trades: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The trades that goods of the question can take, with `stated`: whether the record itself states the origin or the maker.

    As in `between.pairs_between`: an edge of customs origin can only be the first leg, later legs are dispatches between actors that
    are no origins, nothing leaves a destination, and placeholders and forwarders are no inner place.
    """
    origin = by_origin(trades)
    stated = pd.Series(False, index=trades.index)
    if network.level == "firms" and question.concept == "origin":
        stated = trades["origin_country"].isin({name for name in question.origins if len(name) == 3})
    if network.level == "firms" and question.concept == "brand":
        stated = trades["maker_id"].isin(question.origins)
    from_origin, to_end = trades["seller_id"].isin(question.origins), trades["buyer_id"].isin(question.destinations)
    of_concept = origin.eq(question.concept == "origin") & (question.concept != "brand")
    first = from_origin & (of_concept | stated)
    later = ~from_origin & ~origin & ~trades["seller_id"].isin(question.destinations)
    ids = network.actors["actor_id"]
    barred = set(ids[unfit_between(network)]) - question.origins - question.destinations
    fit = ~trades["seller_id"].isin(barred) & ~trades["buyer_id"].isin(barred)
    keep = (first | later) & ~trades["buyer_id"].isin(question.origins) & fit
    keep &= trades["seller_id"].astype("str").ne(trades["buyer_id"].astype("str"))
    return trades.assign(stated=stated, from_origin=from_origin, to_end=to_end)[keep]


def _in_shared_years(
    trades: pd.DataFrame, question: Question, coverage: CoverageIndex, first: pd.Timestamp | None, last: pd.Timestamp | None
) -> tuple[pd.DataFrame, int]:
    """The trades of years in which one leg of a hub can have fed the other; and the number of the others.

    Of hubs with a year of which the data cover both legs, each leg counts in the years that are covered of it. What came in after the
    last year covered of the outflow cannot have gone in it, nor what went out before the first year covered of the inflow have come in
    it; goods that came in earlier can have waited.
    """
    kept = pd.Series(True, index=trades.index)
    if first is not None and last is not None and first.year == last.year:
        return trades, 0
    inward, outward = trades["from_origin"] & ~trades["to_end"], trades["to_end"] & ~trades["from_origin"]
    for side, leg, hubs in (("in", inward, "buyer_id"), ("out", outward, "seller_id")):
        for hub, rows in trades[leg].groupby(hubs, observed=True):
            seen = {end: observed_leg(coverage, str(hub), end, question, first, last) for end in SIDES}
            if not shared_years(seen):
                continue
            begins, ends = min(a.year for a, _ in seen["in"].spans), max(b.year for _, b in seen["out"].spans)
            years = {year for a, b in seen[side].spans for year in range(a.year, b.year + 1) if begins <= year <= ends}
            kept[rows.index] = rows["period_start"].dt.year.isin(years) & rows["period_end"].dt.year.isin(years)
    return trades[kept].reset_index(drop=True), int((~kept).sum())


def _capacities(network: TradeNetwork, used: pd.DataFrame, question: Question) -> Capacities:
    ids = network.actors["actor_id"].sort_values().to_numpy(dtype=object)
    codes = goods_code(used).astype("str")
    classes = goods_classes(frozenset(codes.unique()))
    names = sorted(set(classes.values()))
    goods = codes.map(classes).map({name: i for i, name in enumerate(names)}).to_numpy(dtype=np.int64)
    outer = used["from_origin"].to_numpy(), used["to_end"].to_numpy()
    ends = [np.where(end, -1, numbers(used[side], ids)) for side, end in zip(("seller_id", "buyer_id"), outer, strict=True)]
    keys = [np.where(end < 0, -1, end * max(len(names), 1) + goods) for end in ends]
    places = np.unique(np.concatenate(keys))
    places = places[places >= 0]
    sellers, buyers = (np.where(key < 0, -1, np.searchsorted(places, key)) for key in keys)
    hub_number, hub = np.unique(places // max(len(names), 1), return_inverse=True)
    value, cif = used["value_usd"].to_numpy(), used["valuation"].eq("CIF").to_numpy()
    straight = (sellers < 0) & (buyers < 0)
    direct = {int(c): float(value[straight & (goods == c)].sum()) for c in np.unique(goods[straight])}
    sellers, buyers, value, cif, stated = (a[~straight] for a in (sellers, buyers, value, cif, used["stated"].to_numpy()))
    flow, first = combined([sellers, buyers])
    known = np.nan_to_num(value)
    found = Capacities(
        hubs=ids[hub_number], classes=names, hub=hub, goods=places % max(len(names), 1), sellers=sellers[first], buyers=buyers[first],
        fob=np.bincount(flow, np.where(cif, 0.0, known), len(first)), cif=np.bincount(flow, np.where(cif, known, 0.0), len(first)),
        unknown=np.bincount(flow, np.isnan(value), len(first)) > 0, told=np.argsort(np.argsort(first)),
        limited=np.zeros(len(places), dtype=bool), direct=direct,
    )
    return _with_entries(found, network, question, sellers[stated], buyers[stated], value[stated])


def _with_entries(
    found: Capacities, network: TradeNetwork, question: Question, sellers: np.ndarray, buyers: np.ndarray, usd: np.ndarray
) -> Capacities:
    """Adds what came from the origins by no recorded leg.

    A hub that sends goods stated to be the origins' had them, so what it so sends above what it so receives came to it from there;
    and a brand link says that goods came, without a value.
    """
    n = len(found.hub)
    sent, got = (np.bincount(end[end >= 0], usd[end >= 0], n) for end in (sellers, buyers))
    more = sent - got
    entries = np.flatnonzero(np.isnan(more) | (more > 0))
    linked = found.hubs[found.hub].astype(object) if n else np.empty(0, dtype=object)
    branded = np.flatnonzero(np.isin(linked, list(brand_links(network, question)["to_id"].astype("str"))))
    extra = np.r_[entries, branded]
    unknown = np.r_[np.isnan(more[entries]), np.ones(len(branded), dtype=bool)]
    nothing = np.zeros(len(extra))
    return found._replace(
        sellers=np.r_[found.sellers, np.full(len(extra), -1)], buyers=np.r_[found.buyers, extra],
        fob=np.r_[found.fob, np.where(unknown, 0.0, np.r_[more[entries], np.zeros(len(branded))])], cif=np.r_[found.cif, nothing],
        unknown=np.r_[found.unknown, unknown], told=np.r_[found.told, np.full(len(extra), -1)],
    )


def _limited(case: Case, found: Capacities) -> np.ndarray:
    """By place whether its imports by origin are known: covered in all the period, and wholly or with records of every origin asked."""
    limited = np.zeros(len(found.hub), dtype=bool)
    first, last = case.days
    if case.question.concept != "origin" or case.network.level != "countries" or first is None or last is None:
        return limited
    origins = case.question.origins
    asked = [name for name in origins if not origins & (set(GROUPS.get(name, ())) - {name})]
    recorded = _spans_recorded(case)
    for place, (hub, goods) in enumerate(zip(found.hubs[found.hub], found.goods.tolist(), strict=True)):
        codes = found.classes[goods].split(" ")
        seen = case.seen(hub)["in"]
        limited[place] = seen.spans == (case.days,) and _holds(seen, codes) and (seen.status == "covered" or all(
            _filled([span for told, span in recorded.get((hub, origin), []) if code.startswith(told)], first, last)
            for origin in asked for code in codes))
    return limited


def _holds(seen: Observed, codes: Sequence[str]) -> bool:
    """Whether what is observed holds all goods of these codes."""
    covered = tuple(part for code in seen.products for part in code.split("+"))
    return "*" in covered or all(code and code.startswith(covered) for code in codes)


def _spans_recorded(case: Case) -> dict[tuple[str, str], list[tuple[tuple[str, ...], Span]]]:
    """By hub and origin the codes and days of the records of the first leg."""
    rows = case.trades[case.trades["left_aside"].eq("") & case.trades["from_origin"]]
    found: dict[tuple[str, str], list[tuple[tuple[str, ...], Span]]] = {}
    columns = (rows[name] for name in ("buyer_id", "seller_id", "period_start", "period_end"))
    for hub, origin, start, end, code in zip(*columns, goods_code(rows).astype("str"), strict=True):
        if code:
            found.setdefault((hub, origin), []).append((tuple(code.split("+")), (start, end)))
    return found


def _filled(spans: list[Span], first: pd.Timestamp, last: pd.Timestamp) -> bool:
    """Whether the spans leave out no day from first to last."""
    for start, end in sorted(spans):
        if start <= first <= end:
            first = end + DAY
    return first > last


class Balance:
    """What hubs received and sent as recorded, and what their closure can cut."""

    def __init__(self, case: Case, flow: cuts.Flow) -> None:
        self.case, self.base, self.flow = case, case.base, flow
        usd, n = self.base.usd(), len(self.base.hub)
        first, last = (self.base.sellers < 0), (self.base.buyers < 0)
        self.inflow, self.outflow = np.full(n, np.nan), np.full(n, np.nan)
        self.received, self.sent = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        for places, legs, values, told in ((self.base.buyers, first, self.inflow, self.received),
                                           (self.base.sellers, last, self.outflow, self.sent)):
            told[places[legs]] = True
            values[told] = np.bincount(places[legs], usd[legs], n)[told]

    def legs(self, hub: str) -> dict[str, Any]:
        """Inflow and outflow of a hub, USD; what the data cover of them, and status."""
        places, seen = self.base.places([hub]), self.case.seen(hub)
        lacking = [name for side, name in _LEGS.items() if seen[side].status == "not covered"]
        sums = {}
        for side, values, told in (("in", self.inflow, self.received), ("out", self.outflow, self.sent)):
            here = values[places][told[places]]
            sums[_LEGS[side]] = float(here.sum()) if len(here) else 0.0 if seen[side].status == "covered" else np.nan
        unknown = [name for name, total in sums.items() if np.isnan(total) and name not in lacking]
        in_part = [f"{name} ({seen[side].text.removeprefix('partly: ')})" for side, name in _LEGS.items() if seen[side].status == "partly"]
        gaps = [f"{' and '.join(lacking)} not covered"] if lacking else []
        gaps += [f"value of {' and '.join(unknown)} unknown"] if unknown else []
        gaps += [f"partly covered: {' and '.join(in_part)}"] if in_part else []
        return {
            "inflow_usd": sums["inflow"], "outflow_usd": sums["outflow"],
            "inflow_coverage": seen["in"].text, "outflow_coverage": seen["out"].text,
            "status": APART if shared_years(seen) == set() else "; ".join(gaps) or COVERED,
        }

    def row(self, hub: str) -> dict[str, Any]:
        """The legs of a hub, its throughput, USD, `most` that its closure can cut (infinite if not known), and whether it is `bounded`.

        Where the data cover a leg in part, what is recorded of it counts; goods of which nothing is recorded there have no limit.
        """
        places, seen, own = self.base.places([hub]), self.case.seen(hub), self.legs(hub)
        ends = np.array([[np.inf if end is None else end / 100 for end in self.flow.reaching(place)] for place in places]).reshape(-1, 2)
        for i, (side, told) in enumerate((("in", self.received), ("out", self.sent))):
            status = "not covered" if own["status"] == APART else seen[side].status
            ends[(status != "covered") & ~(told[places] & (status == "partly")), i] = np.inf
        lacking = own["status"] == APART or any(leg.status == "not covered" for leg in seen.values())
        nothing = 0.0 in (own["inflow_usd"], own["outflow_usd"])
        most = float(ends.min(axis=1).sum()) if places else 0.0 if nothing else np.inf
        beyond = [] if lacking or self.case.network.coverage.empty else self._beyond(places)
        return own | {
            "throughput_max_usd": np.nan if lacking or np.isinf(most) else most, "most": most,
            "bounded": not lacking and bool(np.isfinite([most, *ends.flat]).all()), "status": "; ".join([own["status"], *beyond]),
        }

    def without_rerouting(self, rows: Sequence[Mapping[str, Any]], amount: str = "most") -> float:
        """USD that closing these hubs can cut with no rerouting, from what `row` says of each; NaN if not known.

        What passes two of them counts once: where all their legs are bounded, they cannot pass on more than can flow in all.
        """
        most = sum(row[amount] for row in rows)
        if all(row["bounded"] for row in rows):
            everything = self.flow.limited()
            most = most if everything is None else min(most, everything / 100)
        return float(most) if np.isfinite(most) else np.nan

    def _beyond(self, places: list[int]) -> list[str]:
        """What the data lack of the hubs that can have sent goods on to these places, and of those to which they can have sent them on."""
        base, told, names = self.base, [], names_of(self.case.network)
        for name, where, open_, graph in self._ways:
            if name == "inflow" and base.limited[places].all():
                continue
            met = {int(other) for place in places for other in breadth_first_order(graph, place, return_predecessors=False)}
            found = sorted(names[hub] for hub in base.hubs[np.unique(base.hub[sorted(met - {*places})])] if hub in open_)
            more = f" and {len(found) - 3} others" if len(found) > 3 else ""
            told += [f"{name} of {', '.join(found[:3])}{more} {where} it not wholly covered"] if found else []
        return told

    @cached_property
    def _ways(self) -> list[tuple[str, str, set[str], sparse.csr_array]]:
        """For inflow and outflow the hubs whose leg is not wholly covered, and the graph that leads to the hubs to be asked."""
        base = self.base
        inner = (base.sellers >= 0) & (base.buyers >= 0)
        onward = sparse.csr_array((np.ones(inner.sum()), (base.sellers[inner], base.buyers[inner])), shape=(len(base.hub),) * 2)
        return [(_LEGS[side], where, {hub for hub in base.hubs if self.case.seen(hub)[side].status != "covered"}, graph)
                for side, where, graph in (("in", "before", onward.T.tocsr()), ("out", "after", onward))]

    @cached_property
    def unseen(self) -> list[str]:
        """Hubs that send to the destinations and whose inflow from the origins the data do not cover."""
        if self.case.network.coverage.empty:
            return []
        senders = np.unique(self.base.hub[self.base.sellers[(self.base.buyers < 0) & (self.base.sellers >= 0)]])
        return [hub for hub in self.base.hubs[senders] if self.case.seen(hub)["in"].status == "not covered"]

    def isolated(self, hubs: Sequence[str]) -> float:
        """USD that could flow before in goods that no other way can bring to the destinations, whoever takes them over.

        Goods can go on through any hub left open to which some of them come, and through any of which that is not known.
        """
        base, given = self.base, self.flow.given
        before, closed = self._by_goods(), base.places(hubs)
        room = given.room.copy()
        room[given.gate[closed]] = 0
        left = cuts.reachable(given, room)[2::2]
        left[closed] = False
        open_goods = set(base.goods[left].tolist()) | set(base.direct)
        lost = [amount for goods, amount in enumerate(before) if amount > 0 and goods not in open_goods and self._known_of_all[goods]]
        return float(sum(lost)) / 100

    @cached_property
    def _known_of_all(self) -> list[bool]:
        """By class of goods whether the data cover wholly what came of it from the origins to any hub, and straight to the ends."""
        case, ends = self.case, self.case.question.destinations
        seen = {case.seen(hub)["in"] for hub in set(case.network.actors["actor_id"]) - case.question.origins - ends}
        seen |= {observed_leg(case.coverage, end, "in", case.question, *case.days) for end in ends}
        return [all(leg.status == "covered" and _holds(leg, goods.split(" ")) for leg in seen) for goods in self.base.classes]

    def _by_goods(self) -> np.ndarray:
        """Cents that flow to the destinations by class of goods."""
        flow, arcs = self.flow, self.base.buyers < 0
        amounts = np.zeros(max(len(self.base.classes), 1), dtype=np.int64)
        np.add.at(amounts, self.base.goods[self.base.sellers[arcs]], flow.room[flow.given.mate[flow.given.arc[arcs]]])
        return amounts
