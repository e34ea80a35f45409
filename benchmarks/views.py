"""Entries for the graph itself: the compiled view and the edge list of networkx, from the same trades."""

from collections.abc import Iterator

import networkx as nx
import numpy as np
import pandas as pd
from entry import Entry

import chiptrail as ct
from chiptrail.graphmodel.compiled import Compiled, compile_trades


def entries(actors: int, flows: int, seed: int) -> Iterator[Entry]:
    """The view of a network of this size, one edge a trade; both sides begin with its table in memory."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"company:KAZ:example-trading-{i}-{i * 2654435761 % 2**32:08x}" for i in range(actors)])
    weight = 1 / np.arange(1, actors + 1) ** 0.8
    seller, buyer = (ids[rng.permutation(actors)[rng.choice(actors, flows, p=weight / weight.sum())]] for _ in range(2))
    days = pd.Series(pd.to_datetime("2021-01-01") + pd.to_timedelta(rng.integers(0, 1095, flows), unit="D")).astype("datetime64[us]")
    plain = pd.DataFrame({
        "trade_id": [f"{i:010}" for i in range(flows)], "seller_id": seller, "buyer_id": buyer,
        "hs_code": rng.choice(["854231", "854232", "854239"], flows), "period_start": days, "period_end": days,
        "value_usd": np.exp(rng.normal(9, 2, flows)), "flow": "export", "partner_concept": "destination",
        "reported_by": "s", "basis": "recorded", "source_id": "s", "record_ref": "generated",
    })
    network = ct.TradeNetwork(
        level="firms", actors=pd.DataFrame({"actor_id": ids, "name": ids, "kind": "company", "role": "unknown", "country": "KAZ"}),
        trades=plain, sources=pd.DataFrame([{"source_id": "s", "title": "generated", "rows_read": 0}]),
    )
    trades, sorted_ids = network.coded_trades, network.actors["actor_id"]
    size = f"{actors:,} actors, {flows:,} edges"
    held = compile_trades(trades, sorted_ids)
    yield Entry(
        f"view of the network ({held.nbytes / flows:.1f} bytes an edge)", size, lambda: compile_trades(trades, sorted_ids),
        lambda: nx.from_pandas_edgelist(plain, "seller_id", "buyer_id", ["hs_code", "period_start", "value_usd"],
                                        create_using=nx.MultiDiGraph), check_view,
    )


def check_view(ours: Compiled, theirs: nx.MultiDiGraph) -> None:
    """Asserts the same edges: number, sellers' and buyers' degrees, and value by seller."""
    assert len(ours.seller) == theirs.number_of_edges()
    sold, bought = np.diff(ours.sold), np.diff(ours.bought)
    value = np.bincount(ours.seller, ours.value_usd, minlength=len(ours.actors))
    for place in range(0, len(ours.actors), max(1, len(ours.actors) // 1000)):
        actor = ours.actors[place]
        assert sold[place] == (theirs.out_degree(actor) if actor in theirs else 0)
        assert bought[place] == (theirs.in_degree(actor) if actor in theirs else 0)
        told = sum(edge["value_usd"] for _, _, edge in theirs.out_edges(actor, data=True)) if actor in theirs else 0.0
        assert abs(value[place] - told) <= 1e-9 * max(told, 1.0)
