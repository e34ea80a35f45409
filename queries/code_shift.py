"""Code shift: did listed codes fall on a corridor while neighbouring codes rose?"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coverage import CoverageIndex, overlaps
from chiptrail.graphmodel.hs import HS_VERSIONS
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import period_text
from chiptrail.graphmodel.products import ProductQuestion, match, product_codes
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.baseline import (
    BROKEN,
    ELSEWHEN,
    NEAR_ZERO_USD,
    Pair,
    Periods,
    common_code,
    latest_year,
    pair_of,
    periods_of,
    placed,
)
from chiptrail.queries.growth import IN_PART, WHEN, blocked, spans_text, told_again, unplaced
from chiptrail.queries.question import Question, closed_window
from chiptrail.queries.scope import count_once, scope_notes, shaped, trades_in_scope, value_concept

MIN_OTHERS = 5
QUANTILES = (0.05, 0.95)
_UNDIVIDED = "wider than the list"
_BOUND = "compared as a bound: part is told in codes that hold listed goods and others"
_DTYPES = {
    "seller_id": "str", "seller": "str", "buyer_id": "str", "buyer": "str", "concept": "str",
    "listed_usd": "float64", "listed_before_usd": "float64", "listed_change_usd": "float64",
    "neighbours_usd": "float64", "neighbours_before_usd": "float64", "neighbours_change_usd": "float64",
    "undivided_usd": "float64", "undivided_before_usd": "float64",
    "shift_max_usd": "float64", "share_shift_max": "float64",
    "share_neighbours": "float64", "share_neighbours_before": "float64", "share_change": "float64",
    "others_share_change": "float64", "excess": "float64", "excess_low": "float64", "excess_high": "float64", "n_others": "int64",
    "listed_products": "str", "neighbour_products": "str", "n_records": "int64", "compared": "str", "compared_before": "str",
    "coverage": "str", "coverage_before": "str", "status": "str",
}
COLUMNS = tuple(_DTYPES)


def code_shift(
    network: TradeNetwork, *, origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None,
    listed: str | Sequence[str] = "chpl", neighbours: str | Sequence[str] | None = None, since: str | None = None,
    until: str | None = None, against: str | None = None, concept: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per corridor: how trade in listed codes and in their unlisted neighbours changed, and what can have moved between them.

    `shift_max_usd` = min(fall of the listed codes, rise of the neighbours), zero if the former did not fall or the latter did not
    rise. If the corridor's demand for listed goods did not grow, it is the most that can have been declared under a neighbouring code
    instead; where demand grew, more can have been. It is no estimate. The change of the neighbours' share is set against the same
    change on the other corridors of the network (a difference in differences).

    Parameters
    ----------
    network
        A network of countries or of firms.
    origins, destinations
        Sellers and buyers to show: countries, groups (`EU27`), or actors by name or id; None for all. The other corridors are those to
        all other buyers (without `destinations`, all but the one shown).
    listed
        Product list, HS code or codes whose trade may have moved.
    neighbours
        Product list, HS code or codes to which it may have moved; default the unlisted codes of the same headings. A code that
        is listed is no neighbour.
    since, until
        The period. An open side ends with the data; without both it is the latest year in which the most corridors are covered whole,
        as in the year before.
    against
        An earlier period with the same months, such as `2021`; default the same months before, so many years as the period has.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `seller_id`, `seller`, `buyer_id`, `buyer`, `concept`; `listed_usd`, `listed_before_usd`, `listed_change_usd`,
        `neighbours_usd`, `neighbours_before_usd`, `neighbours_change_usd` (USD), `undivided_usd`, `undivided_before_usd` (USD, told in
        codes that hold listed goods and others: in neither), `shift_max_usd` (USD; where the earlier period may tell undivided what the
        later one divides, or the reverse, as much as that allows: the fall is then `listed_before_usd` + `undivided_before_usd` -
        `listed_usd`, the rise `neighbours_usd` + `undivided_usd` - `neighbours_before_usd`, and changes and shares are missing),
        `share_shift_max` (0-1, of the fall of the listed codes; missing if they did not fall), `share_neighbours`,
        `share_neighbours_before` (0-1, neighbours / both),
        `share_change` (their difference), `others_share_change` (median of that on the other corridors), `excess` (`share_change` -
        `others_share_change`), `excess_low`, `excess_high` (`share_change` less the 95 and 5 % quantiles over the other corridors),
        `n_others` (other corridors compared; fewer than five give no median), `listed_products`, `neighbour_products` (codes counted,
        as they compare), `n_records`, `compared`, `compared_before` (days compared), `coverage`, `coverage_before` (what the data cover of
        these headings), `status` (`compared`, `compared as a bound: ` and why, `near-zero base` where all together is below 10,000 USD
        in a period, or why not).
        Compared corridors first, the largest `shift_max_usd` first. `attrs` holds the question, notes, records left aside by reason,
        and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list or preference is not known.
    NotComparableError
        If `against` has other months than the period, or does not lie before it; and for `concept="brand"`.

    Notes
    -----
    Codes of different HS versions stand at the code that compares, the wider old one (`graphmodel.hs.comparable_code`); codes that do
    not compare, such as 854150 of HS2017 and 854151 of HS2022, are left aside in both periods and named. A code that holds listed
    goods and others is left aside where finer codes tell the same days or the same value; where the same such codes stand in both
    periods, and nothing within them is told apart, their goods are outside the comparison.
    Listed codes fall where a ban works, and neighbours rise where demand does: a shift says that relabelling is possible, not that
    it happened. The interval is the spread of other corridors, which may be few or unlike this one.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.code_shift(ct.load_bundled("countries"), destinations=["RUS"], concept="dispatched", since="2022-01",
    ...                       until="2022-11")
    >>> first = table.iloc[0]
    >>> first["seller_id"], f"{first['shift_max_usd']:,.0f}", f"{first['share_shift_max']:.2f}"
    ('LVA', '363,620', '0.06')
    """
    concept = value_concept(network, concept)
    lists = product_codes(listed), product_codes(neighbours) if neighbours is not None else None
    headings = _headings(lists[0])
    asked_codes = headings if lists[1] is None else headings | _headings(lists[1])
    ends = tuple(actors_named(network, names) if names is not None else None for names in (origins, destinations))
    asked: dict[str, Any] = {"origins": origins, "destinations": destinations, "listed": listed, "neighbours": neighbours,
                             "concept": concept, "prefer": prefer}
    question = Question(concept, frozenset(), frozenset(), asked_codes, None)
    since, until, note = _window(network, since, until, question)
    if since is None or until is None:
        return answer(shaped(pd.DataFrame(), _DTYPES), network, question=asked, notes=[note])
    periods = periods_of(since, until, against)
    trades = trades_in_scope(network, concept=concept, products=None, since=str(periods.before[0].date()),
                             until=str(periods.now[1].date()))
    trades = trades[_near(trades["code"], asked_codes) & trades["seller_id"].ne(trades["buyer_id"])]
    coverage = CoverageIndex(network)
    keys = sorted({*zip(trades["seller_id"], trades["buyer_id"], strict=True)})
    pairs = {key: pair_of(coverage, key[:1], key[1:], question, periods) for key in keys}
    trades = placed(trades, pairs, question, periods)
    trades = _classed(trades[trades["when"].ne("between")], lists, pairs)
    trades = count_once(network, _finest_first(network, trades), prefer=prefer)
    trades = trades.assign(unplaced=unplaced(network, trades, concept))
    by_pair = {(str(s), str(b)): found for (s, b), found in trades.groupby(["seller_id", "buyer_id"], sort=True)}
    rows = [_row(key, found, pairs[key], periods) for key, found in by_pair.items()]
    table = _against_others(pd.DataFrame(rows, columns=list(COLUMNS)), *ends)
    names = names_of(network)
    table = table.assign(seller=table["seller_id"].map(names), buyer=table["buyer_id"].map(names), concept=concept)
    table["last"] = table["status"].map({"compared": 0, _BOUND: 0, "near-zero base": 1}).fillna(2)
    table = table.sort_values(["last", "shift_max_usd", "seller_id", "buyer_id"], ascending=[True, False, True, True], kind="stable")
    used = trades[_shown(trades, *ends)]
    asked |= {"since": since, "until": until, "against": period_text(*periods.before)}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=_notes(network, concept, used, table, note),
                  source_ids=used.loc[used["left_aside"].eq(""), "source_id"], left_aside=used["left_aside"])


