"""Where the goods of each origin end, on networks worked by hand and against the attribution by hub."""

import numpy as np
import pytest

import chiptrail as ct

YEAR = {"concept": "dispatched", "since": "2022", "until": "2022"}
COVERED = [(name, "*", "8542", "2022") for name in ("USA", "CHN", "TUR", "KAZ")]


@pytest.fixture
def mixed(build):
    """USA -60-> TUR, CHN -40-> TUR, TUR -50-> RUS: half of what Turkey holds goes on."""
    rows = [("USA", "TUR", "8542", "2022", 60.0), ("CHN", "TUR", "8542", "2022", 40.0), ("TUR", "RUS", "8542", "2022", 50.0)]
    return build(rows, coverage=COVERED)


def test_like_parts_go_on_and_balances_bound_them(mixed):
    table = ct.origin_table(mixed, origins=["USA", "CHN"], destinations=["RUS"], **YEAR).set_index("origin_id")
    assert table["usd_attributed"].to_dict() == pytest.approx({"USA": 30.0, "CHN": 20.0})
    assert table["usd_least"].to_dict() == pytest.approx({"USA": 10.0, "CHN": 0.0})  # of 50 at most 40 can be China's
    assert table["usd_most"].to_dict() == pytest.approx({"USA": 50.0, "CHN": 40.0})
    assert (table["usd_low"] <= table["usd_attributed"]).all()
    assert (table["usd_attributed"] <= table["usd_high"]).all()


def test_what_goes_straight_counts_too(build):
    rows = [("USA", "RUS", "8542", "2022", 7.0), ("USA", "TUR", "8542", "2022", 60.0), ("TUR", "RUS", "8542", "2022", 30.0)]
    row = ct.origin_table(build(rows, coverage=COVERED), origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    assert row["direct_usd"] == 7.0
    assert row["usd_attributed"] == pytest.approx(37.0)


def test_one_hub_gives_what_attribution_gives(mixed):
    pair = ct.origin_table(mixed, origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    hub = ct.attribution(mixed, origins=["USA"], destinations=["RUS"], **YEAR, hubs=["TUR"]).iloc[0]
    assert pair[["usd_attributed", "usd_least", "usd_most"]].tolist() == pytest.approx(
        hub[["usd_attributed", "usd_least", "usd_most"]].tolist())


def test_inflow_that_is_not_covered_gives_no_point(build):
    network = build([("USA", "TUR", "8542", "2022", 60.0), ("TUR", "RUS", "8542", "2022", 80.0)],
                    coverage=[("TUR", "*", "8542", "2022")])
    row = ct.origin_table(network, origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    assert np.isnan(row["usd_attributed"])
    assert row["usd_most"] == 60.0


def test_all_hubs_count_however_many(build):
    rows = [row for i in range(250) for row in (
        ("maker.USA", f"t{i}.TUR", "8542", "2022-01", 2.0), (f"t{i}.TUR", "buyer.RUS", "8542", "2022-03", 1.0))]
    row = ct.origin_table(build(rows, level="firms"), origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    assert (row["usd_attributed"], row["n_hubs"]) == (250, 250)


def test_direct_trade_in_goods_that_no_hub_sends_is_within_the_bounds(build):
    rows = [("USA", "RUS", "8471", "2022", 100.0), ("USA", "TUR", "8542", "2022", 60.0), ("TUR", "RUS", "8542", "2022", 50.0)]
    row = ct.origin_table(build(rows), origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    assert row["usd_least"] <= 100 <= row["usd_most"] == 150


def test_direct_trade_that_is_not_covered_is_not_zero(build):
    rows = [("USA", "RUS", "8542", "2022", None), ("USA", "TUR", "8542", "2022", 60.0)]
    row = ct.origin_table(build(rows, coverage=COVERED), origins=["USA"], destinations=["RUS"], **YEAR).iloc[0]
    assert np.isnan(row["direct_usd"])
    assert row["status"].startswith("at least")


def test_a_hub_with_unknown_imports_may_have_sent_on_nothing_else(build):
    network = build([("TUR", "RUS", "8542", "2022", 50.0)], coverage=[("TUR", "*", "8542", "2022")])
    row = ct.origin_table(network, origins=["USA"], destinations=["RUS"], **(YEAR | {"concept": "origin"})).iloc[0]
    assert (row["usd_least"], row["usd_most"]) == (0, 50)
