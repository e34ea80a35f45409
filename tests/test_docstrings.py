"""The examples in the docstrings of all modules run and give what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"facade": "", "graphmodel": ".graphmodel", "loaders": ".loaders", "queries": ".queries", "exporters": ".exporters"}
OPTIONAL = {"altair", "vl_convert", "openpyxl"}


def modules():
    for folder, package in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            inner = "".join(f".{part}" for part in parts if part != "__init__")
            if parts[-1] != "__main__":
                yield f"chiptrail{package}{inner}"


@pytest.mark.parametrize("name", list(modules()))
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name in OPTIONAL:
            pytest.skip(f"needs the extra library {error.name}")
        raise
    assert doctest.testmod(module).failed == 0
