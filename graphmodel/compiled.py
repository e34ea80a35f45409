"""The trades of a network as integer columns, each seller's in the order of days: what queries on millions of rows run on.

Names stand once in a side table, periods are days, and every row knows its place in the table `trades`, where the evidence is.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from chiptrail.graphmodel.selection import by_origin

NO_START, NO_END = np.int32(-(2**31)), np.int32(2**31 - 1)
"""First and last day where the record states none: any day."""
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Compiled:
    """Trades in the order of seller and first day, and each buyer's trades among them.

    Attributes
    ----------
    actors
        Actor ids in sorted order; actors are numbered by it.
    goods
        HS codes and product sets in sorted order; goods are numbered by it. Empty text: unknown.
    seller, buyer, code
        Numbers of seller, buyer and goods by trade (int32, goods int32 or smaller).
    start, end
        First and last day of each trade as days since 1970-01-01 (int32); `NO_START`, `NO_END` where not given.
    value_usd
        USD by trade; NaN where not given.
    by_origin
        Whether the trade is told by customs origin.
    row
        Place of the trade in the network's table `trades` (int32).
    sold
        The trades of seller i stand from `sold[i]` to before `sold[i + 1]`.
    bought, purchases
        The trades of buyer j are `purchases[bought[j]:bought[j + 1]]`.
    """

    actors: np.ndarray
    goods: tuple[str, ...]
    seller: np.ndarray
    buyer: np.ndarray
    code: np.ndarray
    start: np.ndarray
    end: np.ndarray
    value_usd: np.ndarray
    by_origin: np.ndarray
    row: np.ndarray
    sold: np.ndarray
    bought: np.ndarray
    purchases: np.ndarray

    def number(self, ids: set[str] | frozenset[str]) -> np.ndarray:
        """Numbers of the actors with these ids, in ascending order; ids that the network does not hold are passed over."""
        wanted = np.array(sorted(ids), dtype=object)
        place = np.searchsorted(self.actors, wanted)
        inside = place < len(self.actors)
        return place[inside][self.actors[place[inside]] == wanted[inside]].astype(np.int32)

    @property
    def nbytes(self) -> int:
        """Bytes that the trades take, without the names."""
        arrays = (self.seller, self.buyer, self.code, self.start, self.end, self.value_usd, self.by_origin, self.row, self.sold,
                  self.bought, self.purchases)
        return sum(array.nbytes for array in arrays)


def compile_trades(trades: pd.DataFrame, actor_ids: pd.Series) -> Compiled:
    """The compiled view of coded trades, see `graphmodel.coded`; `actor_ids` are sorted."""
    actors = np.asarray(actor_ids, dtype=object)
    seller, buyer = (numbers(trades[side], actors) for side in ("seller_id", "buyer_id"))
    goods, code = _goods(trades)
    start, end = (_days(trades[day], missing) for day, missing in (("period_start", NO_START), ("period_end", NO_END)))
    order = _order(seller, start)
    seller, buyer = seller[order], buyer[order]
    return Compiled(
        actors=actors, goods=goods, seller=seller, buyer=buyer, code=code[order], start=start[order], end=end[order],
        value_usd=trades["value_usd"].to_numpy()[order], by_origin=by_origin(trades).to_numpy()[order],
        row=order, sold=_bounds(seller, len(actors)), bought=_bounds(buyer, len(actors)), purchases=_by_number(buyer),
    )


def numbers(ids: pd.Series, actors: np.ndarray) -> np.ndarray:
    """Number of each row's actor, given as categories, among the sorted ids; every category is one of them."""
    codes, held = ids.cat.codes.to_numpy(), ids.cat.categories
    if not len(codes) or len(held) == len(actors):
        return codes.astype(np.int32)
    known = pa.array(actors, type=pa.large_string())
    return pc.index_in(pa.array(held, type=pa.large_string()), value_set=known).to_numpy().astype(np.int32)[codes]


def _goods(trades: pd.DataFrame) -> tuple[tuple[str, ...], np.ndarray]:
    """Codes and product sets, and the number of each row's."""
    single, several = trades["hs_code"], trades["product_set"]
    texts = sorted({*single.cat.categories, *several.cat.categories, ""})
    place = np.searchsorted(np.array(texts, dtype=object), np.asarray(single.cat.categories, dtype=object))
    small = np.min_scalar_type(len(texts))
    code = place.astype(small)[single.cat.codes.to_numpy()] if len(trades) else np.empty(0, dtype=small)
    sets = np.searchsorted(np.array(texts, dtype=object), np.asarray(several.cat.categories, dtype=object)).astype(small)
    given = several.ne("").to_numpy()
    if given.any():
        code = np.where(given, sets[several.cat.codes.to_numpy()], code)
    return tuple(texts), code


def _days(dates: pd.Series, missing: np.int32) -> np.ndarray:
    days = (dates.to_numpy().astype("datetime64[us]").view("int64") // _DAY).astype(np.int32)
    unknown = dates.isna().to_numpy()
    if unknown.any():
        days[unknown] = missing
    return days


def _order(seller: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Places of the trades in the order of seller, then first day, then place."""
    if not len(seller):
        return np.empty(0, dtype=np.int32)
    known = start[start > NO_START]
    first = int(known.min()) - 1 if len(known) else 0
    day = np.maximum(start.astype(np.int64) - first, 0)
    days = int(day.max()) + 1
    if int(seller.max() + 1) * days >= 2**62 // len(seller):
        return np.lexsort((start, seller)).astype(np.int32)
    return _by_number(seller.astype(np.int64) * days + day)


def _by_number(numbers: np.ndarray) -> np.ndarray:
    """Places in the order of the numbers, then of places; a sort of different keys is faster than a stable one."""
    return np.argsort(numbers.astype(np.int64) * len(numbers) + np.arange(len(numbers))).astype(np.int32)


def _bounds(numbers: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=n))]).astype(np.int32)
