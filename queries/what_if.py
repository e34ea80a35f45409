"""What if: what would the closure of given hubs have cut, and who could have taken their trade over?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.capacities import COVERED, Balance, Case, case_of
from chiptrail.queries.chokepoints import CAUTIONS, channel_notes, dollars, ends
from chiptrail.queries.cuts import Flow
from chiptrail.queries.scope import shaped

_DTYPES = {
    "role": "str", "hub_id": "str", "hub": "str", "country": "str", "concept": "str",
    "cut_full_rerouting_usd": "float64", "cut_usd": "float64", "cut_no_rerouting_usd": "float64",
    "before_usd": "float64", "before_low_usd": "float64", "before_high_usd": "float64",
    "after_usd": "float64", "after_low_usd": "float64", "after_high_usd": "float64",
    "inflow_usd": "float64", "outflow_usd": "float64", "throughput_max_usd": "float64", "spare_inflow_usd": "float64",
    "inflow_coverage": "str", "outflow_coverage": "str", "status": "str",
}
COLUMNS = tuple(_DTYPES)
TOGETHER, CLOSED, OTHER = "all closed", "closed", "could take over"


def what_if(
    network: TradeNetwork, *, close: Sequence[str], origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row for the closures together, one for each closed hub alone, and one for each hub that could take its trade over.

    Flows and ranges are those of `chokepoints`. **The headline is the range** from `cut_full_rerouting_usd` (other hubs take all of it)
    to `cut_no_rerouting_usd` (all that can have gone through the closed hubs is lost).

    Parameters
    ----------
    network
        A network of countries or of firms.
    close
        Hubs to close: countries, groups, or actors by name or id; of a network of firms, a country means all its firms.
    origins, destinations
        Countries (`USA`), groups (`EU27`), or actors by name or id.
    concept
        `dispatched`, `origin` or `brand`, as in `chokepoints`. Default: `origin` for countries, `dispatched` for firms.
    products
        Product list, HS code or codes; None for all goods of the network.
    since, until
        As in `chokepoints`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `role` (`all closed`, `closed`: this hub alone, or `could take over`), `hub_id` (empty for all closed together), `hub`,
        `country`, `concept`. Of closures, in USD: `cut_full_rerouting_usd` (0 unless goods of some heading can reach no hub left open,
        and the data cover all that the origins sent of them), `cut_usd` (by how much the largest flow falls; missing for hubs that no
        record names and of which nothing is known), `cut_no_rerouting_usd` (most that can have gone through; from one leg alone where
        the other is not covered, missing where neither is), `before_usd` and `after_usd` (largest flow with all hubs open, and after
        the closure), and their smallest and largest over the ensemble of networks that the data allow (`before_low_usd`,
        `before_high_usd`, `after_low_usd`, `after_high_usd`; a high end without a limit is missing). Of hubs, in USD: `inflow_usd`
        (from the origins), `outflow_usd` (to the destinations), `throughput_max_usd` (of closed hubs, as in `chokepoints`; of all
        together no more than can flow in all), `spare_inflow_usd` (of the others: inflow from the origins above outflow to the
        destinations, in headings that the closed hubs traded); `inflow_coverage`, `outflow_coverage` and `status`. The others
        stand in the order of their spare inflow. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        If a hub to close is an origin or a destination.

    Notes
    -----
    Cautions: a spare inflow is what a hub received and is not recorded to have sent on; it may have used it. Hubs whose inflow is not
    covered can take over as well, and are named in the notes, not listed. Nobody is held to its past: a hub that grew from nothing could
    take more than it ever had. A closure in these numbers is complete and of the whole period; a real one is not. That a hub could take
    trade over does not say that it would.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.what_if(ct.load_bundled("countries"), close=["KAZ"], origins=["EU27"], destinations=["RUS"],
    ...                    concept="dispatched", since="2022", until="2022")
    >>> table.loc[0, ["cut_full_rerouting_usd", "cut_no_rerouting_usd"]].astype(float).round(-5).tolist()
    [0.0, 15100000.0]
    """
    case = case_of(network, origins=origins, destinations=destinations, concept=concept, products=products, since=since, until=until,
                   prefer=prefer)
    hubs = _named(network, [close] if isinstance(close, str) else close)
    fixed = [name for name in hubs if name in case.question.origins | case.question.destinations]
    if fixed:
        raise NotComparableError(f"{', '.join(fixed[:5])} is an origin or a destination of the question; close hubs between them")
    balance = Balance(case, Flow(case.base.channels()))
    rows = _closures(balance, hubs) + _others(balance, hubs) if len(network.coded_trades) else []
    table = pd.DataFrame(rows, columns=list(COLUMNS), index=range(len(rows)))
    table["concept"] = case.question.concept
    for column, texts in (("hub", names_of(network)), ("country", network.actors.set_index("actor_id")["country"].to_dict())):
        table[column] = table["hub_id"].map(texts).astype(object).fillna("")
    asked = {"close": [close] if isinstance(close, str) else list(close), "origins": list(origins), "destinations": list(destinations),
             "concept": case.question.concept, "products": products, "since": case.since, "until": case.until, "prefer": prefer}
    absent = [hub for hub in hubs if hub not in case.base.hubs]
    notes = [*case.notes, *CAUTIONS, *channel_notes(balance),
             f"no record of the question names {', '.join(absent[:5])}: that is not a zero" if absent else ""]
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=case.trades["source_id"],
                  left_aside=case.trades["left_aside"])


