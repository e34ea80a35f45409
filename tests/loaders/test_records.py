import csv
import json

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.comtrade import load_comtrade
from chiptrail.loaders.tables import load_tables

HEADER = "seller,seller_country,buyer,buyer_country,hs_code,product_set,hs_version,date,value_usd\n"
ROWS = """\
Example Parts,USA,Sample Trading,KAZ,854231,,HS2017,2022-03-01,10
Example Parts,USA,Sample Trading,KAZ,854140,,HS2017,2022-03-01,20
Example Parts,USA,Sample Trading,KAZ,,8541+8542,HS2017,2022-03-01,30
Example Parts,USA,Muster GmbH,DEU,8542,,,2022,40
Muster GmbH,DEU,Sample Trading,KAZ,8471,,,2022-12-31,50
Muster GmbH,DEU,Sample Trading,,854231,,,,60
Sample Trading,KAZ,"Ltd ""A"", Moscow",RUS,854110,,HS2012,2023-01-01,70
Sample Trading,KAZ,Unknown place,Atlantis,854110,,HS2012,2023-01-01,80
"""
QUESTIONS = [
    {"products": "chips"}, {"products": ["8542", "8471"]}, {"since": "2022-03"}, {"until": "2022-12"},
    {"since": "2022-03", "until": "2022-12-31"}, {"countries": ["EU27"]}, {"countries": ["Russia", "KAZ"]},
    {"products": "8541+8542", "since": "2022", "countries": ["KAZ"]}, {"products": "9999"},
]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text(HEADER + ROWS, encoding="utf-8")
    return path


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_asking_while_loading_gives_what_asking_afterwards_gives(table, question):
    whole, asked = load_tables(table), load_tables(table, **question)
    pd.testing.assert_frame_equal(asked.trades, whole.where(**question).trades)
    [source] = asked.sources.to_dict("records")
    counts = json.loads(source["rejected"])
    assert counts["unknown country of the buyer"] == 1
    assert source["rows_read"] == 8 == source["rows_kept"] + sum(counts.values())
    assert {reason.partition(":")[0] for reason in counts} == {"unknown country of the buyer", "not asked for"}


def test_the_first_condition_missed_is_the_reason(table):
    counts = json.loads(load_tables(table, products="8542", since="2022-03", countries=["DEU"]).sources.loc[0, "rejected"])
    # by hand: 8541.40, the sum, 8471 and 8541.10 are other goods; 2022 and no date are outside; USA to KAZ is elsewhere
    assert counts == {"unknown country of the buyer": 1, "not asked for: product": 4, "not asked for: period": 2,
                      "not asked for: country": 1}


def test_a_saved_folder_is_asked_too(table, tmp_path):
    whole = load_tables(table)
    whole.save(tmp_path / "net")
    assert load_tables(tmp_path / "net", countries=["RUS"]).equals(whole.where(countries=["RUS"]))
    assert load_tables(tmp_path / "net").equals(whole)


def test_unknown_names_are_refused(table):
    with pytest.raises(UnknownNameError, match="chipz"):
        load_tables(table, products="chipz")
    with pytest.raises(UnknownNameError, match="Kazakstan"):
        load_tables(table, countries=["Kazakstan"])


@pytest.mark.parametrize("question", [{"products": "8542"}, {"countries": ["DEU"]}, {"since": "2023"}, {"until": "2022"}], ids=str)
def test_comtrade_is_asked_the_same(request, question):
    file = request.path.parent / "samples" / "comtrade_47.csv"
    whole, asked = load_comtrade(file), load_comtrade(file, **question)
    pd.testing.assert_frame_equal(asked.trades, whole.where(**question).trades)
    assert set(asked.coverage["period_start"]) <= set(whole.coverage["period_start"])


def test_rejected_rows_are_kept_with_their_reasons(table, tmp_path):
    with table.open("a", encoding="utf-8") as file:
        file.write("Too,short\n" + "a,USA,b,USA,8542,,,2022,1,,surplus\n")
    rejects = tmp_path / "rejects.csv"
    load_tables(table, countries=["USA", "DEU"], keep_rejects=rejects)
    with rejects.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["row"], row["reason"]) for row in rows] == [
        ("trades.csv", "8", "not asked for: country"), ("trades.csv", "9", "unknown country of the buyer"),
        ("trades.csv", "10", "fewer fields than the header"), ("trades.csv", "11", "more fields than the header")]
    assert (rows[1]["column"], rows[1]["value"]) == ("buyer_country", "Atlantis")
    names = HEADER.strip().split(",")
    assert json.loads(rows[0]["record"]) == dict(zip(
        names, ["Sample Trading", "KAZ", 'Ltd "A", Moscow', "RUS", "854110", "", "HS2012", "2023-01-01", "70"], strict=True))
    assert json.loads(rows[2]["record"]) == dict.fromkeys(names) | {"seller": "Too", "seller_country": "short"}
    assert json.loads(rows[3]["record"])["(beyond the header)"].endswith("surplus")
    load_tables(table, keep_rejects=rejects)
    with rejects.open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4 + 3


def test_no_other_file_is_written_to(table, tmp_path):
    before = table.read_bytes()
    with pytest.raises(InputError, match="no file of rejected rows"):
        load_tables(table, keep_rejects=table)
    assert table.read_bytes() == before


def test_nothing_left_is_no_fault_of_the_file(table):
    network = load_tables(table, products="9999")
    assert isinstance(network, TradeNetwork)
    assert network.trades.empty
