"""Downloads of UN Comtrade, today's layout and the older ones, as a network of countries."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code, is_aggregate
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, concat, conform, country_actors, empty
from chiptrail.graphmodel.periods import parse_period, precision
from chiptrail.graphmodel.schema import TABLES
from chiptrail.loaders.reader import Opened, open_table, require_columns, retrieved_on
from chiptrail.loaders.records import (
    REPEAT,
    Checked,
    Rule,
    amount_rules,
    asked_rules,
    frame,
    number,
    pick,
    record_columns,
    source_counts,
    split,
    translate,
    write_rejects,
)

_COLUMNS: dict[str, tuple[str, str, str]] = {
    # today's downloads and API, the old site's CSV, the old API
    "period": ("period", "Period", "period"),
    "reporter": ("reporterCode", "Reporter Code", "rtCode"),
    "partner": ("partnerCode", "Partner Code", "ptCode"),
    "partner_name": ("partnerDesc", "Partner", "ptTitle"),
    "flow": ("flowCode", "Trade Flow Code", "rgCode"),
    "classification": ("classificationCode", "Classification", "pfCode"),
    "hs_code": ("cmdCode", "Commodity Code", "cmdCode"),
    "goods": ("cmdDesc", "Commodity", "cmdDescE"),
    "value": ("primaryValue", "Trade Value (US$)", "TradeValue"),
    "cif": ("cifvalue", "CIF Trade Value (US$)", "CIFValue"),
    "fob": ("fobvalue", "FOB Trade Value (US$)", "FOBValue"),
    "weight": ("netWgt", "Netweight (kg)", "NetWeight"),
    "quantity": ("qty", "Qty", "TradeQuantity"),
    "unit": ("qtyUnitAbbr", "Qty Unit", "qtDesc"),
    "unit_code": ("qtyUnitCode", "Qty Unit Code", "qtCode"),
    "weight_estimated": ("isNetWgtEstimated", "", ""),
    "quantity_estimated": ("isQtyEstimated", "", ""),
    "estimated": ("legacyEstimationFlag", "Flag", "estCode"),
    "partner2": ("partner2Code", "2nd Partner Code", "ptCode2"),
    "customs": ("customsCode", "Customs Proc. Code", "cstCode"),
    "transport": ("motCode", "Mode of Transport Code", "motCode"),
    "supply": ("mosCode", "", ""),
}
_VARIANTS = {"cif": ("CIF TradeValue",), "fob": ("FOB TradeValue",)}
_NEEDED = ("period", "reporter", "partner", "flow", "classification", "hs_code", "value")
_UNUSED = frozenset("""
typeCode freqCode refPeriodId refYear refMonth reporterISO reporterDesc flowDesc partnerISO partner2ISO partner2Desc
classificationSearchCode isOriginalClassification aggrLevel isLeaf customsDesc motDesc
altQtyUnitCode altQtyUnitAbbr altQty isAltQtyEstimated grossWgt isGrossWgtEstimated isReported isAggregate datasetCode
Year PeriodDesc AggregateLevel IsLeafCode TradeFlow Reporter 2ndPartner 2ndPartnerISO Customs ModeOfTransport AltQtyUnit
GrossWeightKg yr rgDesc rtTitle rt3ISO pt3ISO ptTitle2 pt3ISO2 cstDesc qtAltCode qtAltDesc
AltQuantity GrossWeight
""".lower().split())
_FLOWS = {"X": "export", "2": "export", "M": "import", "1": "import", "RX": "re-export", "3": "re-export",
          "RM": "re-import", "4": "re-import"}
_VERSIONS = {"H0": "HS1992", "H1": "HS1996", "H2": "HS2002", "H3": "HS2007", "H4": "HS2012", "H5": "HS2017",
             "H6": "HS2022", "HS": ""}
_PARTS = {"partner2": "second partner", "customs": "customs procedure", "transport": "transport mode",
          "supply": "mode of supply"}
_OTHER_FLOWS = ("DX", "FM", "MIP", "MOP", "XIP", "XOP")
_ROUNDING_USD, _ROUNDING_SHARE = 1.0, 1e-6
_EU27_SINCE = "2020-02-01"


def load_comtrade(
    paths: str | Path | Sequence[str | Path], *, products: str | Sequence[str] | None = None, since: str | None = None,
    until: str | None = None, countries: Sequence[str] | None = None, keep_rejects: str | Path | None = None,
) -> TradeNetwork:
    """A network of countries from downloads of UN Comtrade: every row a trade, a total, or counted as rejected.

    Reads today's layout of 47 columns and the older ones, known by their column names in any order; annual and monthly;
    CSV, gzip or Parquet; UTF-8 or Latin-1. A file given twice counts once.

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
        - `trades`: one row per record between two economies, value in USD. Exports (FOB) by destination have the
          reporter as seller; imports (CIF) by country of origin have it as buyer. Rows for one transport mode, customs
          procedure or second partner name these in `breakdown`, with the codes in `x_transport`, `x_customs` and
          `x_partner2`. `x_value_column` is the column that the value was read from, `x_weight_estimated` and
          `x_quantity_estimated` whether the UN estimated the weight and the quantity.
        - `totals`: partner World, regions, blocs and areas not elsewhere specified.
        - `coverage`: per reporter, flow and period. All partners are covered, so that a missing row means zero, only
          where one row for each named country adds up to the World total but for rounding (1 USD for each partner, at
          most a millionth of the total) and no row that may belong there was rejected. Trade with areas not elsewhere
          specified has a hidden partner. Elsewhere only the partners present are covered: others may have traded too.
        - `sources`: one row per file with its counts; `note` names unused columns and says when a file gave no trades.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a needed column, or seems to have one renamed.

    Notes
    -----
    Rejected are: services and other classifications than HS, the sum of all commodities (TOTAL), codes that lost a
    leading zero (an odd number of digits), other flows than exports, imports and their re-exports and re-imports,
    unknown reporters or partners, periods that are no year or month, values that are missing or negative, and rows that
    repeat an earlier one in every field, as in joined downloads. So is the European Union as reporter of a period that
    begins before February 2020: that is the Union of 28 with the United Kingdom, not EU27. Zero is a value. An import
    without a CIF value whose value equals its FOB value is marked FOB; other imports count as CIF.

    Cautions: what a country reports and what its partner reports differ; Russia reports nothing after 2021.

    References
    ----------
    UN Comtrade, https://comtradeplus.un.org/

    Examples
    --------
    >>> load_comtrade("TradeData.csv").where(products="chips", since="2022-03")  # doctest: +SKIP
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; name at least one download of UN Comtrade")
    asked: dict[str, Any] = {"products": products, "since": since, "until": until, "countries": countries}
    networks = [_load(Path(path), asked, keep_rejects) for path in files]
    return networks[0] if len(networks) == 1 else concat(networks)


