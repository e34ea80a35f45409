"""A period and an earlier one with the same months: which records of a corridor compare between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from chiptrail.graphmodel.coverage import DAY, CoverageIndex, Observed, Span, under
from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.hs import HS_VERSIONS, comparable_code
from chiptrail.graphmodel.periods import parse_period, period_text
from chiptrail.queries.question import Question
from chiptrail.queries.throughflow import month_end

NEAR_ZERO_USD = 10_000.0
"""Below this sum of all compared months, in USD, a base gives no ratio: a single parcel would make it."""
EVERYBODY = ("*",)
"""Stands for all partners when the coverage of a network is asked: only a source that covers every partner covers this one."""
OUTSIDE = "only partly inside the period, or without dates"
WIDE = "code wider than the products asked for"
ELSEWHEN = "in months that the data do not cover in both periods"
OTHER_GOODS = "goods that the data do not cover in both periods"
BROKEN = "code that does not compare between HS versions"


@dataclass(frozen=True)
class Periods:
    """The period of a question and the earlier one, first and last day of each, and how far the earlier one lies back."""

    now: Span
    before: Span
    shift: pd.DateOffset

    def named(self) -> dict[str, Span]:
        """First and last day of the period, the earlier one, and the days between (which may be none)."""
        return {"now": self.now, "before": self.before, "between": (self.before[1] + DAY, self.now[0] - DAY)}


@dataclass(frozen=True)
class Pair:
    """What the data cover of a seller and a buyer in both periods.

    `spans` are the days covered in both, by `now` and `before`, and those `between` the periods; `zero` whether a missing row
    there means zero.
    """

    seen: dict[str, Observed]
    spans: dict[str, tuple[Span, ...]]
    zero: bool


def periods_of(since: str | None, until: str | None, against: str | None) -> Periods:
    """The period from since to until, and the one it is compared with; by default the same months, so many years before.

    Raises
    ------
    NotComparableError
        Without a period, or if `against` has other months, or is not before it.
    """
    if since is None or until is None:
        raise NotComparableError("give since and until together with against, so that identical months can be compared")
    first, last = parse_period(f"{since}/{until}")
    if against is None:
        back = pd.DateOffset(years=last.year - first.year + 1)
        start, end = first - back, month_end(last, last - back)
    else:
        start, end = parse_period(against)
        same = (start.month, start.day) == (first.month, first.day) and end.month == last.month
        same &= (end.day == last.day or (end.is_month_end and last.is_month_end)) and end.year - start.year == last.year - first.year
        if not same:
            raise NotComparableError(f"{period_text(start, end)} and {period_text(first, last)} are not the same months of the year; "
                                     "growth compares identical months only")
    if end >= first:
        raise NotComparableError(f"the earlier period {period_text(start, end)} does not end before {period_text(first, last)} begins")
    return Periods((first, last), (start, end), pd.DateOffset(months=(first.year - start.year) * 12 + first.month - start.month))


def pair_of(coverage: CoverageIndex, sellers: Iterable[str], buyers: Iterable[str], question: Question, periods: Periods) -> Pair:
    """What the data cover of trade between sellers and buyers in both periods."""
    sellers, buyers = tuple(sellers), tuple(buyers)
    concept, codes, exact = question.concept, question.codes, question.exact
    seen = {
        when: coverage.observed(sellers, buyers, concept=concept, codes=codes, exact=exact, first=first, last=last)
        for when, (first, last) in periods.named().items() if first <= last
    }
    now, before = shared_spans(seen["now"].spans, seen["before"].spans, periods.shift)
    zero = bool(now) and all(s.complete and s.all_goods for s in seen.values())
    return Pair(seen, {"now": now, "before": before, "between": seen["between"].spans if "between" in seen else ()}, zero)


@lru_cache(maxsize=4096)
def shared_spans(now: tuple[Span, ...], before: tuple[Span, ...], shift: pd.DateOffset) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The days that both periods cover, in the later one and in the earlier one."""
    moved = [(a - shift, month_end(b, b - shift)) for a, b in now]
    spans = tuple((max(a, c), min(b, d)) for a, b in moved for c, d in before if max(a, c) <= min(b, d))
    return tuple((a + shift, month_end(b, b + shift)) for a, b in spans), spans


