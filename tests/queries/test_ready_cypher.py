"""The ready Cypher queries: what they declare, that they run and write nothing, and that they answer as the tables and Python do."""

import io
import random
import re
import zipfile

import pandas as pd
import pytest

from chiptrail.exporters.neo4j import clear_neo4j, push_neo4j
from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.bundled import load_bundled
from chiptrail.queries.hubs import transit_hubs
from chiptrail.queries.ready_cypher import GRAPH, favourites, favourites_page, favourites_zip, parameters, ready_queries, ready_query
from chiptrail.queries.routes import supply_routes

QUERIES = [pytest.param(query, id=query.name) for query in ready_queries()]
BUNDLED = {"q-test-firms": "firms", "q-test-countries": "countries"}
EMPTY = {("listed_trade", "countries"), ("newcomers", "countries"), ("reaches_weapon", "countries")}
HOSTILE = ["'}) DETACH DELETE n //", "$rows", "`) MATCH (n) DETACH DELETE n //", "\\u0027}) DETACH DELETE n //", "x\ny\u2028z"]
ORIGIN = {"flow": "import", "partner_concept": "origin"}


@pytest.fixture(scope="module")
def database(neo4j_server):
    """A database with both bundled networks, which are cleared at the end."""
    with Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as opened:
        for network_id, name in BUNDLED.items():
            push_neo4j(load_bundled(name), opened, network_id=network_id)
        yield opened
        for network_id in BUNDLED:
            clear_neo4j(opened, network_id)


@pytest.fixture
def ask(database):
    """A function that gives a query's table for a bundled network, or for another one that is pushed for the moment."""

    def asked(name, network, **values):
        query = ready_query(name)
        given = {name: default for name, (default, _) in query.parameters.items()} | {"limit": 10_000} | values
        given = {name: value for name, value in given.items() if name in query.parameters}
        network_id = next((i for i, known in BUNDLED.items() if known == network), "q-test-small")
        if network_id == "q-test-small":
            push_neo4j(network, database, network_id=network_id)
        try:
            return pd.DataFrame(database.run(query.text, network_id=network_id, **given)).drop(columns=GRAPH, errors="ignore")
        finally:
            clear_neo4j(database, "q-test-small")

    return asked


@pytest.mark.parametrize("query", QUERIES)
def test_a_file_says_what_it_answers_and_declares_what_it_uses(query):
    assert query.answers.split("Caution:")[0].count("?") == 1
    assert "Caution: " in query.answers
    code = re.sub(r"(?m)^\s*//.*$", "", query.text)
    assert set(re.findall(r"\$(\w+)", code)) == {"network_id", *query.parameters}
    assert query.text.count("// :param ") == 1 + len(query.parameters)
    assert all(len(line) <= 140 for line in query.text.splitlines())
    assert ";" not in query.text  # Browser would take what follows for another command
    assert not re.search(r"\b(apoc|gds|MERGE|CREATE|SET|DELETE|REMOVE|DROP|LOAD|FOREACH)\b", code, re.IGNORECASE)


def test_a_parameter_is_the_same_in_all_files():
    found = {}
    for query in ready_queries():
        for name, (default, _) in query.parameters.items():
            assert found.setdefault(name, default) == default
        assert query.name == "overview" or query.parameters["limit"][0] == 100


@pytest.mark.parametrize("network", BUNDLED.values())
@pytest.mark.parametrize("query", QUERIES)
def test_every_query_runs_and_only_reads(database, ask, query, network):
    assert (len(ask(query.name, network)) == 0) == ((query.name, network) in EMPTY)
    given = {"network_id": "q-test-firms"} | {name: default for name, (default, _) in query.parameters.items()}
    summary = database._driver.execute_query(f"EXPLAIN {query.text}", given).summary
    assert summary.query_type == "r"


