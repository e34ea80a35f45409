"""Synthetic control on arrays: what a series would have been without an event, how unusual its shift is, and the ratio of two shifts.

Series run over months, the first `n_before` of them before the event. Each is measured by its own mean before the event, so that
units of all sizes compare.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq, nnls
from scipy.stats import t as student

FAR = 1e6
"""A ratio beyond which an interval counts as open."""


class Control(NamedTuple):
    """A unit beside its synthetic control: `weights` of the donors, `counterfactual` and `gap` (unit less counterfactual) by month,
    and `prefit`, the root mean squared gap before the event divided by the mean before the event."""

    weights: np.ndarray
    counterfactual: np.ndarray
    gap: np.ndarray
    prefit: float


class Shift(NamedTuple):
    """Mean gap after the event less mean gap before it, and its standard error if months were independent."""

    mean: float
    error: float


class Interval(NamedTuple):
    low: float
    high: float


def simplex_weights(target: np.ndarray, donors: np.ndarray, penalty: np.ndarray) -> np.ndarray:
    """Weights w, none negative and with sum 1, that minimise |target - donors w|^2 + sum of penalty_j w_j^2.

    With weights of sum 1 the criterion is |B w|^2, and the non-negative least squares solution of B w = 0, sum(w) = 1 (the latter
    as one more equation) points in the same direction: for w = s u it is s^2 |B u|^2 + (1 - s)^2, at its best s it grows with |B u|.

    Examples
    --------
    >>> donors = np.array([[1.0, 3.0], [2.0, 0.0], [0.0, 1.0]])
    >>> simplex_weights(donors @ [0.25, 0.75], donors, np.zeros(2)).round(12).tolist()
    [0.25, 0.75]
    """
    misfit = np.vstack([donors - target[:, None], np.diag(np.sqrt(penalty))])
    rows = np.vstack([misfit, np.ones(donors.shape[1])])
    found, _ = nnls(rows, np.r_[np.zeros(len(misfit)), 1.0])
    return found / found.sum()


def month_noise(series: np.ndarray) -> np.ndarray:
    """Variance of each column's monthly noise around a slowly moving level: half the variance of its monthly differences."""
    if len(series) < 3:
        return np.zeros(series.shape[1])
    return np.var(np.diff(series, axis=0), axis=0, ddof=1) / 2


def control(unit: np.ndarray, donors: np.ndarray, n_before: int, noise: np.ndarray, emphasis: float) -> Control:
    """The synthetic control of a unit from donors, months in rows.

    The donors' weights minimise the misfit before the event and, times `emphasis`, the variance that the donors' own `noise` would
    carry into it; donors and noise are in units of each donor's mean before the event.
    """
    level = unit[:n_before].mean()
    if level <= 0:
        return Control(np.zeros(donors.shape[1]), np.zeros(len(unit)), unit, float("nan"))
    weights = simplex_weights(unit[:n_before] / level, donors[:n_before], emphasis * n_before * noise)
    counterfactual = level * (donors @ weights)
    gap = unit - counterfactual
    return Control(weights, counterfactual, gap, float(np.sqrt(np.mean(gap[:n_before] ** 2)) / level))


def placebo_controls(donors: np.ndarray, n_before: int, noise: np.ndarray, emphasis: float) -> list[Control]:
    """Each donor as if it were the unit, with the other donors as its donors."""
    others = ~np.eye(donors.shape[1], dtype=bool)
    return [control(donors[:, j], donors[:, o], n_before, noise[o], emphasis) for j, o in enumerate(others)]


def joint_spread(one: np.ndarray, other: np.ndarray, n_before: int) -> float:
    """Covariance of the shifts of two gap series, from their common movement around their means before and after the event."""
    product = 0.0
    for part in (slice(None, n_before), slice(n_before, None)):
        product += float(((one[part] - one[part].mean()) * (other[part] - other[part].mean())).sum())
    return product / (len(one) - 2) * (1 / n_before + 1 / (len(one) - n_before))


def shift(gap: np.ndarray, n_before: int) -> Shift:
    """How far a gap series moved at the event.

    Examples
    --------
    >>> shift(np.array([1.0, -1.0, 4.0, 6.0]), 2).mean
    5.0
    """
    mean = float(gap[n_before:].mean() - gap[:n_before].mean())
    return Shift(mean, float(np.sqrt(joint_spread(gap, gap, n_before))))


def studentised(moved: Shift) -> float:
    """A shift in units of its standard error."""
    return moved.mean / moved.error if moved.error > 0 else float(np.sign(moved.mean) * np.inf if moved.mean else 0.0)


def placebo_p(statistic: float, placebos: np.ndarray) -> float:
    """Share of all units, the treated one with them, that are as far from zero as the treated one."""
    return float((1 + np.sum(np.abs(placebos) >= abs(statistic))) / (1 + len(placebos)))


def widening(placebos: np.ndarray) -> float:
    """How many times wider than standard errors say the shifts of the placebos are spread: their root mean square, at least 1."""
    return max(1.0, float(np.sqrt(np.mean(placebos**2)))) if len(placebos) else float("nan")


def ratio_interval(gain: np.ndarray, loss: np.ndarray, n_before: int, *, widened: float, df: int, level: float) -> Interval:
    """Ends of the ratio r >= 0 for which the series gain - r loss shows no shift that the placebos do not show too.

    For every r the shift is divided by its standard error (Fieller 1954), widened as the placebos are, and compared with the bounds
    of Feldman and Cousins (1998, doi 10.1103/PhysRevD.57.3873) for a quantity that is not negative: zero is tested on one side, ratios
    far from it on both. `high` is infinite where the loss itself could be none.
    """
    lost = shift(loss, n_before)

    def excess(ratio: float, side: int) -> float:
        moved = shift(gain - ratio * loss, n_before)
        error = max(moved.error * widened, 1e-12 * abs(lost.mean), 1e-300)
        return side * moved.mean / error - _bounds(ratio * lost.mean / error, df, level)[side]

    best = max(0.0, shift(gain, n_before).mean / lost.mean)
    low = 0.0 if best == 0 or excess(0.0, 1) <= 0 else float(brentq(excess, 0.0, best, args=(1,)))
    top = 2 * best + 1
    while excess(top, -1) <= 0:
        top *= 2
        if top > FAR:
            return Interval(low, float("inf"))
    return Interval(low, float(brentq(excess, best, top, args=(-1,))))


def _bounds(true: float, df: int, level: float) -> dict[int, float]:
    """How far above (1) and below (-1) its true value an estimate with unit error may lie; the truth is not negative."""
    outer, inner = float(student.ppf((1 + level) / 2, df)), float(student.ppf(level, df))
    if true >= outer:
        return {1: outer, -1: outer}

    def below(width: float) -> float:
        return width if width <= true else (width**2 + true**2) / (2 * max(true, 1e-9))

    def missing(width: float) -> float:
        return float(student.cdf(width, df) - student.cdf(-below(width), df)) - level

    width = inner if missing(inner) >= 0 else float(brentq(missing, inner, outer + 1e-9))
    return {1: width, -1: below(width)}
