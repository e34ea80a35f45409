"""The table of origins and destinations: how much of what reached each destination was each origin's?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import window
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer
from chiptrail.queries.assumptions import Held, interval, spread, tilted
from chiptrail.queries.attribution import SMALL, asked_concept, set_window
from chiptrail.queries.balances import balanced
from chiptrail.queries.evidence import Evidence, estimated_hubs, evidence, values
from chiptrail.queries.holdings import used
from chiptrail.queries.mixing import amounts, dispatched
from chiptrail.queries.question import Question, question_of
from chiptrail.queries.scope import scope_notes, shaped

_DTYPES = {
    "origin_id": "str", "destination_id": "str", "concept": "str", "sent_usd": "float64", "direct_usd": "float64",
    "usd_attributed": "float64", "usd_low": "float64", "usd_high": "float64", "usd_least": "float64", "usd_most": "float64",
    "n_hubs": "int64", "n_without_estimate": "int64", "status": "str",
}
COLUMNS = tuple(_DTYPES)


def origin_table(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per origin and destination: the origin's goods that reached it, directly and by hubs, as a point, interval and bounds.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries (`USA`), groups (`EU27`), or actors by name or id; a group or country is one row.
    concept, products, since, until, prefer
        As in `attribution`, but the interval too believes the side preferred.

    Returns
    -------
    DataFrame
        `origin_id`, `destination_id` (id, or the name of the group or country as asked), `concept`; `sent_usd` (USD of the origin's
        goods on record: by dispatch all that it sent, by origin what the hubs imported), `direct_usd` (USD dispatched straight from the
        origin to the destination; missing where that is not known, and then in no other column);
        `usd_attributed` (USD by proportional mixing: direct, and by the hubs that have an estimate), `usd_low`, `usd_high` (USD,
        nominal 90 % interval over the assumptions), `usd_least`, `usd_most` (USD, what the balances allow for the recorded goods;
        a hub whose imports of them are not known may have sent on nothing else),
        `n_hubs` (hubs that sell to the destination), `n_without_estimate` (of these, whose inflow is not covered) and `status`.
        In the order asked. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, and for `concept="origin"` on firms.

    Notes
    -----
    Every dollar counts by its last leg, so rows of different origins add up, unlike those of `attribution`; a group beside its members
    does not. By dispatch, what passes another origin of the question is that one's. A hub without an estimate adds nothing to the
    point and the low end, and all that it sells to the destination to the high end. The hubs' draws are added draw by draw: what is
    assumed of one is assumed of all, which makes the interval wide. Cautions as in `attribution`.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.origin_table(ct.load_bundled("countries"), origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    >>> table[["usd_attributed", "n_hubs"]].round(-3).values.tolist()
    [[11471000.0, 0.0]]
    """
    concept = asked_concept(network, concept)
    asked: dict[str, Any] = {"products": products, "since": since, "until": until}
    question = question_of(network, origins=origins, destinations=destinations, concept=concept, products=products)
    notes = set_window(network, question, asked)
    found = evidence(network, question, asked, prefer)
    days = window(asked["since"], asked["until"])
    rows = [
        {"origin_id": o, "destination_id": d, "concept": concept,
         **_row(network, found, question, actors_named(network, [o]), actors_named(network, [d]), days)}
        for o in dict.fromkeys(origins) for d in dict.fromkeys(destinations)
    ] if len(network.trades) else []
    notes += [*scope_notes(network, concept, found.trades),
              "a row adds direct trade and what hubs with an estimate sent on; hubs without one widen the interval to all they sent"]
    question_asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept, **asked, "prefer": prefer}
    return answer(shaped(pd.DataFrame(rows, columns=list(COLUMNS)), _DTYPES), network, question=question_asked, notes=notes,
                  source_ids=used(found.trades)["source_id"], left_aside=found.trades["left_aside"])


