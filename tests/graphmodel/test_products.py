"""Product questions, against the public list in the data folder and a slow second way to match rows."""

import datetime as dt
import itertools
import random
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.products import ProductQuestion, match, product_codes, product_lists

FLAGS = ("within", "coarse", "too_coarse")
NINE = {"854231", "854232", "854233", "854239", "851762", "852691", "853221", "853224", "854800"}


def verdict(question: ProductQuestion, code: str, version: str = "", product_set: str = "") -> str:
    one = [pd.Series([value], dtype="str") for value in (code, product_set, version)]
    flags = match(question, *one).iloc[0]
    assert flags.sum() <= 1
    return next((flag for flag in FLAGS if flags[flag]), "out")


def test_the_high_priority_list_is_that_of_the_public_file_with_its_tiers(shared: Path) -> None:
    public = pd.read_csv(shared / "data/reference/chpl_2024-02-23.csv", dtype=str, keep_default_na=False)
    table = product_lists()
    ours = table[table["product_list"].eq("chpl") & table["valid_from"].eq("2024-02-23") & table["hs_version"].eq("HS2022")]
    assert set(zip(ours["hs_code"], ours["tier"], strict=True)) == set(zip(public["hs6"], public["tier"], strict=True))
    assert ours["wider"].eq("no").all()
    assert ours["tier"].value_counts().to_dict() == {"1": 4, "2": 5, "3.A": 16, "3.B": 9, "4.A": 11, "4.B": 5}
    nomenclature = pd.read_csv(shared / "data/reference/hs2022.csv", dtype=str, keep_default_na=False)["hscode"]
    assert set(table.loc[table["hs_version"].eq("HS2022"), "hs_code"]) <= set(nomenclature)


def test_codes_of_older_versions_exist_there(shared: Path) -> None:
    public = pd.read_csv(shared / "data/reference/hs_concordances.csv", dtype=str, keep_default_na=False)
    table = product_lists()
    table = table[table["hs_version"].ne("") & table["hs_version"].ne("HS2022")]
    spread = table.assign(hs_version=table["hs_version"].str.split(" ")).explode("hs_version")
    for version, codes in spread.groupby("hs_version")["hs_code"]:
        rows = public[public["adjustment"].str.endswith(f" to {str(version)[2:]}")]
        assert set(codes) - set(rows["code.before"].str.zfill(6)) == set(), version


def test_six_codes_begin_with_hs2022_and_have_wider_ones_before() -> None:
    newest = product_codes("chpl")
    assert newest.codes["HS2022"] - newest.codes["HS2017"] == {"854800", "852589", "880730", "854149", "854151", "854159"}
    assert newest.wider == {"HS2017": {"854890", "852580", "880330", "854140", "854150"}}
    assert len(newest.codes["HS2017"]) == 44


def test_dated_versions_and_tiers() -> None:
    assert product_codes("chpl", on="2023-05-19").codes["HS2022"] == NINE
    assert product_codes("chpl", on="2024-02-22").codes["HS2022"] == NINE
    assert product_codes("chpl", on=dt.date(2024, 2, 23)).codes["HS2022"] == product_codes("chpl").codes["HS2022"]
    assert product_codes("chpl:1").codes["HS2022"] | product_codes("CHPL:2").codes["HS2022"] == NINE
    assert product_codes("chpl:2").wider == {"HS2017": {"854890"}}
    assert len(product_codes("chpl:3").codes["HS2022"]) == 25
    assert len(product_codes("chpl:3.A").codes["HS2022"]) == 16
    assert product_codes("chpl:3.a").name == "chpl of 2024-02-23, tier 3.A"


