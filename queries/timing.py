"""Whether the legs of a route can follow each other in time: exact reasoning with intervals of days.

A leg holds intervals, one per record; a moment may be chosen anywhere in any of them. `None` as bound means any wait.
"""

from collections.abc import Sequence
from itertools import islice, pairwise

Spans = list[tuple[float, float]]


def union(spans: Sequence[tuple[float, float]]) -> Spans:
    """The same days as few sorted spans."""
    merged: Spans = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def reach(before: Spans, leg: Spans, wait: float | None) -> Spans:
    """The moments t of a leg that some moment s in `before` precedes, s <= t <= s + wait."""
    if not before:
        return []
    if wait is None:
        earliest = before[0][0]
        return [(max(earliest, s), e) for s, e in leg if e >= earliest]
    window = union([(lo, hi + wait) for lo, hi in before if hi + wait >= lo])
    found: Spans = []
    first = 0
    for s, e in leg:
        while first < len(window) and window[first][1] < s:
            first += 1
        for lo, hi in islice(window, first, None):
            if lo > e:
                break
            found.append((max(lo, s), min(hi, e)))
    return union(found)


def _mirrored(spans: Spans) -> Spans:
    return [(-end, -start) for start, end in reversed(spans)]


def usable(legs: Sequence[Spans], wait: float | None) -> list[Spans]:
    """For each leg the moments that stand in at least one choice t1 <= t2 <= ... with waits within the bound; [] if none.

    Examples
    --------
    Looking at neighbours only would miss that the first moment comes after the last:

    >>> usable([[(10, 10)], [(1, 20)], [(5, 5)]], None)
    [[], [], []]
    >>> usable([[(1, 9)], [(5, 20)]], 2)
    [[(3, 9)], [(5, 11)]]
    """
    forward: list[Spans] = []
    for leg in legs:
        forward.append(union(leg) if not forward else reach(forward[-1], union(leg), wait))
    backward: list[Spans] = []
    for moments in reversed(forward):
        mirrored = _mirrored(moments)
        backward.append(mirrored if not backward else reach(backward[-1], mirrored, wait))
    return [_mirrored(moments) for moments in reversed(backward)]


def in_order(legs: Sequence[Spans]) -> bool:
    """Whether every choice of moments is in time order."""
    return all(max(e for _, e in a) <= min(s for s, _ in b) for a, b in pairwise(legs))
