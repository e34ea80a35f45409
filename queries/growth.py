"""Sums of the legs of a hub in a period and an earlier one, over what compares, and month by month."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.periods import period_text
from chiptrail.queries.baseline import OUTSIDE, WIDE, Pair, Periods

WHEN = ("now", "before")


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


def sums(rows: pd.DataFrame, pairs: Iterable[Pair], *, blocked: bool) -> dict[str, Sums]:
    """The sums of counted rows with `when` and `measured_kg`, by period.

    Without a row it is zero if all pairs are covered in both periods so that a missing row means zero, unless some record that cannot
    be counted touches the leg (`blocked`).
    """
    zero = not blocked and all(pair.zero for pair in pairs)
    currencies = set(rows.loc[rows["when"].isin(WHEN), "currency"])
    currency = str(currencies.pop()) if len(currencies) == 1 else ""
    result = {}
    for when in WHEN:
        part = rows[rows["when"].eq(when)]
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


def blocking(rows: pd.DataFrame) -> bool:
    """Whether a record that cannot be placed, in time or in goods, touches the leg."""
    return bool(rows["left_aside"].isin([OUTSIDE, WIDE]).any())


def by_month(rows: pd.DataFrame, pairs: Mapping[tuple[str, str], Pair], periods: Periods, column: str) -> np.ndarray:
    """A leg month by month from the first day of the earlier period to the last of the later; NaN where a pair is not known."""
    months = pd.period_range(periods.before[0], periods.now[1], freq="M")
    start, end = rows["period_start"].dt.to_period("M"), rows["period_end"].dt.to_period("M")
    total = np.zeros(len(months))
    for (seller, buyer), found in rows.assign(month=start, whole=start.eq(end)).groupby(["seller_id", "buyer_id"]):
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
