"""One flow counts once: which of several tellings of the same flow an aggregate takes, and why it leaves the others aside.

A telling is what one reporter says in one source at one level of detail. Two rows of one telling are two flows and add up. Two
rows of different tellings between the same seller and buyer, whose goods and periods overlap, tell of the same goods, and one
of them is taken, in this order:

1. what is recorded or reported before what is estimated;
2. the preferred side's report (the exporter's unless told otherwise);
3. exports before re-exports, which are a part of them;
4. a total before its breakdown by transport mode, customs procedure or second partner;
5. the longer period before the shorter ones inside it (a year before its months);
6. the wider code before the narrower ones inside it (a heading before its subheadings);
7. the newer source.

So the whole stands for its parts. The order gives way where it would take a part for the whole: a row is left aside only if the
rows taken before it fill its whole period. If they do not, and it holds all of them, it is taken and they are left aside; if
neither holds the other, the larger value is taken. Between two reporters, and between two sources, only time is weighed so: what
one of them tells of a heading's subheadings is taken as all that it has to tell of the heading.

A bloc's row is taken before the rows of its members with the same partner, goods and time, under the same condition. A cell of a
statistic (one reporter, source, flow, code and month or year) is unique: of several rows for it the largest is taken. Between
firms every record is a shipment of its own, and only reports of different reporters or documents are compared. Customs records of one
reporter add up, whatever files they come in; one that stands in two files, with the same declaration and item, or without these with
the same day, goods and value, counts once, as the later file tells it.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import networkx as nx
import numpy as np
import pandas as pd

from chiptrail.graphmodel.coded import combined, constant
from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.periods import precision
from chiptrail.graphmodel.selection import by_origin, goods_code

PREFER = ("exporter", "importer")
_SIDES = ("seller_id", "buyer_id")
_FIRST, _LAST = -1_000_000, 1_000_000
"""Days for a start or an end that is not known: before and after every date."""
_SPANS = np.array([0, 26, 30, 92, 365])
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
    if level == "firms" and all(column.nunique() < 2 for column in (trades["source_id"], trades["reported_by"], _outward(trades))):
        return constant("", trades.index)
    reason = np.full(len(trades), "", dtype=object)
    if level == "countries":
        _repeats(trades, reason)
    else:
        _doubles(trades, reason, retrieved or {})
    table = _Table(trades, level, prefer, retrieved or {})
    places, group = _contested(table, reason)
    simple = _alike(table, places, group)
    reason[_within_wider(table, places[simple], group[simple])] = "code within a wider one"
    rows = table.rows(places[~simple])
    for _, told in groupby(zip(group[~simple].tolist(), rows, strict=True), key=lambda item: item[0]):
        _compare([row for _, row in told], reason)
    if level == "countries":
        _blocs(trades, table, reason, blocs_as)
    return pd.Series(reason, index=trades.index, dtype="str")


class _Table:
    """Trades as the comparison needs them: columns as arrays, and rows when they are asked for."""

    def __init__(self, trades: pd.DataFrame, level: str, prefer: str, retrieved: Mapping[str, str]) -> None:
        outward = _outward(trades)
        self.other_side = (outward if prefer == "importer" else ~outward).to_numpy()
        self.start, self.end = (_days(trades[day], missing) for day, missing in (("period_start", _FIRST), ("period_end", _LAST)))
        self.code = goods_code(trades).astype("category")
        self.source, _ = combined([-_age(trades["source_id"], retrieved), trades["source_id"], trades["reported_by"]])
        if level == "firms":
            recorded = _shipments(trades)
            one_reporter, _ = combined([trades["reported_by"]])
            self.source = np.where(recorded, one_reporter, self.source + len(trades))
        self.detail = np.zeros(len(trades), dtype=np.int64)
        lengths = np.array([1 if "+" in code else len(code) for code in self.code.cat.categories], dtype=np.int64)
        size = lengths[self.code.cat.codes.to_numpy()] if len(trades) else self.detail
        if level == "countries":
            parts = [trades["flow"].isin(["re-export", "re-import"]), trades["breakdown"].ne(""), trades["breakdown"]]
            self.detail, _ = combined([*parts, -np.searchsorted(_SPANS, self.end - self.start)])
        estimated = trades["basis"].isin(["estimated", "inferred"])
        told = [estimated, self.other_side, self.detail, *([size] if level == "countries" else []), self.source]
        self.telling, _ = combined(told)
        self.pair, _ = combined([by_origin(trades), trades["seller_id"], trades["buyer_id"]])
        self._texts = trades[["hs_version", "source_id", "reported_by", "value_usd", "flow", "breakdown"]]

    def rows(self, places: np.ndarray) -> list["_Row"]:
        """The trades at these places."""
        texts = [column.tolist() for _, column in self._texts.iloc[places].items()]
        start, end = self.start[places].astype(float), self.end[places].astype(float)
        start[start == _FIRST], end[end == _LAST] = -math.inf, math.inf
        return [
            _Row(i, told, a, b, _codes(code), version, (source, reporter), value, side, flow, part)
            for i, told, a, b, code, side, version, source, reporter, value, flow, part in zip(
                places.tolist(), self.telling[places].tolist(), start.tolist(), end.tolist(), self.code.iloc[places].tolist(),
                self.other_side[places].tolist(), *texts, strict=True)
        ]


def _outward(trades: pd.DataFrame) -> pd.Series:
    return trades["flow"].isin(["export", "re-export"])


def _age(source_ids: pd.Series, retrieved: Mapping[str, str]) -> np.ndarray:
    """A number for each row that is the larger the later its source was retrieved; unknown dates come first."""
    sources = source_ids.astype("category")
    dates = [retrieved.get(source, "") for source in sources.cat.categories]
    return np.array([sorted(set(dates)).index(date) for date in dates], dtype=np.int64)[sources.cat.codes.to_numpy()]


def _contested(table: _Table, reason: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of the trades that may tell of the same goods, and the number of each one's group: a pair, goods and days that meet."""
    places = np.flatnonzero(reason == "")
    places = places[_several(table.pair[places], table.telling[places])]
    codes = table.code.iloc[places].cat.remove_unused_categories()
    classes = _classes(tuple(codes.cat.categories))
    goods = np.array([classes[code] for code in codes.cat.categories], dtype=np.int64)[codes.cat.codes.to_numpy()]
    group, _ = combined([table.pair[places], goods])
    order = np.lexsort((table.start[places], group))
    places, group = places[order], group[order]
    lane = group * (4 * _LAST)
    reached = np.maximum.accumulate(lane + table.end[places])
    group = np.cumsum(np.r_[True, (lane + table.start[places])[1:] > reached[:-1]][: len(places)])
    several = _several(group, table.telling[places])
    return places[several], group[several]


