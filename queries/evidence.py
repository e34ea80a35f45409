"""By hub: what is told of the goods that it holds and sends on, from which estimates by mixing and bounds follow."""

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from chiptrail.graphmodel.coverage import CoverageIndex, Observed
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period, window
from chiptrail.queries.assumptions import Held
from chiptrail.queries.holdings import ENOUGH, NO_VALUE, OTHER_SIDE, Legs, alike_flows, candidates, chain_between, comparable, counted, used
from chiptrail.queries.mixing import Chain, amounts, dispatched, held_by, passages, reach, reached
from chiptrail.queries.question import Question, observed_leg, unfit_between

APART, UNKNOWN = "other goods or months came in than went out", "what its suppliers hold is not known"
NOT_SENT = "value of what it sent on unknown"


class Evidence(NamedTuple):
    """By hub: its legs, each side's reports of what it holds and sends on, and what its own balance allows.

    `inflow`, `from_origin` and `outflow` are USD, NaN where nothing is told or a record has no value; `told` has a row for each of
    them, true where anything is told. `least` and `most` are the bounds of the hub's own balance, infinite where nothing limits it.
    `open_ended` are the actors by place that may have passed on to the destinations more than is recorded, and `whole` says that the chain
    holds all that is recorded: every record has a value and names its seller.
    """

    hubs: list[str]
    legs: Legs
    reports: list[Held]
    inflow: np.ndarray
    from_origin: np.ndarray
    outflow: np.ndarray
    told: np.ndarray
    least: np.ndarray
    most: np.ndarray
    open_ended: np.ndarray
    arriving: float
    chain: Chain | None
    whole: bool
    trades: pd.DataFrame
    n_left_out: int = 0


def evidence(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None = None, limit: int | None = None
) -> Evidence:
    """What is known of each hub by the preferred side's reports and, where both sides told of anything, by the other's too.

    Parameters
    ----------
    network, question, asked, prefer
        As in `attribution`; `asked` has the closed window and the products.
    hubs
        Actors to answer for; None for all that receive from the origins or send to the destinations.
    limit
        Where none are named, so many of those that carry the most by the chain; None for all.
    """
    collect = _by_origin if question.concept == "origin" else _by_chain
    found = collect(network, question, asked, prefer, hubs, limit)
    if found.trades["left_aside"].eq("told by the other side too").any():
        other = collect(network, question, asked, OTHER_SIDE[prefer], found.hubs, None)
        at = pd.Index(other.hubs).get_indexer(pd.Index(found.hubs))
        return found._replace(reports=[*found.reports, *(Held(*(part[at] for part in held)) for held in other.reports)])
    return found


def values(found: Evidence) -> list[np.ndarray]:
    """Inflow, inflow from the origins, and outflow: as recorded, or zero where they are covered completely without a record."""
    whole = np.array([found.legs.whole[hub] for hub in found.hubs], dtype=bool)
    seen = [[found.legs.seen[hub][side] for hub in found.hubs] for side in ("in", "in", "out")]
    zero = [~told & _no_row_is_zero(leg) for told, leg in zip(found.told, seen, strict=True)]
    return [np.where(nothing, 0.0, usd) for nothing, usd in zip(
        (zero[0] & whole, zero[1], zero[2]), (found.inflow, found.from_origin, found.outflow), strict=True)]


def _no_row_is_zero(seen: list[Observed]) -> np.ndarray:
    return np.array([leg.status == "covered" and leg.complete for leg in seen], dtype=bool)


def estimated_hubs(network: TradeNetwork, found: Evidence) -> np.ndarray:
    """Hubs whose goods have a composition, and whose legs have values."""
    inflow, ours, outflow = values(found)
    main = found.reports[0]
    if found.chain is not None:
        ours, outflow = np.nan_to_num(ours), np.where(~found.told[2] & (main.onward > 0), 0.0, outflow)
    valued = ~np.isnan(inflow) & ~np.isnan(outflow) & (main.held > 0)
    return valued & (_as_recorded(network, found) | (found.legs.complete() & ~np.isnan(ours)))


