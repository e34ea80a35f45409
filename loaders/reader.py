"""The streaming reader of all loaders: a text file or Parquet becomes a table of text in DuckDB, through Ibis.

Rows stay inside the engine; Python sees the header only. What a loader then does with the records is in `records`.
"""

import codecs
import csv
import difflib
import gzip
import hashlib
import io
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import ibis
from ibis.expr import types as ir

from chiptrail.graphmodel.errors import InputError

_CHUNK = 1 << 20
_SPARE = 16
_NO_SUCH_TEXT = "\x01\x02"
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?$"
"""A plain decimal number as text."""

_UNREADABLE = "it must be CSV, TSV (plain or .gz) or Parquet"


def _as_latin1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("chiptrail_latin1", _as_latin1)


@dataclass(frozen=True)
class Opened:
    """A file that is open for reading: its header, hash, encoding (`utf-8`, `latin-1`, `parquet`) and delimiter.

    `records` is the engine's table of it: columns c0, c1, ... as text, `row` (record number, the header is 1) and
    `shape` (-1 where the row has fewer fields than the header, 1 where it has more, else 0).
    """

    engine: Any
    records: ir.Table
    header: tuple[str, ...]
    file: str
    sha256: str
    encoding: str
    delimiter: str


@contextmanager
def open_table(path: str | Path) -> Iterator[Opened]:
    """The file, open in an engine of its own; temporary files lie in a folder of their own and go at the end.

    Text is read as UTF-8; where bytes are not, those bytes are read as Latin-1. An empty field more at the end of
    each row than the header has is no fault.

    Raises
    ------
    InputError
        If the file does not exist, is empty, cut short, binary, or its quotes or header cannot be made out.
    """
    path = Path(path).resolve()
    if not path.is_file():
        raise InputError(f"{path.name}: no such file in {path.parent}; check the path")
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        magic = file.read(4)
    if not magic:
        raise InputError(f"{path.name} is empty; download it again")
    if magic == b"PK\x03\x04":
        raise InputError(f"{path.name} is a zip archive or a workbook; unpack it or save the sheet as CSV")
    with _engine_errors(path), tempfile.TemporaryDirectory(prefix="chiptrail-") as folder:
        engine = ibis.duckdb.connect(str(Path(folder) / "records.duckdb"), temp_directory=folder)
        try:
            if magic == b"PAR1":
                records, header = _read_parquet(engine, path)
                encoding = delimiter = ""
            else:
                zipped = magic[:2] == b"\x1f\x8b"
                encoding, plain = _scan(path, zipped)
                header, delimiter = _read_header(path, zipped)
                source = path if plain else _rewritten(path, zipped, Path(folder) / "input.csv")
                records = _read_text(engine, source, zipped and plain, delimiter, len(header))
            yield Opened(engine, records, header, path.name, digest, encoding or "parquet", delimiter)
        finally:
            engine.disconnect()


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


@contextmanager
def _engine_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        file, message = path.name, str(error).replace(str(path), path.name)
        line = re.search(r"CSV Error on Line: (\d+)", message)
        if line is None and not isinstance(error, duckdb.IOException | duckdb.InvalidInputException):
            raise
        if line is None:
            raise InputError(f"{file} cannot be read ({message.splitlines()[0][:200]}); {_UNREADABLE}") from None
        reason = re.search(r"^(Expected Number.*|Value with.*|Maximum line.*)$", message, re.MULTILINE)
        raise InputError(
            f"{file}: line {line[1]} cannot be read ({reason[1] if reason else 'not well-formed CSV'}); "
            "check the quotes and the number of fields of that line, or download the file again"
        ) from None


def _open_text(path: Path, zipped: bool, errors: str = "chiptrail_latin1") -> io.TextIOWrapper:
    stream = (gzip.open if zipped else open)(path, "rb")
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors=errors, newline=None)


def _scan(path: Path, zipped: bool) -> tuple[str, bool]:
    """Encoding of a text file, and whether the engine can read it as it is; the file is read through once."""
    encoding = "utf-8"
    quotes = 0
    try:
        try:
            with _open_text(path, zipped, "strict") as text:
                while chunk := text.read(_CHUNK):
                    _refuse_binary(chunk, path.name)
                    quotes += chunk.count('"')
                one_newline = not isinstance(text.newlines, tuple)
        except UnicodeDecodeError:
            encoding, one_newline, quotes = "latin-1", False, 0
            with _open_text(path, zipped) as text:
                while chunk := text.read(_CHUNK):
                    _refuse_binary(chunk, path.name)
                    quotes += chunk.count('"')
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path.name}: the gzip file is cut short or damaged; download it again") from None
    if quotes % 2:
        _check_quotes(path, zipped)
    return encoding, one_newline


