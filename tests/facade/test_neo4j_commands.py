"""The commands `chiptrail neo4j ...` against a real server, and their words where there is none."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import chiptrail as ct
from chiptrail.cli import app
from chiptrail.neo4j_commands import default_id
from chiptrail.neo4j_server import RELEASES, serving

QUERIES = Path(__file__).resolve().parents[2] / "queries" / "cypher"
SECRET = "Geheim7-never-shown"
COMMAND = [sys.executable, "-c", "from chiptrail.cli import main; main()", "neo4j"]


@pytest.fixture
def run(neo4j_server, tmp_path):
    """A function that runs `chiptrail neo4j ...` as its users do, with the server in the environment."""
    environment = os.environ | {"NEO4J_URI": neo4j_server.uri, "NEO4J_USERNAME": neo4j_server.user, "NEO4J_PASSWORD": neo4j_server.password}

    def done(*arguments, code=0, **more):
        found = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=tmp_path,
                               env=environment | more)
        assert found.returncode == code, found.stdout + found.stderr
        assert "Traceback" not in found.stderr
        for secret in (neo4j_server.password, SECRET):
            assert secret not in found.stdout + found.stderr
        return found.stdout if code == 0 else found.stderr

    yield done
    with ct.Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as database:
        for name in ct.stored_networks(database)["network_id"]:
            ct.clear_neo4j(database, name)


def test_a_session_from_check_to_clear(run, tmp_path):
    assert "no network yet" in run("check")
    assert "97 TRADED" in run("push", "bundled:firms")
    assert "bundled-firms in <Database" in run("push", "bundled:firms")
    assert "bundled-firms" in run("check")
    run("pull", "bundled-firms", "--out", "back")
    assert ct.TradeNetwork.load(tmp_path / "back").equals(ct.load_bundled("firms"))
    assert "97 TRADED" in run("push", "back")
    assert "say --yes" in run("clear", "back", code=2)
    run("clear", "back", "--yes")
    assert "back" not in run("check")
    assert "it holds bundled-firms" in run("clear", "back", "--yes", code=1)


def test_scores_of_hubs_are_those_of_the_query(run, neo4j_server):
    assert "scores of" in run("push", "bundled:countries", "--scores", "hubs", "--since", "2022-01", "--until", "2022-12")
    table = ct.transit_hubs(ct.load_bundled("countries"), origins=["USA"], destinations=["RUS"], since="2022-01", until="2022-12")
    with ct.Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as database:
        rows = database.run("MATCH (n:Chiptrail) WHERE n.hub_throughput_max_usd IS NOT NULL RETURN n.actor_id AS id, "
                            "n.hub_throughput_max_usd AS usd")
    expected = table.dropna(subset="throughput_max_usd").set_index("hub_id")["throughput_max_usd"]
    assert {row["id"]: row["usd"] for row in rows} == expected.to_dict()


def test_ready_queries_are_listed_run_and_written(run, tmp_path):
    run("push", "bundled:firms")
    listed = run("queries")
    for path in sorted(QUERIES.glob("*.cypher")):
        assert path.stem in listed
    rows = json.loads(run("queries", "overview", "--json", "-"))["records"]
    assert rows
    run("queries", "--page", "favourites.cypher", "--style", "chiptrail.grass")
    assert "node.Manufacturer" in (tmp_path / "chiptrail.grass").read_text(encoding="utf-8")
    assert "MATCH" in (tmp_path / "favourites.cypher").read_text(encoding="utf-8")
    assert "did you mean 'overview'" in run("queries", "overviev", code=1)
    assert "unknown" in run("queries", "overview", "--id", "nothing", code=1)


def test_hostile_arguments_are_plain_text(run, neo4j_server):
    run("push", "bundled:firms", "--id", "'}) DETACH DELETE n //")
    with ct.Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as database:
        assert ct.stored_networks(database)["network_id"].tolist() == ["'}) DETACH DELETE n //"]
    run("clear", "'}) DETACH DELETE n //", "--yes")


def test_what_is_wrong_is_said_without_secrets(run, neo4j_server):
    assert "refused the user or the password" in run("check", code=1, NEO4J_PASSWORD=SECRET)
    assert "has no database 'other'" in run("check", "--database", "other", code=1)
    secure = neo4j_server.uri.replace("bolt://", "bolt+s://")
    assert "does it speak TLS" in run("push", "bundled:firms", "--uri", secure, code=1)
    assert "leave user and password out" in run("check", "--uri", f"bolt://neo4j:{SECRET}@127.0.0.1:7687", code=1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "no Neo4j server answers" in run("check", "--uri", f"bolt://127.0.0.1:{taken.getsockname()[1]}", code=1)
    assert "must begin with one of" in run("check", "--uri", "http://127.0.0.1", code=1)


def test_a_password_that_is_nowhere_is_asked_for_or_said(monkeypatch):
    for name in ("NEO4J_PASSWORD", "NEO4J_URI"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["neo4j", "check"])
    assert done.exit_code == 2
    assert "NEO4J_PASSWORD" in done.output
    monkeypatch.setattr("chiptrail.neo4j_commands.terminal", lambda: True)
    done = CliRunner().invoke(app, ["neo4j", "check", "--uri", "bolt://127.0.0.1:1"], input=SECRET + "\n")
    assert "Password of Neo4j" in done.output
    assert SECRET not in done.output


@pytest.mark.parametrize(("network", "name"), [("bundled:firms", "bundled-firms"), ("some/folder/", "folder"), ("records", "records")])
def test_a_network_is_named_after_its_folder(network, name):
    assert default_id(network) == name


@pytest.mark.neo4j
@pytest.mark.parametrize("release", RELEASES)
def test_a_server_stopped_in_mid_push_is_told_and_a_second_push_completes(release, neo4j_ready, tmp_path):
    neo4j_ready(release)
    environment = os.environ | {"NEO4J_PASSWORD": SECRET}
    command = [*COMMAND, "push", "bundled:countries"]
    with serving(release, tmp_path / "server", password=SECRET, heap="512m") as server:
        environment["NEO4J_URI"] = server.uri
        push = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with ct.Database(server.uri, user="neo4j", password=SECRET) as database:
            until = time.monotonic() + 600
            while not database.run("MATCH ()-[r:TRADED]->() RETURN count(r) > 0 AS begun")[0]["begun"] and time.monotonic() < until:
                time.sleep(0.05)
        server.process.kill()
        _, told = push.communicate(timeout=600)
    assert push.returncode == 1
    assert "no Neo4j server answers" in told
    assert SECRET not in told
    with serving(release, tmp_path / "server", password=SECRET, heap="512m") as server:
        done = subprocess.run(command, env=environment | {"NEO4J_URI": server.uri}, capture_output=True, text=True, check=True)
        assert "22,636 TRADED" in done.stdout
        with ct.Database(server.uri, user="neo4j", password=SECRET) as database:
            assert ct.pull_neo4j(database, "bundled-countries").equals(ct.load_bundled("countries"))


@pytest.mark.neo4j
def test_serve_starts_pushes_and_stops(neo4j_ready, tmp_path):
    neo4j_ready("5.26")
    command = [*COMMAND, "serve", "--folder", str(tmp_path / "server"), "--push", "bundled:firms", "--port", "0", "--http-port", "0"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("NEO4J_")}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    timer = threading.Timer(900, process.kill)
    timer.start()
    said = [process.stdout.readline() for _ in range(5)]
    timer.cancel()
    text = "".join(said)
    assert "97 TRADED" in text
    assert "/browser/?dbms=bolt://127.0.0.1:" in text
    password = text.split("password ")[1].split()[0]
    uri = text.split(" at ")[-1].split(",")[0]
    with ct.Database(uri, user="neo4j", password=password) as database:
        assert ct.stored_networks(database)["network_id"].tolist() == ["bundled-firms"]
    for path in (tmp_path / "server").rglob("*"):
        if path.is_file() and path.stat().st_size < 10_000_000 and "data" not in path.parts:
            assert password.encode() not in path.read_bytes(), path
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=600)
    assert process.returncode == 0, told
    with pytest.raises(ct.ChiptrailError, match="no Neo4j server"):
        ct.Database(uri, user="neo4j", password=password)
