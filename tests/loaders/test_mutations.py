"""Spoilt files: whatever is done to an input, it is refused with a reason that names it, or no row of it goes uncounted.

`spoilt.py` spoils and loads them, in processes of its own, so that a crash is seen.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("spoilt.py")
N_CASES = 18


@pytest.mark.soak
def test_spoilt_files_are_refused_or_counted(campaign):
    seeds = campaign(10_000)
    n_parts = max(os.cpu_count() or 1, len(seeds) // 250)

    def run(part):
        command = [sys.executable, PROGRAM, *map(str, seeds[part::n_parts])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr[-3000:]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(run, range(n_parts)))
    for _, code, told in parts:
        assert code == 0, told
    results = [result for part, _, _ in parts for result in part]
    wrong = [result for result in results if result["outcome"] not in ("loaded", "refused")]
    assert not wrong, f"{len(wrong)} of {len(results)}: {wrong[:5]}"
    assert {result["seed"] for result in results} == set(seeds)
    counts = Counter((result["case"], result["outcome"]) for result in results)
    for outcome in ("loaded", "refused"):
        assert len({case for case, came in counts if came == outcome}) == N_CASES, counts
