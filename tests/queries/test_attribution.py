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
    assert kazakhstan["status"].endswith("no estimate for the earlier period")
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


def imports(hub, *rows, code="8542", year="2022"):
    """What a hub's customs record by origin."""
    return [(seller, hub, code, year, usd, ORIGIN | {"reported_by": hub}) for seller, usd in rows]


def ask(build, rows, coverage, **more):
    question = ENDS | {"concept": "origin", "since": "2022", "until": "2022"} | more
    return ct.attribution(build(rows, coverage=coverage), **question).set_index("hub_id")


BOTH_LEGS = [*covered("TUR", goods="*", more=BY_ORIGIN), *covered("TUR", goods="*")]


def test_other_goods_that_pass_a_hub_change_nothing(build):
    """1,000 of 8541 came in and went to Hong Kong; of 8542, 20 of 100 are American, so 8 of the 40 sent to Russia."""
    rows = [*imports("TUR", ("USA", 20.0), ("CHN", 80.0)), *imports("TUR", ("CHN", 1000.0), code="8541"),
            ("TUR", "RUS", "8542", "2022", 40.0), ("TUR", "HKG", "8541", "2022", 1000.0)]
    row = ask(build, rows, BOTH_LEGS).loc["TUR"]
    assert (row["share_of_origin"], row["usd_attributed"], row["unobserved_usd"]) == pytest.approx((0.2, 8.0, 0.0))


@pytest.mark.parametrize(("rows", "concept", "hub", "most"), [
    ([*imports("TUR", ("USA", 20.0), ("CHN", None)), ("TUR", "RUS", "8542", "2022", 50.0)], "origin", "TUR", 20),
    ([("USA", "TUR", "8542", "2022", 60.0), ("CHN", "TUR", "8542", "2022", None), ("TUR", "RUS", "8542", "2022", 50.0)],
     "dispatched", "TUR", 50),
    ([("USA", "TUR", "8542", "2022", 60.0), ("CHN", "TUR", "8542", "2022", 40.0), ("TUR", "RUS", "8542", "2022", None)],
     "dispatched", "TUR", 60),
    ([("USA", "TUR", "8542", "2022", 60.0), ("TUR", "KAZ", "8542", "2022", None), ("CHN", "KAZ", "8542", "2022", 5.0),
      ("KAZ", "RUS", "8542", "2022", 20.0)], "dispatched", "KAZ", 20),
    ([("USA", "TUR", "8542", "2022", 60.0), ("TUR", "KAZ", "8542", "2022", None), ("CHN", "KAZ", "8542", "2022", 5.0),
      ("KAZ", "RUS", "8542", "2022", 20.0)], "dispatched", "TUR", 60),
    ([*imports("TUR", ("USA", 30.0), ("CHN", 70.0)), ("TUR", "RUS", "8542", "2022", 5.0), ("TUR", "KAZ", "8542", "2022", None),
      *imports("KAZ", ("CHN", 200.0), ("USA", 1.0)), ("KAZ", "RUS", "8542", "2022", 200.0)], "origin", "TUR", 30),
])
def test_a_record_without_a_value_is_not_zero(build, rows, concept, hub, most):
    coverage = covered("USA", "CHN", "TUR", "KAZ") if concept == "dispatched" else [
        *covered("TUR", "KAZ", more=BY_ORIGIN), *covered("TUR", "KAZ")]
    row = ask(build, rows, coverage, concept=concept).loc[hub]
    assert np.isnan(row["usd_attributed"])
    assert row["status"].startswith("bounds only: value of")
    assert row["usd_least"] == 0
    assert row["usd_most"] == most


def test_firms_below_one_whose_inflow_has_no_value_have_no_estimate(build):
    rows = [("Maker.USA", "A.HKG", "8542", "2022-01", 10.0), ("B.CHN", "A.HKG", "8542", "2022-01", None),
            ("A.HKG", "T.TUR", "8542", "2022-02", 7.0), ("T.TUR", "Buyer.RUS", "8542", "2022-03", 7.0)]
    table = ct.attribution(build(rows, level="firms"), **ENDS)
    assert len(table) == 2
    assert table["usd_attributed"].isna().all()


def test_imports_covered_from_the_origins_alone_are_no_composition(build):
    coverage = [("TUR", "USA", "8542", "2022", BY_ORIGIN), *covered("TUR")]
    row = ask(build, [*imports("TUR", ("USA", 20.0)), ("TUR", "RUS", "8542", "2022", 10.0)], coverage).loc["TUR"]
    assert np.isnan(row["usd_attributed"])
    assert (row["usd_least"], row["usd_most"]) == (0, 10)


