"""Chokepoints: which few closures cut most of what can flow from the origins to the destinations?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.capacities import MARGIN, NOISE, Balance, Capacities, case_of
from chiptrail.queries.cuts import Channels, Closures, Flow, best_closures, robust_closures, smallest_cut, smallest_cut_of_places
from chiptrail.queries.scope import shaped

_DTYPES = {
    "n_closed": "int64", "hub_id": "str", "hub": "str", "country": "str", "concept": "str",
    "cut_full_rerouting_usd": "float64", "cut_usd": "float64", "cut_no_rerouting_usd": "float64", "cut_bound_usd": "float64",
    "residual_usd": "float64", "residual_low_usd": "float64", "residual_high_usd": "float64", "share_of_draws": "float64",
    "inflow_usd": "float64", "outflow_usd": "float64", "throughput_max_usd": "float64",
    "inflow_coverage": "str", "outflow_coverage": "str", "status": "str", "recorded_hub_id": "str", "recorded_cut_usd": "float64",
}
_LISTED = 10
COLUMNS = tuple(_DTYPES)
CAUTIONS = (
    "the largest flow is an upper bound of what can pass by the recorded values, never an estimate of what did",
    "what a closure cuts lies between cut_full_rerouting_usd (all goes through others; a hub that grew from nothing is not held back "
    "by its past) and cut_no_rerouting_usd (all that can have gone through the closed hubs is lost)",
)


def chokepoints(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], k: int = 10, concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per closure, in the order chosen: the hubs whose closure cuts most of what can flow, with range and bound.

    Recorded flows are taken as capacities. The largest flow from the origins to the destinations through hubs is the most that can have
    passed by the records; a closure takes a hub out of it. Goods of different headings do not mix. **The headline is the range** from
    `cut_full_rerouting_usd` to `cut_no_rerouting_usd`: in between, `cut_usd` lets others take over as much as they once traded.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries (`USA`), groups (`EU27`), or actors by name or id; they are never closed.
    k
        Number of hubs to close, at most.
    concept
        What the origin means on the first leg: `dispatched`, `origin` (customs origin) or `brand`. Default: `origin` for countries,
        `dispatched` for firms. Later legs are always dispatches.
    products
        Product list, HS code or codes; None for all goods of the network.
    since, until
        The window in which records must lie whole; an open side ends with the data. Without any, a network of countries takes the
        latest year for which the most hubs have both legs covered, and says so.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `n_closed` (this hub and those of the rows above), `hub_id`, `hub`, `country`, `concept`. For the first n closures together,
        in USD: `cut_full_rerouting_usd` (0 unless goods of some heading can reach no hub left open, and the data cover all that the
        origins sent of them), `cut_usd` (by how much the largest recorded flow falls), `cut_no_rerouting_usd` (most that can have gone
        through them; missing where neither leg is known), `cut_bound_usd` (by the records no n closures, whichever, cut more),
        `residual_usd` (largest recorded flow left), `residual_low_usd` and `residual_high_usd` (smallest and largest over the ensemble
        of networks that the data allow, of which the recorded one is one; a high end without a limit is missing). `share_of_draws`
        (0-1, of the networks of the ensemble, in which the hub is among the best k). `recorded_hub_id` and `recorded_cut_usd`: the hub
        in this place if the choice goes by the recorded network alone, and by how much that choice would cut the largest recorded
        flow. Of the hub alone, in USD: `inflow_usd` (from the origins) and `outflow_usd` (to the destinations), both of all headings;
        `throughput_max_usd` (the smaller of what can have come to it from the origins and gone from it to the destinations, also
        through others, by heading; missing where a leg is not covered; of a leg covered in part, of what is recorded);
        `inflow_coverage`, `outflow_coverage` (what the data cover of the legs from the origins and to the destinations) and `status`:
        `both legs covered`, or what is not, and in which months and of how many pairs the numbers hold. Amounts are missing where no
        limit is known, since a record without a value can be any amount. `attrs` holds the question, notes (with the smallest cut of
        legs, and of hubs), records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    InputError
        If `k` is less than 1.

    Notes
    -----
    Largest flow and smallest cut are those of Ford and Fulkerson (1956, doi 10.4153/CJM-1956-045-5), in whole cents: each flow is
    off by half a cent at most. The hubs chosen are those whose closure leaves least on average over the ensemble, found one by one, or
    those of the recorded network alone if these leave less. `cut_bound_usd` comes from Lagrangian relaxation of network interdiction (Wood
    1993, doi 10.1016/0895-7177(93)90236-R), and on small networks from branch and bound, to a millionth. Where it equals `cut_usd` no
    other choice cuts more of the recorded flow. The ensemble: the recorded networks of either side's report, and others with a CIF
    margin of 0 to 20 %, nothing or any amount for a value that is not known, and noise with a standard deviation of 10 % of each flow.
    `low` and `high` are the ends of what was drawn, no interval of confidence.

    Cautions: goods sent straight from the origins to the destinations are left out; no closure cuts them. By customs origin, a hub
    whose imports are covered holds no more of the origin's goods than they say, whoever dispatched them. Hubs of which the inflow is
    not covered are named in the notes: what closing them would cut is not known, and not zero. Over several years goods can have waited
    at a hub: left out is only what came in after the last year covered of its outflow, and what went out before the first of its
    inflow. The smallest cut of hubs is that of least USD passed (of each hub and heading the smaller of all it received and sent).
    That much could pass says nothing of what a hub knew or did: a hub on the list is a lead.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.chokepoints(ct.load_bundled("countries"), origins=["EU27"], destinations=["RUS"], concept="dispatched",
    ...                        since="2022", until="2022", k=3)
    >>> table[["hub_id", "cut_usd"]].round(-4).values.tolist()
    [['KAZ', 15070000.0], ['ARM', 19670000.0], ['KGZ', 20330000.0]]
    """
    if k < 1:
        raise InputError(f"k is {k}: give the number of hubs to close, 1 or more")
    case = case_of(network, origins=origins, destinations=destinations, concept=concept, products=products, since=since, until=until,
                   prefer=prefer)
    names = np.unique(np.concatenate([told.hubs for told in case.told.values()]).astype("str"))
    found = best_closures(_numbered(case.base, case.base.channels(), names), k)
    ensemble = [(told, _numbered(told, given, names)) for told, given in case.drawn()]
    chosen = robust_closures([given for _, given in ensemble], k, found.hubs)
    balance = Balance(case, Flow(case.base.channels()))
    table = _described(balance, found, names[found.hubs].tolist(), names[chosen].tolist())
    table[["residual_low_usd", "residual_high_usd", "share_of_draws"]] = _spread(ensemble, names, chosen, k)
    asked = {"origins": list(origins), "destinations": list(destinations), "k": k, "concept": case.question.concept,
             "products": products, "since": case.since, "until": case.until, "prefer": prefer}
    notes = [*case.notes, *CAUTIONS, *channel_notes(balance), *_cut_notes(balance)]
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=case.trades["source_id"],
                  left_aside=case.trades["left_aside"])


