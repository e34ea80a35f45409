"""Comext in each of its layouts: values as in the file, nothing lost uncounted, aggregates and secrets told apart."""

import csv
import gzip
import io
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.tellings import left_aside
from chiptrail.loaders.comext import load_comext
from chiptrail.loaders.exchange import usd_rates

SAMPLES = Path(__file__).parent / "samples"
NO_VALUE = pytest.approx(float("nan"), nan_ok=True)
VIEW = "REPORTER,PARTNER,PRODUCT,FLOW,STAT_PROCEDURE,PERIOD,VALUE_IN_EUR\n"


def rejected(network):
    return json.loads(network.sources["rejected"][0])


def told(network, *columns):
    """The trades' columns in the order of the file."""
    trades = network.trades
    order = trades["record_ref"].str.rpartition(":")[2].astype(int).sort_values().index
    return [tuple(row) for row in trades.loc[order, list(columns)].itertuples(index=False)]


def aside(network):
    """For each trade the reason why sums leave it aside."""
    return left_aside(network.trades, level="countries", retrieved=dict.fromkeys(network.sources["source_id"], ""))


# --- layouts -----------------------------------------------------------------------------------------------------------


def test_long_table():
    network = load_comext(SAMPLES / "comext_long.csv")
    assert told(network, "seller_id", "buyer_id", "hs_code", "hs_version", "value", "flow", "partner_concept", "valuation") == [
        ("DEU", "KAZ", "8471", "HS2017", 1000.0, "export", "destination", "FOB"),
        ("DEU", "KAZ", "84713000", "HS2017", 600.0, "export", "destination", "FOB"),
        ("DEU", "KAZ", "84714100", "HS2017", 400.0, "export", "destination", "FOB"),
        ("DEU", "KAZ", "84713000", "HS2022", 50.0, "export", "destination", "FOB"),
        ("IRL", "KGZ", "85423190", "HS2022", 0.0, "export", "destination", "FOB"),
        ("IRL", "KGZ", "85423190", "HS2022", 200.5, "export", "destination", "FOB"),
        ("CHN", "IRL", "85423190", "HS2022", 900.0, "import", "origin", "CIF"),
        ("AUT", "IRL", "85423190", "HS2022", 80.0, "import", "consignment", "CIF"),
        ("IRL", "ARM", "85423290", "HS2022", NO_VALUE, "export", "destination", "FOB"),
    ]
    assert network.sources["note"].tolist() == ["Confidential, kept without a value: 1 records."]
    assert sorted(network.totals["value"]) == [3.0, 1100.5]
    assert rejected(network) == {
        "indicator is not the value in euros": 1, "confidential or special code, no HS code": 1,
        "no value: not available or no trade": 1, "all goods together, no HS code": 1,
        "HS code lost its leading zero (codes have 2, 4, 6 or 8 digits)": 1, "unknown or former partner": 1,
        "period is neither one month nor one whole year": 1, "value is negative": 1, "repeats an earlier row": 1,
    }


def test_euros_are_kept_and_dollars_are_at_the_rate_of_the_month():
    network = load_comext(SAMPLES / "comext_long.csv")
    rates = usd_rates([("EUR", "2021-12"), ("EUR", "2022-01"), ("EUR", "2022-03")])
    for row in network.trades[network.trades["value"].notna()].itertuples():
        rate = rates["EUR", f"{row.period_start:%Y-%m}"]
        assert (row.currency, row.fx_rate, row.value_usd) == ("EUR", pytest.approx(rate), pytest.approx(row.value * rate))


def test_bulk_file():
    network = load_comext(SAMPLES / "full202201.dat")
    assert told(network, "seller_id", "buyer_id", "value", "breakdown", "weight_kg", "quantity_unit", "x_procedure")[:3] == [
        ("AUT", "KAZ", 500.0, "customs procedure", 3.0, "NAR", "1"),
        ("AUT", "KAZ", 70.0, "customs procedure", pytest.approx(float("nan"), nan_ok=True), "", "2"),
        ("GRC", "KAZ", 6000.0, "customs procedure", 30.0, "NAR", "1"),
    ]
    assert told(network, "seller_id", "buyer_id", "partner_concept")[3:] == [
        ("DEU", "GBR", "destination"), ("DEU", "GBR", "destination"), ("FRA", "DEU", "consignment"), ("NAM", "DEU", "origin")]
    assert network.totals["partner"].tolist() == ["QZ"]  # a secret partner is no country
    assert rejected(network) == {"confidential or special code, no HS code": 1, "all goods together, no HS code": 1}
    year = network.trades[network.trades["seller_id"].eq("GRC")].iloc[0]
    assert (str(year["period_start"].date()), str(year["period_end"].date())) == ("2022-01-01", "2022-12-31")
    assert year["fx_rate"] == pytest.approx(usd_rates([("EUR", "2022")])["EUR", "2022"])


