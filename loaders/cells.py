"""What a cell of a customs file says: days, amounts and countries in the forms in which such files write them."""

import gettext
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from functools import cache

import ibis
import pycountry
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import ChiptrailError, InputError, UnknownNameError
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.records import number

_YEAR_FIRST = re.compile(r"(\d{4})[-./]?(\d{2})[-./]?(\d{2})(?:[T ]+(\d{1,2}:\d{2}.*))?")
_YEAR_LAST = re.compile(r"(\d{1,2})([-./])(\d{1,2})\2(\d{4}|\d{2})(?:[T ,]+(\d{1,2}:\d{2}.*))?")
_MONTH_NAMED = re.compile(r"(\d{1,2})[- .]([A-Za-z]{3})[a-z]*[-, .]+(\d{4})")
_ORDERS = ("dmy", "mdy", "ymd")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_BLANKS = " \u00a0\u202f'"
_SHORT_NAMES = {
    "сша": "USA", "соединенные штаты": "USA", "оаэ": "ARE", "великобритания": "GBR", "корея, республика": "KOR",
    "кыргызстан": "KGZ", "белоруссия": "BLR", "молдавия": "MDA", "россия": "RUS", "кнр": "CHN", "чешская республика": "CZE",
    "гонконг": "HKG", "тайвань": "TWN", "тайвань (китай)": "TWN", "вьетнам": "VNM", "соединенное королевство": "GBR",
}
_NO_COUNTRY = frozenset(("", "-", "n/a", "not available", "unknown", "various", "разные", "неизвестна", "не указана"))
_NOT = r"не ?(указан|установлен|извест|заявлен|определен|предоставлен)\w*"
_NOBODY = re.compile("|".join((
    r"n ?a|nan|none|null|nil|individual|private (person|individual)|natural person",
    r"(unknown|unnamed|undisclosed|no|not (available|applicable|declared|given|stated|specified|known|disclosed|provided|indicated))"
    r"( (name|brand|maker|manufacturer|producer|shipper|consignee|exporter|importer|buyer|seller|data|information))?|noname",
    r"same as( .*)?|(consigned )?(un)?to( the)? order( of( .*)?)?|order( of( the)? (shipper|consignee|(issuing )?bank))?",
    r"физ(ическ\w+)? ?лиц(о|а|у|ом)( .*)?",
    rf"{_NOT}( .*)?|нет( данных| сведений| информации)?|((данные|сведения) )?отсутству[ею]т|б н|"
    r"без (товарного знака|торговой марки|тз|т з|марки|бренда|имени|названия|изготовителя)",
    rf"(фирма )?(изготовитель|производитель|товарный знак|марка|бренд|получатель|отправитель)( товара)? ({_NOT}|отсутствует|нет)",
)))
"""Texts that stand in the place of a name and name nobody, as words; a firm whose name merely begins so is one."""
_SHORT_COUNTRIES = frozenset(("usa", "u.s.a.", "us", "uk", "uae", "prc", "p.r.c.", "p.r.china"))
CURRENCIES = {
    "840": "USD", "US$": "USD", "$": "USD", "ДОЛЛАР США": "USD", "ДОЛЛАРЫ США": "USD", "978": "EUR", "€": "EUR", "ЕВРО": "EUR",
    "643": "RUB", "РУБ": "RUB", "РУБ.": "RUB", "РОССИЙСКИЙ РУБЛЬ": "RUB", "RUR": "RUB", "810": "RUB", "156": "CNY", "RMB": "CNY",
    "ЮАНЬ": "CNY", "392": "JPY", "826": "GBP", "949": "TRY", "398": "KZT", "ТЕНГЕ": "KZT", "784": "AED",
}
"""Numbers and words for currencies beside the codes of ISO 4217."""


@cache
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


def nobody(name: str) -> bool:
    """Whether a text in the place of a name names nobody: it has no letter, or says that there is none."""
    words = " ".join(re.findall(r"[^\W_]+", _plain(unicodedata.normalize("NFKC", name))))
    return not any(c.isalpha() for c in words) or _NOBODY.fullmatch(words) is not None


def no_maker(name: str) -> bool:
    """Whether a text in the place of a maker names none: nobody, or a country by its name; `IR` and `ST` are makers."""
    words = _plain(name)
    if nobody(name) or words in _SHORT_COUNTRIES or words.startswith("made in "):
        return True
    try:
        return (len(words) > 3 or words in _russian()) and bool(place(name))
    except ChiptrailError:
        return False


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


