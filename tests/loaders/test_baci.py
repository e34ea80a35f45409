"""BACI: units, codes and versions; an estimate that nobody reported, and no zero from a missing row."""

import json
from pathlib import Path

import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.baci import load_baci

SAMPLE = Path(__file__).parent / "samples" / "BACI_HS17_Y2022_V202601.csv"


def test_sample():
    network = load_baci(SAMPLE)
    rows = network.trades.set_index("record_ref")
    assert [(r.seller_id, r.buyer_id, r.hs_code, r.value_usd) for r in rows.sort_index().itertuples()] == [
        ("USA", "ARM", "854231", 120_500.0), ("TWN", "ARM", "854231", 2_000_000.0), ("USA", "ARM", "010121", 3_001.0),
        ("IND", "KAZ", "854232", 0.0), ("FRA", "KAZ", "854231", 7_250.0), ("DEU", "KAZ", "854231", 7_250.0),
    ]
    name = SAMPLE.name
    assert rows["weight_kg"].dropna().to_dict() == {f"{name}:2": 250.0, f"{name}:4": 1_500.0, f"{name}:7": 100.0}
    for column, value in {"hs_version": "HS2017", "reported_by": "CEPII", "basis": "estimated", "valuation": "FOB", "flow": "export",
                          "partner_concept": "destination", "currency": "USD", "fx_rate": 1.0}.items():
        assert set(rows[column]) == {value}
    assert json.loads(network.sources["rejected"][0]) == {
        "repeats an earlier row": 1, "unknown or former exporter": 1, "unknown or former importer": 1,
        "HS code is not six digits": 1, "no value": 1, "value is negative": 1, "period is no year": 1}


def test_coverage_claims_what_is_in_the_file_and_no_zeros():
    coverage = load_baci(SAMPLE).coverage
    assert coverage["reporter"].tolist() == ["DEU", "FRA", "IND", "TWN", "USA"]
    assert set(coverage["partners"]) == {"ARM KAZ"}
    assert set(coverage["products"]) == {"010121 854231 854232"}
    assert not coverage["complete"].any()


def test_years_without_a_gap_are_one_span_and_many_codes_are_all_goods(tmp_path):
    rows = [f"{year},842,51,{code},1,1" for year in (2017, 2018, 2020) for code in range(10_000, 14_000)]
    path = tmp_path / "BACI_HS92.csv"
    path.write_text("\n".join(["t,i,j,k,v,q", *rows, ""]), encoding="utf-8")
    coverage = load_baci(path).coverage
    assert [(a.year, b.year) for a, b in zip(coverage["period_start"], coverage["period_end"], strict=True)] == [(2017, 2018), (2020, 2020)]
    assert set(coverage["products"]) == {"*"}


@pytest.mark.parametrize(("name", "version"), [
    ("BACI_HS92_Y2022_V202601.csv", "HS1992"), ("baci_hs02_y2010_v202401.csv", "HS2002"), ("BACI_HS22_Y2023.csv", "HS2022"),
    ("EHS22_BACI_HS17.csv", "HS2017")])
def test_the_name_says_the_version(name, version, tmp_path):
    (tmp_path / name).write_bytes(SAMPLE.read_bytes())
    assert set(load_baci(tmp_path / name).trades["hs_version"]) == {version}


def test_a_name_without_version_needs_it(tmp_path):
    (tmp_path / "baci.csv").write_bytes(SAMPLE.read_bytes())
    with pytest.raises(InputError, match="give hs_version, one of HS1992"):
        load_baci(tmp_path / "baci.csv")
    assert set(load_baci(tmp_path / "baci.csv", hs_version="HS1996").trades["hs_version"]) == {"HS1996"}
    with pytest.raises(InputError, match="says HS2017, not HS1992"):
        load_baci(SAMPLE, hs_version="HS1992")
    with pytest.raises(UnknownNameError, match="HS92"):
        load_baci(SAMPLE, hs_version="HS92")


def test_a_name_with_two_versions_is_refused(tmp_path):
    path = tmp_path / "BACI_HS17_from_BACI_HS22.csv"
    path.write_bytes(SAMPLE.read_bytes())
    with pytest.raises(InputError, match="more than one HS version"):
        load_baci(path)


def test_a_code_is_six_digits_or_five_after_a_lost_zero(tmp_path):
    path = tmp_path / "BACI_HS17.csv"
    codes = ["854231", "10121", "8542", "121", "8542310", "85423A", "٨٥٤٢٣١"]
    path.write_text("t,i,j,k,v,q\n" + "".join(f"2022,842,51,{code},{i},1\n" for i, code in enumerate(codes)), encoding="utf-8")
    network = load_baci(path)
    assert sorted(network.trades["hs_code"]) == ["010121", "854231"]
    assert json.loads(network.sources["rejected"][0]) == {"HS code is not six digits": 5}


def test_what_is_not_asked_for_is_counted_and_not_covered():
    network = load_baci(SAMPLE, products="8542", countries=["KAZ"])
    assert network.trades["buyer_id"].unique().tolist() == ["KAZ"]
    rejected = json.loads(network.sources["rejected"][0])
    assert (rejected["not asked for: product"], rejected["not asked for: country"]) == (1, 2)
    assert set(network.coverage["reporter"]) == {"DEU", "FRA", "IND"}


def test_two_years_add_up_and_one_file_twice_counts_once(tmp_path):
    second = tmp_path / "BACI_HS17_Y2021_V202601.csv"
    second.write_text(SAMPLE.read_text(encoding="utf-8").replace("2022,", "2021,"), encoding="utf-8")
    network = load_baci([SAMPLE, second, SAMPLE])
    assert sorted(network.trades["period_start"].dt.year) == [2021] * 6 + [2022] * 6
