import gzip
import json

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import actor_id
from chiptrail.loaders.exchange import usd_rates
from chiptrail.loaders.shipments import load_shipments

LINES = [
    ("01.03.2022", "Пример ООО", "КАЗАХСТАН", "Образец АО", "Россия", "8542310000", "1 234,50", "0,5"),
    ("25.03.2022", "Пример ООО", "КАЗАХСТАН", "Образец АО", "Россия", "8542390000", "10,25", "12"),
    ("02.04.2022", "Muster GmbH", "DE", "Образец АО", "RU", "8471300000", "1.000.000,00", "1,125"),
]
HEADER = ("Дата", "Отправитель", "Страна отправителя", "Получатель", "Страна получателя", "Код ТН ВЭД", "Стоимость USD", "Вес, кг")
COLUMNS = dict(zip(("date", "exporter", "exporter_country", "importer", "importer_country", "hs_code", "value_usd", "weight_kg"),
                   HEADER, strict=True))


@pytest.fixture(scope="module")
def net(request):
    return load_shipments(request.path.parent / "samples" / "shipments.csv")


def written(folder, rows, *, delimiter=";", encoding="utf-8", name="t.csv"):
    quoted = [delimiter.join(f'"{cell}"' if delimiter in cell else cell for cell in row) for row in rows]
    path = folder / name
    path.write_bytes(("\r\n".join(quoted) + "\r\n").encode(encoding))
    return path


def by_row(network):
    trades = network.trades.assign(row=network.trades["record_ref"].str.rpartition(":")[2].astype(int))
    return trades.set_index("row").sort_index()


def test_which_rows_are_kept_and_why_the_others_are_not(net):
    assert by_row(net).index.tolist() == [2, 3, 5, 6, 8, 9, 10, 19]
    [source] = net.sources.to_dict("records")
    assert json.loads(source["rejected"]) == {
        "HS code lost its leading zero (it has an odd number of digits)": 1, "date is no day, month or year": 1,
        "flow is no export or import": 1, "no exporter: neither name nor country": 1, "replaced by an amendment": 1,
        "repeats an earlier row": 1, "unknown country of the importer": 1, "value is not a number": 1,
        "value without a currency": 1, "weight_kg is negative": 1,
    }
    assert (source["rows_read"], source["rows_kept"]) == (18, 8)
    assert "1 rows repeat an earlier row" in source["note"]
    assert "1 values in other currencies" in source["note"]


def test_a_record_in_full(net):
    row = by_row(net).loc[2]
    seller = actor_id("company", "USA", "Example Parts Inc.")
    assert row["seller_id"] == seller
    assert row["buyer_id"] == actor_id("company", "KAZ", "Sample Trading, LLP")
    assert (row["hs_code"], row["goods"], row["flow"], row["partner_concept"]) == ("854231", "controllers", "import", "consignment")
    assert row["period_start"] == row["period_end"] == pd.Timestamp("2022-03-01")
    assert (row["value"], row["currency"], row["fx_rate"], row["value_usd"]) == (1000, "USD", 1, 1000)
    assert (row["weight_kg"], row["quantity"], row["quantity_unit"]) == (2.5, 100, "pcs")
    assert (row["origin_country"], row["x_dispatch_country"], row["x_port"]) == ("USA", "DEU", "Aktau")
    assert (row["basis"], row["reported_by"]) == ("recorded", "customs records")
    assert row["maker_id"] == actor_id("company", "", "Example Parts Inc.")
    assert row["x_carrier_id"] == actor_id("company", "", "Muster Spedition")
    assert by_row(net).loc[3, "origin_country"] == ""


def test_values_are_converted_at_the_rate_of_the_month(net):
    row = by_row(net).loc[3]
    rate = usd_rates([("EUR", "2022-03")])["EUR", "2022-03"]
    assert (row["value"], row["currency"], row["fx_rate"]) == (500, "EUR", rate)
    assert row["value_usd"] == 500 * rate
    roubles = by_row(net).loc[10]
    assert (roubles["value"], roubles["currency"]) == (90, "RUB")
    assert pd.isna(roubles["value_usd"])


def test_spellings_that_differ_in_more_than_case_and_spaces_stay_apart(net):
    actors = net.actors.set_index("actor_id")
    assert by_row(net).loc[2, "seller_id"] == by_row(net).loc[3, "seller_id"]
    assert by_row(net).loc[3, "buyer_id"] != by_row(net).loc[5, "buyer_id"]
    assert actors["name"].str.casefold().str.split().str.join(" ").value_counts()["example parts inc."] == 2  # with and without USA
    assert actors.loc[by_row(net).loc[2, "x_carrier_id"], "role"] == "logistics"
    assert actors.loc[by_row(net).loc[2, "maker_id"], "role"] == "manufacturer"
    assert actors.loc[by_row(net).loc[2, "seller_id"], "role"] == "unknown"
    unnamed = actors.loc[by_row(net).loc[10, "buyer_id"]]
    assert (unnamed["kind"], unnamed["country"], unnamed["name"]) == ("placeholder", "RUS", "Unnamed firm in Russia")


