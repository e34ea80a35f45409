"""One flow counts once: which of several tellings of the same flow an aggregate takes, and why it leaves the others aside.

A telling is what one reporter says in one source at one level of detail. Two rows of one telling are two flows and add up. Two
rows of different tellings between the same seller and buyer, whose goods and periods overlap, tell of the same goods, and one
of them is taken, in this order:

1. the preferred side's report (the exporter's unless told otherwise);
2. exports before re-exports, which are a part of them;
3. a total before its breakdown by transport mode, customs procedure or second partner;
4. the longer period before the shorter ones inside it (a year before its months);
5. the wider code before the narrower ones inside it (a heading before its subheadings);
6. the newer source.

So the whole stands for its parts. The order gives way where it would take a part for the whole: a row is left aside only if the
rows taken before it fill its whole period. If they do not, and it holds all of them, it is taken and they are left aside; if
neither holds the other, the larger value is taken. Between two reporters, and between two sources, only time is weighed so: what
one of them tells of a heading's subheadings is taken as all that it has to tell of the heading.

A bloc's row is taken before the rows of its members with the same partner, goods and time, under the same condition. A cell of a
statistic (one reporter, source, flow, code and month or year) is unique: of several rows for it the largest is taken. Between
firms every record is a shipment of its own: there only reports of different sources or reporters are compared.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.periods import precision
from chiptrail.graphmodel.selection import concept_of, goods_code

PREFER = ("exporter", "importer")
_SIDES = ("seller_id", "buyer_id")
Goods = tuple[str, ...]


class _Row(NamedTuple):
    place: int
    telling: int
    start: float
    end: float
    goods: Goods
    version: str
    source: tuple[str, str]
    value: float
    other_side: bool
    flow: str
    breakdown: str


def left_aside(
    trades: pd.DataFrame, *, level: str, prefer: str = "exporter", retrieved: Mapping[str, str] | None = None,
    blocs_as: Sequence[str] = _SIDES,
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
    blocs_as
        On which side a bloc is compared with its members; the side that is not summed over can be left out.
    """
    if prefer not in PREFER:
        raise UnknownNameError("preference", prefer, PREFER, "choose exporter or importer")
    reason = np.full(len(trades), "", dtype=object)
    if len(trades):
        rows, pairs = _rows(trades, level, prefer, retrieved or {})
        if level == "countries":
            _repeats(trades, reason)
        for places in pairs:
            told = [rows[i] for i in places if not reason[i]]
            if len({row.telling for row in told}) > 1:
                _compare(told, reason)
        if level == "countries":
            _blocs(trades, rows, reason, blocs_as)
    return pd.Series(reason, index=trades.index, dtype="str")


def _rows(
    trades: pd.DataFrame, level: str, prefer: str, retrieved: Mapping[str, str]
) -> tuple[list[_Row], list[list[int]]]:
    """Trades as the comparison needs them, and their places by concept, seller and buyer, where there is more than one."""
    outward = trades["flow"].isin(["export", "re-export"])
    start, end = (_days(trades[day], missing) for day, missing in (("period_start", -math.inf), ("period_end", math.inf)))
    work = pd.DataFrame({
        "other_side": outward if prefer == "importer" else ~outward,
        "flow_part": trades["flow"].isin(["re-export", "re-import"]), "in_parts": trades["breakdown"].ne(""),
        "breakdown": trades["breakdown"], "span": -pd.cut(end - start, [-1, 0, 26, 30, 92, 365, np.inf], labels=False),
        "digits": trades["hs_code"].str.len().where(trades["product_set"].eq(""), 1),
        "age": trades["source_id"].map(dict(retrieved)).fillna("").rank(method="dense", ascending=False),
        "source_id": trades["source_id"], "reported_by": trades["reported_by"],
    })
    detail = ["flow_part", "in_parts", "breakdown", "span", "digits"] if level == "countries" else []
    telling = work.groupby(["other_side", *detail, "age", "source_id", "reported_by"], sort=True).ngroup()
    rows = [
        _Row(i, told, a, b, _codes(code), version, source, value, side, flow, part)
        for i, (told, a, b, code, version, source, value, side, flow, part) in enumerate(zip(
            telling.tolist(), start.tolist(), end.tolist(), goods_code(trades).tolist(), trades["hs_version"].tolist(),
            zip(trades["source_id"].tolist(), trades["reported_by"].tolist(), strict=True), trades["value_usd"].tolist(),
            work["other_side"].tolist(), trades["flow"].tolist(), trades["breakdown"].tolist(), strict=True))
    ]
    pairs: dict[tuple[str, str, str], list[int]] = {}
    for i, key in enumerate(zip(concept_of(trades).tolist(), trades["seller_id"].tolist(), trades["buyer_id"].tolist(), strict=True)):
        pairs.setdefault(key, []).append(i)
    return rows, [places for places in pairs.values() if len(places) > 1]


@lru_cache(maxsize=4096)
def _codes(code: str) -> Goods:
    return tuple(code.split("+")) if code else ()


