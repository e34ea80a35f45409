"""What flows into each hub from the origins and out of it to the destinations, each flow counted once."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.aggregate import retrieval_dates
from chiptrail.graphmodel.coded import coded, combined, constant
from chiptrail.graphmodel.compiled import numbers
from chiptrail.graphmodel.coverage import DAY, overlaps
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.selection import by_origin, goods_code, in_window
from chiptrail.graphmodel.tellings import left_aside
from chiptrail.queries.question import Question

SIDES = ("in", "out")
_NEEDED = [
    "trade_id", "seller_id", "buyer_id", "hs_code", "product_set", "hs_version", "period_start", "period_end", "value", "currency",
    "value_usd", "weight_kg", "flow", "partner_concept", "breakdown", "origin_country", "maker_id", "reported_by", "basis", "source_id",
]


class Leg(NamedTuple):
    """Records of one hub's first or last leg with the same goods and currency, in days that no coverage tells apart."""

    side: str
    code: str
    currency: str
    value: float
    usd: float
    n_records: int
    start: pd.Timestamp
    end: pd.Timestamp


def counted(
    part: TradeNetwork, question: Question, since: str | None, until: str | None, prefer: str
) -> tuple[pd.DataFrame, int]:
    """Trades of the window, each flow once, with `side`: in, out, or empty for legs between others; and the records cut off."""
    everything = part.coded_trades
    everything = everything[[*_NEEDED, *(c for c in ("x_declaration", "x_item") if c in everything)]]
    inside = in_window(everything, since, until)
    concerned = everything["seller_id"].isin(question.origins) | everything["buyer_id"].isin(question.destinations)
    straddling = int((in_window(everything, since, until, partly=True) & ~inside & concerned).sum())
    trades = everything if inside.all() else everything[inside].reset_index(drop=True)
    told_by_origin = by_origin(trades)
    ends = question.origins | question.destinations
    receives = trades["seller_id"].isin(question.origins) & _of_concept(told_by_origin, question)
    if part.level == "firms" and question.concept == "origin":
        receives |= trades["origin_country"].isin({o for o in question.origins if len(o) == 3})
    if part.level == "firms" and question.concept == "brand":
        receives |= trades["maker_id"].isin(question.origins)
    sends = trades["buyer_id"].isin(question.destinations) & ~told_by_origin
    side = np.zeros(len(trades), dtype="int8")
    side[(sends & ~trades["seller_id"].isin(ends)).to_numpy()] = 2
    side[(receives & ~trades["buyer_id"].isin(ends)).to_numpy()] = 1
    trades = trades.assign(
        side=pd.Categorical.from_codes(side, pd.Index(["", *SIDES], dtype="str")), dispatched=~told_by_origin,
        left_aside=constant("", trades.index))
    retrieved = retrieval_dates(part)
    for number, summed in ((1, "seller_id"), (2, "buyer_id")):
        leg = trades[side == number]
        reasons = left_aside(leg, level=part.level, prefer=prefer, retrieved=retrieved, blocs_as=[summed])
        if reasons.ne("").any():
            trades["left_aside"] = trades["left_aside"].astype("str")
            trades.loc[leg.index, "left_aside"] = reasons.astype("str")
    return trades, straddling


def told(network: TradeNetwork, question: Question, since: str | None, until: str | None) -> set[tuple[str, str]]:
    """Hubs and sides of which any record touches the window and the goods asked for, counted or not: there nothing is zero."""
    trades = network.coded_trades
    touching = in_window(trades, since, until, partly=True)
    if question.codes is not None:
        codes = goods_code(trades)
        near = [code for code in codes.unique() if not code or overlaps(frozenset([code]), question.codes)]
        touching &= codes.isin(near)
    origin = by_origin(trades)
    received = touching & trades["seller_id"].isin(question.origins) & _of_concept(origin, question)
    sent = touching & trades["buyer_id"].isin(question.destinations) & ~origin
    return {(hub, "in") for hub in trades.loc[received, "buyer_id"].unique()} | {
        (hub, "out") for hub in trades.loc[sent, "seller_id"].unique()}


def _of_concept(told_by_origin: pd.Series, question: Question) -> pd.Series:
    return told_by_origin.eq(question.concept == "origin") & (question.concept != "brand")


def brand_links(network: TradeNetwork, question: Question) -> pd.DataFrame:
    """Links that say that goods of a maker among the origins reached an actor, where the question is about brands."""
    links = network.links
    return links[links["kind"].eq("brand") & links["from_id"].isin(question.origins) & (question.concept == "brand")]


