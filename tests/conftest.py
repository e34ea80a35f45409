import os
import signal
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.database import Database
from chiptrail.graphmodel.errors import ChiptrailError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period
from chiptrail.loaders.neo4j import stored_networks
from chiptrail.neo4j_server import RELEASES, Server, prepare, serving

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
"""Servers that live for seconds: to optimise them takes longer than it saves."""


def pytest_configure():
    """Lets Ctrl-C reach the programs that tests start also where the tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Where several processes run the tests: one file in one of them, and all tests on one Neo4j, so that it starts once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            release = next((f"Neo4j {release}" for release in RELEASES if release in nodeid), "")
            return release or nodeid.split("::")[0]

    return ByFile(config, log)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data beside the project; tests that use it skip where it is absent, but not in CI."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the folder of public data must stand beside the project in CI")
        pytest.skip("no folder `shared` with public data beside the project")
    return folder


SOAK_PAGE = ROOT / "docs" / "soak.md"
CAMPAIGNS: dict[str, tuple[int, str]] = {}
PASSED: set[str] = set()


@pytest.fixture
def campaign(request):
    """A function from the number of seeds of the full campaign to the seeds to try now: a twentieth, or all in `make soak`."""

    def seeds(full):
        chosen = range(full if os.environ.get("CHIPTRAIL_SOAK") else full // 20)
        CAMPAIGNS[request.node.nodeid] = (len(chosen), "")
        return chosen

    return seeds


@pytest.fixture
def found(request):
    """A function that puts what a campaign found beside it in docs/soak.md."""

    def say(text):
        CAMPAIGNS[request.node.nodeid] = (CAMPAIGNS[request.node.nodeid][0], text)

    return say


def pytest_sessionfinish():
    """After a soak, in docs/soak.md: the campaigns that passed, beside those that passed in an earlier one."""
    if not os.environ.get("CHIPTRAIL_SOAK") or not CAMPAIGNS:
        return
    git = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=7"], cwd=ROOT, capture_output=True, text=True, check=True)
    rows = {line.split("`")[1]: line for line in SOAK_PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")}
    rows = {name: row for name, row in rows.items() if name not in CAMPAIGNS and (ROOT / name.split("::")[0]).is_file()}
    rows |= {name: f"| `{name}` | {n:,} | {git.stdout.strip()} | {text} |" for name, (n, text) in CAMPAIGNS.items() if name in PASSED}
    lines = ["# Soak", "", "Written by `make soak`: the campaigns whose latest full run passed, and the commit that ran. The tests run a "
             "seeded twentieth of each.", "", "| campaign | seeds | commit | found |", "|---|---|---|---|",
             *(rows[name] for name in sorted(rows)), ""]
    SOAK_PAGE.write_text("\n".join(lines), encoding="utf-8")


OWN_NEO4J = os.environ.get("CHIPTRAIL_TEST_NEO4J_URI")
NEO4J = ["own"] if OWN_NEO4J else list(RELEASES)
NEO4J_PASSED: set[str] = set()


@pytest.fixture(scope="session", params=[pytest.param(release, marks=pytest.mark.neo4j, id=f"neo4j-{release}") for release in NEO4J])
def neo4j_server(request, tmp_path_factory):
    """A running Neo4j of each release in turn, or the user's own; tests that use it skip where none can be had, but not in CI."""
    release = request.param
    if OWN_NEO4J:
        own = Server(release, OWN_NEO4J, "", None, None, os.environ.get("NEO4J_PASSWORD"), os.environ.get("NEO4J_USERNAME", "neo4j"))
        with Database(own.uri, user=own.user, password=own.password or "") as database:
            if len(stored_networks(database)):
                pytest.fail("the tests clear what they push: they need a database that holds no network of chiptrail")
        yield own
        return
    neo4j_ready(release)
    with serving(release, tmp_path_factory.mktemp("neo4j") / "server", password="a password for tests", heap="512m") as server:
        yield server


