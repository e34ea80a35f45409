"""One HTML page that answers the main question from data, says what the data cannot tell, and opens offline."""

import html
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from chiptrail.exporters.charts import intervals_chart, legs_chart, months_chart, parts_chart, years_chart
from chiptrail.exporters.html import graph_page, script_hashes
from chiptrail.exporters.report_evidence import evidence
from chiptrail.exporters.tables import printable
from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.countries import country_code, country_name
from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.periods import parse_period, period_text
from chiptrail.graphmodel.selection import actors_named, in_window, places
from chiptrail.queries.hubs import transit_hubs
from chiptrail.queries.routes import supply_routes
from chiptrail.queries.timeline import timeline

_TURNS_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INFLOW = {"origin": "in, by customs origin", "dispatched": "in, dispatched", "brand": "in, by brand"}
_HUBS, _ROUTES, _LINES, _WEAPONS = 22, 10, 8, 15


def write_report(
    path: str | Path, *, countries: TradeNetwork, firms: TradeNetwork, events: pd.DataFrame, figures: pd.DataFrame,
    origins: Sequence[str] = ("USA",), destinations: Sequence[str] = ("RUS",), products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, concept: str | None = None, command: str = "",
) -> Path:
    """The path of the page written: hubs, routes, cases, parts, graphs, a time line, sources and cautions on one page.

    The same input gives the same bytes; the page carries no time stamp.

    Parameters
    ----------
    path
        HTML file to write.
    countries, firms
        A network of each level. Hubs are ranked among countries; cases of firms are listed, never ranked.
    events, figures
        Policy events and published figures, as `policy_events()` and `published_figures()` give them.
    origins, destinations, products, since, until, concept
        The question, as in `transit_hubs`.
    command
        The command that makes the page again, shown at its end.
    """
    seats = {name: _seats(firms, name) for name in (*origins, *destinations)}
    ask: dict[str, Any] = {"origins": [s for name in origins for s in seats[name]],
                           "destinations": [s for name in destinations for s in seats[name]], "products": products}
    hubs = transit_hubs(countries, **ask, since=since, until=until, concept=concept)
    period = {key: hubs.attrs["question"].get(key) for key in ("since", "until")}
    dispatched = transit_hubs(countries, **ask, **period, concept="dispatched")
    routes = supply_routes(countries, **ask, **period, concept=concept, k=_ROUTES)
    cases = supply_routes(firms, origins=origins, destinations=destinations, k=10_000, max_hops=6)
    is_part = firms.links["kind"].eq("component_found")
    parts_found, other_links = firms.links[is_part], firms.links[~is_part]
    parts = _parts(firms, ask["origins"])
    told_events = _events(events, hubs)
    sure = evidence(countries, hubs, ask, period, events, hubs.attrs["question"]["concept"])
    context = {
        "period": _span(period), "before": hubs.attrs["question"].get("against", ""), "goods": _goods(hubs, products),
        "seats": {name: _named(found) for name, found in seats.items() if found != [name]},
        "inflow": _INFLOW[hubs.attrs["question"]["concept"]].removeprefix("in, "),
        "origin": _named(origins), "destination": _named(destinations),
        "hubs": hubs.head(_HUBS).to_dict("records"), "more_hubs": max(0, len(hubs) - _HUBS),
        "ranked": hubs[hubs["rank"].notna()].to_dict("records"), "grown": _grown(hubs),
        "hub_notes": hubs.attrs["notes"], "shares": _origin_shares(countries, hubs, dispatched, ask["origins"], period, products),
        "legs_svg": _legs_svg(hubs), "routes": _route_rows(routes), "route_notes": routes.attrs["notes"],
        "cases": _case_rows(cases), "parts": parts, "figures": _figure_rows(figures, countries, firms, ask["origins"]),
        "years_svg": _years_svg(countries, hubs, ask["destinations"], products), "events": told_events,
        **_months(countries, hubs, products, told_events),
        "graphs": _graphs(countries, firms, hubs, routes, period, products),
        "sources": _listed(countries, hubs, dispatched, routes) + _listed(firms, parts_found, firms.listings),
        "documents": _listed(firms, firms.trades, other_links), "command": command, "left_aside": hubs.attrs["left_aside"],
        **sure, "intervals_svg": _intervals_svg(sure["attributed"]),
        "policy_hashes": " ".join(f"'{value}'" for value in script_hashes()),
    }
    folder = resources.files("chiptrail.exporters") / "templates"
    engine = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    engine.filters |= {"money": _money, "text": _text, "ratio": _ratio, "few": _few, "headings": _headings, "sentence": _sentence,
                       "place": _place, "day": _day}
    page = engine.from_string((folder / "report.html").read_text(encoding="utf-8")).render(**context)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(page.encode("utf-8"))
    return target


