"""Downloads from Eurostat's public service for Comext, as a CSV file that `load_comext` reads."""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chiptrail.graphmodel.countries import GROUPS, country_code, members
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.downloads import (
    Answer,
    Faulty,
    Limits,
    Progress,
    Request,
    Service,
    TooBig,
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

BASE = "https://ec.europa.eu/eurostat/api/comext/dissemination"
DATASET = "DS-045409"
FLOWS = {"import": "1", "export": "2"}
_VALUE, _WEIGHT = "VALUE_IN_EUROS", "QUANTITY_IN_100KG"
_TITLE = "Eurostat"
ROWS = 500_000
_COLUMNS = ("REPORTER", "PARTNER", "PRODUCT", "FLOW", "PERIOD", "VALUE_IN_EUR", "QUANTITY_IN_100KG", "FLAGS")
_NEEDED = ("freq", "reporter", "partner", "product", "flow", "indicators", "TIME_PERIOD", "OBS_VALUE")
_OWN_CODES = {"GRC": "EL", "XKX": "XK", "SRB": "XS"}
_CODE = re.compile(r"[A-Z]{2}|[A-Z]{2,3}[A-Z0-9_]*[0-9_][A-Z0-9_]*|WORLD")


def fetch_comext(
    folder: str | Path, *, partners: Sequence[str] | None, products: str | Sequence[str], since: str, until: str,
    reporters: Sequence[str] = ("EU27",), flows: Sequence[str] = ("export",),
    base: str = BASE, limits: Limits | None = None, refresh: bool = False, progress: Callable[[Progress], None] | None = None,
) -> Path:
    """The CSV file of monthly trade of EU members that answers a question; `load_comext` reads it.

    Parameters
    ----------
    folder
        Where the file is written. Its subfolder `answers` keeps each answer as it came with a note of its address, date and
        hash; the same question asked again takes from it what is there.
    partners, reporters
        Countries by code or name, or Eurostat's own codes (`XI`, `WORLD`); a group such as EU27 means its members. None
        means all partners, and their totals.
    products
        A product list, or HS and CN codes of 2, 4, 6 or 8 digits.
    since, until
        First and last month, both inside.
    flows
        Of `export` and `import`.
    base
        Address of the service.
    limits
        Rows an answer can hold, calls a second, patience. Default: 500,000 rows, 1 call a second.
    refresh
        Ask anew what the folder already has.
    progress
        Called as requests are answered.

    Returns
    -------
    Path
        CSV in the layout of an export of Easy Comext: `REPORTER`, `PARTNER` (Eurostat's codes), `PRODUCT` (HS or CN code),
        `FLOW` (1 import, 2 export), `PERIOD` (`2022-03`), `VALUE_IN_EUR` (`:c` where it is confidential, `:` where it is
        missing, never zero for these), `QUANTITY_IN_100KG` (empty where it is not told) and `FLAGS` (those of the value and
        its status of confidentiality).

    Raises
    ------
    UnknownNameError
        If a country, product or flow is not known.
    InputError
        If the service refuses the question, gives no sound answer, or has more rows than it hands out however the question is
        split. No file is written then, and what was answered is kept.

    Notes
    -----
    Dataset DS-045409 (EU trade since 1988 by HS2-4-6 and CN8) by SDMX 2.1 as SDMX-CSV. Up to 500,000 cells are answered at
    once, more are queued or refused (status 413); a request is split by month, reporter, product, partner and flow until it
    is answered at once. Months without trade have no row. Headings and the codes below them are rows of their own: asked
    together, they tell the same goods twice. The United Kingdom is asked for as GB; name its parts since 2021 (`XI`, `XU`)
    yourself.

    References
    ----------
    https://ec.europa.eu/eurostat/web/user-guides/data-browser/api-data-access/api-detailed-guidelines/sdmx2-1/data-query and
    .../asynchronous-api; Eurostat, reuse with attribution.

    Examples
    --------
    >>> file = fetch_comext("raw", partners=["KAZ", "ARM", "KGZ"], products="8542", since="2021-01",
    ...                     until="2022-11")  # doctest: +SKIP
    >>> load_comext(file)  # doctest: +SKIP
    """
    base = checked_base(base)
    limits = limits or Limits(max_rows=ROWS)
    request: Request = {
        "period": months(since, until), "reporter": _places(reporters), "product": _products(products),
        "partner": () if partners is None else _places(partners), "flow": flow_codes(flows, FLOWS),
    }
    service = _service(base, limits)
    answers = download(Path(folder), service, request, limits, refresh=refresh, progress=progress)
    question = {"base": base, "dataset": DATASET, **request}
    return write_answers(Path(folder) / f"{question_name(service, question)}.csv", _lines(answers), question, answers)


def comext_code(country: str) -> str:
    """Eurostat's code of a country; a code of Eurostat's own stays what it is.

    Examples
    --------
    >>> comext_code("Greece"), comext_code("KAZ"), comext_code("XI"), comext_code("WORLD")
    ('EL', 'KZ', 'XI', 'WORLD')
    """
    import pycountry

    if _CODE.fullmatch(country) and country not in GROUPS:
        return {"GR": "EL", "UK": "GB", "RS": "XS"}.get(country, country)
    iso3 = country_code(country, system="eurostat")
    found = pycountry.countries.get(alpha_3=iso3)
    if iso3 not in _OWN_CODES and not found:
        raise UnknownNameError("country", country, (), "give its code in Comext")
    return _OWN_CODES.get(iso3) or str(found.alpha_2)


def _places(names: Sequence[str]) -> tuple[str, ...]:
    names = [names] if isinstance(names, str) else names
    if not names:
        raise InputError("an empty list of countries asks for nothing")
    every = [code for name in names for code in (members(name.upper()) if name.upper() in GROUPS else (name,))]
    return tuple(sorted({comext_code(name) for name in every}))


def _products(products: str | Sequence[str]) -> tuple[str, ...]:
    codes = asked_codes(products)
    wrong = sorted(code for code in codes if len(code) not in (2, 4, 6, 8))
    if wrong:
        raise InputError(f"Comext has codes of 2, 4, 6 and 8 digits, not {', '.join(wrong[:5])}")
    return tuple(sorted(codes))


def _service(base: str, limits: Limits) -> Service:
    def url(request: Request) -> str:
        places = ("+".join(request[name]) for name in ("reporter", "partner", "product", "flow"))
        key = ".".join(["M", *places, f"{_VALUE}+{_WEIGHT}"])
        first, last = request["period"][0], request["period"][-1]
        return f"{base}/sdmx/2.1/data/{DATASET}/{key}?startPeriod={first}&endPeriod={last}&format=SDMX-CSV&compressed=false"

    def too_many(request: Request) -> bool:
        return 2 * math.prod(len(values) or 1 for values in request.values()) > min(ROWS, limits.max_rows - 1)

    return Service(name="comext", title=_TITLE, url=url, rows=_n_rows, too_many=too_many)


def _n_rows(request: Request, status: int, body: bytes) -> int:
    if body.lstrip()[:1] == b"<":
        if re.search(rb"NO_RESULTS|NO_RECORDS_FOUND", body):
            return 0
        if re.search(rb"EXTRACTION_TOO_BIG|ASYNCHRONOUS_RESPONSE|<([a-z0-9]+:)?queued\b", body, re.IGNORECASE):
            raise TooBig
    if status != 200:
        raise refused(_TITLE, status, body)
    rows = _rows(body)
    indicator = next((row["indicators"] for row in rows if row["indicators"] not in (_VALUE, _WEIGHT)), None)
    if indicator is not None:
        raise not_asked(_TITLE, "indicators", indicator)
    columns = {"period": "TIME_PERIOD", "reporter": "reporter", "product": "product", "partner": "partner", "flow": "flow"}
    for name, column in columns.items():
        other = next((row[column] for row in rows if request[name] and row[column] not in request[name]), None)
        if other is not None:
            raise not_asked(_TITLE, column, other)
    if len({(*_cell(row), row["indicators"]) for row in rows}) < len(rows):
        raise Faulty("the answer tells a cell twice")
    return len(rows)


def _cell(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("reporter", "partner", "product", "flow", "TIME_PERIOD"))


def _rows(body: bytes) -> list[dict[str, str]]:
    try:
        header, *records = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
    except (ValueError, csv.Error):
        raise Faulty("the answer is no CSV, or it is cut") from None
    if not set(_NEEDED) <= set(header):
        raise Faulty("the answer is not in the layout SDMX-CSV")
    if any(len(record) != len(header) for record in records):
        raise Faulty("the answer is cut, or a row has another number of fields")
    rows = [{name: field.strip() for name, field in zip(header, record, strict=True)} for record in records]
    if any(row["freq"] != "M" for row in rows):
        raise Faulty("the answer is not monthly")
    return rows


def _lines(answers: Sequence[Answer]) -> Iterator[str]:
    """A row for each cell of an answer: its value and weight side by side."""
    yield csv_line(_COLUMNS)
    for answer in answers:
        cells: dict[tuple[str, ...], dict[str, dict[str, str]]] = {}
        for row in _rows(body_of(answer)) if answer.rows else []:
            cells.setdefault(_cell(row), {})[row["indicators"]] = row
        for cell, told in cells.items():
            value, weight = told.get(_VALUE, {}), told.get(_WEIGHT, {})
            flags = f"{value.get('OBS_FLAG', '')} {value.get('CONF_STATUS', '')}".strip()
            none = ":c" if "c" in flags.casefold() else ":"
            yield csv_line([*cell, _number(value) or none, _number(weight), flags])


def _number(row: dict[str, str]) -> str:
    text = row.get("OBS_VALUE", "")
    return "" if text[:1] == ":" or text == "NaN" else text
