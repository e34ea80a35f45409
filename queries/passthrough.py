"""Pass-through: how much of a change in what comes in goes out again, and how many months later."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

MAX_LAG = 6
MIN_MONTHS = 12
LEVEL = 0.9


class PassThrough(NamedTuple):
    """Slope of outflow on inflow with its interval, lag in months with its range, months used, and a text if there is none."""

    slope: float
    low: float
    high: float
    lag: float
    lag_low: float
    lag_high: float
    n_months: int
    note: str


def pass_through(inflow: np.ndarray, outflow: np.ndarray, *, lag: int | None = None) -> PassThrough:
    """Pass-through of one monthly series to another; NaN where a month is not known.

    The lag is that of 0 to 6 months at which the month-to-month changes correlate best, all lags judged on the same months; its
    range holds the lags whose correlation is not below the lower end of the best one's 90 % interval (Fisher's z). A lag stands out
    if its correlation is larger than chance makes the best of seven in one case of twenty.

    The slope is that of the outflow on the inflow so many months before, by least squares with a constant. Its 90 % interval allows
    for errors that are correlated between months (Newey and West 1987, doi 10.2307/1913610; residuals divided by one less their
    leverage, and never narrower than without such correlation), and is the widest that any lag of the range gives. Two series that
    both rise have a slope, whatever joins them.
    """
    nan = math.nan
    nothing = PassThrough(nan, nan, nan, nan, nan, nan, 0, "")
    changes_in, changes_out = (np.diff(series, prepend=np.nan) for series in (inflow, outflow))
    lagged = np.stack([_later(changes_in, k) for k in range(MAX_LAG + 1)])
    used = np.isfinite(lagged).all(axis=0) & np.isfinite(changes_out)
    n = int(used.sum())
    if n < MIN_MONTHS:
        return nothing._replace(n_months=n, note=f"refused: {n} months in which both flows and the {MAX_LAG + 1} before are known, fewer "
                                                 f"than {MIN_MONTHS}")
    levels = np.stack([_later(inflow, k)[used] for k in range(MAX_LAG + 1)])
    if np.ptp(changes_out[used]) == 0 or (np.ptp(np.stack([lagged[:, used], levels]), axis=2) == 0).any():
        return nothing._replace(n_months=n, note="refused: a flow does not vary")
    correlation = np.array([np.corrcoef(row[used], changes_out[used])[0, 1] for row in lagged])
    best = int(correlation.argmax()) if lag is None else lag
    floor = math.tanh(math.atanh(np.clip(correlation[best], -1 + 1e-12, 1 - 1e-12)) - stats.norm.ppf((1 + LEVEL) / 2) / math.sqrt(n - 3))
    near = np.union1d(np.flatnonzero(correlation >= floor), best) if lag is None else np.array([best])
    slopes = {int(k): _slope(_later(inflow, int(k))[used], outflow[used]) for k in near}
    chance = math.tanh(stats.norm.ppf(1 - 0.05 / (MAX_LAG + 1)) / math.sqrt(n - 3))
    note = "" if correlation[best] > chance else "no lag stands out: at none do the changes go together more than by chance"
    low, high = min(s[1] for s in slopes.values()), max(s[2] for s in slopes.values())
    return PassThrough(slopes[best][0], low, high, best, int(near.min()), int(near.max()), n, note)


def _later(series: np.ndarray, months: int) -> np.ndarray:
    return np.r_[np.full(months, np.nan), series[:len(series) - months]]


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Slope of y on x by least squares, and its interval with the variance of Newey and West, or the plain one if it is larger."""
    n = len(x)
    design = np.c_[np.ones(n), (x - x.mean()) / x.std()]
    bread = np.linalg.inv(design.T @ design)
    beta = bread @ design.T @ y
    errors = y - design @ beta
    leverage = ((design @ bread) * design).sum(axis=1)
    scores = design * (errors / (1 - leverage))[:, None]
    meat = scores.T @ scores
    bandwidth = int(4 * (n / 100) ** (2 / 9))
    for k in range(1, bandwidth + 1):
        step = scores[k:].T @ scores[:-k]
        meat += (1 - k / (bandwidth + 1)) * (step + step.T)
    plain = bread[1, 1] * (errors @ errors) / (n - 2)
    reach = stats.t.ppf((1 + LEVEL) / 2, n - 2) * math.sqrt(max((bread @ meat @ bread)[1, 1], plain))
    slope, low, high = (beta[1] + np.array([0, -reach, reach])) / x.std()
    return float(slope), float(low), float(high)
