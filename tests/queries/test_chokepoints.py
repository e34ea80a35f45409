"""Closures on networks drawn by hand, and on the bundled data."""

import numpy as np
import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.bundled import load_bundled
from chiptrail.queries.chokepoints import chokepoints
from chiptrail.queries.hubs import transit_hubs
from chiptrail.queries.what_if import what_if

ORIGIN = {"flow": "import", "partner_concept": "origin"}
ENDS = {"origins": ["USA"], "destinations": ["RUS"]}
YEAR = {"since": "2022", "until": "2022"}
FULL = [(name, "*", "8542", "2022") for name in ("USA", "KAZ", "TUR", "CHN", "HKG")]
CUTS = ["cut_full_rerouting_usd", "cut_usd", "cut_no_rerouting_usd", "cut_bound_usd", "residual_usd"]


@pytest.fixture(scope="module")
def countries():
    return load_bundled("countries")


def year(*flows):
    return [(seller, buyer, "8542", "2022", value, *more) for seller, buyer, value, *more in flows]


def dispatched(network, **more):
    return chokepoints(network, **(ENDS | YEAR | {"concept": "dispatched"} | more))


def row(table, hub):
    return table.set_index("hub_id").loc[hub]


def test_legs_of_different_years_are_not_added(build):
    """Of Turkey the inflow is covered in 2021 and 2022, the outflow in 2022 alone, and what came in 2021 can have waited: 9 could pass
    in 2022. Georgia's inflow of 2022 is too late for its outflow, covered in 2021 alone. Of Kazakhstan each leg is covered in a year
    of its own: nothing is known of what could pass."""
    rows = [("USA", "TUR", "8542", "2021", 100.0, {"reported_by": "TUR", "flow": "import"}), ("TUR", "RUS", "8542", "2021", 4.0),
            ("USA", "TUR", "8542", "2022", 5.0, {"reported_by": "TUR", "flow": "import"}), ("TUR", "RUS", "8542", "2022", 9.0),
            ("USA", "KAZ", "8542", "2021", 7.0, {"reported_by": "KAZ", "flow": "import"}), ("KAZ", "RUS", "8542", "2022", 7.0),
            ("USA", "GEO", "8542", "2021", 3.0, {"reported_by": "GEO", "flow": "import"}), ("GEO", "RUS", "8542", "2021", 8.0),
            ("USA", "GEO", "8542", "2022", 50.0, {"reported_by": "GEO", "flow": "import"})]
    imports = {"flow": "import", "partner_concept": "consignment"}
    coverage = [("TUR", "*", "8542", "2021", imports), ("TUR", "*", "8542", "2022", imports), ("TUR", "*", "8542", "2022"),
                ("KAZ", "*", "8542", "2021", imports), ("KAZ", "*", "8542", "2022"), ("GEO", "*", "8542", "2021/2022", imports),
                ("GEO", "*", "8542", "2021")]
    table = what_if(build(rows, coverage=coverage), close=["TUR", "KAZ", "GEO"], **ENDS, concept="dispatched", since="2021", until="2022")
    turkey, kazakhstan, georgia = (row(table, hub) for hub in ("TUR", "KAZ", "GEO"))
    legs = ["inflow_usd", "outflow_usd", "throughput_max_usd", "status"]
    assert turkey[legs].tolist() == [105.0, 9.0, 9.0, "partly covered: outflow (only 2022)"]
    assert georgia[legs].tolist() == [3.0, 8.0, 3.0, "partly covered: outflow (only 2021)"]
    assert np.isnan(kazakhstan["throughput_max_usd"])
    assert kazakhstan["status"] == "legs covered in different years"
    assert any(note.startswith("2 records of hubs lie in years") for note in table.attrs["notes"])


