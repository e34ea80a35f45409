"""Which trades a question counts, each flow once, and why the others are left aside."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from chiptrail.graphmodel.aggregate import retrieval_dates
from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.products import match, product_codes
from chiptrail.graphmodel.selection import actors_named, by_origin, goods_code, in_window
from chiptrail.graphmodel.tellings import left_aside
from chiptrail.queries.answer import concept_or_default, names_of

BY = {"month": "M", "quarter": "Q", "year": "Y"}
"""Lengths of a period, and what pandas calls them."""
SENSE = {
    "dispatched": "dispatched: the seller is who sent the goods, as traders or exporters declared it; where they were made is "
                  "not said",
    "origin": "origin: the seller is the country that the buyer's customs recorded as the goods' origin, wherever they were "
              "sent from; these flows do not chain",
}


def value_concept(network: TradeNetwork, concept: str | None) -> str:
    """The concept asked for or the default, `dispatched` or `origin`.

    Raises
    ------
    UnknownNameError
        If the concept is not known.
    NotComparableError
        For `brand`, whose links have no value.
    """
    concept = concept_or_default(network, concept)
    if concept == "brand":
        raise NotComparableError(
            "brand links are no trade and have no value to add up; choose concept='dispatched' or 'origin', or ask transit_hubs "
            "or supply_routes, which take concept='brand'"
        )
    return concept


def trades_in_scope(
    network: TradeNetwork, *, concept: str, products: str | Sequence[str] | None, since: str | None, until: str | None,
    origins: Sequence[str] | None = None, destinations: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Trades of one concept that touch the question, with four columns more.

    `concept`; `code`, the HS code or product set; `coarse`, whether it holds other goods too, which the product list accepts;
    `left_aside`, why the row cannot be counted in the question (empty if it can).
    """
    trades = network.coded_trades
    trades = trades[by_origin(trades).eq(concept == "origin") & in_window(trades, since, until, partly=True)]
    for side, names in (("seller_id", origins), ("buyer_id", destinations)):
        if names is not None:
            trades = trades[trades[side].isin(actors_named(network, names))]
    trades = plain(trades)
    trades = trades.assign(
        concept=concept, code=goods_code(trades),
        coarse=False, left_aside=pd.Series("", index=trades.index, dtype="str"),
    )
    if products is not None:
        found = match(product_codes(products), trades["hs_code"], trades["product_set"], trades["hs_version"])
        trades.loc[found["too_coarse"], "left_aside"] = "code wider than the products asked for"
        trades = trades.assign(coarse=found["coarse"])[found.any(axis=1)]
    outside = trades["left_aside"].eq("") & ~in_window(trades, since, until)
    trades.loc[outside, "left_aside"] = "only partly inside the period, or without dates"
    return trades


def with_periods(trades: pd.DataFrame, by: str) -> pd.DataFrame:
    """The trades with a column `period`; those whose dates do not lie in one period are left aside, never spread."""
    if by not in BY:
        raise UnknownNameError("period", by, BY, f"choose one of {', '.join(BY)}")
    start, end = (trades[side].dt.to_period(BY[by]) for side in ("period_start", "period_end"))
    trades = trades.assign(period=start)
    open_rows = trades["left_aside"].eq("")
    undated = trades["period_start"].isna() | trades["period_end"].isna()
    trades.loc[open_rows & undated, "left_aside"] = "without dates"
    trades.loc[open_rows & ~undated & start.ne(end), "left_aside"] = f"dates not within one {by}"
    return trades


def count_once(network: TradeNetwork, trades: pd.DataFrame, *, prefer: str) -> pd.DataFrame:
    """The trades with `left_aside` also filled for further tellings of a flow that another row tells."""
    usable = trades[trades["left_aside"].eq("")]
    reasons = left_aside(usable, level=network.level, prefer=prefer, retrieved=retrieval_dates(network))
    trades = trades.copy()
    trades.loc[reasons.index, "left_aside"] = reasons
    return trades


def pairs_in_scope(
    network: TradeNetwork, *, concept: str, products: str | Sequence[str] | None, since: str | None, until: str | None, prefer: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Counted flows between two different actors, and the trades they come from.

    The flows have `seller_id`, `buyer_id`, `value_usd` (USD; missing if any of the records has no value) and `n_records`.
    """
    trades = trades_in_scope(network, concept=concept, products=products, since=since, until=until)
    trades.loc[trades["left_aside"].eq("") & trades["seller_id"].eq(trades["buyer_id"]), "left_aside"] = "seller is the buyer"
    trades = count_once(network, trades, prefer=prefer)
    groups = trades[trades["left_aside"].eq("")].groupby(["seller_id", "buyer_id"], sort=True)["value_usd"]
    flows = pd.DataFrame({"value_usd": groups.sum(skipna=False), "n_records": groups.size()}).reset_index()
    return flows, trades


def scope_notes(network: TradeNetwork, concept: str, trades: pd.DataFrame) -> list[str]:
    """Sentences on the meaning of the values and on what the data cover."""
    counted = trades["left_aside"].eq("")
    coarse = int((counted & trades["coarse"]).sum())
    return [
        SENSE[concept],
        "" if counted.any() else "no record meets the question; where the data do not cover it this says nothing",
        f"{coarse:,} records counted give only a code that holds other goods too" if coarse else "",
        CoverageIndex(network).described(),
        "where the data do not cover a pair, no row is not a zero" if len(network.coverage) else "",
        "selected records without coverage measure attention, not trade" if network.level == "firms" else "",
    ]


def described_actors(network: TradeNetwork, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with `actor`, `kind` and `country` by their `actor_id`; placeholders are taken out."""
    actors = network.actors.set_index("actor_id")
    rows = rows.assign(actor=rows["actor_id"].map(names_of(network)))
    for column in ("kind", "country"):
        rows[column] = rows["actor_id"].map(actors[column])
    return rows[rows["kind"].ne("placeholder")]


def shaped(rows: pd.DataFrame, dtypes: dict[str, Any]) -> pd.DataFrame:
    """The rows with exactly these columns and dtypes, numbered anew."""
    return rows.reindex(columns=list(dtypes)).astype(dtypes).reset_index(drop=True)


def period_texts(periods: pd.Series) -> pd.Series:
    """Periods as 2022-07, 2022-Q3 or 2022."""
    return periods.astype(str).str.replace("Q", "-Q", regex=False)
