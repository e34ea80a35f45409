"""Origin attribution: how much of what reached the destinations was the origins', and through whom, between which bounds?"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import CoverageIndex, Span
from chiptrail.graphmodel.errors import InputError, NotComparableError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.selection import actors_named, in_window
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.assumptions import NOMINAL, RELAXED, UNDERSTATED, Held, Spread, interval, spread, tilted
from chiptrail.queries.balances import Bounds, balanced
from chiptrail.queries.baseline import Periods, common_code, periods_of, shared_spans
from chiptrail.queries.evidence import Evidence, estimated_hubs, evidence, values
from chiptrail.queries.holdings import Legs, used
from chiptrail.queries.question import Question, closed_window, latest_covered_year, question_of
from chiptrail.queries.scope import scope_notes, shaped, value_concept

_DTYPES = {
    "hub_id": "str", "hub": "str", "country": "str", "concept": "str", "inflow_usd": "float64", "inflow_origin_usd": "float64",
    "outflow_usd": "float64", "onward_usd": "float64", "unobserved_usd": "float64", "share_of_origin": "float64",
    "share_low": "float64", "share_high": "float64", "usd_attributed": "float64", "share_attributed": "float64", "usd_low": "float64",
    "usd_high": "float64", "usd_least": "float64", "usd_most": "float64", "usd_direct": "float64", "usd_direct_before": "float64",
    "change_usd": "float64", "change_low_usd": "float64", "change_high_usd": "float64", "inflow_coverage": "str",
    "outflow_coverage": "str", "compared": "str", "inflow_products": "str", "outflow_products": "str", "status": "str",
}
COLUMNS = tuple(_DTYPES)
MOST_HUBS = 200
"""Hubs listed where none are named: those that carry the most by the chain."""
SMALL, EXACT = 5_000, 10
"""Flows of a network up to which the first hubs' bounds come from all balances without being asked for, and how many hubs."""


