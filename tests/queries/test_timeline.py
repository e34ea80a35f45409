"""Time lines against values worked by hand: what counts in which period, and where nothing is known."""

import pytest

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.loaders.bundled import load_bundled
from chiptrail.queries.timeline import timeline

EXPORTS = [("HKG", "RUS", "854231", "2022-01", 5.0), ("HKG", "RUS", "854232", "2022-01", 2.0), ("HKG", "RUS", "854231", "2022-04", 4.0)]
MONTHS = ("HKG", "RUS", "8542", "2022-01/2022-06")


def values(table):
    return table[["period", "product", "value_usd"]].values.tolist()


def ask(network, **more):
    return timeline(network, **({"concept": "dispatched", "by": "month"} | more))


def test_without_coverage_no_row_is_no_zero(build):
    table = ask(build(EXPORTS))
    assert values(table) == [["2022-01", "8542", 7.0], ["2022-04", "8542", 4.0]]
    assert table["coverage"].tolist() == ["not covered"] * 2
    assert table["n_records"].tolist() == [2, 1]
    assert str(table["period_start"].iloc[1].date()) == "2022-04-01"


def test_covered_months_without_a_record_are_zero(build):
    network = build(EXPORTS, coverage=[MONTHS])
    assert values(ask(network)) == [
        ["2022-01", "8542", 7.0], ["2022-02", "8542", 0.0], ["2022-03", "8542", 0.0], ["2022-04", "8542", 4.0]]
    later = ask(network, since="2022-04", until="2022-12")
    assert values(later) == [["2022-04", "8542", 4.0], ["2022-05", "8542", 0.0], ["2022-06", "8542", 0.0]], "covered to June"
    assert set(later["coverage"]) == {"covered"}


@pytest.mark.parametrize("coverage", [
    ("HKG", "RUS", "8542", "2022-01/2022-06", {"complete": False}),
    ("HKG", "RUS", "854231", "2022-01/2022-06"),
    ("HKG", "KAZ", "8542", "2022-01/2022-06"),
    ("HKG", "RUS", "8542", "2022-01/2022-06", {"flow": "import", "partner_concept": "origin", "reporter": "RUS"}),
])
def test_what_is_not_covered_whole_is_never_zero(build, coverage):
    assert values(ask(build(EXPORTS, coverage=[coverage]))) == [["2022-01", "8542", 7.0], ["2022-04", "8542", 4.0]]


def test_a_year_is_never_spread_over_months(build):
    rows = [*EXPORTS, ("HKG", "RUS", "8542", "2022", 24.0), ("TUR", "RUS", "8542", "2022", 9.0)]
    network = build(rows, coverage=[MONTHS, ("TUR", "RUS", "8542", "2022")])
    table = ask(network)
    assert values(table) == [["2022-01", "8542", 7.0], ["2022-04", "8542", 4.0]], "in February and March it can lie in the year"
    assert table.attrs["left_aside"] == {"dates not within one month": 2}
    assert values(ask(network, by="year")) == [["2022", "8542", 24.0], ["2022", "8542", 9.0]]


def test_a_year_of_months_is_flagged_as_partly(build):
    table = ask(build(EXPORTS, coverage=[MONTHS]), by="year")
    assert values(table) == [["2022", "8542", 11.0]]
    assert table["coverage"].tolist() == ["partly"]
    assert any("do not compare them with whole periods" in note for note in table.attrs["notes"])


def test_quarters(build):
    rows = [*EXPORTS, ("HKG", "RUS", "854231", "2022-05..2022-06", 3.0), ("HKG", "RUS", "854231", "2022-06..2022-07", 50.0)]
    table = ask(build(rows, coverage=[MONTHS]), by="quarter")
    assert values(table) == [["2022-Q1", "8542", 7.0], ["2022-Q2", "8542", 7.0]]
    assert table["coverage"].tolist() == ["covered", "covered"]
    assert table.attrs["left_aside"] == {"dates not within one quarter": 1}


