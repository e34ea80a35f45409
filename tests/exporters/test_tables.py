import json
import sys
import time
import zipfile
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pandas as pd
import pytest

from chiptrail.exporters.tables import csv_text, write_table
from chiptrail.graphmodel.errors import ChiptrailError, InputError

SUFFIXES = (".csv", ".json", ".xlsx", ".dta")


@pytest.fixture
def table() -> pd.DataFrame:
    df = pd.DataFrame({
        "hub": ["KAZ", "=cmd()", ""],
        "hs_code": ["010121", "8542", ""],
        "inflow_usd": [4.27, -1.5, np.nan],
        "n_records": [3, 5_000_000_000, 0],
        "covered": [True, False, True],
        "first_date": pd.to_datetime(["2022-01-31", None, "2024-02-29"]).astype("datetime64[us]"),
        "refs": [["a.csv:2", "a.csv:3"], [], ["=b.csv:2"]],
    })
    df.attrs = {
        "question": "through which hubs?", "concept": "origin", "notes": ["First.", "=Second."],
        "left_aside": {"other telling": 2},
        "sources": [{"source_id": "s", "title": "=Title", "url": "https://example.org"}],
    }
    return df


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_same_table_gives_same_bytes_and_stays_as_it_is(table, tmp_path, suffix):
    before = table.copy()
    first = write_table(table, tmp_path / f"a{suffix}").read_bytes()
    time.sleep(1.1)  # workbooks and Stata files would note the second in which they were written
    assert write_table(table, tmp_path / f"b{suffix.upper()}").read_bytes() == first
    pd.testing.assert_frame_equal(table, before)


def test_csv(table, tmp_path):
    path = write_table(table, tmp_path / "new" / "t.csv")
    assert path.read_bytes().decode("utf-8") == (
        "\ufeffhub,hs_code,inflow_usd,n_records,covered,first_date,refs\r\n"
        "KAZ,010121,4.27,3,True,2022-01-31,a.csv:2; a.csv:3\r\n"
        "'=cmd(),8542,-1.5,5000000000,False,,\r\n"
        ",,,0,True,2024-02-29,'=b.csv:2\r\n"
    )


def test_json(table, tmp_path):
    content = json.loads(write_table(table, tmp_path / "t.json").read_text("utf-8"))
    assert content["about"] == table.attrs
    assert content["records"] == [
        {"hub": "KAZ", "hs_code": "010121", "inflow_usd": 4.27, "n_records": 3, "covered": True, "first_date": "2022-01-31",
         "refs": ["a.csv:2", "a.csv:3"]},
        {"hub": "=cmd()", "hs_code": "8542", "inflow_usd": -1.5, "n_records": 5_000_000_000, "covered": False,
         "first_date": None, "refs": []},
        {"hub": "", "hs_code": "", "inflow_usd": None, "n_records": 0, "covered": True, "first_date": "2024-02-29",
         "refs": ["=b.csv:2"]},
    ]


def test_xlsx(table, tmp_path):
    book = openpyxl.load_workbook(write_table(table, tmp_path / "t.xlsx"))
    assert book.sheetnames == ["table", "about", "sources"]
    rows = list(book["table"].values)
    assert rows[0] == tuple(table.columns)
    assert rows[1][:5] == ("KAZ", "010121", 4.27, 3, True)
    assert rows[2][:5] == ("=cmd()", "8542", -1.5, 5_000_000_000, False)
    assert rows[3] == (None, None, None, 0, True, pd.Timestamp("2024-02-29"), "=b.csv:2")
    code = book["table"]["B2"]
    assert (code.data_type, code.number_format) == ("s", "@")
    assert all(cell.data_type != "f" for sheet in book for row in sheet for cell in row)
    assert list(book["about"].values)[1:] == [
        ("question", "through which hubs?"), ("concept", "origin"), ("notes", "First."), ("notes", "=Second."),
        ("left_aside", "other telling: 2"),
    ]
    assert list(book["sources"].values) == [("source_id", "title", "url"), ("s", "=Title", "https://example.org")]


def test_xlsx_takes_sources_as_a_frame(table, tmp_path):
    table.attrs["sources"] = pd.DataFrame({"title": ["A"], "rows_read": [3]})
    book = openpyxl.load_workbook(write_table(table, tmp_path / "t.xlsx"))
    assert list(book["sources"].values) == [("title", "rows_read"), ("A", 3)]
    assert json.loads(write_table(table, tmp_path / "t.json").read_text())["about"]["sources"] == [{"title": "A", "rows_read": 3}]


def test_xlsx_cuts_what_a_cell_cannot_hold_and_says_so(tmp_path):
    path = write_table(pd.DataFrame({"a": ["y" * 40_000]}), tmp_path / "t.xlsx")
    text = openpyxl.load_workbook(path)["table"]["A2"].value
    assert len(text) == 32_767
    assert text.endswith("y [cut: 40,000 characters]")


