"""The commands that estimate say point, interval and bounds, and what they do not show."""

import pytest

import chiptrail as ct


def test_attribution_shows_point_interval_and_bounds(run):
    code, out, err = run("attribution", "--since", "2022", "--until", "2022", "--hub", "KAZ,TUR")
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.startswith("Kazakhstan"))
    told = [word.replace(",", "") for word in row.split()[1:10]]
    assert told.pop(3) == "–"  # what it sends to other hubs is not covered, which is no zero
    inflow, share, outflow, point, low, high, least, most = map(float, told)
    assert (inflow, outflow) == (87_912_267, 18_258_558)
    assert share == pytest.approx(0.0486, abs=1e-4)
    assert point == pytest.approx(4_273_764 / 87_912_267 * 18_258_558, rel=1e-3)
    assert least <= low < point < high <= most == 4_273_764
    assert "nobody saw the goods pass" in out


def test_gaps_are_saved_as_flows_of_their_own(run, tmp_path, shared):
    files = sorted((shared / "data" / "mirror_totals").glob("**/*.csv"))
    network = ct.load_mirror_totals(files)
    network.save(tmp_path / "totals")
    code, out, _ = run("gaps", tmp_path / "totals", "--from", "EU27", "--to", "KGZ", "--cif-margin", "0", "--out", tmp_path / "ghosts")
    assert code == 0
    assert "does not show where goods went" in out
    saved = ct.TradeNetwork.load(tmp_path / "ghosts")
    ghosts = saved.trades[saved.trades["basis"].eq("inferred")]
    assert len(ghosts) > 0
    assert len(saved.trades) == len(network.trades) + len(ghosts)


@pytest.mark.parametrize("words", ["no such event", "a"])
def test_event_that_is_none_or_many_is_refused(run, words):
    code, out, err = run("displacement", "--event", words)
    assert (code, out) == (1, "")
    assert "policy events have" in err
    assert "name one of" in err


def test_transit_blocks_are_refused_on_exports(run):
    events = ct.policy_events()
    title = events.loc[events["kind"].eq("transit_block"), "title"].iloc[0]
    code, out, err = run("displacement", "--event", title)
    assert (code, out) == (1, "")
    assert "transit" in err


def test_scorecard_shows_published_ours_difference_and_reason(run):
    code, out, err = run("scorecard")
    assert (code, err) == (0, "")
    assert "Chinese chips to Russia, 2022 as a multiple of 2021" in out
    assert "published 2.42, ours 2.5 times; difference 0.0811; recomputed from records" in out
    assert "data not at hand" in out


def test_whatif_gives_a_range(run, records):
    rows = records("whatif", "--close", "KAZ", "--from", "EU27", "--concept", "dispatched", "--since", "2022", "--until", "2022")
    assert rows[0]["role"] == "all closed"
    assert rows[0]["cut_full_rerouting_usd"] == 0
    assert rows[0]["cut_no_rerouting_usd"] == pytest.approx(15.07e6, rel=1e-3)
