"""Tables and panels against values worked by hand, and against a slow count of what may be said of every cell."""

import math
import random

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.queries.panel import panel, tabulate

ROWS = [("HKG", "RUS", "8542", "2021", 5.0), ("HKG", "RUS", "8542", "2023", 7.0), ("TUR", "RUS", "8471", "2022", 2.0),
        ("HKG", "KAZ", "8542", "2022", 1.0)]
YEARS = [("HKG", "*", "8542 8471", "2021/2022"), ("TUR", "RUS", "8471", "2022/2023")]


def cells(table):
    """Values of a wide table by hub, product and period; None where missing."""
    return {(r["hub_id"], r["product"], p): None if math.isnan(r[p]) else r[p]
            for r in table.to_dict("records") for p in table.columns if p[0].isdigit()}


def tab(network, **more):
    return tabulate(network, **({"concept": "dispatched"} | more))


def ask(network, **more):
    return panel(network, **({"concept": "dispatched"} | more))


def long(table):
    return {(r["exporter"], r["importer"], r["product"], r["period"]): None if math.isnan(r["value_usd"]) else r["value_usd"]
            for r in table.to_dict("records")}


def test_table_by_hand(build):
    table = tab(build(ROWS, coverage=YEARS), destinations=["RUS"])
    assert list(table.columns) == ["hub_id", "hub", "country", "concept", "product", "2021", "2022", "2023"]
    assert cells(table) == {
        ("HKG", "8542", "2021"): 5.0, ("HKG", "8542", "2022"): 0.0, ("HKG", "8542", "2023"): 7.0,
        ("TUR", "8471", "2021"): None, ("TUR", "8471", "2022"): 2.0, ("TUR", "8471", "2023"): 0.0}


def test_table_adds_up_corridors(build):
    table = tab(build(ROWS, coverage=YEARS))
    assert cells(table)["HKG", "8542", "2021"] == 5.0, "with Kazakhstan covered and zero"
    assert cells(table)["HKG", "8542", "2022"] == 1.0
    assert cells(table)["HKG", "8542", "2023"] == 7.0, "of Kazakhstan nothing is known: at least 7"
    assert any(note.endswith("so sums may be too small: 2023") for note in table.attrs["notes"])
    received = cells(tab(build(ROWS, coverage=YEARS), hub="buyer"))
    assert received["RUS", "8542", "2022"] == 0.0
    assert received["RUS", "8471", "2022"] == 2.0


def test_table_is_zero_only_where_every_corridor_is(build):
    rows = [("HKG", "RUS", "8542", "2021", 5.0), ("HKG", "KAZ", "8542", "2021", 1.0), ("TUR", "RUS", "8542", "2022", 2.0)]
    table = tab(build(rows, coverage=[("HKG", "RUS", "8542", "2021/2022")]))
    assert cells(table)["HKG", "8542", "2022"] is None, "of Kazakhstan in 2022 nothing is known"
    whole = tab(build(rows, coverage=[("HKG", "RUS KAZ", "8542", "2021/2022")]))
    assert cells(whole)["HKG", "8542", "2022"] == 0.0


def test_table_misses_values_that_nobody_gives(build):
    table = tab(build([*ROWS, ("HKG", "KAZ", "8542", "2021", None)], coverage=YEARS))
    assert cells(table)["HKG", "8542", "2021"] is None


def test_table_by_tier(build):
    new = {"hs_version": "HS2022"}
    rows = [("HKG", "RUS", "854231", "2022", 4.0, new), ("HKG", "RUS", "854232", "2022", 1.0, new),
            ("HKG", "RUS", "85423390", "2022", 2.0, new), ("HKG", "RUS", "854121", "2022", 8.0, new),
            ("HKG", "RUS", "010121", "2022", 3.0, new), ("TUR", "RUS", "8542", "2022", 6.0, new), ("HKG", "RUS", "854140", "2021", 9.0)]
    table = tab(build(rows, coverage=[("HKG", "*", "*", "2021/2022")]), goods="tier")
    found = cells(table)
    assert found["HKG", "1", "2022"] == 7.0
    assert found["HKG", "1", "2021"] == 0.0
    assert found["HKG", "3.A", "2022"] == 8.0, "854121 is of tier 3.A"
    assert found["HKG", "3.A", "2021"] is None, "854140 of HS2017 holds goods of the tier and others"
    assert found["HKG", "not on the list", "2022"] == 3.0
    assert found["HKG", "not on the list", "2021"] is None
    assert found["TUR", "wider than the list", "2022"] == 6.0
    assert found["HKG", "wider than the list", "2021"] == 9.0


