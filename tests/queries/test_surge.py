import numpy as np
import pandas as pd
import pytest

import chiptrail as ct
from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.loaders.simulated import simulate
from chiptrail.queries.passthrough import pass_through

IMPORT = {"flow": "import", "partner_concept": "origin"}
MONTHS = pd.period_range("2021-01", "2022-12", freq="M")


@pytest.fixture(scope="module")
def bundled():
    return ct.load_bundled("countries")


def months(seller, buyer, values, more=None, code="854231"):
    return [(seller, buyer, code, str(m), float(v), more or {}) for m, v in zip(MONTHS, values, strict=True) if v]


def of(table, hub="XAA"):
    return table.set_index("hub_id").loc[hub]


@pytest.mark.parametrize(("buyer", "million"), [("KAZ", (6.190, 5.433, 14.681)), ("ARM", (0.139, 0.350, 4.482)),
                                                ("KGZ", (0.044, 0.060, 1.682))])
def test_exports_of_the_union_in_euros_as_published(bundled, buyer, million):
    """Sums of eleven months in euros, worked by hand; December has no counterpart in 2022."""
    for year, before, now in ((2021, *million[:2]), (2022, *million[1:])):
        table = ct.surge(bundled, destinations=[buyer], hubs=["EU27"], products="8542", since=f"{year}-01", until=f"{year}-11",
                         concept="dispatched")
        assert set(table["currency"]) <= {"EUR", ""}
        assert (table["exports_original"].sum() / 1e6).round(3) == now
        assert (table["exports_before_original"].sum() / 1e6).round(3) == before


def test_year_of_which_eleven_months_are_covered_is_compared_over_these(bundled):
    asked = {"destinations": ["KAZ"], "hubs": ["DEU"], "products": "8542", "concept": "dispatched"}
    year = of(ct.surge(bundled, since="2022", until="2022", **asked), "DEU")
    eleven = of(ct.surge(bundled, since="2022-01", until="2022-11", **asked), "DEU")
    assert (year["compared"], year["compared_before"]) == ("2022-01/2022-11", "2021-01/2021-11")
    assert year["exports_growth"] == eleven["exports_growth"]
    assert year["exports_growth_original"] == pytest.approx(eleven["exports_original"] / eleven["exports_before_original"])
    assert year["exports_growth_original"] > year["exports_growth"], "the euro fell in 2022"


def test_growth_of_kazakhstan_as_its_exports_say(bundled):
    row = of(ct.surge(bundled, destinations=["RUS"], products="8542", since="2022", until="2022"), "KAZ")
    assert (row["exports_growth"], row["exports_change_usd"]) == (
        pytest.approx(18_258_557.85 / 245_946, rel=1e-3), pytest.approx(18_258_557.85 - 245_946, rel=1e-3))
    assert np.isnan(row["surge_ratio"])
    assert row["surge_note"] == "exports to all destinations are not covered"


def test_near_zero_base_gives_the_difference_and_no_ratio(bundled):
    row = of(ct.surge(bundled, destinations=["RUS"], products="8542", since="2022", until="2022"), "ARM")
    assert row["status"] == "near-zero base"
    assert np.isnan(row["exports_growth"])
    assert row["exports_change_usd"] == pytest.approx(13_105_310 - 1_715.5, rel=1e-6)


@pytest.fixture(scope="module")
def hub(build):
    """XAA sells 100,000 to XBB and 20,000 to RUS a year, then 90,000 to RUS; all its exports are covered, its imports too.

        USA --60,000 / 140,000--> XAA --20,000 / 90,000--> RUS
                                   '--100,000 / 100,000--> XBB
    """
    kg = {"weight_kg": 10.0}
    rows = [("XAA", "RUS", "8542", "2021", 20_000.0, kg), ("XAA", "RUS", "8542", "2022", 90_000.0, kg),
            ("XAA", "XBB", "8542", "2021", 100_000.0, kg), ("XAA", "XBB", "8542", "2022", 100_000.0, kg),
            ("XCC", "RUS", "8542", "2022", 50_000.0),
            ("USA", "XAA", "8542", "2021", 60_000.0, IMPORT | {"reported_by": "XAA"}),
            ("USA", "XAA", "8542", "2022", 140_000.0, IMPORT | {"reported_by": "XAA"})]
    return build(rows, coverage=[("XAA", "*", "8542", "2021/2022"), ("XAA", "*", "8542", "2021/2022", IMPORT),
                                 ("XCC", "RUS", "8542", "2021/2022")])


