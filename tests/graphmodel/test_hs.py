"""HS codes: their form, and comparisons across versions, against the public concordances in the data folder."""

from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, NotComparableError, UnknownNameError
from chiptrail.graphmodel.hs import clean_hs, comparable_code, heading, read_concordance

BOTH = ("HS2017", "HS2022")
TABLE = Path(__file__).resolve().parents[2] / "graphmodel" / "reference" / "hs_concordance.csv"


@pytest.fixture(scope="module")
def bundled() -> pd.DataFrame:
    return pd.read_csv(TABLE, dtype=str, keep_default_na=False)


@pytest.mark.parametrize(("text", "code"), [
    ("8542", "8542"), ("8542.31", "854231"), ("8542 31", "854231"), ("8542.31.00", "85423100"), (" 854231\u00a0", "854231"),
    ("0101.21", "010121"), ("01", "01"), ("", ""), ("  ", ""), ("85423100006", "85423100006"),
])
def test_clean_hs(text: str, code: str) -> None:
    assert clean_hs(text) == code


@pytest.mark.parametrize("text", ["10121", "101.21", "1", "854", "8542310", "8542.0"])
def test_a_lost_leading_zero_is_noticed(text: str) -> None:
    with pytest.raises(InputError, match="lost its leading zero"):
        clean_hs(text)


@pytest.mark.parametrize("text", ["TOTAL", "8542x", "1234567890123", "8542..31", "-8542", "٨٥٤٢", "85423100.0", "8542+8541",
                                  "<script>"])
def test_what_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="not 2 to 12 digits"):
        clean_hs(text)


@pytest.mark.parametrize("value", [854231, 8542.0, None, float("nan")])
def test_numbers_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="dtype=str"):
        clean_hs(value)  # type: ignore[arg-type]


def test_heading() -> None:
    assert [heading(code) for code in ("854231", "8542", "85", "")] == ["8542", "8542", "85", ""]


@pytest.mark.parametrize(("code", "version", "expected"), [
    ("854231", "HS2017", "854231"), ("854231", "HS2022", "854231"), ("854149", "HS2022", "854140"),
    ("854142", "HS2022", "854140"), ("854140", "HS2017", "854140"), ("854800", "HS2022", "854890"),
    ("852589", "HS2022", "852580"), ("880730", "HS2022", "880330"), ("854911", "HS2022", "854810"),
    ("8542", "HS2017", "8542"), ("85", "HS2022", "85"), ("85423190", "HS2022", "854231"),
])
def test_comparable_code_across_hs2017_and_hs2022(code: str, version: str, expected: str) -> None:
    assert comparable_code(code, version, versions=BOTH) == expected


@pytest.mark.parametrize(("code", "version", "says"), [
    ("854151", "HS2022", "come from many codes"), ("854159", "HS2022", "come from many codes"),
    ("854150", "HS2017", "hold other goods too"), ("852990", "HS2022", "come from many codes"),
    ("854921", "HS2022", "come from many codes"), ("8806", "HS2022", "exists only in HS2022"),
    ("8807", "HS2022", "exists only in HS2022"), ("8803", "HS2017", "exists only in HS2017"),
    ("010121", "HS2022", "concordance=read_concordance"), ("854140", "HS2022", "not in the table"),
    ("854231", "", "HS version of some rows is unknown"), ("", "HS2017", "without an HS code"),
])
def test_what_does_not_compare_says_why(code: str, version: str, says: str) -> None:
    with pytest.raises(NotComparableError, match=says):
        comparable_code(code, version, versions=BOTH)


def test_one_version_or_a_heading_needs_no_table() -> None:
    assert comparable_code("854151", "HS2022", versions=["HS2022"]) == "854151"
    assert comparable_code("8542310000", "HS2012", versions=["HS2012"]) == "8542310000"
    assert comparable_code("8542", "", versions=["", "HS2017"]) == "8542"
    with pytest.raises(NotComparableError, match="between HS2012 and HS2017"):
        comparable_code("854231", "HS2012", versions=BOTH)
    with pytest.raises(UnknownNameError, match="HS2017"):
        comparable_code("854231", "HS2018", versions=BOTH)


def test_every_row_of_the_table_agrees_with_the_public_concordance(shared: Path, bundled: pd.DataFrame) -> None:
    public = pd.read_csv(shared / "data/reference/hs_concordances.csv", dtype=str, keep_default_na=False)
    public = public[public["adjustment"].eq("2022 to 2017")]
    olds = public.groupby(public["code.after"].str.zfill(6))["code.before"].agg(lambda c: set(c.str.zfill(6)))
    for new, rows in bundled.groupby("new_code"):
        relation = set(rows["relation"])
        if relation == {"many"}:
            assert len(olds[new]) > 1, new
            if new not in ("854151", "854159"):  # the public file leaves out 854150, the heading text does not
                assert set(rows["old_code"]) <= olds[new] | {""}, new
        else:
            assert relation == ({"same"} if olds[new] == {new} else {"part"}), new
            assert set(rows["old_code"]) == olds[new], new