def _load(path: Path, asked: dict[str, Any], keep_rejects: str | Path | None) -> TradeNetwork:
    with open_table(path) as opened:
        columns, unused = _layout(opened.header, opened.file)
        table = _translated(pick(opened, columns))
        rules = [*_rules(table), *asked_rules(table, **asked, sides=("reporter_id", "partner_id"))]
        checked = split(opened, table, rules, columns)
        write_rejects(opened, checked, keep_rejects)
        source_id = f"comtrade:{opened.sha256[:12]}"
        rows = _rows(opened, checked.kept, columns, source_id)
        trades = _of(rows.filter(rows["place"] == "country"), "trades")
        totals = _of(rows.filter(rows["place"] == "total"), "totals")
        coverage = _coverage(checked, source_id)
        note = _note(opened, unused, trades, totals)
        source = _source(opened, checked, source_id, note).assign(retrieved=retrieved_on(path, opened.sha256))
    return TradeNetwork(
        level="countries", actors=country_actors([*trades["seller_id"], *trades["buyer_id"]]), trades=trades,
        totals=totals, coverage=coverage, sources=source,
    )


def _of(rows: ir.Table, table: str) -> pd.DataFrame:
    """The rows in memory, with the columns that a table of the network has and those under `x_`."""
    names = {column.name for column in TABLES[table]}
    return frame(rows.select(*(name for name in rows.columns if name in names or name.startswith("x_"))))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def _layout(header: Sequence[str], file: str) -> tuple[dict[str, str | None], list[str]]:
    """Name in this file of each column used, None if it has none, and the columns that no layout knows."""
    found = {_plain(name): name for name in reversed(header)}
    columns: dict[str, str | None] = {
        key: next((found[_plain(n)] for n in (*names, *_VARIANTS.get(key, ())) if n and _plain(n) in found), None)
        for key, names in _COLUMNS.items()
    }
    family = max(range(3), key=lambda i: sum(names[i] in header for names in _COLUMNS.values()))
    missing = [_COLUMNS[key][family] for key in _NEEDED if columns[key] is None]
    require_columns(header if missing else (), missing, file=file, layout="a download of UN Comtrade")
    known = _UNUSED | {_plain(name) for name in columns.values() if name}
    unknown = [name for name in header if _plain(name) not in known]
    for key, names in _COLUMNS.items():
        near = difflib.get_close_matches(_plain(names[family]), [_plain(n) for n in unknown], n=1, cutoff=0.7)
        if columns[key] is None and names[family] and near:
            raise InputError(
                f"{file}: column {found[near[0]][:80]!r} is not known and {names[family]!r} is missing: is it that "
                "column under a new name? Rename it back, or remove it if it is something else"
            )
    return columns, unknown


