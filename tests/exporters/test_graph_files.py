import networkx as nx
import pandas as pd
import pytest

from chiptrail.exporters.graph_files import export_csv, export_gexf, export_graphml
from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.schema import TABLES


def read_graphml(path):
    return nx.read_graphml(path, edge_key_type=str, force_multigraph=True)


def edges_of(network):
    trades, links = network.trades, network.links
    return {
        *zip(trades["seller_id"], trades["buyer_id"], trades["trade_id"], strict=True),
        *zip(links["from_id"], links["to_id"], "link:" + links["link_id"], strict=True),
    }


def gexf_edges(graph):
    return {(a, b, data["id"]) for a, b, data in graph.edges(data=True)}


def test_graphml_read_back(firms, tmp_path):
    graph = read_graphml(export_graphml(firms, tmp_path / "new" / "g.graphml"))
    assert set(graph.nodes) == set(firms.actors["actor_id"])
    assert set(graph.edges(keys=True)) == edges_of(firms)
    assert graph.nodes["h"] == {"name": "Hub Ltd", "kind": "company", "role": "intermediary", "country": "HKG"}
    assert graph.edges["h", "p", "t1"] == {
        "relation": "trade", "hs_code": "854231", "period_start": "2022-03-01", "period_end": "2022-03-31", "value": 1e6,
        "currency": "USD", "value_usd": 1e6, "flow": "export", "partner_concept": "destination", "reported_by": "Court",
        "basis": "established", "source_id": "s1", "record_ref": "cases.csv:2",
    }
    assert "value_usd" not in graph.edges["h", "p", "t2"]
    assert "period_start" not in graph.edges["h", "p", "t2"]
    assert graph.edges["m", "d", "link:l3"]["relation"] == "component_found"
    assert graph.edges["m", "d", "link:l3"]["n_parts"] == 3.0


def test_gexf_read_back(firms, tmp_path):
    path = export_gexf(firms, tmp_path / "g.gexf")
    graph = nx.read_gexf(path)
    assert set(graph.nodes) == set(firms.actors["actor_id"])
    assert gexf_edges(graph) == edges_of(firms)
    assert graph.nodes["h"]["label"] == "Hub Ltd"
    assert graph.nodes["h"]["role"] == "intermediary"
    assert b"lastmodifieddate" not in path.read_bytes()


@pytest.mark.parametrize(("export", "read"), [(export_graphml, read_graphml), (export_gexf, nx.read_gexf)])
def test_hostile_names_survive(hostile, hostile_names, tmp_path, export, read):
    graph = read(export(hostile, tmp_path / "g.xml"))
    assert graph.number_of_edges() == 2 * len(hostile_names)
    for i, name in enumerate(hostile_names):
        expected = "".join("\ufffd" if c in "\x00\x07\x1b\x08\ufffe" else c for c in name)
        if export is export_graphml:  # XML holds line ends in text as \n only
            expected = expected.replace("\r\n", "\n")
        assert graph.nodes[f"a{i}"]["name"] == expected


@pytest.mark.parametrize("export", [export_graphml, export_gexf])
def test_same_network_same_bytes(firms, tmp_path, monkeypatch, export):
    first = export(firms, tmp_path / "a").read_bytes()
    monkeypatch.setattr("time.strftime", lambda *_: "2030-01-01")
    shuffled = TradeNetwork(level="firms", **{name: getattr(firms, name).sample(frac=1, random_state=3) for name in TABLES})
    assert export(shuffled, tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("export", [export_graphml, export_gexf])
def test_ids_that_would_melt_into_one_are_refused(build, tmp_path, export):
    with pytest.raises(InputError, match="actor ids"):
        export(build([("a\x00", "b", "8542", "2022", 1)], level="firms",
                     actors=[{"actor_id": i, "name": "n", "kind": "company", "role": "unknown"} for i in ("a\x00", "a\x01", "b")]),
               tmp_path / "g")
    same = build([("a", "b", "8542", "2022", 1, {"trade_id": t}) for t in ("t\x00", "t\x01")], level="firms")
    with pytest.raises(InputError, match="trade or link ids"):
        export(same, tmp_path / "g")


def test_csv_holds_every_table(firms, tmp_path):
    folder = export_csv(firms, tmp_path / "tables")
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in TABLES}
    for name in TABLES:
        table = getattr(firms, name)
        read = pd.read_csv(folder / f"{name}.csv", encoding="utf-8-sig", dtype=str, keep_default_na=False)
        assert list(read) == list(table)
        assert len(read) == len(table)
    trades = pd.read_csv(folder / "trades.csv", encoding="utf-8-sig", dtype=str, keep_default_na=False)
    assert trades["value_usd"].tolist() == ["1000000.0", "", "2500.0"]
    assert trades["period_start"].tolist() == ["2022-03-01", "", "2022-02-01"]


def test_csv_keeps_numbers_and_codes_exactly(build, tmp_path):
    folder = export_csv(build([("KAZ", "RUS", "010121", "2022", 0.1 + 0.2)]), tmp_path)
    trades = pd.read_csv(folder / "trades.csv", dtype=str)
    assert float(trades["value_usd"][0]) == 0.1 + 0.2
    assert trades["hs_code"][0] == "010121"


def test_csv_of_hostile_names_holds_no_formula(hostile, tmp_path):
    folder = export_csv(hostile, tmp_path)
    for name in TABLES:
        read = pd.read_csv(folder / f"{name}.csv", encoding="utf-8-sig", dtype=str, keep_default_na=False)
        assert not read.map(lambda text: text.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))).any(axis=None)
    names = pd.read_csv(folder / "actors.csv", encoding="utf-8-sig", dtype=str, keep_default_na=False)
    assert set(hostile.actors["name"][5:9]) & set(names["name"].str.removeprefix("'"))


def test_an_empty_network_is_a_file_too(build, tmp_path):
    nothing = build([("KAZ", "RUS", "8542", "2022", 1)]).where(min_value_usd=5)
    assert len(read_graphml(export_graphml(nothing, tmp_path / "g.graphml"))) == 0
    assert len(nx.read_gexf(export_gexf(nothing, tmp_path / "g.gexf"))) == 0
    assert len(list(export_csv(nothing, tmp_path / "t").iterdir())) == len(TABLES)