@pytest.mark.parametrize("query", QUERIES)
def test_hostile_values_are_only_values(database, query):
    def held():
        return database.run("MATCH (n:Chiptrail) WITH count(*) AS n MATCH ()-[r]->() RETURN n, count(*) AS r")

    before = held()
    asked = {"origins", "destinations", "products", "concept", "weapon", "actor", "seller", "buyer"} & {*query.parameters}
    for value in HOSTILE:
        given = {name: default for name, (default, _) in query.parameters.items()}
        given |= {name: [value] if isinstance(given[name], list) else value for name in asked}
        rows = database.run(query.text, network_id="q-test-firms", **given)
        assert not (rows and asked)
        assert database.run(query.text, network_id=value, **given) == []
    assert held() == before


@pytest.mark.parametrize("query", QUERIES)
def test_another_network_is_not_seen(ask, build, query):
    table = ask(query.name, build([("x.ABW", "y.AIA", "8542", "2022", 1.0)], level="firms"))
    assert table.empty or query.name in {"overview", "newcomers"}
    if query.name == "newcomers":
        assert table.empty or set(table["actor_id"]) <= {"x.ABW", "y.AIA"}


def test_texts_become_parameters():
    routes = ready_query("routes")
    asked = parameters(routes, ["origins=USA, KAZ", "hops=4", "since=2022-02", "until=2022-02", 'products=["8542"]', "concept=brand"])
    assert asked == {"origins": ["USA", "KAZ"], "destinations": ["RUS"], "concept": "brand", "products": ["8542"],
                     "since": "2022-02-01", "until": "2022-02-28", "hops": 4, "limit": 100}
    assert parameters(routes, ["since=", "products="]) == parameters(routes)
    assert parameters(ready_query("evidence"), ["seller=A=B, C"])["seller"] == "A=B, C"
    assert parameters(routes, ['origins=["Parts, Inc."]'])["origins"] == ["Parts, Inc."]


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [("orgins=USA", UnknownNameError, "'origins'"), ("network_id=x", UnknownNameError, "it has origins"),
     ("origins", InputError, "name=value"), ("hops=6", InputError, "from 1 to 5"), ("hops=two", InputError, "whole number"),
     ("limit=-1", InputError, "whole number"),
     ("since=22", InputError, "no period"), ("origins=[1]", InputError, "JSON"), ("origins=[", InputError, "JSON"),
     ("concept=dispached", UnknownNameError, "'dispatched'")],
)
def test_bad_texts_are_refused(given, error, told):
    with pytest.raises(error, match=re.escape(told)):
        parameters(ready_query("routes"), [given])


def test_more_bad_texts():
    with pytest.raises(InputError, match="twice"):
        parameters(ready_query("hubs"), ["origins=USA", "origins=KAZ"])
    with pytest.raises(InputError, match="ends before"):
        parameters(ready_query("hubs"), ["since=2023", "until=2022"])
    with pytest.raises(InputError, match="needs a value"):
        parameters(ready_query("evidence"), ["seller="])
    with pytest.raises(UnknownNameError, match="choose one of dispatched, origin"):
        parameters(ready_query("hubs"), ["concept=brand"])
    with pytest.raises(UnknownNameError, match="'hubs'"):
        ready_query("hub")


def test_favourites_hold_every_query_and_one_command_for_all_parameters():
    page = favourites_page("mine'}) $x => ; //")
    texts = favourites("mine'}) $x => ; //")
    assert list(texts) == ["parameters", *(query.name for query in ready_queries())]
    assert page == "\n\n\n".join(texts.values()) + "\n"
    assert all(text.startswith("// ") for text in texts.values())
    assert all(query.text.strip() in page for query in ready_queries())
    command = texts["parameters"].split("\n", 1)[1]
    assert not re.search(r"[$;]|=>|//", command)
    names = re.findall(r"(?m)^  (\w+): ", command)
    assert set(names) == {"network_id", *(name for query in ready_queries() for name in query.parameters)}
    with zipfile.ZipFile(io.BytesIO(favourites_zip("mine"))) as packed:
        assert {name: packed.read(name).decode() for name in packed.namelist()} == {
            f"chiptrail/{name}.cypher": text for name, text in favourites("mine").items()}
    assert favourites_zip() == favourites_zip()


