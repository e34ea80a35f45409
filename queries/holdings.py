"""What hubs hold of the origins' goods and send to the destinations: by their imports by origin, or by the chain of all dispatches."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.compiled import numbers
from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.coverage import CoverageIndex, Observed, Span, overlaps
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period, window
from chiptrail.queries.baseline import EVERYBODY, under
from chiptrail.queries.mixing import Chain, chain_of
from chiptrail.queries.question import Question, observed_leg, unfit_between
from chiptrail.queries.scope import count_once, trades_in_scope

OTHER_SIDE = {"exporter": "importer", "importer": "exporter"}
NO_VALUE = "value of inflow unknown"
ENOUGH = 0.9
"""Part of a hub's possible suppliers whose sales to it must be covered before its goods have a composition."""


class Legs(NamedTuple):
    """Flows into hubs and out of them in comparable months and goods, each once, and what the data cover of each hub's legs.

    `inflows` and `outflows` have `seller_id`, `buyer_id`, `code`, `value_usd`, `cif`; `compared` says by hub in which time; `lacking` why
    its goods have no composition, empty where the inflow from nearly all sellers is covered in that time; `whole` whether it is from
    all of them, no row is missing, and the goods sent are among those covered, so that nothing else can have come in.
    """

    inflows: pd.DataFrame
    outflows: pd.DataFrame
    seen: dict[str, dict[str, Observed]]
    compared: dict[str, str]
    lacking: dict[str, str]
    whole: dict[str, bool]

    def complete(self) -> np.ndarray:
        """By hub, in their order, whether its goods have a composition."""
        return np.array([not why for why in self.lacking.values()], dtype=bool)


def counted(network: TradeNetwork, concept: str, asked: dict[str, Any], prefer: str) -> pd.DataFrame:
    """Trades of a concept in the question, between two actors and each flow once; see `left_aside`."""
    trades = trades_in_scope(network, concept=concept, products=asked["products"], since=asked["since"], until=asked["until"])
    trades.loc[trades["left_aside"].eq("") & trades["seller_id"].eq(trades["buyer_id"]), "left_aside"] = "seller is the buyer"
    trades = count_once(network, trades, prefer=prefer)
    return trades.assign(cif=trades["valuation"].eq("CIF") | (trades["valuation"].eq("") & trades["flow"].eq("import")))


def used(trades: pd.DataFrame) -> pd.DataFrame:
    """The trades that count."""
    return trades[trades["left_aside"].eq("")]


def candidates(network: TradeNetwork, flows: Sequence[pd.DataFrame], question: Question) -> list[str]:
    """Actors that receive from the origins or send to the destinations, and are neither, nor placeholders, forwarders or weapons."""
    actors = network.actors
    unfit = set(actors.loc[unfit_between(network) | actors["kind"].eq("weapon"), "actor_id"])
    inflows, outflows = flows
    found = set(inflows.loc[inflows["seller_id"].isin(question.origins), "buyer_id"])
    found |= set(outflows.loc[outflows["buyer_id"].isin(question.destinations), "seller_id"])
    return sorted(found - unfit - question.origins - question.destinations)


def comparable(
    network: TradeNetwork, inflows: pd.DataFrame, outflows: pd.DataFrame, hubs: Sequence[str], question: Question, asked: dict[str, Any]
) -> Legs:
    """The flows of each hub in the time and the goods that the data tell of both its legs."""
    coverage, days = CoverageIndex(network), window(asked["since"], asked["until"])
    sellers = frozenset({*network.actors["country"], *network.coverage["reporter"], *question.origins}) - {""} - question.destinations
    legs, places = {}, {}
    for side, leg, role in (("in", inflows, "buyer_id"), ("out", outflows, "seller_id")):
        at = pd.Index(hubs).get_indexer(pd.Index(leg[role]))
        legs[side], places[side] = leg[at >= 0], at[at >= 0]
    finer = _all_months(legs, places, len(hubs))
    seen = {hub: {side: observed_leg(coverage, hub, side, question, *days) for side in ("in", "out")} for hub in hubs}
    spans = [_shared(seen[hub], months) for hub, months in zip(hubs, finer, strict=True)]
    for side in ("in", "out"):
        inside = _inside(legs[side], places[side], spans)
        legs[side], places[side] = legs[side][inside], places[side][inside]
    alike = _alike_legs(legs, places, len(hubs), question)
    compared = {hub: ", ".join(f"{a.date()}/{b.date()}" for a, b in own) for hub, own in zip(hubs, spans, strict=True)}
    inflow, outflow = legs["in"][alike["in"]], legs["out"][alike["out"]]
    known = {hub: _completeness(coverage, hub, sellers, seen[hub]["in"], question, own, not months)
             for hub, own, months in zip(hubs, spans, finer, strict=True)}
    lacking = {hub: "" if enough else "the inflow from all sellers is not covered" for hub, (enough, _) in known.items()}
    lacking |= dict.fromkeys(inflow.loc[inflow["value_usd"].isna(), "buyer_id"], NO_VALUE)
    ending = outflow[outflow["buyer_id"].isin(question.destinations)]
    wide = {hub for hub, code in zip(ending["seller_id"], ending["code"], strict=True) if not under(code, seen[hub]["in"].products)}
    whole = {hub: every and not lacking[hub] and hub not in wide for hub, (_, every) in known.items()}
    return Legs(inflow, outflow, seen, compared, lacking, whole)


