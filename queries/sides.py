"""What each side of a flow reported: exporters, importers by consignment, importers by origin; and whether they reported wholly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.coverage import CoverageIndex, Observed, overlaps
from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.graphmodel.hs import comparable_code
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.periods import period_text, window
from chiptrail.graphmodel.products import match, product_codes
from chiptrail.graphmodel.selection import by_origin, goods_code, in_window
from chiptrail.queries.cells import KEY, shortened
from chiptrail.queries.scope import BY, count_once, trades_in_scope, with_periods

SIDES = ("exporter", "importer", "origin")
"""Exports; imports by consignment; imports by country of origin."""
CELL = [*KEY, "period"]
_OUTWARD = ("export", "re-export")
_NO_REPORT = ("estimated", "inferred")
_EVER = (pd.Timestamp("1800-01-01").as_unit("us"), pd.Timestamp("2200-12-31").as_unit("us"))
"""Days for a start or an end that is not known."""
_SPECIAL = "99"
"""The chapter that the Harmonized System leaves to countries, where they put confidential goods too."""
MONTHS = {"month": 1, "quarter": 3, "year": 12}
_MONTH = (27, 30)
"""Days between the first and the last day of a month."""
_ENOUGH = 10
"""Rows or partners that a reporter must usually have before a fall in their number says anything."""
_FEW, _FEWER, _SMALL = 0.5, 0.85, 0.4
"""A period is reported in part if rows or partners are below `_FEW` of the usual; or partners below `_FEWER` of it while the typical
partner's trade is below `_SMALL` of the usual."""


@dataclass(frozen=True)
class Scope:
    """A question about both sides, as `mirror_gaps` takes it."""

    exporters: Sequence[str] | None
    importers: Sequence[str] | None
    products: str | Sequence[str] | None
    since: str | None
    until: str | None
    by: str
    digits: int


def reports(network: TradeNetwork, scope: Scope) -> pd.DataFrame:
    """Records of the question with `side`, `product`, `period`, `comparable` and `left_aside`; each side counts a flow once.

    `comparable` is whether the code means the same in all HS versions of the question.
    """
    parts = [
        trades_in_scope(network, concept=concept, products=scope.products, since=scope.since, until=scope.until,
                        origins=scope.exporters, destinations=scope.importers)
        for concept in ("dispatched", "origin")
    ]
    trades = with_periods(pd.concat(parts, ignore_index=True), scope.by)
    trades = trades.assign(side=_side(trades))
    _leave(trades, trades["seller_id"].eq(trades["buyer_id"]) & trades["side"].ne("origin"), "seller is the buyer")
    _leave(trades, trades["basis"].isin(_NO_REPORT), "estimated or inferred, not reported")
    for bloc_side, held in _lone_blocs(trades):
        _leave(trades, held, f"a bloc of {bloc_side} that one side tells, while the other tells members")
    trades = _with_products(trades, scope.digits, sorted(set(trades["hs_version"])))
    sides = [count_once(network, rows, prefer="importer" if name == "importer" else "exporter")
             for name in SIDES if len(rows := trades[trades["side"].eq(name)])]
    return pd.concat(sides) if sides else trades


def _side(trades: pd.DataFrame) -> pd.Series:
    names = np.where(trades["flow"].isin(_OUTWARD), "exporter", np.where(by_origin(trades), "origin", "importer"))
    return pd.Series(names, index=trades.index, dtype="str")


def _leave(trades: pd.DataFrame, which: pd.Series, reason: str) -> None:
    trades.loc[which & trades["left_aside"].eq(""), "left_aside"] = reason


def _lone_blocs(trades: pd.DataFrame) -> list[tuple[str, pd.Series]]:
    """Blocs among exporters or importers that one side tells as one while the other side tells only of members."""
    found = []
    inward = trades["side"].ne("exporter")
    for column, name in (("seller_id", "exporters"), ("buyer_id", "importers")):
        for bloc, countries in GROUPS.items():
            whole, part = trades[column].eq(bloc), trades[column].isin(countries)
            for here, there in ((inward, ~inward), (~inward, inward)):
                if (whole & here).any() and (part & here).any() and not (whole & there).any():
                    found.append((name, whole & here))
    return found