def hubs_of_python(network, **question):
    """Hubs with records on both legs, as transit_hubs finds them."""
    table = transit_hubs(network, origins=["USA"], destinations=["RUS"], **question)
    return table[table["n_suppliers"].gt(0) & table["n_customers"].gt(0)].set_index("hub_id").sort_index()


def same_numbers(one, other):
    pd.testing.assert_frame_equal(one.astype("float64"), other.astype("float64"), check_names=False, rtol=1e-9)


@pytest.mark.parametrize("concept", ["origin", "dispatched"])
@pytest.mark.parametrize("year", range(2019, 2025))
def test_hubs_of_countries_as_in_python(ask, year, concept):
    expected = hubs_of_python(load_bundled("countries"), since=str(year), until=str(year), concept=concept)
    got = ask("hubs", "countries", since=f"{year}-01-01", until=f"{year}-12-31", concept=concept)
    got = got.set_index("hub_id").sort_index() if len(got) else expected[:0]
    assert list(got.index) == list(expected.index)
    same_numbers(got[["inflow_usd", "outflow_usd"]], expected[["inflow_usd", "outflow_usd"]])
    ranked = expected.index[expected["status"].eq("ranked")]
    same_numbers(got.loc[ranked, ["throughput_max_usd"]], expected.loc[ranked, ["throughput_max_usd"]])
    if concept == "origin" and year in (2021, 2022):
        assert len(ranked) >= 3


@pytest.mark.parametrize("concept", ["origin", "dispatched"])
def test_hubs_of_firms_as_in_python(ask, concept):
    expected = hubs_of_python(load_bundled("firms"), concept=concept)
    got = ask("hubs", "firms", concept=concept)
    got = got.set_index("hub_id").sort_index() if len(got) else expected[:0]
    assert list(got.index) == list(expected.index)
    same_numbers(got[["inflow_usd", "outflow_usd"]], expected[["inflow_usd", "outflow_usd"]])
    assert len(got) > 3 or concept == "origin"


def hub_world(seed):
    rng = random.Random(seed)
    names = ["USA", "KAZ", "TUR", "CHN", "RUS"]
    pairs = [(a, b) for a in names for b in names if a != b]
    codes = ["8541", "8542", "8471", "854231", "8541+8542", "85"]
    return [(seller, buyer, code, rng.choice(["2022", "2022-03", "2021"]), rng.choice([None, 1.0, 2.5, 4.0, 1e9]),
             (ORIGIN | {"reported_by": buyer}) if rng.random() < 0.3 else {})
            for seller, buyer in pairs for code in rng.sample(codes, rng.randint(0, 3))]


@pytest.mark.parametrize("seed", range(5))
def test_hubs_of_small_networks_as_in_python(ask, build, seed):
    network = build(hub_world(seed), coverage=[(c, "*", "*", "2021/2022") for c in ("USA", "KAZ", "TUR", "CHN")])
    question = {"concept": "dispatched", "since": "2022", "until": "2022"}
    if counted_once(network)["left_aside"].ne("").any():
        network = TradeNetwork(level="countries", actors=network.actors, coverage=network.coverage, sources=network.sources,
                               trades=network.trades[counted_once(network)["left_aside"].eq("").to_numpy()])
    expected = hubs_of_python(network, **question)
    got = ask("hubs", network, concept="dispatched", since="2022-01-01", until="2022-12-31")
    got = got.set_index("hub_id").sort_index() if len(got) else expected[:0]
    assert list(got.index) == list(expected.index)
    columns = ["inflow_usd", "outflow_usd", "throughput_max_usd"]
    same_numbers(got[columns], expected[columns])


def routes_of_python(table):
    """One tuple per route: actors, key, time, value, arrival and the records of each leg."""
    found = []
    for _, legs in table.groupby("route", sort=True):
        first = legs.iloc[0]
        found.append(((*legs["seller_id"], legs["buyer_id"].iloc[-1]), first["joined_by"], first["time"],
                      rounded(first["smallest_leg_usd"]), "" if pd.isna(first["arrival"]) else str(first["arrival"].date()),
                      tuple(tuple(sorted(refs.split("; "))) for refs in legs["record_refs"])))
    return found