def _as_recorded(network: TradeNetwork, found: Evidence) -> np.ndarray:
    """Where a network of firms states no coverage: hubs whose records show nearly all that they send on as received, with values."""
    if network.level == "countries" or len(network.coverage) or found.chain is None:
        return np.zeros(len(found.hubs), dtype=bool)
    held = found.chain.held[network.actors["actor_id"].searchsorted(found.hubs)]
    plain = np.array([why not in (APART, NO_VALUE, UNKNOWN, NOT_SENT) for why in found.legs.lacking.values()], dtype=bool)
    return plain & (held > 0) & (held * ENOUGH <= np.nan_to_num(found.inflow)) & (found.reports[0].known > 0)


def _by_origin(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None, limit: int | None
) -> Evidence:
    inflows, outflows = counted(network, "origin", asked, prefer), counted(network, "dispatched", asked, prefer)
    flows = used(inflows), used(outflows)
    hubs = sorted({*candidates(network, flows, question), *(hubs or ())})
    legs = comparable(network, *flows, hubs, question, asked)
    ours = legs.inflows["seller_id"].isin(question.origins)
    to_end = legs.outflows["buyer_id"].isin(question.destinations)
    sums, told = _sums([(legs.inflows, "buyer_id"), (legs.inflows[ours], "buyer_id"), (legs.outflows[to_end], "seller_id")], hubs)
    open_ended = _open_ended(network, question, asked)
    further, possible = _further(network, flows[1], legs, sums[0], question, hubs, open_ended)
    no_value = set(legs.outflows.loc[legs.outflows["value_usd"].isna(), "seller_id"])
    lacking = {hub: why or (NOT_SENT if hub in no_value else "") for hub, why in legs.lacking.items()}
    legs = legs._replace(lacking=lacking)
    arrived, a, gone = (np.nan_to_num(part) for part in sums)
    leaving = legs.outflows.groupby("seller_id")["value_usd"].sum().reindex(hubs).fillna(0.0).to_numpy()
    outside = np.maximum(leaving - arrived, 0.0)
    reports = [Held(arrived + outside, a, a + outside, gone + further, _share_cif(legs, hubs))]
    least = np.maximum(gone - (arrived + outside - a), 0.0)
    coming = np.where(np.isnan(sums[1]), np.inf, sums[1])
    unlimited = open_ended[network.actors["actor_id"].searchsorted(hubs)] | (told[2] & np.isnan(sums[2]))
    leaving = np.where(unlimited, np.inf, gone + possible)
    straight = flows[1]["seller_id"].isin(question.origins) & flows[1]["buyer_id"].isin(question.destinations)
    trades = pd.concat([inflows[inflows["buyer_id"].isin(hubs)], outflows[outflows["buyer_id"].isin(question.destinations)]])
    return Evidence(hubs, legs, reports, sums[0], sums[1], sums[2], told, least, np.minimum(coming, leaving), open_ended,
                    float(flows[1].loc[straight, "value_usd"].sum()), None, True, trades)


def _open_ended(network: TradeNetwork, question: Question, asked: dict[str, Any]) -> np.ndarray:
    """By actor whether it may have sent on to the destinations what no record shows.

    Placeholders and forwarders may, and where a network states its coverage, actors whose dispatches to the destinations it does not
    cover; a network without coverage is taken as recorded.
    """
    ids = network.actors["actor_id"]
    found = unfit_between(network)
    if len(network.coverage):
        coverage, days = CoverageIndex(network), window(asked["since"], asked["until"])
        found = found | [observed_leg(coverage, actor, "out", question, *days).status == "not covered" for actor in ids]
    return found & ~ids.isin(question.origins | question.destinations).to_numpy()


