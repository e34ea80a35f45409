"""A network as a folder: Parquet tables, `sources.json`, and `network.json`, which says what it is.

The folder is written beside its place and then takes it in one step, so that at every moment the old network or the new one
stands there, whole. Where the system cannot exchange two folders in one step, the old one is moved aside first, and is read
from there if the work is cut off between.
"""

import ctypes
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.schema import TABLES

_FORMAT = "chiptrail network 1"
_HERE, _EXCHANGE = -100, 2


def write_folder(folder: str | Path, level: str, tables: Mapping[str, pd.DataFrame]) -> Path:
    """The folder written with all tables of a network.

    Raises
    ------
    ChiptrailError
        If the folder exists and holds something other than a saved network.
    """
    target = Path(folder)
    check_place(target)
    if target.exists() and not (target / "network.json").is_file():
        target.rmdir()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-{os.getpid()}-", dir=target.parent))
    try:
        for name, frame in tables.items():
            if name != "sources":
                frame.to_parquet(fresh / f"{name}.parquet", index=False)
        sources = tables["sources"]
        _write_json(fresh / "sources.json", sources.to_dict("records"))
        _write_json(fresh / "network.json", {"format": _FORMAT, "level": level, "source_columns": {
            str(name): str(dtype) for name, dtype in sources.dtypes.items()}})
        fresh.chmod(0o755)
        for path in [*fresh.iterdir(), fresh]:
            _to_disk(path)
        _put(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _clear_remains(target)
    return target


def check_place(folder: str | Path) -> None:
    """Nothing; raises where a network cannot be saved.

    Raises
    ------
    ChiptrailError
        If the folder exists and holds something other than a saved network.
    """
    target = Path(folder)
    if target.exists() and not (target / "network.json").is_file() and (not target.is_dir() or any(target.iterdir())):
        raise ChiptrailError(f"{target} exists and is no saved network; choose another folder")


def read_folder(folder: str | Path) -> tuple[str, dict[str, pd.DataFrame]]:
    """Level and tables of the network in a folder.

    Raises
    ------
    InputError
        If the folder holds no saved network, or one of another format.
    """
    source = Path(folder)
    if not source.exists():
        source = next((path for path, _ in _beside(source) if path.name.endswith("-old")), source)
    try:
        about = json.loads((source / "network.json").read_text(encoding="utf-8"))
        if about["format"] != _FORMAT:
            raise InputError(f"{folder} was saved in the format {about['format']!r}; this version reads {_FORMAT!r}")
        tables = {n: pd.read_parquet(source / f"{n}.parquet") for n in TABLES if n != "sources"}
        rows = json.loads((source / "sources.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{folder} holds no whole saved network ({type(error).__name__}); make one with `chiptrail load` or network.save"
        ) from None
    tables["sources"] = pd.DataFrame(rows, columns=list(about["source_columns"])).astype(about["source_columns"])
    return about["level"], tables


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def _to_disk(path: Path) -> None:
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _put(fresh: Path, target: Path) -> None:
    """Puts `fresh` in the place of `target`."""
    if not target.exists():
        fresh.rename(target)
    elif not _exchanged(fresh, target):
        old = fresh.with_name(f"{fresh.name}-old")
        target.rename(old)
        fresh.rename(target)
        shutil.rmtree(old)


def _exchanged(one: Path, other: Path) -> bool:
    """Whether the system put two folders in each other's place, in one step."""
    try:
        exchange = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return exchange(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def _clear_remains(target: Path) -> None:
    """Removes what work on this folder that was cut off left beside it; what a running process writes stays."""
    for path, process in _beside(target):
        if not _running(process):
            shutil.rmtree(path, ignore_errors=True)


def _beside(target: Path) -> list[tuple[Path, int]]:
    """Folders on their way to or from the place of `target`, and the process that each is of."""
    if not target.parent.is_dir():
        return []
    name = re.compile(rf"\.{re.escape(target.name)}-(\d+)-[a-z0-9_]+(-old)?")
    return [(path, int(found[1])) for path in sorted(target.parent.iterdir()) if (found := name.fullmatch(path.name))]


def _running(process: int) -> bool:
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