def attribution(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, prefer: str = "exporter",
    hubs: Sequence[str] | None = None, against: str | None = None,
) -> pd.DataFrame:
    """One row per hub: how much of the origins' goods went through it to the destinations, as a point, an interval and bounds.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries (`USA`), groups (`EU27`), or actors by name or id.
    concept
        `origin` (the hub's imports by customs origin are its composition; default for countries) or `dispatched` (the composition
        follows from the chain of all dispatches, and what an origin sends is its own, wherever it had it from; default for firms).
    products
        Product list, HS code or codes; None for all goods of the network.
    since, until
        The window in which the legs must lie whole. Without any, a network of countries takes the latest year for which the most hubs
        have both legs covered.
    prefer
        Whose report the point believes where both sides told of a flow: `exporter` or `importer`. The interval believes either.
    hubs
        Actors to answer for; None for all that receive from the origins or send to the destinations.
    against
        An earlier period with the same months, such as `2021`, to say what was added since; None for none.

    Returns
    -------
    DataFrame
        `hub_id`, `hub`, `country`, `concept`; `inflow_usd` (USD from all sellers), `inflow_origin_usd` (USD of the origins in it: by origin
        as recorded, by dispatch what came straight from them), `outflow_usd` (USD dispatched to the destinations), `onward_usd` (USD, of
        whatever origin, that it dispatches to others and that mixing carries on to the destinations; missing where no dispatch to others is
        on record), `unobserved_usd` (USD of outflow above the recorded inflow from named actors: what came from nobody knows where);
        `share_of_origin` (0-1, of what the hub holds), `share_low`, `share_high`; `usd_attributed` (USD by proportional mixing, in
        `outflow_usd` and `onward_usd` together; missing where the inflow is not covered), `share_attributed` (0-1, of all goods of the
        origins that are known to end at the destinations, directly or by hubs); `usd_low`, `usd_high` (USD, nominal 90 % interval over the
        assumptions of `queries.assumptions`), `usd_least`, `usd_most` (USD, what the balances allow for the recorded goods of the origins,
        whatever is assumed); `usd_direct` (USD by proportional mixing in `outflow_usd` alone: every dollar counts at the hub it left last,
        so that these add up), `usd_direct_before` (USD, the same of the earlier period), `change_usd` with `change_low_usd` and
        `change_high_usd` (USD more than in the earlier period, and its nominal 90 % interval: what is assumed is assumed of both periods;
        missing without `against`, or where the two periods do not cover the same months and goods of the hub); `inflow_coverage`,
        `outflow_coverage`, `compared` (the days compared), `inflow_products`, `outflow_products` (codes compared) and `status`
        (`estimated`, or why not: an estimate needs values, inflow covered from nine in ten possible sellers, suppliers whose goods are
        known, and the same months and goods coming in as going out; and what to beware of). Sorted by `change_usd` where `against` is
        given, then by `usd_attributed` and `usd_most`. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value, for `concept="origin"` on firms, whose imports by origin no one tells, and if
        `against` has other months.
    InputError
        If a hub is one of the origins or destinations.

    Notes
    -----
    By origin: USD attributed = the origins' part of all that the hub holds (its imports, or all its dispatches where these are more: a hub
    that makes goods itself) x what it dispatches to the destinations, and to others that mixing sends on there (`onward_usd`; others whose
    own inflow is not covered add nothing to it). By dispatch: with N the fundamental matrix of the absorbing chain, USD attributed =
    entering x N_oh / N_hh x P(ends at the destinations from h); a hub on a cycle gets no more than all, and goods through two hubs count at
    both (Kastner, Kastner and Nonhebel 2011, doi 10.1016/j.ecolecon.2011.01.012; Kemeny and Snell 1960). Bounds come from the balances of
    the whole network for hubs that are named and in small networks, else from the hub's own balance, which is wider; `status` says which.

    Cautions: mixing is an assumption, and nobody saw the goods pass. By dispatch the goods of all headings mix as one. Least and most count
    recorded goods, as the side preferred told of them; least is above zero only where nothing else can have come in, and most allows that
    actors whose dispatches are not covered passed on all they had; what came unobserved may add to the most, and `usd_high` allows for it.
    Goods in stock before the window are not seen, and outflows lag inflows. Where the two legs are told in different codes, the composition
    is that of the wider goods. A high amount is a lead; what a hub passes on may be lawful trade. A country that makes goods and buys parts
    from the origins stands high by amount though its trade is ordinary; `against` shows what was added, and that may have lawful reasons
    too.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.attribution(ct.load_bundled("countries"), origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    >>> kazakhstan = table.set_index("hub_id").loc["KAZ"]
    >>> kazakhstan[["inflow_origin_usd", "share_of_origin", "usd_attributed"]].astype(float).round(3).tolist()
    [4273764.0, 0.049, 887620.919]
    """
    concept = asked_concept(network, concept)
    asked = {"products": products, "since": since, "until": until}
    question = question_of(network, origins=origins, destinations=destinations, concept=concept, products=products)
    notes = set_window(network, question, asked)
    chosen = _named(network, question, hubs)
    found = evidence(network, question, asked, prefer, chosen, MOST_HUBS)
    table, more = _rows(network, found, question, chosen is not None)
    earlier = used(found.trades)["source_id"]
    if against is not None:
        parse_period(against)
    if against is not None and len(table):
        earlier = _compare(network, table, found, question, asked, prefer, against)
    table = table if chosen is None else table[table["hub_id"].isin(chosen)]
    order = ["change_usd", "usd_attributed", "usd_most", "outflow_usd", "inflow_origin_usd"]
    table = table.sort_values("hub_id", kind="stable").sort_values(order, ascending=False, kind="stable", na_position="last")
    notes += [*scope_notes(network, concept, found.trades), *more, *_notes(table)]
    question_asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept, **asked, "prefer": prefer,
                      "hubs": hubs, "against": against}
    return answer(shaped(table, _DTYPES), network, question=question_asked, notes=notes, left_aside=found.trades["left_aside"],
                  source_ids={*used(found.trades)["source_id"], *earlier})


