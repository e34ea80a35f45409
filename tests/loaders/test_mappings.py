"""The ready mappings: form and source of each, and a hand-written file of each layout with sums worked by hand."""

import csv
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.mapping import fitting, read_mapping
from chiptrail.loaders.shipments import load_shipments

SAMPLES = Path(__file__).parent / "samples"
FOLDER = Path(__file__).parents[2] / "loaders" / "mappings"
LAYOUTS = sorted(path.stem for path in FOLDER.glob("*.toml"))
ROLES = {
    "exporter", "exporter_country", "importer", "importer_country", "contract_holder", "contract_holder_country", "carrier", "maker",
    "origin_country", "dispatch_country", "trading_country", "hs_code", "goods", "value", "value_usd", "currency", "weight_kg",
    "gross_weight_kg", "quantity", "quantity_unit", "date", "declaration", "item", "flow", "reported_by", "amendment",
}


def mapping(layout: str) -> dict[str, object]:
    return tomllib.loads((FOLDER / f"{layout}.toml").read_text(encoding="utf-8"))


def plain(name: str) -> str:
    return " ".join(name.casefold().split())


def names(layout: str) -> dict[str, list[str]]:
    return {role: [n] if isinstance(n, str) else n for role, n in mapping(layout)["columns"].items()}


def trades(network: TradeNetwork) -> pd.DataFrame:
    """Trades in the order of the file, with the actors' names and countries."""
    actors = network.actors.set_index("actor_id")
    table = network.trades.copy()
    table["row"] = table["record_ref"].str.rsplit(":", n=1).str[1].astype("int64")
    for side in ("seller", "buyer", "maker"):
        table[side] = table[f"{side}_id"].map(actors["name"]).fillna("")
        table[f"{side}_country"] = table[f"{side}_id"].map(actors["country"]).fillna("")
    return table.sort_values("row", ignore_index=True)


