"""Pulling from a real server: what was pushed comes back, what was cut off or changed is told."""

import pytest

from chiptrail.exporters.neo4j import clear_neo4j, push_neo4j
from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError, UnknownNameError, ValidationError
from chiptrail.loaders.bundled import load_bundled
from chiptrail.loaders.neo4j import pull_neo4j, stored_networks

NETWORKS = ("firms", "countries")


@pytest.fixture
def database(neo4j_server):
    with Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as opened:
        yield opened
        for name in stored_networks(opened)["network_id"]:
            clear_neo4j(opened, name)


def test_bundled_networks_stand_side_by_side_and_come_back(database):
    for name in NETWORKS:
        push_neo4j(load_bundled(name), database, network_id=name)
    assert stored_networks(database)["network_id"].tolist() == sorted(NETWORKS)
    for name in NETWORKS:
        assert pull_neo4j(database, name).equals(load_bundled(name))


def test_an_unknown_network_is_told_with_near_names(database, build):
    push_neo4j(build([("KAZ", "RUS", "8542", "2022", 10.0)]), database, network_id="shipments")
    with pytest.raises(UnknownNameError, match="did you mean 'shipments'"):
        pull_neo4j(database, "shipment")


def test_a_push_cut_off_is_not_pulled(database, build):
    push_neo4j(build([("KAZ", "RUS", "8542", "2022", 10.0)]), database, network_id="n")
    database.run("MATCH (n:Network) SET n.complete = false")
    with pytest.raises(ChiptrailError, match="cut off; push it again"):
        pull_neo4j(database, "n")


def test_changes_made_in_the_database_are_told_and_may_be_accepted(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0), ("KAZ", "ARM", "8542", "2022", 5.0)])
    push_neo4j(network, database, network_id="n")
    database.run("MATCH ()-[r:TRADED {trade_id: 't00002'}]->() SET r.value_usd = 6.0, r.goods = 'corrected'")
    with pytest.raises(ChiptrailError, match="'n' was changed in the database"):
        pull_neo4j(database, "n")
    changed = pull_neo4j(database, "n", accept_changes=True)
    assert changed.trades[["value_usd", "goods"]].values.tolist() == [[10.0, ""], [6.0, "corrected"]]
    database.run("MATCH ()-[r:TRADED {trade_id: 't00002'}]->() SET r.hs_code = '854'")
    with pytest.raises(ValidationError, match="hs_code"):
        pull_neo4j(database, "n", accept_changes=True)


def test_notes_and_nodes_of_the_user_beside_a_network_make_no_difference(database, build):
    network = build([("KAZ", "RUS", "8542", "2022", 10.0)])
    push_neo4j(network, database, network_id="n")
    database.run("MATCH (n:Chiptrail {actor_id: 'KAZ'}) SET n.my_note = 'look here', n:Watched "
                 "CREATE (n)-[:SEEN_IN]->(:Chapter {name: 'one', network_id: 'n', actor_id: 'x', key: 'actors:x'})")
    assert pull_neo4j(database, "n").equals(network)
    database.run("MATCH (c:Chapter) DETACH DELETE c")
