"""Makes the shipped CSV files of this folder from curated facts: `python loaders/bundled/build.py CURATED_FOLDER`.

`weapon_names.csv` is made by hand and only checked here. What is changed on the way, and nothing else:

- documented rows not meant for the bundled data are left out, and names that stand only there are withheld everywhere;
- text that the scraping of a web page glued to a maker's name ("... Suppliers ...") is parted from it;
- remarks about the gathering of a figure are put as what they mean: it was taken second-hand;
- each statistical row names its source in `sources.csv`; coverage and monthly exchange rates are worked out.
"""

import hashlib
import json
import re
import sys
from pathlib import Path

import pandas as pd

from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.exchange import daily_usd_rates

EXPECTED = {
    "documented_trades": (130, "link_id seller_name seller_country seller_role buyer_name buyer_country buyer_role "
                          "goods hs_code value_usd first_date last_date basis source_title publisher source_date "
                          "source_url note case bundle"),
    "trade_figures": (207, "exporter importer product_list period value_usd unit measure reported_by source_title "
                      "publisher source_date source_url note"),
    "policy_events": (40, "date end_date jurisdiction hub kind title effect source_url"),
    "listings": (74, "name country list listing_date source_url"),
    "chip_corridors": (8034, "exporter importer hs_code hs_version period value currency reported_by source"),
    "world_chip_imports": (14602, "importer exporter product period value currency partner_concept valuation"),
    "weapon_parts": (2975, "maker_name maker_country weapon n_parts"),
}
"""Rows and columns of each curated table, as its README states them."""

LEFT_OUT = "not for the bundled data"
WITHHELD = "(name withheld)"
EUROSTAT_CODES = "8542 854110 854121 854129 854190"
EUROSTAT_CODES_2022 = "854151 854159"
_GLUED = r"\s+(?:Foreign suppliers|Suppliers|Importers|Involved companies)\s.*"
_REMARKS = {
    "Taken from research notes.md, not read again here; link not recorded there.":
        "Second-hand: the source was not read again.",
    "research notes gives": "Another row gives",
    "not stated in the notes": "not stated",
}
_EXTRACT = "a small extract of official figures with attribution; the publisher's terms apply"
_STATED = "official list; dates as the cited page states them"
_ROUNDED = "Values were rounded by the public copy they were read from: print them rounded. 2025 is a partial year. "
_MISSING = "Missing years were not at hand: they are not zero."
_LIST_NOTE = "Incomplete: no row means that no listing was found. Each row cites its page."
_UN = ("UN Comtrade", "https://comtradeplus.un.org/", _EXTRACT, "", "chip_corridors.csv")
SOURCE_COLUMNS = ["source_id", "title", "publisher", "url", "licence", "retrieved", "file", "note"]
SOURCES = (
    ("wto_bilateral_imports", "Bilateral imports of HS 8541 and 8542 together", "WTO", "https://stats.wto.org/",
     _EXTRACT, "", "world_chip_imports.csv",
     "Read from a public copy. The importer reports, the partner is the country of customs origin, values are CIF."
     " Levels are weak (China's total falls by a quarter from 2020 to 2021, which did not happen), shares less so;"
     " 8541 holds solar cells. Russia, Belarus, Uzbekistan and Vietnam are absent, others lack years: absent is "
     "not zero."),
    ("eurostat_comext", "Exports of EU members by HS subheading and month", "Eurostat (Comext)",
     "https://ec.europa.eu/eurostat/comext/newxtweb/", "Eurostat, reuse with attribution", "", "chip_corridors.csv",
     "Summed from eight-digit codes, in euros. To seven partners only and to 2022-11; Cyprus reports none. 8541 "
     "without 854130 and 854140-49. US dollars by the month's mean of the ECB's daily rates "
     "(ecb_monthly_rates.csv)."),
    ("taiwan_customs", "Taiwan's exports of integrated circuits by destination and year",
     "Customs Administration of Taiwan", "https://portal.sw.nat.gov.tw/APGA/GA30E",
     "official statistics, with attribution", "", "chip_corridors.csv",
     "A choice of destinations; 8542 only."),
    ("un_comtrade_exact", "Exports of heading 8542 to Russia by year", *_UN, "Read from a public copy. " + _MISSING),
    ("un_comtrade_rounded", "Exports of heading 8542 to Russia by year, rounded", *_UN, _ROUNDED + _MISSING),
    ("gur_war_sanctions", "Components found in weapons (War & Sanctions)", "Military intelligence of Ukraine (GUR)",
     "https://war-sanctions.gur.gov.ua/en/components", "CC BY 4.0", "2026-06-13", "weapon_parts.csv",
     "Counted after duplicate ids were dropped. A part carries a maker's brand, which says nothing about who sold "
     "it. The publisher is a party to the war. The country of a weapon is that of the forces that used it."),
    ("list_ofac_sdn", "Specially Designated Nationals list", "OFAC (USA)", "https://sanctionslist.ofac.treas.gov/",
     _STATED, "", "listings.csv", _LIST_NOTE),
    ("list_eu", "Regulation (EU) 833/2014, Annex IV", "EU", "https://eur-lex.europa.eu/eli/reg/2014/833/oj", _STATED,
     "", "listings.csv", _LIST_NOTE),
    ("list_bis_entity", "Entity List", "BIS (USA)", "https://www.bis.gov/", _STATED, "", "listings.csv", _LIST_NOTE),
    ("ecb_rates", "Euro foreign exchange reference rates", "European Central Bank",
     "https://www.ecb.europa.eu/stats/policy_and_exchange_rates/euro_reference_exchange_rates/",
     "ECB, reuse with attribution", "", "ecb_monthly_rates.csv",
     "Monthly means of the daily rates; no trades."),
    ("documented_left_out", "Documented links left out of the bundled data", "", "", "", "", "",
     "Cases whose named firm stands on no official list or document, denies the report, or has a name too common "
     "to check."),
)
LIST_SOURCES = {"OFAC SDN": "list_ofac_sdn", "EU": "list_eu", "BIS Entity List": "list_bis_entity"}


