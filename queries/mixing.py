"""Proportional mixing: what of the origins' goods every actor holds, where they end, and whom they passed, as an absorbing Markov chain.

What an actor sends on is taken to be a like part of all it holds. Work on arrays: actors are numbers 0 to n - 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import bicgstab, splu

SWEEPS = 200
REMAINS = 1e-12
BLOCK = 32


class Chain(NamedTuple):
    """Goods on their way: `onward[i, j]` is the share of what i holds that it sends to j, `kept[i]` the share that ends at i.

    `sent` holds the flows (seller in rows), `held` what passes each actor, the larger of inflow and outflow; `unobserved` the outflow
    above the inflow, which came from somewhere that no record shows. All in USD.
    """

    sent: sparse.csr_array
    onward: sparse.csr_array
    kept: np.ndarray
    held: np.ndarray
    unobserved: np.ndarray


def chain_of(
    sellers: np.ndarray, buyers: np.ndarray, usd: np.ndarray, n: int, *, absorbing: Sequence[int] | np.ndarray = (),
    holding: np.ndarray | float = 0.0,
) -> Chain:
    """The chain of flows between n actors; flows of an actor to itself are dropped.

    Parameters
    ----------
    sellers, buyers, usd
        Flows, of which several may join the same two actors.
    n
        Number of actors.
    absorbing
        Actors at which all goods end on arrival: the origins, whose every dispatch counts anew, and the destinations.
    holding
        USD that each actor is known to hold at least, where other records say more than the flows; the rest is unobserved.
    """
    real = (sellers != buyers) & (usd > 0)
    sent = sparse.coo_array((usd[real].astype(float), (sellers[real], buyers[real])), shape=(n, n)).tocsr()
    inflow, outflow = sent.sum(axis=0), sent.sum(axis=1)
    held = np.maximum(np.maximum(inflow, outflow), holding)
    passes = held > 0
    passes[np.asarray(absorbing, dtype=int)] = False
    share = np.divide(1.0, held, out=np.zeros(n), where=passes)
    onward = sparse.csr_array((sent.data * np.repeat(share, np.diff(sent.indptr)), sent.indices, sent.indptr), shape=(n, n))
    kept = np.where(passes, (held - outflow) * share, 1.0)
    return Chain(sent, onward, kept, held, held - inflow)


def dispatched(chain: Chain, origins: Sequence[int] | np.ndarray) -> np.ndarray:
    """What each actor receives straight from the origins, USD: there the origins' goods enter the chain."""
    return chain.sent[np.asarray(origins, dtype=int)].sum(axis=0)


def amounts(chain: Chain, entering: np.ndarray) -> np.ndarray:
    """How much of the goods entering the chain passes each actor, USD; goods that come back are counted each time.

    Parameters
    ----------
    chain
        Flows as shares.
    entering
        USD that enter at each actor, or one column for each kind of goods.

    Notes
    -----
    Solves z = entering + onward' z: z / held is the composition of what every actor holds. With column j of `entering` the production
    of j alone, z is column j of R = (I - A)^-1 diag(p) of Kastner, Kastner and Nonhebel (2011, doi 10.1016/j.ecolecon.2011.01.012).
    A closed class, actors that trade in a circle with nothing coming in, used up or sent out, makes I - A singular. Since `held` is
    the larger of inflow and outflow, nothing can enter such a class from outside: its part of z is zero, and its composition unknown.
    """
    return _solved(chain.onward.T, entering)


def reach(chain: Chain, destinations: Sequence[int] | np.ndarray) -> np.ndarray:
    """Probability that goods held by each actor end at the destinations."""
    ending = np.zeros(len(chain.kept))
    chosen = np.asarray(destinations, dtype=int)
    ending[chosen] = chain.kept[chosen]
    return _solved(chain.onward, ending)


def held_by(chain: Chain, sellers: np.ndarray) -> np.ndarray:
    """Share of what each actor holds that comes from the sellers (true by actor), directly or by others; of a seller's own, of others."""
    onward = sparse.csr_array(sparse.diags_array((~sellers).astype(float)) @ chain.onward)
    passing = amounts(chain._replace(onward=onward), dispatched(chain, np.flatnonzero(sellers)))
    return np.divide(passing, chain.held, out=np.zeros(len(passing)), where=chain.held > 0)


def ends(chain: Chain, entering: np.ndarray) -> np.ndarray:
    """Where goods entering the chain end, USD; each column sums to what entered."""
    passing = amounts(chain, entering)
    return passing * (chain.kept if passing.ndim == 1 else chain.kept[:, None])


