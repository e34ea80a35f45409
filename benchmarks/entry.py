"""A question put to chiptrail and to a peer in the same run: answers compared, times measured."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

REPEATS, SECONDS = 5, 20.0


@dataclass(frozen=True)
class Entry:
    """A question put to both sides, and how to check that their answers are the same.

    Without `theirs` chiptrail is asked alone, `peer` says why, and `check` gets None for the other answer.
    """

    name: str
    size: str
    ours: Callable[[], Any]
    theirs: Callable[[], Any] | None
    check: Callable[[Any, Any], None]
    peer: str = "networkx"


def measured(entry: Entry) -> dict[str, str]:
    """A row of the table: both sides in turn, each up to 5 times or 20 seconds; raises AssertionError where the answers differ."""
    questions = {side: ask for side, ask in (("theirs", entry.theirs), ("ours", entry.ours)) if ask}
    times: dict[str, list[float]] = {side: [] for side in questions}
    answers = {}
    while open_sides := [side for side, spent in times.items() if len(spent) < REPEATS and sum(spent) < SECONDS]:
        for side in open_sides:
            start = time.perf_counter()
            answers[side] = questions[side]()
            times[side].append(time.perf_counter() - start)
        if len(times["ours"]) == 1:
            entry.check(answers["ours"], answers.get("theirs"))
    ours, theirs = (statistics.median(times[side]) if side in times else None for side in ("ours", "theirs"))
    assert ours is not None
    return {
        "question": entry.name, "size": entry.size, "chiptrail": f"{ours:.3g} s", "peer": f"{theirs:.3g} s" if theirs else "",
        "peer / chiptrail": f"{theirs / ours:.2g}" if theirs else "", "who": entry.peer,
        "runs": " and ".join(str(len(times[side])) for side in ("ours", "theirs") if side in times),
    }
