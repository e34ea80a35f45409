"""The command `chiptrail load`: many files, read one by one, become one network or none."""

import filecmp
import glob
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chiptrail.graphmodel.network import TradeNetwork

_DATA = (".csv", ".tsv", ".dat", ".parquet", ".xlsx", ".7z", ".zip")
_REJECTS = b'"file","row","reason",'
Unit = tuple[Path, ...]
"""What a loader reads in one go: a file; or a folder of tables; or a file of actors and a file of trades."""
Step = Callable[[str, int], None]
"""What is being done, and how many bytes are done since the last call."""


@dataclass(frozen=True)
class Loaded:
    """A file that was read into a network, in so many seconds; or the reason why it could not be."""

    place: str
    network: "TradeNetwork | None"
    seconds: float
    reason: str = ""


def files_meant(words: Sequence[str], *, tables: bool = False) -> tuple[list[Unit], list[str]]:
    """What to read in one go, by paths, patterns (`data/*.csv`) and folders, each once; and sentences on what is left out.

    A folder means the data files in it, by their endings, and not those in its own folders. Of files with the same content the
    first counts. With `tables`, a folder is read as one, and so are a file of actors and a file of trades.

    Raises
    ------
    InputError
        If a pattern fits no file or a folder holds no data; or if tables are not of one of the forms said.
    """
    from chiptrail.graphmodel.errors import InputError

    if tables:
        paths = [Path(word) for word in words]
        if all(path.is_dir() for path in paths):
            return [(path,) for path in dict.fromkeys(paths)], []
        if len(paths) > 2 or any(path.is_dir() for path in paths):
            raise InputError("tables are folders, one file of trades, or a file of actors and a file of trades")
        return [tuple(paths)], []
    found: dict[Path, Path] = {}
    notes = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
            chosen = [p for p in inside if _is_data(p)]
            if not chosen:
                raise InputError(f"{path}: no data in this folder (files ending in {', '.join(_DATA)}, also .gz); name the files")
            others = [p.name for p in inside if p not in chosen]
            if others:
                notes.append(f"{path}: not read: {', '.join(others[:10])}" + (", ..." if len(others) > 10 else ""))
        elif not path.exists() and glob.has_magic(word):
            chosen = sorted(p for name in glob.glob(word, recursive=True) if (p := Path(name)).is_file())
            if not chosen:
                raise InputError(f"{word}: no file fits this pattern")
        else:
            chosen = [path]
        for p in chosen:
            if found.setdefault(p.resolve(), p) != p:
                notes.append(f"{p}: named twice, read once")
    return [(path,) for path in _distinct(list(found.values()), notes)], notes


