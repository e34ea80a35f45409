"""Eurostat's trade of the European Union (Comext), in each layout that it is handed out in, as a network of countries."""

import hashlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import GROUPS, country_code, is_aggregate
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, concat, conform, country_actors
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.exchange import usd_rates
from chiptrail.loaders.reader import Opened, open_table, require_columns, retrieved_on
from chiptrail.loaders.records import (
    REPEAT,
    Checked,
    Rule,
    amount_rules,
    asked_rules,
    frame,
    network_frame,
    number,
    pick,
    record_columns,
    source_counts,
    split,
    translate,
    write_rejects,
)

_LAYOUTS: dict[str, dict[str, str]] = {
    "a long table of Comext": {
        "reporter": "reporter", "partner": "partner", "product": "cn", "goods": "product", "period": "month", "value": "value",
        "flow": "flow", "indicator": "indicator",
    },
    "an export of Easy Comext": {
        "reporter": "REPORTER", "partner": "PARTNER", "product": "PRODUCT", "flow": "FLOW", "procedure": "STAT_PROCEDURE",
        "period": "PERIOD", "value": "VALUE_IN_EUR", "weight_100kg": "QUANTITY_IN_100KG", "quantity": "SUPPLEMENTARY_QUANTITY",
    },
    "a bulk file of Comext": {
        "reporter": "REPORTER", "partner": "PARTNER", "trade_type": "TRADE_TYPE", "product": "PRODUCT_NC", "flow": "FLOW",
        "procedure": "STAT_PROCEDURE", "unit": "SUPPL_UNIT", "period": "PERIOD", "value": "VALUE_EUR", "weight": "QUANTITY_KG",
        "quantity": "QUANTITY_SUPPL_UNIT",
    },
    "an old bulk file of Comext": {
        "reporter": "DECLARANT_ISO", "partner": "PARTNER_ISO", "trade_type": "TRADE_TYPE", "product": "PRODUCT_NC", "flow": "FLOW",
        "procedure": "STAT_REGIME", "unit": "SUPP_UNIT", "period": "PERIOD", "value": "VALUE_IN_EUROS", "weight": "QUANTITY_IN_KG",
        "quantity": "SUP_QUANTITY",
    },
    "a sheet of an Easy Comext workbook": {
        "reporter": "REPORTER", "partner": "PARTNER", "product": "PRODUCT", "goods": "PRODUCT", "flow": "FLOW",
        "procedure": "STAT_PROCEDURE", "indicator": "INDICATORS", "period": "TIME", "value": "(value)", "cell": "(cell)",
        "unknown": "(unknown)",
    },
}
"""Name of each column by layout."""
_NEEDED = ("reporter", "partner", "product", "flow", "period", "value")
_EVERY = (*_NEEDED, "goods", "indicator", "procedure", "trade_type", "weight", "weight_100kg", "quantity", "unit", "cell", "unknown")
_UNUSED = re.compile(r"DECLARANT|PARTNER|PRODUCT_(SITC|CPA.*|BEC5?|SECTION)|VALUE_NAC|FREQ", re.IGNORECASE)
_FLOWS = {"1": "import", "2": "export", "IMPORT": "import", "EXPORT": "export", "IMPORTATION": "import", "EXPORTATION": "export"}
_VALUE_IN_EUR = ("VALUE_IN_EUR", "VALUE_IN_EUROS", "VALUE_EUR")
_CONFIDENTIAL = (":c", ": c", "c")
_ABOUT_SHEET = re.compile("Data extracted|Dataset|Last update|Last change|Source", re.IGNORECASE)
_KEYS_ROW = re.compile(r"[A-Z]+(_[A-Z]+)*\b")
_HS_SINCE = {2022: "HS2022", 2017: "HS2017", 2012: "HS2012", 2007: "HS2007", 2002: "HS2002", 1996: "HS1996", 1988: "HS1992"}
_CLOSED = "Comext lists only cells with trade: a missing row may be zero, suppressed, or not in the extract"
_7Z = b"7z\xbc\xaf\x27\x1c"


