"""Routes: by which chains do goods get from the origins to the destinations, with the records of every leg?"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import BASES
from chiptrail.graphmodel.selection import actors_named, goods_code
from chiptrail.queries.answer import MEANING, answer, coarse_note, concept_or_default
from chiptrail.queries.legs import KINDS, MAKES_WEAPON, Legs, legs_of
from chiptrail.queries.question import latest_covered_year, question_of, unfit_between
from chiptrail.queries.search import ORDERS, TRADES, Link, Route, Search

COLUMNS = (
    "route", "leg", "n_legs", "path", "seller_id", "seller", "buyer_id", "buyer", "kind", "leg_usd", "smallest_leg_usd",
    "concept", "joined_by", "coarse", "time", "arrival", "route_basis", "basis", "products", "goods", "first_date",
    "last_date", "n_records", "reported_by", "sources", "record_refs",
)
_EPOCH = pd.Timestamp("1970-01-01")


def supply_routes(
    network: TradeNetwork, *, origins: Sequence[str], destinations: Sequence[str], concept: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, k: int = 10,
    max_hops: int = 4, by: str = "smallest_leg", max_wait_days: int | None = None, same_digits: int = 4,
    prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per leg of the k best routes from the origins to the destinations.

    A route visits no actor twice. Its legs share one HS prefix along the whole route, or belong to one documented case, and can
    follow each other in time. A leg is the set of all records between its two actors that can take part.

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Countries, groups, or actors by name or id; a weapon can be a destination.
    concept
        What the first leg may be: `dispatched`, `origin` (customs origin, only as first leg) or `brand`. Default: `origin` for
        countries; for firms both `dispatched` and `brand`, each route saying which.
    products, since, until
        As in `TradeNetwork.where`; between firms records that lie partly inside the window count too. A network of countries
        without a window is asked about the latest year in which the most hubs have both legs covered.
    k
        Number of routes.
    max_hops
        Largest number of legs, links included.
    by
        `smallest_leg` (largest value first, unknown values last), `hops` (fewest first) or `arrival` (earliest possible day of the
        last trade first).
    max_wait_days
        Longest wait from one leg to the next; None for any.
    same_digits
        Digits of the HS code that the legs must share.
    prefer
        Whose report is taken where both sides told of a flow.

    Returns
    -------
    DataFrame
        `route` (rank), `leg`, `n_legs`, `path` (names), `seller_id`, `seller`, `buyer_id`, `buyer`, `kind` (trade, brand or
        makes_weapon), `leg_usd` (USD, sum of the leg's records; missing if one has no value), `smallest_leg_usd` (USD, over the
        trade legs; missing if one is), `concept`, `joined_by` (`HS 8542` or `case ...`), `coarse` (a code wider than the shared
        prefix, or a set of codes, was joined), `time` (`ordered`: every choice of moments is in time order; `overlapping`: some
        choice is; `undated`: a leg has no start date), `arrival` (earliest possible day of the last trade), `route_basis` and
        `basis` (the weakest of the route and of the leg), `products`, `goods`, `first_date`, `last_date`, `n_records`,
        `reported_by`, `sources` (ids) and `record_refs` (file and row).

    Raises
    ------
    UnknownNameError
        If a name, concept, order or product list is not known.
    NotComparableError
        If more than four digits shall agree across different or unknown HS versions.

    Notes
    -----
    None of the words for time says that the goods are the same. Routes share legs: never add their values. `brand` links can
    only begin a route and `makes_weapon` links only end it, outside the rules of product and time; a link that belongs to a case
    joins only trades of that case. Parts found in weapons are never crossed. Between countries the inner places of a route are
    neither origins nor destinations; between firms a route is given in its full length: one that another leg from an origin or to
    a destination would lengthen stands in the longer one. Placeholders (`Unnamed ...`: many parties) and forwarders can begin or
    end a route, but tie others to each other only where one documented case joins all its legs.

    Examples
    --------
    >>> import chiptrail as ct
    >>> firms = ct.load_bundled("firms")
    >>> ct.supply_routes(firms, origins=["USA"], destinations=["RUS"], by="hops").groupby("route")["path"].first().size
    10
    """
    if by not in ORDERS:
        raise UnknownNameError("order", by, ORDERS, f"choose one of {', '.join(ORDERS)}")
    if concept is not None or network.level == "countries":
        concept = concept_or_default(network, concept)
    starts, ends = actors_named(network, origins), actors_named(network, destinations)
    notes = []
    part = network if products is None else network.where(products=products)
    if since is None and until is None and network.level == "countries":
        question = question_of(
            network, origins=origins, destinations=destinations, concept=concept or "dispatched", products=products)
        since, note = latest_covered_year(part, question, CoverageIndex(network))
        until = since
        notes.append(note)
    if since is not None or until is not None:
        part = part.where(since=since, until=until, partly=network.level == "firms")
    trades = counted_once(part, prefer=prefer)
    counted = trades[trades["left_aside"].eq("").to_numpy()] if trades["left_aside"].ne("").any() else trades
    _check_versions(counted, same_digits)
    actors = pd.Index(network.actors["actor_id"])
    links = _links(part.links, actors)
    from_, to = (np.sort(found[found >= 0]) for found in (actors.get_indexer(sorted(starts)), actors.get_indexer(sorted(ends))))
    legs = legs_of(counted, actors, same_digits, [(x.maker, x.other) for x in links], from_, to, max_hops)
    routes = Search(
        legs, links, starts=from_, ends=to, concept=concept, full_length=network.level == "firms", wait=max_wait_days,
        max_hops=max_hops, by=by, unfit=unfit_between(network),
    ).best(k)
    notes += [
        coarse_note(counted, products),
        "a leg's value is what was traded between its two actors; that the same goods went on is not said",
        CoverageIndex(network).described(),
        *(MEANING[c] for c in sorted({_concept(route) for route in routes})),
    ]
    if not routes:
        notes.append("no chain of records meets the question; where the data do not cover a leg this says nothing")
    table = _table(routes, legs, counted, part.links, network.actors["name"])
    asked = {"origins": list(origins), "destinations": list(destinations), "concept": concept, "products": products,
             "since": since, "until": until, "k": k, "max_hops": max_hops, "by": by, "max_wait_days": max_wait_days,
             "same_digits": same_digits, "prefer": prefer}
    used = {source for text in table["sources"] for source in text.split("; ")}
    return answer(table, network, question=asked, notes=notes, source_ids=used, left_aside=trades["left_aside"])