def _all_months(legs: dict[str, pd.DataFrame], places: dict[str, np.ndarray], n: int) -> np.ndarray:
    """By hub whether no record of its legs spans more than a month."""
    longer = np.zeros(n)
    for side, leg in legs.items():
        start, end = leg["period_start"].dt, leg["period_end"].dt
        longer += np.bincount(places[side], weights=~(start.year.eq(end.year) & start.month.eq(end.month)), minlength=n)
    return longer == 0


def _shared(seen: dict[str, Observed], months: bool) -> list[Span]:
    """The days covered of both legs; whole years where records span more than a month. None where a leg is not covered."""
    spans = [(max(a, c), min(b, d)) for a, b in seen["in"].spans for c, d in seen["out"].spans if max(a, c) <= min(b, d)]
    if months:
        return spans
    return [parse_period(str(year)) for year in sorted({year for a, b in spans for year in range(a.year, b.year + 1)})]


def _inside(leg: pd.DataFrame, places: np.ndarray, spans: list[list[Span]]) -> np.ndarray:
    """Rows within the days of their hub; all rows of a hub without any."""
    found = np.array([not own for own in spans], dtype=bool)[places]
    for start, end in {span for own in spans for span in own}:
        whose = np.array([(start, end) in own for own in spans], dtype=bool)[places]
        found |= whose & (leg["period_start"].ge(start) & leg["period_end"].le(end)).to_numpy()
    return found


def _alike_legs(
    legs: dict[str, pd.DataFrame], places: dict[str, np.ndarray], n: int, question: Question
) -> dict[str, np.ndarray]:
    """Rows of each leg whose goods, at heading level, are both received and sent to the destinations; all of a hub with one leg alone."""
    ending = legs["out"]["buyer_id"].isin(question.destinations).to_numpy()
    number, codes = pd.factorize(pd.concat([legs["in"]["code"], legs["out"]["code"]]))
    goods = dict(zip(("in", "out"), np.split(number, [len(legs["in"])]), strict=True))
    headings = [frozenset({_headings(code)}) for code in codes]
    fits = np.array([[overlaps(a, b) for b in headings] for a in headings], dtype=float).reshape(len(codes), len(codes))
    held = {side: np.zeros((n, len(codes))) for side in ("in", "ending")}
    held["in"][places["in"], goods["in"]] = 1.0
    held["ending"][places["out"][ending], goods["out"][ending]] = 1.0
    single = (held["in"].sum(axis=1) == 0) | (held["ending"].sum(axis=1) == 0)
    of_ending = held["ending"] @ fits
    told = {"in": of_ending, "out": (held["in"] * (of_ending > 0)) @ fits}
    return {side: np.logical_or(single[places[side]], table[places[side], goods[side]] > 0) for side, table in told.items()}


def _alike(leg: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Rows whose goods, at heading level, the other leg has too."""
    told = frozenset(_headings(code) for code in other["code"].unique())
    fits = {code: overlaps(frozenset({_headings(code)}), told) for code in leg["code"].unique()}
    return leg["code"].map(fits).to_numpy(dtype=bool)


def _headings(code: str) -> str:
    return "+".join(part[:4] for part in code.split("+"))


def _completeness(
    coverage: CoverageIndex, hub: str, sellers: frozenset[str], seen: Observed, question: Question, spans: Sequence[Span], by_year: bool
) -> tuple[bool, bool]:
    """Whether the hub's inflow is covered in the days compared, from nearly all sellers; and from all of them, with no row missing."""
    whole = bool(spans) and all(any(a <= start and end <= b for a, b in seen.spans) for start, end in spans)
    if not whole or (by_year and seen.status == "partly" and not seen.all_goods):
        return False, False
    first, last = min(a for a, _ in spans), max(b for _, b in spans)
    others = sellers - {hub} if sellers - question.origins - {hub} else sellers - {hub} | set(EVERYBODY)
    told = {seller: coverage.observed([seller], [hub], concept=question.concept, codes=question.codes, exact=question.exact, first=first,
                                      last=last) for seller in sorted({*others, *GROUPS})}
    covered = {seller for seller, o in told.items() if o.spans and o.spans[0][0] <= first and o.spans[-1][1] >= last}
    every = all(seller in covered and told[seller].complete and told[seller].all_goods for seller in others)
    covered |= {member for bloc in covered & set(GROUPS) for member in GROUPS[bloc]}
    return len(covered & others) >= ENOUGH * len(others), every


def alike_flows(trades: pd.DataFrame, question: Question) -> pd.DataFrame:
    """The trades in goods that anybody but the origins sends to the destinations, at heading level; all, if nobody does."""
    ending = trades["buyer_id"].isin(question.destinations) & ~trades["seller_id"].isin(question.origins)
    return trades[_alike(trades, trades[ending])] if ending.any() else trades


def chain_between(network: TradeNetwork, trades: pd.DataFrame, question: Question, holding: np.ndarray | float = 0.0) -> Chain:
    """The chain of the trades, by place in the table of actors; placeholders and forwarders pass nothing on, theirs is unobserved.

    `holding` is what each actor is known to hold at least, USD.
    """
    ids = network.actors["actor_id"].to_numpy(dtype=object)
    unfit = unfit_between(network)
    sellers, buyers = (numbers(trades[side].astype("category"), ids) for side in ("seller_id", "buyer_id"))
    usd = trades["value_usd"].fillna(0.0).to_numpy()
    usd = np.where(unfit[sellers], 0.0, usd)
    ends = network.actors["actor_id"].isin(question.origins | question.destinations).to_numpy() | unfit
    return chain_of(sellers, buyers, usd, len(ids), absorbing=np.flatnonzero(ends), holding=holding)
