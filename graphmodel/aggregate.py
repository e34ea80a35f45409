"""Sums over trades in which each flow counts once."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from chiptrail.graphmodel.coded import combined
from chiptrail.graphmodel.schema import BASES
from chiptrail.graphmodel.selection import concept_of, goods_code
from chiptrail.graphmodel.tellings import left_aside

if TYPE_CHECKING:
    from chiptrail.graphmodel.network import TradeNetwork


def counted_once(network: "TradeNetwork", *, prefer: str = "exporter") -> pd.DataFrame:
    """The coded trades with two columns more: `concept`, and `left_aside`, the reason why sums leave a row out (empty: it counts)."""
    trades = network.coded_trades
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
    table = summarise(trades[trades["left_aside"].eq("")], key)
    aside = trades.loc[trades["left_aside"].ne(""), key].astype("str").groupby(key).size().rename("n_left_aside")
    table = table.merge(aside, how="left", left_on=key, right_index=True)
    order = list(table.columns[:-1])
    order.insert(order.index("n_without_value") + 1, "n_left_aside")
    return table.assign(n_left_aside=table["n_left_aside"].fillna(0).astype("int64"))[order]


def summarise(trades: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """One row per key of the trades given, which must be counted once already; columns as in `flows`."""
    place, first = combined([trades[column] for column in key])
    value = trades["value_usd"].to_numpy()
    known = ~np.isnan(value)
    n_known = np.bincount(place[known], minlength=len(first))
    table = trades[key].iloc[first].astype("str").reset_index(drop=True)
    table["known_usd"] = np.where(n_known > 0, np.bincount(place, np.where(known, value, 0.0), minlength=len(first)), np.nan)
    table["n_records"] = np.bincount(place, minlength=len(first))
    table["n_without_value"] = table["n_records"] - n_known
    days = trades[["period_start", "period_end"]].groupby(place)
    table["first_date"], table["last_date"] = days["period_start"].min(), days["period_end"].max()
    table["products"] = _joined(goods_code(trades), place, " ")
    rank = {basis: i for i, basis in enumerate(BASES)}
    weakness = trades["basis"].astype("category").cat.rename_categories(rank).astype("int64")
    table["basis"] = weakness.groupby(place).max().map(dict(enumerate(BASES))).astype("str")
    for column, values in (("reported_by", "reported_by"), ("sources", "source_id")):
        table[column] = _joined(trades[values], place, "; ")
    table["record_refs"] = _listed(trades["record_ref"], place)
    table.insert(len(key), "value_usd", table["known_usd"].where(table["n_without_value"].eq(0)))
    return table


def _joined(values: pd.Series, place: np.ndarray, separator: str) -> pd.Series:
    """For each group the different values, sorted and joined; empty ones are left out."""
    given = values.ne("").to_numpy()
    _, first = combined([place[given], values[given]])
    return _text(values[given].iloc[first], place[given][first], int(place.max(initial=-1)) + 1, separator)


def _listed(refs: pd.Series, place: np.ndarray) -> pd.Series:
    """For each group its records in the order of the table, a record that makes several rows once."""
    order = np.argsort(place, kind="stable")
    texts, groups = refs.iloc[order].array, place[order]
    fresh = np.ones(len(groups), dtype=bool)
    fresh[1:] = (groups[1:] != groups[:-1]) | np.asarray(texts[1:] != texts[:-1], dtype=bool)
    return _text(refs.iloc[order[fresh]], groups[fresh], int(place.max(initial=-1)) + 1, "; ")


def _text(values: pd.Series, groups: np.ndarray, n: int, separator: str) -> pd.Series:
    """The values of each group, which stand together, as one text."""
    ends = np.cumsum(np.bincount(groups, minlength=n))
    texts = pa.array(values.astype("str"), type=pa.string())
    lists = pa.ListArray.from_arrays(pa.array(np.r_[0, ends], type=pa.int32()), texts)
    return pd.Series(pc.binary_join(lists, separator), dtype="str")
