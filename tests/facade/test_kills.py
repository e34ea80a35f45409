"""A load that is killed at any moment leaves the old network or the new one, whole, and the next load clears up after it."""

import random
import subprocess
import sys
import time

import pandas as pd
import pytest
from typer.testing import CliRunner

from chiptrail.cli import app
from chiptrail.graphmodel.network import TradeNetwork

TABLES = ("actors", "trades", "links", "listings", "totals", "coverage", "sources")
HEADER = "t,i,j,k,v,q\n"


def test_a_saved_network_is_told_from_another(tmp_path):
    one, other = (made(tmp_path / name, rows=rows) for name, rows in (("one", 3), ("other", 4)))
    networks = [loaded(one, tmp_path / "net"), loaded(other, tmp_path / "net")]
    assert [same(networks[0], network) for network in networks] == [True, False]


@pytest.mark.soak
def test_a_killed_load_leaves_the_old_network_or_the_new(tmp_path, campaign):
    old_file, new_file = made(tmp_path / "old", rows=300), made(tmp_path / "new", rows=3_000)
    new, folder = loaded(new_file, tmp_path / "new" / "net"), tmp_path / "here" / "net"
    folder.parent.mkdir()
    whole, saving = measured(new_file, folder)
    found = []
    for seed in campaign(100):
        old = loaded(old_file, folder)
        rng = random.Random(seed)
        process = started(new_file, folder)
        if seed % 2:
            time.sleep(rng.uniform(0, whole))
        else:
            saving_begins(process, folder)
            time.sleep(rng.uniform(0, 3 * saving))
        process.kill()
        process.wait()
        after = TradeNetwork.load(folder)
        found.append("old" if same(after, old) else "new" if same(after, new) else "neither")
        assert found[-1] != "neither", seed
        assert same(loaded(new_file, folder), new), seed
        assert [path.name for path in folder.parent.iterdir()] == ["net"], seed
    counts = {outcome: found.count(outcome) for outcome in ("old", "new")}
    assert counts["old"] > 0, counts
    assert counts["new"] > 0 or len(found) < 100, counts


def made(folder, *, rows):
    """A file of BACI with so many rows."""
    folder.mkdir()
    path = folder / "BACI_HS17_Y2022_V202601.csv"
    path.write_text(HEADER + "".join(f"2022,842,51,{850000 + i},{i % 97 + 1},NA\n" for i in range(rows)), encoding="utf-8")
    return path


def command(file, folder):
    return ["load", "baci", str(file), "--out", str(folder)]


def loaded(file, folder):
    done = CliRunner().invoke(app, command(file, folder))
    assert done.exit_code == 0, done.output
    return TradeNetwork.load(folder)


def started(file, folder):
    code = "from chiptrail.cli import app; app()"
    return subprocess.Popen([sys.executable, "-c", code, *command(file, folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def saving_begins(process, folder, *, yes=True):
    """Comes back when a folder stands beside `folder` that is to take its place (or none any more), or the process has ended."""
    while process.poll() is None and any(path.name.startswith(".net-") for path in folder.parent.iterdir()) != yes:
        time.sleep(0.0005)


def measured(file, folder):
    """Seconds that a load takes, and seconds of these in which it saves."""
    begin = time.monotonic()
    process = started(file, folder)
    saving_begins(process, folder)
    saving = time.monotonic()
    saving_begins(process, folder, yes=False)
    saved = time.monotonic()
    process.wait()
    return time.monotonic() - begin, saved - saving


def same(one, other):
    """Whether two networks are equal in every table."""
    try:
        for table in TABLES:
            pd.testing.assert_frame_equal(getattr(one, table), getattr(other, table))
    except AssertionError:
        return False
    return one.level == other.level