def _seats(firms: TradeNetwork, name: str) -> list[str]:
    """What a name means between countries: a place itself, a firm the countries where it sits."""
    try:
        places([name])
        return [name]
    except UnknownNameError:
        ids = actors_named(firms, [name])
        found = sorted(set(firms.actors.loc[firms.actors["actor_id"].isin(ids), "country"]) - {""})
        if not found:
            raise InputError(f"no country is known for {name!r}, so it cannot be asked about between countries") from None
        return found


def _money(value: float) -> str:
    """US dollars in words short enough for a table; rounded to three digits."""
    if pd.isna(value):
        return "not known"
    for size, word in ((1e9, "\u00a0bn"), (1e6, "\u00a0m"), (1e3, "\u00a0k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{word}" if abs(value) / size < 1000 else f"{value / size:,.0f}{word}"
    return f"{value:.3g}"


def _day(date: pd.Timestamp) -> str:
    return "" if pd.isna(date) else str(date.date())


def _ratio(value: float) -> str:
    return "" if pd.isna(value) else f"×{value:.3g}" if value < 1000 else f"×{value:,.0f}"


def _text(value: object, longest: int = 400) -> str:
    shown = _TURNS_DIRECTION.sub("\ufffd", printable(str(value)))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _few(refs: str) -> str:
    """The first two records of a leg, and how many more there are."""
    first = refs.split("; ")
    return _text("; ".join(first[:2])) + (f" and {len(first) - 2} more" if len(first) > 2 else "")


def _headings(codes: str) -> str:
    return _text(" ".join(sorted({code if "+" in code else code[:4] for code in codes.split()})), 60)


def _sentence(note: str) -> str:
    is_column = "_" in note.partition(" ")[0]
    return _text((note if is_column else note[:1].upper() + note[1:]) + ".")


def _place(codes: str) -> str:
    """Names of countries in a code or codes joined by +; a code of no country stays."""
    return " + ".join(_name(code) for code in codes.split("+"))


def _name(code: str) -> str:
    try:
        return country_name(code)
    except UnknownNameError:
        return {"WLD": "World"}.get(code, code)


def _named(codes: Sequence[str]) -> str:
    names = []
    for code in codes:
        try:
            names.append(country_name(country_code(code)))
        except UnknownNameError:
            names.append(code)
    return " and ".join(f"the {n}" if n.startswith("United ") or n in ("Netherlands", "Philippines") else n for n in names)


def _span(period: dict[str, str | None]) -> str:
    since, until = period["since"], period["until"]
    return period_text(parse_period(since)[0], parse_period(until)[1]).replace("/", " to ") if since and until else ""


def _goods(hubs: pd.DataFrame, products: str | Sequence[str] | None) -> str:
    """The products asked for, else the headings of the records counted."""
    if products is not None:
        return " ".join([products] if isinstance(products, str) else products)
    headings = {code[:4] for column in ("inflow_products", "outflow_products") for text in hubs[column]
                for codes in text.split() for code in codes.split("+")}
    return "HS " + ", ".join(sorted(headings)) if headings else "all that the data hold"


def _grown(hubs: pd.DataFrame) -> list[dict]:
    """Places that sent more to the destinations than in the same months before, but whose inflow is not covered."""
    return hubs[hubs["inflow_coverage"].eq("not covered") & hubs["outflow_change"].gt(1)].to_dict("records")


def _origin_shares(
    countries: TradeNetwork, hubs: pd.DataFrame, dispatched: pd.DataFrame, origins: Sequence[str], period: dict, products: Any
) -> list[dict]:
    """For the hubs shown: imports by customs origin, of all and of the origins, and what is known of dispatches.

    The sum of all is known only where the data cover other partners than the origins too.
    """
    inside = counted_once(countries.where(since=period["since"], until=period["until"], concept="origin", products=products))
    inside = inside[inside["left_aside"].eq("")]
    told = countries.coverage
    told = told[told["partner_concept"].eq("origin") & in_window(told, period["since"], period["until"], partly=True)]
    others = told["partners"].map(lambda partners: bool(set(partners.split()) - places(origins)))
    covered = set(told.loc[others, "reporter"])
    by_hub = inside.groupby("buyer_id")["value_usd"].sum()
    from_origin = inside[inside["seller_id"].isin(places(origins))].groupby("buyer_id")["value_usd"].sum()
    sent = dispatched.set_index("hub_id")
    rows = []
    for hub in hubs.head(_HUBS).to_dict("records"):
        total = by_hub.get(hub["hub_id"], float("nan")) if hub["hub_id"] in covered else float("nan")
        part = from_origin.get(hub["hub_id"], float("nan"))
        seen = hub["hub_id"] in sent.index and sent.loc[hub["hub_id"], "inflow_coverage"] != "not covered"
        if pd.isna(part) and not seen:
            continue
        rows.append({"hub": hub["hub"], "total": total, "part": part, "share": None if pd.isna(part / total) else part / total,
                     "dispatched": _money(sent.loc[hub["hub_id"], "inflow_usd"]) if seen else "not covered"})
    return rows


def _legs_svg(hubs: pd.DataFrame) -> Markup | None:
    shown = hubs[hubs["rank"].notna()].head(_HUBS)
    rows = [
        {"hub": _text(row["hub"], 40), "leg": leg, "when": when, "usd": row[column]}
        for row in shown.to_dict("records")
        for leg, now, before in ((_INFLOW[hubs.attrs["question"]["concept"]], "inflow_usd", "inflow_before_usd"),
                                 ("out, dispatched", "outflow_usd", "outflow_before_usd"))
        for when, column in (("now", now), ("earlier period", before))
    ]
    table = pd.DataFrame(rows, columns=["hub", "leg", "when", "usd"])
    return Markup(legs_chart(table)) if table["usd"].gt(0).any() else None


def _intervals_svg(rows: list[dict]) -> Markup | None:
    shown = [{**row, "label": f"{_text(row['hub'], 40)}, {row['period']}"} for row in rows if row["usd_most"] > 0]
    return Markup(intervals_chart(pd.DataFrame(shown), title="US dollars (logarithmic)")) if shown else None


def _route_rows(routes: pd.DataFrame) -> list[dict]:
    found = []
    for _, legs in routes.groupby("route", sort=True):
        found.append({**legs.iloc[0].to_dict(), "legs": legs.to_dict("records")})
    return found


def _case_rows(cases: pd.DataFrame) -> list[dict]:
    """Documented routes by name of their path, each leg with the titles and addresses of its sources."""
    sources = {source["source_id"]: source for source in cases.attrs["sources"]}
    rows = []
    for route in sorted(_route_rows(cases), key=lambda row: (row["path"].casefold(), row["joined_by"])):
        for leg in route["legs"]:
            leg["cited"] = [_cited(sources[s]) for s in leg["sources"].split("; ") if s in sources]
        rows.append(route)
    return rows


def _cited(source: dict) -> dict[str, str]:
    url = source["url"] if source["url"].startswith(("https://", "http://")) else ""
    return {"title": source["title"], "publisher": source["publisher"], "url": url, "published": source["published"]}


def _parts(firms: TradeNetwork, origins: Sequence[str]) -> dict[str, Any]:
    """Parts found in weapons: how many, the share of makers of the origins, by weapon and by maker."""
    links = firms.links
    found = links[links["kind"].eq("component_found")]
    if found.empty:
        return {"n_parts": 0}
    actors = firms.actors.set_index("actor_id")
    found = found.assign(
        home=found["from_id"].map(actors["country"]).isin(places(origins)), maker=found["from_id"].map(actors["name"]),
        weapon=found["to_id"].map(actors["name"]), named=found["from_id"].map(actors["kind"]).ne("placeholder"))
    own, other = f"makers of {_named(origins)}", "other makers"
    by_weapon = found.groupby("weapon")["n_parts"].sum().sort_values(ascending=False, kind="stable").head(_WEAPONS)
    rows = [
        {"weapon": _text(weapon, 60), "makers": group, "n_parts": int(part["n_parts"].sum())}
        for weapon in by_weapon.index
        for group, part in ((own, found[found["weapon"].eq(weapon) & found["home"]]),
                            (other, found[found["weapon"].eq(weapon) & ~found["home"]]))
    ]
    makers = found[found["home"] & found["named"]].groupby("maker").agg(n_parts=("n_parts", "sum"), n_weapons=("to_id", "nunique"))
    makers = makers.reset_index().sort_values(["n_parts", "maker"], ascending=[False, True], kind="stable")
    total = found["n_parts"].sum()
    return {
        "n_parts": int(total), "share": found.loc[found["home"], "n_parts"].sum() / total, "svg": Markup(parts_chart(pd.DataFrame(rows))),
        "n_makers": int(found.loc[found["named"], "from_id"].nunique()), "n_weapons": int(found["to_id"].nunique()),
        "makers": makers.head(12).to_dict("records"),
    }


def _figure_rows(figures: pd.DataFrame, countries: TradeNetwork, firms: TradeNetwork, origins: Sequence[str]) -> list[dict]:
    """The founding articles' figures, each beside what the data at hand give for the same pair and year."""
    trades = counted_once(countries.where(concept="dispatched"))
    trades = trades[trades["left_aside"].eq("")]
    parts = _parts_numbers(firms, origins)
    rows = []
    told = figures[figures["note"].str.startswith("Founding article")].to_dict("records")
    for figure in told:
        unit = figure["unit"]
        shown = f"{figure['value_num']:g} %" if unit == "percent" else f"{figure['value_num']:,.0f}" if unit == "count" else (
            f"{_money(figure['value_num'])} {unit}")
        here = _at_hand(figure, trades) if unit == "USD" else parts.get((figure["product_list"][:17], unit), "")
        rows.append({**figure, "shown": shown, "onward": _onward(figure, told), "at_hand": here or "not covered"})
    return rows


def _onward(figure: dict, told: list[dict]) -> str:
    """The share that an outflow is of the inflow that another figure tells for the same goods and period."""
    same = [f for f in told if f["importer"] == figure["exporter"] and f["unit"] == figure["unit"] == "USD"
            and (f["product_list"], f["period"]) == (figure["product_list"], figure["period"])]
    return "".join(f"; {100 * figure['value_num'] / f['value_num']:.0f} % of what came from {_place(f['exporter'])}" for f in same)


def _parts_numbers(firms: TradeNetwork, origins: Sequence[str]) -> dict[tuple[str, str], str]:
    links = firms.links[firms.links["kind"].eq("component_found")]
    if links.empty:
        return {}
    home = links["from_id"].map(firms.actors.set_index("actor_id")["country"]).isin(places(origins))
    total = links["n_parts"].sum()
    return {("weapon_components", "count"): f"{total:,.0f} parts in a later database",
            ("weapon_components", "percent"): f"{100 * links.loc[home, 'n_parts'].sum() / total:.1f} % in a later database"}


def _at_hand(figure: dict, trades: pd.DataFrame) -> str:
    """What the data hold of the same exporter and importer in the same calendar year, with its codes."""
    year = str(figure["period"])[:4]
    start, end = parse_period(year)
    sellers, buyers = (set(str(figure[side]).split("+")) for side in ("exporter", "importer"))
    pair = trades[trades["seller_id"].isin(sellers) & trades["buyer_id"].isin(buyers) & trades["period_start"].ge(start)
                  & trades["period_end"].le(end)]
    if pair.empty:
        return ""
    codes = ", ".join(sorted({code[:4] for code in pair["hs_code"]}))
    return f"HS {codes}, {year}: {_money(pair['value_usd'].sum())} USD (other goods, whole year)"


def _growing(hubs: pd.DataFrame) -> list[str]:
    """Hubs worth a line in a chart: the ranked ones, and those that send more than before."""
    return hubs.loc[hubs["rank"].notna() | hubs["outflow_change"].gt(1), "hub_id"].tolist()


def _years_svg(countries: TradeNetwork, hubs: pd.DataFrame, destinations: Sequence[str], products: Any) -> Markup | None:
    """Yearly dispatches of hubs to the destinations; years covered in part are left out."""
    chosen = _growing(hubs)[:_LINES]
    told = timeline(countries, by="year", origins=chosen or None, destinations=destinations, concept="dispatched", products=products)
    told = told[told["coverage"].eq("covered") & told["seller_id"].isin(chosen)]
    sums = told.groupby(["seller_id", told["period_start"].dt.year])["value_usd"].sum(min_count=1).unstack("seller_id")
    if sums.empty:
        return None
    grid = sums.reindex(range(sums.index.min(), sums.index.max() + 1))
    rows = [{"seller": country_name(seller), "year": str(year), "usd": value if value > 0 else None}
            for seller in chosen if seller in grid for year, value in grid[seller].items()]
    return Markup(years_chart(pd.DataFrame(rows)))


def _months(countries: TradeNetwork, hubs: pd.DataFrame, products: Any, events: list[dict]) -> dict[str, Any]:
    """Chart of the monthly dispatches to the hubs, with the events of the same time, and how many places sent them.

    Months that are not covered are left out.
    """
    chosen = _growing(hubs)
    told = timeline(countries, by="month", destinations=chosen or None, concept="dispatched", products=products)
    told = told[told["coverage"].eq("covered") & told["buyer_id"].isin(chosen)]
    if told.empty:
        return {"months_svg": None}
    sums = told.groupby(["buyer_id", "period_start"])["value_usd"].sum().reset_index()
    largest = sums.groupby("buyer_id")["value_usd"].sum().sort_values(ascending=False, kind="stable").index[:_LINES]
    sums = sums[sums["buyer_id"].isin(largest)]
    table = sums.assign(buyer=sums["buyer_id"].map(country_name), month=sums["period_start"].dt.date, usd=sums["value_usd"])
    first, last = sums["period_start"].min(), sums["period_start"].max()
    shown = [event for event in events if first <= event["date_start"] <= last]
    dates = pd.DataFrame([{"number": e["number"], "date": e["date_start"].date()} for e in shown], columns=["number", "date"])
    sellers = sorted({country_name(seller) for seller in told["seller_id"]})
    return {"months_svg": Markup(months_chart(table[["buyer", "month", "usd"]], dates)), "month_sellers": sellers,
            "month_codes": sorted(set(told["product"]))}


def _events(events: pd.DataFrame, hubs: pd.DataFrame) -> list[dict]:
    """Events that concern everybody or a hub of the table, numbered by date."""
    chosen = events[events["hub"].eq("") | events["hub"].isin(set(hubs["hub_id"]))].sort_values(["date_start", "title"], kind="stable")
    return [{**row, "number": str(n)} for n, row in enumerate(chosen.to_dict("records"), start=1)]


def _graphs(
    countries: TradeNetwork, firms: TradeNetwork, hubs: pd.DataFrame, routes: pd.DataFrame, period: dict, products: Any
) -> list[dict[str, Any]]:
    """The routes between countries, and the documented cases, as pages for frames."""
    part = countries.where(since=period["since"], until=period["until"], products=products)
    trades = part.trades
    legs = {
        (leg["seller_id"], leg["buyer_id"], source, ref)
        for leg in routes.to_dict("records") for source in leg["sources"].split("; ") for ref in leg["record_refs"].split("; ")
    }
    pages = []
    on_route = [key in legs for key in trades[["seller_id", "buyer_id", "source_id", "record_ref"]].itertuples(index=False, name=None)]
    chosen = trades[pd.Series(on_route, index=trades.index, dtype=bool)]
    if len(chosen):
        named = set(chosen["seller_id"]) | set(chosen["buyer_id"])
        network = TradeNetwork(level=part.level, actors=part.actors[part.actors["actor_id"].isin(named)], trades=chosen,
                               sources=part.sources)
        pages.append(("The best routes between countries", network))
    links = firms.links
    without_parts = links[links["kind"].ne("component_found")]
    named = set(firms.trades["seller_id"]) | set(firms.trades["buyer_id"]) | set(without_parts["from_id"]) | set(without_parts["to_id"])
    actors, listings = firms.actors, firms.listings
    pages.append(("Documented cases of firms", TradeNetwork(
        level="firms", actors=actors[actors["actor_id"].isin(named)], trades=firms.trades, links=without_parts,
        listings=listings[listings["actor_id"].isin(named)], sources=firms.sources)))
    return [{"title": title, "tall": len(network.actors) > 40, "srcdoc": Markup(html.escape(graph_page(network, title=title)))}
            for title, network in pages]


def _listed(network: TradeNetwork, *tables: pd.DataFrame) -> list[dict]:
    """Sources of a network's records or of answers about it, by publisher."""
    used = {s["source_id"] for table in tables for s in table.attrs.get("sources", [])}
    used |= {s for table in tables if "source_id" in table for s in table["source_id"]}
    chosen = network.sources[network.sources["source_id"].isin(used)].sort_values(["publisher", "source_id"], kind="stable")
    return [{**source, **_cited(source)} for source in chosen.to_dict("records")]
