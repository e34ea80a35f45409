"""Push, clear, scores and import files, on a real server: nothing is lost, nothing of others is touched."""

import csv
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pandas as pd
import pytest

from chiptrail.exporters.neo4j import clear_neo4j, push_neo4j, push_scores, write_import_files
from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork, actor_id, concat
from chiptrail.loaders.bundled import load_bundled
from chiptrail.loaders.neo4j import pull_neo4j, stored_networks
from chiptrail.neo4j_server import RELEASES, admin, serving
from chiptrail.queries.hubs import transit_hubs

HOSTILE = ["'}) DETACH DELETE n //", "<script>window.hacked = 1</script>", "`) MATCH (n) DETACH DELETE n",
           'quo"te \\ and \\u0027', "two\nlines\r\n\t",
           "drone 🛩️ 芯片 é", "long " * 2_000, "$rows", "{{ name }}"]


@pytest.fixture
def database(neo4j_server):
    """A database without any network, with data of the user's own that must outlive every test."""
    with Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as opened:
        own = "MATCH (n) WHERE n.mine = 'own' RETURN n.name AS name, labels(n) AS labels, COUNT { (n)-[:TRADED]->() } AS out ORDER BY name"
        opened.run("UNWIND ['KAZ', 'RUS'] AS name MERGE (:Company {mine: 'own', name: name, actor_id: name})")
        opened.run("MATCH (a:Company {name: 'KAZ', mine: 'own'}), (b:Company {name: 'RUS', mine: 'own'}) "
                   "MERGE (a)-[:TRADED {key: 'k'}]->(b)")
        before = opened.run(own)
        assert [row["out"] for row in before] == [1, 0]
        yield opened
        for name in stored_networks(opened)["network_id"]:
            clear_neo4j(opened, name)
        assert opened.run(own) == before
        assert opened.run("MATCH (n:Chiptrail) RETURN count(*) AS n") == [{"n": 0}]


def total(database):
    [nodes], [edges] = (database.run(f"MATCH {what} RETURN count(*) AS n") for what in ("(n)", "()-[r]->()"))
    return nodes["n"], edges["n"]


def hostile(build):
    actors = [{"actor_id": actor_id("company", "KAZ", name), "name": name, "kind": "company", "role": "unknown", "country": "KAZ"}
              for name in HOSTILE] + [{"actor_id": "x" * 10_000, "name": "its id is long", "kind": "company", "role": "logistics"}]
    ids = [actor["actor_id"] for actor in actors]
    rows = [(seller, buyer, "8542", "2022", 1.0, {"goods": name, "x_`) //": name, "x_a:int": name, "case": name})
            for (seller, buyer), name in zip(pairwise(ids), HOSTILE, strict=True)]
    network = build(rows, level="firms", actors=actors)
    listings = pd.DataFrame([{"actor_id": ids[0], "list_name": name, "citation": name, "source_id": "s", "record_ref": "l:2"}
                             for name in HOSTILE])
    return TradeNetwork(level="firms", actors=network.actors, trades=network.trades, listings=listings, sources=network.sources)


def test_counts_and_parallel_trades(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0)] * 3 + [("KAZ", "ARM", "8542", "2022", None)])
    steps = []
    counts = push_neo4j(network, database, network_id="n", step=lambda done, total: steps.append((done, total)))
    assert dict(counts.values.tolist()) == {"Chiptrail": 5, "Country": 3, "Network": 1, "Source": 1, "TRADED": 4, "SUPPLIES": 2}
    assert steps[-1] == (10, 10)
    assert database.run("MATCH (:Country {actor_id: 'KAZ'})-[r:TRADED]->(:Country {actor_id: 'RUS'}) "
                        "RETURN count(r) AS n, sum(r.value_usd) AS usd") == [{"n": 3, "usd": 30.0}]
    assert database.run("MATCH ()-[r:TRADED]->(:Country {actor_id: 'ARM'}) RETURN r.value_usd IS NULL AS absent") == [{"absent": True}]


def test_pushed_again_nothing_changes_though_every_row_is_written_again(database):
    network = load_bundled("firms")
    first = push_neo4j(network, database, network_id="n")
    held = total(database)
    database.run("MATCH (n:Network) SET n.complete = false")
    pd.testing.assert_frame_equal(push_neo4j(network, database, network_id="n"), first)
    assert total(database) == held
    steps = []
    push_neo4j(network, database, network_id="n", step=lambda *done: steps.append(done))
    assert steps == []


