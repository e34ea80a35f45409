import json
import random
import tomllib

import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.mapping import ROLES, choose, fitting, mapping_text, propose, read_mapping, ready_mappings, with_columns
from chiptrail.loaders.shipments import load_shipments

COLUMNS = {
    "Регистрационный номер ДТ": "declaration", "Номер товара в ДТ": "item", "Дата выпуска": "date", "Направление": "flow",
    "Фирма-отправитель": "exporter", "Страна отправителя": "exporter_country", "Адрес отправителя": "",
    "Фирма-получатель": "importer", "ИНН получателя": "", "Страна получателя": "importer_country", "Адрес получателя": "",
    "Перевозчик": "carrier", "Изготовитель": "maker", "Страна происхождения": "origin_country",
    "Страна отправления": "dispatch_country", "Код ТН ВЭД ЕАЭС": "hs_code", "Описание товаров": "goods",
    "Вес брутто, кг": "gross_weight_kg", "Вес нетто, кг": "weight_kg", "Количество": "quantity", "Стоимость по счёту": "value",
    "Валюта счёта": "currency",
}
"""A layout that no ready mapping knows: 22 columns and the role of each."""


def customs_rows(n, seed):
    draw = random.Random(seed)
    sellers = [(f"Example Parts {i} Ltd.", draw.choice(["КИТАЙ", "ГОНКОНГ", "ТУРЦИЯ", "США", "КАЗАХСТАН"])) for i in range(40)]
    for i in range(n):
        seller, country = draw.choice(sellers)
        value = draw.randrange(100, 10_000_000)
        yield [
            f"10{draw.randrange(100):02}/{i // 3:06}/22", str(i % 3 + 1), f"{draw.randrange(1, 29):02}.{draw.randrange(1, 13):02}.2021",
            "ИМ", seller, country, "ул. Примерная, 1", f'ООО "Образец {draw.randrange(90)}"', str(draw.randrange(10**9, 10**10)), "РОССИЯ",
            "г. Примерск", draw.choice(["Muster Spedition GmbH", ""]), draw.choice(["Example Parts Inc.", "Muster AG"]),
            draw.choice(["США", "МАЛАЙЗИЯ", "КИТАЙ"]), country, draw.choice(["8542311001", "8542399010", "8541100009", "8471300000"]),
            "микросхемы; для промышленности", f"{draw.randrange(1, 999)},5", f"{draw.randrange(1, 999)},25", str(draw.randrange(1, 5000)),
            f"{value // 100},{value % 100:02}", draw.choice(["USD", "EUR", "CNY"]),
        ], value


@pytest.fixture(scope="module")
def customs(tmp_path_factory):
    path = tmp_path_factory.mktemp("customs") / "выгрузка.csv"
    rows, cents = zip(*customs_rows(5400, 7), strict=True)
    lines = [";".join(COLUMNS), *(";".join(f'"{c.replace(chr(34), chr(34) * 2)}"' for c in row) for row in rows)]
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode("cp1251"))
    return path, rows, cents


def test_an_unknown_customs_file_loads_after_a_proposal_and_one_confirmation(customs, tmp_path):
    path, rows, cents = customs
    assert len(COLUMNS) == 22
    with pytest.raises(InputError, match="chiptrail map"):
        load_shipments(path)
    proposal = propose(path)
    assert {guess.column: role for role, guess in proposal.guesses.items()} == {c: r for c, r in COLUMNS.items() if r}
    assert set(proposal.unused) == {column for column, role in COLUMNS.items() if not role}
    confirmed = tmp_path / "confirmed.toml"
    confirmed.write_text(mapping_text(proposal).replace("[constants]", '[constants]\nreported_by = "RUS"'), encoding="utf-8")
    network = load_shipments(path, mapping=confirmed)
    [source] = network.sources.to_dict("records")
    assert source["rows_read"] == len(rows) == len(network.trades) + sum(json.loads(source["rejected"]).values())
    assert len(network.trades) == len(rows)
    assert network.trades["value"].sum() == pytest.approx(sum(cents) / 100, abs=1e-3)
    assert network.trades["value_usd"].notna().all()
    assert set(network.trades["reported_by"]) == {"RUS"}
    buyers = {row[7] for row in rows}
    assert set(network.actors["name"]) == buyers | {row[4] for row in rows} | {row[11] for row in rows} - {""} | {row[12] for row in rows}
    assert network.trades["period_start"].dt.strftime("%d.%m.%Y").value_counts().sum() == len(rows)


def test_the_text_says_why_and_what_was_not_found(customs):
    text = mapping_text(propose(customs[0]))
    read = tomllib.loads(text)
    assert read["columns"] == {role: column for column, role in COLUMNS.items() if role}
    assert read["day_first"] is True
    lines = text.splitlines()
    for line, before in zip(lines[1:], lines, strict=False):
        if line.partition(" = ")[0] in ROLES:
            assert "by its name" in before
            assert "for example" in before
    assert "# Roles not found: contract_holder" in text
    assert "# ИНН получателя: " in text