def _headings(question: ProductQuestion) -> frozenset[str]:
    codes = {part[:4] for held in (question.codes, question.wider) for found in held.values() for code in found for part in code.split("+")}
    return frozenset(codes)


def _near(codes: pd.Series, headings: frozenset[str]) -> pd.Series:
    """Whether a code or set may hold goods of the headings."""
    near = {code for code in codes.unique()
            if any(part and (part.startswith(h) or h.startswith(part)) for part in code.split("+") for h in headings)}
    return codes.isin(near)


def _window(network: TradeNetwork, since: str | None, until: str | None, question: Question) -> tuple[str | None, str | None, str]:
    """The window, closed, and a sentence if it was chosen here."""
    if since is not None or until is not None:
        return *closed_window(network, since, until), ""
    trades = trades_in_scope(network, concept=question.concept, products=None, since=None, until=None)
    trades = trades[_near(trades["code"], question.codes or frozenset()) & trades["period_end"].notna()]
    if trades.empty:
        return None, None, "the network holds no dated trades in these headings that could be compared; none is covered"
    coverage, years = CoverageIndex(network), sorted(set(trades["period_end"].dt.year))
    pairs = {*zip(trades["seller_id"], trades["buyer_id"], strict=True)}
    covered = {
        year: sum(coverage.observed(
            [seller], [buyer], concept=question.concept, codes=question.codes, first=pd.Timestamp(year - 1, 1, 1).as_unit("us"),
            last=pd.Timestamp(year, 12, 31).as_unit("us")).status == "covered" for seller, buyer in pairs)
        for year in years
    }
    year_text, note = latest_year(years, covered)
    return year_text, year_text, note