def asked_concept(network: TradeNetwork, concept: str | None) -> str:
    """The concept asked for or the default, `dispatched` or `origin`; firms have no imports by origin."""
    concept = value_concept(network, concept)
    if concept == "origin" and network.level == "firms":
        raise NotComparableError("firms' trades are dispatches, whose origin few records state; choose concept='dispatched'")
    return concept


def set_window(network: TradeNetwork, question: Question, asked: dict[str, Any]) -> list[str]:
    """Closes the window in `asked`; what was chosen for the user."""
    part = network if asked["products"] is None else network.where(products=asked["products"])
    notes = []
    if asked["since"] is None and asked["until"] is None and network.level == "countries":
        year, note = latest_covered_year(part, question, CoverageIndex(network))
        asked["since"] = asked["until"] = year
        notes.append(note)
    asked["since"], asked["until"] = closed_window(part, asked["since"], asked["until"])
    return notes


def _named(network: TradeNetwork, question: Question, hubs: Sequence[str] | None) -> list[str] | None:
    if hubs is None:
        return None
    found = actors_named(network, hubs) & set(network.actors["actor_id"])
    wrong = sorted(found & (question.origins | question.destinations))
    if wrong:
        raise InputError(f"{', '.join(wrong[:5])} cannot be a hub of this question, being an origin or destination; name others")
    return sorted(found)


def _rows(network: TradeNetwork, found: Evidence, question: Question, named: bool) -> tuple[pd.DataFrame, list[str]]:
    """The table, unsorted, and notes on what it does not hold."""
    hubs, legs, main = found.hubs, found.legs, found.reports[0]
    notes = ["usd_attributed assumes that what a hub sends on is a like part of all it holds; nobody saw the goods pass"]
    if not hubs:
        return pd.DataFrame(columns=list(COLUMNS)), notes
    inflow, ours, outflow = values(found)
    estimated = estimated_hubs(network, found)
    point = np.where(estimated, tilted(main.known, main.held, main.onward, 1.0), np.nan)
    share = np.divide(main.known, main.held, out=np.full(len(hubs), np.nan), where=estimated)
    least, most, how = _bounds(network, found, question, point, named)
    nothing = np.isnan(ours) & np.isnan(outflow) & (main.onward <= 0)
    least, most = np.where(nothing, np.nan, least), np.where(np.isinf(most) | nothing, np.nan, most)
    draws = spread(found.reports, by_origin=question.concept == "origin")
    low, high = _spread_within(draws, main, least, most, estimated)
    share_low, share_high = (np.where(estimated, end(side, share), np.nan) for end, side in zip(
        (np.fmin, np.fmax), interval(draws.share), strict=True))
    direct = np.where(outflow == 0, 0.0, share * outflow)
    at = network.actors["actor_id"].searchsorted(hubs)
    beyond = main.possible - main.known if found.chain is None else found.chain.unobserved[at]
    total = found.arriving + (float(np.nansum(direct)) if found.chain is None else 0.0)
    known_in = ~np.isnan(inflow) & (~np.isnan(ours) | (main.known > 0))
    known_out = ~np.isnan(outflow) | (main.onward > 0)
    table = pd.DataFrame({
        "hub_id": hubs, "concept": question.concept, "inflow_usd": inflow, "inflow_origin_usd": ours, "outflow_usd": outflow,
        "onward_usd": _by_others(found, question),
        "unobserved_usd": beyond,
        "share_of_origin": share, "share_low": share_low, "share_high": share_high, "usd_attributed": point,
        "share_attributed": point / total if total > 0 else np.nan, "usd_low": low, "usd_high": high, "usd_least": least,
        "usd_most": most, "usd_direct": direct,
        **dict.fromkeys(("usd_direct_before", "change_usd", "change_low_usd", "change_high_usd"), np.nan),
        "compared": [legs.compared[hub] for hub in hubs],
        "status": [_status(legs, hub, facts, text) for hub, facts, text in zip(
            hubs, zip(estimated, known_in, known_out, beyond, strict=True), how, strict=True)],
    })
    actors = network.actors.set_index("actor_id")
    table["hub"], table["country"] = table["hub_id"].map(names_of(network)), table["hub_id"].map(actors["country"])
    for side, leg, flows in (("in", "inflow", legs.inflows), ("out", "outflow", legs.outflows[
            legs.outflows["buyer_id"].isin(question.destinations)])):
        codes = flows.groupby("buyer_id" if side == "in" else "seller_id")["code"].agg(lambda c: " ".join(sorted(set(c) - {""})))
        table[f"{leg}_products"] = table["hub_id"].map(codes).astype(object).fillna("")
        table[f"{leg}_coverage"] = [legs.seen[hub][side].text for hub in hubs]
    if found.n_left_out:
        notes.append(f"the list stops at the {MOST_HUBS} hubs that carry the most by the chain: {found.n_left_out} are left out; name "
                     "them to ask for them")
    return table, notes


