import json
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from chiptrail.cli import app
from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.network import actor_id
from chiptrail.loaders.tables import load_tables

SAMPLES = Path(__file__).parent / "samples"
ALPHA = actor_id("company", "USA", "Alpha Parts")
BETA = actor_id("company", "KAZ", "Beta Trading")
BUYER = actor_id("placeholder", "", "Unnamed buyer in Case A")


def trades_of(folder: Path, text: str, **options):
    path = folder / "mine.csv"
    path.write_text(text, encoding="utf-8")
    return load_tables(path, **options)


@pytest.fixture(scope="module")
def net():
    return load_tables(SAMPLES / "actors.csv", SAMPLES / "trades.csv")


def test_trades_row_by_row(net):
    assert net.level == "firms"
    trades = net.trades.sort_values("record_ref").reset_index(drop=True)
    assert trades["record_ref"].tolist() == [f"trades.csv:{row}" for row in (2, 3, 4, 5)]
    # a name finds the listed actor whatever its case and spaces; an id of the user's own stays
    assert trades["seller_id"].tolist() == [ALPHA, BETA, BETA, BETA]
    assert trades["buyer_id"].tolist() == [BETA, "G1", BUYER, "G1"]
    assert trades["hs_code"].tolist() == ["854231", "8542", "", "854231"]
    assert [str(d.date()) for d in trades["period_start"]] == ["2022-07-20", "2022-08-01", "2022-01-01", "2023-01-01"]
    assert [str(d.date()) for d in trades["period_end"]] == ["2022-07-20", "2022-08-31", "2022-03-31", "2023-12-31"]
    assert trades["value"].fillna(-1).tolist() == [100, 90, -1, 70]
    assert trades["currency"].tolist() == ["USD", "EUR", "", "GBP"]
    assert trades["fx_rate"].fillna(-1).tolist() == [1, 1.05, -1, -1]
    assert trades["value_usd"].fillna(-1).tolist() == [100, 94.5, -1, -1]
    assert trades["basis"].tolist() == ["recorded", "established", "alleged", "reported"]
    assert trades["case"].tolist() == ["", "Case A", "Case A", ""]
    assert trades["reported_by"].tolist() == ["Court file", "Court file", "trades.csv", "trades.csv"]
    assert set(trades["flow"] + " " + trades["partner_concept"]) == {"export destination"}
    assert trades["x_seen"].tolist() == ["yes", "", "", ""]
    assert trades["x_url"].tolist() == ["https://example.org/1", "", "", ""]


def test_actors(net):
    rows = net.actors.set_index("actor_id")
    assert rows.loc["G1", ["name", "country", "role"]].tolist() == ["Gamma Works", "RUS", "end_user"]
    assert rows.loc[BETA, ["name", "role"]].tolist() == ["Beta Trading", "intermediary"]
    assert rows.loc[BUYER, ["kind", "country"]].tolist() == ["placeholder", ""]
    assert len(rows) == 6  # two named Twin, in two countries
    assert (rows["name"] == "Twin").sum() == 2


def test_every_rejected_row_has_its_reason(net):
    sources = net.sources.set_index("title")
    assert (sources["rows_read"] == sources["rows_kept"] + sources["rejected"].map(
        lambda text: sum(json.loads(text).values()))).all()
    assert sources.loc["trades.csv", ["rows_read", "rows_kept"]].tolist() == [14, 4]
    assert json.loads(sources.loc["trades.csv", "rejected"]) == {
        "unknown country of the buyer": 1, "HS code lost its leading zero (it has an odd number of digits)": 1,
        "HS code is not 2 to 12 digits": 1, "bad date": 1, "value is negative": 1, "value without a currency": 1,
        "unknown seller": 1, "basis is not one of recorded, established, reported, alleged, estimated, inferred": 1,
        "the seller's name stands for several actors, a country is needed": 1, "fewer fields than the header": 1,
    }
    examples = json.loads(sources.loc["trades.csv", "x_rejected_examples"])
    assert examples["bad date"] == ["row 9: date = '2022-02-30'"]
    assert examples["unknown country of the buyer"] == ["row 6: buyer_country = 'Atlantis'"]
    assert json.loads(sources.loc["actors.csv", "rejected"]) == {"unknown country": 1}
    assert "1 values in other currencies have no fx_rate" in sources.loc["trades.csv", "note"]


