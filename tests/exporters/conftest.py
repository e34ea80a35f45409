import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.network import TradeNetwork

CHROMIUM_ARGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<!--<script>alert(1)",
    "href=javascript:alert(1) <a href='javascript:alert(1)'>",
    "=cmd()",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1:A9)",
    "\t=1+1",
    "\r\n=1+1",
    '"; DROP TABLE trades; --',
    "\u202egnp.exe\u202c \u200fright to left\u200e",
    "NUL\x00 bell\x07 escape\x1b backspace\x08 \ufffe end",
    "line\u2028paragraph\u2029 & &amp; ${alert(1)} {{ 7*7 }} {% raw %}",
    "ООО «Спутник» 测试 😀",
    "x" * 10_000,
)


@pytest.fixture(scope="session")
def hostile_names() -> tuple[str, ...]:
    """Names that harm a careless exporter."""
    return HOSTILE


@pytest.fixture
def firms() -> TradeNetwork:
    """Maker - brand -> Hub = two trades => Plant - makes -> Drone; Unnamed - trade -> Hub; Maker - part found -> Drone."""
    actors = [("m", "Maker Inc", "company", "manufacturer", "USA"), ("h", "Hub Ltd", "company", "intermediary", "HKG"),
              ("p", "Plant OOO", "company", "end_user", "RUS"), ("d", "Drone", "weapon", "unknown", "RUS"),
              ("u", "Unnamed supplier", "placeholder", "unknown", "")]
    trades = [("t1", "h", "p", 1_000_000.0, "2022-03-01", "2022-03-31", "established"),
              ("t2", "h", "p", None, None, "2023-05-31", "alleged"),
              ("t3", "u", "h", 2_500.0, "2022-02-01", "2022-02-28", "reported")]
    links = [("l1", "brand", "m", "h", None), ("l2", "makes_weapon", "p", "d", None), ("l3", "component_found", "m", "d", 3.0)]
    common = {"basis": "reported", "source_id": "s1"}
    return TradeNetwork(
        level="firms",
        actors=pd.DataFrame(actors, columns=["actor_id", "name", "kind", "role", "country"]),
        trades=pd.DataFrame([
            {"trade_id": i, "seller_id": a, "buyer_id": b, "hs_code": "854231", "value": v, "currency": "USD" if v else "",
             "value_usd": v, "period_start": pd.Timestamp(s), "period_end": pd.Timestamp(e), "basis": basis, "flow": "export",
             "partner_concept": "destination", "reported_by": "Court", "source_id": "s1", "record_ref": f"cases.csv:{n}"}
            for n, (i, a, b, v, s, e, basis) in enumerate(trades, start=2)
        ]),
        links=pd.DataFrame([
            {"link_id": i, "kind": k, "from_id": a, "to_id": b, "n_parts": n, "record_ref": f"parts.csv:{i}"} | common
            for i, k, a, b, n in links
        ]),
        listings=pd.DataFrame([{
            "actor_id": "h", "list_name": "OFAC SDN", "listed_from": pd.Timestamp("2023-04-01"), "date_as_stated": "2023-04",
            "citation": "https://example.org/notice", "source_id": "s2", "record_ref": "listings.csv:2"}]),
        sources=pd.DataFrame([
            {"source_id": "s1", "title": "Court papers", "publisher": "Court", "url": "https://example.org/a?b=1&c=2"},
            {"source_id": "s2", "title": "List of firms", "publisher": "Office", "url": "javascript:alert(1)"},
            {"source_id": "s3", "title": "Unused source", "publisher": "", "url": ""}]),
    )


@pytest.fixture
def hostile() -> TradeNetwork:
    """A ring of firms in which every text that the schema leaves free is a hostile name."""
    n = len(HOSTILE)
    actors = [{"actor_id": f"a{i}", "name": name, "kind": "company", "role": "unknown", "country": ""}
              for i, name in enumerate(HOSTILE)]
    trades = [{"trade_id": f"t{i}", "seller_id": f"a{i}", "buyer_id": f"a{(i + 1) % n}", "hs_code": "010121", "goods": name,
               "value": 10.0**i, "currency": "USD", "value_usd": 10.0**i, "flow": "export", "partner_concept": "destination",
               "quantity_unit": name, "reported_by": name, "basis": "reported", "case": name, "source_id": name,
               "record_ref": name, "x_note": name} for i, name in enumerate(HOSTILE)]
    links = [{"link_id": f"l{i}", "kind": "brand", "from_id": f"a{i}", "to_id": f"a{(i + 3) % n}", "goods": name,
              "basis": "reported", "source_id": name, "record_ref": name} for i, name in enumerate(HOSTILE)]
    listings = [{"actor_id": f"a{i}", "list_name": name, "date_as_stated": name, "citation": name, "source_id": name,
                 "record_ref": name} for i, name in enumerate(HOSTILE)]
    sources = [{"source_id": name, "title": name, "publisher": name, "url": name, "note": name} for name in HOSTILE]
    return TradeNetwork(level="firms", actors=pd.DataFrame(actors), trades=pd.DataFrame(trades), links=pd.DataFrame(links),
                        listings=pd.DataFrame(listings), sources=pd.DataFrame(sources))


@dataclass
class Opened:
    """A page in Chromium and what it did: `page` is playwright's."""

    page: object
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def assert_harmless(self) -> None:
        """No request left the page, no dialog opened, nothing went wrong in the console."""
        assert (self.requests, self.dialogs, self.errors) == ([], [], [])


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium; tests that use it skip where it is absent, but not in CI."""
    path = shutil.which("chromium")
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail("the browser tests need chromium in CI")
        pytest.skip("no chromium for the browser tests")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """A function that opens a file of the disk and records requests (other than for the file itself), dialogs and errors."""
    contexts = []

    def open_file(path: Path, *, width: int = 1280, height: int = 900) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        opened = Opened(context.new_page())
        own = path.resolve().as_uri()

        def allow(route) -> None:
            if route.request.url == own:
                route.continue_()
            else:
                opened.requests.append(route.request.url)
                route.abort()

        def close(dialog) -> None:
            opened.dialogs.append(dialog.message)
            dialog.dismiss()

        opened.page.route("**/*", allow)
        opened.page.on("request", lambda r: r.url.startswith(("file:", "data:")) or opened.requests.append(r.url))
        opened.page.on("dialog", close)
        opened.page.on("console", lambda message: opened.errors.append(message.text) if message.type != "log" else None)
        opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
        opened.page.goto(own)
        return opened

    yield open_file
    for context in contexts:
        context.close()