def _further(
    network: TradeNetwork, dispatches: pd.DataFrame, legs: Legs, inflow: np.ndarray, question: Question, hubs: list[str],
    open_ended: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """What each hub sends to others that goes on to the destinations, USD: by mixing, and at most.

    The others hold what they imported by origin, where dispatches to them tell of less; those whose inflow is not covered pass nothing
    on by mixing.
    """
    elsewhere = legs.outflows[~legs.outflows["buyer_id"].isin(question.destinations)]
    ids, flows = network.actors["actor_id"], alike_flows(dispatches, question)
    holding = np.zeros(len(ids))
    holding[ids.searchsorted(hubs)] = np.nan_to_num(inflow)
    compared = legs.outflows[legs.outflows["seller_id"].isin([hub for hub in hubs if not legs.lacking[hub]])]
    whole = pd.concat([flows[flows["seller_id"].isin(question.origins)], compared])
    ends = np.flatnonzero(ids.isin(question.destinations))
    onward = reach(chain_between(network, whole, question, holding), ends)
    at = ids.searchsorted(elsewhere["buyer_id"])
    given = _given(network, flows, question, open_ended)
    pairs = elsewhere.assign(mixed=elsewhere["value_usd"].fillna(0.0) * onward[at],
                             most=elsewhere["value_usd"].fillna(np.inf)).groupby(["seller_id", "buyer_id"])[["most", "mixed"]].sum()
    limit = pd.Series(given, index=ids).reindex(pairs.index.get_level_values(1)).to_numpy()
    limit = np.where(pairs.index.get_level_values(1).isin(list(question.origins)), 0.0, limit)
    sums = pairs.assign(most=np.minimum(pairs["most"], limit)).groupby(level=0)[["mixed", "most"]].sum().reindex(hubs).fillna(0.0)
    return sums["mixed"].to_numpy(), sums["most"].to_numpy()


def _given(network: TradeNetwork, flows: pd.DataFrame, question: Question, open_ended: np.ndarray) -> np.ndarray:
    """The most that each actor can have sent on towards the destinations, USD; infinite where nothing limits it."""
    ids = network.actors["actor_id"]
    steps = chain_between(network, flows.assign(value_usd=flows["value_usd"].fillna(1.0)), question).onward
    ending = reached(steps, ids.isin(question.destinations).to_numpy() | open_ended).astype(float)
    usd, unknown = _sent(network, flows), _sent(network, flows[flows["value_usd"].isna()].assign(value_usd=1.0))
    return np.where(open_ended | (unknown @ ending > 0), np.inf, usd @ ending)


def _sent(network: TradeNetwork, flows: pd.DataFrame) -> sparse.csr_array:
    """USD by seller (row) and buyer."""
    ids = network.actors["actor_id"]
    ends = ids.searchsorted(flows["seller_id"]), ids.searchsorted(flows["buyer_id"])
    return sparse.coo_array((flows["value_usd"].fillna(0.0).to_numpy(dtype=float), ends), shape=(len(ids), len(ids))).tocsr()


def _by_chain(
    network: TradeNetwork, question: Question, asked: dict[str, Any], prefer: str, hubs: list[str] | None, limit: int | None
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
    n_left_out = 0
    if hubs is None:
        hubs = candidates(network, (flows, flows), question)
        n_left_out = max(len(hubs) - limit, 0) if limit else 0
        carried = (possible * onward)[ids.searchsorted(hubs)]
        hubs = sorted(hubs[i] for i in np.argsort(-carried, kind="stable")[:limit])
    at = ids.searchsorted(hubs)
    times = passages(chain, at)
    legs = _legs_of_chain(network, flows, chain, hubs, question, asked)
    held = Held(chain.held[at] / times, passing[at] / times, possible[at] / times, chain.held[at] / times * onward[at],
                _share_cif(legs, hubs))
    ours, to_end = legs.inflows["seller_id"].isin(question.origins), legs.outflows["buyer_id"].isin(question.destinations)
    sums, told = _sums([(legs.inflows, "buyer_id"), (legs.inflows[ours], "buyer_id"), (legs.outflows[to_end], "seller_id")], hubs)
    open_ended = _open_ended(network, question, asked)
    taken = _taken(network, flows, question)[at]
    least = np.maximum(np.nan_to_num(sums[2]) - (chain.held[at] - np.nan_to_num(sums[1])), 0.0)
    most = np.minimum(taken, _given(network, flows, question, open_ended)[at])
    named = ~flows["seller_id"].isin(ids[unfit_between(network)])
    return Evidence(hubs, legs, [held], sums[0], sums[1], sums[2], told, least, np.maximum(most, least), open_ended,
                    float(passing[ends[1]].sum()), chain, bool((flows["value_usd"].notna() & named).all()), trades, n_left_out)


def _taken(network: TradeNetwork, flows: pd.DataFrame, question: Question) -> np.ndarray:
    """The most of the origins' goods that each actor can have received, USD; infinite where a record that can carry them has no value."""
    ids = network.actors["actor_id"]
    steps = chain_between(network, flows.assign(value_usd=flows["value_usd"].fillna(1.0)), question).onward
    origins = ids.isin(question.origins).to_numpy()
    usd, unknown = _sent(network, flows), _sent(network, flows[flows["value_usd"].isna()].assign(value_usd=1.0))
    first = (usd + unknown).T @ origins.astype(float) > 0
    holding = (reached(steps.T, first) | origins).astype(float)
    return np.where(unknown.T @ holding > 0, np.inf, usd.T @ holding)


def _legs_of_chain(
    network: TradeNetwork, flows: pd.DataFrame, chain: Chain, hubs: list[str], question: Question, asked: dict[str, Any]
) -> Legs:
    """The hubs' legs; their goods have a composition only if the chain holds no other goods and months of theirs, and their suppliers'
    goods have one too."""
    ids = network.actors["actor_id"].to_numpy(dtype=object)
    ends = question.origins | question.destinations
    senders = set(flows["seller_id"]) - ends if len(network.coverage) else set()
    everyone = sorted({*senders, *hubs})
    received, sent = flows[flows["buyer_id"].isin(everyone)], flows[flows["seller_id"].isin(everyone)]
    legs = comparable(network, received, sent, everyone, question, asked)
    days = window(asked["since"], asked["until"])
    lacking = {hub: why if len(network.coverage) or why == NO_VALUE else "" for hub, why in legs.lacking.items()}
    for side, leg in (("buyer_id", legs.inflows), ("seller_id", legs.outflows)):
        n_all, n_here = (part[side].value_counts().reindex(everyone).fillna(0) for part in (flows, leg))
        lacking |= {hub: lacking[hub] or APART for hub in n_all.index[n_all.ne(n_here)]}
    lacking |= {hub: lacking[hub] or APART for hub in everyone if legs.compared[hub] and not _is_window(legs.compared[hub], *days)}
    no_value = set(flows.loc[flows["value_usd"].isna(), "buyer_id"])
    doubtful = [hub for hub, why in lacking.items() if why] if len(network.coverage) else no_value
    share = pd.Series(held_by(chain, np.isin(ids, list(set(doubtful) - ends))), index=ids)[everyone]
    lacking |= {hub: lacking[hub] or UNKNOWN for hub in share.index[share > 1 - ENOUGH]}
    valueless = np.isin(ids, list(set(flows.loc[flows["value_usd"].isna(), "seller_id"]) - ends))
    before = set(ids[reached(chain.onward, valueless)])
    lacking |= {hub: lacking[hub] or NOT_SENT for hub in everyone if hub in before}
    lacking |= {hub: lacking[hub] or legs.lacking[hub] for hub in everyone}
    whole = {hub: legs.whole[hub] and lacking[hub] in ("", UNKNOWN, NOT_SENT) for hub in everyone}
    inflows, outflows = legs.inflows[legs.inflows["buyer_id"].isin(hubs)], legs.outflows[legs.outflows["seller_id"].isin(hubs)]
    return Legs(inflows, outflows, legs.seen, legs.compared, {hub: lacking[hub] for hub in hubs}, whole)


def _is_window(compared: str, first: pd.Timestamp | None, last: pd.Timestamp | None) -> bool:
    """Whether the days compared are all days of the window."""
    spans = [parse_period(part) for part in compared.split(", ")]
    joined = all(b + pd.Timedelta(days=1) >= c for (_, b), (c, _) in pairwise(spans))
    return joined and spans[0][0] == first and spans[-1][1] == last


def _sums(legs: list[tuple[pd.DataFrame, str]], hubs: list[str]) -> tuple[list[np.ndarray], np.ndarray]:
    """USD by hub, missing where nothing is recorded or a record has no value; and whether anything is."""
    sums = [leg.groupby(side)["value_usd"].sum(skipna=False).reindex(hubs).to_numpy(dtype=float) for leg, side in legs]
    return sums, np.array([np.isin(hubs, list(leg[side].unique())) for leg, side in legs])


def _share_cif(legs: Legs, hubs: list[str]) -> np.ndarray:
    """Part of each hub's inflow that is valued CIF."""
    usd = legs.inflows["value_usd"].fillna(0.0)
    groups = legs.inflows["buyer_id"]
    total, cif = (v.groupby(groups).sum().reindex(hubs).fillna(0.0).to_numpy() for v in (usd, usd * legs.inflows["cif"]))
    return np.divide(cif, total, out=np.zeros(len(hubs)), where=total > 0)
