"""The contract of every exporter of networks: the same bytes again, nothing changed, hostile names survive as text."""

import inspect
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

import chiptrail
from chiptrail.graphmodel.schema import TABLES

ENDINGS = {"export_csv": "", "export_gexf": ".gexf", "export_graphml": ".graphml", "export_html": ".html"}


def exporter(name):
    return getattr(import_module(f"chiptrail.{chiptrail._HOME[name]}"), name)


def contents(path: Path) -> dict[str, bytes]:
    files = [path] if path.is_file() else sorted(path.iterdir())
    return {file.name: file.read_bytes() for file in files}


def test_every_exporter_is_held_to_it():
    assert {name for name in chiptrail._HOME if name.startswith("export_")} == set(ENDINGS)


@pytest.mark.parametrize("name", ENDINGS)
def test_documented(name):
    text = inspect.getdoc(exporter(name))
    assert "Parameters" in text
    assert "Examples" in text


@pytest.mark.parametrize("name", ENDINGS)
def test_same_input_same_bytes_and_nothing_changed(name, firms, tmp_path):
    before = {table: getattr(firms, table) for table in TABLES}
    first = exporter(name)(firms, tmp_path / "a" / f"net{ENDINGS[name]}")
    second = exporter(name)(firms, tmp_path / "b" / f"net{ENDINGS[name]}")
    assert contents(first) == contents(second)
    for table, frame in before.items():
        pd.testing.assert_frame_equal(getattr(firms, table), frame)


@pytest.mark.parametrize("name", ENDINGS)
def test_hostile_names_are_written_as_text(name, hostile, tmp_path):
    written = b"".join(contents(exporter(name)(hostile, tmp_path / f"net{ENDINGS[name]}")).values())
    assert len(written) > 1000
    if name != "export_csv":
        assert b"<script>alert(1)</script>" not in written
