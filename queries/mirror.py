"""Mirror data: what exporters declared to have sent against what importers recorded, and what is missing between them."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, conform
from chiptrail.graphmodel.periods import period_text, window
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.cells import KEY
from chiptrail.queries.scope import SENSE, period_texts, shaped
from chiptrail.queries.sides import CELL, MONTHS, Reporting, Scope, Tellings, reports, sums, versions_text

_DTYPES = {
    "exporter_id": "str", "exporter": "str", "importer_id": "str", "importer": "str", "product": "str", "hs_version": "str",
    "period": "str", "concept": "str", "exporter_usd": "float64", "importer_usd": "float64", "importer_fob_usd": "float64",
    "gap_usd": "float64", "gap_low_usd": "float64", "gap_high_usd": "float64", "share_missing": "float64", "cif_margin": "float64",
    "status": "str", "reason": "str", "n_exporter": "int64", "n_importer": "int64",
}
COLUMNS = tuple(_DTYPES)
STATUSES = (
    "gap", "lag", "partial period", "by origin", "HS version break", "goods told in other codes", "told for another period",
    "bloc against members", "suppressed", "importer does not report", "exporter does not report", "not covered",
)
DIGITS = (2, 4, 6)
USUAL_MARGIN, LOW_MARGIN, HIGH_MARGIN = 0.06, 0.0, 0.20
_PAIRS_NEEDED = 10
_CANCELS = 0.2
_LAG_MONTHS = 2
GHOST = "declared by the exporter, not recorded by the importer"
"""What `breakdown` says of ghost trade: a part of the exporter's record."""


class _Margin(NamedTuple):
    point: float
    low: float
    high: float
    text: str


def mirror_gaps(
    network: TradeNetwork, *, exporters: Sequence[str] | None = None, importers: Sequence[str] | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None, by: str = "year",
    digits: int = 4, cif_margin: float | None = None,
) -> pd.DataFrame:
    """One row per exporter, importer, product and period: both reports, their gap with its interval, or why there is none.

    Parameters
    ----------
    network
        A network that holds reports of exporters and of importers.
    exporters, importers
        Countries, groups (`EU27`), or actors by name or id; None for all.
    products, since, until
        As in `TradeNetwork.where`.
    by
        `month`, `quarter` or `year`.
    digits
        Digits of the HS code at which the reports are compared: 2, 4 or 6.
    cif_margin
        Freight and insurance in the importer's value, as a share of the FOB value (0 to 1). By default estimated from the pairs
        that both report.

    Returns
    -------
    DataFrame
        `exporter_id`, `exporter`, `importer_id`, `importer`, `product` (HS code or set, or `all goods`), `hs_version` (of both
        reports, joined by spaces), `period`, `concept` (`dispatched`; `origin` where the importer told only origins),
        `exporter_usd` (exporter's report, FOB, USD), `importer_usd` (as reported, USD; by origin where `concept` says so),
        `importer_fob_usd` (after the margin, USD), `gap_usd` (exporter less importer, signed, USD), `gap_low_usd` and `gap_high_usd`
        (USD, at the lowest and highest margin), `share_missing` (gap / exporter; negative where the importer recorded more),
        `cif_margin` (used for the row), `status` (`gap`, or why there is none), `reason` (in words), `n_exporter` and
        `n_importer` (records). Sorted by exporter, importer, product and period. `attrs` holds the question, notes, records
        left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, product list, length of period or number of digits is not known.
    InputError
        If the margin is not between 0 and 1, or a period cannot be read.

    Notes
    -----
    gap = X - M / (1 + m), with X the exporter's report, M the importer's and m the margin. The estimate of 1 + m is exp of the median of
    ln(M / X) over pairs within a factor of two of each other, its interval from 0 to the upper quartile, at least 6 %, both held
    within 0 to 20 %. Where the lower quartile is below 0, m is not identified and lies between 0 and 20 %; with fewer than ten pairs, or
    a median that is not above 0 either, it is taken as 6 %, the factor of 1.06 of the IMF's Direction of Trade Statistics (Yearbook 2017),
    between 0 and 20 %. Where both values have the same terms, m is 0.

    Statuses. `lag`: a gap followed by an opposite one that cancels it to a fifth (goods sent in December that arrive in January).
    `partial period`: a side reported only some months, or far fewer rows or partners than in its other periods, or its first or last
    month leaves the period unfinished and no coverage says otherwise. `by origin`: the importer's partner is the country of
    origin, which is no mirror of a dispatch; the interval is then what was sent less all that arrived, up to all that was sent,
    where the imports from everywhere are known to be complete, else without a lower end. `HS version break`: the codes of the two
    reports do not mean the same goods. `goods told in other codes`, `told for another period`, `bloc against members`: a side has no
    record of the cell, but one of these days that may hold its goods, under a wider or narrower code, for a longer or shorter
    period, or for a bloc that holds the country or a member of it; that is no zero, however completely the side is covered.
    `suppressed`: a record without a value, or no record beside one under a special code (chapter 99). `not covered`: a side
    reports, but of this pair and product nothing is known, which is no zero. A period that `since` or `until` cut is named in `reason`.

    Cautions: a gap is two statistics that disagree. Goods in transit, free zones, other valuations, other partners and
    confidential trade make gaps too; it does not show where the goods went, nor that a party did anything unlawful.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.mirror_gaps(ct.load_bundled("countries"), exporters=["EU27"], importers=["KAZ", "KGZ"])
    >>> table["status"].value_counts().to_dict()
    {'by origin': 94, 'importer does not report': 32}
    """
    if digits not in DIGITS:
        raise UnknownNameError("number of digits", str(digits), (), f"choose one of {', '.join(map(str, DIGITS))}")
    if cif_margin is not None and not 0 <= cif_margin <= 1:
        raise InputError(f"cif_margin {cif_margin}: give a share of the FOB value between 0 and 1, such as 0.06")
    scope = Scope(exporters, importers, products, since, until, by, digits)
    told = reports(network, scope)
    reporting = Reporting(network, scope, told)
    table = _judged(_cells(told), told, reporting, Tellings(network, told, scope), scope)
    margin = _margin(table, cif_margin)
    table = _named_lags(_with_gaps(table, margin), by)
    names = names_of(network)
    table = table.assign(
        exporter_id=table["seller_id"], importer_id=table["buyer_id"], exporter=table["seller_id"].map(names),
        importer=table["buyer_id"].map(names), product=table["product"].map(_goods_text), period=period_texts(table["period"]),
    ).sort_values(["exporter_id", "importer_id", "product", "period"], kind="stable")
    asked = {"exporters": exporters, "importers": importers, "products": products, "since": since, "until": until, "by": by,
             "digits": digits, "cif_margin": cif_margin}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=_notes(network, table, margin, reporting),
                  source_ids=told["source_id"], left_aside=told["left_aside"])