def routes_of_cypher(table):
    return [(tuple(row["actor_ids"]), row["joined_by"], row["time"], rounded(row["smallest_leg_usd"]), str(row["arrival"] or ""),
             tuple(tuple(sorted(refs)) for refs in row["record_refs"])) for row in table.to_dict("records")]


def rounded(value):
    return "" if value is None or pd.isna(value) else f"{value:.9g}"


@pytest.mark.parametrize("hops", [1, 2, 3, 4, 5])
def test_routes_of_bundled_firms_as_in_python(ask, hops):
    expected = routes_of_python(supply_routes(load_bundled("firms"), origins=["USA"], destinations=["RUS"], k=10_000, max_hops=hops))
    assert routes_of_cypher(ask("routes", "firms", hops=hops)) == expected
    assert len(expected) > (20 if hops > 1 else 0)


@pytest.mark.parametrize("concept", ["brand", "dispatched"])
def test_routes_to_a_weapon_as_in_python(ask, concept):
    question = {"origins": ["USA", "CHN", "HKG"], "destinations": ["Orlan-10"], "concept": concept}
    expected = routes_of_python(supply_routes(load_bundled("firms"), k=10_000, **question))
    assert routes_of_cypher(ask("routes", "firms", hops=4, **question)) == expected


@pytest.mark.parametrize(("origin", "concept"), [("USA", "origin"), ("TWN", "dispatched")])
def test_routes_of_countries_as_in_python(ask, origin, concept):
    question = {"origins": [origin], "destinations": ["RUS"], "concept": concept}
    expected = routes_of_python(supply_routes(load_bundled("countries"), k=10_000, max_hops=3, since="2022", until="2022", **question))
    got = routes_of_cypher(ask("routes", "countries", hops=3, since="2022-01-01", until="2022-12-31", **question))
    assert sorted(got) == sorted(expected)
    assert expected


def route_world(seed):
    """Trades, links and level of a small network; firms with cases, undated records, a placeholder and links, countries without."""
    rng = random.Random(seed)
    firms = rng.random() < 0.7
    names = ["a.USA", "b.USA", "c.HKG", "d.TUR", "e.KAZ", "Unnamed firms", "f.RUS", "g.RUS"] if firms else [
        "USA", "HKG", "TUR", "KAZ", "DEU", "RUS"]
    periods = ["2022", "2022-01", "2022-02", "2022-01-05", "2022-01-20", "2022-02-10", "2022-01-10..2022-02-05"]
    periods += ["..2022-01-15", "", "2022-01-25.."] if firms else []
    codes = ["854231", "854232", "8542", "8541", "85", "8541+8542", "847150"] + ([""] if firms else [])
    rows = []
    for _ in range(rng.randint(6, 16)):
        seller, buyer = rng.sample(names, 2)
        more = {"case": rng.choice(["", "", "c1", "c2"])} if firms else {}
        if rng.random() < 0.3 and not firms:
            more = ORIGIN | {"reported_by": buyer}
        rows.append((seller, buyer, rng.choice(codes), rng.choice(periods), rng.choice([None, 1.0, 2.0, 3.0, 5.0, 8.0]), more))
    links = [("brand", "a.USA", rng.choice(names[1:5]), {"case": rng.choice(["", "c1"])}),
             ("brand", "a.USA", "c.HKG", {"case": "c2"}),
             ("makes_weapon", rng.choice(names[2:]), "w:x", {"case": rng.choice(["", "c1", "c2"])})] if firms else []
    return rows, links, "firms" if firms else "countries"


