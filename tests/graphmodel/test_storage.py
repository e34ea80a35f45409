"""Saved networks: at every moment one whole network, whatever the system can do."""

import os

import pandas as pd
import pytest

from chiptrail.graphmodel import storage
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork

ROWS = [("USA", "KAZ", "854231", "2022", 10.0), ("KAZ", "RUS", "854231", "2022", 7.0)]


@pytest.fixture(params=["exchange", "two steps"])
def either_way(request, monkeypatch):
    if request.param == "two steps":
        monkeypatch.setattr(storage, "_exchanged", lambda one, other: False)


@pytest.mark.usefixtures("either_way")
def test_a_new_network_takes_the_place_of_the_old(build, tmp_path):
    old, new = build(ROWS[:1]), build(ROWS)
    old.save(tmp_path / "net")
    new.save(tmp_path / "net")
    assert TradeNetwork.load(tmp_path / "net").equals(new)
    assert not new.equals(old)
    assert [path.name for path in tmp_path.iterdir()] == ["net"]


def test_work_cut_off_between_the_two_steps_leaves_the_old_network(build, tmp_path, monkeypatch):
    old = build(ROWS[:1])
    target = old.save(tmp_path / "net")
    fresh = tmp_path / ".net-1-abc"
    build(ROWS).save(tmp_path / "other").rename(fresh)
    target.rename(tmp_path / ".net-1-abc-old")
    assert TradeNetwork.load(target).equals(old)


def test_remains_of_dead_processes_are_cleared_and_those_of_living_ones_stay(build, tmp_path):
    gone, living = tmp_path / ".net[1]-999999999-abc", tmp_path / f".net[1]-{os.getpid()}-abc"
    foreign = tmp_path / ".net[1]-mine"
    for folder in (gone, living, foreign):
        folder.mkdir()
        (folder / "trades.parquet").write_bytes(b"half")
    build(ROWS).save(tmp_path / "net[1]")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([living.name, foreign.name, "net[1]"])


def test_a_full_disk_leaves_the_old_network(build, tmp_path, monkeypatch):
    old = build(ROWS[:1])
    old.save(tmp_path / "net")
    monkeypatch.setattr(pd.DataFrame, "to_parquet", lambda *a, **k: (_ for _ in ()).throw(OSError("no space left")))
    with pytest.raises(OSError, match="no space"):
        build(ROWS).save(tmp_path / "net")
    monkeypatch.undo()
    assert TradeNetwork.load(tmp_path / "net").equals(old)


def test_what_is_no_network_is_neither_read_nor_replaced(build, tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="no whole saved network"):
        TradeNetwork.load(tmp_path / "net")
    with pytest.raises(ChiptrailError, match="choose another folder"):
        build(ROWS).save(tmp_path / "net")
    assert (tmp_path / "net" / "notes.txt").read_text() == "mine"
