"""What every answer carries beside its rows: the question, its concept, the caution, and where the numbers come from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.products import match, product_codes
from chiptrail.graphmodel.schema import CONCEPTS
from chiptrail.graphmodel.selection import goods_code

MEANING = {
    "dispatched": "dispatched: the first leg is what was sent from the origin, as traders or exporters declared it",
    "origin": "origin: the first leg is what customs of the receiving country recorded as made in the origin, wherever it was "
              "sent from",
    "brand": "brand: the first leg says that goods of a maker's brand reached an actor; nobody says who sold them",
}


def concept_or_default(network: TradeNetwork, concept: str | None) -> str:
    """The concept asked for; if none was, `origin` for countries and `dispatched` for firms."""
    if concept is None:
        return "origin" if network.level == "countries" else "dispatched"
    if concept not in CONCEPTS:
        raise UnknownNameError("concept", concept, CONCEPTS, f"choose one of {', '.join(CONCEPTS)}")
    return concept


def answer(
    table: pd.DataFrame, network: TradeNetwork, *, question: Mapping[str, Any], notes: Iterable[str],
    source_ids: Iterable[str] = (), left_aside: pd.Series | None = None,
) -> pd.DataFrame:
    """The table with `attrs`: `question`, `notes` (sentences), `left_aside` (rows by reason) and `sources` (list of dicts)."""
    sources = network.sources
    chosen = sources[sources["source_id"].isin(set(source_ids))]
    columns = ["source_id", "title", "publisher", "url", "published", "licence", "retrieved", "file", "sha256", "note"]
    counts: dict[str, int] = {}
    if left_aside is not None:
        found = left_aside[left_aside.ne("")].astype("str").value_counts()
        counts = {str(reason): int(found[reason]) for reason in sorted(found.index)}
    table.attrs = {
        "question": {key: value for key, value in question.items() if value is not None},
        "notes": [note for note in notes if note],
        "left_aside": counts,
        "sources": chosen[columns].to_dict("records"),
    }
    return table


def coarse_note(trades: pd.DataFrame, products: str | Sequence[str] | None, which: str = "") -> str:
    """A sentence if some of the trades are told in a code wider than the products asked for; else empty."""
    if products is None or trades.empty:
        return ""
    goods = match(product_codes(products), trades["hs_code"], trades["product_set"], trades["hs_version"])
    wide = trades[goods["coarse"]]
    codes = sorted(set(goods_code(wide)))
    return f"{len(wide):,} records {which}are told in codes wider than the question ({', '.join(codes[:5])})" if codes else ""


def names_of(network: TradeNetwork) -> dict[str, str]:
    """Names by actor id."""
    actors = network.actors
    return dict(zip(actors["actor_id"], actors["name"], strict=True))
