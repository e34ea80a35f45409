"""Yearly totals by partner: the sample worked by hand, the contract of loaders, and the real files."""

import gzip
import json
import random
from pathlib import Path

import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.mirror_totals import ALL_GOODS, load_mirror_totals

SAMPLE = Path(__file__).parent / "samples" / "mirror_totals.csv"


def rows(network):
    own = ["trade_id", "record_ref", "source_id"]
    return sorted(network.trades.drop(columns=own).astype(str).to_numpy().tolist())


def test_sample():
    network = load_mirror_totals(SAMPLE)
    found = network.trades.set_index(["flow", "seller_id", "buyer_id"])["value"].to_dict()
    assert found == {("import", "EU27", "KAZ"): 700.0, ("import", "DEU", "KAZ"): 400.0, ("import", "CHN", "KAZ"): 250.5,
                     ("export", "EU27", "KAZ"): 900.0}
    assert network.totals.set_index("partner")["value"].to_dict() == {"World": 1000.0, "High seas": 5.0}
    assert set(network.trades["product_set"]) == {ALL_GOODS}
    assert network.trades["value_usd"].tolist() == pytest.approx((network.trades["value"] * network.trades["fx_rate"]).tolist())
    assert network.trades.set_index("flow")["valuation"].to_dict() == {"import": "CIF", "export": "FOB"}
    assert set(network.trades.loc[network.trades["flow"].eq("import"), "partner_concept"]) == {"consignment"}


def test_read_is_kept_and_rejected():
    [source] = load_mirror_totals(SAMPLE).sources.to_dict("records")
    assert (source["rows_read"], source["rows_kept"]) == (10, 6)
    assert json.loads(source["rejected"]) == {"not all goods together": 1, "period is no whole year": 1, "repeats an earlier row": 1,
                                              "unknown or former partner": 1}
    assert "does not say whether" in source["note"]


def test_the_union_counts_once_and_totals_never():
    flows = load_mirror_totals(SAMPLE).flows(prefer="importer").set_index("seller_id")
    assert flows["known_usd"].index.tolist() == ["CHN", "EU27"]


def test_coverage_names_partners_and_is_never_complete():
    coverage = load_mirror_totals(SAMPLE).coverage.set_index("flow")
    assert coverage["partners"].to_dict() == {"export": "KAZ", "import": "CHN DEU EU27"}
    assert not coverage["complete"].any()


def test_partners_by_origin_are_told_as_such():
    trades = load_mirror_totals(SAMPLE, partner_concept="origin").trades
    assert set(trades.loc[trades["flow"].eq("import"), "partner_concept"]) == {"origin"}
    with pytest.raises(InputError, match="consignment, origin"):
        load_mirror_totals(SAMPLE, partner_concept="destination")


def test_the_order_of_rows_makes_no_difference(tmp_path):
    header, *lines = SAMPLE.read_bytes().splitlines()
    random.Random(3).shuffle(lines)
    shuffled = tmp_path / SAMPLE.name
    shuffled.write_bytes(b"\n".join([header, *lines]) + b"\n")
    assert rows(load_mirror_totals(shuffled)) == rows(load_mirror_totals(SAMPLE))


def test_rejected_rows_are_kept_apart(tmp_path):
    out = tmp_path / "rejected.csv"
    load_mirror_totals(SAMPLE, keep_rejects=out)
    assert len(out.read_text("utf-8").splitlines()) == 1 + 4


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\x00\x01\x02\x03" * 50], ids=["empty", "blank", "binary"])
def test_what_is_no_table_is_refused(content, tmp_path):
    path = tmp_path / SAMPLE.name
    path.write_bytes(content)
    with pytest.raises(InputError, match=SAMPLE.stem):
        load_mirror_totals(path)


def test_a_renamed_column_is_named(tmp_path):
    path = tmp_path / SAMPLE.name
    path.write_bytes(SAMPLE.read_bytes().replace(b"PARTNER", b"PARTNE_x", 1))
    with pytest.raises(InputError, match="PARTNER"):
        load_mirror_totals(path)


def test_a_truncated_gzip_is_refused(tmp_path):
    path = tmp_path / f"{SAMPLE.name}.gz"
    whole = gzip.compress(SAMPLE.read_bytes())
    path.write_bytes(whole)
    assert rows(load_mirror_totals(path)) == rows(load_mirror_totals(SAMPLE))
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="gz"):
        load_mirror_totals(path)


def test_no_file():
    with pytest.raises(InputError, match="no file given"):
        load_mirror_totals([])


def test_real_files(shared):
    folder = shared / "data" / "mirror_totals"
    network = load_mirror_totals([folder / "national_data_converted" / "armenia_import_yearly.csv",
                                  *sorted((folder / "eu_year_export").glob("*10_45_38*.csv"))])
    sources = network.sources.set_index("file")
    assert (sources["rows_read"] == sources["rows_kept"] + sources["rejected"].map(lambda text: sum(json.loads(text).values()))).all()
    assert sources.loc["armenia_import_yearly.csv", ["rows_read", "rows_kept"]].tolist() == [573, 572]
    french = sources.loc["Relational_View_2024-11-25T10_45_38.711Z.csv"]
    assert (french["rows_read"], french["rows_kept"]) == (248, 93)
    armenia = network.trades.query("seller_id == 'EU27' and buyer_id == 'ARM' and flow == 'import'")
    assert armenia["value"].min() == pytest.approx(1.53112e8, rel=1e-5)