def day_orders(texts: Collection[str], stated: bool | None, where: str, today: date | None = None) -> dict[str, str]:
    """For each separator the order of dates such as 03.04.2022: `dmy`, `mdy` or, with years of two digits, `ymd`.

    Each separator decides for itself: what its dates show, else what is stated (`day_first`); dots mean the day. An order of
    years of two digits by which a date lies after `today` is none.

    Raises
    ------
    InputError
        If neither says it, or years of two digits may stand first.
    """
    orders = {}
    last = today or date.today()
    for sign in "-./":
        parts = [match for text in texts if (match := _YEAR_LAST.fullmatch(text)) and match[2] == sign]
        possible = {match[0]: found for match in parts if (found := _orders(match, last))}
        if not possible:
            continue
        left = set(_ORDERS).intersection(*possible.values())
        wished = "dmy" if stated or (stated is None and sign == ".") else "" if stated is None else "mdy"
        year_may_lead = sign == "-" and any("ymd" in found for found in (left, *([] if left else possible.values())))
        if len(left) == 1:
            orders[sign] = left.pop()
        elif wished and not year_may_lead and (wished in left or not left):
            orders[sign] = wished
        elif year_may_lead or "ymd" in left:
            raise InputError(f"{where}: dates such as {min(possible)!r} may begin with the year or end with it; write years in full")
        else:
            raise InputError(
                f"{where}: dates such as {min(possible)!r} may begin with the day or the month; say which (day_first = true or "
                "false in the mapping)"
            )
    return orders


def _orders(match: re.Match[str], today: date) -> set[str]:
    """The orders in which a date with its year last, or of two digits, can be read."""
    found = set()
    for order in _ORDERS:
        short = len(match[4]) == 2
        if order == "ymd" and not (short and len(match[1]) == 2):
            continue
        try:
            day = _ordered(match, order)
        except ValueError:
            continue
        if not short or day <= today:
            found.add(order)
    return found


def _ordered(match: re.Match[str], order: str) -> date:
    parts = dict(zip(order, (int(match[1]), int(match[3]), int(match[4])), strict=True))
    year = parts["y"]
    return date(year + (0 if year > 99 else 2000 if year < 70 else 1900), parts["m"], parts["d"])


def moment(text: str, orders: Mapping[str, str]) -> tuple[str, str]:
    """Day in ISO form and time of day so that times sort, by the orders that `day_orders` gives.

    Raises
    ------
    InputError
        If the text is no day.
    """
    try:
        if match := _YEAR_FIRST.fullmatch(text):
            day, time = date(int(match[1]), int(match[2]), int(match[3])), match[4]
        elif match := _YEAR_LAST.fullmatch(text):
            day, time = _ordered(match, orders.get(match[2], "dmy")), match[5]
        elif (match := _MONTH_NAMED.fullmatch(text)) and match[2].lower() in _MONTHS:
            day, time = date(int(match[3]), _MONTHS.index(match[2].lower()) + 1, int(match[1])), None
        else:
            raise ValueError
    except ValueError:
        raise InputError(f"{text[:40]!r} is no day") from None
    if not 1900 <= day.year < 2100:
        raise InputError(f"{text[:40]!r} is no day of this time")
    return day.isoformat(), _clock(time or "")


def _clock(text: str) -> str:
    """A time of day with an hour of two digits, of 24."""
    match = re.match(r"(\d{1,2}):(.*?)\s*(?:([ap])\.?m\b\.?)?$", text, re.IGNORECASE)
    if match is None:
        return text
    hour = int(match[1]) if match[3] is None else int(match[1]) % 12 + 12 * (match[3] in "pP")
    return f"{hour:02}:{match[2]}"


def days(orders: Mapping[str, str]) -> Callable[[str], tuple[str, str]]:
    """A function from a text to its first and last day, both empty for an empty text; a month or a year is understood too."""

    def both(text: str) -> tuple[str, str]:
        if not text:
            return "", ""
        try:
            day = moment(text, orders)[0]
        except InputError:
            first, last = parse_period(text)
            return str(first.date()), str(last.date())
        return day, day

    return both


