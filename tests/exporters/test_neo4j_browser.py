"""The real Neo4j Browser, driven as docs/make_browser_pictures.py drives it: the style is drawn, and hostile names are only text."""

import importlib.util
import re
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd
import pytest

from chiptrail.exporters.html import _NODES
from chiptrail.exporters.neo4j import clear_neo4j, push_neo4j, push_scores
from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.property_graph import KINDS, LINK_TYPES, NODE_TABLES, ROLES
from chiptrail.queries.ready_cypher import favourites

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "in-browser"
ALL = f"MATCH p = (n:Chiptrail {{network_id: '{NETWORK}'}})-[:SUPPLIES|COMPONENT_IN]->() RETURN p"
HOSTILE = ["<script>window.hacked=1</script>", "'}) DETACH DELETE n //", "<img src=x onerror='window.hacked=1'>", "{actor_id}",
           'quo"te `tick` \\', "drone 🛩️ 芯片", "</svg><svg onload=window.hacked=1>",
           "[a](javascript:window.hacked=1)", "two\nlines", "long " * 2_000]
BLUE, ORANGE, RED, GREEN, SKY, PURPLE = "#0072b2", "#e69f00", "#d55e00", "#009e73", "#56b4e9", "#cc79a7"


@pytest.fixture(scope="module")
def driver():
    spec = importlib.util.spec_from_file_location("make_browser_pictures", ROOT / "docs/make_browser_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def database(neo4j_server):
    if not neo4j_server.browser:
        pytest.skip("the address of this server's Browser is not known")
    with Database(neo4j_server.uri, user=neo4j_server.user, password=neo4j_server.password) as opened:
        yield opened
        clear_neo4j(opened, NETWORK)


@pytest.fixture
def page(driver, chromium, neo4j_server, database):
    opened = driver.connected(chromium, neo4j_server)
    yield opened
    opened.context.close()


def style():
    return files("chiptrail.exporters").joinpath("templates", "neo4j.grass").read_text(encoding="utf-8")


def roles():
    """Maker -> Hub -> Plant, Forwarder -> Unnamed, a part of Maker in Drone."""
    actors = [("m", "Maker", "company", "manufacturer"), ("h", "Hub", "company", "intermediary"), ("p", "Plant", "company", "end_user"),
              ("f", "Forwarder", "company", "logistics"), ("u", "Unnamed", "placeholder", "intermediary"),
              ("d", "Drone", "weapon", "unknown"), ("n", "Anybody", "company", "unknown")]
    trade = {"hs_code": "8542", "value_usd": 1.0, "flow": "export", "partner_concept": "destination", "reported_by": "Court",
             "basis": "reported", "source_id": "s", "record_ref": "a.csv:2"}
    return TradeNetwork(
        level="firms", actors=pd.DataFrame(actors, columns=["actor_id", "name", "kind", "role"]).assign(country=""),
        trades=pd.DataFrame([trade | {"trade_id": a + b, "seller_id": a, "buyer_id": b} for a, b in ("mh", "hp", "fu", "nh")]),
        links=pd.DataFrame([{"link_id": "l", "kind": "component_found", "from_id": "m", "to_id": "d", "basis": "reported",
                             "source_id": "s", "record_ref": "p.csv:2"}]),
        sources=pd.DataFrame([{"source_id": "s", "title": "Papers", "rows_read": 0}]))


def hostile(build):
    names = [*HOSTILE, "End"]
    ids = [f"a{i}" for i in range(len(names))]
    trades = [(a, b, "8542", "2022", 1.0, {"goods": name, "case": name, f"x_{HOSTILE[0]}": name})
              for a, b, name in zip(ids, ids[1:], HOSTILE, strict=False)]
    actors = [{"actor_id": i, "name": name, "kind": "company", "role": "intermediary", "country": ""}
              for i, name in zip(ids, names, strict=True)]
    return build(trades, level="firms", actors=actors)


def squeezed(text):
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("label", [*KINDS.values(), *ROLES.values(), *NODE_TABLES.values(), "WatchList", "Network", "Chiptrail",
                                   *(f"Score{i}" for i in range(1, 6))])
def test_every_label_has_colour_and_caption(label):
    [rule] = re.findall(rf"^node\.{label} {{(.*?)^}}", style(), re.DOTALL | re.MULTILINE)
    assert re.search(r"^  color: #[0-9a-f]{6};$", rule, re.MULTILINE)
    assert re.search(r"^  caption: '{\w+}';$", rule, re.MULTILINE)


@pytest.mark.parametrize("kind", ["TRADED", "SUPPLIES", *LINK_TYPES.values(), "LISTED_ON", "LOCATED_IN", "FROM_SOURCE"])
def test_every_type_has_a_width(kind):
    assert re.search(rf"^relationship\.{kind} {{[^}}]*  shaft-width: \d+px;", style(), re.MULTILINE)


def test_colours_are_those_of_the_html_graph():
    for sort, label in {**ROLES, **KINDS, "unknown": "Company"}.items():
        if sort not in ("company", "placeholder"):
            assert re.search(rf"^node\.{label} {{\n  color: {_NODES[sort].colour};", style(), re.MULTILINE), label


@pytest.mark.browser
def test_roles_are_coloured_and_sized(driver, page, database):
    push_neo4j(roles(), database, network_id=NETWORK)
    scores = pd.DataFrame({"actor_id": ["h", "m", "p", "f", "n"], "score": [5.0, 4.0, 3.0, 2.0, 1.0]})
    push_scores(database, scores, network_id=NETWORK, prefix="hub", by="score")
    driver.ask(page, ALL)
    assert not {node["colour"] for node in driver.drawn(page)} & {BLUE, ORANGE, RED, PURPLE}
    driver.load_style(page)
    driver.ask(page, ALL)
    found = {" ".join(node["caption"]): (node["colour"], node["radius"]) for node in driver.drawn(page)}
    assert found == {"Maker": (BLUE, 53), "Hub": (ORANGE, 60), "Plant": (RED, 47), "Forwarder": (GREEN, 42), "Anybody": ("#8a8f98", 37),
                     "Drone": (PURPLE, 32), "Unnamed": ("#eceff3", 32)}
    border = {node["caption"][0]: node["border"] for node in driver.drawn(page)}
    assert border["Unnamed"] == border["Hub"]
    captions = set(page.locator("svg g.relationship text").all_text_contents())
    assert {"dispatched", "part found in"} <= captions
    chip = page.get_by_test_id("property-details-overview-node-label-Intermediary")
    assert chip.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(230, 159, 0)"


@pytest.mark.browser
def test_ready_queries_are_drawn(driver, page, database, firms):
    push_neo4j(firms, database, network_id=NETWORK)
    driver.load_style(page)
    queries = favourites(NETWORK)
    asked = (":param origins => ['Unnamed supplier']", ":param destinations => ['Plant OOO']")
    for text in (queries["parameters"], *asked, queries["routes"]):
        driver.ask(page, text)
    assert {(" ".join(node["caption"]), node["colour"]) for node in driver.drawn(page)} == {
        ("Unnamed supplier", "#eceff3"), ("Hub Ltd", ORANGE), ("Plant OOO", RED)}
    for text in (":param weapon => 'Drone'", queries["reaches_weapon"]):
        driver.ask(page, text)
    assert {(" ".join(node["caption"]), node["colour"]) for node in driver.drawn(page)} == {
        ("Maker Inc", BLUE), ("Hub Ltd", ORANGE), ("Plant OOO", RED), ("Drone", PURPLE)}


@pytest.mark.browser
def test_hostile_names_are_text(driver, page, database, neo4j_server, build):
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(urlsplit(request.url)))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    push_neo4j(hostile(build), database, network_id=NETWORK)
    driver.load_style(page)
    driver.ask(page, f"MATCH (n:Chiptrail {{network_id: '{NETWORK}'}})-[r:TRADED]->(m) RETURN n.name AS name, n, r, m")
    driver.filled(page)
    first_lines = {squeezed(node["caption"][0]).removesuffix("…") for node in driver.drawn(page)}
    assert len(first_lines) == len(HOSTILE) + 1
    for name in HOSTILE:
        assert any(squeezed(name).startswith(line) and len(line) >= 4 for line in first_lines), name
    page.locator("svg g.node", has_text="script>").first.click()
    details = page.get_by_test_id("viz-details-pane-properties-table")
    details.get_by_text(HOSTILE[0], exact=True).wait_for()
    page.locator("svg g.relationship path.overlay").first.click()
    details.get_by_text(f"x_{HOSTILE[0]}", exact=True).wait_for()
    for shown in ("table", "text"):
        driver.view(page, shown)
        page.locator(driver.FRAME).locator("svg g.node").first.wait_for(state="hidden")
        text = page.locator(driver.FRAME).inner_text()
        assert ("│" in text) == (shown == "text")
        for name in HOSTILE[:4]:
            assert f'"{name}"' in text
    assert page.evaluate("window.hacked") is None
    assert dialogs == []
    own = [url.path for url in asked if url.netloc == urlsplit(neo4j_server.browser).netloc]
    assert [path for path in own if not re.fullmatch(r"/browser/(assets/.+|[\w.-]+\.js)", path)] == []
    assert [row["n"] for row in database.run("MATCH (n:Chiptrail:Company) RETURN count(*) AS n")] == [len(HOSTILE) + 1]