def _is_data(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(_DATA) and not path.name.lower().startswith("readme")


def _distinct(files: list[Path], notes: list[str]) -> list[Path]:
    """The files without those that equal an earlier one byte for byte."""
    by_size: dict[int, list[Path]] = {}
    kept = []
    for path in files:
        alike = by_size.setdefault(path.stat().st_size, []) if path.is_file() else []
        same = next((other for other in alike if filecmp.cmp(other, path, shallow=False)), None)
        if same:
            notes.append(f"{path}: the same content as {same}, read once")
        else:
            alike.append(path)
            kept.append(path)
    return kept


def check_question(
    *, products: str | Sequence[str] | None, since: str | None, until: str | None, countries: Sequence[str] | None, mapping: str | None
) -> None:
    """Nothing; raises where a name or period of the question is not known, before any file is read."""
    from chiptrail.graphmodel.periods import window
    from chiptrail.graphmodel.products import product_codes
    from chiptrail.graphmodel.selection import places

    window(since, until)
    if products is not None:
        product_codes(products)
    if countries is not None:
        places(countries)
    if mapping is not None:
        from chiptrail.loaders.mapping import read_mapping

        read_mapping(mapping)


def reader(file_format: str, **asked: Any) -> Callable[[Unit], "TradeNetwork"]:
    """The function that reads files of a format."""
    import chiptrail as ct

    loaders: dict[str, Callable[..., TradeNetwork]] = {
        "comtrade": ct.load_comtrade, "comext": ct.load_comext, "baci": ct.load_baci, "shipments": ct.load_shipments,
        "tables": ct.load_tables,
    }
    return lambda unit: loaders[file_format](*unit, **asked)


def read_each(units: Sequence[Unit], read: Callable[[Unit], "TradeNetwork"], step: Step) -> list[Loaded]:
    """Each file with its network, or with the reason why it cannot be read; a file that is alone raises it."""
    from chiptrail.graphmodel.errors import ChiptrailError

    names = [unit[0].name for unit in units]
    results = []
    for i, unit in enumerate(units, 1):
        step(f"reading {unit[0].name}" + (f" ({i} of {len(units)})" if len(units) > 1 else ""), 0)
        place = unit[0].name if names.count(unit[0].name) == 1 else str(unit[0])
        start = time.monotonic()
        try:
            network, reason = read(unit), ""
        except (ChiptrailError, OSError) as error:
            if len(units) == 1:
                raise
            network, reason = None, str(error)
        results.append(Loaded(place, network, time.monotonic() - start, reason))
        step("", _bytes(unit))
    return results


def _bytes(unit: Unit) -> int:
    return sum(path.stat().st_size for path in unit if path.is_file())


def joined(results: Sequence[Loaded]) -> "TradeNetwork":
    """One network of all files that could be read."""
    from chiptrail.graphmodel.network import concat

    return concat([result.network for result in results if result.network is not None])


def check(results: Sequence[Loaded], *, skip_bad: bool) -> None:
    """Nothing; raises if a file could not be read, unless such files are to be skipped, or if none could.

    Raises
    ------
    InputError
        With the reason for each such file.
    """
    from chiptrail.graphmodel.errors import InputError

    bad = [result for result in results if result.reason]
    if bad and (not skip_bad or len(bad) == len(results)):
        advice = "none of the files can be read" if len(bad) == len(results) else (
            "correct them or leave them out, or add --skip-bad to save the others")
        told = "".join(f"\n- {_told(result)}" for result in bad)
        raise InputError(f"{len(bad)} of {len(results)} files cannot be read, so nothing is saved; {advice}:{told}")


def _told(result: Loaded) -> str:
    name = Path(result.place).name
    return result.reason if name in result.reason else f"{result.place}: {result.reason}"


def show_summary(results: Sequence[Loaded], notes: Sequence[str]) -> None:
    """Prints a row for each file with its counts and seconds, then the reasons for rejected rows and what was left out."""
    import pandas as pd

    from chiptrail import show

    parts = []
    for result in results:
        if result.network is not None:
            sources = result.network.sources
            seconds = [result.seconds] + [0.0] * (len(sources) - 1)
            if len(sources) == 1:
                sources = sources.assign(file=result.place)
            parts.append(sources.assign(seconds=seconds[: len(sources)]))
    if parts:
        show.rejected(pd.concat(parts, ignore_index=True))
    for result in results:
        if result.reason:
            show.line(show.plain(f"{result.place}: not read: {result.reason.splitlines()[0]}"), style="red")
    for note in notes:
        show.line(show.plain(note), style="dim")


@contextmanager
def rejects_file(path: Path | None) -> Iterator[Path | None]:
    """A file to which rejected rows can be written; it takes the place of `path` if all goes well.

    Raises
    ------
    InputError
        If `path` exists and is something else than a file of rejected rows.
    """
    if path is None:
        yield None
        return
    from chiptrail.graphmodel.errors import InputError

    if path.exists():
        begun = b""
        if path.is_file():
            with open(path, "rb") as file:
                begun = file.read(len(_REJECTS))
        if not path.is_file() or begun not in (b"", _REJECTS):
            raise InputError(f"{path} exists and is no file of rejected rows; choose another name")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        yield fresh
        if fresh.exists():
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def progress(units: Sequence[Unit]) -> Iterator[Step]:
    """A bar by bytes over the files, with what is being done and the time; nothing where there is no terminal."""
    from chiptrail import show

    out = show.console(stderr=True)
    if not out.is_terminal:
        yield lambda what, done: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns: list[Any] = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if len(units) > 1:
        columns += [BarColumn(), DownloadColumn()]
    with Progress(*columns, TimeElapsedColumn(), console=out, transient=True) as bar:
        task = bar.add_task("", total=sum(map(_bytes, units)))

        def step(what: str, done: int) -> None:
            bar.update(task, advance=done, description=show.plain(what) if what else None)

        yield step
