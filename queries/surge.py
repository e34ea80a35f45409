"""Surge: which hub's exports to a destination grew out of proportion, and did what came in pass through?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.aggregate import retrieval_dates
from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import period_text
from chiptrail.graphmodel.selection import actors_named, goods_code
from chiptrail.graphmodel.tellings import left_aside
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.baseline import (
    BROKEN,
    ELSEWHEN,
    EVERYBODY,
    NEAR_ZERO_USD,
    OTHER_GOODS,
    Pair,
    Periods,
    latest_year,
    pair_of,
    periods_of,
    placed,
    stands,
    versions_of,
)
from chiptrail.queries.growth import IN_PART, Sums, blocked, by_month, measured_weight, spans_text, sums, unplaced
from chiptrail.queries.passthrough import LEVEL, pass_through
from chiptrail.queries.question import Question, closed_window, question_of, unfit_between
from chiptrail.queries.scope import scope_notes, shaped, trades_in_scope, value_concept

_DTYPES = {
    "hub_id": "str", "hub": "str", "country": "str", "concept": "str",
    "exports_usd": "float64", "exports_before_usd": "float64", "exports_change_usd": "float64", "exports_growth": "float64",
    "exports_kg": "float64", "exports_before_kg": "float64", "exports_growth_kg": "float64",
    "exports_usd_per_kg": "float64", "exports_before_usd_per_kg": "float64",
    "exports_original": "float64", "exports_before_original": "float64", "currency": "str",
    "exports_growth_original": "float64", "all_exports_before_usd": "float64", "surge_ratio": "float64", "surge_ratio_kg": "float64",
    "surge_added": "float64", "surge_note": "str",
    "inflow_usd": "float64", "inflow_before_usd": "float64", "inflow_change_usd": "float64", "inflow_growth": "float64",
    "inflow_kg": "float64", "inflow_before_kg": "float64", "inflow_usd_per_kg": "float64", "inflow_before_usd_per_kg": "float64",
    "pass_through": "float64", "pass_through_low": "float64", "pass_through_high": "float64",
    "pass_through_kg": "float64", "pass_through_kg_low": "float64", "pass_through_kg_high": "float64",
    "lag_months": "float64", "lag_months_low": "float64", "lag_months_high": "float64", "n_months": "int64",
    "pass_through_note": "str", "n_records": "int64", "compared": "str", "compared_before": "str",
    "exports_coverage": "str", "exports_before_coverage": "str", "all_exports_before_coverage": "str",
    "inflow_coverage": "str", "inflow_before_coverage": "str", "status": "str",
}
COLUMNS = tuple(_DTYPES)
_KEPT = ["trade_id", "seller_id", "buyer_id", "code", "coarse", "period_start", "period_end", "value", "currency", "value_usd",
         "measured_kg", "source_id", "leg", "when", "left_aside", "unplaced"]
Pairs = dict[tuple[str, str], Pair]


def surge(
    network: TradeNetwork, *, destinations: Sequence[str], since: str | None = None, until: str | None = None,
    against: str | None = None, origins: Sequence[str] | None = None, concept: str | None = None,
    products: str | Sequence[str] | None = None, hubs: Sequence[str] | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per possible hub: how its exports to the destinations grew against an earlier period with the same months.

    Compared are only months and goods that the data cover of a corridor in both periods, and only codes that compare between the HS
    versions of the two. `surge_ratio` = exports to the destinations in the period / exports to all destinations in the earlier one: it
    stays small for a hub that always traded much, and does not explode for one that began near zero. `surge_added` is the same of what
    was added to the exports to the destinations: a hub that never sent anywhere else has a `surge_ratio` near 1 without any surge.

    Parameters
    ----------
    network
        A network of countries or of firms.
    destinations
        Countries (`RUS`), groups (`EU27`), or actors by name or id.
    since, until
        The period. An open side ends with the data; without both it is the latest year in which the most corridors are covered
        whole, as in the year before.
    against
        An earlier period with the same months, such as `2021`; default the same months before, so many years as the period has.
    origins
        Sellers whose goods are the hub's inflow; None for all but the destinations.
    concept
        What a seller of the inflow is: `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. Exports are
        always dispatches.
    products
        As in `TradeNetwork.where`.
    hubs
        Hubs to show; None for all who have a record of exports to the destinations in either period.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `hub_id`, `hub`, `country`, `concept` (of the inflow). Exports to the destinations: `exports_usd`, `exports_before_usd`,
        `exports_change_usd` (USD), `exports_growth` (ratio, period / earlier one; missing where the base is below 10,000 USD);
        `exports_kg`, `exports_before_kg` (kg; missing if a record has no measured weight), `exports_growth_kg` (ratio),
        `exports_usd_per_kg`, `exports_before_usd_per_kg` (USD per kg, of records with a measured weight), `exports_original`,
        `exports_before_original`, `currency`, `exports_growth_original` (units of the one currency that all records have, else
        missing). `all_exports_before_usd` (USD, to all destinations in the earlier period), `surge_ratio`, `surge_ratio_kg`
        (ratios), `surge_added` (`exports_change_usd` / `all_exports_before_usd`), `surge_note` (why there is none).
        `inflow_usd`, `inflow_before_usd`, `inflow_change_usd` (USD), `inflow_growth` (ratio; missing as for the exports),
        `inflow_kg`, `inflow_before_kg` (kg), `inflow_usd_per_kg`, `inflow_before_usd_per_kg` (USD per kg). `pass_through` (USD
        more sent to the destinations for one USD more received, by month), `pass_through_low`, `pass_through_high` (its 90 %
        interval), `pass_through_kg`, `pass_through_kg_low`, `pass_through_kg_high` (kg per kg, at the same lag), `lag_months` (months
        from inflow to outflow at which their changes go together best), `lag_months_low`, `lag_months_high` (lags that do so hardly
        less), `n_months` (months used), `pass_through_note` (why it is refused or doubtful). `n_records` (exports counted in both
        periods), `compared`, `compared_before` (days compared), `exports_coverage`, `exports_before_coverage`,
        `all_exports_before_coverage`, `inflow_coverage`, `inflow_before_coverage` (what the data cover), `status` (`compared`,
        `near-zero base`, or why there is no growth). Compared hubs first, by their change. `attrs` holds the question, notes,
        records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        If `against` has other months than the period, or does not lie before it; and for `concept="brand"`.

    Notes
    -----
    Exports are FOB and inflow by origin is CIF, so a pass-through of one is not exactly all. See `queries.passthrough` for the method.
    Where the data do not cover a corridor in both periods, what is recorded in each is shown, and no growth. A period of which part is
    told only in codes wider than the products, or in dates that lie partly outside the period, has no sum, and such months no part in
    the pass-through. A code that meant other goods, or did not stand, in the HS version of the other period is left aside.
    A high ratio is a lead. It does not say that the goods that came in are those that went out, nor where they were made, nor that
    anybody did wrong: a hub may sell its own make, or have taken over a lawful trade.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.surge(ct.load_bundled("countries"), destinations=["RUS"], products="8542", since="2022", until="2022")
    >>> kazakhstan = table.set_index("hub_id").loc["KAZ"]
    >>> kazakhstan["status"], f"{kazakhstan['exports_growth']:.1f}", f"{kazakhstan['exports_change_usd']:,.0f}"
    ('compared', '74.2', '18,012,612')
    """
    concept = value_concept(network, concept)
    out = question_of(network, origins=[], destinations=destinations, concept="dispatched", products=products)
    into = Question(concept, frozenset(actors_named(network, origins)) if origins is not None else frozenset(), out.destinations,
                    out.codes, out.exact)
    asked: dict[str, Any] = {"destinations": list(destinations), "origins": origins, "concept": concept, "products": products,
                             "hubs": hubs, "prefer": prefer}
    chosen = actors_named(network, hubs) if hubs is not None else None
    since, until, note = _window(network, since, until, out, products)
    if since is None or until is None:
        return answer(shaped(pd.DataFrame(), _DTYPES), network, question=asked, notes=[note])
    periods = periods_of(since, until, against)
    coverage = CoverageIndex(network)
    days = {"since": str(periods.before[0].date()), "until": str(periods.now[1].date())}
    sent = trades_in_scope(network, concept="dispatched", products=products, origins=None, destinations=None, **days)
    received = trades_in_scope(network, concept=concept, products=products, origins=origins, destinations=None, **days)
    names = _hubs(network, sent, into, periods, chosen)
    sent, sent_pairs = _legs(network, sent, "out", names, out, periods, coverage, prefer)
    received, received_pairs = _legs(network, received, "in", names, into, periods, coverage, prefer)
    by_hub = [dict(list(rows.groupby(own))) for rows, own in ((sent, "seller_id"), (received, "buyer_id"))]
    ends = [_by_hub(pairs, place) for place, pairs in enumerate((sent_pairs, received_pairs))]
    rows = [
        _row(hub, by_hub[0].get(hub, sent.iloc[:0]), by_hub[1].get(hub, received.iloc[:0]), ends[0].get(hub, {}), ends[1].get(hub, {}),
             out, into, periods, coverage)
        for hub in names
    ]
    table = _described(rows, network, concept)
    both = _once_each(sent, received)
    asked |= {"since": since, "until": until, "against": period_text(*periods.before)}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=_notes(network, concept, both, note, table),
                  source_ids=both.loc[both["left_aside"].eq(""), "source_id"], left_aside=both["left_aside"])


