"""Proportional mixing against path enumeration, a replay of tokens, dense algebra, and what can be worked by hand."""

import itertools

import numpy as np
import pytest

from chiptrail.queries.mixing import amounts, chain_of, dispatched, ends, passages, reach, through


def flows(seed, n=7, m=16, *, acyclic=False):
    """Random flows among n actors, of which the first is the origin and the last the destination; several may join a pair."""
    rng = np.random.default_rng(seed)
    sellers, buyers = rng.integers(0, n, m), rng.integers(0, n, m)
    if acyclic:
        sellers, buyers = np.minimum(sellers, buyers), np.maximum(sellers, buyers)
    return sellers, buyers, rng.integers(1, 20, m).astype(float), n


def shares(sellers, buyers, usd, n, absorbing):
    """What each actor sends to each other of what it holds, in plain loops."""
    table, held = np.zeros((n, n)), np.zeros(n)
    for s, b, v in zip(sellers, buyers, usd, strict=True):
        if s != b:
            table[s, b] += v
    for i in range(n):
        held[i] = max(table[i].sum(), table[:, i].sum())
    step = [[table[i, j] / held[i] if held[i] and i not in absorbing else 0.0 for j in range(n)] for i in range(n)]
    return table, np.array(step), held


def walked(table, step, held, n, hub, destination, longest):
    """USD from actor 0 that are ever at the hub and end at the destination, path by path."""
    total = 0.0
    left = [(j, table[0, j], j == hub) for j in range(n) if table[0, j]]
    for _ in range(longest):
        following = []
        for place, usd, met in left:
            if place == destination:
                total += usd if met else 0.0
                continue
            following += [(j, usd * step[place, j], met or j == hub) for j in range(n) if usd * step[place, j] > 1e-9]
        left = following
    return total


@pytest.mark.parametrize("seed", range(40))
def test_equals_path_enumeration_without_cycles(seed):
    s, b, v, n = flows(seed, acyclic=True)
    chain = chain_of(s, b, v, n, absorbing=[0, n - 1])
    hubs = list(range(1, n - 1))
    found = through(chain, dispatched(chain, [0]), hubs, [n - 1])
    table, step, held = shares(s, b, v, n, (0, n - 1))
    np.testing.assert_allclose(found, [walked(table, step, held, n, h, n - 1, n + 1) for h in hubs], rtol=1e-6, atol=1e-6)


def test_equals_path_enumeration_with_cycles():
    """Only worlds whose cycles lose goods quickly can be walked to the end."""
    walkable = 0
    for seed in range(60):
        s, b, v, n = flows(seed, n=5, m=8)
        table, step, held = shares(s, b, v, n, (0, n - 1))
        if np.linalg.matrix_power(step, 20).sum() > 1e-7 or not np.linalg.matrix_power(step > 0, n).any():
            continue
        walkable += 1
        chain = chain_of(s, b, v, n, absorbing=[0, n - 1])
        found = through(chain, dispatched(chain, [0]), [1, 2, 3], [n - 1])
        np.testing.assert_allclose(found, [walked(table, step, held, n, h, n - 1, 40) for h in (1, 2, 3)], rtol=1e-4, atol=1e-4)
    assert walkable >= 3


def test_equals_a_replay_of_tokens():
    """Each token is a dollar of the origin that moves by chance, in proportion to what its holder sends."""
    rng = np.random.default_rng(5)
    sellers, buyers = np.array([0, 0, 1, 2, 1, 3, 2, 3, 4]), np.array([1, 2, 2, 1, 3, 1, 5, 5, 2])
    usd = np.array([60.0, 40, 30, 25, 50, 10, 35, 30, 20])
    chain = chain_of(sellers, buyers, usd, 6, absorbing=[0, 5])
    n_tokens = 40_000
    table, step, _ = shares(sellers, buyers, usd, 6, (0, 5))
    places = rng.choice(6, n_tokens, p=table[0] / table[0].sum())
    met, alive = np.zeros((n_tokens, 6), dtype=bool), np.ones(n_tokens, dtype=bool)
    moves = np.cumsum(step, axis=1)
    while alive.any():
        met[np.flatnonzero(alive), places[alive]] = True
        drawn = rng.random(n_tokens)
        onward = (moves[places] <= drawn[:, None]).sum(axis=1)
        alive &= onward < 6
        places = np.where(alive, onward, places)
    arrived = (places == 5)[:, None] & met
    hubs = [1, 2, 3]
    expected = through(chain, dispatched(chain, [0]), hubs, [5])
    np.testing.assert_allclose(arrived[:, hubs].mean(axis=0) * 100.0, expected, atol=1.0)