def test_procedures_and_the_parts_of_a_country_add_up():
    flows = load_comext(SAMPLES / "full202201.dat").flows().set_index(["seller_id", "buyer_id"])["value_usd"]
    rate = usd_rates([("EUR", "2022-01")])["EUR", "2022-01"]
    assert flows["AUT", "KAZ"] == pytest.approx(570 * rate)
    assert flows["DEU", "GBR"] == pytest.approx(100 * rate)


def test_old_bulk_file():
    network = load_comext(SAMPLES / "full200101.dat")
    assert told(network, "seller_id", "buyer_id", "hs_code", "hs_version", "value", "weight_kg") == [
        ("FRA", "KAZ", "01011990", "HS1996", 2580.0, 600.0)]


def test_country_numbers_alone_are_refused(tmp_path):
    path = tmp_path / "nc200201.dat"
    path.write_text("DECLARANT,PARTNER,PRODUCT_NC,FLOW,STAT_REGIME,PERIOD,VALUE_1000ECU,QUANTITY_TON,SUP_QUANTITY\n"
                    "001,0003,01011010,1,4,200201,20.66,2.3,6\n", encoding="utf-8")
    with pytest.raises(InputError, match="names countries by number alone"):
        load_comext(path)


def test_a_packed_file_is_refused_with_advice(tmp_path):
    path = tmp_path / "full202201.7z"
    path.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(40))
    with pytest.raises(InputError, match="unpack it with 7-Zip"):
        load_comext(path)


def test_easy_comext_view_with_labels():
    network = load_comext(SAMPLES / "comext_view.csv")
    assert told(network, "seller_id", "buyer_id", "hs_code", "value", "breakdown") == [
        ("EU27", "KAZ", "8542", 14000.0, ""), ("KAZ", "AUT", "8542", 90.0, "")]
    assert rejected(network) == {"period is neither one month nor one whole year": 1, "all goods together, no HS code": 1}


@pytest.mark.parametrize("product", ["Total", "TOTAL", "TOTAL-Total"])
def test_a_file_of_all_goods_is_refused_for_that_reason(product, tmp_path):
    path = tmp_path / "view.csv"
    path.write_text(VIEW + f"Union européenne,Nulle part,{product},EXPORTATION,Total,Jan.-Dec. 2016,5\n", encoding="utf-8")
    with pytest.raises(InputError, match="all goods together"):
        load_comext(path)


@pytest.mark.parametrize(("period", "days"), [
    ("202202", ("2022-02-01", "2022-02-28")), ("2022-02", ("2022-02-01", "2022-02-28")), ("202252", ("2022-01-01", "2022-12-31")),
    ("Y2022", ("2022-01-01", "2022-12-31")), ("Jan.-Dec. 2022", ("2022-01-01", "2022-12-31")),
    ("202252-Jan.-Dec. 2022", ("2022-01-01", "2022-12-31")), ("202202-Feb. 2022", ("2022-02-01", "2022-02-28")),
    ("202252-Jan.-Oct. 2022", None), ("Jan.-Oct. 2022", None), ("202213", None), ("20220", None), ("", None),
])
def test_periods(period, days, tmp_path):
    path = tmp_path / "view.csv"
    path.write_text(VIEW + f"Austria,Kazakhstan,8542,EXPORT,T,{period},5\nAustria,Kazakhstan,8471,EXPORT,T,2021,5\n", encoding="utf-8")
    trades = load_comext(path).trades.query("hs_code == '8542'")
    assert [(str(r.period_start.date()), str(r.period_end.date())) for r in trades.itertuples()] == ([days] if days else [])


@pytest.mark.parametrize("name", ["EU", "EU28", "European Union"])
def test_a_union_of_unnamed_members_is_no_reporter(name, tmp_path):
    path = tmp_path / "view.csv"
    path.write_text(VIEW + f"{name},Kazakhstan,8542,EXPORT,T,2021,5\nAustria,Kazakhstan,8542,EXPORT,T,2021,5\n", encoding="utf-8")
    assert rejected(load_comext(path)) == {"unknown or former reporter": 1}


