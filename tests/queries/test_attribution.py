"""Attribution on hand-worked networks and on the bundled countries, against figures worked by hand from the sources."""

import numpy as np
import pytest

import chiptrail as ct
from chiptrail.graphmodel.errors import InputError, NotComparableError
from chiptrail.loaders.simulated import simulate
from chiptrail.queries.assumptions import Held, interval, spread, tilted

BY_ORIGIN = {"flow": "import", "partner_concept": "origin"}
ORIGIN = BY_ORIGIN | {"valuation": "CIF"}
ENDS = {"origins": ["USA"], "destinations": ["RUS"]}


@pytest.fixture(scope="module")
def bundled():
    return ct.load_bundled("countries")


@pytest.fixture(scope="module")
def by_year(bundled):
    return {year: ct.attribution(bundled, **ENDS, since=year, until=year).set_index("hub_id") for year in ("2021", "2022")}


@pytest.mark.parametrize(("hub", "year", "ours", "total"), [
    ("KAZ", "2021", 2.87, 56.1), ("KAZ", "2022", 4.27, 87.9), ("TUR", "2021", 28.6, 1391), ("TUR", "2022", 41.2, 2354),
    ("HKG", "2021", 2567, 234349), ("HKG", "2022", 1940, 234984), ("CHN", "2021", 16403, 272911), ("CHN", "2022", 12642, 267694)])
def test_composition_of_hubs_is_that_of_their_imports(by_year, hub, year, ours, total):
    row = by_year[year].loc[hub]
    assert row["inflow_origin_usd"] / 1e6 == pytest.approx(ours, rel=2e-3)
    assert row["inflow_usd"] / 1e6 == pytest.approx(total, rel=2e-3)
    assert row["share_of_origin"] == pytest.approx(ours / total, rel=4e-3)
    assert row["usd_attributed"] == pytest.approx(row["share_of_origin"] * row["outflow_usd"])
    assert 0 <= row["usd_least"] <= row["usd_low"] <= row["usd_attributed"] <= row["usd_high"]
    assert row["usd_attributed"] <= row["usd_most"] == pytest.approx(min(row["inflow_origin_usd"], row["outflow_usd"]))
    assert (row["inflow_products"], row["outflow_products"]) == ("8541+8542", "8542")


def test_products_that_differ_are_noted(bundled):
    notes = " ".join(ct.attribution(bundled, **ENDS, since="2022", until="2022").attrs["notes"])
    assert "told in different codes" in notes
    assert "bounds and no estimate" in notes


def test_what_the_union_sent_can_have_gone_on_at_most(bundled):
    table = ct.attribution(bundled, origins=["EU27"], destinations=["RUS"], concept="dispatched", since="2022", until="2022")
    rows = table.set_index("hub_id").loc[["KAZ", "ARM", "KGZ"]]
    assert (rows["usd_most"] / 1e6).tolist() == pytest.approx([15.1, 4.6, 0.66], rel=5e-3)
    assert rows["usd_attributed"].isna().all()
    assert rows["usd_least"].eq(0).all()
    assert rows["status"].str.startswith("bounds only: the inflow from all sellers is not covered").all()
    assert (rows["usd_high"] >= rows["usd_most"]).all()


def test_what_others_carry_on_is_a_part_of_all_they_hold(build):
    """Taiwan's 1,000 are a tenth of what Hong Kong imports, so a tenth of Hong Kong's 200 to Russia is Taiwan's; Armenia's imports are
    not covered, so what it passes on of Taiwan's 50 is not known."""
    told = ORIGIN | {"reported_by": "HKG"}
    rows = [("USA", "HKG", "8542", "2022", 500.0, told), ("CHN", "HKG", "8542", "2022", 9500.0, told),
            ("USA", "TWN", "8542", "2022", 30.0, ORIGIN | {"reported_by": "TWN"}),
            ("CHN", "TWN", "8542", "2022", 70.0, ORIGIN | {"reported_by": "TWN"}),
            ("TWN", "HKG", "8542", "2022", 1000.0), ("TWN", "ARM", "8542", "2022", 50.0), ("TWN", "RUS", "8542", "2022", 5.0),
            ("HKG", "RUS", "8542", "2022", 200.0), ("ARM", "RUS", "8542", "2022", 40.0)]
    network = build(rows, coverage=[*covered("TWN", "HKG", more=BY_ORIGIN), *covered("TWN", "HKG", "ARM")])
    taiwan = ct.attribution(network, **ENDS, concept="origin", since="2022", until="2022").set_index("hub_id").loc["TWN"]
    assert taiwan["onward_usd"] == pytest.approx(1000 * 200 / 10_000)
    assert taiwan["usd_most"] >= 30.0


