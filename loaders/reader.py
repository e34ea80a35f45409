"""The streaming reader of all loaders: a text file, Parquet or a sheet becomes a table of text in DuckDB, through Ibis.

Rows stay inside the engine; Python sees the header only. What a loader then does with the records is in `records`.
"""

import codecs
import csv
import dataclasses
import difflib
import gzip
import hashlib
import io
import json
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis
from ibis.expr import types as ir

from chiptrail.graphmodel.errors import InputError

_CHUNK = 1 << 20
_BYTES = 1 << 20
_SPARE = 16
_BLANKS = " \t\v\f\r\n"
_MEMORY = "800MB"
_NO_SUCH_TEXT = "\x01\x02"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
"""A plain decimal number as text."""

_UNREADABLE = "it must be CSV, TSV (plain or .gz), Parquet or a workbook (.xlsx)"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF8 = ("utf-8", "utf-8-sig", "ascii")
_NO_QUOTE_OR_LINE = bytes(byte for byte in range(256) if byte not in b'"\n')
_CYRILLIC_WORDS = re.compile(rb"[\xa8\xb8\xc0-\xff]{3,}")
_ASCII = bytes(range(128))
_HEADER_WITHIN = 60


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("chiptrail_latin1", _as_latin1)


@dataclass(frozen=True)
class Opened:
    """A file that is open for reading: its header, hash, delimiter and encoding (`parquet` or `xlsx` if it is no text).

    `records` is the engine's table of it: columns c0, c1, ... as text (some more of them than the header has, for fields
    beyond it), `row` (record number, the header is 1) and `shape` (-1 where the row has fewer fields than the header, 1
    where it has more, else 0). `store` reads the same in one go. `blanks` are the white characters that its fields may hold.
    """

    engine: Any
    records: ir.Table
    header: tuple[str, ...]
    file: str
    sha256: str
    encoding: str
    delimiter: str
    readings: tuple[ir.Table, ...]
    first_row: int = 1
    n_lines: int = 0
    blanks: str = _BLANKS

    def store(self, name: str, select: Callable[[ir.Table], ir.Table]) -> ir.Table:
        """A table of the engine with what `select` takes of the records (all but `row`), and their `row`.

        Text is read on all cores if no field holds a line end; again on one if that did not give a record for each line.
        """
        for reading in self.readings:
            table = stored_table(self.engine, name, select(reading))
            if reading is self.readings[-1] or table.count().to_pyarrow().as_py() == self.n_lines:
                break
            self.engine.raw_sql(f"DROP TABLE {name}")  # drop_table of Ibis 12 forgets the name
        table = table.mutate(row=table.rowid() + self.first_row)
        return table.filter(table["row"] > 1)


def stored_table(engine: Any, name: str, table: ir.Table) -> ir.Table:
    """A new table of the engine with the rows of another, in their order.

    What Ibis does to create one fills it from a second copy, at twice the cost.
    """
    engine.create_view(f"{name}_view", table, overwrite=True)
    engine.raw_sql(f"CREATE TABLE {name} AS FROM {name}_view")
    return engine.table(name)