def legs_by_hub(
    trades: pd.DataFrame, network: TradeNetwork, question: Question, breaks: np.ndarray
) -> tuple[dict[str, list[Leg]], dict[tuple[str, str], list[str]]]:
    """Legs by hub, and by hub and side the counterparts in the order of ids; brand links stand in without a value.

    `breaks` are the days on which something that can tell records apart begins, in ascending order.
    """
    used = trades[trades["side"].ne("") & trades["left_aside"].eq("")]
    links = brand_links(network, question)
    links = links[~links["to_id"].isin(question.origins | question.destinations)]
    if len(links):
        stand_in = links.assign(seller_id=links["from_id"], buyer_id=links["to_id"], side="in", value_usd=np.nan, value=np.nan,
                                currency="", product_set="")
        used = coded(pd.concat([used, stand_in[[c for c in stand_in if c in used]]], ignore_index=True))
    if used.empty:
        return {}, {}
    actors = network.actors["actor_id"].to_numpy(dtype=object)
    seller, buyer = numbers(used["seller_id"], actors), numbers(used["buyer_id"], actors)
    inward = used["side"].eq("in").to_numpy()
    hub, other = np.where(inward, buyer, seller), np.where(inward, seller, buyer)
    code, currency = goods_code(used), used["currency"]
    start, end = (used[day].to_numpy().astype("datetime64[D]") for day in ("period_start", "period_end"))
    bucket = [np.where(np.isnat(days), -1, np.searchsorted(breaks, days, side="right")) for days in (start, end)]
    group, first = combined([hub, ~inward, code, currency, *bucket])
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(len(first)))
    sums = [np.add.reduceat(used[c].to_numpy()[order].astype(np.longdouble), starts).astype(float) for c in ("value", "value_usd")]
    spans = [_timestamps(pick.reduceat(days[order], starts)) for pick, days in ((np.fmin, start), (np.fmax, end))]
    columns = (actors[hub[first]], np.where(inward[first], *SIDES), code.iloc[first].astype(object), currency.iloc[first].astype(object),
               *(s.tolist() for s in sums), np.bincount(group).tolist(), *spans)
    legs: dict[str, list[Leg]] = {}
    for name, *leg in zip(*columns, strict=True):
        legs.setdefault(name, []).append(Leg(str(leg[0]), *leg[1:]))
    _, met = combined([hub, ~inward, other])
    others: dict[tuple[str, str], list[str]] = {}
    for name, side, counterpart in zip(actors[hub[met]], np.where(inward[met], *SIDES).tolist(), actors[other[met]], strict=True):
        others.setdefault((name, side), []).append(counterpart)
    return legs, others


def _timestamps(days: np.ndarray) -> np.ndarray:
    """The days as pandas knows them; few are different."""
    different, place = np.unique(days, return_inverse=True)
    return np.array([*pd.to_datetime(different).as_unit("us")], dtype=object)[place]


def breaks_of(network: TradeNetwork, days: Iterable[pd.Timestamp], shift: pd.DateOffset | None) -> np.ndarray:
    """Days on which a year, a coverage, or a period of the question begins or has just ended, also moved by `shift` both ways."""
    coverage = network.coverage[["period_start", "period_end"]].drop_duplicates()
    begins = [*coverage["period_start"], *days]
    ends = [*coverage["period_end"], *days]
    for day in days:
        begins += [day + pd.offsets.MonthBegin(0), day + pd.offsets.YearBegin(0)]
        ends += [day - pd.offsets.MonthEnd(1), day - pd.offsets.YearEnd(1)]
    if shift is not None:
        begins += [day + sign * shift for day in begins for sign in (1, -1)]
        moved = [(day, day + sign * shift) for day in ends for sign in (1, -1)]
        ends += [to for _, to in moved] + [month_end(day, to) for day, to in moved]
    years = pd.date_range("1900-01-01", "2200-01-01", freq="YS")
    found = {*begins, *(end + DAY for end in ends), *years}
    return np.array(sorted(found), dtype="datetime64[D]")


def month_end(day: pd.Timestamp, moved: pd.Timestamp) -> pd.Timestamp:
    """The day moved, at the end of its month if the day was at the end of its own."""
    return moved + pd.offsets.MonthEnd(0) if day.is_month_end else moved