def with_ghost_trade(network: TradeNetwork, gaps: pd.DataFrame) -> TradeNetwork:
    """The network with the positive gaps as trades of their own, `basis` inferred: declared to the importer, not recorded there.

    Parameters
    ----------
    network
        The network that `gaps` came from.
    gaps
        Table of `mirror_gaps`; rows may be left out, columns may not.

    Returns
    -------
    TradeNetwork
        With one trade more for each of the exporter's records in a cell of status `gap` and positive gap: same seller, buyer, goods
        and period, the record's share of the gap as value, `breakdown` saying what it is, `x_ghost_of` (the record's
        `trade_id`), `x_share_missing`, and `x_gap_low_usd` and `x_gap_high_usd` (USD, the record's share of the interval). Without a
        positive gap the network itself.

    Raises
    ------
    InputError
        If the table is not one of `mirror_gaps`, or speaks of records that the network does not hold.

    Notes
    -----
    Ghost trade is a part of what the exporter reported, so it is told as a part: a sum takes the record and leaves the ghost trade
    aside, and no flow counts twice. `network.where(basis=["inferred"])` holds it alone, `where(basis=["recorded"])` leaves
    it out; `prefer="importer"` takes what arrived instead of what was declared. It ends at the declared importer because nobody knows
    where it went; a placeholder as buyer would count the same goods a second time.

    Examples
    --------
    >>> import chiptrail as ct
    >>> network = ct.load_bundled("countries")
    >>> ct.with_ghost_trade(network, ct.mirror_gaps(network, exporters=["EST"])).equals(network)
    True
    """
    question = gaps.attrs.get("question", {})
    if not set(COLUMNS) <= set(gaps.columns) or "by" not in question or "digits" not in question:
        raise InputError("the table is not one of mirror_gaps: give it with all its columns and attrs (rows may be left out)")
    found = gaps[gaps["status"].eq("gap") & gaps["gap_usd"].gt(0) & gaps["exporter_usd"].gt(0)]
    if found.empty:
        return network
    scope = Scope(**{name: question.get(name) for name in Scope.__dataclass_fields__})
    told = reports(network, scope)
    own = told[told["side"].eq("exporter") & told["left_aside"].eq("")]
    own = own.assign(product=own["product"].map(_goods_text), period=period_texts(own["period"]))
    key = ["exporter_id", "importer_id", "product", "period"]
    cells = found[[*key, "exporter_usd", "share_missing", "gap_low_usd", "gap_high_usd"]]
    rows = own.merge(cells, left_on=CELL, right_on=key, suffixes=("", "_gap"))
    if len(rows.drop_duplicates(key)) < len(cells):
        raise InputError("the gaps speak of records that the network does not hold: give the network they came from")
    return _added(network, rows)


