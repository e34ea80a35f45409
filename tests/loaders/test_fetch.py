"""Downloads against a stand-in service on the loopback that knows a synthetic world, and fails in every way we know."""

import csv
import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise, product
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pycountry
import pytest
from typer.testing import CliRunner

from chiptrail import fetching
from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.comext import load_comext
from chiptrail.loaders.comtrade import load_comtrade
from chiptrail.loaders.downloads import Limits, checked_base
from chiptrail.loaders.fetch_comext import comext_code, fetch_comext
from chiptrail.loaders.fetch_comtrade import LEVELS, comtrade_code, fetch_comtrade
from chiptrail.loaders.reader import retrieved_on

KEY = "5ecre7-0f-n0b0dy-1234567890abcdef"
REPORTERS = {"398": "KAZ", "51": "ARM", "417": "KGZ", "842": "USA", "276": "DEU", "792": "TUR"}
PARTNERS = {"0": "World", "643": "RUS", "842": "USA", "156": "CHN", "398": "KAZ", "276": "DEU", "699": "IND"}
PRODUCTS = ("854110", "854121", "854231", "854232", "854233", "880690")
PERIODS = {"A": ("2020", "2021", "2022", "2023"), "M": tuple(f"2022{m:02}" for m in range(1, 13))}
MEMBERS = ("AT", "DE", "EL", "LT")
COMEXT_PARTNERS = ("AM", "KG", "KZ")


def dice(*key):
    return int.from_bytes(hashlib.md5("|".join(key).encode()).digest()[:4], "big")


def comtrade_world(frequency):
    """Every row that the stand-in knows: three of four cells."""
    for period, reporter, code, partner, flow in product(PERIODS[frequency], REPORTERS, PRODUCTS, PARTNERS, ("X", "M")):
        number = dice(frequency, period, reporter, code, partner, flow)
        if partner == reporter or number % 4 == 0:
            continue
        value = number % 1_000_000 / 100
        yield {
            "typeCode": "C", "freqCode": frequency, "period": period, "reporterCode": int(reporter), "reporterISO": REPORTERS[reporter],
            "flowCode": flow, "partnerCode": int(partner), "partnerDesc": PARTNERS[partner] + ', "x"', "partner2Code": 0,
            "classificationCode": "H6", "isOriginalClassification": True, "cmdCode": code, "cmdDesc": "goods", "customsCode": "C00",
            "mosCode": "0", "motCode": 0, "qtyUnitCode": -1, "qtyUnitAbbr": "N/A", "qty": None, "netWgt": number % 1000,
            "cifvalue": value if flow == "M" else None, "fobvalue": None if flow == "M" else value, "primaryValue": value,
            "isReported": False, "aNewField": "new",
        }


WORLD = {frequency: list(comtrade_world(frequency)) for frequency in "AM"}