def _window(
    network: TradeNetwork, since: str | None, until: str | None, question: Question, products: str | Sequence[str] | None
) -> tuple[str | None, str | None, str]:
    """The window, closed, and a sentence if it was chosen here."""
    part = network if products is None else network.where(products=products)
    if since is not None or until is not None:
        return *closed_window(part, since, until), ""
    trades = part.coded_trades
    trades = trades[trades["buyer_id"].isin(question.destinations) & trades["period_end"].notna()]
    if trades.empty:
        return None, None, "the network holds no dated trades with the destinations that could be compared; none is covered"
    coverage, years = CoverageIndex(network), sorted(set(trades["period_end"].dt.year))
    covered = {}
    for year in years:
        first, last = pd.Timestamp(year - 1, 1, 1).as_unit("us"), pd.Timestamp(year, 12, 31).as_unit("us")
        covered[year] = sum(
            coverage.observed([hub], question.destinations, concept="dispatched", codes=question.codes, exact=question.exact,
                              first=first, last=last).status == "covered" for hub in trades["seller_id"].unique())
    year_text, note = latest_year(years, covered)
    return year_text, year_text, note


def _hubs(network: TradeNetwork, sent: pd.DataFrame, into: Question, periods: Periods, chosen: set[str] | None) -> list[str]:
    """Actors with a record of exports to the destinations that touches either period, or those chosen."""
    actors = network.actors
    unfit = set(actors.loc[unfit_between(network) | actors["kind"].eq("weapon"), "actor_id"]) | into.destinations | into.origins
    if chosen is not None:
        return sorted(chosen - unfit)
    touches = pd.Series(False, index=sent.index)
    for first, last in (periods.now, periods.before):
        touches |= ~(sent["period_start"].gt(last) | sent["period_end"].lt(first))
    return sorted(set(sent.loc[touches & sent["buyer_id"].isin(into.destinations), "seller_id"]) - unfit)