def test_a_source_that_may_miss_rows_gives_no_least(build):
    for complete, least in ((True, 10.0), (False, 0.0)):
        coverage = [("TUR", "*", "8542", "2022", BY_ORIGIN | {"complete": complete}), *covered("TUR")]
        row = ask(build, [*imports("TUR", ("USA", 20.0)), ("TUR", "RUS", "8542", "2022", 10.0)], coverage).loc["TUR"]
        assert (row["usd_attributed"], row["usd_least"]) == (10.0, least)


def test_goods_sent_under_a_wider_code_may_be_others(build):
    """The 50 may all be diodes, whose imports are not covered."""
    row = ask(build, [*imports("TUR", ("USA", 60.0)), ("TUR", "RUS", "8541+8542", "2022", 50.0)],
              [*covered("TUR", more=BY_ORIGIN), *covered("TUR", goods="8541+8542")]).loc["TUR"]
    assert row["usd_least"] == 0


@pytest.mark.parametrize(("rows", "coverage"), [
    ([("USA", "TUR", "8542", "2022-06", 50.0), ("CHN", "TUR", "8542", "2022-06", 50.0), ("USA", "TUR", "8542", "2022-07", 900.0),
      ("TUR", "RUS", "8542", "2022-06", 10.0)],
     [(r, "*", "8542", period, {"resolution": "month"}) for r, period in (("USA", "2022"), ("CHN", "2022"), ("TUR", "2022-01/2022-06"))]),
    ([("USA", "TUR", "8542", "2022", 60.0), ("TUR", "RUS", "8541", "2022", 50.0), ("CHN", "KAZ", "8542", "2022", 5.0),
      ("KAZ", "RUS", "8542", "2022", 5.0)], covered("USA", "CHN", "TUR", "KAZ", goods="*")),
], ids=["months", "goods"])
def test_a_chain_of_other_months_or_goods_gives_no_estimate(build, rows, coverage):
    row = ask(build, rows, coverage, concept="dispatched").loc["TUR"]
    assert np.isnan(row["usd_attributed"])
    assert row["usd_least"] == 0
    assert row["status"].startswith("bounds only: other goods or months came in than went out")


def test_a_hub_whose_suppliers_goods_are_not_known_has_no_estimate(build):
    """All that Kazakhstan sends comes from Turkey, and who sold to Turkey is not covered."""
    rows = [("USA", "TUR", "8542", "2022", 60.0), ("TUR", "KAZ", "8542", "2022", 30.0), ("KAZ", "RUS", "8542", "2022", 20.0),
            *((seller, "KAZ", "8542", "2021", 1.0) for seller in ("CHN", "TWN", "GEO"))]
    coverage = [*covered("USA", "TUR", "GEO", "KAZ"), ("CHN", "KAZ", "8542", "2022"), ("TWN", "KAZ", "8542", "2022")]
    row = ask(build, rows, coverage, concept="dispatched").loc["KAZ"]
    assert np.isnan(row["usd_attributed"])
    assert "what its suppliers hold is not known" in row["status"]


def test_shares_count_what_arrives_once(build):
    """All 100 that reach Russia pass Taiwan and Hong Kong."""
    rows = [*imports("TWN", ("USA", 100.0)), *imports("HKG", ("USA", 100.0)), ("TWN", "HKG", "8542", "2022", 100.0),
            ("HKG", "RUS", "8542", "2022", 100.0)]
    table = ask(build, rows, [*covered("TWN", "HKG", more=BY_ORIGIN), *covered("TWN", "HKG")])
    assert table["share_attributed"].to_dict() == {"TWN": 1.0, "HKG": 1.0}


def test_others_that_may_have_passed_it_on_unrecorded_count_for_the_most(build):
    """Hong Kong's dispatches are not covered: all that Taiwan had from the USA may have gone on from there."""
    rows = [*imports("TWN", ("USA", 30.0), ("CHN", 70.0)), ("TWN", "RUS", "8542", "2022", 5.0), ("TWN", "HKG", "8542", "2022", 60.0)]
    row = ask(build, rows, [*covered("TWN", more=BY_ORIGIN), *covered("TWN")]).loc["TWN"]
    assert row["usd_most"] == 30
    unnamed = [("Maker.USA", "A.HKG", "8542", "2022-01", 100.0), ("A.HKG", "Unnamed firms", "8542", "2022-02", 80.0),
               ("Unnamed firms", "Buyer.RUS", "8542", "2022-03", 80.0), ("A.HKG", "Buyer.RUS", "8542", "2022-02", 5.0)]
    actors = [{"actor_id": name, "name": name, "kind": kind, "role": "unknown", "country": country} for name, kind, country in (
        ("Maker.USA", "company", "USA"), ("A.HKG", "company", "HKG"), ("Unnamed firms", "placeholder", ""),
        ("Buyer.RUS", "company", "RUS"))]
    row = ct.attribution(build(unnamed, level="firms", actors=actors), **ENDS).set_index("hub_id").loc["A.HKG"]
    assert (row["usd_attributed"], row["usd_most"]) == (5, 85)


