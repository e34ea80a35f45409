import numpy as np
import pytest

import chiptrail as ct

NEW = {"hs_version": "HS2022"}
LISTED, NEIGHBOUR = "854231", "854290"


def corridor(seller, buyer, before, now):
    """Listed and neighbouring trade of a corridor before and now, in thousand USD."""
    amounts = [(LISTED, "2021", before[0]), (NEIGHBOUR, "2021", before[1]), (LISTED, "2022", now[0]), (NEIGHBOUR, "2022", now[1])]
    return [(seller, buyer, code, period, 1_000.0 * value) for code, period, value in amounts if value]


OTHERS = {"KAZ": (90, 10), "TUR": (80, 20), "UZB": (90, 10), "ARM": (85, 15), "GEO": (60, 40)}
"""Listed and neighbours of 2022 on corridors that had 90 and 10 before: changes of the share by 0, 0.1, 0, 0.05 and 0.3."""


@pytest.fixture(scope="module")
def shifted(build):
    rows = corridor("XAA", "RUS", (90, 10), (30, 50))
    for buyer, now in OTHERS.items():
        rows += corridor("XAA", buyer, (90, 10), now)
    return build(rows, coverage=[("XAA", "*", "8542", "2021/2022")])


def ask(network, **more):
    asked = {"destinations": ["RUS"], "concept": "dispatched", "since": "2022", "until": "2022"}
    return ct.code_shift(network, **(asked | more))


def test_shift_by_hand(shifted):
    row = ask(shifted).iloc[0]
    assert (row["listed_change_usd"], row["neighbours_change_usd"]) == (-60_000, 40_000)
    assert row["shift_max_usd"] == 40_000
    assert row["share_shift_max"] == pytest.approx(2 / 3)
    assert (row["share_neighbours_before"], row["share_neighbours"]) == (0.1, 50 / 80)
    assert (row["listed_products"], row["neighbour_products"]) == (LISTED, NEIGHBOUR)


def test_difference_in_differences_by_hand(shifted):
    row = ask(shifted).iloc[0]
    changes = np.array([0, 0.1, 0, 0.05, 0.3])
    assert row["n_others"] == 5
    assert row["others_share_change"] == pytest.approx(0.05)
    assert row["excess"] == pytest.approx(0.525 - 0.05)
    assert row["excess_low"] == pytest.approx(0.525 - np.quantile(changes, 0.95))
    assert row["excess_high"] == pytest.approx(0.525 - np.quantile(changes, 0.05))


def test_without_a_fall_or_a_rise_nothing_can_have_moved(build):
    network = build(corridor("XAA", "RUS", (50, 10), (60, 50)) + corridor("XBB", "RUS", (50, 10), (20, 5)),
                    coverage=[(s, "RUS", "8542", "2021/2022") for s in ("XAA", "XBB")])
    table = ask(network).set_index("seller_id")
    assert table["shift_max_usd"].to_dict() == {"XAA": 0, "XBB": 0}
    assert np.isnan(table.loc["XAA", "share_shift_max"])
    assert np.isnan(table.loc["XAA", "excess"]), "one other seller to RUS is no comparison, since RUS is the question"
    assert table["n_others"].tolist() == [0, 0]


def test_neighbours_can_be_given(build):
    rows = [*corridor("XAA", "RUS", (90, 10), (30, 10)), ("XAA", "RUS", "853400", "2021", 5_000.0),
            ("XAA", "RUS", "853400", "2022", 45_000.0)]
    network = build(rows, coverage=[("XAA", "RUS", "8542 8534", "2021/2022")])
    row = ask(network, neighbours="853400", listed="854231").iloc[0]
    assert (row["neighbours_before_usd"], row["neighbours_usd"], row["shift_max_usd"]) == (5_000, 45_000, 40_000)
    assert ask(network, listed="854231").iloc[0]["shift_max_usd"] == 0


