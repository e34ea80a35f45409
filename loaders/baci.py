"""CEPII's BACI: trade of all countries by year and six-digit code, as a network of countries."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, concat, conform, country_actors
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.schema import TRADES
from chiptrail.loaders.reader import Opened, open_table, require_columns
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

_COLUMNS = {"year": "t", "exporter": "i", "importer": "j", "product": "k", "value": "v", "tonnes": "q"}
_VERSIONS = next(column.values[1:] for column in TRADES if column.name == "hs_version")
_ALL_GOODS = 4_000
_NOTE = "BACI leaves out flows that neither side reported and those below 1,000 USD: a missing row may be more than zero"


def load_baci(
    paths: str | Path | Sequence[str | Path], *, hs_version: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, countries: Sequence[str] | None = None,
    keep_rejects: str | Path | None = None,
) -> TradeNetwork:
    """A network of countries from year files of CEPII's BACI: every row a trade, or counted as rejected.

    Parameters
    ----------
    paths
        One file or several, with the columns `t,i,j,k,v,q`.
    hs_version
        Version of the codes, such as `HS1992`. Needed only where the name of a file does not say it, as
        `BACI_HS92_Y2022_V202601.csv` does.
    products, since, until, countries
        Load only what `TradeNetwork.where` would keep; the rest is counted as "not asked for" in `sources.rejected`, and no
        coverage is claimed for it.
    keep_rejects
        File to which the rejected rows are appended as CSV, with their reasons.

    Returns
    -------
    TradeNetwork
        - `trades`: one row per record: exporter to importer in a year, value in USD (the file has thousands), FOB, weight in kg
          (the file has tonnes; missing where it says NA). `basis` is estimated and `reported_by` CEPII, since no country
          reported the value in that form.
        - `coverage`: per exporter and unbroken run of years; all goods where the file has at least 4,000 codes, else the codes
          with a row. Never called complete: a flow that neither side reported, or one below 1,000 USD, has no row.
        - `sources`: one row per file with its counts.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a column, has no HS version, or no row of it can be kept.

    Notes
    -----
    BACI takes what both sides told the United Nations, removes estimated freight and insurance from the importer's value, and
    weighs the two by how reliable each reporter is. It is told here as an export by destination. Where only the importer
    reported, the exporter is in truth the country of origin: goods made in one country and sent on from another stand as
    trade of the first, so a hub can look smaller than in the reports of the exporters.

    The codes of a version are the same in all years, which BACI reaches by conversion: what is new in HS2022 cannot be told
    apart in a file of HS1992. Codes of five digits get back the leading zero that they lost, since all have six digits. Country codes are
    BACI's own (842 USA, 699 India, 490 Taiwan). Rejected are former countries, and rows that repeat an earlier one.

    References
    ----------
    Gaulier and Zignago (2010), BACI: International Trade Database at the Product-Level, CEPII Working Paper 2010-23;
    https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37

    Examples
    --------
    >>> load_baci("BACI_HS17_Y2022_V202601.csv", products="8542", countries=["ARM"])  # doctest: +SKIP
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; name at least one year file of BACI")
    if hs_version is not None and hs_version not in _VERSIONS:
        raise UnknownNameError("HS version", hs_version, _VERSIONS, f"known: {', '.join(_VERSIONS)}")
    asked = {"products": products, "since": since, "until": until, "countries": countries}
    networks = [_load(Path(path), hs_version, asked, keep_rejects) for path in files]
    return networks[0] if len(networks) == 1 else concat(networks)


def _load(path: Path, hs_version: str | None, asked: dict[str, Any], keep_rejects: str | Path | None) -> TradeNetwork:
    with open_table(path) as opened:
        columns = _layout(opened.header, opened.file)
        version = _version(opened.file, hs_version)
        table = _translated(pick(opened, columns)).mutate(hs_version=ibis.literal(version))
        rules = [*_rules(table), *asked_rules(table, **asked)]
        checked = split(opened, table, rules, columns | {"hs_code": columns["product"]})
        write_rejects(opened, checked, keep_rejects)
        source_id = f"baci:{opened.sha256[:12]}"
        trades = network_frame(_rows(opened, checked.kept, source_id), "trades")
        coverage = _coverage(checked.kept, source_id)
        source = _source(opened, checked, source_id)
    return TradeNetwork(
        level="countries", actors=country_actors({*trades["seller_id"].unique(), *trades["buyer_id"].unique()}), trades=trades,
        coverage=coverage, sources=source,
    )


def _layout(header: Sequence[str], file: str) -> dict[str, str | None]:
    found = {name.casefold(): name for name in reversed(header)}
    missing = [name for name in _COLUMNS.values() if name not in found]
    require_columns(header if missing else (), missing, file=file, layout="a year file of BACI")
    return {key: found[name] for key, name in _COLUMNS.items()}


