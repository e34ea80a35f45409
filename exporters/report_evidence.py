"""The report's section on how much, how sure, and what if a route closes: estimates with their intervals."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries.attribution import attribution
from chiptrail.queries.chokepoints import chokepoints
from chiptrail.queries.displacement import displacement
from chiptrail.queries.mirror import mirror_gaps
from chiptrail.queries.surge import surge
from chiptrail.queries.what_if import what_if

_HUBS, _CLOSURES, _GROWN, _GAPS, _BLOC = 10, 4, 8, 8, "EU27"
_CLOSING = ("export_ban", "transit_block")


def evidence(
    countries: TradeNetwork, hubs: pd.DataFrame, ask: Mapping[str, Any], period: Mapping[str, Any], events: pd.DataFrame, concept: str,
) -> dict[str, Any]:
    """What the template shows of it.

    Parameters
    ----------
    countries
        A network of countries.
    hubs
        The answer of `transit_hubs` that the report shows: its ranked hubs are asked about, and its earlier period.
    ask
        Origins, destinations and products of the question.
    period
        `since` and `until` of the question.
    events
        Policy events, of which those that closed a route through a ranked hub are asked about.
    concept
        Meaning of the origins; estimates need values, so links of brands have none.
    """
    ranked = hubs.loc[hubs["rank"].notna(), "hub_id"].head(_HUBS).tolist()
    found: dict[str, Any] = {name: [] for name in ("attributed", "added", "attribution_notes", "closed", "bloc", "closures", "grown_hubs")}
    if concept != "brand" and ranked:
        now, *earlier = _spans(hubs, period)
        tables = [attribution(countries, **ask, **now, concept=concept, hubs=ranked, against=_against(hubs)),
                  *(attribution(countries, **ask, **span, concept=concept, hubs=ranked) for span in earlier)]
        changed = tables[0][tables[0]["change_usd"].notna()]
        found["added"], found["added_since"] = changed.to_dict("records"), ", ".join(_text(table) for table in tables[1:])
        told = pd.concat([table.assign(period=_text(table)) for table in tables])
        told["place"] = told["hub_id"].map({hub: i for i, hub in enumerate(ranked)})
        told = told.sort_values(["place", "period"], kind="stable")
        came = told["inflow_origin_usd"] / told["inflow_usd"].where(told["inflow_usd"].gt(0))
        found["attributed"] = told.assign(came=came).to_dict("records")
        found["attribution_notes"] = tables[0].attrs["notes"]
    if _BLOC not in ask["origins"]:
        own = {**ask, "origins": [_BLOC]}
        sent = attribution(countries, **own, **period, concept="dispatched")
        found["bloc"] = sent[sent["inflow_origin_usd"].gt(0) & sent["outflow_usd"].gt(0)].head(_HUBS).to_dict("records")
    for origins, meaning in ((ask["origins"], concept), ([_BLOC], "dispatched")):
        if meaning != "brand" and not (origins == [_BLOC] and not found["bloc"]):
            table = chokepoints(countries, **{**ask, "origins": origins}, **period, concept=meaning, k=_CLOSURES)
            found["closures"] += table.assign(origins=", ".join(origins)).to_dict("records")
    found["grown_hubs"] = _grown(countries, ask, period)
    found |= _gaps(countries, ask, period)
    found["moved"] = [row for hub in ranked for row in _moved(countries, hub, ask, events)]
    if concept != "brand" and ranked:
        found["closed"] = what_if(countries, close=ranked[:1], **ask, **period, concept=concept).to_dict("records")
    return found


def _spans(hubs: pd.DataFrame, period: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The period of the question, and the earlier one that the report compares it with."""
    before = _against(hubs)
    spans = [dict(period)]
    if before:
        first, _, last = before.partition("/")
        spans.append({"since": first, "until": last or first})
    return spans


def _against(hubs: pd.DataFrame) -> str | None:
    against: str | None = hubs.attrs["question"].get("against")
    return against


def _text(table: pd.DataFrame) -> str:
    asked = table.attrs["question"]
    first, last = asked.get("since", ""), asked.get("until", "")
    return first if first == last else f"{first} to {last}"


def _gaps(countries: TradeNetwork, ask: Mapping[str, Any], period: Mapping[str, Any]) -> dict[str, Any]:
    """The largest gaps between what exporters declared and importers recorded, and how many cells have none, by reason."""
    table = mirror_gaps(countries, products=ask["products"], **period)
    table = table[table["n_exporter"].gt(0)]
    gaps = table[table["status"].eq("gap")].sort_values("gap_usd", ascending=False, kind="stable")
    return {"gaps": gaps.head(_GAPS).to_dict("records"), "n_gaps": len(gaps),
            "no_gaps": table.loc[table["status"].ne("gap"), "status"].value_counts().to_dict()}


def _moved(countries: TradeNetwork, hub: str, ask: Mapping[str, Any], events: pd.DataFrame) -> list[dict[Any, Any]]:
    """The events that closed a route through the hub: whether the trade moved elsewhere, or why that is not known."""
    rows: list[dict[Any, Any]] = []
    for _, event in events[events["hub"].eq(hub) & events["kind"].isin(_CLOSING)].iterrows():
        row: dict[Any, Any] = {"title": event["title"], "date": event["date"], "ratio": math.nan}
        try:
            table = displacement(countries, destinations=ask["destinations"], event=event, products=ask["products"])
            total = table[table["role"].eq("total") & table["ratio"].notna()]
            rows.append(row | (total if len(total) else table[["status"]]).iloc[0].to_dict())
        except NotComparableError as error:
            rows.append(row | {"status": str(error)})
    return rows


def _grown(countries: TradeNetwork, ask: Mapping[str, Any], period: Mapping[str, Any]) -> list[dict[Any, Any]]:
    """The hubs whose exports to the destinations grew most, in USD."""
    destinations: Sequence[str] = ask["destinations"]
    try:
        table = surge(countries, destinations=destinations, products=ask["products"], **period, concept="dispatched")
    except NotComparableError:
        return []
    table = table[table["exports_change_usd"].gt(0)]
    return table.sort_values("exports_change_usd", ascending=False, kind="stable").head(_GROWN).to_dict("records")
