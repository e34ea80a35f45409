"""The best routes, best first: partial walks wait in a heap under a bound that no route which begins like them can beat.

The bound comes from sweeps back from the destinations: the widest (or earliest) walk of exactly so many legs from each actor, for
each key. A walk that is whole is measured exactly, with the records that can take part, and waits again under its own rank; when
it comes up a second time nothing better is left.
"""

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np

from chiptrail.queries.legs import BRAND, DISPATCHED, MAKES_WEAPON, ORIGIN, UNKNOWN, Legs
from chiptrail.queries.timing import Spans, in_order, reach, usable

ORDERS = ("smallest_leg", "hops", "arrival")
TRADES = (DISPATCHED, ORIGIN)
_CHUNK = 2048


class Link(NamedTuple):
    """All links of one kind between two actors: their rows, and the cases they belong to."""

    kind: int
    maker: int
    other: int
    rows: np.ndarray
    cases: frozenset[int]


class Step(NamedTuple):
    """A leg of a walk: its kind, and the number of the leg or, for a link, its place in the list of links."""

    kind: int
    place: int


@dataclass(frozen=True)
class Route:
    """A route: actors, steps, key, rows of each leg (trades, or links for a link), word for time, arrival, smallest leg."""

    nodes: tuple[int, ...]
    steps: tuple[Step, ...]
    key: int
    rows: tuple[np.ndarray, ...]
    time: str
    arrival: float
    value: float

    @property
    def kinds(self) -> tuple[int, ...]:
        """The kinds of the legs."""
        return tuple(step.kind for step in self.steps)


class _Walk(NamedTuple):
    """A walk that may begin a route, with the most that it can be worth, and its earliest arrival so far."""

    nodes: tuple[int, ...]
    steps: tuple[Step, ...]
    key: int
    value: float
    arrival: float
    moments: Spans


class _Choices:
    """What can follow a walk, best first; sorted only as far as it is asked for."""

    def __init__(self, steps: np.ndarray, quality: np.ndarray) -> None:
        kept = quality > -math.inf
        self._steps, self._quality = steps[kept], quality[kept]
        self._sorted: list[tuple[float, int]] = []

    def get(self, i: int) -> tuple[float, int] | None:
        """Quality and step of the i-th best choice; None after the last."""
        if i >= len(self._sorted) and len(self._steps):
            best = np.arange(len(self._steps))
            if len(best) > 2 * _CHUNK:
                best = np.flatnonzero(self._quality >= np.partition(self._quality, -_CHUNK)[-_CHUNK])
            order = best[np.lexsort((self._steps[best], -self._quality[best]))]
            self._sorted += zip(self._quality[order].tolist(), self._steps[order].tolist(), strict=True)
            self._steps, self._quality = np.delete(self._steps, best), np.delete(self._quality, best)
        return self._sorted[i] if i < len(self._sorted) else None