def _version(file: str, given: str | None) -> str:
    named = sorted(set(re.findall(r"BACI_HS(\d\d)(?!\d)", file, re.IGNORECASE)))
    if len(named) > 1:
        raise InputError(f"{file}: its name says more than one HS version (HS{', HS'.join(named)}); rename the file")
    version = next((v for v in _VERSIONS if named and v.endswith(named[0])), None)
    if version and given and version != given:
        raise InputError(f"{file}: its name says {version}, not {given}; leave hs_version out, or rename the file")
    if version or given:
        return version or str(given)
    raise InputError(f"{file}: the name does not say the HS version, as BACI_HS92_Y2022_V202601.csv does; give hs_version, "
                     f"one of {', '.join(_VERSIONS)}")


def _translated(table: ir.Table) -> ir.Table:
    return translate(
        table,
        (["exporter"], ["seller_id"], lambda code: (country_code(code, system="baci"),)),
        (["importer"], ["buyer_id"], lambda code: (country_code(code, system="baci"),)),
        (["product"], ["hs_code"], lambda code: (code.zfill(6) if re.fullmatch("[0-9]{5,6}", code) else "",)),
        (["year"], ["first_day", "last_day"], _days),
    ).mutate(tonnes=lambda t: ibis.ifelse(t["tonnes"].upper() == "NA", "", t["tonnes"]))


def _days(year: str) -> tuple[str, str]:
    if not re.fullmatch("[0-9]{4}", year):
        raise InputError(f"{year[:20]!r} is no year")
    first, last = parse_period(year)
    return str(first.date()), str(last.date())


def _rules(table: ir.Table) -> list[Rule]:
    """Why a record is rejected, in the order in which it is asked."""
    return [
        ("period is no year", "year", table["first_day"].isnull()),
        ("unknown or former exporter", "exporter", table["seller_id"].isnull()),
        ("unknown or former importer", "importer", table["buyer_id"].isnull()),
        ("HS code is not six digits", "product", table["hs_code"] == ""),
        ("no value", "value", table["value"].upper().isin(["", "NA"])),
        *(rule for name in ("value", "tonnes") for rule in amount_rules(name, table[name])),
        (REPEAT, "", table["repeated"]),
    ]


def _rows(opened: Opened, kept: ir.Table, source_id: str) -> ir.Table:
    """The records kept in the columns of `trades`."""
    value, tonnes = number(kept["value"]) * 1_000, number(kept["tonnes"])
    record = record_columns(opened, kept)
    return kept.select(
        "seller_id", "buyer_id", "hs_code", "hs_version",
        trade_id=record["id"],
        period_start=kept["first_day"].cast("timestamp"), period_end=kept["last_day"].cast("timestamp"),
        value=value, currency=ibis.literal("USD"), fx_rate=ibis.literal(1.0), value_usd=value, valuation=ibis.literal("FOB"),
        weight_kg=ibis.ifelse(tonnes > 0, tonnes * 1_000, ibis.null("float64")),
        flow=ibis.literal("export"), partner_concept=ibis.literal("destination"), reported_by=ibis.literal("CEPII"),
        basis=ibis.literal("estimated"), source_id=ibis.literal(source_id), record_ref=record["record_ref"],
    )


def _coverage(kept: ir.Table, source_id: str) -> pd.DataFrame:
    """Each exporter of the file with all importers and goods of the file, in each run of years."""
    found = frame(kept.select("seller_id", "buyer_id", "first_day", "last_day").distinct())
    if found.empty:
        return conform(None, "coverage")
    codes = sorted(frame(kept.select("hs_code").distinct())["hs_code"])
    years = sorted({(pd.Timestamp(first), pd.Timestamp(last)) for first, last in
                    found[["first_day", "last_day"]].drop_duplicates().itertuples(index=False)})
    runs: list[tuple[pd.Timestamp, pd.Timestamp]] = []
    for first, last in years:
        joins = runs and runs[-1][1] + pd.Timedelta(days=1) == first
        runs[-1:] = [(runs[-1][0], last)] if joins else [*runs[-1:], (first, last)]
    partners = " ".join(sorted(set(found["buyer_id"])))
    rows = [
        {"source_id": source_id, "reporter": exporter, "partners": partners, "flow": "export", "partner_concept": "destination",
         "products": "*" if len(codes) >= _ALL_GOODS else " ".join(codes), "period_start": first, "period_end": last,
         "resolution": "year", "complete": False, "note": _NOTE}
        for exporter in sorted(set(found["seller_id"])) for first, last in runs
    ]
    return conform(pd.DataFrame(rows), "coverage")


def _source(opened: Opened, checked: Checked, source_id: str) -> pd.DataFrame:
    unused = [name[:60] for name in opened.header if name.casefold() not in _COLUMNS.values()]
    row: dict[str, Any] = {
        "source_id": source_id, "title": f"BACI, {opened.file}", "publisher": "CEPII",
        "url": "https://www.cepii.fr/CEPII/en/bdd_modele/bdd_modele_item.asp?id=37", "licence": "Etalab 2.0",
        "redistributable": True, "note": "Columns not used: " + ", ".join(unused) + "." if unused else "",
    }
    return pd.DataFrame([row | source_counts(opened, checked)])
