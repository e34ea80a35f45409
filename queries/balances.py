"""What the balances alone allow: the smallest and largest amount of the origins' goods through a hub, by linear programs.

Nothing is assumed of who passes on what: every actor may keep or send on whichever goods it holds, as long as its recorded flows hold.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from chiptrail.graphmodel.errors import ChiptrailError
from chiptrail.queries.mixing import Chain


class Bounds(NamedTuple):
    """Smallest and largest amount, USD."""

    least: float
    most: float


class _Part(NamedTuple):
    """The flows that matter: who sells, who buys, USD; and which of them can carry goods that have (`late`) or have not met the hub."""

    sellers: np.ndarray
    buyers: np.ndarray
    usd: np.ndarray
    early: np.ndarray
    late: np.ndarray
    nodes: np.ndarray


def balanced(
    chain: Chain, *, origins: Sequence[int] | np.ndarray, destinations: Sequence[int] | np.ndarray, hub: int | None = None,
    unobserved: tuple[float, float] = (0.0, 0.0), incomplete: np.ndarray | None = None,
) -> Bounds:
    """The smallest and largest amount of the origins' goods that go through a hub and end at the destinations.

    Parameters
    ----------
    chain
        All flows, absorbing at origins and destinations.
    origins, destinations
        Actors; the origins' dispatches are theirs altogether, and at the destinations goods end.
    hub
        Actor that the goods must be at, on any leg; None for all that the destinations receive.
    unobserved
        Smallest and largest share of every actor's unobserved inflow that is the origins' (0-1).
    incomplete
        For each actor whether more goods, of others than the origins, may have come in than is recorded; nobody, if not given.

    Raises
    ------
    ChiptrailError
        If the solver finds no solution, which the balances always have.

    Notes
    -----
    On each flow there are two kinds of the origins' goods: those that have not been at the hub and those that have; at the hub all
    become of the second kind. At every actor each kind sent is at most that kind received, and goods that are not the origins' sent
    at most those received and unobserved; what is not sent stays. Flows that no goods of the origins can take on their way to the hub
    or the destinations are left out, and goods that leave for them count as gone: from there proportional mixing always goes on. The
    estimate by mixing keeps all these rules, so it lies within the bounds. Solved by the dual simplex of HiGHS through scipy, without
    its presolve: sending nothing on nearly keeps the rules, and presolve loses that start.
    """
    part = _part(chain, origins, destinations, hub, free=unobserved[1] > 0)
    n_early, n_late = int(part.early.sum()), int(part.late.sum())
    fixed = np.isin(part.sellers, origins)
    wanted = np.isin(part.buyers, destinations)
    before, after = np.flatnonzero(part.early), np.flatnonzero(part.late)
    counted = wanted[before] if hub is None else np.zeros(n_early, dtype=bool)
    goal = np.r_[counted, np.zeros(n_late, dtype=bool) if hub is None else wanted[after], np.zeros(len(part.nodes))].astype(float)
    scale = float(part.usd.max(initial=0.0))
    if not goal.any() or not scale:
        return Bounds(0.0, 0.0)
    rows, limits = _rules(chain, part, hub, scale, incomplete)
    usd = part.usd / scale
    source = chain.unobserved[part.nodes] / scale
    lows = np.r_[np.where(fixed[before], usd[before], 0.0), np.zeros(n_late), unobserved[0] * source]
    highs = np.r_[usd[before], usd[after], unobserved[1] * source]
    found = []
    for sign in (1, -1):
        result = linprog(sign * goal, A_ub=rows, b_ub=limits, bounds=np.c_[lows, highs], method="highs-ds",
                         options={"presolve": False})
        if result.status != 0:
            raise ChiptrailError(f"the balances could not be solved: {result.message}")
        found.append(max(float(goal @ result.x) * scale, 0.0))
    return Bounds(found[0], max(found))


def _part(
    chain: Chain, origins: Sequence[int] | np.ndarray, destinations: Sequence[int] | np.ndarray, hub: int | None, free: bool
) -> _Part:
    """The flows by which the origins' goods can come to the hub or the destinations."""
    n = len(chain.held)
    sellers, buyers, usd = np.repeat(np.arange(n), np.diff(chain.sent.indptr)), chain.sent.indices, chain.sent.data
    passes = chain.onward.data > 0
    reached = np.zeros(n, dtype=bool)
    from_origin = np.isin(sellers, origins)
    reached[buyers[from_origin]] = True
    if free:
        reached |= chain.unobserved > 0
    open_ = sparse.csr_array((passes.astype(float), chain.onward.indices, chain.onward.indptr), shape=(n, n))
    reached = _spread(sparse.csr_array(open_.T), reached)
    ending = np.isin(np.arange(n), destinations)
    if hub is not None:
        ending[hub] = True
    inner = reached & _spread(open_, ending) & ~np.isin(np.arange(n), np.r_[origins, destinations])
    after = np.zeros(n, dtype=bool)
    if hub is not None and inner[hub]:
        start = np.zeros(n, dtype=bool)
        start[hub] = True
        after = _spread(sparse.csr_array(open_.T), start) & inner
    early = (from_origin | inner[sellers]) & (sellers != (-1 if hub is None else hub))
    early &= inner[sellers] | inner[buyers] | ending[buyers]
    late = after[sellers]
    chosen = early | late | (inner[buyers] & ~from_origin)
    return _Part(sellers[chosen], buyers[chosen], usd[chosen], early[chosen], late[chosen], np.flatnonzero(inner))


