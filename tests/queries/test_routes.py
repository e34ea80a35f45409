"""Routes against hand-worked cases and against a slow second implementation that tries every choice of records and days."""

import itertools
import math
import random

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.routes import supply_routes
from chiptrail.queries.timing import in_order, usable

CASE = {"case": "c"}


def paths(table):
    return table.drop_duplicates("route")["path"].tolist()


def test_neighbours_alone_do_not_decide(build):
    rows = [("a.USA", "b.HKG", "8542", "2022-01-10", 1.0), ("b.HKG", "c.TUR", "8542", "2022-01-01..2022-01-20", 1.0),
            ("c.TUR", "d.RUS", "8542", "2022-01-05", 1.0)]
    assert supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"]).empty
    assert usable([[(10, 10)], [(1, 20)], [(5, 5)]], None) == [[], [], []]


@pytest.mark.parametrize(
    ("first", "second", "time"),
    [("2022-01", "2022-02", "ordered"), ("2022-01-31", "2022-01-31", "ordered"), ("2022-01", "2022", "overlapping"),
     ("2022", "2022-01", "overlapping"), ("..2022-06", "2022-03", "undated"), ("2022-03", "..2022-06", "undated")],
)
def test_words_for_time(build, first, second, time):
    rows = [("a.USA", "b.HKG", "8542", first, 3.0), ("b.HKG", "d.RUS", "8542", second, 2.0)]
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"])
    assert table["time"].tolist() == [time, time]
    assert table["smallest_leg_usd"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(("first", "second"), [("2022-02", "2022-01"), ("2023", "2022"), ("2022-03", "..2022-01")])
def test_backwards_in_time_is_no_route(build, first, second):
    rows = [("a.USA", "b.HKG", "8542", first, 3.0), ("b.HKG", "d.RUS", "8542", second, 2.0)]
    assert supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"]).empty


def test_waits_within_the_bound(build):
    rows = [("a.USA", "b.HKG", "8542", "2022-01-01", 3.0), ("b.HKG", "d.RUS", "8542", "2022-03-01", 2.0)]
    network = build(rows, level="firms")
    ask = {"origins": ["a.USA"], "destinations": ["d.RUS"]}
    assert supply_routes(network, **ask, max_wait_days=59)["time"].tolist() == ["ordered", "ordered"]
    assert supply_routes(network, **ask, max_wait_days=58).empty


def test_a_leg_is_the_records_that_can_take_part(build):
    rows = [("a.USA", "b.HKG", "8542", "2022-03-01", 3.0), ("a.USA", "b.HKG", "8542", "2022-05-01", 4.0),
            ("b.HKG", "d.RUS", "8542", "2022-04-01", 2.0), ("b.HKG", "d.RUS", "8542", "2022-02-01", 50.0)]
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"])
    assert table["leg_usd"].tolist() == [3.0, 2.0]
    assert table["record_refs"].tolist() == ["hand.csv:2", "hand.csv:4"]


def test_products_join_along_the_whole_route(build):
    rows = [("a.USA", "b.HKG", "8542", "2022", 3.0), ("b.HKG", "c.TUR", "85", "2022", 3.0),
            ("c.TUR", "d.RUS", "8471", "2022", 2.0)]
    assert supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"]).empty
    rows[2] = ("c.TUR", "d.RUS", "854231", "2022", 2.0)
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"])
    assert table["joined_by"].unique().tolist() == ["HS 8542"]
    assert table["coarse"].all()


def test_unknown_goods_join_only_inside_their_case(build):
    rows = [("a.USA", "b.HKG", "", "2022", 3.0, CASE), ("b.HKG", "d.RUS", "8542", "2022", 2.0, CASE),
            ("b.HKG", "e.RUS", "8542", "2022", 2.0)]
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["RUS"])
    assert paths(table) == ["a.USA → b.HKG → d.RUS"]
    assert table["joined_by"].unique().tolist() == ["case c"]