def read_curated(folder: Path, name: str) -> pd.DataFrame:
    """A curated table as text, after its columns and number of rows were checked."""
    frame = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False, encoding="utf-8")
    rows, columns = EXPECTED[name]
    if list(frame.columns) != columns.split():
        raise SystemExit(f"{name}.csv: columns are {' '.join(frame.columns)}; expected {columns}")
    if len(frame) != rows:
        raise SystemExit(f"{name}.csv: {len(frame)} rows, expected {rows}; check the new rows, then change EXPECTED")
    return frame


_REWORDED = {
    "Front firms in several countries and Mikron blocked": "Firms in several countries and Mikron blocked",
    "Fronts in Armenia, Switzerland and Taiwan blocked": "Firms in Armenia, Switzerland and Taiwan blocked",
    "National measure after false exports to Central Asia": "National measure on goods declared for Central Asia",
    "Microelectronics ordered as a front": "Microelectronics",
    "Western electronics bought for a front-company network": "Western electronics",
    " describes an Armenia-based company affiliated with Milandr as a front;": " names an Armenia-based company affiliated with Milandr;",
    "a Taiwan front company for purchases": "a Taiwan company for purchases",
    "Article names the firms only as two shells;": "Article does not name the two firms;",
    "Shells in third countries forwarded the goods.": "Firms in third countries forwarded the goods.",
    ", through shells": "",
}
"""Words that would say more of a firm than its status does, and what stands in their place."""


def reworded(texts: pd.Series) -> pd.Series:
    """The texts without such words."""
    for words, plain in _REWORDED.items():
        texts = texts.str.replace(words, plain, regex=False)
    return texts


def withheld_names(documented: pd.DataFrame) -> set[str]:
    """Names of firms and bodies that stand only in rows not meant for the bundled data."""
    shipped = documented["bundle"].eq("yes")
    sides = [("seller_name", "seller_role"), ("buyer_name", "buyer_role")]
    known = {name for side, _ in sides for name in documented.loc[shipped, side]}
    rest = documented[~shipped]
    names = {n for side, role in sides for n in rest.loc[rest[role].ne("weapon"), side]}
    return {n for n in names - known if not n.startswith("Unnamed")}


