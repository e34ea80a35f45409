"""Questions to a public service of statistics: split to its limits, asked politely, answers kept as they came.

Whole answers lie in the folder `answers`, each with a note beside it (address, date, hash, rows); what is there and sound is
not asked again, but for an empty answer of an earlier day about a period that may not have been published then. The clients
`fetch_comtrade` and `fetch_comext` say what differs between services.
"""

import csv
import email.utils
import gzip
import hashlib
import io
import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import urlsplit

import httpx
import pandas as pd
import tenacity

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.products import product_codes

Request = Mapping[str, tuple[str, ...]]
"""Values asked for by dimension, in the order in which a request is split; no value means all."""

_LONGEST_URL = 2000
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True)
class Limits:
    """How much is asked of a service at once, and how often."""

    max_rows: int
    """Rows an answer can hold; one that reaches them is taken as cut."""
    per_second: float = 1.0
    """Calls a second, repeated ones too."""
    timeout: float = 120.0
    """Seconds to wait for the service to say something."""
    attempts: int = 6
    """Calls for one request before giving up; the pause between them doubles, from one second to a minute."""
    patience: float = 600.0
    """Longest pause, in seconds, that the service may ask for."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Progress(NamedTuple):
    """How far a download is: requests asked, found in the folder, known to be left, and what is going on."""

    asked: int
    kept: int
    left: int
    text: str


class Answer(NamedTuple):
    """A sound answer in the folder: its file as it came, its rows, and the day it was retrieved."""

    path: Path
    rows: int
    retrieved: str


class Faulty(Exception):
    """An answer is not sound: it is asked again."""


class Cut(Faulty):
    """An answer says that it has more rows than it holds."""


class TooBig(Exception):
    """The service will not answer so much at once."""


class _Later(Faulty):
    def __init__(self, text: str, pause: float) -> None:
        super().__init__(text)
        self.pause = pause


@dataclass(frozen=True)
class Service:
    """What differs between services."""

    name: str
    title: str
    url: Callable[[Request], str]
    rows: Callable[[Request, int, bytes], int]
    """Rows of an answer, given its status; raises Faulty, Cut or TooBig, or InputError where asking again is no use."""
    too_many: Callable[[Request], bool]
    lists: Mapping[str, str] = field(default_factory=dict)
    """Address of the list of all values of a dimension."""
    listed: Callable[[bytes], tuple[str, ...]] = lambda body: ()
    key: str = field(default="", repr=False)
    key_header: str = ""
    caps: frozenset[int] = frozenset()
    """Numbers of rows at which the service is known to cut."""


def checked_base(base: str, key: str = "") -> str:
    """The address of a service without a slash at its end.

    Raises
    ------
    InputError
        If it is no web address, holds a password, or a key would travel unencrypted; if the key has blanks in it.
    """
    try:
        parts = urlsplit(base)
        sound = bool(httpx.URL(base).host) and parts.port != 0 and not re.search(r"\s", base)
    except (ValueError, httpx.InvalidURL):
        sound = False
    if not sound or parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query or parts.fragment:
        raise InputError("the base address must look like https://example.org/path, without a password, ? or #")
    if key and parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise InputError(f"the key would travel unencrypted to {parts.hostname}; give a base address that begins with https://")
    if key and not re.fullmatch(r"[!-~]+", key):
        raise InputError("the key has blanks or other characters in it that no key has; copy it again")
    return base.rstrip("/")


def months(since: str, until: str) -> tuple[str, ...]:
    """The months from the first to the last period, both inside, as `2022-01`."""
    first, last = parse_period(since)[0], parse_period(until)[1]
    if first > last:
        raise InputError(f"the period ends before it begins: since {since}, until {until}")
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return tuple(f"{n // 12:04}-{n % 12 + 1:02}" for n in numbers)


def asked_codes(products: str | Sequence[str]) -> set[str]:
    """The codes to ask for: of all versions of the HS, with those of six digits that stood for them in an older one."""
    question = product_codes(products)
    wider = {code for codes in question.wider.values() for code in codes if len(code) == 6}
    return {code for codes in question.codes.values() for code in codes} | wider


def flow_codes(flows: str | Sequence[str], known: Mapping[str, str]) -> tuple[str, ...]:
    """The codes of flows in the order of those known."""
    names = [flows] if isinstance(flows, str) else list(flows)
    for name in names:
        if name not in known:
            raise UnknownNameError("flow", name, known, f"known: {', '.join(known)}")
    if not names:
        raise InputError(f"no flow asked for; give some of {', '.join(known)}")
    return tuple(code for name, code in known.items() if name in names)


def download(
    folder: Path, service: Service, request: Request, limits: Limits, *, refresh: bool, progress: Callable[[Progress], None] | None,
) -> list[Answer]:
    """The answers that together answer a request, in an order that the request alone decides.

    Raises
    ------
    InputError
        If the service refuses, gives no sound answer, or an answer reaches the limit of rows and cannot be split. Answers
        received till then stay in the folder.
    """
    if limits.max_rows < 1 or limits.per_second <= 0 or limits.attempts < 1 or limits.timeout <= 0:
        raise InputError("the limits of rows, calls, seconds and attempts must be greater than zero")
    with httpx.Client(timeout=limits.timeout, headers={"Accept-Encoding": "gzip", "User-Agent": "chiptrail"}) as client:
        desk = _Desk(folder / "answers", service, limits, client, refresh, progress)
        waiting, answers = [request], []
        while waiting:
            now = waiting.pop()
            long = len(service.url(now)) > _LONGEST_URL
            answer = None if long or service.too_many(now) else desk.answer(now, len(waiting))
            if answer is None:
                waiting += reversed(desk.parts(now, longest_first=long))
            else:
                answers.append(answer)
        desk.tell("done", 0)
    return answers


def body_of(answer: Answer) -> bytes:
    """The answer, unpacked."""
    return _unpacked(answer.path.read_bytes())


def write_answers(path: Path, lines: Iterable[str], question: Mapping[str, object], answers: Sequence[Answer]) -> Path:
    """The table made of answers, written whole or not at all, with a note of the same stem beside it."""
    rows = -1
    with _whole(path) as file:
        for line in lines:
            file.write(line.encode(errors="replace"))
            rows += 1
    note = {
        "question": question, "retrieved": min((answer.retrieved for answer in answers), default=""), "sha256": _hash_of(path),
        "rows": rows, "answers": [answer.path.name for answer in answers],
    }
    _write_note(path.with_suffix(".json"), note)
    return path


def csv_line(fields: Sequence[str]) -> str:
    """A row of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(fields)
    return text.getvalue()