def test_amendments_replace_what_they_amend(net, tmp_path):
    assert by_row(net).loc[5, "value"] == 750
    head = ("declaration", "item", "exporter", "importer_country", "value_usd", "amendment")
    rows = [head, ("A", "1", "x", "KZ", "1", "01.05.2022"), ("A", "1", "x", "KZ", "2", "02.04.2022"), ("B", "1", "x", "KZ", "1", ""),
            ("B", "1", "x", "KZ", "2", ""), ("B", "1", "x", "KZ", "1", ""), ("B", "2", "x", "KZ", "bad", "")]
    network = load_shipments(written(tmp_path, rows, delimiter=","))
    # A: the first row is of the later day; B: the last row says again what the first said, and that holds
    assert by_row(network)["value"].to_dict() == {2: 1, 4: 1}
    assert json.loads(network.sources.loc[0, "rejected"]) == {
        "replaced by an amendment": 2, "repeats an earlier row": 1, "value_usd is not a number": 1}


@pytest.mark.parametrize(("delimiter", "encoding", "zipped"), [
    (";", "utf-8-sig", False), (";", "utf-16", False), (";", "cp1251", False), ("\t", "utf-16-be-bom", True), (",", "cp1251", True)])
def test_encodings_delimiters_decimal_commas_and_days_first(tmp_path, delimiter, encoding, zipped):
    rows, bom = [HEADER, *LINES], encoding == "utf-16-be-bom"
    path = written(tmp_path, rows, delimiter=delimiter, encoding="utf-16-be" if bom else encoding)
    content = (b"\xfe\xff" if bom else b"") + path.read_bytes()
    path.write_bytes(gzip.compress(content) if zipped else content)
    network = load_shipments(path, columns=COLUMNS)
    trades = by_row(network)
    assert trades["value_usd"].tolist() == [1234.5, 10.25, 1_000_000]
    assert trades["weight_kg"].tolist() == [0.5, 12, 1.125]
    assert trades["period_start"].dt.strftime("%m-%d").tolist() == ["03-01", "03-25", "04-02"]
    assert set(network.actors["name"]) == {"Пример ООО", "Образец АО", "Muster GmbH"}
    assert set(network.actors["country"]) == {"KAZ", "RUS", "DEU"}


def test_parquet_and_workbook_give_the_same(tmp_path):
    table = pd.DataFrame([(pd.Timestamp(2022, 3, 1), *LINES[0][1:6], 1234.5, 0.125), (pd.Timestamp(2022, 4, 2), *LINES[2][1:6], 1e6, 3)],
                         columns=HEADER)
    table.to_parquet(tmp_path / "t.parquet")
    table.to_excel(tmp_path / "t.xlsx", index=False)
    (tmp_path / "m.toml").write_text('decimal = ","\n[columns]\n' + "".join(f'{r} = "{n}"\n' for r, n in COLUMNS.items()),
                                     encoding="utf-8")
    for name in ("t.parquet", "t.xlsx"):
        trades = by_row(load_shipments(tmp_path / name, mapping=tmp_path / "m.toml"))
        assert trades["value_usd"].tolist() == [1234.5, 1_000_000]
        assert trades["weight_kg"].tolist() == [0.125, 3]
        assert trades["hs_code"].tolist() == ["8542310000", "8471300000"]
        assert trades["period_start"].tolist() == [pd.Timestamp(2022, 3, 1), pd.Timestamp(2022, 4, 2)]


def test_what_can_be_read_in_two_ways_is_asked(tmp_path):
    head = ("exporter", "importer", "date", "weight_kg")
    path = written(tmp_path, [head, ("a", "b", "03/04/2022", "1")])
    with pytest.raises(InputError, match="day_first"):
        load_shipments(path)
    path = written(tmp_path, [head, ("a", "b", "03/14/2022", "1,234")])
    with pytest.raises(InputError, match="decimal"):
        load_shipments(path)
    path = written(tmp_path, [head, ("a", "b", "03/14/2022", "1,234"), ("a", "b", "2022-03-14", "0.25")])
    assert by_row(load_shipments(path))["weight_kg"].tolist() == [1234, 0.25]
    assert set(load_shipments(path).trades["period_end"]) == {pd.Timestamp(2022, 3, 14)}