def compare_routes(seed, ask, build):
    rows, links, level = route_world(seed)
    network = build(rows, level=level, links=links)
    aside = counted_once(network)["left_aside"].ne("").to_numpy()
    if aside.any():  # inside a window Python decides anew which telling counts, the graph holds one decision for all
        network = TradeNetwork(level=level, actors=network.actors, links=network.links, sources=network.sources,
                               trades=network.trades[~aside])
    ids, rng = set(network.actors["actor_id"]), random.Random(-seed)
    question = {"origins": sorted({"a.USA", "b.USA", "USA"} & ids) or ["USA"],
                "destinations": sorted({"f.RUS", "g.RUS", "w:x", "RUS"} & ids) or ["RUS"],
                "concept": rng.choice([None, None, "brand", "dispatched"] if level == "firms" else [None, "origin", "dispatched"])}
    windows = [{"since": "2022-01-15"}, {"until": "2022-02-01"}, {"since": "2022-01-01", "until": "2022-12-31"}]
    window = rng.choice(windows + ([{}, {}, {}] if level == "firms" else []))
    hops = rng.randint(2, 5)
    expected = routes_of_python(supply_routes(network, k=10_000, max_hops=hops, **question, **window))
    assert routes_of_cypher(ask("routes", network, hops=hops, **question, **window)) == expected, seed
    return len(expected)


@pytest.mark.soak
def test_routes_of_random_networks_as_in_python(ask, build, campaign):
    found = [compare_routes(seed, ask, build) for seed in campaign(400)]
    assert sum(n > 0 for n in found) > len(found) // 4
    assert max(found) > 1


def trades_with_ends(name):
    """Counted trades of a bundled network with countries and names of both ends."""
    network = load_bundled(name)
    actors = network.actors.set_index("actor_id")
    trades = plain(counted_once(network))
    for side in ("seller", "buyer"):
        trades[f"{side}_country"] = trades[f"{side}_id"].map(actors["country"])
        trades[side] = trades[f"{side}_id"].map(actors["name"])
    return network, trades


@pytest.mark.parametrize("name", BUNDLED.values())
def test_evidence_is_every_record_between_two(ask, name):
    network, trades = trades_with_ends(name)
    expected = trades[trades["seller_country"].eq("HKG") & trades["buyer_country"].eq("RUS")].set_index("trade_id").sort_index()
    got = ask("evidence", name).set_index("trade_id").sort_index()
    assert list(got.index) == list(expected.index)
    assert got["record_ref"].tolist() == expected["record_ref"].tolist()
    assert got["left_aside"].fillna("").tolist() == expected["left_aside"].tolist()
    assert got["basis"].tolist() == expected["basis"].tolist()
    sources = network.sources.set_index("source_id")
    assert got["source"].tolist() == expected["source_id"].map(sources["title"]).tolist()
    assert got["url"].fillna("").tolist() == expected["source_id"].map(sources["url"]).tolist()
    same_numbers(got[["value_usd"]], expected[["value_usd"]])


def test_evidence_shows_what_is_left_aside(ask, small_countries):
    got = ask("evidence", small_countries, seller="USA", buyer="KAZ")
    assert len(got) == 4
    assert got["left_aside"].notna().sum() == 1


def test_newcomers_are_the_firms_first_seen_since(ask):
    network, trades = trades_with_ends("firms")
    sides = pd.concat([trades.assign(actor_id=trades[side]) for side in ("seller_id", "buyer_id")])
    sides["day"] = sides["period_start"].fillna(sides["period_end"])
    seen = sides.groupby("actor_id").agg(day=("day", "min"), n=("trade_id", "nunique"), dated=("period_start", lambda d: d.notna().all()))
    companies = network.actors.loc[network.actors["kind"].eq("company"), "actor_id"]
    expected = seen[seen.index.isin(companies) & seen["day"].ge("2022-02-24")].sort_index()
    got = ask("newcomers", "firms").set_index("actor_id").sort_index()
    assert list(got.index) == list(expected.index)
    assert [str(day) for day in got["first_seen"]] == [str(day.date()) for day in expected["day"]]
    assert got["certain"].tolist() == expected["dated"].tolist()
    assert got["n_records"].tolist() == expected["n"].tolist()
    assert 0 < got["certain"].sum() < len(got)


