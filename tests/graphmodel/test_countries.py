"""Country codes and names, against the published code lists in the data folder and against facts known by hand."""

import csv
import math
from pathlib import Path

import pytest

from chiptrail.graphmodel.countries import GROUPS, country_code, country_name, is_aggregate, members
from chiptrail.graphmodel.errors import InputError, UnknownNameError

TABLE = Path(__file__).resolve().parents[2] / "graphmodel" / "reference" / "country_codes.csv"


@pytest.mark.parametrize(("value", "system", "expected"), [
    ("842", "un", "USA"), ("840", "un", "USA"), ("699", "un", "IND"), ("356", "un", "IND"), ("490", "un", "TWN"),
    ("251", "un", "FRA"), ("757", "un", "CHE"), ("579", "un", "NOR"), ("381", "un", "ITA"), ("380", "un", "ITA"),
    ("51", "un", "ARM"), ("051", "un", "ARM"), ("4", "un", "AFG"), ("97", "un", "EU27"), ("412", "un", "XKX"),
    ("S19", "un", "TWN"), ("EUR", "un", "EU27"), ("Other Asia, nes", "un", "TWN"), ("Viet Nam", "un", "VNM"),
    ("EL", "eurostat", "GRC"), ("GR", "eurostat", "GRC"), ("XU", "eurostat", "GBR"), ("XI", "eurostat", "GBR"),
    ("GB", "eurostat", "GBR"), ("XS", "eurostat", "SRB"), ("XK", "eurostat", "XKX"), ("EU27_2020", "eurostat", "EU27"),
    ("Germany (incl. German Democratic Republic 'DD' from 1991)", "eurostat", "DEU"),
    ("United States (incl. Navassa Island (part of 'UM') from 1995 -> 2000)", "eurostat", "USA"),
    ("Belarus (Belorussia)", "eurostat", "BLR"),
    ("NA", "iso", "NAM"), ("NAM", "iso", "NAM"), ("na", "any", "NAM"), ("492", "iso", "MCO"), ("kaz", "iso", "KAZ"),
    ("Russian Federation", "name", "RUS"), ("Türkiye", "name", "TUR"), ("TURKEY", "name", "TUR"),
    ("turkiye", "name", "TUR"), ("China, Hong Kong SAR", "name", "HKG"), ("Korea, Republic of", "name", "KOR"),
    ("Rep. of Korea", "name", "KOR"), ("Dem. People's Rep. of Korea", "name", "PRK"), ("Czechia", "name", "CZE"),
    ("Czech Republic", "name", "CZE"), ("USA", "name", "USA"), ("United States of America", "name", "USA"),
    ("UAE", "name", "ARE"), ("Bolivia (Plurinational State of)", "name", "BOL"), ("Cote d'Ivoire", "name", "CIV"),
    ("Côte d’Ivoire", "name", "CIV"), ("Congo", "name", "COG"), ("Dem. Rep. of the Congo", "name", "COD"),
    ("Guinea", "name", "GIN"), ("Guinea-Bissau", "name", "GNB"), ("Niger", "name", "NER"), ("Nigeria", "name", "NGA"),
    ("Dominica", "name", "DMA"), ("Dominican Rep.", "name", "DOM"), ("Korea (DPRK)", "name", "PRK"),
    ("P.R. China", "name", "CHN"), ("P. R. China", "name", "CHN"), ("P.R.China", "name", "CHN"), ("PRC", "any", "CHN"),
    ("P.R.C.", "any", "CHN"), ("КНР", "any", "CHN"), ("КНДР", "any", "PRK"), ("D.P.R.K.", "any", "PRK"), ("U.A.E.", "any", "ARE"),
    ("ОАЭ", "any", "ARE"), ("England", "any", "GBR"), ("Scotland", "any", "GBR"), ("Wales", "any", "GBR"), ("U.S.A.", "any", "USA"),
    ("U.K.", "any", "GBR"), ("Great Britain", "any", "GBR"), ("Saint Martin (Dutch part)", "any", "SXM"),
    ("St. Martin (Dutch part)", "any", "SXM"), ("Sint Maarten (Dutch part)", "any", "SXM"),
    ("Saint Martin (French part)", "any", "MAF"), ("Saint-Martin", "any", "MAF"),
    (" Kazakhstan ", "any", "KAZ"), ("European Union", "any", "EU27"), ("EU27", "any", "EU27"), ("UK", "any", "GBR"),
])
def test_codes_and_names_known_by_hand(value: str, system: str, expected: str) -> None:
    assert country_code(value, system=system) == expected