def documented_trades(documented: pd.DataFrame) -> pd.DataFrame:
    """The rows for the bundled data, with withheld names taken out of texts and case names."""
    names = withheld_names(documented)
    pattern = "|".join(rf"(?<!\w){re.escape(n)}(?!\w)" for n in sorted(names, key=len, reverse=True))
    kept = documented[documented["bundle"].eq("yes")].drop(columns="bundle").copy()
    for column in ("seller_name", "buyer_name", "goods", "note"):
        kept[column] = kept[column].str.replace(pattern, WITHHELD, regex=True)
    for column in ("seller_name", "buyer_name"):
        kept[column] = kept[column].str.replace(f"({WITHHELD} case)", "(case with a withheld name)", regex=False)
    kept["note"] = reworded(kept["note"].str.replace(" S LLC row.", "", regex=False))
    kept["goods"] = reworded(kept["goods"])
    slugs = "|".join(sorted(re.sub(r"\W+", "-", n.lower()).strip("-") for n in names))
    telling = kept["case"].str.contains(rf"(?:^|-)(?:{slugs})(?:-|$)", regex=True)
    first = kept.groupby("case")["link_id"].transform("first").str.lower()
    kept["case"] = kept["case"].where(~telling, first)
    kept["source"] = ["documented-" + hashlib.md5("|".join(key).encode(), usedforsecurity=False).hexdigest()[:8]
                      for key in zip(kept["source_title"], kept["publisher"], kept["source_url"], strict=True)]
    return kept


def trade_figures(figures: pd.DataFrame, documented: pd.DataFrame) -> pd.DataFrame:
    """Published figures; where one is of a single firm that has no bundled row, the firm's name is withheld."""
    figures = figures.copy()
    for remark, meaning in _REMARKS.items():
        figures["note"] = figures["note"].str.replace(remark, meaning, regex=False)
    shipped = documented[documented["bundle"].eq("yes")]
    words = set(re.findall(r"\w+", " ".join([*shipped["seller_name"], *shipped["buyer_name"]]).lower()))
    parts = figures["product_list"].str.extract(r"^(firm|importer)_([^_]+)(.*)$")
    of_firm = parts[0].notna() & ~parts[1].isin(words)
    figures.loc[of_firm, "product_list"] = parts[0] + "_withheld" + parts[2]
    figures.loc[of_firm, "note"] = figures["note"].str.replace(r"\s*\([^)]*\)(; also .*$)?", " " + WITHHELD, regex=True)
    return figures


