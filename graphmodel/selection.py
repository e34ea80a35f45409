"""Which actors and which trades a question is about."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from chiptrail.graphmodel.countries import GROUPS, country_code, known_names, members
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.periods import window
from chiptrail.graphmodel.products import match, product_codes
from chiptrail.graphmodel.schema import BASES

if TYPE_CHECKING:
    from chiptrail.graphmodel.network import TradeNetwork


def by_origin(trades: pd.DataFrame) -> pd.Series:
    """For each trade whether it is an import told by country of origin."""
    return trades["flow"].isin(["import", "re-import"]) & trades["partner_concept"].eq("origin")


def concept_of(trades: pd.DataFrame) -> pd.Series:
    """For each trade `origin` (an import told by country of origin) or `dispatched` (everything else), as categories."""
    names = pd.Index(["dispatched", "origin"], dtype="str")
    return pd.Series(pd.Categorical.from_codes(by_origin(trades).to_numpy().astype("int8"), names), index=trades.index)


def goods_code(trades: pd.DataFrame) -> pd.Series:
    """For each trade its HS code, or its product set where the source gives only a sum; empty if unknown."""
    single = trades["product_set"].eq("")
    if single.all():
        return trades["hs_code"]
    return trades["hs_code"].astype("str").where(single, trades["product_set"].astype("str"))


def places(names: Sequence[str]) -> set[str]:
    """Country and bloc codes meant by codes, names and groups; a group means the bloc and its members.

    Raises
    ------
    UnknownNameError
        If a name is neither a country nor a group.
    """
    found: set[str] = set()
    for name in _sequence(names):
        code = name if name in GROUPS else country_code(name)
        found |= {code, *members(code)}
    return found


def actors_named(network: "TradeNetwork", names: Sequence[str]) -> set[str]:
    """Ids of the actors meant by ids, names of actors, countries or groups such as `EU27`.

    In a network of firms a country means all its actors. A country that the network does not hold is an answer too: its code
    is returned, so that the question can be answered "not covered".

    Raises
    ------
    UnknownNameError
        If a name is neither an actor of the network nor a country or group; near misses are offered.
    """
    actors = network.actors
    ids, plain_names = actors["actor_id"], actors["name"].str.casefold()
    found: set[str] = set()
    for name in _sequence(names):
        called = ids[plain_names.eq(name.casefold())]
        if ids.eq(name).any() and name not in GROUPS:
            found.add(name)
        elif len(called) and network.level == "firms":
            found |= set(called)
        else:
            try:
                codes = places([name])
            except UnknownNameError:
                raise UnknownNameError(
                    "actor or country", name, [*actors["name"], *actors["actor_id"], *known_names()],
                    "give a country (KAZ), a group (EU27), or an actor's name or id",
                ) from None
            found |= codes
            if network.level == "firms":
                found |= set(actors.loc[actors["country"].isin(codes), "actor_id"])
    return found


def keep_trades(
    network: "TradeNetwork", *, products: str | Sequence[str] | None, since: str | None, until: str | None,
    countries: Sequence[str] | None, actors: Sequence[str] | None, min_value_usd: float | None,
    reported_by: Sequence[str] | None, basis: Sequence[str] | None, concept: str | None, partly: bool,
) -> pd.Series:
    """For each trade whether it meets all conditions of `TradeNetwork.where`."""
    trades = network.coded_trades
    keep = pd.Series(True, index=trades.index)
    if products is not None:
        goods = match(product_codes(products), trades["hs_code"], trades["product_set"], trades["hs_version"])
        keep &= goods["within"] | goods["coarse"]
    keep &= in_window(trades, since, until, partly=partly)
    if countries is not None:
        place = network.actors.set_index("actor_id")["country"]
        here = set(place.index[place.isin(places(countries))])
        keep &= trades["seller_id"].isin(here) | trades["buyer_id"].isin(here)
    if actors is not None:
        ids = actors_named(network, actors)
        keep &= trades["seller_id"].isin(ids) | trades["buyer_id"].isin(ids)
    if min_value_usd is not None:
        keep &= trades["value_usd"].ge(min_value_usd)
    if reported_by is not None:
        keep &= trades["reported_by"].isin(_known("reporter", reported_by, set(trades["reported_by"].unique())))
    if basis is not None:
        keep &= trades["basis"].isin(_known("basis", basis, set(BASES)))
    if concept is not None:
        _known("concept", [concept], {"dispatched", "origin"})
        keep &= by_origin(trades) if concept == "origin" else ~by_origin(trades)
    return keep


def in_window(trades: pd.DataFrame, since: str | None, until: str | None, *, partly: bool = False) -> pd.Series:
    """For each trade whether its whole period (with `partly`, any day that it may mean) lies between since and until."""
    first, last = window(since, until)
    keep = pd.Series(True, index=trades.index)
    start, end = trades["period_start"], trades["period_end"]
    if first is not None:
        keep &= (end.isna() | end.ge(first)) if partly else start.ge(first)
    if last is not None:
        keep &= (start.isna() | start.le(last)) if partly else end.le(last)
    return keep


def _known(what: str, names: Sequence[str], known: set[str]) -> Sequence[str]:
    for name in _sequence(names):
        if name not in known:
            raise UnknownNameError(what, name, known, f"known: {', '.join(sorted(known)[:20])}")
    return _sequence(names)


def _sequence(names: Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names
