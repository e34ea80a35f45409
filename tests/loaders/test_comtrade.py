import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.comtrade import load_comtrade

SAMPLES = Path(__file__).parent / "samples"
TODAY = SAMPLES / "comtrade_47.csv"
OF_FILE = ["trade_id", "total_id", "source_id", "record_ref"]


def pairs(trades: pd.DataFrame) -> dict[tuple, float]:
    keys = trades[["seller_id", "buyer_id", "flow", "hs_code"]].itertuples(index=False, name=None)
    return dict(zip(keys, trades["value_usd"], strict=True))


def content(table: pd.DataFrame) -> list[dict]:
    """Rows without what depends on the file's hash, in an order of their own."""
    plain = table.drop(columns=[c for c in OF_FILE if c in table])
    return sorted(json.loads(plain.to_json(orient="records", date_format="iso")), key=str)


def today(folder: Path, *changes: tuple[str, str], name: str = "changed.csv") -> Path:
    text = TODAY.read_bytes().decode("latin-1")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = folder / name
    path.write_bytes(text.encode("latin-1"))
    return path


@pytest.fixture(scope="module")
def net():
    return load_comtrade(TODAY)


def test_todays_layout_row_by_row(net):
    totals = net.trades[net.trades["breakdown"].eq("")]
    assert pairs(totals) == {
        ("KAZ", "RUS", "export", "8542"): 700, ("KAZ", "CHN", "export", "8542"): 250, ("KAZ", "RUS", "export", "854231"): 600,
        ("KAZ", "RUS", "re-export", "8542"): 300, ("USA", "KAZ", "import", "8542"): 80,
        ("CIV", "KAZ", "import", "8542"): 20, ("KAZ", "KAZ", "re-import", "8542"): 5, ("DEU", "KAZ", "import", "8542"): 0,
    }
    by_mode = net.trades[net.trades["breakdown"].eq("transport mode")].set_index("x_transport")["value_usd"]
    assert by_mode.to_dict() == {"1000": 400, "3200": 300}
    assert net.level == "countries"
    assert len(net.trades) == 10
    assert net.trades["value_usd"].sum() == 700 + 250 + 600 + 300 + 400 + 300 + 80 + 20 + 5 + 0
    assert net.totals.set_index("partner")["value_usd"].to_dict() == {"World": 1000, "Areas, nes": 50}


def test_a_record_in_full(net):
    row = net.trades[net.trades["record_ref"].eq("comtrade_47.csv:3")].iloc[0]
    expected = {
        "seller_id": "KAZ", "buyer_id": "RUS", "hs_code": "8542", "hs_version": "HS2022", "value": 700, "currency": "USD",
        "fx_rate": 1, "value_usd": 700, "valuation": "FOB", "weight_kg": 70, "quantity": 35, "quantity_unit": "u",
        "flow": "export", "partner_concept": "destination", "breakdown": "", "reported_by": "KAZ", "basis": "recorded",
        "x_value_column": "fobvalue", "x_weight_estimated": True, "x_quantity_estimated": False, "goods": "Electronic integrated circuits",
        "period_start": pd.Timestamp("2022-01-01"), "period_end": pd.Timestamp("2022-12-31"),
    }
    assert {name: row[name] for name in expected} == expected
    origin = net.trades[net.trades["seller_id"].eq("USA")].iloc[0]
    assert origin[["partner_concept", "valuation", "x_value_column", "value"]].tolist() == ["origin", "CIF", "cifvalue", 80]
    chip = net.trades[net.trades["hs_code"].eq("854231")].iloc[0]
    assert chip["goods"] == 'Electronic integrated circuits; processors, "SoC"'
    assert pd.isna(chip["weight_kg"])  # 0 kg in the file is "not given"
    assert not chip["x_weight_estimated"]


def test_every_rejected_row_has_its_reason(net):
    source = net.sources.iloc[0]
    assert (source["rows_read"], source["rows_kept"]) == (22, 12)
    assert json.loads(source["rejected"]) == {
        "HS code lost its leading zero (HS codes have 2, 4 or 6 digits)": 1, "unknown reporter": 1,
        "unknown or former partner": 1, "value is negative": 1, "period is no year (2022) or month (202207)": 1,
        "flow is no export, import, re-export or re-import": 1, "all commodities together, no HS code": 1,
        "classification is not the Harmonized System": 1, "no value": 1, "fewer fields than the header": 1,
    }
    examples = json.loads(source["x_rejected_examples"])
    assert examples["HS code lost its leading zero (HS codes have 2, 4 or 6 digits)"] == ["row 13: cmdCode = '10121'"]
    assert examples["unknown reporter"] == ["row 14: reporterCode = '9999'"]
    assert examples["value is negative"] == ["row 16: primaryValue = '-5'"]
    assert examples["fewer fields than the header"] == ["row 22"]
    assert not source["redistributable"]
    assert "Latin-1" in source["note"]