def _with_products(trades: pd.DataFrame, digits: int, versions: Sequence[str]) -> pd.DataFrame:
    """The trades with `product`, the code cut to so many digits that compares across the HS versions, and `comparable`."""
    known = {
        (code, version): _compared(shortened(code, digits), version, versions)
        for code, version in trades[["code", "hs_version"]].drop_duplicates().itertuples(index=False, name=None)
    }
    pairs = [known[key] for key in zip(trades["code"], trades["hs_version"], strict=True)]
    return trades.assign(product=pd.Series([p for p, _ in pairs], index=trades.index, dtype="str"),
                         comparable=pd.Series([ok for _, ok in pairs], index=trades.index, dtype="bool"))


def _compared(code: str, version: str, versions: Sequence[str]) -> tuple[str, bool]:
    if not code or (len(versions) == 1 and (versions[0] or max(map(len, code.split("+"))) <= 4)):
        return code, True
    try:
        return "+".join(sorted({comparable_code(part, version, versions=versions) for part in code.split("+")})), True
    except NotComparableError:
        return code, False


def sums(told: pd.DataFrame, side: str) -> pd.DataFrame:
    """One row per cell of what a side reported: value, records, valuations and HS versions."""
    rows = told[told["side"].eq(side) & told["left_aside"].eq("")]
    groups = rows.groupby(CELL)
    table = pd.DataFrame({
        f"{side}_usd": groups["value_usd"].sum(skipna=False), f"n_{side}": groups.size(),
        f"comparable_{side}": groups["comparable"].all(),
    })
    for column in ("valuation", "hs_version"):
        one = groups[column].first().astype("str")
        several = groups[column].nunique().gt(1)
        if several.any():
            mixed = rows.set_index(CELL).loc[several.index[several], column]
            one = one.mask(several, mixed.groupby(level=CELL).agg(lambda kinds: " ".join(sorted(set(kinds)))))
        table[f"{column}_{side}"] = one
    return table


class _Telling(NamedTuple):
    first: pd.Timestamp
    last: pd.Timestamp
    code: str
    product: str
    hs_version: str
    reported: bool
    asked: bool