def test_contents_speak_where_names_do_not_and_are_to_be_confirmed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("c1,c2,Shipper,Consignee,Total value\n8542.31,2022-03-01,Example Ltd,Sample Inc,10\n8541.10,2022-03-02,A Ltd,B Inc,9\n")
    proposal = propose(path)
    assert {role: (guess.column, guess.confirm) for role, guess in proposal.guesses.items()} == {
        "exporter": ("Shipper", False), "importer": ("Consignee", False), "value": ("Total value", False),
        "hs_code": ("c1", True), "date": ("c2", True)}
    text = mapping_text(proposal)
    assert text.count("CONFIRM: ") == 3  # both guesses, and the currency that is nowhere
    assert '# currency = ""' in text


def test_columns_that_fit_equally_are_to_be_confirmed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Shipper,Consignee,Departure date,Arrival date\nExample Ltd,Sample Inc,03/04/2022,05/06/2022\n")
    proposal = propose(path)
    assert proposal.guesses["date"].confirm
    assert "date' may be it too" in proposal.guesses["date"].why
    assert "day_first = true  # CONFIRM" in mapping_text(proposal)


def test_a_gross_weight_is_no_net_weight_and_a_price_no_item(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Shipper,Consignee,Gross Weight,Item Rate,Item Price USD,Line Item\nExample Ltd,Sample Inc,12.5,1.5,3,x1\n")
    proposal = propose(path)
    assert proposal.guesses["gross_weight_kg"].column == "Gross Weight"
    assert not {"weight_kg", "item"} & proposal.guesses.keys()
    path.write_text("Shipper,Consignee,Net weight,Gross weight,Item\nExample Ltd,Sample Inc,12.5,13,2\n")
    guesses = propose(path).guesses
    assert [guesses[role].column for role in ("weight_kg", "gross_weight_kg", "item")] == ["Net weight", "Gross weight", "Item"]


@pytest.mark.parametrize(("encoding", "shipper"), [("cp866", "ООО Пример"), ("windows-1254", "Örnek Ticaret “A” Ş. İğ"),
                                                   ("windows-1252", "Beispiel “Mitte” Gruß")])
def test_an_encoding_that_is_guessed_is_to_be_confirmed(tmp_path, encoding, shipper):
    path = tmp_path / "t.csv"
    path.write_bytes(f"Shipper,Consignee\n{shipper},Sample Inc\n".encode(encoding))
    with pytest.raises(InputError, match="encoding"):
        load_shipments(path, columns={"exporter": "Shipper", "importer": "Consignee"})
    proposal = propose(path)
    text = mapping_text(proposal)
    assert f'encoding = "{encoding}"  # CONFIRM' in text
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    network = load_shipments(path, mapping=tmp_path / "m.toml")
    assert set(network.actors["name"]) == {shipper, "Sample Inc"}


def test_hostile_names_stay_inside_their_quotes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('"Shipper ""x"" \\","Consignee\u2028[columns]"\n"Example\nLtd","Sample"\n', encoding="utf-8")
    proposal = propose(path)
    mapping = tmp_path / "m.toml"
    mapping.write_text(mapping_text(proposal), encoding="utf-8")
    assert choose(read_mapping(mapping), ['Shipper "x" \\', "Consignee\u2028[columns]"], "t.csv") == {
        "exporter": 'Shipper "x" \\', "importer": "Consignee\u2028[columns]"}


@pytest.mark.parametrize("name", ready_mappings())
def test_ready_mappings_are_whole(name):
    mapping = read_mapping(name)
    assert set(mapping.columns) | set(mapping.constants) <= set(ROLES)
    assert "https://" in mapping.source
    header = [names[0] for names in mapping.columns.values()]
    assert choose(mapping, header, "t.csv") == {role: names[0] for role, names in mapping.columns.items()}
    assert fitting(header, "t.csv") == mapping


@pytest.mark.parametrize(("text", "error", "message"), [
    ("[columns]\nexportr = 'a'", UnknownNameError, "exporter"),
    ("[columns]\nexporter = 3", InputError, "must be a name"),
    ("[constants]\nflow = 3", InputError, "must be a text"),
    ("tittle = 'x'", UnknownNameError, "title"),
    ("decimal = ';'", InputError, "decimal"),
    ("day_first = 'yes'", InputError, "day_first"),
    ("[columns", InputError, "no mapping in TOML"),
])
def test_mistakes_in_a_mapping_are_named(tmp_path, text, error, message):
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        read_mapping(path)


def test_a_user_names_columns_over_a_mapping():
    mapping = with_columns(read_mapping("volza"), {"exporter": "Mine", "carrier": "", "x_port": "Port"})
    assert mapping.columns["exporter"] == ("Mine",)
    assert mapping.columns["x_port"] == ("Port",)
    assert "carrier" not in mapping.columns
    with pytest.raises(UnknownNameError, match="maker"):
        with_columns(mapping, {"makr": "x"})