def _classed(
    trades: pd.DataFrame, lists: tuple[ProductQuestion, ProductQuestion | None], pairs: dict[tuple[str, str], Pair]
) -> pd.DataFrame:
    """The trades with their comparable `code` and, as `product`, listed, neighbour, other, or wider than the list."""
    deep = trades["code"].str.len().gt(4) & ~trades["code"].str.contains("+", regex=False)
    versions = trades[deep].groupby("reported_by")["hs_version"].agg(frozenset).to_dict()
    shared = [bool(pairs[key].spans["now"]) for key in zip(trades["seller_id"], trades["buyer_id"], strict=True)]
    told = zip(trades["code"], trades["hs_version"], trades["reported_by"], deep & pd.Series(shared, index=trades.index), strict=True)
    codes = [_comparable(code, version, versions[by]) if several else (code, version) for code, version, by, several in told]
    broken = pd.Series([not code for code, _ in codes], index=trades.index) & trades["left_aside"].eq("")
    trades = trades.assign(
        code=pd.Series([new or old for (new, _), old in zip(codes, trades["code"], strict=True)], index=trades.index, dtype="str"),
        hs_version=pd.Series([version for _, version in codes], index=trades.index, dtype="str"))
    trades.loc[broken, "left_aside"] = BROKEN
    single = trades["code"].where(~trades["code"].str.contains("+", regex=False), "")
    sets = trades["code"].where(single.eq(""), "")
    product = pd.Series("neighbour" if lists[1] is None else "other", index=trades.index, dtype="str")
    if lists[1] is not None:
        product[match(lists[1], single, sets, trades["hs_version"])["within"]] = "neighbour"
    found = match(lists[0], single, sets, trades["hs_version"])
    product[found["coarse"] | found["too_coarse"] | trades["code"].eq("")] = _UNDIVIDED
    product[found["within"]] = "listed"
    return trades.assign(product=product)


