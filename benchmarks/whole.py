"""The whole job on a file of shipments, each side in processes of its own: read and aggregate; then load, hubs and routes.

`python benchmarks/whole.py SIDE QUESTION FILE` is one process of a side: it prints its answer as JSON.
"""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import script

YEAR, FIRST, LAST, K = "2022", "2022-01-01", "2022-12-31", 10
ROLES = {
    "exporter": "seller", "exporter_country": "seller_country", "importer": "buyer", "importer_country": "buyer_country",
    "hs_code": "hs_code", "date": "date", "value_usd": "value_usd", "weight_kg": "weight_kg", "flow": "flow",
    "reported_by": "reported_by",
}


@dataclass(frozen=True)
class Run:
    """What one side answered, its seconds by step, and the most memory that one of its processes held, in MB."""

    answer: dict[str, Any]
    steps: dict[str, float]
    megabytes: float

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(self.steps.values())


def aggregate(path: Path) -> dict[str, Run]:
    """Both sides read the file and add up value and shipments by pair of firms, with their names."""
    own = [sys.executable, str(Path(__file__))]
    return {side: _ran({"read and aggregate": [*own, side, "aggregate", str(path)]}) for side in ("theirs", "ours")}


def job(path: Path) -> dict[str, Run]:
    """Both sides load the file as a network with an edge per shipment, rank the hubs of a year, and find the best routes with at
    most one hub. A script that the system kills, as it does where memory is out, has no answer and no seconds."""
    own, command = [sys.executable, str(Path(__file__))], [sys.executable, "-c", "from chiptrail.cli import main; main()"]
    with tempfile.TemporaryDirectory(prefix="chiptrail-bench-") as folder:
        network, hubs, routes = (str(Path(folder) / name) for name in ("network", "hubs.json", "routes.json"))
        asked = ["--since", YEAR, "--until", YEAR, "--json"]
        roles = [part for role, column in ROLES.items() for part in ("--map", f"{role}={column}")]
        ours = _ran({
            "load": [*command, "load", "shipments", str(path), "--out", network, *roles],
            "hubs": [*command, "hubs", network, *asked, hubs],
            "routes": [*command, "routes", network, "--hops", "2", "--top", str(K), *asked, routes],
        })
        answer = {"hubs": _our_hubs(Path(hubs)), "routes": _our_routes(Path(routes))}
    try:
        theirs = _ran({"job": [*own, "theirs", "job", str(path)]})
    except subprocess.CalledProcessError as error:
        if error.returncode != -signal.SIGKILL:
            raise
        theirs = Run({}, {"job": math.nan}, math.nan)
    return {"theirs": theirs, "ours": Run(answer, ours.steps, ours.megabytes)}


def check(runs: dict[str, Run]) -> None:
    """Asserts that both sides gave the same answer, unless the script was killed."""
    ours, theirs = runs["ours"].answer, runs["theirs"].answer
    if math.isnan(runs["theirs"].seconds):
        return
    assert ours.keys() == theirs.keys()
    for question, answer in theirs.items():
        assert [row[:-1] for row in ours[question]] == [row[:-1] for row in answer], question
        np.testing.assert_allclose([row[-1] for row in ours[question]], [row[-1] for row in answer], rtol=1e-9)


def _ran(commands: dict[str, list[str]]) -> Run:
    steps, most, printed = {}, 0.0, ""
    for step, command in commands.items():
        start = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, encoding="utf-8") as process:
            assert process.stdout is not None
            printed = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        steps[step], most = time.perf_counter() - start, max(most, used.ru_maxrss / 1024)
    try:
        return Run(json.loads(printed), steps, most)
    except ValueError:
        return Run({}, steps, most)


def _our_hubs(path: Path) -> list[list[Any]]:
    """Names, inflow and outflow of the hubs with the largest outflow."""
    table = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["records"])
    best = table.sort_values(["outflow_usd", "hub"], ascending=[False, True]).head(K)
    return [[hub, value] for hub, value in zip(best["hub"], best["outflow_usd"], strict=True)]


def _our_routes(path: Path) -> list[list[Any]]:
    table = pd.DataFrame(json.loads(path.read_text(encoding="utf-8"))["records"]).drop_duplicates("route")
    return [[float(value)] for value in table["smallest_leg_usd"]]


def _largest(pairs: pd.DataFrame, n_records: str) -> dict[str, Any]:
    best = pairs.sort_values(["value_usd", "seller", "buyer"], ascending=[False, True, True]).head(K)
    rows = [[s, b, int(n), v] for s, b, n, v in zip(best["seller"], best["buyer"], best[n_records], best["value_usd"], strict=True)]
    return {"largest": rows, "pairs": [[len(pairs), float(pairs["value_usd"].sum())]]}


def _ours_aggregated(path: Path) -> dict[str, Any]:
    import chiptrail as ct

    network = ct.load_shipments(path, columns=ROLES)
    names = network.actors.set_index("actor_id")["name"]
    pairs = network.flows()
    return _largest(pairs.assign(seller=pairs["seller_id"].map(names), buyer=pairs["buyer_id"].map(names)), "n_records")


def _theirs_job(path: Path) -> dict[str, Any]:
    trades = script.load(path)
    graph = script.shipment_graph(trades)
    assert graph.number_of_edges() == len(trades)
    hubs = script.legs(trades, FIRST, LAST).reset_index().sort_values(["outflow", "hub"], ascending=[False, True]).head(K)
    routes = script.routes_with_one_hub(trades[trades["date"].between(FIRST, LAST)], K)
    return {"hubs": [[hub, value] for hub, value in zip(hubs["hub"], hubs["outflow"], strict=True)],
            "routes": [[value] for value, _, _ in routes]}


if __name__ == "__main__":
    side, question, file = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if question == "job":
        answer = _theirs_job(file)
    elif side == "ours":
        answer = _ours_aggregated(file)
    else:
        answer = _largest(script.pairs(script.load(file)), "n_records")
    print(json.dumps(answer, ensure_ascii=False))