def comext_world():
    """Cells of Comext: value and weight; some confidential, some without weight."""
    for month, reporter, partner, code, flow in product(range(1, 13), MEMBERS, COMEXT_PARTNERS, ("8542", "85423190"), "12"):
        number = dice(str(month), reporter, partner, code, flow)
        if number % 3:
            kind = ("", "c", "no weight", "")[number // 3 % 4]
            yield f"2022-{month:02}", reporter, partner, code, flow, number % 100_000, number % 977 / 10, kind


CELLS = list(comext_world())


class Standin(ThreadingHTTPServer):
    """Answers as the two services do. `faults` are played in turn, one a call; `limit` cuts answers without a word."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.faults, self.calls, self.keys = [], [], []
        self.limit, self.counts_all, self.zip, self.cells = 100_000, False, False, 500_000
        self.lock, self.hanging, self.gate = threading.Lock(), threading.Event(), None
        self.base = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that hangs up is what some tests want."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Nothing."""

    def do_GET(self):
        server = self.server
        with server.lock:
            server.calls.append(self.path)
            server.keys.append(self.headers.get("Ocp-Apim-Subscription-Key"))
            fault = server.faults.pop(0) if server.faults else None
            calls = len(server.calls)
        if server.gate and calls > server.gate:
            server.hanging.wait(20)
        status, body = self.answer()
        self.play(fault, status, body)

    def answer(self):
        place = urlsplit(self.path)
        asked = {name: values[0].split(",") for name, values in parse_qs(place.query).items()}
        if place.path.startswith("/files/v1/app/reference/"):
            codes = REPORTERS if place.path.endswith("Reporters.json") else PARTNERS
            items = [{"id": "all", "text": "All"}, *({"id": int(code), "text": name} for code, name in codes.items())]
            return 200, json.dumps({"more": False, "results": items}).encode()
        if "/sdmx/2.1/data/DS-045409/" in place.path:
            return self.comext(unquote(place.path).rpartition("/")[2], asked)
        assert place.path.startswith(("/data/v1/get/C/", "/public/v1/preview/C/"))
        assert (asked["partner2Code"], asked["customsCode"], asked["motCode"]) == (["0"], ["C00"], ["0"])
        assert len(asked["period"]) <= 12
        columns = ("period", "reporterCode", "partnerCode", "cmdCode", "flowCode")
        wanted = {name: set(asked[name]) for name in columns if name in asked and not set(asked[name]) & set(LEVELS)}
        rows = [r for r in WORLD[place.path.split("/")[-2]] if all(str(r[name]) in values for name, values in wanted.items())]
        limit = min(self.server.limit, int(asked["maxRecords"][0]), 500 if "preview" in place.path else 10**9)
        count = len(rows) if self.server.counts_all else len(rows[:limit])
        return 200, json.dumps({"elapsedTime": "0.1 secs", "count": count, "data": rows[:limit], "error": ""}).encode()

    def comext(self, key, asked):
        freq, *lists = key.split(".")
        assert freq == "M"
        wanted = [set(values.split("+")) if values else None for values in lists[:4]]
        assert lists[4] == "VALUE_IN_EUROS+QUANTITY_IN_100KG"
        since, until = asked["startPeriod"][0], asked["endPeriod"][0]
        lines = ["DATAFLOW,LAST UPDATE,freq,reporter,partner,product,flow,indicators,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS"]
        for month, reporter, partner, code, flow, value, weight, kind in CELLS:
            if not since <= month <= until:
                continue
            if any(w and v not in w for v, w in zip((reporter, partner, code, flow), wanted, strict=True)):
                continue
            told = f"ESTAT:DS-045409(1.0),15/09/26 11:00:00,M,{reporter},{partner},{code},{flow}"
            lines.append(f"{told},VALUE_IN_EUROS,{month},{',,C' if kind == 'c' else f'{value},,'}")
            if kind != "no weight":
                lines.append(f"{told},QUANTITY_IN_100KG,{month},{',,C' if kind == 'c' else f'{weight},p,'}")
        if len(lines) - 1 > self.server.cells:
            told = b"<S:Fault><faultcode>413</faultcode><faultstring>EXTRACTION_TOO_BIG: estimated 9</faultstring></S:Fault>"
            return (413, told) if len(lines) % 2 else (200, b"<env><queued><id>a-b</id><status>SUBMITTED</status></queued></env>")
        if len(lines) == 1:
            return 404, b"<S:Fault><faultcode>100</faultcode><faultstring>NO_RESULTS: no results</faultstring></S:Fault>"
        return 200, ("\r\n".join(lines) + "\r\n").encode()

    def play(self, fault, status, body):
        headers = {}
        if fault == "count":
            content = json.loads(body)
            content["data"].pop()
            body = json.dumps(content).encode()
        elif fault == "nan":
            body = body.replace(b'"netWgt": ', b'"netWgt": NaN, "x": ', 1)
        if self.server.zip:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        length = len(body)
        if fault == "500":
            status, body = 500, b"down"
        elif isinstance(fault, tuple) and fault[0] == 429:
            status, body, headers["Retry-After"] = 429, b"slowly", fault[1]
        elif isinstance(fault, tuple):
            status, body = fault
        elif fault == "html":
            body = b"<!DOCTYPE html><html><body>Maintenance</body></html>"
        elif fault == "cut":
            body = body[: len(body) * 2 // 3]
        elif fault == "hang":
            self.server.hanging.wait(20)
        elif fault == "empty":
            body = b""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if fault in ("unframed", "unframed, in a number"):
            self.send_header("Connection", "close")
            bare = b"\r\n".join(line.rsplit(b",", 2)[0] for line in body.split(b"\r\n")[:-1])
            body = body[: len(body) * 2 // 3] if fault == "unframed" else bare[:-1]
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(length if fault == "short" else len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if fault == "short" else body)
        if fault == "short":
            self.wfile.flush()
            self.close_connection = True


@pytest.fixture
def service(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Standin() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.hanging.set()
        server.shutdown()
        thread.join()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def clock(self):
        return self.now


def quick(max_rows=100_000, **more):
    time_ = Time()
    return Limits(max_rows=max_rows, **({"timeout": 5, "sleep": time_.sleep, "clock": time_.clock} | more))


def fetch(service, folder, **more):
    asked = {"reporters": ["KAZ", "ARM", "KGZ", "USA", "DEU", "TUR"], "products": list(PRODUCTS), "since": "2020", "until": "2023",
             "base": service.base, "key": KEY, "limits": quick()}
    return fetch_comtrade(folder, **(asked | more))


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def as_text(value):
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def same_as_world(path, world):
    told = Counter(tuple(sorted((name, text) for name, text in row.items() if text)) for row in rows_of(path))
    truth = Counter(tuple(sorted((name, as_text(value)) for name, value in row.items() if value is not None)) for row in world)
    return told == truth


def bytes_under(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# Comtrade: whole answers


def test_one_call_where_one_is_enough(service, tmp_path):
    path = fetch(service, tmp_path)
    assert len(service.calls) == 1
    assert service.calls[0].startswith("/data/v1/get/C/A/HS?period=2020,2021,2022,2023&reporterCode=51,")
    assert service.keys == [KEY]
    assert same_as_world(path, WORLD["A"])


@pytest.mark.parametrize("limit", [1000, 60])
@pytest.mark.parametrize("silent", [True, False], ids=["a silent limit", "a limit that the count tells"])
def test_cut_answers_are_split_until_nothing_is_missing(service, tmp_path, limit, silent):
    service.limit, service.counts_all = limit, not silent
    path = fetch(service, tmp_path, limits=quick(max_rows=limit))
    assert same_as_world(path, WORLD["A"])
    notes = [json.loads(note.read_bytes()) for note in (tmp_path / "answers").glob("*.note.json")]
    assert all(note["rows"] < limit for note in notes if "rows" in note and "/files/" not in note["url"])
    assert len({*service.calls}) == len(notes)
    if silent:
        assert len(service.calls) == len(notes)


def test_a_limit_below_ours_is_seen_by_the_count(service, tmp_path):
    service.limit, service.counts_all = 120, True
    assert same_as_world(fetch(service, tmp_path, limits=quick(max_rows=100_000)), WORLD["A"])


def test_a_plan_of_500_rows_is_known_when_it_says_nothing(service, tmp_path):
    service.limit = 500
    assert same_as_world(fetch(service, tmp_path), WORLD["A"])
    assert len(service.calls) > 1


@pytest.mark.parametrize("flow", ["export", "import"])
def test_everybody_is_split_by_the_lists_of_the_service(service, tmp_path, flow):
    path = fetch(service, tmp_path, reporters=None, partners=None, products="854110", flows=[flow], until="2020", limits=quick(max_rows=5))
    letter = {"export": "X", "import": "M"}[flow]
    assert same_as_world(path, [r for r in WORLD["A"] if (r["period"], r["cmdCode"], r["flowCode"]) == ("2020", "854110", letter)])
    lists = [call for call in service.calls if call.startswith("/files/")]
    assert sorted(lists) == ["/files/v1/app/reference/Reporters.json", "/files/v1/app/reference/partnerAreas.json"]


def test_months_are_asked_twelve_at_a_time(service, tmp_path):
    path = fetch(service, tmp_path, frequency="month", since="2021-06", until="2023-05", products="AG6")
    assert same_as_world(path, WORLD["M"])
    assert len(service.calls) == 2


def test_long_lists_are_split_before_the_address_is_too_long(service, tmp_path):
    codes = [f"85{n:04}" for n in range(400)]
    path = fetch(service, tmp_path, products=[*codes, *PRODUCTS])
    assert same_as_world(path, WORLD["A"])
    assert max(map(len, service.calls)) <= 2000


def test_what_cannot_be_split_is_an_error_and_no_file(service, tmp_path):
    service.limit = 1
    with pytest.raises(InputError, match=r"limit of 1 rows and cannot be split further.*rows are missing"):
        fetch(service, tmp_path, limits=quick(max_rows=1))
    assert not list(tmp_path.glob("*"))[1:]
    service.limit = 100
    asked = {"products": "AG6", "reporters": ["KAZ"], "partners": ["RUS"], "flows": ["export"], "since": "2022", "until": "2022"}
    n = len(rows_of(fetch(service, tmp_path / "b", **asked)))
    assert n > 1
    with pytest.raises(InputError, match="cannot be split further"):
        fetch(service, tmp_path / "c", **asked, limits=quick(max_rows=n))
    assert len(rows_of(fetch(service, tmp_path / "d", **asked, limits=quick(max_rows=n + 1)))) == n


def test_the_loader_reads_it(service, tmp_path):
    service.limit = 100
    path = fetch(service, tmp_path, limits=quick(max_rows=100))
    network = load_comtrade(path)
    countries = [row for row in WORLD["A"] if row["partnerCode"]]
    assert len(network.trades) == len(countries)
    assert len(network.totals) == len(WORLD["A"]) - len(countries)
    assert network.trades["value_usd"].sum() == pytest.approx(sum(row["primaryValue"] for row in countries))
    assert "aNewField" in network.sources["note"][0]


def test_nothing_recorded_is_an_empty_table(service, tmp_path):
    path = fetch(service, tmp_path, products="010121")
    assert rows_of(path) == []
    assert len(load_comtrade(path).trades) == 0


# Faults


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("fault", ["500", (429, "3"), "short", "cut", "html", "count", "empty", "nan", "unframed", (503, b""), (200, b"[]"),
                                   (200, b'{"count": 0, "data": [], "error": "busy"}'), (200, b'{"data": []}')])
def test_faults_are_asked_again(service, tmp_path, fault, zipped):
    service.limit = 300
    asked = {"limits": quick(max_rows=300), "since": "2020", "until": "2021"}
    sound = fetch(service, tmp_path / "sound", **asked)
    n = len(service.calls)
    service.zip, service.faults, service.calls = zipped, [fault, None, fault, fault], []
    path = fetch(service, tmp_path / "faulty", **asked)
    assert path.read_bytes() == sound.read_bytes()
    assert len(service.calls) == n + 3


def test_a_service_that_hangs_is_asked_again(service, tmp_path):
    service.faults = ["hang"]
    path = fetch(service, tmp_path, limits=quick(timeout=0.3))
    assert same_as_world(path, WORLD["A"])


@pytest.mark.parametrize("fault", ["500", "short", "cut", "html", "empty"])
def test_faults_without_end_are_an_error_and_leave_nothing(service, tmp_path, fault):
    service.faults = [fault] * 100
    limits = quick(attempts=4)
    with pytest.raises(InputError, match="no sound answer after 4 tries"):
        fetch(service, tmp_path, limits=limits)
    assert len(service.calls) == 4
    assert bytes_under(tmp_path) == {}


def test_nobody_at_home(tmp_path):
    with pytest.raises(InputError, match="no connection, or it broke"):
        fetch_comtrade(tmp_path, reporters=["KAZ"], products="8542", since="2022", until="2022", base="http://127.0.0.1:9", limits=quick())


def test_pauses_are_kept(service, tmp_path):
    service.faults = ["500", "500", (429, "30"), "500"]
    clock = Time()
    fetch(service, tmp_path, limits=Limits(max_rows=1000, per_second=0.5, sleep=clock.sleep, clock=clock.clock))
    # 1 and 2 s by doubling, of which the pace of one call in two seconds takes the first up to 2 s
    assert clock.slept[:4] == [1, 1, 2, 30]
    assert clock.slept[4] == 8


def test_a_date_to_come_back(service, tmp_path):
    service.faults = [(429, format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)), (429, "soon")]
    limits = quick()
    fetch(service, tmp_path, limits=limits)
    assert 95 < limits.sleep.__self__.slept[0] <= 100


def test_a_pause_too_long_is_an_error(service, tmp_path):
    service.faults = [(429, "86400")]
    with pytest.raises(InputError, match="asks to wait 86,400 seconds"):
        fetch(service, tmp_path)


@pytest.mark.parametrize("per_second", [0.2, 4])
def test_the_pace(service, tmp_path, per_second):
    service.limit, clock, times = 200, Time(), []
    limits = Limits(max_rows=200, per_second=per_second, sleep=clock.sleep, clock=lambda: times.append(clock.now) or clock.now)
    fetch(service, tmp_path, limits=limits)
    calls = times[1::2]
    assert len(calls) == len(service.calls)
    assert min(b - a for a, b in pairwise(calls)) >= 1 / per_second - 1e-9


# The key


def all_text(error):
    seen, found = error, []
    while seen:
        found += [str(seen), repr(seen), "".join(traceback.format_exception(seen))]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return " ".join(found)


@pytest.mark.parametrize(("status", "body"), [
    (401, b"Access denied due to invalid subscription key"), (403, b"Out of call volume quota"), (401, f"bad key {KEY}".encode()),
    (400, f"<p>{KEY}</p>".encode()), (302, b"elsewhere"),
    (200, json.dumps({"count": 0, "data": [], "error": "", "you": KEY}).encode()),
])
def test_refusals_are_not_repeated_and_do_not_tell_the_key(service, tmp_path, status, body):
    service.faults = [(status, body)] * 9
    with pytest.raises(InputError) as caught:
        fetch(service, tmp_path)
    assert len(service.calls) == 1
    assert KEY not in all_text(caught.value)
    assert bytes_under(tmp_path) == {}
    if status == 403:
        assert "quota" in str(caught.value)


def test_the_key_is_nowhere(service, tmp_path, capfd, caplog):
    caplog.set_level("DEBUG")
    service.limit, steps = 100, []
    service.faults = ["500", "html", (429, "1"), "short"]
    fetch(service, tmp_path, limits=quick(max_rows=100), progress=steps.append)
    assert set(service.keys) == {KEY}
    shown = capfd.readouterr()
    text = shown.out + shown.err + caplog.text + repr(steps) + " ".join(service.calls)
    assert KEY not in text
    for name, content in bytes_under(tmp_path).items():
        assert KEY not in name
        assert KEY.encode() not in content


@pytest.mark.parametrize(("base", "key", "told"), [
    ("http://example.org", KEY, "unencrypted"), ("https://me:pw@example.org", "", "look like"), ("example.org", "", "look like"),
    ("ftp://example.org", "", "look like"), ("https://example.org", "two words", "blanks"), ("https://example.org", KEY + "\n", "blanks"),
    ("https://example.org?key=1", "", "look like"), ("https://[::1", "", "look like"), ("https://example.org:99999999", "", "look like"),
    ("https://exa mple.org", "", "look like"), ("", "", "look like"),
])
def test_addresses_and_keys_that_cannot_be(base, key, told):
    with pytest.raises(InputError, match=told) as caught:
        checked_base(base, key)
    assert not key or key not in str(caught.value)


def test_a_redirect_does_not_carry_the_key_away(service, tmp_path):
    service.faults = [(302, b"")]
    with pytest.raises(InputError, match="status 302"):
        fetch(service, tmp_path)
    assert len(service.calls) == 1


# The folder


def test_the_same_question_is_not_asked_twice(service, tmp_path):
    service.limit, limits = 300, quick(max_rows=300)
    path = fetch(service, tmp_path, limits=limits)
    before, n = bytes_under(tmp_path), len(service.calls)
    steps = []
    assert fetch(service, tmp_path, limits=limits, progress=steps.append) == path
    assert (bytes_under(tmp_path), len(service.calls)) == (before, n)
    assert (steps[-1].asked, steps[-1].kept, steps[-1].left) == (0, n, 0)
    fetch(service, tmp_path, limits=limits, refresh=True)
    assert len(service.calls) == 2 * n


def test_another_question_has_another_file_and_shares_answers(service, tmp_path):
    first = fetch(service, tmp_path, since="2020", until="2020")
    second = fetch(service, tmp_path, since="2021", until="2021")
    assert first != second
    assert {row["period"] for row in rows_of(first)} == {"2020"}


@pytest.mark.parametrize("harm", ["changed", "shortened", "removed", "note changed", "note cut", "note of another"])
def test_harm_to_the_folder_is_seen(service, tmp_path, harm):
    path = fetch(service, tmp_path)
    truth = path.read_bytes()
    [note] = (tmp_path / "answers").glob("*.note.json")
    [answer] = set((tmp_path / "answers").iterdir()) - {note}
    if harm == "changed":
        answer.write_bytes(answer.read_bytes().replace(b"854110", b"854111", 1))
    elif harm == "shortened":
        answer.write_bytes(answer.read_bytes()[:-100])
    elif harm == "removed":
        answer.unlink()
    elif harm == "note cut":
        note.write_bytes(note.read_bytes()[:50])
    else:
        told = json.loads(note.read_bytes())
        note.write_text(json.dumps(told | ({"sha256": "0" * 64} if harm == "note changed" else {"url": "http://else"})))
    assert fetch(service, tmp_path).read_bytes() == truth
    assert len(service.calls) == 2


class Stop(Exception):
    pass


def test_stopped_anywhere_and_run_again_gives_the_same_files(service, tmp_path):
    service.limit, limits = 200, quick(max_rows=200)
    fetch(service, tmp_path / "whole", limits=limits)
    n = len(service.calls)
    assert n > 10
    for stop in range(1, n, 3):
        folder, service.calls = tmp_path / f"stopped {stop}", []

        def at(step, stop=stop):
            if step.asked == stop:
                raise Stop

        with pytest.raises(Stop):
            fetch(service, folder, limits=limits, progress=at)
        assert len(service.calls) == stop
        assert not list(folder.glob("*.csv"))
        fetch(service, folder, limits=limits)
        assert len(service.calls) == n
        assert bytes_under(folder) == bytes_under(tmp_path / "whole")


SCRIPT = f"""
import sys
from chiptrail.loaders.downloads import Limits
from chiptrail.loaders.fetch_comtrade import fetch_comtrade
base, folder = sys.argv[1:]
fetch_comtrade(folder, reporters=["KAZ", "ARM", "KGZ", "USA", "DEU", "TUR"], products={list(PRODUCTS)!r}, since="2020",
               until="2023", base=base, key={KEY!r}, limits=Limits(max_rows=200, per_second=1000))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_killed_and_run_again_gives_the_same_files(service, tmp_path):
    service.limit = 200
    fetch(service, tmp_path / "whole", limits=quick(max_rows=200))
    n = len(service.calls)
    service.calls, service.gate = [], 7
    command = [sys.executable, "-c", SCRIPT, service.base, str(tmp_path / "killed")]
    with subprocess.Popen(command) as process:
        for _ in range(2000):
            if len(service.calls) > 7:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert len(service.calls) == 8
    service.gate = None
    service.hanging.set()
    subprocess.run(command, check=True)
    assert len(service.calls) == n + 1
    assert bytes_under(tmp_path / "killed") == bytes_under(tmp_path / "whole")


def test_the_day_of_retrieval(service, tmp_path):
    path = fetch(service, tmp_path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    today = datetime.now(UTC).date().isoformat()
    assert retrieved_on(path, digest) == today
    assert load_comtrade(path).sources["retrieved"].tolist() == [today]
    assert retrieved_on(path, "0" * 64) == ""
    assert retrieved_on(tmp_path / "none.csv", digest) == ""
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, "retrieved": "<b>"}))
    assert retrieved_on(path, digest) == ""


# What is asked


@pytest.mark.parametrize(("more", "error", "told"), [
    ({"reporters": ["Kazakstan"]}, UnknownNameError, "did you mean 'Kazakhstan'"), ({"reporters": []}, InputError, "empty list"),
    ({"products": "854231900"}, InputError, "2, 4 and 6 digits"), ({"products": ["AG6", "8542"]}, InputError, "ask for them apart"),
    ({"flows": ["exports"]}, UnknownNameError, "'export'"), ({"flows": []}, InputError, "no flow"),
    ({"frequency": "week"}, UnknownNameError, "frequency"), ({"until": "2019"}, InputError, "ends before"),
    ({"since": "2020-03"}, InputError, "no whole years"), ({"limits": Limits(max_rows=0)}, InputError, "greater than zero"),
    ({"limits": Limits(max_rows=9, per_second=0)}, InputError, "greater than zero"),
])
def test_questions_that_cannot_be_asked(service, tmp_path, more, error, told):
    with pytest.raises(error, match=told):
        fetch(service, tmp_path, **more)
    assert service.calls == []


def test_an_answer_to_another_question_is_refused(service, tmp_path):
    rows = [row for row in WORLD["A"] if row["period"] == "2022"][:3]
    service.faults = [(200, json.dumps({"count": 3, "data": rows, "error": ""}).encode())]
    with pytest.raises(InputError, match="answers what was not asked: period '2022'"):
        fetch(service, tmp_path, since="2023", until="2023")


def test_groups_and_lists(service, tmp_path):
    fetch(service, tmp_path, reporters=["EU27"], partners=["World", "Russia"], products="chips", flows="export")
    asked = parse_qs(urlsplit(service.calls[0]).query)
    reporters = asked["reporterCode"][0].split(",")
    assert len(reporters) == 27
    assert "97" not in reporters
    assert asked["partnerCode"] == ["0,643"]
    assert {"8542", "854110", "854151"} <= set(asked["cmdCode"][0].split(","))


def test_every_country_has_the_number_that_the_loader_reads():
    without = set()
    for country in pycountry.countries:
        try:
            assert country_code(comtrade_code(country.alpha_3), system="un") == country.alpha_3
        except UnknownNameError:
            without.add(country.alpha_3)
    assert not without & {"USA", "IND", "FRA", "CHE", "NOR", "TWN", "RUS", "KAZ", "HKG", "ARE"}
    assert len(without) < 12
    assert comtrade_code("Kosovo") == "412"


def test_every_country_has_the_code_that_comext_reads():
    for country in pycountry.countries:
        assert country_code(comext_code(country.alpha_3), system="eurostat") == country.alpha_3
    assert [comext_code(name) for name in ("Kosovo", "GERMANY", "EU27_2020", "EXT_EU27_2020", "Serbia", "GR")] == [
        "XK", "DE", "EU27_2020", "EXT_EU27_2020", "XS", "EL"]


# Comext


def comext(service, folder, **more):
    asked = {"reporters": ["AUT", "DEU", "Greece", "LTU"], "partners": ["ARM", "KGZ", "KAZ"], "products": ["8542", "85423190"],
             "since": "2022-01", "until": "2022-12", "flows": ["export", "import"], "base": service.base, "limits": quick()}
    return fetch_comext(folder, **(asked | more))


def same_as_cells(path):
    told = Counter(tuple(row[n] for n in ("PERIOD", "REPORTER", "PARTNER", "PRODUCT", "FLOW", "VALUE_IN_EUR", "QUANTITY_IN_100KG"))
                   for row in rows_of(path))
    return told == Counter(
        (month, *place, ":c" if kind == "c" else str(value), "" if kind else str(weight))
        for month, *place, value, weight, kind in CELLS
    )


@pytest.mark.parametrize("cells", [500_000, 200, 41])
def test_comext_is_split_until_it_is_answered(service, tmp_path, cells):
    service.cells = cells
    path = comext(service, tmp_path)
    assert same_as_cells(path)
    assert (len(service.calls) == 1) == (cells == 500_000)
    assert service.calls[0].startswith("/sdmx/2.1/data/DS-045409/M.AT+DE+EL+LT.AM+KG+KZ.8542+85423190.1+2.VALUE_IN_EUROS+QUANTITY")


def test_comext_asks_no_more_cells_than_are_answered_at_once(service, tmp_path):
    path = comext(service, tmp_path, limits=quick(max_rows=50))
    assert same_as_cells(path)
    for call in service.calls:
        lists = [values.split("+") for values in call.partition("?")[0].rpartition("/")[2].split(".")]
        asked = parse_qs(urlsplit(call).query)
        first, last = (int(asked[name][0][5:]) for name in ("startPeriod", "endPeriod"))
        n = last - first + 1
        for values in lists:
            n *= len(values)
        assert n < 50


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("fault", ["500", (429, "3"), "short", "cut", "html", "empty", "unframed"])
def test_comext_faults_are_asked_again(service, tmp_path, fault, zipped):
    service.faults, service.zip = [fault, fault], zipped
    assert same_as_cells(comext(service, tmp_path))
    assert len(service.calls) == 3


def test_comext_cut_in_a_number_by_a_service_that_tells_no_length(service, tmp_path):
    service.faults = ["unframed, in a number"]
    assert same_as_cells(comext(service, tmp_path))
    assert len(service.calls) == 2


def test_comext_without_trade(service, tmp_path):
    path = comext(service, tmp_path, products="8806")
    assert rows_of(path) == []


def test_comext_refuses_what_is_no_answer(service, tmp_path):
    service.faults = [(400, b"<S:Fault><faultstring>INVALID_QUERY_DIMENSION: x</faultstring></S:Fault>")]
    with pytest.raises(InputError, match="INVALID_QUERY_DIMENSION"):
        comext(service, tmp_path)
    service.cells = 0
    with pytest.raises(InputError, match="cannot be split"):
        comext(service, tmp_path)


def test_the_loader_reads_comext(service, tmp_path):
    network = load_comext(comext(service, tmp_path))
    sound = [cell for cell in CELLS if cell[-1] != "c"]
    assert len(network.trades) == len(CELLS)
    told = network.trades[network.trades["value"].notna()]
    assert len(told) == len(sound)
    assert told["value"].sum() == sum(cell[5] for cell in sound)
    assert told["weight_kg"].sum() == pytest.approx(sum(100 * cell[6] for cell in sound if cell[-1] == ""))
    assert json.loads(network.sources["rejected"][0]) == {}
    assert f"Confidential, kept without a value: {len(CELLS) - len(sound)} records." in network.sources["note"][0]


# The command


def test_the_command(service, tmp_path, monkeypatch):
    monkeypatch.setenv("COMTRADE_KEY", KEY)
    asked = ["comtrade", "--out", str(tmp_path), "--reporter", "KAZ,ARM", "--partner", "all", "--product", "AG6", "--since", "2022",
             "--until", "2023", "--base", service.base, "--per-second", "1000"]
    done = CliRunner().invoke(fetching.app, asked)
    assert done.exit_code == 0, done.output
    [path] = tmp_path.glob("*.csv")
    truth = [r for r in WORLD["A"] if r["period"] in ("2022", "2023") and r["reporterCode"] in (398, 51)]
    assert same_as_world(path, truth)
    assert f"{len(truth)} rows; 1 requests asked, 0 taken" in done.output
    assert f"chiptrail load comtrade {path}" in done.output
    assert KEY not in done.output
    done = CliRunner().invoke(fetching.app, asked)
    assert "0 requests asked, 1 taken" in done.output


def test_the_command_without_a_key(service, tmp_path, monkeypatch):
    monkeypatch.delenv("COMTRADE_KEY", raising=False)
    asked = ["comtrade", "--out", str(tmp_path), "--reporter", "KAZ", "--product", "AG6", "--since", "2022", "--until", "2022", "--base",
             service.base, "--per-second", "1000"]
    done = CliRunner().invoke(fetching.app, asked)
    assert done.exit_code == 2
    assert "COMTRADE_KEY" in done.output
    assert service.calls == []
    done = CliRunner().invoke(fetching.app, [*asked, "--preview"])
    assert done.exit_code == 0, done.output
    assert service.calls[0].startswith("/public/v1/preview/C/A/HS?")
    assert service.keys == [None]


def test_the_key_is_asked_for_unseen(service, tmp_path, monkeypatch):
    monkeypatch.delenv("COMTRADE_KEY", raising=False)
    monkeypatch.setattr(fetching, "_terminal", lambda: True)
    done = CliRunner().invoke(fetching.app, [
        "comtrade", "--out", str(tmp_path), "--reporter", "KAZ", "--product", "AG6", "--since", "2022", "--until", "2022", "--base",
        service.base], input=KEY + "\n")
    assert done.exit_code == 0, done.output
    assert service.keys == [KEY]
    assert KEY not in done.output


def test_the_command_for_comext(service, tmp_path):
    done = CliRunner().invoke(fetching.app, [
        "comext", "--out", str(tmp_path), "--reporter", "AT,DE,EL,LT", "--partner", "ARM,KGZ,KAZ", "--product", "8542,85423190", "--flow",
        "export", "--flow", "import", "--since", "2022-01", "--until", "2022-12", "--base", service.base])
    assert done.exit_code == 0, done.output
    [path] = tmp_path.glob("*.csv")
    assert same_as_cells(path)
    assert f"chiptrail load comext {path}" in done.output


def test_help_needs_no_network_library():
    code = "import sys, chiptrail.fetching; assert not {'httpx', 'tenacity', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_library_behind_does_what_the_tests_rely_on(service):
    service.faults = ["short"]
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(service.base + "/files/v1/app/reference/Reporters.json")


@pytest.mark.parametrize(("year", "retrieved", "again"), [
    ("2030", "2030-06-01", True), ("2030", "2031-12-30", True), ("2030", "2032-01-02", False), ("2030", "", False)])
def test_an_empty_answer_of_a_young_period_is_asked_again_on_a_later_day(service, tmp_path, year, retrieved, again):
    fetch(service, tmp_path, since=year, until=year)
    [path] = (tmp_path / "answers").glob("*.note.json")
    note = json.loads(path.read_bytes())
    assert note["rows"] == 0
    path.write_text(json.dumps(note | {"retrieved": retrieved or note["retrieved"]}), encoding="utf-8")
    fetch(service, tmp_path, since=year, until=year)
    assert len(service.calls) == (2 if again else 1)


def test_an_empty_answer_of_young_months_is_asked_again(service, tmp_path):
    asked = {"reporters": ["DE"], "partners": ["KZ"], "products": "8542", "since": "2030-01", "until": "2030-02"}
    for calls in (1, 2, 2):
        fetch_comext(tmp_path, **asked, base=service.base, limits=quick())
        assert len(service.calls) == calls
        if calls == 1:
            [path] = (tmp_path / "answers").glob("*.note.json")
            path.write_text(json.dumps(json.loads(path.read_bytes()) | {"retrieved": "2030-06-01"}), encoding="utf-8")
