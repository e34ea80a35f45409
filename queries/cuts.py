"""Largest flows, smallest cuts and the closures that cut most, on arrays: places are numbers 0 to n - 1, capacities whole cents.

A place is what a flow passes and what can be closed; several places can belong to one hub (its goods of different headings), which
closes as a whole. Each place is split in two with an arc between that carries its own capacity, so a cut of places is a cut of arcs.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse.csgraph import breadth_first_order

from chiptrail.graphmodel.errors import ChiptrailError

SOURCE, SINK = 0, 1
UNLIMITED = np.int64(-1)
"""Capacity of a flow or place of which no amount is known."""
COMPILED_FROM = 2_000
"""From this many arcs on the flows are found by compiled loops."""
EXACT_UP_TO = 3_000
"""Up to this many arcs the best closures are proved by branch and bound."""
_LARGEST = 2**61
_PRICES = 60
_NODES = 2_000
_TOLERANCE = 1e-6


class Channels(NamedTuple):
    """Arcs and their opposites in the order of their first node, and where flows and places stand among them.

    The arcs of node i are `first[i]` to before `first[i + 1]`; arc a leads to `head[a]`, its opposite is `mate[a]`, and `room[a]` is
    how much more it can carry. Place p enters at node 2 p + 2 and leaves at 2 p + 3 by the arc `gate[p]`; `arc[i]` is that of flow i
    (-1: it leads nowhere). From `unlimited` cents on, an amount is without a known limit.
    """

    first: np.ndarray
    head: np.ndarray
    mate: np.ndarray
    room: np.ndarray
    gate: np.ndarray
    arc: np.ndarray
    hub: np.ndarray
    unlimited: int


class Cut(NamedTuple):
    """Cents that the cut can carry (None: no limit known), and the numbers of its flows and places."""

    cents: int | None
    flows: np.ndarray
    places: np.ndarray


class Closures(NamedTuple):
    """Hubs in the order in which they are closed; all in cents, None where without a known limit.

    `before` is the largest flow with all hubs open, `after[i]` that with the first i + 1 closed, and `least_after[i]` is a number below
    which no closure of i + 1 hubs, whichever they are, can bring it.
    """

    hubs: list[int]
    before: int | None
    after: list[int | None]
    least_after: list[int]


def cents(usd: np.ndarray) -> np.ndarray:
    """USD as whole cents, so that sums are exact; a missing value is `UNLIMITED`. Each is wrong by half a cent at most."""
    if np.nansum(usd) * 100 > _LARGEST:
        raise ChiptrailError(f"values sum to {np.nansum(usd):.3g} USD, more than flows can be found for; check their unit")
    return np.where(np.isnan(usd), UNLIMITED, np.rint(np.where(np.isnan(usd), 0, usd) * 100)).astype(np.int64)


def channels(
    sellers: np.ndarray, buyers: np.ndarray, capacities: np.ndarray, n: int, *, hubs: np.ndarray | None = None,
    limits: np.ndarray | None = None,
) -> Channels:
    """The channels of flows between n places; -1 as seller stands for the origins, as buyer for the destinations.

    Parameters
    ----------
    sellers, buyers
        Places by flow; several flows may join the same two.
    capacities
        Cents by flow, `UNLIMITED` where not known.
    n
        Number of places.
    hubs
        For each place the number of its hub; -1 for one that cannot be closed. Default: each its own.
    limits
        Cents that each place can pass, `UNLIMITED` (default) for any amount.
    """
    hubs = np.arange(n) if hubs is None else np.asarray(hubs, dtype=np.int64)
    limits = np.full(n, UNLIMITED) if limits is None else np.asarray(limits, dtype=np.int64)
    tails = np.where(sellers < 0, SOURCE, 2 * sellers + 3)
    heads = np.where(buyers < 0, SINK, 2 * buyers + 2)
    useful = sellers != buyers
    useful |= (sellers < 0) & (buyers < 0)
    inner = np.arange(n)
    tails, heads = np.r_[tails[useful], 2 * inner + 2], np.r_[heads[useful], 2 * inner + 3]
    capacities = np.asarray(capacities, dtype=np.int64)[useful]
    total, n_unknown = int(np.maximum(capacities, 0).sum()), int((capacities == UNLIMITED).sum())
    unlimited = min(total + int(np.maximum(limits, 0).sum()) + 1, _LARGEST // (n_unknown + 1))
    if unlimited <= total:
        raise ChiptrailError("values are too large to tell them from unknown ones; check their unit")
    given = np.r_[np.where(capacities == UNLIMITED, unlimited, capacities), np.where(limits == UNLIMITED, _LARGEST, limits)]
    pair, place = np.unique(tails * (2 * n + 2) + heads, return_inverse=True)
    room = np.zeros(len(pair), dtype=np.int64)
    np.add.at(room, place, given)
    m = len(pair)
    start, end = np.r_[pair // (2 * n + 2), pair % (2 * n + 2)], np.r_[pair % (2 * n + 2), pair // (2 * n + 2)]
    order = np.lexsort((end, start))
    where = np.empty(2 * m, dtype=np.int64)
    where[order] = np.arange(2 * m)
    arc = np.full(len(useful), -1)
    arc[useful] = where[place[:useful.sum()]]
    return Channels(
        first=np.r_[0, np.cumsum(np.bincount(start, minlength=2 * n + 2))].astype(np.int32), head=end[order].astype(np.int32),
        mate=where[np.r_[np.arange(m, 2 * m), np.arange(m)]][order].astype(np.int32), room=np.r_[room, np.zeros(m, dtype=np.int64)][order],
        gate=where[place[useful.sum():]], arc=arc, hub=hubs, unlimited=unlimited,
    )


class Flow:
    """A largest flow, which stays one while places are closed."""

    def __init__(self, given: Channels, room: np.ndarray | None = None) -> None:
        self.given, self.compiled = given, len(given.head) >= COMPILED_FROM
        self.room = given.room.copy() if room is None else room
        self._lists = [] if self.compiled else [part.tolist() for part in given[:3]]
        self.cents = self._push(SOURCE, SINK, _LARGEST) if room is None else 0

    def copied(self) -> "Flow":
        """The same flow, to be changed by itself."""
        other = Flow(self.given, self.room.copy())
        other.cents = self.cents
        return other

    def limited(self) -> int | None:
        """Cents that flow; None where no limit of them is known."""
        return None if self.cents >= self.given.unlimited else int(self.cents)

    def through(self) -> np.ndarray:
        """Cents that flow through each place."""
        return self.room[self.given.mate[self.given.gate]]

    def close(self, places: Iterable[int]) -> "Flow":
        """Closes places: what flowed there goes elsewhere as far as it can, and the rest back to where it came from.

        The flow stays the largest: what can be led from the place's entry to its exit through the room left elsewhere is all that
        any other flow could save.
        """
        given = self.given
        for place in places:
            gate = given.gate[place]
            passing = int(self.room[given.mate[gate]])
            self.room[[gate, given.mate[gate]]] = 0
            if not passing:
                continue
            lost = passing - self._push(2 * place + 2, 2 * place + 3, passing)
            if lost:
                self._push(2 * place + 2, SOURCE, lost)
                self._push(SINK, 2 * place + 3, lost)
                self.cents -= lost
        return self

    def reaching(self, place: int) -> tuple[int | None, int | None]:
        """Cents that could come to a place from the origins, and go from it to the destinations, each as if the other did not matter."""
        given = self.given
        gate, found = given.gate[place], list[int | None]()
        for source, sink in ((SOURCE, 2 * place + 2), (2 * place + 3, SINK)):
            alone = Flow(given, given.room.copy())
            alone.room[gate] = 0
            most = min(alone._push(source, sink, _LARGEST), int(given.room[gate]))
            found.append(None if most >= given.unlimited else most)
        return found[0], found[1]

    def _push(self, source: int, sink: int, most: int) -> int:
        n = len(self.given.first) - 1
        if self.compiled:
            scratch = [np.empty(n, dtype=np.int32) for _ in range(4)]
            return int(_compiled()(*self.given[:3], self.room, source, sink, most, *scratch))
        room = self.room.tolist()
        level, turn, queue, path = ([0] * n for _ in range(4))
        first, head, mate = self._lists
        pushed = _augment(first, head, mate, room, source, sink, most, level, turn, queue, path)
        self.room = np.array(room, dtype=np.int64)
        return pushed


def _augment(first: Any, head: Any, mate: Any, room: Any, source: int, sink: int, most: int, level: Any, turn: Any, queue: Any,
             path: Any) -> int:
    """Adds flow from source to sink, up to `most`, by shortest augmenting paths (Dinic's algorithm); changes `room`."""
    pushed = 0
    while pushed < most:
        for i in range(len(level)):
            level[i] = -1
            turn[i] = first[i]
        level[sink], queue[0], low, high = 0, sink, 0, 1
        while low < high and level[source] < 0:
            node = queue[low]
            low += 1
            for a in range(first[node], first[node + 1]):
                if level[head[a]] < 0 and room[mate[a]] > 0:
                    level[head[a]] = level[node] + 1
                    queue[high] = head[a]
                    high += 1
        if level[source] < 0:
            break
        node, depth = source, 0
        while pushed < most:
            if node == sink:
                step = most - pushed
                for i in range(depth):
                    step = min(step, room[path[i]])
                for i in range(depth):
                    room[path[i]] -= step
                    room[mate[path[i]]] += step
                pushed += step
                full = 0
                while full < depth and room[path[full]] > 0:
                    full += 1
                depth = min(full, depth - 1)
                node = head[mate[path[depth]]]
                continue
            a = turn[node]
            while a < first[node + 1] and (room[a] <= 0 or level[head[a]] != level[node] - 1):
                a += 1
            turn[node] = a
            if a < first[node + 1]:
                path[depth] = a
                depth += 1
                node = head[a]
            elif depth == 0:
                break
            else:
                depth -= 1
                node = head[mate[path[depth]]]
                turn[node] += 1
    return pushed


@lru_cache(maxsize=1)
def _compiled() -> Any:
    from numba import njit

    return njit(cache=True, nogil=True)(_augment)


def smallest_cut(given: Channels, flow: Flow | None = None) -> Cut:
    """The cut next to the origins of those that let the least through: what the origins can still reach determines it, not the search.

    Examples
    --------
    >>> import numpy as np
    >>> roads = channels(np.array([-1, -1, 0, 1]), np.array([0, 1, -1, -1]), np.array([50, 20, 30, 90]), 2)
    >>> smallest_cut(roads)
    Cut(cents=50, flows=array([1, 2]), places=array([], dtype=int64))
    """
    flow = flow or Flow(given)
    reached = reachable(given, flow.room)
    cut = reached[given.head[given.mate]] & ~reached[given.head] & (given.room > 0)
    flows = np.flatnonzero((given.arc >= 0) & cut[given.arc])
    return Cut(flow.limited(), flows, np.flatnonzero(cut[given.gate]))


def smallest_cut_of_places(given: Channels) -> Cut:
    """The places that cut everything and together pass the least, if only places can be cut; `cents` None where no such limit is known.

    What a place passes is the smaller of all that comes to it and all that leaves it, and no more than its limit.

    Examples
    --------
    >>> import numpy as np
    >>> roads = channels(np.array([-1, -1, 0, 1]), np.array([0, 1, -1, -1]), np.array([50, 20, 30, 90]), 2)
    >>> smallest_cut_of_places(roads)
    Cut(cents=50, flows=array([], dtype=int64), places=array([0, 1]))
    """
    n = len(given.gate)
    forward = np.flatnonzero(given.room > 0)
    forward = forward[~np.isin(forward, given.gate)]
    ends = np.minimum(np.stack([_sums(given.head[given.mate[forward]], given.room[forward], 2 * n + 2)[3::2],
                                _sums(given.head[forward], given.room[forward], 2 * n + 2)[2::2]]).min(axis=0), given.room[given.gate])
    known = ends < given.unlimited
    unlimited = int(ends[known].sum()) + 1
    room = np.zeros_like(given.room)
    room[forward], room[given.gate] = unlimited, np.where(known, ends, unlimited)
    return smallest_cut(given._replace(room=room, unlimited=unlimited))


def _sums(nodes: np.ndarray, amounts: np.ndarray, n: int) -> np.ndarray:
    total = np.zeros(n, dtype=np.int64)
    np.add.at(total, nodes, amounts)
    return total


def reachable(given: Channels, room: np.ndarray) -> np.ndarray:
    """The nodes to which more could flow from the origins through this room."""
    n = len(given.first) - 1
    more = room > 0
    begins = np.r_[0, np.cumsum(more)][given.first]
    open_ = sparse.csr_array((np.ones(begins[-1], dtype=np.int8), given.head[more], begins), shape=(n, n))
    reached = np.zeros(n, dtype=bool)
    reached[breadth_first_order(open_, SOURCE, return_predecessors=False)] = True
    return reached


def best_closures(given: Channels, k: int, *, prove: bool = True) -> Closures:
    """The k hubs whose closure leaves the smallest of the largest flows, as far as they can be found, and how good any could be.

    Parameters
    ----------
    given
        Channels with the hub of each place.
    k
        Number of hubs to close; fewer are returned where fewer carry anything.
    prove
        Whether to bound what other choices could do, and on small graphs to search until the best is proved.

    Notes
    -----
    Hubs are chosen one by one, each the one that cuts most of what is left. What a hub carries in any one largest flow bounds what its
    closure can cut, so only hubs that carry more than the best cut found are tried, and each is tried by leading its flow elsewhere. The
    marginal cuts of a set are not submodular (two parallel hubs, each of which can take all, cut nothing one by one), so the usual
    guarantee of a greedy choice does not hold. Three bounds always do: the cut of the first i hubs and the flow of the n that then
    carry most; Lagrangian relaxation of the problem of network interdiction (Wood 1993, doi 10.1016/0895-7177(93)90236-R), where every
    hub can be closed for a price of so much a cent, which is a largest flow with hubs of that capacity; and the branch and bound of
    HiGHS up to `EXACT_UP_TO` arcs. Where bound and answer meet, no other choice cuts more.
    """
    flow = Flow(given)
    before, open_hubs = flow.cents, np.unique(given.hub[given.hub >= 0])
    hubs, after, least = _greedy([flow], k, open_hubs)
    k = len(hubs)
    if not prove:
        return _closures(given, hubs, before, after, np.zeros(k))
    bounds, found = _priced(given, flow, k) if k else (np.zeros(0), [])
    least = np.maximum(least[:k], bounds)
    tries = [sets for sets in found if len(sets) <= k and least[k - 1] < after[k - 1]] if k else []
    if len(given.head) <= EXACT_UP_TO and before < given.unlimited:
        for n in range(1, k + 1):
            if least[n - 1] < after[n - 1]:
                chosen, bound = _searched(given, before, n)
                least[n - 1] = max(least[n - 1], min(bound, _closed(given, flow, chosen).cents))
                tries += [chosen] if n == k else []
    for chosen in tries:
        other = _in_order(given, flow, chosen, k, open_hubs)
        if len(other[1]) == k and other[1][-1] < after[-1]:
            hubs, after = other
    return _closures(given, hubs, before, after, np.minimum(least, np.minimum.accumulate(after) if k else least))


def _closures(given: Channels, hubs: list[int], before: int, after: list[int], least: np.ndarray) -> Closures:
    def limited(amount: int) -> int | None:
        return None if amount >= given.unlimited else int(amount)

    return Closures(hubs, limited(before), [limited(a) for a in after], [int(x) for x in least])


def _places(given: Channels, hub: int) -> list[int]:
    return np.flatnonzero(given.hub == hub).tolist()


def _closed(given: Channels, flow: Flow, hubs: Iterable[int]) -> Flow:
    return flow.copied().close(place for hub in hubs for place in _places(given, hub))


def _in_order(given: Channels, flow: Flow, hubs: Sequence[int], k: int, open_hubs: np.ndarray) -> tuple[list[int], list[int]]:
    """The hubs, the one that cuts most first, then the best others until there are k."""
    first, after, _ = _greedy([flow], len(hubs), np.array(sorted(hubs)))
    more, rest, _ = _greedy([_closed(given, flow, first)], k - len(first), np.setdiff1d(open_hubs, first))
    return first + more, after + rest


def _greedy(flows: Sequence[Flow], k: int, open_hubs: np.ndarray, weight: int = 0) -> tuple[list[int], list[int], np.ndarray]:
    """Hubs one by one, the cost left of all flows after each, and for each number of closures a bound below which none can go.

    A flow costs its cents, and `weight` more where it is without a known limit.
    """
    chosen, after, total = list[int](), list[int](), _cost(flows, weight)
    least = np.zeros(k)
    while True:
        by_flow = _savings(flows, open_hubs, weight)
        savings = by_flow.sum(axis=0)
        most = np.sort(savings)[::-1][:k]
        least[:] = np.maximum(least, total - np.pad(np.cumsum(most), (0, k - len(most)), mode="edge") if len(most) else total)
        order = np.argsort(-savings, kind="stable")
        if len(chosen) == k or not len(order) or savings[order[0]] <= 0:
            return chosen, after, least
        best, left = list[Flow](), total + 1
        for hub in order.tolist():
            if best and savings[hub] <= total - left:
                break
            tried, most_saved = list[Flow](), savings[hub]
            for flow, own in zip(flows, by_flow[:, hub], strict=True):
                tried.append(_closed(flow.given, flow, [hub]))
                most_saved += _cost([flow], weight) - _cost(tried[-1:], weight) - own
                if best and most_saved <= total - left:
                    break
            else:
                best, left, pick = tried, _cost(tried, weight), hub
        flows, total = best, left
        chosen.append(pick)
        after.append(total)


def _cost(flows: Sequence[Flow], weight: int) -> int:
    return sum(int(flow.cents) + weight * (flow.cents >= flow.given.unlimited) for flow in flows)


def _savings(flows: Sequence[Flow], open_hubs: np.ndarray, weight: int) -> np.ndarray:
    """By flow and hub the most that its closure can save of the cost: what it carries, and the weight if the rest has a limit.

    Of several flows as floats, as the sums can be large.
    """
    n_hubs = int(open_hubs.max(initial=-1)) + 1
    found = np.zeros((len(flows), n_hubs), dtype=np.float64 if weight else np.int64)
    for row, flow in zip(found, flows, strict=True):
        carried = np.zeros(n_hubs, dtype=np.int64)
        closable = np.isin(flow.given.hub, open_hubs)
        np.add.at(carried, flow.given.hub[closable], flow.through()[closable])
        row += carried
        if weight and flow.cents >= flow.given.unlimited:
            row[flow.cents - carried < flow.given.unlimited] += weight
    return found


def robust_closures(ensemble: Sequence[Channels], k: int, other: Sequence[int] = ()) -> list[int]:
    """The hubs, at most k in their order, whose closure leaves the least on average over several networks.

    They are chosen one by one, as in `best_closures`; where the hubs of `other` leave less (of equals, less after fewer closures), they
    are returned. Least is first the number of networks left in which no limit is known, then the mean of what can flow.

    Parameters
    ----------
    ensemble
        Channels whose hubs have the same numbers.
    k
        Number of hubs to close.
    other
        Another choice to compare with, in its order.
    """
    flows = [Flow(given) for given in ensemble]
    hubs = np.unique(np.concatenate([given.hub[given.hub >= 0] for given in ensemble]))
    weight = sum(given.unlimited for given in ensemble)

    chosen, costs, _ = _greedy(flows, k, hubs, weight)
    if list(other[:len(chosen)]) == chosen:
        return chosen
    now, others = [flow.copied() for flow in flows], list[int]()
    for hub in other[:k]:
        now = [flow.close(_places(flow.given, hub)) for flow in now]
        others.append(_cost(now, weight))
    before = _cost(flows, weight)
    ours, theirs = ([*left, *[(left or [before])[-1]] * (k - len(left))] for left in (costs, others))
    return list(other[:k]) if (theirs[-1], sum(theirs)) <= (ours[-1], sum(ours)) else chosen


def _priced(given: Channels, flow: Flow, k: int) -> tuple[np.ndarray, list[list[int]]]:
    """For each number of closures up to k a bound of what is left, and the sets of hubs that were best at some price.

    At a price, the largest flow with hubs of that capacity is the cheapest way to cut, by closures or elsewhere, so less the price of n
    closures it is below what any n can leave. It is concave and linear in parts; chords find the prices that matter (Eisner and
    Severance 1976, doi 10.1145/321978.321982).
    """
    share = _shares(given, flow)
    number = np.arange(1, k + 1)
    least, sets, seen = np.zeros(k), list[list[int]](), dict[int, tuple[float, float]]()

    def ask(price: int) -> tuple[float, float]:
        if price not in seen:
            room = given.room.copy()
            gates = given.gate[share > 0]
            room[gates] = np.minimum(room[gates], np.floor(share[share > 0] * price)).astype(np.int64)
            priced = Flow(given._replace(room=room))
            cut = smallest_cut(given._replace(room=room), priced).places
            sold = cut[(share[cut] > 0) & (room[given.gate[cut]] < given.room[given.gate[cut]])]
            seen[price] = (float(priced.cents), float(share[sold].sum()))
            least[:] = np.maximum(least, priced.cents - number * float(price))
            sets.append(np.unique(given.hub[sold]).tolist())
        return seen[price]

    highest = int(flow.through().max(initial=0)) * max(1, int(np.bincount(given.hub[share > 0]).max(initial=1)))
    spans = [(1, highest + 1)]
    while spans and len(seen) < _PRICES:
        low, high = spans.pop(0)
        (a, steep), (b, flat) = ask(low), ask(high)
        if flat > k or steep <= flat or high - low < 2:
            continue
        price = round((b - flat * high - a + steep * low) / (steep - flat))
        if not low < price < high:
            continue
        value, slope = ask(price)
        if value < a + steep * (price - low) - 1:
            spans += [(low, price)] if slope < k else []
            spans += [(price, high)]
    unique = sorted({tuple(chosen) for chosen in sets if chosen}, key=lambda chosen: (-len(chosen), chosen))
    return least, [list(chosen) for chosen in unique]


def _shares(given: Channels, flow: Flow) -> np.ndarray:
    """How a hub's price is laid on its places: by what each carries; 0 for places that cannot be closed."""
    closable = given.hub >= 0
    through = flow.through().astype(float)
    n_hubs = int(given.hub.max(initial=-1)) + 1
    total = np.bincount(given.hub[closable], weights=through[closable], minlength=n_hubs)
    count = np.bincount(given.hub[closable], minlength=n_hubs)
    share = np.zeros(len(given.hub))
    hub = given.hub[closable]
    share[closable] = np.where(total[hub] > 0, through[closable] / np.maximum(total[hub], 1), 1 / np.maximum(count[hub], 1))
    return share


def _searched(given: Channels, before: int, n: int) -> tuple[list[int], int]:
    """The best n closures by branch and bound, and a bound of the cents left; both proved unless the search is cut short, to a millionth
    of the flow.

    Every node has a height between 0 (origins) and 1 (destinations); an arc costs its capacity times the rise along it, and the gate of
    a closed hub may rise for nothing.
    """
    arcs = np.flatnonzero(given.room > 0)
    room = np.minimum(given.room[arcs], before + 1).astype(float)
    tails, heads = given.head[given.mate[arcs]], given.head[arcs]
    hubs, n_nodes, m = np.unique(given.hub[given.hub >= 0]), len(given.first) - 1, len(arcs)
    scale = max(float(room.max(initial=1)), 1.0)
    place = np.full(len(given.head), -1)
    place[given.gate] = given.hub
    gate = place[arcs] >= 0
    z = np.searchsorted(hubs, place[arcs][gate])
    rows = np.arange(m)
    rise = sparse.coo_array((np.r_[np.ones(m), -np.ones(m)], (np.r_[rows, rows], np.r_[heads, tails])), shape=(m, n_nodes))
    opened = sparse.coo_array((np.ones(gate.sum()), (rows[gate], z)), shape=(m, len(hubs)))
    rule = sparse.hstack([rise, -sparse.eye_array(m), -opened], format="csr")
    count = sparse.coo_array((np.ones(len(hubs)), (np.zeros(len(hubs), dtype=int), n_nodes + m + np.arange(len(hubs)))),
                             shape=(1, n_nodes + m + len(hubs)))
    low, high = np.zeros(n_nodes + m + len(hubs)), np.ones(n_nodes + m + len(hubs))
    low[SINK], high[SOURCE] = 1, 0
    cost = np.r_[np.zeros(n_nodes), room / scale, np.zeros(len(hubs))]
    result = milp(
        cost, constraints=[LinearConstraint(rule, ub=np.zeros(m)), LinearConstraint(count.tocsr(), ub=[n])], bounds=Bounds(low, high),
        integrality=np.r_[np.zeros(n_nodes + m), np.ones(len(hubs))], options={"node_limit": _NODES, "mip_rel_gap": 0.0},
    )
    if result.x is None:
        return [], 0
    chosen = hubs[np.round(result.x[n_nodes + m:]) > 0].tolist()
    proved = float(result.mip_dual_bound or 0.0) * scale - _TOLERANCE * before
    return chosen, max(math.ceil(proved), 0)