def _row(
    network: TradeNetwork, found: Evidence, question: Question, ours: set[str], ends: set[str], days: tuple[Any, Any]
) -> dict[str, Any]:
    """One origin and one destination, from what the hubs of the whole question hold."""
    held, sent = _by_origin(found, ours, ends) if found.chain is None else _by_chain(network, found, ours, ends)
    flows = used(found.trades)
    straight = flows["seller_id"].isin(ours) & flows["buyer_id"].isin(ends) & flows["concept"].eq("dispatched")
    told = flows.loc[straight, "value_usd"]
    seen = CoverageIndex(network).observed(sorted(ours), sorted(ends), concept="dispatched", codes=question.codes, exact=question.exact,
                                           first=days[0], last=days[1])
    sure = len(told) > 0 or (seen.status == "covered" and seen.complete)
    direct = float(told.sum(skipna=False)) if sure else np.nan
    known_direct = float(told.sum())
    sells = held.onward > 0
    estimated = estimated_hubs(network, found) & sells
    draws = spread([held], by_origin=found.chain is None).usd
    low, high = interval((draws * estimated).sum(axis=1)) if len(found.hubs) else (0.0, 0.0)
    rest = float(held.onward[sells & ~estimated].sum())
    whole = np.array([found.legs.whole[hub] for hub in found.hubs], dtype=bool)
    least = float((np.maximum(held.onward - held.held + held.known, 0.0) * whole).sum())
    most = float(np.where(np.isnan(values(found)[1]), held.onward, np.minimum(held.known, held.onward)).sum())
    if found.chain is not None and found.chain.sent.nnz <= SMALL and found.whole:
        ids = network.actors["actor_id"]
        every = ids.isin([hub for hub, whole in found.legs.whole.items() if whole]).to_numpy()
        places = [np.flatnonzero(ids.isin(names)) for names in (ours, ends)]
        bounds = balanced(found.chain, origins=places[0], destinations=places[1], incomplete=~every)
        straight_usd = float(found.chain.sent[places[0]][:, places[1]].sum())
        least, most = bounds.least - straight_usd, bounds.most - straight_usd
    point = float((tilted(held.known, held.held, held.onward, 1.0) * estimated).sum())
    missing = int((sells & ~estimated).sum())
    unknown = not estimated.any() and not known_direct and (missing > 0 or not sure)
    lacking = [f"{missing} of {int(sells.sum())} hubs have no estimate"] if missing else []
    lacking += ["direct trade is not known"] if np.isnan(direct) and len(network.coverage) else []
    return {
        "sent_usd": sent, "direct_usd": direct, "usd_attributed": np.nan if unknown else known_direct + point,
        "usd_low": known_direct + min(float(low), point), "usd_high": known_direct + max(float(high), point) + rest,
        "usd_least": known_direct + max(least, 0.0), "usd_most": known_direct + max(most, 0.0), "n_hubs": int(sells.sum()),
        "n_without_estimate": missing, "status": f"at least: {'; '.join(lacking)}" if lacking else "estimated",
    }


def _by_origin(found: Evidence, ours: set[str], ends: set[str]) -> tuple[Held, float]:
    main, legs = found.reports[0], found.legs
    arrived = legs.inflows[legs.inflows["seller_id"].isin(ours)].groupby("buyer_id")["value_usd"].sum()
    gone = legs.outflows[legs.outflows["buyer_id"].isin(ends)].groupby("seller_id")["value_usd"].sum()
    known, onward = (sums.reindex(found.hubs).fillna(0.0).to_numpy() for sums in (arrived, gone))
    return Held(main.held, known, known + main.possible - main.known, onward, main.cif), float(known.sum())


def _by_chain(network: TradeNetwork, found: Evidence, ours: set[str], ends: set[str]) -> tuple[Held, float]:
    chain, ids = found.chain, network.actors["actor_id"]
    assert chain is not None
    entering = dispatched(chain, np.flatnonzero(ids.isin(ours)))
    free = np.where(chain.kept < 1, chain.unobserved, 0.0)
    known, possible = amounts(chain, np.column_stack([entering, entering + free])).T
    onward = chain.sent[:, np.flatnonzero(ids.isin(ends))].sum(axis=1)
    at = ids.searchsorted(found.hubs)
    return Held(chain.held[at], known[at], possible[at], onward[at], found.reports[0].cif), float(entering.sum())