def test_dta(table, tmp_path):
    path = write_table(table, tmp_path / "t.dta")
    with pd.read_stata(path, iterator=True) as reader:
        back, labels, about = reader.read(), reader.variable_labels(), reader.data_label
    assert about == "through which hubs?"
    assert back["hub"].tolist() == ["KAZ", "=cmd()", ""]
    assert back["hs_code"].tolist() == ["010121", "8542", ""]
    assert back["inflow_usd"].tolist()[:2] == [4.27, -1.5]
    assert back["inflow_usd"].isna().tolist() == [False, False, True]
    assert back["n_records"].tolist() == [3, 5_000_000_000, 0]
    assert back["covered"].tolist() == [1, 0, 1]
    assert back["first_date"].tolist() == [pd.Timestamp("2022-01-31"), pd.NaT, pd.Timestamp("2024-02-29")]
    assert labels["inflow_usd"] == "inflow_usd"


def test_dta_names_and_long_text(tmp_path):
    long = "Ж" * 3_000
    columns = {"case": "c", "if": "d", "2nd hub": "e", "share of routes, before the listing (a)": "f",
               "share of routes, before the listing (b)": "g", "text": long, "Größe": "h"}
    path = write_table(pd.DataFrame({name: [value] for name, value in columns.items()}), tmp_path / "t.dta")
    with pd.read_stata(path, iterator=True) as reader:
        back, labels = reader.read(), reader.variable_labels()
    assert list(back) == ["_case", "_if", "_2nd_hub", "share_of_routes__before_the_list", "share_of_routes__before_the_li_2",
                          "text", "Gr__e"]
    assert back.iloc[0].tolist() == list(columns.values())
    assert [labels[name] for name in back] == list(columns)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_empty_table_keeps_its_columns(table, tmp_path, suffix):
    path = write_table(table.head(0), tmp_path / f"t{suffix}")
    if suffix == ".csv":
        assert path.read_text("utf-8-sig").split("\n")[0] == ",".join(table.columns)
    elif suffix == ".json":
        assert json.loads(path.read_text())["records"] == []
    elif suffix == ".xlsx":
        assert list(openpyxl.load_workbook(path)["table"].values) == [tuple(table.columns)]
    else:
        assert list(pd.read_stata(path)) == list(table.columns)


def test_infinite_numbers(tmp_path):
    df = pd.DataFrame({"ratio": [1.0, np.inf, -np.inf], "n": 1})
    assert json.loads(write_table(df, tmp_path / "t.json").read_text())["records"][1] == {"ratio": None, "n": 1}
    assert list(openpyxl.load_workbook(write_table(df, tmp_path / "t.xlsx"))["table"].values)[2:] == [(None, 1), (None, 1)]
    assert pd.read_stata(write_table(df, tmp_path / "t.dta"))["ratio"].isna().tolist() == [False, True, True]


def test_hostile_text_harms_no_format(hostile_names, tmp_path):
    texts = [*hostile_names, "lone surrogate \ud800 here"]
    df = pd.DataFrame({"name": pd.Series(texts, dtype=object), "=1+1": 1.5})
    df.attrs = {"question": texts[1], "notes": texts, "sources": [{"title": text, "url": text} for text in texts]}
    read = pd.read_csv(write_table(df, tmp_path / "t.csv"), encoding="utf-8-sig", dtype=str, keep_default_na=False)
    assert list(read) == ["name", "'=1+1"]
    for text, back in zip(texts, read["name"], strict=True):
        assert back[0] not in "=+-@\t\r\n"
        expected = "".join("\ufffd" if c in "\x00\x07\x1b\x08\ufffe\ud800" else c for c in text)
        assert back == (f"'{expected}" if text[0] in "=+-@\t\r\n" else expected)
    assert [row["name"] for row in json.loads(write_table(df, tmp_path / "t.json").read_text())["records"]] == texts

    path = write_table(df, tmp_path / "t.xlsx")
    book = openpyxl.load_workbook(path)
    assert all(cell.data_type != "f" for sheet in book for row in sheet for cell in row)
    assert [row[0] for row in list(book["table"].values)[1:]][:10] == texts[:10]
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            ElementTree.fromstring(archive.read(name))
    assert pd.read_stata(write_table(df, tmp_path / "t.dta"))["name"].tolist()[:10] == texts[:10]


def test_a_named_index_is_written():
    df = pd.DataFrame({"v": [1]}, index=pd.Index(["KAZ"], name="hub"))
    assert csv_text(df) == "hub,v\r\nKAZ,1\r\n"


def test_unknown_ending_says_which_are_known(table, tmp_path):
    with pytest.raises(InputError, match=r"t\.ods.*\.csv, \.json, \.xlsx, \.dta"):
        write_table(table, tmp_path / "t.ods")


def test_missing_openpyxl_says_what_to_install(table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ChiptrailError, match=r"pip install chiptrail\[xlsx\]"):
        write_table(table, tmp_path / "t.xlsx")
    assert not (tmp_path / "t.xlsx").exists()


@pytest.mark.parametrize("ending", ["csv", "json", "xlsx", "dta"])
def test_a_ranking_with_unranked_rows_is_written(tmp_path, ending):
    import chiptrail as ct

    hubs = ct.transit_hubs(ct.load_bundled("countries"), origins=["USA"], destinations=["RUS"], since="2022", until="2022")
    assert hubs["rank"].isna().any()
    path = ct.write_table(hubs, tmp_path / f"hubs.{ending}")
    if ending == "dta":
        back = pd.read_stata(path)
        assert back["rank"].tolist()[:5] == [1, 2, 3, 4, 5]
        assert back["rank"].isna().sum() == hubs["rank"].isna().sum()
    assert path.stat().st_size > 1000
