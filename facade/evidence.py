"""The commands that estimate: each number with its interval, and a sentence on what it does not show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiptrail.asking import (
    AskConcept,
    Concept,
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
    chosen,
    names,
    open_network,
    value,
)

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer()

Against = Annotated[str | None, typer.Option("--against", help="Earlier period with the same months, such as 2021.")]
Hubs = Annotated[list[str] | None, typer.Option("--hub", help="Only these hubs; may be repeated.")]
Sellers = Annotated[list[str] | None, typer.Option("--from", help="Sellers: countries (USA), groups (EU27) or firms; default all.")]
Buyers = Annotated[list[str] | None, typer.Option("--to", help="Buyers, likewise.")]


@app.command()
def attribution(
    network: Network = "bundled:countries", origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None, against: Against = None,
    hubs: Hubs = None, top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """How much of the origins' goods went through each hub: an estimate, its interval, and what the balances allow."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"hub": "hub", "inflow_usd": "in, USD", "share_of_origin": "the origins' part of all it holds", "outflow_usd": "out, USD",
               "onward_usd": "by way of others", "usd_attributed": "attributed", "usd_low": "low", "usd_high": "high",
               "usd_least": "at least", "usd_most": "at most", "status": "status"}
    if against:
        columns = {"hub": "hub", "share_of_origin": "the origins' part of all it holds", "outflow_usd": "out, USD",
                   "usd_direct": "of it the origins'", "usd_direct_before": "before", "change_usd": "added",
                   "change_low_usd": "low", "change_high_usd": "high", "status": "status"}
    answer(lambda: ct.attribution(
        open_network(network), origins=names(origins), destinations=names(destinations), concept=value(concept),
        products=chosen(products), since=since, until=until, against=against, hubs=names(hubs) if hubs else None),
        lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command()
def gaps(
    network: Network = "bundled:countries", exporters: Sellers = None, importers: Buyers = None, products: Product = None,
    since: Since = None, until: Until = None, by: Annotated[Length, typer.Option("--by", help="Length of the periods.")] = Length.year,
    margin: Annotated[float | None, typer.Option(
        "--cif-margin", min=0, max=1, help="Freight and insurance in the importers' values, such as 0.06; default: estimated.")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="FOLDER", help="Save the network with the gaps as flows of their own (basis inferred).")] = None,
    top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """What exporters declared and importers did not record, by pair, product and period."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"exporter": "exporter", "importer": "importer", "product": "product", "period": "period", "exporter_usd": "declared",
               "importer_fob_usd": "recorded, FOB", "gap_usd": "gap", "gap_low_usd": "low", "gap_high_usd": "high",
               "share_missing": "share", "status": "status"}
    net = open_network(network)

    def ask() -> "pd.DataFrame":
        found = ct.mirror_gaps(net, exporters=names(exporters) if exporters else None, importers=names(importers) if importers else None,
                               products=chosen(products), since=since, until=until, by=by.value, cif_margin=margin)
        if out:
            ct.with_ghost_trade(net, found).save(out)
        return found

    answer(ask, lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command()
def surge(
    network: Network = "bundled:countries", destinations: To = ["RUS"], origins: Sellers = None,  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None, against: Against = None,
    hubs: Hubs = None, top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Which hubs' exports to the destinations grew out of proportion, and how much of what came in was passed on."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"hub": "hub", "exports_usd": "out, USD", "exports_before_usd": "before", "exports_growth": "growth",
               "surge_ratio": "against all exports before", "inflow_usd": "in, USD", "inflow_before_usd": "before",
               "pass_through": "passed on", "pass_through_low": "low", "pass_through_high": "high", "lag_months": "lag, months",
               "status": "status"}
    answer(lambda: ct.surge(
        open_network(network), destinations=names(destinations), origins=names(origins) if origins else None, concept=value(concept),
        products=chosen(products), since=since, until=until, against=against, hubs=names(hubs) if hubs else None),
        lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command(name="newcomers")
def first_seen(
    network: Network = "bundled:countries", origins: Sellers = None, destinations: Buyers = None, concept: AskConcept = None,
    products: Product = None, since: Since = "2022-03", until: Until = None, top: Top = 25, json: Json = None, csv: Csv = None,
    xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Who trades for the first time, where the time before is covered."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"seller": "seller", "buyer": "buyer", "first_date": "first record", "known_usd": "USD", "n_records": "records",
               "products": "products", "coverage_before": "coverage of the year before", "status": "status"}
    answer(lambda: ct.newcomers(
        open_network(network), origins=names(origins) if origins else None, destinations=names(destinations) if destinations else None,
        concept=value(concept or Concept.dispatched), products=chosen(products), since=since, until=until),
        lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command(name="unit-values")
def prices(
    network: Network = "bundled:countries", origins: Sellers = None, destinations: Buyers = None, concept: AskConcept = None,
    products: Product = None, since: Since = None, until: Until = None,
    by: Annotated[Length, typer.Option("--by", help="Length of the periods.")] = Length.year, top: Top = 25, json: Json = None,
    csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """USD per kg and per piece, and the premium over the same seller's other buyers."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"period": "period", "seller": "seller", "buyer": "buyer", "product": "product", "value_usd": "USD", "usd_per_kg": "USD a kg",
               "usd_per_piece": "a piece", "others_usd_per_kg": "others, a kg", "premium": "premium", "premium_low": "low",
               "premium_high": "high", "n_outliers": "outliers", "status": "status"}
    answer(lambda: ct.unit_values(
        open_network(network), by=by.value, origins=names(origins) if origins else None,
        destinations=names(destinations) if destinations else None, concept=value(concept or Concept.dispatched),
        products=chosen(products), since=since, until=until), lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command(name="code-shift")
def shifted_codes(
    network: Network = "bundled:countries", origins: Sellers = None, destinations: Buyers = None,
    listed: Annotated[list[str] | None, typer.Option("--listed", help="Product list or codes that are listed; default chpl.")] = None,
    neighbours: Annotated[list[str] | None, typer.Option(
        "--neighbour", help="Codes to which trade may have shifted; default: other codes of the same headings.")] = None,
    concept: AskConcept = None, since: Since = None, until: Until = None, against: Against = None, top: Top = 25, json: Json = None,
    csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Did listed codes fall on a corridor while neighbouring codes rose?"""
    import chiptrail as ct
    from chiptrail import show

    columns = {"seller": "seller", "buyer": "buyer", "listed_before_usd": "listed before", "listed_usd": "listed",
               "neighbours_before_usd": "neighbours before", "neighbours_usd": "neighbours",
               "shift_max_usd": "at most shifted, if demand did not grow",
               "share_change": "share of neighbours, change", "excess": "beyond others", "excess_low": "low", "excess_high": "high",
               "status": "status"}
    answer(lambda: ct.code_shift(
        open_network(network), origins=names(origins) if origins else None, destinations=names(destinations) if destinations else None,
        listed=chosen(listed) or "chpl", neighbours=chosen(neighbours), concept=value(concept or Concept.dispatched), since=since,
        until=until, against=against), lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command()
def displacement(
    network: Network = "bundled:countries", destinations: To = ["RUS"],  # noqa: B006
    hub: Annotated[str | None, typer.Option("--hub", help="Hub that was closed.")] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="MONTH", help="First month of the closure, such as 2023-03.")] = None,
    event: Annotated[str | None, typer.Option("--event", help="Instead: a part of the title of a policy event.")] = None,
    products: Product = None, until: Until = None,
    suspects: Annotated[list[str] | None, typer.Option(
        "--suspect", help="Hubs that may have taken it over; default: those that grew.")] = None,
    top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Did closing a hub stop the trade or move it elsewhere?"""
    import chiptrail as ct
    from chiptrail import show

    chosen_event = None
    if event:
        events = ct.policy_events()
        match = events[events["title"].str.contains(event, case=False, regex=False)]
        if len(match) != 1:
            raise ct.InputError(f"{len(match)} policy events have {event!r} in their title; name one of: "
                                + "; ".join((match if len(match) else events)["title"].head(20)))
        chosen_event = match.iloc[0]
    columns = {"role": "role", "hub": "hub", "before_usd": "before, a month", "after_usd": "after", "counterfactual_usd": "without it",
               "effect_usd": "effect", "effect_low_usd": "low", "effect_high_usd": "high", "ratio": "ratio", "ratio_low": "low",
               "ratio_high": "high", "prefit": "misfit before", "status": "status"}
    answer(lambda: ct.displacement(
        open_network(network), destinations=names(destinations), hub=hub, since=on, event=chosen_event, products=chosen(products),
        until=until, suspects=names(suspects) if suspects else None),
        lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command()
def chokepoints(
    network: Network = "bundled:countries", origins: From = ["USA"], destinations: To = ["RUS"],  # noqa: B006
    concept: AskConcept = None, products: Product = None, since: Since = None, until: Until = None,
    closures: Annotated[int, typer.Option("--closures", min=1, max=50, help="Most closures.")] = 10,
    json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Which few closures would cut most, from no rerouting to full rerouting."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"n_closed": "closed", "hub": "hub", "cut_full_rerouting_usd": "cut if all reroutes", "cut_no_rerouting_usd": "if none does",
               "cut_bound_usd": "most any so many could cut", "residual_usd": "largest flow left", "residual_low_usd": "low",
               "residual_high_usd": "high", "share_of_draws": "in best set", "status": "status"}
    answer(lambda: ct.chokepoints(
        open_network(network), origins=names(origins), destinations=names(destinations), k=closures, concept=value(concept),
        products=chosen(products), since=since, until=until), lambda table: show.table(table, columns), closures, json, csv, xlsx, dta)


@app.command()
def whatif(
    network: Network = "bundled:countries",
    close: Annotated[list[str], typer.Option("--close", help="Hub to close: country or firm; may be repeated.")] = ["TUR"],  # noqa: B006
    origins: From = ["USA"], destinations: To = ["RUS"], concept: AskConcept = None, products: Product = None,  # noqa: B006
    since: Since = None, until: Until = None, top: Top = 25, json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """What closing hubs would cut, and which others could take it over."""
    import chiptrail as ct
    from chiptrail import show

    columns = {"role": "", "hub": "hub", "cut_full_rerouting_usd": "cut if all reroutes", "cut_no_rerouting_usd": "cut if none does",
               "inflow_usd": "in, USD", "outflow_usd": "out, USD", "throughput_max_usd": "at most through",
               "spare_inflow_usd": "in and not sent on", "status": "status"}
    answer(lambda: ct.what_if(
        open_network(network), close=names(close), origins=names(origins), destinations=names(destinations), concept=value(concept),
        products=chosen(products), since=since, until=until), lambda table: show.table(table, columns, top=top), top, json, csv, xlsx, dta)


@app.command()
def scorecard(
    data: Annotated[Path | None, typer.Option(
        "--data", metavar="FOLDER", help="Folder with further public data, such as mirror_totals/.")] = None,
    json: Json = None, csv: Csv = None, xlsx: Xlsx = None, dta: Dta = None,
) -> None:
    """Recompute published results: published value, ours, the difference and its reason."""
    import chiptrail as ct
    from chiptrail import show

    def print_results(table: "pd.DataFrame") -> None:
        for row in table.to_dict("records"):
            told = {name: show.plain(row[name]) for name in table}
            interval = f" ({told['ours_low']} to {told['ours_high']})" if row["ours_low"] == row["ours_low"] else ""
            show.line(f"{told['figure']}  [{told['publication']}]", style="bold")
            show.line(f"   published {told['published']}, ours {told['ours']}{interval} {told['unit']}; difference {told['difference']}; "
                      f"{told['kind']}" + (f": {told['reason']}" if row["reason"] else ""))

    answer(lambda: ct.scorecard(data), print_results, 200, json, csv, xlsx, dta)