def _translated(table: ir.Table) -> ir.Table:
    """The records with country codes, days and HS versions found once per distinct value; null where unknown."""
    return translate(
        table,
        (["reporter"], ["reporter_id"], lambda code: (country_code(code, system="un"),)),
        (["partner"], ["partner_id", "place", "world"], _partner),
        (["period"], ["first_day", "last_day"], _days),
        (["flow"], ["flow_name"], lambda code: (_known(_FLOWS, code),)),
        (["classification"], ["hs_version"], lambda code: (_known(_VERSIONS, code),)),
    )


def _known(codes: dict[str, str], code: str) -> str:
    if code.upper() not in codes:
        raise UnknownNameError("code", code, codes)
    return codes[code.upper()]


def _partner(code: str) -> tuple[str, str, str]:
    """Code of a partner, whether it is a country or a total, and whether it is the World."""
    if is_aggregate(code, system="un"):
        return "", "total", "1" if code.strip("0") == "" or code.upper() in ("W00", "WLD", "WORLD") else ""
    return country_code(code, system="un"), "country", ""


def _days(period: str) -> tuple[str, str]:
    if not re.fullmatch(r"[0-9]{4}([0-9]{2})?", period):
        raise InputError(f"{period[:20]!r} is no year and no month")
    first, last = parse_period(f"{period[:4]}-{period[4:]}" if period[4:] else period)
    return str(first.date()), str(last.date())


def _rules(table: ir.Table) -> list[Rule]:
    """Why a record is rejected, in the order in which it is asked."""
    code = table["hs_code"]
    return [
        ("classification is not the Harmonized System", "classification", table["hs_version"].isnull()),
        ("flow is no export, import, re-export or re-import", "flow", table["flow_name"].isnull()),
        ("period is no year (2022) or month (202207)", "period", table["first_day"].isnull()),
        ("unknown reporter", "reporter", table["reporter_id"].isnull()),
        ("European Union before February 2020: 28 members with the United Kingdom, not EU27", "period",
         (table["reporter_id"] == "EU27") & (table["first_day"] < _EU27_SINCE)),
        ("unknown or former partner", "partner", table["place"].isnull()),
        ("all commodities together, no HS code", "hs_code", code.upper() == "TOTAL"),
        ("HS code lost its leading zero (HS codes have 2, 4 or 6 digits)", "hs_code",
         code.re_search("^[0-9]$|^[0-9]{3}$|^[0-9]{5}$")),
        ("HS code is not 2, 4 or 6 digits", "hs_code", ~code.re_search("^([0-9]{2}){1,3}$")),
        ("no value", "value", (table["value"] == "") & (table["cif"] == "") & (table["fob"] == "")),
        *(rule for name in ("value", "cif", "fob", "weight", "quantity") for rule in amount_rules(name, table[name])),
        (REPEAT, "", table["repeated"]),
    ]