def test_a_folder_of_plain_tables_and_a_saved_network(net, tmp_path):
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("trades.csv", "actors.csv"):
        (plain / name).write_bytes((SAMPLES / name).read_bytes())
    assert load_tables(plain).equals(net)
    net.save(tmp_path / "saved")
    assert load_tables(tmp_path / "saved").equals(net)
    with pytest.raises(InputError, match="holds a network of firms, not of countries"):
        load_tables(tmp_path / "saved", level="countries")
    (plain / "trades.parquet").write_bytes(b"")
    with pytest.raises(InputError, match="side by side"):
        load_tables(plain)


def test_parquet_gives_the_same(net, tmp_path):
    table = pd.read_csv(SAMPLES / "trades.csv", keep_default_na=False, dtype=str).iloc[:-1]
    table["value"] = pd.to_numeric(table["value"])
    table.to_parquet(tmp_path / "t.parquet")
    other = load_tables(SAMPLES / "actors.csv", tmp_path / "t.parquet")
    ours = ["trade_id", "source_id", "record_ref", "reported_by"]
    left, right = (n.trades.sort_values("record_ref").drop(columns=ours).reset_index(drop=True) for n in (net, other))
    pd.testing.assert_frame_equal(left, right)


def test_countries_are_known_by_their_codes(tmp_path):
    text = "Seller,Buyer,HS Code,Period,Value_USD\nUSA,KAZ,8542,2022,10\nKAZ,RUS,854231,2022-07,4\nKAZ,RUS,,2022,1\n"
    net = trades_of(tmp_path, text)
    assert net.level == "countries"
    assert net.actors["actor_id"].tolist() == ["KAZ", "RUS", "USA"]
    assert sorted(net.trades["value_usd"]) == [4, 10]
    assert net.trades["currency"].tolist() == ["USD", "USD"]
    assert json.loads(net.sources.iloc[0]["rejected"]) == {"no HS code": 1}
    named = trades_of(tmp_path, text.replace("USA", "United States of America"), level="countries")
    assert named.actors["actor_id"].tolist() == ["KAZ", "RUS", "USA"]
    assert trades_of(tmp_path, text, level="firms").level == "firms"


def test_start_and_end_may_be_given_or_missing(tmp_path):
    net = trades_of(tmp_path, "seller,buyer,period_start,period_end\na,b,2022,\nb,c,,2022-07\nc,d,,\nd,e,2023,2022\n")
    rows = net.trades.sort_values("record_ref")
    assert [str(d)[:10] for d in rows["period_start"]] == ["2022-01-01", "NaT", "NaT"]
    assert [str(d)[:10] for d in rows["period_end"]] == ["NaT", "2022-07-31", "NaT"]
    assert json.loads(net.sources.iloc[0]["rejected"]) == {"bad date": 1}


def test_an_import_must_say_what_its_partner_is(tmp_path):
    net = trades_of(tmp_path, "seller,buyer,flow,partner_concept\na,b,import,\na,b,Import,consignment\n")
    assert net.trades["partner_concept"].tolist() == ["consignment"]
    assert list(json.loads(net.sources.iloc[0]["rejected"])) == ["import without partner_concept (origin or consignment)"]


def test_columns_missing_misspelt_and_unknown(tmp_path):
    with pytest.raises(InputError, match=r"mine\.csv: .*no column 'buyer' \(renamed to 'byer'\?\)"):
        trades_of(tmp_path, "seller,byer\na,b\n")
    with pytest.raises(InputError, match=r"column 'valu_usd' is not known; did you mean 'value_usd'"):
        trades_of(tmp_path, "seller,buyer,valu_usd\na,b,1\n")
    net = trades_of(tmp_path, "seller,buyer,colour,x_Mine\na,b,red,1\n")
    assert "Columns not used: colour." in net.sources.iloc[0]["note"]
    assert net.trades["x_mine"].tolist() == ["1"]