def test_surge_ratio_by_hand(hub):
    table = ct.surge(hub, destinations=["RUS"], origins=["USA"], since="2022", until="2022")
    row = of(table)
    assert row["exports_growth"] == 4.5
    assert row["surge_ratio"] == 90 / 120
    assert row["surge_added"] == 70 / 120
    assert row["surge_ratio_kg"] == 0.5
    assert (row["exports_usd_per_kg"], row["exports_before_usd_per_kg"]) == (9_000, 2_000)
    assert (row["inflow_usd"], row["inflow_before_usd"], row["inflow_change_usd"]) == (140_000, 60_000, 80_000)
    assert row["pass_through_note"].startswith("refused: 0 months")
    other = of(table, "XCC")
    assert (other["exports_before_usd"], other["status"], other["surge_note"]) == (
        0, "near-zero base", "exports to all destinations are not covered")
    assert np.isnan(other["inflow_usd"])


def test_where_the_earlier_period_is_not_covered_there_is_no_growth(build):
    network = build([("XAA", "RUS", "8542", "2021", 20_000.0), ("XAA", "RUS", "8542", "2022", 90_000.0)],
                    coverage=[("XAA", "RUS", "8542", "2022")])
    row = of(ct.surge(network, destinations=["RUS"], since="2022", until="2022"))
    assert row["status"] == "not compared: earlier period not covered"
    assert (row["exports_usd"], row["exports_before_usd"]) == (90_000, 20_000)
    assert np.isnan(row["exports_growth"])


def test_no_row_is_no_zero_where_rows_may_be_missing(build):
    network = build([("XAA", "RUS", "8542", "2022", 90_000.0)], coverage=[("XAA", "RUS", "8542", "2021/2022", {"complete": False})])
    row = of(ct.surge(network, destinations=["RUS"], since="2022", until="2022"))
    assert np.isnan(row["exports_before_usd"])
    assert row["status"] == "not compared: a value is not known"


def test_year_of_a_partial_record_does_not_become_zero_for_its_months(build):
    network = build([("XAA", "RUS", "8542", "2021", 20_000.0), ("XAA", "RUS", "8542", "2022-03", 90_000.0)],
                    coverage=[("XAA", "RUS", "8542", "2021/2022", {"resolution": "month"})])
    row = of(ct.surge(network, destinations=["RUS"], since="2022-01", until="2022-06"))
    assert np.isnan(row["exports_before_usd"])


def test_codes_that_do_not_compare_between_versions_are_left_aside_on_both_sides(build):
    new = {"hs_version": "HS2022"}
    network = build(
        [("XAA", "RUS", "854150", "2021", 70_000.0), ("XAA", "RUS", "854151", "2022", 30_000.0, new),
         ("XAA", "RUS", "854231", "2021", 20_000.0), ("XAA", "RUS", "854231", "2022", 40_000.0, new)],
        coverage=[("XAA", "RUS", "854150 854151 854231", "2021/2022")])
    table = ct.surge(network, destinations=["RUS"], since="2022", until="2022")
    assert of(table)["exports_growth"] == 2
    assert table.attrs["left_aside"] == {"code that does not compare between HS versions": 2}
    assert any("854150, 854151" in note for note in table.attrs["notes"])


def test_goods_covered_in_one_period_only_do_not_count_as_growth(build):
    network = build(
        [("XAA", "RUS", "8542", "2021", 20_000.0), ("XAA", "RUS", "8542", "2022", 20_000.0), ("XAA", "RUS", "8471", "2022", 99_000.0)],
        coverage=[("XAA", "RUS", "8542", "2021/2022"), ("XAA", "RUS", "8471", "2022")])
    assert of(ct.surge(network, destinations=["RUS"], since="2022", until="2022"))["exports_growth"] == 1


