"""What an analyst would write with pandas and networkx alone for the same questions, on a file as `generate` makes it."""

from pathlib import Path

import networkx as nx
import pandas as pd


def load(path: Path) -> pd.DataFrame:
    """Shipments of a file."""
    return pd.read_csv(path, dtype={"hs_code": str}, keep_default_na=False, parse_dates=["date"])


def pairs(trades: pd.DataFrame) -> pd.DataFrame:
    """Value and number of shipments by seller and buyer."""
    return trades.groupby(["seller", "buyer"], as_index=False).agg(value_usd=("value_usd", "sum"), n_records=("value_usd", "size"))


def graph(trades: pd.DataFrame) -> nx.DiGraph:
    """One edge per seller and buyer with value and number of shipments."""
    return nx.from_pandas_edgelist(pairs(trades), "seller", "buyer", ["value_usd", "n_records"], create_using=nx.DiGraph)


def shipment_graph(trades: pd.DataFrame) -> nx.MultiDiGraph:
    """One edge per shipment with what is needed to follow goods in the order of time."""
    return nx.from_pandas_edgelist(trades, "seller", "buyer", ["hs_code", "date", "value_usd"], create_using=nx.MultiDiGraph)


def legs(trades: pd.DataFrame, since: str, until: str) -> pd.DataFrame:
    """Inflow from the USA, outflow to Russia, and the smaller of both by heading, by hub."""
    trades = trades[trades["date"].between(since, until)]
    trades = trades.assign(heading=trades["hs_code"].str[:4])
    from_origin, to_end = trades["seller_country"].eq("USA"), trades["buyer_country"].eq("RUS")
    inflow = trades[from_origin & ~to_end].groupby(["buyer", "heading"])["value_usd"].sum().rename_axis(["hub", "heading"])
    outflow = trades[to_end & ~from_origin].groupby(["seller", "heading"])["value_usd"].sum().rename_axis(["hub", "heading"])
    found = pd.DataFrame({"inflow": inflow, "outflow": outflow}).fillna(0.0)
    found["throughput"] = found[["inflow", "outflow"]].min(axis=1)
    return found.groupby("hub").sum()


def hubs(trades: pd.DataFrame, since: str, until: str) -> pd.DataFrame:
    """The legs of each hub, and its betweenness between the USA and Russia."""
    table = legs(trades, since, until)
    trades = trades[trades["date"].between(since, until)]
    from_origin, to_end = trades["seller_country"].eq("USA"), trades["buyer_country"].eq("RUS")
    net = nx.from_pandas_edgelist(trades, "seller", "buyer", create_using=nx.DiGraph)
    origins, ends = set(trades.loc[from_origin, "seller"]), set(trades.loc[to_end, "buyer"])
    scores = nx.betweenness_centrality_subset(net, sorted(origins), sorted(ends))
    pairs = sum(len(nx.descendants(net, origin) & ends) for origin in origins)
    table["betweenness"] = pd.Series(scores) / pairs
    return table


def routes(trades: pd.DataFrame, max_hops: int) -> list[tuple[float, tuple[str, ...], str]]:
    """All chains from the USA to Russia, largest smallest leg first: its value, the firms, the heading.

    All legs have one heading, and of each leg those shipments count that fit into the order of time.
    """
    trades = trades.assign(heading=trades["hs_code"].str[:4])
    legs = {key: group[["date", "value_usd"]] for key, group in trades.groupby(["seller", "buyer", "heading"])}
    headings = trades.groupby(["seller", "buyer"])["heading"].agg(set).to_dict()
    net = nx.from_pandas_edgelist(trades, "seller", "buyer", create_using=nx.DiGraph)
    origins = sorted(set(trades.loc[trades["seller_country"].eq("USA"), "seller"]))
    ends = set(trades.loc[trades["buyer_country"].eq("RUS"), "buyer"])
    found = []
    for origin in origins:
        for path in nx.all_simple_paths(net, origin, ends, cutoff=max_hops):
            pairs = list(nx.utils.pairwise(path))
            for heading in set.intersection(*(headings[pair] for pair in pairs)):
                value = _smallest_leg([legs[(*pair, heading)] for pair in pairs])
                if value is not None:
                    found.append((value, tuple(path), heading))
    return sorted(found, key=lambda route: (-route[0], route[1:]))


def routes_with_one_hub(trades: pd.DataFrame, k: int) -> list[tuple[float, tuple[str, ...], str]]:
    """The k best chains from the USA to Russia with at most one firm between: value, firms, heading.

    Chains are joined on firm and heading and looked at in the order of what they can carry at most.
    """
    trades = trades.assign(heading=trades["hs_code"].str[:4])
    from_origin, to_end = trades["seller_country"].eq("USA"), trades["buyer_country"].eq("RUS")
    key = ["seller", "buyer", "heading"]
    direct = trades[from_origin & to_end].groupby(key)["value_usd"].sum().nlargest(k)
    found = [(value, (seller, buyer), heading) for (seller, buyer, heading), value in direct.items()]
    sent, passed = (trades[part].groupby(key)["value_usd"].sum().reset_index() for part in (from_origin & ~to_end, to_end & ~from_origin))
    chains = sent.merge(passed, left_on=["buyer", "heading"], right_on=["seller", "heading"], suffixes=("", "_on"))
    chains["most"] = chains[["value_usd", "value_usd_on"]].min(axis=1)
    shipments = trades.set_index(key)[["date", "value_usd"]].sort_index()
    for row in chains.sort_values("most", ascending=False).itertuples():
        if len(found) >= k and row.most < sorted(found, reverse=True)[k - 1][0]:
            break
        pairs = [(row.seller, row.buyer, row.heading), (row.buyer, row.buyer_on, row.heading)]
        value = _smallest_leg([shipments.loc[[pair]] for pair in pairs])
        if value is not None:
            found.append((value, (row.seller, row.buyer, row.buyer_on), row.heading))
    return sorted(found, key=lambda chain: -chain[0])[:k]


def _smallest_leg(legs: list[pd.DataFrame]) -> float | None:
    for i in range(1, len(legs)):
        legs[i] = legs[i][legs[i]["date"] >= legs[i - 1]["date"].min()]
        if legs[i].empty:
            return None
    for i in reversed(range(len(legs) - 1)):
        legs[i] = legs[i][legs[i]["date"] <= legs[i + 1]["date"].max()]
    return min(leg["value_usd"].sum() for leg in legs)