def test_what_others_carry_on_stands_beside_what_is_sent_straight(by_year):
    """Of the other hubs only dispatches to Russia are on record."""
    rows = by_year["2022"]
    taiwan = rows.loc["TWN"]
    assert taiwan["usd_attributed"] == pytest.approx(taiwan["share_of_origin"] * (taiwan["outflow_usd"] + taiwan["onward_usd"]))
    assert 0 < taiwan["onward_usd"] < 0.5 * (rows.loc["HKG", "outflow_usd"] + rows.loc["CHN", "outflow_usd"])
    assert rows.loc[["CHN", "HKG", "KAZ", "TUR"], "onward_usd"].isna().all()


def test_what_a_hub_makes_itself_is_no_import(build):
    """Taiwan imports 100, 20 of them from the USA, and sends out 400: 300 are its own make or unknown, so a twentieth is American, and
    by the balance anything from nothing (its own make alone) to all 20."""
    told = ORIGIN | {"reported_by": "TWN"}
    rows = [("USA", "TWN", "8542", "2022", 20.0, told), ("CHN", "TWN", "8542", "2022", 80.0, told),
            ("TWN", "RUS", "8542", "2022", 40.0), ("TWN", "HKG", "8542", "2022", 360.0)]
    network = build(rows, coverage=[*covered("TWN", more=BY_ORIGIN), *covered("TWN")])
    row = ct.attribution(network, **ENDS, concept="origin", since="2022", until="2022").set_index("hub_id").loc["TWN"]
    assert (row["share_of_origin"], row["usd_direct"], row["unobserved_usd"]) == pytest.approx((0.05, 2.0, 300.0))
    assert (row["usd_least"], row["usd_most"]) == (0, 20)
    assert "more went out than came in on record" in row["status"]


def test_change_compares_identical_months(build):
    """Turkey: a tenth of 10 in 2021, a fifth of 60 in 2022. Kazakhstan's imports of 2021 are not covered."""
    rows, coverage = [], []
    for year, ours, others, out in (("2021", 10.0, 90.0, 10.0), ("2022", 40.0, 160.0, 60.0)):
        for hub in ("TUR", "KAZ"):
            told = ORIGIN | {"reported_by": hub}
            rows += [("USA", hub, "8542", year, ours, told), ("CHN", hub, "8542", year, others, told), (hub, "RUS", "8542", year, out)]
            coverage += covered(hub, period=year)
            coverage += covered(hub, period=year, more=BY_ORIGIN) if (hub, year) != ("KAZ", "2021") else []
    network = build([row for row in rows if row[1:4:2] != ("KAZ", "2021")], coverage=coverage)
    table = ct.attribution(network, **ENDS, since="2022", until="2022", against="2021")
    assert table["hub_id"].tolist() == ["TUR", "KAZ"], "sorted by what was added"
    turkey, kazakhstan = (row for _, row in table.iterrows())
    assert (turkey["usd_direct_before"], turkey["usd_direct"], turkey["change_usd"]) == pytest.approx((1.0, 12.0, 11.0))
    assert 0 < turkey["change_low_usd"] < 11 < turkey["change_high_usd"] < 60
    assert kazakhstan["usd_direct"] == pytest.approx(12.0)
    assert kazakhstan[["usd_direct_before", "change_usd", "change_low_usd", "change_high_usd"]].isna().all()
    assert "the two periods do not cover the same months and goods" in kazakhstan["status"]
    with pytest.raises(NotComparableError, match="identical months"):
        ct.attribution(network, **ENDS, since="2022", until="2022", against="2021-01/2021-06")
    nothing = ct.attribution(network, **ENDS, since="2022", until="2022")
    assert nothing["change_usd"].isna().all()