def test_the_table_knows_all_codes_of_the_high_priority_list_and_all_new_codes_of_its_headings(
    shared: Path, bundled: pd.DataFrame
) -> None:
    chpl = set(pd.read_csv(shared / "data/reference/chpl_2024-02-23.csv", dtype=str)["hs6"])
    assert len(chpl) == 50
    assert chpl <= set(bundled["new_code"])
    nomenclature = pd.read_csv(shared / "data/reference/hs2022.csv", dtype=str, keep_default_na=False)["hscode"]
    around = nomenclature[nomenclature.str.len().eq(6) & nomenclature.str[:4].isin(
        ["8524", "8525", "8541", "8542", "8548", "8549", "8806", "8807"])]
    assert set(around) - set(bundled["new_code"]) == set()


def test_public_concordance_in_both_layouts(shared: Path) -> None:
    folder = shared / "data/reference"
    table = read_concordance(folder / "hs_concordances.csv")
    assert set(table["old_version"]) == {"HS1992", "HS1996", "HS2002", "HS2007", "HS2012", "HS2017"}
    assert table["old_code"].str.fullmatch("[0-9]{6}").all()
    assert comparable_code("010121", "HS2022", versions=BOTH, concordance=table) == "010121"
    with pytest.raises(NotComparableError, match="come from many codes"):
        comparable_code("854151", "HS2022", versions=BOTH, concordance=table)
    one, other = (read_concordance(folder / f"conversion_weights_{n}.csv") for n in ("H4_to_H5", "H5_to_H4"))
    assert set(one["old_version"]) == {"HS2012"}
    columns = list(one.columns)
    pd.testing.assert_frame_equal(one.sort_values(columns, ignore_index=True), other.sort_values(columns, ignore_index=True))
    assert comparable_code("854149", "HS2022", versions=["HS2012", "HS2022"], concordance=one) == "854140"
    assert comparable_code("854140", "HS2012", versions=["HS2012", "HS2022"], concordance=one) == "854140"


def test_relations_of_a_concordance_worked_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text("code.after,code.before,Relationship,adjustment\n"
                    "10111,10111,1:1,2022 to 2017\n" "10121,10110,n:1,2022 to 2017\n" "10129,10110,n:1,2022 to 2017\n"
                    "20310,20311,1:n,2022 to 2017\n" "20310,20312,1:n,2022 to 2017\n" "10111,10111,1:1,1988 to 1976\n")
    table = read_concordance(path)
    assert table[["old_code", "new_code", "relation"]].to_numpy().tolist() == [
        ["010111", "010111", "same"], ["010110", "010121", "part"], ["010110", "010129", "part"],
        ["020311", "020310", "many"], ["020312", "020310", "many"]]
    assert comparable_code("010129", "HS2022", versions=BOTH, concordance=table) == "010110"
    assert comparable_code("010110", "HS2017", versions=BOTH, concordance=table) == "010110"
    with pytest.raises(NotComparableError, match="020311, 020312"):
        comparable_code("020310", "HS2022", versions=BOTH, concordance=table)
    with pytest.raises(NotComparableError, match="hold other goods too"):
        comparable_code("020311", "HS2017", versions=BOTH, concordance=table)


def test_a_chain_of_versions_is_followed_step_by_step() -> None:
    table = pd.DataFrame(
        [("HS2012", "111110", "HS2017", "111111", "part"), ("HS2012", "111110", "HS2017", "111112", "part"),
         ("HS2017", "111111", "HS2022", "111113", "part"), ("HS2017", "111112", "HS2022", "111119", "many"),
         ("HS2017", "111120", "HS2022", "111119", "many")],
        columns=["old_version", "old_code", "new_version", "new_code", "relation"])
    assert comparable_code("111113", "HS2022", versions=["HS2012"], concordance=table) == "111110"
    assert comparable_code("111111", "HS2017", versions=["HS2012", "HS2022"], concordance=table) == "111110"
    with pytest.raises(NotComparableError, match="111112"):  # a part of it ends among other goods
        comparable_code("111110", "HS2012", versions=["HS2022"], concordance=table)


@pytest.mark.parametrize(("text", "says"), [
    ("a,b\n1,2\n", "columns found: a, b"), ("", "cannot be read"),
    ("code.after,code.before,Relationship,adjustment\n10111,x,1:1,2022 to 2017\n", "row 2, old_code: 'x'"),
    ("H4,H5,weight,group_id\n010121,010121,1,\n010121,1234567,1,\n", "row 3, new_code"),
])
def test_a_bad_concordance_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=says) as error:
        read_concordance(path)
    assert "bad.csv" in str(error.value)
