"""Yearly trade in all goods by reporter and partner, in the columns of Easy Comext: both sides of a flow, each as its reporter told it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code, is_aggregate
from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.network import TradeNetwork, concat, conform, country_actors
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.exchange import usd_rates
from chiptrail.loaders.reader import Opened, open_table, require_columns, retrieved_on
from chiptrail.loaders.records import (
    REPEAT,
    Checked,
    Rule,
    amount_rules,
    network_frame,
    number,
    pick,
    record_columns,
    source_counts,
    split,
    translate,
    write_rejects,
)

ALL_GOODS = "+".join(f"{chapter:02}" for chapter in range(1, 98) if chapter != 77)
"""The product set of all goods: every chapter of the Harmonized System (77 is kept free)."""
_COLUMNS = {"reporter": "REPORTER", "partner": "PARTNER", "product": "PRODUCT", "flow": "FLOW", "period": "PERIOD", "value": "VALUE_IN_EUR"}
_UNION = re.compile(r"(European Union|Union européenne) - 27\b")
_FLOWS = {"EXPORT": "export", "EXPORTATION": "export", "IMPORT": "import", "IMPORTATION": "import"}
_YEAR = re.compile(r"(?:[0-9]{6}-)?(?:Y|Jan\.\s*-\s*D[eé]c\. )([0-9]{4})")
CONCEPTS = ("consignment", "origin")
_NOTE = "partners without a row may be zero or missing"
_CONCEPT_NOTE = "The file does not say whether partners of imports are countries of origin or of consignment; read as {}. "


def load_mirror_totals(
    paths: str | Path | Sequence[str | Path], *, partner_concept: str = "consignment", keep_rejects: str | Path | None = None
) -> TradeNetwork:
    """A network of countries of yearly trade in all goods: exports and imports by partner, in EUR and USD.

    Parameters
    ----------
    paths
        Files with the columns REPORTER, PARTNER, PRODUCT (`TOTAL`), FLOW, PERIOD (a whole year) and VALUE_IN_EUR.
    partner_concept
        What the partners of imports are: `consignment` or `origin`. The files do not say.
    keep_rejects
        File to which the rejected rows are appended as CSV, with their reasons.

    Returns
    -------
    TradeNetwork
        - `trades`: one row per record, `product_set` all chapters of the Harmonized System; exports FOB by destination, imports
          CIF; value in EUR, and in USD at the mean of the ECB's daily rates of the year. The European Union is one economy (`EU27`),
          and stands beside its members where a reporter tells both; sums count it once.
        - `totals`: partners that are no country, such as the world or a continent.
        - `coverage`: for each reporter, flow and year the partners with a row. Never called complete.
        - `sources`: one row per file with its counts.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a needed column, or no row of it can be kept; or if the partner concept is not known.

    Notes
    -----
    That imports by national statistics mean consignment is an assumption. It fits Armenia, whose rows of 2019 for some large partners
    are those of the series by consignment that the country publishes beside that by origin; for others nothing is known. With
    `partner_concept="origin"`, `mirror_gaps` gives no gap. Rejected are other products than all goods, periods that are no whole
    year, names of reporters and partners that are not known, and repeats of an earlier row.

    Examples
    --------
    >>> load_mirror_totals(["Relational_View.csv", "kazakhstan_import_yearly.csv"])  # doctest: +SKIP
    """
    if partner_concept not in CONCEPTS:
        raise InputError(f"partner_concept {partner_concept!r}: choose one of {', '.join(CONCEPTS)}")
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; name at least one file of yearly totals by partner")
    networks = [_load(Path(path), partner_concept, keep_rejects) for path in files]
    return networks[0] if len(networks) == 1 else concat(networks)


def _load(path: Path, concept: str, keep_rejects: str | Path | None) -> TradeNetwork:
    with open_table(path) as opened:
        found = {name.upper(): name for name in reversed(opened.header)}
        missing = [name for name in _COLUMNS.values() if name not in found]
        require_columns(opened.header if missing else (), missing, file=opened.file, layout="yearly totals by partner")
        columns: dict[str, str | None] = {key: found[name] for key, name in _COLUMNS.items()}
        table = _translated(pick(opened, columns))
        checked = split(opened, table, _rules(table), columns)
        write_rejects(opened, checked, keep_rejects)
        source_id = f"totals:{opened.sha256[:12]}"
        rows = _rows(opened, checked.kept, source_id, concept)
        country = rows["place"] == "country"
        trades = network_frame(rows.filter(country), "trades")
        totals = network_frame(rows.filter(~country), "totals")
        source = _source(opened, checked, source_id, concept if (trades["flow"] == "import").any() else "")
        source = source.assign(retrieved=retrieved_on(path, opened.sha256))
    named = {*trades["seller_id"].unique(), *trades["buyer_id"].unique()}
    return TradeNetwork(level="countries", actors=country_actors(named), trades=trades, totals=totals,
                        coverage=_coverage(trades), sources=source)


def _translated(table: ir.Table) -> ir.Table:
    periods = table.select("period").distinct().to_pyarrow()["period"].to_pylist()
    rates = usd_rates([("EUR", match[1]) for text in periods if (match := _YEAR.fullmatch(text))])

    def days(text: str) -> tuple[str, str, str]:
        match = _YEAR.fullmatch(text)
        if not match:
            raise InputError(f"{text[:40]!r} is no whole year")
        first, last = parse_period(match[1])
        return str(first.date()), str(last.date()), str(rates.get(("EUR", match[1]), ""))

    return translate(
        table,
        (["reporter"], ["reporter_id"], lambda name: (_country(name),)),
        (["partner"], ["partner_id", "place"], _partner),
        (["flow"], ["flow_name"], lambda text: (_FLOWS.get(text.rpartition("-")[2].upper(), ""),)),
        (["period"], ["first_day", "last_day", "rate"], days),
    )


def _partner(name: str) -> tuple[str, str]:
    """Code of a partner, and whether it is a country or a total; the Union of 27 is told as one economy."""
    if is_aggregate(name, system="eurostat") and not _UNION.match(name):
        return "", "total"
    return _country(name), "country"


def _country(name: str) -> str:
    return "EU27" if _UNION.match(name) else country_code(name, system="eurostat")


def _rules(table: ir.Table) -> list[Rule]:
    return [
        ("not all goods together", "product", ~table["product"].upper().re_search("^TOTAL(-TOTAL)?$")),
        ("flow is no export or import", "flow", table["flow_name"] == ""),
        ("period is no whole year", "period", table["first_day"].isnull()),
        ("unknown or former reporter", "reporter", table["reporter_id"].isnull()),
        ("unknown or former partner", "partner", table["place"].isnull()),
        ("no value", "value", table["value"] == ""),
        *amount_rules("value", table["value"]),
        (REPEAT, "", table["repeated"]),
    ]


def _rows(opened: Opened, kept: ir.Table, source_id: str, concept: str) -> ir.Table:
    """The records kept in the columns of `trades` and `totals`."""
    outward = kept["flow_name"] == "export"
    value, rate = number(kept["value"]), number(kept["rate"])
    record = record_columns(opened, kept)
    return kept.select(
        "partner", place=kept["place"], trade_id=record["id"], total_id=record["id"],
        seller_id=ibis.ifelse(outward, kept["reporter_id"], kept["partner_id"]),
        buyer_id=ibis.ifelse(outward, kept["partner_id"], kept["reporter_id"]),
        product_set=ibis.literal(ALL_GOODS), goods=ibis.literal("all goods"),
        period_start=kept["first_day"].cast("timestamp"), period_end=kept["last_day"].cast("timestamp"),
        value=value, currency=ibis.literal("EUR"), fx_rate=rate, value_usd=value * rate,
        valuation=ibis.ifelse(outward, "FOB", "CIF"), flow=kept["flow_name"],
        partner_concept=ibis.ifelse(outward, "destination", concept), reported_by=kept["reporter_id"],
        basis=ibis.literal("recorded"), source_id=ibis.literal(source_id), record_ref=record["record_ref"],
    )


def _coverage(trades: pd.DataFrame) -> pd.DataFrame:
    """Each reporter and flow with the partners of a year."""
    if trades.empty:
        return conform(None, "coverage")
    outward = trades["flow"].eq("export")
    told = trades.assign(partner=trades["buyer_id"].astype("str").where(outward, trades["seller_id"].astype("str")))
    key = ["source_id", "reported_by", "flow", "partner_concept", "period_start", "period_end"]
    rows = told.astype(dict.fromkeys(key[:4], "str")).groupby(key)["partner"].agg(lambda names: " ".join(sorted(set(names))))
    table = rows.rename("partners").reset_index().rename(columns={"reported_by": "reporter"})
    return conform(table.assign(products=ALL_GOODS, resolution="year", complete=False, note=_NOTE), "coverage")


def _source(opened: Opened, checked: Checked, source_id: str, concept: str) -> pd.DataFrame:
    used = set(_COLUMNS.values())
    unused = [name[:60] for name in opened.header if name.upper() not in used]
    note = (_CONCEPT_NOTE.format(concept) if concept else "") + (f"Columns not used: {', '.join(unused)}." if unused else "")
    row: dict[str, Any] = {"source_id": source_id, "title": f"Yearly totals by partner, {opened.file}",
                           "note": note.strip()}
    return pd.DataFrame([row | source_counts(opened, checked)])