def test_a_nine_digit_code_is_none_of_ten_without_its_zero(tmp_path):
    rows = [("exporter", "importer", "hs_code"), ("a", "b", "854231000"), ("a", "b", "101210000")]
    assert len(load_shipments(written(tmp_path, rows)).trades) == 2
    mixed = load_shipments(written(tmp_path, [*rows, ("a", "b", "8542310000")]))
    assert mixed.trades["hs_code"].tolist() == ["8542310000"]


def test_columns_and_roles_that_are_not_there(tmp_path):
    path = written(tmp_path, [HEADER, *LINES])
    with pytest.raises(InputError, match="no column for the exporter"):
        load_shipments(path)
    with pytest.raises(InputError, match="did you mean 'Отправитель'"):
        load_shipments(path, columns=COLUMNS | {"exporter": "Отправител"})
    with pytest.raises(UnknownNameError, match="exporter_country"):
        load_shipments(path, columns={"exportr_country": "x"})
    with pytest.raises(UnknownNameError, match="panjiva"):
        load_shipments(path, mapping="panjva")
    with pytest.raises(InputError, match="has no currency"):
        load_shipments(path, columns=COLUMNS | {"value": "Стоимость USD", "value_usd": ""})


def test_questions_are_asked_while_loading(net, request):
    file = request.path.parent / "samples" / "shipments.csv"
    for question in ({"products": "8542"}, {"countries": ["RUS"]}, {"since": "2022-03-06"}, {"until": "2022-03-05"}):
        asked, afterwards = load_shipments(file, **question), net.where(**question)
        assert by_row(asked).index.tolist() == by_row(afterwards).index.tolist() != by_row(net).index.tolist()


def test_several_files(tmp_path, net, request):
    file = request.path.parent / "samples" / "shipments.csv"
    other = written(tmp_path, [("exporter", "importer"), ("a", "b")])
    both = load_shipments([file, other])
    assert len(both.trades) == len(net.trades) + 1
    assert len(both.sources) == 2


RUSSIAN = ("G022", "G0231", "G082", "G0831", "G38", "G46")


def test_weights_with_three_decimals_stay_as_written(tmp_path):
    rows = [RUSSIAN, *(("Пример", "KZ", "Образец", "RU", w, "1500.50") for w in ("12.345", "1250.000", "0.500", "0.001"))]
    path = written(tmp_path, rows)
    trades = by_row(load_shipments(path, mapping="russian_customs"))
    assert trades["weight_kg"].tolist() == [12.345, 1250, 0.5, 0.001]
    assert set(trades["value_usd"]) == {1500.5}
    mapping = 'decimal = ","\n[columns]\nexporter = "G022"\nimporter = "G082"\n'
    for amounts in ('weight_kg = "G38"', 'value_usd = "G46"', 'weight_kg = "G38"\nvalue_usd = "G46"'):
        (tmp_path / "m.toml").write_text(mapping + amounts, encoding="utf-8")
        with pytest.raises(InputError, match=r"t\.csv.*two ways"):
            load_shipments(path, mapping=tmp_path / "m.toml")