def decimal_signs(table: ir.Table, columns: Sequence[str], stated: str, where: str, *, typed: bool) -> dict[str, str]:
    """For each column of amounts the sign before its decimals, `.` or `,`: what its values show, else what is stated.

    `1,5`, `0,500` and `1.234,5` show a comma, `1.5` and `1,234,567` a dot; `1,234` alone shows nothing. Columns that hold
    plain decimal numbers already are left out.

    Raises
    ------
    InputError
        If values such as `1,234` may be thousands or decimals and nothing says which, if a column shows both signs, or if
        what is stated contradicts what is shown.
    """
    if not columns:
        return {}
    some = {name: table[name].max(where=table[name].contains(",") & (table[name] < ":")) for name in columns}  # no words
    dots = {f"{name}:dot": table[name].max(where=table[name].contains(".") & (table[name] < ":")) for name in columns}
    doubts = {f"{name}:doubt": (table[name].contains(",") | table[name].like("%.%.%")).any() for name in columns}
    blanks = {f"{name}:blank": ibis.or_(*(table[name].contains(c) for c in _BLANKS)).any() for name in columns}
    found = table.aggregate(**some, **dots, **doubts, **blanks).to_pyarrow().to_pylist()[0]
    doubtful = [name for name in columns if found[f"{name}:doubt"]]
    if not typed and (stated == "," or (doubtful and not stated)):
        doubtful = list(columns)
    patterns = {",": _evidence(",", "."), ".": _evidence(".", ",")}
    marks = {f"{name}:{sign}": table[name].max(where=table[name].re_search(pattern))
             for name in doubtful for sign, pattern in patterns.items()}
    if marks:
        found |= table.aggregate(**marks).to_pyarrow().to_pylist()[0]
    shown = {name: {sign: found[f"{name}:{sign}"] for sign in patterns if found[f"{name}:{sign}"]} for name in doubtful}
    for name, samples in shown.items():
        _refuse_contradiction(f"{where}: {name}", samples, stated)
    others = {sign for samples in shown.values() for sign in samples}
    chosen = {}
    for name in columns:
        samples = shown.get(name, {".": ""})
        comma, dot = found[name], found[f"{name}:dot"]
        if samples or stated or not (comma or dot):
            chosen[name] = next(iter(samples), stated or ".")
        elif others == {"."} or not (comma or "," in others):
            chosen[name] = "."
        else:
            raise InputError(
                f"{where}: {name}: values such as {(comma or dot)[:40]!r} may have thousands or decimals after the sign; say which "
                "(decimal = '.' or ',' in the mapping)"
            )
    return {name: sign for name, sign in chosen.items() if sign == "," or found[name] or found[f"{name}:blank"]}


def _refuse_contradiction(column: str, samples: dict[str, str], stated: str) -> None:
    if len(samples) > 1:
        raise InputError(
            f"{column}: {samples[','][:40]!r} has its decimals after a comma and {samples['.'][:40]!r} after a dot, so other values "
            "can be read in two ways; write all in one way"
        )
    for sign, sample in samples.items():
        if stated not in ("", sign):
            raise InputError(
                f"{column}: the mapping says decimal = {stated!r}, but {sample[:40]!r} shows {sign!r}, so other values can be read "
                "in two ways; correct the mapping or the file"
            )


def _evidence(sign: str, other: str) -> str:
    """A pattern of texts that show that `sign` stands before the decimals."""
    groups = rf"[1-9]\d{{0,2}}([{other}{_BLANKS}]\d{{3}})+"
    ends = rf"(\d+|{groups})?[{sign}](\d{{1,2}}|\d{{4,}})|{groups}[{sign}]\d+|(0\d*|\d{{4,}})?[{sign}]\d{{3}}"
    return rf"^[+-]?({ends}|[1-9]\d{{0,2}}([{other}]\d{{3}}){{2,}})$"


def plain_amount(text: ir.StringValue, sign: str) -> ir.StringValue:
    """An amount as a plain decimal number; a text that is none, or whose groups are not of three digits, stays as it is."""
    other = "." if sign == "," else ","
    between = rf"(\d)[{_BLANKS}](\d\d\d)"
    bare = text.re_replace(between, r"\1\2").re_replace(between, r"\1\2")
    grouped = bare.re_search(rf"^[+-]?[1-9]\d{{0,2}}([{other}]\d\d\d)+([{sign}]\d*)?$")
    bare = ibis.ifelse(grouped, bare.replace(other, ""), bare)
    bare = bare.replace(",", ".") if sign == "," else bare
    return ibis.ifelse(number(bare).notnull(), bare, text)