def _compare(
    network: TradeNetwork, table: pd.DataFrame, found: Evidence, question: Question, asked: dict[str, Any], prefer: str, against: str
) -> pd.Series:
    """Fills the columns that compare `table`, the rows of `found`, with an earlier period; the sources of that."""
    periods = periods_of(asked["since"], asked["until"], against)
    since, until = (str(day.date()) for day in periods.before)
    past = evidence(network, question, asked | {"since": since, "until": until}, prefer, found.hubs)
    at = pd.Index(past.hubs).get_indexer(pd.Index(found.hubs))
    both = min(len(found.reports), len(past.reports))
    before, draws_before = (part[..., at] for part in _direct(network, past._replace(reports=past.reports[:both]), question))
    now, draws = _direct(network, found._replace(reports=found.reports[:both]), question)
    known = ~np.isnan(now) & ~np.isnan(before)
    versions = _versions(network, periods)
    unlike = [_unlike(network, found.legs, past.legs, hub, question, periods, versions.get(hub, set())) if ask else ""
              for hub, ask in zip(found.hubs, known, strict=True)]
    alike = known & np.array([not why for why in unlike], dtype=bool)
    before, change = np.where(alike, before, np.nan), np.where(alike, now - before, np.nan)
    low, high = interval(draws - draws_before)
    table["usd_direct_before"], table["change_usd"] = before, change
    table["change_low_usd"], table["change_high_usd"] = np.where(alike, np.fmin(low, change), np.nan), np.where(
        alike, np.fmax(high, change), np.nan)
    missing = np.where(np.isnan(now), "", "; no estimate for the earlier period")
    table["status"] += np.where(alike, "", np.where(known, [f"; not compared: {why}" for why in unlike], missing))
    return used(past.trades)["source_id"]