def test_undated_records_are_counted_as_left_aside(build):
    rows = [("a.HKG", "b.RUS", "8542", "..2022-05", 5.0), ("a.HKG", "b.RUS", "8542", "", 5.0), ("a.HKG", "b.RUS", "", "2022-05-03", 1.0)]
    table = ask(build(rows, level="firms"))
    assert values(table) == [["2022-05", "", 1.0]]
    assert table.attrs["left_aside"] == {"without dates": 2}


def test_one_flow_counts_once(build):
    told = {"flow": "import", "partner_concept": "consignment", "reported_by": "RUS"}
    network = build([*EXPORTS, ("HKG", "RUS", "854231", "2022-01", 6.0, told)])
    table = ask(network)
    assert table.loc[0, ["value_usd", "n_records", "n_left_aside"]].tolist() == [7.0, 2, 1]
    assert ask(network, prefer="importer").loc[0, "value_usd"] == 8.0, "854231 by the importer, 854232 by the exporter"


def test_unknown_value_is_missing(build):
    table = ask(build([*EXPORTS, ("HKG", "RUS", "854239", "2022-01", None)]))
    assert table["value_usd"].isna().tolist() == [True, False]
    assert table["n_without_value"].tolist() == [1, 0]


def test_sellers_and_buyers_asked_for(build):
    rows = [*EXPORTS, ("DEU", "KAZ", "8542", "2022-01", 3.0), ("FRA", "KAZ", "8542", "2022-01", 2.0),
            ("KAZ", "RUS", "8542", "2022-01", 1.0)]
    network = build(rows)
    assert ask(network, origins=["EU27"])["seller_id"].tolist() == ["DEU", "FRA"]
    assert ask(network, origins="EU27", destinations="RUS").empty
    assert set(ask(network, destinations=["RUS"])["seller_id"]) == {"HKG", "KAZ"}


def test_a_member_asked_for_is_not_hidden_by_its_bloc(build):
    network = build([("EU27", "KAZ", "8542", "2022", 9.0), ("DEU", "KAZ", "8542", "2022", 4.0)])
    assert values(ask(network, by="year")) == [["2022", "8542", 9.0]]
    assert values(ask(network, by="year", origins=["DEU"])) == [["2022", "8542", 4.0]]


def test_no_zero_before_a_heading_existed(build):
    """Drones have the heading 8806 since HS2022; in 2021 they stood elsewhere."""
    rows = [("CHN", "KAZ", "8806", "2022", 5.0, {"hs_version": "HS2022"}), ("CHN", "KAZ", "8542", "2022", 5.0, {"hs_version": "HS2022"}),
            ("CHN", "UZB", "8542", "2021", 5.0)]
    table = ask(build(rows, coverage=[("CHN", "*", "*", "2021/2022")]), by="year")
    found = {(r["period"], r["buyer_id"], r["product"]): r["value_usd"] for r in table.to_dict("records")}
    assert found == {("2022", "KAZ", "8806"): 5.0, ("2022", "KAZ", "8542"): 5.0, ("2021", "UZB", "8542"): 5.0,
                     ("2021", "KAZ", "8542"): 0.0, ("2022", "UZB", "8542"): 0.0}


def test_errors(build):
    network = build(EXPORTS)
    with pytest.raises(UnknownNameError, match="did you mean 'month'"):
        ask(network, by="months")
    with pytest.raises(NotComparableError, match="brand links"):
        ask(network, concept="brand")


def test_bundled_months_add_up_to_the_check_sums():
    """HS 8542, Jan-Nov, million EUR: Kazakhstan 6.190 in 2020; here in USD, so the rates of the months lie between."""
    table = timeline(load_bundled("countries"), by="month", origins=["EU27"], destinations=["KAZ"], concept="dispatched",
                     products="8542", since="2020-01", until="2020-11")
    assert 6.190e6 * 1.08 < table["value_usd"].sum() < 6.190e6 * 1.19
    assert table["period"].nunique() == 11
    assert set(table["coverage"]) == {"covered"}
