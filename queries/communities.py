"""Groups of actors: communities that trade mostly among themselves, and components that trade connects at all."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.queries import kernels
from chiptrail.queries.answer import answer
from chiptrail.queries.scope import described_actors, pairs_in_scope, scope_notes, shaped, value_concept

_DTYPES = {
    "community": "int64", "actor_id": "str", "actor": "str", "kind": "str", "country": "str", "concept": "str",
    "within_usd": "float64", "total_usd": "float64", "community_usd": "float64", "community_size": "int64",
}
COLUMNS = tuple(_DTYPES)
_COMPONENT_DTYPES = {
    "component": "int64", "component_size": "int64", "strong_component": "int64", "strong_component_size": "int64",
    "actor_id": "str", "actor": "str", "kind": "str", "country": "str", "concept": "str",
}
COMPONENT_COLUMNS = tuple(_COMPONENT_DTYPES)


def communities(
    network: TradeNetwork, *, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per actor with the community it trades in, the community of the largest value first.

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
        `community` (1 has the largest value between its members; ties by the smallest id), `actor_id`, `actor`, `kind`,
        `country`, `concept`, `within_usd` (USD traded with members of the same community, both directions), `total_usd` (USD
        traded with all), `community_usd` (USD, all flows between members), `community_size` (members, placeholders not counted).
        Sorted by community, then by id. `attrs["modularity"]` is the modularity of the division; `attrs` also holds the question,
        notes, records left aside by reason, and sources.

    Raises
    ------
    UnknownNameError
        If a concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links have no value.

    Notes
    -----
    Louvain method (Blondel et al. 2008, doi 10.1088/1742-5468/2008/10/P10008), always with the same answer, on the values of both
    directions added: modularity Q = sum over communities c of [L_c / m - (k_c / 2m)^2], m the value of all flows, L_c that between
    members of c, k_c the sum of their `total_usd`. Up to 10,000 pairs of actors as networkx divides them; beyond, each finer level
    is settled once more and the whole is repeated while the modularity rises. Flows with a record of unknown value, or of value
    zero, are left out, and so are actors that have no others.

    Cautions: the method is a heuristic, and near-equal divisions may differ much; a community is a description of recorded trade,
    not a group that acts together. What the data do not cover cannot bind anybody.

    Examples
    --------
    >>> import chiptrail as ct
    >>> table = ct.communities(ct.load_bundled("countries"), since="2022", until="2022")
    >>> bool(0 < table.attrs["modularity"] < 1)
    True
    """
    concept = value_concept(network, concept)
    flows, trades = pairs_in_scope(network, concept=concept, products=products, since=since, until=until, prefer=prefer)
    known = flows[flows["value_usd"].gt(0)]
    rows, modularity = _louvain(known)
    group_of = rows.set_index("actor_id")["group"]
    inside = known[known["seller_id"].map(group_of).eq(known["buyer_id"].map(group_of))]
    rows["within_usd"] = rows["actor_id"].map(_strength(inside)).fillna(0.0)
    rows["community_usd"] = rows["group"].map(inside.groupby(inside["seller_id"].map(group_of))["value_usd"].sum()).fillna(0.0)
    rows = described_actors(network, rows.assign(concept=concept))
    rows["community_size"] = rows.groupby("group")["actor_id"].transform("size")
    rows["community"] = _numbered(rows, "group", "community_usd")
    unused = len(flows) - len(known)
    notes = [
        *scope_notes(network, concept, trades),
        f"{unused:,} of {len(flows):,} flows have no known value, or the value zero, and are left out" if unused else "",
    ]
    asked = {"concept": concept, "products": products, "since": since, "until": until, "prefer": prefer}
    table = answer(shaped(rows.sort_values(["community", "actor_id"]), _DTYPES), network, question=asked, notes=notes,
                   source_ids=trades["source_id"], left_aside=trades["left_aside"])
    table.attrs["modularity"] = modularity
    return table