def test_inflow_of_all_sellers_counts_each_flow_once(small_countries):
    """77 of the USA, told by both sides, 620 of China, 11 + 33 of Germany."""
    row = of(ct.surge(small_countries, destinations=["RUS"], since="2022", until="2022", concept="dispatched"), "KAZ")
    assert row["inflow_usd"] == 77 + 620 + 11 + 33


def test_other_months_and_overlapping_periods_are_refused(bundled):
    for against in ("2021", "2022-01/2022-11"):
        with pytest.raises(NotComparableError):
            ct.surge(bundled, destinations=["RUS"], since="2022-01", until="2022-11", against=against)


def planted(build, outflow_of, *, noise=0.0, seed=3, until="2022-12"):
    rng = np.random.default_rng(seed)
    inflow = 100_000 + 40_000 * rng.random(len(MONTHS))
    inflow[14:] += 80_000
    outflow = np.maximum(outflow_of(inflow) + noise * rng.normal(size=len(MONTHS)), 1.0)
    rows = months("USA", "XAA", inflow, IMPORT | {"reported_by": "XAA", "weight_kg": 5.0}) + months("XAA", "RUS", outflow)
    month = {"resolution": "month"}
    network = build(rows, coverage=[("XAA", "*", "854231", f"2021-01/{until}", month), ("XAA", "*", "854231", "2021/2022", IMPORT | month)])
    return of(ct.surge(network, destinations=["RUS"], origins=["USA"], since="2022-01", until=until))


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_planted_pass_through_and_lag_are_found(build, lag):
    row = planted(build, lambda x: 5_000 + 0.6 * np.r_[np.full(lag, 100_000), x[:len(x) - lag]])
    assert (row["pass_through"], row["lag_months"]) == (pytest.approx(0.6), lag)
    assert (row["pass_through_low"], row["pass_through_high"]) == (pytest.approx(0.6, abs=1e-6), pytest.approx(0.6, abs=1e-6))
    assert row["n_months"] == 17
    assert np.isnan(row["pass_through_kg"]), "what went out has no weight"


def test_outflow_that_has_nothing_to_do_with_inflow_shows_no_lag(build):
    row = planted(build, lambda x: np.full(len(x), 50_000), noise=10_000)
    assert row["pass_through_note"].startswith("no lag stands out")
    assert row["pass_through_low"] < 0 < row["pass_through_high"]


def test_too_few_months_are_refused(build):
    row = planted(build, lambda x: x, until="2022-05")
    assert row["pass_through_note"].startswith("refused: 10 months")
    assert np.isnan(row["pass_through"])


@pytest.mark.parametrize(("complete", "n_months"), [(True, 17), (False, 9)])
def test_month_without_a_record_is_zero_only_where_covered_completely(build, complete, n_months):
    """Without January 2022 the changes of that month and the next are not known, nor what they may cause in six months."""
    inflow = 100_000 + 40_000 * np.random.default_rng(5).random(len(MONTHS))
    inflow[12] = 0
    rows = months("USA", "XAA", inflow, IMPORT | {"reported_by": "XAA"}) + months("XAA", "RUS", np.arange(1, 25) ** 2)
    network = build(rows, coverage=[("XAA", "*", "854231", "2021/2022", {"resolution": "month"}),
                                    ("XAA", "*", "854231", "2021/2022", IMPORT | {"resolution": "month", "complete": complete})])
    row = of(ct.surge(network, destinations=["RUS"], origins=["USA"], since="2022", until="2022"))
    assert row["n_months"] == n_months


def test_surge_ratio_needs_all_exports_before(build):
    network = build([("XAA", "RUS", "8542", "2021", 20_000.0), ("XAA", "RUS", "8542", "2022", 90_000.0)],
                    coverage=[("XAA", "*", "8542", "2021/2022", {"complete": False})])
    row = of(ct.surge(network, destinations=["RUS"], since="2022", until="2022"))
    assert row["exports_growth"] == 4.5
    assert np.isnan(row["surge_ratio"])
    assert row["surge_note"] == "exports to all destinations are covered in part only"


