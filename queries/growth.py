"""Sums of the legs of a hub in a period and an earlier one, over what compares, and month by month."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import DAY, overlaps
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import period_text
from chiptrail.queries.baseline import BROKEN, OUTSIDE, WIDE, Pair, Periods
from chiptrail.queries.scope import count_once, trades_in_scope

WHEN = ("now", "before")
IN_PART = "part is told in wider codes or dates"


class Sums(NamedTuple):
    """USD, kg, and units of the one currency that a leg has in a period; NaN where not known. `usd_per_kg` is of records with both."""

    usd: float = float("nan")
    kg: float = float("nan")
    original: float = float("nan")
    usd_per_kg: float = float("nan")
    currency: str = ""


def measured_weight(trades: pd.DataFrame) -> pd.Series:
    """Weight in kg as somebody measured it; missing where it or the whole record is marked as an estimate.

    Marks are the bases `estimated` and `inferred`, and the column `x_weight_estimated` of UN Comtrade.
    """
    return _measured(trades, "weight_kg", "x_weight_estimated")


def measured_quantity(trades: pd.DataFrame) -> pd.Series:
    """Quantity as somebody counted it; missing where it (`x_quantity_estimated`) or the whole record is marked as an estimate."""
    return _measured(trades, "quantity", "x_quantity_estimated")


def _measured(trades: pd.DataFrame, column: str, mark: str) -> pd.Series:
    estimated = trades["basis"].isin(["estimated", "inferred"])
    if mark in trades:
        estimated |= trades[mark].astype("str").str.casefold().isin(["true", "1"])
    return trades[column].where(~estimated & trades[column].gt(0))


def sums(leg: pd.DataFrame, pairs: Iterable[Pair], *, blocked: Collection[str]) -> dict[str, Sums]:
    """The sums of the counted records of a leg with `when` and `measured_kg`, by period; nothing for a `blocked` period.

    Without a record it is zero if all pairs are covered in both periods so that a missing row means zero, and not all that is told
    is told in codes that do not compare.
    """
    rows = leg[leg["left_aside"].eq("")]
    broken = leg["left_aside"].eq(BROKEN).any() and not rows["when"].isin(WHEN).any()
    zero = not broken and all(pair.zero for pair in pairs)
    currencies = set(rows.loc[rows["when"].isin(WHEN), "currency"])
    currency = str(currencies.pop()) if len(currencies) == 1 else ""
    result = {}
    for when in WHEN:
        part = rows[rows["when"].eq(when)]
        if when in blocked:
            result[when] = Sums(currency=currency)
            continue
        if part.empty:
            nought = 0.0 if zero else float("nan")
            result[when] = Sums(nought, nought, nought if currency else float("nan"), currency=currency)
            continue
        kg = part["measured_kg"].sum(skipna=False)
        original = float(part["value"].sum(skipna=False)) if currency else float("nan")
        result[when] = Sums(float(part["value_usd"].sum(skipna=False)), float(kg), original, price(part), currency)
    return result


def price(rows: pd.DataFrame) -> float:
    """USD per kg of the rows that have a value and a measured weight."""
    both = rows["value_usd"].notna() & rows["measured_kg"].gt(0)
    kg = rows.loc[both, "measured_kg"].sum()
    return float(rows.loc[both, "value_usd"].sum() / kg) if kg > 0 else float("nan")


def unplaced(network: TradeNetwork, trades: pd.DataFrame, concept: str) -> pd.Series:
    """Whether a record cannot be placed, in time or in goods, and tells of goods that no other record tells.

    Of countries a record tells the same again if others of its seller and buyer, of goods within its own or the same, fill its
    days, or if those inside its days have its value together.
    """
    doubtful = trades["left_aside"].isin([OUTSIDE, WIDE])
    if not doubtful.any():
        return doubtful
    open_rows = trades[doubtful]
    told = trades_in_scope(network, concept=concept, products=None, since=None, until=None)
    told = told[told["seller_id"].isin(open_rows["seller_id"]) & told["buyer_id"].isin(open_rows["buyer_id"])
                & told["period_start"].notna() & told["period_end"].notna() & ~told["trade_id"].isin(open_rows["trade_id"])]
    return doubtful & ~told_again(network, open_rows, told).reindex(trades.index, fill_value=False)


def told_again(network: TradeNetwork, rows: pd.DataFrame, told: pd.DataFrame) -> pd.Series:
    """For each of the rows whether those `told` tell the same goods: of countries only, since each record of firms is its own shipment."""
    if network.level == "firms" or rows.empty:
        return pd.Series(False, index=rows.index)
    told = count_once(network, told, prefer="exporter")
    by_pair = dict(list(told[told["left_aside"].eq("")].groupby(["seller_id", "buyer_id"])))
    again = [pair in by_pair and _told_again(row, by_pair[pair])
             for row, pair in zip(rows.itertuples(), zip(rows["seller_id"], rows["buyer_id"], strict=True), strict=True)]
    return pd.Series(again, index=rows.index, dtype=bool)


def _told_again(row: Any, told: pd.DataFrame) -> bool:
    met = told[told["period_start"].le(row.period_end) & told["period_end"].ge(row.period_start)]
    met = met[np.array([overlaps(frozenset({code}), frozenset({row.code})) for code in met["code"]], dtype=bool)]
    inside = met["period_start"].ge(row.period_start) & met["period_end"].le(row.period_end)
    reached = row.period_start
    for start, end in sorted(zip(met["period_start"], met["period_end"], strict=True)):
        if start <= reached:
            reached = max(reached, end + DAY)
    return bool(len(met)) and (reached > row.period_end or met.loc[inside, "value_usd"].sum() >= row.value_usd)


def blocked(leg: pd.DataFrame, pairs: Mapping[tuple[str, str], Pair], periods: Periods) -> set[str]:
    """The periods in whose compared days a leg has a record that cannot be placed (column `unplaced`)."""
    rows = leg[leg["unplaced"]]
    found = set()
    for seller, buyer, start, end in rows[["seller_id", "buyer_id", "period_start", "period_end"]].itertuples(index=False, name=None):
        pair = pairs[seller, buyer]
        for when in WHEN:
            spans = pair.spans[when] or (periods.named()[when],)
            if any(not (start > last or end < first) for first, last in spans):
                found.add(when)
    return found


def by_month(leg: pd.DataFrame, pairs: Mapping[tuple[str, str], Pair], periods: Periods, column: str) -> np.ndarray:
    """A leg month by month from the first day of the earlier period to the last of the later; NaN where a pair is not known.

    Months that a record touches which is not of one month, or cannot be placed (column `unplaced`), are not known.
    """
    months = pd.period_range(periods.before[0], periods.now[1], freq="M")
    rows = leg[leg["left_aside"].eq("") | leg["unplaced"]]
    rows = rows.assign(period_start=rows["period_start"].fillna(periods.before[0]), period_end=rows["period_end"].fillna(periods.now[1]))
    start, end = rows["period_start"].dt.to_period("M"), rows["period_end"].dt.to_period("M")
    total = np.zeros(len(months))
    for (seller, buyer), found in rows.assign(month=start, whole=start.eq(end) & ~rows["unplaced"]).groupby(["seller_id", "buyer_id"]):
        pair = pairs[str(seller), str(buyer)]
        spans = [span for some in pair.spans.values() for span in some] if pair.zero else []
        known = np.array([any(a <= m.start_time and m.end_time.normalize() <= b for a, b in spans) for m in months], dtype=bool)
        series = np.where(known, 0.0, np.nan)
        for month, value in found[found["whole"]].groupby("month")[column].sum(skipna=False).items():
            series[months.get_loc(month)] = value
        for a, b in found.loc[~found["whole"], ["period_start", "period_end"]].itertuples(index=False):
            series[(months.end_time >= a) & (months.start_time <= b)] = np.nan
        total += series
    return total


def spans_text(pairs: Iterable[Pair], when: str) -> str:
    """The days that are compared, as text."""
    spans = sorted({span for pair in pairs for span in pair.spans[when]})
    return ", ".join(period_text(*span) for span in spans)