class Search:
    """A question about routes: what may be walked, and from where to where.

    A choice is numbered: a leg by its own number, link i joined on key j by -1 - (i * number of keys + j).
    """

    def __init__(
        self, legs: Legs, links: Sequence[Link], *, starts: np.ndarray, ends: np.ndarray, concept: str | None, full_length: bool,
        wait: float | None, max_hops: int, by: str, unfit: np.ndarray,
    ) -> None:
        self.legs, self.links = legs, links
        self.full_length, self.wait, self.max_hops, self.by = full_length, wait, max_hops, by
        self._unfit, self._n_hs = unfit, sum(kind == "HS" for kind, _ in legs.keys)
        actors = np.arange(len(legs.actors))
        self._is_start, self._is_end = np.isin(actors, starts), np.isin(actors, ends)
        self._first_kind = {None: DISPATCHED, "brand": None, "dispatched": DISPATCHED, "origin": ORIGIN}[concept]
        into_start, from_end = self._is_start[legs.buyer], self._is_end[legs.seller]
        may_reach = np.full(len(legs.code), True) if full_length else ~into_start
        self._begins = self._is_start[legs.seller] & may_reach & (legs.by_origin == (self._first_kind == ORIGIN))
        self._begins &= self._first_kind is not None
        self._follows = ~legs.by_origin & may_reach & (full_length | ~from_end) & ~self._bars(legs.key, legs.seller)
        self._brands = [i for i, x in enumerate(links) if x.kind == BRAND and concept in (None, "brand") and self._is_start[x.maker]
                        and (full_length or not (self._is_start[x.other] or self._is_end[x.other]))]
        self._weapons: dict[int, list[int]] = {}
        for i, link in enumerate(links):
            if link.kind == MAKES_WEAPON and self._is_end[link.other] and (
                full_length or not (self._is_end[link.maker] or self._is_start[link.other])
            ):
                self._weapons.setdefault(link.maker, []).append(i)
        self._makes_weapon = np.isin(actors, list(self._weapons))
        self._quality = -np.where(np.isinf(legs.first), -UNKNOWN, legs.first) if by == "arrival" else legs.potential
        number = legs.number(legs.key, legs.seller)
        self._begin = np.flatnonzero(np.diff(number, prepend=-1))
        self._numbers = number[self._begin]
        self._onward = self._places(legs.number(legs.key, legs.buyer))
        self._widest = self._sweeps()
        self._choices: dict[tuple[int, int, int, bool], _Choices] = {}
        self._spans: dict[tuple[int, bool], Spans] = {}

    def _bars(self, key: int | np.ndarray, actor: int | np.ndarray) -> np.ndarray:
        """Whether no route that joins on a key leads on through an actor: only documented cases tie others through the unfit."""
        return np.asarray(key < self._n_hs) & self._unfit[actor]

    def _places(self, numbers: np.ndarray) -> np.ndarray:
        """Where the legs of a key and seller stand among those of all; the place after the last if there are none."""
        place = np.searchsorted(self._numbers, numbers)
        known = np.append(self._numbers, -1)
        return np.where(known[place] == numbers, place, len(self._numbers))

    def _sweeps(self) -> list[np.ndarray]:
        """By number of legs, and by key and seller, the smallest quality on the best walk of exactly so many legs to an end."""
        widest = [np.empty(0)]
        for rest in range(self.max_hops - 1):
            best = np.full(len(self._numbers) + 1, -math.inf)
            if len(self._numbers):
                quality = np.where(self._follows, self._with_rest(slice(None), rest, widest), -math.inf)
                best[:-1] = np.maximum.reduceat(quality, self._begin)
            widest.append(best)
        return widest

    def _with_rest(self, chosen: slice | np.ndarray, rest: int, widest: Sequence[np.ndarray]) -> np.ndarray:
        """By leg the smallest quality of itself and of the best `rest` legs after it."""
        quality, buyer = self._quality[chosen], self.legs.buyer[chosen]
        if not rest:
            return np.where(self._is_end[buyer], quality, -math.inf)
        after = widest[rest][self._onward[chosen]]
        if rest == 1 and self._weapons:
            after = np.where(self._makes_weapon[buyer] & ~self._bars(self.legs.key[chosen], buyer), math.inf, after)
        return np.minimum(quality, after)

    def _first_choices(self, rest: int) -> _Choices:
        """How a route can begin that has `rest` legs after its first."""
        chosen = np.flatnonzero(self._begins)
        steps, quality = [chosen], [self._with_rest(chosen, rest, self._widest)]
        keys = np.arange(len(self.legs.keys))
        for i in self._brands if rest else []:
            steps.append(-1 - (i * len(keys) + keys))
            quality.append(self._widest[rest][self._places(self.legs.number(keys, self.links[i].other))])
        return _Choices(np.concatenate(steps), np.concatenate(quality))

    def _next_choices(self, walk: _Walk, rest: int) -> _Choices:
        """How a walk can go on that has `rest` legs after the next."""
        actor = walk.nodes[-1]
        after_brand = walk.steps[-1].kind == BRAND
        asked = (walk.key, actor, rest, after_brand)
        if asked not in self._choices:
            steps = self._legs_of(walk.key, actor)
            steps = steps[self._follows[steps]]
            quality = self._with_rest(steps, rest, self._widest)
            weapons = self._weapons.get(actor, []) if not (rest or after_brand or self._bars(walk.key, actor)) else []
            steps = np.append(steps, [-1 - (i * len(self.legs.keys) + walk.key) for i in weapons]).astype(np.int64)
            self._choices[asked] = _Choices(steps, np.append(quality, [math.inf] * len(weapons)))
        return self._choices[asked]

    def best(self, k: int) -> list[Route]:
        """The k best routes, best first."""
        heap: list[tuple] = []
        tick = count()
        found: list[Route] = []

        def wait_for(walk: _Walk, choices: _Choices, rest: int, i: int) -> None:
            choice = choices.get(i)
            if choice:
                bound = self._bound(walk, choice[0], (len(walk.nodes) or 1) + 1 + rest)
                heapq.heappush(heap, (bound, next(tick), (walk, choices, rest, i)))

        for rest in range(self.max_hops):
            wait_for(_Walk((), (), -1, math.inf, -math.inf, []), self._first_choices(rest), rest, 0)
        while heap and len(found) < k:
            _, _, what = heapq.heappop(heap)
            if isinstance(what, Route):
                found.append(what)
            elif isinstance(what, _Walk):
                route = self._route(what)
                if route:
                    heapq.heappush(heap, (self._rank(route.value, len(route.nodes), route.arrival, route), next(tick), route))
            else:
                walk, choices, rest, i = what
                quality, step = choices.get(i)
                wait_for(walk, choices, rest, i + 1)
                longer = self._extended(walk, step)
                if longer and rest:
                    wait_for(longer, self._next_choices(longer, rest - 1), rest - 1, 0)
                elif longer:
                    heapq.heappush(heap, (self._bound(longer, quality, len(longer.nodes)), next(tick), longer))
        return found

    def _bound(self, walk: _Walk, quality: float, n: int) -> tuple:
        """A rank that no route beats which goes on from a walk with this quality at best and has n actors."""
        if self.by == "arrival":
            return self._rank(walk.value, n, max(walk.arrival, -quality), walk)
        return self._rank(min(walk.value, quality), n, walk.arrival, walk)

    def _rank(self, value: float, n: int, arrival: float, walk: _Walk | Route) -> tuple:
        """Smaller is better; the same for every order of rows."""
        value = -math.inf if math.isnan(value) else value
        tie = (walk.nodes, walk.key, tuple(step.kind for step in walk.steps))
        return {"smallest_leg": (-value, n, arrival), "hops": (n, -value, arrival), "arrival": (arrival, n, -value)}[self.by] + tie

    def _extended(self, walk: _Walk, choice: int) -> _Walk | None:
        """The walk with one leg more; None if it returns to an actor or time forbids it."""
        legs = self.legs
        if choice < 0:
            place, key = divmod(-1 - choice, len(legs.keys))
            link = self.links[place]
            nodes = walk.nodes or (link.maker,)
            step = Step(link.kind, place)
            if link.other in nodes:
                return None
            return _Walk((*nodes, link.other), (*walk.steps, step), key, walk.value, walk.arrival, walk.moments)
        buyer = int(legs.buyer[choice])
        nodes = walk.nodes or (int(legs.seller[choice]),)
        if buyer in nodes:
            return None
        moments = self._reached(walk.moments, choice)
        if not moments:
            return None
        arrival = moments[0][0]
        if not legs.all_dated:
            dated = _after(self._leg_spans(choice, dated=True), walk.arrival)
            arrival = max(arrival, dated[0][0] if dated else math.inf)
        step = Step(ORIGIN if legs.by_origin[choice] else DISPATCHED, choice)
        value = min(walk.value, float(legs.potential[choice]))
        return _Walk((*nodes, buyer), (*walk.steps, step), int(legs.key[choice]), value, arrival, moments)

    def _reached(self, moments: Spans, leg: int) -> Spans:
        """The moments of a leg that those of the leg before can reach; of any wait only the first is of use later."""
        spans = self._leg_spans(leg)
        if not moments:
            return spans
        return _after(spans, moments[0][0]) if self.wait is None else reach(moments, spans, self.wait)

    def _leg_spans(self, leg: int, dated: bool = False) -> Spans:
        dated = dated and not self.legs.all_dated
        if (leg, dated) not in self._spans:
            self._spans[leg, dated] = self.legs.spans(leg, dated)
        return self._spans[leg, dated]

    def _route(self, walk: _Walk) -> Route | None:
        """The walk as a route; None if time forbids it, or another route stands for it."""
        route = self._measured(walk.nodes, walk.steps, walk.key)
        if not route:
            return None
        shared = frozenset({route.key})
        if not self.legs.one_key_each:
            shared = self.legs.shared_keys(np.concatenate(
                [rows for step, rows in zip(route.steps, route.rows, strict=True) if step.kind in TRADES]))
        if self._longer(route, shared):
            return None
        for key in shared:
            if key < route.key:
                other = self._measured(route.nodes, self._steps(route, key), key)
                if other and all(set(a.tolist()) == set(b.tolist()) for a, b in zip(other.rows, route.rows, strict=True)):
                    return None
        return route

    def _steps(self, route: Route, key: int) -> tuple[Step, ...]:
        """The same steps on another key, on which all records of the route join too."""
        if key == route.key:
            return route.steps
        found = []
        for (seller, buyer), step in zip(pairwise(route.nodes), route.steps, strict=True):
            leg = self.legs.find(key, seller, buyer, step.kind) if step.kind in TRADES else step.place
            found.append(Step(step.kind, leg))
        return tuple(found)

    def _measured(self, nodes: tuple[int, ...], steps: tuple[Step, ...], key: int) -> Route | None:
        """The walk as a route that joins on a key, with the records that can take part; None if time or an inner actor forbids it."""
        if self._bars(key, np.array(nodes[1:-1], dtype=np.int64)).any():
            return None
        legs = [step.place for step in steps if step.kind in TRADES]
        for dated in (True, False):
            if not dated and all(self.legs.dated(leg) for leg in legs):
                return None
            moments = usable([self._leg_spans(leg, dated) for leg in legs], self.wait)
            if all(moments):
                break
        else:
            return None
        chosen = [self.legs.meeting(leg, dated, spans) for leg, spans in zip(legs, moments, strict=True)]
        rest = iter(chosen)
        rows = tuple(self.legs.row[next(rest)] if step.kind in TRADES else self.links[step.place].rows for step in steps)
        if not self._links_fit(steps, rows):
            return None
        outer = [[(self.legs.start[records].min(), self.legs.end[records].max())] for records in chosen]
        values = [math.fsum(self.legs.value[records].tolist()) for records in chosen]
        return Route(
            nodes, steps, key, rows, time=("ordered" if in_order(outer) else "overlapping") if dated else "undated",
            arrival=moments[-1][0][0] if dated else math.inf,
            value=math.nan if any(math.isnan(v) for v in values) else min(values),
        )

    def _links_fit(self, steps: tuple[Step, ...], rows: tuple[np.ndarray, ...]) -> bool:
        """Whether the link that begins and the link that ends a walk belong to no case, or to one of the trade beside them."""
        for step, beside in ((steps[0], rows[1:2]), (steps[-1], rows[-2:-1])):
            if step.kind not in TRADES:
                numbers = {self.legs.case_of[row] for row in beside[0].tolist()} - {-1}
                if not self.links[step.place].cases & {"", *(self.legs.keys[number][1] for number in numbers)}:
                    return False
        return True

    def _longer(self, route: Route, keys: frozenset[int]) -> bool:
        """Whether one more leg from an origin or to a destination makes a route that holds all its records."""
        if not self.full_length or len(route.steps) == self.max_hops:
            return False
        for key in keys:
            steps = self._steps(route, key)
            for walk in self._one_more(route, steps, key):
                longer = self._measured(*walk, key)
                if longer:
                    same = longer.rows[1:] if longer.nodes[0] != route.nodes[0] else longer.rows[:-1]
                    if all(set(b.tolist()) <= set(a.tolist()) for a, b in zip(same, route.rows, strict=True)):
                        return True
        return False

    def _one_more(self, route: Route, steps: tuple[Step, ...], key: int) -> Iterator[tuple[tuple[int, ...], tuple[Step, ...]]]:
        """The walk of a route with one more leg to a destination, or from an origin."""
        first, last, nodes = route.nodes[0], route.nodes[-1], route.nodes
        if steps[-1].kind != MAKES_WEAPON:
            legs = self._legs_of(key, last)
            for leg in legs[self._follows[legs] & self._is_end[self.legs.buyer[legs]]].tolist():
                if self.legs.buyer[leg] not in nodes:
                    yield (*nodes, int(self.legs.buyer[leg])), (*steps, Step(DISPATCHED, leg))
            for i in self._weapons.get(last, []):
                if self.links[i].other not in nodes:
                    yield (*nodes, self.links[i].other), (*steps, Step(MAKES_WEAPON, i))
        if steps[0].kind == DISPATCHED:
            for leg in self._into_start.get((key, first), []):
                if self.legs.seller[leg] not in nodes:
                    kind = ORIGIN if self.legs.by_origin[leg] else DISPATCHED
                    yield (int(self.legs.seller[leg]), *nodes), (Step(kind, leg), *steps)
            for i in self._brands:
                if self.links[i].other == first and self.links[i].maker not in nodes:
                    yield (self.links[i].maker, *nodes), (Step(BRAND, i), *steps)

    @cached_property
    def _into_start(self) -> dict[tuple[int, int], list[int]]:
        """First legs by the key and the origin that they lead to."""
        found: dict[tuple[int, int], list[int]] = {}
        for leg in np.flatnonzero(self._begins & self._is_start[self.legs.buyer]).tolist():
            found.setdefault((int(self.legs.key[leg]), int(self.legs.buyer[leg])), []).append(leg)
        return found

    def _legs_of(self, key: int, actor: int) -> np.ndarray:
        """The legs of a seller on a key."""
        begin, end = np.searchsorted(self.legs.code, self.legs.number(key, np.array([actor, actor + 1])) * 2 * len(self.legs.actors))
        return np.arange(begin, end)


def _after(spans: Spans, earliest: float) -> Spans:
    """The first moment of the spans that is not before the earliest; empty if there is none."""
    place = bisect_left(spans, earliest, key=lambda span: span[1])
    return [(max(earliest, spans[place][0]), math.inf)] if place < len(spans) else []
