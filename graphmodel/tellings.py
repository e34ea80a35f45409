"""One flow counts once: which of several tellings of the same flow an aggregate takes, and why it leaves the others aside.

A telling is what one reporter says in one source at one level of detail. Two rows of one telling are two flows and add up. Two
rows of different tellings between the same seller and buyer, whose products and periods overlap, tell of the same goods, and
one of them is taken, in this order:

1. the preferred side's report (the exporter's unless told otherwise);
2. exports before re-exports, which are a part of them;
3. a total before its breakdown by transport mode, customs procedure or second partner;
4. the longer period before the shorter ones inside it (a year before its months);
5. the wider code before the narrower ones inside it (a heading before its subheadings);
6. the newer source.

So the whole stands for its parts. A bloc's row is taken before the rows of its members with the same partner, goods and time.
Between firms every record is a shipment of its own: there only reports of different sources or reporters are compared.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.selection import concept_of

PREFER = ("exporter", "importer")
_FOREVER = np.iinfo(np.int64).max


def left_aside(
    trades: pd.DataFrame, *, level: str, prefer: str = "exporter", retrieved: Mapping[str, str] | None = None
) -> pd.Series:
    """For each trade the reason why an aggregate leaves it aside; empty for the trades that it takes.

    Parameters
    ----------
    trades
        Rows of the table `trades`, already restricted to the question: of a year and its months the year wins, so leave the
        year out beforehand where months are asked for.
    level
        Level of the network.
    prefer
        `exporter` or `importer`.
    retrieved
        Date of retrieval by source, to prefer the newer one.
    """
    if prefer not in PREFER:
        raise UnknownNameError("preference", prefer, PREFER, "choose exporter or importer")
    reason = pd.Series("", index=trades.index, dtype="str")
    if trades.empty:
        return reason
    work = _ranked(trades, level, prefer, retrieved or {})
    several = work.groupby(["concept", "seller_id", "buyer_id"])["telling"].transform("nunique").gt(1)
    for _, pair in work[several].groupby(["concept", "seller_id", "buyer_id"], sort=False):
        _compare(pair, reason)
    if level == "countries":
        _blocs(work[reason.eq("")], reason)
    return reason


def _ranked(trades: pd.DataFrame, level: str, prefer: str, retrieved: Mapping[str, str]) -> pd.DataFrame:
    """Trades with what the comparison needs; `telling` is 0 for the telling that is taken first."""
    outward = trades["flow"].isin(["export", "re-export"])
    work = trades[["seller_id", "buyer_id", "hs_code", "product_set", "hs_version", "flow", "breakdown", "reported_by",
                   "source_id", "period_start", "period_end"]].copy()
    work["concept"] = concept_of(trades)
    work["other_side"] = outward if prefer == "importer" else ~outward
    work["from"] = _days(trades["period_start"], -_FOREVER)
    work["to"] = _days(trades["period_end"], _FOREVER)
    work["span"] = np.where(trades["period_start"].isna() | trades["period_end"].isna(), _FOREVER, 0)
    dated = work["span"].eq(0)
    work.loc[dated, "span"] = (work["to"] - work["from"])[dated]
    work["span"] = -pd.cut(work["span"].astype("float64"), [-1, 0, 26, 30, 92, 365, np.inf], labels=False).astype("int64")
    work["digits"] = work["hs_code"].str.len().where(work["product_set"].eq(""), 1)
    work["age"] = work["source_id"].map(dict(retrieved)).fillna("").rank(method="dense", ascending=False)
    detail = ["flow_part", "in_parts", "breakdown", "span", "digits"] if level == "countries" else []
    work["flow_part"] = trades["flow"].isin(["re-export", "re-import"])
    work["in_parts"] = trades["breakdown"].ne("")
    work["telling"] = work.groupby(["other_side", *detail, "age", "source_id", "reported_by"], sort=True).ngroup()
    return work


def _days(dates: pd.Series, missing: int) -> pd.Series:
    days = dates.astype("datetime64[s]").astype("int64") // 86_400
    return days.where(dates.notna(), missing)


def _compare(pair: pd.DataFrame, reason: pd.Series) -> None:
    """Takes the tellings of one pair in their order; writes the reason for each row that overlaps a row taken before."""
    taken: list[pd.DataFrame] = []
    for _, told in pair.groupby("telling", sort=True):
        if taken:
            before = pd.concat(taken)
            overlap = _overlap(told, before)
            aside = overlap.any(axis=1)
            for place in np.flatnonzero(aside).tolist():
                reason.at[told.index[place]] = _why(told.iloc[place], before.iloc[overlap[place].argmax()])
            told = told[pd.Series(~aside, index=told.index)]
        taken.append(told)


def _overlap(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Whether row i and other j overlap in time and goods."""
    in_time = (rows["from"].to_numpy()[:, None] <= others["to"].to_numpy()) & (
        others["from"].to_numpy() <= rows["to"].to_numpy()[:, None]
    )
    kinds_a, index_a = _goods(rows)
    kinds_b, index_b = _goods(others)
    same = np.array([[_same_goods(a, b) for b in kinds_b] for a in kinds_a], dtype=bool)
    return in_time & same[np.ix_(index_a, index_b)]


