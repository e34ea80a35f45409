"""Countries as trade statistics name them: codes and names to ISO 3166 alpha-3, blocs, and aggregates."""

import csv
import re
import unicodedata
from functools import cache, lru_cache
from importlib.resources import files
from typing import NamedTuple

from chiptrail.graphmodel.errors import InputError, UnknownNameError

GROUPS: dict[str, tuple[str, ...]] = {
    "EU27": ("AUT", "BEL", "BGR", "CYP", "CZE", "DEU", "DNK", "ESP", "EST", "FIN", "FRA", "GRC", "HRV", "HUN", "IRL",
             "ITA", "LTU", "LUX", "LVA", "MLT", "NLD", "POL", "PRT", "ROU", "SVK", "SVN", "SWE"),
    "CCA5": ("ARM", "GEO", "KAZ", "KGZ", "UZB"),
    "FSU5": ("AZE", "GEO", "KAZ", "KGZ", "UZB"),
}
"""Named groups and their members (alpha-3): EU27 (the European Union since 2020), and CCA5 (Caucasus and Central
Asia) and FSU5, two groups of former Soviet republics that published figures use. Only EU27 is also a bloc that sources
report as one economy."""

SYSTEMS: dict[str, tuple[str, ...]] = {
    "any": ("un", "iso", "eurostat", "name"),
    "iso": ("iso",),
    "un": ("un", "iso", "name"),
    "baci": ("un", "iso", "name"),
    "eurostat": ("eurostat", "iso", "name"),
    "name": ("name",),
}
"""Where a value is looked up, in this order: un (numbers), iso (letters), eurostat (letters), name."""

_SHORT_WORDS = {"rep": "republic", "dem": "democratic", "isds": "island", "isd": "island", "islands": "island",
                "terr": "territory", "territories": "territory", "st": "saint", "fr": "french", "br": "british"}
_LEFT_OUT = re.compile(r"\b(nes|n\.\s?e\.\s?s|not elsewhere specified|not specified|unspecified)\b")
_ENDED = re.compile(r"\(\s*\.\.\.\s*\d{4}\s*\)")


class _Entry(NamedTuple):
    iso3: str
    note: str


def country_code(value: str, *, system: str = "any") -> str:
    """ISO 3166 alpha-3 code of a country, or the code of a bloc that a source reports as one economy ("EU27").

    Parameters
    ----------
    value
        Code or name. Upper and lower case, accents, the order of words ("Korea, Rep. of"), and remarks in brackets
        ("Germany (incl. ...)") do not matter.
    system
        What the value is: "un" (UN Comtrade numbers, its ISO columns and its names), "baci" (the same), "eurostat"
        (two letters with Eurostat's own such as EL and XK, and its names), "iso" (two or three letters, or the number
        of ISO 3166), "name", or "any".

    Raises
    ------
    UnknownNameError
        The value is unknown (near misses are offered), an aggregate such as World, or an entity of the past such as
        Serbia and Montenegro, which is no country of today.
    InputError
        The value is not text, or the system is not known.

    Notes
    -----
    UN numbers differ from ISO where the statistical territory differs: 842 USA, 699 India, 251 France, 757 Switzerland,
    579 Norway. 490 (S19, "Other Asia, nes") is in practice Taiwan and read as TWN. Kosovo is XKX. "NA" is Namibia.
    Whether "97", "European Union" or "EU27_2020" is an economy or a partner total beside its members depends on the
    source, so this function gives "EU27" and `is_aggregate` says True; the loader decides.

    Sources: the table `reference/country_codes.csv`, where each row cites its list, and the ISO tables of pycountry.

    Examples
    --------
    >>> country_code("842"), country_code("NA"), country_code("China, Hong Kong SAR"), country_code("97")
    ('USA', 'NAM', 'HKG', 'EU27')
    """
    entry = _find(_text(value), system)
    if entry is None:
        raise UnknownNameError("country", value, known_names(), "" if system == "any" else f"looked up as {system!r}")
    if entry.iso3:
        return entry.iso3
    kind, _, what = entry.note.partition(": ")
    if kind == "aggregate":
        raise UnknownNameError("country", value, (), f"is an aggregate ({what}), not a country: ask is_aggregate() "
                               "first and keep its rows as totals")
    raise UnknownNameError("country", value, (), f"is historic ({what}), and no country of today stands for it: leave "
                           "these rows out or say which country is meant")


