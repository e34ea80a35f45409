"""A network as nodes and relationships, and back, without a server: a store in memory that drops what is not given."""

import datetime
import itertools

import numpy as np
import pandas as pd
import pytest

from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.property_graph import ENDS, KINDS, LINK_TYPES, about_network, fingerprint, graph_parts, network_from, node_key
from chiptrail.graphmodel.schema import ACTORS, LINK_KINDS, TABLES
from chiptrail.loaders.bundled import load_bundled

OWN = pd.DataFrame({
    "x_text": ["", "é 'quoted'\n", None], "x_int": pd.array([1, 2, 3], "int32"), "x_maybe": pd.array([1, None, 3], "Int64"),
    "x_float": [0.1, float("nan"), float("inf")], "x_flag": [True, False, True],
    "x_day": pd.to_datetime(["2022-02-24", None, "2022-12-31"]),
    "x_time": pd.to_datetime(["2022-02-24 05:00:00.000001", None, "1600-01-01 00:00:00.000000"]),
}).astype({"x_text": "str", "x_day": "datetime64[us]", "x_time": "datetime64[us]"})


@pytest.fixture
def network(build):
    rows = [("Maker.USA", "Trader.ARE", "854231", "2022-03-01", 100.0, OWN.iloc[0].to_dict()),
            ("Maker.USA", "Trader.ARE", "854231", "2022-03-01", 100.0, OWN.iloc[1].to_dict()),
            ("Trader.ARE", "Buyer.RUS", "8542", "", None, OWN.iloc[2].to_dict())]
    built = build(rows, level="firms", links=[("brand", "Maker.USA", "Buyer.RUS"), ("component_found", "Maker.USA", "w:drone"),
                                              ("makes_weapon", "Buyer.RUS", "w:drone")])
    listings = pd.DataFrame([{"actor_id": "Buyer.RUS", "list_name": "A list", "citation": "page 1", "source_id": "s",
                              "record_ref": "l:2", "listed_from": pd.Timestamp("2022-05-01")}] * 2)
    trades = built.trades.drop(columns=list(OWN)).join(OWN)
    return TradeNetwork(level="firms", actors=built.actors, trades=trades, links=built.links, listings=listings, sources=built.sources,
                        coverage=pd.DataFrame([{"source_id": "s", "reporter": "ARE", "partners": "*", "products": "*", "flow": "export",
                                                "partner_concept": "destination", "period_start": pd.Timestamp("2022-01-01"),
                                                "period_end": pd.Timestamp("2022-12-31")}] * 2))


def stored(network):
    """What a database would hold, by table: properties that are given, and the ends by the names of their columns."""
    nodes, rows = {}, {name: [] for name in TABLES}
    for part in graph_parts(network):
        for record in itertools.chain.from_iterable(part.batches(7)):
            given = {name: value for name, value in record.items() if value is not None}
            if not part.type:
                assert given["key"] not in nodes
                nodes[given["key"]] = given | {"labels": part.labels}
                if part.table in rows:
                    rows[part.table].append(given)
            elif part.table in ENDS:
                first, last = (nodes[given.pop(end)] for end in ("from_key", "to_key"))
                named = (first["actor_id"], last.get("actor_id", last.get("name")))
                rows[part.table].append(given | dict(zip(ENDS[part.table], named, strict=True)))
            else:
                assert {given["from_key"], given["to_key"]} <= nodes.keys()
    return nodes, rows


@pytest.mark.parametrize("name", ["firms", "countries"])
def test_bundled_networks_come_back(name):
    network = load_bundled(name)
    back = network_from(about_network(network), stored(network)[1])
    assert back.equals(network)
    assert fingerprint(back) == fingerprint(network)


def test_columns_of_every_type_come_back(network):
    back = network_from(about_network(network), stored(network)[1])
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(back, name), getattr(network, name))
    assert len(back.listings) == len(back.coverage) == 2


def test_an_empty_network_comes_back_with_its_own_columns(network):
    empty = network.where(since="2030")
    back = network_from(about_network(empty), stored(empty)[1])
    assert back.equals(empty)
    assert list(back.trades.columns) == list(network.trades.columns)


def test_labels_say_kind_and_role_and_days_are_days(build):
    actors = [{"actor_id": "m", "name": "M", "kind": "company", "role": "manufacturer", "country": "USA"},
              {"actor_id": "USA", "name": "United States", "kind": "country", "role": "unknown", "country": "USA"},
              {"actor_id": "KAZ", "name": "no country, though its id looks so", "kind": "company", "role": "end_user", "country": "KAZ"}]
    network = build([("m", "KAZ", "8542", "2022-03-01", 1.0)], level="firms", actors=actors)
    nodes, _ = stored(network)
    assert nodes["actors:m"]["labels"] == ("Chiptrail", "Company", "Manufacturer")
    assert nodes["actors:KAZ"]["labels"] == ("Chiptrail", "Company", "EndUser")
    assert nodes["actors:USA"]["labels"] == ("Chiptrail", "Country")
    assert nodes["places:KAZ"] == {"key": "places:KAZ", "country": "KAZ", "name": "Kazakhstan", "labels": ("Chiptrail", "Country")}
    seats = [*itertools.chain(*(part.batches(9) for part in graph_parts(network) if part.type == "LOCATED_IN"))]
    assert seats == [[{"key": "actors:KAZ", "from_key": "actors:KAZ", "to_key": "places:KAZ"},
                      {"key": "actors:m", "from_key": "actors:m", "to_key": "actors:USA"}]]
    [[traded]] = [batch for part in graph_parts(network) if part.type == "TRADED" for batch in part.batches(9)]
    assert traded["period_start"] == datetime.date(2022, 3, 1)
    assert (traded["concept"], traded["left_aside"], traded["case"]) == ("dispatched", None, None)


