"""The benchmarks ask both sides the same: on a tiny file all answers agree, and a wrong answer is noticed."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


NAMES = ("run", "attribution", "chokepoints", "database", "entry", "files", "views", "measures", "routes", "whole", "startup", "generate",
         "script")
QUESTIONS = {
    "files": ("load a file", "build the graph", "transit hubs of a year", "ten best routes, 3 legs"),
    "views": ("view of the network",),
    "measures": ("PageRank", "components", "closeness by value", "betweenness, exact", "communities"),
    "questions": ("transit hubs of a year", "10 best routes", "100 best routes", "10 routes of fewest legs", "10 earliest routes"),
    "attribution": ("attribution to", "attribution to one hub"),
    "closures": ("smallest cut between two sets", "best 3 closures"),
    "startup": ("chiptrail --help",),
    "database": ("chiptrail neo4j push", "a MERGE for each row", "files and neo4j-admin import"),
    "whole": ("read and aggregate", "load, hubs, routes"),
}
SCALES = {"files": 0.01, "views": 0.01, "measures": 0.01, "questions": 0.005, "attribution": 0.01, "closures": 0.01,
          "startup": 1.0, "database": 0.01, "whole": 0.0005}


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `run`, imported the way the script is run: with its folder on the path."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in NAMES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("run")
    for name in NAMES:
        sys.modules.pop(name, None)


def test_every_group_is_asked(bench: ModuleType) -> None:
    assert set(bench.GROUPS) == set(QUESTIONS)
    page = bench.PAGE.read_text(encoding="utf-8")
    for group in bench.GROUPS:
        assert page.count(f"<!-- {group}: begin -->") == page.count(f"<!-- {group}: end -->") == 1


@pytest.mark.parametrize("group", [pytest.param(group, marks=pytest.mark.neo4j) if group == "database" else group for group in QUESTIONS])
def test_answers_agree_and_the_page_is_written(
    bench: ModuleType, group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    neo4j_ready: Callable[[str], None],
) -> None:
    if group == "database":
        neo4j_ready("5.26")
    monkeypatch.setattr(importlib.import_module("entry"), "REPEATS", 1)
    page = tmp_path / "page.md"
    page.write_text(f"before\n<!-- {group}: begin -->\nold\n<!-- {group}: end -->\nafter\n", encoding="utf-8")
    scale = str(SCALES[group])
    monkeypatch.setattr("sys.argv", ["run.py", "--group", group, "--scale", scale, "--seed", "7", "--page", str(page)])
    bench.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n<!-- {group}: begin -->\nMeasured on ")
    assert text.endswith(f" |\n<!-- {group}: end -->\nafter\n")
    assert "old" not in text
    printed = capsys.readouterr().out
    for question in QUESTIONS[group]:
        assert f"| {question}" in text
        assert question in printed


def test_a_wrong_answer_of_the_whole_job_is_noticed(bench: ModuleType) -> None:
    whole = importlib.import_module("whole")
    good = whole.Run({"hubs": [["A", 1.0]]}, {"job": 1.0}, 1.0)
    whole.check({"ours": good, "theirs": good})
    for wrong in ({"hubs": [["A", 1.1]]}, {"hubs": [["B", 1.0]]}, {}):
        with pytest.raises(AssertionError):
            whole.check({"ours": whole.Run(wrong, {}, 1.0), "theirs": good})


def test_a_wrong_answer_is_noticed(bench: ModuleType, tmp_path: Path) -> None:
    for entry in importlib.import_module("files").entries(tmp_path, 2000, 7):
        ours, theirs = entry.ours(), entry.theirs()
        if entry.name.startswith("load"):
            wrong = theirs.assign(weight_kg=theirs["weight_kg"] * 1.001)
        elif entry.name.startswith("build"):
            wrong = theirs.copy()
            wrong.remove_edge(*next(iter(wrong.edges)))
        elif entry.name.startswith("transit"):
            wrong = theirs.assign(betweenness=theirs["betweenness"] + 0.001)
        else:
            wrong = [(value + 1, *rest) for value, *rest in theirs]
        entry.check(ours, theirs)
        with pytest.raises((AssertionError, KeyError)):
            entry.check(ours, wrong)


def test_generated_shipments_depend_on_the_seed_alone(bench: ModuleType) -> None:
    generate = importlib.import_module("generate")
    first, again, other = (generate.shipments(500, 60, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    assert not set(first["buyer_country"]) & {"USA"}
    assert not set(first["seller_country"]) & {"RUS"}
    assert first["seller"].str.contains(",").any()
    assert first["seller"].str.contains('"').any()