def test_hostile_names_stay_what_they_are(tmp_path):
    names = ['<script>alert(1)</script>', '=cmd()', '"; DROP TABLE picked; --', "\u202eevil", "n" * 10_000, "'", "NULL", "NA"]
    table = pd.DataFrame({"seller": names, "buyer": names[::-1]})
    table.to_csv(tmp_path / "t.csv", index=False)
    net = load_tables(tmp_path / "t.csv")
    assert set(net.actors["name"]) == set(names)
    assert len(net.trades) == len(names)


def test_the_same_actor_twice_and_wrong_places(tmp_path):
    (tmp_path / "a.csv").write_text("name,country\nTwin,TUR\ntwin,TUR\n")
    with pytest.raises(InputError, match="named twice: 'twin'"):
        load_tables(tmp_path / "a.csv", SAMPLES / "trades.csv")
    with pytest.raises(InputError, match=r"no saved network and no file trades\.csv"):
        load_tables(tmp_path)
    with pytest.raises(InputError, match="must be one of firms, countries"):
        load_tables(SAMPLES / "trades.csv", level="ports")


def note(net) -> str:
    return net.sources.iloc[-1]["note"]


def rejects(net) -> dict[str, int]:
    return json.loads(net.sources.iloc[-1]["rejected"])


NAMED = "seller,buyer,hs_code,period,value_usd\nUnited States,Kazakhstan,8542,2022,10\nKazakhstan,Russian Federation,8542,2022,4\n"


def test_countries_are_known_by_their_names(tmp_path):
    net = trades_of(tmp_path, NAMED)
    assert net.level == "countries"
    assert net.actors["actor_id"].tolist() == ["KAZ", "RUS", "USA"]
    assert net.to_digraph()["USA"]["KAZ"]["value_usd"] == 10
    # a name in its own country is one; a firm named as a country in another country is not
    placed = "seller,seller_country,buyer,hs_code,period\nGeorgia,{},RUS,8542,2022\nGeorgia,,RUS,8542,2022\n"
    assert trades_of(tmp_path, placed.format("GEO")).level == "countries"
    with pytest.raises(InputError, match="not 'Georgia'"):
        trades_of(tmp_path, placed.format("USA"))


def test_most_names_of_countries_ask_for_the_level(tmp_path):
    text = NAMED.replace("Russian Federation", "Rossland")
    with pytest.raises(InputError, match=r"mine\.csv: 2 of 3 sellers and buyers are countries, but not 'Rossland'.*level="):
        trades_of(tmp_path, text)
    assert trades_of(tmp_path, text, level="firms").level == "firms"
    countries = trades_of(tmp_path, text, level="countries")
    assert countries.actors["actor_id"].tolist() == ["KAZ", "USA"]
    assert rejects(countries) == {"unknown buyer": 1}
    half = "seller,buyer\nUnited States,Acme\nKazakhstan,Beta\n"
    assert trades_of(tmp_path, half).level == "firms"
    many = "".join(f"Firm {i},Firm {i + 1}\n" for i in range(1200))
    assert trades_of(tmp_path, "seller,buyer\n" + many).level == "firms"


def test_the_command_takes_a_level(tmp_path):
    (tmp_path / "t.csv").write_text(NAMED.replace("Russian Federation", "Rossland"))

    def load(*words: str):
        return CliRunner().invoke(app, ["load", *words, "--out", str(tmp_path / "out")])

    file = str(tmp_path / "t.csv")
    assert isinstance(load("tables", file).exception, InputError)
    assert load("tables", file, "--level", "firms").exit_code == 0
    assert load_tables(tmp_path / "out").level == "firms"
    refused = load("comtrade", str(SAMPLES / "comtrade_47.csv"), "--level", "firms")
    assert refused.exit_code == 2
    assert "only for tables" in refused.output


def test_values_that_contradict_each_other_are_rejected(tmp_path):
    rows = ["100,EUR,1.1,999", "100,USD,,77", "100,USD,,99.5", "100,EUR,1.1,110.9", "100,EUR,,5", "0,USD,,0", ",,,3"]
    net = trades_of(tmp_path, "\n".join(["seller,buyer,value,currency,fx_rate,value_usd", *(f"a,b,{row}" for row in rows)]))
    assert rejects(net) == {"value_usd and value in USD differ by more than 1 %": 1,
                            "value_usd and value times fx_rate differ by more than 1 %": 1}
    assert sorted(net.trades["value_usd"]) == [0, 3, 5, 99.5, 110.9]