def test_coverage_is_complete_only_where_partners_add_up_to_the_world(net):
    # heading 8542: 700 + 250 named and 50 of areas n.e.s. make the World's 1000; 854231 and the imports have no World row
    rows = net.coverage[["reporter", "flow", "partner_concept", "products", "partners", "complete"]]
    assert sorted(rows.values.tolist()) == [
        ["KAZ", "export", "destination", "8542", "CHN RUS", False],
        ["KAZ", "export", "destination", "854231", "RUS", False],
        ["KAZ", "import", "origin", "8542", "CIV DEU USA", False],
    ]
    assert set(net.coverage["period_start"]) == {pd.Timestamp("2022-01-01")}


def test_a_world_total_above_its_partners_shows_a_restricted_download(tmp_path):
    restricted = load_comtrade(today(tmp_path, (',"1000","1000","0"', ',"1010","1010","0"')))
    row = restricted.coverage.query("products.str.contains('8542') and flow == 'export'")
    assert row[["products", "partners", "complete"]].sort_values("products").values.tolist() == [
        ["8542", "CHN RUS", False], ["854231", "RUS", False]
    ]


PLAIN = "period,reporterCode,partnerCode,flowCode,classificationCode,cmdCode,primaryValue,motCode"


def plain(folder: Path, *rows: str, name: str = "plain.csv"):
    """A network of rows that each state partner, value and, where not Kazakhstan's 8542 of 2022, the fields that differ."""
    lines = []
    for row in rows:
        partner, value, *more = row.split()
        field = {"period": "2022", "reporter": "398", "flow": "X", "class": "H6", "code": "8542", "mode": "0"}
        field |= dict(part.split("=") for part in more)
        lines.append(",".join([field["period"], field["reporter"], partner, field["flow"], field["class"], field["code"],
                               value.replace("-", ""), field["mode"]]))
    path = folder / name
    path.write_text("\n".join([PLAIN, *lines]) + "\n")
    return load_comtrade(path)


def cells(net) -> dict[tuple, tuple]:
    """Partners and completeness by flow and code; a code that shares its row counts by itself."""
    return {(row.flow, code): (row.partners, row.complete) for row in net.coverage.itertuples() for code in row.products.split()}


WORLDS = [
    (["156 40", "643 60", "0 100"], ("*", True)),
    (["156 40", "899 60", "0 100"], ("CHN", False)),  # 60 has a hidden partner
    (["156 40", "899 0", "643 60", "0 100"], ("*", True)),
    (["156 40", "643 60", "97 40", "0 100"], ("*", True)),  # a bloc beside its members
    (["156 40", "643 60"], ("CHN RUS", False)),
    (["156 149500000000", "0 150000000000"], ("CHN", False)),  # 500 million are missing
    (["156 100000000001", "643 50000000000", "0 150000000003"], ("*", True)),  # rounded: 2 USD for two partners
    (["156 100000000000", "643 50000000000", "0 150000000003"], ("CHN RUS", False)),
    (["156 99", "0 100"], ("CHN", False)),  # 1 USD, but a hundredth of the total
    (["156 0", "0 0"], ("*", True)),
    (["156 40", "643 60", "0 50", "0 50 class=H5"], ("CHN RUS", False)),  # two totals
    (["156 40", "156 60 class=H5", "0 100"], ("CHN", False)),
]


def test_coverage_is_complete_where_named_partners_make_the_world(tmp_path):
    net = plain(tmp_path, *(f"{row} period={2000 + i} flow={flow}" for i, (rows, _) in enumerate(WORLDS) for row in rows
                            for flow in "XM"))
    found = {(row.flow, row.period_start.year): (row.partners, row.complete) for row in net.coverage.itertuples()}
    assert found == {(flow, 2000 + i): expected for i, (_, expected) in enumerate(WORLDS) for flow in ("export", "import")}
    assert len(net.coverage) == 2 * len(WORLDS)