def is_aggregate(value: str, *, system: str = "any") -> bool:
    """Whether a partner or reporter is an aggregate: the world, a region, areas not elsewhere specified, or a bloc.

    An aggregate is never a node of a network, except a bloc that a source reports as one economy: there
    `country_code` gives its code ("EU27"), and raises for every other aggregate. False for a country, for an entity
    of the past and for an unknown value, so call `country_code` next. Parameters and errors as in `country_code`.

    Examples
    --------
    >>> is_aggregate("World"), is_aggregate("0"), is_aggregate("Other Europe, nes"), is_aggregate("European Union")
    (True, True, True, True)
    >>> is_aggregate("Kazakhstan")
    False
    """
    entry = _find(_text(value), system)
    return entry is not None and entry.note.startswith("aggregate")


def country_name(code: str) -> str:
    """Short English name of a country or bloc, as used in reports.

    Parameters
    ----------
    code
        ISO 3166 alpha-3 code, "XKX" or "EU27".

    Raises
    ------
    UnknownNameError
        The code is not known.

    Examples
    --------
    >>> country_name("TUR"), country_name("KOR"), country_name("EU27")
    ('Turkey', 'South Korea', 'EU-27')
    """
    names = _short_names()
    if code not in names:
        raise UnknownNameError("country code", code, names, "(give the alpha-3 code)")
    return names[code]


def members(code: str) -> tuple[str, ...]:
    """Alpha-3 codes of the members of a group in `GROUPS`; of a country, the country itself.

    Raises
    ------
    UnknownNameError
        Neither a group nor a country.

    Examples
    --------
    >>> members("CCA5"), members("Turkey")
    (('ARM', 'GEO', 'KAZ', 'KGZ', 'UZB'), ('TUR',))
    """
    group = _text(code).upper()
    if group not in GROUPS:
        group = country_code(code)
    return GROUPS.get(group, (group,))


def _text(value: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"country {value!r} is not text; read files with dtype=str and keep_default_na=False, "
                         "or Namibia (NA) is lost")
    return value.strip()


@lru_cache(maxsize=65536)
def _find(value: str, system: str) -> _Entry | None:
    if system not in SYSTEMS:
        raise InputError(f"unknown code system {system!r}; give one of {', '.join(SYSTEMS)}")
    number = str(int(value)) if re.fullmatch(r"[0-9]{1,4}", value) else ""
    for place in SYSTEMS[system]:
        key = _name_key(value) if place == "name" else number or value.upper()
        found = _entries().get((place, key))
        if found is not None:
            return found
    return _find_remark(value) if "name" in SYSTEMS[system] else None


def _find_remark(value: str) -> _Entry | None:
    """A name with a remark in brackets, or one that says that its countries are not named."""
    before, bracket, _ = value.partition("(")
    found = _entries().get(("name", _name_key(before))) if bracket else None
    if _ENDED.search(value) and not (found and found.note.startswith("aggregate")):
        return _Entry("", f"historic: {value[:200]}")
    if found:
        return found
    return _Entry("", f"aggregate: {value[:200]}") if _LEFT_OUT.search(value.casefold()) else None


def _name_key(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(c for c in letters if not unicodedata.combining(c))
    words = re.findall(r"\w+", re.sub(r"(?<=\b\w)\.\s?(?=\w\b)", "", plain))  # u.a.e. is uae
    return " ".join(sorted({_SHORT_WORDS.get(w, w) for w in words} - {"of", "the", "and"}))


@cache
def _table() -> list[dict[str, str]]:
    with (files("chiptrail.graphmodel") / "reference" / "country_codes.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def _entries() -> dict[tuple[str, str], _Entry]:
    """Every code and name, by place and key; what our table says goes before pycountry."""
    import pycountry

    entries: dict[tuple[str, str], _Entry] = {}
    for row in _table():
        named = row["system"] in ("name", "short")
        key = ("name", _name_key(row["code"])) if named else (row["system"], row["code"])
        entries.setdefault(key, _Entry(row["iso3"], row["note"]))
    for country in pycountry.countries:
        entry = _Entry(country.alpha_3, "")
        for code in (country.alpha_3, country.alpha_2, str(int(country.numeric))):
            entries.setdefault(("iso", code), entry)
        for field in ("name", "common_name", "official_name"):
            if hasattr(country, field):
                entries.setdefault(("name", _name_key(getattr(country, field))), entry)
    return entries


@cache
def _short_names() -> dict[str, str]:
    import pycountry

    names = {c.alpha_3: c.name for c in pycountry.countries}
    return names | {row["iso3"]: row["code"] for row in _table() if row["system"] == "short"}


@cache
def known_names() -> tuple[str, ...]:
    names = [row["code"] for row in _table() if row["system"] == "name"]
    return (*_short_names().values(), *names, *_short_names(), *GROUPS)
