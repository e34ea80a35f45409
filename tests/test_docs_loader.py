"""The worked example of a new loader in docs/ does what its page says."""

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError

DOCS = Path(__file__).resolve().parent.parent / "docs"

SAMPLE = """\ufeffYear,Country,HS Code,Description,Export Value (USD)
2021,俄羅斯,85423100002, Processors,1000.5
2021,香港,85423100002, Processors,2000
2022,俄羅斯,85423200234, Memories,0
2022,其他國家,85423200234, Memories,7
2022,火星,85423200234, Memories,1
2022,香港,8542,Circuits,1
22,香港,85423200234, Memories,1
2022,香港,85423200243, Memories,
2022,香港,85423200252, Memories,-1
2021,香港,85423100002, Processors,2000
"""
NAMES = {"俄羅斯": "Russia", "香港": "Hong Kong", "其他國家": "Others"}


@pytest.fixture(scope="module")
def load_taiwan():
    spec = importlib.util.spec_from_file_location("taiwan", DOCS / "taiwan.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load_taiwan


@pytest.fixture
def files(tmp_path):
    (tmp_path / "exports.csv").write_text(SAMPLE, encoding="utf-8")
    (tmp_path / "names.json").write_text(json.dumps(NAMES), encoding="utf-8")
    return tmp_path / "exports.csv", tmp_path / "names.json"


def test_it_is_short():
    assert len((DOCS / "taiwan.py").read_text(encoding="utf-8").splitlines()) < 100


def test_sample(load_taiwan, files):
    network = load_taiwan(*files)
    trades = network.trades.sort_values("record_ref")
    assert trades[["seller_id", "buyer_id", "hs_code", "value_usd"]].values.tolist() == [
        ["TWN", "RUS", "85423100002", 1000.5], ["TWN", "HKG", "85423100002", 2000.0], ["TWN", "RUS", "85423200234", 0.0]]
    assert network.totals[["partner", "value"]].values.tolist() == [["其他國家", 7.0]]
    [source] = network.sources.to_dict("records")
    assert json.loads(source["rejected"]) == {
        "unknown or former country": 1, "HS code is not 11 digits": 1, "period is no year": 1, "no value": 1,
        "value is negative": 1, "repeats an earlier row": 1}
    assert (source["rows_read"], source["rows_kept"]) == (10, 4)


def test_what_is_not_asked_for_is_counted(load_taiwan, files, tmp_path):
    network = load_taiwan(*files, since="2022", countries=["RUS"], keep_rejects=tmp_path / "rejects.csv")
    assert network.trades["hs_code"].tolist() == ["85423200234"]
    rejected = json.loads(network.sources["rejected"][0])
    assert rejected["not asked for: period"] == 2
    assert rejected["not asked for: country"] == 1
    assert len(pd.read_csv(tmp_path / "rejects.csv")) == sum(rejected.values()) == 9


def test_a_renamed_column_is_named(load_taiwan, files):
    files[0].write_text(SAMPLE.replace("HS Code", "HS Cod", 1), encoding="utf-8")
    with pytest.raises(InputError, match="'HS Code' \\(renamed to 'HS Cod'"):
        load_taiwan(*files)


def test_the_real_file(load_taiwan, shared):
    folder = shared / "data" / "taiwan_customs"
    file = folder / "taiwan_exports_by_country_2013_2025.csv"
    network = load_taiwan(file, folder / "country_name_map_full.json")
    [source] = network.sources.to_dict("records")
    rejected = json.loads(source["rejected"])
    assert source["rows_read"] == 9_683 == source["rows_kept"] + sum(rejected.values())
    assert set(rejected) <= {"unknown or former country"}
    raw = pd.read_csv(file, dtype={"HS Code": str}, encoding="utf-8-sig")
    russia = raw[(raw["Country"] == "俄羅斯") & (raw["Year"] == 2021)]["Export Value (USD)"].sum()
    trades = network.trades
    mine = trades[trades["buyer_id"].eq("RUS") & trades["period_start"].dt.year.eq(2021)]["value_usd"].sum()
    assert mine == pytest.approx(russia)
    assert russia > 0