@pytest.mark.parametrize(("row", "complete"), [
    ("643 -", False),  # no value
    ("643 5x", False),
    ("643 - code=854231", False),  # below the heading
    ("643 - mode=1000", False),
    ("643 5 code=85x", False),  # of what code, flow, period, reporter or classification cannot be read
    ("643 5 flow=", False),
    ("643 5 period=20221", False),
    ("643 5 reporter=", False),
    ("643 5 class=", False),
    ("643 5,,9", False),  # too many fields
    ("643 5 period=,2022", False),
    ("918 5", False),  # former partner
    ("643 - code=8541", True),
    ("643 - code=90", True),
    ("643 - period=2021", True),
    ("643 - period=202201", True),
    ("643 - reporter=417", True),
    ("643 - reporter=9999", True),
    ("643 - flow=M", True),
    ("643 - flow=RX", True),
    ("643 - flow=DX", True),
    ("643 5 class=S4", True),
    ("643 5 code=TOTAL", True),
    ("156 100", True),  # repeats the row before
])
def test_a_rejected_row_takes_completeness_from_the_cells_it_may_belong_to(tmp_path, row, complete):
    net = plain(tmp_path, "0 100", "156 100", row)
    assert sum(json.loads(net.sources.iloc[0]["rejected"]).values()) == 1
    assert cells(net) == {("export", "8542"): ("*", True) if complete else ("CHN", False)}


