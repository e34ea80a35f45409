"""The commands `chiptrail fetch ...`: downloads from public services, as files that `chiptrail load` reads."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiptrail.asking import names

if TYPE_CHECKING:
    from chiptrail.loaders.downloads import Limits, Progress

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Download trade data from public services.")

KEY = "COMTRADE_KEY"


class Frequency(StrEnum):
    """Length of the periods of UN Comtrade."""

    year = "year"
    month = "month"


class Flow(StrEnum):
    """Direction of trade."""

    export = "export"
    import_ = "import"
    re_export = "re-export"
    re_import = "re-import"


class Direction(StrEnum):
    """Direction of trade in Comext."""

    export = "export"
    import_ = "import"


Out = Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the file, and for the answers as they came.")]
Products = Annotated[list[str], typer.Option("--product", help="Product list (chips, chpl, chpl:1, drones) or code; may be repeated.")]
Since = Annotated[str, typer.Option("--since", help="First period: 2022 or 2022-07.")]
Until = Annotated[str, typer.Option("--until", help="Last period, likewise.")]
MaxRows = Annotated[int | None, typer.Option("--max-rows", min=1, help="Rows that an answer can hold by your plan.")]
PerSecond = Annotated[float, typer.Option("--per-second", help="Calls a second at most.")]
Refresh = Annotated[bool, typer.Option("--refresh", help="Ask anew what the folder already has.")]
Base = Annotated[str | None, typer.Option("--base", metavar="ADDRESS", help="Address of the service, if it moved.")]


@app.command()
def comtrade(
    out: Out, products: Products, since: Since, until: Until,
    reporters: Annotated[list[str], typer.Option("--reporter", help="Who reports: country, group (EU27) or all; may be repeated.")],
    partners: Annotated[list[str], typer.Option("--partner", help="Partner: country, group, World or all; may be repeated.")] = ["all"],  # noqa: B006
    flows: Annotated[list[Flow], typer.Option("--flow", help="Direction; may be repeated.")] = [Flow.export, Flow.import_],  # noqa: B006
    frequency: Annotated[Frequency, typer.Option("--frequency", help="Length of the periods.")] = Frequency.year,
    preview: Annotated[bool, typer.Option("--preview", help="Without a key: at most 500 rows an answer.")] = False,
    max_rows: MaxRows = None, per_second: PerSecond = 1.0, refresh: Refresh = False, base: Base = None,
) -> None:
    """Download from UN Comtrade. The key is taken from COMTRADE_KEY or asked for, and stored nowhere."""
    from chiptrail.loaders import fetch_comtrade as client

    key = "" if preview else _key()
    with _shown("UN Comtrade") as (progress, last):
        file = client.fetch_comtrade(
            out, reporters=_places(reporters), partners=_places(partners), products=names(products), since=since, until=until,
            flows=[flow.value for flow in flows], frequency=frequency.value, key=key, base=base or client.BASE,
            limits=_limits(max_rows or (client.ROWS_WITH_KEY if key else client.ROWS_OF_PREVIEW), per_second),
            refresh=refresh, progress=progress,
        )
    _report(file, last, "comtrade")


@app.command()
def comext(
    out: Out, products: Products, since: Since, until: Until,
    partners: Annotated[list[str], typer.Option("--partner", help="Partner: country, group or all; may be repeated.")],
    reporters: Annotated[list[str], typer.Option("--reporter", help="Member of the EU, or EU27 for all; may be repeated.")] = ["EU27"],  # noqa: B006
    flows: Annotated[list[Direction], typer.Option("--flow", help="Direction; may be repeated.")] = [Direction.export],  # noqa: B006
    max_rows: MaxRows = None, per_second: PerSecond = 1.0, refresh: Refresh = False, base: Base = None,
) -> None:
    """Download monthly trade of EU members from Eurostat (Comext). No key is needed."""
    from chiptrail.loaders import fetch_comext as client

    with _shown("Eurostat") as (progress, last):
        file = client.fetch_comext(
            out, reporters=names(reporters), partners=_places(partners), products=names(products), since=since, until=until,
            flows=[flow.value for flow in flows], base=base or client.BASE,
            limits=_limits(max_rows or client.ROWS, per_second), refresh=refresh, progress=progress,
        )
    _report(file, last, "comext")


def _key() -> str:
    """The key from the environment, or asked for without showing it."""
    found = os.environ.get(KEY, "").strip()
    if found:
        return found
    if not _terminal():
        raise typer.BadParameter(f"set the environment variable {KEY} to your key, or give --preview", param_hint=KEY)
    return str(typer.prompt("Key of UN Comtrade (not shown)", hide_input=True)).strip()


def _terminal() -> bool:
    return sys.stdin.isatty()


def _limits(max_rows: int, per_second: float) -> "Limits":
    from chiptrail.loaders.downloads import Limits

    return Limits(max_rows=max_rows, per_second=per_second)


def _places(values: Sequence[str]) -> list[str] | None:
    given = names(values)
    return None if "all" in (name.casefold() for name in given) else given


@contextmanager
def _shown(title: str) -> Iterator[tuple[Callable[["Progress"], None], list["Progress"]]]:
    """What to call with each step, and a list that holds the last one; steps are shown where there is a terminal."""
    from chiptrail import show

    last: list[Progress] = []
    out = show.console(stderr=True)
    if not out.is_terminal:
        yield lambda step: last.__setitem__(slice(None), [step]), last
        return
    from rich.progress import Progress as Bar
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    with Bar(SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn(), console=out, transient=True) as bar:
        task = bar.add_task(title)

        def step(now: "Progress") -> None:
            last[:] = [now]
            told = f"{title}: {now.asked} asked, {now.kept} from the folder, {now.left} or more to do: {now.text}"
            bar.update(task, description=show.plain(told))

        yield step, last


def _report(file: Path, last: Sequence["Progress"], loader: str) -> None:
    from chiptrail import show

    rows = json.loads(file.with_suffix(".json").read_text("utf-8"))["rows"]
    done = last[-1]
    show.line(f"{file}: {rows:,} rows; {done.asked} requests asked, {done.kept} taken from the folder")
    show.line(f"load it: chiptrail load {loader} {file} --out NETWORK" if rows else "nothing is recorded for this question")