def test_hubs_left_out_of_the_list_are_counted(chain, monkeypatch):
    monkeypatch.setattr("chiptrail.queries.attribution.MOST_HUBS", 1)
    table = ct.attribution(chain, **ENDS, concept="dispatched", since="2022", until="2022")
    assert table["hub_id"].tolist() == ["TUR"]
    assert any("the list stops at the 1 hubs that carry the most by the chain: 1 are left out" in note for note in table.attrs["notes"])
    named = ct.attribution(chain, **ENDS, concept="dispatched", since="2022", until="2022", hubs=["KAZ"])
    assert not any("left out" in note for note in named.attrs["notes"])


def covered(*reporters, period="2022", goods="8542", more=None):
    return [(reporter, "*", goods, period, more or {}) for reporter in reporters]


@pytest.fixture(scope="module")
def chain(build):
    """The USA and China sell to Turkey, Turkey to Russia and Kazakhstan, and Kazakhstan to Russia and back to Turkey."""
    rows = [("USA", "TUR", "8542", "2022", 60.0), ("CHN", "TUR", "8542", "2022", 32.0), ("TUR", "RUS", "8542", "2022", 50.0),
            ("TUR", "KAZ", "8542", "2022", 30.0), ("USA", "KAZ", "8542", "2022", 10.0), ("KAZ", "RUS", "8542", "2022", 20.0),
            ("KAZ", "TUR", "8542", "2022", 8.0)]
    return build(rows, coverage=covered("USA", "CHN", "TUR", "KAZ"))


def test_chain_worked_by_hand(chain):
    """TUR holds 100, KAZ 40. z = 60 + 0.2 k and k = 10 + 0.3 z, so z = 62 / 0.94; of what TUR holds half goes to RUS straight."""
    rows = ct.attribution(chain, **ENDS, concept="dispatched", since="2022", until="2022").set_index("hub_id")
    z = 62 / 0.94
    k = 10 + 0.3 * z
    back = 0.3 * 0.2
    ends_tur = (0.5 + 0.3 * 0.5) / (1 - back)
    ends_kaz = 0.5 + 0.2 * ends_tur
    assert rows.loc["TUR", "share_of_origin"] == pytest.approx(z / 100)
    assert rows.loc["TUR", "usd_attributed"] == pytest.approx(z * (1 - back) * ends_tur)
    assert rows["onward_usd"].to_dict() == pytest.approx({"TUR": 30 * 0.5, "KAZ": 8 * 0.5}), "what comes back counts once"
    assert rows.loc["KAZ", "usd_attributed"] == pytest.approx(k * (1 - back) * ends_kaz)
    arrived = 0.5 * z + 0.5 * k
    assert rows.loc["TUR", "share_attributed"] == pytest.approx(z * (1 - back) * ends_tur / arrived)
    assert (rows["usd_least"] <= rows["usd_attributed"]).all()
    assert (rows["usd_attributed"] <= rows["usd_most"]).all()
    assert rows.loc["TUR", "status"] == "estimated; bounds from all balances of the network"
    table = ct.origin_table(chain, **ENDS, concept="dispatched", since="2022", until="2022").iloc[0]
    assert table["usd_attributed"] == pytest.approx(arrived)
    assert table["usd_least"] <= arrived <= table["usd_most"]


def test_rows_of_origins_add_up(chain):
    table = ct.origin_table(chain, origins=["USA", "CHN"], destinations=["RUS"], concept="dispatched", since="2022", until="2022")
    assert table["usd_attributed"].sum() == pytest.approx(70)
    assert table["usd_low"].le(table["usd_attributed"]).all()
    assert table["usd_high"].ge(table["usd_attributed"]).all()


def test_inflow_that_is_not_covered_gives_bounds_and_no_point(build):
    network = build([("USA", "TUR", "8542", "2022", 60.0), ("TUR", "RUS", "8542", "2022", 80.0)], coverage=covered("TUR"))
    row = ct.attribution(network, **ENDS, concept="dispatched", since="2022", until="2022").iloc[0]
    assert np.isnan(row["usd_attributed"])
    assert np.isnan(row["share_of_origin"])
    assert (row["usd_least"], row["usd_most"], row["usd_low"], row["usd_high"]) == (0, 60, 0, 80)
    assert row["unobserved_usd"] == 20
    assert row["status"].startswith("bounds only: inflow not covered")