def _check_versions(trades: pd.DataFrame, same_digits: int) -> None:
    versions = sorted(set(trades.loc[trades["hs_code"].str.len().gt(4), "hs_version"]))
    if same_digits > 4 and (len(versions) > 1 or "" in versions):
        raise NotComparableError(
            f"codes of {' and '.join(v or 'unknown HS version' for v in versions)} compare at heading level only; "
            "use same_digits=4, or choose records of one HS version"
        )


def _links(links: pd.DataFrame, actors: pd.Index) -> list[Link]:
    """The links that a route can begin or end with, those of one kind between the same actors together."""
    grouped: dict[tuple[int, int, int], list[int]] = {}
    ends = (actors.get_indexer(pd.Index(links[side])).tolist() for side in ("from_id", "to_id"))
    for row, (kind, maker, other) in enumerate(zip(links["kind"], *ends, strict=True)):
        if kind in ("brand", "makes_weapon"):
            grouped.setdefault((KINDS.index(kind), maker, other), []).append(row)
    case = links["case"].tolist()
    return [Link(*ends, np.array(rows), frozenset(case[row] for row in rows)) for ends, rows in sorted(grouped.items())]


def _concept(route: Route) -> str:
    return "dispatched" if route.kinds[0] == MAKES_WEAPON else KINDS[route.kinds[0]]


def _table(routes: Sequence[Route], legs: Legs, trades: pd.DataFrame, links: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    told = {True: _records(trades, routes, True), False: _records(links, routes, False)}
    rows = []
    for rank, route in enumerate(routes, start=1):
        nodes = list(zip(legs.actors[list(route.nodes)], names.iloc[list(route.nodes)], strict=True))
        records = [[told[kind in TRADES][row] for row in found.tolist()] for kind, found in zip(route.kinds, route.rows, strict=True)]
        used = np.concatenate([found for kind, found in zip(route.kinds, route.rows, strict=True) if kind in TRADES])
        whole = {
            "route": rank, "n_legs": len(route.kinds), "path": " → ".join(name for _, name in nodes),
            "smallest_leg_usd": route.value, "concept": _concept(route), "joined_by": " ".join(legs.keys[route.key]),
            "coarse": any(route.key in legs.goods[number][1] for number in set(legs.goods_of[used].tolist())), "time": route.time,
            "arrival": pd.NaT if math.isinf(route.arrival) else _EPOCH + pd.Timedelta(days=route.arrival),
            "route_basis": max({r["basis"] for leg in records for r in leg}, key=BASES.index),
        }
        for leg, (seller, buyer, kind, found) in enumerate(zip(nodes[:-1], nodes[1:], route.kinds, records, strict=True), start=1):
            rows.append(whole | {
                "leg": leg, "seller_id": seller[0], "seller": seller[1], "buyer_id": buyer[0], "buyer": buyer[1]} | _leg(kind, found))
    dtypes = dict.fromkeys(COLUMNS, "str") | dict.fromkeys(["route", "leg", "n_legs", "n_records"], "int64") | dict.fromkeys(
        ["leg_usd", "smallest_leg_usd"], "float64") | dict.fromkeys(
        ["arrival", "first_date", "last_date"], "datetime64[us]") | {"coarse": "bool"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dtypes)


def _records(table: pd.DataFrame, routes: Sequence[Route], trade: bool) -> dict[int, dict]:
    """The rows of a table that the routes hold, by place."""
    wanted = sorted({row for r in routes for kind, rows in zip(r.kinds, r.rows, strict=True) if (kind in TRADES) == trade
                     for row in rows.tolist()})
    columns = ["basis", "goods", "period_start", "period_end", "source_id", "record_ref"]
    chosen = table.iloc[wanted][[*columns, "value_usd", "reported_by"] if trade else columns]
    chosen = chosen.assign(code=goods_code(table.iloc[wanted]) if trade else table["hs_code"].iloc[wanted])
    return dict(zip(wanted, chosen.to_dict("records"), strict=True))


def _leg(kind: int, rows: list[dict]) -> dict:
    trade = kind in TRADES
    starts = [r["period_start"] for r in rows if not pd.isna(r["period_start"])]
    ends = [r["period_end"] for r in rows if not pd.isna(r["period_end"])]
    codes = {r["code"] for r in rows} - {""}
    return {
        "kind": "trade" if trade else KINDS[kind],
        "leg_usd": math.fsum(r["value_usd"] for r in rows) if trade else math.nan,
        "basis": max({r["basis"] for r in rows}, key=BASES.index), "products": " ".join(sorted(codes)),
        "goods": "; ".join(sorted({r["goods"] for r in rows} - {""})), "first_date": min(starts, default=pd.NaT),
        "last_date": max(ends, default=pd.NaT), "n_records": len(rows),
        "reported_by": "; ".join(sorted({r.get("reported_by", "") for r in rows} - {""})),
        "sources": "; ".join(sorted({r["source_id"] for r in rows})),
        "record_refs": "; ".join(sorted(r["record_ref"] for r in rows)),
    }
