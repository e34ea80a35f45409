"""A question about goods on their way from origins to destinations, and what the data cover of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import NOTHING, CoverageIndex, Observed
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.products import product_codes
from chiptrail.graphmodel.selection import actors_named


@dataclass(frozen=True)
class Question:
    """Origins and destinations by id, the concept of the first leg, and the codes asked for (None: all goods).

    `codes` holds also the wider codes that the question accepts; `exact` those without.
    """

    concept: str
    origins: frozenset[str]
    destinations: frozenset[str]
    codes: frozenset[str] | None
    exact: frozenset[str] | None


def question_of(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str,
    products: str | Sequence[str] | None,
) -> Question:
    """The question with its names resolved in the network."""
    codes = exact = None
    if products is not None:
        asked = product_codes(products)
        exact = frozenset(c for found in asked.codes.values() for c in found)
        codes = exact | {c for found in asked.wider.values() for c in found}
    return Question(
        concept, frozenset(actors_named(network, origins)), frozenset(actors_named(network, destinations)), codes, exact)


def unfit_between(network: TradeNetwork) -> np.ndarray:
    """By actor whether it ties nobody to anybody: a placeholder is many parties, and a forwarder carries everybody's goods."""
    return (network.actors["kind"].eq("placeholder") | network.actors["role"].eq("logistics")).to_numpy()


def observed_leg(
    coverage: CoverageIndex, hub: str, side: str, question: Question, first: pd.Timestamp | None, last: pd.Timestamp | None
) -> Observed:
    """What the data cover of a hub's inflow (`in`) from the origins or outflow (`out`) to the destinations."""
    if side == "out":
        return coverage.observed([hub], question.destinations, concept="dispatched", codes=question.codes, exact=question.exact,
                                 first=first, last=last)
    if question.concept == "brand":
        return NOTHING
    return coverage.observed(question.origins, [hub], concept=question.concept, codes=question.codes, exact=question.exact,
                             first=first, last=last)


def shared_years(seen: Mapping[str, Observed]) -> set[int] | None:
    """Calendar years that the data cover, in whole or part, of both legs of a hub; None where a leg is not covered at all."""
    if not all(leg.spans for leg in seen.values()):
        return None
    return set.intersection(*({year for a, b in leg.spans for year in range(a.year, b.year + 1)} for leg in seen.values()))


def closed_window(network: TradeNetwork, since: str | None, until: str | None) -> tuple[str | None, str | None]:
    """The window with its open side closed by the first or last day of the network's trades."""
    trades = network.coded_trades
    if since and not until and trades["period_end"].notna().any():
        until = str(max(trades["period_end"].max(), parse_period(since)[1]).date())
    if until and not since and trades["period_start"].notna().any():
        since = str(min(trades["period_start"].min(), parse_period(until)[0]).date())
    return since, until


def latest_covered_year(part: TradeNetwork, question: Question, coverage: CoverageIndex) -> tuple[str | None, str]:
    """The latest of the years in which the most hubs have both legs covered, and a sentence that says so.

    If none has, the last year with any trade; None if the network has no dated trade.
    """
    years = sorted(set(part.coded_trades["period_end"].dropna().dt.year.unique()))
    best, most = (str(years[-1]) if years else None), 0
    hubs = sorted(set(part.actors["actor_id"]) - question.origins - question.destinations)
    for year in years:
        first, last = parse_period(str(year))
        both = sum(
            all(observed_leg(coverage, hub, side, question, first, last).status != "not covered" for side in ("out", "in"))
            for hub in hubs
        )
        if both and both >= most:
            best, most = str(year), both
    if most:
        return best, f"no period was given: {best} is the latest year in which the most hubs have both legs covered"
    if best:
        return best, f"no period was given, and no year has both legs covered: {best} is the last with trades"
    held = "only totals, such as World as partner, and no trades" if len(part.totals) else "no dated trades"
    return None, f"the network holds {held}"
