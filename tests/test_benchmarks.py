"""The benchmarks ask both sides the same: on a tiny file all answers agree, and a wrong answer is noticed."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `run`, imported the way the script is run: with its folder on the path."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = ("run", "generate", "script")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("run")
    for name in names:
        sys.modules.pop(name, None)


def test_answers_agree_and_the_page_is_written(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "REPEATS", 1)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["run.py", "--rows", "2000", "--seed", "7", "--page", str(page)])
    bench.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{bench.BEGIN}\nMeasured on ")
    assert text.endswith(f" |\n{bench.END}\nafter\n")
    assert "old" not in text
    for question in ("load a file", "build the graph", "transit hubs of a year", "ten best routes, 3 legs"):
        assert f"| {question} | " in text
    assert "script / chiptrail" in capsys.readouterr().out


def test_a_wrong_answer_is_noticed(bench: ModuleType, tmp_path: Path) -> None:
    for entry in bench.entries(tmp_path, 2000, 7):
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