def _legs(
    network: TradeNetwork, trades: pd.DataFrame, side: str, hubs: Sequence[str], question: Question, periods: Periods,
    coverage: CoverageIndex, prefer: str,
) -> tuple[pd.DataFrame, Pairs]:
    """Records of what the hubs send (to anybody) or receive, with `leg`, `when` and `measured_kg`, each flow once; and their pairs."""
    own, other = ("seller_id", "buyer_id") if side == "out" else ("buyer_id", "seller_id")
    trades = trades[trades[own].isin(hubs) & trades["seller_id"].ne(trades["buyer_id"])]
    ends = trades[other].isin(question.destinations)
    trades = trades.assign(leg=np.where(ends, "out", "other") if side == "out" else "in", measured_kg=measured_weight(trades))
    if side == "in":
        trades = trades[~ends]
    named = question.destinations if side == "out" else question.origins
    keys = {*zip(trades["seller_id"], trades["buyer_id"], strict=True)}
    keys |= {(hub, end) if side == "out" else (end, hub) for hub in hubs for end in named if hub != end}
    pairs = {key: pair_of(coverage, key[:1], key[1:], question, periods) for key in sorted(keys)}
    trades = placed(trades, pairs, question, periods)
    new = _new_codes(network, trades, pairs, question, periods)
    trades.loc[new, "left_aside"] = BROKEN
    shared = np.array([bool(pairs[key].spans["now"]) for key in zip(trades["seller_id"], trades["buyer_id"], strict=True)], dtype=bool)
    known = set(zip(trades.loc[shared, own], trades.loc[shared, "leg"], strict=True))
    known |= {(hub, "out") for hub, end in keys if side == "out" and end in question.destinations and pairs[hub, end].spans["now"]}
    mixed = ~shared & np.array([key in known for key in zip(trades[own], trades["leg"], strict=True)], dtype=bool)
    trades.loc[mixed & trades["left_aside"].eq(""), "left_aside"] = ELSEWHEN
    usable = trades[trades["left_aside"].eq("")]
    reasons = left_aside(usable, level=network.level, prefer=prefer, retrieved=retrieval_dates(network), blocs_as=[other])
    trades.loc[reasons.index, "left_aside"] = reasons
    return trades.assign(unplaced=unplaced(network, trades, question.concept) & ~mixed)[_KEPT], pairs


