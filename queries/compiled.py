"""Loops over graphs that no library runs fast enough, compiled by numba; imported by `kernels` only for networks that need them.

A graph is `indptr`, `indices` (rows of a sparse matrix, each edge once), here int64 and int32. All functions release the
interpreter, so that `kernels` can run them in threads.
"""

import numpy as np
from numba import njit

LANES = 64


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def paths_by_hops(
    indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, is_target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By node: betweenness between the sources and the targets, sum of hops from the sources, number of sources that reach it.

    Brandes (2001) for 64 sources at a time, each a bit of a mask and a lane of an array: an edge is read once for all sources that
    need it at the same distance (Then et al. 2014).
    """
    n = len(indptr) - 1
    score, hops, reached = np.zeros(n), np.zeros(n, np.int64), np.zeros(n, np.int64)
    seen, fresh = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    count, carry = np.zeros((n, LANES)), np.zeros((n, LANES))
    nodes, masks = np.empty(4 * n + LANES, np.int32), np.empty(4 * n + LANES, np.uint64)
    lane = np.empty(LANES)
    one, nothing = np.uint64(1), np.uint64(0)
    for first in range(0, len(sources), LANES):
        batch = sources[first:first + LANES]
        for b in range(len(batch)):
            fresh[batch[b]] |= one << np.uint64(b)
            count[batch[b], b] = 1.0
        starts = [0]
        end = 0
        for s in batch:
            if fresh[s]:
                nodes[end], masks[end] = s, fresh[s]
                seen[s], fresh[s] = fresh[s], nothing
                end += 1
        begin = 0
        while begin < end:
            starts.append(end)
            if end + n > len(nodes):
                nodes, masks = np.concatenate((nodes, np.empty_like(nodes))), np.concatenate((masks, np.empty_like(masks)))
            stop = end
            for i in range(begin, stop):
                v, mask = nodes[i], masks[i]
                for e in range(indptr[v], indptr[v + 1]):
                    w = indices[e]
                    news = mask & ~seen[w]
                    if news:
                        if not fresh[w]:
                            nodes[end] = w
                            end += 1
                        fresh[w] |= news
                        # lanes that reached v earlier have seen w, and fall out below
                        for b in range(LANES):
                            carry[w, b] += count[v, b]
            for i in range(stop, end):
                w = nodes[i]
                mask = fresh[w]
                masks[i], fresh[w] = mask, nothing
                seen[w] |= mask
                members = 0
                for b in range(LANES):
                    if (mask >> np.uint64(b)) & one:
                        count[w, b] = carry[w, b]
                        members += 1
                    carry[w, b] = 0.0
                hops[w] += members * (len(starts) - 1)
                reached[w] += members
            begin = stop
        # back from the farthest: carry[w] = (w is a target + what depends on w) / paths to w, zero until w is done
        for level in range(len(starts) - 2, -1, -1):
            for i in range(starts[level], starts[level + 1]):
                v, mask = nodes[i], masks[i]
                lane[:] = 0.0
                for e in range(indptr[v], indptr[v + 1]):
                    w = indices[e]
                    if mask & fresh[w]:
                        for b in range(LANES):
                            lane[b] += carry[w, b]
                ends = 1.0 if is_target[v] else 0.0
                for b in range(LANES):
                    if (mask >> np.uint64(b)) & one:
                        depends = count[v, b] * lane[b]
                        if level:
                            score[v] += depends
                        count[v, b] = (ends + depends) / count[v, b]
            for i in range(starts[level], starts[level + 1]):
                v, mask = nodes[i], masks[i]
                for b in range(LANES):
                    if (mask >> np.uint64(b)) & one:
                        carry[v, b] = count[v, b]
                fresh[v] |= mask
        for v in range(n):
            if seen[v]:
                seen[v], fresh[v] = nothing, nothing
                count[v, :] = 0.0
                carry[v, :] = 0.0
    return score, hops, reached


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def paths_by_length(
    indptr: np.ndarray, indices: np.ndarray, lengths: np.ndarray, sources: np.ndarray, is_target: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `paths_by_hops` along edges of positive length; without any target the lengths alone are found.

    Paths are equally long where the sums of their lengths, added from the source on, are the same number. Nodes without edges of
    their own never enter the heap.
    """
    n = len(indptr) - 1
    score, total, reached = np.zeros(n), np.zeros(n), np.zeros(n, np.int64)
    distance, done = np.full(n, np.inf), np.zeros(n, np.bool_)
    count, carry = np.zeros(n), np.zeros(n)
    order, ends = np.empty(n, np.int64), np.empty(n, np.int64)
    keys, heap = np.empty(len(indices) + 1), np.empty(len(indices) + 1, np.int64)
    back = is_target.any()
    for s in sources:
        distance[s], count[s], keys[0], heap[0] = 0.0, 1.0, 0.0, s
        size, settled, last = 1, 0, 0
        while size:
            v, at = heap[0], keys[0]
            size -= 1
            key, node = keys[size], heap[size]
            i = 0
            while True:
                child = 4 * i + 1
                if child >= size:
                    break
                best = child
                for c in range(child + 1, min(child + 4, size)):
                    if keys[c] < keys[best]:
                        best = c
                if keys[best] >= key:
                    break
                keys[i], heap[i] = keys[best], heap[best]
                i = best
            keys[i], heap[i] = key, node
            if done[v]:
                continue
            done[v] = True
            order[settled] = v
            settled += 1
            for e in range(indptr[v], indptr[v + 1]):
                w = indices[e]
                far = at + lengths[e]
                if far < distance[w]:
                    first_time = distance[w] == np.inf
                    distance[w], count[w] = far, count[v]
                    if indptr[w] < indptr[w + 1]:
                        i = size
                        size += 1
                        while i and keys[(i - 1) >> 2] > far:
                            keys[i], heap[i] = keys[(i - 1) >> 2], heap[(i - 1) >> 2]
                            i = (i - 1) >> 2
                        keys[i], heap[i] = far, w
                    elif first_time:
                        ends[last] = w
                        last += 1
                elif far == distance[w] and not done[w]:
                    count[w] += count[v]
        for i in range(last):
            w = ends[i]
            total[w] += distance[w]
            reached[w] += 1
            if back and w != s and is_target[w]:
                carry[w] = 1.0 / count[w]
        for i in range(settled - 1, -1, -1):
            v = order[i]
            if v != s:
                total[v] += distance[v]
                reached[v] += 1
            if back:
                depends = 0.0
                for e in range(indptr[v], indptr[v + 1]):
                    w = indices[e]
                    if distance[v] + lengths[e] == distance[w]:
                        depends += carry[w]
                depends *= count[v]
                if v != s:
                    score[v] += depends
                carry[v] = ((1.0 if is_target[v] else 0.0) + depends) / count[v]
        for i in range(settled):
            v = order[i]
            distance[v], carry[v], done[v] = np.inf, 0.0, False
        for i in range(last):
            w = ends[i]
            distance[w], carry[w] = np.inf, 0.0
    return score, total, reached


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def pairs_reached(indptr: np.ndarray, indices: np.ndarray, sources: np.ndarray, is_target: np.ndarray) -> int:
    """Number of ordered pairs of a source and another target to which there is a path; 64 sources at a time."""
    n = len(indptr) - 1
    seen, fresh = np.zeros(n, np.uint64), np.zeros(n, np.uint64)
    queue, coming = np.empty(n, np.int64), np.empty(n, np.int64)
    one, nothing = np.uint64(1), np.uint64(0)
    pairs = 0
    for first in range(0, len(sources), LANES):
        batch = sources[first:first + LANES]
        seen[:] = nothing
        waiting = 0
        for b in range(len(batch)):
            s = batch[b]
            if not fresh[s]:
                queue[waiting] = s
                waiting += 1
            fresh[s] |= one << np.uint64(b)
            pairs -= is_target[s]
        for i in range(waiting):
            seen[queue[i]] = fresh[queue[i]]
        while waiting:
            found = 0
            for i in range(waiting):
                v = queue[i]
                mask, fresh[v] = fresh[v], nothing
                for e in range(indptr[v], indptr[v + 1]):
                    w = indices[e]
                    news = mask & ~seen[w]
                    if news:
                        if not fresh[w]:
                            coming[found] = w
                            found += 1
                        fresh[w] |= news
                        seen[w] |= news
            queue, coming = coming, queue
            waiting = found
        for v in range(n):
            if is_target[v]:
                mask = seen[v]
                while mask:
                    mask &= mask - one
                    pairs += 1
    return pairs


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def settle(
    indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray, strength: np.ndarray, order: np.ndarray, within: np.ndarray,
    community: np.ndarray,
) -> None:
    """Moves nodes between communities, in place, for as long as a move raises the modularity.

    The graph is undirected, with both directions of every edge; edges between nodes that differ in `within` are not seen. Nodes
    wait in a queue, first in the given order; those beside a node that moved come again (Traag, Waltman and van Eck 2019). Of
    equal gains the community of the earliest edge is taken.
    """
    n = len(indptr) - 1
    total = strength.sum()
    sums, links = np.zeros(n), np.zeros(n)
    members = np.zeros(n, np.int64)
    for v in range(n):
        sums[community[v]] += strength[v]
        members[community[v]] += 1
    empty = [c for c in range(n) if not members[c]]
    near = np.empty(n, np.int64)
    queue, waits = order.copy(), np.ones(n, np.bool_)
    head, waiting = 0, n
    while waiting:
        v = queue[head]
        head = (head + 1) % n
        waiting -= 1
        waits[v] = False
        own = community[v]
        n_near = 0
        for e in range(indptr[v], indptr[v + 1]):
            if indices[e] != v and within[indices[e]] == within[v]:
                c = community[indices[e]]
                if links[c] == 0.0:
                    near[n_near] = c
                    n_near += 1
                links[c] += weights[e]
        sums[own] -= strength[v]
        best, most = own, links[own] - strength[v] * sums[own] / total
        least = most + 1e-12 * strength[v]
        for i in range(n_near):
            c = near[i]
            gain = links[c] - strength[v] * sums[c] / total
            if gain > least and gain > most:
                best, most = c, gain
        if most < -1e-12 * strength[v] and members[own] > 1:
            best = empty[-1]
        for i in range(n_near):
            links[near[i]] = 0.0
        sums[best] += strength[v]
        if best != own:
            community[v] = best
            members[own] -= 1
            if not members[own]:
                empty.append(own)
            if not members[best]:
                empty.pop()
            members[best] += 1
            for e in range(indptr[v], indptr[v + 1]):
                w = indices[e]
                if community[w] != best and within[w] == within[v] and not waits[w]:
                    queue[(head + waiting) % n] = w
                    waiting += 1
                    waits[w] = True


@njit(cache=True, nogil=True)  # type: ignore[misc, unused-ignore]
def joined(
    indptr: np.ndarray, indices: np.ndarray, weights: np.ndarray, labels: np.ndarray, n_labels: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The graph with the nodes of each label made one, the weights of parallel edges added."""
    starts = np.zeros(n_labels + 1, np.int64)
    for v in range(len(labels)):
        starts[labels[v] + 1] += 1
    starts = np.cumsum(starts)
    place, members = starts.copy(), np.empty(len(labels), np.int64)
    for v in range(len(labels)):
        members[place[labels[v]]] = v
        place[labels[v]] += 1
    new_indptr, new_indices, new_weights = np.zeros(n_labels + 1, np.int64), np.empty_like(indices), np.empty_like(weights)
    last, links, end = np.full(n_labels, -1), np.zeros(n_labels, np.int64), 0
    for label in range(n_labels):
        for i in range(starts[label], starts[label + 1]):
            v = members[i]
            for e in range(indptr[v], indptr[v + 1]):
                other = labels[indices[e]]
                if last[other] != label:
                    last[other], links[other] = label, end
                    new_indices[end], new_weights[end] = other, 0.0
                    end += 1
                new_weights[links[other]] += weights[e]
        new_indptr[label + 1] = end
    return new_indptr, new_indices[:end].copy(), new_weights[:end].copy()