def test_share_and_its_interval(by_year):
    rows = by_year["2022"].dropna(subset="share_of_origin")
    assert len(rows)
    assert (rows["share_low"] <= rows["share_of_origin"]).all()
    assert (rows["share_of_origin"] <= rows["share_high"]).all()


def test_bounds_do_not_depend_on_who_is_named(chain):
    named = ct.attribution(chain, **ENDS, concept="dispatched", since="2022", until="2022", hubs=["TUR"]).iloc[0]
    among = ct.attribution(chain, **ENDS, concept="dispatched", since="2022", until="2022").set_index("hub_id").loc["TUR"]
    assert named["usd_least"] == among["usd_least"] > 0


TWO_YEARS = {"since": "2022", "until": "2022", "against": "2021"}


def yearly(*hubs, partners="*", year="2021/2022"):
    return [(hub, partners, "8542", year, more) for hub in hubs for more in (BY_ORIGIN, {})]


def test_years_told_of_other_partners_do_not_compare(build):
    """Taiwan's trade is the same in both years, but its exports to Hong Kong are covered in 2022 alone."""
    rows = [row for year in ("2021", "2022") for row in (
        *imports("TWN", ("USA", 20.0), ("CHN", 80.0), year=year), ("TWN", "RUS", "8542", year, 40.0))]
    coverage = [("TWN", "*", "8542", "2021/2022", BY_ORIGIN), ("TWN", "RUS", "8542", "2021"), ("TWN", "*", "8542", "2022")]
    row = ask(build, [*rows, ("TWN", "HKG", "8542", "2022", 360.0)], coverage, **TWO_YEARS).loc["TWN"]
    assert np.isnan(row["change_usd"])
    assert row["status"].endswith("not compared: the two periods do not cover the same partners and goods")


@pytest.mark.parametrize(("old", "new"), [("854150", "854151"), ("854140", "854149")])
def test_years_told_in_other_hs_versions_do_not_compare(build, old, new):
    rows = []
    for year, code, version in (("2021", old, "HS2017"), ("2022", new, "HS2022")):
        for row in [*imports("TUR", ("USA", 10.0), ("CHN", 90.0), code=code, year=year), ("TUR", "RUS", code, year, 50.0, {})]:
            rows.append((*row[:-1], row[-1] | {"hs_version": version}))
    coverage = [("TUR", "*", "8541", "2021/2022", more) for more in (BY_ORIGIN, {})]
    row = ask(build, rows, coverage, **TWO_YEARS, products=[new]).loc["TUR"]
    assert np.isnan(row["change_usd"])
    assert "no estimate for the earlier period" in row["status"]
    listed = [("TUR", "*", f"{old} {new}", "2021/2022", more) for more in (BY_ORIGIN, {})]
    row = ask(build, rows, listed, **TWO_YEARS, products=[new]).loc["TUR"]
    assert np.isnan(row["change_usd"])
    assert "does not compare between the HS versions" in row["status"]
    whole = ask(build, rows, coverage, **TWO_YEARS, products=["8541"]).loc["TUR"]
    assert whole["change_usd"] == 0


def test_change_of_a_hub_without_recorded_goods_of_the_origin_is_open_above(build):
    """What Turkey sent above its imports came from nobody knows where, and may all be the origin's."""
    rows = [row for year, out in (("2021", 10.0), ("2022", 500.0)) for row in (
        *imports("TUR", ("CHN", 100.0), year=year), ("TUR", "RUS", "8542", year, out))]
    row = ask(build, rows, yearly("TUR"), **TWO_YEARS).loc["TUR"]
    assert (row["change_usd"], row["change_low_usd"]) == (0, 0)
    assert row["change_high_usd"] == pytest.approx(row["usd_high"], rel=0.05)


def test_a_change_believes_one_side_in_both_years(build):
    """The buyer tells of 2022 alone: that he tells of less is no change."""
    rows = [row for year in ("2021", "2022") for row in (
        *imports("TUR", ("USA", 10.0), ("CHN", 90.0), year=year), ("TUR", "RUS", "8542", year, 50.0))]
    told = ("TUR", "RUS", "8542", "2022", 5.0, {"flow": "import", "partner_concept": "consignment", "reported_by": "RUS"})
    for more in ([], [told]):
        row = ask(build, [*rows, *more], yearly("TUR"), **TWO_YEARS).loc["TUR"]
        assert row[["change_usd", "change_low_usd", "change_high_usd"]].tolist() == [0, 0, 0]


def test_an_unknown_earlier_period_is_refused_even_without_records(build):
    with pytest.raises(InputError, match="no period"):
        ct.attribution(build([]), **ENDS, against="nonsense")