class Tellings:
    """All that is told of pairs, counted or not: where goods of a cell may stand although a side has no record in it."""

    def __init__(self, network: TradeNetwork, told: pd.DataFrame, scope: Scope) -> None:
        """For the exporters and importers of the reports `told`, blocs that hold them and members of those that are blocs."""
        trades = network.coded_trades
        trades = trades[in_window(trades, scope.since, scope.until, partly=True)]
        for column in KEY[:2]:
            trades = trades[trades[column].isin({kin for name in told[column].unique() for kin in _kin(name)})]
        trades = trades.assign(code=goods_code(trades), asked=True)
        if scope.products is not None:
            found = match(product_codes(scope.products), trades["hs_code"], trades["product_set"], trades["hs_version"])
            trades["asked"] = found.any(axis=1) | trades["code"].eq("")
        trades = trades.assign(side=_side(trades), reported=~trades["basis"].isin(_NO_REPORT),
                               first=trades["period_start"].fillna(_EVER[0]), last=trades["period_end"].fillna(_EVER[1]))
        columns = ["side", *KEY[:2], "first", "last", "code", "hs_version", "reported", "asked"]
        trades = _with_products(plain(trades[columns].drop_duplicates()), scope.digits, sorted(set(told["hs_version"])))
        self._sums = told[told["left_aside"].eq("")].groupby(["side", *CELL])["value_usd"].sum(skipna=False).to_dict()
        spans = _periods(trades["first"], trades["last"], told["period"], BY[scope.by])
        self._told: dict[tuple[str, str, str, pd.Period], list[_Telling]] = {}
        self._arrived: dict[tuple[str, pd.Period], list[_Telling]] = {}
        for side, seller, buyer, *row in trades[["side", *KEY[:2], *_Telling._fields]].itertuples(index=False, name=None):
            telling = _Telling(*row)
            for period in spans.get((telling.first, telling.last), ()):
                if side == "origin":
                    self._arrived.setdefault((buyer, period), []).append(telling)
                self._told.setdefault((side, seller, buyer, period), []).append(telling)

    def otherwise(self, side: str, cell: dict[Any, Any], days: tuple[pd.Timestamp, pd.Timestamp]) -> tuple[str, str]:
        """Status and reason where a side without record in the cell may have told its goods otherwise; empty where it has not.

        What a bloc reports says nothing of a member that reports for itself, unless the member's own record gave way to it.
        """
        pair, goods = (cell["seller_id"], cell["buyer_id"]), _goods(cell["product"])
        own = self._of(side, pair, cell, days)
        same = [t for t in own if t.asked and overlaps(_goods(t.product), goods)]
        ends = [_kin(name) if same or reporter != side else [name, *GROUPS.get(name, ())]
                for name, reporter in zip(pair, SIDES[:2], strict=True)]
        kin = [(s, b) for s in ends[0] for b in ends[1] if s != b and (s, b) != pair and any(
            t.reported and t.asked and overlaps(_goods(t.product), goods) for t in self._of(side, (s, b), cell, days))]
        if kin:
            names = {name for found in kin for name in found} - set(pair)
            together = sum(self._sums.get((side, *found, cell["product"], cell["period"]), np.nan) for found in kin)
            text = "" if np.isnan(together) else f", {together:,.0f} USD{' together' if len(kin) > 1 else ''}"
            return "bloc against members", f"{side}: told for {' '.join(sorted(names))}{text}"
        reported = [t for t in same if t.reported]
        if others := {t.product or "unknown goods" for t in reported} - {cell["product"]}:
            return "goods told in other codes", f"{side}: {' '.join(sorted(others))[:60]}"
        if reported:
            return "told for another period", f"{side}: {min(_span_text(t) for t in reported)}"
        if same:
            return f"{side} does not report", f"{side}: what is told is estimated or inferred, no report"
        if broken := self._broken(side, cell, days, own):
            return "HS version break", f"codes of {versions_text(broken)}"
        if hidden := {t.code for t in own if t.reported and t.code.startswith(_SPECIAL)} - goods:
            return "suppressed", f"{side}: goods may stand under special codes {' '.join(sorted(hidden))[:60]}"
        return "", ""

    def arrived_in_cells(self, cell: dict[Any, Any], days: tuple[pd.Timestamp, pd.Timestamp]) -> bool:
        """Whether all that the importer tells by origin of the cell's goods and days stands in cells of its product and period."""
        goods = _goods(cell["product"])
        return all(t.reported and t.product == cell["product"] and days[0] <= t.first and t.last <= days[1]
                   for t in self._arrived.get((cell["buyer_id"], cell["period"]), ())
                   if t.asked and overlaps(_goods(t.product), goods) and t.first <= days[1] and days[0] <= t.last)

    def _of(self, side: str, pair: tuple[str, str], cell: dict[Any, Any], days: tuple[pd.Timestamp, pd.Timestamp]) -> list[_Telling]:
        return [t for t in self._told.get((side, *pair, cell["period"]), ()) if t.first <= days[1] and days[0] <= t.last]

    def _broken(
        self, side: str, cell: dict[Any, Any], days: tuple[pd.Timestamp, pd.Timestamp], own: list[_Telling]
    ) -> set[str]:
        """The HS versions of the two sides, where goods of the cell may stand under another code in that of the side."""
        here = "exporter" if side == "importer" else "importer"
        for t in self._of(here, (cell["seller_id"], cell["buyer_id"]), cell, days):
            for other in own if t.asked and t.product == cell["product"] else ():
                if other.hs_version != t.hs_version and _may_hold(other, t):
                    return {t.hs_version, other.hs_version}
        return set()


def _may_hold(other: _Telling, telling: _Telling) -> bool:
    """Whether goods of a telling may stand in one of another HS version: where its code does not compare, anywhere in its heading."""
    versions = sorted({telling.hs_version, other.hs_version})
    if _compared(shortened(telling.code, 6), telling.hs_version, versions)[1]:
        return False
    heading, compares = _compared(shortened(telling.code, 4), telling.hs_version, versions)
    return not compares or overlaps(_goods(other.code), _goods(heading))