def _goods(rows: pd.DataFrame) -> tuple[list[tuple[tuple[str, ...], str]], np.ndarray]:
    keys = list(zip(rows["hs_code"], rows["product_set"], rows["hs_version"], strict=True))
    kinds = sorted(set(keys))
    position = {kind: i for i, kind in enumerate(kinds)}
    return [(tuple((c or s).split("+")) if c or s else (), v) for c, s, v in kinds], np.array([position[k] for k in keys])


def _same_goods(a: tuple[tuple[str, ...], str], b: tuple[tuple[str, ...], str]) -> bool:
    """Whether two codes can mean the same goods: one within the other, at heading level if their HS versions may differ.

    Unknown goods may be the same as any.
    """
    (codes_a, version_a), (codes_b, version_b) = a, b
    if not codes_a or not codes_b:
        return True
    if not version_a or version_a != version_b:
        codes_a, codes_b = tuple(c[:4] for c in codes_a), tuple(c[:4] for c in codes_b)
    return any(x.startswith(y) or y.startswith(x) for x in codes_a for y in codes_b)


def _why(row: pd.Series, taken: pd.Series) -> str:
    if row["other_side"] != taken["other_side"]:
        return "told by the other side too"
    if row["reported_by"] != taken["reported_by"]:
        return "told by another reporter too"
    if row["flow"] != taken["flow"]:
        return f"{row['flow']} within {taken['flow']}s"
    if row["breakdown"] != taken["breakdown"]:
        return f"part of a total by {row['breakdown'] or 'detail'}"
    if row["source_id"] != taken["source_id"]:
        return "told by another source too"
    if row["span"] != taken["span"]:
        return "period within a longer one"
    return "code within a wider one"


def _blocs(work: pd.DataFrame, reason: pd.Series) -> None:
    """Leaves members aside where their bloc is told as one economy with the same partner, goods and time."""
    for bloc, countries in GROUPS.items():
        for side, partner in (("seller_id", "buyer_id"), ("buyer_id", "seller_id")):
            whole = work[work[side].eq(bloc)]
            parts = work[work[side].isin(countries)]
            parts = parts[parts[partner].isin(set(whole[partner]))]
            for (concept, other), members in parts.groupby(["concept", partner], sort=False):
                told = whole[whole["concept"].eq(str(concept)) & whole[partner].eq(str(other))]
                if len(told):
                    aside = np.flatnonzero(_overlap(members, told).any(axis=1))
                    reason.loc[members.index.take(aside)] = f"member of {bloc}, which is told as one"