def _direct(network: TradeNetwork, found: Evidence, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """USD of the origins' goods in what each hub dispatches to the destinations itself: the point, and the draws around it."""
    main, outflow = found.reports[0], values(found)[2]
    estimated = estimated_hubs(network, found)
    share = np.divide(main.known, main.held, out=np.full(len(found.hubs), np.nan), where=estimated)
    own = np.divide(np.nan_to_num(outflow), main.onward, out=np.zeros(len(share)), where=main.onward > 0)
    return np.where(outflow == 0, 0.0, share * outflow), spread(found.reports, by_origin=question.concept == "origin").usd * own


def _versions(network: TradeNetwork, periods: Periods) -> dict[str, set[str]]:
    """The HS versions of each actor's subheadings in the two periods."""
    trades = network.coded_trades
    inside = pd.Series(False, index=trades.index)
    for first, last in (periods.now, periods.before):
        inside |= in_window(trades, str(first.date()), str(last.date()))
    deep = trades.loc[inside & trades["hs_code"].astype("str").str.len().gt(4)]
    found: dict[str, set[str]] = {}
    for side in ("seller_id", "buyer_id"):
        for actor, version in deep[[side, "hs_version"]].astype("str").drop_duplicates().itertuples(index=False):
            found.setdefault(actor, set()).add(version)
    return found


def _unlike(
    network: TradeNetwork, now: Legs, before: Legs, hub: str, question: Question, periods: Periods, versions: set[str]
) -> str:
    """Why the two periods of a hub do not compare; empty if they do."""
    if network.coverage.empty:
        return "no coverage is stated, so that nothing missing is zero"
    spans = [tuple(parse_period(part) for part in legs.compared[hub].split(", ") if part) for legs in (now, before)]
    if not spans[0] or shared_spans(*spans, periods.shift) != tuple(spans):
        return "the two periods do not cover the same months"
    coverage, others = CoverageIndex(network), sorted(set(network.actors["country"]) - {""})
    told = [[_partners(coverage, hub, others, question, days, sells) for sells in (False, True)]
            for days in (periods.now, periods.before)]
    if told[0] != told[1] or any(now.seen[hub][side].products != before.seen[hub][side].products for side in ("in", "out")):
        return "the two periods do not cover the same partners and goods"
    rows = pd.concat([leg[leg[side].eq(hub)] for legs in (now, before) for leg, side in (
        (legs.inflows, "buyer_id"), (legs.outflows, "seller_id"))])
    deep = rows[rows["code"].str.len().gt(4) & ~rows["code"].str.contains("+", regex=False)]
    covered = now.seen[hub]["in"].products & now.seen[hub]["out"].products
    whole = frozenset(code for code in question.exact or covered if len(code) <= 4)
    if not all(common_code(code, version, frozenset(versions), whole) for code in set(deep["code"]) for version in versions):
        return "a code does not compare between the HS versions of the two periods"
    return ""


def _partners(
    coverage: CoverageIndex, hub: str, others: Sequence[str], question: Question, days: Span, sells: bool
) -> frozenset[str]:
    """The countries whose trade with a hub the data cover: what it sends them, or what it has from them by the question's concept."""
    concept = "dispatched" if sells else question.concept
    return frozenset(other for other in others if coverage.observed(
        *(([hub], [other]) if sells else ([other], [hub])), concept=concept, codes=question.codes, exact=question.exact, first=days[0],
        last=days[1]).spans)


def _by_others(found: Evidence, question: Question) -> np.ndarray:
    """USD that each hub dispatches to others and that mixing carries on; missing where no dispatch to others is on record."""
    sent = found.legs.outflows
    recorded = set(sent.loc[~sent["buyer_id"].isin(question.destinations), "seller_id"])
    unknown = set(sent.loc[sent["value_usd"].isna(), "seller_id"])
    onward = np.maximum(found.reports[0].onward - np.nan_to_num(found.outflow), 0.0)
    return np.where([hub in recorded and hub not in unknown for hub in found.hubs], onward, np.nan)


def _bounds(
    network: TradeNetwork, found: Evidence, question: Question, point: np.ndarray, named: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Least and most by hub, and which balances they come from."""
    whole = np.array([found.legs.whole[hub] for hub in found.hubs], dtype=bool)
    least, most = np.where(whole, found.least, 0.0), found.most.copy()
    how = ["bounds from the hub's own balance"] * len(found.hubs)
    if found.chain is None or not found.whole or not (named or found.chain.sent.nnz <= SMALL):
        return least, most, how
    ids = network.actors["actor_id"]
    ends = [ids.isin(names).to_numpy() for names in (question.origins, question.destinations)]
    sure = ids.isin([hub for hub, every in found.legs.whole.items() if every]).to_numpy()
    first = np.argsort(-np.where(np.isnan(point), found.most, point), kind="stable")
    for i in first if named else first[:EXACT]:
        hub = int(ids.searchsorted(found.hubs[i]))
        limit = most[i] if found.open_ended[hub] else np.inf
        least[i], most[i] = _balanced(found, ends[0], ends[1], hub, ~sure)
        most[i] = limit if np.isfinite(limit) else most[i]
        how[i] = "bounds from all balances of the network"
    return least, most, how


def _balanced(found: Evidence, origins: np.ndarray, ends: np.ndarray, hub: int, incomplete: np.ndarray) -> Bounds:
    """By all balances; the most also counts what reached others that may have passed it on unrecorded."""
    assert found.chain is not None
    ask = partial(balanced, found.chain, origins=np.flatnonzero(origins), hub=hub, incomplete=incomplete)
    bounds = ask(destinations=np.flatnonzero(ends))
    open_ended = found.open_ended & (np.arange(len(ends)) != hub)
    if not open_ended.any():
        return bounds
    return Bounds(bounds.least, ask(destinations=np.flatnonzero(ends | open_ended)).most)


def _spread_within(
    draws: Spread, main: Held, least: np.ndarray, most: np.ndarray, estimated: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end by hub: the spread of the draws within the relaxed bounds; without an estimate, all that can be."""
    low, high = interval(draws.usd)
    all_on = np.maximum(main.onward, np.nan_to_num(most))
    beyond = np.where(main.possible > main.known, np.inf, np.nan_to_num(most) * RELAXED / (1 - UNDERSTATED))
    low, high = np.clip(low, np.nan_to_num(least) / RELAXED, beyond), np.clip(high, np.nan_to_num(least) / RELAXED, beyond)
    point = tilted(main.known, main.held, main.onward, 1.0)
    low, high = np.where(estimated, np.minimum(low, point), least), np.where(estimated, np.maximum(high, point), all_on)
    return low, np.where(np.isnan(most), np.nan, high)


def _status(legs: Legs, hub: str, facts: tuple[bool, bool, bool, float], how: str) -> str:
    estimated, known_in, known_out, beyond = facts
    uncovered = [leg for leg, side in (("inflow", "in"), ("outflow", "out")) if legs.seen[hub][side].status == "not covered"]
    unknown = [leg for leg, known in (("inflow", known_in), ("outflow", known_out)) if not known]
    if estimated:
        parts = ["estimated" if not legs.lacking[hub] else "estimated from the records alone, whose coverage is not stated"]
        if beyond > 0:
            parts.append("more went out than came in on record: the estimate counts nothing unobserved as the origins'")
    elif uncovered:
        parts = [f"bounds only: {' and '.join(uncovered)} not covered"]
    elif not legs.compared[hub]:
        parts = ["bounds only: the legs share no time"]
    else:
        parts = [f"bounds only: {legs.lacking[hub] or 'value of ' + (' and '.join(unknown) or 'a leg') + ' unknown'}"]
    return "; ".join([*parts, how])


def _notes(table: pd.DataFrame) -> list[str]:
    if table.empty:
        return []
    estimated = table["usd_attributed"].notna()
    codes = table["inflow_products"], table["outflow_products"]
    differ = int((codes[0].ne("") & codes[1].ne("") & codes[0].ne(codes[1])).sum())
    most, free = float(table["usd_most"].max()), int((table["usd_least"].le(0) & table["usd_most"].gt(0)).sum())
    others = table["onward_usd"].gt(0) & estimated
    return [
        "where a hub sends goods to others and mixing carries them on to the destinations (onward_usd), usd_attributed counts them too: "
        f"{int(others.sum())} of {len(table)} hubs" if others.any() else "",
        f"usd_low and usd_high hold {NOMINAL:.0%} of draws over stated assumptions, usd_least and usd_most what the balances allow",
        f"the legs of {differ} of {len(table)} hubs are told in different codes (see inflow_products and outflow_products): the "
        "composition is that of the wider goods, and need not be that of what was sent on" if differ else "",
        f"{int((~estimated).sum())} of {len(table)} hubs have bounds and no estimate" if not estimated.all() else "",
        f"the balances allow anything from nothing to usd_most for {free} of {len(table)} hubs" if free and most > 0 else "",
        "goods that pass two hubs count at both, so the rows do not add up" if len(table) > 1 else "",
    ]