def test_a_push_puts_right_what_was_lost(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0)] * 3)
    push_neo4j(network, database, network_id="n")
    database.run("MATCH ()-[r:TRADED {trade_id: 't00002'}]->() DELETE r")
    database.run("MATCH ()-[r:TRADED {trade_id: 't00001'}]->() SET r.value_usd = 11, r.goods = 'made up', r.more = 1")
    push_neo4j(network, database, network_id="n")
    assert pull_neo4j(database, "n").equals(network)


def test_labels_notes_and_relationships_of_the_user_stay(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0)])
    push_neo4j(network, database, network_id="n")
    database.run("MATCH (n:Chiptrail {actor_id: 'KAZ'}), (m:Chiptrail {actor_id: 'RUS'}) SET n:Watched, n.my_note = 'look' "
                 "CREATE (n)-[:ASKED_ABOUT {network_id: 'n'}]->(m)")
    for complete in (True, False):
        database.run("MATCH (n:Network) SET n.complete = $complete", complete=complete)
        push_neo4j(network, database, network_id="n")
        assert database.run("MATCH (n:Watched)-[:ASKED_ABOUT]->() RETURN n.my_note AS note") == [{"note": "look"}]
        assert pull_neo4j(database, "n").equals(network)


def test_a_clear_cut_off_is_told_and_done_by_the_next(database):
    push_neo4j(load_bundled("firms"), database, network_id="n")
    with pytest.raises(KeyboardInterrupt):
        clear_neo4j(database, "n", step=interrupted)
    with pytest.raises(ChiptrailError, match="a push or a clear of 'n' was cut off"):
        pull_neo4j(database, "n", accept_changes=True)
    database.run("MATCH (n:Network) DETACH DELETE n")  # as a clear at the same time as a push may leave it
    assert stored_networks(database)[["network_id", "complete"]].values.tolist() == [["n", False]]
    clear_neo4j(database, "n")
    assert stored_networks(database).empty


def interrupted(done, total):
    raise KeyboardInterrupt


def test_of_two_networks_pushed_at_once_under_one_id_one_is_refused(database, neo4j_server, build):
    networks = [build([("KAZ", "RUS", "8542", "2022", value)] * 300) for value in (1.0, 2.0)]

    def push(network):
        with Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as own:
            try:
                return len(push_neo4j(network, own, network_id="n"))
            except ChiptrailError as error:
                return str(error)

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(push, networks))
    [refused] = [result for result in results if isinstance(result, str)]
    assert "another network stands under the id 'n'" in refused
    assert pull_neo4j(database, "n").equals(networks[1 - results.index(refused)])


def test_what_does_not_belong_fails_loudly(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0)])
    push_neo4j(network, database, network_id="n")
    database.run("MATCH (a:Chiptrail {actor_id: 'KAZ'}), (b:Chiptrail {actor_id: 'RUS'}) "
                 "CREATE (a)-[:TRADED {network_id: 'n', key: 'trades:other'}]->(b)")
    with pytest.raises(ChiptrailError, match=r"not whole \(TRADED: 2 in place of 1\); clear it"):
        push_neo4j(network, database, network_id="n")
    assert stored_networks(database)["complete"].tolist() == [False]


def test_another_network_under_the_same_id_is_refused_and_others_stay(database, build):
    one, other = build([("KAZ", "RUS", "8542", "2022", 10.0)]), build([("KAZ", "RUS", "8542", "2022", 11.0)])
    push_neo4j(one, database, network_id="one")
    with pytest.raises(ChiptrailError, match="another network stands under the id 'one'"):
        push_neo4j(other, database, network_id="one")
    push_neo4j(other, database, network_id="other")
    assert clear_neo4j(database, "one") == 4
    assert stored_networks(database).values.tolist() == [["other", "countries", True, 2, 1]]
    assert pull_neo4j(database, "other").equals(other)


@pytest.mark.parametrize("name", ["", "x" * 101, "a\nb"])
def test_an_id_that_is_none_is_refused(name, build):
    with pytest.raises(InputError, match="cannot name a network"):
        push_neo4j(build([("KAZ", "RUS", "8542", "2022", 10.0)]), None, network_id=name)


