"""Makes the pictures of docs/neo4j.md in the real Neo4j Browser; needs Chromium, Java and Maven (`make docs` runs it).

The tests drive Browser with the same functions.
"""

import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, sync_playwright

import chiptrail as ct
from chiptrail.graphmodel.database import Database
from chiptrail.neo4j_server import Server, serving
from chiptrail.queries.ready_cypher import favourites

DOCS = Path(__file__).parent
RELEASE = "5.26"
FRAME = "[data-testid=frame] >> nth=0"
VIEWS = {"graph": "Visualization", "table": "Table", "text": "Ascii"}
DROP = """text => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([text], 'neo4j.grass'));
    document.querySelector('.filedrop').dispatchEvent(new DragEvent('drop', {bubbles: true, cancelable: true, dataTransfer: dropped}));
}"""
DRAWN = """frame => Array.from(frame.querySelectorAll('svg g.node'), node => {
    const circle = node.querySelector('circle.b-outline');
    const caption = Array.from(node.querySelectorAll('text.caption'), text => text.textContent.trim());
    return {colour: circle.getAttribute('fill'), border: circle.getAttribute('stroke'), radius: +circle.getAttribute('r'), caption};
})"""
STILL = """() => {
    const places = Array.from(document.querySelectorAll('svg g.node'), node => node.getAttribute('transform')).join();
    const still = places !== '' && places === window.placesBefore;
    window.placesBefore = places;
    return still;
}"""


def connected(chromium: Chromium, server: Server) -> Page:
    """A page with Neo4j Browser, connected by user and password; it can ask no other host than the server's."""
    page = chromium.new_context(viewport={"width": 1200, "height": 760}).new_page()
    own = urlsplit(server.browser).netloc
    page.route("**/*", lambda route: route.continue_() if urlsplit(route.request.url).netloc == own else route.abort())
    page.goto(server.browser)
    page.get_by_test_id("username").fill(server.user)
    page.get_by_test_id("password").fill(server.password or "")
    page.get_by_test_id("connect").click()
    page.get_by_test_id("disconnectedBanner").wait_for(state="detached")
    page.get_by_text(":play start").wait_for()
    return page


def load_style(page: Page) -> None:
    """Drops the style file on Browser's window, and waits until Browser shows it."""
    page.evaluate(DROP, files("chiptrail.exporters").joinpath("templates", "neo4j.grass").read_text(encoding="utf-8"))
    page.locator(FRAME).get_by_text("node.Chiptrail").wait_for()


def ask(page: Page, text: str) -> None:
    """Runs a query or command alone in Browser, and waits for its answer."""
    for line in (":clear", text):
        page.locator(".monaco-editor").first.click()
        page.keyboard.press("Control+A")
        page.keyboard.insert_text(line)
        page.keyboard.press("Control+Enter")
        if line == ":clear":
            page.get_by_test_id("frame").first.wait_for(state="detached")
    page.locator(FRAME).get_by_test_id("frameContents").wait_for()


def view(page: Page, name: str) -> None:
    """Shows the answer as `graph`, `table` or `text`."""
    page.locator(FRAME).get_by_test_id(f"cypherFrameSidebar{VIEWS[name]}").click()


def drawn(page: Page) -> list[dict[str, Any]]:
    """The nodes drawn once they stand still: colour, border, radius, and the lines of the caption."""
    page.wait_for_function(STILL, polling=500)
    nodes: list[dict[str, Any]] = page.locator(FRAME).evaluate(DRAWN)
    return nodes


def filled(page: Page) -> None:
    """The graph over the whole window, beside its legend."""
    frame = page.locator(FRAME)
    frame.get_by_title("Fullscreen").click()
    drawn(page)
    frame.get_by_label("zoom-to-fit").click()
    page.wait_for_timeout(1000)
    legend = frame.get_by_test_id("vizInspector").evaluate("pane => pane.getBoundingClientRect().toJSON()")
    page.mouse.move(legend["x"] - 80, legend["y"] + 10)
    page.mouse.down()
    page.mouse.move(legend["x"] - 80 - legend["width"] / 2, legend["y"] + 10, steps=5)
    page.mouse.up()


def main() -> None:
    """Writes docs/neo4j-hubs.png, -routes.png and -evidence.png."""
    path = shutil.which("chromium") or sys.exit("no chromium here: install it, then run again")
    countries, firms = ct.load_bundled("countries"), ct.load_bundled("firms")
    hubs = ct.transit_hubs(countries, origins=["USA"], destinations=["RUS"], since="2022-01", until="2022-12")
    with tempfile.TemporaryDirectory() as folder, serving(RELEASE, Path(folder, "server")) as server, sync_playwright() as playwright:
        with Database(server.uri, user=server.user, password=server.password or "") as database:
            ct.push_neo4j(countries, database, network_id="bundled-countries")
            ct.push_scores(database, hubs, network_id="bundled-countries", prefix="hub", by="throughput_max_usd")
            ct.push_neo4j(firms, database, network_id="bundled-firms")
        chromium = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = connected(chromium, server)
        load_style(page)
        ask(page, ":config {autoComplete: false}")
        queries = favourites("bundled-countries")
        for text in (queries["parameters"], ":param since => '2022-01-01'", ":param until => '2022-12-31'", queries["hubs"]):
            ask(page, text)
        filled(page)
        page.screenshot(path=DOCS / "neo4j-hubs.png")
        page.locator(FRAME).get_by_title("Close fullscreen").click()
        weapon = ":param destinations => ['Orlan-10', 'Special Technology Center']"
        for text in (favourites("bundled-firms")["parameters"], weapon, queries["routes"]):
            ask(page, text)
        filled(page)
        page.screenshot(path=DOCS / "neo4j-routes.png")
        page.locator(FRAME).locator("svg g.relationship text", has_text="reported").first.click(force=True)
        page.get_by_test_id("viz-details-pane-properties-table").wait_for()
        page.screenshot(path=DOCS / "neo4j-evidence.png")
        chromium.close()
    sys.stdout.write(f"{DOCS}/neo4j-*.png written\n")


if __name__ == "__main__":
    main()