def _days(dates: pd.Series, missing: float) -> pd.Series:
    days = (dates.astype("datetime64[s]").astype("int64") // 86_400).astype("float64")
    return days.where(dates.notna(), missing)


def _repeats(trades: pd.DataFrame, reason: np.ndarray) -> None:
    """Leaves aside all but the largest of several rows for one cell of a statistic."""
    cell = ["source_id", "reported_by", "flow", "partner_concept", "seller_id", "buyer_id", "hs_code", "product_set", "hs_version",
            "period_start", "period_end"]
    statistic = trades["breakdown"].eq("") & precision(trades["period_start"], trades["period_end"]).isin(["month", "year"])
    ordered = trades[statistic].sort_values(["value_usd", "trade_id"], ascending=[False, True], na_position="last", kind="stable")
    repeated = ordered.index[ordered.duplicated(cell)]
    reason[trades.index.get_indexer(repeated)] = "repeats a cell of the same statistic"


def _compare(pair: list[_Row], reason: np.ndarray) -> None:
    """Takes the rows of one pair, telling by telling in their order; writes the reason for each row that is left aside."""
    taken: list[_Row] = []
    for _, told in groupby(sorted(pair, key=lambda r: (r.telling, r.place)), key=lambda r: r.telling):
        contested: list[tuple[_Row, list[_Row]]] = []
        fresh: list[_Row] = []
        for row in told:
            met = [other for other in taken if _overlap(row, other)]
            if not met:
                fresh.append(row)
            elif _fill(met, row):
                reason[row.place] = _why(row, met[0])
            else:
                contested.append((row, met))
        against = {other.place: other for _, met in contested for other in met}
        holds = all(_holds(row, other) for row, met in contested for other in met)
        if contested and (holds or _worth(row for row, _ in contested) > _worth(against.values())):
            for row, met in contested:
                for other in met:
                    reason[other.place] = _why(other, row)
            taken = [other for other in taken if other.place not in against] + [row for row, _ in contested]
        else:
            for row, _ in contested:
                reason[row.place] = "overlaps a larger telling in part"
        taken += fresh


def _worth(rows: Iterable[_Row]) -> float:
    return sum(row.value for row in rows if not math.isnan(row.value))


def _overlap(a: _Row, b: _Row) -> bool:
    """Whether two rows can tell of the same goods at the same time."""
    return a.start <= b.end and b.start <= a.end and _same_goods(a.goods, b.goods, a.source == b.source or a.version == b.version != "")


@lru_cache(maxsize=65_536)
def _same_goods(a: Goods, b: Goods, same_version: bool) -> bool:
    """Whether one code lies within the other, at heading level if their HS versions may differ; unknown goods may be any."""
    if not a or not b:
        return True
    if not same_version:
        a, b = tuple(c[:4] for c in a), tuple(c[:4] for c in b)
    return any(x.startswith(y) or y.startswith(x) for x in a for y in b)


def _fill(rows: list[_Row], row: _Row) -> bool:
    """Whether the rows together stand for a row: they fill its period and, if its own reporter told them, hold its goods."""
    reached = row.start
    for other in sorted(rows, key=lambda r: (r.start, r.end)):
        if other.start > reached:
            return False
        if other.source != row.source or _holds_goods(other, row):
            reached = max(reached, other.end + 1)
    return reached > row.end or math.isinf(reached)


def _holds(row: _Row, other: _Row) -> bool:
    """Whether a row holds another in time and in goods."""
    return row.start <= other.start and other.end <= row.end and _holds_goods(row, other)


def _holds_goods(row: _Row, other: _Row) -> bool:
    return not row.goods or (bool(other.goods) and all(any(x.startswith(y) for y in row.goods) for x in other.goods))


def _why(row: _Row, taken: _Row) -> str:
    if row.other_side != taken.other_side:
        return "told by the other side too"
    if row.source[1] != taken.source[1]:
        return "told by another reporter too"
    if row.flow != taken.flow:
        return f"{row.flow} within {taken.flow}s"
    if row.breakdown != taken.breakdown:
        return f"part of a total by {row.breakdown or 'detail'}"
    if row.source != taken.source:
        return "told by another source too"
    if (row.start, row.end) != (taken.start, taken.end):
        return "period within a longer one"
    return "code within a wider one"


def _blocs(trades: pd.DataFrame, rows: list[_Row], reason: np.ndarray, sides: Sequence[str]) -> None:
    """Leaves members aside where their bloc is told as one, for all of their time; else the bloc where it overlaps them."""
    concept = concept_of(trades).tolist()
    for side in sides:
        partner = (trades["buyer_id"] if side == "seller_id" else trades["seller_id"]).tolist()
        actor = trades[side].tolist()
        for bloc, countries in GROUPS.items():
            whole: dict[tuple[str, str], list[_Row]] = {}
            for i, name in enumerate(actor):
                if name == bloc and not reason[i]:
                    whole.setdefault((concept[i], partner[i]), []).append(rows[i])
            if not whole:
                continue
            among = set(countries)
            for i, name in enumerate(actor):
                if name not in among or reason[i]:
                    continue
                met = [row for row in whole.get((concept[i], partner[i]), []) if not reason[row.place] and _overlap(rows[i], row)]
                if met and _fill(met, rows[i]):
                    reason[i] = f"member of {bloc}, which is told as one"
                elif met:
                    for row in met:
                        reason[row.place] = f"{bloc} told as one, but not for all the time of its members"
