"""Bounds from the balances against exhaustive search, and around the estimate by mixing."""

import itertools

import numpy as np
import pytest

from chiptrail.queries.balances import balanced
from chiptrail.queries.mixing import amounts, chain_of, dispatched, through


def searched(table, hub):
    """Least and most through the hub by trying every whole number on every flow; 0 is the origin, the last the destination."""
    n = len(table)
    edges = [(i, j) for i in range(n) for j in range(n) if table[i, j] and i != n - 1]
    inner = range(1, n - 1)
    unobserved = {i: max(table[i].sum() - table[:, i].sum(), 0) for i in inner}
    least, most = np.inf, -np.inf
    choices = []
    for i, j in edges:
        v = int(table[i, j])
        if i == 0:
            choices.append([(v, 0)])
        elif i == hub:
            choices.append([(0, k) for k in range(v + 1)])
        else:
            choices.append([(g, k) for g in range(v + 1) for k in range(v + 1 - g)])
    for chosen in itertools.product(*choices):
        moved = dict(zip(edges, chosen, strict=True))
        for i in inner:
            into = np.array([moved[e] for e in edges if e[1] == i]).reshape(-1, 2).sum(axis=0)
            out = np.array([moved[e] for e in edges if e[0] == i]).reshape(-1, 2).sum(axis=0)
            if i == hub:
                into = np.array([0, into.sum()])
            others = table[i].sum() - out.sum(), table[:, i].sum() - into.sum() + unobserved[i]
            if (out > into).any() or others[0] > others[1]:
                break
        else:
            through_hub = sum(k for (_, j), (_, k) in moved.items() if j == n - 1)
            least, most = min(least, through_hub), max(most, through_hub)
    return least, most


@pytest.mark.parametrize("seed", range(40))
def test_equal_exhaustive_search(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 6))
    table = np.zeros((n, n))
    for i, j in [(0, 1), (n - 2, n - 1), *rng.integers(0, n, (5, 2)).tolist()]:
        if i != j:
            table[i, j] = rng.integers(1, 4)
    sellers, buyers = np.nonzero(table)
    chain = chain_of(sellers, buyers, table[sellers, buyers], n, absorbing=[0, n - 1])
    for hub in range(1, n - 1):
        found = balanced(chain, origins=[0], destinations=[n - 1], hub=hub)
        assert tuple(found) == pytest.approx(searched(table, hub), abs=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_always_contain_the_mixing_estimate(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(4, 14)), int(rng.integers(5, 60))
    sellers, buyers, usd = rng.integers(0, n, m), rng.integers(0, n, m), rng.lognormal(3, 2, m)
    chain = chain_of(sellers, buyers, usd, n, absorbing=[0, n - 1])
    hubs = rng.integers(1, n - 1, 2)
    free = np.where(np.isin(np.arange(n), [0, n - 1]), 0.0, chain.unobserved)
    for share in (0.0, 0.4, 1.0):
        mixed = through(chain, dispatched(chain, [0]) + share * free, hubs, [n - 1])
        for hub, usd_mixed in zip(hubs, mixed, strict=True):
            least, most = balanced(chain, origins=[0], destinations=[n - 1], hub=int(hub), unobserved=(share, share))
            assert least - 1e-6 * most - 1e-9 <= usd_mixed <= most * (1 + 1e-6) + 1e-9
            wide = balanced(chain, origins=[0], destinations=[n - 1], hub=int(hub), unobserved=(0.0, 1.0))
            assert wide.least <= least + 1e-6 * most + 1e-9
            assert wide.most >= most * (1 - 1e-6) - 1e-9


def test_worked_by_hand():
    """The hub 1 gets 6 of the origin and 4 others', sends 7 on: at least 3 and at most 6; what 2 gets of it can stay there."""
    sellers, buyers = np.array([0, 3, 1, 1, 2, 3]), np.array([1, 1, 4, 2, 4, 2])
    chain = chain_of(sellers, buyers, np.array([6.0, 4, 7, 2, 1, 1]), 5, absorbing=[0, 4])
    assert tuple(balanced(chain, origins=[0], destinations=[4], hub=1)) == pytest.approx((3, 6))
    assert tuple(balanced(chain, origins=[0], destinations=[4])) == pytest.approx((3, 6))
    assert balanced(chain, origins=[0], destinations=[4], hub=2).most == pytest.approx(1)


def test_inflow_that_is_not_complete_leaves_no_least():
    chain = chain_of(np.array([0, 1]), np.array([1, 2]), np.array([6.0, 6.0]), 3, absorbing=[0, 2])
    assert tuple(balanced(chain, origins=[0], destinations=[2], hub=1)) == pytest.approx((6, 6))
    unknown = np.array([False, True, False])
    assert tuple(balanced(chain, origins=[0], destinations=[2], hub=1, incomplete=unknown)) == pytest.approx((0, 6))


def test_all_that_arrives_without_a_hub_holds_the_mixing_estimate():
    rng = np.random.default_rng(1)
    chain = chain_of(rng.integers(0, 9, 40), rng.integers(0, 9, 40), rng.lognormal(3, 1, 40), 9, absorbing=[0, 8])
    bounds = balanced(chain, origins=[0], destinations=[8])
    assert bounds.least < amounts(chain, dispatched(chain, [0]))[8] < bounds.most


def test_nothing_to_bound():
    nothing = np.array([], dtype=int)
    chain = chain_of(nothing, nothing, nothing.astype(float), 3, absorbing=[0, 2])
    assert tuple(balanced(chain, origins=[0], destinations=[2], hub=1)) == (0, 0)
