"""Makes the picture of the README from the report on the bundled data; needs Chromium (`make docs` runs it)."""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import chiptrail as ct

FRAME = 'iframe[title="The best routes between countries"]'
DOCS = Path(__file__).parent


def main() -> None:
    """Writes docs/routes.png."""
    chromium = shutil.which("chromium") or sys.exit("no chromium here: install it, then run again")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = ct.write_report(Path(folder) / "report.html")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1180, "height": 1100})
        page.goto(page_file.as_uri())
        frame = page.locator(FRAME)
        frame.scroll_into_view_if_needed()
        canvas = page.frame_locator(FRAME).locator("#graph[data-drawn]")
        canvas.wait_for()
        page.wait_for_timeout(500)
        canvas.screenshot(path=DOCS / "routes.png")
        browser.close()
    sys.stdout.write(f"{DOCS / 'routes.png'} written\n")


if __name__ == "__main__":
    main()