def view(tmp_path, *rows):
    (tmp_path / "view.csv").write_text(VIEW + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return load_comext(tmp_path / "view.csv")


@pytest.mark.parametrize("secret", [":c", ":C", ": c", "c"])
def test_a_confidential_heading_is_not_replaced_by_what_is_left_of_its_codes(secret, tmp_path):
    network = view(tmp_path, "AT,KZ,8542,2,T,202201,100", f"AT,KZ,8542,2,T,202202,{secret}", "AT,KZ,85423190,2,T,202202,20",
                   "AT,KZ,8471,2,T,202202,:")
    rows = network.trades.set_index(network.trades["period_start"].dt.month)
    secret_row = rows[rows["value"].isna()]
    assert (secret_row.index.tolist(), secret_row["hs_code"].tolist(), secret_row["currency"].tolist()) == ([2], ["8542"], [""])
    assert aside(network).to_dict() == dict.fromkeys(network.trades.index, "") | {
        network.trades.index[network.trades["hs_code"].eq("85423190")][0]: "code within a wider one"}
    [february] = network.where(since="2022-02").flows().to_dict("records")
    assert (february["value_usd"], february["known_usd"]) == (NO_VALUE, NO_VALUE)
    [january] = network.where(until="2022-01").flows().to_dict("records")
    assert january["value_usd"] == pytest.approx(100 * usd_rates([("EUR", "2022-01")])["EUR", "2022-01"])
    assert rejected(network) == {"no value: not available or no trade": 1}
    assert network.sources["rows_kept"].tolist() == [3]


def test_several_values_for_one_cell_of_a_procedure_count_once(tmp_path):
    network = view(tmp_path, "AT,KZ,8542,2,1,202201,100", "AT,KZ,8542,2,1,202201,130", "AT,KZ,8542,2,1,202201,-1",
                   "AT,KZ,8542,2,1,202201,:c", "AT,KZ,8542,2,2,202201,7", "AT,KZ,8542,2,1,202202,100", "AT,AM,8542,2,1,202201,100",
                   "AT,KZ,8542,1,1,202201,100", "DE,XI,8542,2,1,202201,5", "DE,XU,8542,2,1,202201,6",
                   "DE,QZ,8542,2,1,202201,8", "DE,QY,8542,2,1,202201,9")
    assert rejected(network) == {"repeats a cell with a larger value": 2, "value is negative": 1}
    assert sorted(network.trades["value"]) == [5, 6, 7, 100, 100, 100, 130]
    assert sorted(network.totals["value"]) == [8, 9]


def test_rows_that_differ_in_a_column_that_is_not_known_are_no_repeats(tmp_path):
    (tmp_path / "view.csv").write_text(VIEW.strip() + ",CONTAINER\nAT,KZ,8542,2,1,202201,100,0\nAT,KZ,8542,2,1,202201,130,1\n",
                                       encoding="utf-8")
    assert sorted(load_comext(tmp_path / "view.csv").trades["value"]) == [100, 130]


# --- workbooks ---------------------------------------------------------------------------------------------------------


EUROS = [["INDICATORS", "", "VALUE_IN_EUROS"]]


def workbook(tmp_path, above, *rows, header=("2022-01", "2022-02")):
    """A network from a workbook with a sheet that can be loaded, and one made of these rows."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, lines, body in (("sound", EUROS, [["Austria", "Armenia", 1, 2]]), ("tested", above, rows)):
        sheet = book.create_sheet(name)
        table = [["Dataset: ", "trade"], [], ["PRODUCT [PRODUCT]", "", "Circuits [8542]"], ["FLOW", "", "EXPORT"], *lines, [],
                 ["TIME", "TIME", *(("2022-01", "2022-02") if name == "sound" else header)],
                 ["FREQ (Labels)", "FREQ (Labels)", "Monthly", "Monthly"], ["REPORTER (Labels)", "PARTNER (Labels)"], *body]
        for row in table:
            sheet.append([None if value == "" else value for value in row])
    book.save(tmp_path / "book.xlsx")
    network = load_comext(tmp_path / "book.xlsx")
    assert network.sources["rows_read"][0] == len(network.trades) + sum(rejected(network).values())
    return network


def test_no_row_or_column_of_a_sheet_is_lost_uncounted(tmp_path):
    network = workbook(
        tmp_path, EUROS, ["Austria", "Kazakhstan", 10, ":"], ["", "Georgia", 20, 21], [], ["Germany", "Kazakhstan", 30, 31, 99],
        [], ["Special value"], [":", "not available"], ["c", "confidential", 5])
    assert told(network, "seller_id", "buyer_id", "value", "x_cell")[2:] == [
        ("AUT", "KAZ", 10, "tested!C10"), ("DEU", "KAZ", 30, "tested!C13"), ("DEU", "KAZ", 31, "tested!D13")]
    assert rejected(network) == {
        "no value: not available or no trade": 1, "unknown or former reporter": 2, "period is neither one month nor one whole year": 1}


def test_a_sheet_of_one_month_is_read(tmp_path):
    network = workbook(tmp_path, EUROS, ["Germany", "Kazakhstan", 30], header=("2022-01",))
    assert told(network, "seller_id", "value")[2:] == [("DEU", 30)]


@pytest.mark.parametrize(("above", "reason"), [
    ([], "the sheet does not say that its values are in euros"),
    ([["Thousand euro"]], "the sheet does not say that its values are in euros"),
    ([["UNIT", "", "Thousand euro"]], "dimension of the sheet is not known"),
    ([*EUROS, ["UNIT", "", "Thousand euro"]], "dimension of the sheet is not known"),
    ([*EUROS, ["Transport mode [MODE]", "", "Sea"]], "dimension of the sheet is not known"),
    ([["INDICATORS", "", "QUANTITY_IN_100KG"]], "indicator is not the value in euros"),
    ([["INDICATORS", "", "VALUE_IN_EUROS", "QUANTITY_IN_100KG"]], "indicator is not the value in euros"),
])
def test_a_sheet_must_have_values_in_euros_and_known_dimensions(above, reason, tmp_path):
    network = workbook(tmp_path, above, ["Germany", "Kazakhstan", 30, 31])
    several = "100KG" in str(above) and "EUROS" in str(above)
    assert rejected(network) == {reason: 1 if several else 2}
    assert told(network, "seller_id", "value") == [("AUT", 1), ("AUT", 2), *([("DEU", 30)] if several else [])]


def test_units_and_procedures_of_a_sheet(tmp_path):
    network = workbook(tmp_path, [["UNIT", "", "Euro"], ["STAT_PROCEDURE", "", "NORMAL"]], ["Germany", "Kazakhstan", 30, 31])
    assert told(network, "seller_id", "value", "breakdown", "x_procedure") == [
        ("AUT", 1, "", ""), ("AUT", 2, "", ""), ("DEU", 30, "customs procedure", "NORMAL"), ("DEU", 31, "customs procedure", "NORMAL")]
    whole = workbook(tmp_path, [*EUROS, ["STAT_PROCEDURE", "", "Total [T]"]], ["Germany", "Kazakhstan", 30, 31])
    assert set(whole.trades["breakdown"]) == {""}


# --- coverage, filters -------------------------------------------------------------------------------------------------


def test_coverage_is_what_the_file_shows_and_never_complete():
    coverage = load_comext(SAMPLES / "comext_long.csv").coverage
    assert not coverage["complete"].any()
    exports = coverage[coverage["reporter"].eq("IRL") & coverage["flow"].eq("export")]
    assert [(str(a.date()), str(b.date())) for a, b in zip(exports["period_start"], exports["period_end"], strict=True)] == [
        ("2022-01-01", "2022-01-31"), ("2022-03-01", "2022-03-31")]  # nothing is claimed for February
    assert set(exports["partners"]) == {"KGZ"}  # of Armenia no value is told
    german = coverage[coverage["reporter"].eq("DEU")]
    assert dict(zip(german["period_start"].dt.year, german["products"], strict=True)) == {2021: "8471", 2022: "84713000"}


def test_what_is_not_asked_for_is_counted_and_not_covered(tmp_path):
    kept = tmp_path / "rejects.csv"
    question = {"products": "8542", "since": "2022", "until": "2022-02", "countries": ["KGZ"]}
    network = load_comext(SAMPLES / "comext_long.csv", **question, keep_rejects=kept)
    assert told(network, "hs_code", "value") == [("85423190", 0.0)]
    reasons = rejected(network)
    assert sum(reasons.values()) == 19
    assert {reason for reason in reasons if reason.startswith("not asked")} == {"not asked for: product", "not asked for: period"}
    assert len(network.coverage) == 1
    assert len(pd.read_csv(kept)) == 19


def test_a_filter_loads_what_where_would_keep():
    whole = load_comext(SAMPLES / "comext_long.csv")
    question = {"products": ["8471"], "since": "2021-12", "until": "2021-12", "countries": ["KAZ"]}
    assert told(load_comext(SAMPLES / "comext_long.csv", **question), "trade_id") == told(whole.where(**question), "trade_id")


def test_headings_and_their_codes_count_once():
    network = load_comext(SAMPLES / "comext_long.csv", products="8471", until="2021")
    reason = aside(network)
    assert network.trades.loc[reason.eq(""), "hs_code"].tolist() == ["8471"]
    assert sorted(reason) == ["", "code within a wider one", "code within a wider one"]


# --- the public files --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_file(shared):
    return shared / "data" / "eurostat_comext" / "eu27_exports_cn8_monthly_2020-01_2022-11.csv.gz"


@pytest.fixture(scope="module")
def whole(long_file):
    return load_comext(long_file)


def test_the_long_file_is_kept_whole(whole):
    [source] = whole.sources.to_dict("records")
    assert source["rows_read"] == 1_141_670 == source["rows_kept"] + sum(json.loads(source["rejected"]).values())
    assert len(whole.coded_trades) + len(whole.totals) == source["rows_kept"]


def test_exports_of_chips_to_three_hubs(whole, long_file):
    # the reference: the same sums over the rows of the file, by the csv module alone
    sums: Counter = Counter()
    with gzip.open(long_file, "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["cn"].startswith("8542") and row["month"][:4] in ("2021", "2022"):
                assert len(row["cn"]) == 8
                sums[row["partner"], row["month"][:4]] += float(row["value"])
    network = whole.where(products="8542", since="2021", until="2022-11")
    trades = network.trades
    mine = trades.groupby([trades["buyer_id"], trades["period_start"].dt.year])["value"].sum()
    hubs = [("KAZ", "Kazakhstan", 6.10, 14.68), ("ARM", "Armenia", 0.42, 4.48), ("KGZ", "Kyrgyzstan", 0.06, 1.68)]
    for code, name, before, after in hubs:
        assert (mine[code, 2021], mine[code, 2022]) == (sums[name, "2021"], sums[name, "2022"])
        assert (round(mine[code, 2021] / 1e6, 2), round(mine[code, 2022] / 1e6, 2)) == (before, after)
    assert network.flows()["n_left_aside"].sum() == 0


def test_headings_of_computers_are_counted_once(whole):
    network = whole.where(products="8471", countries=["KAZ"], reported_by=["DEU"])
    trades = network.trades
    headings = trades[trades["hs_code"].eq("8471")]
    assert 0 < len(headings) < len(trades)
    assert trades.loc[aside(network).eq(""), "value"].sum() == headings["value"].sum()
    # here the codes of each month add up to their heading, so taking both would have doubled the trade
    assert trades["value"].sum() == pytest.approx(2 * headings["value"].sum())


def test_the_workbook_says_the_same_as_the_long_file(whole, shared):
    book = load_comext(shared / "data" / "eurostat_comext" / "comext_workbook_sample.xlsx")
    assert set(rejected(book)) == {"no value: not available or no trade"}
    assert book.sources["rows_read"][0] == book.sources["rows_kept"][0] + sum(rejected(book).values())
    key = ["seller_id", "buyer_id", "hs_code", "period_start"]
    mine = book.trades
    theirs = whole.where(products=sorted(mine["hs_code"].unique())).trades
    theirs = theirs[theirs["hs_code"].isin(mine["hs_code"])]
    both = mine[[*key, "value"]].merge(theirs[[*key, "value"]], on=key, how="outer", indicator=True)
    assert both["_merge"].eq("both").sum() > 9_000
    same = both[both["_merge"].eq("both")]
    assert same["value_x"].tolist() == same["value_y"].tolist()
    assert both["_merge"].eq("both").all(), both[both["_merge"].ne("both")].head()


def test_a_workbook_without_such_a_table_is_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book, content = openpyxl.Workbook(), io.BytesIO()
    book.active.append(["something", "else"])
    book.active.append(["1", "2"])
    book.save(content)
    (tmp_path / "book.xlsx").write_bytes(content.getvalue())
    with pytest.raises(InputError, match=r"book\.xlsx"):
        load_comext(tmp_path / "book.xlsx")