def weapon_parts(parts: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """Parts found in weapons, the maker's name parted from text that was glued to it."""
    unknown = set(parts["weapon"]) ^ set(names["weapon_as_named"])
    if unknown or names["weapon_as_named"].duplicated().any():
        raise SystemExit(f"weapon_names.csv must name each weapon of weapon_parts.csv once: {sorted(unknown)[:5]}")
    # a brand that is a person's full name keeps the family name alone
    named = parts["maker_name"].str.replace(r"^Rudolf (?=\w+$)", "", regex=True)
    return pd.DataFrame({
        "maker": named.str.replace(_GLUED, "", regex=True), "maker_as_named": named,
        "maker_country": parts["maker_country"], "weapon_as_named": parts["weapon"], "n_parts": parts["n_parts"],
        "basis": "reported", "source": "gur_war_sanctions",
    })


def ecb_monthly_rates(months: list[str]) -> pd.DataFrame:
    """US dollars for one euro: the mean of the ECB's daily reference rates of each month."""
    rows = []
    for month in months:
        daily = daily_usd_rates("EUR", *(day.date() for day in parse_period(month)))
        rows.append((month, "EUR", f"{sum(daily.values()) / len(daily):.6f}", str(len(daily)), "ecb_rates"))
    return pd.DataFrame(rows, columns=["month", "currency", "usd", "n_days", "source"])


def coverage(imports: pd.DataFrame, corridors: pd.DataFrame) -> pd.DataFrame:
    """What the two statistical files cover, one row per reporter and period."""
    rows: list[tuple[object, ...]] = []
    economies = " ".join(sorted(set(imports["exporter"])))
    for importer, year in imports[["importer", "period"]].drop_duplicates().itertuples(index=False):
        rows.append(("wto_bilateral_imports", importer, economies, "8541+8542", "import", "origin", year, "year", False,
                     "the source lists only partners with trade: a partner without a row may be zero or missing"))
    eurostat = corridors[corridors["source"].eq("eurostat_comext")]
    partners = " ".join(sorted(set(eurostat["importer"])))
    last = eurostat["period"].max()
    for reporter in sorted(set(eurostat["exporter"])):
        note = "confidential trade is missing at this level of detail"
        rows.append(("eurostat_comext", reporter, partners, EUROSTAT_CODES, "export", "destination",
                     f"{eurostat['period'].min()}/{last}", "month", True, note))
        rows.append(("eurostat_comext", reporter, partners, EUROSTAT_CODES_2022, "export", "destination",
                     f"2022-01/{last}", "month", True, note))
    rest = corridors[~corridors["source"].eq("eurostat_comext")]
    for (source, reporter, year), group in rest.groupby(["source", "exporter", "period"], sort=True):
        partial = year == "2025"
        to = " ".join(sorted(set(group["importer"])))
        rows.append((source, reporter, to, "8542", "export", "destination", year, "year", not partial,
                     "partial year" if partial else ""))
    columns = ["source", "reporter", "partners", "products", "flow", "partner_concept", "period", "resolution", "complete", "note"]
    return pd.DataFrame(rows, columns=columns)


def sources(tables: dict[str, pd.DataFrame], n_left_out: int) -> pd.DataFrame:
    """All sources, with the rows that each gave."""
    fixed = pd.DataFrame(SOURCES, columns=SOURCE_COLUMNS)
    cases = tables["documented_trades"].drop_duplicates("source").sort_values("source", kind="stable")
    cited = pd.DataFrame({
        "source_id": cases["source"], "title": cases["source_title"], "publisher": cases["publisher"],
        "url": cases["source_url"], "published": cases["source_date"],
        "licence": "facts in our own words, with citation", "file": "documented_trades.csv",
    })
    every = pd.concat([fixed, cited], ignore_index=True).fillna("")
    records = [frame["source"] for name, frame in tables.items() if name not in ("coverage", "ecb_monthly_rates")]
    counts = pd.concat(records).value_counts()
    every["rows_kept"] = every["source_id"].map(counts).fillna(0).astype(int)
    left_out = every["source_id"].eq("documented_left_out")
    every["rows_read"] = every["rows_kept"] + n_left_out * left_out
    every["rejected"] = "{}"
    every.loc[left_out, "rejected"] = json.dumps({LEFT_OUT: n_left_out})
    every["redistributable"] = ~left_out
    return every[["source_id", "title", "publisher", "url", "published", "licence", "redistributable", "retrieved",
                  "file", "rows_read", "rows_kept", "rejected", "note"]]


def build(curated: Path, out: Path) -> dict[str, int]:
    """Writes the shipped files into `out` and returns their numbers of rows."""
    given = {name: read_curated(curated, name) for name in EXPECTED}
    documented = given["documented_trades"]
    by_hand = Path(__file__).with_name("weapon_names.csv")
    weapon_names = pd.read_csv(by_hand, dtype=str, keep_default_na=False, encoding="utf-8")
    corridors, imports = given["chip_corridors"], given["world_chip_imports"]
    tables = {
        "chip_corridors": corridors,
        "world_chip_imports": imports.assign(source="wto_bilateral_imports"),
        "documented_trades": documented_trades(documented),
        "weapon_parts": weapon_parts(given["weapon_parts"], weapon_names),
        "ecb_monthly_rates": ecb_monthly_rates(sorted(set(corridors.loc[corridors["currency"].eq("EUR"), "period"]))),
        "coverage": coverage(imports, corridors),
    }
    firms = set(tables["documented_trades"]["seller_name"]) | set(tables["documented_trades"]["buyer_name"])
    listings = given["listings"].assign(source=given["listings"]["list"].map(LIST_SOURCES))
    tables["listings"] = listings[listings["name"].isin(firms)]
    tables["sources"] = sources(tables, int(documented["bundle"].ne("yes").sum()))
    tables["policy_events"] = given["policy_events"].assign(effect=reworded(given["policy_events"]["effect"]))
    tables["trade_figures"] = trade_figures(given["trade_figures"], documented)
    for name, frame in tables.items():
        frame.to_csv(out / f"{name}.csv", index=False, encoding="utf-8", lineterminator="\n")
    return {name: len(frame) for name, frame in tables.items()}


def main() -> None:
    """Rebuilds the files beside this script and says how many rows each has."""
    if len(sys.argv) != 2:
        raise SystemExit("usage: python loaders/bundled/build.py CURATED_FOLDER")
    for name, rows in build(Path(sys.argv[1]), Path(__file__).parent).items():
        sys.stdout.write(f"{name}.csv {rows}\n")


if __name__ == "__main__":
    main()