def _numbered(told: Capacities, given: Channels, names: np.ndarray) -> Channels:
    """The channels with the hubs numbered as in `names`, which are the same for both sides' reports."""
    return given._replace(hub=np.searchsorted(names, told.hubs.astype("str"))[given.hub])


def dollars(cents: int | None) -> float:
    """Cents as USD; NaN where no limit is known."""
    return np.nan if cents is None else cents / 100


def ends(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The smallest and the largest of the draws, USD; NaN stands for any amount."""
    filled = np.where(np.isnan(draws), np.inf, draws)
    low, high = (np.where(np.isinf(end), np.nan, end) for end in (filled.min(axis=0), filled.max(axis=0)))
    return low, high


def _described(balance: Balance, found: Closures, recorded: list[str], ids: list[str]) -> pd.DataFrame:
    case, rows, before = balance.case, [], balance.flow.limited()
    country = case.network.actors.set_index("actor_id")["country"]
    names, closed, own = names_of(case.network), balance.flow.copied(), [balance.row(hub) for hub in ids]
    for n, hub in enumerate(ids, start=1):
        left = closed.close(case.base.places([hub])).limited()
        last = min(n, len(recorded)) - 1
        rows.append(own[n - 1] | {
            "n_closed": n, "hub_id": hub, "hub": names[hub], "country": country[hub], "concept": case.question.concept,
            "cut_usd": dollars(before) - dollars(left), "residual_usd": dollars(left),
            "cut_no_rerouting_usd": balance.without_rerouting(own[:n]),
            "cut_bound_usd": dollars(before) - (found.least_after[last] if last == n - 1 else 0) / 100,
            "cut_full_rerouting_usd": np.nan if before is None else balance.isolated(ids[:n]),
            "recorded_hub_id": recorded[n - 1] if last == n - 1 else "",
            "recorded_cut_usd": dollars(before) - (dollars(found.after[last]) if recorded else 0),
        })
    return pd.DataFrame(rows, columns=list(COLUMNS), index=range(len(rows)))


def _spread(ensemble: list[tuple[Capacities, Channels]], names: np.ndarray, chosen: list[int], k: int) -> np.ndarray:
    """By closure the ends of the flow left over the ensemble, USD, and the share of its networks in which the hub is chosen."""
    left, share = np.zeros((len(ensemble), len(chosen))), np.zeros(len(chosen))
    if not chosen:
        return np.zeros((0, 3))
    for number, (told, given) in enumerate(ensemble):
        flow = Flow(given)
        left[number] = [dollars(flow.close(told.places([names[hub]])).limited()) for hub in chosen]
        share += np.isin(chosen, best_closures(given, k, prove=False).hubs)
    return np.column_stack([*ends(left), share / len(left)])


def _cut_notes(balance: Balance) -> list[str]:
    """The smallest cut of legs and the smallest cut of hubs, in sentences, where they have a value."""
    base, given, names = balance.base, balance.flow.given, names_of(balance.case.network)
    legs, hubs = smallest_cut(given, balance.flow), smallest_cut_of_places(given)

    def named(place: int, end: str = "") -> str:
        return names[str(base.hubs[base.hub[place]])] if place >= 0 else end

    def listed(cut: list[str]) -> str:
        unique = sorted(set(cut))
        return f"{len(unique):,} ({', '.join(unique[:_LISTED])}{', ...' if len(unique) > _LISTED else ''})"

    cut = [f"{named(base.sellers[leg], 'origins')} to {named(base.buyers[leg], 'destinations')}" for leg in legs.flows]
    cut += [f"{named(place)}'s imports by origin" for place in legs.places]
    return [
        f"smallest cut of legs: {legs.cents / 100:,.0f} USD, all that can flow, over {listed(cut)}" if legs.cents else "",
        f"smallest cut of hubs: {hubs.cents / 100:,.0f} USD that {listed([named(place) for place in hubs.places])} passed on by all "
        "records of the question; of the hubs that together cut everything, these passed least" if hubs.cents else "",
    ]


def channel_notes(balance: Balance) -> list[str]:
    """Sentences on what the numbers rest on and do not show."""
    case, base, unseen, before = balance.case, balance.base, balance.unseen, balance.flow.limited()
    names = names_of(case.network)
    straight = sum(base.direct.values())
    return [
        f"the ensemble has {case.n_draws()} networks: the recorded ones of either side, and others with a CIF margin of 0 to {MARGIN:.0%}, "
        f"unknown values as nothing or any amount, and noise of {NOISE:.0%}",
        f"with all hubs open {dollars(before):,.0f} USD can flow by the records" if before is not None else
        "a chain has no value on any leg, so no limit is known of what can flow",
        f"{int(base.unknown.sum()):,} flows hold a record without a value, which can be any amount" if base.unknown.any() else "",
        f"{straight:,.0f} USD went straight from the origins to the destinations and are left out" if straight > 0 else "",
        f"{len(unseen)} hubs send to the destinations, but the data do not cover their inflow from the origins "
        f"({', '.join(names[hub] for hub in unseen[:5])}): what closing them would cut is not known" if unseen else "",
        "selected records without coverage measure attention, not trade"
        if case.network.level == "firms" and case.network.coverage.empty else "",
    ]
