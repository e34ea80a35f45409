"""Transit hubs: which actors do goods pass through on their way from the origins to the destinations?"""

import math
from collections.abc import Sequence
from functools import lru_cache

import networkx as nx
import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import NOTHING, CoverageIndex, Observed, Span, overlaps, under
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import period_text, window
from chiptrail.queries.answer import MEANING, answer, coarse_note, concept_or_default, names_of
from chiptrail.queries.baseline import Periods, in_force, periods_of, shared_spans, stands
from chiptrail.queries.between import betweenness, pairs_between, share_of_routes
from chiptrail.queries.question import Question, closed_window, latest_covered_year, observed_leg, question_of, shared_years, unfit_between
from chiptrail.queries.throughflow import SIDES, Leg, breaks_of, counted, legs_by_hub, told

_NO_SHARE = {"share_of_routes": 0.0, "betweenness": 0.0}
COLUMNS = (
    "rank", "hub_id", "hub", "kind", "country", "concept", "inflow_usd", "outflow_usd", "throughput_max_usd",
    "inflow_before_usd", "outflow_before_usd", "throughput_max_before_usd", "inflow_change", "outflow_change",
    "inflow_original", "inflow_original_before", "inflow_currency", "share_of_routes", "betweenness", "n_suppliers",
    "suppliers", "n_customers", "customers", "n_records", "first_date", "last_date", "inflow_products", "outflow_products",
    "inflow_coverage", "outflow_coverage", "inflow_before_coverage",
    "outflow_before_coverage", "compared", "status",
)