def _added(network: TradeNetwork, rows: pd.DataFrame) -> TradeNetwork:
    ghosts = rows.assign(
        trade_id=[hashlib.sha256(f"ghost {i}".encode()).hexdigest()[:24] for i in rows["trade_id"]],
        x_ghost_of=rows["trade_id"], x_share_missing=rows["share_missing"], basis="inferred", breakdown=GHOST, flow="export",
        value=rows["value"] * rows["share_missing"], value_usd=rows["value_usd"] * rows["share_missing"],
        weight_kg=np.nan, quantity=np.nan, quantity_unit="",
        x_gap_low_usd=rows["value_usd"] * rows["gap_low_usd"] / rows["exporter_usd"],
        x_gap_high_usd=rows["value_usd"] * rows["gap_high_usd"] / rows["exporter_usd"],
    )
    columns = [*network.trades.columns, *(c for c in ("x_ghost_of", "x_share_missing", "x_gap_low_usd", "x_gap_high_usd"))]
    trades = pd.concat([network.trades, ghosts[list(dict.fromkeys(columns))]], ignore_index=True)
    trades["x_ghost_of"] = trades["x_ghost_of"].fillna("").astype("str")
    others = {name: getattr(network, name) for name in ("actors", "links", "listings", "totals", "coverage", "sources")}
    return TradeNetwork(level=network.level, trades=conform(trades, "trades"), **others)


def _cells(told: pd.DataFrame) -> pd.DataFrame:
    """Both reports of each cell that the exporter told, or the importer by consignment."""
    sides = {side: sums(told, side) for side in ("exporter", "importer", "origin")}
    table = sides["exporter"].join(sides["importer"], how="outer").join(sides["origin"], how="left")
    for column in map(str, table.columns):
        if column.startswith("n_"):
            table[column] = table[column].fillna(0).astype("int64")
        elif column.startswith(("valuation", "hs_version")):
            table[column] = table[column].fillna("").astype("str")
        elif column.startswith("comparable"):
            table[column] = table[column].ne(False)
    return table.reset_index()


def _judged(table: pd.DataFrame, told: pd.DataFrame, reporting: Reporting, tellings: Tellings, scope: Scope) -> pd.DataFrame:
    """The cells with status, reason and concept; known zeros filled in; bounds where the importer told origins."""
    first, last = window(scope.since, scope.until)
    everywhere = told[told["side"].eq("origin") & told["left_aside"].eq("")].groupby(["buyer_id", "product", "period"])["value_usd"].sum(
        skipna=False).to_dict()
    rows = []
    for cell in table.to_dict("records"):
        whole = cell["period"].start_time.as_unit("us"), cell["period"].end_time.normalize().as_unit("us")
        days = max(whole[0], first or whole[0]), min(whole[1], last or whole[1])
        status, reason = _status(cell, reporting, tellings, days)
        if days != whole:
            reason = "; ".join(filter(None, [reason, f"only {period_text(*days)} of the period"]))
        if status == "by origin":
            cell |= {"concept": "origin", "importer_usd": cell["origin_usd"], "n_importer": cell["n_origin"],
                     "hs_version_importer": cell["hs_version_origin"], "high": cell["exporter_usd"]}
            imports = everywhere.get((cell["buyer_id"], cell["product"], cell["period"]))
            known = scope.exporters is None and _complete(reporting, cell, days) and tellings.arrived_in_cells(cell, days)
            if imports is not None and known:
                cell["low"] = cell["exporter_usd"] - imports
        rows.append({"concept": "dispatched", "low": np.nan, "high": np.nan} | cell | {"status": status, "reason": reason})
    extra = ["concept", "low", "high", "status", "reason"]
    return pd.DataFrame(rows, columns=[*table.columns, *extra])