def test_only_identical_months_are_compared(build):
    """The hub's exports end in June: its imports of July do not count."""
    rows = [("USA", "TUR", "8542", "2022-06", 50.0, ORIGIN | {"reported_by": "TUR"}),
            ("CHN", "TUR", "8542", "2022-06", 50.0, ORIGIN | {"reported_by": "TUR"}),
            ("USA", "TUR", "8542", "2022-07", 900.0, ORIGIN | {"reported_by": "TUR"}), ("TUR", "RUS", "8542", "2022-06", 10.0)]
    monthly = {"resolution": "month"}
    network = build(rows, coverage=[("TUR", "*", "8542", "2022", BY_ORIGIN | monthly), ("TUR", "*", "8542", "2022-01/2022-06", monthly)])
    row = ct.attribution(network, **ENDS, since="2022", until="2022").iloc[0]
    assert row["inflow_usd"] == 100
    assert row["usd_attributed"] == 5
    assert row["compared"] == "2022-01-01/2022-06-30"


def test_goods_that_the_hub_never_sends_on_do_not_count(build):
    rows = [("USA", "TUR", "854231", "2022", 30.0, ORIGIN), ("CHN", "TUR", "854239", "2022", 70.0, ORIGIN),
            ("USA", "TUR", "8471", "2022", 900.0, ORIGIN), ("TUR", "RUS", "8542", "2022", 10.0)]
    network = build(rows, coverage=[("TUR", "*", "*", "2022", BY_ORIGIN), *covered("TUR", goods="*")])
    row = ct.attribution(network, **ENDS, since="2022", until="2022").iloc[0]
    assert row["usd_attributed"] == pytest.approx(3)
    assert row["inflow_products"] == "854231 854239"


def test_firms_without_stated_coverage_are_answered_from_the_records_and_say_so(small_firms):
    row = ct.attribution(small_firms, **ENDS).set_index("hub_id").loc["trader.HKG"]
    assert row["usd_attributed"] == pytest.approx(306), "all it sent on was of the maker, 6 of it by way of shop.TUR"
    assert "coverage is not stated" in row["status"]


def test_questions_that_cannot_be_answered_are_refused(small_firms, small_countries):
    with pytest.raises(NotComparableError, match="dispatched"):
        ct.attribution(small_firms, **ENDS, concept="origin")
    with pytest.raises(NotComparableError, match="brand"):
        ct.attribution(small_countries, **ENDS, concept="brand")
    with pytest.raises(InputError, match="cannot be a hub"):
        ct.attribution(small_countries, **ENDS, hubs=["RUS"])


def test_named_hubs_only_and_the_same_numbers(small_countries):
    every = ct.attribution(small_countries, **ENDS, since="2022", until="2022").set_index("hub_id")
    one = ct.attribution(small_countries, **ENDS, since="2022", until="2022", hubs=["TUR"]).set_index("hub_id")
    assert list(one.index) == ["TUR"]
    assert one.loc["TUR"].equals(every.loc["TUR"])


def test_tilted_mixing_reaches_from_the_least_to_the_most():
    known, held, onward = np.array([30.0, 30.0]), np.array([100.0, 40.0]), np.array([50.0, 35.0])
    assert tilted(known, held, onward, 1.0) == pytest.approx(known * onward / held)
    assert tilted(known, held, onward, 1e12) == pytest.approx([30, 30])
    assert tilted(known, held, onward, 1e-12) == pytest.approx([0, 25], abs=1e-6)
    m = tilted(known, held, onward, 5.0)
    odds = [part / (whole - part) for part, whole in ((m, known), (onward - m, held - known))]
    assert odds[0] / odds[1] == pytest.approx([5, 5])


def test_interval_narrows_where_the_balance_does():
    """All of the inflow is the origin's, or none of it: then no assumption on mixing matters."""
    one = np.ones(3)
    report = Held(100 * one, np.array([0.0, 50, 100]), np.array([0.0, 50, 100]), 20 * one, 0 * one)
    low, high = interval(spread([report], by_origin=False).share)
    assert high[0] == 0
    assert low[2] == 1
    low, high = interval(spread([report], by_origin=False).usd)
    assert high[1] - low[1] > high[2] - low[2] > high[0] == 0


def test_balances_contain_the_truth_of_an_exact_world():
    world = simulate(1001, exact=True)
    table = ct.attribution(world.countries, **ENDS, products=["8541", "8542"], since="2019", until="2024").set_index("hub_id")
    for hub in world.hubs:
        assert table.loc[hub, "usd_least"] - 1 <= world.through(hub) <= table.loc[hub, "usd_most"] + 1