def _alike(table: _Table, places: np.ndarray, group: np.ndarray) -> np.ndarray:
    """For each trade whether all of its group differ in nothing but their code: then a wider code stands for those within it."""
    same, _ = combined([table.other_side[places], table.detail[places], table.source[places], table.start[places], table.end[places]])
    plain = np.array([code != "" and "+" not in code for code in table.code.cat.categories], dtype=bool)
    return ~_several(group, same * 2 + plain[table.code.iloc[places].cat.codes.to_numpy()])


def _within_wider(table: _Table, places: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The trades in whose group a wider code stands."""
    texts = list(table.code.cat.categories)
    number = {code: i for i, code in enumerate(texts)}
    code = table.code.iloc[places].cat.codes.to_numpy().astype(np.int64)
    held = np.sort(group * len(texts) + code)
    inside = np.zeros(len(places), dtype=bool)
    for digits in range(1, max(map(len, texts), default=0)):
        wider = np.array([number.get(text[:digits], -1) if len(text) > digits else -1 for text in texts], dtype=np.int64)[code]
        known = wider >= 0
        sought = group[known] * len(texts) + wider[known]
        inside[known] |= held[np.minimum(np.searchsorted(held, sought), len(held) - 1)] == sought
    return places[inside]


def _several(group: np.ndarray, telling: np.ndarray) -> np.ndarray:
    """For each row whether its group holds more than one telling."""
    if not len(group):
        return np.zeros(0, dtype=bool)
    one = np.empty(int(group.max()) + 1, dtype=telling.dtype)
    one[group] = telling
    mixed = np.zeros(len(one), dtype=bool)
    mixed[group[telling != one[group]]] = True
    return mixed[group]


def _classes(codes: Sequence[str]) -> dict[str, int]:
    """Codes that may tell of the same goods have one number: the same heading, or a wider code that holds both."""
    parts = {code: {part[:4] for part in code.split("+")} for code in codes}
    known = sorted(set().union(*parts.values()))
    above = {heading: [wide for wide in known if heading.startswith(wide)] for heading in known}
    graph = nx.Graph()
    graph.add_nodes_from(known)
    graph.add_edges_from((heading, wide) for heading, wider in above.items() for wide in wider)
    for found in parts.values():
        nx.add_path(graph, sorted(found))
    number = {name: i for i, members in enumerate(nx.connected_components(graph)) for name in members}
    return {code: number[min(found)] for code, found in parts.items()}


@lru_cache(maxsize=4096)
def _codes(code: str) -> Goods:
    return tuple(code.split("+")) if code else ()


def _days(dates: pd.Series, missing: int) -> np.ndarray:
    days = dates.to_numpy().astype("datetime64[D]").astype(np.int64)
    return np.where(dates.isna(), missing, days)


def _repeats(trades: pd.DataFrame, reason: np.ndarray) -> None:
    """Leaves aside all but the largest of several rows for one cell of a statistic."""
    cell = ["source_id", "reported_by", "flow", "partner_concept", "seller_id", "buyer_id", "hs_code", "product_set", "hs_version",
            "period_start", "period_end"]
    statistic = trades["breakdown"].eq("") & precision(trades["period_start"], trades["period_end"]).isin(["month", "year"])
    number, first = combined([trades[column] for column in cell])
    repeated = statistic & (np.bincount(number, minlength=len(first)) > 1)[number] if len(first) else statistic
    several = trades[repeated].assign(number=number[repeated.to_numpy()])
    ordered = several.sort_values(["value_usd", "trade_id"], ascending=[False, True], na_position="last", kind="stable")
    aside = ordered.index[ordered.duplicated("number")]
    reason[trades.index.get_indexer(aside)] = "repeats a cell of the same statistic"


def _shipments(trades: pd.DataFrame) -> np.ndarray:
    """Whether a row is a single shipment of customs records: recorded, and not of a period longer than a day."""
    start, end = trades["period_start"], trades["period_end"]
    return (trades["basis"].eq("recorded") & (start.eq(end) | start.isna() & end.isna())).to_numpy()


def _doubles(trades: pd.DataFrame, reason: np.ndarray, retrieved: Mapping[str, str]) -> None:
    """Leaves aside customs records that another file of the same reporter holds too."""
    recorded = _shipments(trades)
    if trades.loc[recorded, "source_id"].nunique() < 2:
        return
    numbers = [c for c in ("x_declaration", "x_item") if c in trades]
    declared = recorded & (len(numbers) == 2)
    for column in numbers:
        declared &= (trades[column].notna() & trades[column].ne("")).to_numpy()
    pair = ["reported_by", "flow", "seller_id", "buyer_id"]
    goods = ["hs_code", "product_set", "period_start", "period_end", "value", "weight_kg"]
    for chosen, key in ((declared, [*pair, *numbers]), (recorded & ~declared, [*pair, *(c for c in goods if c in trades)])):
        rows = trades[chosen]
        if rows.empty:
            continue
        record, first = combined([rows[column] for column in key])
        source, _ = combined([rows["source_id"]])
        start = rows["period_start"].to_numpy().astype("datetime64[s]").astype(np.int64)
        order = np.lexsort((np.arange(len(rows)), start, _age(rows["source_id"], retrieved)))
        newest = np.empty(len(first), dtype=np.int64)
        newest[record[order]] = source[order]
        reason[np.flatnonzero(chosen)[source != newest[record]]] = "told by another source too"


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


def _blocs(trades: pd.DataFrame, table: _Table, reason: np.ndarray, sides: Sequence[str]) -> None:
    """Leaves members aside where their bloc is told as one, for all of their time; else the bloc where it overlaps them."""
    told_by_origin = by_origin(trades).to_numpy()
    for side in sides:
        partner = trades["buyer_id" if side == "seller_id" else "seller_id"].array
        actors = trades[side]
        held = set(actors.unique())
        for bloc, countries in GROUPS.items():
            if bloc not in held or not held & set(countries):
                continue
            whole: dict[tuple[bool, str], list[_Row]] = {}
            for i in np.flatnonzero(actors.eq(bloc).to_numpy() & (reason == "")).tolist():
                whole.setdefault((told_by_origin[i], partner[i]), []).extend(table.rows(np.array([i])))
            among = actors.isin(countries).to_numpy() & pd.Series(partner).isin([name for _, name in whole]).to_numpy()
            for i in np.flatnonzero(among & (reason == "")).tolist():
                [row] = table.rows(np.array([i]))
                met = [r for r in whole.get((told_by_origin[i], partner[i]), []) if not reason[r.place] and _overlap(row, r)]
                if met and _fill(met, row):
                    reason[i] = f"member of {bloc}, which is told as one"
                elif met:
                    for other in met:
                        reason[other.place] = f"{bloc} told as one, but not for all the time of its members"