def _complete(reporting: Reporting, cell: dict[Any, Any], days: tuple[pd.Timestamp, pd.Timestamp]) -> bool:
    """Whether the importer's imports by origin from everywhere are known to be told completely."""
    seen = reporting.observed("origin", "*", cell["buyer_id"], _codes(cell["product"]), *days)
    return seen.status == "covered"


def _status(
    cell: dict[Any, Any], reporting: Reporting, tellings: Tellings, days: tuple[pd.Timestamp, pd.Timestamp]
) -> tuple[str, str]:
    """Status and reason of a cell; a side without record that is known to be zero, and told nothing otherwise, gets its zero."""
    seller, buyer, period = cell["seller_id"], cell["buyer_id"], cell["period"]
    partial = ""
    for side, actor in (("exporter", seller), ("importer", buyer)):
        seen = reporting.observed(side, seller, buyer, _codes(cell["product"]), *days)
        if cell[f"n_{side}"]:
            why = reporting.in_part(side, actor, period) or (seen.text if seen.spans and seen.spans != (days,) else "")
            partial = partial or (why and f"{side}: {why}")
            continue
        status, reason = tellings.otherwise(side, cell, days)
        if not status and seen.status == "covered":
            cell[f"{side}_usd"] = 0.0
            continue
        if not status:
            status, reason = _absent(cell, side, actor, reporting)
        return status, "; ".join(filter(None, [reason, partial]))
    if partial:
        return "partial period", partial
    for side in ("exporter", "importer"):
        if np.isnan(cell[f"{side}_usd"]):
            return "suppressed", f"{side}: a record has no value"
    versions = {v for side in ("exporter", "importer") for v in cell[f"hs_version_{side}"].split(" ")} if (
        cell["n_exporter"] and cell["n_importer"]) else set()
    if len(versions) > 1 and not (cell["comparable_exporter"] and cell["comparable_importer"]):
        return "HS version break", f"codes of {versions_text(versions)}"
    return "gap", ""


def _absent(cell: dict[Any, Any], side: str, actor: str, reporting: Reporting) -> tuple[str, str]:
    """Status and reason where a side has no record, told nothing otherwise, and is not known to be zero."""
    period = cell["period"]
    only_origins = reporting.reports("origin", actor, period) and not reporting.reports(side, actor, period)
    if side == "importer" and (cell["n_origin"] or only_origins):
        return "by origin", "the importer's partner is the country of origin, not of consignment"
    if not reporting.reports(side, actor, period):
        return f"{side} does not report", f"no report of {actor} in the period"
    why = reporting.in_part(side, actor, period)
    return ("partial period", f"{side}: {why}") if why else ("not covered", f"{side}: no row, and none is not a zero")


def _codes(product: str) -> frozenset[str]:
    return frozenset(product.split("+")) - {""}


def _goods_text(product: str) -> str:
    """The product, or `all goods` where it is the set of all chapters."""
    return "all goods" if product.count("+") > 90 else product


def _is_cif(table: pd.DataFrame) -> pd.Series:
    """Whether the importer's value holds freight that the exporter's does not."""
    return ~table["valuation_importer"].eq("FOB") & ~table["valuation_exporter"].eq("CIF")


def _margin(table: pd.DataFrame, given: float | None) -> _Margin:
    if given is not None:
        high = max(HIGH_MARGIN, given)
        return _Margin(given, LOW_MARGIN, high, f"CIF margin {given:.1%} as given; interval at 0 to {high:.0%}")
    both = table[table["status"].eq("gap") & table["exporter_usd"].gt(0) & table["importer_usd"].gt(0) & _is_cif(table)]
    ratio = (both["importer_usd"] / both["exporter_usd"]).transform(np.log)
    ratio = ratio[ratio.abs() < np.log(2)]
    if len(ratio) < _PAIRS_NEEDED:
        return _Margin(USUAL_MARGIN, LOW_MARGIN, HIGH_MARGIN,
                       f"CIF margin {USUAL_MARGIN:.0%} taken as usual, because only {len(ratio)} cells compare; interval at 0 to 20%")
    low, point, high = (float(np.expm1(ratio.quantile(q))) for q in (0.25, 0.5, 0.75))
    if low < LOW_MARGIN:
        point = min(point, HIGH_MARGIN) if point > LOW_MARGIN else USUAL_MARGIN
        return _Margin(point, LOW_MARGIN, HIGH_MARGIN, f"CIF margin {point:.1%}, interval at 0 to 20%: it is not identified, because in a "
                       f"quarter or more of {len(ratio)} cells the importer recorded less than the exporter")
    point, high = min(point, HIGH_MARGIN), min(max(high, USUAL_MARGIN), HIGH_MARGIN)
    return _Margin(point, LOW_MARGIN, high, f"CIF margin {point:.1%}, median of {len(ratio)} cells; interval at 0 to {high:.1%}, their "
                   f"upper quartile and at least {USUAL_MARGIN:.0%}")


