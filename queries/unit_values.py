"""Unit values: what a kilogram or a piece cost on a corridor, and how much more than on the exporter's other corridors."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.selection import actors_named
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.growth import measured_quantity, measured_weight
from chiptrail.queries.scope import count_once, period_texts, scope_notes, shaped, trades_in_scope, value_concept, with_periods

PIECES = frozenset({"u", "un unit code 5", "p/st", "pst", "nar", "pce", "pc", "pcs", "piece", "pieces", "item", "items", "number of items",
                    "unit", "units", "шт", "adet"})
"""Units that mean a piece, in small letters, as sources write them."""
THOUSAND = 1_000.0
MIN_RECORDS = 5
"""Fewer records give no median of a product, and fewer prices no quantiles."""
QUANTILES = (0.05, 0.95)
_DTYPES = {
    "period": "str", "seller_id": "str", "seller": "str", "buyer_id": "str", "buyer": "str", "concept": "str", "product": "str",
    "hs_version": "str", "value_usd": "float64", "weight_kg": "float64", "usd_per_kg": "float64", "usd_per_kg_low": "float64",
    "usd_per_kg_high": "float64", "pieces": "float64", "usd_per_piece": "float64", "n_records": "int64", "n_weighed": "int64",
    "n_weight_estimated": "int64", "n_counted": "int64", "n_outliers": "int64", "outlier_ratio": "float64",
    "product_median_usd_per_kg": "float64", "others_usd_per_kg": "float64", "premium": "float64", "premium_low": "float64",
    "premium_high": "float64", "n_other_destinations": "int64", "others_usd_per_piece": "float64", "premium_per_piece": "float64",
    "status": "str",
}
COLUMNS = tuple(_DTYPES)
_CELL = ["period", "seller_id", "product", "hs_version"]
_KEY = ["period", "seller_id", "buyer_id", "product", "hs_version"]


def unit_values(
    network: TradeNetwork, *, by: str = "year", origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None,
    concept: str | None = None, products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None,
    prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per corridor, product and period: USD per kg and per piece, and the premium over the exporter's other destinations.

    Parameters
    ----------
    network
        A network of countries or of firms.
    by
        `month`, `quarter` or `year`.
    origins, destinations
        Sellers and buyers to show: countries, groups (`EU27`), or actors by name or id; None for all. The premium of a destination is
        over all buyers of the seller that are not among the destinations (without `destinations`: over all its other buyers).
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products, since, until
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `period`, `seller_id`, `seller`, `buyer_id`, `buyer`, `concept`, `product` (code as told), `hs_version`, `value_usd` (USD of
        all records; missing if one has no value), `weight_kg` (kg of the records priced), `usd_per_kg` (USD per kg: their value / their
        weight), `usd_per_kg_low`, `usd_per_kg_high` (5 and 95 % quantiles of single records; missing for fewer than five),
        `pieces`, `usd_per_piece` (the same per piece), `n_records`, `n_weighed` (records priced by weight), `n_weight_estimated`
        (records left out since the weight is an estimate), `n_counted` (records priced by piece), `n_outliers` (records whose USD
        per kg is a thousand times the product's median or a thousandth of it: left out of prices, likely errors of unit),
        `outlier_ratio` (the farthest of them / that median), `product_median_usd_per_kg` (USD per kg, of the records of this product
        and HS version by the `origins` in all periods, to all buyers; missing for fewer than five),
        `others_usd_per_kg` (USD per kg, same seller, product and period, other destinations), `premium` (ratio,
        `usd_per_kg` / `others_usd_per_kg`), `premium_low`, `premium_high` (with the 95 and 5 % quantiles of the other destinations'
        prices; missing for fewer than five), `n_other_destinations`, `others_usd_per_piece` (USD per piece), `premium_per_piece` (ratio),
        `status` (`compared`, or why there is no premium). Sorted by period, seller, buyer and product. `attrs` holds the question,
        notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list, length of period or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    Records without a value, or with a value of zero, have no price. Weights and numbers of pieces that a source marks as estimated (UN
    Comtrade), and estimated records, are left out: estimates are made from average prices, so a price from them says nothing. Prices of
    one code differ a hundredfold by the goods in it: a premium can be a markup, another mix of goods, smaller lots, dearer transport
    (CIF), or a wrong weight. It does not say which.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.unit_values(ct.load_bundled("countries"), destinations=["KAZ"], concept="dispatched", since="2022")
    >>> set(table["status"])
    {'no measured weight'}
    """
    concept = value_concept(network, concept)
    trades = trades_in_scope(network, concept=concept, products=products, since=since, until=until, origins=origins)
    trades = trades[trades["seller_id"].ne(trades["buyer_id"])]
    trades = count_once(network, with_periods(trades, by), prefer=prefer).assign(product=lambda t: t["code"])
    chosen = actors_named(network, destinations) if destinations is not None else None
    used = _priced(trades[trades["left_aside"].eq("")])
    table = _corridors(used)
    table = _premiums(table, chosen)
    if chosen is not None:
        table, trades = table[table["buyer_id"].isin(chosen)], trades[trades["buyer_id"].isin(chosen)]
    names = names_of(network)
    table = table.assign(seller=table["seller_id"].map(names), buyer=table["buyer_id"].map(names), concept=concept)
    table = table.sort_values(["period", "seller_id", "buyer_id", "product", "hs_version"], kind="stable")
    table["period"] = period_texts(table["period"])
    asked = {"by": by, "origins": origins, "destinations": destinations, "concept": concept, "products": products, "since": since,
             "until": until, "prefer": prefer}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=_notes(network, concept, trades, table, used),
                  source_ids=trades.loc[trades["left_aside"].eq(""), "source_id"], left_aside=trades["left_aside"])