def _named(network: TradeNetwork, names: Sequence[str]) -> list[str]:
    """Ids of the actors meant; a name that means none of the network's stands for itself."""
    known, found = set(network.actors["actor_id"]), set[str]()
    for name in names:
        ids = actors_named(network, [name])
        found |= ids & known or (ids if len(ids) == 1 else {name})
    return sorted(found)


def _closures(balance: Balance, hubs: list[str]) -> list[dict]:
    """The closures together, then each alone."""
    sets = [hubs, *([hub] for hub in hubs)]
    before, after = _spread(balance.case, sets)
    own = {hub: balance.row(hub) for hub in hubs}
    rows = []
    for number, chosen in enumerate(sets):
        places = balance.base.places(chosen)
        closed = balance.flow.copied().close(places)
        start, left = dollars(balance.flow.limited()), dollars(closed.limited())
        row = dict(own[chosen[0]]) if number else dict.fromkeys(("status", "inflow_coverage", "outflow_coverage"), "")
        rows.append(row | {
            "role": CLOSED if number else TOGETHER, "hub_id": chosen[0] if number else "",
            "cut_full_rerouting_usd": np.nan if np.isnan(start) else balance.isolated(chosen),
            "cut_usd": start - left if places or all(np.isfinite(own[hub]["most"]) for hub in chosen) else np.nan,
            "cut_no_rerouting_usd": balance.without_rerouting([own[hub] for hub in chosen]), "before_usd": start,
            "before_low_usd": before[0], "before_high_usd": before[1], "after_usd": left,
            "after_low_usd": after[0][number], "after_high_usd": after[1][number],
        })
    n_known = sum(own[hub]["status"] == COVERED for hub in hubs)
    n_part = sum(own[hub]["bounded"] for hub in hubs) - n_known
    rows[0]["status"] = f"{n_known} of {len(hubs)} with {COVERED}" + (f", {n_part} with legs covered in part" if n_part else "")
    for column in ("inflow_usd", "outflow_usd"):
        rows[0][column] = float(np.sum([own[hub][column] for hub in hubs]))
    rows[0]["throughput_max_usd"] = balance.without_rerouting(list(own.values()), "throughput_max_usd")
    return rows


def _spread(case: Case, sets: list[list[str]]) -> tuple[tuple[float, float], tuple[np.ndarray, np.ndarray]]:
    """The ends of the largest flow over the ensemble, USD: with all hubs open, and after each set of closures."""
    before, after = [], []
    for told, given in case.drawn():
        flow = Flow(given)
        before.append(dollars(flow.limited()))
        after.append([dollars(flow.copied().close(told.places(chosen)).limited()) for chosen in sets])
    low, high = ends(np.array(before))
    return (float(low), float(high)), ends(np.array(after))


def _others(balance: Balance, hubs: list[str]) -> list[dict]:
    """Other hubs that received from the origins, in goods that the closed hubs traded, more than they sent to the destinations."""
    base = balance.base
    if not len(base.hub):
        return []
    closed = np.isin(base.hubs[base.hub], hubs)
    goods = np.isin(base.goods, base.goods[closed])
    sent = np.where(balance.sent, balance.outflow, 0.0)
    spare = np.where(balance.received & goods & ~closed, np.maximum(balance.inflow - sent, 0.0), 0.0)
    total = np.bincount(base.hub, np.nan_to_num(spare), len(base.hubs))
    unknown = np.bincount(base.hub, np.isnan(spare), len(base.hubs)) > 0
    order = [hub for hub in np.argsort(-total, kind="stable").tolist() if total[hub] > 0 or unknown[hub]]
    return [
        balance.legs(str(base.hubs[hub])) | {
            "role": OTHER, "hub_id": str(base.hubs[hub]), "spare_inflow_usd": np.nan if unknown[hub] else float(total[hub])}
        for hub in order
    ]