def _rows(opened: Opened, kept: ir.Table, columns: dict[str, str | None], source_id: str) -> ir.Table:
    """The records kept in the columns of `trades` and `totals`."""
    outward = kept["flow_name"].isin(["export", "re-export"])
    value, cif, fob = (number(kept[name]) for name in ("value", "cif", "fob"))
    choice = ibis.cases((outward & (fob > 0), "fob"), (~outward & (cif > 0), "cif"), (value.notnull(), "value"),
                        (outward & fob.notnull(), "fob"), (cif.notnull(), "cif"), else_="fob")
    amount = ibis.cases((choice == "fob", fob), (choice == "cif", cif), else_=value)
    fob_import = (choice == "fob") | ((choice == "value") & (fob > 0) & (fob == value))
    weight, quantity = number(kept["weight"]), number(kept["quantity"])
    unit = ibis.ifelse(kept["unit"] == "", ibis.literal("UN unit code ") + kept["unit_code"], kept["unit"])
    no_unit = kept["unit"].lower().isin(["n/a", "no quantity"]) | kept["unit_code"].isin(["", "-1", "1"])
    counted = (quantity > 0) & ~no_unit
    record = record_columns(opened, kept)
    return kept.select(
        place=kept["place"],
        trade_id=record["id"], total_id=record["id"],
        seller_id=ibis.ifelse(outward, kept["reporter_id"], kept["partner_id"]),
        buyer_id=ibis.ifelse(outward, kept["partner_id"], kept["reporter_id"]),
        partner=ibis.cases((kept["partner_name"] != "", kept["partner_name"]), (kept["world"] == "1", "World"),
                           else_=ibis.literal("code ") + kept["partner"]),
        hs_code=kept["hs_code"], hs_version=kept["hs_version"], goods=kept["goods"],
        period_start=kept["first_day"].cast("timestamp"), period_end=kept["last_day"].cast("timestamp"),
        value=amount, currency=ibis.literal("USD"), fx_rate=ibis.literal(1.0), value_usd=amount,
        valuation=ibis.ifelse(outward | fob_import, "FOB", "CIF"),
        weight_kg=ibis.ifelse(weight > 0, weight, ibis.null("float64")),
        quantity=ibis.ifelse(counted, quantity, ibis.null("float64")),
        quantity_unit=ibis.ifelse(counted, unit, ""),
        flow=kept["flow_name"], partner_concept=ibis.ifelse(outward, "destination", "origin"),
        breakdown=_breakdown(kept), reported_by=kept["reporter_id"], basis=ibis.literal("recorded"),
        source_id=ibis.literal(source_id), record_ref=record["record_ref"],
        x_value_column=ibis.cases(*((choice == n, columns[n] or "") for n in ("value", "cif", "fob")), else_=""),
        **{f"x_{name}": (kept[name].lower().isin(["true", "1"]) | kept["estimated"].isin(flags)).fill_null(False)
           for name, flags in (("weight_estimated", ["4", "6"]), ("quantity_estimated", ["2", "6"]))},
        x_partner2=kept["partner2"], x_customs=kept["customs"], x_transport=kept["transport"],
    )


def _breakdown(table: ir.Table) -> ir.StringValue:
    """The dimensions by which a record is a part of a total, joined by `; `."""
    names = ibis.literal("")
    for column, name in _PARTS.items():
        names = names + ibis.ifelse(table[column].isin(["", "0", "C00"]), "", f"; {name}")
    return names.substr(2)


def _coverage(checked: Checked, source_id: str) -> pd.DataFrame:
    """What the file shows to be reported: per reporter, flow and period; codes with the same partners share a row.

    A cell is complete where one World row equals the sum of one row for each named country, all with a value.
    """
    kept = checked.kept
    whole = kept.filter((_breakdown(kept) == "") & kept["flow_name"].isin(["export", "import"]))
    whole = whole.mutate(amount=number(whole["value"]))
    world, country = whole["world"] == "1", whole["place"] == "country"
    cells = whole.group_by("reporter_id", "flow_name", "first_day", "last_day", "hs_code").agg(
        n_countries=country.sum(), n_world=world.sum(), world=whole["amount"].sum(where=world),
        parts=whole["amount"].sum(where=country), no_amount=whole["amount"].isnull().any(),
        partners=ibis.ifelse(country, whole["partner_id"], ibis.null("string")).collect(distinct=True),
    )
    cells = _doubted(cells.filter(cells["n_countries"] > 0), checked.rejected)
    named = cells["partners"].filter(lambda code: code.notnull()).sort()
    once = (cells["n_world"] == 1) & (cells["n_countries"] == named.length()) & ~cells["no_amount"]
    rounding = ibis.least(_ROUNDING_USD * cells["n_countries"], _ROUNDING_SHARE * cells["world"])
    complete = (once & ~cells["doubted"] & ((cells["world"] - cells["parts"]).abs() <= rounding)).fill_null(False)
    cells = cells.mutate(complete=complete, partners=ibis.ifelse(complete, "*", named.join(" ")))
    keys = ["reporter_id", "flow_name", "first_day", "last_day", "partners", "complete"]
    rows = frame(cells.group_by(keys).agg(products=cells["hs_code"].collect(distinct=True).sort().join(" ")))
    if rows.empty:
        return empty("coverage")
    rows = rows.rename(columns={"reporter_id": "reporter", "flow_name": "flow", "first_day": "period_start",
                                "last_day": "period_end"})
    rows["partner_concept"] = rows["flow"].map({"export": "destination", "import": "origin"})
    rows["note"] = rows["complete"].map({
        True: "named partners add up to the World total",
        False: "only the partners in the file: they do not add up to a World total, or a row was rejected, so others may "
               "have traded too",
    })
    rows["source_id"] = source_id
    for day in ("period_start", "period_end"):
        rows[day] = pd.to_datetime(rows[day])
    rows["resolution"] = precision(rows["period_start"], rows["period_end"])
    return conform(rows, "coverage")


