"""Origin attribution: how much of what reached the destinations was the origins', and through whom, between which bounds?"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import CoverageIndex, Observed
from chiptrail.graphmodel.errors import InputError, NotComparableError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.assumptions import NOMINAL, RELAXED, UNDERSTATED, Held, Spread, interval, spread, tilted
from chiptrail.queries.balances import balanced
from chiptrail.queries.baseline import Periods, periods_of, shared_spans
from chiptrail.queries.holdings import ENOUGH, OTHER_SIDE, Legs, alike_flows, candidates, chain_between, comparable, counted, used
from chiptrail.queries.mixing import Chain, amounts, dispatched, passages, reach
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


class Evidence(NamedTuple):
    """By hub: its legs, each side's reports of what it holds and sends on, and what its own balance allows."""

    hubs: list[str]
    legs: Legs
    reports: list[Held]
    inflow: np.ndarray
    from_origin: np.ndarray
    outflow: np.ndarray
    least: np.ndarray
    most: np.ndarray
    arriving: float
    chain: Chain | None
    trades: pd.DataFrame
    n_left_out: int = 0


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
        `hub_id`, `hub`, `country`, `concept`; `inflow_usd` (USD from all sellers), `inflow_origin_usd` (USD of the origins in it: by
        origin as recorded, by dispatch what came straight from them), `outflow_usd` (USD dispatched to the destinations),
        `onward_usd` (USD, of whatever origin, that it dispatches to others and that mixing carries on to the destinations; missing
        where no dispatch to others is on record), `unobserved_usd` (USD of outflow above all recorded inflow: what came from nobody
        knows where); `share_of_origin` (0-1, of what the hub holds), `share_low`, `share_high`; `usd_attributed` (USD by proportional
        mixing, in `outflow_usd` and `onward_usd` together; missing where the inflow is not covered), `share_attributed` (0-1, of all
        goods of the origins that are known to end at the destinations, directly or by hubs);
        `usd_low`, `usd_high` (USD, nominal 90 % interval over the assumptions of `queries.assumptions`), `usd_least`, `usd_most`
        (USD, what the balances allow for the recorded goods of the origins, whatever is assumed); `usd_direct` (USD by proportional
        mixing in `outflow_usd` alone: every dollar counts at the hub it left last, so that these add up), `usd_direct_before` (USD, the
        same of the earlier period), `change_usd` with `change_low_usd` and `change_high_usd` (USD more than in the earlier period, and
        its nominal 90 % interval: what is assumed is assumed of both periods; missing without `against`, or where the two periods do
        not cover the same months and goods of the hub); `inflow_coverage`,
        `outflow_coverage`, `compared` (the days compared), `inflow_products`, `outflow_products` (codes compared) and `status`
        (`estimated`, or why not, and what to beware of). Sorted by `change_usd` where `against` is given, then by `usd_attributed` and
        `usd_most`. `attrs` holds the question,
        notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value, for `concept="origin"` on firms, whose imports by origin no one tells, and if
        `against` has other months, or is given without a window.
    InputError
        If a hub is one of the origins or destinations.

    Notes
    -----
    By origin: USD attributed = the origins' part of all that the hub holds (its imports, or all its dispatches where these are more: a
    hub that makes goods itself) x what it dispatches to the destinations, and to others that mixing sends on there (`onward_usd`;
    others whose own inflow is not covered add nothing to it). By dispatch: with N the
    fundamental matrix of the absorbing chain, USD attributed = entering x N_oh / N_hh x P(ends at the destinations from h); a hub
    on a cycle gets no more than all, and goods through two hubs count at both (Kastner, Kastner and Nonhebel 2011, doi
    10.1016/j.ecolecon.2011.01.012; Kemeny and Snell 1960). Bounds come from the balances of the whole network for hubs that are named
    and in small networks, else from the hub's own balance, which is wider; `status` says which.

    Cautions: mixing is an assumption, and nobody saw the goods pass. Least and most count recorded goods; what came unobserved may
    add to the most, and `usd_high` allows for it. Goods in stock before the window are not seen, and outflows lag inflows. Where the
    two legs are told in different codes, the composition is that of the wider goods. A high amount is a lead; what a hub passes on may
    be lawful trade. A country that makes goods and buys parts from the origins stands high by amount though its trade is ordinary;
    `against` shows what was added, and that may have lawful reasons too.

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
    found = evidence(network, question, asked, prefer, chosen)
    table, more = _rows(network, found, question, chosen is not None)
    if against is not None and len(table):
        _compare(network, table, found, question, asked, prefer, against)
    table = table if chosen is None else table[table["hub_id"].isin(chosen)]
    order = ["change_usd", "usd_attributed", "usd_most", "outflow_usd", "inflow_origin_usd"]
    table = table.sort_values("hub_id", kind="stable").sort_values(order, ascending=False, kind="stable", na_position="last")
    notes += [*scope_notes(network, concept, found.trades), *more, *_notes(table)]
    question_asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept, **asked, "prefer": prefer,
                      "hubs": hubs, "against": against}
    return answer(shaped(table, _DTYPES), network, question=question_asked, notes=notes, source_ids=used(found.trades)["source_id"],
                  left_aside=found.trades["left_aside"])


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