def transit_hubs(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None,
    against: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per actor that receives from the origins or sends to the destinations, the possible hubs ranked first.

    A hub's `throughput_max_usd` is the smaller of its inflow from the origins and its outflow to the destinations, taken heading
    by heading and added: **an upper bound** of what can have gone through it in the period, not an estimate of what did. Only
    headings that both legs cover are compared; where a source gives headings only as a sum, the sum is compared.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries (`USA`), groups (`EU27`), or actors by name or id.
    concept
        What the origin means on the first leg: `dispatched`, `origin` (customs origin) or `brand`. Default: `origin` for
        countries, `dispatched` for firms. The second leg is always a dispatch.
    products
        Product list, HS code or codes; None for all goods of the network.
    since, until
        The window in which the legs must lie whole; an open side ends with the data. In a window of several years only the years
        that the data cover of both legs are summed (`compared`). Without any,
        a network of countries takes the latest year for which the most hubs have both legs covered, and says so; the sums of
        months and years of one pair are never mixed.
    against
        An earlier period with the same months, such as `2021`; default the same months one year before.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `rank` (missing where not ranked), `hub_id`, `hub`, `kind`, `country`, `concept`; `inflow_usd`, `outflow_usd`,
        `throughput_max_usd` (USD; what is recorded of a leg also where its coverage is not known; the bound only where both are
        covered and every record has a value), the same for the earlier period (`*_before_usd`, over the months that the data cover
        in both), `inflow_change`, `outflow_change` (ratio now / before over those months and the goods that compare: codes told in
        both, headings asked for, and codes of which a missing row means zero);
        `inflow_original`, `inflow_original_before`, `inflow_currency` (the inflow in its own currency, if it has one);
        `share_of_routes` (0-1, of all routes of two or three legs), `betweenness` (0-1, mean share of the shortest routes between
        an origin and a destination; missing where finding it would take minutes, which a note then says);
        `n_suppliers`, `suppliers`, `n_customers`, `customers` (counterparts among origins and
        destinations); `n_records`, `first_date`, `last_date`; `inflow_products`, `outflow_products` (codes counted),
        `inflow_coverage`, `outflow_coverage` (what the data cover of each leg), `inflow_before_coverage`, `outflow_before_coverage`
        (and of the earlier period), `compared` (in a window of several years, those that are covered of both legs: only they are
        summed) and `status` (`ranked`, or why not).
        `attrs` holds the question, notes, the number of tellings left aside by reason, and the sources.

    Raises
    ------
    UnknownNameError
        If a name, concept or product list is not known.
    NotComparableError
        If `against` has other months than the window.

    Notes
    -----
    Ranked are only actors with both legs covered by the data. Records that name selected cases have no coverage: they are
    listed, not ranked, since counting them would measure attention. `Unnamed ...` placeholders and forwarders never appear,
    and are no inner place of the routes behind `share_of_routes` and `betweenness`: such a route is not counted at all.
    A high rank is a lead. It does not say that the same goods passed through, nor that anybody did wrong: a hub may use what it
    buys, sell its own make, or lawfully trade on. Stocks carried over from before the window are not seen.

    Examples
    --------
    >>> import chiptrail as ct
    >>> hubs = ct.transit_hubs(ct.load_bundled("countries"), origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    >>> kazakhstan = hubs.set_index("hub_id").loc["KAZ"]
    >>> kazakhstan[["inflow_usd", "outflow_usd"]].astype(float).tolist()
    [4273764.0, 18258557.85]
    """
    concept = concept_or_default(network, concept)
    question = question_of(network, origins=origins, destinations=destinations, concept=concept, products=products)
    coverage = CoverageIndex(network)
    part = network if products is None else network.where(products=products)
    notes = []
    if since is None and until is None and network.level == "countries":
        since, note = latest_covered_year(part, question, coverage)
        until = since
        notes.append(note)
    since, until = closed_window(part, since, until)
    first, last = window(since, until)
    trades, straddling = counted(part, question, since, until, prefer)
    if straddling:
        notes.append(f"{straddling:,} records lie only partly inside the period, or have no dates, and are not counted")
    periods = periods_of(since, until, against) if against or (since and until) else None
    start, end = (str(day.date()) for day in periods.before) if periods else (None, None)
    earlier = counted(part, question, start, end, prefer)[0] if periods else trades.iloc[:0]
    notes += [coarse_note(trades[trades["side"].ne("")], products),
              coarse_note(earlier[earlier["side"].ne("")], products, "of the earlier period ")]
    breaks = breaks_of(network, [day for day in (first, last, *(periods.before if periods else ())) if day is not None],
                       periods.shift if periods else None)
    legs, others = legs_by_hub(trades, network, question, breaks)
    earlier_legs, _ = legs_by_hub(earlier, network, question, breaks)
    shares = _shares(trades, network, question)
    told_now = told(network, question, since, until)
    told_before = told(network, question, start, end) if periods else set()
    rows = []
    for hub in _candidates(network, legs):
        seen = {side: observed_leg(coverage, hub, side, question, first, last) for side in SIDES}
        goods = {side: seen[side].products or observed_leg(coverage, hub, side, question, None, None).products for side in SIDES}
        then = _Past(earlier_legs.get(hub, []), hub, coverage, question, periods, seen)
        row = _row(hub, legs[hub], then, seen, goods, told_now, told_before)
        rows.append(row | shares.get(hub, _NO_SHARE) | {
            "suppliers": others.get((hub, "in"), []), "customers": others.get((hub, "out"), [])})
    table = _finish(rows, network, question)
    if table["betweenness"].isna().any():
        notes.append("betweenness is missing: with so many origins and destinations it would take minutes; name fewer, or a shorter period")
    notes += _notes(table, network, question, coverage)
    asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept,
             "products": products, "since": since, "until": until,
             "against": period_text(*periods.before) if periods else None, "prefer": prefer}
    used = trades[trades["side"].ne("")]
    return answer(table, network, question=asked, notes=notes, source_ids=used["source_id"], left_aside=used["left_aside"])


def _candidates(network: TradeNetwork, legs: dict[str, list[Leg]]) -> list[str]:
    actors = network.actors
    barred = unfit_between(network) | actors["kind"].eq("weapon")
    return sorted(set(legs) - set(actors.loc[barred, "actor_id"]))


def _shares(trades: pd.DataFrame, network: TradeNetwork, question: Question) -> dict[str, dict[str, float]]:
    """By actor its share of the routes, and its betweenness; actors of no route are left out."""
    ids = network.actors["actor_id"]
    sellers, buyers = pairs_between(trades, network, question)
    ends = [ids.isin(names).to_numpy() for names in (question.origins, question.destinations)]
    shares, between = share_of_routes(sellers, buyers, *ends), betweenness(sellers, buyers, *ends)
    some = np.flatnonzero((shares > 0) | (between != 0))
    return {
        hub: {"share_of_routes": share, "betweenness": score}
        for hub, share, score in zip(ids.iloc[some].tolist(), shares[some].tolist(), between[some].tolist(), strict=True)
    }


class _Past:
    """A hub's legs in the earlier period, and what compares: the days that the data cover in both periods (`now_spans`), headings asked
    for (`whole`), HS versions then and now (`versions`), and whether a missing row of covered goods is a zero in both (`zero`)."""

    def __init__(
        self, legs: list[Leg], hub: str, coverage: CoverageIndex, question: Question, periods: Periods | None, seen: dict[str, Observed],
    ) -> None:
        self.seen = dict.fromkeys(SIDES, NOTHING)
        self.now_spans: dict[str, tuple[Span, ...]] = {"in": (), "out": ()}
        self.legs: list[Leg] = []
        self.whole = frozenset(code for code in question.exact or () if len(code) <= 4)
        self.zero = dict.fromkeys(SIDES, False)
        self.versions: frozenset[str] = frozenset()
        if periods is None:
            return
        self.versions = frozenset(in_force(days[0]) for days in (periods.before, periods.now))
        for side in SIDES:
            self.seen[side] = observed_leg(coverage, hub, side, question, *periods.before)
            self.now_spans[side], spans = shared_spans(seen[side].spans, self.seen[side].spans, periods.shift)
            self.zero[side] = bool(spans) and seen[side].complete and self.seen[side].complete
            self.legs += _inside([leg for leg in legs if leg.side == side], spans)


def _inside(legs: list[Leg], spans: tuple[Span, ...]) -> list[Leg]:
    return [leg for leg in legs if any(leg.start >= a and leg.end <= b for a, b in spans)]


def _in_years(legs: list[Leg], years: set[int] | None) -> list[Leg]:
    """The legs that lie whole in the years; those without a start or an end do not."""
    if not years:
        return legs
    return [leg for leg in legs if (found := _years(leg.start, leg.end)) and found <= years]


@lru_cache(maxsize=65_536)
def _years(start: pd.Timestamp, end: pd.Timestamp) -> frozenset[int]:
    """Calendar years of a period; none if its start or end is not known."""
    return frozenset() if start is pd.NaT or end is pd.NaT else frozenset(range(start.year, end.year + 1))


def _comparable(legs: list[Leg], goods: dict[str, frozenset[str]]) -> tuple[list[Leg], dict[str, str], bool]:
    """The legs whose goods compare, the class of each code, and whether the legs share any goods.

    `goods` are the codes that the data cover of each leg; where both have some, only goods that both cover compare.
    """
    codes = {side: {leg.code for leg in legs if leg.side == side} | set(goods[side]) - {"*"} for side in SIDES}
    classes = goods_classes(frozenset(codes["in"] | codes["out"]))
    if not all(goods.values()):
        return legs, classes, True
    told = {side: set(classes.values()) if "*" in goods[side] else {classes[c] for c in codes[side]} for side in SIDES}
    both = told["in"] & told["out"]
    return ([leg for leg in legs if classes[leg.code] in both] if both else legs), classes, bool(both)


def _sums(legs: list[Leg], classes: dict[str, str]) -> dict[str, dict[str, float]]:
    """USD by side and class of goods; NaN where a record has no value."""
    parts: dict[str, dict[str, list[float]]] = {side: {} for side in SIDES}
    for leg in legs:
        parts[leg.side].setdefault(classes[leg.code], []).append(leg.usd)
    return {side: {name: math.fsum(values) for name, values in found.items()} for side, found in parts.items()}


@lru_cache(maxsize=1024)
def goods_classes(codes: frozenset[str]) -> dict[str, str]:
    """Classes of goods that compare: headings, and headings joined where a source gives only a sum or a wider code."""
    if all(len(code) >= 4 and "+" not in code for code in codes):
        return {code: code[:4] for code in codes}
    graph = nx.Graph()
    headings = sorted({part[:4] for code in codes for part in code.split("+")})
    for code in sorted(codes):
        graph.add_node(("code", code))
        for part in code.split("+"):
            short = part[:4]
            for heading in headings:
                if heading == short or (short and heading and (heading.startswith(short) or short.startswith(heading))):
                    graph.add_edge(("code", code), ("heading", heading))
    result: dict[str, str] = {}
    for component in nx.connected_components(graph):
        name = " ".join(sorted(value for kind, value in component if kind == "heading"))
        result |= {value: name for kind, value in component if kind == "code"}
    return result


def _leg_value(sums: dict[str, float], seen: Observed, told: bool) -> float:
    """USD of a leg: its sum; zero where nothing at all is told though all is covered; missing where that is not known."""
    if sums:
        return float(sum(sums.values()))
    return 0.0 if not told and seen.spans and seen.complete and seen.all_goods else float("nan")


def _throughput(sums: dict, values: dict[str, float]) -> float:
    if any(np.isnan(v) for v in values.values()):
        return float("nan")
    shared = set(sums["in"]) & set(sums["out"])
    return float(sum(min(sums["in"][c], sums["out"][c]) for c in shared))


def _row(
    hub: str, legs: list[Leg], then: _Past, seen: dict[str, Observed], goods: dict[str, frozenset[str]],
    told: set[tuple[str, str]], told_before: set[tuple[str, str]],
) -> dict:
    years = shared_years(seen)
    now, classes, shared = _comparable(_in_years(legs, years), goods)
    past, past_classes, _ = _comparable(then.legs, goods)
    sums, past_sums = _sums(now, classes), _sums(past, past_classes)
    values = {side: _leg_value(sums[side], seen[side], (hub, side) in told) for side in SIDES}
    earlier = {side: _leg_value(past_sums[side], then.seen[side], (hub, side) in told_before) for side in SIDES}
    status = _status(values, seen, years, shared)
    several = years is not None and len({span[0].year for side in SIDES for span in seen[side].spans}
                                        | {span[1].year for side in SIDES for span in seen[side].spans}) > 1
    row = {
        "hub_id": hub, "inflow_usd": values["in"], "outflow_usd": values["out"],
        "throughput_max_usd": _throughput(sums, values) if status == "ranked" else float("nan"),
        "inflow_before_usd": earlier["in"], "outflow_before_usd": earlier["out"],
        "throughput_max_before_usd": float("nan") if several else _throughput(past_sums, earlier),
        "n_records": sum(leg.n_records for leg in now),
        "compared": " ".join(str(year) for year in sorted(years)) if several and years else "",
        "first_date": min((leg.start for leg in legs if leg.start is not pd.NaT), default=pd.NaT),
        "last_date": max((leg.end for leg in legs if leg.end is not pd.NaT), default=pd.NaT),
        "inflow_coverage": seen["in"].text, "outflow_coverage": seen["out"].text,
        "inflow_before_coverage": then.seen["in"].text, "outflow_before_coverage": then.seen["out"].text, "status": status,
    }
    for side, flow in (("in", "inflow"), ("out", "outflow")):
        counted = [leg for leg in now if leg.side == side]
        before = [leg for leg in past if leg.side == side]
        row[f"{flow}_change"] = _change(_inside(counted, then.now_spans[side]), before, seen[side], then, side)
        row[f"{flow}_products"] = " ".join(sorted({leg.code for leg in counted} - {""}))
    inflows = [leg for leg in now if leg.side == "in"], [leg for leg in past if leg.side == "in"]
    currencies = {leg.currency for part in inflows for leg in part}
    if len(currencies) == 1:
        row["inflow_currency"] = currencies.pop()
        for column, part in zip(("inflow_original", "inflow_original_before"), inflows, strict=True):
            row[column] = math.fsum(leg.value for leg in part) if part else float("nan")
    return row


def _change(now: list[Leg], then: list[Leg], seen: Observed, past: _Past, side: str) -> float:
    """Value now over value before, over the months and goods covered in both periods and the codes that compare: those told in both,
    headings asked for whole, and codes told in one period that stand in the other, where a missing row means zero."""
    covered = [[leg for leg in part if all(under(leg.code, o.products) for o in (seen, past.seen[side]))] for part in (now, then)]
    told = [_by_goods(part, past.whole) for part in covered]
    shared = set(told[0]) & set(told[1])
    if past.zero[side]:
        for found, other in (told, told[::-1]):
            shared |= {code for code in set(found) - set(other)
                       if not overlaps(frozenset({code}), frozenset(other)) and stands(code, past.versions, past.whole)}
    a, b = (math.fsum(found.get(code, 0.0) for code in shared) for found in told)
    return a / b if shared and b > 0 else float("nan")


def _by_goods(legs: list[Leg], whole: frozenset[str]) -> dict[str, float]:
    """USD by code, or by heading where it is whole."""
    found: dict[str, list[float]] = {}
    for leg in legs:
        wider = () if "+" in leg.code else (heading for heading in whole if leg.code.startswith(heading))
        found.setdefault(min(wider, key=len, default=leg.code), []).append(leg.usd)
    return {code: math.fsum(values) for code, values in found.items()}


def _status(values: dict[str, float], seen: dict[str, Observed], years: set[int] | None, shared: bool) -> str:
    lacking = [leg for side, leg in (("in", "inflow"), ("out", "outflow")) if seen[side].status == "not covered"]
    if lacking:
        return f"not ranked: {' and '.join(lacking)} not covered"
    if years == set():
        return "not ranked: the legs share no year"
    if not shared:
        return "not ranked: the legs share no goods"
    unknown = [leg for side, leg in (("in", "inflow"), ("out", "outflow")) if np.isnan(values[side])]
    return f"not ranked: value of {' and '.join(unknown)} unknown" if unknown else "ranked"


def _finish(rows: list[dict], network: TradeNetwork, question: Question) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=sorted({*COLUMNS, *(key for row in rows for key in row)}))
    actors = network.actors.set_index("actor_id")
    names = names_of(network)
    table["hub"] = table["hub_id"].map(names)
    table["kind"] = table["hub_id"].map(actors["kind"])
    table["country"] = table["hub_id"].map(actors["country"])
    table["concept"] = question.concept
    for column in ("suppliers", "customers"):
        table[f"n_{column}"] = table[column].map(len)
        table[column] = table[column].map(lambda ids: ", ".join(names.get(i, i) for i in ids[:10])
                                          + (f" and {len(ids) - 10} more" if len(ids) > 10 else ""))
    table["ranked"] = table["status"].eq("ranked")
    order = ["ranked", "throughput_max_usd", "outflow_usd", "inflow_usd"]
    if network.level == "firms" and not table["ranked"].any():
        order = ["ranked"]
    table = table.sort_values("hub_id", kind="stable").sort_values(order, ascending=False, kind="stable", na_position="last")
    table["rank"] = table["ranked"].cumsum().where(table["ranked"]).astype("Int64")
    texts = ["hub_id", "hub", "kind", "country", "concept", "inflow_currency", "suppliers", "customers", "inflow_products",
             "outflow_products", "inflow_coverage", "outflow_coverage", "inflow_before_coverage", "outflow_before_coverage",
             "compared", "status"]
    numbers = [c for c in COLUMNS if c.endswith(("_usd", "_change", "_original", "_before", "_routes")) or c == "betweenness"]
    dtypes = dict.fromkeys(texts, "str") | dict.fromkeys(numbers, "float64") | dict.fromkeys(
        ["n_suppliers", "n_customers", "n_records"], "int64") | dict.fromkeys(["first_date", "last_date"], "datetime64[us]")
    table[texts] = table[texts].astype(object).where(table[texts].notna(), "")
    return table[list(COLUMNS)].astype(dtypes).reset_index(drop=True)


def _notes(table: pd.DataFrame, network: TradeNetwork, question: Question, coverage: CoverageIndex) -> list[str]:
    notes = [MEANING[question.concept],
             "throughput_max_usd is an upper bound of what is recorded: it does not say that the same goods went in and out"]
    if not table["status"].eq("ranked").any():
        notes.append(f"no hub can be ranked: {coverage.described()}")
    elif table["status"].ne("ranked").any():
        notes.append("hubs with a leg that the data do not cover are listed below the ranking; no row is not a zero")
    codes = table["inflow_products"], table["outflow_products"]
    if (table["status"].eq("ranked") & codes[0].ne("") & codes[1].ne("") & codes[0].ne(codes[1])).any():
        notes.append("the legs are told in different codes (see inflow_products and outflow_products)")
    known = table[["inflow_before_usd", "outflow_before_usd"]].notna().any(axis=1)
    short = table["inflow_before_coverage"].str.contains("only 2") | table["outflow_before_coverage"].str.contains("only 2")
    if (known & short).any():
        notes.append(f"for {(known & short).sum()} hubs the earlier period is covered in part: read their change, not their before")
    if network.level == "firms" and network.coverage.empty:
        notes.append("selected records without coverage measure attention, not trade")
    senders = {*network.coded_trades["seller_id"].unique(), *network.links["from_id"]}
    if not question.origins & senders:
        notes.append("no record of the network begins at the origins asked for (firms without a country are in no country)")
    return notes


