"""The tables of a trade network, column by column: the one place where the data model is defined.

It drives validation, `docs/data-model.md` and every mapping to other formats.
Text is never null: `""` means "not given". Numbers use NaN and dates NaT for "not given".
Further columns are allowed in every table when their name begins with `x_`.
"""

from dataclasses import dataclass

TEXT, NUMBER, COUNT, DATE, FLAG = "str", "float64", "int64", "datetime64[us]", "bool"


@dataclass(frozen=True)
class Column:
    """One column: name, dtype, whether a value must be given, unit, meaning and, for closed lists, the values allowed."""

    name: str
    dtype: str
    meaning: str
    required: bool = False
    unit: str = ""
    values: tuple[str, ...] = ()


BASES = ("recorded", "established", "reported", "alleged", "estimated", "inferred")
"""How sure a record is, strongest first: recorded (a customs or statistical record), established (conviction or admitted
settlement), reported (named press, think-tank or official database), alleged (charge, denial order, sanctions notice),
estimated and inferred (computed, not observed)."""

CONCEPTS = ("dispatched", "origin", "brand")
"""What a country's name at the start of a flow means: where the goods were sent from, where customs say they were made,
or where the maker whose brand they carry has its seat. Three different answers, never mixed."""

LEVELS = ("firms", "countries")
LINK_KINDS = ("brand", "component_found", "makes_weapon")