def _spread(step: sparse.csr_array, seen: np.ndarray) -> np.ndarray:
    """All actors that can be reached from those seen, one step along `step` at a time."""
    fresh = seen.copy()
    while fresh.any():
        fresh = (step @ fresh.astype(float) > 0) & ~seen
        seen = seen | fresh
    return seen


def _rules(
    chain: Chain, part: _Part, hub: int | None, scale: float, incomplete: np.ndarray | None
) -> tuple[sparse.csr_array, np.ndarray]:
    """Rows and limits: goods sent within goods received, by kind; at each actor, and both kinds within each flow."""
    n, m, n_nodes = len(chain.held), len(part.usd), len(part.nodes)
    number = np.full(n, -1)
    number[part.nodes] = np.arange(n_nodes)
    rows, signs = np.concatenate([number[part.sellers], number[part.buyers]]), np.repeat([1.0, -1.0], m)
    inner = rows >= 0
    net = sparse.coo_array((signs[inner], (rows[inner], np.tile(np.arange(m), 2)[inner])), shape=(n_nodes, m)).tocsc()
    early, late, source = net[:, part.early], net[:, part.late], sparse.eye_array(n_nodes, format="csc")
    kept = (chain.kept * chain.held)[part.nodes] / scale
    at_hub = part.nodes == (-1 if hub is None else hub)
    nothing = sparse.csc_array
    first = sparse.hstack([early, nothing(late.shape), -source], format="csr")
    second = sparse.hstack([nothing(early.shape), late, nothing(source.shape)], format="csr")
    all_kinds = sparse.hstack([early, late, -source], format="csr")
    whole = np.ones(n_nodes, dtype=bool) if incomplete is None else ~incomplete[part.nodes]
    blocks = [first[~at_hub], second[~at_hub], all_kinds[at_hub], -all_kinds[whole]]
    limits = [np.zeros(n_nodes - at_hub.sum()), np.zeros(n_nodes - at_hub.sum()), np.zeros(at_hub.sum()), kept[whole]]
    both = np.flatnonzero(part.early & part.late)
    if len(both):
        one = sparse.coo_array((np.ones(len(both)), (np.arange(len(both)), both)), shape=(len(both), m)).tocsc()
        blocks.append(sparse.hstack([one[:, part.early], one[:, part.late], nothing((len(both), n_nodes))], format="csr"))
        limits.append(part.usd[both] / scale)
    return sparse.vstack(blocks, format="csr"), np.concatenate(limits)
