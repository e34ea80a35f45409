"""The legs that a route can have: trades as arrays, by what they join on, seller and buyer; and links by their ends."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from chiptrail.graphmodel.selection import goods_code
from chiptrail.queries.timing import Spans, union

KINDS = ("brand", "dispatched", "makes_weapon", "origin")
"""Kinds of legs in the order of their names; a leg's kind is its number."""
BRAND, DISPATCHED, MAKES_WEAPON, ORIGIN = range(4)
UNKNOWN = -np.finfo(np.float64).max
"""Value of a leg of which no record has one; worse than any value, better than no leg."""
_DAY = 86_400_000_000
Key = tuple[str, str]


@dataclass(frozen=True)
class Legs:
    """Legs by key, seller, buyer and kind, in this order; actors, keys and kinds are numbered in the order of their names.

    Attributes
    ----------
    actors
        Ids in sorted order.
    keys
        What legs join on: `("HS", prefix)` and `("case", name)`, sorted.
    goods
        For each code or product set its keys, and those of them for which it is coarse.
    code
        By leg the number that stands for its key, seller, buyer and kind.
    offset
        The records of leg i stand from `offset[i]` to before `offset[i + 1]`.
    row, start, end, value
        By record its place among the trades, first and last day since 1970-01-01 (infinite where not given), and USD.
    goods_of, case_of
        By row of the trades the number of its goods, and of its case as a key (-1: none).
    """

    actors: pd.Index
    keys: tuple[Key, ...]
    goods: tuple[tuple[frozenset[int], frozenset[int]], ...]
    code: np.ndarray
    offset: np.ndarray
    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    value: np.ndarray
    goods_of: np.ndarray
    case_of: np.ndarray

    @cached_property
    def key(self) -> np.ndarray:
        """Number of the key by leg."""
        return self.code // (2 * len(self.actors) ** 2)

    @cached_property
    def seller(self) -> np.ndarray:
        """Number of the seller by leg."""
        return self.code // (2 * len(self.actors)) % len(self.actors)

    @cached_property
    def buyer(self) -> np.ndarray:
        """Number of the buyer by leg."""
        return self.code // 2 % len(self.actors)

    @cached_property
    def by_origin(self) -> np.ndarray:
        """By leg whether it is told by customs origin, not dispatch."""
        return self.code % 2 == 1

    @cached_property
    def potential(self) -> np.ndarray:
        """By leg the sum of all values that are known, exactly rounded; `UNKNOWN` if none is."""
        known = ~np.isnan(self.value)
        sums = exact_sums(np.where(known, self.value, 0.0), self.offset)
        return np.where(np.logical_or.reduceat(known, self.offset[:-1]), sums, UNKNOWN) if len(sums) else sums

    @cached_property
    def first(self) -> np.ndarray:
        """By leg the first day of its earliest record with a start; infinite if none has one."""
        if not len(self.code):
            return np.empty(0)
        return np.minimum.reduceat(np.where(np.isinf(self.start), np.inf, self.start), self.offset[:-1])

    @cached_property
    def all_dated(self) -> bool:
        """Whether every record has a start."""
        return not np.isinf(self.start).any()

    @cached_property
    def one_key_each(self) -> bool:
        """Whether no record joins on two keys."""
        return not any(kind == "case" for kind, _ in self.keys) and all(len(keys) <= 1 for keys, _ in self.goods)

    def number(self, key: int | np.ndarray, seller: int | np.ndarray) -> np.ndarray:
        """What the codes of a seller's legs begin with."""
        return np.asarray(key, dtype=np.int64) * len(self.actors) + seller

    def find(self, key: int, seller: int, buyer: int, kind: int) -> int:
        """The leg of this key, seller, buyer and kind, which must be there."""
        return int(np.searchsorted(self.code, (int(self.number(key, seller)) * len(self.actors) + buyer) * 2 + (kind == ORIGIN)))

    def records(self, leg: int, dated: bool = False) -> np.ndarray:
        """The records of a leg; with `dated` only those with a start."""
        found = np.arange(self.offset[leg], self.offset[leg + 1])
        return found[~np.isinf(self.start[found])] if dated and not self.all_dated else found

    def dated(self, leg: int) -> bool:
        """Whether every record of a leg has a start."""
        return self.all_dated or not np.isinf(self.start[self.records(leg)]).any()

    def spans(self, leg: int, dated: bool = False) -> Spans:
        """The days of a leg's records as few sorted spans."""
        records = self.records(leg, dated)
        return union(list(zip(self.start[records].tolist(), self.end[records].tolist(), strict=True)))

    def meeting(self, leg: int, dated: bool, spans: Spans) -> np.ndarray:
        """The records of a leg that share a day with sorted spans."""
        records = self.records(leg, dated)
        begins, ends = np.array(spans).T
        place = np.searchsorted(ends, self.start[records])
        return records[np.append(begins, math.nan)[place] <= self.end[records]]

    def shared_keys(self, rows: np.ndarray) -> frozenset[int]:
        """The keys on which all of these trades join."""
        cases = set(self.case_of[rows].tolist())
        common = frozenset.intersection(*(self.goods[number][0] for number in set(self.goods_of[rows].tolist())))
        return common | (cases - {-1} if len(cases) == 1 else frozenset())


