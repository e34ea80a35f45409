"""The network: validation that finds everything, immutability, selection, views and the exact round trip."""

import json

import hypothesis.strategies as st
import networkx as nx
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from chiptrail.graphmodel.errors import ChiptrailError, InputError, NotComparableError, UnknownNameError, ValidationError
from chiptrail.graphmodel.network import TradeNetwork, actor_id, concat, conform, empty
from chiptrail.graphmodel.schema import TABLES
from chiptrail.loaders.bundled import load_bundled

ROWS = [("DEU", "KAZ", "854231", "2022-03", 10.0), ("KAZ", "RUS", "8542", "2022", 30.0), ("KAZ", "RUS", "854110", "2021", 5.0),
        ("CHN", "KAZ", "8541+8542", "2022", 7.0, {"flow": "import", "partner_concept": "origin", "reported_by": "KAZ"})]


@pytest.fixture
def network(build):
    return build(ROWS)


def remade(network, **changed):
    tables = {name: getattr(network, name) for name in TABLES} | changed
    return TradeNetwork(level=network.level, **tables)


def test_every_problem_is_reported_at_once(network):
    trades = network.trades.assign(
        value=[-1.0, 2.0, 3.0, 4.0], flow=["sale", "export", "export", "import"], buyer_id=["KAZ", "XXX", "RUS", "KAZ"],
        hs_code=["8542", "854", "854110", ""], reported_by=["", "KAZ", "KAZ", "KAZ"],
        period_start=pd.to_datetime(["2023-01-01", "2022-01-01", "2021-01-01", "2022-01-01"]), colour=1)
    with pytest.raises(ValidationError) as caught:
        remade(network, trades=trades)
    text = str(caught.value)
    assert len(caught.value.problems) == 8
    for part in ("trades.value: must be zero or more and finite (1 row: '-1.0' at hand.csv:2)", "trades.flow: must be one of export",
                 "trades.buyer_id: not in actors.actor_id (1 row: 'XXX'", "lose a leading zero? (1 row: '854'",
                 "trades.reported_by: must be given", "trades.period_start: must not be after period_end",
                 "unknown column 'colour'", "trades between countries only"):
        assert part in text, part


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [("actors", {"country": "Kazakhstan"}, "alpha-3"), ("actors", {"kind": "firm"}, "must be one of country"),
     ("actors", {"name": ""}, "actors.name: must be given"), ("sources", {"rows_read": 5}, "rows_kept plus the counts"),
     ("sources", {"rejected": "two"}, "rows_kept plus the counts"),
     ("trades", {"trade_id": "same"}, "must be unique"), ("trades", {"value": float("inf")}, "finite"),
     ("trades", {"currency": "dollar"}, "ISO 4217"), ("trades", {"product_set": "8541+8542", "hs_code": "8542"}, "must be empty beside"),
     ("trades", {"value": 1.0, "currency": ""}, "must be given beside a value"), ("trades", {"source_id": "lost"}, "not in sources")],
)
def test_each_rule(network, table, change, message):
    with pytest.raises(ValidationError, match=message):
        remade(network, **{table: getattr(network, table).assign(**change)})


def test_level_must_be_known(network):
    with pytest.raises(ValidationError, match="must be one of firms, countries"):
        TradeNetwork(level="regions", actors=network.actors, trades=empty("trades"))


def test_a_text_for_a_number_is_refused(network):
    with pytest.raises(InputError, match="column value_usd"):
        conform(network.trades.assign(value_usd="many"), "trades")


def test_nothing_changes_the_network(network):
    before = network.trades
    trades = network.trades
    trades["value_usd"] = 0.0
    trades.loc[0, "hs_code"] = "0101"
    actors = network.actors
    actors["name"] = "x"
    network.flows()
    network.where(products="8542").to_networkx()
    pd.testing.assert_frame_equal(network.trades, before)
    assert "x" not in set(network.actors["name"])
    with pytest.raises(AttributeError):
        network.trades = trades