def question_name(service: Service, question: Mapping[str, object]) -> str:
    """A name for a table that the question alone decides."""
    return f"{service.name}-{hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]}"


class _Desk:
    """Answers one request after the other, from the folder or from the service."""

    def __init__(
        self, folder: Path, service: Service, limits: Limits, client: httpx.Client, refresh: bool,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.service, self.limits, self.client = folder, service, limits, client
        self.refresh, self.progress = refresh, progress
        self.asked = self.kept = self.left = 0
        self.next_call = float("-inf")

    def tell(self, text: str, left: int) -> None:
        self.left = left
        if self.progress:
            self.progress(Progress(self.asked, self.kept, left, text))

    def answer(self, request: Request, left: int) -> Answer | None:
        """The whole answer, or None where it would be cut."""
        self.tell(_described(request), left + 1)
        url = self.service.url(request)
        found, cut = self._kept(url, request)
        if not found and not cut:
            found = self._fetched(url, lambda status, body: self.service.rows(request, status, body))
        return found

    def parts(self, request: Request, *, longest_first: bool) -> list[Request]:
        """Two halves of a request."""
        order = list(request)
        if longest_first:
            order.sort(key=lambda name: -len(",".join(request[name])))
        for name in order:
            values = request[name]
            if not values and name in self.service.lists:
                values = self._listed(self.service.lists[name])
            if len(values) > 1:
                half = len(values) // 2
                return [{**request, name: values[:half]}, {**request, name: values[half:]}]
        raise InputError(
            f"{self.service.title}: an answer reaches the limit of {self.limits.max_rows:,} rows and cannot be split further "
            f"({_described(request)}): rows are missing, so nothing was written; raise the limit if your plan allows more rows, "
            "or name partners and products one by one"
        )

    def _listed(self, url: str) -> tuple[str, ...]:
        def count(status: int, body: bytes) -> int:
            if status != 200:
                raise InputError(f"{self.service.title} has no list of codes at {url} (status {status}); name the codes instead of all")
            return len(self.service.listed(body))

        found = self._kept(url)[0] or self._fetched(url, count, listing=True)
        if found is None:
            raise InputError(f"{self.service.title} gives no list of codes at {url}; name the codes instead of all")
        return self.service.listed(body_of(found))

    def _note_path(self, url: str) -> Path:
        return self.folder / f"{self.service.name}-{hashlib.sha256(url.encode()).hexdigest()[:16]}.note.json"

    def _kept(self, url: str, request: Request | None = None) -> tuple[Answer | None, bool]:
        """The answer in the folder, and whether the folder knows that it would be cut.

        An empty one of another day is asked again if its period was then too young to be surely published.
        """
        if self.refresh:
            return None, False
        note = _read_note(self._note_path(url))
        if note.get("url") != url:
            return None, False
        if "cut_at" in note:
            self.kept += 1
            return None, True
        name, rows, retrieved = note.get("file"), note.get("rows"), note.get("retrieved")
        if not isinstance(name, str) or not isinstance(rows, int) or not isinstance(retrieved, str):
            return None, False
        path = self.folder / Path(name).name
        if not path.is_file() or _hash_of(path) != note.get("sha256"):
            return None, False
        if rows == 0 and request and retrieved != _today() and _young(request, retrieved):
            return None, False
        self.kept += 1
        return Answer(path, rows, retrieved), False

    def _fetched(self, url: str, count: Callable[[int, bytes], int], listing: bool = False) -> Answer | None:
        """The answer of the service, written into the folder, or None where it is cut."""
        note_path = self._note_path(url)
        self.asked += 1
        try:
            raw, rows = self._asked(url, count)
        except (TooBig, Cut):
            raw, rows = b"", -1
        today = _today()
        if rows < 0 or (not listing and (rows >= self.limits.max_rows or rows in self.service.caps)):
            _write_note(note_path, {"url": url, "retrieved": today, "cut_at": rows if rows >= 0 else None})
            return None
        zipped = ".gz" if raw[:2] == b"\x1f\x8b" else ""
        kind = {b"{": ".json", b"<": ".xml"}.get(_unpacked(raw).lstrip()[:1], ".csv")
        path = note_path.with_name(note_path.name.removesuffix(".note.json") + kind + zipped)
        with _whole(path) as file:
            file.write(raw)
        _write_note(note_path, {"url": url, "retrieved": today, "file": path.name, "sha256": _hash_of(path), "rows": rows})
        return Answer(path, rows, today)

    def _asked(self, url: str, count: Callable[[int, bytes], int]) -> tuple[bytes, int]:
        def stop(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome else None
            return state.attempt_number >= (min(3, self.limits.attempts) if isinstance(error, Cut) else self.limits.attempts)

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            doubling = min(60.0, 2.0 ** (state.attempt_number - 1))
            seconds = max(doubling, error.pause if isinstance(error, _Later) else 0.0)
            self.tell(f"{error}; next try in {seconds:.0f} s", self.left)
            return seconds

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(Faulty), stop=stop, wait=pause, sleep=self.limits.sleep, reraise=True,
        )
        try:
            raw, rows = retrying(self._once, url, count)
        except Cut:
            raise
        except Faulty as error:
            raise InputError(
                f"{self.service.title}: no sound answer after {self.limits.attempts} tries ({error}); answers received are kept: "
                "run the same command again later"
            ) from None
        return raw, rows

    def _once(self, url: str, count: Callable[[int, bytes], int]) -> tuple[bytes, int]:
        """One call: the bytes as they came, and the number of rows."""
        wait = self.next_call - self.limits.clock()
        if wait > 0:
            self.limits.sleep(wait)
        self.next_call = self.limits.clock() + 1 / self.limits.per_second
        headers = {self.service.key_header: self.service.key} if self.service.key else {}
        try:
            with self.client.stream("GET", url, headers=headers) as response:
                raw = b"".join(response.iter_raw())
        except httpx.TimeoutException:
            raise Faulty(f"no answer within {self.limits.timeout:g} s") from None
        except httpx.TransportError as error:
            raise Faulty(f"no connection, or it broke ({type(error).__name__})") from None
        status = response.status_code
        framed = "content-length" in response.headers or "transfer-encoding" in response.headers
        if status == 429 or status == 408 or status >= 500:
            raise _Later(f"status {status}", self._pause_asked(response.headers.get("retry-after", "")))
        try:
            body = _unpacked(raw)
        except (EOFError, OSError, zlib.error):
            raise Faulty("the packed answer is cut or damaged") from None
        if self.service.key and self.service.key.encode() in body + raw:
            raise InputError(f"{self.service.title} repeats the key in its answer (status {status}); nothing of it is kept or shown")
        if status in (401, 403):
            raise InputError(
                f"{self.service.title} refuses ({status}): {_told(body)}; check the key and whether its plan or daily quota allows this"
            )
        if status in (413, 414):
            raise TooBig
        if not body and status == 200:
            raise Faulty("the answer is empty")
        if not framed and raw is body and not body.endswith((b"\n", b"}", b">")):
            raise Faulty("the answer may be cut")
        return raw, count(status, body)

    def _pause_asked(self, text: str) -> float:
        """Seconds that `Retry-After` asks for."""
        seconds = 0.0
        if re.fullmatch(r"[0-9]{1,9}", text.strip()):
            seconds = float(text)
        elif text:
            try:
                seconds = (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
            except (TypeError, ValueError):
                seconds = 0.0
        if seconds > self.limits.patience:
            raise InputError(
                f"{self.service.title} asks to wait {seconds:,.0f} seconds; answers received are kept: run the same command again later"
            )
        return seconds


def refused(title: str, status: int, body: bytes) -> InputError:
    """The error for a status that asking again does not change."""
    return InputError(f"{title} does not answer this question (status {status}): {_told(body)}")


def not_asked(title: str, column: str, value: str) -> InputError:
    """The error for an answer to another question."""
    return InputError(f"{title} answers what was not asked: {column} {value[:50]!r}; is the base address right?")


def _told(body: bytes) -> str:
    """What the service says, short and without markup."""
    text = re.sub(r"<[^>]*>|\s+", " ", body[:4000].decode("utf-8", "replace"))
    return " ".join(text.split())[:200] or "it gives no reason"


def _described(request: Request) -> str:
    def several(values: tuple[str, ...]) -> str:
        if len(values) < 4:
            return ",".join(values) or "all"
        return f"{values[0]}..{values[-1]} ({len(values)})"

    return ", ".join(f"{name} {several(values)}" for name, values in request.items())


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def _young(request: Request, retrieved: str) -> bool:
    """Whether the last period of a request ended less than a year before it was retrieved."""
    last = max(request["period"])
    end = parse_period(f"{last[:4]}-{last[4:]}" if re.fullmatch("[0-9]{6}", last) else last)[1]
    return bool(end + pd.DateOffset(years=1) > pd.Timestamp(retrieved))


def _unpacked(raw: bytes) -> bytes:
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_note(path: Path) -> dict[str, object]:
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def _write_note(path: Path, note: Mapping[str, object]) -> None:
    with _whole(path) as file:
        file.write((json.dumps(note, indent=1, ensure_ascii=False) + "\n").encode())


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of the old one when it is complete and on the disk."""
    fresh = path.with_name(path.name + ".part")
    with fresh.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