@pytest.mark.parametrize(("products", "on", "says"), [
    ("chip", None, "did you mean 'chips'"), ("chpl:9", None, "3.A, 3.B"), ("chpl:1", "2023-06", "none"),
    ("chpl", "2023-05-18", "2023-05-19"), ("", None, "unknown product list"), ([], None, "empty list"),
])
def test_unknown_lists_tiers_and_days(products: str, on: str | None, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        product_codes(products, on=on)


@pytest.mark.parametrize("products", [8542, "85423", "8541+", "8542-31", ["8542", 8541], "8541+1"])
def test_bad_codes_are_refused(products: object) -> None:
    with pytest.raises(InputError):
        product_codes(products)  # type: ignore[arg-type]


@pytest.mark.parametrize(("products", "code", "version", "product_set", "expected"), [
    (None, "", "", "", "within"), (None, "854231", "HS2017", "", "within"), (None, "", "", "8541+8542", "within"),
    ("8542", "854231", "HS2017", "", "within"), ("8542", "85423110", "", "", "within"), ("8542", "8542", "", "", "within"),
    ("8542", "8541", "", "", "out"), ("8542", "85", "", "", "too_coarse"), ("8542", "", "", "", "out"),
    ("8542", "", "", "8541+8542", "too_coarse"), ("8542", "", "", "8541+8543", "out"),
    ("8541+8542", "", "", "8541+8542", "within"), ("8541+8542", "", "", "8542+8541", "within"),
    (["8541", "8542"], "", "", "8541+8542", "within"), ("8541+8542", "854231", "", "", "within"),
    ("8542", "085421", "", "", "out"), ("8542.31", "8542", "HS2022", "", "too_coarse"),
    ("chips", "8542", "", "", "within"), ("chips", "854231", "HS2012", "", "within"),
    ("chips", "8541", "HS2022", "", "coarse"), ("chips", "", "", "8541+8542", "coarse"),
    ("chips", "", "HS2017", "8542+8541", "coarse"), ("chips", "", "", "8541+8542+8543", "too_coarse"),
    ("chips", "854140", "HS2017", "", "out"), ("chips", "854140", "", "", "out"), ("chips", "85414010", "HS2017", "", "out"),
    ("chips", "854143", "HS2022", "", "out"), ("chips", "854150", "HS2017", "", "within"),
    ("chips", "854150", "HS1996", "", "within"), ("chips", "854151", "HS2022", "", "within"),
    ("chips", "854151", "HS2017", "", "out"), ("chips", "854150", "HS2022", "", "out"),
    ("chips", "854150", "", "", "within"), ("chips", "854151", "", "", "within"), ("chips", "85", "", "", "too_coarse"),
    ("drones", "8806", "", "", "within"), ("drones", "880624", "HS2022", "", "within"),
    ("drones", "880220", "HS2017", "", "out"),
    ("chpl", "854890", "HS2017", "", "coarse"), ("chpl", "85489090", "HS2017", "", "coarse"),
    ("chpl", "854890", "", "", "coarse"), ("chpl", "854800", "HS2022", "", "within"), ("chpl", "854800", "", "", "within"),
    ("chpl", "854800", "HS2017", "", "out"), ("chpl", "854140", "HS2022", "", "out"),
    ("chpl", "854231", "HS2017", "", "within"), ("chpl", "854231", "", "", "within"),
    ("chpl", "854231", "HS1992", "", "too_coarse"), ("chpl", "854800", "HS1992", "", "too_coarse"),
    ("chpl", "8542", "HS2022", "", "too_coarse"), ("chpl", "8548", "HS2017", "", "too_coarse"),
    ("chpl", "010121", "HS1992", "", "out"), ("chpl:1", "854890", "HS2017", "", "out"),
    (["chpl:1", "8542"], "8542", "HS2012", "", "within"), (["chips", "8541"], "8541", "", "", "within"),
])
def test_rows_worked_by_hand(products: object, code: str, version: str, product_set: str, expected: str) -> None:
    question = product_codes(products)  # type: ignore[arg-type]
    assert verdict(question, code, version, product_set) == expected


def test_match_equals_itself_row_by_row_whatever_the_order_and_index() -> None:
    rng = random.Random(7)
    codes = ["", "85", "8541", "8542", "854140", "854150", "854151", "854231", "85423190", "854890", "8806", "010121"]
    sets = ["", "", "", "8541+8542", "8541+8543"]
    keys = [key for key in itertools.product(codes, sets, ["", "HS1992", "HS2017", "HS2022"]) if not (key[0] and key[1])]
    rows = pd.DataFrame(rng.choices(keys, k=600), columns=["hs_code", "product_set", "hs_version"], dtype="str")
    rows.index = pd.Index(rng.sample(range(10_000), len(rows)))
    for products in (None, "chips", "chpl", "8542", ["8541+8542", "drones"]):
        question = product_codes(products)  # type: ignore[arg-type]
        found = match(question, rows["hs_code"], rows["product_set"], rows["hs_version"])
        assert found.index.equals(rows.index)
        assert found.dtypes.eq(bool).all()
        assert list(found.columns) == list(FLAGS)
        for (_, row), (_, flags) in zip(rows.iterrows(), found.iterrows(), strict=True):
            one = verdict(question, row["hs_code"], row["hs_version"], row["product_set"])
            assert [flag for flag in FLAGS if flags[flag]] == ([one] if one != "out" else [])


def test_no_rows_give_no_flags_of_the_same_form() -> None:
    none = pd.Series([], dtype="str")
    found = match(product_codes("chips"), none, none, none)
    assert found.shape == (0, 3)
    assert found.dtypes.eq(bool).all()


def test_the_table_cites_every_row_and_is_a_copy() -> None:
    table = product_lists()
    assert list(table.columns) == ["product_list", "valid_from", "tier", "hs_version", "hs_code", "wider", "source_url"]
    assert table.drop(columns=["tier", "valid_from", "hs_version"]).ne("").all(axis=None)
    assert not table.duplicated(["product_list", "valid_from", "hs_version", "hs_code"]).any()
    table.loc[:, "hs_code"] = "00"
    assert not product_lists()["hs_code"].eq("00").any()
