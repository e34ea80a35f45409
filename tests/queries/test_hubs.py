"""Hubs against numbers worked by hand, against enumeration of all routes, and on the bundled data."""

import itertools
import random

import networkx as nx
import pandas as pd
import pytest
from pandas.testing import assert_series_equal

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.bundled import load_bundled
from chiptrail.queries.hubs import transit_hubs
from chiptrail.queries.surge import surge

ORIGIN = {"flow": "import", "partner_concept": "origin", "reported_by": "KAZ"}
IMPORTS = {"flow": "import", "partner_concept": "origin"}


@pytest.fixture(scope="module")
def countries():
    return load_bundled("countries")


def hub(table, name):
    return table.set_index("hub_id").loc[name]


def test_bundled_hubs_of_2022(countries):
    table = transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2022-01", until="2022-12")
    kazakhstan = hub(table, "KAZ")
    assert kazakhstan[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [4273764.0, 18258557.85, 4273764.0]
    assert kazakhstan[["inflow_before_usd", "outflow_before_usd"]].tolist() == [2869207.0, 245946.0]
    assert hub(table, "TUR")[["inflow_usd", "outflow_usd"]].round(-5).tolist() == [41.2e6, 2.8e6]
    assert hub(table, "HKG")[["inflow_usd", "outflow_usd"]].round(-6).tolist() == [1940e6, 208e6]
    assert hub(table, "CHN")[["inflow_usd", "outflow_usd"]].round(-6).tolist() == [12642e6, 180e6]
    assert hub(table, "TUR")["inflow_before_usd"].round(-5) == 28.6e6
    for name in ("KGZ", "ARM"):
        row = hub(table, name)
        assert pd.isna(row["rank"])
        assert pd.isna(row["inflow_usd"])
        assert row["status"] == "not ranked: inflow not covered"
    assert kazakhstan["inflow_products"] == "8541+8542"
    assert table.attrs["question"]["against"] == "2021"
    assert {s["publisher"] for s in table.attrs["sources"]} >= {"WTO"}


@pytest.mark.parametrize(("until", "ranked"), [("2022-12", True), ("2022-11", False)])
def test_bundled_hubs_of_the_eu(countries, until, ranked):
    table = transit_hubs(countries, origins=["EU27"], destinations=["RUS"], concept="dispatched", since="2022-01", until=until)
    expected = {"KAZ": (5_433_000, 14_681_000), "ARM": (350_000, 4_482_000), "KGZ": (60_000, 1_682_000)}
    for name, (before, now) in expected.items():
        row = hub(table, name)
        assert abs(row["inflow_original"] - now) < 500, "the same eleven months"
        assert abs(row["inflow_original_before"] - before) < 500
        assert row["inflow_currency"] == "EUR"
        assert pd.notna(row["rank"]) == ranked
    if ranked:
        assert "only 2022-01/2022-11; 26 of 27 pairs" in hub(table, "KAZ")["inflow_coverage"]


def test_products_asked_for_limit_the_answer(countries):
    table = transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2022", until="2022", products="8542")
    assert table["rank"].isna().all(), "the imports tell 8541 and 8542 together: 8542 alone is not covered"
    chips = transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2022", until="2022", products="chips")
    assert hub(chips, "KAZ")["inflow_usd"] == 4273764.0
    assert any("wider than the question (8541+8542)" in note for note in chips.attrs["notes"])


def test_a_dispatch_from_the_usa_is_not_covered(countries):
    table = transit_hubs(countries, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022")
    assert table["rank"].isna().all()
    assert any(note.startswith("no hub can be ranked: covered are") for note in table.attrs["notes"])


def test_documented_cases_are_listed_not_ranked():
    table = transit_hubs(load_bundled("firms"), origins=["USA"], destinations=["RUS"])
    assert len(table) > 20
    assert table["rank"].isna().all()
    assert not table["hub"].str.startswith("Unnamed").any()


def test_throughput_by_hand(build):
    """In: chips 10, bearings 7. Out: chips 4, machine tools 90. At most min(10, 4) = 4 of chips went through."""
    network = build(
        [("USA", "KAZ", "8542", "2022-03", 10.0), ("USA", "KAZ", "8482", "2022-04", 7.0), ("KAZ", "RUS", "854231", "2022", 3.0),
         ("KAZ", "RUS", "854232", "2022", 1.0), ("KAZ", "RUS", "8457", "2022", 90.0), ("USA", "TUR", "8542", "2022-03", 5.0)],
        coverage=[("USA", "*", "*", "2022"), ("KAZ", "RUS", "*", "2022"), ("TUR", "*", "*", "2022")],
    )
    table = transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022")
    assert table["hub_id"].tolist() == ["KAZ", "TUR"]
    assert table["rank"].tolist() == [1, 2]
    assert hub(table, "KAZ")["throughput_max_usd"] == 4.0
    assert hub(table, "TUR")[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [5.0, 0.0, 0.0], "covered: zero"


def test_absent_is_not_zero(build):
    network = build([("USA", "TUR", "8542", "2022", 5.0)], coverage=[("USA", "*", "*", "2022")])
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022"), "TUR")
    assert pd.isna(row["outflow_usd"])
    assert row["status"] == "not ranked: outflow not covered"


def test_unknown_value_is_not_zero(build):
    network = build([("USA", "KAZ", "8542", "2022", None), ("KAZ", "RUS", "8542", "2022", 1.0)],
                    coverage=[("USA", "*", "*", "2022"), ("KAZ", "*", "*", "2022")])
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022"), "KAZ")
    assert pd.isna(row["throughput_max_usd"])
    assert row["status"] == "not ranked: value of inflow unknown"


def test_growth_compares_the_months_covered_now(build):
    """2022 covers January and February only; 2021 has twelve months of 1: compared are 2 of them."""
    months = [("USA", "KAZ", "8542", f"2021-{m:02}", 1.0) for m in range(1, 13)]
    network = build(
        [*months, ("USA", "KAZ", "8542", "2022-01", 3.0), ("USA", "KAZ", "8542", "2022-02", 3.0), ("KAZ", "RUS", "8542", "2022", 1.0)],
        coverage=[("USA", "*", "*", "2021-01/2022-02"), ("KAZ", "*", "*", "2022")],
    )
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022"), "KAZ")
    assert row[["inflow_usd", "inflow_before_usd", "inflow_change"]].tolist() == [6.0, 2.0, 3.0]
    assert row["inflow_coverage"] == "partly: only 2022-01/2022-02"


def test_growth_compares_the_months_covered_before(build):
    """The year before is covered in January alone: growth is told for January, 3 over 1."""
    network = build(
        [("USA", "KAZ", "8542", "2021-01", 1.0), ("USA", "KAZ", "8542", "2022-01", 3.0), ("USA", "KAZ", "8542", "2022-02", 5.0),
         ("KAZ", "RUS", "8542", "2022", 1.0)],
        coverage=[("USA", "*", "*", "2021-01"), ("USA", "*", "*", "2022"), ("KAZ", "*", "*", "2022")],
    )
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022"), "KAZ")
    assert row[["inflow_usd", "inflow_before_usd", "inflow_change"]].tolist() == [8.0, 1.0, 3.0]


def test_nothing_before_is_zero_only_where_covered(build):
    rows = [("USA", "KAZ", "8542", "2022", 3.0), ("KAZ", "RUS", "8542", "2022", 1.0)]
    ask = {"origins": ["USA"], "destinations": ["RUS"], "concept": "dispatched", "since": "2022", "until": "2022"}
    network = build(rows, coverage=[("USA", "*", "*", "2021/2022"), ("KAZ", "*", "*", "2022")])
    row = hub(transit_hubs(network, **ask), "KAZ")
    assert row["inflow_before_usd"] == 0.0
    assert pd.isna(row["outflow_before_usd"])
    assert pd.isna(row["inflow_change"])


def test_growth_compares_the_same_codes(build):
    """854151 exists since 2022: growth is told for 854110, which stands in both years."""
    network = build(
        [("USA", "KAZ", "854110", "2021", 2.0), ("USA", "KAZ", "854110", "2022", 3.0), ("USA", "KAZ", "854151", "2022", 9.0),
         ("KAZ", "RUS", "8541", "2022", 1.0)],
        coverage=[("USA", "*", "8541", "2021/2022"), ("KAZ", "*", "8541", "2022")],
    )
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", until="2022"), "KAZ")
    assert row[["inflow_usd", "inflow_change"]].tolist() == [12.0, 1.5]


ASK = {"origins": ["USA"], "destinations": ["RUS"], "concept": "dispatched"}


def test_legs_are_compared_over_the_years_that_both_cover(build):
    """In 10 a year 2021-2023, out 100 in 2021 only: at most 10 can have gone through, not 30."""
    rows = [("USA", "KAZ", "8542", str(y), 10.0) for y in (2021, 2022, 2023)] + [("KAZ", "RUS", "8542", "2021", 100.0)]
    network = build(rows, coverage=[("USA", "*", "*", "2021/2023"), ("KAZ", "*", "*", "2021")])
    row = hub(transit_hubs(network, **ASK, since="2021", until="2023"), "KAZ")
    assert row[["inflow_usd", "outflow_usd", "throughput_max_usd", "compared"]].tolist() == [10.0, 100.0, 10.0, "2021"]
    apart = build(rows, coverage=[("USA", "*", "*", "2022/2023"), ("KAZ", "*", "*", "2021")])
    row = hub(transit_hubs(apart, **ASK, since="2021", until="2023"), "KAZ")
    assert row["status"] == "not ranked: the legs share no year"
    assert pd.isna(row["throughput_max_usd"])


def test_an_open_window_ends_with_the_data(countries):
    table = transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2022")
    assert hub(table, "HKG")[["outflow_usd", "throughput_max_usd", "compared"]].tolist() == [208e6, 208e6, "2022"]
    wide = transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2019", until="2023")
    assert hub(wide, "KGZ")["status"] == "not ranked: the legs share no year"


def test_a_leg_told_only_in_a_wider_code_is_not_zero(build):
    network = build([("USA", "KAZ", "8542", "2022", 100.0), ("KAZ", "RUS", "854231", "2022", 50.0)],
                    coverage=[("USA", "*", "*", "2022"), ("KAZ", "*", "*", "2022")])
    row = hub(transit_hubs(network, **ASK, products="854231", since="2022", until="2022"), "KAZ")
    assert pd.isna(row["inflow_usd"])
    assert row["status"] == "not ranked: value of inflow unknown"


def test_goods_that_are_not_covered_are_not_zero(build):
    network = build([("USA", "KAZ", "8541", "2022", 7.0), ("USA", "KAZ", "8542", "2022", 100.0)],
                    coverage=[("USA", "*", "8541 8542", "2022"), ("KAZ", "*", "8541", "2022")])
    row = hub(transit_hubs(network, **ASK, products=["8541", "8542"], since="2022", until="2022"), "KAZ")
    assert pd.isna(row["outflow_usd"])
    assert row["outflow_coverage"] == "partly: only goods 8541"


def test_legs_that_share_no_goods_keep_their_values(build):
    network = build([("USA", "KAZ", "8542", "2022", 100.0), ("KAZ", "RUS", "8471", "2022", 50.0)],
                    coverage=[("USA", "*", "8542", "2022"), ("KAZ", "*", "8471", "2022")])
    row = hub(transit_hubs(network, **ASK, since="2022", until="2022"), "KAZ")
    assert row[["inflow_usd", "outflow_usd", "status"]].tolist() == [100.0, 50.0, "not ranked: the legs share no goods"]


def test_a_bloc_does_not_empty_its_members_leg(build):
    by_origin = {"flow": "import", "partner_concept": "origin"}
    network = build([("USA", "EU27", "8542", "2022", 500.0, by_origin | {"reported_by": "EU27"}),
                     ("USA", "DEU", "8542", "2022", 120.0, by_origin | {"reported_by": "DEU"}), ("DEU", "RUS", "8542", "2022", 30.0)],
                    coverage=[("DEU", "*", "*", "2022"), ("DEU", "*", "*", "2022", by_origin)])
    table = transit_hubs(network, origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    assert hub(table, "DEU")[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [120.0, 30.0, 30.0]


def test_a_wider_code_before_is_said(build):
    network = build([("USA", "KAZ", "854140", "2021", 100.0), ("USA", "KAZ", "854149", "2022", 10.0, {"hs_version": "HS2022"}),
                     ("KAZ", "RUS", "854149", "2022", 5.0, {"hs_version": "HS2022"})],
                    coverage=[("USA", "*", "*", "2021/2022"), ("KAZ", "*", "*", "2022")])
    notes = transit_hubs(network, **ASK, products="chpl", since="2022", until="2022").attrs["notes"]
    assert any("of the earlier period are told in codes wider" in note for note in notes)


def test_other_months_are_refused(countries):
    ask = {"origins": ["USA"], "destinations": ["RUS"], "since": "2022-01", "until": "2022-06"}
    with pytest.raises(NotComparableError, match="identical months"):
        transit_hubs(countries, **ask, against="2021-07/2021-12")
    assert transit_hubs(countries, **ask, against="2020-01/2020-06").attrs["question"]["against"] == "2020-01/2020-06"


def test_unknown_country(countries):
    with pytest.raises(UnknownNameError, match="did you mean"):
        transit_hubs(countries, origins=["Kazakstan"], destinations=["RUS"])


def test_placeholders_and_forwarders_are_never_ranked(build):
    rows = [("a.USA", "Unnamed traders", "8542", "2022", 5.0), ("Unnamed traders", "z.RUS", "8542", "2022", 5.0),
            ("a.USA", "b.HKG", "8542", "2022", 5.0), ("b.HKG", "z.RUS", "8542", "2022", 5.0)]
    table = transit_hubs(build(rows, level="firms"), origins=["USA"], destinations=["RUS"])
    assert table["hub_id"].tolist() == ["b.HKG"]


def test_placeholders_and_forwarders_are_no_inner_place_of_a_route(build):
    """Of the chains a-b-z, a-b-c-z and three through unfit actors only the first two count: b is on all, c on one of two."""
    rows = [("a.USA", "Unnamed x", "8542", "2022", 5.0), ("Unnamed x", "z.RUS", "8542", "2022", 5.0),
            ("a.USA", "b.HKG", "8542", "2022", 5.0), ("b.HKG", "z.RUS", "8542", "2022", 5.0), ("b.HKG", "c.HKG", "8542", "2022", 5.0),
            ("c.HKG", "z.RUS", "8542", "2022", 5.0), ("a.USA", "f.HKG", "8542", "2022", 5.0), ("f.HKG", "c.HKG", "8542", "2022", 5.0),
            ("f.HKG", "z.RUS", "8542", "2022", 5.0)]
    network = build(rows, level="firms")
    actors = network.actors.assign(role=network.actors["role"].mask(network.actors["actor_id"].eq("f.HKG"), "logistics"))
    network = TradeNetwork(level="firms", actors=actors, trades=network.trades, sources=network.sources)
    table = transit_hubs(network, origins=["USA"], destinations=["RUS"]).set_index("hub_id")
    assert table["share_of_routes"].to_dict() == {"b.HKG": 1.0, "c.HKG": 0.5}
    assert table["betweenness"].to_dict() == {"b.HKG": 1.0, "c.HKG": 0.0}
    from_unnamed = transit_hubs(network, origins=["Unnamed x", "a.USA"], destinations=["z.RUS"]).set_index("hub_id")
    assert from_unnamed.loc["b.HKG", "share_of_routes"] == 1.0


def test_brand_is_a_concept_of_its_own(build):
    rows = [("b.HKG", "z.RUS", "8542", "2022", 5.0), ("a.USA", "b.HKG", "8542", "2022", 9.0)]
    network = build(rows, level="firms", links=[("brand", "m.USA", "b.HKG")])
    table = transit_hubs(network, origins=["m.USA"], destinations=["RUS"], concept="brand")
    assert table[["hub_id", "concept", "n_suppliers"]].values.tolist() == [["b.HKG", "brand", 1]]
    assert table["inflow_usd"].isna().all()
    assert transit_hubs(network, origins=["m.USA"], destinations=["RUS"], concept="dispatched").loc[0, "n_suppliers"] == 0


def random_countries(seed):
    rng = random.Random(seed)
    names = ["USA", "GBR", "HKG", "CHN", "TUR", "KAZ", "ARM", "RUS", "BLR"]
    rows = []
    for _ in range(rng.randint(8, 40)):
        seller, buyer = rng.sample(names, 2)
        by_origin = IMPORTS | {"reported_by": buyer} if rng.random() < 0.4 else {}
        rows.append((seller, buyer, rng.choice(["8541", "8542", "8541+8542", "8471"]), rng.choice(["2021", "2022"]),
                     float(rng.randint(1, 9)), by_origin))
    coverage = [(n, "*", "*", "2021/2022") for n in names]
    coverage += [(n, "*", "*", "2021/2022", IMPORTS) for n in names]
    return names, rows, coverage


def slow_hub(trades, name, origins, destinations, concept):
    """In, out and bound of one hub, row by row, from the rows that count."""
    legs = {"in": {}, "out": {}}
    for row in trades:
        code = row["hs_code"] or row["product_set"]
        if row["concept"] == concept and row["seller_id"] in origins and row["buyer_id"] == name:
            legs["in"][code] = legs["in"].get(code, 0) + row["value_usd"]
        if row["concept"] == "dispatched" and row["seller_id"] == name and row["buyer_id"] in destinations:
            legs["out"][code] = legs["out"].get(code, 0) + row["value_usd"]
    codes = set(legs["in"]) | set(legs["out"])
    joined = any("+" in code for code in codes)
    groups = [{c for c in codes if set(c.split("+")) & {"8541", "8542"}}, {"8471"}] if joined else [{c} for c in codes]
    bound = sum(min(sum(legs[s].get(c, 0) for c in group) for s in legs) for group in groups)
    return sum(legs["in"].values()), sum(legs["out"].values()), bound


def check(seed, build):
    from chiptrail.graphmodel.aggregate import counted_once

    names, rows, coverage = random_countries(seed)
    network = build(rows, coverage=coverage)
    concept = random.Random(seed).choice(["origin", "dispatched"])
    origins, destinations = {"USA", "GBR"}, {"RUS", "BLR"}
    table = transit_hubs(network, origins=sorted(origins), destinations=sorted(destinations), concept=concept,
                         since="2022", until="2022")
    trades = counted_once(network.where(since="2022", until="2022"))
    trades = trades[trades["left_aside"].eq("")].to_dict("records")
    graph = nx.DiGraph()
    for row in trades:
        start, end = row["seller_id"], row["buyer_id"]
        first = start in origins and end not in origins and row["concept"] == concept
        later = start not in origins | destinations and end not in origins and row["concept"] == "dispatched"
        if first or later:
            graph.add_edge(start, end)
    ends = [(o, d) for o in origins & set(graph) for d in destinations & set(graph)]
    routes = [p for o, d in ends for p in nx.all_simple_paths(graph, o, d, cutoff=3) if not set(p[1:-1]) & destinations]
    routes = [p for p in routes if len(p) > 2]
    shortest = [list(nx.all_shortest_paths(graph, o, d)) for o, d in ends if nx.has_path(graph, o, d)]
    for row in table.to_dict("records"):
        inflow, outflow, bound = slow_hub(trades, row["hub_id"], origins, destinations, concept)
        assert (row["inflow_usd"], row["outflow_usd"], row["throughput_max_usd"]) == (inflow, outflow, bound), seed
        through = sum(row["hub_id"] in p[1:-1] for p in routes)
        assert row["share_of_routes"] == pytest.approx(through / len(routes) if routes else 0.0), seed
        between = sum(sum(row["hub_id"] in p[1:-1] for p in found) / len(found) for found in shortest)
        assert row["betweenness"] == pytest.approx(between / len(shortest) if shortest else 0.0), seed
    seen = {n for n in names if n not in origins | destinations and any(slow_hub(trades, n, origins, destinations, concept)[:2])}
    assert set(table["hub_id"]) == seen
    assert all(a >= b for a, b in itertools.pairwise(table["throughput_max_usd"]))
    return len(table)


@pytest.mark.soak
def test_hubs_equal_brute_force(build, campaign):
    found = [check(seed, build) for seed in campaign(3_000)]
    assert sum(found) > len(found)


def test_undated_records_compare_with_no_year(build):
    rows = [("a.USA", "b.HKG", "8542", "..2022", 9.0), ("a.USA", "b.HKG", "8542", "2022", 4.0), ("b.HKG", "z.RUS", "8542", "2022", 5.0)]
    network = build(rows, level="firms", coverage=[("USA", "*", "*", "2022"), ("HKG", "*", "*", "2022")])
    row = hub(transit_hubs(network, origins=["USA"], destinations=["RUS"]), "b.HKG")
    assert row[["inflow_usd", "outflow_usd", "throughput_max_usd"]].tolist() == [4.0, 5.0, 4.0]


def test_the_year_taken_is_said_truly(countries):
    notes = transit_hubs(countries, origins=["USA"], destinations=["RUS"], concept="brand").attrs["notes"]
    assert "no period was given, and no year has both legs covered: 2025 is the last with trades" in notes


def test_origins_without_records_are_said(build):
    network = build([("a", "b.HKG", "8542", "2022", 9.0)], level="firms")
    notes = transit_hubs(network, origins=["USA"], destinations=["RUS"]).attrs["notes"]
    assert any(note.startswith("no record of the network begins at the origins") for note in notes)


def test_before_is_not_zero_where_it_is_told_by_the_year_only(build):
    """Now January to November by month; before one figure for the whole year, which tells nothing of eleven months."""
    rows = [("USA", "KAZ", "8542", "2021", 120.0), ("USA", "KAZ", "8542", "2022-01", 3.0), ("KAZ", "RUS", "8542", "2022", 1.0)]
    network = build(rows, coverage=[("USA", "*", "*", "2021", {"resolution": "year"}),
                                    ("USA", "*", "*", "2022-01/2022-11", {"resolution": "month"}), ("KAZ", "*", "*", "2022")])
    row = hub(transit_hubs(network, **ASK, since="2022", until="2022"), "KAZ")
    assert row["inflow_usd"] == 3.0
    assert pd.isna(row["inflow_before_usd"])
    assert pd.isna(row["inflow_change"])


@pytest.mark.parametrize(("products", "code"), [("drones", "8806"), ("880621", "880621")])
def test_goods_that_had_no_code_before_are_no_zero_then(build, products, code):
    rows = [(seller, buyer, told, year, 100.0, {"hs_version": version}) for seller, buyer in (("USA", "TUR"), ("TUR", "RUS"))
            for told, year, version in (("880211", "2021", "HS2017"), ("880621", "2022", "HS2022"))]
    network = build(rows, coverage=[("USA", "*", "*", "2021/2022"), ("TUR", "*", "*", "2021/2022")])
    asked = {"products": products, "concept": "dispatched", "since": "2022", "until": "2022", "against": "2021"}
    hubs = transit_hubs(network, origins=["USA"], destinations=["RUS"], **asked)
    row = hubs.set_index("hub_id").loc["TUR"]
    assert (row["inflow_usd"], row["inflow_coverage"]) == (100.0, "covered")
    assert row["inflow_before_coverage"] == f"partly: goods of {code} stood under other codes"
    assert row[["inflow_before_usd", "outflow_before_usd", "throughput_max_before_usd"]].isna().all()


@pytest.mark.parametrize(("products", "at_least"), [("chips", 25), ("8541", 15), (None, 25)])
def test_change_is_the_growth_that_surges_have(countries, products, at_least):
    """Two queries, two ways to compare codes: of the bundled countries they say the same."""
    period = {"since": "2022", "until": "2022", "products": products}
    hubs = transit_hubs(countries, origins=["USA"], destinations=["RUS"], **period).set_index("hub_id")
    grown = surge(countries, destinations=["RUS"], **period).set_index("hub_id")["exports_growth"].dropna()
    assert len(grown) > at_least
    assert_series_equal(hubs["outflow_change"].reindex(grown.index), grown.where(grown.gt(0)), check_names=False, rtol=1e-9)


@pytest.mark.parametrize(("complete", "products", "change"), [
    (True, None, 2.5), (False, None, 2.0), (True, ["854231", "854239"], 2.5), (False, ["854231", "854239"], 2.0), (True, "8542", 2.5),
    (False, "8542", 2.5), (False, "85", 2.5)])
def test_codes_of_one_period_count_as_zero_in_the_other_only_where_that_is_proven(build, complete, products, change):
    """854231 doubles from 10 to 20; 854239 comes new with 5: 25 of 10, or 20 of 10 where the 5 may have stood unsaid before."""
    network = build([("TUR", "RUS", "854231", "2021", 10.0), ("TUR", "RUS", "854231", "2022", 20.0), ("TUR", "RUS", "854239", "2022", 5.0)],
                    coverage=[("TUR", "*", "8542", "2021/2022", {"complete": complete})])
    row = transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched", products=products, since="2022", until="2022")
    assert row.set_index("hub_id").loc["TUR", "outflow_change"] == change


def test_wider_code_of_the_other_period_is_no_proof_of_a_zero(build):
    network = build([("TUR", "RUS", "8542", "2021", 10.0), ("TUR", "RUS", "854231", "2022", 20.0)],
                    coverage=[("TUR", "*", "8542", "2021/2022")])
    asked = {"concept": "dispatched", "products": "854231", "since": "2022", "until": "2022"}
    row = transit_hubs(network, origins=["USA"], destinations=["RUS"], **asked).set_index("hub_id").loc["TUR"]
    assert pd.isna(row["outflow_change"])
