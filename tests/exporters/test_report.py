import html
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import chiptrail as ct
from chiptrail.exporters import report
from chiptrail.graphmodel.network import TradeNetwork, country_actors, empty
from chiptrail.loaders.simulated import simulate

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "loaders" / "samples"
ACCUSING = re.compile(r"guilt|smuggl|crimin|culprit|launder|complicit|front[- ]compan|shell[- ]compan", re.I)


def text_of(page: str) -> str:
    """The page as a reader sees it: no tags, scripts, charts or frames; one space between words."""
    page = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", page, flags=re.S)
    page = re.sub(r"<iframe\b[^>]*>", " ", page)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ")).replace(" ,", ",").strip()


def section(page: str, heading: str) -> str:
    return page[page.index(f"<h2>{heading}"):].split("<h2>")[1]


def rows_of(part: str) -> list[list[str]]:
    return [[text_of(cell) for cell in re.findall(r"<td\b.*?</td>", row, re.S)] for row in re.findall(r"<tr\b.*?</tr>", part, re.S)][1:]


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return ct.write_report(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def page(path) -> str:
    return path.read_text("utf-8")


@pytest.fixture(scope="module")
def nothing() -> dict[str, pd.DataFrame]:
    """No firms, no events, no figures: what stands on the page then is our own text and the countries' data."""
    return {"firms": TradeNetwork(level="firms", actors=empty("actors"), trades=empty("trades")),
            "events": ct.policy_events().iloc[:0], "figures": ct.published_figures().iloc[:0]}


def test_the_answer_in_a_few_sentences(page):
    text = text_of(page)
    assert text.startswith("the United States to Russia: hubs, routes and evidence How do goods from the United States reach Russia")
    assert "Goods: HS 8541, 8542. Period: 2022, compared with the same months of 2021." in text
    assert "for 5 places" in text
    for sentence in (
        "Hong Kong: at most 208 m, since 1.94 bn came in and 208 m went out (before: 2.57 bn and 283 m)",
        "China: at most 180 m, since 12.6 bn came in and 180 m went out (before: 16.4 bn and 72 m)",
        "Kazakhstan: at most 4.27 m, since 4.27 m came in and 18.3 m went out (before: 2.87 m and 246 k)",
        "Turkey: at most 2.8 m, since 41.2 m came in and 2.8 m went out (before: 28.6 m and 60 k)",
        "Not covered on the way in, so not ranked, but sending more to Russia "
        "than in the same months before (value, times the earlier one): Armenia (13.1 m, ×7,639)",
        "Kyrgyzstan (659 k, ×112)", "What the data cannot tell.", "5,806 parts found in weapons",
        "This page again: chiptrail report --out report.html --from USA --to RUS",
    ):
        assert sentence in text, sentence


def test_three_meanings_side_by_side(page):
    part = section(page, "Three meanings")
    boxes = dict(re.findall(r'<h3>(.*?)</h3><b class="big">(.*?)</b>', part))
    assert boxes == {"Dispatched": "not covered", "Customs origin": "0.8 to 7.0 %", "Maker's brand": "68.0 %"}
    shares = {row[0]: row[1:] for row in rows_of(part)}
    # worked by hand in the notes on the source: 4.27 of 87.9, 41.2 of 2,354, 1,940 of 234,984, 12,642 of 267,694 million USD
    assert shares["Kazakhstan"] == ["not covered", "87.9 m", "4.27 m", "4.9 %"]
    assert shares["Turkey"] == ["not covered", "2.35 bn", "41.2 m", "1.8 %"]
    assert shares["Hong Kong"] == ["not covered", "235 bn", "1.94 bn", "0.8 %"]
    assert shares["China"] == ["not covered", "268 bn", "12.6 bn", "4.7 %"]


def test_hubs_with_coverage(page):
    rows = {row[1]: row for row in rows_of(section(page, "Hubs between countries"))}
    assert rows["Kazakhstan"][:8] == ["4", "Kazakhstan", "4.27 m", "2.87 m", "18.3 m", "246 k", "×74.2", "4.27 m"]
    for name, out in (("Armenia", "13.1 m"), ("Kyrgyzstan", "659 k"), ("United Arab Emirates", "4.76 m")):
        assert rows[name][:5] == ["–", name, "not covered", "", out]
        assert rows[name][7] == ""
        assert rows[name][9] == "not covered / covered"


def test_founding_figures_each_beside_the_data(page):
    rows = {(row[0], row[1], row[2], row[3]): (row[4], row[-1]) for row in rows_of(section(page, "Published figures"))}
    other = "USD (other goods, whole year)"
    assert rows == {
        ("Turkey", "Russia", "chpl50 (export)", "2022-03"): ("3 m USD", f"HS 8542, 2022: 2.8 m {other}"),
        ("Turkey", "Russia", "chpl50 (export)", "2022-12"): ("38 m USD", f"HS 8542, 2022: 2.8 m {other}"),
        ("Turkey", "Russia", "chpl50 (export)", "2024-08"): ("4.1 m USD", f"HS 8542, 2024: 4.8 m {other}"),
        ("China", "Russia", "chpl50 (export)", "2024-07"): ("377 m USD", f"HS 8542, 2024: 100 m {other}"),
        ("World", "Russia", "chpl50 (count)", "2024-10"): ("50", "not covered"),
        ("Turkey", "Russia", "us origin battlefield (count)", "2024-10"): ("48", "not covered"),
        ("China", "Kazakhstan + Kyrgyzstan", "battlefield45 (export)", "2023"): ("1.3 bn USD", "not covered"),
        ("China", "Kazakhstan + Kyrgyzstan", "battlefield45 (growth)", "2023"): ("64 %", "not covered"),
        ("China", "Kazakhstan", "drones hs8806 (export)", "2023"): ("5.9 m USD", "not covered"),
        ("Kazakhstan", "Russia", "drones hs8806 (export); 46 % of what came from China", "2023"): (
            "2.7 m USD", f"HS 8542, 2023: 15.6 m {other}"),
        ("World", "Russia", "weapon components nacp (count)", "2023-12"): ("2,500", "5,806 parts in a later database"),
        ("United States", "Russia", "weapon components nacp (share)", "2023-12"): ("75 %", "68.0 % in a later database"),
        ("World", "Kazakhstan + Kyrgyzstan", "battlefield45 (count)", "2023"): ("45", "not covered"),
    }


def test_cases_are_listed_with_their_evidence_and_not_ranked(page):
    part = section(page, "Documented cases")
    titles = [text_of(title) for title in re.findall(r"<summary>(.*?)</summary>", part, re.S)]
    assert titles == sorted(titles, key=lambda title: title.split(" dispatched ")[0].split(" brand ")[0].casefold())
    drone = [title for title in titles if "Special Technology Center → Orlan-10" in title]
    assert {title.split(" → ")[0] for title in drone} == {"Qorvo", "Gumstix", "GA Universal"}
    assert all("undated" in title for title in drone)
    assert any(title.startswith("Silicon Space Technology") and "OOO Sovtest Comp dispatched ordered" in title for title in titles)
    assert not any("Lanprint" in title or "Tor-M2E" in title for title in titles)
    for case in re.findall(r"<details>.*?</details>", part, re.S):
        for row in re.findall(r"<tr><td>.*?</tr>", case, re.S):
            assert re.search(r"\[documented_trades\.csv:\d+", row)
            assert 'href="https://' in row or 'href="http://' in row


def test_parts_sources_and_time_line(page):
    assert "5,806 different parts of 605 makers" in text_of(section(page, "Parts found in weapons"))
    assert "Texas Instruments (786 parts in 92 weapons)" in text_of(section(page, "Parts found in weapons"))
    sources = {row[0]: row for row in rows_of(section(page, "Sources"))}
    assert sources["Bilateral imports of HS 8541 and 8542 together"][3] == "14,602"
    assert sources["Exports of EU members by HS subheading and month"][3] == "7,326"
    assert sources["Components found in weapons (War & Sanctions)"][1:4] == [
        "Military intelligence of Ukraine (GUR)", "CC BY 4.0", "2,975"]
    assert "Documents cited in the cases (55)" in text_of(section(page, "Sources"))
    events = rows_of(section(page, "Time line of policy"))
    assert events[0][1:5] == ["2022-02-24", "United States", "", "US ban on chip exports to Russia"]
    assert [int(row[0]) for row in events] == list(range(1, len(events) + 1))
    assert [row[1] for row in events] == sorted(row[1] for row in events)
    assert page.count("<svg") >= 4


def test_estimates_stand_with_their_intervals(page):
    part = section(page, "How much, and how sure")
    kazakhstan = next(row for row in rows_of(part) if row[:2] == ["Kazakhstan", "2022"])
    assert kazakhstan[3:5] == ["4.27 m (4.9 %)", "18.3 m"]
    assert kazakhstan[6].startswith("888 k (")
    assert kazakhstan[7] == "0 to 4.27 m"
    assert kazakhstan[8].startswith("8541+8542 in, 8542 out; estimated")
    taiwan = next(row for row in rows_of(part) if row[:2] == ["Taiwan", "2022"])
    assert taiwan[3] == "5.3 bn (7.0 %)", "of what came in, as above, though it held more"
    assert "out; 3.0 % of all it holds; estimated; more went out" in taiwan[8]
    told = text_of(part)
    assert re.search(r"Added since 2021.*Kazakhstan 875 k \(.* to .*\)", told)
    assert [row[:4] for row in rows_of(part) if row and row[0].startswith("Kazakhstan bans")] == [
        ["Kazakhstan bans export of 106 dual-use goods to Russia", "2023-10", "not known",
         "no ratio: no month before the event in which the hub's trade is observed"]]
    assert "No gap is known." in told
    assert re.search(r"no report of the buyer can be held against: [0-9]+ importer does not report", told)
    assert re.search(r"If Hong Kong alone closed: .* if none does", told)


def test_trade_that_moved_in_ones_own_data(nothing, tmp_path):
    world = simulate(1000)
    event = ct.policy_events().query("kind == 'export_ban'").head(1).assign(
        hub=world.closed_hub, title="A hub closed", date="2023-03", date_start=world.closed_on)
    own = nothing | {"countries": world.countries, "events": event}
    path = report.write_report(tmp_path / "own.html", **own, since="2022-04", until="2022-12")
    [moved] = [row for row in rows_of(section(path.read_text("utf-8"), "How much, and how sure")) if row and row[0] == "A hub closed"]
    assert re.fullmatch(r"[0-9.]+ \([0-9.]+ to [0-9.]+\)", moved[2])


def test_same_input_same_bytes(path, tmp_path):
    again = ct.write_report(tmp_path / "report.html")
    assert again.read_bytes() == path.read_bytes()
    other = tmp_path / "other" / "report.html"
    subprocess.run([sys.executable, "-c", "from chiptrail.cli import main; main()", "report", "--out", other], check=True,
                   timeout=120, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "7"})
    assert other.read_bytes() == path.read_bytes()


