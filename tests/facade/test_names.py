import ast
import csv
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import chiptrail as ct

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", sorted(set(ct.__all__) - {"__version__"}))
def test_every_public_name_is_there_and_described(name):
    thing = getattr(ct, name)
    assert thing.__name__ == name
    assert thing.__module__.startswith("chiptrail.")
    assert inspect.getdoc(thing)
    assert getattr(ct, name) is thing


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "facade" / "__init__.py").read_text("utf-8"))
    seen = {f"{node.module}.{alias.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names
            if alias.asname == alias.name}
    assert seen == {f"chiptrail.{home}.{name}" for name, home in ct._HOME.items()}


def test_names_not_known():
    with pytest.raises(AttributeError, match="no attribute 'transit_hub'"):
        ct.transit_hub  # noqa: B018
    assert dir(ct) == sorted(ct.__all__)


def test_version_is_that_of_the_distribution():
    assert ct.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_queries_know_no_firm_and_no_link():
    actors = ct.load_bundled("firms").actors
    names = set(actors.loc[~actors["kind"].eq("country"), "name"]) | set(actors["actor_id"])
    with (ROOT / "loaders" / "bundled" / "documented_trades.csv").open(encoding="utf-8", newline="") as file:
        names |= {row["link_id"] for row in csv.DictReader(file)}
    assert len(names) > 1500
    code = "\n".join(path.read_text("utf-8") for path in sorted((ROOT / "queries").glob("*.py")))
    words = set(re.findall(r"\w+", code))
    assert "transit_hubs" in words
    # only names whose every word stands somewhere in the code can stand in it
    likely = {name for name in names if set(re.findall(r"\w+", name)) <= words}
    assert {name for name in likely if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", code)} == set()