def test_links_only_at_the_ends_and_within_their_case(build):
    rows = [("b.HKG", "d.RUS", "8542", "2022", 2.0, CASE)]
    links = [("brand", "m.USA", "b.HKG", CASE), ("makes_weapon", "d.RUS", "w:x", CASE), ("makes_weapon", "d.RUS", "w:y",
             {"case": "other"}), ("component_found", "m.USA", "w:x"), ("brand", "z.USA", "m.USA", CASE)]
    network = build(rows, level="firms", links=links)
    table = supply_routes(network, origins=["USA"], destinations=["w:x", "w:y"])
    assert paths(table) == ["m.USA → b.HKG → d.RUS → w:x"]
    assert table["kind"].tolist() == ["brand", "trade", "makes_weapon"]
    assert table["concept"].unique().tolist() == ["brand"]
    assert supply_routes(network, origins=["USA"], destinations=["w:x"], concept="dispatched").empty


def test_a_weapon_follows_a_trade_and_never_a_brand_alone(build):
    rows = [("m.USA", "b.HKG", "8542", "2022-01", 2.0), ("b.HKG", "d.RUS", "8542", "2022-02", 3.0)]
    network = build(rows, level="firms", links=[("brand", "m.USA", "b.HKG"), ("makes_weapon", "b.HKG", "w:x")])
    table = supply_routes(network, origins=["USA"], destinations=["d.RUS", "w:x"])
    kinds = {"→".join(leg["kind"]) for _, leg in table.groupby("route")}
    assert kinds == {"brand→trade", "trade→trade", "trade→makes_weapon"}


