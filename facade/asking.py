"""What the commands share: their options, the network that a name means, asking, and writing the answer."""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from chiptrail.graphmodel.network import TradeNetwork

BUNDLED = {"bundled:countries": "countries", "bundled:firms": "firms"}


class Concept(StrEnum):
    """What the origin of a flow means."""

    dispatched = "dispatched"
    origin = "origin"
    brand = "brand"


class Length(StrEnum):
    """Length of the periods of a table."""

    month = "month"
    quarter = "quarter"
    year = "year"


Network = Annotated[str, typer.Argument(
    metavar="NETWORK", help="Folder made by `chiptrail load`, or bundled:countries, or bundled:firms.")]
From = Annotated[list[str], typer.Option("--from", help="Origins: countries (USA), groups (EU27) or firms; may be repeated.")]
To = Annotated[list[str], typer.Option("--to", help="Destinations, likewise.")]
AskConcept = Annotated[Concept | None, typer.Option(
    "--concept", help="Meaning of the origin: dispatched from there, customs origin, or a maker's brand. "
                      "Default: origin for countries, dispatched for firms.")]
Product = Annotated[list[str] | None, typer.Option(
    "--product", help="Product list (chips, chpl, chpl:1, drones) or HS code; may be repeated. Default: all.")]
Since = Annotated[str | None, typer.Option("--since", help="First period: 2022, 2022-07 or 2022-07-20.")]
Until = Annotated[str | None, typer.Option("--until", help="Last period, likewise.")]
Country = Annotated[list[str] | None, typer.Option("--country", help="Only trades of these countries or groups; may be repeated.")]
Top = Annotated[int, typer.Option("--top", min=1, help="Rows to print; files get all.")]
Json = Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the table as JSON; - for standard output.")]
Csv = Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write the table as CSV; - for standard output.")]
Xlsx = Annotated[Path | None, typer.Option("--xlsx", metavar="FILE", help="Write the table as an Excel workbook.")]
Dta = Annotated[Path | None, typer.Option("--dta", metavar="FILE", help="Write the table as a Stata file.")]


def open_network(name: str) -> "TradeNetwork":
    """The network meant by a folder or by the name of bundled data."""
    import chiptrail as ct

    with busy(f"opening {name}"):
        if name in BUNDLED:
            return ct.load_bundled(BUNDLED[name])
        if name.startswith("bundled:"):
            raise ct.UnknownNameError("bundled network", name, BUNDLED, f"known: {', '.join(BUNDLED)}")
        return ct.TradeNetwork.load(name)


def terminal() -> bool:
    """Whether somebody sits there who can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def answer(
    ask: Callable[[], "pd.DataFrame"], columns: dict[str, str] | Callable[["pd.DataFrame"], None] | None, top: int,
    json: str | None, csv: str | None, xlsx: Path | None, dta: Path | None,
) -> None:
    """Asks, writes the files wanted, and prints the table unless one was written to standard output."""
    from chiptrail import show
    from chiptrail.exporters.tables import csv_text, json_text, write_table

    for path, ending in zip((json, csv, xlsx, dta), (".json", ".csv", ".xlsx", ".dta"), strict=True):
        if path and path != "-" and Path(path).suffix.lower() != ending:
            raise typer.BadParameter(f"{path}: the name must end in {ending}", param_hint=f"--{ending[1:]}")
    if json == csv == "-":
        raise typer.BadParameter("only one table goes to standard output", param_hint="--csv")
    paths = [Path(p) for p in (json, csv, xlsx, dta) if p and p != "-"]
    with busy("asking"):
        table = ask()
        for path in paths:
            write_table(table, path)
    if "-" in (json, csv):
        sys.stdout.write(json_text(table) if json == "-" else csv_text(table).removeprefix("\ufeff"))
        return
    if callable(columns):
        columns(table)
    else:
        told_above = ("concept", "period_start")
        names = [name for name in table.columns if not name.endswith("_id") and name not in told_above]
        show.table(table, columns or {name: name.replace("_", " ") for name in names}, top=top)
    show.about(table)
    for path in paths:
        typer.echo(f"{path} written", err=True)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Shows what is being done while it takes its time; nothing where there is no terminal."""
    from chiptrail import show

    out = show.console(stderr=True)
    if not out.is_terminal:
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    with Progress(SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=out,
                  transient=True) as progress:
        progress.add_task(what)
        yield


def names(values: Sequence[str]) -> list[str]:
    """The names given, also several in one option, as in `--from USA,GBR`; a firm's name may hold a comma and a space."""
    return [name for value in values for name in re.split(r",(?!\s)", value) if name]


def chosen(values: Sequence[str] | None) -> Any:
    """The product list, code or codes given; None for all."""
    return None if not values else values[0] if len(values) == 1 else list(values)


def value(choice: StrEnum | None) -> str | None:
    """The text of a choice."""
    return None if choice is None else choice.value
