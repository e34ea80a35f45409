"""The tiers of the Common High Priority List as products of a table."""

import pandas as pd

from chiptrail.graphmodel.coverage import overlaps
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.products import match, product_codes, product_lists
from chiptrail.queries.cells import Goods
from chiptrail.queries.scope import count_once

_WIDE, _OFF, _UNKNOWN = "wider than the list", "not on the list", "code unknown"


def tiers() -> dict[str, Goods]:
    """The tiers of the newest Common High Priority List, and what is no tier."""
    lists = product_lists()
    rows = lists[lists["product_list"].eq("chpl")]
    names = sorted(set(rows.loc[rows["valid_from"].eq(rows["valid_from"].max()), "tier"]))
    nothing = Goods(frozenset(), frozenset())
    meaning = {name: product_codes(f"chpl:{name}") for name in names}
    return {
        name: Goods(frozenset().union(*asked.codes.values(), *asked.wider.values()), frozenset(asked.codes))
        for name, asked in meaning.items()
    } | dict.fromkeys((_OFF, _WIDE, _UNKNOWN), nothing)


def tier_of(trades: pd.DataFrame) -> pd.Series:
    """For each trade its tier, or why it has none."""
    label = pd.Series(_OFF, index=trades.index, dtype="str")
    for tier in [t for t in tiers() if t not in (_OFF, _WIDE, _UNKNOWN)]:
        found = match(product_codes(f"chpl:{tier}"), trades["hs_code"], trades["product_set"], trades["hs_version"])
        label[found["within"]] = tier
        label[(found["coarse"] | found["too_coarse"]) & label.eq(_OFF)] = _WIDE
    label[trades["code"].eq("")] = _UNKNOWN
    return label


def finest_first(network: TradeNetwork, trades: pd.DataFrame, prefer: str) -> pd.DataFrame:
    """Trades counted once, a code wider than the list only where its corridor and period have no finer one of the same goods."""
    wide = trades["product"].eq(_WIDE) & trades["left_aside"].eq("")
    place = ["seller_id", "buyer_id", "period"]
    finer = trades[~wide & trades["left_aside"].eq("")].groupby(place)["code"].agg(frozenset).to_dict()
    told = [
        overlaps(frozenset({code}), finer.get(tuple(where), frozenset()))
        for code, *where in trades.loc[wide, ["code", *place]].itertuples(index=False, name=None)
    ]
    trades = trades.copy()
    trades.loc[wide[wide].index[told], "left_aside"] = "told in finer codes too"
    return count_once(network, trades, prefer=prefer)