def legs_of(
    trades: pd.DataFrame, actors: pd.Index, digits: int, links: Sequence[tuple[int, int]], starts: np.ndarray, ends: np.ndarray,
    max_hops: int,
) -> Legs:
    """The legs among trades (already counted once) that can lie on a route of at most `max_hops` legs from a start to an end.

    `actors` are sorted; `links` are pairs of numbers of actors that a route may also walk.
    """
    seller, buyer = (_codes(trades[side], actors) for side in ("seller_id", "buyer_id"))
    codes = goods_code(trades).astype("category")
    told = codes.cat.categories[np.unique(codes.cat.codes.to_numpy())].tolist()
    cases = trades["case"].astype("category")
    named = sorted(set(cases.cat.categories[np.unique(cases.cat.codes.to_numpy())]) - {""})
    keys, goods = _keys_of(codes.cat.categories.tolist(), told, digits)
    case_of = pd.Index(named).get_indexer(cases.cat.categories)
    case_of = np.where(case_of >= 0, case_of + len(keys), -1)[cases.cat.codes.to_numpy()]
    goods_of = codes.cat.codes.to_numpy()
    rows = np.flatnonzero(_between(seller, buyer, len(actors), links, starts, ends, max_hops))
    joined = [[row, np.full(len(row), key)] for key in range(len(keys)) for row in [rows[_has(goods, key)[goods_of[rows]]]]]
    joined.append([rows[case_of[rows] >= 0], case_of[rows[case_of[rows] >= 0]]])
    row, key = (np.concatenate(part) for part in zip(*joined, strict=True))
    by_origin = trades["concept"].eq("origin").to_numpy()
    code = ((key.astype(np.int64) * len(actors) + seller[row]) * len(actors) + buyer[row]) * 2 + by_origin[row]
    order = np.argsort(code)
    code, row = code[order], row[order]
    begins = np.flatnonzero(np.diff(code, prepend=-1))
    return Legs(
        actors=actors, keys=(*keys, *(("case", case) for case in named)), goods=goods, code=code[begins],
        offset=np.append(begins, len(code)), row=row, start=_days(trades["period_start"], row, -math.inf),
        end=_days(trades["period_end"], row, math.inf), value=trades["value_usd"].to_numpy()[row], goods_of=goods_of, case_of=case_of,
    )


def _codes(ids: pd.Series, actors: pd.Index) -> np.ndarray:
    """Number of each row's actor."""
    column = ids.astype("category").cat
    return actors.get_indexer(column.categories)[column.codes.to_numpy()] if len(ids) else np.empty(0, dtype=np.int64)


def _keys_of(
    codes: Sequence[str], told: Sequence[str], digits: int
) -> tuple[list[Key], tuple[tuple[frozenset[int], frozenset[int]], ...]]:
    """All HS prefixes on which trades of the codes told can join; and for each of `codes` its own, and the coarse ones of them."""
    prefixes = sorted({code[:digits] for several in told for code in several.split("+") if code})
    number = {prefix: i for i, prefix in enumerate(prefixes)}
    goods = []
    for several in codes:
        single = [code for code in several.split("+") if code and code[:digits] in number]
        exact = {number[code[:digits]] for code in single}
        wider = {i for p, i in number.items() for code in single if len(code) < len(p) and p.startswith(code)}
        goods.append((frozenset(exact | wider), frozenset((exact if "+" in several else set()) | wider)))
    return [("HS", prefix) for prefix in prefixes], tuple(goods)


def _has(goods: Sequence[tuple[frozenset[int], frozenset[int]]], key: int) -> np.ndarray:
    return np.array([key in keys for keys, _ in goods], dtype=bool)


def _between(
    seller: np.ndarray, buyer: np.ndarray, n: int, links: Sequence[tuple[int, int]], starts: np.ndarray, ends: np.ndarray,
    max_hops: int,
) -> np.ndarray:
    """By trade whether it lies on some walk of at most `max_hops` legs from a start to an end."""
    linked = np.array(links, dtype=np.int64).reshape(-1, 2)
    far = max_hops + 1
    hops = []
    sellers, buyers = (seller, linked[:, 0]), (buyer, linked[:, 1])
    for origin, away, toward in ((starts, sellers, buyers), (ends, buyers, sellers)):
        distance = np.full(n, far)
        distance[origin] = 0
        for step in range(1, max_hops):
            found = np.concatenate([b[distance[a] == step - 1] for a, b in zip(away, toward, strict=True)])
            found = found[distance[found] == far]
            if not len(found):
                break
            distance[found] = step
        hops.append(distance)
    return hops[0][seller] + 1 + hops[1][buyer] <= max_hops


def _days(dates: pd.Series, rows: np.ndarray, missing: float) -> np.ndarray:
    found = dates.to_numpy()[rows]
    days = (found.astype("datetime64[us]").view("int64") // _DAY).astype(np.float64)
    days[np.isnat(found)] = missing
    return days


def exact_sums(values: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Sums of the parts that begin at `offset`, each rounded once: in wider numbers where that settles it, else by `math.fsum`."""
    wide = np.add.reduceat(values.astype(np.longdouble), offset[:-1])
    error = wide * np.diff(offset) * np.finfo(np.longdouble).eps
    sums = wide.astype(np.float64)
    for i in np.flatnonzero((wide - error).astype(np.float64) != (wide + error).astype(np.float64)):
        sums[i] = math.fsum(values[offset[i]:offset[i + 1]].tolist())
    return sums
