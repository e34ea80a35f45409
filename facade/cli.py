"""The command `chiptrail`: a thin layer over the library's public names."""

import os
import shlex
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chiptrail import evidence, fetching, neo4j_commands
from chiptrail.asking import (
    AskConcept,
    Concept,
    Country,
    Csv,
    Dta,
    From,
    Json,
    Length,
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

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Trace how controlled goods travel: transit hubs, routes and the evidence behind them.")

app.add_typer(evidence.app)
app.add_typer(fetching.app, name="fetch")
app.add_typer(neo4j_commands.app, name="neo4j")

class Format(StrEnum):
    """Formats that `load` reads."""

    comtrade = "comtrade"
    comext = "comext"
    baci = "baci"
    shipments = "shipments"
    tables = "tables"


class Level(StrEnum):
    """What plain tables are about."""

    firms = "firms"
    countries = "countries"


class Order(StrEnum):
    """Which routes are best."""

    smallest_leg = "smallest_leg"
    hops = "hops"
    arrival = "arrival"


class Statistic(StrEnum):
    """Length of the periods of a statistic."""

    month = "month"
    year = "year"


def main() -> None:
    """Runs the command; errors of chiptrail become one message and exit code 1."""
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        app()
    except Exception as error:
        from chiptrail.graphmodel.errors import ChiptrailError

        if not isinstance(error, ChiptrailError | OSError) or os.environ.get("CHIPTRAIL_TRACEBACK"):
            raise
        from chiptrail.show import printable

        sys.stderr.write(f"chiptrail: {printable(str(error))}\n")
        sys.exit(1)


@app.callback(invoke_without_command=True)
def about(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Trace how controlled goods travel: transit hubs, routes and the evidence behind them."""
    if version:
        from chiptrail import __version__

        typer.echo(f"chiptrail {__version__}")
        raise typer.Exit


@app.command()
def load(
    file_format: Annotated[Format, typer.Argument(metavar="FORMAT", help="comtrade: UN Comtrade. comext: Eurostat. baci: CEPII. shipments: "
                                                  "customs records or bills of lading. tables: plain actors.csv and trades.csv, or "
                                                  "a folder made by chiptrail.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Files, patterns such as 'data/*.csv', or folders.")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Folder for the network.")],
    products: Product = None, since: Since = None, until: Until = None, countries: Country = None,
    keep_rejects: Annotated[Path | None, typer.Option("--keep-rejects", metavar="FILE", help="Write the rejected rows as CSV, with "
                                                      "the reasons.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Save the network of the other files where one cannot be read.")] = False,
    mapping: Annotated[str | None, typer.Option("--mapping", metavar="NAME|FILE", help="Shipments: mapping of columns, ready or made "
                                                "with `chiptrail map`.")] = None,
    roles: Annotated[list[str] | None, typer.Option("--map", metavar="ROLE=COLUMN", help="Shipments: column of a role; may be "
                                                    "repeated.")] = None,
    hs_version: Annotated[str | None, typer.Option("--hs-version", help="BACI: version of the codes, such as HS1992, where the file's "
                                                   "name does not say it.")] = None,
    level: Annotated[Level | None, typer.Option("--level", help="Tables: whether sellers and buyers are firms or countries. "
                                                "Default: countries if every name is one.")] = None,
) -> None:
    """Read files into a network and say for each how many rows were read, kept, and rejected for which reason."""
    from chiptrail import loading, show
    from chiptrail.graphmodel.storage import check_place

    own = {"--mapping": (mapping, Format.shipments), "--map": (roles, Format.shipments), "--hs-version": (hs_version, Format.baci),
           "--level": (level, Format.tables)}
    for option, (given, of) in own.items():
        if given and file_format is not of:
            raise typer.BadParameter(f"only for {of.value}; leave it out", param_hint=option)
    columns = dict(_role(text) for text in roles or ())
    asked: dict[str, Any] = {"products": chosen(products), "since": since, "until": until,
                             "countries": names(countries) if countries else None}
    check_place(out)
    loading.check_question(**asked, mapping=mapping)
    units, notes = loading.files_meant(files, tables=file_format is Format.tables)
    more: dict[Format, dict[str, Any]] = {
        Format.shipments: {"mapping": mapping, "columns": columns or None}, Format.baci: {"hs_version": hs_version},
        Format.tables: {"level": value(level)},
    }
    with loading.rejects_file(keep_rejects) as rejects:
        read = loading.reader(file_format.value, **asked, **more.get(file_format, {}), keep_rejects=rejects)
        with loading.progress(units) as step:
            results = loading.read_each(units, read, step)
        loading.show_summary(results, notes)
        loading.check(results, skip_bad=skip_bad)
        with busy("joining and saving"):
            network = loading.joined(results)
            network.save(out)
    show.line(f"{network!r} in {out}")


@app.command()
def info(network: Network = "bundled:countries") -> None:
    """Say what a network holds and covers, and where it comes from."""
    from chiptrail import show
    from chiptrail.graphmodel.coverage import CoverageIndex
    from chiptrail.graphmodel.periods import period_text

    net = open_network(network)
    trades = net.trades
    show.line(f"{net!r}")
    periods = period_text(trades["period_start"].min(), trades["period_end"].max()) if len(trades) else "none, no trades"
    show.line(f"periods: {periods}; {CoverageIndex(net).described()}")
    show.rejected(net.sources.assign(note=net.sources["title"]))


@app.command()
def hubs(
    network: Network = "bundled:countries", origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
    against: Annotated[str | None, typer.Option("--against", help="Earlier period with the same months, such as 2021.")] = None,
    top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Rank the hubs that goods can pass through from the origins to the destinations."""
    import chiptrail as ct
    from chiptrail import show

    def print_hubs(table: "pd.DataFrame") -> None:
        own = sorted(set(table["inflow_currency"]) - {"", "USD"})
        columns = {"rank": "rank", "hub": "hub", "inflow_usd": "in, USD", "inflow_before_usd": "in before"}
        if own:
            columns |= {"inflow_original": f"in, {'/'.join(own)}", "inflow_original_before": "before"}
        columns |= {"outflow_usd": "out, USD", "outflow_before_usd": "out before", "throughput_max_usd": "at most through",
                    "share_of_routes": "routes", "betweenness": "between", "inflow_coverage": "coverage in",
                    "outflow_coverage": "coverage out"}
        show.table(table, columns, top=top)

    answer(lambda: ct.transit_hubs(
        open_network(network), origins=names(origins), destinations=names(destinations), concept=value(concept),
        products=chosen(products), since=since, until=until, against=against), print_hubs, top, json, csv, xlsx, dta)


@app.command()
def routes(
    network: Network = "bundled:countries", origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
    by: Annotated[Order, typer.Option("--by", help="Which routes are best.")] = Order.smallest_leg,
    hops: Annotated[int, typer.Option("--hops", min=1, max=10, help="Largest number of legs.")] = 4,
    wait: Annotated[int | None, typer.Option("--wait", min=0, help="Longest wait between legs, in days.")] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Number of routes.")] = 30,
    json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """List the chains by which goods can get from the origins to the destinations, with the records of every leg."""
    import chiptrail as ct
    from chiptrail import show

    def ask() -> "pd.DataFrame":
        return ct.supply_routes(
            open_network(network), origins=names(origins), destinations=names(destinations), concept=value(concept),
            products=chosen(products), since=since, until=until, k=top, max_hops=hops, by=by.value, max_wait_days=wait)

    def print_legs(table: "pd.DataFrame") -> None:
        for _, legs in table.groupby("route", sort=True):
            first = legs.iloc[0]
            worth = "value unknown" if first["smallest_leg_usd"] != first["smallest_leg_usd"] else (
                f"smallest leg {show.plain(first['smallest_leg_usd'])} USD")
            coarse = ", coarse" if first["coarse"] else ""
            show.line(f"\n{first['route']}. {show.plain(first['path'])}", style="bold")
            show.line(f"   {worth}; {first['time']}; {first['concept']}; joined by {show.plain(first['joined_by'])}{coarse}; "
                      f"weakest basis {first['route_basis']}")
            for leg in legs.to_dict("records"):
                usd = "" if leg["kind"] != "trade" else ", value unknown" if leg["leg_usd"] != leg["leg_usd"] else (
                    f", {show.plain(leg['leg_usd'])} USD")
                when = " to ".join(show.plain(leg[d]) for d in ("first_date", "last_date"))
                show.line(f"   {show.plain(leg['seller'])} → {show.plain(leg['buyer'])}: {leg['kind'].replace('_', ' ')}{usd}; "
                          f"{leg['basis']}; {when}; {show.plain(leg['record_refs'])}", style="dim")

    answer(ask, print_legs, top, json, csv, xlsx, dta)


@app.command()
def centrality(
    network: Network = "bundled:countries", concept: AskConcept = None, products: Product = None, since: Since = None,
    until: Until = None, top: Top = 15, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Degree, strength, PageRank, betweenness and closeness of every actor."""
    import chiptrail as ct

    answer(lambda: ct.centrality(open_network(network), concept=value(concept), products=chosen(products), since=since,
                                 until=until), None, top, json, csv, xlsx, dta)


@app.command()
def timeline(
    network: Network = "bundled:countries",
    origins: Annotated[list[str] | None, typer.Option("--from", help="Sellers; default all.")] = None,
    destinations: To = ["RUS"],  # noqa: B006
    by: Annotated[Length, typer.Option("--by", help="Length of the periods.")] = Length.year, concept: AskConcept = None,
    products: Product = None, since: Since = None, until: Until = None, top: Top = 60, json: Json = None, csv: Csv = None,
    xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Value by period, product and corridor."""
    import chiptrail as ct

    wanted = concept or Concept.dispatched
    answer(lambda: ct.timeline(open_network(network), by=by.value, origins=names(origins) if origins else None,
                               destinations=names(destinations), concept=value(wanted), products=chosen(products),
                               since=since, until=until), None, top, json, csv, xlsx, dta)


@app.command()
def tabulate(
    network: Network = "bundled:countries",
    origins: Annotated[list[str] | None, typer.Option("--from", help="Sellers; default all.")] = None,
    destinations: To = ["RUS"],  # noqa: B006
    by: Annotated[Length, typer.Option("--by", help="Length of the periods.")] = Length.year,
    tier: Annotated[bool, typer.Option("--tier", help="Rows by tier of the high-priority list instead of HS heading.")] = False,
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None, top: Top = 40,
    json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Hubs and products (or tiers) in rows, periods in columns; empty where not covered."""
    import chiptrail as ct

    wanted = concept or Concept.dispatched
    answer(lambda: ct.tabulate(open_network(network), origins=names(origins) if origins else None,
                               destinations=names(destinations), by=by.value,
                               goods="tier" if tier else "heading", concept=value(wanted), products=chosen(products),
                               since=since, until=until), None, top, json, csv, xlsx, dta)


@app.command()
def reconcile(
    firms: Annotated[str, typer.Argument(metavar="FIRMS", help="Network of firms: records.")],
    countries: Annotated[str, typer.Argument(metavar="COUNTRIES", help="Network of countries: statistics.")],
    origins: Annotated[list[str] | None, typer.Option("--from", help="Countries of the sellers; default all.")] = None,
    destinations: Annotated[list[str] | None, typer.Option("--to", help="Countries of the buyers; default all.")] = None,
    by: Annotated[Statistic, typer.Option("--by", help="Length of the periods; years stay where the statistic has no months.")] = (
        Statistic.month),
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None, top: Top = 40,
    json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Compare records of firms with national statistics: what share do they cover, where do they hold more?"""
    import chiptrail as ct

    columns = {"seller": "seller", "buyer": "buyer", "product": "HS", "period": "period", "status": "status", "share_covered": "share",
               "exceeds_usd": "beyond, USD", "firms_usd": "records, USD", "statistic_usd": "statistic, USD",
               "share_covered_kg": "share, kg", "firms_kg": "records, kg", "statistic_kg": "statistic, kg", "n_records": "records",
               "coverage": "coverage"}
    answer(lambda: ct.reconcile(
        open_network(firms), open_network(countries), by=by.value, origins=names(origins) if origins else None,
        destinations=names(destinations) if destinations else None, concept=value(concept), products=chosen(products),
        since=since, until=until), columns, top, json, csv, xlsx, dta)


@app.command(name="map")
def propose_mapping(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File of shipments with any columns.")],
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.toml", help="Where to write the mapping.")] = None,
) -> None:
    """Propose what the columns of a file of shipments say, as a mapping for `chiptrail load shipments --mapping`."""
    import chiptrail as ct
    from chiptrail import show
    from chiptrail.loaders.mapping import mapping_text, propose

    with busy(f"reading {file.name}"):
        text = mapping_text(propose(file))
    typer.echo(show.printable(text))
    target = out or Path(f"{file.name.split('.')[0]}.toml")
    if terminal():
        replaces = " and replace what is there" if target.exists() else ""
        if not typer.confirm(f"Is this right? Write it to {show.plain(str(target))}{replaces}?", default=False):
            return
    elif out is None:
        return
    elif target.exists():
        raise ct.InputError(f"{target} exists; choose another name, or remove it")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    show.line(show.plain(f"{target} written; load with it: chiptrail load shipments {shlex.quote(str(file))} "
                         f"--mapping {shlex.quote(str(target))} --out NETWORK"))


@app.command()
def mentions(
    network: Network,
    parts: Annotated[Path, typer.Argument(metavar="PARTS", help="CSV with the columns maker, part and, if wanted, alias.")],
    labelled: Annotated[Path | None, typer.Option("--labelled", metavar="FILE", help="CSV with text, maker and part: texts whose "
                                                  "mentions are known, to measure the errors.")] = None,
    top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Find makers' names and part numbers in the descriptions of goods, and how often that errs."""
    from chiptrail import show
    from chiptrail.loaders.mentions import mention_errors, mentions_in, read_labelled, read_parts

    def ask() -> "pd.DataFrame":
        listed = read_parts(parts)
        table = mentions_in(open_network(network), listed)
        table.attrs["question"] = {"parts": parts.name}
        table.attrs["notes"] = ["a mention is read out of a description and is a lead to the record; the record does not state it"]
        if labelled:
            errors.append(mention_errors(read_labelled(labelled), listed))
            table.attrs["errors"] = errors[0].to_dict("records")
        return table

    def print_mentions(table: "pd.DataFrame") -> None:
        shown = ("maker", "part", "matched", "rule", "seller", "buyer", "goods", "record_ref")
        show.table(table, {name: name.replace("_", " ") for name in shown}, top=top)
        for found in errors:
            show.line(f"\nErrors on {labelled.name if labelled else ''}, with 95 % intervals:")
            show.table(found, {str(name): str(name).replace("_", " ") for name in found})

    errors: list[pd.DataFrame] = []
    answer(ask, print_mentions, top, json, csv, xlsx, dta)


@app.command()
def export(
    network: Annotated[str, typer.Argument(help="Folder made by `chiptrail load`, or bundled:countries, or bundled:firms.")],
    out: Annotated[Path, typer.Argument(help="File.html (interactive graph), .graphml, .gexf, or a folder for CSV tables.")],
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
    countries: Country = None,
    actors: Annotated[list[str] | None, typer.Option("--actor", help="Only trades of these actors.")] = None,
    title: Annotated[str, typer.Option("--title", help="Title of the graph.")] = "",
) -> None:
    """Write a network as an interactive graph, for Gephi and other tools, or as CSV."""
    import chiptrail as ct

    net = open_network(network)
    with busy(f"writing {out.name}"):
        if any(x is not None for x in (concept, products, since, until, countries, actors)):
            net = net.where(products=chosen(products), since=since, until=until, partly=net.level == "firms",
                            countries=names(countries) if countries else None, actors=actors, concept=value(concept))
        writers: dict[str, Callable[..., Path]] = {".graphml": ct.export_graphml, ".gexf": ct.export_gexf, "": ct.export_csv}
        if out.suffix.lower() == ".html":
            ct.export_html(net, out, title=title)
        elif out.suffix.lower() in writers:
            writers[out.suffix.lower()](net, out)
        else:
            raise ct.InputError(f"{out.name}: write .html, .graphml, .gexf, or a folder without an ending")
    typer.echo(f"{out} written: {net!r}")


@app.command()
def report(
    network: Annotated[str | None, typer.Argument(help="Your network; default: the bundled data.")] = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Page to write.")] = Path("report.html"),
    origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
) -> None:
    """Write one HTML page with hubs, routes, documented cases, the graph, sources and cautions; it opens offline."""
    import chiptrail as ct

    net = open_network(network) if network else None
    with busy(f"writing {out.name}"):
        ct.write_report(out, network=net, origins=names(origins), destinations=names(destinations),
                        products=chosen(products), since=since, until=until, concept=value(concept), network_name=network or "")
    typer.echo(f"{out} written; open it in a browser")


def _role(text: str) -> tuple[str, str]:
    role, sign, column = text.partition("=")
    if not sign or not role.strip():
        raise typer.BadParameter(f"{text!r}: write role=column, such as exporter=Shipper", param_hint="--map")
    return role.strip(), column.strip()
