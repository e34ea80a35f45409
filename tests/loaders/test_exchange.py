"""Exchange rates: means of days with a rate, and nothing where the ECB has none."""

import csv
from datetime import date
from importlib.resources import files

import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.exchange import daily_usd_rates, usd_rates


def test_a_month_is_the_mean_of_its_days():
    # the ECB's rates of the first week of March 2022: 1.1162 1.1106 1.1076 1.0929
    days = daily_usd_rates("EUR", date(2022, 3, 1), date(2022, 3, 4))
    assert list(days.values()) == [1.1162, 1.1106, 1.1076, 1.0929]
    whole = daily_usd_rates("EUR", date(2022, 3, 1), date(2022, 3, 31))
    assert len(whole) == 23  # working days
    assert usd_rates([("EUR", "2022-03")]) == {("EUR", "2022-03"): pytest.approx(sum(whole.values()) / 23)}


def test_the_shipped_monthly_rates_are_these():
    with (files("chiptrail.loaders.bundled") / "ecb_monthly_rates.csv").open(encoding="utf-8") as file:
        shipped = {("EUR", row["month"]): float(row["usd"]) for row in csv.DictReader(file)}
    assert usd_rates(shipped) == {key: pytest.approx(rate, abs=1e-6) for key, rate in shipped.items()}


def test_the_dollar_is_one_dollar_and_an_empty_question_has_an_empty_answer():
    assert usd_rates([("USD", "2022-03"), ("USD", "1950")]) == {("USD", "2022-03"): 1.0, ("USD", "1950"): 1.0}
    assert usd_rates([]) == {}


@pytest.mark.parametrize(("currency", "period"), [
    ("RUB", "2022-03"), ("RUB", "2022"), ("KZT", "2021"), ("eur", "2021"), ("", "2021"), ("EUR", "1998-12"),
    ("EUR", "2150-01"), ("ISK", "2008-12"),
])
def test_what_the_ecb_does_not_know_is_missing(currency, period):
    assert usd_rates([(currency, period), ("EUR", "2021")]).keys() == {("EUR", "2021")}


def test_roubles_until_february_2022_are_known():
    # on 28 February 2022 the ECB set 115.4842 roubles and 1.1199 dollars for a euro
    assert daily_usd_rates("RUB", date(2022, 2, 28), date(2022, 2, 28))[date(2022, 2, 28)] == pytest.approx(1.1199 / 115.4842, rel=1e-4)
    assert ("RUB", "2022-02") in usd_rates([("RUB", "2022-02")])


def test_an_unreadable_period_is_refused():
    with pytest.raises(InputError, match="2022-13"):
        usd_rates([("EUR", "2022-13")])