def test_supplies_count_each_flow_once(build):
    told = {"reported_by": "RUS", "flow": "import", "partner_concept": "consignment"}
    network = build([("KAZ", "RUS", "8542", "2022", 10.0), ("KAZ", "RUS", "8542", "2022", 12.0, told),
                     ("KAZ", "ARM", "8542", "2022", None)])
    [supplies] = [part.rows for part in graph_parts(network) if part.type == "SUPPLIES"]
    assert supplies[["to_key", "value_usd", "n_records", "n_left_aside"]].values.tolist() == [
        ["actors:ARM", None, 1, 0], ["actors:RUS", 10.0, 1, 1]]
    [traded] = [part.rows for part in graph_parts(network) if part.type == "TRADED"]
    assert traded["left_aside"].notna().tolist() == [False, True, False]


def test_every_kind_of_the_data_model_has_a_place():
    assert set(KINDS) == set(next(c for c in ACTORS if c.name == "kind").values)
    assert set(LINK_TYPES) == set(LINK_KINDS)


def test_a_change_of_any_value_changes_the_fingerprint(network):
    seen = {fingerprint(network)}
    for name, column, new in (("trades", "value_usd", 1.0), ("trades", "x_text", "other"), ("actors", "name", "Other"),
                              ("listings", "citation", "page 2"), ("sources", "note", "n"), ("coverage", "complete", True)):
        tables = {table: getattr(network, table) for table in TABLES}
        tables[name].loc[0, column] = new
        seen.add(fingerprint(TradeNetwork(level=network.level, **tables)))
    assert len(seen) == 7


@pytest.mark.parametrize(("values", "message"), [
    (pd.Series([b"x", b"y", b"z"]), "x_own: .* cannot hold values of type object"),
    (pd.Series(["a", "b", "a"], dtype="category"), "cannot hold values of type category"),
    (pd.Series([1j, 2j, 3j]), "cannot hold"),
    (pd.Series([1.0, 2.0, 3.0], dtype="longdouble"), "cannot hold"),
    (pd.Series([1.0, None, 3.0], dtype="double[pyarrow]"), "cannot hold"),
    (pd.Series(["a", "b", "c"], dtype=pd.StringDtype("python")), "cannot hold"),
    (pd.Series(np.array(["-0005-01-01"] * 3, dtype="datetime64[s]")), "years 1 to 9999"),
    (pd.Series([2**63, 1, 2], dtype="uint64"), "too large"),
    (pd.Series(pd.to_datetime(["2022-01-01 00:00:00.000000001"] * 3)).astype("datetime64[ns]"), "keeps microseconds"),
    (pd.Series(pd.to_datetime(["2022-01-01"] * 3)).dt.tz_localize("UTC"), "cannot hold"),
])
def test_what_would_not_come_back_is_refused(network, values, message):
    tables = {table: getattr(network, table) for table in TABLES}
    tables["actors"]["x_own"] = values.take([0, 1, 2, 0]).reset_index(drop=True)
    with pytest.raises(InputError, match=message):
        list(graph_parts(TradeNetwork(level="firms", **tables)))


def test_long_identities_have_short_keys_of_their_own():
    one, other = "a" * 10_000, "a" * 9_999 + "b"
    assert len({node_key("actors", one), node_key("actors", other), node_key("sources", one)}) == 3
    assert max(len(node_key("actors", name)) for name in (one, other)) < 100


def test_identities_that_look_like_hashes_or_joined_names_do_not_clash(build):
    long = "a" * 10_000
    hashed = node_key("actors", long).removeprefix("actors:")
    assert node_key("actors", hashed) != node_key("actors", long)
    network = build([("a\tb", "c", "8542", "2022", 1.0), ("a", "b\tc", "8542", "2022", 1.0)], level="firms")
    [supplies] = [part.rows for part in graph_parts(network) if part.type == "SUPPLIES"]
    assert supplies["key"].nunique() == 2


def test_batches_are_smaller_where_texts_are_long(build):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0, {"goods": "x" * 1_000_000})] * 10)
    [sizes] = [[len(batch) for batch in part.batches(5_000)] for part in graph_parts(network) if part.type == "TRADED"]
    assert sum(sizes) == 10
    assert max(sizes) == 4


@pytest.mark.parametrize(("table", "column", "value"), [
    ("sources", "rows_read", None), ("sources", "redistributable", "yes"), ("trades", "value_usd", "abc"), ("trades", "goods", ["a", "b"]),
    ("trades", "period_start", "soon"), ("trades", "x_int", 2**40), ("trades", "x_flag", 1), ("actors", "name", 5)])
def test_a_value_of_another_type_is_told_with_its_column(network, table, column, value):
    rows = stored(network)[1]
    rows[table][0][column] = value
    with pytest.raises(ChiptrailError, match=f"table {table}, column {column}: the graph must have"):
        network_from(about_network(network), rows)


@pytest.mark.parametrize("change", [{"own_columns": "{"}, {"own_columns": None}, {"own_columns": "[1]"}])
def test_a_changed_description_is_told(network, change):
    with pytest.raises(ChiptrailError, match="node Network was changed"):
        network_from(about_network(network) | change, stored(network)[1])


def test_a_graph_of_another_format_is_refused():
    with pytest.raises(ChiptrailError, match="format 'other'"):
        network_from({"format": "other"}, {})
