"""Displacement: did the closure of a hub stop its trade, or move it to other hubs?"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student

from chiptrail.graphmodel.errors import InputError, NotComparableError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.products import product_codes
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.baseline import BROKEN, stands
from chiptrail.queries.cells import Goods, cells, shortened
from chiptrail.queries.scope import count_once, scope_notes, shaped, trades_in_scope, with_periods
from chiptrail.queries.synthetic_control import (
    Control,
    control,
    month_noise,
    placebo_controls,
    placebo_p,
    ratio_interval,
    shift,
    studentised,
    widening,
)

_DTYPES = {
    "role": "str", "hub_id": "str", "hub": "str", "concept": "str", "before_usd": "float64", "after_usd": "float64",
    "counterfactual_usd": "float64",
    "effect_usd": "float64", "effect_low_usd": "float64", "effect_high_usd": "float64", "prefit": "float64", "n_donors": "int64",
    "n_months_before": "int64", "n_months_after": "int64", "p_value": "float64", "ratio": "float64", "ratio_low": "float64",
    "ratio_high": "float64", "status": "str",
}
COLUMNS = tuple(_DTYPES)
LEVEL = 0.9
UNDERSTATED = 0.1
"""The closed hub and the others may report shares of their exports that differ by so much."""
GROWN = 2
STEADY, SHORT, HISTORY = 12, 4, 24
FEWEST_AFTER, FEWEST_DONORS = 3, 5
TRADED = 0.75
POOREST_FIT = 0.5
TRANSIT = "transit_block"
"""The kind of policy events that exports cannot show."""


class _Case(NamedTuple):
    """Donors, months in rows and each in units of its mean before the event, their noise, and their shifts as if they were closed."""

    donors: np.ndarray
    n_before: int
    noise: np.ndarray
    controls: list[Control]
    placebos: np.ndarray


def displacement(
    network: TradeNetwork, *, destinations: Sequence[str], hub: str | None = None, since: str | None = None,
    event: Mapping[str, Any] | pd.Series | None = None, products: str | Sequence[str] | None = None, until: str | None = None,
    suspects: Sequence[str] | None = None, donors: Sequence[str] | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """The effect of closing a hub on its exports and on those of the hubs that may have taken over, with the ratio of gain and loss.

    Parameters
    ----------
    network
        A network of countries with monthly records; of firms where the coverage says that it is complete.
    destinations
        Countries (`RUS`), groups (`EU27`), or actors by name or id.
    hub, since
        The hub that is closed, and from when (`2023-03`; a month in which the day lies is left out unless the day is its first).
    event
        A row of the policy events with `date`, `hub` and `kind`, for what is not given as `hub` and `since`.
    products, until
        As in `TradeNetwork.where`.
    suspects
        Hubs that may have received the trade. Default: sellers whose trade with the destinations grew at least twice as much as the
        median seller's, from the first half of up to two years before the event to the last four months before it, or from these to
        after.
    donors
        Sellers whose trade tells what would have been. Default: all others that traded in three of four months before. If fewer
        than five remain, the hub's exports to other buyers and of other goods join them.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `role` (`closed`; `gaining`, a suspect; `total`, all suspects; `upstream`, what the closed hub sends to a suspect; `placebo`,
        the closed hub at an earlier date, and each donor as if it were closed), `hub_id`, `hub`, `concept` (dispatched);
        `before_usd`, `after_usd` (USD a month, means), `counterfactual_usd` (USD a month after the event, by the synthetic control),
        `effect_usd` (USD a month, after
        less counterfactual) with `effect_low_usd` and `effect_high_usd` (90 %); `prefit` (root mean squared gap before / mean
        before), `n_donors`, `n_months_before`, `n_months_after`; `p_value` (share of the units, donors and this one, whose shift is
        as far from zero in its own standard errors); for the total `ratio` (its effect / the loss at the closed hub, not below 0),
        `ratio_low`, `ratio_high` (90 %, and a tenth for exports understated); `status`, what was found, or why there is no number.
        Sorted by role, gaining hubs by effect. `attrs` holds the question, notes, records left aside by reason, and sources.

    Raises
    ------
    InputError
        If neither `hub` and `since` nor an event with both is given.
    NotComparableError
        If the event is about customs transit, which export records never held; if none of the codes compares between the HS versions of the
        months around the event.
    UnknownNameError
        If a name, product list or preference is not known.

    Notes
    -----
    A unit's counterfactual is its mean before the event times a convex combination of the donors, each divided by its own mean before
    (Abadie, Diamond and Hainmueller 2010, doi 10.1198/jasa.2009.ap08746). The weights minimise the misfit before the event and, as in
    Arkhangelsky et al. (2021, doi 10.1257/aer.20190159), a penalty that keeps them from leaning on few donors; here it grows with a
    donor's own noise. "Before" are the last twelve months, or the last four where closed hub and suspects together still grew in the
    twelve: nobody knows how far they would have grown. Intervals are as wide as the donors' own shifts are spread. The ratio's interval
    holds every ratio r for which gain - r loss shows no shift (Fieller's), zero tested on one side.

    Cautions: a ratio says that other hubs gained as this one lost, not that the same goods moved. Gains where nobody looked, at
    unlisted hubs or under other codes, are not in it; nor is transit. There is no ratio where months, donors or the fit before the
    event do not suffice (fewer than four months before, three after, or five donors; gaps of half the trade), where the donors' own
    trade halved or doubled, or where no loss is found. All effects are relative to the donors: what hits all sellers is not seen.
    Where most sellers are hubs the median seller is one of them: name the suspects then. Codes that do not mean the same goods in all HS
    versions of these months, such as 854150 of HS2017 and 854151 of HS2022, are left aside throughout and named; headings are whole.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.displacement(ct.load_bundled("countries"), hub="KAZ", since="2023-10", destinations=["RUS"])
    >>> table[["role", "hub_id", "status"]].values.tolist()
    [['closed', 'KAZ', "no ratio: no month before the event in which the hub's trade is observed"]]
    """
    hub, since = _asked(hub, since, event)
    closed, ends = actors_named(network, [hub]), actors_named(network, destinations)
    given, pool = (None if names is None else actors_named(network, names) for names in (suspects, donors))
    label = hub if len(closed) > 1 else next(iter(closed))
    day = parse_period(since)[0]
    asked: dict[str, Any] = {
        "since": str((day - pd.DateOffset(months=HISTORY)).date()), "until": until, "prefer": prefer}
    found, trades = _cells(network, destinations=destinations, products=products, **asked)
    broken = sorted(set(trades.loc[trades["left_aside"].eq(BROKEN), "code"]))
    if broken and not trades["left_aside"].eq("").any():
        raise NotComparableError(f"{', '.join(broken[:8])} cannot be compared between the HS versions of the months around {since}; ask "
                                 "for headings, or for products whose codes did not change")
    series = _monthly(found, found["seller_id"].where(~found["seller_id"].isin(closed), label)).drop(columns=list(ends), errors="ignore")
    before, after = _months(series, label, day)
    rows: list[dict] = []
    notes = scope_notes(network, "dispatched", trades)
    notes += [f"codes that do not compare between HS versions are not counted: {', '.join(broken[:8])}"] if broken else []
    if reason := _too_short(before, after):
        rows = [_unknown("closed", label, reason)] if len(network.trades) else []
    else:
        away = _elsewhere(network, sorted(closed), ends, set(trades["code"]), products, asked)
        rows, said = _estimate(series.loc[[*before, *after]], away, label, (given, pool), len(before))
        notes += said
    names = names_of(network)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table = table.assign(hub=[names.get(code, code) for code in table["hub_id"]], concept="dispatched")
    question = {"destinations": destinations, "hub": hub, "since": since, "concept": "dispatched", "products": products,
                "until": until, "suspects": suspects, "donors": donors, "prefer": prefer}
    return answer(shaped(table, _DTYPES), network, question=question, notes=notes, source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def _asked(hub: str | None, since: str | None, event: Mapping[str, Any] | pd.Series | None) -> tuple[str, str]:
    """Hub and date, from the event where they are not given."""
    if event is not None:
        if event.get("kind") == TRANSIT:
            raise NotComparableError(
                f"the event {event.get('title', '')!r} ({event.get('date', '')}) is about customs transit; goods in transit are "
                "in no record of the hub's exports, so these cannot show its effect; ask about an event that ends exports, such as a ban")
        hub, since = hub or str(event.get("hub") or ""), since or str(event.get("date") or "")
    if not hub or not since:
        raise InputError("displacement needs a hub and a date: give hub='KAZ' and since='2023-10', or an event that has both")
    return hub, since


def _cells(
    network: TradeNetwork, *, products: str | Sequence[str] | None, since: str, until: str | None, prefer: str,
    origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None, digits: int = 0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cells by corridor and month, of all goods of the question together or by so many digits of their code, and their trades."""
    trades = trades_in_scope(network, concept="dispatched", products=products, since=since, until=until, origins=origins,
                             destinations=destinations)
    trades = with_periods(trades, "month")
    trades.loc[_broken(trades, products), "left_aside"] = BROKEN
    trades = count_once(network, trades, prefer=prefer)
    trades["product"] = trades["code"].map(lambda code: shortened(code, digits)).astype("str")
    counted = trades[trades["left_aside"].eq("")]
    goods = {
        str(product): Goods(frozenset("+".join(rows["code"]).split("+")) - {""}, frozenset(rows["hs_version"]))
        for product, rows in counted.groupby("product")
    }
    return cells(network, trades, by="month", goods=goods, since=since, until=until), trades


def _broken(trades: pd.DataFrame, products: str | Sequence[str] | None) -> pd.Series:
    """Whether a code does not mean the same goods in all HS versions of the trades; with all goods, or in a whole heading, none matters."""
    usable = trades["left_aside"].eq("")
    versions = frozenset(trades.loc[usable & trades["code"].str.len().gt(4), "hs_version"]) - {""}
    if products is None or len(versions) < 2:
        return pd.Series(False, index=trades.index)
    whole = frozenset(code for codes in product_codes(products).codes.values() for code in codes if len(code) <= 4)
    return usable & ~trades["code"].map({code: stands(code, versions, whole) for code in trades["code"].unique()}).astype(bool)


def _elsewhere(
    network: TradeNetwork, closed: list[str], ends: set[str], codes: set[str], products: str | Sequence[str] | None,
    asked: dict[str, Any],
) -> pd.DataFrame:
    """Cells of what the closed hub sends to others, and of its other goods to the destinations."""
    onward, _ = _cells(network, origins=closed, products=products, **asked)
    onward = onward[~onward["buyer_id"].isin(ends)]
    if products is None:
        return onward
    other, _ = _cells(network, origins=closed, destinations=sorted(ends), products=None, digits=4, **asked)
    return pd.concat([onward, other[~other["product"].isin({shortened(code, 4) for code in codes})]])


def _monthly(found: pd.DataFrame, names: pd.Series) -> pd.DataFrame:
    """USD by month and name; missing where any of the name's cells is not observed or has no value."""
    groups = found["value_usd"].groupby([found["period"], names.astype("str")])
    table = groups.sum().where(groups.count().eq(groups.size())).unstack()
    return table.set_axis(pd.PeriodIndex(table.index, freq="M")).sort_index()


def _months(series: pd.DataFrame, label: str, day: pd.Timestamp) -> tuple[list[pd.Period], list[pd.Period]]:
    """The months next to the event, before and after it, in which the hub is observed without a break."""
    if label not in series:
        return [], []
    known = set(series.index[series[label].notna()])
    first = pd.Period(day, freq="M") + int(day.day > 1)
    before: list[pd.Period] = []
    after: list[pd.Period] = []
    month = pd.Period(day, freq="M") - 1
    while month in known:
        before.insert(0, month)
        month -= 1
    month = first
    while month in known:
        after.append(month)
        month += 1
    return before, after


def _too_short(before: list[pd.Period], after: list[pd.Period]) -> str:
    for months, fewest, when in ((before, SHORT, "before"), (after, FEWEST_AFTER, "after")):
        if not months:
            return f"no ratio: no month {when} the event in which the hub's trade is observed"
        if len(months) < fewest:
            return f"no ratio: only {len(months)} months {when} the event, {fewest} are needed"
    return ""


def _estimate(
    series: pd.DataFrame, away: pd.DataFrame, label: str, named: tuple[set[str] | None, set[str] | None], n_history: int,
) -> tuple[list[dict], list[str]]:
    """The rows, and sentences on suspects, donors and months."""
    given, pool = named
    suspects = _suspects(series, label, n_history) if given is None else sorted(given - {label})
    seen = [s for s in suspects if s in series and series[s].notna().all()]
    n_before = _level_months(series[[label, *seen]].sum(axis=1).iloc[:n_history])
    candidates = series.drop(columns=[label, *suspects], errors="ignore")
    candidates = _usable(candidates if pool is None else candidates[[c for c in candidates if c in pool]], n_history, n_before)
    notes = [_suspect_note(suspects, given), f"the level before is the mean of the last {n_before} months"]
    if len(candidates.columns) < FEWEST_DONORS and pool is None:
        elsewhere = away[~away["buyer_id"].isin(suspects)]
        kind = elsewhere["product"].where(elsewhere["product"].eq(""), ", " + elsewhere["product"])
        other = _monthly(elsewhere, f"{label} to " + elsewhere["buyer_id"] + kind).reindex(series.index)
        candidates = candidates.join(_usable(other, n_history, n_before))
        notes.append("too few other sellers: the hub's exports to other buyers and of other goods serve as donors too")
    if len(candidates.columns) < FEWEST_DONORS:
        reason = f"no ratio: {len(candidates.columns)} donors, {FEWEST_DONORS} are needed"
        return [_unknown("closed", label, reason)], notes
    skip = n_history - n_before
    case = _case(candidates, n_history, n_before)
    late = series.iloc[skip:]
    closed = _row(case, "closed", label, late[label].to_numpy())
    gaining = [_row(case, "gaining", s, late[s].to_numpy()) for s in seen]
    gaining.sort(key=lambda row: (-row["effect_usd"], row["hub_id"]))
    unseen = [_unknown("gaining", s, "not observed in all of these months") for s in suspects if s not in seen]
    total = [_total(case, late[label].to_numpy(), late[seen].to_numpy(), closed, len(unseen))]
    bought = away[away["buyer_id"].isin(suspects)]
    onward = _monthly(bought, bought["buyer_id"]).reindex(late.index).dropna(axis=1)
    upstream = [_row(case, "upstream", str(buyer), onward[buyer].to_numpy()) for buyer in onward]
    units = candidates.iloc[skip:].to_numpy()
    placebos = [_row(case, "placebo", str(d), units[:, j], j) for j, d in enumerate(candidates)]
    return [closed, *gaining, *unseen, *total, *upstream, *_earlier(series[label], candidates, n_history, n_before), *placebos], notes


def _suspects(series: pd.DataFrame, label: str, n_history: int) -> list[str]:
    """Sellers that grew by `GROWN` times the median seller's growth or more, up to the event or after it."""
    others = series.drop(columns=label).dropna(axis=1)
    others = others.loc[:, others.gt(0).any()]
    early = others.iloc[:n_history // 2].mean()
    level, late = others.iloc[n_history - SHORT:n_history].mean(), others.iloc[n_history:].mean()
    found: set[str] = set()
    for one, two in ((early, level), (level, late)):
        growth = two.div(one.where(one.gt(0))).where(one.gt(0), np.where(two.gt(0), np.inf, np.nan))
        typical = growth[np.isfinite(growth)].median()
        found |= {str(name) for name in growth.index[growth.ge(GROWN * typical)]}
    return sorted(found)


def _level_months(pooled: pd.Series) -> int:
    """How many months before the event show the level: twelve, unless the hubs' trade moved in them or fewer are known."""
    year = pooled.iloc[-STEADY:].to_numpy()
    half = STEADY // 2
    steady = len(year) == STEADY and TRADED * year[half:].sum() <= year[:half].sum() <= year[half:].sum() / TRADED
    return STEADY if steady else SHORT


def _usable(candidates: pd.DataFrame, n_history: int, n_before: int) -> pd.DataFrame:
    """Those observed in every month that traded in most months before the event, and in those that show the level."""
    known = candidates.dropna(axis=1)
    history = known.iloc[:n_history]
    return known.loc[:, history.gt(0).mean().ge(TRADED) & history.iloc[-n_before:].sum().gt(0)]


def _case(candidates: pd.DataFrame, n_history: int, n_before: int) -> _Case:
    values = candidates.to_numpy()
    history, late = values[:n_history], values[n_history - n_before:]
    donors = late / late[:n_before].mean(axis=0)
    noise = month_noise(history / history.mean(axis=0))
    controls = placebo_controls(donors, n_before, noise, _emphasis(donors, n_before))
    return _Case(donors, n_before, noise, controls, np.array([studentised(shift(c.gap, n_before)) for c in controls]))


def _emphasis(donors: np.ndarray, n_before: int) -> float:
    return float(np.sqrt(len(donors) - n_before))


def _row(case: _Case, role: str, code: str, unit: np.ndarray, placebo: int | None = None) -> dict:
    """A unit beside its synthetic control; a donor (`placebo`, its number) beside that of the other donors."""
    n, level = case.n_before, unit[:case.n_before].mean()
    if placebo is None:
        made, others = control(unit, case.donors, n, case.noise, _emphasis(case.donors, n)), case.placebos
    else:
        own = case.controls[placebo]
        made, others = own._replace(counterfactual=own.counterfactual * level, gap=own.gap * level), np.delete(case.placebos, placebo)
    return _told(case, role, code, unit, made.gap, others) | {"prefit": made.prefit}


def _told(case: _Case, role: str, code: str, unit: np.ndarray, gap: np.ndarray, others: np.ndarray) -> dict:
    """A row on a series and its gap to the counterfactual."""
    n, moved = case.n_before, shift(gap, case.n_before)
    half = moved.error * widening(others) * float(student.ppf((1 + LEVEL) / 2, len(others)))
    low, high = moved.mean - half, moved.mean + half
    found = "fell" if high < 0 else "rose" if low > 0 else "no effect found"
    if not unit[:n].any() and unit[n:].any():
        found = "began after the event"
    return {
        "role": role, "hub_id": code, "before_usd": unit[:n].mean(), "after_usd": unit[n:].mean(),
        "counterfactual_usd": (unit - gap)[n:].mean(), "effect_usd": moved.mean, "effect_low_usd": low, "effect_high_usd": high,
        "prefit": np.sqrt(np.mean(gap[:n] ** 2)) / unit[:n].mean() if unit[:n].mean() > 0 else np.nan,
        "n_donors": len(others), "n_months_before": n, "n_months_after": len(unit) - n,
        "p_value": placebo_p(studentised(moved), others), "status": found,
    }


def _total(case: _Case, closed: np.ndarray, others: np.ndarray, row: dict, n_unseen: int) -> dict:
    """All suspects together, and their gain against the loss at the closed hub."""
    emphasis = _emphasis(case.donors, case.n_before)
    gaps = [control(unit, case.donors, case.n_before, case.noise, emphasis).gap for unit in (closed, *others.T)]
    gain, loss = np.sum(gaps[1:], axis=0) + np.zeros(len(closed)), -gaps[0]
    told = _told(case, "total", "", others.sum(axis=1), gain, case.placebos)
    if reason := _no_ratio(case, row, others.shape[1]):
        return told | {"status": f"no ratio: {reason}"}
    ends = ratio_interval(gain, loss, case.n_before, widened=widening(case.placebos), df=len(case.placebos), level=LEVEL)
    status = "moved in part" if ends.low > 0 else "no effect elsewhere found"
    status += f"; {n_unseen} suspects are not observed" if n_unseen else ""
    return told | {"ratio": max(0.0, told["effect_usd"] / -row["effect_usd"]), "ratio_low": ends.low * (1 - UNDERSTATED),
                   "ratio_high": ends.high / (1 - UNDERSTATED), "status": status}


def _no_ratio(case: _Case, closed: dict, n_suspects: int) -> str:
    moved = float(np.median(case.donors[case.n_before:].mean(axis=0)))
    if not n_suspects:
        return "no observed hub grew, or none was named"
    if not closed["prefit"] <= POOREST_FIT:
        return f"before the event the closed hub is off its synthetic control by {closed['prefit']:.0%} of its trade"
    if not 1 / GROWN <= moved <= GROWN:
        return f"the event moved the donors too: their median trade after it is {moved:.2f} times that before"
    return "no loss is found at the closed hub" if closed["effect_high_usd"] >= 0 else ""


def _earlier(closed: pd.Series, candidates: pd.DataFrame, n_history: int, n_before: int) -> list[dict]:
    """The closed hub as if it had been closed earlier, so that the months before the event are after it."""
    if n_history < 2 * n_before:
        return []
    months = slice(n_history - 2 * n_before, n_history)
    unit, donors = closed.iloc[months], candidates.iloc[months]
    donors = donors.loc[:, donors.iloc[:n_before].sum().gt(0)]
    if len(donors.columns) < FEWEST_DONORS:
        return []
    row = _row(_case(donors, n_before, n_before), "placebo", str(closed.name), unit.to_numpy())
    return [row | {"status": f"as if closed in {unit.index[n_before]}: {row['status']}"}]


def _unknown(role: str, code: str, reason: str) -> dict:
    return {"role": role, "hub_id": code, "n_donors": 0, "n_months_before": 0, "n_months_after": 0, "status": reason}


def _suspect_note(suspects: list[str], given: set[str] | None) -> str:
    how = "named" if given is not None else (
        f"sellers that grew by {GROWN} times the median seller's growth, up to the event or after it")
    return f"suspected of receiving the trade, and no donors ({how}): {', '.join(suspects) or 'none'}"
