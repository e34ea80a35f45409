"""What an analyst would write with pandas and networkx alone for the same questions, on a file as `generate` makes it."""

from pathlib import Path

import networkx as nx
import pandas as pd


def load(path: Path) -> pd.DataFrame:
    """Shipments of a file."""
    return pd.read_csv(path, dtype={"hs_code": str}, keep_default_na=False, parse_dates=["date"])


def graph(trades: pd.DataFrame) -> nx.DiGraph:
    """One edge per seller and buyer with value and number of shipments."""
    pairs = trades.groupby(["seller", "buyer"], as_index=False).agg(value_usd=("value_usd", "sum"), n_records=("value_usd", "size"))
    return nx.from_pandas_edgelist(pairs, "seller", "buyer", ["value_usd", "n_records"], create_using=nx.DiGraph)


def hubs(trades: pd.DataFrame, since: str, until: str) -> pd.DataFrame:
    """Inflow from the USA, outflow to Russia, the smaller of both by heading, and betweenness between the two, by hub."""
    trades = trades[trades["date"].between(since, until)]
    trades = trades.assign(heading=trades["hs_code"].str[:4])
    from_origin, to_end = trades["seller_country"].eq("USA"), trades["buyer_country"].eq("RUS")
    inflow = trades[from_origin & ~to_end].groupby(["buyer", "heading"])["value_usd"].sum().rename_axis(["hub", "heading"])
    outflow = trades[to_end & ~from_origin].groupby(["seller", "heading"])["value_usd"].sum().rename_axis(["hub", "heading"])
    legs = pd.DataFrame({"inflow": inflow, "outflow": outflow}).fillna(0.0)
    legs["throughput"] = legs[["inflow", "outflow"]].min(axis=1)
    table = legs.groupby("hub").sum()
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


def _smallest_leg(legs: list[pd.DataFrame]) -> float | None:
    for i in range(1, len(legs)):
        legs[i] = legs[i][legs[i]["date"] >= legs[i - 1]["date"].min()]
        if legs[i].empty:
            return None
    for i in reversed(range(len(legs) - 1)):
        legs[i] = legs[i][legs[i]["date"] <= legs[i + 1]["date"].max()]
    return min(leg["value_usd"].sum() for leg in legs)
