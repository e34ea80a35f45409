"""Harmonized System codes: their form, their headings, and where codes of different HS versions can be compared."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path

import pandas as pd

from chiptrail.graphmodel.errors import InputError, NotComparableError, UnknownNameError

HS_VERSIONS = ("HS1992", "HS1996", "HS2002", "HS2007", "HS2012", "HS2017", "HS2022")
"""Versions of the Harmonized System, oldest first; UN Comtrade calls them H0 to H6."""

_FORM = re.compile(r"[0-9]{2,}|[0-9]+([. ][0-9]{2,})+")


def clean_hs(text: str) -> str:
    """HS code without dots and spaces, as text with its leading zeros; "" stays "".

    Raises
    ------
    InputError
        The code is not text, or not 2 to 12 digits, or has 3, 5 or 7 digits, which no HS or national tariff code has:
        then a leading zero was lost.

    Examples
    --------
    >>> clean_hs("8542.31"), clean_hs("0101 21"), clean_hs("")
    ('854231', '010121', '')
    """
    if not isinstance(text, str):
        raise InputError(f"HS code {text!r} is no text, and as a number it loses its leading zero; read files with "
                         "dtype=str")
    plain = text.replace("\u00a0", " ").strip()
    if plain == "":
        return ""
    code = plain.replace(".", "").replace(" ", "")
    if len(code) in (1, 3, 5, 7) and re.fullmatch("[0-9]+", code):
        raise InputError(f"HS code {text[:40]!r} has {len(code)} digit{'s' * (len(code) > 1)}: has it lost its leading "
                         f"zero? Give it as text ({'0' + code!r})")
    if not _FORM.fullmatch(plain) or not 2 <= len(code) <= 12:
        raise InputError(f"HS code {text[:40]!r} is not 2 to 12 digits; give it as text, such as '8542' or '8542.31'")
    return code


def heading(code: str) -> str:
    """First four digits of an HS code; a chapter of two digits stays as it is.

    Examples
    --------
    >>> heading("854231"), heading("85")
    ('8542', '85')
    """
    return code[:4]


def comparable_code(
    code: str, hs_version: str, *, versions: Iterable[str], concordance: pd.DataFrame | None = None
) -> str:
    """Code at which a row with this code can be compared with rows of the given HS versions.

    The same code if it did not change, or if it is a heading or a chapter; the old code where that was divided or
    renamed (854149 of HS2022 is a part of 854140); six digits of longer national codes, unless there is one version.

    Parameters
    ----------
    code, hs_version
        Code of the row and its HS version ("" if unknown).
    versions
        All HS versions that are to be compared.
    concordance
        Table from `read_concordance`; without it, only HS2017 and HS2022 and the codes of the bundled product lists and
        their neighbours are known.

    Raises
    ------
    NotComparableError
        The version of a code of more than four digits is unknown; the goods of the code come from many codes (854151);
        the heading does not exist in one of the versions (8806 before HS2022); or the table does not know the code.
    UnknownNameError
        A version is not one of `HS_VERSIONS`.

    Notes
    -----
    HS2022 also moved goods from nearly all codes of electronics to new ones that gather them: electronic waste (8549),
    display modules (8524), drones with cameras (8806). Codes are compared without those goods, so the old side is
    slightly wider.

    Source: WCO, Correlation Tables HS 2017-2022, https://www.wcoomd.org/en/topics/nomenclature/instrument-and-tools/\