def _doubted(cells: ir.Table, rejected: ir.Table) -> ir.Table:
    """The cells with `doubted`: whether a rejected row may belong to them; what cannot be read of it fits every cell.

    A row for a code belongs to the headings above it too. Repeats take nothing away, nor do rows that say that they are
    of another flow or classification, or of all commodities.
    """
    code, sound = rejected["hs_code"], rejected["shape"] <= 0
    other = (rejected["flow"].upper().isin(_OTHER_FLOWS) | rejected["classification"].re_search("^[^hH]")
             | (code.upper() == "TOTAL"))
    rows = rejected.filter((rejected["reason"] != REPEAT) & ~(sound & other))
    unknown = rows["reporter_id"].isnull() & rows["reporter"].re_search("^[0-9]+$") & (rows["shape"] <= 0)
    rows = rows.filter(~unknown)

    def read(value: ir.Value, condition: ir.BooleanValue | bool = True) -> ir.Value:
        return ibis.ifelse((rows["shape"] <= 0) & condition, value, ibis.null("string"))

    in_code = rows["hs_code"].re_search("^([0-9]{2})+$")
    above = ibis.array([read(rows["hs_code"].substr(0, digits), in_code) for digits in (2, 4, 6)]).unnest()
    rows = rows.select("reporter_id", flow_name=read(rows["flow_name"]), first_day=read(rows["first_day"]),
                       last_day=read(rows["last_day"]), hs_code=above).distinct()
    unread = rows.select(**{name: rows[name].isnull() for name in rows.columns})
    cells = cells.mutate(doubted=ibis.literal(False))
    for gaps in unread.distinct().order_by(unread.columns).to_pyarrow().to_pylist():
        keys = [name for name, gap in gaps.items() if not gap]
        if not keys:
            return cells.mutate(doubted=ibis.literal(True))
        fitting = rows.filter([rows[name].isnull() == gap for name, gap in gaps.items()]).select(*keys).distinct()
        fitting = fitting.rename({f"key_{name}": name for name in keys}).mutate(fits=ibis.literal(True))
        found = cells.left_join(fitting, [cells[name] == fitting[f"key_{name}"] for name in keys])
        cells = found.mutate(doubted=found["doubted"] | found["fits"].fill_null(False)).select(*cells.columns)
    return cells


def _note(opened: Opened, unused: list[str], trades: pd.DataFrame, totals: pd.DataFrame) -> str:
    notes = []
    if trades.empty and len(totals):
        only = "World" if set(totals["partner"]) == {"World"} else "aggregates"
        notes.append(f"Only {only} as partner: totals, no trades. Download it with partner countries to get trades.")
    keys = ["seller_id", "buyer_id", "reported_by", "flow", "hs_code", "hs_version", "period_start", "period_end",
            "breakdown", "x_partner2", "x_customs", "x_transport"]
    repeated = int(trades.duplicated(keys).sum())
    if repeated:
        notes.append(f"{repeated} rows repeat an earlier row's countries, flow, code and period and are added to it.")
    if unused:
        notes.append("Columns not used: " + ", ".join(name[:60] for name in unused) + ".")
    if opened.encoding == "latin-1":
        notes.append("The file is not UTF-8; other bytes were read as Latin-1.")
    return " ".join(notes)


def _source(opened: Opened, checked: Checked, source_id: str, note: str) -> pd.DataFrame:
    row: dict[str, Any] = {
        "source_id": source_id, "title": f"UN Comtrade download {opened.file}",
        "publisher": "United Nations Statistics Division", "url": "https://comtradeplus.un.org/",
        "licence": "UN Comtrade terms of use; redistribution limited", "redistributable": False, "note": note,
    }
    return pd.DataFrame([row | source_counts(opened, checked)])
