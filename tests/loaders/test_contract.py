"""The contract of every loader of files: a new `load_...` needs a sample here, and is then held to all of it."""

import gzip
import inspect
import json
import random
from importlib import import_module
from pathlib import Path

import pytest

import chiptrail
from chiptrail.graphmodel.errors import InputError

FOLDER = Path(__file__).parent / "samples"
SAMPLES = {
    "load_baci": ("BACI_HS17_Y2022_V202601.csv", "j"),
    "load_comext": ("comext_long.csv", "reporter"),
    "load_comtrade": ("comtrade_47.csv", "reporterCode"),
    "load_mirror_totals": ("mirror_totals.csv", "REPORTER"),
    "load_shipments": ("shipments.csv", "exporter"),
    "load_tables": ("trades.csv", "seller"),
}
"""For each loader a hand-written sample and a column that it cannot do without."""
CASES = [pytest.param(name, FOLDER / file, column, id=name) for name, (file, column) in SAMPLES.items()]


def loader(name):
    return getattr(import_module(f"chiptrail.{chiptrail._HOME[name]}"), name)


def rows(network):
    """What a network says, without the identities that come from the bytes of a file."""
    own = ["trade_id", "record_ref", "source_id"]
    trades = network.trades.drop(columns=own)
    return sorted(trades.astype(str).values.tolist()), sorted(network.actors.astype(str).values.tolist())


def test_every_loader_of_files_has_a_sample():
    public = {name for name in chiptrail._HOME if name.startswith("load_")} - {"load_bundled"}
    assert public == set(SAMPLES)


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_documented(name, sample, column):
    text = inspect.getdoc(loader(name))
    for part in ("Parameters", "Raises", "Examples"):
        assert part in text


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_read_is_kept_and_rejected(name, sample, column):
    network = loader(name)(sample)
    lines = len([line for line in sample.read_text(encoding="latin-1").splitlines() if line.strip()]) - 1
    [source] = network.sources.to_dict("records")
    assert source["rows_read"] == lines
    assert source["rows_read"] == source["rows_kept"] + sum(json.loads(source["rejected"] or "{}").values())
    assert source["rows_kept"] == len(network.trades) + len(network.totals)


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_the_order_of_rows_makes_no_difference(name, sample, column, tmp_path):
    header, *lines = sample.read_bytes().splitlines()
    random.Random(3).shuffle(lines)
    shuffled = tmp_path / sample.name
    shuffled.write_bytes(b"\n".join([header, *lines]) + b"\n")
    assert rows(loader(name)(shuffled)) == rows(loader(name)(sample))


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_nothing_is_written_beside_the_input(name, sample, column, tmp_path):
    copy = tmp_path / sample.name
    copy.write_bytes(sample.read_bytes())
    loader(name)(copy)
    assert [path.name for path in tmp_path.iterdir()] == [copy.name]
    assert copy.read_bytes() == sample.read_bytes()


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_a_renamed_column_is_named(name, sample, column, tmp_path):
    header, rest = sample.read_bytes().split(b"\n", 1)
    renamed = tmp_path / sample.name
    renamed.write_bytes(header.replace(column.encode(), f"{column[:-1]}_x".encode(), 1) + b"\n" + rest)
    with pytest.raises(InputError, match=column):
        loader(name)(renamed)


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\x03" * 50], ids=["empty", "blank", "binary"])
def test_what_is_no_table_is_refused(name, sample, column, content, tmp_path):
    path = tmp_path / sample.name
    path.write_bytes(content)
    with pytest.raises(InputError, match=sample.stem):
        loader(name)(path)


@pytest.mark.parametrize(("name", "sample", "column"), CASES)
def test_a_truncated_gzip_is_refused(name, sample, column, tmp_path):
    path = tmp_path / f"{sample.name}.gz"
    whole = gzip.compress(sample.read_bytes())
    path.write_bytes(whole)
    assert loader(name)(path).trades["value"].sum() == loader(name)(sample).trades["value"].sum() > 0
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="gz"):
        loader(name)(path)