@contextmanager
def open_table(
    path: str | Path, *, encoding: str | None = None, sheet: str | None = None, header_row: int | None = None
) -> Iterator[Opened]:
    """The file, open in an engine of its own; temporary files lie in a folder of their own and go at the end.

    Text is UTF-8, UTF-16 with a byte order mark, or Windows-1251 where other bytes mostly stand in Cyrillic words; else
    bytes that are not UTF-8 are read as Latin-1. An empty field more at the end of each row than the header has is no fault.

    Parameters
    ----------
    path
        Text (also gzip), Parquet or a workbook (.xlsx).
    encoding
        Encoding of a text, if it is another one.
    sheet
        Sheet of a workbook; needed if several hold tables.
    header_row
        Row of the header in a sheet, 1 for the first; by default the first about as wide as the table.

    Raises
    ------
    InputError
        If the file does not exist, is empty, cut short, binary, or its quotes or header cannot be made out.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise InputError(f"{path.name}: no such file in {path.parent}; check the path")
    with open(path, "rb") as file:
        magic = file.read(4)
    if not magic:
        raise InputError(f"{path.name} is empty; download it again")
    with _engine_errors(path), ThreadPoolExecutor(1) as aside, tempfile.TemporaryDirectory(prefix="chiptrail-") as folder:
        digest = aside.submit(_sha256, path)
        engine = ibis.duckdb.connect(":memory:", temp_directory=folder, memory_limit=_MEMORY)
        copy = Path(folder) / "input.csv"
        try:
            if magic == b"PAR1":
                opened = _open_parquet(engine, path)
            elif magic == b"PK\x03\x04":
                _write_sheet(path, sheet, header_row, copy)
                opened = dataclasses.replace(_open_text(engine, copy, path.name, "utf-8", copy), encoding="xlsx")
            else:
                opened = _open_text(engine, path, path.name, encoding, copy)
            yield dataclasses.replace(opened, sha256=digest.result())
        finally:
            engine.disconnect()


def sheet_names(path: str | Path) -> list[str]:
    """Names of the sheets of a workbook.

    Raises
    ------
    InputError
        If the file is no workbook that can be read.
    """
    with _workbook(Path(path)) as book:
        return list(book.sheet_names)


def require_columns(header: Sequence[str], needed: Sequence[str], *, file: str, layout: str) -> None:
    """Nothing; raises where a needed column is missing.

    Raises
    ------
    InputError
        With all missing columns, for each the columns found that may be it under a new name.
    """
    missing = [name for name in needed if name not in header]
    if not missing:
        return
    plain = {name.casefold(): name for name in header}
    hints = []
    for name in missing:
        near = difflib.get_close_matches(name.casefold(), list(plain), n=1, cutoff=0.6)
        hints.append(f"{name!r} (renamed to {plain[near[0]][:50]!r}?)" if near else repr(name))
    advice = "rename them back or download the file again"
    if any(re.match(NUMBER, name) for name in header):
        advice = "the first row looks like data: is the header missing?"
    found = ", ".join(repr(name[:30]) for name in header[:8]) + (", ..." if len(header) > 8 else "")
    raise InputError(f"{file}: not {layout}: no column {', '.join(hints)}; found {found}; {advice}")


def retrieved_on(path: Path, sha256: str) -> str:
    """The day on which the oldest answer behind a fetched table was retrieved (UTC), `""` if nothing says so.

    Parameters
    ----------
    path, sha256
        The table and its hash: the note beside it counts only if it is of this very table.
    """
    try:
        note = json.loads(path.with_suffix(".json").read_bytes())
    except (OSError, ValueError):
        return ""
    if not isinstance(note, dict) or note.get("sha256") != sha256:
        return ""
    day = note.get("retrieved")
    return day if isinstance(day, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) else ""


@contextmanager
def _engine_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:  # damage within Parquet may come as a bare RuntimeError
        file, message = path.name, str(error).replace(str(path), path.name)
        line = re.search(r"CSV Error on Line: (\d+)", message)
        damaged = type(error) in (duckdb.Error, RuntimeError) or isinstance(error, duckdb.IOException | duckdb.InvalidInputException)
        if line is None and not damaged:
            raise
        if line is None:
            raise InputError(f"{file} cannot be read ({(message.splitlines() or ['damaged'])[0][:200]}); {_UNREADABLE}") from None
        reason = re.search(r"^(Expected Number.*|Value with.*|Maximum line.*)$", message, re.MULTILINE)
        raise InputError(
            f"{file}: line {line[1]} cannot be read ({reason[1] if reason else 'not well-formed CSV'}); "
            "check the quotes and the number of fields of that line, or download the file again"
        ) from None


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class _Scan:
    """What the bytes of a text file show: its encoding, how many lines, and whether the engine can read it as it is."""

    encoding: str
    plain: bool
    one_line_each: bool
    n_lines: int
    open_quote: bool
    blanks: str = _BLANKS


def _open_text(engine: Any, path: Path, name: str, encoding: str | None, copy: Path) -> Opened:
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        scan = _scan(path, zipped, name, encoding)
        told = scan.encoding
        if not scan.plain:
            _rewrite(path, zipped, name, told, copy)
            path, zipped = copy, False
            scan = _scan(path, zipped, name, "utf-8")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{name}: the gzip file is cut short or damaged; download it again") from None
    header, delimiter = _read_header(path, zipped, name)
    if scan.open_quote:
        _check_quotes(path, zipped, name, delimiter)
    ways = (True, False) if scan.one_line_each and not zipped else (False,)
    readings = tuple(_read_text(engine, path, zipped, delimiter, len(header), parallel=way) for way in ways)
    records = readings[-1].mutate(row=ibis.row_number() + 1)
    return Opened(engine, records.filter(records["row"] > 1), header, name, "", told, delimiter, readings, 1, scan.n_lines,
                  scan.blanks)


def _text(path: Path, zipped: bool, encoding: str = "utf-8-sig", errors: str = "strict") -> io.TextIOWrapper:
    stream = (gzip.open if zipped else open)(path, "rb")
    return io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline=None)


def _scan(path: Path, zipped: bool, name: str, encoding: str | None) -> _Scan:
    """One pass over the bytes."""
    if encoding is not None:
        try:
            encoding = codecs.lookup(encoding).name
        except LookupError:
            raise InputError(f"encoding {encoding[:40]!r} is not known; give one such as 'utf-8' or 'windows-1251'") from None
        if encoding not in _UTF8:
            return _Scan(encoding, False, False, 0, False)
    decoder = codecs.getincrementaldecoder("utf-8")()
    quotes, before = b"", b"\n"
    utf8, quoted_line, blank_line, ends, n_lines, blanks = True, False, False, [0, 0, 0], 0, {" "}
    with (gzip.open if zipped else open)(path, "rb") as stream:
        while chunk := stream.read(_BYTES):
            if before == b"\n" and n_lines == 0 and chunk.startswith(_UTF16):
                return _Scan("utf-16", False, False, 0, False)
            if b"\0" in chunk:
                raise InputError(f"{name} is binary or UTF-16 without a byte order mark, not text; {_UNREADABLE}, saved as UTF-8")
            if chunk.endswith(b"\r"):
                chunk += stream.read(1)
            if utf8 and not (chunk.isascii() and not decoder.getstate()[0]):
                try:
                    decoder.decode(chunk)
                except UnicodeDecodeError:
                    utf8 = False
            n_lines += chunk.count(b"\n")
            blanks.update(blank for blank in "\t\v\f" if blank not in blanks and blank.encode() in chunk)
            if b"\r" in chunk:
                pairs = chunk.count(b"\r\n")
                ends = [ends[0] + pairs, ends[1] + chunk.count(b"\r") - pairs, ends[2] + chunk.count(b"\n") - pairs]
            else:
                ends[2] += b"\n" in chunk
            blank_line = blank_line or b"\n\n" in chunk or (b"\r" in chunk and b"\n\r" in chunk) or (
                before == b"\n" and chunk[:1] in b"\r\n")
            quotes = (quotes + chunk.translate(None, _NO_QUOTE_OR_LINE)).replace(b'""', b"")
            whole, _, quotes = quotes.rpartition(b"\n")
            quoted_line = quoted_line or b'"' in whole
            quotes, before = (b'"' if whole.count(b'"') % 2 else b"") + quotes, chunk[-1:]
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        utf8 = False
    told = encoding or ("utf-8" if utf8 else _other_encoding(path, zipped))
    one_end = sum(n > 0 for n in ends) < 2
    whole_lines = utf8 and one_end and not (quoted_line or blank_line or ends[1])
    blanks |= set() if whole_lines else {"\r", "\n"}
    return _Scan(told, utf8 and one_end, whole_lines, n_lines + (before != b"\n"), quotes.count(b'"') % 2 == 1,
                 "".join(sorted(blanks)))


def _other_encoding(path: Path, zipped: bool) -> str:
    """cp1251 if most bytes beyond ASCII stand in Cyrillic words, else latin-1."""
    high = cyrillic = 0
    with (gzip.open if zipped else open)(path, "rb") as stream:
        while chunk := stream.read(_BYTES):
            high += len(chunk.translate(None, _ASCII))
            cyrillic += sum(map(len, _CYRILLIC_WORDS.findall(chunk)))
    return "cp1251" if 2 * cyrillic > high else "latin-1"


def _rewrite(path: Path, zipped: bool, name: str, encoding: str, target: Path) -> None:
    """The file as UTF-8 with one kind of line end, written as a stream."""
    codec, errors = {"latin-1": ("utf-8-sig", "chiptrail_latin1"), "cp1251": ("cp1251", "chiptrail_latin1")}.get(
        encoding, ("utf-8-sig" if encoding in _UTF8 else encoding, "strict"))
    try:
        with _text(path, zipped, codec, errors) as text, open(target, "w", encoding="utf-8", newline="\n") as out:
            shutil.copyfileobj(text, out, _CHUNK)
    except UnicodeError as error:
        raise InputError(f"{name} is not {encoding} ({str(error)[:100]}); leave the encoding out or give the right one") from None


def _check_quotes(path: Path, zipped: bool, name: str, delimiter: str) -> None:
    """Refuses a quote that is never closed and swallows rows; an inch sign inside a field is no fault."""
    with _text(path, zipped) as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in rows:
                pass
        except csv.Error:
            raise InputError(
                f"{name}: a quotation mark before line {rows.line_num} is never closed; "
                "close or double it, or download the file again"
            ) from None


def _read_header(path: Path, zipped: bool, file: str) -> tuple[tuple[str, ...], str]:
    """Header names and the delimiter: of comma, semicolon, tab and bar the one that parts the header most."""
    with _text(path, zipped) as text:
        line = "\n"
        while line == "\n":
            line = text.readline(_CHUNK)
    if line.count('"') % 2:
        raise InputError(f"{file}: the header has an open quotation mark; close it, or download the file again")
    rows = {delimiter: next(csv.reader([line], delimiter=delimiter)) for delimiter in ",;\t|"}
    delimiter = max(rows, key=lambda d: len(rows[d]))
    names = [name.strip() for name in rows[delimiter]]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise InputError(f"{file} has no header; download it again")
    names = [name or f"(column {i})" for i, name in enumerate(names, 1)]
    twice = ", ".join(sorted({repr(name) for name in names if names.count(name) > 1}))
    if twice and any(re.match(NUMBER, name) for name in names):
        raise InputError(f"{file}: the first row looks like data: is the header missing?")
    if twice:
        raise InputError(f"{file}: the header has {twice} more than once; rename one of them")
    return tuple(names), delimiter


def _read_text(engine: Any, path: Path, zipped: bool, delimiter: str, n_columns: int, *, parallel: bool) -> ir.Table:
    """All records as text. Spare columns hold what a row has beyond the header; what it lacks is null."""
    names = [f"c{i}" for i in range(n_columns + _SPARE)]
    table = engine.read_csv(
        _literally(path), table_name="raw" + "_parallel" * parallel, header=False, columns=dict.fromkeys(names, "VARCHAR"),
        auto_detect=False, delim=delimiter, quote='"', escape='"', nullstr=_NO_SUCH_TEXT, null_padding=True, parallel=parallel,
        compression="gzip" if zipped else "none",
    )
    last, *spare = names[n_columns - 1 :]
    less, even, more = (ibis.literal(n, "int32") for n in (-1, 0, 1))  # the type that the engine gives such numbers
    too_many = ibis.or_(*(table[name].fill_null("").strip() != "" for name in spare))
    return table.mutate(shape=ibis.cases((table[last].isnull(), less), (table[spare[0]].isnull(), even), (too_many, more), else_=even))


def _literally(path: Path) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path))


def _open_parquet(engine: Any, path: Path) -> Opened:
    """All columns as text: whole numbers without a decimal point, timestamps at midnight as dates."""
    table = engine.read_parquet(_literally(path), table_name="raw")
    texts = {}
    for i, (name, dtype) in enumerate(table.schema().items()):
        value, text = table[name], table[name].cast("string")
        if dtype.is_floating():
            whole = (value == value.floor()) & (value.abs() < 1e15)
            text = ibis.ifelse(whole, ibis.ifelse(whole, value, 0.0).cast("int64").cast("string"), text)
        elif dtype.is_timestamp():
            text = text.re_replace(r" 00:00:00(\+00)?$", "")
        texts[f"c{i}"] = text
    reading = table.select(**texts, shape=ibis.literal(0, "int32"))
    header = tuple(str(name) for name in table.columns)
    records = reading.mutate(row=ibis.row_number() + 2)
    return Opened(engine, records, header, path.name, "", "parquet", "", (reading,), first_row=2)


@contextmanager
def _workbook(path: Path) -> Iterator[Any]:
    from python_calamine import CalamineError, load_workbook

    try:
        yield load_workbook(path)
    except (CalamineError, OSError) as error:
        raise InputError(
            f"{path.name} is a zip archive or a workbook that cannot be read ({str(error)[:80]}); unpack it, or save the sheet "
            "as CSV"
        ) from None


def _write_sheet(path: Path, sheet: str | None, header_row: int | None, target: Path) -> None:
    """One table of a workbook as CSV, from its header on, without empty rows."""
    tables = {}
    with _workbook(path) as book:
        if sheet is not None and sheet not in book.sheet_names:
            near = ", ".join(repr(name[:60]) for name in book.sheet_names[:20])
            raise InputError(f"{path.name} has no sheet {sheet[:60]!r}; it has {near}")
        for name in [sheet] if sheet is not None else book.sheet_names:
            rows = [[_cell(value) for value in row] for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)]
            rows = rows[header_row - 1 :] if header_row else _from_header(rows)
            rows = [row for row in rows if any(row)]
            if sheet is not None or len(rows) > 1:
                tables[name] = rows
    if len(tables) != 1:
        names = ", ".join(repr(name[:60]) for name in list(tables)[:20])
        raise InputError(f"{path.name}: " + (f"several sheets hold tables ({names}); say which (sheet=)" if tables else
                                             "no sheet holds a table"))
    [rows] = tables.values()
    width = max((i for i, text in enumerate(rows[0], 1) if text), default=0) if rows else 0
    with open(target, "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
        for row in rows:
            while len(row) > width and not row[-1]:
                row.pop()
            writer.writerow(row + [""] * (width - len(row)))


def _from_header(rows: list[list[str]]) -> list[list[str]]:
    """The rows from the header on: the first with at least two filled cells and most of the cells of the widest."""
    filled = [sum(map(bool, row)) for row in rows[:_HEADER_WITHIN]]
    widest = max(filled, default=0)
    start = next((i for i, n in enumerate(filled) if n >= max(min(2, widest), 0.6 * widest)), 0)
    return rows[start:]


def _cell(value: Any) -> str:
    """A cell as text: whole numbers without a decimal point, dates in ISO form."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value).replace("\0", "")
