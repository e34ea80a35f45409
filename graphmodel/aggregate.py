"""Sums over trades in which each flow counts once."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from chiptrail.graphmodel.schema import BASES
from chiptrail.graphmodel.selection import concept_of, goods_code
from chiptrail.graphmodel.tellings import left_aside

if TYPE_CHECKING:
    from chiptrail.graphmodel.network import TradeNetwork


def counted_once(network: "TradeNetwork", *, prefer: str = "exporter") -> pd.DataFrame:
    """The trades with two columns more: `concept`, and `left_aside`, the reason why sums leave a row out (empty: it counts)."""
    trades = network.trades
    trades["concept"] = concept_of(trades)
    trades["left_aside"] = left_aside(trades, level=network.level, prefer=prefer, retrieved=retrieval_dates(network))
    return trades


def retrieval_dates(network: "TradeNetwork") -> dict[str, str]:
    """Date of retrieval by source, empty where it is not known."""
    sources = network.sources
    return dict(zip(sources["source_id"], sources["retrieved"], strict=True))


def flows(network: "TradeNetwork", *, prefer: str = "exporter") -> pd.DataFrame:
    """One row per seller, buyer and concept, each flow counted once.

    Returns
    -------
    DataFrame
        `seller_id`, `buyer_id`, `concept` (dispatched or origin); `value_usd` (USD; NaN if any counted record has no value),
        `known_usd` (USD, sum of the values that are known), `n_records` (records counted), `n_without_value`,
        `n_left_aside` (other tellings of the same flows, not counted), `first_date`, `last_date` (first and last day of the
        records' periods), `products` (codes, joined by spaces), `basis` (the weakest), `reported_by`, `sources` (ids) and
        `record_refs` (file and row), each joined by spaces or `; `. Sorted by seller, buyer and concept.
    """
    trades = counted_once(network, prefer=prefer)
    key = ["seller_id", "buyer_id", "concept"]
    counted = trades[trades["left_aside"].eq("")].sort_values("record_ref", kind="stable")
    table = summarise(counted, key)
    aside = trades[trades["left_aside"].ne("")].groupby(key).size().rename("n_left_aside")
    table = table.merge(aside, how="left", left_on=key, right_index=True)
    order = list(table.columns[:-1])
    order.insert(order.index("n_without_value") + 1, "n_left_aside")
    return table.assign(n_left_aside=table["n_left_aside"].fillna(0).astype("int64"))[order]


def summarise(trades: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per key of the trades given, which must be counted once already; columns as in `flows`."""
    rank = {basis: i for i, basis in enumerate(BASES)}
    work = trades.assign(
        product=goods_code(trades),
        weakness=trades["basis"].map(rank),
        unknown=trades["value_usd"].isna(),
    )
    groups = work.groupby(key, sort=True)
    place = groups.ngroup().to_numpy()
    table = pd.DataFrame(
        {
            "known_usd": groups["value_usd"].sum(min_count=1),
            "n_records": groups.size(),
            "n_without_value": groups["unknown"].sum().astype("int64"),
            "first_date": groups["period_start"].min(),
            "last_date": groups["period_end"].max(),
            "products": _joined(work["product"], place, " "),
            "basis": groups["weakness"].max().map(dict(enumerate(BASES))).astype("str"),
            "reported_by": _joined(work["reported_by"], place, "; "),
            "sources": _joined(work["source_id"], place, "; "),
            "record_refs": _joined(work["record_ref"], place, "; "),
        }
    )
    table.insert(0, "value_usd", table["known_usd"].where(table["n_without_value"].eq(0)))
    return table.reset_index()


def _joined(values: pd.Series, place: np.ndarray, separator: str) -> pd.api.extensions.ExtensionArray:
    """For each group the different values, sorted and joined; empty ones are left out."""
    found: list[set[str]] = [set() for _ in range(place.max() + 1 if len(place) else 0)]
    for group, value in zip(place.tolist(), values.tolist(), strict=True):
        found[group].add(value)
    return pd.array([separator.join(sorted(group - {""})) for group in found], dtype="str")