def test_hostile_texts_arrive_unchanged_and_harm_nothing(database, build):
    network = hostile(build)
    for name in ("'}) DETACH DELETE n //", "`n`"):
        push_neo4j(network, database, network_id=name)
        assert pull_neo4j(database, name).equals(network)
        assert {row["name"] for row in database.run("MATCH (n:Company {network_id: $id}) RETURN n.name AS name", id=name)} >= set(HOSTILE)


def test_scores_are_properties_and_labels_and_replace_older_ones(database, build):
    hubs = {"KAZ": 5.0, "ARM": 4.0, "TUR": 3.0, "ARE": 2.0, "CHN": 1.0}
    legs = [("USA", hub, "8542", "2022", usd) for hub, usd in hubs.items()] + [(hub, "RUS", "8542", "2022", 9.0) for hub in hubs]
    network = build(legs, coverage=[(place, "*", "*", "2022") for place in ("USA", *hubs)])
    push_neo4j(network, database, network_id="n")
    table = transit_hubs(network, origins=["USA"], destinations=["RUS"], concept="dispatched")
    assert push_scores(database, table, network_id="n", prefix="hub", by="throughput_max_usd") == 5
    found = "MATCH (n:Chiptrail) WHERE n.hub_throughput_max_usd IS NOT NULL RETURN n.actor_id AS id, n.hub_throughput_max_usd AS usd, " \
            "[l IN labels(n) WHERE l STARTS WITH 'Score'] AS tier ORDER BY usd DESC"
    assert [list(row.values()) for row in database.run(found)] == [
        ["KAZ", 5.0, ["Score1"]], ["ARM", 4.0, ["Score2"]], ["TUR", 3.0, ["Score3"]], ["ARE", 2.0, ["Score4"]], ["CHN", 1.0, ["Score5"]]]
    assert push_scores(database, table.tail(1), network_id="n", prefix="hub", by="throughput_max_usd") == 1
    assert [list(row.values()) for row in database.run(found)] == [["CHN", 1.0, ["Score5"]]]
    assert pull_neo4j(database, "n").equals(network)
    database.run("MATCH (n:Network) SET n.complete = false")
    push_neo4j(network, database, network_id="n")
    assert [list(row.values()) for row in database.run(found)] == [["CHN", 1.0, ["Score5"]]]
    for prefix in ("actor", "network", "own", "rows", "hs", "x", "a b"):
        with pytest.raises(InputError, match=f"not '{prefix}'"):
            push_scores(database, table, network_id="n", prefix=prefix, by="throughput_max_usd")
    with pytest.raises(ChiptrailError, match="holds no network 'other'"):
        push_scores(database, table, network_id="other", prefix="hub", by="throughput_max_usd")