@pytest.mark.parametrize("seed", range(30))
def test_all_that_is_produced_ends_somewhere(seed):
    """Columns of C sum to production, where every actor makes what it sends above what it gets; R is that of dense algebra."""
    s, b, v, n = flows(seed, n=9, m=25)
    chain = chain_of(s, b, v, n)
    production = np.diag(chain.unobserved)
    table, _, held = shares(s, b, v, n, ())
    np.testing.assert_allclose(ends(chain, production).sum(axis=0), chain.unobserved, rtol=1e-9, atol=1e-9)
    a = np.divide(table.T, held, out=np.zeros((n, n)), where=held > 0)
    dense = np.linalg.lstsq(np.eye(n) - a, production, rcond=None)[0]
    if np.linalg.matrix_rank(np.eye(n) - a) == n:
        np.testing.assert_allclose(amounts(chain, production), dense, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(amounts(chain, chain.unobserved), held, rtol=1e-8, atol=1e-8)


def test_columns_of_c_sum_to_production_on_a_large_network():
    rng = np.random.default_rng(3)
    n, m = 2_000, 12_000
    chain = chain_of(rng.integers(0, n, m), rng.integers(0, n, m), rng.lognormal(9, 2, m), n)
    some = np.argsort(-chain.unobserved)[:50]
    production = np.zeros((n, 50))
    production[some, range(50)] = chain.unobserved[some]
    np.testing.assert_allclose(ends(chain, production).sum(axis=0), chain.unobserved[some], rtol=1e-9)


def test_hub_on_a_cycle_gets_no_more_than_all():
    """0 sends 10 to 1; 1 and 2 pass 90 round and round; 1 sends 10 to 3: all ten went through 1, and nine tenths also met 2."""
    chain = chain_of(np.array([0, 1, 2, 1]), np.array([1, 2, 1, 3]), np.array([10.0, 90, 90, 10]), 4, absorbing=[0, 3])
    entering = dispatched(chain, [0])
    assert amounts(chain, entering)[1] == pytest.approx(100)
    assert passages(chain, [1, 2]) == pytest.approx([10, 10])
    assert through(chain, entering, [1, 2], [3]) == pytest.approx([10, 9])


def test_nobody_gets_more_than_all():
    for seed in range(60):
        s, b, v, n = flows(seed, m=30)
        chain = chain_of(s, b, v, n, absorbing=[0, n - 1])
        entering = dispatched(chain, [0])
        arrived = ends(chain, entering)[n - 1]
        assert (through(chain, entering, range(1, n - 1), [n - 1]) <= arrived + 1e-9).all()
        assert (amounts(chain, entering)[1:-1] <= chain.held[1:-1] + 1e-9).all()


def test_flows_that_go_round_almost_for_ever_are_solved():
    """One cent in a billion leaves the circle; sweeps alone would need a million million of them."""
    chain = chain_of(np.array([0, 1, 2, 1]), np.array([1, 2, 1, 3]), np.array([0.01, 1e9, 1e9, 0.01]), 4, absorbing=[0, 3])
    entering = dispatched(chain, [0])
    assert ends(chain, entering)[3] == pytest.approx(0.01, rel=1e-4)
    assert through(chain, entering, [1], [3])[0] == pytest.approx(0.01, rel=1e-4)


def test_closed_class_holds_nothing_of_the_origin_and_harms_nobody():
    """2 and 3 sell the same goods to each other, and nothing comes in or goes out."""
    chain = chain_of(np.array([0, 1, 2, 3]), np.array([1, 4, 3, 2]), np.array([5.0, 5, 7, 7]), 5, absorbing=[0, 4])
    entering = dispatched(chain, [0])
    assert amounts(chain, entering).tolist() == [0, 5, 0, 0, 5]
    assert reach(chain, [4]).tolist() == [0, 1, 0, 0, 1]
    assert np.isinf(passages(chain, [2])).all()
    assert through(chain, entering, [1, 2, 3], [4]).tolist() == [5, 0, 0]


def test_self_loops_empty_and_unobserved():
    chain = chain_of(np.array([0, 1, 1]), np.array([1, 1, 2]), np.array([4.0, 99, 10]), 3, absorbing=[0, 2])
    assert chain.held.tolist() == [4, 10, 10]
    assert chain.unobserved.tolist()[1] == 6
    assert ends(chain, dispatched(chain, [0])).tolist() == [0, 0, 4]
    nothing = np.array([], dtype=int)
    empty = chain_of(nothing, nothing, nothing.astype(float), 3, absorbing=[0])
    assert through(empty, dispatched(empty, [0]), [1, 2], [2]).tolist() == [0, 0]


def test_several_origins_share_out_what_they_send_together():
    for seed in range(20):
        s, b, v, n = flows(seed, n=8, m=30)
        chain = chain_of(s, b, v, n, absorbing=[0, 1, n - 1])
        alone = [amounts(chain, dispatched(chain, [o])) for o in (0, 1)]
        np.testing.assert_allclose(sum(alone), amounts(chain, dispatched(chain, [0, 1])), atol=1e-9)


def test_hubs_of_a_set_at_once_are_those_one_by_one():
    s, b, v, n = flows(2, n=60, m=400)
    chain = chain_of(s, b, v, n, absorbing=[0, n - 1])
    entering = dispatched(chain, [0])
    together = through(chain, entering, range(1, n - 1), [n - 1])
    for h, usd in itertools.islice(zip(range(1, n - 1), together, strict=True), 12):
        cut = chain_of(s, b, v, n, absorbing=[0, n - 1, h])
        assert ends(cut, entering)[h] * reach(chain, [n - 1])[h] == pytest.approx(usd)