def test_the_order_of_rows_makes_no_difference(build, network):
    shuffled = remade(network, trades=network.trades.iloc[::-1], actors=network.actors.sample(frac=1, random_state=1))
    assert shuffled.equals(network)


def test_where(network):
    def ids(**conditions):
        return network.where(**conditions).trades["trade_id"].tolist()

    assert ids(products="8542") == ["t00001", "t00002"]
    assert ids(products="854110") == ["t00003"]
    assert ids(products=["8541", "8542"]) == ["t00001", "t00002", "t00003", "t00004"]
    assert ids(products="chips") == ["t00001", "t00002", "t00003", "t00004"], "the list accepts 8541+8542"
    assert ids(since="2022") == ["t00001", "t00002", "t00004"]
    assert ids(since="2022-02", until="2022-03") == ["t00001"], "the year 2022 lies only partly inside"
    assert ids(since="2022-02", until="2022-03", partly=True) == ["t00001", "t00002", "t00004"]
    assert ids(countries=["Germany"]) == ["t00001"]
    assert ids(countries=["EU27"]) == ["t00001"]
    assert ids(actors=["RUS"]) == ["t00002", "t00003"]
    assert ids(min_value_usd=7) == ["t00001", "t00002", "t00004"]
    assert ids(reported_by=["DEU"]) == ["t00001"]
    assert ids(basis=["recorded"]) == ids()
    assert ids(concept="origin") == ["t00004"]
    assert network.where(products="854110").actors["actor_id"].tolist() == ["KAZ", "RUS"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [({"products": "chps"}, "did you mean 'chips'"), ({"countries": ["Germny"]}, "did you mean 'Germany'"),
     ({"reported_by": ["KAS"]}, "did you mean 'KAZ'"), ({"basis": ["recordd"]}, "did you mean 'recorded'"),
     ({"concept": "orign"}, "did you mean 'origin'"), ({"actors": ["Nobody Ltd"]}, "unknown actor or country")],
)
def test_unknown_names_offer_near_misses(network, condition, message):
    with pytest.raises(UnknownNameError, match=message):
        network.where(**condition)


def test_by_country(build):
    rows = [("a.USA", "b.HKG", "8542", "2022", 1.0), ("b.HKG", "c.HKG", "8542", "2022", 2.0), ("c.HKG", "Unnamed x", "8542", "2022", 3.0)]
    seen = build(rows, level="firms", links=[("brand", "a.USA", "b.HKG")]).by_country()
    place = seen.actors.set_index("actor_id")["kind"]
    unnamed = place.index[place.eq("placeholder")][0]
    assert seen.level == "firms"
    assert seen.trades[["seller_id", "buyer_id", "value_usd"]].values.tolist() == [
        ["USA", "HKG", 1.0], ["HKG", "HKG", 2.0], ["HKG", unnamed, 3.0]]
    assert seen.links.empty


def test_countries_seen_by_country_are_the_same(network):
    assert network.by_country() is network


def test_to_networkx_has_every_trade(network):
    graph = network.to_networkx()
    assert isinstance(graph, nx.MultiDiGraph)
    assert set(graph) == {"CHN", "DEU", "KAZ", "RUS"}
    assert graph.number_of_edges("KAZ", "RUS") == 2
    assert graph["KAZ"]["RUS"]["t00002"]["value_usd"] == 30.0
    assert graph.nodes["KAZ"]["kind"] == "country"


def test_to_digraph_never_mixes_concepts(network):
    with pytest.raises(NotComparableError, match="customs origin and by dispatch"):
        network.to_digraph()
    graph = network.to_digraph(concept="dispatched")
    assert graph["KAZ"]["RUS"]["value_usd"] == 35.0
    assert not graph.has_edge("CHN", "KAZ")


def test_concat_counts_the_same_rows_once(network, build):
    again = concat([network, network])
    assert again.equals(network)
    other = build([("KAZ", "BLR", "8542", "2022", 1.0)])
    other = remade(other, trades=other.trades.assign(trade_id="other"))
    both = concat([network, other])
    assert len(both.trades) == 5
    assert both.actors["actor_id"].tolist() == ["BLR", "CHN", "DEU", "KAZ", "RUS"]