def load_comext(
    paths: str | Path | Sequence[str | Path], *, products: str | Sequence[str] | None = None, since: str | None = None,
    until: str | None = None, countries: Sequence[str] | None = None, keep_rejects: str | Path | None = None,
) -> TradeNetwork:
    """A network of countries from Eurostat's Comext: every row a trade, a total, or counted as rejected.

    Reads long tables (`reporter,partner,cn,month,value,flow,indicator,product`), Eurostat's bulk files `full*.dat` with today's
    column names or the old ones, exports of Easy Comext (`Relational_View*.csv`) and its workbooks (one table of months per
    sheet), known by their columns.

    Parameters
    ----------
    paths
        One file or several.
    products, since, until, countries
        Load only what `TradeNetwork.where` would keep; the rest is counted as "not asked for" in `sources.rejected`, and no
        coverage is claimed for it. Totals are restricted too, which `where` does not do.
    keep_rejects
        File to which the rejected rows are appended as CSV, with their reasons.

    Returns
    -------
    TradeNetwork
        - `trades`: one row per record, value in EUR, and in USD at the mean of the ECB's daily rates of the month (of the year
          in a yearly record; missing before 1999 and while the period is not over). A confidential record (`:c`) is a trade
          without a value, so that sums which need it are missing; `sources.note` counts them. Exports are FOB and by destination; imports
          are CIF, from outside the Union by country of origin, from inside it by country of consignment. Rows of one customs
          procedure say so in `breakdown`, with the code in `x_procedure`; so do the two parts of the United Kingdom since 2021
          (XI, XU). `x_cell` is the sheet and cell in a workbook.
        - `totals`: partners that are no country: the world, the inside and outside of the Union, stores and provisions, and
          countries not specified or kept secret.
        - `coverage`: for each reporter and flow the partners, products and months with a row. Never called complete: Comext
          lists only cells with trade, and no file says what it was asked for, so a missing row is no zero.
        - `sources`: one row per file with its counts. In a workbook a row is a cell of a month.

    Raises
    ------
    InputError
        If a file cannot be read, is still packed (.7z), lacks a needed column, or no row of it can be kept.

    Notes
    -----
    Headings and eight-digit codes of the same goods are both kept; sums take the heading (see `TradeNetwork.flows`). The
    Combined Nomenclature follows the Harmonized System, so the year gives `hs_version`: HS2022 from 2022, HS2017 from 2017,
    HS2012 from 2012, HS2007 from 2007, HS2002 from 2002, HS1996 from 1996, HS1992 before.

    Rejected are: all goods together (TOTAL), confidential and special codes (with letters, such as 8542XXXX), other indicators
    than the value in euros, cells without a value (`:`), which are no zeros, several months or part of a year together, unknown
    and former countries, and rows that repeat an earlier one in every field. Zero is a value. Of several rows for one cell of a
    customs procedure the largest is kept. A sheet of a workbook must say that it has values in euros, and have no dimension
    that is not known here.

    Cautions: trade that a member keeps secret is missing at this level of detail, or told with a secret partner only. Small
    trade inside the Union is estimated by the members.

    References
    ----------
    Eurostat, Comext, https://ec.europa.eu/eurostat/comext/newxtweb/

    Examples
    --------
    >>> load_comext("full202211.dat", products="chips", countries=["KAZ"])  # doctest: +SKIP
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; name at least one file of Comext")
    asked = {"products": products, "since": since, "until": until, "countries": countries}
    networks = [_load(Path(path), asked, keep_rejects) for path in files]
    return networks[0] if len(networks) == 1 else concat(networks)


def _load(path: Path, asked: dict[str, Any], keep_rejects: str | Path | None) -> TradeNetwork:
    with _open(path) as opened:
        columns, unused = _layout(opened.header, opened.file)
        others = {f"other{i}": name for i, name in enumerate(unused)}
        table = _translated(pick(opened, columns | others))
        if columns["procedure"]:
            table = _marked_again(table, ["partner", "trade_type", "part", "procedure", *others])
        rules = [*_rules(table), *asked_rules(table, **asked, sides=("reporter_id", "partner_id"))]
        checked = split(opened, table, rules, columns | {"hs_code": columns["product"]})
        write_rejects(opened, checked, keep_rejects)
        source_id = f"comext:{opened.sha256[:12]}"
        rows = _rows(opened, checked.kept, source_id, in_workbook=columns["cell"] is not None)
        trades = network_frame(rows.filter(rows["place"] == "country"), "trades")
        totals = network_frame(rows.filter(rows["place"] == "total"), "totals")
        coverage = _coverage(checked.kept, source_id)
        source = _source(opened, checked, source_id, unused).assign(retrieved=retrieved_on(path, opened.sha256))
    return TradeNetwork(
        level="countries", actors=country_actors({*trades["seller_id"].unique(), *trades["buyer_id"].unique()}), trades=trades,
        totals=totals, coverage=coverage, sources=source,
    )


@contextmanager
def _open(path: Path) -> Iterator[Opened]:
    """The file, open; the tables of a workbook are put below each other, one row for each cell."""
    magic = b""
    if path.is_file():
        with path.open("rb") as file:
            magic = file.read(6)
    if magic == _7Z:
        raise InputError(f"{path.name} is packed; unpack it with 7-Zip (7z x {path.name}) and load the .dat file in it")
    cells = _workbook_cells(path) if magic[:4] == b"PK\x03\x04" else None
    if cells is None:
        with open_table(path) as opened:
            yield opened
        return
    with tempfile.TemporaryDirectory(prefix="chiptrail-") as folder:
        unfolded = Path(folder) / "cells.parquet"
        pyarrow.parquet.write_table(cells, unfolded)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        with open_table(unfolded) as opened:
            yield replace(opened, file=path.name, sha256=digest)


def _workbook_cells(path: Path) -> pa.Table | None:
    """The cells of all sheets that have a table of months, with what their row, column and sheet say; None if there is none."""
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(str(path))
        sheets = {name: book.get_sheet_by_name(name).to_python(skip_empty_area=False) for name in book.sheet_names}
    except python_calamine.CalamineError as error:
        raise InputError(f"{path.name} cannot be read as a workbook ({error}); download it again") from None
    names = dict.fromkeys(_LAYOUTS["a sheet of an Easy Comext workbook"].values())
    cells: dict[str, list[str]] = {name: [] for name in names}
    found = False
    for sheet, content in sheets.items():
        rows = [[str(value).strip() for value in row] for row in content]
        times = next((i for i, row in enumerate(rows) if row and row[0].startswith("TIME") and _periods(row)), None)
        if times is None:
            continue
        found = True
        for here in _sheet_cells(rows, times, f"{path.name}, sheet {sheet!r}"):
            here["(cell)"] = f"{sheet}!{here['(cell)']}"
            for name in names:
                cells[name].append(here.get(name, ""))
    return pa.table(cells) if found else None


def _sheet_cells(rows: list[list[str]], times: int, where: str) -> Iterator[dict[str, str]]:
    """The cells of a table of months, each with its dimensions, `(value)`, `(cell)` and the dimensions in `(unknown)`."""
    months = _periods(rows[times])
    head = next((i for i in range(times + 1, len(rows)) if _KEYS_ROW.match(rows[i][0]) and not any(rows[i][j] for j in months)), None)
    if head is None:
        raise InputError(f"{where}: no row below TIME names what its rows are (REPORTER, PARTNER); download the workbook again")
    above = [row for row in rows[:times] if row[0] and any(row[1:]) and not _ABOUT_SHEET.match(row[0])]
    keys = {j: text for j, text in enumerate(rows[head]) if text}
    by_column = [
        _dimensions([(line[0], line[j] if len({*line[1:]} - {""}) > 1 else max(line[1:])) for line in above]
                    + [(line[0], line[j]) for line in rows[times:head]])
        for j in range(len(rows[times]))
    ]
    ended = False
    for i, row in enumerate(rows[head + 1 :], head + 1):
        filled = [j for j, text in enumerate(row) if j not in keys and (text or (j in months and any(row)))]
        if row[0].startswith("Special value") or (ended and any(row) and not any(row[j] for j in filled)):
            break
        ended = not any(row)
        by_row = _dimensions([(text, row[k]) for k, text in keys.items()])
        for j in filled:
            unknown = "; ".join(filter(None, (by_column[j]["(unknown)"], by_row["(unknown)"])))
            yield by_column[j] | by_row | {"(unknown)": unknown, "(value)": row[j], "(cell)": f"{_letters(j)}{i + 1}"}


def _periods(row: list[str]) -> list[int]:
    """The columns of the row TIME that have a period."""
    return [j for j, text in enumerate(row) if text and not text.startswith("TIME")]


def _dimensions(said: list[tuple[str, str]]) -> dict[str, str]:
    """The dimensions by name; those that are not known are told in `(unknown)`."""
    known: dict[str, str] = {}
    unknown = []
    for label, value in said:
        coded = re.search(r"\[([A-Za-z_]+)\]", label)
        name = coded[1].upper() if coded else label.partition(" ")[0].rstrip(":")
        plain = re.sub(r"\s*\[\w+\]$", "", value)
        if name in ("REPORTER", "PARTNER", "PRODUCT", "TIME"):
            known[name] = value
        elif name in ("FLOW", "STAT_PROCEDURE", "INDICATORS"):
            known[name] = plain
        elif name == "UNIT" and plain.upper() in ("EUR", "EURO", "EUROS"):
            known.setdefault("INDICATORS", "VALUE_IN_EUR")
        elif name != "FREQ":
            unknown.append(f"{label} = {value}")
    return known | {"(unknown)": "; ".join(unknown)}


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(65 + column % 26)


def _layout(header: Sequence[str], file: str) -> tuple[dict[str, str | None], list[str]]:
    """Name in this file of each column used, None if it has none, and the columns that no layout knows."""
    found = {name.casefold(): name for name in reversed(header)}
    if "declarant" in found and "declarant_iso" not in found:
        raise InputError(f"{file}: names countries by number alone (column {found['declarant']!r}, no DECLARANT_ISO); download "
                         "the full*.7z file of that period, which has their ISO codes")
    layout = max(_LAYOUTS, key=lambda name: (sum(c.casefold() in found for c in _LAYOUTS[name].values()), -len(_LAYOUTS[name])))
    names = _LAYOUTS[layout]
    columns = {key: found.get(names.get(key, "").casefold()) for key in _EVERY}
    missing = [names[key] for key in _NEEDED if columns[key] is None]
    require_columns(header if missing else (), missing, file=file, layout=layout)
    used = set(columns.values())
    return columns, [name for name in header if name not in used and not _UNUSED.fullmatch(name)]


def _translated(table: ir.Table) -> ir.Table:
    """The records with codes, days, rates and HS versions found once per distinct value; null where unknown."""
    rates = usd_rates([("EUR", key) for (period,) in _distinct(table, "period") if (key := _period_key(period))])
    return translate(
        table,
        (["product"], ["hs_code", "code_kind"], _code),
        (["reporter"], ["reporter_id"], _reporter),
        (["partner"], ["partner_id", "place", "part"], _partner),
        (["flow"], ["flow_name"], lambda text: (_flow(text),)),
        (["period"], ["first_day", "last_day", "hs_version", "rate"], lambda text: _days(text, rates)),
    )


def _distinct(table: ir.Table, column: str) -> list[tuple[str]]:
    return [(value,) for value in table.select(column).distinct().to_pyarrow()[column].to_pylist()]


def _code(text: str) -> tuple[str, str]:
    """Code of the goods, and what it is: `hs`, `total`, `special`, `odd` (a lost zero) or empty if there is none."""
    named = re.search(r"\[([0-9A-Za-z]+)\]$", text) or re.match(r"([0-9A-Za-z]+)(?:\s*-.*)?$", text)
    code = named[1].upper() if named else ""
    if code == "TOTAL":
        return "", "total"
    if re.fullmatch("([0-9]{2}){1,4}", code):
        return code, "hs"
    if re.fullmatch("[0-9]{1,7}", code):
        return code, "odd"
    return code, "special" if re.fullmatch("[0-9]{0,8}[A-Z]+[0-9]*", code) and len(code) in (2, 4, 6, 8) else ""


def _reporter(text: str) -> tuple[str]:
    code = country_code(_unlabelled(text), system="eurostat")
    if code == "EU27" and "27" not in text:
        raise UnknownNameError("reporter", text, (), "the members of that time are not told")
    return (code,)


def _partner(text: str) -> tuple[str, str, str]:
    """Code of a partner, whether it is a country or a total, and whether it is a part of one."""
    name = _unlabelled(text)
    if is_aggregate(name, system="eurostat"):
        return "", "total", ""
    part = re.match(r"XI\b|XU\b|United Kingdom \(|Northern Ireland", name) is not None and name != "United Kingdom"
    return country_code(name, system="eurostat"), "country", "part of the country" if part else ""


def _unlabelled(text: str) -> str:
    """The code of a code with its label (`AT-Austria`), else the text."""
    code = re.match(r"([A-Z]{2}|EU27_2020)-", text)
    return code[1] if code else text


def _flow(text: str) -> str:
    name = text.partition("-")[0].strip().upper()
    if name not in _FLOWS:
        raise UnknownNameError("flow", text, _FLOWS)
    return _FLOWS[name]


def _period_key(text: str) -> str:
    """The period as `2022-01` or `2022`; empty if it is neither one month nor one whole year."""
    code, _, label = text.partition("-") if re.match(r"[0-9]{6}-", text) else (text, "", "")
    if label and code[4:] == "52" and not re.fullmatch(r"Jan\.\s*-\s*D[eé]c\. [0-9]{4}", label):
        return ""
    whole = re.fullmatch(r"Y?([0-9]{4})(52)?|Jan\.\s*-\s*D[eé]c\. ([0-9]{4})", code)
    if whole:
        return whole[1] or whole[3]
    month = re.fullmatch(r"([0-9]{4})-?(0[1-9]|1[0-2])", code)
    return f"{month[1]}-{month[2]}" if month else ""


def _days(text: str, rates: dict[tuple[str, str], float]) -> tuple[str, str, str, str]:
    """First and last day of a period, the HS version of its year, and its rate as text."""
    key = _period_key(text)
    first, last = parse_period(key)
    version = next((version for year, version in _HS_SINCE.items() if first.year >= year), "")
    return str(first.date()), str(last.date()), version, str(rates.get(("EUR", key), ""))


def _rules(table: ir.Table) -> list[Rule]:
    """Why a record is rejected, in the order in which it is asked."""
    value, kind = table["value"].lower(), table["code_kind"]
    return [
        ("all goods together, no HS code", "product", kind == "total"),
        ("confidential or special code, no HS code", "product", kind == "special"),
        ("HS code lost its leading zero (codes have 2, 4, 6 or 8 digits)", "product", kind == "odd"),
        ("no HS code", "product", kind == ""),
        ("flow is no export or import", "flow", table["flow_name"].isnull()),
        ("dimension of the sheet is not known", "unknown", table["unknown"] != ""),
        ("the sheet does not say that its values are in euros", "indicator", (table["indicator"] == "") & (table["cell"] != "")),
        ("indicator is not the value in euros", "indicator", table["indicator"].upper().notin(["", *_VALUE_IN_EUR])),
        ("period is neither one month nor one whole year", "period", table["first_day"].isnull()),
        ("unknown or former reporter", "reporter", table["reporter_id"].isnull()),
        ("unknown or former partner", "partner", table["place"].isnull()),
        ("no value: not available or no trade", "value", value.isin(["", ":"])),
        *amount_rules("value", ibis.ifelse(value.isin(_CONFIDENTIAL), "", value)),
        *(rule for name in ("weight", "weight_100kg", "quantity") for rule in amount_rules(name, table[name])),
        (REPEAT, "", table["repeated"]),
        *([("repeats a cell with a larger value", "value", table["again"].notnull())] if "again" in table.columns else []),
    ]


def _marked_again(table: ir.Table, parts: Sequence[str]) -> ir.Table:
    """The table with a column `again`, not null in all but the largest of several sound rows for one cell."""
    sound = table.filter(table["shape"] == 0, *(~condition.fill_null(False) for _, _, condition in _rules(table)))
    texts = ["hs_code", "reporter_id", "partner_id", "flow_name", "first_day", "last_day", *parts]
    keyed = sound.select("row", amount=number(sound["value"]), cell=ibis.literal("\x1f").join([sound[name] for name in texts]))
    several = keyed.group_by(hashed=keyed["cell"].hash()).having(keyed.count() > 1).agg()
    alike = keyed.filter(keyed["cell"].hash().isin(several["hashed"]))
    first = ibis.window(group_by="cell", order_by=[alike["amount"].desc(nulls_first=False), alike["row"]])
    placed = alike.mutate(place=ibis.row_number().over(first))
    again = placed.filter(placed["place"] > 0).select(again="row")
    return table.left_join(again, table["row"] == again["again"])


def _rows(opened: Opened, kept: ir.Table, source_id: str, *, in_workbook: bool) -> ir.Table:
    """The records kept in the columns of `trades` and `totals`."""
    outward = kept["flow_name"] == "export"
    value, rate, quantity = number(kept["value"]), number(kept["rate"]), number(kept["quantity"])
    weight = number(kept["weight"]).coalesce(number(kept["weight_100kg"]) * 100)
    counted = (quantity > 0) & kept["unit"].upper().notin(["NO_SU", ""])
    procedure = kept["procedure"].split("-")[0].upper()
    parts = [ibis.ifelse(procedure.isin(["", "T", "TOTAL", "4"]), ibis.null("string"), "customs procedure"), kept["part"].nullif("")]
    record = record_columns(opened, kept)
    return kept.select(
        place=kept["place"],
        trade_id=record["id"], total_id=record["id"],
        seller_id=ibis.ifelse(outward, kept["reporter_id"], kept["partner_id"]),
        buyer_id=ibis.ifelse(outward, kept["partner_id"], kept["reporter_id"]),
        partner=kept["partner"], hs_code=kept["hs_code"], hs_version=kept["hs_version"], goods=kept["goods"],
        period_start=kept["first_day"].cast("timestamp"), period_end=kept["last_day"].cast("timestamp"),
        value=value, currency=ibis.ifelse(value.isnull(), "", "EUR"),
        fx_rate=ibis.ifelse(value.isnull(), ibis.null("float64"), rate), value_usd=value * rate,
        valuation=ibis.ifelse(outward, "FOB", "CIF"),
        weight_kg=ibis.ifelse(weight > 0, weight, ibis.null("float64")),
        quantity=ibis.ifelse(counted, quantity, ibis.null("float64")),
        quantity_unit=ibis.ifelse(counted.fill_null(False), kept["unit"], ""),
        flow=kept["flow_name"], partner_concept=_concept(kept),
        breakdown=ibis.array(parts).filter(lambda part: part.notnull()).join("; ").fill_null(""),
        reported_by=kept["reporter_id"], basis=ibis.literal("recorded"),
        source_id=ibis.literal(source_id), record_ref=record["record_ref"],
        x_procedure=kept["procedure"], **({"x_cell": kept["cell"]} if in_workbook else {}),
    )


def _concept(kept: ir.Table) -> ir.StringValue:
    """What the partner of a record means: imports from inside the Union are told by consignment."""
    members = GROUPS["EU27"]
    inside = kept["partner_id"].isin(members) & kept["reporter_id"].isin([*members, "EU27"])
    inside = (kept["trade_type"] == "I") | ((kept["trade_type"] == "") & inside)
    return ibis.cases((kept["flow_name"] == "export", "destination"), (inside, "consignment"), else_="origin")


def _coverage(kept: ir.Table, source_id: str) -> pd.DataFrame:
    """What the file shows to be reported: partners, products and months per reporter, flow, concept and HS version."""
    told = kept.filter(kept["place"] == "country", number(kept["value"]).notnull()).mutate(concept=_concept)
    keys = ["reporter_id", "flow_name", "concept", "hs_version"]
    cells = frame(told.group_by(keys).agg(
        partners=told["partner_id"].collect(distinct=True).sort().join(" "),
        products=told["hs_code"].collect(distinct=True).sort(),
        days=(told["first_day"] + "/" + told["last_day"]).collect(distinct=True).sort(),
    ).order_by(keys))
    rows = [
        {"source_id": source_id, "reporter": cell["reporter_id"], "partners": cell["partners"], "flow": cell["flow_name"],
         "products": products, "partner_concept": cell["concept"], "period_start": first, "period_end": last, "resolution": unit,
         "complete": False, "note": _CLOSED}
        for cell in cells.to_dict("records")
        for products in [" ".join(_widest(cell["products"]))]
        for unit, first, last in _spans(cell["days"])
    ]
    return conform(pd.DataFrame(rows), "coverage")


def _widest(codes: Sequence[str]) -> list[str]:
    """The codes, in order, without those that lie within another."""
    kept: list[str] = []
    for code in sorted(codes):
        if not (kept and code.startswith(kept[-1])):
            kept.append(code)
    return kept


def _spans(days: Sequence[str]) -> list[tuple[str, pd.Timestamp, pd.Timestamp]]:
    """Resolution, first and last day of the unbroken runs of the months and of the years."""
    spans: list[tuple[str, pd.Timestamp, pd.Timestamp]] = []
    periods = [tuple(pd.Timestamp(day) for day in text.split("/")) for text in days]
    for first, last in sorted(periods, key=lambda p: (p[1] - p[0] > pd.Timedelta(days=31), p)):
        unit = "year" if last - first > pd.Timedelta(days=31) else "month"
        if spans and spans[-1][0] == unit and spans[-1][2] + pd.Timedelta(days=1) == first:
            spans[-1] = (unit, spans[-1][1], last)
        else:
            spans.append((unit, first, last))
    return spans


def _source(opened: Opened, checked: Checked, source_id: str, unused: list[str]) -> pd.DataFrame:
    note = "Columns not used: " + ", ".join(name[:60] for name in unused) + "." if unused else ""
    n_secret = checked.kept.filter(checked.kept["value"].lower().isin(_CONFIDENTIAL)).count().to_pyarrow().as_py()
    if n_secret:
        note = f"{note} Confidential, kept without a value: {n_secret:,} records.".strip()
    if opened.encoding == "latin-1":
        note = f"{note} The file is not UTF-8; other bytes were read as Latin-1.".strip()
    row: dict[str, Any] = {
        "source_id": source_id, "title": f"Comext, {opened.file}", "publisher": "Eurostat",
        "url": "https://ec.europa.eu/eurostat/comext/newxtweb/", "licence": "Eurostat, reuse with attribution",
        "redistributable": True, "note": note,
    }
    return pd.DataFrame([row | source_counts(opened, checked)])