def test_there_are_mappings() -> None:
    assert {"russian_customs", "panjiva", "panjiva_exports", "importgenius", "volza"} <= set(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_mapping_has_its_form_and_a_public_source(layout: str) -> None:
    table = mapping(layout)
    assert set(table) <= {"title", "source", "day_first", "decimal", "encoding", "columns", "constants"}
    source = table["source"]
    assert any(text.startswith("https://") for text in ([source] if isinstance(source, str) else source))
    assert table.get("decimal", ".") in (".", ",")
    assert isinstance(table["day_first"], bool)
    assert set(table["columns"]) | set(table.get("constants", {})) <= ROLES
    assert not set(table["columns"]) & set(table.get("constants", {}))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_column_has_two_roles(layout: str) -> None:
    role_of: dict[str, str] = {}
    for role, group in names(layout).items():
        for name in group:
            assert role_of.setdefault(plain(name), role) == role, name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sample_has_every_role(layout: str) -> None:
    header = _header(SAMPLES / f"{layout}.csv")
    present = {plain(name) for name in header}
    without = {role for role, group in names(layout).items() if not present & {plain(name) for name in group}}
    assert without <= {"importgenius": {"exporter_country"}}.get(layout, set())


def _header(path: Path) -> list[str]:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return next(csv.reader([first], delimiter=";" if ";" in first else ","))


def test_russian_customs() -> None:
    table = trades(load_shipments(SAMPLES / "russian_customs.csv", mapping="russian_customs"))
    assert len(table) == 4
    assert table["value_usd"].sum() == pytest.approx(120_000.50 + 6_300.25 + 10_100 + 500)
    assert table["weight_kg"].sum() == pytest.approx(1.25 + 0.5 + 2 + 3.5)
    assert table["seller"].tolist() == ["EXAMPLE TRADING LTD", "EXAMPLE TRADING LTD", "ORNEK DIS TICARET", "ООО ПРИМЕР"]
    assert table["buyer"].tolist() == ["ООО ПРИМЕР", "ООО ПРИМЕР", "АО ОБРАЗЕЦ", "ТОО УЛГИ"]
    assert table["seller_country"].tolist() == ["HKG", "HKG", "TUR", "RUS"]
    assert table["buyer_country"].tolist() == ["RUS", "RUS", "RUS", "KAZ"]
    assert table["period_start"].dt.strftime("%Y-%m-%d").tolist() == ["2022-03-05", "2022-03-05", "2022-07-12", "2022-07-13"]
    assert table["flow"].tolist() == ["import"] * 3 + ["export"]
    assert table["value"].tolist() == [120_000.5, 40_000, 10_000, 500]
    assert table["currency"].tolist() == ["USD", "CNY", "EUR", "USD"]
    assert table["origin_country"].tolist() == ["MYS", "TWN", "DEU", "RUS"]
    assert table["maker"].tolist() == ["EXILON INC", "DELTA CHIPS", "NORVEX DEVICES", ""]
    assert table["hs_code"].tolist() == ["8542319010", "8542399010", "8541100009", "8533210000"]
    assert table["quantity"].sum() == 6_210
    assert set(table["reported_by"]) == {"RUS"}


@pytest.mark.parametrize("spelling", ["code", "second", "upper"])
def test_russian_customs_in_other_spellings_of_the_columns(spelling: str, tmp_path: Path) -> None:
    sample = SAMPLES / "russian_customs.csv"
    others = {group[0]: group[1] for group in names("russian_customs").values()}
    change = {"code": lambda name: name.split()[0], "second": lambda name: others[name], "upper": lambda name: f" {name.upper()} "}
    first, _, rest = sample.read_text(encoding="utf-8").partition("\n")
    header = [change[spelling](name) for name in first.split(";")]
    path = tmp_path / "other.csv"
    path.write_text(";".join(header) + "\n" + rest, encoding="utf-8")
    expected = trades(load_shipments(sample, mapping="russian_customs"))
    found = trades(load_shipments(path, mapping="russian_customs"))
    same = ["seller", "buyer", "maker", "period_start", "flow", "hs_code", "goods", "value", "currency", "value_usd", "weight_kg",
            "quantity", "quantity_unit", "origin_country"]
    pd.testing.assert_frame_equal(found[same], expected[same])


def test_panjiva() -> None:
    table = trades(load_shipments(SAMPLES / "panjiva.csv", mapping="panjiva"))
    assert table["value_usd"].sum() == pytest.approx(25_000 + 4_000.5)
    assert table["value_usd"].isna().sum() == 1
    assert table["x_gross_weight_kg"].sum() == pytest.approx(120.5 + 30 + 70.25)
    assert table["weight_kg"].isna().all()
    assert table["seller"].tolist() == ["Delta Chips Co. Ltd.", "Norvex Devices Sdn Bhd", "Example Trading Ltd"]
    assert table["buyer"].tolist() == ["Example Parts Inc.", "Example Parts Inc.", "Sample Motors LLC"]
    assert table["seller_country"].tolist() == ["TWN", "MYS", "HKG"]
    assert table["hs_code"].tolist() == ["854231", "854110", "850440"]
    assert set(table["flow"]) == {"import"}
    assert set(table["reported_by"]) == {"USA"}
    assert table["period_start"].dt.strftime("%Y-%m-%d").tolist() == ["2022-05-04", "2022-06-05", "2022-06-07"]


def test_panjiva_exports() -> None:
    table = trades(load_shipments(SAMPLES / "panjiva_exports.csv", mapping="panjiva_exports"))
    assert table["value_usd"].sum() == pytest.approx(9_000 + 1_500.25)
    assert table["x_gross_weight_kg"].sum() == pytest.approx(400 + 250.5 + 20)
    assert table["seller"].tolist() == ["Example Parts Inc.", "Sample Motors LLC", "Example Parts Inc."]
    assert table["buyer_country"].tolist() == ["TUR", "KAZ", "TUR"]
    assert set(table["flow"]) == {"export"}


def test_importgenius() -> None:
    table = trades(load_shipments(SAMPLES / "importgenius.csv", mapping="importgenius"))
    assert table["x_gross_weight_kg"].sum() == pytest.approx(120.2 + 29.9 + 70.3)
    assert table["quantity"].sum() == 12 + 3 + 7
    assert table["seller"].tolist() == ["DELTA CHIPS CO LTD", "NORVEX DEVICES SDN BHD", "EXAMPLE TRADING LTD"]
    assert table["period_start"].dt.strftime("%Y-%m-%d").tolist() == ["2022-05-04", "2022-06-13", "2022-06-07"]
    assert set(table["origin_country"]) == {""}


def test_volza() -> None:
    table = trades(load_shipments(SAMPLES / "volza.csv", mapping="volza"))
    assert table["value_usd"].sum() == pytest.approx(2_500.5 + 110 + 70)
    assert table["value"].tolist() == [2_500.5, 100, 70]
    assert table["currency"].tolist() == ["USD", "EUR", "USD"]
    assert table["seller"].tolist() == ["Example Exports Pvt Ltd", "Example Exports Pvt Ltd", "Sample Devices Pvt Ltd"]
    assert table["buyer_country"].tolist() == ["RUS", "KAZ", "RUS"]
    assert table["quantity"].sum() == 157


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_is_recognised_by_its_columns(layout: str) -> None:
    assert fitting(_header(SAMPLES / f"{layout}.csv"), layout) == read_mapping(layout)
