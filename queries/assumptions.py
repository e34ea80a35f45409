"""The assumptions over which an estimate by mixing is spread, all in one place, and the spread itself.

No data at hand measure them. Each range is stated with its reason; an estimate is an interval over all of them at once.
"""

from typing import NamedTuple

import numpy as np

N_DRAWS, SEED, NOMINAL = 400, 2022, 0.9
ODDS = 32.0
"""Mixing: an actor sends goods of the origins on to the destinations with 1/32 to 32 times the odds of its other goods, even on
a logarithmic scale. Proportional mixing is 1. Goods that the destination can buy directly need no hub, so those that it cannot may be
nearly all that a hub sends there; and a trader that keeps to the rules sends hardly any."""
MARGIN = 0.2
"""Freight and insurance in imports valued CIF: 0 to 20 % of the FOB value."""
GHOST = 0.3
"""Part of the exports declared to a hub that never arrived there: 0 to 30 %, where only the exporter tells. For EU exports to
Kyrgyzstan in 2022-23 more than that was missing: with such a hub, ask for the importer's report."""
MISTAKEN = 0.2
"""Part of the origins' goods that customs record under the country of dispatch: 0 to 20 %."""
UNDERSTATED = 0.4
"""Part of the dispatches to the destinations that the hub's exports leave out or carry under other codes: 0 to 40 %. Embargoed trade
has reasons to be declared as something else; what goes to other places is taken as reported."""
NOISE = 0.1
"""Error of each reported sum: a factor with this standard deviation of its logarithm."""
RELAXED = 1.25
"""The balances hold for what is reported; the spread may leave them by this factor, the error of the reports."""


class Held(NamedTuple):
    """By hub, in USD, from one side's reports: all that it holds (`held`), the origins' part without (`known`) and with all of the
    unobserved inflow (`possible`), and what goes on to the destinations (`onward`); `cif` where the inflow is valued CIF."""

    held: np.ndarray
    known: np.ndarray
    possible: np.ndarray
    onward: np.ndarray
    cif: np.ndarray


class Spread(NamedTuple):
    """Draws by hub: USD of the origins' goods that go on to the destinations, their share of what the hub holds, all that goes on."""

    usd: np.ndarray
    share: np.ndarray
    onward: np.ndarray


def tilted(known: np.ndarray, held: np.ndarray, onward: np.ndarray, odds: np.ndarray | float) -> np.ndarray:
    """USD of the origins' goods in what goes on, if they go on with `odds` times the odds of the other goods.

    Parameters
    ----------
    known, held, onward
        USD of the origins' goods, of all goods, and of what goes on.
    odds
        1 for proportional mixing; towards 0 and infinity it becomes the least and the most that the balance of the actor allows.

    Notes
    -----
    The amount m solves m (held - known - onward + m) = odds (known - m) (onward - m): each kind of goods goes on in one share, and the
    odds of the two shares have the ratio given. The same equation gives the mean of Fisher's noncentral hypergeometric distribution
    in Cornfield's approximation.
    """
    most = np.minimum(known, onward)
    least = np.maximum(onward - (held - known), 0.0)
    a = 1.0 - odds
    b = held - known - onward + odds * (known + onward)
    c = odds * known * onward
    root = np.sqrt(np.maximum(b * b + 4 * a * c, 0.0))
    found = np.divide(2 * c, b + root, out=np.zeros(np.broadcast(b, c).shape), where=b + root > 0)
    return np.clip(found, least, most)


def spread(reports: list[Held], *, by_origin: bool) -> Spread:
    """Draws over all assumptions: one row per draw, one column per hub; the draws are the same for every hub and question.

    Parameters
    ----------
    reports
        The same hubs by one or both sides' reports; every draw believes one of them.
    by_origin
        Whether the origins' part is what customs recorded by origin; else it follows from dispatches.
    """
    draws = np.random.default_rng(SEED).random((N_DRAWS, 6))
    normal = np.exp(NOISE * np.random.default_rng(SEED + 1).standard_normal((N_DRAWS, 3)))
    believed = np.arange(N_DRAWS) % len(reports)
    held, known, possible, onward, cif = (
        np.stack([getattr(r, name).astype(float) for r in reports])[believed] for name in Held._fields)
    level = 1.0 / (1.0 + MARGIN * draws[:, :1] * cif)
    if not by_origin:
        level = level * (1.0 - GHOST * draws[:, 1:2] * (1.0 - cif))
    outside = np.maximum(possible - known, 0.0)
    ours = known * level * normal[:, :1]
    others = np.maximum(held - possible, 0.0) * level * normal[:, 1:2]
    if by_origin:
        hidden = MISTAKEN * draws[:, 2:3]
        moved = np.minimum(ours * hidden / (1.0 - hidden), others)
        ours, others = ours + moved, others - moved
    onward = onward * normal[:, 2:] / (1.0 - UNDERSTATED * draws[:, 3:4])
    beyond = np.maximum(onward - ours - others - outside, 0.0) + outside
    ours = ours + draws[:, 4:5] * beyond
    held = np.maximum(ours + others + (1.0 - draws[:, 4:5]) * beyond, 0.0)
    odds = np.exp((2.0 * draws[:, 5:] - 1.0) * np.log(ODDS))
    share = np.divide(ours, held, out=np.full(held.shape, np.nan), where=held > 0)
    return Spread(tilted(ours, held, onward, odds), share, onward)


def interval(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Low and high end by column, holding the nominal share of the draws; missing for columns that are."""
    low, high = np.quantile(draws, [(1 - NOMINAL) / 2, (1 + NOMINAL) / 2], axis=0)
    return low, high
