"""What each side of a flow reported: exporters, importers by consignment, importers by origin; and whether they reported wholly."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.coverage import CoverageIndex, Observed
from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.graphmodel.hs import comparable_code
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.selection import by_origin
from chiptrail.queries.cells import KEY, shortened
from chiptrail.queries.scope import BY, count_once, trades_in_scope, with_periods

SIDES = ("exporter", "importer", "origin")
"""Exports; imports by consignment; imports by country of origin."""
CELL = [*KEY, "period"]
_OUTWARD = ("export", "re-export")
_NO_REPORT = ("estimated", "inferred")
MONTHS = {"month": 1, "quarter": 3, "year": 12}
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
    outward = trades["flow"].isin(_OUTWARD)
    side = np.where(outward, "exporter", np.where(trades["concept"].eq("origin"), "origin", "importer"))
    trades = trades.assign(side=pd.Series(side, index=trades.index, dtype="str"))
    _leave(trades, trades["seller_id"].eq(trades["buyer_id"]), "seller is the buyer")
    _leave(trades, trades["basis"].isin(_NO_REPORT), "estimated or inferred, not reported")
    for bloc_side, held in _lone_blocs(trades):
        _leave(trades, held, f"a bloc of {bloc_side} that one side tells, while the other tells members")
    trades = _with_products(trades, scope.digits)
    sides = [count_once(network, rows, prefer="importer" if name == "importer" else "exporter")
             for name in SIDES if len(rows := trades[trades["side"].eq(name)])]
    return pd.concat(sides) if sides else trades


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


def _with_products(trades: pd.DataFrame, digits: int) -> pd.DataFrame:
    """The trades with `product`, the code cut to so many digits that compares across the HS versions, and `comparable`."""
    versions = sorted(set(trades["hs_version"]))
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


class Reporting:
    """Who reports what and when: coverage of each side, what it reported at all, and periods that it reported only in part."""

    def __init__(self, network: TradeNetwork, by: str, told: pd.DataFrame) -> None:
        """For the exporters and importers of the reports `told`."""
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
            self._partial[side] = _in_part(own, reporter, partner, by) if side != "origin" else {}

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
        return self._partial[side].get((actor, period), "")

    def described(self) -> list[str]:
        """Sentences on the reports that look cut off."""
        return [f"{actor} reports {str(period).replace('Q', '-Q')} in part: {why}"
                for side in SIDES for (actor, period), why in sorted(self._partial[side].items())]


def _active(trades: pd.DataFrame, reporter: str, by: str) -> dict[str, set[pd.Period]]:
    found: dict[str, set[pd.Period]] = {}
    kinds = pd.DataFrame({"actor": trades[reporter].astype("str"), "first": trades["period_start"].dt.to_period(BY[by]),
                          "last": trades["period_end"].dt.to_period(BY[by])}).drop_duplicates()
    for actor, first, last in kinds.itertuples(index=False, name=None):
        found.setdefault(actor, set()).update(pd.period_range(first, last))
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