def test_tier_takes_the_subheadings_and_not_their_heading(build):
    rows = [("HKG", "RUS", "8542", "2022", 10.0), ("HKG", "RUS", "854231", "2022", 6.0), ("HKG", "RUS", "854290", "2022", 4.0),
            ("HKG", "RUS", "8471", "2022", 5.0)]
    table = tab(build(rows), goods="tier")
    assert cells(table) == {("HKG", "1", "2022"): 6.0, ("HKG", "not on the list", "2022"): 4.0, ("HKG", "wider than the list", "2022"): 5.0}
    assert table.attrs["left_aside"] == {"told in finer codes too": 1}
    assert cells(tab(build(rows)))["HKG", "8542", "2022"] == 10.0


def test_firms_without_a_code_and_without_a_name(build):
    rows = [("a.HKG", "b.RUS", "", "2022-05", 4.0), ("Unnamed firms", "b.RUS", "8542", "2022-05", 3.0)]
    network = build(rows, level="firms")
    assert cells(tab(network, goods="tier")) == {("a.HKG", "code unknown", "2022"): 4.0}
    assert cells(tab(network, hub="buyer")) == {("b.RUS", "", "2022"): 4.0, ("b.RUS", "8542", "2022"): 3.0}


def test_panel_by_hand(build):
    table = ask(build(ROWS, coverage=YEARS))
    assert long(table) == {
        ("HKG", "KAZ", "8542", "2021"): 0.0, ("HKG", "KAZ", "8542", "2022"): 1.0, ("HKG", "KAZ", "8542", "2023"): None,
        ("HKG", "RUS", "8542", "2021"): 5.0, ("HKG", "RUS", "8542", "2022"): 0.0, ("HKG", "RUS", "8542", "2023"): 7.0,
        ("TUR", "RUS", "8471", "2021"): None, ("TUR", "RUS", "8471", "2022"): 2.0, ("TUR", "RUS", "8471", "2023"): 0.0}
    assert table["observed"].tolist() == [True, True, False, True, True, True, False, True, True]
    assert table["hs_version"].eq("HS2017").all()
    assert any(note == "2 of 9 rows are not observed and have no value" for note in table.attrs["notes"])


def test_panel_weighs_and_flags_estimates(build):
    rows = [("HKG", "RUS", "8542", "2022-01", 5.0, {"weight_kg": 2.0}), ("HKG", "RUS", "8541", "2022-01", 5.0),
            ("HKG", "RUS", "8542", "2022-03", 5.0, {"weight_kg": 3.0, "basis": "estimated"})]
    table = ask(build(rows, coverage=[("HKG", "*", "*", "2022")]), by="month", products="8542")
    assert table["weight_kg"].tolist() == [2.0, 0.0, 3.0]
    assert table["estimated"].tolist() == [False, False, True]
    both = ask(build(rows), digits=2)
    assert both[["product", "value_usd"]].values.tolist() == [["85", 15.0]]
    assert both["weight_kg"].isna().all(), "one of the records has no weight"


def test_panel_leaves_wider_codes_aside(build):
    rows = [("HKG", "RUS", "8542", "2022", 10.0), ("HKG", "RUS", "854231", "2022", 6.0), ("HKG", "RUS", "854232", "2023", 4.0)]
    network = build(rows, coverage=[("HKG", "RUS", "8542", "2022/2023")])
    table = ask(network, digits=6)
    assert long(table) == {
        ("HKG", "RUS", "854231", "2022"): 6.0, ("HKG", "RUS", "854231", "2023"): 0.0, ("HKG", "RUS", "854232", "2022"): None,
        ("HKG", "RUS", "854232", "2023"): 4.0}, "the heading of 2022 may hold 854232"
    assert table.attrs["left_aside"] == {"code of fewer than 6 digits": 1}
    assert long(ask(network)) == {("HKG", "RUS", "8542", "2022"): 10.0, ("HKG", "RUS", "8542", "2023"): 4.0}