def components(
    network: TradeNetwork, *, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """One row per actor with the weakly and the strongly connected component it belongs to, the largest first.

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
        `component` and `component_size`: actors connected by trade in any direction; `strong_component` and
        `strong_component_size`: actors each of which is reached from every other along the direction of trade. Number 1 has the
        most members, ties by the smallest id; sizes do not count placeholders. Then `actor_id`, `actor`, `kind`, `country`,
        `concept`. Sorted by component, strong component and id. `attrs` holds the question, notes, records left aside by reason,
        and sources.

    Raises
    ------
    UnknownNameError
        If a concept, product list or preference is not known.
    NotComparableError
        For `concept="brand"`, whose links are no trade.

    Notes
    -----
    Trades of unknown value connect like all others, and placeholders connect without having a row. Two components may well be
    connected by trade that the data do not cover; time and goods are not looked at (`supply_routes` does).

    Examples
    --------
    >>> import chiptrail as ct
    >>> int(ct.components(ct.load_bundled("countries"))["component"].max())
    1
    """
    concept = value_concept(network, concept)
    flows, trades = pairs_in_scope(network, concept=concept, products=products, since=since, until=until, prefer=prefer)
    codes, actors = pd.factorize(pd.concat([flows["seller_id"], flows["buyer_id"]]), sort=True)
    graph = kernels.graph_of(codes[:len(flows)], codes[len(flows):], np.ones(len(flows)), len(actors))
    rows = pd.DataFrame({"actor_id": pd.Series(actors, dtype="str"), "concept": concept})
    for prefix in ("", "strong_"):
        rows[f"{prefix}group"] = kernels.components(graph, strong=prefix != "")
    rows = described_actors(network, rows)
    for prefix in ("", "strong_"):
        rows[f"{prefix}component_size"] = rows.groupby(f"{prefix}group")["actor_id"].transform("size")
        rows[f"{prefix}component"] = _numbered(rows, f"{prefix}group", f"{prefix}component_size")
    asked = {"concept": concept, "products": products, "since": since, "until": until, "prefer": prefer}
    return answer(shaped(rows.sort_values(["component", "strong_component", "actor_id"]), _COMPONENT_DTYPES), network,
                  question=asked, notes=scope_notes(network, concept, trades), source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def _louvain(known: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Actors with the number of their group and `total_usd`, and the modularity of the division.

    Actors enter in the order of what they trade, and as numbers: the answer depends on neither names nor hashes.
    """
    rows = _strength(known).rename("total_usd").rename_axis("actor_id").reset_index()
    rows = rows.sort_values(["total_usd", "actor_id"], ascending=[False, True], ignore_index=True)
    if known.empty:
        return rows.assign(group=0), float("nan")
    n, number = len(rows), pd.Series(rows.index, index=rows["actor_id"])
    ends = np.sort(np.column_stack([known[side].map(number) for side in ("seller_id", "buyer_id")]), axis=1)
    pairs, place = np.unique(ends[:, 0] * n + ends[:, 1], return_inverse=True)
    values = np.bincount(place, weights=known["value_usd"])
    low, high = pairs // n, pairs % n
    graph = kernels.graph_of(np.concatenate([low, high]), np.concatenate([high, low]), np.concatenate([values, values]), n)
    groups = kernels.communities(graph)
    return rows.assign(group=groups), kernels.modularity(graph, groups)


def _numbered(rows: pd.DataFrame, group: str, size: str) -> pd.Series:
    """For each row the number of its group: 1 has the largest size, ties by the smallest id."""
    smallest = rows.groupby(group)["actor_id"].transform("min")
    order = rows.assign(smallest=smallest).drop_duplicates(group).sort_values([size, "smallest"], ascending=[False, True])
    return rows[group].map(pd.Series(range(1, len(order) + 1), index=order[group]))


def _strength(flows: pd.DataFrame) -> pd.Series:
    """USD of each actor's flows, both directions."""
    sides = [flows.rename(columns={side: "actor_id"})[["actor_id", "value_usd"]] for side in ("seller_id", "buyer_id")]
    return pd.concat(sides).groupby("actor_id")["value_usd"].sum()