def _with_gaps(table: pd.DataFrame, margin: _Margin) -> pd.DataFrame:
    usable = table["status"].eq("gap")
    cif = _is_cif(table)
    own = {name: pd.Series(np.where(cif, value, 0.0), index=table.index) for name, value in margin._asdict().items() if name != "text"}
    exported, imported = table["exporter_usd"].where(usable), table["importer_usd"].where(usable)
    gaps = {name: exported - imported / (1 + share) for name, share in own.items()}
    dispatched = table["concept"].eq("dispatched")
    versions = [" ".join(sorted({*a.split(), *b.split()})) for a, b in
                zip(table["hs_version_exporter"], table["hs_version_importer"], strict=True)]
    return table.assign(
        gap_usd=gaps["point"], gap_low_usd=gaps["low"].fillna(table["low"]), gap_high_usd=gaps["high"].fillna(table["high"]),
        importer_fob_usd=(table["importer_usd"] / (1 + own["point"])).where(dispatched),
        share_missing=gaps["point"] / exported.where(exported > 0), cif_margin=own["point"].where(usable),
        hs_version=pd.Series(versions, index=table.index, dtype="str"))


def _named_lags(table: pd.DataFrame, by: str) -> pd.DataFrame:
    """The table with a gap and the opposite one that follows it named as lag and without gap."""
    table = table.sort_values([*KEY, "period"], kind="stable").reset_index(drop=True)
    clear = table["gap_low_usd"].gt(0) | table["gap_high_usd"].lt(0)
    size = np.fmax(table["exporter_usd"], table["importer_fob_usd"])
    small = table["gap_usd"].abs() <= min(1.0, _LAG_MONTHS / MONTHS[by]) * size
    fits = (table["status"].eq("gap") & clear & small).to_numpy()
    keys = list(table[KEY].itertuples(index=False, name=None))
    gap, period = table["gap_usd"].to_numpy(), table["period"].tolist()
    lagged = np.zeros(len(table), dtype=bool)
    for i in range(len(table) - 1):
        j = i + 1
        if lagged[i] or not (fits[i] and fits[j] and gap[i] > 0 > gap[j]) or keys[i] != keys[j] or period[i] + 1 != period[j]:
            continue
        lagged[i] = lagged[j] = abs(gap[i] + gap[j]) <= _CANCELS * min(gap[i], -gap[j])
    table.loc[lagged, ["gap_usd", "gap_low_usd", "gap_high_usd", "share_missing"]] = np.nan
    table.loc[lagged, ["status", "reason"]] = ["lag", "the gap of the neighbouring period cancels it"]
    return table


def _notes(network: TradeNetwork, table: pd.DataFrame, margin: _Margin, reporting: Reporting) -> list[str]:
    status = table["status"].value_counts()
    shown = [f"{int(status[name]):,} {name}" for name in STATUSES if name in status]
    concepts = set(table["concept"])
    cut = reporting.described()
    return [
        SENSE["dispatched"], SENSE["origin"] if "origin" in concepts else "",
        f"cells of exporter, importer, product and period: {', '.join(shown)}" if shown
        else "no report meets the question: nothing is compared",
        margin.text if "gap" in status or "lag" in status else "",
        f"cut-off reports: {'; '.join(cut[:5])}{f' and {len(cut) - 5} more' if len(cut) > 5 else ''}" if cut else "",
        "a gap is two statistics that disagree; it does not show where goods went, nor that a party did anything unlawful",
        "where the data do not cover a pair, no row is not a zero",
    ]
