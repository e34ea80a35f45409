"""Published results beside what the data at hand give: the published value, ours, the difference and its reason."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.recomputed import (
    AtHand,
    Recompute,
    change,
    gap,
    growth,
    heading,
    list_length,
    missing_of_additional,
    not_at_hand,
    share_missing,
    share_of_parts,
)
from chiptrail.queries.scope import shaped

_DTYPES = {
    "publication": "str", "figure": "str", "published": "float64", "ours": "float64", "ours_low": "float64", "ours_high": "float64",
    "difference": "float64", "unit": "str", "kind": "str", "reason": "str", "url": "str",
}
COLUMNS = tuple(_DTYPES)
KINDS = ("recomputed from records", "contradicted", "counted in our list", "refused", "quoted", "data not at hand")
NETWORKS = ("countries", "firms", "totals")
Row = tuple[str, str, str, str, str]
"""A published figure: exporter, importer, product list, period, measure."""


@dataclass(frozen=True)
class Claim:
    """A published result: from which published figures it follows, how it is recomputed, and when ours agrees with it.

    `agrees` takes the published value and ours; None where they measure different things, so that neither contradicts the other.
    `kind` is that of a result that agrees; `needs` says which data to give where they are not at hand, instead of the `reason`.
    """

    figure: str
    rows: tuple[Row, ...]
    published: Callable[..., float]
    unit: str
    recompute: Recompute
    agrees: Callable[[float, float], bool] | None
    reason: str = ""
    publisher: str = ""
    quoted: tuple[Row, ...] = ()
    kind: str = "recomputed from records"
    needs: str = ""


def _within(tolerance: float) -> Callable[[float, float], bool]:
    """Whether ours is within so much of the published value."""
    return lambda published, ours: abs(ours - published) <= tolerance


def _nearly(share: float) -> Callable[[float, float], bool]:
    return lambda published, ours: abs(ours - published) <= share * abs(published)


def _at_least(published: float, ours: float) -> bool:
    return ours >= published


def _itself(value: float) -> float:
    return value


def _ratio(before: float, after: float) -> float:
    return after / before


def _percent(before: float, after: float) -> float:
    return 100 * (after / before - 1)


def _missing(exports: float, imports: float) -> float:
    return 100 * (1 - imports / exports)


def _to_russia(exporter: str, goods: str, *years: str) -> tuple[Row, ...]:
    return tuple((exporter, "RUS", goods, year, "export") for year in years)


def _both(importer: str, year: str) -> tuple[Row, ...]:
    return tuple(("EU27", importer, "total_goods", year, measure) for measure in ("export", "import"))


_TWO_REPORTERS = "the publication reads Russian customs, ours is what the exporter reported of HS 8542"
_PARTS = "another collection: the parts that Ukrainian military intelligence lists, read in 2026"
_COMTRADE = "subheadings cannot exceed their heading in the same statistic; the publication's figures were not read again"
_UNION = {"KGZ": "Kyrgyzstan", "KAZ": "Kazakhstan", "ARM": "Armenia", "UZB": "Uzbekistan"}
_ASSUMED = "that the importer's partners are by consignment is not stated"
_ANNUAL = f"calendar year, no margin; the publication's period runs from February to February; {_ASSUMED}"
_TOTALS = "needs exports of the Union and imports from it, both in total: give the folder that holds mirror_totals/ (`--data`)"
_GHOST = f"no margin, interval at 0 to 20%; {_ASSUMED}"

CLAIMS = (
    *(Claim(f"share of EU exports to {_UNION[c]} not recorded there, {year}", _both(c, year), _missing, "percent",
            share_missing(c, year), _within(0.5), _GHOST, needs=_TOTALS)
      for c, years in (("KGZ", ("2021", "2022", "2023")), ("KAZ", ("2021", "2022", "2023")), ("ARM", ("2021", "2022", "2023")),
                       ("UZB", ("2022",))) for year in years),
    Claim("share of additional EU exports to Kazakhstan and Kyrgyzstan in 2022 and 2023 not recorded there",
          (("EU27", "KAZ+KGZ", "total_goods", "2022/2023", "share"),), _itself, "percent", missing_of_additional("KAZ", "KGZ"),
          _within(0.5), _ASSUMED, needs=_TOTALS),
    Claim("share of additional exports to Armenia, Kazakhstan and Kyrgyzstan that did not arrive (around half)",
          (("EU27+GBR", "ARM+KAZ+KGZ", "total_goods", "2022/2023", "share"),), _itself, "percent", missing_of_additional("KAZ", "KGZ"),
          _within(10), f"ours without the United Kingdom, and without Armenia, whose 2023 is a partial year; {_ASSUMED}",
          needs=_TOTALS),
    Claim("EU exports to Kazakhstan less Kazakh imports, first year of war", (("EU27", "KAZ", "total_goods", "2022-02/2023-02", "export"),),
          _itself, "USD", gap("KAZ", "2022"), _nearly(0.1), _ANNUAL, needs=_TOTALS),
    Claim("Armenian chips to Russia, 2022 as a multiple of 2021 (at least)", _to_russia("ARM", "hs8542", "2021", "2022"), _ratio, "times",
          growth("ARM", "2021", "2022"), _at_least, "2021 is published as less than 2,000 USD"),
    Claim("Chinese chips to Russia, 2022 as a multiple of 2021", _to_russia("CHN", "hs8542", "2021", "2022"), _ratio, "times",
          growth("CHN", "2021", "2022"), _nearly(0.05), "ours are rounded values"),
    Claim("Turkish electronic components to Russia, 2022 as a multiple of 2021", _to_russia("TUR", "electronic_components", "2021", "2022"),
          _ratio, "times", growth("TUR", "2021", "2022"), None, "ours are integrated circuits alone, rounded"),
    Claim("Emirati chips to Russia, 2022 as a multiple of 2021", _to_russia("ARE", "hs8542", "2021", "2022"), _ratio, "times",
          growth("ARE", "2021", "2022"), None, _TWO_REPORTERS),
    Claim("Hong Kong's semiconductors to Russia, change in 2022", (("HKG", "RUS", "semiconductors", "2022", "growth"),), _itself, "percent",
          change("HKG", "2021", "2022"), None,
          "ours is what Hong Kong reported of HS 8542; the publication's list and reporter are not stated"),
    Claim("Kyrgyz chips to Russia in 2023: 854231 and 854233 together (at most the heading)",
          (*_to_russia("KGZ", "hs854231", "2023"), *_to_russia("KGZ", "hs854233", "2023")), lambda a, b: a + b, "USD",
          heading("KGZ", "2023"), _at_least, _COMTRADE),
    Claim("Turkish processors to Russia in 2023: 854231 (at most the heading)", _to_russia("TUR", "hs854231", "2023"), _itself, "USD",
          heading("TUR", "2023"), _at_least, _COMTRADE),
    *(Claim(f"share of parts in Russian weapons by makers of {name}", ((c, "RUS", "weapon_components_kse", "2023", "share"),), _itself,
            "percent", share_of_parts(c), None, _PARTS)
      for c, name in (("USA", "the USA"), ("CHE", "Switzerland"), ("JPN", "Japan"), ("CHN", "China"))),
    Claim("share of parts in Russian weapons by makers of the USA (318 of 450)",
          (("WLD", "RUS", "weapon_components_rusi", "2022-08", "count"), ("USA", "RUS", "weapon_components_rusi", "2022-08", "count")),
          lambda every, own: 100 * own / every, "percent", share_of_parts("USA"), None, _PARTS),
    Claim("share of parts in Russian weapons by makers of the USA (nearly three quarters)",
          (("USA", "RUS", "weapon_components_nacp", "2023-12", "share"),), _itself, "percent", share_of_parts("USA"), None, _PARTS),
    Claim("items on the high-priority list, all tiers", (("WLD", "RUS", "chpl50", "2024-10", "count"),), _itself, "count", list_length,
          _within(0), "the list that comes with chiptrail, no trade record", kind="counted in our list"),
    *(Claim(f"Kyrgyz exports to Russia, change in 2022 ({short})", (("KGZ", "RUS", "total_goods", "2022", "growth"),), _itself, "percent",
            not_at_hand, None, "publications disagree; beside it the change between two figures of a third", publisher,
            _to_russia("KGZ", "total_goods", "2021", "2022"))
      for publisher, short in (("Washington Post", "Washington Post"), ("AFP", "Kyrgyz customs"))),
    *(Claim(figure, (row,), _itself, "percent", not_at_hand, None, needs) for figure, row, needs in (
        ("EU exports of high-priority goods to Kyrgyzstan, change", ("EU27", "KGZ", "chpl50", "2022-10/2023-09", "growth"),
         "needs EU exports after November 2022 of all 50 codes"),
        ("EU exports of high-priority goods to Kazakhstan, change", ("EU27", "KAZ", "chpl50", "2022-10/2023-09", "growth"),
         "needs EU exports after November 2022 of all 50 codes"),
        ("EU chips and processors to Armenia, change", ("EU27", "ARM", "chips_and_processors", "2022", "growth"),
         "the product list is not stated, and EU exports of December 2022 are not at hand"),
        ("Armenia's chips and processors sent on to Russia", ("ARM", "RUS", "chips_and_processors", "2022", "share"),
         "needs exports of the USA, and the product list"),
        ("China's share of Russia's high-priority imports", ("CHN", "RUS", "chpl50", "2023", "share"), "needs Russian customs records"),
        ("Chinese high-priority goods to Kazakhstan and Kyrgyzstan, change", ("CHN", "KAZ+KGZ", "battlefield45", "2023", "growth"),
         "needs Chinese customs records"),
    )),
)
"""Published results, one row of the scorecard each."""


def scorecard(figures: pd.DataFrame, networks: Mapping[str, TradeNetwork]) -> pd.DataFrame:
    """One row per published result: the published value, ours, the difference and its reason.

    Parameters
    ----------
    figures
        Table of published figures, as `published_figures` gives it.
    networks
        Data at hand by name: `countries` and `firms` (bundled), `totals` (of `load_mirror_totals`). Any may be missing.

    Returns
    -------
    DataFrame
        `publication` (publisher), `figure`, `published` and `ours` (in `unit`; ours is missing where there is none), `ours_low` and
        `ours_high` (interval, where there is one), `difference` (ours less published, in `unit`), `unit` (percent, times, USD,
        count), `kind`, `reason` (of the difference, or why there is none of ours) and `url`. `kind` is `recomputed from records`;
        `contradicted` (recomputed, and beyond what rounding and wording allow); `counted in our list` (the reference list that comes
        with chiptrail, no record); `refused` (the records are at hand, but say nothing); `quoted` (beside it another published
        figure, no record); `data not at hand`. `attrs` holds question, notes, and sources.

    Raises
    ------
    UnknownNameError
        If a network is given under another name.

    Notes
    -----
    A result is derived: a share, ratio, sum or difference, never a cell of a source. Where ours measures something else (another
    collection, other goods, another reporter) the difference is shown and nothing is called contradicted. A contradiction says that
    two sources disagree, not which of them is right. The first note counts results, each number once however many rows show it.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.scorecard()
    >>> table["kind"].value_counts().head(2).to_dict()
    {'data not at hand': 19, 'recomputed from records': 11}
    """
    for name in set(networks) - set(NETWORKS):
        raise UnknownNameError("network", name, NETWORKS, f"known: {', '.join(NETWORKS)}")
    data = AtHand(**networks)
    rows = [row for claim in CLAIMS if (row := _row(claim, figures, data)) is not None]
    table = shaped(pd.DataFrame(rows, columns=list(COLUMNS)), _DTYPES)
    sources = {row["source_id"]: row for network in networks.values() for row in network.sources.to_dict("records")}
    table.attrs = {"question": {"networks": sorted(networks)}, "notes": _notes(table), "left_aside": {},
                   "sources": [sources[key] for key in sorted(sources)]}
    return table


def _row(claim: Claim, figures: pd.DataFrame, data: AtHand) -> dict[str, Any] | None:
    """The row of a claim; None if its figures are not in the table."""
    found = [_figure(figures, row, claim.publisher) for row in claim.rows]
    if any(figure is None for figure in found):
        return None
    told = [figure for figure in found if figure is not None]
    published = claim.published(*(figure["value_num"] for figure in told))
    row = {"publication": told[0]["publisher"], "figure": claim.figure, "published": published, "unit": claim.unit,
           "url": told[0]["source_url"], "reason": claim.reason}
    others = [_figure(figures, row, "") for row in claim.quoted]
    if others and all(other is not None for other in others):
        ours = _percent(*(other["value_num"] for other in others if other is not None))
        return row | {"ours": ours, "difference": ours - published, "kind": "quoted"}
    result = claim.recompute(data)
    if result is None:
        return row | {"kind": "data not at hand", "reason": claim.needs or claim.reason}
    if result.refused:
        return row | {"kind": "refused", "reason": result.refused}
    holds = claim.agrees is None or claim.agrees(published, result.value)
    return row | {"ours": result.value, "ours_low": result.low, "ours_high": result.high, "difference": result.value - published,
                  "kind": claim.kind if holds else "contradicted",
                  "reason": "; ".join(filter(None, [claim.reason, result.note]))}


def _figure(figures: pd.DataFrame, row: Row, publisher: str) -> dict[Any, Any] | None:
    """The first of the published figures that is meant."""
    chosen = figures["publisher"].str.contains(publisher, regex=False)
    for column, value in zip(("exporter", "importer", "product_list", "period", "measure"), row, strict=True):
        chosen &= figures[column].eq(value)
    found = figures[chosen].to_dict("records")
    return found[0] if found else None


def _notes(table: pd.DataFrame) -> list[str]:
    kinds = table["kind"].value_counts()
    done = table[table["kind"].eq("recomputed from records")]
    others = ", ".join(f"{int(kinds[kind])} {kind}" for kind in KINDS[1:] if kind in kinds)
    results, rows = len(done.drop_duplicates(["ours", "unit"])), len(done)
    return [
        f"{results} derived results of {done['publication'].nunique()} publications are recomputed from records"
        f"{f' ({rows} rows, some of which show the same number)' if rows > results else ''}",
        f"not counted: {others or 'none'}",
        "a contradiction says that two sources disagree, not which of them is right",
        "where the data do not cover a result, nothing is said of it",
    ]