def _finest_first(network: TradeNetwork, trades: pd.DataFrame) -> pd.DataFrame:
    """The trades without codes that hold both where finer codes tell the same goods."""
    usable = trades["left_aside"].eq("")
    wide = usable & trades["product"].eq(_UNDIVIDED)
    again = told_again(network, trades[wide], trades[usable & ~wide])
    told = wide & again.reindex(trades.index, fill_value=False)
    return trades.assign(left_aside=trades["left_aside"].mask(told, "told in finer codes too"))


@lru_cache(maxsize=65_536)
def _comparable(code: str, version: str, versions: frozenset[str]) -> tuple[str, str]:
    """The code at which a code compares over the versions, and its version; an empty code where it does not."""
    if len(versions) < 2:
        return code, version
    same = common_code(code, version, versions)
    return same, version if same in ("", code[:6]) else min(versions, key=HS_VERSIONS.index)


def _row(key: tuple[str, str], found: pd.DataFrame, pair: Pair, periods: Periods) -> dict[str, Any]:
    counted = found[found["left_aside"].eq("")]
    usd, half_told = {}, blocked(found, {key: pair}, periods)
    for name in ("listed", "neighbour", _UNDIVIDED):
        for when in WHEN:
            part = counted[counted["product"].eq(name) & counted["when"].eq(when)]
            value = float(part["value_usd"].sum(skipna=False)) if len(part) else 0.0 if pair.zero else np.nan
            usd[name, when] = np.nan if when in half_told else value
    divided, mixed = counted["product"].isin(["listed", "neighbour"]).any(), _mixed(counted)
    status = _status(usd, pair, bool(divided), mixed, bool(half_told))
    bounds = _shift(usd, mixed) if status in ("compared", _BOUND) else {}
    wide = set(counted.loc[counted["product"].eq(_UNDIVIDED), "when"])
    told = set(zip(counted["product"], counted["when"], strict=True)) if divided else set()
    usd |= {(name, when): np.nan for name in ("listed", "neighbour") for when in WHEN
            if (name, when) not in told and ((when in wide and mixed) if divided else bool(wide))}
    row: dict[str, Any] = {"seller_id": key[0], "buyer_id": key[1], "undivided_usd": usd[_UNDIVIDED, "now"],
                           "undivided_before_usd": usd[_UNDIVIDED, "before"], "n_records": len(counted)}
    for name, column in (("listed", "listed"), ("neighbour", "neighbours")):
        now, before = usd[name, "now"], usd[name, "before"]
        row |= {f"{column}_usd": now, f"{column}_before_usd": before, f"{column}_change_usd": np.nan if mixed else now - before}
        row[f"{name}_products"] = " ".join(sorted(set(counted.loc[counted["product"].eq(name), "code"])))
    row |= {"compared": spans_text([pair], "now"), "compared_before": spans_text([pair], "before"),
            "coverage": pair.seen["now"].text, "coverage_before": pair.seen["before"].text, "status": status}
    return row | bounds


def _mixed(counted: pd.DataFrame) -> bool:
    """Whether goods that one period tells undivided may be those that it or the other one divides, or tells otherwise."""
    wide = counted["product"].eq(_UNDIVIDED)
    now, before = (frozenset(counted.loc[wide & counted["when"].eq(when), "code"]) for when in WHEN)
    apart = frozenset(counted.loc[counted["product"].isin(["listed", "neighbour"]), "code"])
    return bool(apart) and (now != before or overlaps(now, apart))