MONTH = {"resolution": "month"}
HALF_TOLD = [("XAA", "RUS", "854231", "2021-01", 20_000.0), ("XAA", "RUS", "854231", "2022-01", 100_000.0)]
SINGLE = {"destinations": ["RUS"], "products": "854231", "since": "2022", "until": "2022", "concept": "dispatched"}


@pytest.mark.parametrize(("code", "period"), [
    ("8542", "2021-06"), ("8542", "2020-12..2021-02"), ("854231", "2020-12..2021-02"), ("8542", ""),
])
def test_period_told_in_part_in_wider_codes_or_dates_has_no_growth(build, code, period):
    """Before are 20,000 and up to 80,000 more: growth is between 1 and 5."""
    network = build([*HALF_TOLD, ("XAA", "RUS", code, period, 80_000.0)], coverage=[("XAA", "*", "8542", "2020/2022", MONTH)])
    row = of(ct.surge(network, **SINGLE))
    assert row["status"] == "not compared: part is told in wider codes or dates"
    assert row[["exports_before_usd", "exports_growth", "exports_change_usd", "surge_ratio", "surge_added"]].isna().all()
    assert row["exports_usd"] == 100_000 or not period


@pytest.mark.parametrize("again", [
    [("8542", "2021-01", 50_000.0)], [("8542", "2021-06", 70_000.0), ("854239", "2021-06", 70_000.0)], [("8542", "2021", 20_000.0)],
    [("854231", "2020-12..2021-01", 29_000.0), ("854231", "2020-12", 9_000.0)],
])
def test_goods_told_a_second_time_in_wider_codes_or_dates_hide_no_growth(build, again):
    rows = [*HALF_TOLD, *(("XAA", "RUS", *told) for told in again)]
    network = build(rows, coverage=[("XAA", "*", "8542", "2020/2022", MONTH)])
    row = of(ct.surge(network, **SINGLE))
    assert (row["exports_before_usd"], row["exports_growth"], row["status"]) == (20_000, 5, "compared")


def test_wider_record_in_months_that_are_not_compared_hides_no_growth(build):
    network = build([*HALF_TOLD, ("XAA", "RUS", "8542", "2021-12", 80_000.0)],
                    coverage=[("XAA", "*", "8542", "2021-01/2022-11", MONTH)])
    assert of(ct.surge(network, **SINGLE))["exports_growth"] == 5


def test_wider_record_to_another_destination_leaves_no_surge_ratio(build):
    network = build([("XAA", "RUS", "854231", "2021", 20_000.0), ("XAA", "RUS", "854231", "2022", 60_000.0),
                     ("XAA", "DEU", "8542", "2021", 1_000_000.0)], coverage=[("XAA", "*", "8542", "2021/2022")])
    row = of(ct.surge(network, **SINGLE))
    assert (row["exports_growth"], row["surge_note"]) == (3, "exports to all destinations: part is told in wider codes or dates")
    assert row[["all_exports_before_usd", "surge_ratio", "surge_added"]].isna().all()


@pytest.mark.parametrize("old", [[("854150", "HS2017")], [("854110", "HS2017")], []])
def test_code_that_did_not_stand_before_was_not_zero_before(build, old):
    rows = [("XAA", "RUS", code, "2021", 70_000.0, {"hs_version": version}) for code, version in old]
    network = build([*rows, ("XAA", "RUS", "854151", "2022", 70_000.0, {"hs_version": "HS2022"})],
                    coverage=[("XAA", "*", "8541", "2021/2022")])
    row = of(ct.surge(network, **(SINGLE | {"products": "854151"})))
    assert row["status"] == "not compared: no code that is told compares between HS versions"
    assert row[["exports_before_usd", "exports_change_usd", "surge_ratio"]].isna().all()


