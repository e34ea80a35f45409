"""Downloads from the API of UN Comtrade, as a CSV file that `load_comtrade` reads."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from chiptrail.graphmodel.countries import GROUPS, country_code, members
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.downloads import (
    Answer,
    Cut,
    Faulty,
    Limits,
    Progress,
    Request,
    Service,
    asked_codes,
    body_of,
    checked_base,
    csv_line,
    download,
    flow_codes,
    months,
    not_asked,
    question_name,
    refused,
    write_answers,
)

BASE = "https://comtradeapi.un.org"
ROWS_WITH_KEY, ROWS_OF_PREVIEW = 100_000, 500
LEVELS = ("AG2", "AG4", "AG6", "TOTAL")
FLOWS = {"export": "X", "import": "M", "re-export": "RX", "re-import": "RM"}
_TITLE = "UN Comtrade"
_PERIODS_A_CALL = 12
_CODES = {"EU27": "97", "FRA": "251", "XKX": "412", "TWN": "490", "NOR": "579", "IND": "699", "CHE": "757", "USA": "842"}
_COLUMNS = [
    "typeCode", "freqCode", "refPeriodId", "refYear", "refMonth", "period", "reporterCode", "reporterISO", "reporterDesc",
    "flowCode", "flowDesc", "partnerCode", "partnerISO", "partnerDesc", "partner2Code", "partner2ISO", "partner2Desc",
    "classificationCode", "classificationSearchCode", "isOriginalClassification", "cmdCode", "cmdDesc", "aggrLevel", "isLeaf",
    "customsCode", "customsDesc", "mosCode", "motCode", "motDesc", "qtyUnitCode", "qtyUnitAbbr", "qty", "isQtyEstimated",
    "altQtyUnitCode", "altQtyUnitAbbr", "altQty", "isAltQtyEstimated", "netWgt", "isNetWgtEstimated", "grossWgt",
    "isGrossWgtEstimated", "cifvalue", "fobvalue", "primaryValue", "legacyEstimationFlag", "isReported", "isAggregate",
]


def fetch_comtrade(
    folder: str | Path, *, reporters: Sequence[str] | None, products: str | Sequence[str], since: str, until: str,
    partners: Sequence[str] | None = None, flows: Sequence[str] = ("export", "import"), frequency: str = "year", key: str = "",
    base: str = BASE, limits: Limits | None = None, refresh: bool = False, progress: Callable[[Progress], None] | None = None,
) -> Path:
    """The CSV file, in the layout of UN Comtrade's downloads, that answers a question; `load_comtrade` reads it.

    Parameters
    ----------
    folder
        Where the file is written. Its subfolder `answers` keeps each answer as it came with a note of its address, date and
        hash; the same question asked again takes from it what is there.
    reporters, partners
        Countries by code or name; a group such as EU27 means its members, `World` the total of all partners. None is all.
    products
        A product list, HS codes of 2, 4 or 6 digits, or `AG2`, `AG4`, `AG6` (all codes of that length), `TOTAL`.
    since, until
        First and last period, both inside; years for `frequency="year"`.
    flows
        Of `export`, `import`, `re-export` and `re-import`.
    frequency
        "year" or "month".
    key
        Subscription key. Without one the public preview is asked, which gives at most 500 rows an answer.
    base
        Address of the service.
    limits
        Rows an answer can hold, calls a second, patience. Default: 100,000 rows with a key, 500 without; 1 call a second.
    refresh
        Ask anew what the folder already has.
    progress
        Called as requests are answered.

    Raises
    ------
    UnknownNameError
        If a country, product or flow is not known.
    InputError
        If the service refuses the key or the question, gives no sound answer, or has more rows than it hands out however the
        question is split. No file is written then, and what was answered is kept.

    Notes
    -----
    A request is split by period (at most 12 a call), then by reporter, product, partner and flow, whenever an answer holds as
    many rows as it can. All reporters or partners are told apart by the service's own lists of codes. Only totals over second
    partners, customs procedures and transport modes are asked for (codes 0, C00, 0). An answer is asked again if it is cut,
    no JSON, or its `count` is not the number of its rows. The key travels in a header, to `base` alone, and is written
    nowhere. An answer without rows says that nothing is recorded, not that nothing was traded.

    Use of the data is subject to the terms of UN Comtrade, which limit redistribution.

    References
    ----------
    https://uncomtrade.org/docs/un-comtrade-api; https://comtradedeveloper.un.org/; limits as told in
    https://github.com/uncomtrade/comtradeapicall and https://docs.ropensci.org/comtradr/articles/large_data.html

    Examples
    --------
    >>> file = fetch_comtrade("raw", reporters=["KAZ", "ARM"], products="chips", since="2020", until="2023",
    ...                       key=my_key)  # doctest: +SKIP
    >>> load_comtrade(file)  # doctest: +SKIP
    """
    base = checked_base(base, key)
    limits = limits or Limits(max_rows=ROWS_WITH_KEY if key else ROWS_OF_PREVIEW)
    if frequency not in ("year", "month"):
        raise UnknownNameError("frequency", frequency, ("year", "month"))
    request: Request = {
        "period": _periods(since, until, frequency), "reporter": _places(reporters), "product": _products(products),
        "partner": _places(partners), "flow": flow_codes(flows, FLOWS),
    }
    service = _service(base, key, frequency, limits)
    answers = download(Path(folder), service, request, limits, refresh=refresh, progress=progress)
    question = {"base": base, "preview": not key, "frequency": frequency, **request}
    return write_answers(Path(folder) / f"{question_name(service, question)}.csv", _lines(answers), question, answers)


def comtrade_code(country: str) -> str:
    """The number of a country, of the bloc EU27 or of World in UN Comtrade.

    Examples
    --------
    >>> comtrade_code("USA"), comtrade_code("Kazakhstan"), comtrade_code("World")
    ('842', '398', '0')
    """
    import pycountry

    if country.casefold() == "world":
        return "0"
    iso3 = country_code(country)
    found = pycountry.countries.get(alpha_3=iso3)
    code = _CODES.get(iso3) or (str(int(found.numeric)) if found else "")
    try:
        known = country_code(code, system="un")
    except UnknownNameError:
        known = ""
    if known != iso3:
        raise UnknownNameError("country", country, (), "UN Comtrade has no number for it alone")
    return code


def _places(names: Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    names = [names] if isinstance(names, str) else names
    if not names:
        raise InputError("an empty list of countries asks for nothing; give None for all")
    every = [code for name in names for code in (members(name.upper()) if name.upper() in GROUPS else (name,))]
    return tuple(sorted({comtrade_code(name) for name in every}, key=int))


def _products(products: str | Sequence[str]) -> tuple[str, ...]:
    names = [products] if isinstance(products, str) else list(products)
    levels = {name.upper() for name in names if name.upper() in LEVELS}
    others = [name for name in names if name.upper() not in LEVELS]
    if levels and others:
        raise InputError(f"{', '.join(sorted(levels))} holds other codes too: ask for them apart, so that no goods come twice")
    codes = levels or asked_codes(others)
    wrong = sorted(code for code in codes - levels if len(code) not in (2, 4, 6))
    if wrong:
        raise InputError(f"UN Comtrade has HS codes of 2, 4 and 6 digits, not {', '.join(wrong[:5])}")
    return tuple(sorted(codes))


def _periods(since: str, until: str, frequency: str) -> tuple[str, ...]:
    found = months(since, until)
    if frequency == "month":
        return tuple(month.replace("-", "") for month in found)
    years = tuple(year for year in sorted({month[:4] for month in found}) if {f"{year}-01", f"{year}-12"} <= set(found))
    if len(years) * 12 != len(found):
        raise InputError(f"since {since}, until {until} are no whole years; give years, or frequency='month'")
    return years


def _service(base: str, key: str, frequency: str, limits: Limits) -> Service:
    place = "data/v1/get" if key else "public/v1/preview"
    fixed = {"partner2Code": "0", "customsCode": "C00", "motCode": "0", "maxRecords": str(limits.max_rows), "format": "JSON",
             "includeDesc": "true"}

    def url(request: Request) -> str:
        asked = {_FIELDS[name]: ",".join(values) for name, values in request.items() if values}
        return f"{base}/{place}/C/{'A' if frequency == 'year' else 'M'}/HS?{urlencode(asked | fixed, safe=',')}"

    return Service(
        name="comtrade", title=_TITLE, url=url, rows=_n_rows, too_many=lambda request: len(request["period"]) > _PERIODS_A_CALL,
        lists={"reporter": f"{base}/files/v1/app/reference/Reporters.json",
               "partner": f"{base}/files/v1/app/reference/partnerAreas.json"},
        listed=_listed, key=key, key_header="Ocp-Apim-Subscription-Key",
        caps=frozenset({ROWS_OF_PREVIEW, ROWS_WITH_KEY, 250_000}),
    )


_FIELDS = {"period": "period", "reporter": "reporterCode", "product": "cmdCode", "partner": "partnerCode", "flow": "flowCode"}


def _read(body: bytes) -> dict[str, Any]:
    def refuse(name: str) -> str:
        raise ValueError(name)

    try:
        content = json.loads(body, parse_float=str, parse_int=str, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Faulty("the answer is no JSON, or it is cut") from None
    if not isinstance(content, dict):
        raise Faulty("the answer is no JSON object")
    return content


def _n_rows(request: Request, status: int, body: bytes) -> int:
    if status != 200:
        raise refused(_TITLE, status, body)
    content = _read(body)
    rows, count = content.get("data"), content.get("count")
    if content.get("error"):
        raise Faulty(f"it says: {str(content['error'])[:200]}")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not isinstance(count, str):
        raise Faulty("the answer has no rows or no count")
    if count != str(len(rows)):
        raise (Cut if count.isdigit() and int(count) > len(rows) else Faulty)(f"it counts {count[:20]} rows and holds {len(rows):,}")
    for name, column in _FIELDS.items():
        asked = set(request[name])
        if asked and not asked & set(LEVELS):
            other = next((row for row in rows if str(row.get(column)) not in asked), None)
            if other is not None:
                raise not_asked(_TITLE, column, str(other.get(column)))
    return len(rows)


def _listed(body: bytes) -> tuple[str, ...]:
    items = _read(body).get("results")
    if not isinstance(items, list):
        raise Faulty("the list of codes has no results")
    codes = {str(item.get("id")) for item in items if isinstance(item, dict)}
    return tuple(sorted((code for code in codes if code.isdigit()), key=int))


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    """The rows of all answers as CSV; fields that the layout does not know stand at the end, so that nothing is lost."""
    extra = sorted({name for answer in answers for row in _read(body_of(answer))["data"] for name in row} - set(_COLUMNS))
    columns = [*_COLUMNS, *extra]
    yield csv_line(columns)
    for answer in answers:
        for row in _read(body_of(answer))["data"]:
            yield csv_line([_text(row.get(name)) for name in columns])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)