def evidence(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None
) -> Evidence:
    """What is known of each hub by the preferred side's reports and, where both sides told of anything, by the other's too."""
    collect = _by_origin if question.concept == "origin" else _by_chain
    found = collect(network, question, asked, prefer, hubs)
    if found.trades["left_aside"].eq("told by the other side too").any():
        other = collect(network, question, asked, OTHER_SIDE[prefer], found.hubs)
        return found._replace(reports=[*found.reports, *other.reports])
    return found


def _by_origin(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None
) -> Evidence:
    inflows, outflows = counted(network, "origin", asked, prefer), counted(network, "dispatched", asked, prefer)
    flows = used(inflows), used(outflows)
    hubs = sorted({*candidates(network, flows, question), *(hubs or ())})
    legs = comparable(network, *flows, hubs, question, asked)
    ours = legs.inflows["seller_id"].isin(question.origins)
    to_end = legs.outflows["buyer_id"].isin(question.destinations)
    inflow, known = _sum(legs.inflows, "buyer_id", hubs), _sum(legs.inflows[ours], "buyer_id", hubs)
    sent = _sum(legs.outflows[to_end], "seller_id", hubs)
    further, possible = _further(network, flows[1], legs, inflow, question, hubs)
    arrived, gone, a = np.nan_to_num(inflow), np.nan_to_num(sent), np.nan_to_num(known)
    leaving = legs.outflows.groupby("seller_id")["value_usd"].sum().reindex(hubs).fillna(0.0).to_numpy()
    outside = np.maximum(leaving - arrived, 0.0)
    reports = [Held(arrived + outside, a, a + outside, gone + further, _share_cif(legs, hubs))]
    least = np.maximum(gone - (arrived + outside - a), 0.0)
    straight = flows[1]["seller_id"].isin(question.origins) & flows[1]["buyer_id"].isin(question.destinations)
    trades = pd.concat([inflows[inflows["buyer_id"].isin(hubs)], outflows[outflows["buyer_id"].isin(question.destinations)]])
    return Evidence(hubs, legs, reports, inflow, known, sent, least, np.minimum(a, gone + possible),
                     float(flows[1].loc[straight, "value_usd"].sum()), None, trades)