def passages(chain: Chain, hubs: Sequence[int] | np.ndarray) -> np.ndarray:
    """How often goods at each of the hubs are there in all, N_hh: 1 unless a cycle brings them back.

    Notes
    -----
    N = (I - P)^-1 is the fundamental matrix of the chain (Kemeny and Snell 1960, Finite Markov Chains, chapter 3). Only actors on a
    cycle need a solution each, which a few hubs get without a look at their cycles. In a closed class, where nobody keeps anything, goods
    never stop coming back: infinity.
    """
    chosen = np.asarray(hubs, dtype=int)
    times, cyclic = np.ones(len(chosen)), np.arange(len(chosen))
    if len(chosen) > BLOCK or not chain.kept[chosen].all():
        _, group = sparse.csgraph.connected_components(chain.onward, directed=True, connection="strong")
        closed = _closed(chain, group)[chosen]
        times[closed] = np.inf
        cyclic = np.flatnonzero((np.bincount(group) > 1)[group[chosen]] & ~closed)
    backward, n = chain.onward.T, len(chain.kept)
    for start in range(0, len(cyclic), BLOCK):
        places = cyclic[start:start + BLOCK]
        entering = np.zeros((n, len(places)))
        entering[chosen[places], np.arange(len(places))] = 1.0
        times[places] = _solved(backward, entering)[chosen[places], np.arange(len(places))]
    return times


def through(
    chain: Chain, entering: np.ndarray, hubs: Sequence[int] | np.ndarray, destinations: Sequence[int] | np.ndarray
) -> np.ndarray:
    """USD of the goods entering the chain that ever are at each hub and end at the destinations.

    Notes
    -----
    What is ever at h is the amount that passes h, each time counted, divided by N_hh; a hub on a cycle gets no more than all.
    """
    chosen = np.asarray(hubs, dtype=int)
    return amounts(chain, entering)[chosen] / passages(chain, chosen) * reach(chain, destinations)[chosen]


def _closed(chain: Chain, group: np.ndarray) -> np.ndarray:
    """For each actor whether goods at it can never end or leave its strong component."""
    leaks = np.bincount(group, weights=chain.kept) > 0
    sellers = np.repeat(np.arange(len(group)), np.diff(chain.onward.indptr))
    leaving = (group[sellers] != group[chain.onward.indices]) & (chain.onward.data > 0)
    leaks[group[sellers[leaving]]] = True
    return ~leaks[group]


def _solved(step: sparse.csr_array | sparse.csc_array, entering: np.ndarray) -> np.ndarray:
    """The sum of entering + step entering + step^2 entering + ..., to a rest of 1e-12 of what entered.

    The rest of a sweep is what is still on its way, so the error of all that ends is not larger. Where goods run round for long, the
    rest is left to BiCGSTAB, and where that does not converge, to a factorisation of the actors it still concerns.
    """
    if entering.ndim == 2 and entering.shape[1] > BLOCK:
        blocks = range(0, entering.shape[1], BLOCK)
        return np.hstack([_solved(step, entering[:, start:start + BLOCK]) for start in blocks])
    total, rest = entering.astype(float), entering.astype(float)
    small = REMAINS * max(float(entering.sum()), np.finfo(float).tiny)
    for _ in range(SWEEPS):
        rest = step @ rest
        total += rest
        if rest.sum() <= small:
            return total
    columns = rest.reshape(len(rest), -1)
    more = np.column_stack([_rest(step, step @ column, small) for column in columns.T])
    return total + more.reshape(total.shape)


def _rest(step: sparse.csr_array | sparse.csc_array, entering: np.ndarray, small: float) -> np.ndarray:
    concerned = np.flatnonzero(reached(step, entering > 0))
    part, start = step[concerned][:, concerned], entering[concerned]
    matrix = sparse.csr_array(sparse.eye_array(len(concerned)) - part)
    found, failed = bicgstab(matrix, start, rtol=1e-13, atol=small * 1e-3, maxiter=SWEEPS)
    if failed or np.abs(matrix @ found - start).sum() > small:
        found = splu(matrix.tocsc()).solve(start)
    result = np.zeros(len(entering))
    result[concerned] = np.maximum(found, 0.0)
    return result


def reached(step: sparse.csr_array | sparse.csc_array, seen: np.ndarray) -> np.ndarray:
    """The actors seen, and all that are joined to them along `step`: `onward` leads to those that send to them, its transpose to those
    that receive from them."""
    count = -1
    while count != (count := int(seen.sum())):
        seen = seen | (step @ seen.astype(float) > 0)
    return seen
