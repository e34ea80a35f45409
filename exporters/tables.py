"""Writes a result table as CSV, JSON, Excel workbook or Stata file."""

import datetime
import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.errors import ChiptrailError, InputError

_STAMP = datetime.datetime(2000, 1, 1)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CELL_CHARACTERS = 32_767
_SHEET_ROWS = 1_048_576
_STATA_WORDS = re.compile(
    r"aggregate|array|boolean|break|byte|case|catch|class|colvector|complex|const|continue|default|delegate|delete|do|double|"
    r"else|eltypedef|end|enum|explicit|export|external|float|for|friend|function|global|goto|if|in|inline|int|local|long|NULL|"
    r"pragma|protected|quad|rowvector|short|str\d+|strL|typedef|typename|using|virtual|with|"
    r"_all|_b|_coef|_cons|_n|_N|_pi|_pred|_rc|_se|_skip"
)


def write_table(df: pd.DataFrame, path: str | Path) -> Path:
    """The path of the file written, in the format that its ending names: .csv, .json, .xlsx or .dta.

    The same table always gives the same bytes. Lists in a cell are joined by `; `, except in JSON. Characters that no XML
    file can hold (NUL and other control characters, lone surrogates) become U+FFFD, except in JSON, which escapes them.

    - `.csv`: UTF-8 with a byte order mark, so that Excel reads it rightly. Text that a spreadsheet would run as a formula
      (it begins with `=`, `+`, `-`, `@`, their full-width forms, a tab or a line break) gets an apostrophe in front.
      A spreadsheet drops the leading zero of an HS code in a CSV; use .xlsx for that.
    - `.json`: `{"about": df.attrs, "records": [...]}`; missing and infinite numbers are null, dates ISO.
    - `.xlsx`: text, and so HS codes, in text cells, never as formulas; a sheet `about` with `df.attrs`, and a sheet `sources`
      if `df.attrs["sources"]` is given. Text beyond a cell's 32,767 characters is cut and says so.
    - `.dta`: Stata 14 or later; dates as `%td`, long text as `strL`, infinite numbers missing; names that Stata does not
      accept are changed, and the column's own name is the variable label.

    Parameters
    ----------
    df
        Any table; `df.attrs` holds what is to be known about it.
    path
        Where to write; a file that stands there is replaced.

    Raises
    ------
    InputError
        If the ending is another, or the table has more rows than a worksheet.
    ChiptrailError
        If a library that the format needs is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "hubs.csv"
    >>> write_table(pd.DataFrame({"hub": ["KAZ", "=1+1"], "inflow_usd": [4.27, -1.0]}), path).read_text("utf-8-sig")
    "hub,inflow_usd\\nKAZ,4.27\\n'=1+1,-1.0\\n"
    """
    writers: dict[str, Callable[[pd.DataFrame], bytes]] = {
        ".csv": lambda frame: csv_text(frame).encode("utf-8-sig"),
        ".json": lambda frame: json_text(frame).encode("utf-8"),
        ".xlsx": _xlsx,
        ".dta": _dta,
    }
    target = Path(path)
    if target.suffix.lower() not in writers:
        raise InputError(f"{target.name}: cannot tell the format from the ending; use one of {', '.join(writers)}")
    content = writers[target.suffix.lower()](df)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return target


def csv_text(df: pd.DataFrame) -> str:
    """The table as CSV whose text cells no spreadsheet runs as formulas; see `write_table`."""
    safe = _flat(df)
    safe = safe.rename(columns=spreadsheet_safe)
    for position, dtype in enumerate(safe.dtypes):
        if _is_text(dtype):
            safe.isetitem(position, [spreadsheet_safe(text) for text in safe.iloc[:, position]])
    # The lines end as RFC 4180 says: only then does the writer put text with a lone carriage return in quotes.
    return safe.to_csv(index=False, lineterminator="\r\n")


def json_text(df: pd.DataFrame) -> str:
    """The table as JSON, `{"about": df.attrs, "records": [...]}`; missing and infinite numbers are null, dates ISO."""
    rows = [dict(zip(map(str, df.columns), row, strict=True)) for row in _columns_in_sight(df).itertuples(index=False)]
    return json.dumps(_plain({"about": df.attrs, "records": rows}), indent=1, allow_nan=False) + "\n"


def printable(text: str) -> str:
    """The text with U+FFFD for each character that no XML file may hold: NUL, other controls, lone surrogates."""
    return _NOT_IN_XML.sub("\ufffd", text)


def spreadsheet_safe(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front; all else comes back as it is."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def _columns_in_sight(df: pd.DataFrame) -> pd.DataFrame:
    """The table with a named index as columns."""
    return df.reset_index() if any(name is not None for name in df.index.names) else df


def _is_text(dtype: Any) -> bool:
    return not (pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_datetime64_any_dtype(dtype))


def _flat(df: pd.DataFrame) -> pd.DataFrame:
    """The table with printable text or empty text in every cell that is no number, flag or date."""
    flat = _columns_in_sight(df).rename(columns=lambda name: printable(str(name)))
    for position, dtype in enumerate(flat.dtypes):
        if _is_text(dtype):
            flat.isetitem(position, [_cell_text(value) for value in flat.iloc[:, position]])
    return flat


def _cell_text(value: Any) -> str:
    if isinstance(value, str):
        return printable(value)
    value = _plain(value)
    if value is None:
        return ""
    if isinstance(value, list):
        return "; ".join(_cell_text(item) for item in value)
    if isinstance(value, dict):
        return printable(json.dumps(value, ensure_ascii=False))
    return printable(str(value))


def _plain(value: Any) -> Any:
    """The value in the types of JSON."""
    if isinstance(value, pd.DataFrame):
        return _plain(value.to_dict("records"))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item) for item in value), key=str)
    if isinstance(value, list | tuple | np.ndarray | pd.Series):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime.datetime):
        return value.isoformat() if value.time() != datetime.time() else value.date().isoformat()
    return value if isinstance(value, str | int) else str(value)


