"""Largest flows, smallest cuts and best closures against networkx, exhaustive search and drawings worked by hand."""

import itertools
from typing import NamedTuple

import networkx as nx
import numpy as np
import pytest

from chiptrail.graphmodel.errors import ChiptrailError
from chiptrail.queries import cuts


class Roads(NamedTuple):
    sellers: np.ndarray
    buyers: np.ndarray
    cents: np.ndarray
    limits: np.ndarray
    hubs: np.ndarray


def drawn(*flows, hubs=None, limits=None):
    """Channels of flows written as (seller, buyer, cents), -1 for both ends."""
    sellers, buyers, amounts = (np.array(column) for column in zip(*flows, strict=True))
    n = max(sellers.max(), buyers.max()) + 1
    return cuts.channels(sellers, buyers, amounts, n, hubs=None if hubs is None else np.array(hubs),
                         limits=None if limits is None else np.array(limits))


def random_roads(seed, most_places=9, most_flows=30):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, most_places + 1), rng.integers(3, most_flows + 1)
    sellers, buyers = rng.integers(-1, n, m), rng.integers(-1, n, m)
    limits = np.where(rng.random(n) < 0.5, cuts.UNLIMITED, rng.integers(0, 60, n))
    hubs = np.where(rng.random(n) < 0.1, -1, rng.integers(0, max(1, n * 2 // 3), n))
    return Roads(sellers, buyers, rng.integers(0, 50, m), limits, hubs)


def channels_of(roads):
    return cuts.channels(*roads[:3], len(roads.limits), hubs=roads.hubs, limits=roads.limits)


def places_by_networkx(roads):
    """The smallest cut of places alone, each worth the smaller of what comes and goes and its limit; None where a road meets none."""
    graph, n = nx.DiGraph(), len(roads.limits)
    graph.add_nodes_from(["origins", "destinations"])
    into, out = np.zeros(n, dtype=int), np.zeros(n, dtype=int)
    for seller, buyer, amount in zip(*(column.tolist() for column in roads[:3]), strict=True):
        if amount == 0 or seller == buyer >= 0:
            continue
        if buyer >= 0:
            into[buyer] += amount
        if seller >= 0:
            out[seller] += amount
        graph.add_edge("origins" if seller < 0 else (seller, "out"), "destinations" if buyer < 0 else (buyer, "in"))
    for place, limit in enumerate(roads.limits.tolist()):
        most = min(into[place], out[place])
        graph.add_edge((place, "in"), (place, "out"), capacity=int(most if limit < 0 else min(most, limit)))
    return None if graph.has_edge("origins", "destinations") else nx.minimum_cut_value(graph, "origins", "destinations")


def by_networkx(roads, closed=()):
    """The largest flow in a graph of networkx without the closed hubs, places split in two."""
    graph = nx.DiGraph()
    graph.add_nodes_from(["origins", "destinations"])
    shut = set(np.flatnonzero(np.isin(roads.hubs, list(closed))).tolist())
    for place, limit in enumerate(roads.limits.tolist()):
        if place not in shut:
            graph.add_edge((place, "in"), (place, "out"), **({} if limit < 0 else {"capacity": limit}))
    for seller, buyer, amount in zip(*(column.tolist() for column in roads[:3]), strict=True):
        if seller in shut or buyer in shut or (seller == buyer >= 0):
            continue
        ends = "origins" if seller < 0 else (seller, "out"), "destinations" if buyer < 0 else (buyer, "in")
        so_far = graph.edges[ends]["capacity"] if graph.has_edge(*ends) else 0
        graph.add_edge(*ends, capacity=so_far + amount)
    return nx.maximum_flow_value(graph, "origins", "destinations")


@pytest.fixture(params=["plain", "compiled"])
def both_ways(request, monkeypatch):
    monkeypatch.setattr(cuts, "COMPILED_FROM", 0 if request.param == "compiled" else 10**9)


@pytest.mark.soak
@pytest.mark.usefixtures("both_ways")
def test_flow_and_cut_equal_networkx(campaign, found):
    seeds = campaign(2_000)
    for seed in seeds:
        roads = random_roads(seed)
        given = channels_of(roads)
        cut = cuts.smallest_cut(given)
        assert cut.cents == by_networkx(roads), seed
        assert roads.cents[cut.flows].sum() + roads.limits[cut.places].sum() == cut.cents, seed
        assert (roads.limits[cut.places] >= 0).all()
    found(f"largest flow and smallest cut equal networkx to the cent on {len(seeds)} random networks")


@pytest.mark.soak
@pytest.mark.usefixtures("both_ways")
def test_cut_of_places_equals_networkx(campaign, found):
    n_cut = 0
    for seed in campaign(2_000):
        roads = random_roads(seed)
        given, expected = channels_of(roads), places_by_networkx(roads)
        cut = cuts.smallest_cut_of_places(given)
        assert cut.cents == expected, seed
        if expected:
            n_cut += 1
            assert not len(cut.flows)
            assert cuts.Flow(given).close(cut.places.tolist()).cents == 0, "the places do cut everything"
    assert n_cut > 0
    found(f"smallest cuts of places equal networkx to the cent on {n_cut} random networks that have one")


def test_a_cut_of_places_is_known_only_where_values_are():
    """o -?-> 0 -?-> d has none; through place 1, of which 8 leave, all is cut for 8."""
    open_ = drawn((-1, 0, cuts.UNLIMITED), (0, -1, cuts.UNLIMITED))
    assert cuts.smallest_cut_of_places(open_).cents is None
    passed = cuts.smallest_cut_of_places(drawn((-1, 0, cuts.UNLIMITED), (0, 1, cuts.UNLIMITED), (1, -1, 8)))
    assert (passed.cents, passed.places.tolist()) == (8, [1])


def test_robust_choice_equals_exhaustive_search_for_one_closure():
    """Two networks of the same hubs: the hub that leaves least in both together; and never worse than another choice."""
    parted = 0
    for seed in range(40):
        roads = random_roads(seed)
        other = roads._replace(cents=np.random.default_rng(seed + 1_000).permutation(roads.cents))
        ensemble = [channels_of(roads), channels_of(other)]

        def left(chosen, roads=roads, other=other):
            return by_networkx(roads, chosen) + by_networkx(other, chosen)

        hubs = np.unique(roads.hubs[roads.hubs >= 0]).tolist()
        assert left(cuts.robust_closures(ensemble, 1)) == min((left([hub]) for hub in hubs), default=left([])), seed
        recorded = cuts.best_closures(ensemble[0], 2).hubs
        assert left(cuts.robust_closures(ensemble, 2, recorded)) <= left(recorded), seed
        parted += left(cuts.robust_closures(ensemble, 1)) < left(recorded[:1])
    assert parted > 0, "else the networks never part, and this shows nothing"


def test_robust_choice_first_ends_what_has_no_limit():
    open_ = drawn((-1, 0, cuts.UNLIMITED), (0, -1, cuts.UNLIMITED), (-1, 1, 500), (1, -1, 500))
    closed = drawn((-1, 0, 0), (0, -1, 5), (-1, 1, 500), (1, -1, 500))
    assert cuts.robust_closures([open_, closed, closed], 1) == [0]
    assert cuts.robust_closures([closed, closed], 2) == [1]


def test_larger_network_equals_networkx():
    rng = np.random.default_rng(5)
    n, m = 300, 1_500
    roads = Roads(rng.integers(-1, n, m), rng.integers(-1, n, m), rng.integers(0, 10**9, m), np.full(n, cuts.UNLIMITED), np.arange(n))
    ends = rng.integers(0, n, (2, 40))
    roads.sellers[np.isin(roads.sellers, ends[0])] = -1
    roads.buyers[np.isin(roads.buyers, ends[1])] = -1
    given = channels_of(roads)
    assert len(given.head) > cuts.COMPILED_FROM
    assert cuts.Flow(given).cents == by_networkx(roads) > 0


@pytest.mark.usefixtures("both_ways")
def test_closing_one_by_one_leaves_the_largest_flow():
    for seed in range(100, 160):
        roads = random_roads(seed)
        flow, shut = cuts.Flow(channels_of(roads)), []
        for hub in np.random.default_rng(seed).permutation(np.unique(roads.hubs[roads.hubs >= 0])).tolist():
            shut.append(hub)
            flow.close(np.flatnonzero(roads.hubs == hub).tolist())
            assert flow.cents == by_networkx(roads, shut), (seed, shut)


@pytest.mark.soak
def test_best_closures_equal_exhaustive_search(campaign, found):
    proved = tried = 0
    for seed in campaign(600):
        roads = random_roads(seed)
        given = channels_of(roads)
        hubs = np.unique(roads.hubs[roads.hubs >= 0]).tolist()
        for k in (1, 2, 3):
            closures = cuts.best_closures(given, k)
            best = min(by_networkx(roads, chosen) for chosen in itertools.combinations(hubs, min(k, len(hubs))))
            assert (closures.after[-1] if closures.after else closures.before) == best, (seed, k)
            assert all(by_networkx(roads, closures.hubs[:n + 1]) == left for n, left in enumerate(closures.after))
            if len(closures.hubs) == k:
                tried += 1
                proved += closures.least_after[-1] == best
                assert closures.least_after[-1] <= best
    assert proved == tried > 0
    found(f"the choice equals exhaustive search with networkx, and its bound proves it, in {proved} of {tried} sets of 1 to 3 hubs")


def test_bounds_hold_where_nothing_is_searched(monkeypatch):
    """Without branch and bound, and hubs of several places, no closure goes below the bound."""
    monkeypatch.setattr(cuts, "EXACT_UP_TO", 0)
    loose = 0
    for seed in range(1_000, 1_060):
        roads = random_roads(seed)
        hubs = np.unique(roads.hubs[roads.hubs >= 0]).tolist()
        found = cuts.best_closures(channels_of(roads), 3)
        for n, least in enumerate(found.least_after, start=1):
            best = min(by_networkx(roads, chosen) for chosen in itertools.combinations(hubs, n))
            assert least <= best <= found.after[n - 1], (seed, n)
            loose += least < best
    assert loose > 0, "else the greedy choice and its bound never part, and this shows nothing"


def test_two_parallel_hubs_cut_nothing_one_by_one():
    """         /-> 0 -9-\\
       o -9-> 3         2 -9-> d     and    o -4-> 4 -4-> d
                \\-> 1 -9-/

    One by one, the hubs 0 and 1 cut nothing: greedy takes 4 first. Together they cut 9; places 2 and 3 cannot be closed.
    """
    given = drawn((-1, 3, 9), (3, 0, 9), (3, 1, 9), (0, 2, 9), (1, 2, 9), (2, -1, 9), (-1, 4, 4), (4, -1, 4), hubs=[0, 1, -1, -1, 4])
    assert cuts.best_closures(given, 2, prove=False).after == [9, 9]
    found = cuts.best_closures(given, 2)
    assert sorted(found.hubs) == [0, 1]
    assert (found.before, found.after[-1], found.least_after) == (13, 4, [9, 4])


def test_a_hub_closes_with_all_its_places():
    """o -5-> 0 -5-> d and o -3-> 1 -2-> d are goods of one hub, o -6-> 2 -6-> d those of another."""
    given = drawn((-1, 0, 5), (0, -1, 5), (-1, 1, 3), (1, -1, 2), (-1, 2, 6), (2, -1, 6), hubs=[7, 7, 3])
    found = cuts.best_closures(given, 5)
    assert (found.hubs, found.before, found.after, found.least_after) == ([7, 3], 13, [6, 0], [6, 0])


def test_a_cycle_carries_nothing_and_parallel_flows_add_up():
    """o -6,4-> 0 -8-> 1 -7-> d, with 1 -100-> 0 back and 1 -50-> 1 to itself."""
    given = drawn((-1, 0, 6), (-1, 0, 4), (0, 1, 8), (1, 0, 100), (1, 1, 50), (1, -1, 7))
    flow = cuts.Flow(given)
    assert flow.cents == 7
    assert cuts.best_closures(given, 1).after == [0]
    assert cuts.smallest_cut(given, flow).flows.tolist() == [5]
    assert flow.reaching(0) == (10, 7)
    assert flow.reaching(1) == (8, 7)


def test_the_cut_does_not_depend_on_the_order_of_flows():
    for seed in range(30):
        roads = random_roads(seed)
        order = np.random.default_rng(seed).permutation(len(roads.cents))
        mixed = roads._replace(**{name: getattr(roads, name)[order] for name in ("sellers", "buyers", "cents")})
        one, other = cuts.smallest_cut(channels_of(roads)), cuts.smallest_cut(channels_of(mixed))
        assert sorted(order[other.flows].tolist()) == one.flows.tolist()
        assert other.places.tolist() == one.places.tolist()


def test_a_value_that_is_not_known_is_no_limit_and_no_zero():
    open_ = drawn((-1, 0, cuts.UNLIMITED), (0, -1, cuts.UNLIMITED), (-1, 1, 5), (1, -1, 5))
    assert cuts.Flow(open_).limited() is None
    found = cuts.best_closures(open_, 2)
    assert (found.hubs, found.before, found.after) == ([0, 1], None, [5, 0])
    closed = drawn((-1, 0, cuts.UNLIMITED), (0, -1, 8))
    assert cuts.Flow(closed).limited() == 8
    assert cuts.Flow(closed).reaching(0) == (None, 8)


def test_dollars_become_whole_cents():
    assert cuts.cents(np.array([1.004, 2.006, np.nan, 0.0])).tolist() == [100, 201, cuts.UNLIMITED, 0]
    with pytest.raises(ChiptrailError, match="check their unit"):
        cuts.cents(np.array([1e17]))


def test_nothing_flows_where_there_is_nothing():
    given = cuts.channels(*(np.empty(0, dtype=np.int64) for _ in range(3)), 0)
    assert cuts.smallest_cut(given).cents == 0
    assert cuts.best_closures(given, 3) == cuts.Closures([], 0, [], [])
