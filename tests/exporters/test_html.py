import html
import json
import re
from html.parser import HTMLParser

import pytest

from chiptrail.exporters.html import export_html, graph_page, script_hashes
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import TABLES


class Reader(HTMLParser):
    """Tags with attributes, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self._inside = [], "", ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside not in ("script", "style"):
            self.text += data


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="graph-data">(.*?)</script>', page, re.S)[1])


def nodes_of(page: str) -> dict:
    return {node["heading"]: node for node in data_of(page)["nodes"]}


def edges_of(page: str) -> dict:
    return {(edge["heading"], edge["relation"]): edge for edge in data_of(page)["edges"]}


def says(item: dict) -> list:
    return [tuple(line) for line in item["evidence"]]


def test_nodes_and_edges_are_those_of_the_network(firms, tmp_path):
    page = export_html(firms, tmp_path / "new" / "g.html").read_text("utf-8")
    assert set(nodes_of(page)) == set(firms.actors["name"])
    assert set(edges_of(page)) == {
        ("Hub Ltd → Plant OOO", "dispatched"), ("Unnamed supplier → Hub Ltd", "dispatched"), ("Maker Inc → Hub Ltd", "brand"),
        ("Plant OOO → Drone", "makes_weapon"), ("Maker Inc → Drone", "component_found"),
    }
    names = {node["id"]: node["heading"] for node in data_of(page)["nodes"]}
    for edge in data_of(page)["edges"]:
        assert edge["heading"] == f"{names[edge['from']]} → {names[edge['to']]}"


def test_kinds_and_roles_differ_in_colour_or_fill_and_shape(firms):
    styles = {name: (node["shape"], node["color"]["background"], bool(node.get("shapeProperties")))
              for name, node in nodes_of(graph_page(firms)).items()}
    assert styles["Maker Inc"][0] == "square"
    assert styles["Hub Ltd"][0] == "triangle"
    assert styles["Unnamed supplier"][2]
    assert len(set(styles.values())) == len(styles)


def test_evidence(firms):
    page = graph_page(firms)
    assert says(nodes_of(page)["Hub Ltd"]) == [
        ("kind", "company"), ("role", "intermediary"), ("country", "Hong Kong"),
        ("listed", "on OFAC SDN since 2023-04 (https://example.org/notice)"),
    ]
    assert ("listed", "no listing found in the data at hand") in says(nodes_of(page)["Plant OOO"])
    assert ("country", "not stated") in says(nodes_of(page)["Unnamed supplier"])
    assert says(edges_of(page)["Hub Ltd → Plant OOO", "dispatched"]) == [
        ("kind", "trade, as dispatched: goods sent from one to the other"),
        ("value", "USD 1 million in 1 of 2 records, the rest not known"), ("records", "2"), ("products", "HS 854231"),
        ("period", "2022-03-01 to 2023-05-31"), ("basis", "alleged (the weakest)"), ("reported by", "Court"),
        ("from", "cases.csv:2; cases.csv:3"), ("source", "Court papers"),
    ]
    assert says(edges_of(page)["Maker Inc → Drone", "component_found"])[:3] == [
        ("kind", "part of this brand found in that weapon"), ("records", "1"), ("parts", "3 different")]


def test_many_records_are_cut_and_counted(build):
    page = graph_page(build([("KAZ", "RUS", "8542", f"2022-0{m}", 1.5e9) for m in range(1, 8)]))
    lines = dict(says(edges_of(page)["KAZ → RUS", "dispatched"]))
    assert lines["value"] == "USD 10.5 billion"
    assert lines["records"] == "7"
    assert lines["from"] == "hand.csv:2; hand.csv:3; hand.csv:4; hand.csv:5; hand.csv:6 and 2 more"


def test_origin_and_dispatch_stay_two_edges_of_different_style(build):
    origin = {"flow": "import", "partner_concept": "origin", "reported_by": "KAZ"}
    page = graph_page(build([("CHN", "KAZ", "8542", "2022", 5.0), ("CHN", "KAZ", "8542", "2022", 9.0, origin)]))
    edges = edges_of(page)
    sent, made = edges["CHN → KAZ", "dispatched"], edges["CHN → KAZ", "origin"]
    assert dict(says(sent))["value"] == "USD 5"
    assert dict(says(made))["value"] == "USD 9"
    assert sent["dashes"] != made["dashes"]
    assert sent["color"]["color"] != made["color"]["color"]
    assert sent["smooth"] != made["smooth"]


def test_width_grows_with_the_logarithm_of_value_and_unknown_is_thin_and_dotted(build):
    page = graph_page(build([("USA", "KAZ", "8542", "2022", 1e3), ("USA", "TUR", "8542", "2022", 1e6),
                             ("USA", "CHN", "8542", "2022", 1e9), ("USA", "ARM", "8542", "2022", None),
                             ("USA", "GEO", "8542", "2022", 0.0)]))
    edge = {heading.split(" → ")[1]: edge for (heading, _), edge in edges_of(page).items()}
    widths = [edge[name]["width"] for name in ("KAZ", "TUR", "CHN")]
    assert widths[1] - widths[0] == pytest.approx(widths[2] - widths[1])
    assert widths[0] < widths[2]
    assert edge["ARM"]["width"] < widths[0]
    assert edge["ARM"]["dashes"]
    assert not edge["CHN"]["dashes"]
    assert dict(says(edge["ARM"]))["value"] == "not known"
    assert dict(says(edge["GEO"]))["value"] == "USD 0"
    assert not edge["GEO"]["dashes"]


def test_view_is_capped_by_value_then_records_and_says_so(build):
    trades = [(f"a{i:02}", f"b{i:02}", "8542", "2022", float(i)) for i in range(1, 21)]
    trades += [("c", "d", "8542", f"{year}", None) for year in range(2020, 2024)] + [("e", "f", "8542", "2022", None)]
    page = graph_page(build(trades, level="firms"), max_nodes=10)
    assert set(nodes_of(page)) == {f"{side}{i}" for side in "ab" for i in range(16, 21)}
    assert "10 of 44 actors shown; the 34 with the least known trade and the fewest records left out." in Reader(page).text
    assert "5 of 22 edges shown" in Reader(page).text
    assert {"c", "d"} <= set(nodes_of(graph_page(build(trades[20:], level="firms"), max_nodes=3)))
    assert "left out" not in Reader(graph_page(build(trades, level="firms"))).text


def test_a_dense_network_keeps_the_largest_edges_and_the_largest_of_each_actor(build):
    names = [f"n{i:02}" for i in range(30)]
    value = {(a, b): float(1 + (7 * i + 11 * j) % 997) for i, a in enumerate(names) for j, b in enumerate(names) if a != b}
    page = graph_page(build([(a, b, "8542", "2022", v) for (a, b), v in value.items()], level="firms"))
    drawn = {tuple(heading.split(" → ")) for heading, _ in edges_of(page)}
    assert len(drawn) == 150
    for name in names:
        assert max((pair for pair in value if pair[0] == name), key=lambda pair: (value[pair], pair[::-1])) in drawn or \
            max(value[p] for p in drawn if p[0] == name) == max(v for p, v in value.items() if p[0] == name)
    left = sorted((v for p, v in value.items() if p not in drawn), reverse=True)
    assert left[0] <= sorted(value.values(), reverse=True)[90]
    assert "150 of 870 edges shown" in Reader(page).text


def test_sources_are_those_shown_and_only_web_addresses_are_links(firms):
    reader = Reader(graph_page(firms))
    links = [attrs for tag, attrs in reader.tags if tag == "a"]
    assert links == [{"href": "https://example.org/a?b=1&c=2", "rel": "noopener noreferrer", "target": "_blank"}]
    assert "List of firms, Office, javascript:alert(1)" in reader.text
    assert "Unused source" not in reader.text


def test_page_states_title_language_caution_and_policy(firms):
    reader = Reader(graph_page(firms, title="Ways & <b>means"))
    assert ("html", {"lang": "en"}) in reader.tags
    assert "An edge is a record that somebody published; it is no proof of wrongdoing." in reader.text
    assert reader.text.count("Ways & <b>means") == 2
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy.replace("style-src 'unsafe-inline'", "")
    assert all(f"'{value}'" in policy for value in script_hashes())
    assert not {tag for tag, attrs in reader.tags if tag in ("link", "iframe", "object", "img", "base") or "src" in attrs}


def test_hostile_names_stay_text(hostile):
    clean = Reader(graph_page(hostile.where(actors=["a15"])))
    reader = Reader(graph_page(hostile, title="</title><script>alert(1)</script>"))
    assert [t for t, _ in reader.tags if t == "script"] == [t for t, _ in clean.tags if t == "script"]
    assert not {name for _, attrs in reader.tags for name in attrs if name.startswith("on")}
    assert all(attrs["href"].startswith("https://") for tag, attrs in reader.tags if tag == "a")
    page = graph_page(hostile)
    data = re.search(r'id="graph-data">(.*?)</script>', page, re.S)[1]
    assert not set("<>&\u2028\u2029\x00") & set(data)
    assert max(len(text) for node in data_of(page)["nodes"] for _, text in says(node)) < 1000


@pytest.mark.parametrize("which", ["firms", "hostile"])
def test_same_network_same_bytes_and_nothing_of_it_changes(which, request, tmp_path):
    network = request.getfixturevalue(which)
    before = {name: getattr(network, name).copy(deep=True) for name in TABLES}
    first = export_html(network, tmp_path / "a.html").read_bytes()
    shuffled = TradeNetwork(level="firms", **{n: t.sample(frac=1, random_state=5) for n, t in before.items()})
    assert export_html(shuffled, tmp_path / "b.html").read_bytes() == first
    assert network.equals(TradeNetwork(level="firms", **before))


def test_layers_run_from_left_to_right(firms):
    x = {name: node["wide"][0] for name, node in nodes_of(graph_page(firms)).items()}
    assert x["Maker Inc"] < x["Hub Ltd"] < x["Plant OOO"] < x["Drone"]
    assert x["Unnamed supplier"] < x["Hub Ltd"]


def test_no_two_actors_lie_on_one_spot(build):
    names = [f"n{i:03}" for i in range(60)]
    circle = [(names[i], names[(i * 7 + k) % 60], "8542", "2022", 1.0 + i) for i in range(60) for k in (1, 5)]
    pairs = [(f"s{i}", f"t{i}", "8542", "2022", 1.0) for i in range(20)]
    for side in ("wide", "narrow"):
        places = [tuple(n[side]) for n in data_of(graph_page(build([*circle, *pairs], level="firms")))["nodes"]]
        assert len(set(places)) == 100


def test_an_empty_network_is_a_page_too(build):
    page = graph_page(build([("KAZ", "RUS", "8542", "2022", 1)]).where(min_value_usd=5))
    assert data_of(page)["nodes"] == data_of(page)["edges"] == []


def test_many_part_links_begin_hidden_and_say_so(build):
    links = [("component_found", f"m{i}", f"w:{j}", {"n_parts": 1.0}) for i in range(16) for j in range(16)]
    page = graph_page(build([("s", "t", "8542", "2022", 1.0)], level="firms", links=links))
    boxes = {attrs["data-relation"]: "checked" in attrs for _, attrs in Reader(page).tags if "data-relation" in attrs}
    assert boxes == {"dispatched": True, "component_found": False}
    assert "hidden until ticked" in Reader(page).text
    alone = graph_page(build([], level="firms", links=links, actors=[
        {"actor_id": n, "name": n, "kind": "company", "role": "unknown"} for n in {x for _, a, b, _ in links for x in (a, b)}]))
    assert "hidden until ticked" not in Reader(alone).text


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_page_opens_offline_and_search_finds_an_actor(firms, tmp_path, open_page, width):
    opened = open_page(export_html(firms, tmp_path / "g.html"), width=width)
    page = opened.page
    page.wait_for_selector("#graph[data-drawn]")
    pixels = page.evaluate("""() => {
        const c = document.querySelector('#graph canvas');
        const all = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return new Set(new Uint32Array(all.buffer)).size; }""")
    assert pixels > 20
    page.focus("#search")
    page.keyboard.type("hub l")
    page.keyboard.press("Enter")
    assert "Hub Ltd (1 of 1)" in page.inner_text("#found")
    evidence = page.inner_text("#evidence")
    assert "OFAC SDN" in evidence
    assert "Hub Ltd → Plant OOO" in evidence
    page.fill("#search", "nobody")
    page.keyboard.press("Enter")
    assert "No actor" in page.inner_text("#found")
    page.click("#whole")
    assert not page.is_visible("#evidence")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    opened.assert_harmless()


@pytest.mark.browser
def test_hover_shows_evidence_as_text_and_switches_hide_edges(firms, tmp_path, open_page):
    opened = open_page(export_html(firms, tmp_path / "g.html"))
    page = opened.page
    page.wait_for_selector("#graph[data-drawn]")
    page.fill("#search", "Drone")
    page.keyboard.press("Enter")
    page.wait_for_timeout(300)
    middle = page.locator("#graph").bounding_box()
    page.mouse.move(middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2)
    page.wait_for_selector("div.vis-tooltip >> text=weapon", state="visible")
    page.click("#whole")
    for box in page.locator("input[data-relation]").all():
        box.uncheck()
    page.fill("#search", "Drone")
    page.keyboard.press("Enter")
    assert all(box.is_checked() for box in page.locator("input[data-relation]").all())
    opened.assert_harmless()


@pytest.mark.browser
def test_hostile_names_do_not_run(hostile, hostile_names, tmp_path, open_page):
    opened = open_page(export_html(hostile, tmp_path / "g.html", title=hostile_names[1]))
    page = opened.page
    page.wait_for_selector("#graph[data-drawn]")
    for text in ("<script>", "onerror", "href"):
        page.fill("#search", text)
        page.keyboard.press("Enter")
        assert text in page.inner_text("#evidence strong")
        for summary in page.locator("#evidence summary").all():
            summary.click()
        page.wait_for_timeout(300)
        box = page.locator("#graph").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_timeout(400)
    assert page.locator("#evidence img, #evidence script, #evidence a, .vis-tooltip img, .vis-tooltip a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    opened.assert_harmless()


@pytest.mark.browser
def test_page_works_inside_an_iframe_whose_policy_allows_its_scripts(firms, tmp_path, open_page):
    hashes = " ".join(f"'{value}'" for value in script_hashes())
    outer = (f"<!DOCTYPE html><meta charset=utf-8><meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
             f"frame-src 'self'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:\">"
             f'<iframe width=800 height=600 srcdoc="{html.escape(graph_page(firms), quote=True)}"></iframe>')
    (tmp_path / "outer.html").write_text(outer, encoding="utf-8")
    opened = open_page(tmp_path / "outer.html")
    opened.page.frame_locator("iframe").locator("#graph[data-drawn]").wait_for()
    opened.assert_harmless()