def _further(
    network: TradeNetwork, dispatches: pd.DataFrame, legs: Legs, inflow: np.ndarray, question: Question, hubs: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """What each hub sends to others that goes on to the destinations, USD: by mixing, and at most.

    The others hold what they imported by origin, where dispatches to them tell of less; those whose inflow is not covered pass nothing
    on by mixing.
    """
    elsewhere = legs.outflows[~legs.outflows["buyer_id"].isin(question.destinations)]
    ids, flows = network.actors["actor_id"], alike_flows(dispatches, question)
    holding = np.zeros(len(ids))
    holding[ids.searchsorted(hubs)] = np.nan_to_num(inflow)
    whole = flows["seller_id"].isin([*question.origins, *(hub for hub in hubs if legs.complete[hub])])
    chain = chain_between(network, flows, question)
    onward = reach(chain_between(network, flows[whole], question, holding), np.flatnonzero(ids.isin(question.destinations)))
    at = ids.searchsorted(elsewhere["buyer_id"])
    passes_on = chain.sent @ (reach(chain, np.flatnonzero(ids.isin(question.destinations))) > 0).astype(float)
    pairs = elsewhere.assign(mixed=elsewhere["value_usd"] * onward[at]).groupby(["seller_id", "buyer_id"])[["value_usd", "mixed"]].sum()
    limit = pd.Series(passes_on, index=ids).reindex(pairs.index.get_level_values(1)).to_numpy()
    limit = np.where(pairs.index.get_level_values(1).isin(list(question.origins)), 0.0, limit)
    sums = pairs.assign(most=np.minimum(pairs["value_usd"], limit)).groupby(level=0)[["mixed", "most"]].sum().reindex(hubs).fillna(0.0)
    return sums["mixed"].to_numpy(), sums["most"].to_numpy()


def _by_chain(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None
) -> Evidence:
    trades = counted(network, "dispatched", asked, prefer)
    flows = alike_flows(used(trades), question)
    chain = chain_between(network, flows, question)
    ids = network.actors["actor_id"]
    ends = [np.flatnonzero(ids.isin(names)) for names in (question.origins, question.destinations)]
    entering = dispatched(chain, ends[0])
    free = np.where(chain.kept < 1, chain.unobserved, 0.0)
    passing, possible = amounts(chain, np.column_stack([entering, entering + free])).T
    onward = reach(chain, ends[1])
    place = pd.Series(np.arange(len(ids)), index=ids)
    n_left_out = 0
    if hubs is None:
        hubs = candidates(network, (flows, flows), question)
        n_left_out = max(len(hubs) - MOST_HUBS, 0)
        carried = (possible * onward)[place[hubs].to_numpy(dtype=int)]
        hubs = sorted(hubs[i] for i in np.argsort(-carried, kind="stable")[:MOST_HUBS])
    at = place[hubs].to_numpy(dtype=int)
    times = passages(chain, at)
    legs = comparable(network, flows[flows["buyer_id"].isin(hubs)], flows[flows["seller_id"].isin(hubs)], hubs, question, asked)
    held = Held(chain.held[at] / times, passing[at] / times, possible[at] / times, chain.held[at] / times * onward[at],
                _share_cif(legs, hubs))
    inflow = _sum(flows, "buyer_id", hubs)
    direct = _sum(flows[flows["seller_id"].isin(question.origins)], "buyer_id", hubs)
    sent = _sum(flows[flows["buyer_id"].isin(question.destinations)], "seller_id", hubs)
    tracked, ending = passing > 0, onward > 0
    tracked[ends[0]] = ending[ends[1]] = True
    taken = (chain.sent.T @ tracked.astype(float))[at]
    least = np.maximum(np.nan_to_num(sent) - (chain.held[at] - np.nan_to_num(direct)), 0.0)
    most = np.minimum(taken, (chain.sent @ ending.astype(float))[at])
    return Evidence(hubs, legs, [held], inflow, direct, sent, least, np.maximum(most, least), float(passing[ends[1]].sum()), chain,
                     trades, n_left_out)


def _sum(flows: pd.DataFrame, side: str, hubs: list[str]) -> np.ndarray:
    """USD by hub; missing where nothing is recorded, or a record has no value."""
    return flows.groupby(side)["value_usd"].sum(skipna=False).reindex(hubs).to_numpy(dtype=float)


def _share_cif(legs: Legs, hubs: list[str]) -> np.ndarray:
    """Part of each hub's inflow that is valued CIF."""
    usd = legs.inflows["value_usd"].fillna(0.0)
    groups = legs.inflows["buyer_id"]
    total, cif = (v.groupby(groups).sum().reindex(hubs).fillna(0.0).to_numpy() for v in (usd, usd * legs.inflows["cif"]))
    return np.divide(cif, total, out=np.zeros(len(hubs)), where=total > 0)


def _rows(network: TradeNetwork, found: Evidence, question: Question, named: bool) -> tuple[pd.DataFrame, list[str]]:
    """The table, unsorted, and notes on what it does not hold."""
    hubs, legs, main = found.hubs, found.legs, found.reports[0]
    notes = ["usd_attributed assumes that what a hub sends on is a like part of all it holds; nobody saw the goods pass"]
    if not hubs:
        return pd.DataFrame(columns=list(COLUMNS)), notes
    whole = np.array([legs.complete[hub] for hub in hubs])
    inflow, ours, outflow = _values(found)
    estimated = estimated_hubs(network, found)
    point = np.where(estimated, tilted(main.known, main.held, main.onward, 1.0), np.nan)
    share = np.divide(main.known, main.held, out=np.full(len(hubs), np.nan), where=estimated)
    least, most, how = _bounds(network, found, question, point, named)
    least = np.where(whole, least, 0.0)
    nothing = np.isnan(ours) & np.isnan(outflow) & (main.onward <= 0)
    known_out, known_in = ~np.isnan(outflow) | (main.onward > 0), ~np.isnan(ours) | (main.known > 0)
    most = np.where(known_out & known_in, most, np.where(known_in, ours, np.where(known_out, main.onward, np.nan)))
    least = np.where(nothing, np.nan, np.where(known_out & known_in, least, 0.0))
    draws = spread(found.reports, by_origin=question.concept == "origin")
    low, high = _spread_within(draws, main, least, most, estimated)
    share_low, share_high = (np.where(estimated, end, np.nan) for end in interval(draws.share))
    beyond = main.possible - main.known if found.chain is None else found.chain.unobserved[network.actors["actor_id"].searchsorted(hubs)]
    total = found.arriving + (float(np.nansum(point)) if found.chain is None else 0.0)
    table = pd.DataFrame({
        "hub_id": hubs, "concept": question.concept, "inflow_usd": inflow, "inflow_origin_usd": ours, "outflow_usd": outflow,
        "onward_usd": _by_others(found, question),
        "unobserved_usd": beyond,
        "share_of_origin": share, "share_low": share_low, "share_high": share_high, "usd_attributed": point,
        "share_attributed": point / total if total > 0 else np.nan, "usd_low": low, "usd_high": high, "usd_least": least,
        "usd_most": most, "usd_direct": np.where(outflow == 0, 0.0, share * outflow),
        **dict.fromkeys(("usd_direct_before", "change_usd", "change_low_usd", "change_high_usd"), np.nan),
        "compared": [legs.compared[hub] for hub in hubs],
        "status": [_status(legs, hub, facts, text) for hub, facts, text in zip(
            hubs, zip(estimated, known_in, known_out, inflow, beyond, strict=True), how, strict=True)],
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
) -> None:
    """Fills the columns that compare `table`, the rows of `found`, with an earlier period."""
    periods = periods_of(asked["since"], asked["until"], against)
    since, until = (str(day.date()) for day in periods.before)
    past = evidence(network, question, asked | {"since": since, "until": until}, prefer, found.hubs)
    at = pd.Index(past.hubs).get_indexer(pd.Index(found.hubs))
    before, draws_before = (part[..., at] for part in _direct(network, past, question))
    now, draws = _direct(network, found, question)
    alike = np.array([_same_cover(found.legs, past.legs, hub, periods) for hub in found.hubs], dtype=bool)
    before, change = (np.where(alike, usd, np.nan) for usd in (before, now - before))
    low, high = interval(draws - draws_before)
    table["usd_direct_before"], table["change_usd"] = before, change
    table["change_low_usd"], table["change_high_usd"] = np.fmin(low, change) + 0 * change, np.fmax(high, change) + 0 * change
    table["status"] += np.where(alike | np.isnan(now), "", "; the two periods do not cover the same months and goods")


def _direct(network: TradeNetwork, found: Evidence, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """USD of the origins' goods in what each hub dispatches to the destinations itself: the point, and the draws around it."""
    main, outflow = found.reports[0], _values(found)[2]
    estimated = estimated_hubs(network, found)
    share = np.divide(main.known, main.held, out=np.full(len(found.hubs), np.nan), where=estimated)
    point, all_on = np.where(outflow == 0, 0.0, share * outflow), tilted(main.known, main.held, main.onward, 1.0)
    own = np.divide(point, all_on, out=np.zeros(len(point)), where=all_on > 0)
    return point, spread(found.reports, by_origin=question.concept == "origin").usd * own


def _same_cover(now: Legs, before: Legs, hub: str, periods: Periods) -> bool:
    """Whether the data cover the same months of both periods, and the same goods."""
    spans = [tuple(parse_period(part) for part in legs.compared[hub].split(", ") if part) for legs in (now, before)]
    goods = all(now.seen[hub][side].products == before.seen[hub][side].products for side in ("in", "out"))
    return goods and bool(spans[0]) and shared_spans(*spans, periods.shift) == tuple(spans)


def _by_others(found: Evidence, question: Question) -> np.ndarray:
    """USD that each hub dispatches to others and that mixing carries on; missing where no dispatch to others is on record."""
    sent = found.legs.outflows
    recorded = set(sent.loc[~sent["buyer_id"].isin(question.destinations), "seller_id"])
    onward = np.maximum(found.reports[0].onward - np.nan_to_num(found.outflow), 0.0)
    return np.where([hub in recorded for hub in found.hubs], onward, np.nan)


def estimated_hubs(network: TradeNetwork, found: Evidence) -> np.ndarray:
    """Hubs whose goods have a composition, and whose legs have values."""
    whole = np.array([found.legs.complete[hub] for hub in found.hubs], dtype=bool)
    inflow, ours, outflow = _values(found)
    main = found.reports[0]
    if found.chain is not None:
        ours, outflow = np.where(np.isnan(ours), 0.0, ours), np.where(main.onward > 0, np.nan_to_num(outflow), outflow)
    valued = ~np.isnan(inflow) & ~np.isnan(outflow) & (main.held > 0)
    return valued & (_as_recorded(network, found) | (whole & ~np.isnan(ours)))


def _values(found: Evidence) -> list[np.ndarray]:
    """Inflow, inflow from the origins, and outflow: as recorded, or zero where they are covered completely without a record."""
    whole = np.array([found.legs.complete[hub] for hub in found.hubs], dtype=bool)
    return [_or_zero(values, [found.legs.seen[hub][side] for hub in found.hubs], whole if side == "in" else None)
            for values, side in ((found.inflow, "in"), (found.from_origin, "in"), (found.outflow, "out"))]


def _as_recorded(network: TradeNetwork, found: Evidence) -> np.ndarray:
    """Where a network of firms states no coverage: hubs whose records show nearly all that they send on as received, with values."""
    if network.level == "countries" or len(network.coverage):
        return np.zeros(len(found.hubs), dtype=bool)
    main = found.reports[0]
    return (main.held > 0) & (main.held * ENOUGH <= np.nan_to_num(found.inflow)) & (main.known > 0)


def _or_zero(values: np.ndarray, seen: list[Observed], whole: np.ndarray | None) -> np.ndarray:
    """The values, with zero where nothing is recorded though all is covered completely."""
    zero = np.array([leg.status == "covered" and leg.complete for leg in seen], dtype=bool)
    return np.where(np.isnan(values) & zero & (True if whole is None else whole), 0.0, values)


def _bounds(
    network: TradeNetwork, found: Evidence, question: Question, point: np.ndarray, named: bool
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Least and most by hub, and which balances they come from."""
    least, most, how = found.least.copy(), found.most.copy(), ["bounds from the hub's own balance"] * len(found.hubs)
    if found.chain is None or not (named or found.chain.sent.nnz <= SMALL):
        return least, most, how
    ids = network.actors["actor_id"]
    ends = [np.flatnonzero(ids.isin(names)) for names in (question.origins, question.destinations)]
    first = np.argsort(-np.where(np.isnan(point), found.most, point), kind="stable")
    for i in first if named else first[:EXACT]:
        least[i], most[i] = balanced(found.chain, origins=ends[0], destinations=ends[1], hub=int(ids.searchsorted(found.hubs[i])),
                                     incomplete=~ids.isin([h for h in found.hubs if found.legs.complete[h]]).to_numpy())
        how[i] = "bounds from all balances of the network"
    return least, most, how


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


def _status(
    legs: Legs, hub: str, facts: tuple[bool, bool, bool, float, float], how: str
) -> str:
    estimated, known_in, known_out, inflow, beyond = facts
    lacking = [leg for leg, side in (("inflow", "in"), ("outflow", "out")) if legs.seen[hub][side].status == "not covered"]
    if estimated:
        parts = ["estimated" if legs.complete[hub] else "estimated from the records alone, whose coverage is not stated"]
        if beyond > 0:
            parts.append("more went out than came in on record: the estimate counts nothing unobserved as the origins'")
    elif lacking:
        parts = [f"bounds only: {' and '.join(lacking)} not covered"]
    elif not legs.compared[hub]:
        parts = ["bounds only: the legs share no time"]
    elif not legs.complete[hub]:
        parts = ["bounds only: the inflow from all sellers is not covered"]
    else:
        unknown = [leg for leg, known in (("inflow", known_in and not np.isnan(inflow)), ("outflow", known_out)) if not known]
        parts = [f"bounds only: value of {' and '.join(unknown) or 'a leg'} unknown"]
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
        f"for {int(others.sum())} hubs usd_attributed also counts goods that they send to others and that mixing carries on to the "
        "destinations (onward_usd)" if others.any() else "",
        f"usd_low and usd_high hold {NOMINAL:.0%} of draws over stated assumptions, usd_least and usd_most what the balances allow",
        f"for {differ} hubs the legs are told in different codes (see inflow_products and outflow_products): the composition is that "
        "of the wider goods, and need not be that of what was sent on" if differ else "",
        f"{int((~estimated).sum())} of {len(table)} hubs have bounds and no estimate" if not estimated.all() else "",
        f"for {free} hubs the balances allow anything from nothing to usd_most" if free and most > 0 else "",
        "goods that pass two hubs count at both, so the rows do not add up" if len(table) > 1 else "",
    ]