def _new_codes(network: TradeNetwork, trades: pd.DataFrame, pairs: Pairs, question: Question, periods: Periods) -> pd.Series:
    """Whether a record that is compared has a code that did not mean the same goods in the HS version of the other period."""
    told = plain(network.coded_trades)
    versions = versions_of(told.assign(code=goods_code(told)), (periods.before, periods.now))
    whole = {key: frozenset(code for code in question.exact or pair.seen["now"].products & pair.seen["before"].products if len(code) <= 4)
             for key, pair in pairs.items() if pair.spans["now"]}
    found = [
        not aside and (seller, buyer) in whole and not stands(code, versions.get(reporter, frozenset()), whole[seller, buyer])
        for seller, buyer, code, reporter, aside in zip(
            *(trades[c] for c in ("seller_id", "buyer_id", "code", "reported_by", "left_aside")), strict=True)
    ]
    return pd.Series(found, index=trades.index, dtype=bool)


def _by_hub(pairs: Pairs, place: int) -> dict[str, Pairs]:
    """The pairs of each hub, which stands at the place given."""
    found: dict[str, Pairs] = {}
    for key, pair in pairs.items():
        found.setdefault(key[place], {})[key] = pair
    return found


def _row(
    hub: str, sent: pd.DataFrame, received: pd.DataFrame, sent_pairs: Pairs, received_pairs: Pairs, out: Question, into: Question,
    periods: Periods, coverage: CoverageIndex,
) -> dict[str, Any]:
    ends = [pair for (_, buyer), pair in sent_pairs.items() if buyer in out.destinations]
    sources = list(received_pairs.values())
    shared_ends, shared_sources = ([p for p in pairs if p.spans["now"]] for pairs in (ends, sources))
    out_leg = sent[sent["leg"].eq("out")]
    half_told, half_come = blocked(out_leg, sent_pairs, periods), blocked(received, received_pairs, periods)
    exports = sums(out_leg, shared_ends or ends, blocked=half_told)
    source = pair_of(coverage, into.origins or EVERYBODY, [hub], into, periods)
    inflow = sums(received, shared_sources or [source], blocked=half_come)
    everywhere = pair_of(coverage, [hub], EVERYBODY, out, periods)
    towards = pair_of(coverage, [hub], out.destinations, out, periods)
    row: dict[str, Any] = {
        "hub_id": hub, "compared": spans_text(ends, "now"), "compared_before": spans_text(ends, "before"),
        "n_records": int((out_leg["left_aside"].eq("") & out_leg["when"].isin(["now", "before"])).sum()),
        "exports_coverage": towards.seen["now"].text, "exports_before_coverage": towards.seen["before"].text,
        "all_exports_before_coverage": everywhere.seen["before"].text,
        "status": _status(exports, towards, bool(shared_ends), out_leg, half_told),
    }
    row |= _measures("exports", exports, row["status"] == "compared")
    row |= _measures("inflow", inflow, bool(shared_sources) and inflow["before"].usd >= NEAR_ZERO_USD)
    for when, name in (("now", "inflow_coverage"), ("before", "inflow_before_coverage")):
        partly = any(p.spans[when] for p in sources) and source.seen[when].status == "not covered"
        row[name] = "partly: only sellers with a record that is covered" if partly else source.seen[when].text
        row[name] += f"; {IN_PART}" if when in half_come else ""
    row |= _surge_ratio(exports, sent, everywhere, ends, "before" in blocked(sent, sent_pairs, periods))
    return row | _passed(received, out_leg, received_pairs, sent_pairs, periods, bool(shared_ends and shared_sources))