def test_a_stated_sign_that_another_column_contradicts_is_refused(tmp_path):
    path = written(tmp_path, [("exporter", "importer", "weight_kg", "value_usd"), ("a", "b", "12.345", "1500.50")])
    toml = 'decimal = ","\n[columns]\n' + "".join(f'{r} = "{r}"\n' for r in ("exporter", "importer", "weight_kg", "value_usd"))
    (tmp_path / "m.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(InputError, match=r"value_usd.*'1500\.50'"):
        load_shipments(path, mapping=tmp_path / "m.toml")


@pytest.mark.parametrize(("texts", "numbers"), [
    (["12.500", "1.234.567"], [12500, 1234567]), (["12,500", "1,234,567"], [12500, 1234567]), (["0,500", "1,234"], [0.5, 1.234]),
    ([",125", "1,234"], [0.125, 1.234]), (["1250,000", "1,234"], [1250, 1.234]), (["0.500", "1,234"], [0.5, 1234]),
    (["12.500", "3"], [12.5, 3]), (["1 234.500", "2,345"], [1234.5, 2345]),
])
def test_a_column_shows_what_its_signs_mean(tmp_path, texts, numbers):
    path = written(tmp_path, [("exporter", "importer", "weight_kg"), *(("a", "b", text) for text in texts)])
    assert by_row(load_shipments(path))["weight_kg"].tolist() == numbers


def test_a_column_with_both_signs_is_never_guessed(tmp_path):
    path = written(tmp_path, [("exporter", "importer", "weight_kg"), *(("a", "b", text) for text in ("1,5", "2.5", "1,234"))])
    with pytest.raises(InputError, match=r"t\.csv: weight_kg: '1,5'.*'2\.5'"):
        load_shipments(path)
    path = written(tmp_path, [("exporter", "importer", "weight_kg", "value_usd"), ("a", "b", "12.500", "3,5")])
    with pytest.raises(InputError, match="decimal ="):
        load_shipments(path)


def test_a_number_used_twice_replaces_nothing(tmp_path):
    head = ("declaration", "item", "exporter", "importer", "hs_code", "value_usd")
    rows = [head, ("A", "1", "x", "k", "854231", "1"), ("A", "1", "x", "k", "847130", "2"), ("A", "1", "y", "k", "854231", "3"),
            ("B", "1", "x", "k", "854231", "4"), ("B", "1", "x", "k", "854239", "5")]
    network = load_shipments(written(tmp_path, rows))
    assert by_row(network)["value"].tolist() == [1, 2, 3, 5]
    assert "1 numbers used twice" in network.sources.loc[0, "note"]
    amended = [(*row, version) for row, version in zip(rows, ("amendment", "", "2", "1", "", ""), strict=True)]
    network = load_shipments(written(tmp_path, amended))
    assert by_row(network)["value"].tolist() == [2, 5]
    assert "used twice" not in network.sources.loc[0, "note"]


@pytest.mark.parametrize(("earlier", "later"), [
    ("9:05", "10:05"), ("9:05 AM", "1:05 PM"), ("12:30 AM", "1:00 AM"), ("11:59 am", "12:01 pm"), ("09:05:01", "9:05:02")])
def test_amendments_follow_the_clock(tmp_path, earlier, later):
    rows = [("declaration", "item", "exporter", "importer", "value_usd", "amendment"),
            ("A", "1", "x", "k", "2", f"01.05.2022 {later}"), ("A", "1", "x", "k", "1", f"01.05.2022 {earlier}")]
    assert load_shipments(written(tmp_path, rows)).trades["value"].tolist() == [2]


def test_ranges_are_converted_by_a_rate_of_their_own(tmp_path):
    dates = ("2022", "2022-02", "2022-01/2022-09", "2022-02-01/2022-02-15", "2022-01-01/2022-12-31")
    rows = [("exporter", "importer", "date", "value", "currency"), *(("a", "b", day, "1", "EUR") for day in dates)]
    rates = usd_rates([("EUR", "2022"), ("EUR", "2022-02")])
    year, month = rates["EUR", "2022"], rates["EUR", "2022-02"]
    assert by_row(load_shipments(written(tmp_path, rows)))["value_usd"].fillna(0).tolist() == [year, month, 0, month, year]


def test_dollars_of_the_file_have_no_rate_of_another(tmp_path):
    head = ("exporter", "importer", "date", "value", "currency", "value_usd")
    rows = [head, ("a", "b", "2022-03-01", "100", "EUR", "500"), ("a", "b", "2022-03-01", "100", "EUR", ""),
            ("a", "b", "2022-03-01", "100", "USD", "100")]
    trades = by_row(load_shipments(written(tmp_path, rows)))
    assert trades["fx_rate"].fillna(0).tolist() == [0, usd_rates([("EUR", "2022-03")])["EUR", "2022-03"], 1]
    assert trades["value_usd"].tolist()[0] == 500


def test_a_day_to_come_is_rejected(tmp_path):
    network = load_shipments(written(tmp_path, [("exporter", "importer", "date"), ("a", "b", "2098-01-01"), ("a", "b", "2022-01-01")]))
    assert json.loads(network.sources.loc[0, "rejected"]) == {"date lies in the future": 1}


def test_texts_that_name_nobody_are_no_firms(tmp_path):
    rows = [("exporter", "exporter_country", "importer", "importer_country", "maker"),
            ("SAME AS CONSIGNEE", "CN", "TO ORDER OF", "KZ", "CHINA"), ("Order Logistics Ltd", "CN", "Sample", "KZ", "ST"),
            (".", "CN", "ФИЗ. ЛИЦО", "KZ", "БЕЗ ТОВАРНОГО ЗНАКА")]
    network = load_shipments(written(tmp_path, rows))
    assert set(network.actors["name"]) == {"Unnamed firm in China", "Unnamed firm in Kazakhstan", "Order Logistics Ltd", "Sample", "ST"}


def test_files_of_one_call_have_one_reporter(tmp_path):
    files = [written(tmp_path, [("exporter", "importer", "value_usd"), ("a", "b", str(i))], name=f"{i}.csv") for i in (1, 2)]
    assert set(load_shipments(files).trades["reported_by"]) == {"customs records"}
    (tmp_path / "m.toml").write_text('title = "Example export"\n[columns]\nexporter = "exporter"\nimporter = "importer"\n')
    assert set(load_shipments(files, mapping=tmp_path / "m.toml").trades["reported_by"]) == {"Example export"}
