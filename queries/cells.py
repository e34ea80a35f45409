"""Trade by corridor, product and period, with what is known where no record stands: zero, or not observed."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import CoverageIndex, overlaps
from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.graphmodel.hs import HS_VERSIONS, comparable_code
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import window
from chiptrail.queries.scope import BY

KEY = ["seller_id", "buyer_id", "product"]


@dataclass(frozen=True)
class Goods:
    """The codes of a product and the HS versions in which they are known; without codes nothing can be said of its absence."""

    codes: frozenset[str]
    versions: frozenset[str]


def shortened(code: str, digits: int) -> str:
    """A code, or each code of a set, cut to so many digits.

    Examples
    --------
    >>> shortened("854231", 4), shortened("854110+854121", 4), shortened("8541+8542", 4)
    ('8542', '8541', '8541+8542')
    """
    return "+".join(sorted({part[:digits] for part in code.split("+")}))


def goods_of(trades: pd.DataFrame) -> dict[str, Goods]:
    """For each product that is an HS code or set: its codes, and the HS versions of its records."""
    versions = trades.groupby("product")["hs_version"].agg(frozenset)
    return {p: Goods(frozenset(p.split("+")) - {""}, versions[p]) for p in versions.index}


def cells(
    network: TradeNetwork, trades: pd.DataFrame, *, by: str, goods: Mapping[str, Goods], since: str | None, until: str | None
) -> pd.DataFrame:
    """One row per seller, buyer and product that was traded in the question, and period.

    Parameters
    ----------
    network
        The network whose coverage is asked.
    trades
        Trades of one concept with `code`, `product`, `period` and `left_aside`, each flow counted once.
    by
        Length of the periods.
    goods
        What each product means.
    since, until
        Window of the question; without it, the periods from the first record counted to the last.

    Returns
    -------
    DataFrame
        `seller_id`, `buyer_id`, `product`, `period`; `value_usd`, `weight_kg` (missing if a record has none; zero where
        the pair and product are covered completely and nothing is recorded), `n_records`, `n_without_value`, `n_left_aside` (other
        tellings of the period), `estimated` (a record is), `coverage` (covered, partly, not covered) and `observed` (recorded,
        or known to be zero). Sorted by period, seller, buyer and product.

    Notes
    -----
    Zero is said only if no record of the pair touches the period with goods that may be the same: a year's record leaves its
    months unknown, and a heading's its subheadings. Nor is it said of a code in a year whose HS version did not have it.
    """
    counted = trades[trades["left_aside"].eq("")]
    sums = _sums(counted)
    aside = trades[trades["left_aside"].ne("")].groupby([*KEY, "period"]).size().rename("n_left_aside")
    first, last = window(since, until)
    periods = _periods(counted, trades, by, first, last, network)
    corridors = counted[KEY].drop_duplicates()
    table = corridors.merge(pd.DataFrame({"period": periods}), how="cross")
    table = table.merge(sums, how="left", on=[*KEY, "period"]).merge(aside, how="left", left_on=[*KEY, "period"], right_index=True)
    for column in ("n_records", "n_without_value", "n_left_aside"):
        table[column] = table[column].fillna(0).astype("int64")
    table["estimated"] = table["estimated"].eq(True)
    table["coverage"] = _coverage(network, table, goods, str(trades["concept"].iloc[0]) if len(trades) else "dispatched")
    start, end = table["period"].dt.start_time, table["period"].dt.end_time.dt.normalize()
    whole = (start >= first if first is not None else True) & (end <= last if last is not None else True)
    empty = table["n_records"].eq(0)
    zero = empty & table["coverage"].eq("covered") & whole
    zero &= ~_told_otherwise(table, zero, trades, goods) & _in_use(network, table, goods)
    table.loc[zero, ["value_usd", "weight_kg"]] = 0.0
    table["observed"] = ~empty | zero
    return table.sort_values(["period", *KEY], kind="stable").reset_index(drop=True)


def _sums(counted: pd.DataFrame) -> pd.DataFrame:
    work = counted.assign(unknown=counted["value_usd"].isna(), estimate=counted["basis"].isin(["estimated", "inferred"]))
    groups = work.groupby([*KEY, "period"])
    return pd.DataFrame({
        "value_usd": groups["value_usd"].sum(skipna=False), "weight_kg": groups["weight_kg"].sum(skipna=False),
        "n_records": groups.size(), "n_without_value": groups["unknown"].sum(), "estimated": groups["estimate"].any(),
    }).reset_index()


def _periods(
    counted: pd.DataFrame, trades: pd.DataFrame, by: str, first: pd.Timestamp | None, last: pd.Timestamp | None,
    network: TradeNetwork,
) -> pd.PeriodIndex:
    """The periods of the question, as far as records and coverage reach."""
    if counted.empty:
        return pd.PeriodIndex([], freq=BY[by])
    starts = [counted["period_start"].min()]
    ends = [counted["period_end"].max()]
    coverage = network.coverage
    if first is not None:
        starts.append(max(first, coverage["period_start"].min()) if len(coverage) else starts[0])
    if last is not None:
        ends.append(min(last, coverage["period_end"].max()) if len(coverage) else ends[0])
    return pd.period_range(min(starts), max(ends), freq=BY[by])


def _coverage(network: TradeNetwork, table: pd.DataFrame, goods: Mapping[str, Goods], concept: str) -> list[str]:
    index = CoverageIndex(network)
    days = {p: (p.start_time.as_unit("us"), p.end_time.normalize().as_unit("us")) for p in table["period"].unique()}
    found = []
    for seller, buyer, product, period in table[[*KEY, "period"]].itertuples(index=False, name=None):
        first, last = days[period]
        codes = goods[product].codes
        seen = index.observed([seller], [buyer], concept=concept, codes=codes or None, first=first, last=last)
        wide = tuple(part for covered in seen.products for part in covered.split("+"))
        whole = "*" in seen.products or (codes and all(code.startswith(wide) for code in codes))
        found.append("partly" if seen.status == "covered" and not whole else seen.status)
    return found


def _told_otherwise(table: pd.DataFrame, asked: pd.Series, trades: pd.DataFrame, goods: Mapping[str, Goods]) -> np.ndarray:
    """For the rows asked about, whether any record of the pair touches the period with goods that may be the same."""
    told: dict[tuple[str, str], list[tuple]] = {}
    starts = trades["period_start"].fillna(pd.Timestamp.min.as_unit("us"))
    ends = trades["period_end"].fillna(pd.Timestamp.max.as_unit("us"))
    for seller, buyer, code, start, end in zip(trades["seller_id"], trades["buyer_id"], trades["code"], starts, ends, strict=True):
        told.setdefault((seller, buyer), []).append((start, end, frozenset({code})))
    days = {p: (p.start_time, p.end_time) for p in table["period"].unique()}
    result = np.zeros(len(table), dtype=bool)
    result[asked.to_numpy()] = [
        any(start <= days[period][1] and days[period][0] <= end and overlaps(codes, goods[product].codes)
            for start, end, codes in told[seller, buyer])
        for seller, buyer, product, period in table.loc[asked, [*KEY, "period"]].itertuples(index=False, name=None)
    ]
    return result


def _in_use(network: TradeNetwork, table: pd.DataFrame, goods: Mapping[str, Goods]) -> pd.Series:
    """Whether a product's codes could be recorded in the period."""
    groups = network.trades.groupby("hs_version")
    spans = {str(v): (g["period_start"].min(), g["period_end"].max()) for v, g in groups}
    known = {
        (product, period): _known(goods[product], period, spans)
        for product, period in table[["product", "period"]].drop_duplicates().itertuples(index=False, name=None)
    }
    return pd.Series([known[key] for key in zip(table["product"], table["period"], strict=True)], index=table.index, dtype=bool)


def _known(goods: Goods, period: pd.Period, spans: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]]) -> bool:
    """Whether the codes are known in the HS version of the period, or in one that the data use then."""
    now = max((v for v in HS_VERSIONS if int(v[2:]) <= period.year), default="", key=HS_VERSIONS.index)
    if goods.versions & {now, ""}:
        return True
    if any(v in spans and spans[v][0] <= period.start_time and period.end_time.normalize() <= spans[v][1] for v in goods.versions):
        return True
    try:
        return bool(now and goods.codes) and all(
            len(code) <= 4 and comparable_code(code, max(goods.versions), versions=[now]) == code for code in goods.codes
        )
    except NotComparableError:
        return False