hs-nomenclature-2022-edition/correlation-tables-hs-2017-2022.aspx

    Examples
    --------
    >>> comparable_code("854149", "HS2022", versions=["HS2017", "HS2022"])
    '854140'
    >>> comparable_code("854231", "HS2017", versions=["HS2017", "HS2022"])
    '854231'
    """
    code, needed = clean_hs(code), {hs_version, *versions}
    for version in needed - {"", *HS_VERSIONS}:
        raise UnknownNameError("HS version", version, HS_VERSIONS, f"(known: {', '.join(HS_VERSIONS)})")
    if not code:
        raise NotComparableError("a row without an HS code cannot be compared by product; leave it out")
    if "" in needed:
        if len(code) > 4:
            raise NotComparableError(f"HS code {code} cannot be compared beyond its heading, because the HS version of "
                                     f"some rows is unknown; compare at {code[:4]}, or state the version when loading")
        return code
    if len(needed) == 1:
        return code
    places = sorted(HS_VERSIONS.index(v) for v in needed)
    pairs = list(zip(HS_VERSIONS[places[0]:places[-1]], HS_VERSIONS[places[0] + 1:places[-1] + 1], strict=True))
    tables = {pair: _pair(pair, concordance) for pair in pairs}
    if len(code) <= 4:
        return _same_heading(code, tables)
    code = code[:6]
    parts = [code]
    for older, newer in pairs:
        if older >= hs_version:
            parts = [new for old in parts for new in _new_codes(old, older, newer, tables[older, newer])]
    for older, newer in reversed(pairs):
        if newer <= hs_version:
            code = _old_code(code, older, newer, tables[older, newer])
    return code


@cache
def held_elsewhere(code: str) -> dict[str, frozenset[str]]:
    """The codes under which the goods of a code or heading stood, for each HS version in which it did not exist.

    Known are HS2017 and HS2022 and the codes of the bundled product lists and their neighbours; of others nothing is said.

    Examples
    --------
    >>> held_elsewhere("854149"), held_elsewhere("854231")
    ({'HS2017': frozenset({'854140'})}, {})
    """
    table, code = _bundled(), code[:6]
    found = {}
    for here, version, there in (("new_code", "old_version", "old_code"), ("old_code", "new_version", "new_code")):
        rows = table[table[here].str.startswith(code)]
        if len(rows) and not table[there].str.startswith(code).any():
            found[str(rows[version].iloc[0])] = frozenset(rows[there]) - {""}
    return found


def read_concordance(path: str | Path) -> pd.DataFrame:
    """Concordance of HS versions: old_version, old_code, new_version, new_code (text, six digits), relation.

    `relation` is *same* if the goods of the new code come from the code of the same number alone, *part* if from one
    other code, *many* if from several. Zeros that the file lost at the left are restored, since both layouts hold codes
    of six digits only.

    Parameters
    ----------
    path
        CSV file in one of two public layouts: code.after, code.before, Relationship, adjustment ("2022 to 2017"; rows
        of other classifications than HS are left out), or conversion weights with two columns named H0 to H6.

    Raises
    ------
    InputError
        The file has another layout, or a code that is not digits (with its row).
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise InputError(f"{Path(path).name}: cannot be read as CSV in UTF-8 ({error})") from error
    weights = sorted(c for c in table.columns if re.fullmatch("H[0-6]", c))
    if {"code.after", "code.before", "adjustment"} <= set(table.columns):
        years = table["adjustment"].str.extract(r"^(\d{4}) to (\d{4})$").fillna("")
        found = pd.DataFrame({"old_version": "HS" + years[1], "old_code": table["code.before"],
                              "new_version": "HS" + years[0], "new_code": table["code.after"]})
    elif len(weights) == 2:
        old, new = (HS_VERSIONS[int(c[1])] for c in weights)
        found = pd.DataFrame({"old_version": old, "old_code": table[weights[0]], "new_version": new,
                              "new_code": table[weights[1]]})
    else:
        raise InputError(f"{Path(path).name}: no concordance in a known layout; columns found: "
                         f"{', '.join(table.columns)[:200]}; needed: code.after, code.before and adjustment, or two of "
                         "H0 to H6")
    found = found[found["old_version"].isin(HS_VERSIONS) & found["new_version"].isin(HS_VERSIONS)]
    for column in ("old_code", "new_code"):
        wrong = found.loc[~found[column].str.fullmatch("[0-9]{1,6}"), column]
        if len(wrong):
            raise InputError(f"{Path(path).name}: row {wrong.index[0] + 2}, {column}: {wrong.iloc[0][:40]!r} is no HS "
                             "code of six digits; correct the file")
        found[column] = found[column].str.zfill(6)
    found = found.drop_duplicates().reset_index(drop=True)
    n_old = found.groupby(["old_version", "new_version", "new_code"])["old_code"].transform("size")
    found["relation"] = "many"
    found.loc[n_old.eq(1), "relation"] = "part"
    found.loc[n_old.eq(1) & found["old_code"].eq(found["new_code"]), "relation"] = "same"
    return found


@cache
def _bundled() -> pd.DataFrame:
    with (files("chiptrail.graphmodel") / "reference" / "hs_concordance.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)


def _pair(pair: tuple[str, str], concordance: pd.DataFrame | None) -> pd.DataFrame:
    """Rows between two neighbouring versions: of the concordance given, else of the bundled table."""
    for table in (concordance, _bundled()):
        if table is not None:
            rows = table[table["old_version"].eq(pair[0]) & table["new_version"].eq(pair[1])]
            if len(rows):
                return rows
    raise NotComparableError(f"no concordance between {pair[0]} and {pair[1]} at hand: give one as "
                             "concordance=read_concordance(path)")


def _same_heading(code: str, tables: dict[tuple[str, str], pd.DataFrame]) -> str:
    for (older, newer), rows in tables.items():
        old, new = ({c[:len(code)] for c in rows[column]} for column in ("old_code", "new_code"))
        if code in old ^ new:
            raise NotComparableError(f"heading {code} exists only in {newer if code in new else older}, not in "
                                     f"{older if code in new else newer}; its goods stood under other codes")
    return code


def _old_code(code: str, older: str, newer: str, rows: pd.DataFrame) -> str:
    """The one code of the older version that holds all goods of this code."""
    rows = rows[rows["new_code"].eq(code)]
    if rows.empty:
        raise _unknown(code, older, newer)
    if rows["relation"].eq("many").any():
        known = ", ".join(rows["old_code"].loc[lambda c: c.ne("")].head(5))
        raise NotComparableError(f"the goods of {code} ({newer}) come from many codes of {older}"
                                 f"{f', such as {known}' if known else ''}: no single wider code holds them; compare "
                                 "within one version, or at the heading if that is meant")
    return rows["old_code"].iloc[0]


def _new_codes(code: str, older: str, newer: str, rows: pd.DataFrame) -> list[str]:
    """The codes of the newer version that hold goods of this code and of no other."""
    rows = rows[rows["old_code"].eq(code)]
    if rows.empty:
        raise _unknown(code, older, newer)
    alone = rows.loc[rows["relation"].ne("many"), "new_code"].tolist()
    if not alone:
        new = ", ".join(rows["new_code"].head(5))
        raise NotComparableError(f"the goods of {code} ({older}) stand in {newer} under codes that hold other goods "
                                 f"too ({new}); compare within one version")
    return alone


def _unknown(code: str, older: str, newer: str) -> NotComparableError:
    return NotComparableError(f"whether {code} changed between {older} and {newer} is not in the table at hand: give "
                              "one that knows it as concordance=read_concordance(path), or compare at the heading")