def test_headings_that_hold_both_are_undivided_and_refused(build):
    network = build([("XAA", "RUS", "8542", "2021", 50_000.0), ("XAA", "RUS", "8542", "2022", 70_000.0)],
                    coverage=[("XAA", "RUS", "8542", "2021/2022")])
    row = ask(network).iloc[0]
    assert (row["undivided_before_usd"], row["undivided_usd"]) == (50_000, 70_000)
    assert row["status"] == "not compared: no record tells listed goods from their neighbours in codes that compare"
    assert np.isnan(row["listed_usd"])
    assert np.isnan(row["shift_max_usd"])


def test_heading_told_beside_its_subheadings_counts_once(build):
    rows = [*corridor("XAA", "RUS", (90, 10), (30, 50)), ("XAA", "RUS", "8542", "2021", 100_000.0)]
    row = ask(build(rows, coverage=[("XAA", "RUS", "8542", "2021/2022")])).iloc[0]
    assert (row["listed_before_usd"], row["neighbours_before_usd"], row["undivided_before_usd"]) == (90_000, 10_000, 0)


def bounded(build, *rows):
    return ask(build([("XAA", "RUS", *row) for row in rows], coverage=[("XAA", "*", "8542", "2021/2022", {"resolution": "month"})])).iloc[0]


CHANGES = ["listed_change_usd", "neighbours_change_usd", "share_shift_max", "share_neighbours", "share_change"]


def test_heading_of_another_month_is_not_told_by_the_subheadings(build):
    """Listed before: 20,000 to 120,000; now 5,000. Neighbours now 60,000."""
    row = bounded(build, (LISTED, "2021-01", 20e3), ("8542", "2021-06", 100e3), (LISTED, "2022-01", 5e3), (NEIGHBOUR, "2022-06", 60e3))
    assert (row["listed_before_usd"], row["undivided_before_usd"], row["shift_max_usd"]) == (20_000, 100_000, 60_000)
    assert np.isnan(row["neighbours_before_usd"]), "they may be in the heading"
    assert row[CHANGES].isna().all()
    assert row["status"].startswith("compared as a bound")


def test_heading_before_and_subheadings_now_bound_the_shift(build):
    """Of 100,000 all may have been listed, of which 60,000 are left: 40,000 may have moved to 40,000 of neighbours."""
    row = bounded(build, ("8542", "2021", 100e3), (LISTED, "2022", 60e3), (NEIGHBOUR, "2022", 40e3))
    assert row[["listed_before_usd", "neighbours_before_usd", *CHANGES]].isna().all()
    assert (row["listed_usd"], row["shift_max_usd"]) == (60_000, 40_000)


def test_subheadings_before_and_heading_now_bound_the_shift(build):
    """The heading of now may hold 10,000 of the 90,000 listed before, and all the rest as neighbours."""
    row = bounded(build, (LISTED, "2021", 90e3), (NEIGHBOUR, "2021", 10e3), ("8542", "2022", 70e3))
    assert row["shift_max_usd"] == 60_000
    assert row[["listed_usd", "neighbours_usd", *CHANGES]].isna().all()


def test_year_of_a_heading_is_told_by_subheadings_of_its_value_and_not_by_a_part(build):
    now = [(LISTED, "2022-03", 30e3), (NEIGHBOUR, "2022-03", 50e3)]
    parts = [(LISTED, "2021-02", 90e3), (NEIGHBOUR, "2021-09", 10e3)]
    row = bounded(build, *parts, ("8542", "2021", 100e3), *now)
    assert (row["status"], row["shift_max_usd"], row["undivided_before_usd"]) == ("compared", 40_000, 0)
    row = bounded(build, *parts, ("8542", "2021", 150e3), *now)
    assert (row["undivided_before_usd"], row["shift_max_usd"]) == (150_000, 50_000)


