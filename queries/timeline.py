"""Time line: how the value traded on each corridor developed, period by period."""

from collections.abc import Sequence

import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.answer import answer, names_of
from chiptrail.queries.cells import cells, goods_of, shortened
from chiptrail.queries.scope import (
    count_once,
    period_texts,
    scope_notes,
    shaped,
    trades_in_scope,
    value_concept,
    with_periods,
)

_DTYPES = {
    "period": "str", "period_start": "datetime64[us]", "seller_id": "str", "seller": "str", "buyer_id": "str", "buyer": "str",
    "concept": "str", "product": "str", "value_usd": "float64", "n_records": "int64", "n_without_value": "int64",
    "n_left_aside": "int64", "coverage": "str",
}
COLUMNS = tuple(_DTYPES)


def timeline(
    network: TradeNetwork, *, by: str = "year", origins: Sequence[str] | None = None,
    destinations: Sequence[str] | None = None, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per period, seller, buyer and product, with the value traded.

    Parameters
    ----------
    network
        A network of countries or of firms.
    by
        `month`, `quarter` or `year`.
    origins, destinations
        Sellers and buyers: countries, groups (`EU27`), or actors by name or id; None for all.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products, since, until
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `period` (2022-07, 2022-Q3 or 2022), `period_start` (its first day), `seller_id`, `seller`, `buyer_id`, `buyer`, `concept`,
        `product` (HS heading, or a set such as 8541+8542; empty if unknown), `value_usd` (USD; missing if a record has no value),
        `n_records`, `n_without_value` (records without a value), `n_left_aside` (other tellings of the same flows in the period,
        not counted), `coverage` (`covered`, `partly` or `not covered`: whether the data cover the corridor and the product for the
        whole period). Sorted by period, seller, buyer and product. `attrs` holds the question, notes, records left aside by
        reason, and sources.

    Raises
    ------
    UnknownNameError
        If a name, concept, product list, length of period or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    A record counts in the period in which its dates lie whole. One that spans several, such as a year's total where months are
    asked for, is left aside and counted in `attrs["left_aside"]`; it is never spread. For corridors and products with a record,
    a period without one is a row of zero where the data cover it completely, between the first and last period of the answer or
    within `since` and `until`; where they do not, there is no row: no row is not a zero.

    Cautions: a period that is covered partly must not be compared with a whole one. A fall may mean that a reporter stopped
    publishing or that trade took another way. `Unnamed ...` placeholders keep their rows, since a time line ranks nobody.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.timeline(ct.load_bundled("countries"), origins=["KAZ"], destinations=["RUS"], concept="dispatched")
    >>> table.loc[table["period"].isin(["2021", "2022"]), "value_usd"].round(-3).tolist()
    [246000.0, 18259000.0]
    """
    concept = value_concept(network, concept)
    trades = trades_in_scope(network, concept=concept, products=products, since=since, until=until, origins=origins,
                             destinations=destinations)
    trades = count_once(network, with_periods(trades, by), prefer=prefer)
    trades["product"] = trades["code"].map(lambda code: shortened(code, 4)).astype("str")
    table = cells(network, trades, by=by, goods=goods_of(trades), since=since, until=until)
    table = table[table["observed"]]
    names = names_of(network)
    table = table.assign(
        period=period_texts(table["period"]), period_start=table["period"].dt.start_time, seller=table["seller_id"].map(names),
        buyer=table["buyer_id"].map(names), concept=concept,
    )
    asked = {"by": by, "origins": origins, "destinations": destinations, "concept": concept, "products": products,
             "since": since, "until": until, "prefer": prefer}
    partly = int(table["coverage"].eq("partly").sum())
    notes = [
        *scope_notes(network, concept, trades),
        f"{partly:,} rows are covered partly: do not compare them with whole periods" if partly else "",
    ]
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])