def test_our_own_words_accuse_nobody(nothing, tmp_path):
    ours = [*ROOT.glob("exporters/*.py"), *ROOT.glob("exporters/templates/*"), *ROOT.glob("facade/*.py"), *ROOT.glob("queries/*.py"),
            *ROOT.glob("graphmodel/*.py"), *ROOT.glob("loaders/*.py")]
    assert len(ours) > 20
    assert [file.name for file in ours if ACCUSING.search(file.read_text("utf-8"))] == []
    bare = report.write_report(tmp_path / "r.html", countries=ct.load_bundled("countries"), **nothing)
    assert not ACCUSING.search(text_of(bare.read_text("utf-8")))


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_it_opens_offline_and_fits(path, open_page, width):
    opened = open_page(path, width=width)
    for details in opened.page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    frames = opened.page.locator("iframe")
    assert frames.count() == 2
    for number in range(2):
        frames.nth(number).scroll_into_view_if_needed()
        inside = opened.page.frame_locator("iframe").nth(number)
        inside.locator("#graph[data-drawn]").wait_for()
        # nothing scrolls sideways inside the frame, and the drawing is within its sight
        assert inside.locator("html").evaluate("element => element.scrollWidth <= element.clientWidth")
        box = inside.locator("#graph").evaluate("element => [element.getBoundingClientRect().bottom + scrollY, innerHeight]")
        assert box[0] <= box[1]
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    wide = opened.page.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll, figure') && e.getBoundingClientRect().right > "
        "document.documentElement.clientWidth + 1).map(e => e.outerHTML.slice(0, 80))")
    assert wide == []
    cut = opened.page.evaluate(  # letters of a chart that stand outside of its picture
        "[...document.querySelectorAll('svg text')].filter(t => { const s = t.ownerSVGElement.getBoundingClientRect(), "
        "b = t.getBoundingClientRect(); return b.width && (b.left < s.left - 1 || b.right > s.right + 1 || b.bottom > s.bottom + 1) })"
        ".map(t => t.textContent)")
    assert cut == []
    opened.assert_harmless()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_hostile_names_harm_nothing(hostile, hostile_names, open_page, tmp_path, width):
    everything = "".join(hostile_names[:-1])
    actors = country_actors(["USA", "KAZ", "RUS"])
    actors["name"] = [everything[:400], hostile_names[0], "x" * 5_000]
    trade = {"hs_code": "8542", "period_start": pd.Timestamp("2022-01-01"), "period_end": pd.Timestamp("2022-12-31"), "value": 5.0,
             "currency": "USD", "value_usd": 5.0, "basis": "recorded", "source_id": everything, "goods": everything,
             "record_ref": everything, "case": everything}
    countries = TradeNetwork(
        level="countries", actors=actors,
        trades=pd.DataFrame([
            {**trade, "trade_id": "1", "seller_id": "USA", "buyer_id": "KAZ", "flow": "import", "partner_concept": "origin",
             "reported_by": "KAZ"},
            {**trade, "trade_id": "2", "seller_id": "KAZ", "buyer_id": "RUS", "flow": "export", "partner_concept": "destination",
             "reported_by": "KAZ"}]),
        coverage=pd.DataFrame([
            {"source_id": everything, "reporter": "KAZ", "partners": "*", "products": "8542", "flow": flow, "partner_concept": concept,
             "period_start": pd.Timestamp("2022-01-01"), "period_end": pd.Timestamp("2022-12-31"), "complete": True, "note": everything}
            for flow, concept in (("import", "origin"), ("export", "destination"))]),
        sources=pd.DataFrame([{"source_id": everything, "title": everything, "publisher": hostile_names[1], "url": hostile_names[4],
                               "licence": hostile_names[2], "note": hostile_names[0], "rows_read": 2, "rows_kept": 2}]))
    links = pd.DataFrame([{"link_id": f"p{i}", "kind": "component_found", "from_id": f"a{i}", "to_id": f"a{i - 1}", "n_parts": 2.0,
                           "basis": "reported", "source_id": name, "record_ref": name} for i, name in enumerate(hostile_names) if i])
    firms = TradeNetwork(level="firms", actors=hostile.actors.assign(country=["USA", "RUS"] * 8 + ["USA"]), trades=hostile.trades,
                         links=pd.concat([hostile.links, links]), listings=hostile.listings, sources=hostile.sources)
    events = ct.policy_events().head(3).assign(title=hostile_names[0], effect=hostile_names[2], source_url=hostile_names[4], hub="")
    figures = ct.published_figures()
    figures = figures[figures["note"].str.startswith("Founding article")].head(3).assign(
        source_title=hostile_names[1], source_url="http://\"onmouseover=alert(1)", reported_by=hostile_names[2],
        product_list=hostile_names[3])
    path = report.write_report(tmp_path / "r.html", countries=countries, firms=firms, events=events, figures=figures,
                               command=everything)
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", re.sub('srcdoc="[^"]*"', "", text))
    assert "<img" not in text
    assert "href=\"javascript" not in text
    assert len(text) < 10_000_000
    opened = open_page(path, width=width)
    for details in opened.page.locator("details").all():
        details.evaluate("element => { element.open = true }")
    for number in range(opened.page.locator("iframe").count()):
        opened.page.locator("iframe").nth(number).scroll_into_view_if_needed()
        opened.page.frame_locator("iframe").nth(number).locator("#graph[data-drawn]").wait_for()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.assert_harmless()


@pytest.mark.browser
def test_a_users_own_small_network(open_page, tmp_path):
    mine = ct.load_comtrade([SAMPLES / "comtrade_47.csv", SAMPLES / "comtrade_47_monthly.csv"])
    path = ct.write_report(tmp_path / "mine.html", network=mine, network_name="mine folder")
    text = text_of(path.read_text("utf-8"))
    assert "for 1 place." in text
    assert "Kazakhstan: at most 80, since 80 came in and 700 went out" in text
    assert "Customs origin 76.2 % of what the hubs below import" in text  # 80 of 80 + 20 + 5 + 0
    assert "UN Comtrade download comtrade_47.csv" in text
    assert "1 code within a wider one" in text
    assert "5,806 parts" in text  # firms are still the bundled ones
    assert "chiptrail report 'mine folder' --out mine.html" in text
    opened = open_page(path, width=400)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
    opened.assert_harmless()


def test_firms_of_ones_own_take_the_place_of_the_bundled(firms, tmp_path):
    page = ct.write_report(tmp_path / "mine.html", network=firms).read_text("utf-8")
    titles = [text_of(title) for title in re.findall(r"<summary>(.*?)</summary>", section(page, "Documented cases"), re.S)]
    assert titles == ["Maker Inc → Hub Ltd → Plant OOO → Drone brand ordered weakest: reported"]
    assert "3 different parts of 1 makers" in text_of(page)
    assert "Kazakhstan: at most 4.27 m" in text_of(page)


def test_nothing_covered_is_said_and_not_an_error(nothing, tmp_path):
    bare = TradeNetwork(level="countries", actors=country_actors(["USA", "RUS"]), trades=empty("trades"))
    text = text_of(report.write_report(tmp_path / "r.html", countries=bare, **nothing).read_text("utf-8"))
    assert "The data cover both legs of the way for no place, so no hub can be ranked." in text
    assert text.count("not covered") >= 3
    assert "No documented chain meets the question." in text
    assert "0 documented chains of firms" in text
    bundled = text_of(ct.write_report(tmp_path / "s.html", origins=["PRK"], destinations=["CUB"]).read_text("utf-8"))
    assert "so no hub can be ranked" in bundled


def test_a_narrower_question(tmp_path):
    path = ct.write_report(tmp_path / "r.html", origins=["EU27"], products="8542", since="2021", until="2021")
    text = text_of(path.read_text("utf-8"))
    assert "Goods: 8542. Period: 2021, compared with the same months of 2020." in text
    assert "--from EU27 --to RUS --product 8542 --since 2021 --until 2021" in text
    with pytest.raises(ct.UnknownNameError, match="Kazakhstan"):
        ct.write_report(tmp_path / "x.html", origins=["Kazachstan"])
    assert not (tmp_path / "x.html").exists()


IMPORTS = {"flow": "import", "partner_concept": "origin"}
ORIGIN = IMPORTS | {"reported_by": "KAZ"}


def page_of(network, nothing, folder, **options) -> str:
    options = {"since": "2022", "until": "2022"} | options
    return report.write_report(folder / "r.html", countries=network, **nothing, **options).read_text("utf-8")


def test_a_share_needs_the_other_partners(build, nothing, tmp_path):
    """Of the imports only those from the USA are covered: their share of all is not 100 %."""
    network = build([("USA", "KAZ", "8542", "2022", 90.0, ORIGIN), ("KAZ", "RUS", "8542", "2022", 5.0)],
                    coverage=[("KAZ", "USA", "8542", "2022", IMPORTS), ("KAZ", "*", "8542", "2022")])
    [row] = rows_of(section(page_of(network, nothing, tmp_path), "Three meanings"))
    assert row[2:] == ["not known", "90", ""]


def test_a_share_needs_the_other_partners_in_the_same_period(build, nothing, tmp_path):
    network = build([("USA", "KAZ", "8542", "2022", 90.0, ORIGIN), ("KAZ", "RUS", "8542", "2022", 5.0)],
                    coverage=[("KAZ", "USA", "8542", "2022", IMPORTS), ("KAZ", "*", "8542", "2020", IMPORTS), ("KAZ", "*", "8542", "2022")])
    [row] = rows_of(section(page_of(network, nothing, tmp_path), "Three meanings"))
    assert row[2:] == ["not known", "90", ""]


def test_a_share_is_of_the_goods_asked_for(build, nothing, tmp_path):
    network = build([("USA", "KAZ", "8542", "2022", 90.0, ORIGIN), ("CHN", "KAZ", "8542", "2022", 10.0, ORIGIN),
                     ("CHN", "KAZ", "8471", "2022", 900.0, ORIGIN), ("KAZ", "RUS", "8542", "2022", 5.0)],
                    coverage=[("KAZ", "*", "*", "2022", IMPORTS), ("KAZ", "*", "*", "2022")])
    [row] = rows_of(section(page_of(network, nothing, tmp_path, products="8542"), "Three meanings"))
    assert row[2:] == ["100", "90", "90.0 %"]


def test_steady_trade_is_not_said_to_grow(build, nothing, tmp_path):
    """Ten a month throughout, but of the year before only half is covered: 120 beside 60 is no growth."""
    months = [("KGZ", "RUS", "8542", f"{y}-{m:02}", 10.0) for y, first in ((2021, 7), (2022, 1)) for m in range(first, 13)]
    network = build(months, coverage=[("KGZ", "*", "8542", "2021-07/2022-12")])
    text = text_of(page_of(network, nothing, tmp_path))
    assert "sending more to" not in text
    assert "the earlier period is covered in part" in text


def test_the_graph_holds_the_routes_records_alone(build, nothing, tmp_path):
    """Two files of one name: row 2 of the other file is another trade."""
    other = {"source_id": "t", "record_ref": "hand.csv:2"}
    network = build([("USA", "KAZ", "8542", "2022", 9.0, ORIGIN), ("KAZ", "RUS", "8542", "2022", 5.0),
                     ("DEU", "TUR", "8471", "2022", 7.0, other)], sources=("s", "t"))
    frame = html.unescape(page_of(network, nothing, tmp_path).split("<iframe")[1])
    data = re.search(r'<script[^>]*id="graph-data"[^>]*>(.*?)</script>', frame, re.S)
    assert data
    assert "KAZ" in data[1]
    assert "DEU" not in data[1]


def test_a_firm_stands_for_its_country_between_countries(tmp_path):
    text = text_of(ct.write_report(tmp_path / "r.html", origins=["Qorvo"], destinations=["russia"]).read_text("utf-8"))
    assert "How do goods from Qorvo reach Russia" in text
    assert "the United States stands for Qorvo, which sits there" in text
    assert "Kazakhstan: at most 4.27 m" in text
    assert "Qorvo → IK Tech Corporation" in text
    assert "Gumstix → IK Tech Corporation" not in text
