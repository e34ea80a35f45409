"""Periods as the sources state them: a day, a month, a year or a range, kept as first and last day."""

import re
from typing import Any

import pandas as pd

from chiptrail.graphmodel.errors import InputError

_PART = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def parse_period(text: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    """First and last day of a period written as `2022`, `2022-07`, `2022-07-20` or a range `a/b`.

    Raises
    ------
    InputError
        If the text is none of these, is no date of the calendar, or ends before it begins.

    Examples
    --------
    >>> [str(day.date()) for day in parse_period("2022-02")]
    ['2022-02-01', '2022-02-28']
    >>> [str(day.date()) for day in parse_period("2022-01/2022-09")]
    ['2022-01-01', '2022-09-30']
    """
    first, slash, last = text.strip().partition("/")
    start, end = _days(first, text), _days(last if slash else first, text)
    if start[0] > end[1]:
        raise InputError(f"period {text!r} ends before it begins")
    return start[0], end[1]


def _days(part: str, whole: str) -> tuple[pd.Timestamp, pd.Timestamp]:
    match = _PART.fullmatch(part)
    try:
        if not match:
            raise ValueError
        year, month, day = match.groups()
        first = pd.Timestamp(year=int(year), month=int(month or 1), day=int(day or 1)).as_unit("us")
    except ValueError:
        raise InputError(
            f"{whole[:100]!r} is no period; write a year (2022), a month (2022-07), a day (2022-07-20) or a range (a/b)"
        ) from None
    if day:
        return first, first
    end = first + (pd.offsets.MonthEnd(0) if month else pd.offsets.YearEnd(0))
    return first, end.as_unit("us")


def window(since: str | None, until: str | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """First day of `since` and last day of `until`, each None if not given.

    Examples
    --------
    >>> [str(day.date()) for day in window("2022", "2022-11")]
    ['2022-01-01', '2022-11-30']
    """
    start = parse_period(since)[0] if since else None
    end = parse_period(until)[1] if until else None
    if start is not None and end is not None and start > end:
        raise InputError(f"the period ends before it begins: since {since}, until {until}")
    return start, end


def period_text(start: Any, end: Any) -> str:
    """A period in the shortest form that states it: `2022`, `2022-07`, `2022-07-20`, `2022-01/2022-11`, `?/2022`.

    Examples
    --------
    >>> period_text(*parse_period("2022-07"))
    '2022-07'
    >>> period_text(None, parse_period("2022")[1])
    '?/2022-12-31'
    """
    if pd.isna(start) or pd.isna(end):
        days = ["?" if pd.isna(day) else str(pd.Timestamp(day).date()) for day in (start, end)]
        return "?" if days == ["?", "?"] else "/".join(days)
    start, end = pd.Timestamp(start), pd.Timestamp(end)
    if start == end:
        return str(start.date())
    whole_months = start.day == 1 and end == end + pd.offsets.MonthEnd(0)
    if not whole_months:
        return f"{start.date()}/{end.date()}"
    if start.month == 1 and end.month == 12:
        return str(start.year) if start.year == end.year else f"{start.year}/{end.year}"
    first, last = f"{start:%Y-%m}", f"{end:%Y-%m}"
    return first if first == last else f"{first}/{last}"


def precision(start: pd.Series, end: pd.Series) -> pd.Series:
    """For each period `day`, `month`, `year` or `range`; `undated` where a start or an end is not given.

    Examples
    --------
    >>> days = [parse_period(text) for text in ("2022", "2022-07", "2022-07-20", "2022-01/2022-02")]
    >>> precision(pd.Series([d[0] for d in days]), pd.Series([d[1] for d in days])).tolist()
    ['year', 'month', 'day', 'range']
    """
    kind = pd.Series("range", index=start.index, dtype="str")
    kind[start.eq(end)] = "day"
    month_end = end.dt.is_month_end & start.dt.is_month_start
    same_year = start.dt.year.eq(end.dt.year)
    kind[month_end & same_year & start.dt.month.eq(end.dt.month)] = "month"
    kind[month_end & same_year & start.dt.month.eq(1) & end.dt.month.eq(12)] = "year"
    kind[start.isna() | end.isna()] = "undated"
    return kind
