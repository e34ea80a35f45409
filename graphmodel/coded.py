"""Texts as integer codes: a column in which values repeat keeps each text once, in sorted order, and a code per row."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from chiptrail.graphmodel.schema import TABLES, TEXT

REPEATED = tuple(
    c.name for c in TABLES["trades"] if c.dtype == TEXT and c.name not in ("trade_id", "record_ref", "goods")
)
"""Text columns of `trades` whose values repeat."""
_MOST, _FEW = 2**62, 1_000_000


def coded(trades: pd.DataFrame) -> pd.DataFrame:
    """The trades with repeated texts as categories in sorted order; columns that are categories already stay so."""
    columns = {
        name: _category(trades[name]) if name in REPEATED or isinstance(trades[name].dtype, pd.CategoricalDtype) else trades[name]
        for name in trades.columns
    }
    return pd.DataFrame(columns, index=trades.index, copy=False)


def numbered(trades: pd.DataFrame, actor_ids: pd.Series) -> pd.DataFrame:
    """The coded trades with all actors as categories of sellers and buyers, so that their codes are the actors' numbers."""
    ids = pd.Index(actor_ids)
    return trades.assign(**{side: trades[side].cat.set_categories(ids) for side in ("seller_id", "buyer_id")})


def plain(trades: pd.DataFrame) -> pd.DataFrame:
    """The trades with every text spelt out."""
    texts = [str(name) for name, dtype in trades.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    return trades.assign(**{name: trades[name].astype("str") for name in texts})


def joined(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of all frames; categories stay categories."""
    texts = [str(name) for name in frames[0] if all(isinstance(f.dtypes.get(name), pd.CategoricalDtype) for f in frames)]
    rest = pd.concat([frame.drop(columns=texts) for frame in frames], ignore_index=True)
    union = {name: union_categoricals([frame[name] for frame in frames], sort_categories=True) for name in texts}
    return rest.assign(**union)


def constant(value: str, index: pd.Index) -> pd.Series:
    """A column of one text."""
    codes = np.zeros(len(index), dtype="int8")
    return pd.Series(pd.Categorical.from_codes(codes, categories=pd.Index([value], dtype=TEXT)), index=index)


def combined(columns: Sequence[pd.Series | np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's combination of values, in the order of the values, and the place of a row that has it.

    Examples
    --------
    >>> combined([pd.Series(["b", "a", "b"]), pd.Series([1, 1, 1])])
    (array([1, 0, 1]), array([1, 0]))
    """
    numbers, size = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        codes, n = _codes(column)
        if size * n > _MOST:
            numbers, size = _dense(numbers, size)
        numbers, size = numbers * n + codes, size * n
    numbers, size = _dense(numbers, size)
    first = np.empty(size, dtype=np.int64)
    first[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)
    return numbers, first


def _codes(column: pd.Series | np.ndarray) -> tuple[np.ndarray, int]:
    """A number per row in the order of the values, and the number of numbers; a missing value comes first."""
    if isinstance(column, pd.Series) and isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.codes.to_numpy().astype(np.int64) + 1, len(column.cat.categories) + 1
    codes, values = pd.factorize(column, sort=True)
    return codes.astype(np.int64) + 1, len(values) + 1


def _dense(numbers: np.ndarray, size: int) -> tuple[np.ndarray, int]:
    """The numbers that occur, numbered anew without gaps, and how many there are."""
    if size <= max(_FEW, 2 * len(numbers)):
        used = np.bincount(numbers, minlength=size) > 0
        return (np.cumsum(used) - 1)[numbers], int(used.sum())
    values, dense = np.unique(numbers, return_inverse=True)
    return dense, len(values)


def _category(column: pd.Series) -> pd.Series:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column.astype("category")
    texts = column.cat.categories
    if not column.hasnans and texts.dtype == TEXT and texts.is_monotonic_increasing:
        return column
    values = column.array
    if column.hasnans:
        values = values.add_categories([""]).fillna("") if "" not in texts else values.fillna("")
    values = values.rename_categories(values.categories.astype(TEXT))
    return pd.Series(values.reorder_categories(values.categories.sort_values()), index=column.index)
