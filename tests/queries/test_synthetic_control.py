from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from chiptrail.queries.synthetic_control import (
    control,
    joint_spread,
    month_noise,
    placebo_controls,
    placebo_p,
    ratio_interval,
    shift,
    simplex_weights,
    studentised,
    widening,
)


def panel(seed, months=12, donors=6):
    rng = np.random.default_rng(seed)
    return rng.lognormal(0, 0.3, months), rng.lognormal(0, 0.3, (months, donors)), rng.uniform(0, 0.5, donors)


def criterion(weights, target, donors, penalty):
    return ((target - donors @ weights) ** 2).sum() + (penalty * weights**2).sum()


def test_weights_of_a_perfect_control_are_recovered():
    _, donors, _ = panel(1)
    true = np.array([0.5, 0.0, 0.2, 0.0, 0.3, 0.0])
    assert simplex_weights(donors @ true, donors, np.zeros(6)) == pytest.approx(true, abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_weights_are_those_of_a_general_solver(seed):
    target, donors, penalty = panel(seed)
    found = simplex_weights(target, donors, penalty)
    other = minimize(
        criterion, np.full(6, 1 / 6), args=(target, donors, penalty), method="SLSQP", bounds=[(0, 1)] * 6,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1}, options={"ftol": 1e-14, "maxiter": 1000})
    assert other.success
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    assert found == pytest.approx(other.x, abs=1e-5)
    assert criterion(found, target, donors, penalty) <= criterion(other.x, target, donors, penalty) + 1e-12


def test_penalty_spreads_the_weights_by_the_noise():
    """Where nothing else speaks, weights are as the inverse of the penalties."""
    assert simplex_weights(np.ones(4), np.ones((4, 3)), np.array([1.0, 1.0, 2.0])) == pytest.approx([0.4, 0.4, 0.2])


def test_control_by_hand():
    """Donors stand still at 1; the unit falls from 10 to 4."""
    made = control(np.array([9.0, 11.0, 4.0, 4.0]), np.ones((4, 2)), 2, np.ones(2), 1.0)
    assert made.counterfactual.tolist() == [10.0] * 4
    assert made.gap.tolist() == [-1.0, 1.0, -6.0, -6.0]
    assert made.prefit == pytest.approx(0.1)
    assert shift(made.gap, 2).mean == -6


def test_a_unit_that_did_not_trade_before_has_no_control():
    made = control(np.array([0.0, 0.0, 3.0]), np.ones((3, 2)), 2, np.ones(2), 1.0)
    assert made.gap.tolist() == [0.0, 0.0, 3.0]
    assert not made.weights.any()
    assert np.isnan(made.prefit)


def test_noise_of_a_walk_and_of_a_constant():
    assert month_noise(np.array([[1.0, 5.0], [2.0, 5.0], [1.0, 5.0], [2.0, 5.0]])).tolist() == pytest.approx([2 / 3, 0.0])


def test_shift_and_its_error_by_hand():
    """Before 1, -1: squares 2; after 4, 6, 8: squares 8. Variance 10 / 3, times 1/2 + 1/3."""
    gap = np.array([1.0, -1.0, 4.0, 6.0, 8.0])
    moved = shift(gap, 2)
    assert moved.mean == 6
    assert moved.error**2 == pytest.approx(10 / 3 * 5 / 6)
    assert studentised(moved) == pytest.approx(6 / moved.error)
    assert joint_spread(gap, -2 * gap, 2) == pytest.approx(-2 * moved.error**2)


def test_placebos_by_brute_force():
    _, donors, noise = panel(3)
    donors = donors / donors[:8].mean(axis=0)
    made = placebo_controls(donors, 8, noise, 2.0)
    for j, one in enumerate(made):
        others = [k for k in range(6) if k != j]
        expected = simplex_weights(donors[:8, j], donors[:8, others], 16 * noise[others])
        assert one.weights == pytest.approx(expected)
        assert one.gap == pytest.approx(donors[:, j] - donors[:, others] @ expected)


def test_p_value_counts_units_as_far_out():
    placebos = np.array([0.5, -3.0, 2.0, 1.0])
    assert placebo_p(-2.0, placebos) == sum(abs(x) >= 2 for x in [*placebos, -2.0]) / 5
    assert placebo_p(9.0, placebos) == 1 / 5
    assert widening(placebos) == pytest.approx(np.sqrt(14.25 / 4))
    assert widening(placebos / 10) == 1


def test_ratio_without_noise_is_exact():
    loss = np.array([0.0, 0.0, 10.0, 10.0, 10.0])
    found = ratio_interval(0.4 * loss, loss, 2, widened=1.0, df=20, level=0.9)
    assert found == pytest.approx((0.4, 0.4))


def test_ratio_is_open_where_the_loss_may_be_none():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 5, 20)
    loss = noise - noise[10:].mean() + np.r_[np.full(10, noise[10:].mean() - noise[:10].mean()), np.full(10, 0.5)]
    assert shift(loss, 10).mean == pytest.approx(0.5)
    assert ratio_interval(rng.normal(0, 5, 20), loss, 10, widened=1.0, df=20, level=0.9).high == np.inf


def test_wider_placebos_and_higher_levels_widen_the_ratio():
    rng = np.random.default_rng(4)
    loss = np.r_[np.zeros(10), np.full(10, 10.0)] + rng.normal(0, 1, 20)
    gain = np.r_[np.zeros(10), np.full(10, 6.0)] + rng.normal(0, 1, 20)
    found = [ratio_interval(gain, loss, 10, widened=w, df=30, level=v) for w, v in ((1, 0.9), (2, 0.9), (2, 0.99))]
    assert all(a.low > b.low and a.high < b.high for a, b in pairwise(found))


@pytest.mark.parametrize("true", [0.0, 0.1, 0.3, 1.0])
def test_ratio_holds_the_truth_as_often_as_it_says(true):
    """With independent normal months and a loss that is known well; zero is left out in one of ten worlds at most."""
    rng = np.random.default_rng(int(10 * true))
    held = 0
    for _ in range(150):
        loss = np.r_[np.zeros(12), np.full(12, 10.0)] + rng.normal(0, 0.3, 24)
        gain = np.r_[np.zeros(12), np.full(12, 10.0 * true)] + rng.normal(0, 3, 24)
        found = ratio_interval(gain, loss, 12, widened=1.0, df=22, level=0.9)
        held += found.low <= true <= found.high
    assert 0.9 - 3 * np.sqrt(0.09 / 150) <= held / 150 <= 0.9 + 3 * np.sqrt(0.09 / 150)


def test_zero_is_tested_on_one_side_and_far_ratios_on_both():
    """Feldman and Cousins, table X: for a measured 3.0 standard errors the 90 % interval is 1.37 to 4.64, for 1.3 it begins above 0."""
    pattern = np.tile([1.0, -1.0], 2000)
    gain_noise = pattern / np.sqrt(4000 / 3998 * 4 / 4000)

    def interval(measured):
        step = np.r_[np.zeros(2000), np.ones(2000)]
        return ratio_interval(measured * step + gain_noise, step, 2000, widened=1.0, df=10**7, level=0.9)

    assert interval(3.0) == pytest.approx((1.37, 4.64), abs=0.015)
    assert interval(norm.ppf(0.9) - 0.01).low == 0
    assert interval(norm.ppf(0.9) + 0.01).low > 0