def test_repeated_rows_of_countries_count_once_unless_they_are_days(tmp_path):
    header = "seller,buyer,hs_code,period,value_usd,colour\n"
    row = "USA,KAZ,8542,{},{},{}\n"
    months = [row.format(*fields) for fields in [("2022", 1, "red"), ("2022-02", 2, "red"), ("2022-01/2022-03", 4, "red")]]
    days = [row.format(*fields) for fields in [("2022-02-01", 8, "red"), ("2022-02-28", 16, "red"), ("", 32, "red")]]
    other = [row.format("2022", 64, "red"), row.format("2022", 64, "blue")]
    net = trades_of(tmp_path, header + "".join(2 * (months + days) + other))
    assert net.trades["value_usd"].sum() == 1 + 2 + 4 + 2 * (8 + 16 + 32) + 64 + 64
    assert rejects(net) == {"repeats an earlier row": 3}
    assert "3 rows repeat an earlier row in every field and are kept: they may be shipments of their own." in note(net)
    firms = trades_of(tmp_path, header + "".join(2 * months), level="firms")
    assert len(firms.trades) == 6
    assert "3 rows repeat" in note(firms)


def test_years_and_months_date_a_trade(tmp_path):
    lines = ["2022,", "2022,2022-07", ",2021-03", "2022,7", "2022,12", ",7", "2022,13", "MMXX,"]
    net = trades_of(tmp_path, "\n".join(["seller,buyer,Year,Month", *(f"a,b,{line}" for line in lines)]))
    rows = net.trades.sort_values("record_ref")
    assert [f"{a:%m-%d} {b:%Y-%m-%d}" for a, b in zip(rows["period_start"], rows["period_end"], strict=True)] == [
        "01-01 2022-12-31", "07-01 2022-07-31", "03-01 2021-03-31", "07-01 2022-07-31", "12-01 2022-12-31"]
    assert rejects(net) == {"bad date": 3}
    assert "undated" not in note(net)
    both = trades_of(tmp_path, "seller,buyer,date,year\na,b,2022-07-20,2022\n")
    assert both.trades["period_end"].tolist() == [pd.Timestamp("2022-07-20")]


def test_undated_trades_are_said_first(tmp_path):
    net = trades_of(tmp_path, "seller,buyer,arrived\na,b,2022\n")
    assert note(net).startswith("All trades are undated (no column period, date, period_start, period_end, month, year).")
    assert note(trades_of(tmp_path, "seller,buyer,date\na,b,\n")).startswith("All trades are undated (their dates are empty).")
    assert "undated" not in note(trades_of(tmp_path, "seller,buyer,date\na,b,\na,b,2022\n"))


def test_names_with_and_without_a_country_are_two_actors_and_named(tmp_path):
    lines = [f"{name},{country},Z,RUS" for name in ("A1", "A2", "A3", "A4", "A5", "A6") for country in ("USA", "")]
    net = trades_of(tmp_path, "\n".join(["seller,seller_country,buyer,buyer_country", *lines[:2], "a1 ,TUR,Z,RUS", "B,,Z,RUS"]))
    assert sorted(net.actors["name"]) == ["A1", "A1", "B", "Z", "a1"]
    assert "Once with and once without a country, so counted as different actors: 'A1'." in note(net)
    net = trades_of(tmp_path, "\n".join(["seller,seller_country,buyer,buyer_country", *lines]))
    assert "different actors: 'A1', 'A2', 'A3', 'A4', 'A5' and 1 more." in note(net)
    assert "Once with" not in note(load_tables(SAMPLES / "actors.csv", SAMPLES / "trades.csv"))


def test_a_file_of_which_no_row_can_be_kept_is_an_error(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text("seller,buyer,value,date\nUSA,KAZ,5,2022\nKAZ,RUS,6,2022\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"none of its 2 rows can be kept.*correct the file"):
        load_tables(path)