def _xlsx(df: pd.DataFrame) -> bytes:
    try:
        import openpyxl
    except ImportError:
        raise ChiptrailError("writing .xlsx needs openpyxl: pip install chiptrail[xlsx]") from None
    workbook = openpyxl.Workbook()
    _fill(workbook.active, "table", _flat(df))
    about = [(printable(str(key)), item) for key, value in df.attrs.items() if key != "sources" for item in _lines(_plain(value))]
    _fill(workbook.create_sheet(), "about", _flat(pd.DataFrame(about, columns=["about", "text"])))
    if "sources" in df.attrs:
        sources = [{k: printable(v) if isinstance(v, str) else v for k, v in row.items()} for row in _plain(df.attrs["sources"])]
        _fill(workbook.create_sheet(), "sources", _flat(pd.DataFrame(sources)))
    buffer = io.BytesIO()
    workbook.save(buffer)
    return _without_clock(buffer.getvalue())


def _lines(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return [f"{key}: {_cell_text(item)}" for key, item in value.items()]
    return [_cell_text(item) for item in (value if isinstance(value, list) else [value])]


def _fill(sheet: Any, title: str, frame: pd.DataFrame) -> None:
    """Puts a flat table on an openpyxl worksheet: names in bold and fixed, text as text."""
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    if len(frame) >= _SHEET_ROWS:
        raise InputError(f"{len(frame):,} rows do not fit on a worksheet of {_SHEET_ROWS:,}; write .csv instead")
    sheet.title = title
    sheet.freeze_panes = "A2"
    for position, name in enumerate(frame.columns, start=1):
        values = [name, *frame.iloc[:, position - 1].tolist()]
        for row, value in enumerate(values, start=1):
            _set_cell(sheet.cell(row, position), value)
        sheet.cell(1, position).font = Font(bold=True)
        longest = max(len(str(value)) for value in values[:200])
        sheet.column_dimensions[get_column_letter(position)].width = min(max(longest + 2, 8), 60)


def _set_cell(cell: Any, value: Any) -> None:
    if isinstance(value, str):
        if len(value) > _CELL_CHARACTERS:
            note = f" [cut: {len(value):,} characters]"
            value = value[: _CELL_CHARACTERS - len(note)] + note
        if value:
            cell.value, cell.data_type, cell.number_format = value, "s", "@"
    elif isinstance(value, pd.Timestamp):
        cell.value, cell.number_format = value.to_pydatetime().replace(tzinfo=None), "yyyy-mm-dd"
    elif not pd.isna(value) and math.isfinite(value):
        cell.value = value


def _without_clock(workbook: bytes) -> bytes:
    """The same workbook with fixed times inside, so that equal tables give equal files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", _STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), content)
            entry = zipfile.ZipInfo(name, _STAMP.timetuple()[:6])
            entry.create_system, entry.compress_type = 3, zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return buffer.getvalue()


def _dta(df: pd.DataFrame) -> bytes:
    frame = _flat(df)
    names = _stata_names(list(frame.columns))
    labels = {new: old[:80] for new, old in zip(names, frame.columns, strict=True)}
    frame = frame.set_axis(names, axis="columns").replace([np.inf, -np.inf], np.nan)
    dates: dict[Any, Any] = {}
    long_text = []
    for name in names:
        dtype = frame[name].dtype
        if pd.api.types.is_bool_dtype(dtype):
            frame[name] = frame[name].astype("int8")
        elif pd.api.types.is_integer_dtype(dtype):
            frame[name] = frame[name].astype("int32" if _fits_stata_long(frame[name]) else "float64")
        elif pd.api.types.is_datetime64_any_dtype(dtype):
            frame[name] = frame[name].dt.tz_localize(None).astype("datetime64[ns]")
            dates[name] = "td"
        elif _is_text(dtype) and any(len(text.encode()) > 2045 for text in frame[name]):
            long_text.append(name)
    buffer = io.BytesIO()
    frame.to_stata(
        buffer, version=118, write_index=False, time_stamp=_STAMP, byteorder="little", convert_dates=dates,
        convert_strl=long_text, variable_labels=labels, data_label=printable(str(df.attrs.get("question", "")))[:80],
    )
    return buffer.getvalue()


def _fits_stata_long(values: pd.Series) -> bool:
    return values.empty or (not values.isna().any() and bool(values.between(-2_147_483_647, 2_147_483_620).all()))


def _stata_names(columns: list[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name = re.sub(r"[^A-Za-z0-9_]", "_", column) or "_"
        if name[0].isdigit() or _STATA_WORDS.fullmatch(name):
            name = f"_{name}"
        name, number = name[:32], 1
        while name in names:
            number += 1
            name = f"{name[: 31 - len(str(number))]}_{number}"
        names.append(name)
    return names
