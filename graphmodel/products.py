"""Product lists and HS codes as questions, and which rows of trade they ask for."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import pandas as pd

from chiptrail.graphmodel.coded import combined
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.hs import clean_hs
from chiptrail.graphmodel.periods import parse_period


@dataclass(frozen=True)
class ProductQuestion:
    """Products that a question asks for.

    `codes` and `wider` map an HS version ("" for any) to HS codes: `codes` are asked for with all codes below them;
    `wider` are codes or sets that hold other goods too, accepted where a source gives nothing finer.
    """

    name: str
    codes: Mapping[str, frozenset[str]]
    wider: Mapping[str, frozenset[str]]


def product_codes(
    products: str | Sequence[str] | None, *, on: str | dt.date | None = None
) -> ProductQuestion:
    """Question for all products (None), a product list, an HS code, a product set, or several of these.

    Parameters
    ----------
    products
        "chips", "drones", "chpl" (Common High Priority List), a tier of it ("chpl:1", "chpl:3.A"; "chpl:3" is 3.A and
        3.B), an HS code ("8542", "8542.31"), a set ("8541+8542", the same as both codes), or a list of these.
    on
        Day whose version of a dated list is meant; without it, the newest.

    Raises
    ------
    UnknownNameError
        Unknown list or tier, or no version of the list on that day.
    InputError
        An HS code that is not text of 2 to 12 digits.

    Notes
    -----
    `chips` is 8542 and 8541 without its photosensitive and light-emitting devices (solar cells, LED: 854140, since
    HS2022 854141 to 854149); heading 8541 and the sum 8541+8542 are accepted as wider. `chpl` is held as of 2023-05-19
    (nine codes, without tiers; tiers 1 and 2 of the later list) and 2024-02-23 (50 codes); a day between them gives the
    first, though versions of more codes were in use. Six of the 50 codes begin with HS2022; for HS2017 the older,
    wider codes are accepted as wider. `drones` is 8806, which begins with HS2022: before, drones cannot be told apart.
    A plain HS code is taken in whatever version a row has.

    Examples
    --------
    >>> product_codes("8542.31").codes
    {'': frozenset({'854231'})}
    >>> sorted(product_codes("chpl:1").codes["HS2022"])
    ['854231', '854232', '854233', '854239']
    """
    if products is None:
        return ProductQuestion("all products", {"": frozenset({""})}, {})
    names = list(products) if isinstance(products, Sequence) and not isinstance(products, str) else [products]
    if not names:
        raise UnknownNameError("product", "", (), "(an empty list asks for nothing; give None for all products)")
    titles, rows = [], []
    for name in names:
        title, found = _rows(name, on)
        titles.append(title)
        rows.append(found)
    table = pd.concat(rows)
    wide = table["wider"].eq("yes")
    return ProductQuestion(", ".join(titles), _by_version(table[~wide]), _by_version(table[wide]))


def match(
    question: ProductQuestion, hs_code: pd.Series, product_set: pd.Series, hs_version: pd.Series
) -> pd.DataFrame:
    """For each row three flags, at most one of them true: within, coarse, too_coarse; the index is that of `hs_code`.

    Parameters
    ----------
    question
        From `product_codes`.
    hs_code, product_set, hs_version
        Columns of the trades table.

    Returns
    -------
    pandas.DataFrame
        within: the row's code, or every code of its set, lies in the question.
        coarse: the row's code or set holds other goods too, and the question accepts it (`wider`).
        too_coarse: the row holds goods of the question and others and cannot be counted, or its HS version is one for
        which the list is not known.

    Notes
    -----
    A list of one HS version is not applied to rows of another. A row of unknown version ("") is within where all
    versions that know its code agree, else coarse or too_coarse. A row with neither code nor set is in no column,
    unless the question is for all products.

    Examples
    --------
    >>> text = lambda *values: pd.Series(values, dtype="str")
    >>> match(product_codes("8542"), text("854231", ""), text("", "8541+8542"), text("HS2017", "")).to_dict("list")
    {'within': [True, False], 'coarse': [False, False], 'too_coarse': [False, True]}
    """
    columns = (hs_code, product_set, hs_version)
    place, first = combined(columns)
    keys = zip(*(column.iloc[first].tolist() for column in columns), strict=True)
    verdicts = np.array([_verdict(question, *key) for key in keys], dtype="object")
    return pd.DataFrame(
        {flag: (verdicts == flag)[place] if len(place) else False for flag in ("within", "coarse", "too_coarse")}, index=hs_code.index,
        dtype=bool)


def product_lists() -> pd.DataFrame:
    """Reference table of the product lists: product_list, valid_from, tier, hs_version, hs_code, wider, source_url.

    One row is a code of a list; `hs_version` holds one version or several, joined by spaces, or is empty for any;
    `wider` = yes marks codes and sets that hold other goods too; `source_url` is an address or a title.
    """
    return _table().copy()


def _rows(name: str, on: str | dt.date | None) -> tuple[str, pd.DataFrame]:
    """Title and rows of one product list, tier, code or set."""
    if not isinstance(name, str) or name.strip()[:1].isdigit():
        codes = [clean_hs(part) for part in name.split("+")] if isinstance(name, str) else [clean_hs(name)]
        if "" in codes:
            raise InputError(f"product set {name[:40]!r} has an empty code; write it as '8541+8542'")
        rows = pd.DataFrame({"hs_version": "", "hs_code": codes, "wider": "no"})
        return "HS " + "+".join(codes), rows
    table = _table()
    wanted, _, tier = name.strip().partition(":")
    rows = table[table["product_list"].eq(wanted.casefold())]
    if rows.empty:
        known = [*table["product_list"].unique()]
        raise UnknownNameError("product list", name, known, f"(known: {', '.join(known)}, or an HS code such as '8542')")
    day = "9999" if on is None else str(parse_period(on)[0] if isinstance(on, str) else on)[:10]
    valid = rows.loc[rows["valid_from"].le(day), "valid_from"]
    if valid.empty:
        first = rows["valid_from"].min()
        raise UnknownNameError("product list", name, (), f"on {day} (its first version is of {first})")
    rows = rows[rows["valid_from"].eq(valid.max())]
    title = f"{wanted.casefold()} of {valid.max()}".removesuffix(" of ")
    if not tier:
        return title, rows
    tiers = rows["tier"].str.casefold()
    in_tier = rows[tiers.eq(tier.casefold()) | tiers.str.startswith(tier.casefold() + ".")]
    if in_tier.empty:
        tiers_known = ", ".join(sorted({*rows["tier"]} - {""}))
        raise UnknownNameError("tier", name, (), f"(tiers of {title}: {tiers_known or 'none'})")
    return f"{title}, tier {tier.upper()}", in_tier


def _by_version(rows: pd.DataFrame) -> dict[str, frozenset[str]]:
    spread = rows.assign(hs_version=rows["hs_version"].str.split(" ")).explode("hs_version")
    return {str(version): frozenset(codes) for version, codes in spread.groupby("hs_version")["hs_code"]}


def _verdict(question: ProductQuestion, hs_code: str, product_set: str, hs_version: str) -> str:
    """within, coarse, too_coarse or out."""
    listed = {*question.codes, *question.wider} - {""}
    if hs_version in listed or not listed:
        return _place(question, hs_code, product_set, {hs_version, ""})
    anyhow = _place(question, hs_code, product_set, {""})
    verdicts = {_place(question, hs_code, product_set, {version, ""}) for version in listed} - {"out"}
    if anyhow == "within" or not verdicts:
        return "within" if anyhow == "within" else "out"
    if hs_version:
        return anyhow if anyhow == "coarse" else "too_coarse"
    if len(verdicts) == 1:
        return verdicts.pop()
    return "coarse" if verdicts == {"within", "coarse"} else "too_coarse"


def _place(question: ProductQuestion, hs_code: str, product_set: str, versions: set[str]) -> str:
    """Where a code or set stands to the codes that the question has for these versions."""
    asked = tuple(code for version in versions for code in question.codes.get(version, ()))
    wider = {code for version in versions for code in question.wider.get(version, ())}
    parts = sorted(product_set.split("+")) if product_set else [hs_code]
    inside = [part.startswith(asked) for part in parts]
    if all(inside):
        return "within"
    if "+".join(parts) in wider or hs_code[:6] in wider:
        return "coarse"
    holds = any(code.startswith(part) for part in parts if part for code in (*asked, *wider))
    return "too_coarse" if any(inside) or holds else "out"


@cache
def _table() -> pd.DataFrame:
    with (files("chiptrail.graphmodel") / "reference" / "product_lists.csv").open(encoding="utf-8") as file:
        return pd.read_csv(file, dtype=str, keep_default_na=False)