def _status(exports: Mapping[str, Sums], seen: Pair, shared: bool, leg: pd.DataFrame, half_told: set[str]) -> str:
    lacking = [name for when, name in (("now", "period"), ("before", "earlier period")) if seen.seen[when].status == "not covered"]
    if lacking:
        return f"not compared: {' and '.join(lacking)} not covered"
    if not shared:
        return "not compared: no month is covered in both periods"
    if half_told:
        return f"not compared: {IN_PART}"
    if leg["left_aside"].eq(BROKEN).any() and not leg["left_aside"].eq("").any():
        return "not compared: no code that is told compares between HS versions"
    if any(np.isnan(exports[when].usd) for when in exports):
        return "not compared: a value is not known"
    return "near-zero base" if exports["before"].usd < NEAR_ZERO_USD else "compared"


def _measures(name: str, found: Mapping[str, Sums], growth: bool) -> dict[str, Any]:
    """Columns of a leg: sums of both periods, difference, ratios."""
    now, before = found["now"], found["before"]
    row: dict[str, Any] = {
        f"{name}_usd": now.usd, f"{name}_before_usd": before.usd, f"{name}_change_usd": now.usd - before.usd,
        f"{name}_kg": now.kg, f"{name}_before_kg": before.kg,
        f"{name}_usd_per_kg": now.usd_per_kg, f"{name}_before_usd_per_kg": before.usd_per_kg,
        f"{name}_growth": _ratio(now.usd, before.usd, growth),
    }
    if name == "exports":
        row |= {"exports_growth_kg": _ratio(now.kg, before.kg, growth), "exports_original": now.original,
                "exports_before_original": before.original, "currency": now.currency,
                "exports_growth_original": _ratio(now.original, before.original, growth)}
    return row


def _ratio(now: float, before: float, given: bool) -> float:
    return now / before if given and before > 0 else float("nan")


def _surge_ratio(
    exports: Mapping[str, Sums], sent: pd.DataFrame, everywhere: Pair, ends: Sequence[Pair], half_told: bool
) -> dict[str, Any]:
    """Exports to the destinations now over exports to all before, where all are covered over the days that are compared."""
    nothing: dict[str, Any] = dict.fromkeys(("all_exports_before_usd", "surge_ratio", "surge_ratio_kg", "surge_added"), float("nan"))
    if everywhere.seen["before"].status == "not covered" or not everywhere.spans["before"]:
        return nothing | {"surge_note": "exports to all destinations are not covered"}
    if {span for pair in ends for span in pair.spans["before"]} != set(everywhere.spans["before"]):
        return nothing | {"surge_note": "exports to all destinations are covered in other months"}
    if not everywhere.zero:
        return nothing | {"surge_note": "exports to all destinations are covered in part only"}
    if half_told:
        return nothing | {"surge_note": f"exports to all destinations: {IN_PART}"}
    before = sums(sent, [everywhere], blocked=())["before"]
    row = nothing | {"all_exports_before_usd": before.usd, "surge_note": ""}
    if np.isnan(before.usd) or np.isnan(exports["now"].usd):
        return row | {"surge_note": "a value is not known"}
    if before.usd < NEAR_ZERO_USD:
        return row | {"surge_note": "near-zero base"}
    return row | {"surge_ratio": exports["now"].usd / before.usd, "surge_ratio_kg": _ratio(exports["now"].kg, before.kg, True),
                  "surge_added": (exports["now"].usd - exports["before"].usd) / before.usd}