@pytest.mark.soak
def test_a_large_network_comes_back(database, campaign):
    generator = random.Random(3)
    n, names = len(campaign(200_000)), [f"company:KAZ:firm-{i}" for i in range(2_000)]
    days = pd.to_datetime([f"2022-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(n)])
    trades = pd.DataFrame({
        "trade_id": [f"t{i:07}" for i in range(n)], "seller_id": [names[int(2_000 * generator.random() ** 3)] for _ in range(n)],
        "buyer_id": [names[int(2_000 * generator.random() ** 3)] for _ in range(n)], "period_start": days, "period_end": days,
        "hs_code": generator.choices(["854231", "8541"], k=n), "value": [generator.random() * 1e6 for _ in range(n)], "currency": "USD",
        "flow": "export", "partner_concept": "destination", "reported_by": "hand", "basis": "recorded", "source_id": "s",
        "record_ref": [f"f.csv:{i}" for i in range(n)]})
    actors = pd.DataFrame({"actor_id": names, "name": names, "kind": "company", "role": "unknown", "country": "KAZ"})
    network = TradeNetwork(level="firms", actors=actors, trades=trades, sources=pd.DataFrame([{"source_id": "s", "title": "made"}]))
    push_neo4j(network, database, network_id="large")
    assert pull_neo4j(database, "large").equals(network)


KILLED = """
import sys
from chiptrail.exporters.neo4j import push_neo4j
from chiptrail.graphmodel.database import Database
from chiptrail.loaders.bundled import load_bundled
network = load_bundled("firms")
with Database(sys.argv[1], user=sys.argv[2], password=sys.stdin.readline().strip()) as database:
    print("begun", flush=True)
    push_neo4j(network, database, network_id="killed")
"""


@pytest.mark.soak
def test_a_push_killed_at_any_moment_is_completed_by_the_next(database, neo4j_server, campaign):
    network, cut, seeds = load_bundled("firms"), 0, campaign(40)
    push_neo4j(network, database, network_id="killed")
    clear_neo4j(database, "killed")
    start = time.monotonic()
    push_neo4j(network, database, network_id="killed")
    seconds, whole = time.monotonic() - start, total(database)
    for seed in seeds:
        clear_neo4j(database, "killed")
        process = subprocess.Popen([sys.executable, "-c", KILLED, neo4j_server.uri, neo4j_server.user], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        process.stdin.write(neo4j_server.password + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        time.sleep(random.Random(seed).random() * seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        cut += stored_networks(database)["complete"].tolist() != [True]
        push_neo4j(network, database, network_id="killed")
        assert total(database) == whole
        assert pull_neo4j(database, "killed").equals(network)
    assert cut >= len(seeds) // 4


@pytest.mark.neo4j
@pytest.mark.parametrize("release", RELEASES)
def test_files_for_neo4j_admin_make_the_same_graph(release, neo4j_ready, tmp_path, build):
    neo4j_ready(release)
    odd = build([("KAZ", "RUS", "8542", "1890-03", 1e-300, {"x_float": value, "x_time": time})
                 for value, time in ((float("inf"), pd.Timestamp("1890-03-01 05:00:00.000001")),
                                     (float("-inf"), pd.NaT), (-0.0, pd.Timestamp("2022-03-01")))], level="firms")
    networks = [load_bundled("firms"), hostile(build), TradeNetwork(
        level="firms", actors=odd.actors, trades=odd.trades.assign(trade_id=[f"odd{i}" for i in range(3)]), sources=odd.sources)]
    network, folder, password = concat(networks), tmp_path / "server", "a password for tests"
    with serving(release, folder, password=password, heap="512m"):
        pass
    admin(release, folder, *write_import_files(network, tmp_path / "files", network_id="n"))
    with serving(release, folder, password=password, heap="512m") as server, Database(
            server.uri, user=server.user, password=password) as opened:
        held, steps = total(opened), []
        push_neo4j(network, opened, network_id="n", step=lambda *done: steps.append(done))
        assert steps == []
        assert total(opened) == held
        assert pull_neo4j(opened, "n").equals(network)


def test_import_files_are_the_same_every_time_and_never_replace(tmp_path, build):
    network = hostile(build)
    written = []
    for name in ("a", "b"):
        write_import_files(network, tmp_path / name, network_id="n")
        written.append({path.name: path.read_bytes() for path in sorted((tmp_path / name).iterdir())})
    assert written[0] == written[1]
    with open(tmp_path / "a" / "01-Company.csv", encoding="utf-8", newline="") as file:
        assert next(csv.reader(file))[0] == "actor_id:string"
    with pytest.raises(ChiptrailError, match="not empty"):
        write_import_files(network, tmp_path / "a", network_id="n")
    with pytest.raises(InputError, match="no comma"):
        write_import_files(network, tmp_path / "a,b", network_id="n")
    for name in ("x_a{b}", 'x_a"', "x_a\nb"):
        with pytest.raises(InputError, match="takes no such name"):
            write_import_files(build([("KAZ", "RUS", "8542", "2022", 1.0, {name: "1"})]), tmp_path / f"c{len(name)}", network_id="n")


def test_no_server_is_a_message(tmp_path):
    for uri, advice in (("bolt://127.0.0.1:1", "is it running"), ("bolt+s://127.0.0.1:1", "does it speak TLS")):
        with pytest.raises(ChiptrailError, match=advice) as told:
            Database(uri, user="neo4j", password="a secret")
        assert "a secret" not in str(told.value)


@pytest.mark.parametrize("uri", [
    "bolt://neo4j:12345#a secret@host", "bolt://neo4j:123/a secret@host", "bolt://host:7687?token=a secret", "bolt://host/a secret",
    "bolt://neo4j:a secret@host", "http://a secret", "a secret", "bolt://", "bolt://host:port"])
def test_an_address_that_may_hold_a_secret_is_refused_without_it(uri):
    with pytest.raises(InputError, match="address") as told:
        Database(uri, user="neo4j", password="another")
    assert "secret" not in str(told.value)