ACTORS = (
    Column("actor_id", TEXT, "ISO 3166 alpha-3 code of a country, else kind:ISO3:name-hash", required=True),
    Column("name", TEXT, "name as the source gives it", required=True),
    Column("kind", TEXT, "what the actor is; a bloc is a group of countries that a source reports as one economy",
           required=True, values=("country", "bloc", "company", "weapon", "placeholder")),
    Column("role", TEXT, "role in trade as a source states it, never guessed", required=True,
           values=("manufacturer", "intermediary", "end_user", "logistics", "unknown")),
    Column("country", TEXT, "ISO 3166 alpha-3 code of the seat; for a country its own code"),
)
TRADES = (
    Column("trade_id", TEXT, "first digits of the source file's sha256, and the row", required=True),
    Column("seller_id", TEXT, "actor that sends the goods; by partner concept origin, the country of origin", required=True),
    Column("buyer_id", TEXT, "actor that receives the goods", required=True),
    Column("hs_code", TEXT, "Harmonized System code of 2 to 12 digits; empty if unknown or if product_set is given"),
    Column("product_set", TEXT, "codes joined by + where the source gives only their sum, such as 8541+8542"),
    Column("hs_version", TEXT, "HS version of the code; empty if unknown, then comparable at heading level only",
           values=("", "HS1992", "HS1996", "HS2002", "HS2007", "HS2012", "HS2017", "HS2022")),
    Column("goods", TEXT, "description of the goods as the source gives it"),
    Column("period_start", DATE, "first day of the period; not given if the source has no start"),
    Column("period_end", DATE, "last day of the period"),
    Column("value", NUMBER, "value in `currency`, zero or more", unit="units of `currency`"),
    Column("currency", TEXT, "ISO 4217 code of `value`; empty if no value"),
    Column("fx_rate", NUMBER, "USD for one unit of `currency`, mean of the ECB's daily rates in the period", unit="USD"),
    Column("value_usd", NUMBER, "value in US dollars", unit="USD"),
    Column("valuation", TEXT, "terms of the value", values=("", "FOB", "CIF")),
    Column("weight_kg", NUMBER, "net weight", unit="kg"),
    Column("quantity", NUMBER, "quantity in `quantity_unit`", unit="`quantity_unit`"),
    Column("quantity_unit", TEXT, "unit of `quantity` as the source gives it"),
    Column("flow", TEXT, "flow as the reporter states it; a re-export is a part of exports, a re-import of imports",
           required=True, values=("export", "import", "re-export", "re-import")),
    Column("partner_concept", TEXT, "what the reporter's partner country means", required=True,
           values=("origin", "consignment", "destination")),
    Column("breakdown", TEXT, "empty for a total; else the dimensions by which the row is a part of one, such as "
           "transport mode"),
    Column("origin_country", TEXT, "country of origin where the record states one (ISO 3166 alpha-3)"),
    Column("maker_id", TEXT, "actor whose brand the goods carry, where the record states one"),
    Column("reported_by", TEXT, "who reported: ISO 3166 alpha-3 or bloc code of the statistical reporter, else the "
           "publisher", required=True),
    Column("basis", TEXT, "how sure the record is", required=True, values=BASES),
    Column("case", TEXT, "investigation or prosecution that the record belongs to; empty if none"),
    Column("source_id", TEXT, "source of the record", required=True),
    Column("record_ref", TEXT, "file and row (the header is row 1)", required=True),
)
LINKS = (
    Column("link_id", TEXT, "identity of the link", required=True),
    Column("kind", TEXT, "brand: goods of this maker reached that actor; component_found: a part of this brand was found "
           "in that weapon; makes_weapon: this actor makes or helped develop that weapon. A link is no trade and has no "
           "value", required=True, values=LINK_KINDS),
    Column("from_id", TEXT, "maker", required=True),
    Column("to_id", TEXT, "actor or weapon", required=True),
    Column("hs_code", TEXT, "Harmonized System code of the goods, if known"),
    Column("goods", TEXT, "what the link is about"),
    Column("period_start", DATE, "first day, if known"),
    Column("period_end", DATE, "last day, if known"),
    Column("n_parts", NUMBER, "number of different parts found (component_found)", unit="parts"),
    Column("basis", TEXT, "how sure the record is", required=True, values=BASES),
    Column("case", TEXT, "investigation or prosecution that the record belongs to"),
    Column("source_id", TEXT, "source of the record", required=True),
    Column("record_ref", TEXT, "file and row (the header is row 1)", required=True),
)
LISTINGS = (
    Column("actor_id", TEXT, "listed actor", required=True),
    Column("list_name", TEXT, "name of the list, such as OFAC SDN", required=True),
    Column("listed_from", DATE, "first day of the listing's stated date (day, month or year)"),
    Column("listed_to", DATE, "day of delisting, if known"),
    Column("date_as_stated", TEXT, "the date as the source prints it, with its own precision"),
    Column("last_checked", DATE, "day on which the listing was last read"),
    Column("citation", TEXT, "where the listing can be read", required=True),
    Column("source_id", TEXT, "source of the record", required=True),
    Column("record_ref", TEXT, "file and row (the header is row 1)", required=True),
)
TOTALS = (
    Column("total_id", TEXT, "first digits of the source file's sha256, and the row", required=True),
    Column("reported_by", TEXT, "reporter (ISO 3166 alpha-3 or bloc code)", required=True),
    Column("partner", TEXT, "aggregate partner as reported, such as World or areas n.e.s.", required=True),
    *[c for c in TRADES if c.name in ("flow", "hs_code", "product_set", "hs_version", "period_start", "period_end", "value",
                                      "currency", "fx_rate", "value_usd", "valuation", "weight_kg", "breakdown",
                                      "source_id", "record_ref")],
)
COVERAGE = (
    Column("source_id", TEXT, "source that covers", required=True),
    Column("reporter", TEXT, "reporter covered", required=True),
    Column("partners", TEXT, "partners covered, joined by spaces; * for all", required=True),
    Column("products", TEXT, "HS codes (with all below them) or product sets covered, joined by spaces; * for all",
           required=True),
    Column("flow", TEXT, "flow covered", required=True, values=("export", "import")),
    Column("partner_concept", TEXT, "partner concept of the covered flow", required=True,
           values=("origin", "consignment", "destination")),
    Column("period_start", DATE, "first day covered", required=True),
    Column("period_end", DATE, "last day covered", required=True),
    Column("resolution", TEXT, "shortest period that the source tells apart; a window is covered by whole ones only. Empty: any day",
           values=("day", "month", "year")),
    Column("complete", FLAG, "true if a missing row means zero; false if the source may miss some"),
    Column("note", TEXT, "what is missing"),
)
SOURCES = (
    Column("source_id", TEXT, "identity of the source", required=True),
    Column("title", TEXT, "title", required=True),
    Column("publisher", TEXT, "publisher"),
    Column("url", TEXT, "address"),
    Column("published", TEXT, "date of publication, ISO with the precision of the source"),
    Column("licence", TEXT, "licence or terms"),
    Column("redistributable", FLAG, "whether its rows may be passed on"),
    Column("retrieved", TEXT, "date of retrieval, ISO; empty if unknown"),
    Column("file", TEXT, "name of the file that was read"),
    Column("sha256", TEXT, "sha256 of the file that was read"),
    Column("rows_read", COUNT, "rows read", unit="rows"),
    Column("rows_kept", COUNT, "rows kept as trades, links, listings or totals", unit="rows"),
    Column("rejected", TEXT, "rejected rows by reason, a JSON object of counts; read = kept + rejected"),
    Column("note", TEXT, "caution"),
)

TABLES: dict[str, tuple[Column, ...]] = {
    "actors": ACTORS,
    "trades": TRADES,
    "links": LINKS,
    "listings": LISTINGS,
    "totals": TOTALS,
    "coverage": COVERAGE,
    "sources": SOURCES,
}
KEYS: dict[str, str] = {
    "actors": "actor_id", "trades": "trade_id", "links": "link_id", "totals": "total_id", "sources": "source_id"
}
"""Tables with a key, and the key."""

REFERENCES: tuple[tuple[str, str, str, str], ...] = (
    ("trades", "seller_id", "actors", "actor_id"),
    ("trades", "buyer_id", "actors", "actor_id"),
    ("trades", "maker_id", "actors", "actor_id"),
    ("links", "from_id", "actors", "actor_id"),
    ("links", "to_id", "actors", "actor_id"),
    ("listings", "actor_id", "actors", "actor_id"),
    *((table, "source_id", "sources", "source_id") for table in ("trades", "links", "listings", "totals", "coverage")),
)
"""Columns whose value, where given, must stand in another table: table, column, other table, other column."""
