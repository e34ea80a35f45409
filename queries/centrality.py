"""Centrality: how each actor stands in the whole network of one concept of trade."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries import kernels
from chiptrail.queries.answer import answer
from chiptrail.queries.scope import described_actors, pairs_in_scope, scope_notes, shaped, value_concept

_DTYPES = {
    "actor_id": "str", "actor": "str", "kind": "str", "country": "str", "concept": "str", "in_degree": "int64",
    "out_degree": "int64", "in_strength_usd": "float64", "out_strength_usd": "float64", "pagerank": "float64",
    "betweenness": "float64", "betweenness_by_value": "float64", "closeness": "float64", "closeness_by_value": "float64",
    "n_without_value": "int64",
}
COLUMNS = tuple(_DTYPES)
_BY_VALUE = ["pagerank", "betweenness_by_value", "closeness_by_value"]


def centrality(
    network: TradeNetwork, *, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per actor with its place in the network, the highest PageRank first.

    Parameters
    ----------
    network
        A network of countries or of firms.
    concept
        `dispatched` or `origin`. Default: `origin` for countries, `dispatched` for firms. They are never mixed.
    products, since, until
        As in `TradeNetwork.where`.
    prefer
        Whose report is taken where both sides told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        `actor_id`, `actor`, `kind`, `country`, `concept`; `in_degree` and `out_degree` (number of sellers and buyers);
        `in_strength_usd` and `out_strength_usd` (USD over the flows with a known value; missing where there is none);
        `pagerank` (0-1), `betweenness` (0-1) and `closeness` (0-1), the last two in hops; `betweenness_by_value` and
        `closeness_by_value` (0-1, tiny where values differ by orders of magnitude) where a large flow is a short distance;
        `n_without_value` (the actor's flows without a known value). Ties stand in the order of ids. `attrs` holds the question,
        notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    All flows between two actors are one directed edge (i, j) of value w(i, j), each flow counted once.

    - `pagerank`: with probability 0.85 goods at i go on to j in proportion to w(i, j), else to any actor alike (Page et al. 1999).
      It is high for actors that much value ends at or comes by.
    - Distance by value: d(i, j) = max(w) / w(i, j), so 1 for the largest flow and 100 for one a hundredth of it. Value itself is
      never a distance: that would rank a trickle above a hub.
    - `betweenness`: share of the shortest paths between two others that lead through the actor, over all (n-1)(n-2) ordered pairs
      (Freeman 1977), n the number of actors.
    - `closeness`: r/(n-1) times r/(sum of distances to the actor), r the number of others that reach it (Wasserman and Faust 1994).

    A flow with a record of unknown value counts in degrees and hops, and is left out of every measure by value; a flow of value
    zero has no finite distance. Measures by value are missing for actors none of whose flows has a known value.

    Betweenness and closeness are missing, and a note says so, where finding them would take hours (beyond some 40,000 actors).

    Cautions: measures of the whole network do not ask for origins and destinations; use `transit_hubs` for that. They depend on
    what the data cover: whoever reports more looks more central. `Unnamed ...` placeholders carry paths but get no row. A flow by
    customs `origin` ends at its importer, so paths over it are no routes of goods.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.centrality(ct.load_bundled("countries"), concept="dispatched", since="2022", until="2022")
    >>> table.set_index("actor_id").loc["TWN", ["in_degree", "out_degree"]].tolist()
    [0, 30]
    """
    concept = value_concept(network, concept)
    flows, trades = pairs_in_scope(
        network, concept=concept, products=products, since=since, until=until, prefer=prefer)
    table = _measures(flows)
    table["concept"] = concept
    table = described_actors(network, table)
    table = table.assign(place=table["pagerank"].round(9)).sort_values(
        ["place", "actor_id"], ascending=[False, True], kind="stable", na_position="last")
    unknown = int(flows["value_usd"].isna().sum())
    notes = [
        *scope_notes(network, concept, trades),
        "betweenness and closeness are missing: in a network of this size they would take hours; narrow the question"
        if len(table) and table["betweenness"].isna().all() else "",
        f"{unknown:,} of {len(flows):,} flows have a record of unknown value and count in degrees and hops only" if unknown else "",
    ]
    asked = {"concept": concept, "products": products, "since": since, "until": until, "prefer": prefer}
    return answer(shaped(table, _DTYPES), network, question=asked, notes=notes, source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def _measures(flows: pd.DataFrame) -> pd.DataFrame:
    """All measures, one row per actor of the flows."""
    known = flows[flows["value_usd"].notna()]
    codes, nodes = pd.factorize(pd.concat([flows["seller_id"], flows["buyer_id"]]), sort=True)
    n, sellers, buyers = len(nodes), codes[:len(flows)], codes[len(flows):]
    values = flows["value_usd"].to_numpy(dtype="float64")
    valued = values > 0
    hops = kernels.graph_of(sellers, buyers, values, n)
    by_value = kernels.graph_of(sellers[valued], buyers[valued], values[valued], n)
    table = pd.DataFrame(index=pd.Index(nodes, dtype="str", name="actor_id"))
    for side, column in (("in", "buyer_id"), ("out", "seller_id")):
        table[f"{side}_degree"] = flows[column].value_counts().reindex(table.index, fill_value=0)
        table[f"{side}_strength_usd"] = known.groupby(column)["value_usd"].sum().reindex(table.index)
    lost = flows[flows["value_usd"].isna()]
    table["n_without_value"] = pd.concat([lost["seller_id"], lost["buyer_id"]]).value_counts().reindex(table.index, fill_value=0)
    table["pagerank"] = kernels.pagerank(by_value)
    lengths = by_value.values.max(initial=0.0) / by_value.values
    for suffix, graph, far in (("", hops, None), ("_by_value", by_value, lengths)):
        if n * (n + len(graph.indices)) > kernels.MOST_WORK:
            table[[f"betweenness{suffix}", f"closeness{suffix}"]] = float("nan")
            continue
        paths = kernels.shortest_paths(graph.indptr, graph.indices, np.arange(n), np.arange(n), far)
        table[f"betweenness{suffix}"] = paths.betweenness / max((n - 1) * (n - 2), 1)
        table[f"closeness{suffix}"] = kernels.closeness(paths)
    without = table["in_strength_usd"].isna() & table["out_strength_usd"].isna()
    table.loc[without, _BY_VALUE] = float("nan")
    return table.reset_index()