def test_customs_origin_can_only_begin_a_route(build):
    by_origin = {"flow": "import", "partner_concept": "origin"}
    rows = [("USA", "CHN", "8542", "2022", 9.0, by_origin), ("CHN", "KAZ", "8542", "2022", 8.0, by_origin),
            ("KAZ", "RUS", "8542", "2022", 5.0), ("USA", "KAZ", "8542", "2022", 4.0, by_origin)]
    table = supply_routes(build(rows), origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    assert paths(table) == ["USA → KAZ → RUS"]
    assert table["smallest_leg_usd"].iloc[0] == 4.0


def test_value_unknown_if_a_leg_is(build):
    rows = [("a.USA", "b.HKG", "8542", "2022", None), ("b.HKG", "d.RUS", "8542", "2022", 2.0),
            ("a.USA", "c.TUR", "8542", "2022", 1.0), ("c.TUR", "d.RUS", "8542", "2022", 2.0)]
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"])
    assert paths(table) == ["a.USA → c.TUR → d.RUS", "a.USA → b.HKG → d.RUS"]
    assert table.drop_duplicates("route")["smallest_leg_usd"].isna().tolist() == [False, True]


def test_weakest_basis_is_the_routes(build):
    rows = [("a.USA", "b.HKG", "8542", "2022", 1.0, {"basis": "alleged"}), ("b.HKG", "d.RUS", "8542", "2022", 2.0)]
    table = supply_routes(build(rows, level="firms"), origins=["a.USA"], destinations=["d.RUS"])
    assert table["basis"].tolist() == ["alleged", "recorded"]
    assert table["route_basis"].unique().tolist() == ["alleged"]


def test_more_than_four_digits_need_one_version(build):
    rows = [("USA", "KAZ", "854231", "2022", 1.0, {"hs_version": "HS2022"}), ("KAZ", "RUS", "854231", "2022", 1.0)]
    with pytest.raises(NotComparableError, match="HS2017 and HS2022"):
        supply_routes(build(rows), origins=["USA"], destinations=["RUS"], concept="dispatched", since="2022", same_digits=6)


def test_unknown_order(build):
    with pytest.raises(UnknownNameError, match="did you mean 'hops'"):
        supply_routes(build([("USA", "RUS", "8542", "2022", 1.0)]), origins=["USA"], destinations=["RUS"], by="hop")


# --- every choice, tried one by one ---------------------------------------------------------------------------------------

DAYS = range(-3, 64)
ZERO = pd.Timestamp("2022-01-01")


def random_world(seed):
    rng = random.Random(seed)
    firms = rng.random() < 0.6
    names = ["a.USA", "b.USA", "c.HKG", "d.TUR", "e.KAZ", "f.RUS", "g.RUS"] if firms else ["USA", "DEU", "HKG", "TUR", "RUS"]
    periods = ["2022", "2022-01", "2022-02", "2022-01-05", "2022-01-20", "2022-02-10", "2022-02-20", "2022-01-10..2022-02-05"]
    if firms:
        periods += ["..2022-01-15", "..2022-02", "", "2022-01-25.."]
    codes = ["854231", "854232", "8542", "8541", "85", "8541+8542"] + (["", "847150"] if firms else [])
    rows = []
    for _ in range(rng.randint(4, 13)):
        seller, buyer = rng.sample(names, 2)
        more = {"case": rng.choice(["", "", "c1", "c2"])} if firms else {}
        if not firms and rng.random() < 0.3:
            more = {"flow": "import", "partner_concept": "origin", "reported_by": "X"}
        rows.append((seller, buyer, rng.choice(codes), rng.choice(periods), rng.choice([None, 1.0, 2.0, 3.0, 5.0, 8.0]), more))
    links = []
    if firms and rng.random() < 0.6:
        links = [("brand", "a.USA", rng.choice(names[1:5]), {"case": rng.choice(["", "c1"])}),
                 ("makes_weapon", rng.choice(names[2:]), "w:x", {"case": rng.choice(["", "c1", "c2"])})]
    return firms, rows, links, rng.choice([None, None, 3, 20])


def days_of(row):
    first = -math.inf if pd.isna(row["period_start"]) else (row["period_start"] - ZERO).days
    last = math.inf if pd.isna(row["period_end"]) else (row["period_end"] - ZERO).days
    return {day for day in DAYS if first <= day <= last}


def joins(row, key):
    kind, name = key
    if kind == "case":
        return row["case"] == name
    codes = [c for c in (row["hs_code"] or row["product_set"]).split("+") if c]
    return any(c[:4] == name or (len(c) < len(name) and name.startswith(c)) for c in codes)


def feasible(choice, wait):
    """Whether one moment can be chosen for each record of the choice, by trying the days."""
    reached = days_of(choice[0])
    for row in choice[1:]:
        reached = {t for t in days_of(row) if any(s <= t and (wait is None or t - s <= wait) for s in reached)}
    return bool(reached)


def slow_routes(network, origins, destinations, *, firms, wait, max_hops, concept):
    trades = network.trades.to_dict("records")
    for row in trades:
        row["concept"] = "origin" if row["partner_concept"] == "origin" else "dispatched"
    links = [row for row in network.links.to_dict("records") if row["kind"] != "component_found"]
    legs = {}
    for row in trades:
        legs.setdefault((row["seller_id"], row["buyer_id"], row["concept"]), []).append(row)
    for row in links:
        legs.setdefault((row["from_id"], row["to_id"], row["kind"]), []).append(row)
    keys = {("case", r["case"]) for r in trades if r["case"]}
    keys |= {("HS", c[:4]) for r in trades for c in (r["hs_code"] or r["product_set"]).split("+") if c}
    found = {}
    names = sorted(network.actors["actor_id"])
    for size in range(2, max_hops + 2):
        for nodes in itertools.permutations(names, size):
            inner = set(nodes[1:-1])
            if nodes[0] not in origins or nodes[-1] not in destinations:
                continue
            if not firms and inner & (origins | destinations):
                continue
            options = [[k for k in ("dispatched", "origin", "brand", "makes_weapon") if (a, b, k) in legs]
                       for a, b in itertools.pairwise(nodes)]
            for kinds in itertools.product(*options):
                first_ok = kinds[0] == concept if concept else kinds[0] in ("dispatched", "brand")
                if not first_ok or any(k in ("origin", "brand") for k in kinds[1:]) or "makes_weapon" in kinds[:-1]:
                    continue
                records = [legs[a, b, k] for (a, b), k in zip(itertools.pairwise(nodes), kinds, strict=True)]
                for key in keys:
                    route = slow_route(kinds, records, key, wait)
                    if route:
                        found[nodes, kinds, key] = route
    return drop_shorter(found) if firms else found


def slow_route(kinds, records, key, wait):
    trade_legs = [i for i, kind in enumerate(kinds) if kind in ("dispatched", "origin")]
    if not trade_legs:
        return None
    matching = [[r for r in records[i] if joins(r, key)] for i in trade_legs]
    for dated_only in (True, False):
        legs = [[r for r in leg if not dated_only or not pd.isna(r["period_start"])] for leg in matching]
        good = [set() for _ in legs]
        for choice in itertools.product(*legs):
            if feasible(choice, wait):
                for place, row in enumerate(choice):
                    good[place].add(row["trade_id"])
        if all(good):
            break
    else:
        return None
    chosen = [[r for r in leg if r["trade_id"] in ids] for leg, ids in zip(legs, good, strict=True)]
    for place, leg in ((0, chosen[0]), (-1, chosen[-1])):
        if kinds[place] in ("brand", "makes_weapon"):
            cases = {r["case"] for r in leg} | {""}
            if not any(r["case"] in cases for r in records[place]):
                return None
    values = [sum(r["value_usd"] for r in leg) for leg in chosen]
    if not dated_only:
        time = "undated"
    else:
        ordered = all(max(days_of(a) or [99]) <= min(days_of(b)) and not pd.isna(a["period_end"])
                      for x, y in itertools.pairwise(chosen) for a in x for b in y)
        time = "ordered" if ordered else "overlapping"
    ids = iter(tuple(sorted(r["trade_id"] for r in leg)) for leg in chosen)
    return {"time": time, "value": math.nan if any(map(math.isnan, values)) else min(values),
            "records": tuple(next(ids) if kind in ("dispatched", "origin") else ("link",) for kind in kinds)}


def drop_shorter(found):
    def within(short, long):
        (nodes, kinds, _), (longer, longer_kinds, _) = short, long
        for cut in (slice(1, None), slice(None, -1)):
            if longer[cut] == nodes and longer_kinds[cut] == kinds:
                return all(set(a) <= set(b) for a, b in zip(found[short]["records"], found[long]["records"][cut], strict=True))
        return False

    return {route: what for route, what in found.items()
            if not any(len(other[0]) == len(route[0]) + 1 and within(route, other) for other in found)}


def distinct(found):
    """One route for each path and set of records, by its first key: HS codes before cases."""
    result = {}
    for nodes, kinds, key in sorted(found, key=lambda route: (route[2][0] == "case", route[2])):
        what = found[nodes, kinds, key]
        result.setdefault((nodes, kinds, what["records"]), (key, what))
    return result


def check(seed, build):
    firms, rows, links, wait = random_world(seed)
    network = build(rows, level="firms" if firms else "countries", links=links)
    concept = None if firms else random.Random(seed).choice(["origin", "dispatched"])
    aside = network.flows()["n_left_aside"].sum()
    if aside:  # which telling counts is tested elsewhere; here every record shall count
        return 0
    origins = {"a.USA", "b.USA"} if firms else {"USA"}
    destinations = {"f.RUS", "g.RUS", "w:x"} if firms else {"RUS"}
    slow = distinct(slow_routes(network, origins & set(network.actors["actor_id"]), destinations, firms=firms, wait=wait,
                                max_hops=4, concept=concept))
    ask = {"origins": sorted(origins & set(network.actors["actor_id"])) or ["USA"], "concept": concept,
           "destinations": sorted(destinations & set(network.actors["actor_id"])) or ["RUS"], "max_wait_days": wait}
    if not firms:
        ask |= {"since": "2021", "until": "2023"}
    expected = sorted((nodes, " ".join(key), what["time"], str(what["value"])) for (nodes, _, _), (key, what) in slow.items())
    for order in {"smallest_leg", ("hops", "arrival")[seed % 2]}:
        table = supply_routes(network, **ask, k=10_000, by=order)
        got = sorted(
            ((*leg["seller_id"], leg["buyer_id"].iloc[-1]), leg["joined_by"].iloc[0], leg["time"].iloc[0],
             str(leg["smallest_leg_usd"].iloc[0]))
            for _, leg in table.groupby("route"))
        assert got == expected, (seed, order)
        best = supply_routes(network, **ask, k=2, by=order)
        pd.testing.assert_frame_equal(best, table[table["route"].le(2)], check_dtype=True)
        first = table.drop_duplicates("route")
        if order == "smallest_leg":
            assert first["smallest_leg_usd"].fillna(-1).is_monotonic_decreasing
        if order == "hops":
            assert first["n_legs"].is_monotonic_increasing
        if order == "arrival":
            assert first["arrival"].fillna(pd.Timestamp("2200-01-01").as_unit("us")).is_monotonic_increasing
    return len(expected)


@pytest.mark.soak
def test_routes_equal_brute_force(build, campaign):
    found = [check(seed, build) for seed in campaign(4_000)]
    assert sum(n > 0 for n in found) > len(found) // 4, "too few worlds with a route to mean anything"


def test_time_order_equals_brute_force():
    rng = random.Random(7)
    for _ in range(500):
        legs = [[tuple(sorted(rng.choices(range(12), k=2))) for _ in range(rng.randint(1, 3))] for _ in range(rng.randint(1, 4))]
        wait = rng.choice([None, 0, 2, 5])
        choices = [c for c in itertools.product(*[sorted({d for s, e in leg for d in range(s, e + 1)}) for leg in legs])
                   if all(a <= b and (wait is None or b - a <= wait) for a, b in itertools.pairwise(c))]
        expected = [sorted({c[i] for c in choices}) for i in range(len(legs))]
        assert [sorted(d for s, e in moments for d in range(s, e + 1)) for moments in usable(legs, wait)] == expected
        every = all(a <= b for x, y in itertools.pairwise(legs) for _, a in x for b, _ in y)
        assert in_order(legs) == every


@pytest.mark.parametrize("unfit", ["Unnamed firm", "carrier.HKG"])
def test_many_parties_tie_nobody_outside_a_case(build, unfit):
    """By goods such an actor only begins or ends a route; within one documented case it may stand between."""
    rows = [("a.USA", unfit, "8542", "2022-01", 3.0), (unfit, "d.RUS", "8542", "2022-02", 2.0)]

    def routes(*rows, origin="a.USA", end="d.RUS", **more):
        network = build(rows, level="firms", **more)
        actors = network.actors.assign(role=network.actors["role"].mask(network.actors["actor_id"].eq("carrier.HKG"), "logistics"))
        network = TradeNetwork(level="firms", actors=actors, trades=network.trades, links=network.links, sources=network.sources)
        return supply_routes(network, origins=[origin], destinations=[end])

    assert routes(*rows).empty
    assert paths(routes(*rows, origin=unfit)) == [f"{unfit} → d.RUS"]
    assert paths(routes(*rows, end=unfit)) == [f"a.USA → {unfit}"]
    found = routes(*[(*row, CASE) for row in rows])
    assert paths(found) == [f"a.USA → {unfit} → d.RUS"]
    assert set(found["joined_by"]) == {"case c"}
    assert routes((*rows[0], CASE), (*rows[1], {"case": "other"})).empty
    assert routes(rows[1], origin="m.USA", links=[("brand", "m.USA", unfit)]).empty
    assert routes(rows[0], end="w:drone", links=[("makes_weapon", unfit, "w:drone")]).empty
    both = routes(*rows, ("d.RUS", "e.RUS", "8542", "2022-03", 1.0), origin=unfit, end="RUS")
    assert paths(both) == [f"{unfit} → d.RUS → e.RUS"]