def _refuse_binary(chunk: str, file: str) -> None:
    if "\0" in chunk:
        raise InputError(f"{file} is binary or UTF-16, not text; {_UNREADABLE}, saved as UTF-8")


def _check_quotes(path: Path, zipped: bool) -> None:
    """Refuses a quote that is never closed and swallows rows; an inch sign inside a field is no fault."""
    delimiter = _read_header(path, zipped)[1]
    with _open_text(path, zipped) as text:
        rows = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for _ in rows:
                pass
        except csv.Error:
            raise InputError(
                f"{path.name}: a quotation mark before line {rows.line_num} is never closed; "
                "close or double it, or download the file again"
            ) from None


def _read_header(path: Path, zipped: bool) -> tuple[tuple[str, ...], str]:
    """Header names and the delimiter: of comma, semicolon, tab and bar the one that parts the header most."""
    with _open_text(path, zipped) as text:
        line = "\n"
        while line == "\n":
            line = text.readline(_CHUNK)
    if not line.strip(" ,;\t|\n"):
        raise InputError(f"{path.name} has no header; download it again")
    if line.count('"') % 2:
        raise InputError(f"{path.name}: the header has an open quotation mark; close it, or download the file again")
    rows = {delimiter: next(csv.reader([line], delimiter=delimiter)) for delimiter in ",;\t|"}
    delimiter = max(rows, key=lambda d: len(rows[d]))
    names = [name.strip() for name in rows[delimiter]]
    while names and not names[-1]:
        names.pop()
    names = [name or f"(column {i})" for i, name in enumerate(names, 1)]
    twice = ", ".join(sorted({repr(name) for name in names if names.count(name) > 1}))
    if twice and any(re.match(NUMBER, name) for name in names):
        raise InputError(f"{path.name}: the first row looks like data: is the header missing?")
    if twice:
        raise InputError(f"{path.name}: the header has {twice} more than once; rename one of them")
    return tuple(names), delimiter


def _rewritten(path: Path, zipped: bool, target: Path) -> Path:
    """The file as UTF-8 with one kind of line end, written as a stream to a temporary file."""
    with _open_text(path, zipped) as text, open(target, "w", encoding="utf-8", newline="\n") as out:
        shutil.copyfileobj(text, out, _CHUNK)
    return target


def _read_text(engine: Any, path: Path, zipped: bool, delimiter: str, n_columns: int) -> ir.Table:
    """All records as text. Spare columns hold what a row has beyond the header; what it lacks is null."""
    names = [f"c{i}" for i in range(n_columns + _SPARE)]
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    table = engine.read_csv(
        pattern, table_name="raw", header=False, columns=dict.fromkeys(names, "VARCHAR"), auto_detect=False,
        delim=delimiter, quote='"', escape='"', nullstr=_NO_SUCH_TEXT, null_padding=True, parallel=False,
        compression="gzip" if zipped else "none",
    )
    too_many = ibis.or_(*(table[name].fill_null("").strip() != "" for name in names[n_columns:]))
    shape = ibis.cases((table[names[n_columns - 1]].isnull(), -1), (too_many, 1), else_=0)
    table = table.mutate(row=ibis.row_number() + 1, shape=shape)
    return table.filter(table["row"] > 1).drop(*names[n_columns:])


def _read_parquet(engine: Any, path: Path) -> tuple[ir.Table, tuple[str, ...]]:
    """All columns as text: whole numbers without a decimal point, timestamps at midnight as dates."""
    pattern = "".join(f"[{c}]" if c in "*?[" else c for c in str(path))
    table = engine.read_parquet(pattern, table_name="raw")
    texts = {}
    for i, (name, dtype) in enumerate(table.schema().items()):
        value, text = table[name], table[name].cast("string")
        if dtype.is_floating():
            whole = (value == value.floor()) & (value.abs() < 1e15)
            text = ibis.ifelse(whole, ibis.ifelse(whole, value, 0.0).cast("int64").cast("string"), text)
        elif dtype.is_timestamp():
            text = text.re_replace(r" 00:00:00(\+00)?$", "")
        texts[f"c{i}"] = text
    header = tuple(str(name) for name in table.columns)
    return table.select(**texts, row=ibis.row_number() + 2, shape=ibis.literal(0)), header