def test_newcomers_add_no_flow_twice(ask, build):
    told = {"reported_by": "RUS", "flow": "import", "partner_concept": "origin"}
    network = build([("a.KAZ", "b.RUS", "8542", "2022-05", 10.0), ("a.KAZ", "b.RUS", "8542", "2022-05", 12.0, told)], level="firms")
    assert ask("newcomers", network)[["firm", "dispatched_usd"]].values.tolist() == [["a.KAZ", 10.0], ["b.RUS", 10.0]]


def test_listed_trade_tells_before_from_after(ask):
    network, trades = trades_with_ends("firms")
    trades = trades[trades["left_aside"].eq("")]
    expected = []
    for entry in network.listings.to_dict("records"):
        for trade in trades.to_dict("records"):
            for side, other in (("seller_id", "buyer_id"), ("buyer_id", "seller_id")):
                if trade[side] == entry["actor_id"]:
                    start, end, day = trade["period_start"], trade["period_end"], entry["listed_from"]
                    timing = ("listed before the trade" if day < start else "listed after the trade" if day > end
                              else "listed in the time of the trade" if start <= day <= end else "not known")
                    expected.append((entry["actor_id"], entry["list_name"], trade[other], trade["record_ref"], timing))
    got = ask("listed_trade", "firms")
    columns = ["listed_id", "list_name", "other_id", "record_ref", "timing"]
    assert sorted(got[columns].itertuples(index=False, name=None)) == sorted(expected)
    assert got["timing"].nunique() == 4


def test_a_listing_that_ended(ask, build):
    network = build([("a.HKG", "b.RUS", "8542", "2022-05", 1.0)], level="firms")
    listings = pd.DataFrame([{"actor_id": "a.HKG", "list_name": "L", "listed_from": pd.Timestamp("2020-01-01"), "citation": "c",
                              "listed_to": pd.Timestamp("2021-01-01"), "source_id": "s", "record_ref": "l:2"}])
    network = TradeNetwork(level="firms", actors=network.actors, trades=network.trades, sources=network.sources, listings=listings)
    assert ask("listed_trade", network)["timing"].tolist() == ["listing ended before the trade"]


def test_reaches_weapon_finds_parts_makers_and_what_they_are_sent(ask):
    network, trades = trades_with_ends("firms")
    actors = network.actors.set_index("actor_id")
    weapons = set(actors.index[actors["kind"].eq("weapon") & actors["name"].str.lower().str.contains("orlan-10", regex=False)])
    links = network.links[network.links["to_id"].isin(weapons)]
    got = ask("reaches_weapon", "firms")
    counts = got["relation"].value_counts()
    assert counts["part found"] == links["kind"].eq("component_found").sum()
    makers = links[links["kind"].eq("makes_weapon")]
    assert counts["makes the weapon"] == len(makers)
    pairs = makers.drop_duplicates(["from_id", "to_id"])
    assert counts["sent to a maker"] == sum(
        (trades["buyer_id"].eq(maker) & trades["left_aside"].eq("")).sum() for maker in pairs["from_id"]) > 0
    assert got["source"].notna().all()
    assert got["record_ref"].notna().all()


@pytest.mark.parametrize("name", BUNDLED.values())
def test_neighbourhood_and_overview_as_in_the_tables(ask, name):
    network = load_bundled(name)
    actors = network.actors.set_index("actor_id")["country"]
    flows = network.flows()
    n = flows["seller_id"].map(actors).eq("HKG").sum() + flows["buyer_id"].map(actors).eq("HKG").sum()
    got = ask("neighbourhood", name)
    assert len(got) == n
    assert set(got["side"]) == {"supplies", "is supplied by"}
    overview = ask("overview", name).set_index(["what", "name"])["n"]
    assert overview["relationship", "TRADED"] == len(network.trades)
    assert overview["relationship", "SUPPLIES"] == len(flows)
    records = pd.concat([network.trades["source_id"], network.links["source_id"], network.listings["source_id"]])
    assert overview["source"].sum() == len(records)