def test_a_value_that_only_another_column_states_leaves_a_cell_incomplete(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(PLAIN + ",fobvalue\n2022,398,0,X,H6,8542,100,0,\n2022,398,156,X,H6,8542,100,0,\n"
                            "2022,398,643,X,H6,8542,,0,60\n")
    assert cells(load_comtrade(path)) == {("export", "8542"): ("CHN RUS", False)}


def test_joined_downloads_count_once(net, tmp_path):
    header, *lines = TODAY.read_bytes().split(b"\r\n")[:-1]
    path = tmp_path / "joined.csv"
    path.write_bytes(b"\r\n".join([header, *lines, *lines]) + b"\r\n")
    joined = load_comtrade(path)
    for table in ("trades", "totals"):
        columns = [c for c in getattr(net, table) if c not in OF_FILE]
        pd.testing.assert_frame_equal(
            *(getattr(n, table)[columns].sort_values(columns, ignore_index=True) for n in (joined, net)))
    assert content(joined.coverage) == content(net.coverage)
    source = joined.sources.iloc[0]
    before = json.loads(net.sources.iloc[0]["rejected"])
    assert json.loads(source["rejected"]) == {reason: 2 * n for reason, n in before.items()} | {"repeats an earlier row": 12}
    assert json.loads(source["x_rejected_examples"])["repeats an earlier row"][0] == "row 24"
    assert (source["rows_read"], source["rows_kept"]) == (44, 12)


def test_a_row_that_differs_in_a_column_not_used_is_no_repeat(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(PLAIN + ",isLeaf\n" + "".join(f"2022,398,643,X,H6,8542,5,0,{leaf}\n" for leaf in (0, 1, 1)))
    net = load_comtrade(path)
    assert net.trades["value_usd"].tolist() == [5, 5]
    assert json.loads(net.sources.iloc[0]["rejected"]) == {"repeats an earlier row": 1}


def test_the_union_before_february_2020_is_not_eu27(tmp_path):
    periods = ["2019", "2020", "2021", "202001", "202002"]
    net = plain(tmp_path, *(f"643 {i} period={period} reporter=97" for i, period in enumerate(periods)),
                "97 9 period=2019")
    assert sorted(net.trades["value_usd"]) == [2, 4]
    assert set(net.trades["seller_id"]) == {"EU27"}
    assert json.loads(net.sources.iloc[0]["rejected"]) == {
        "European Union before February 2020: 28 members with the United Kingdom, not EU27": 3}
    assert net.totals["value_usd"].tolist() == [9]


def test_one_flow_counts_once(net):
    # of Kazakhstan to Russia: heading 700 beside its subheading 600, its re-exports 300 and its modes 400 + 300
    graph = net.to_digraph(concept="dispatched")
    assert graph["KAZ"]["RUS"]["value_usd"] == 700
    assert net.to_digraph(concept="origin")["USA"]["KAZ"]["value_usd"] == 80


def test_the_same_file_twice_counts_once(net, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(TODAY.read_bytes())
    assert len(load_comtrade([TODAY, copy]).trades) == 10
    assert load_comtrade([TODAY, TODAY]).equals(net)


def test_gzip_shuffled_columns_and_parquet_give_the_same(net, tmp_path):
    zipped = tmp_path / "t.csv.gz"
    zipped.write_bytes(gzip.compress(TODAY.read_bytes()))
    whole = pd.read_csv(TODAY, dtype=str, keep_default_na=False, encoding="latin-1", index_col=False, skiprows=[21],
                        names=[*TODAY.read_text("latin-1").splitlines()[0].split(","), "over"], header=0)
    whole = whole.drop(columns="over")
    shuffled = tmp_path / "shuffled.csv"
    whole[whole.columns[::-1]].to_csv(shuffled, index=False, sep=";")
    typed = whole.assign(**{
        name: pd.to_numeric(whole[name]) for name in ("refYear", "reporterCode", "partnerCode", "motCode", "partner2Code",
                                                      "netWgt", "qty", "cifvalue", "fobvalue", "primaryValue")
    })
    typed["isNetWgtEstimated"] = typed["isNetWgtEstimated"].eq("true")
    typed.to_parquet(tmp_path / "t.parquet")
    assert typed["cifvalue"].dtype == "float64"
    for path in (zipped, shuffled, tmp_path / "t.parquet"):
        other = load_comtrade(path)
        for table in ("trades", "totals", "coverage", "actors"):
            assert content(getattr(other, table)) == content(getattr(net, table)), (path.name, table)
    rejected = json.loads(load_comtrade(tmp_path / "t.parquet").sources.iloc[0]["rejected"])
    assert sum(rejected.values()) == 9  # all but the short row


def test_codes_without_their_texts(net, tmp_path):
    whole = pd.read_csv(TODAY, dtype=str, keep_default_na=False, encoding="latin-1", index_col=False, skiprows=[21],
                        names=[*TODAY.read_text("latin-1").splitlines()[0].split(","), "over"], header=0)
    bare = whole[[c for c in whole if not c.endswith(("Desc", "ISO", "Abbr")) and c != "over"]]
    bare = bare.rename(columns={"cifvalue": "CIFValue", "fobvalue": "FOBValue"})
    bare.to_csv(tmp_path / "bare.csv", index=False)
    other = load_comtrade(tmp_path / "bare.csv")
    assert len(bare.columns) == 47 - 12
    assert other.trades["value_usd"].sum() == net.trades["value_usd"].sum()
    assert other.totals.set_index("partner")["value_usd"].to_dict() == {"World": 1000, "code 899": 50}
    assert other.trades[["quantity", "quantity_unit"]].dropna().values.tolist() == [[35, "UN unit code 5"]]
    assert other.sources.iloc[0]["note"] == ""


def test_order_of_rows_does_not_matter(net, tmp_path):
    lines = TODAY.read_bytes().split(b"\r\n")[:-1]
    path = tmp_path / "turned.csv"
    path.write_bytes(b"\r\n".join([lines[0], *lines[:0:-1]]) + b"\r\n")
    other = load_comtrade(path)
    assert content(other.trades) == content(net.trades)
    assert content(other.coverage) == content(net.coverage)


def test_months(tmp_path):
    net = load_comtrade(SAMPLES / "comtrade_47_monthly.csv")
    rows = net.trades.sort_values("record_ref")
    assert [str(d.date()) for d in rows["period_end"]] == ["2022-01-31", "2022-02-28", "2022-02-28", "2022-02-28", "2022-02-28"]
    assert rows["seller_id"].tolist() == ["KAZ", "KAZ", "TWN", "USA", "KAZ"]
    assert rows["value_usd"].tolist() == [10, 15, 7, 4, 8]
    # an import given as FOB only, and a customs procedure beside its total
    assert rows["valuation"].tolist() == ["FOB"] * 5
    assert rows["breakdown"].tolist() == ["", "", "", "", "customs procedure"]
    assert net.to_digraph(concept="dispatched")["KAZ"]["RUS"]["value_usd"] == 25
    assert net.coverage["complete"].sum() == 0


@pytest.mark.parametrize("name", ["comtrade_35.csv", "comtrade_35_api.csv", "comtrade_29.csv", "comtrade_28.csv"])
def test_older_layouts(name):
    net = load_comtrade(SAMPLES / name)
    year = net.trades[net.trades["period_end"].eq(pd.Timestamp("2016-12-31"))]
    assert pairs(year[year["breakdown"].eq("")]) == {
        ("KAZ", "CHN", "export", "8542"): 20, ("KAZ", "RUS", "export", "8542"): 60,
        ("KAZ", "RUS", "re-export", "8542"): 30, ("USA", "KAZ", "import", "8542"): 40,
    }
    parts = year[year["breakdown"].ne("")].set_index("breakdown")["value_usd"]
    assert parts.to_dict() == {"second partner": 25, "transport mode": 60}
    march = net.trades[net.trades["period_start"].eq(pd.Timestamp("2016-03-01"))]
    assert march["value_usd"].tolist() == [12]
    assert len(net.trades) == 7
    assert net.trades["value_usd"].sum() == 60 + 20 + 30 + 40 + 60 + 12 + 25
    assert set(net.trades["hs_version"]) == {"HS2012"}
    assert net.trades["weight_kg"].sum() == 6
    assert net.totals["value_usd"].tolist() == [90]
    assert net.coverage.query("flow == 'export' and period_end.dt.month == 12")["partners"].tolist() == ["CHN RUS"]
    assert net.sources.iloc[0]["rows_read"] == 8
    assert net.sources.iloc[0]["note"] == ""
    assert net.trades[net.trades["flow"].eq("import")]["valuation"].tolist() == ["CIF"]


def test_a_renamed_column_is_named(tmp_path):
    with pytest.raises(InputError, match=r"'primaryValue' \(renamed to 'primary_value_usd'\?\)"):
        load_comtrade(today(tmp_path, ("primaryValue", "primary_value_usd")))
    # an optional column whose loss would make parts look like totals
    with pytest.raises(InputError, match=r"'modCode' is not known and 'motCode' is missing"):
        load_comtrade(today(tmp_path, ("motCode", "modCode")))


def test_an_unknown_column_is_reported(tmp_path):
    net = load_comtrade(today(tmp_path, ("isLeaf", "somethingNew")))
    assert "Columns not used: somethingNew." in net.sources.iloc[0]["note"]
    assert len(net.trades) == 10


def test_a_file_without_header_and_a_truncated_one(tmp_path):
    bare = tmp_path / "bare.csv"
    bare.write_bytes(TODAY.read_bytes().split(b"\r\n", 1)[1])
    with pytest.raises(InputError, match=r"bare\.csv: the first row looks like data"):
        load_comtrade(bare)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(TODAY.read_bytes())[:-20])
    with pytest.raises(InputError, match=r"cut\.csv\.gz: the gzip file is cut short"):
        load_comtrade(cut)


def test_repeated_rows_are_said(tmp_path):
    net = load_comtrade(today(tmp_path, (',"1000","Air",', ',"0","Air",'), (',"3200","Road",', ',"0","Road",')))
    assert net.sources.iloc[0]["note"].startswith("2 rows repeat")


def test_a_bloc_as_reporter_is_a_node_and_as_partner_a_total(tmp_path):
    reporter = load_comtrade(today(tmp_path, ('"398","KAZ","Kazakhstan","M"', '"97","EUR","European Union","M"')))
    assert reporter.actors.set_index("actor_id")["kind"]["EU27"] == "bloc"
    partner = load_comtrade(today(tmp_path, ('"156","CHN","China"', '"97","EUR","European Union"')))
    assert "European Union" in set(partner.totals["partner"])
    assert "EU27" not in set(partner.actors["actor_id"])


def test_no_file_given():
    with pytest.raises(InputError, match="no file given"):
        load_comtrade([])


@pytest.mark.parametrize(("name", "n_rows"), [
    ("comtrade_hs8542_exports_to_world_annual_2013_2024.csv", 1686),
    ("comtrade_hs8542_exports_to_world_monthly_2025-01_2025-08.csv", 396),
])
def test_real_files_with_the_world_as_partner_give_totals_only(shared, name, n_rows):
    path = shared / "data" / "comtrade" / name
    net = load_comtrade(path)
    source = net.sources.iloc[0]
    assert source["rows_read"] == n_rows == source["rows_kept"] + sum(json.loads(source["rejected"]).values())
    assert len(net.trades) == len(net.coverage) == 0
    assert len(net.totals) == source["rows_kept"]
    assert source["note"].startswith("Only World as partner: totals, no trades.")
    raw = pd.read_csv(path, dtype=str, encoding="latin-1", names=range(48), skiprows=1)  # 43: primaryValue
    assert net.totals["value_usd"].sum() == pytest.approx(raw[43].astype(float).sum(), rel=1e-12)
