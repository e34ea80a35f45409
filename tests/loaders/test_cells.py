"""Cells of customs files: who is nobody, and the order of days, months and years."""

from datetime import date

import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.cells import day_orders, moment, no_maker, nobody

TODAY = date(2026, 6, 30)


@pytest.mark.parametrize("name", [
    "", ".", "***", "0", "NA", "N.A.", "n/a", "SAME AS CONSIGNEE", "TO ORDER OF", "To the order of shipper", "ORDER", "NOT DECLARED",
    "ФИЗ. ЛИЦО", "Физическое лицо", "НЕТ ДАННЫХ", "NO NAME", "НЕИЗВЕСТЕН", "НЕ УСТАНОВЛЕН", "ИЗГОТОВИТЕЛЬ НЕИЗВЕСТЕН",
    "БЕЗ ТОВАРНОГО ЗНАКА", "не указан", "12-34", "Не указано.", "TO ORDER",
])
def test_these_name_nobody(name: str) -> None:
    assert nobody(name)
    assert no_maker(name)


@pytest.mark.parametrize("name", [
    "Order Logistics Ltd", "NA Trading", "No Name Foods Ltd", "Same Deutz", "Unknown Worlds Inc.", "Individual Systems GmbH", "3M",
    "Нетто ООО", "Физприбор", "x", "ST", "IR", "None Such Ltd", "To Order Logistics Ltd", "公司",
])
def test_these_are_names(name: str) -> None:
    assert not nobody(name)
    assert not no_maker(name)


@pytest.mark.parametrize("name", ["CHINA", "Китай", "КНР", "USA", "Made in Taiwan", "Korea, Republic of"])
def test_a_country_is_no_maker(name: str) -> None:
    assert no_maker(name)


@pytest.mark.parametrize(("texts", "stated", "orders"), [
    (["13/01/2022", "01.02.2022"], None, {"/": "dmy", ".": "dmy"}),
    (["01/13/2022", "01.02.2022"], None, {"/": "mdy", ".": "dmy"}),
    (["31-01-22"], None, {"-": "dmy"}), (["22-01-31"], True, {"-": "ymd"}), (["22-01-15", "21-12-29"], False, {"-": "ymd"}),
    (["22.01.15"], None, {".": "dmy"}), (["3/4/22"], False, {"/": "mdy"}), (["01-02-2022", "03-04-22"], True, {"-": "dmy"}),
    (["2022-01-15"], None, {}), (["99.99.2022", "13.01.2022"], None, {".": "dmy"}),
])
def test_each_separator_decides_for_itself(texts: list[str], stated: bool | None, orders: dict[str, str]) -> None:
    assert day_orders(texts, stated, "t.csv", TODAY) == orders


@pytest.mark.parametrize(("texts", "stated"), [
    (["22-01-15"], None), (["22-01-15"], True), (["03/04/22"], None),
    (["13/01/2022", "01-02-2022"], None), (["22-01-31", "31-01-22"], True),
])
def test_what_can_be_read_in_two_ways_is_asked(texts: list[str], stated: bool | None) -> None:
    with pytest.raises(InputError, match=r"t\.csv: dates such as"):
        day_orders(texts, stated, "t.csv", TODAY)


@pytest.mark.parametrize(("text", "day"), [
    ("22-01-15 9:05", ("2022-01-15", "09:05")), ("03/04/2022 1:05 PM", ("2022-04-03", "13:05")),
    ("2022-04-03T12:05am", ("2022-04-03", "00:05")),
    ("20220403", ("2022-04-03", "")), ("03-Apr-2022", ("2022-04-03", "")),
])
def test_days_and_times(text: str, day: tuple[str, str]) -> None:
    assert moment(text, {"-": "ymd", "/": "dmy"}) == day
