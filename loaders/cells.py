"""What a cell of a customs file says: days, amounts and countries in the forms in which such files write them."""

import gettext
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import cache

import ibis
import pycountry
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.records import number

_YEAR_FIRST = re.compile(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:[T ]+(\d{1,2}:\d{2}.*))?")
_YEAR_LAST = re.compile(r"(\d{1,2})([-./])(\d{1,2})\2(\d{4}|\d{2})(?:[T ,]+(\d{1,2}:\d{2}.*))?")
_MONTH_NAMED = re.compile(r"(\d{1,2})[- .]([A-Za-z]{3})[a-z]*[-, .]+(\d{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BLANKS = " \u00a0\u202f'"
_SHORT_NAMES = {
    "сша": "USA", "соединенные штаты": "USA", "оаэ": "ARE", "великобритания": "GBR", "корея, республика": "KOR",
    "кыргызстан": "KGZ", "белоруссия": "BLR", "молдавия": "MDA", "россия": "RUS", "кнр": "CHN", "чешская республика": "CZE",
    "гонконг": "HKG", "тайвань": "TWN", "тайвань (китай)": "TWN", "вьетнам": "VNM", "соединенное королевство": "GBR",
}
_NO_COUNTRY = frozenset(("", "-", "n/a", "not available", "unknown", "various", "разные", "неизвестна", "не указана"))
CURRENCIES = {
    "840": "USD", "US$": "USD", "$": "USD", "ДОЛЛАР США": "USD", "ДОЛЛАРЫ США": "USD", "978": "EUR", "€": "EUR", "ЕВРО": "EUR",
    "643": "RUB", "РУБ": "RUB", "РУБ.": "RUB", "РОССИЙСКИЙ РУБЛЬ": "RUB", "RUR": "RUB", "810": "RUB", "156": "CNY", "RMB": "CNY",
    "ЮАНЬ": "CNY", "392": "JPY", "826": "GBP", "949": "TRY", "398": "KZT", "ТЕНГЕ": "KZT", "784": "AED",
}
"""Numbers and words for currencies beside the codes of ISO 4217."""


def place(text: str) -> str:
    """ISO 3166 alpha-3 code of a country named by code or name, in English or Russian; empty if none is stated.

    Raises
    ------
    UnknownNameError
        If the text is given and names no country.
    """
    plain = _plain(text)
    if plain in _NO_COUNTRY:
        return ""
    if plain in _russian():
        return _russian()[plain]
    return country_code(text)


def currency(text: str) -> str:
    """ISO 4217 code of a currency; empty if none is stated."""
    code = CURRENCIES.get(text.upper(), text.upper())
    if code and not re.fullmatch("[A-Z]{3}", code):
        raise UnknownNameError("currency", text, CURRENCIES)
    return code


@cache
def _russian() -> dict[str, str]:
    known = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=["ru"], fallback=True)
    names = {}
    for country in pycountry.countries:
        for name in (country.name, getattr(country, "common_name", ""), getattr(country, "official_name", "")):
            if name and known.gettext(name) != name:
                names[_plain(known.gettext(name))] = str(country.alpha_3)
    return names | _SHORT_NAMES