def placed(trades: pd.DataFrame, pairs: dict[tuple[str, str], Pair], question: Question, periods: Periods) -> pd.DataFrame:
    """The trades that touch a period, with `when` (now, before, between, or empty) and more reasons in `left_aside`.

    Where the data cover a pair in both periods, only months and goods that they cover in both are kept, and only codes that compare
    between the HS versions of the reporter's records. Where they do not, all records that lie in a period are.
    """
    start, end = trades["period_start"], trades["period_end"]
    when = pd.Series("", index=trades.index, dtype="str")
    touches = pd.Series(False, index=trades.index)
    for name, (first, last) in periods.named().items():
        when[start.ge(first) & end.le(last)] = name
        touches |= (start.isna() | start.le(last)) & (end.isna() | end.ge(first))
    trades = trades.assign(when=when)[touches]
    trades.loc[trades["left_aside"].eq("") & trades["when"].eq(""), "left_aside"] = OUTSIDE
    versions = _versions(trades)
    reasons = trades["left_aside"].tolist()
    rows = zip(*(trades[c].tolist() for c in ("seller_id", "buyer_id", "period_start", "period_end", "when", "code", "hs_version",
                                              "reported_by")), strict=True)
    for i, (seller, buyer, first, last, name, code, version, reporter) in enumerate(rows):
        pair = pairs.get((seller, buyer))
        if reasons[i] or pair is None or not pair.spans["now"]:
            continue
        if not any(a <= first and last <= b for a, b in pair.spans[name]):
            reasons[i] = ELSEWHEN
            continue
        held = pair.seen["now"].products, pair.seen["before"].products
        if not all(under(code, products) for products in held):
            reasons[i] = OTHER_GOODS
        elif not common_code(code, version, versions[reporter], frozenset(c for c in question.exact or held[0] & held[1] if len(c) <= 4)):
            reasons[i] = BROKEN
    return trades.assign(left_aside=pd.Series(reasons, index=trades.index, dtype="str"))


def _versions(trades: pd.DataFrame) -> dict[str, frozenset[str]]:
    """The HS versions of each reporter's codes of more than four digits."""
    deep = trades["code"].str.len().gt(4) & ~trades["code"].str.contains("+", regex=False)
    found = trades[deep].groupby("reported_by")["hs_version"].agg(frozenset).to_dict()
    nothing: frozenset[str] = frozenset()
    return {str(reporter): found.get(reporter, nothing) for reporter in trades["reported_by"].unique()}


def versions_of(trades: pd.DataFrame, spans: Iterable[Span]) -> dict[str, frozenset[str]]:
    """The HS versions of each reporter's codes in the spans; for a span of which it has none, the version then in force."""
    deep = trades[trades["code"].str.len().gt(4) & ~trades["code"].str.contains("+", regex=False) & trades["hs_version"].ne("")]
    found: dict[str, set[str]] = {str(reporter): set() for reporter in deep["reported_by"].unique()}
    for first, last in spans:
        inside = deep["period_start"].le(last) & deep["period_end"].ge(first)
        told = deep[inside].groupby("reported_by")["hs_version"].agg(set).to_dict()
        for reporter, versions in found.items():
            versions |= told.get(reporter, {in_force(first)})
    return {reporter: frozenset(versions) for reporter, versions in found.items()}


def in_force(day: pd.Timestamp) -> str:
    """The HS version in force on a day; some reporters change over later."""
    return max((version for version in HS_VERSIONS if int(version[2:]) <= day.year), default=HS_VERSIONS[0], key=HS_VERSIONS.index)


def stands(code: str, versions: frozenset[str], whole: frozenset[str] = frozenset()) -> bool:
    """Whether a code means the same goods in all the HS versions; `whole` are headings that are summed as a whole.

    Examples
    --------
    >>> both = frozenset({"HS2017", "HS2022"})
    >>> stands("854231", both), stands("854149", both), stands("854149", both, frozenset({"8541"}))
    (True, False, True)
    """
    return len(versions) < 2 or all(common_code(code, version, versions, whole) for version in versions)


@lru_cache(maxsize=65_536)
def common_code(code: str, version: str, versions: frozenset[str], whole: frozenset[str] = frozenset()) -> str:
    """The code or set at which goods can be told in all the HS versions, "" if there is none; `whole` are headings summed as a whole.

    Examples
    --------
    >>> both = frozenset({"HS2017", "HS2022"})
    >>> common_code("854231", "HS2022", both), common_code("854149", "HS2022", both), common_code("854151", "HS2022", both)
    ('854231', '854140', '')
    >>> common_code("854151", "HS2022", both, frozenset({"8541"}))
    '8541'
    """
    wider = [min((heading for heading in whole if part.startswith(heading)), key=len, default=part) for part in code.split("+")]
    try:
        return "+".join(comparable_code(same, version, versions=versions) for same in dict.fromkeys(wider))
    except (NotComparableError, UnknownNameError):
        return ""


def latest_year(network_years: Iterable[int], covered: dict[int, int]) -> tuple[str, str]:
    """The latest of the years in which the most corridors are covered whole, as in the year before, and a sentence that says so."""
    years = sorted(network_years)
    most = max(covered.values(), default=0)
    if not most:
        return str(years[-1]), f"no period was given, and no corridor is covered whole in two years: {years[-1]} is the last with trades"
    best = max(year for year, n in covered.items() if n == most)
    return str(best), f"no period was given: {best} is the latest year in which the most corridors are covered whole, as in the year before"
