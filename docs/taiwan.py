"""Taiwan's exports by destination, year and 11-digit code: the worked example of a new loader (see new-loader.md)."""

import json
import re
from pathlib import Path

import ibis
import pandas as pd

from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, conform, country_actors
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders import records
from chiptrail.loaders.reader import open_table, require_columns

COLUMNS = {"year": "Year", "country": "Country", "hs_code": "HS Code", "goods": "Description", "value": "Export Value (USD)"}


def load_taiwan(path, names, *, products=None, since=None, until=None, countries=None, keep_rejects=None):
    """A network of countries from Taiwan's yearly exports by destination (11-digit codes, US dollars).

    Parameters
    ----------
    path
        The table: `Year,Country,HS Code,Description,Export Value (USD)`.
    names
        JSON file with the English name of each country's Chinese name.
    products, since, until, countries
        Load only what `TradeNetwork.where` would keep; the rest is counted as "not asked for".
    keep_rejects
        File to which the rejected rows are appended as CSV, with their reasons.

    Raises
    ------
    InputError
        If the file cannot be read, lacks a column, or no row of it can be kept.

    Examples
    --------
    >>> load_taiwan("exports.csv", "names.json", products="8542", countries=["RUS"])  # doctest: +SKIP
    """
    english = json.loads(Path(names).read_text(encoding="utf-8"))

    def place(name):
        """Code of a destination, and whether it is a country or a total."""
        if name not in english:
            raise UnknownNameError("country", name, english)
        return ("", "total") if english[name] == "Others" else (country_code(english[name], system="name"), "country")

    def days(year):
        if not re.fullmatch("[0-9]{4}", year):
            raise InputError(f"{year!r} is no year")
        first, last = parse_period(year)
        return str(first.date()), str(last.date())

    with open_table(path) as opened:  # 1. the columns
        require_columns(opened.header, list(COLUMNS.values()), file=opened.file, layout="Taiwan's exports by destination")
        table = records.pick(opened, COLUMNS)
        # 2. what the texts mean, found once for each distinct text; null where it means nothing
        table = records.translate(table, (["country"], ["partner_id", "place"], place), (["year"], ["first_day", "last_day"], days))
        table = table.mutate(reporter_id=ibis.literal("TWN"))
        checked = records.split(opened, table, [  # 3. why a row is rejected, in the order in which it is asked
            ("unknown or former country", "country", table["place"].isnull()),
            ("period is no year", "year", table["first_day"].isnull()),
            ("HS code is not 11 digits", "hs_code", ~table["hs_code"].re_search("^[0-9]{11}$")),
            ("no value", "value", table["value"] == ""),
            *records.amount_rules("value", table["value"]),
            (records.REPEAT, "", table["repeated"]),
            *records.asked_rules(table, products=products, since=since, until=until, countries=countries,
                                 sides=("reporter_id", "partner_id")),
        ], COLUMNS)
        records.write_rejects(opened, checked, keep_rejects)
        kept, record, source_id = checked.kept, records.record_columns(opened, checked.kept), f"taiwan:{opened.sha256[:12]}"
        rows = kept.select(  # 4. the rows in the columns of graphmodel/schema.py
            "hs_code", "goods", "place", trade_id=record["id"], total_id=record["id"], seller_id=kept["reporter_id"],
            buyer_id=kept["partner_id"], partner=kept["country"], period_start=kept["first_day"].cast("timestamp"),
            period_end=kept["last_day"].cast("timestamp"), value=records.number(kept["value"]), value_usd=records.number(kept["value"]),
            currency=ibis.literal("USD"), fx_rate=ibis.literal(1.0), valuation=ibis.literal("FOB"), flow=ibis.literal("export"),
            partner_concept=ibis.literal("destination"), reported_by=kept["reporter_id"], basis=ibis.literal("recorded"),
            source_id=ibis.literal(source_id), record_ref=record["record_ref"],
        )
        trades = records.network_frame(rows.filter(rows["place"] == "country"), "trades")
        totals = records.network_frame(rows.filter(rows["place"] == "total"), "totals")
        source = {"source_id": source_id, "title": "Exports by destination", "publisher": "Customs Administration of Taiwan"}
        source |= records.source_counts(opened, checked)
    partners, codes = (" ".join(sorted(trades[c].astype("str").unique())) for c in ("buyer_id", "hs_code"))
    coverage = [  # 5. what the file shows to be reported; a missing row is no zero, since the file does not say what was asked for
        {"source_id": source_id, "reporter": "TWN", "partners": partners, "products": codes, "flow": "export",
         "partner_concept": "destination", "period_start": first, "period_end": last, "resolution": "year", "complete": False,
         "note": "the last year may be a partial one"}
        for first, last in sorted(set(zip(trades["period_start"], trades["period_end"], strict=True)))
    ]
    return TradeNetwork(level="countries", actors=country_actors(["TWN", *partners.split()]), trades=trades, totals=totals,
                        coverage=conform(pd.DataFrame(coverage), "coverage"), sources=pd.DataFrame([source]))