@pytest.mark.parametrize(("code", "old", "year"), [("854231", "HS2017", 2022), ("8541", "HS2017", 2022), ("854151", "HS2022", 2023)])
def test_code_that_stood_before_was_zero_before(build, code, old, year):
    network = build([("XAA", "KAZ", "854110", str(year - 1), 1.0, {"hs_version": old}),
                     ("XAA", "RUS", code, str(year), 70_000.0, {"hs_version": "HS2022"})],
                    coverage=[("XAA", "*", "8541 8542", "2021/2023")])
    row = of(ct.surge(network, **(SINGLE | {"products": code, "since": str(year), "until": str(year)})))
    assert (row["exports_before_usd"], row["exports_change_usd"]) == (0, 70_000)


def test_months_told_in_wider_codes_are_no_zeros_of_the_pass_through(build):
    """What goes out is 0.6 of what comes in; of what came in, two months are told as a heading."""
    inflow = 100_000 + 40_000 * np.random.default_rng(5).random(len(MONTHS))
    rows = months("USA", "XAA", inflow, IMPORT | {"reported_by": "XAA"}) + months("XAA", "RUS", 0.6 * inflow)
    rows = [(*row[:2], "8542" if row[0] == "USA" and row[3] in ("2021-01", "2022-12") else row[2], *row[3:]) for row in rows]
    network = build(rows, coverage=[("XAA", "*", "8542", "2021/2022", MONTH), ("XAA", "*", "8542", "2021/2022", IMPORT | MONTH)])
    row = of(ct.surge(network, destinations=["RUS"], origins=["USA"], products="854231", since="2022", until="2022"))
    assert row["pass_through"] == pytest.approx(0.6)
    assert row["pass_through_low"] <= 0.6 + 1e-9
    assert row["pass_through_high"] >= 0.6 - 1e-9
    assert row[["inflow_usd", "inflow_before_usd"]].isna().all()
    assert row["inflow_coverage"].endswith("part is told in wider codes or dates")


def test_changes_that_go_against_each_other_give_a_negative_slope():
    inflow = 5 + np.random.default_rng(2).random(40)
    assert pass_through(inflow, 20 - 2 * inflow, lag=0)[:3] == pytest.approx((-2, -2, -2))


def test_interval_of_the_slope_holds_the_truth_about_nine_times_in_ten():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        inflow = 100 + 20 * rng.normal(size=40)
        outflow = 0.5 * np.r_[100, 100, inflow[:-2]] + 5 * rng.normal(size=40)
        found = pass_through(inflow, outflow)
        assert found.lag == 2
        held += found.low <= 0.5 <= found.high
    assert 165 <= held <= 196


def test_months_that_are_not_known_are_left_out():
    inflow = np.random.default_rng(1).random(40)
    outflow = 0.5 * inflow
    outflow[20] = np.nan
    found = pass_through(inflow, outflow)
    assert (found.slope, found.lag, found.n_months) == (pytest.approx(0.5), 0, 40 - 7 - 2)
    assert pass_through(np.ones(40), outflow).note == "refused: a flow does not vary"


@pytest.mark.soak
def test_planted_hubs_surge_above_decoys(campaign, found):
    """Of all pairs of a planted hub and a decoy nearly all are in order, and what was added finds most of the planted hubs."""
    right = total = among_first = worlds = 0
    for seed in campaign(20):
        world = simulate(seed)
        table = ct.surge(world.countries, destinations=["RUS"], origins=["USA"], since="2022-04", until="2022-12",
                         products=["854231", "854239"]).set_index("hub_id")
        ratio = table["surge_ratio"].fillna(0.0)
        hubs, decoys = ratio.reindex(world.hubs, fill_value=0.0), ratio.reindex(world.decoys, fill_value=0.0)
        assert hubs.median() > decoys.max()
        right += (hubs.to_numpy()[:, None] > decoys.to_numpy()).sum()
        total += hubs.size * decoys.size
        among_first += len(set(table["surge_added"].nlargest(5).index) & set(world.hubs))
        worlds += 1
    found(f"{worlds} worlds: a planted hub has the higher surge_ratio in {right:,} of {total:,} pairs with a decoy; {among_first} of the "
          f"{5 * worlds} hubs with the largest surge_added are planted")
    assert right / total > 0.95
    assert among_first / (5 * worlds) > 0.75