def test_corridors_with_a_bound_are_no_base_for_others(build):
    rows = [*corridor("XAA", "RUS", (90, 10), (30, 50)), ("XAA", "UKR", "8542", "2021", 90e3),
            *corridor("XAA", "UKR", (0, 0), (10, 80))]
    for buyer, now in OTHERS.items():
        rows += corridor("XAA", buyer, (90, 10), now)
    row = ask(build(rows, coverage=[("XAA", "*", "8542", "2021/2022")])).iloc[0]
    assert (row["n_others"], row["others_share_change"]) == (5, pytest.approx(0.05))


def test_record_partly_outside_the_period_leaves_nothing_compared(build):
    row = bounded(build, (LISTED, "2021-01", 90e3), (LISTED, "2020-12..2021-02", 99e3), (LISTED, "2022", 30e3), (NEIGHBOUR, "2022", 50e3))
    assert row["status"] == "not compared: part is told in wider codes or dates"
    assert np.isnan(row["listed_before_usd"])


def test_the_bound_is_said_to_hold_without_growth_only(shifted):
    assert any("if the corridor's demand for listed goods did not grow" in note for note in ask(shifted).attrs["notes"])


def test_codes_that_do_not_compare_are_left_aside_in_both_periods_and_named(build):
    rows = [("XAA", "RUS", "854150", "2021", 70_000.0), ("XAA", "RUS", "854151", "2022", 10_000.0, NEW),
            ("XAA", "RUS", "854110", "2021", 40_000.0), ("XAA", "RUS", "854110", "2022", 30_000.0, NEW),
            ("XAA", "RUS", "854190", "2021", 20_000.0), ("XAA", "RUS", "854190", "2022", 25_000.0, NEW)]
    table = ask(build(rows, coverage=[("XAA", "RUS", "8541", "2021/2022")]))
    row = table.iloc[0]
    assert (row["listed_before_usd"], row["listed_usd"], row["shift_max_usd"]) == (40_000, 30_000, 5_000)
    assert table.attrs["left_aside"] == {"code that does not compare between HS versions": 2}
    assert any("854150, 854151" in note for note in table.attrs["notes"])


def test_divided_codes_stand_at_the_wider_old_one(build):
    """854149 of HS2022 is a part of 854140, which holds unlisted goods too: undivided on both sides, no rise from nothing."""
    rows = [("XAA", "RUS", "854140", "2021", 70_000.0), ("XAA", "RUS", "854149", "2022", 60_000.0, NEW),
            ("XAA", "RUS", "854143", "2022", 5_000.0, NEW),
            ("XAA", "RUS", "854110", "2021", 40_000.0), ("XAA", "RUS", "854110", "2022", 30_000.0, NEW)]
    row = ask(build(rows, coverage=[("XAA", "RUS", "8541", "2021/2022")])).iloc[0]
    assert (row["undivided_before_usd"], row["undivided_usd"], row["neighbours_usd"]) == (70_000, 65_000, 0)


def test_not_covered_is_not_zero(build):
    network = build(corridor("XAA", "RUS", (0, 0), (30, 50)), coverage=[("XAA", "RUS", "8542", "2022")])
    row = ask(network).iloc[0]
    assert row["status"] == "not compared: earlier period not covered"
    assert np.isnan(row["listed_before_usd"])


def test_identical_months_only():
    """German exports to Russia, January to November: the year gives the same, since December of 2022 is not covered."""
    network = ct.load_bundled("countries")
    asked = {"origins": ["DEU"], "destinations": ["RUS"], "listed": "854231", "concept": "dispatched"}
    year, eleven = (ct.code_shift(network, since=a, until=b, **asked).iloc[0] for a, b in (("2022", "2022"), ("2022-01", "2022-11")))
    trades = network.trades
    rows = trades[trades["seller_id"].eq("DEU") & trades["buyer_id"].eq("RUS") & trades["hs_code"].eq("854231")
                  & trades["period_start"].between("2021-01-01", "2021-11-01")]
    assert year["listed_before_usd"] == eleven["listed_before_usd"] == pytest.approx(rows["value_usd"].sum())
    assert year["compared_before"] == "2021-01/2021-11"