def test_drawing(build):
    """USA -100-> CHN -80-> RUS,  CHN -15-> KAZ,  USA -30-> KAZ -40-> RUS,  USA -9-> TUR -50-> RUS

    With all open 80 + 40 + 9 can flow, and no closures cut more. Without China, Kazakhstan still has 30 from the USA.
    """
    network = build(year(("USA", "CHN", 100.0), ("CHN", "RUS", 80.0), ("CHN", "KAZ", 15.0), ("USA", "KAZ", 30.0), ("KAZ", "RUS", 40.0),
                         ("USA", "TUR", 9.0), ("TUR", "RUS", 50.0)), coverage=FULL)
    table = dispatched(network)
    assert table["hub_id"].tolist() == ["CHN", "KAZ", "TUR"]
    assert table["n_closed"].tolist() == [1, 2, 3]
    assert table[CUTS].to_numpy().tolist() == [
        [0.0, 90.0, 95.0, 90.0, 39.0], [0.0, 120.0, 129.0, 120.0, 9.0], [129.0, 129.0, 129.0, 129.0, 0.0]]
    assert row(table, "CHN")[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [100.0, 80.0, 95.0]
    assert row(table, "KAZ")[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [30.0, 40.0, 40.0]
    assert set(table["status"]) == {"both legs covered"}
    assert table["share_of_draws"].tolist() == [1.0, 1.0, 1.0]
    assert any("129 USD can flow" in note for note in table.attrs["notes"])


def test_ranges_are_in_order(build):
    rng = np.random.default_rng(3)
    names = ["KAZ", "TUR", "CHN", "HKG", "ARE", "KGZ"]
    coverage = [(name, "*", "8542", "2022") for name in ["USA", *names]]
    for _ in range(5):
        ends = rng.choice(["USA", *names], 25), rng.choice([*names, "RUS"], 25)
        flows = [(s, b, float(v)) for s, b, v in zip(*ends, rng.integers(1, 900, 25), strict=True) if s != b]
        table = dispatched(build(year(*flows, ("USA", "KAZ", 5.0), ("KAZ", "RUS", 5.0)), coverage=coverage))
        assert len(table) > 0
        full, some, none, bound, left = (table[column] for column in CUTS)
        assert (full >= 0).all()
        assert (full <= some).all()
        assert (some <= none).all()
        assert (some <= bound).all()
        assert some.is_monotonic_increasing
        assert (table["residual_low_usd"] <= left).all()
        assert (left <= table["residual_high_usd"]).all()


def test_goods_of_different_headings_do_not_mix(build):
    """USA -8541: 50-> KAZ -8542: 70-> RUS: chips of one heading do not become those of another."""
    rows = [("USA", "KAZ", "8541", "2022", 50.0), ("KAZ", "RUS", "8542", "2022", 70.0), ("USA", "KAZ", "854231", "2022", 4.0)]
    assert dispatched(build(rows))["cut_usd"].tolist() == [4.0]
    sums = [*rows, ("USA", "TUR", "8541+8542", "2022", 9.0), ("TUR", "RUS", "8542", "2022", 7.0)]
    assert row(dispatched(build(sums)), "TUR")["throughput_max_usd"] != 0
    assert dispatched(build(sums))["cut_usd"].tolist() == [54.0, 61.0]


def test_origin_is_only_the_first_leg(build):
    """Imports of Chinese origin in Kazakhstan are no leg from China, and what goods are in China says nothing of dispatches."""
    rows = year(("USA", "CHN", 100.0, ORIGIN | {"reported_by": "CHN"}), ("CHN", "KAZ", 60.0, ORIGIN | {"reported_by": "KAZ"}),
                ("KAZ", "RUS", 50.0))
    assert len(dispatched(build(rows), concept="origin")) == 0
    assert len(dispatched(build(rows), concept="dispatched")) == 0
    onward = build([*rows, *year(("CHN", "KAZ", 20.0))])
    assert dispatched(onward, concept="origin")["cut_usd"].tolist() == [20.0]


def test_imports_by_origin_limit_a_hub_that_reports_them(build):
    """Kazakhstan says that 8 of all its imports are of US origin: what China sends it on top holds no more."""
    rows = year(("USA", "CHN", 100.0, ORIGIN | {"reported_by": "CHN"}), ("USA", "KAZ", 8.0, ORIGIN | {"reported_by": "KAZ"}),
                ("CHN", "KAZ", 60.0), ("KAZ", "RUS", 50.0))
    assert dispatched(build(rows), concept="origin")["cut_usd"].tolist() == [50.0]
    for complete in (True, False):
        covered = build(rows, coverage=[("KAZ", "*", "8542", "2022", ORIGIN | {"complete": complete})])
        assert dispatched(covered, concept="origin")["cut_usd"].tolist() == [8.0], "its record limits, whatever else may be missing"


def test_imports_that_are_not_recorded_are_no_limit_of_zero(build):
    """Of Kazakhstan's imports by origin, rows may be missing and none is of the USA: what China sent on may be, 50 of it."""
    rows = year(("USA", "CHN", 500.0, ORIGIN | {"reported_by": "CHN"}), ("CHN", "KAZ", 60.0),
                ("DEU", "KAZ", 5.0, ORIGIN | {"reported_by": "KAZ"}), ("KAZ", "RUS", 50.0))
    asked = ENDS | YEAR | {"concept": "origin", "close": ["KAZ"]}
    found = {}
    for complete in (True, False):
        coverage = [("CHN", "*", "8542", "2022"), ("KAZ", "RUS", "8542", "2022"),
                    ("KAZ", "*", "8542", "2022", ORIGIN | {"complete": complete})]
        found[complete] = what_if(build(rows, coverage=coverage), **asked).loc[1]
    amounts = ["cut_usd", "cut_no_rerouting_usd", "throughput_max_usd"]
    assert found[False][amounts].tolist() == [50.0, 50.0, 50.0]
    assert pd.isna(found[False]["inflow_usd"])
    assert found[False]["status"].startswith("value of inflow unknown; partly covered: inflow (may miss rows)")
    assert found[True][amounts].tolist() == [0.0, 0.0, 0.0], "covered wholly: nothing of US origin came"


def test_imports_from_one_of_two_origins_are_no_limit(build):
    """Kazakhstan's imports are covered of US goods alone, 10; Dutch goods came to China, which sent it 100."""
    rows = year(("USA", "KAZ", 10.0, ORIGIN | {"reported_by": "KAZ"}), ("NLD", "CHN", 500.0, ORIGIN | {"reported_by": "CHN"}),
                ("CHN", "KAZ", 100.0), ("KAZ", "RUS", 90.0))
    coverage = [("KAZ", "USA", "8542", "2022", ORIGIN), ("KAZ", "RUS", "8542", "2022"), ("CHN", "*", "8542", "2022")]
    network, asked = build(rows, coverage=coverage), YEAR | {"destinations": ["RUS"], "concept": "origin", "close": ["KAZ"]}
    both = what_if(network, origins=["USA", "NLD"], **asked).loc[1]
    assert both[["cut_usd", "cut_no_rerouting_usd", "throughput_max_usd"]].tolist() == [90.0, 90.0, 90.0]
    assert both["status"].startswith("partly covered: inflow (1 of 2 pairs)")
    assert what_if(network, origins=["USA"], **asked).loc[1, "throughput_max_usd"] == 10.0


def test_limits_are_drawn_with_the_imports_that_they_come_from(build):
    """Kazakhstan's own imports of US goods, 100, are all that it can pass; the ensemble goes as far up and down with them as without."""
    rows = year(("USA", "KAZ", 100.0, ORIGIN | {"reported_by": "KAZ"}), ("KAZ", "RUS", 1000.0))
    ends = [(row["before_low_usd"], row["before_high_usd"])
            for coverage in ([("KAZ", "*", "8542", "2022", ORIGIN)], [])
            for row in [what_if(build(rows, coverage=coverage), **ENDS, **YEAR, concept="origin", close=["KAZ"]).loc[0]]]
    assert ends[0] == ends[1]
    assert ends[0][0] < 100 < ends[0][1]


def test_what_holds_of_a_leg_covered_in_part_is_said(build):
    """The inflow of Kazakhstan is covered in two months of the year; that of Hong Kong, which sent it 100, not at all."""
    months = [("USA", "KAZ", "8542", "2022-01", 1.0), ("USA", "KAZ", "8542", "2022-02", 1.0), ("KAZ", "RUS", "8542", "2022", 100.0)]
    told = dispatched(build(months, coverage=[("USA", "KAZ", "8542", "2022-01/2022-02"), ("KAZ", "RUS", "8542", "2022")])).loc[0]
    assert told[["throughput_max_usd", "status"]].tolist() == [2.0, "partly covered: inflow (only 2022-01/2022-02)"]
    rows = year(("USA", "KAZ", 1.0), ("HKG", "KAZ", 100.0), ("KAZ", "RUS", 80.0))
    coverage = [("USA", "KAZ", "8542", "2022"), ("KAZ", "*", "8542", "2022")]
    told = dispatched(build(rows, coverage=coverage)).loc[0]
    assert told[["throughput_max_usd", "status"]].tolist() == [1.0, "both legs covered; inflow of HKG before it not wholly covered"]
    seen = dispatched(build(rows, coverage=[*coverage, ("USA", "HKG", "8542", "2022")])).loc[0]
    assert seen[["throughput_max_usd", "status"]].tolist() == [1.0, "both legs covered"]


def test_the_choice_holds_over_the_ensemble(build):
    """The USA say 100 to Kazakhstan, and it says 10; both say 90 of Turkey. By the exporter's report alone Kazakhstan would be closed."""
    told = {"flow": "import", "partner_concept": "consignment"}
    rows = year(*(leg for hub, ours, theirs in (("KAZ", 100.0, 10.0), ("TUR", 90.0, 90.0)) for leg in (
        ("USA", hub, ours), ("USA", hub, theirs, told | {"reported_by": hub}), (hub, "RUS", 1000.0))))
    table = dispatched(build(rows, coverage=FULL), k=1)
    assert table[["hub_id", "cut_usd", "cut_bound_usd"]].to_numpy().tolist() == [["TUR", 90.0, 100.0]]
    assert table[["recorded_hub_id", "recorded_cut_usd"]].to_numpy().tolist() == [["KAZ", 100.0]]
    assert table["share_of_draws"].item() >= 0.5


def test_smallest_cuts_are_told(build):
    """USA -50-> CHN -20-> KAZ -60-> RUS,  USA -30-> KAZ,  CHN -10-> TUR -10-> RUS: 30 and 20 to Kazakhstan and 10 to Turkey are the least
    legs; Kazakhstan passed 50 and Turkey 10, less than China's 30 and Kazakhstan's 50."""
    network = build(year(("USA", "CHN", 50.0), ("CHN", "KAZ", 20.0), ("USA", "KAZ", 30.0), ("KAZ", "RUS", 60.0), ("CHN", "TUR", 10.0),
                         ("TUR", "RUS", 10.0)), coverage=FULL)
    notes = dispatched(network).attrs["notes"]
    assert "smallest cut of legs: 60 USD, all that can flow, over 3 (CHN to KAZ, CHN to TUR, origins to KAZ)" in notes
    assert any(note.startswith("smallest cut of hubs: 60 USD that 2 (KAZ, TUR) passed on") for note in notes)
    unknown = build(year(("USA", "KAZ", None), ("KAZ", "RUS", None)), coverage=FULL)
    assert not any(note.startswith("smallest cut") for note in dispatched(unknown).attrs["notes"])


def test_a_value_that_is_not_known_leaves_the_bound_open(build):
    """USA -?-> KAZ -?-> RUS has no limit, USA -?-> TUR -7-> RUS has one."""
    rows = year(("USA", "KAZ", None), ("KAZ", "RUS", None), ("USA", "TUR", None), ("TUR", "RUS", 7.0))
    table = dispatched(build(rows, coverage=FULL))
    assert table["hub_id"].tolist() == ["KAZ", "TUR"]
    kazakhstan = row(table, "KAZ")
    assert pd.isna(kazakhstan[["cut_usd", "cut_no_rerouting_usd", "cut_full_rerouting_usd", "throughput_max_usd"]]).all()
    assert kazakhstan["residual_usd"] == 7.0
    assert kazakhstan["status"] == "value of inflow and outflow unknown"
    assert kazakhstan["residual_low_usd"] == 0.0, "where the coin says that nothing came in"
    assert any("no limit is known" in note for note in table.attrs["notes"])
    limited = dispatched(build(rows[2:], coverage=FULL))
    assert limited[["cut_usd", "cut_no_rerouting_usd", "throughput_max_usd"]].to_numpy().tolist() == [[7.0, 7.0, 7.0]]
    assert limited["status"].tolist() == ["value of inflow unknown"]


def test_a_leg_that_is_not_covered_is_not_a_zero(build):
    """The inflow of China is not covered: what it sent may be the USA's, so full rerouting finds a way, and a note names it."""
    coverage = [("USA", "KAZ", "8542", "2022"), ("KAZ", "*", "8542", "2022"), ("CHN", "*", "8542", "2022")]
    network = build(year(("USA", "KAZ", 9.0), ("KAZ", "RUS", 9.0), ("CHN", "RUS", 70.0)), coverage=coverage)
    table = dispatched(network)
    assert table[["hub_id", "cut_usd", "cut_full_rerouting_usd"]].to_numpy().tolist() == [["KAZ", 9.0, 0.0]]
    assert any("1 hubs send" in note and "CHN" in note for note in table.attrs["notes"])
    bare = dispatched(build(year(("USA", "KAZ", 9.0), ("KAZ", "RUS", 9.0))))
    assert pd.isna(bare[["throughput_max_usd", "cut_no_rerouting_usd"]].iloc[0]).all()
    assert bare["status"].tolist() == ["inflow and outflow not covered"]


def test_what_goes_straight_is_left_out_and_keeps_the_way_open(build):
    network = build(year(("USA", "KAZ", 9.0), ("KAZ", "RUS", 9.0), ("USA", "RUS", 500.0)), coverage=FULL)
    table = dispatched(network)
    assert table[CUTS].to_numpy().tolist() == [[0.0, 9.0, 9.0, 9.0, 0.0]]
    assert any("500 USD went straight" in note for note in table.attrs["notes"])


def test_a_flow_told_twice_counts_once_and_the_ensemble_hears_both(build):
    told = {"flow": "import", "partner_concept": "consignment", "reported_by": "KAZ", "valuation": "CIF"}
    flows = year(("USA", "KAZ", 50.0), ("USA", "KAZ", 200.0, told), ("KAZ", "RUS", 900.0), ("USA", "TUR", 20.0), ("TUR", "RUS", 20.0))
    network = build(flows, coverage=FULL)
    table = dispatched(network)
    assert table["cut_usd"].tolist() == [50.0, 70.0]
    assert table.attrs["left_aside"] == {"told by the other side too": 1}
    assert dispatched(network, prefer="importer")["cut_usd"].tolist() == [200.0, 220.0]
    assert table["residual_low_usd"].iloc[0] < 20 < table["residual_high_usd"].iloc[0]
    one = dispatched(network, k=1)
    assert one["share_of_draws"].tolist() == [1.0]


def test_share_of_draws_tells_a_clear_choice_from_a_toss(build):
    even = build(year(("USA", "KAZ", 50.0), ("KAZ", "RUS", 90.0), ("USA", "TUR", 50.0), ("TUR", "RUS", 90.0)), coverage=FULL)
    assert 0.2 < dispatched(even, k=1)["share_of_draws"].item() < 0.8


def test_firms_with_a_stated_origin_begin_at_their_seller(build):
    """A customs record says that the goods sold by the trader are of US origin: they came to it by no recorded leg."""
    stated = {"origin_country": "USA"}
    rows = [("trader.HKG", "shop.TUR", "8542", "2022-01", 30.0, stated), ("shop.TUR", "buyer.RUS", "8542", "2022-02", 45.0, stated),
            ("other.HKG", "buyer.RUS", "8542", "2022-02", 99.0)]
    table = chokepoints(build(rows, level="firms"), origins=["USA"], destinations=["RUS"], concept="origin")
    assert table[["hub_id", "cut_usd"]].to_numpy().tolist() == [["shop.TUR", 45.0]]


def test_brand_links_begin_a_chain_without_a_limit(build):
    rows = [("trader.HKG", "buyer.RUS", "8542", "2022-01", 30.0), ("maker.USA", "trader.HKG", "8542", "2022-01", 5.0)]
    network = build(rows, level="firms", links=[("brand", "maker.USA", "trader.HKG")])
    table = chokepoints(network, origins=["USA"], destinations=["RUS"], concept="brand")
    assert table[["hub_id", "cut_usd"]].to_numpy().tolist() == [["trader.HKG", 30.0]]
    assert chokepoints(network, origins=["USA"], destinations=["RUS"])["cut_usd"].tolist() == [5.0]


def test_placeholders_pass_nothing(small_firms):
    table = chokepoints(small_firms, **ENDS)
    assert table["hub_id"].tolist() == ["trader.HKG", "shop.TUR"]
    assert table["cut_usd"].tolist() == [300.0, 340.0]


def test_number_of_closures_must_be_positive(small_countries):
    with pytest.raises(InputError, match="k is 0"):
        chokepoints(small_countries, k=0, **ENDS)


def test_bundled_hubs_agree_with_transit_hubs(countries):
    asked = {"origins": ["EU27"], "destinations": ["RUS"], "concept": "dispatched"} | YEAR
    table = chokepoints(countries, **asked)
    hubs = transit_hubs(countries, **asked).set_index("hub_id")
    assert table["hub_id"].tolist() == ["KAZ", "ARM", "KGZ"]
    assert (table["throughput_max_usd"] / 1e6).round(2).tolist() == [15.07, 4.6, 0.66]
    np.testing.assert_allclose(table["throughput_max_usd"], hubs.loc[table["hub_id"], "throughput_max_usd"], atol=0.02)
    np.testing.assert_allclose(table["cut_usd"], table["throughput_max_usd"].cumsum(), atol=0.05)
    assert (table["cut_bound_usd"] == table["cut_usd"]).all()
    assert any("Turkey" in note and "not known" in note for note in table.attrs["notes"])


def test_bundled_origin_agrees_with_transit_hubs(countries):
    asked = ENDS | YEAR | {"concept": "origin"}
    table = chokepoints(countries, **asked).set_index("hub_id")
    hubs = transit_hubs(countries, **asked).set_index("hub_id")
    for name in ("KAZ", "TUR", "HKG", "CHN"):
        assert table.loc[name, "throughput_max_usd"] == pytest.approx(hubs.loc[name, "throughput_max_usd"])