def _status(usd: dict[tuple[str, str], float], pair: Pair, divided: bool, mixed: bool, half_told: bool) -> str:
    lacking = [name for when, name in (("now", "period"), ("before", "earlier period")) if pair.seen[when].status == "not covered"]
    if lacking:
        return f"not compared: {' and '.join(lacking)} not covered"
    if not pair.spans["now"]:
        return "not compared: no month is covered in both periods"
    if half_told:
        return f"not compared: {IN_PART}"
    if not divided:
        return "not compared: no record tells listed goods from their neighbours in codes that compare"
    sums = [usd["listed", when] + usd["neighbour", when] + (usd[_UNDIVIDED, when] if mixed else 0) for when in WHEN]
    if any(np.isnan(sums)):
        return "not compared: a value is not known"
    return "near-zero base" if min(sums) < NEAR_ZERO_USD else _BOUND if mixed else "compared"


def _shift(usd: dict[tuple[str, str], float], mixed: bool) -> dict[str, float]:
    fall = usd["listed", "before"] - usd["listed", "now"]
    rise = usd["neighbour", "now"] - usd["neighbour", "before"]
    if mixed:
        return {"shift_max_usd": max(0.0, min(fall + usd[_UNDIVIDED, "before"], rise + usd[_UNDIVIDED, "now"]))}
    moved = max(0.0, min(fall, rise))
    share = {when: usd["neighbour", when] / (usd["listed", when] + usd["neighbour", when]) for when in WHEN}
    return {"shift_max_usd": moved, "share_shift_max": moved / fall if fall > 0 else np.nan, "share_neighbours": share["now"],
            "share_neighbours_before": share["before"], "share_change": share["now"] - share["before"]}


def _shown(rows: pd.DataFrame, origins: set[str] | None, destinations: set[str] | None) -> pd.Series:
    shown = pd.Series(True, index=rows.index)
    for column, names in (("seller_id", origins), ("buyer_id", destinations)):
        if names is not None:
            shown &= rows[column].isin(names)
    return shown


def _against_others(table: pd.DataFrame, origins: set[str] | None, destinations: set[str] | None) -> pd.DataFrame:
    """The corridors shown, each with the same change on the others."""
    compared = table[table["status"].eq("compared")]
    table = table[_shown(table, origins, destinations)].assign(n_others=0)
    outside = compared if destinations is None else compared[~compared["buyer_id"].isin(destinations)]
    for i in table.index[table["status"].eq("compared")]:
        others = outside.drop(index=i, errors="ignore")["share_change"].astype(float)
        table.loc[i, "n_others"] = len(others)
        if len(others) < MIN_OTHERS:
            continue
        change = table.loc[i, "share_change"]
        low, high = others.quantile(list(QUANTILES))
        table.loc[i, ["others_share_change", "excess", "excess_low", "excess_high"]] = [
            others.median(), change - others.median(), change - high, change - low]
    return table


def _notes(network: TradeNetwork, concept: str, used: pd.DataFrame, table: pd.DataFrame, note: str) -> list[str]:
    broken = sorted(set(used.loc[used["left_aside"].eq(BROKEN), "code"]))
    elsewhen = int(used["left_aside"].eq(ELSEWHEN).sum())
    few = table["status"].eq("compared") & table["n_others"].lt(MIN_OTHERS)
    return [
        note, *scope_notes(network, concept, used),
        f"codes that do not compare between HS versions are not counted: {', '.join(broken[:8])}" if broken else "",
        f"{elsewhen:,} records lie {ELSEWHEN} and are not counted" if elsewhen else "",
        f"fewer than {MIN_OTHERS} other corridors can be compared: whether the change is unusual is not known" if few.any() else "",
        "shift_max_usd is the most that can have been declared under a neighbouring code if the corridor's demand for listed goods did not "
        "grow, not that it was; where demand grew, more can have been",
    ]
