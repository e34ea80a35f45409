"""The commands `chiptrail neo4j ...`: a network in Neo4j, there and back, and a server of one's own to explore it."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chiptrail.asking import (
    BUNDLED,
    AskConcept,
    Csv,
    Dta,
    From,
    Json,
    Network,
    Product,
    Since,
    To,
    Top,
    Until,
    Xlsx,
    answer,
    busy,
    chosen,
    names,
    open_network,
    terminal,
    value,
)

if TYPE_CHECKING:
    import pandas as pd

    from chiptrail.graphmodel.database import Database
    from chiptrail.graphmodel.network import TradeNetwork

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Explore a network in Neo4j Browser, and pull it back.")

PASSWORD = "NEO4J_PASSWORD"


class Scores(StrEnum):
    """Queries whose answers can be written to the actors."""

    hubs = "hubs"
    centrality = "centrality"


class Release(StrEnum):
    """Releases of Neo4j that `serve` can start."""

    lts = "5.26"
    current = "2026"


Uri = Annotated[str, typer.Option("--uri", envvar="NEO4J_URI", help="Address of the server, such as neo4j+s://example.org.")]
User = Annotated[str, typer.Option("--user", envvar="NEO4J_USERNAME", help="User.")]
Password = Annotated[str | None, typer.Option("--password", envvar=PASSWORD, help="Password; better in the environment. Asked for if "
                                              "not given.")]
Name = Annotated[str | None, typer.Option("--database", envvar="NEO4J_DATABASE", help="Database; default: the user's own.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="Name of the network in the database; `chiptrail neo4j check` lists them.")]
_URI, _USER = "bolt://localhost:7687", "neo4j"


@app.command()
def check(uri: Uri = _URI, user: User = _USER, password: Password = None, database: Name = None) -> None:
    """Say whether the server answers, what it is, and which networks it holds."""
    from chiptrail import show
    from chiptrail.loaders.neo4j import stored_networks

    with _opened(uri, user, password, database) as opened:
        show.line(f"{opened!r}: Neo4j {opened.version()}")
        stored = stored_networks(opened)
    if len(stored):
        show.table(stored, {str(name): str(name).removeprefix("n_").replace("_", " ") for name in stored})
    else:
        show.line("no network yet; push one: chiptrail neo4j push bundled:firms")


@app.command()
def push(
    network: Network, network_id: Annotated[str | None, typer.Option("--id", help="Name of the network in the database; default: "
                                                                     "the folder's.")] = None,
    scores: Annotated[Scores | None, typer.Option("--scores", help="Also write the answer of this query to the actors, for sizes in "
                                                  "Browser; the options below are its question.")] = None,
    origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
    files: Annotated[Path | None, typer.Option("--files", metavar="FOLDER", help="Write files for neo4j-admin there in place of "
                                               "pushing, for first loads of millions of trades.")] = None,
    uri: Uri = _URI, user: User = _USER, password: Password = None, database: Name = None,
) -> None:
    """Put a network into a database; doing it again changes nothing and completes what was cut off."""
    import chiptrail as ct
    from chiptrail import show

    given = {"--concept": concept, "--product": products, "--since": since, "--until": until}
    for option in () if scores else (option for option, asked in given.items() if asked):
        raise typer.BadParameter("belongs to the question of --scores; without it a network is pushed whole", param_hint=option)
    net, name = open_network(network), default_id(network) if network_id is None else network_id
    if files is not None:
        if scores:
            raise typer.BadParameter("write them after the import, with another push", param_hint="--scores")
        _write_files(net, files, name, network)
        return
    table, prefix, by = None, "hub", "throughput_max_usd"
    if scores is Scores.hubs:
        table = ct.transit_hubs(net, origins=names(origins), destinations=names(destinations), concept=value(concept),
                                products=chosen(products), since=since, until=until)
    elif scores is Scores.centrality:
        prefix, by = "centrality", "pagerank"
        table = ct.centrality(net, concept=value(concept), products=chosen(products), since=since, until=until)
    with _opened(uri, user, password, database) as opened:
        push_shown(net, opened, name)
        if table is not None:
            n = ct.push_scores(opened, table, network_id=name, prefix=prefix, by=by)
            show.line(f"scores of {n:,} actors written as {prefix}_...; the largest by {by} are :Score1, the smallest :Score5")


def _write_files(net: "TradeNetwork", folder: Path, name: str, network: str) -> None:
    import shlex

    import chiptrail as ct
    from chiptrail import show

    with busy(f"writing {folder}"):
        arguments = ct.write_import_files(net, folder, network_id=name)
    show.line("Stop the server; this replaces all that its database holds:")
    show.line(f"neo4j-admin {shlex.join(arguments)}")
    again = f"chiptrail neo4j push {shlex.quote(network)} --id {shlex.quote(name)}"
    show.line(f"Start it again, then: {again}   (adds the constraints, counts)")


@app.command()
def pull(
    network_id: Id, out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the network.")],
    accept_changes: Annotated[bool, typer.Option("--accept-changes", help="Also take a network that was changed in the database.")] = False,
    uri: Uri = _URI, user: User = _USER, password: Password = None, database: Name = None,
) -> None:
    """Save a network of a database in a folder, equal to the one that was pushed."""
    import chiptrail as ct
    from chiptrail import show
    from chiptrail.graphmodel.storage import check_place

    check_place(out)
    with _opened(uri, user, password, database) as opened, busy(f"pulling {network_id}"):
        net = ct.pull_neo4j(opened, network_id, accept_changes=accept_changes)
        net.save(out)
    show.line(f"{net!r} in {out}")


@app.command()
def clear(
    network_id: Id, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    uri: Uri = _URI, user: User = _USER, password: Password = None, database: Name = None,
) -> None:
    """Remove one network from a database; others, and data of your own, stay."""
    import chiptrail as ct
    from chiptrail import show
    from chiptrail.loaders.neo4j import stored_networks

    with _opened(uri, user, password, database) as opened:
        stored = stored_networks(opened).set_index("network_id")
        if network_id not in stored.index:
            raise ct.UnknownNameError("network in the database", network_id, list(stored.index), _known(list(stored.index)))
        told = f"{show.plain(network_id)} ({stored['n_actors'][network_id]:,} actors, {stored['n_trades'][network_id]:,} trades)"
        if not yes:
            if not terminal():
                raise typer.BadParameter(f"removes {told} from {opened!r}; say --yes if that is meant", param_hint="--yes")
            if not typer.confirm(f"Remove {told} from {opened!r}?", default=False):
                return
        with counted(f"clearing {network_id}") as step:
            n = ct.clear_neo4j(opened, network_id, step=step)
    show.line(f"{n:,} nodes of {show.plain(network_id)} removed")


@app.command()
def queries(
    query: Annotated[str | None, typer.Argument(metavar="QUERY", help="Query to run; none: list them.")] = None,
    network_id: Annotated[str | None, typer.Option("--id", help="Network to ask; default: the only one in the database.")] = None,
    given: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE", help="Parameter of the query; may be "
                                                    "repeated.")] = None,
    page: Annotated[Path | None, typer.Option("--page", metavar="FILE", help="Write all queries as one page to copy from "
                                              "into Browser; as .zip to drop on its window.")] = None,
    style: Annotated[Path | None, typer.Option("--style", metavar="FILE.grass", help="Write the style for Neo4j Browser, to drop on its "
                                               "window.")] = None,
    top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
    uri: Uri = _URI, user: User = _USER, password: Password = None, database: Name = None,
) -> None:
    """List the ready Cypher queries, run one, or write them, and a style, for Neo4j Browser."""
    from importlib.resources import files

    import pandas as pd

    import chiptrail as ct
    from chiptrail import show
    from chiptrail.queries.ready_cypher import GRAPH, NETWORK_ID, favourites_page, favourites_zip, parameters, ready_queries, ready_query

    if page is not None:
        asking = network_id or NETWORK_ID
        page.write_bytes(favourites_zip(asking) if page.suffix.lower() == ".zip" else favourites_page(asking).encode())
        show.line(f"{page} written")
    if style is not None:
        style.write_bytes(files("chiptrail.exporters").joinpath("templates", "neo4j.grass").read_bytes())
        show.line(f"{style} written")
    if query is None:
        for ready in ready_queries() if page is None and style is None else ():
            show.line(ready.name, style="bold")
            show.line(f"   {ready.answers}")
            for name, (default, meaning) in ready.parameters.items():
                text = ",".join(default) if isinstance(default, list) else "" if default is None else default
                show.line(f"   --param {name}={text}   {meaning}", style="dim")
        return
    ready = ready_query(query)
    asked = parameters(ready, given or ())
    with _opened(uri, user, password, database) as opened:
        complete = ct.stored_networks(opened).set_index("network_id")["complete"]
        stored = list(complete.index)
        if network_id is None and len(stored) != 1:
            raise ct.InputError(f"the database holds {len(stored)} networks ({', '.join(stored)[:200]}); say which (--id)")
        if network_id is not None and network_id not in stored:
            raise ct.UnknownNameError("network in the database", network_id, stored, _known(stored))

        if not complete[network_id or stored[0]]:
            raise ct.ChiptrailError(f"a push or a clear of {network_id or stored[0]!r} was cut off; push it again before it is asked")

        def ask() -> "pd.DataFrame":
            columns, rows = opened.answer(ready.text, **asked, network_id=network_id or stored[0])
            return pd.DataFrame([[_told(cell) for cell in row] for row in rows], columns=columns).drop(columns=GRAPH, errors="ignore")

        def print_rows(table: "pd.DataFrame") -> None:
            for number, row in enumerate(table.head(top).to_dict("records"), start=1):
                (_, first), *rest = row.items()
                show.line(f"{number}. {show.plain(first)}", style="bold")
                for name, cell in rest:
                    if not pd.isna(cell) and cell != "":
                        show.line(f"   {str(name).replace('_', ' ')}: {show.plain(cell)}")
            cut = "; as many as the query's limit, there may be more: --param limit=..." if len(table) == asked.get("limit") else ""
            show.line(f"{len(table):,} rows" + (f", {top:,} shown" if len(table) > top else "") + cut)

        answer(ask, print_rows, top, json, csv, xlsx, dta)


@app.command()
def serve(
    release: Annotated[Release, typer.Option("--release", help="Release of Neo4j.")] = Release.lts,
    folder: Annotated[Path | None, typer.Option("--folder", metavar="FOLDER", help="Folder of the server's data; default: one in your "
                                                "home.")] = None,
    pushed: Annotated[list[str] | None, typer.Option("--push", metavar="NETWORK", help="Network to push once it runs; may be "
                                                     "repeated.")] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of bolt; another one if it is taken.")] = 7687,
    http_port: Annotated[int, typer.Option("--http-port", min=0, max=65535, help="Port of Browser, likewise.")] = 7474,
    password: Password = None,
) -> None:
    """Start a Neo4j Community server on this machine alone, fetched with Maven the first time; Ctrl-C stops it."""
    from chiptrail import show
    from chiptrail.graphmodel.database import Database
    from chiptrail.graphmodel.errors import ChiptrailError
    from chiptrail.neo4j_server import free_port, home, jars, prepare, serving

    nets = [(name, open_network(name)) for name in pushed or ()]
    place = folder or home(release.value)
    if password is None and pushed and (place / "data").exists():
        password = _asked()
    if not jars(release.value).is_dir():
        show.line(f"fetching Neo4j {release.value} with Maven, once: about 150 MB")
        prepare(release.value)
    with busy("starting the server"), ExitStack() as starting:
        server = starting.enter_context(
            serving(release.value, place, password=password, bolt_port=free_port(port), http_port=free_port(http_port)))
        running = starting.pop_all()
    with running, suppress(KeyboardInterrupt):
        if server.password and password is None:
            show.line(f"user {server.user}, password {server.password}   (shown this once and stored nowhere)")
        for name, net in nets:
            with Database(server.uri, user=server.user, password=server.password or "") as opened:
                push_shown(net, opened, default_id(name))
        show.line(f"Neo4j {release.value} at {server.uri}, data in {place}")
        show.line(f"Neo4j Browser: {server.browser}")
        show.line("Ctrl-C stops it.")
        if server.process is not None and server.process.wait():
            raise ChiptrailError(f"the server ended by itself; its logs are in {place / 'logs'}")


def default_id(network: str) -> str:
    """Name of a network in a database where none is given: of the folder, or of the bundled data."""
    return network.replace(":", "-") if network in BUNDLED else Path(network).resolve().name


def push_shown(net: "TradeNetwork", opened: "Database", name: str) -> None:
    """Pushes a network, with a bar, and says what stands in the database then."""
    import chiptrail as ct
    from chiptrail import show

    with counted(f"pushing {name}") as step:
        steps: list[int] = []

        def stepped(done: int, total: int) -> None:
            steps.append(done)
            step(done, total)

        counts = ct.push_neo4j(net, opened, network_id=name, step=stepped)
    found = ", ".join(f"{n:,} {what}" for what, n in zip(counts["what"], counts["n"], strict=True))
    already = "" if steps else " (stood there already, by counts; nothing was written)"
    show.line(f"{show.plain(name)} in {opened!r}{already}: {found}")


@contextmanager
def counted(what: str) -> Iterator[Callable[[int, int], None]]:
    """What to call with the number done and of all; a bar where there is a terminal."""
    from chiptrail import show

    out = show.console(stderr=True)
    if not out.is_terminal:
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    with Progress(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                  console=out, transient=True) as bar:
        task = bar.add_task(show.plain(what), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _opened(uri: str, user: str, password: str | None, database: str | None) -> "Database":
    from chiptrail.graphmodel.database import Database

    logging.getLogger("neo4j").addHandler(logging.NullHandler())  # the driver would print each attempt
    return Database(uri, user=user, password=_asked() if password is None else password, database=database)


def _known(stored: Sequence[str]) -> str:
    return f"it holds {', '.join(stored[:20])}" if len(stored) else "it holds none"


def _asked() -> str:
    """The password, asked for without showing it."""
    if not terminal():
        raise typer.BadParameter(f"set the environment variable {PASSWORD} to the password", param_hint="--password")
    return str(typer.prompt("Password of Neo4j (not shown)", hide_input=True))


def _told(cell: Any) -> Any:
    """A value of an answer for a table: lists and the parts of a map as one text."""
    if isinstance(cell, dict):
        return "; ".join(f"{name}: {_told(inner)}" for name, inner in cell.items())
    if isinstance(cell, list):
        return "; ".join("–" if inner is None else str(_told(inner)) for inner in cell)
    return cell