def _plain(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFD", text.casefold()) if c != "\u0301" and c != "\u0308")
    return " ".join(unicodedata.normalize("NFC", bare).split())


def day_first(texts: Iterable[str], stated: bool | None, where: str) -> bool:
    """Whether dates such as 03.04.2022 begin with the day: what they show, else what is stated; dots mean the day.

    Raises
    ------
    InputError
        If neither says it.
    """
    parts = [match for text in texts if (match := _YEAR_LAST.fullmatch(text))]
    firsts = any(int(match[1]) > 12 for match in parts)
    seconds = any(int(match[3]) > 12 for match in parts)
    if firsts != seconds:
        return firsts
    if stated is not None:
        return stated
    if parts and not all(match[2] == "." for match in parts):
        raise InputError(
            f"{where}: dates such as {parts[0][0]!r} may begin with the day or the month; say which (day_first = true or "
            "false in the mapping)"
        )
    return True


def moment(text: str, *, begins_with_day: bool) -> tuple[str, str]:
    """Day in ISO form and time as written.

    Raises
    ------
    InputError
        If the text is no day.
    """
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day, time = int(match[1]), int(match[2]), int(match[3]), match[4]
    elif match := _YEAR_LAST.fullmatch(text):
        year, month, day, time = int(match[4]), int(match[3]), int(match[1]), match[5]
        if not begins_with_day:
            month, day = day, month
        year += 0 if year > 99 else 2000 if year < 70 else 1900
    elif (match := _MONTH_NAMED.fullmatch(text)) and match[2].lower() in _MONTHS:
        year, month, day, time = int(match[3]), _MONTHS.index(match[2].lower()) + 1, int(match[1]), None
    else:
        raise InputError(f"{text[:40]!r} is no day")
    try:
        found = date(year, month, day)
    except ValueError:
        raise InputError(f"{text[:40]!r} is no day") from None
    if not 1900 <= year < 2100:
        raise InputError(f"{text[:40]!r} is no day of this time")
    return found.isoformat(), time or ""


def days(*, begins_with_day: bool) -> Callable[[str], tuple[str, str]]:
    """A function from a text to its first and last day, both empty for an empty text; a month or a year is understood too."""

    def both(text: str) -> tuple[str, str]:
        if not text:
            return "", ""
        try:
            day = moment(text, begins_with_day=begins_with_day)[0]
        except InputError:
            first, last = parse_period(text)
            return str(first.date()), str(last.date())
        return day, day

    return both


def decimal_signs(table: ir.Table, columns: Sequence[str], stated: str, *, typed: bool) -> dict[str, str]:
    """For each column of amounts the sign before its decimals, `.` or `,`: what its values show, else what is stated.

    `1,5` and `1.234,5` show a comma, `1.5` and `1,234,567` a dot; `1,234` alone shows nothing. Columns that hold plain
    decimal numbers already are left out.

    Raises
    ------
    InputError
        If values such as `1,234` may be thousands or decimals and nothing says which.
    """
    if not columns:
        return {}
    some = {name: table[name].max(where=table[name].contains(",")) for name in columns}
    blanks = {f"{name}:blank": ibis.or_(*(table[name].contains(c) for c in _BLANKS)).any() for name in columns}
    found = table.aggregate(**some, **blanks).to_pyarrow().to_pylist()[0]
    doubtful = [name for name in columns if found[name] or (stated == "," and not typed)]
    patterns = {",": _evidence(",", "."), ".": _evidence(".", ",")}
    marks = {f"{name}:{sign}": table[name].re_search(pattern).any() for name in doubtful for sign, pattern in patterns.items()}
    if marks:
        found |= table.aggregate(**marks).to_pyarrow().to_pylist()[0]
    shown = {name: [sign for sign in patterns if found[f"{name}:{sign}"]] for name in doubtful}
    others = {signs[0] for signs in shown.values() if len(signs) == 1}
    chosen = {}
    for name in columns:
        signs = shown.get(name, ["."])
        if len(signs) == 1:
            chosen[name] = signs[0]
        elif stated or len(others) == 1:
            chosen[name] = stated or next(iter(others))
        elif signs:
            chosen[name] = "."
        else:
            raise InputError(
                f"{name}: values such as {found[name][:40]!r} may have thousands or decimals after the comma; say which "
                "(decimal = '.' or ',' in the mapping)"
            )
    return {name: sign for name, sign in chosen.items() if sign == "," or found[name] or found[f"{name}:blank"]}


def _evidence(sign: str, other: str) -> str:
    """A pattern of texts that show that `sign` stands before the decimals."""
    groups = rf"\d{{1,3}}([{other}{_BLANKS}]\d{{3}})+"
    return rf"^[+-]?((\d+|{groups})?[{sign}](\d{{1,2}}|\d{{4,}})|{groups}[{sign}]\d+)$|[{other}]\d{{3}}[{other}]"


def plain_amount(text: ir.StringValue, sign: str) -> ir.StringValue:
    """An amount as a plain decimal number; a text that is none, or whose groups are not of three digits, stays as it is."""
    other = "." if sign == "," else ","
    between = rf"(\d)[{_BLANKS}](\d\d\d)"
    bare = text.re_replace(between, r"\1\2").re_replace(between, r"\1\2")
    grouped = bare.re_search(rf"^[+-]?\d{{1,3}}([{other}]\d\d\d)+([{sign}]\d*)?$")
    bare = ibis.ifelse(grouped, bare.replace(other, ""), bare)
    bare = bare.replace(",", ".") if sign == "," else bare
    return ibis.ifelse(number(bare).notnull(), bare, text)