def test_panel_across_hs_versions(build):
    new = {"hs_version": "HS2022"}
    rows = [("HKG", "RUS", "854140", "2021", 5.0), ("HKG", "RUS", "854149", "2022", 6.0, new), ("HKG", "RUS", "854143", "2022", 2.0, new)]
    table = ask(build(rows), digits=6)
    assert long(table) == {("HKG", "RUS", "854140", "2021"): 5.0, ("HKG", "RUS", "854140", "2022"): 8.0}
    assert set(table["hs_version"]) == {"HS2017 HS2022"}
    with pytest.raises(NotComparableError, match=r"854151.*use digits=4"):
        ask(build([*rows, ("HKG", "RUS", "854151", "2022", 6.0, new)]), digits=6)
    with pytest.raises(NotComparableError, match=r"HS version of some rows is unknown.*use digits=4"):
        ask(build([("HKG", "RUS", "854140", "2021", 5.0, {"hs_version": ""})]), digits=6)
    assert len(ask(build([*rows, ("HKG", "RUS", "854151", "2022", 6.0, new)]))) == 2


def test_no_zero_before_a_code_existed(build):
    new = {"hs_version": "HS2022"}
    rows = [("HKG", "RUS", "854151", "2022", 5.0, new), ("HKG", "RUS", "854231", "2022", 5.0, new)]
    table = ask(build(rows, coverage=[("HKG", "*", "*", "2020/2022")]), digits=6, since="2021", until="2022")
    assert set(table.loc[table["period"].eq("2021"), "observed"]) == {False}


def test_numbers_of_digits(build):
    with pytest.raises(UnknownNameError, match="2, 4, 6"):
        ask(build(ROWS), digits=5)
    with pytest.raises(UnknownNameError, match="did you mean 'tier'"):
        tab(build(ROWS), goods="tiers")


@pytest.mark.parametrize("seed", range(25))
def test_cells_equal_a_slow_count(build, seed):
    """Months, years and ranges of two headings and a set, some covered: every cell by looking at every record and coverage row."""
    rng = random.Random(seed)
    periods = ["2022-01", "2022-02", "2022-03", "2022", "2021-12..2022-01", "2022-02..2022-03"]
    codes = ["8541", "8542", "854231"]
    rows, told = [], set()
    for _ in range(rng.randint(3, 9)):
        row = (rng.choice(["HKG", "TUR"]), "RUS", rng.choice(codes), rng.choice(periods))
        if row not in told:
            told.add(row)
            rows.append((*row, float(2 ** len(rows))))
    coverage = [(reporter, "RUS", rng.choice(["8541", "8542", "8541 8542", "854231", "*"]),
                 rng.choice(["2022-01/2022-02", "2022-02/2022-03", "2022-03", "2022"]), {"complete": rng.random() < 0.8})
                for reporter in ("HKG", "TUR") if rng.random() < 0.8]
    network = build(rows, coverage=coverage)
    table = ask(network, by="month", since="2022-01", until="2022-03")
    trades = network.trades
    corridors = set()
    for r in table.to_dict("records"):
        corridors.add((r["exporter"], r["product"]))
        start, end = pd.Period(r["period"]).start_time, pd.Period(r["period"]).end_time.normalize()
        pair = trades[trades["seller_id"].eq(r["exporter"])]
        inside = pair[pair["period_start"].ge(start) & pair["period_end"].le(end)]
        headings = inside[inside["hs_code"].eq(r["product"])]
        deeper = inside[inside["hs_code"].str.startswith(r["product"]) & inside["hs_code"].ne(r["product"])]
        expected = headings["value_usd"].sum() if len(headings) else deeper["value_usd"].sum() if len(deeper) else None
        if expected is None:
            touching = pair[pair["period_start"].le(end) & pair["period_end"].ge(start) & pair["hs_code"].str.startswith(r["product"])]
            sure = [
                reporter for reporter, _, products, period, more in coverage
                if reporter == r["exporter"] and more["complete"] and {"*", r["product"]} & set(products.split())
                and pd.Period(period.split("/")[0]).start_time <= start
                and end <= pd.Period(period.split("/")[-1]).end_time
            ]
            expected = 0.0 if sure and touching.empty else None
        assert (None if math.isnan(r["value_usd"]) else r["value_usd"]) == expected, r
        assert r["observed"] == (expected is not None)
    in_months = trades[trades["period_start"].dt.to_period("M").eq(trades["period_end"].dt.to_period("M"))]
    assert corridors == set(zip(in_months["seller_id"], in_months["hs_code"].str[:4], strict=True))