def _priced(trades: pd.DataFrame) -> pd.DataFrame:
    """The trades with price columns; a record a thousand times off its product's median has no price but a `ratio`."""
    kg = measured_weight(trades)
    valued = trades["value_usd"].gt(0)
    per_kg = trades["value_usd"].where(valued) / kg
    groups = per_kg.groupby([trades["product"], trades["hs_version"]])
    median = groups.transform("median").where(groups.transform("count").ge(MIN_RECORDS))
    ratio = per_kg / median.where(median.gt(0))
    off = ratio.ge(THOUSAND) | ratio.le(1 / THOUSAND)
    weighed = per_kg.notna() & ~off
    number = measured_quantity(trades)
    counted = trades["quantity_unit"].str.strip().str.casefold().isin(PIECES) & number.notna() & valued
    return trades.assign(
        estimated=trades["weight_kg"].gt(0) & kg.isna(), measured=kg.notna(), median=median, off=off, ratio=ratio.where(off),
        weighed=weighed, counted=counted, price=per_kg.where(weighed), kg=kg.where(weighed), kg_usd=trades["value_usd"].where(weighed),
        number=number.where(counted), piece_usd=trades["value_usd"].where(counted))


def _corridors(used: pd.DataFrame) -> pd.DataFrame:
    groups = used.groupby(_KEY)
    total = groups[["kg", "kg_usd", "number", "piece_usd"]].sum(min_count=1)
    enough = groups["price"].count().ge(MIN_RECORDS)
    off = used[used["off"]]
    farthest = off.iloc[np.argsort(-np.log(off["ratio"]).abs(), kind="stable")].groupby(_KEY)["ratio"].first()
    table = pd.DataFrame({
        "value_usd": groups["value_usd"].sum(skipna=False), "weight_kg": total["kg"], "usd_per_kg": total["kg_usd"] / total["kg"],
        "usd_per_kg_low": groups["price"].quantile(QUANTILES[0]).where(enough),
        "usd_per_kg_high": groups["price"].quantile(QUANTILES[1]).where(enough),
        "pieces": total["number"], "usd_per_piece": total["piece_usd"] / total["number"], "n_records": groups.size(),
        "n_weighed": groups["weighed"].sum(), "n_weight_estimated": groups["estimated"].sum(), "n_counted": groups["counted"].sum(),
        "n_outliers": groups["off"].sum(), "product_median_usd_per_kg": groups["median"].first(),
        "kg_usd": total["kg_usd"], "piece_usd": total["piece_usd"], "n_kg": groups["measured"].sum(),
    })
    return table.join(farthest.rename("outlier_ratio")).reset_index()


def _premiums(table: pd.DataFrame, chosen: set[str] | None) -> pd.DataFrame:
    """The table with each price against those of the same seller, product and period on other corridors."""
    found = {}
    for _, cell in table.groupby(_CELL):
        needed = cell[["buyer_id", "usd_per_kg", "usd_per_piece", "n_outliers", "n_kg"]]
        for place, buyer, per_kg, per_piece, n_outliers, n_kg in zip(needed.index, *(needed[c].tolist() for c in needed), strict=True):
            if chosen is None or buyer in chosen:
                others = cell[cell["buyer_id"].ne(buyer) if chosen is None else ~cell["buyer_id"].isin(chosen)]
                found[place] = _premium(per_kg, per_piece, n_outliers, n_kg, others)
    columns = ["premium", "premium_low", "premium_high", "n_other_destinations", "others_usd_per_kg", "others_usd_per_piece",
               "premium_per_piece", "status"]
    return table.join(pd.DataFrame.from_dict(found, orient="index", columns=columns)).fillna({"n_other_destinations": 0})


def _premium(per_kg: float, per_piece: float, n_outliers: int, n_kg: int, others: pd.DataFrame) -> tuple:
    weighed = others[others["usd_per_kg"].notna()]
    base = weighed["kg_usd"].sum() / weighed["weight_kg"].sum() if len(weighed) else np.nan
    pieces = others[others["usd_per_piece"].notna()]
    piece_base = pieces["piece_usd"].sum() / pieces["pieces"].sum() if len(pieces) else np.nan
    low = high = np.nan
    if len(weighed) >= MIN_RECORDS:
        low, high = (per_kg / weighed["usd_per_kg"].quantile([QUANTILES[1], QUANTILES[0]])).tolist()
    if np.isnan(per_kg):
        status = "thousandfold off: likely an error of unit" if n_outliers else "no measured weight" if not n_kg else "no value"
    else:
        status = "compared" if len(weighed) else "no other destination with a measured weight"
    premium, piece_premium = (own / of if of > 0 else np.nan for own, of in ((per_kg, base), (per_piece, piece_base)))
    return premium, low, high, len(weighed), base, piece_base, piece_premium, status


def _notes(network: TradeNetwork, concept: str, trades: pd.DataFrame, table: pd.DataFrame, used: pd.DataFrame) -> list[str]:
    outliers, estimated = int(table["n_outliers"].sum()), int(table["n_weight_estimated"].sum())
    unjudged = used["weighed"].any() and used.loc[used["weighed"], "median"].isna().any()
    return [
        *scope_notes(network, concept, trades),
        f"{outliers:,} records are a thousand times above or below their product's median price and count in no price" if outliers else "",
        f"{estimated:,} records have an estimated weight, from which no price is taken" if estimated else "",
        f"products with fewer than {MIN_RECORDS} weighed records have no median: their outliers are not found" if unjudged else "",
        "a premium can be a markup, another mix of goods under the code, freight, or a wrong weight: the number does not say which",
    ]
