"""Tables and messages on the terminal. Names come from files: they are never read as markup or as control characters."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST = 200
_NOT_ASKED = "not asked for: "


def printable(text: str) -> str:
    """Text without control characters and marks that turn the direction of reading; line breaks stay."""
    return "\n".join(_CONTROL.sub("?", line) for line in text.split("\n"))


def plain(value: Any) -> str:
    """A value as text for a terminal: numbers grouped, dates as days, missing as a dash, control characters shown as ?."""
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return "–"
    if isinstance(value, pd.Timestamp):
        return str(value.date())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = _CONTROL.sub("?", str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def console(*, stderr: bool = False) -> Console:
    """Where to print: as wide as the terminal, or wide enough for a table where there is none."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else 150, highlight=False, markup=False, emoji=False)


def line(text: str, *, style: str = "") -> None:
    """Prints one line of text, never broken: a terminal wraps it, a file keeps it whole."""
    console().print(Text(text, style=style), soft_wrap=True)


def table(frame: pd.DataFrame, columns: Mapping[str, str], *, top: int | None = None) -> None:
    """Prints the columns named, under the headings given, and how many rows are not shown."""
    shown = frame if top is None else frame.head(top)
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    cells = []
    for name, heading in columns.items():
        values = [plain(value) for value in shown[name].astype(object)]
        numeric = pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name])
        drawn.add_column(Text(heading), justify="right" if numeric else "left", overflow="fold",
                         min_width=max(map(len, values), default=0) if numeric else None)
        cells.append([Text(value) for value in values])
    for row in zip(*cells, strict=True):
        drawn.add_row(*row)
    console().print(drawn)
    if len(shown) < len(frame):
        line(f"… and {len(frame) - len(shown):,} rows more")


def about(frame: pd.DataFrame) -> None:
    """Prints what an answer carries beside its rows: the question, tellings left aside, notes and sources."""
    question = ", ".join(
        f"{key} {' '.join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else value}"
        for key, value in frame.attrs.get("question", {}).items()
    )
    lines = [f"Question: {question}"] if question else []
    aside = frame.attrs.get("left_aside", {})
    if aside:
        lines.append("Counted once; left aside: " + ", ".join(f"{n:,} {reason}" for reason, n in aside.items()))
    lines += [f"Note: {note}" for note in frame.attrs.get("notes", [])]
    sources = frame.attrs.get("sources", [])
    lines += [f"Source: {s['source_id']}: {s['title']}" + (f", {s['publisher']}" if s["publisher"] else "") for s in sources[:8]]
    if len(sources) > 8:
        lines.append(f"… and {len(sources) - 8} sources more (all with --json)")
    for told in lines:
        line(_CONTROL.sub("?", told), style="dim")


def rejected(sources: pd.DataFrame) -> None:
    """Prints rows read, kept, not asked for and rejected for each file (and its seconds), then for each reason how many and which."""
    counts = [{str(reason): int(n) for reason, n in json.loads(text or "{}").items()} for text in sources["rejected"]]
    files = sources["file"].where(sources["file"].ne(""), sources["source_id"])
    outside = [sum(n for reason, n in reasons.items() if reason.startswith(_NOT_ASKED)) for reasons in counts]
    overview = pd.DataFrame({"file": files, "read": sources["rows_read"], "kept": sources["rows_kept"], "outside": outside,
                             "rejected": [sum(reasons.values()) for reasons in counts]})
    overview["rejected"] -= overview["outside"]
    columns = {"file": "file", "read": "rows read", "kept": "kept", "outside": "not asked for", "rejected": "rejected"}
    if not overview["outside"].any():
        del columns["outside"]
    if "seconds" in sources:
        overview["seconds"], columns["seconds"] = sources["seconds"], "seconds"
    overview = overview.groupby("file", sort=False, as_index=False).sum()
    table(overview, columns)
    for source, file, reasons in zip(sources.to_dict("records"), files, counts, strict=True):
        text = source.get("x_rejected_examples")
        examples = json.loads(text) if isinstance(text, str) and text else {}
        for reason, n in reasons.items():
            asked = reason.startswith(_NOT_ASKED)
            where = f": {'; '.join(examples[reason])}" if reason in examples and not asked else ""
            told = f"{n:,} {reason}" if asked else f"{n:,} rejected, {reason}{where}"
            line(_CONTROL.sub("?", f"{file}: {told}"), style="dim" if asked else "yellow")
        if source["note"]:
            line(_CONTROL.sub("?", f"{file}: {source['note']}"), style="dim")