def _periods(first: pd.Series, last: pd.Series, asked: pd.Series, frequency: str) -> dict[tuple, list[pd.Period]]:
    """The periods that each span of days touches, as far as any are asked for."""
    if not asked.notna().any():
        return {}
    lowest, highest = asked.min(), asked.max()
    spans = pd.DataFrame({"first": first, "last": last}).drop_duplicates().itertuples(index=False, name=None)
    return {(start, end): list(pd.period_range(max(start.to_period(frequency), lowest), min(end.to_period(frequency), highest)))
            for start, end in spans}


def _kin(name: str) -> list[str]:
    """An actor, its members if it is a bloc, and the blocs that it is a member of."""
    return [name, *GROUPS.get(name, ()), *(bloc for bloc, countries in GROUPS.items() if name in countries)]


def _goods(product: str) -> frozenset[str]:
    """The codes of a product; goods without a code may be any."""
    return frozenset(product.split("+")) if product else frozenset({"*"})


def _span_text(telling: _Telling) -> str:
    return period_text(*(day if day not in _EVER else pd.NaT for day in (telling.first, telling.last)))


def versions_text(versions: set[str]) -> str:
    """HS versions in words."""
    return " and ".join(sorted(version or "an unknown version" for version in versions))


class Reporting:
    """Who reports what and when: coverage of each side, what it reported at all, and periods that it reported only in part."""

    def __init__(self, network: TradeNetwork, scope: Scope, told: pd.DataFrame) -> None:
        """For the exporters and importers of the reports `told`."""
        by = scope.by
        trades = network.coded_trades
        trades = trades[~trades["basis"].isin(_NO_REPORT) & trades["period_start"].notna() & trades["period_end"].notna()]
        outward, origin = trades["flow"].isin(_OUTWARD), by_origin(trades)
        self._index, self._active, self._partial = {}, {}, {}
        coverage = network.coverage
        inward = coverage["flow"].eq("import")
        told_by_origin = inward & coverage["partner_concept"].eq("origin")
        chosen = {"exporter": (outward, ~inward, "seller_id"), "importer": (~outward & ~origin, inward & ~told_by_origin, "buyer_id"),
                  "origin": (origin, told_by_origin, "buyer_id")}
        for side, (rows, covered, reporter) in chosen.items():
            own = trades[rows & trades[reporter].isin(told[reporter].unique())]
            self._index[side] = CoverageIndex(TradeNetwork(
                level=network.level, actors=network.actors, trades=empty("trades"), coverage=coverage[covered], sources=network.sources))
            self._active[side] = _active(own, reporter, by)
            for row in coverage[covered].to_dict("records"):
                span = pd.period_range(row["period_start"], row["period_end"], freq=BY[by])
                self._active[side].setdefault(row["reporter"], set()).update(span)
            partner = "buyer_id" if reporter == "seller_id" else "seller_id"
            if side != "origin":
                unfinished = _unfinished(own, reporter, coverage[covered], scope) if network.level == "countries" else {}
                self._partial[side] = unfinished | _in_part(own, reporter, partner, by)

    def observed(self, side: str, seller: str, buyer: str, codes: frozenset[str], first: pd.Timestamp, last: pd.Timestamp) -> Observed:
        """What is covered of the reports of a side on a pair and product between two days."""
        concept = "origin" if side == "origin" else "dispatched"
        return self._index[side].observed([seller], [buyer], concept=concept, codes=codes or None, exact=codes or None,
                                          first=first, last=last)

    def reports(self, side: str, actor: str, period: pd.Period) -> bool:
        """Whether the actor reports anything at all in the period."""
        return period in self._active[side].get(actor, ())

    def in_part(self, side: str, actor: str, period: pd.Period) -> str:
        """Why the actor's reports of the period are only a part of what they should be; empty if nothing says so."""
        return self._partial.get(side, {}).get((actor, period), "")

    def described(self) -> list[str]:
        """Sentences on the reports that look cut off."""
        return [f"{actor} reports {str(period).replace('Q', '-Q')} in part: {why}"
                for found in self._partial.values() for (actor, period), why in sorted(found.items())]


