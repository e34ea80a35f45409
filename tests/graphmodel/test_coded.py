"""Coded columns and the compiled view, against plain pandas and by hand."""

import numpy as np
import pandas as pd
import pytest

from chiptrail.graphmodel.coded import coded, combined, plain
from chiptrail.graphmodel.compiled import NO_END, NO_START
from chiptrail.graphmodel.network import TradeNetwork, concat

ROWS = [
    ("USA", "KAZ", "854231", "2022-03", 10.0),
    ("KAZ", "RUS", "8541+8542", "2022", 7.0),
    ("USA", "KAZ", "8542", "2022-01", None, {"flow": "import", "partner_concept": "origin", "reported_by": "KAZ"}),
    ("USA", "ARM", "854231", "", 3.0),
]


@pytest.mark.parametrize("size", [0, 1, 50, 3000])
def test_combined_numbers_are_those_of_a_plain_group_by(size):
    rng = np.random.default_rng(size)
    frame = pd.DataFrame({"a": rng.choice(["", "x", "y"], size), "b": rng.integers(0, 10**12, size) % 7, "c": rng.random(size).round(1)})
    frame.loc[frame.index[: size // 9], "c"] = np.nan
    numbers, first = combined([frame["a"].astype("str").astype("category"), frame["b"], frame["c"].to_numpy()])
    keys = [tuple("" if value != value else value for value in row) for row in frame.itertuples(index=False, name=None)]
    order = sorted(set(keys), key=lambda key: (key[0], key[1], -1 if key[2] == "" else key[2]))
    assert numbers.tolist() == [order.index(key) for key in keys]
    assert [keys[row] for row in first] == order


def test_many_large_columns_do_not_overflow():
    columns = [np.arange(40_000)[::-1] for _ in range(6)]
    numbers, first = combined(columns)
    assert numbers.tolist() == list(range(39_999, -1, -1))
    assert first.tolist() == list(range(39_999, -1, -1))


def test_coding_and_spelling_out_is_exact(build):
    trades = build(ROWS).trades
    assert (trades.dtypes[["seller_id", "hs_code", "flow"]] == "str").all()
    odd = trades.assign(seller_id=pd.Categorical(trades["seller_id"], categories=["ZZZ", "USA", "KAZ"]))
    for frame in (trades, odd):
        short = coded(frame)
        assert short["seller_id"].cat.categories.is_monotonic_increasing
        assert plain(short).equals(trades)


def test_a_network_of_categories_is_the_same_network(build):
    network = build(ROWS)
    again = TradeNetwork(level="countries", actors=network.actors, trades=network.coded_trades, sources=network.sources)
    assert again.equals(network)


def test_the_compiled_view_by_hand(build):
    network = build(ROWS)
    view = network.compiled
    assert view.actors.tolist() == ["ARM", "KAZ", "RUS", "USA"]
    assert view.goods == ("", "8541+8542", "8542", "854231")
    assert view.seller.tolist() == [1, 3, 3, 3]
    assert view.buyer.tolist() == [2, 0, 1, 1]
    assert [view.goods[i] for i in view.code] == ["8541+8542", "854231", "8542", "854231"]
    day = pd.Timestamp("2022-01-01").value // 86_400_000_000_000
    assert view.start.tolist() == [day, NO_START, day, day + 59]
    assert view.end.tolist() == [day + 364, NO_END, day + 30, day + 89]
    assert np.array_equal(view.value_usd, [7.0, 3.0, np.nan, 10.0], equal_nan=True)
    assert view.by_origin.tolist() == [False, False, True, False]
    assert view.sold.tolist() == [0, 0, 1, 1, 4]
    assert [view.purchases[a:b].tolist() for a, b in zip(view.bought[:-1], view.bought[1:], strict=True)] == [[1], [2, 3], [0], []]
    assert network.trades["record_ref"].iloc[view.row].tolist() == ["hand.csv:3", "hand.csv:5", "hand.csv:4", "hand.csv:2"]
    assert view.number({"USA", "ARM", "TUR"}).tolist() == [0, 3]
    assert network.compiled is view


def test_an_empty_network_compiles(build):
    view = build(ROWS).where(since="2030").compiled
    assert len(view.seller) == len(view.code) == 0
    assert view.number({"USA"}).tolist() == []


def test_joined_networks_have_the_texts_of_all(build):
    first, second = build(ROWS[:2]), build([("ARM", "RUS", "8471", "2022", 1.0)], sources=("t",))
    second = TradeNetwork(
        level="countries", actors=second.actors, sources=second.sources,
        trades=second.trades.assign(trade_id="u1", x_note=pd.Categorical(["by air"])))
    both = concat([first, second])
    plain_rows = pd.concat([first.trades, second.trades], ignore_index=True)
    assert both.trades.drop(columns="x_note").equals(plain_rows.drop(columns="x_note").sort_values("trade_id", ignore_index=True))
    assert both.coded_trades["seller_id"].cat.categories.tolist() == both.actors["actor_id"].tolist() == ["ARM", "KAZ", "RUS", "USA"]
    assert concat([second, first]).equals(both)


def test_a_network_that_lost_actors_compiles_as_if_built_anew(build):
    part = build(ROWS).where(countries=["ARM"])
    again = TradeNetwork(level="countries", actors=part.actors, trades=part.trades, sources=part.sources)
    for name in ("actors", "seller", "buyer", "start", "value_usd", "row", "sold", "purchases"):
        assert np.array_equal(getattr(part.compiled, name), getattr(again.compiled, name), equal_nan=name == "value_usd")


def test_a_part_keeps_the_actors_that_only_further_columns_name(build):
    network = build([("a.KAZ", "b.RUS", "8542", "2022", 1.0, {"x_carrier_id": "c.TUR"}), ("c.TUR", "b.RUS", "8471", "2022", 1.0)],
                    level="firms")
    assert set(network.where(products="8542").actors["actor_id"]) == {"a.KAZ", "b.RUS", "c.TUR"}
