"""How the chains between origins and destinations run through each actor: share of routes, and betweenness between the two sets."""

import numpy as np
import pandas as pd
from scipy import sparse

from chiptrail.graphmodel.coded import combined
from chiptrail.graphmodel.compiled import numbers
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.kernels import MOST_WORK, betweenness_between, pairs_reached
from chiptrail.queries.question import Question, unfit_between
from chiptrail.queries.throughflow import brand_links


def pairs_between(trades: pd.DataFrame, network: TradeNetwork, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the sellers and buyers that a chain of the question can use, each pair once.

    `trades` are those of `throughflow.counted`. A chain begins at an origin, on a leg of the concept asked for, and goes on by
    dispatches between actors that are no origins; nothing leaves a destination. Placeholders
    and forwarders can be an origin or a destination, but no inner place (`question.unfit_between`).
    """
    used = trades["left_aside"].eq("")
    from_origin, to_end = trades["seller_id"].isin(question.origins), trades["buyer_id"].isin(question.destinations)
    first = trades["side"].eq("in") & from_origin
    direct = from_origin & to_end & trades["dispatched"].eq(question.concept == "dispatched") & (question.concept != "brand")
    later = trades["dispatched"] & ~from_origin & ~trades["seller_id"].isin(question.destinations) & ~trades["buyer_id"].isin(
        question.origins)
    chosen = trades.loc[used & (first | direct | later), ["seller_id", "buyer_id"]]
    actors = network.actors["actor_id"].to_numpy(dtype=object)
    links = brand_links(network, question)
    sides = [
        np.concatenate([numbers(chosen[side], actors), numbers(links[end].astype("category"), actors)])
        for side, end in (("seller_id", "from_id"), ("buyer_id", "to_id"))
    ]
    ids = network.actors["actor_id"]
    barred = unfit_between(network) & ~ids.isin(question.origins | question.destinations).to_numpy()
    sellers, buyers = (side[~(barred[sides[0]] | barred[sides[1]])] for side in sides)
    _, one = combined([sellers, buyers])
    return sellers[one], buyers[one]


def share_of_routes(sellers: np.ndarray, buyers: np.ndarray, origins: np.ndarray, destinations: np.ndarray) -> np.ndarray:
    """For each actor the share, 0 to 1, of all routes of two or three legs that pass through it; zeros if there are none.

    Parameters
    ----------
    sellers, buyers
        Pairs of numbers, each once.
    origins, destinations
        For each actor whether it is one.
    """
    n = len(origins)
    middle = ~origins & ~destinations
    starts = np.bincount(buyers[origins[sellers]], minlength=n) * middle
    stops = np.bincount(sellers[destinations[buyers]], minlength=n) * middle
    inner = middle[sellers] & middle[buyers] & (sellers != buyers)
    hops = sparse.csr_array((np.ones(inner.sum()), (sellers[inner], buyers[inner])), shape=(n, n))
    onward, so_far = hops @ stops, hops.T @ starts
    through = starts * stops + starts * onward + so_far * stops
    total = float((starts * stops).sum() + (starts * onward).sum())
    return through / total if total else np.zeros(n)


def betweenness(sellers: np.ndarray, buyers: np.ndarray, origins: np.ndarray, destinations: np.ndarray) -> np.ndarray:
    """For each actor the mean share, 0 to 1, of the shortest routes between an origin and a destination that lead through it.

    NaN for all where finding it would take minutes (`kernels.MOST_WORK`).
    """
    n = len(origins)
    if min(origins.sum(), destinations.sum()) * (n + len(sellers)) > MOST_WORK:
        return np.full(n, np.nan)
    order = np.lexsort((buyers, sellers))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(sellers, minlength=n))])
    sources, targets = np.flatnonzero(origins), np.flatnonzero(destinations)
    pairs = pairs_reached(indptr, buyers[order], sources, targets)
    return betweenness_between(indptr, buyers[order], sources, targets) / pairs if pairs else np.zeros(n)
