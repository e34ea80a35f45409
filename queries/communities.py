"""Groups of actors: communities that trade mostly among themselves, and components that trade connects at all."""

from collections.abc import Iterable, Sequence

import networkx as nx
import pandas as pd

from chiptrail.graphmodel.network import TradeNetwork
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
_SEED = 0


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
    Louvain method (Blondel et al. 2008, doi 10.1088/1742-5468/2008/10/P10008) with a fixed seed, on the values of both directions
    added: modularity Q = sum over communities c of [L_c / m - (k_c / 2m)^2], m the value of all flows, L_c that between members
    of c, k_c the sum of their `total_usd`. Flows with a record of unknown value, or of value zero, are left out, and so are actors
    that have no others.

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
    groups, modularity = _louvain(known)
    group_of = {actor: i for i, group in enumerate(groups) for actor in group}
    rows = pd.DataFrame({"actor_id": pd.Series(list(group_of), dtype="str"), "group": list(group_of.values())})
    inside = known[known["seller_id"].map(group_of).eq(known["buyer_id"].map(group_of))]
    rows["within_usd"] = rows["actor_id"].map(_strength(inside)).fillna(0.0)
    rows["total_usd"] = rows["actor_id"].map(_strength(known))
    rows["community_usd"] = rows["group"].map(inside.groupby(inside["seller_id"].map(group_of))["value_usd"].sum()).fillna(0.0)
    rows = described_actors(network, rows.assign(concept=concept))
    rows["community_size"] = rows.groupby("group")["actor_id"].transform("size")
    rows["smallest_id"] = rows.groupby("group")["actor_id"].transform("min")
    order = rows[["community_usd", "smallest_id", "group"]].drop_duplicates().sort_values(
        ["community_usd", "smallest_id"], ascending=[False, True])
    rows["community"] = rows["group"].map({group: number for number, group in enumerate(order["group"], start=1)})
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
    graph = nx.DiGraph()
    graph.add_edges_from(zip(flows["seller_id"], flows["buyer_id"], strict=True))
    rows = described_actors(network, pd.DataFrame({"actor_id": pd.Series(sorted(graph), dtype="str"), "concept": concept}))
    named = set(rows["actor_id"])
    for prefix, found in (("", nx.weakly_connected_components(graph)), ("strong_", nx.strongly_connected_components(graph))):
        groups = _by_size(found, named)
        for column, values in (("", range(1, len(groups) + 1)), ("_size", map(len, groups))):
            place = {actor: value for group, value in zip(groups, values, strict=True) for actor in group}
            rows[f"{prefix}component{column}"] = rows["actor_id"].map(place)
    asked = {"concept": concept, "products": products, "since": since, "until": until, "prefer": prefer}
    return answer(shaped(rows.sort_values(["component", "strong_component", "actor_id"]), _COMPONENT_DTYPES), network,
                  question=asked, notes=scope_notes(network, concept, trades), source_ids=trades["source_id"],
                  left_aside=trades["left_aside"])


def _louvain(known: pd.DataFrame) -> tuple[list[list[str]], float]:
    """Groups of actors, and the modularity of the division.

    Actors enter in the order of what they trade, and as numbers: the answer depends on neither names nor hashes.
    """
    if known.empty:
        return [], float("nan")
    strength = _strength(known)
    actors = sorted(strength.index, key=lambda actor: (-strength[actor], actor))
    number = {actor: i for i, actor in enumerate(actors)}
    pairs: dict[tuple[int, int], float] = {}
    for seller, buyer, value in zip(known["seller_id"], known["buyer_id"], known["value_usd"], strict=True):
        pair = (min(number[seller], number[buyer]), max(number[seller], number[buyer]))
        pairs[pair] = pairs.get(pair, 0.0) + value
    graph = nx.Graph()
    graph.add_nodes_from(range(len(actors)))
    graph.add_weighted_edges_from((a, b, pairs[a, b]) for a, b in sorted(pairs))
    found = nx.community.louvain_communities(graph, weight="weight", seed=_SEED)
    modularity = float(nx.community.modularity(graph, found, weight="weight"))
    return [sorted(actors[i] for i in group) for group in found], modularity


def _strength(flows: pd.DataFrame) -> pd.Series:
    """USD of each actor's flows, both directions."""
    sides = [flows.rename(columns={side: "actor_id"})[["actor_id", "value_usd"]] for side in ("seller_id", "buyer_id")]
    return pd.concat(sides).groupby("actor_id")["value_usd"].sum()


def _by_size(groups: Iterable[set[str]], named: set[str]) -> list[list[str]]:
    """The named members of each group, largest group first, then by the smallest id."""
    members = [sorted(group & named) for group in groups]
    return sorted((m for m in members if m), key=lambda m: (-len(m), m[0]))