def _active(trades: pd.DataFrame, reporter: str, by: str) -> dict[str, set[pd.Period]]:
    found: dict[str, set[pd.Period]] = {}
    kinds = pd.DataFrame({"actor": trades[reporter].astype("str"), "first": trades["period_start"].dt.to_period(BY[by]),
                          "last": trades["period_end"].dt.to_period(BY[by])}).drop_duplicates()
    for actor, first, last in kinds.itertuples(index=False, name=None):
        found.setdefault(actor, set()).update(pd.period_range(first, last))
    return found


def _unfinished(trades: pd.DataFrame, reporter: str, coverage: pd.DataFrame, scope: Scope) -> dict[tuple[str, pd.Period], str]:
    """Reporters whose first or last month leaves the period that it is in unfinished, with no coverage that says otherwise, and why."""
    first, last = window(scope.since, scope.until)
    known = coverage.groupby("reporter").agg(first=("period_start", "min"), last=("period_end", "max"))
    days = (trades["period_end"] - trades["period_start"]).dt.days
    longer = _active(trades[days > _MONTH[1]], reporter, scope.by)
    found: dict[tuple[str, pd.Period], str] = {}
    for actor, own in trades[days.between(*_MONTH)].groupby(reporter, observed=True):
        start, end = own["period_start"].min(), own["period_end"].max()
        told = (min(start, known["first"].get(actor, start)), max(end, known["last"].get(actor, end)))
        for day in (start, end):
            period = day.to_period(BY[scope.by])
            asked = (max(period.start_time, first or period.start_time), min(period.end_time.normalize(), last or period.end_time))
            if (asked[0] < told[0] or told[1] < asked[1]) and period not in longer.get(str(actor), ()):
                found[str(actor), period] = f"its months are {period_text(start, end)}, and no coverage says more"
    return found


def _in_part(trades: pd.DataFrame, reporter: str, partner: str, by: str) -> dict[tuple[str, pd.Period], str]:
    """Reporters and periods whose number of months, rows or partners falls far below that of their other periods, and why."""
    start, end = trades["period_start"].dt.to_period(BY[by]), trades["period_end"].dt.to_period(BY[by])
    month = trades["period_start"].dt.month.where((trades["period_end"] - trades["period_start"]).dt.days < MONTHS["quarter"] * 10 + 1)
    rows = pd.DataFrame({
        "actor": trades[reporter].astype("str"), "partner": trades[partner].astype("str"), "period": start, "month": month,
        "value": trades["value_usd"].where(trades["value_usd"] > 0),
    })[start.eq(end)]
    groups = rows.groupby(["actor", "period"])
    table = pd.DataFrame({"rows": groups.size(), "partners": groups["partner"].nunique(),
                          "months": groups["month"].max() - groups["month"].min() + 1})
    found: dict[tuple[str, pd.Period], str] = {}
    for actor, own in table.groupby(level="actor"):
        values = None
        for (_, period), row in zip(own.index, own.to_dict("records"), strict=True):
            others = own.drop(index=(actor, period)).median()
            why = _cut_off(row, others, MONTHS[by])
            if not why and others["partners"] >= _ENOUGH and row["partners"] < _FEWER * others["partners"]:
                values = _values(rows[rows["actor"].eq(actor)]) if values is None else values
                typical = (values.loc[period] / values.drop(index=period).median()).median()
                if typical < _SMALL:
                    why = (f"{row['partners']:,.0f} partners, usually {others['partners']:,.0f}, and the typical one at {typical:.0%} of "
                           "its trade of other periods")
            if why:
                found[str(actor), period] = why
    return found


def _values(own: pd.DataFrame) -> pd.DataFrame:
    """Trade of a reporter, one row per period and one column per partner; missing where there is none."""
    return own.groupby(["period", "partner"])["value"].sum(min_count=1).unstack("partner")


def _cut_off(row: dict[Any, Any], others: pd.Series, n_months: int) -> str:
    """Why a period is cut off by its number of months, rows or partners; empty if it is not."""
    if n_months > 1 and others["months"] == n_months and row["months"] < n_months:
        return f"{row['months']:.0f} of {n_months} months"
    short = [name for name in ("rows", "partners") if others[name] >= _ENOUGH and row[name] < _FEW * others[name]]
    return f"{row[short[0]]:,.0f} {short[0]}, usually {others[short[0]]:,.0f}" if short else ""