@pytest.mark.parametrize("name", ["E.U.A.", "R.O.C.", "Korea", "Virgin Islands", "C.R.P."])
def test_what_may_be_several_countries_is_none(name: str) -> None:
    with pytest.raises(UnknownNameError):
        country_code(name)


def test_every_baci_code_and_name_resolves_to_its_iso3_or_is_no_country_of_today(shared: Path) -> None:
    no_country = {"58", "200", "278", "280", "530", "697", "711", "736", "810", "849", "891"}
    with (shared / "data/reference/baci_country_codes_V202601.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 230
    for row in rows:
        name = row["country_name"]
        if "Ã" in name:  # the file's letters with accents were encoded twice
            name = name.encode("latin-1").decode("utf-8")
        expected = {"S19": "TWN"}.get(row["country_iso3"], row["country_iso3"])
        for value in (row["country_code"], name):
            if row["country_code"] in no_country:
                with pytest.raises(UnknownNameError, match=r"is historic|is an aggregate"):
                    country_code(value, system="baci")
            else:
                assert country_code(value, system="baci") == expected, row
                assert not is_aggregate(value, system="baci"), row


def test_all_names_in_eurostat_and_national_files_are_countries_aggregates_or_known_misspellings(shared: Path) -> None:
    misspelt = {"American Saoma", "Saoma", "Eastern SAMOA", "Folkland Islands (Malvinas)", "French Southern Terrirories",
                "Saint-Barth?lemy", "Словакия", "Босния и Герцеговина", "Северные Марианские острова"}
    historic = {"Netherlands Antilles", "Serbia and Montenegro", "Nagorno-Karabakh", "Nagorno Karabagh",
                "Netherlands Antilles (incl. Aruba 'AW' -> 1986)"}
    names: set[str] = set()
    for path in (shared / "data/mirror_totals").rglob("*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        if rows[0]["FLOW"] != "EXPORTATION":  # one file is in French
            names |= {row["PARTNER"] for row in rows} | {row["REPORTER"] for row in rows}
    with (shared / "data/armenia/armenia_trade_by_country_monthly.csv").open(encoding="utf-8-sig", newline="") as file:
        names |= {row["country"] for row in csv.DictReader(file)}
    unknown = set()
    for name in names:
        try:
            country_code(name, system="eurostat")
        except UnknownNameError:
            if not is_aggregate(name, system="eurostat"):
                unknown.add(name)
    assert len(names) > 350
    assert unknown == misspelt | historic


def test_all_reporters_of_comtrade_resolve_alike_by_number_letters_and_name(shared: Path) -> None:
    seen = set()
    for path in (shared / "data/comtrade").glob("*.csv"):
        with path.open(encoding="latin-1", newline="") as file:
            for row in csv.DictReader(file):
                seen.add((row["reporterCode"], row["reporterISO"], row["reporterDesc"]))
                assert is_aggregate(row["partnerCode"], system="un")
                assert is_aggregate(row["partnerISO"], system="un")
    assert len(seen) > 130
    for values in seen:
        assert len({country_code(value, system="un") for value in values}) == 1, values


@pytest.mark.parametrize("value", ["0", "World", "W00", "WLD", "899", "Areas, nes", "Europe EFTA, nes", "Africa", "Asia",
                                   "Extra-EU27 (from 2020)", "EU28", "Rest of the world", "European Union", "97", "EU27",
                                   "Countries and territories not specified for military reasons", "Areas n.e.s.",
                                   "Southern African Customs Union (...1999)", "EU countries not specified"])
def test_aggregates(value: str) -> None:
    assert is_aggregate(value)


@pytest.mark.parametrize("value", ["Kazakhstan", "490", "Other Asia, nes", "NA", "Serbia and Montenegro", "no such place",
                                   "Indonesia", "Tunisia", ""])
def test_no_aggregates(value: str) -> None:
    assert not is_aggregate(value)


def test_un_492_is_europe_nes_though_iso_492_is_monaco() -> None:
    assert is_aggregate("492", system="un")
    assert not is_aggregate("492", system="iso")


@pytest.mark.parametrize(("value", "says"), [
    ("Kazakstan", "did you mean 'Kazakhstan'"), ("World", "is an aggregate"), ("0", "is an aggregate"),
    ("Serbia and Montenegro", "is historic"), ("891", "is historic"), ("SCG", "is historic"),
    ("Sudan (...2011)", "is historic"), ("USSR", "is historic"), ("Korea", "did you mean"), ("", "unknown country ''"),
    ("Cyprus2", "unknown country"), ("99999", "unknown country"), ("ZZZ", "unknown country"),
])
def test_what_is_no_country_says_why(value: str, says: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown country") as error:
        country_code(value)
    assert says in str(error.value)


def test_a_very_long_hostile_name_is_refused_in_a_short_message() -> None:
    with pytest.raises(UnknownNameError) as error:
        country_code("<script>" * 2000)
    assert len(str(error.value)) < 1000


def test_numbers_nan_and_unknown_systems_are_refused() -> None:
    for value in (842, math.nan, None):
        with pytest.raises(InputError, match="keep_default_na=False"):
            country_code(value)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="baci"):
        country_code("USA", system="fips")


def test_a_code_of_one_system_is_no_code_of_another() -> None:
    with pytest.raises(UnknownNameError):
        country_code("EL", system="iso")
    with pytest.raises(UnknownNameError):
        country_code("842", system="iso")
    with pytest.raises(UnknownNameError):
        country_code("KAZ", system="name")


def test_short_names_are_those_of_reports_and_come_back_to_their_code() -> None:
    pycountry = pytest.importorskip("pycountry")
    expected = {"TUR": "Turkey", "RUS": "Russia", "HKG": "Hong Kong", "TWN": "Taiwan", "KOR": "South Korea",
                "ARE": "United Arab Emirates", "USA": "United States", "XKX": "Kosovo", "KGZ": "Kyrgyzstan"}
    assert {code: country_name(code) for code in expected} == expected
    codes = [country.alpha_3 for country in pycountry.countries] + ["XKX", "EU27"]
    names = [country_name(code) for code in codes]
    assert len(set(names)) == len(codes)
    assert [country_code(name, system="name") for name in names] == codes
    for code in codes:
        assert country_code(code) == code
    with pytest.raises(UnknownNameError):
        country_name("ZZZ")


def test_groups() -> None:
    assert len(GROUPS["EU27"]) == len(set(GROUPS["EU27"])) == 27
    assert "GBR" not in GROUPS["EU27"]
    assert GROUPS["CCA5"] == ("ARM", "GEO", "KAZ", "KGZ", "UZB")
    assert GROUPS["FSU5"] == ("AZE", "GEO", "KAZ", "KGZ", "UZB")
    assert all(country_code(code, system="iso") == code for group in GROUPS.values() for code in group)
    assert members("EU27") == members("European Union") == members("97") == GROUPS["EU27"]
    assert members("cca5") == GROUPS["CCA5"]
    assert members("KAZ") == ("KAZ",)
    with pytest.raises(UnknownNameError):
        members("CCA6")


def test_the_table_is_whole() -> None:
    pycountry = pytest.importorskip("pycountry")
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    known = {country.alpha_3 for country in pycountry.countries} | {"XKX", "EU27"}
    assert len({(row["system"], row["code"]) for row in rows}) == len(rows)
    for row in rows:
        assert row["system"] in ("un", "iso", "eurostat", "short", "name")
        assert row["source"]
        assert row["iso3"] in known or row["note"].startswith(("aggregate: ", "historic: ")), row
        assert (row["iso3"] == "EU27") == (bool(row["iso3"]) and row["note"].startswith("aggregate")), row