@pytest.fixture(scope="session", name="neo4j_ready")
def neo4j_ready_fixture():
    """A function that skips the test where a release of Neo4j cannot be run here, and fails it in CI."""
    return neo4j_ready


def neo4j_ready(release):
    try:
        prepare(release)
    except ChiptrailError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"Neo4j must run in CI: {error}")
        pytest.skip(str(error))


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed:
        PASSED.add(report.nodeid)
        NEO4J_PASSED.update(release for release in NEO4J if f"neo4j-{release}" in report.nodeid)


@pytest.hookimpl(specname="pytest_sessionfinish")
def pytest_neo4j_was_tested(session, exitstatus):
    """In CI, a run of all tests fails unless tests passed on each release of Neo4j."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not (config.option.markexpr or config.option.keyword)
    if os.environ.get("CI") == "true" and whole and exitstatus == 0 and (lacking := set(NEO4J) - NEO4J_PASSED):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        config.get_terminal_writer().line(f"\nno test passed on Neo4j {', '.join(sorted(lacking))}", red=True)


@pytest.fixture(scope="session")
def build():
    """A function that makes a small network of trades written as (seller, buyer, code, period, value, {other columns})."""
    return _build


def _build(trades, *, level="countries", links=(), coverage=(), actors=None, sources=("s",)):
    rows, names = [], {}
    for number, (seller, buyer, code, period, value, *more) in enumerate(trades, start=1):
        start, end = _dates(period)
        row = {
            "trade_id": f"t{number:05}", "seller_id": seller, "buyer_id": buyer,
            "hs_code": "" if "+" in code else code, "product_set": code if "+" in code else "", "hs_version": "HS2017",
            "period_start": start, "period_end": end, "value": value, "currency": "" if value is None else "USD",
            "value_usd": value, "flow": "export", "partner_concept": "destination", "reported_by": seller, "basis": "recorded",
            "source_id": sources[0], "record_ref": f"hand.csv:{number + 1}",
        }
        rows.append(row | (more[0] if more else {}))
    link_rows = []
    for number, (kind, maker, other, *more) in enumerate(links, start=1):
        row = {"link_id": f"l{number:05}", "kind": kind, "from_id": maker, "to_id": other, "basis": "reported",
               "source_id": sources[0], "record_ref": f"links.csv:{number + 1}"}
        link_rows.append(row | (more[0] if more else {}))
    for row in rows:
        names |= dict.fromkeys((row["seller_id"], row["buyer_id"]))
    for row in link_rows:
        names |= dict.fromkeys((row["from_id"], row["to_id"]))
    if actors is None:
        actors = [_actor(name, level) for name in sorted(names)]
    covered = []
    for reporter, partners, products, period, *more in coverage:
        start, end = _dates(period)
        row = {"source_id": sources[0], "reporter": reporter, "partners": partners, "products": products, "flow": "export",
               "partner_concept": "destination", "period_start": start, "period_end": end, "complete": True}
        covered.append(row | (more[0] if more else {}))
    return TradeNetwork(
        level=level, actors=pd.DataFrame(actors), trades=pd.DataFrame(rows), links=pd.DataFrame(link_rows),
        coverage=pd.DataFrame(covered),
        sources=pd.DataFrame([{"source_id": s, "title": f"Hand-written {s}", "rows_read": 0} for s in sources]),
    )


def _dates(period):
    start, _, end = period.partition("..")
    if period == "":
        return pd.NaT, pd.NaT
    if not end and ".." not in period:
        return parse_period(period)
    return (parse_period(start)[0] if start else pd.NaT), (parse_period(end)[1] if end else pd.NaT)


def _actor(name, level):
    if level == "countries":
        return {"actor_id": name, "name": name, "kind": "bloc" if name == "EU27" else "country", "role": "unknown",
                "country": name}
    kind = "weapon" if name.startswith("w:") else "placeholder" if name.startswith("Unnamed") else "company"
    return {"actor_id": name, "name": name, "kind": kind, "role": "unknown", "country": name[-3:] if name[-4:-3] == "." else ""}