def _passed(
    received: pd.DataFrame, sent: pd.DataFrame, pairs_in: Pairs, pairs_out: Pairs, periods: Periods, shared: bool
) -> dict[str, Any]:
    if not received["left_aside"].eq("").any() or not sent["left_aside"].eq("").any():
        return {"n_months": 0, "pass_through_note": "refused: no inflow or no exports are recorded"}
    if not shared:
        return {"n_months": 0, "pass_through_note": "refused: the data do not cover both flows, so months without a record are not known"}
    flows = {c: (by_month(received, pairs_in, periods, c), by_month(sent, pairs_out, periods, c)) for c in ("value_usd", "measured_kg")}
    found = pass_through(*flows["value_usd"])
    row: dict[str, Any] = {
        "pass_through": found.slope, "pass_through_low": found.low, "pass_through_high": found.high, "lag_months": found.lag,
        "lag_months_low": found.lag_low, "lag_months_high": found.lag_high, "n_months": found.n_months, "pass_through_note": found.note,
    }
    if not np.isnan(found.lag):
        weight = pass_through(*flows["measured_kg"], lag=int(found.lag))
        row |= {"pass_through_kg": weight.slope, "pass_through_kg_low": weight.low, "pass_through_kg_high": weight.high}
    return row


def _described(rows: list[dict[str, Any]], network: TradeNetwork, concept: str) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    names, places = names_of(network), network.actors.set_index("actor_id")["country"].to_dict()
    table["hub"] = [names.get(hub, hub) for hub in table["hub_id"]]
    table["country"] = [places.get(hub, hub) for hub in table["hub_id"]]
    table["concept"] = concept
    table["last"] = ~table["status"].isin(["compared", "near-zero base"])
    table = table.sort_values("hub_id", kind="stable")
    return table.sort_values(["last", "exports_change_usd"], ascending=[True, False], kind="stable", na_position="last")


def _once_each(sent: pd.DataFrame, received: pd.DataFrame) -> pd.DataFrame:
    """Each record once: left aside only if no leg counts it."""
    both = pd.concat([sent, received], ignore_index=True)
    both = both.sort_values(["trade_id", "left_aside"], kind="stable").drop_duplicates("trade_id")
    return both.reset_index(drop=True)


def _notes(network: TradeNetwork, concept: str, both: pd.DataFrame, note: str, table: pd.DataFrame) -> list[str]:
    n = {reason: int(both["left_aside"].eq(reason).sum()) for reason in (ELSEWHEN, OTHER_GOODS, BROKEN)}
    broken = sorted(set(both.loc[both["left_aside"].eq(BROKEN), "code"]))
    return [
        note, *scope_notes(network, concept, both),
        f"{n[ELSEWHEN]:,} records lie {ELSEWHEN} and are not counted" if n[ELSEWHEN] else "",
        f"{n[OTHER_GOODS]:,} records are of {OTHER_GOODS} and are not counted" if n[OTHER_GOODS] else "",
        f"codes that do not compare between HS versions are not counted: {', '.join(broken[:8])}" if broken else "",
        f"a base below {NEAR_ZERO_USD:,.0f} USD gives no ratio: read the difference" if table["status"].eq("near-zero base").any() else "",
        "surge_ratio and growth are of what exporters recorded: they do not say that goods that came in went out again, nor where "
        "they were made",
        f"pass-through has a {LEVEL:.0%} interval at the lag shown; that two flows rise together does not say that the goods are the same"
        if table["pass_through"].notna().any() else "",
    ]