def test_firms_and_countries_never_join(network, build):
    firms = build([("a.USA", "b.HKG", "8542", "2022", 1.0)], level="firms")
    with pytest.raises(NotComparableError, match="countries and firms"):
        concat([network, firms])


@pytest.mark.parametrize("name", ["countries", "firms"])
def test_round_trip_of_the_bundled_networks(name, tmp_path):
    network = load_bundled(name)
    assert TradeNetwork.load(network.save(tmp_path / "saved")).equals(network)


def test_saving_again_gives_the_same_bytes(network, tmp_path):
    first, second = network.save(tmp_path / "a"), network.save(tmp_path / "b")
    network.save(tmp_path / "b")
    files = sorted(p.name for p in first.iterdir())
    assert files == sorted(p.name for p in second.iterdir())
    assert all((first / f).read_bytes() == (second / f).read_bytes() for f in files)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_folder_of_something_else_is_not_overwritten(network, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ChiptrailError, match="no saved network"):
        network.save(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_failing_save_leaves_the_old_network(network, tmp_path, monkeypatch):
    network.save(tmp_path / "net")

    def broken(self, *args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", broken)
    with pytest.raises(OSError, match="disk full"):
        network.where(products="8542").save(tmp_path / "net")
    monkeypatch.undo()
    assert TradeNetwork.load(tmp_path / "net").equals(network)
    assert [p.name for p in tmp_path.iterdir()] == ["net"]


@pytest.mark.parametrize("damage", ["missing", "empty", "format", "torn"])
def test_a_damaged_folder_is_refused(network, tmp_path, damage):
    folder = tmp_path / "net"
    if damage != "missing":
        network.save(folder)
    if damage == "empty":
        (folder / "network.json").write_text("")
    if damage == "format":
        about = json.loads((folder / "network.json").read_text())
        (folder / "network.json").write_text(json.dumps(about | {"format": "chiptrail network 99"}))
    if damage == "torn":
        (folder / "trades.parquet").write_bytes((folder / "trades.parquet").read_bytes()[:100])
    with pytest.raises(InputError, match="saved"):
        TradeNetwork.load(folder)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(goods=TEXTS, case=TEXTS, value=st.none() | st.floats(0, 1e15), extra=st.sampled_from([1, 2.5, "x", True]), name=TEXTS.filter(bool))
def test_round_trip_of_anything(build, tmp_path_factory, goods, case, value, extra, name):
    network = build([("KAZ", "RUS", "8542", "2022", value, {"goods": goods, "case": case, "x_mark": extra}),
                     (*ROWS[0], {"x_mark": extra})])
    network = remade(network, actors=network.actors.assign(name=name))
    saved = network.save(tmp_path_factory.mktemp("any") / "net")
    assert TradeNetwork.load(saved).equals(network)


@pytest.mark.parametrize("name", ["'); DROP TABLE x;--", "日本電気", "  Two   Spaces ", "\u202eright to left", "a" * 10_000, "../../etc"])
def test_actor_ids_of_hostile_names_are_plain(name):
    made = actor_id("company", "JPN", name)
    assert made == actor_id("company", "JPN", name.upper().lower())
    assert len(made) < 70
    assert all(c.isascii() and (c.isalnum() or c in ":-") for c in made)


def test_different_names_have_different_ids():
    names = ["Alpha", "Alpha Ltd", "alpha-ltd", "日本", "日本電気", "-", "--"]
    assert len({actor_id("company", "USA", n) for n in names}) == len(names)
    assert actor_id("company", "USA", "Alpha") != actor_id("company", "GBR", "Alpha")


def test_a_time_of_day_is_no_day(build):
    late = {"period_end": pd.Timestamp("2022-03-01 05:00")}
    with pytest.raises(ValidationError, match=r"trades\.period_end: must be a day without a time of day .*05:00:00.* at hand\.csv:3"):
        build([("KAZ", "RUS", "8542", "2022-03-01", 1.0), ("KAZ", "RUS", "8542", "2022-03-01", 1.0, late)])
