import dataclasses
import gzip
import hashlib
import os
import random
import tempfile
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.reader import open_table, require_columns, sheet_names
from chiptrail.loaders.records import amount_rules, frame, number, pick, record_columns, split, translate


def read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict]:
    """All columns of a file: rows kept, rejects, and what is known of the file."""
    with open_table(path) as opened:
        columns = {f"n{i}": name for i, name in enumerate(opened.header)}
        checked = split(opened, pick(opened, columns), [], columns)
        kept = frame(checked.kept.order_by("row"))
        return kept, frame(checked.rejects), {
            "header": opened.header, "encoding": opened.encoding, "delimiter": opened.delimiter, "sha256": opened.sha256,
            "n_read": checked.n_read, "n_kept": checked.n_kept, "counts": checked.counts, "examples": checked.examples,
        }


def written(folder: Path, content: bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_short_and_long_rows_are_counted_and_a_last_empty_field_is_no_fault(tmp_path):
    lines = [b"a,b,c", b"1,2,3,", b"4,5", b'"x, ""q""",,', b"", b'"two\nlines",2,3', b"7,8,9,10", b"7,8,9,,,13", b",,"]
    path = written(tmp_path, b"\n".join(lines) + b"\n")
    kept, rejects, about = read(path)
    # records: 2 "1,2,3," · 3 short · 4 quoted · 5 two lines · 6 and 7 long · 8 all empty; the blank line is no record
    assert kept["row"].tolist() == [2, 4, 5, 8]
    assert kept["n0"].tolist() == ["1", 'x, "q"', "two\nlines", ""]
    assert rejects[["row", "reason"]].values.tolist() == [
        [3, "fewer fields than the header"], [6, "more fields than the header"], [7, "more fields than the header"]
    ]
    assert about["n_read"] == 7
    assert about["n_kept"] == 4
    assert about["counts"] == {"fewer fields than the header": 1, "more fields than the header": 2}
    assert about["examples"]["more fields than the header"] == ["row 6", "row 7"]
    assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_text_stays_text(tmp_path):
    kept, _, _ = read(written(tmp_path, b"hs,iso,v\n010121, NA ,1e5\n007,null,\n"))
    assert kept[["n0", "n1", "n2"]].values.tolist() == [["010121", "NA", "1e5"], ["007", "null", ""]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path, delimiter, newline):
    text = newline.join(delimiter.join(cells) for cells in (["a", "b, x", "c"], ["1", "2", "3"], ["4", "5", "6"]))
    kept, _, about = read(written(tmp_path, text.replace("b, x", '"b, x"').encode()))
    assert about["header"] == ("a", "b, x", "c")
    assert about["delimiter"] == delimiter
    assert kept["n2"].tolist() == ["3", "6"]


def test_mixed_line_ends_and_byte_order_mark(tmp_path):
    kept, _, about = read(written(tmp_path, b"\xef\xbb\xbfa,b\r\n1,2\n3,4\r\n"))
    assert about["header"] == ("a", "b")
    assert kept["n1"].tolist() == ["2", "4"]


def test_latin1_bytes_are_read_and_utf8_beside_them_stays(tmp_path):
    content = "name\nCôte\n".encode("latin-1") + "Кыргызстан\n".encode()
    for path in (written(tmp_path, content), written(tmp_path, gzip.compress(content, mtime=0), "t.csv.gz")):
        kept, _, about = read(path)
        assert kept["n0"].tolist() == ["Côte", "Кыргызстан"]
        assert about["encoding"] == "latin-1"


def test_gzip_is_known_by_content(tmp_path):
    kept, _, _ = read(written(tmp_path, gzip.compress(b"a,b\n1,2\n", mtime=0), "no_ending"))
    assert kept["n1"].tolist() == ["2"]


def test_parquet_gives_the_same_text(tmp_path):
    table = pd.DataFrame({"code": ["010121", "8542"], "part": [398.0, float("nan")], "flag": [True, False],
                          "n": [1, 2], "v": [0.25, 1e7], "day": pd.to_datetime(["2022-07-20", "2022-07-21"])})
    table.to_parquet(tmp_path / "t.parquet")
    kept, _, about = read(tmp_path / "t.parquet")
    assert about["encoding"] == "parquet"
    assert kept.drop(columns=["row", "repeated"]).values.tolist() == [
        ["010121", "398", "true", "1", "0.25", "2022-07-20"], ["8542", "", "false", "2", "10000000", "2022-07-21"]
    ]
    assert kept["row"].tolist() == [2, 3]


@pytest.mark.parametrize(("content", "message"), [
    (b"", "empty"),
    (b"\n\n", "no header"),
    (gzip.compress(b"", mtime=0), "no header"),
    (b"PK\x03\x04....", "zip archive or a workbook"),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
    ("a,b\n1,2\n".encode("utf-16-le"), "UTF-16"),
    (gzip.compress(b"a,b\n1,2\n" * 9999, mtime=0)[:100], "cut short"),
    (gzip.compress(b"a,b\n1,2\n", mtime=0)[:-4], "cut short"),
    (b'a,b\n1,"2\n3,4\n', "never closed"),
    (b'a,b\n"x"y,"2"\n', "line 2 cannot be read"),
    (b"a,b,a\n1,2,3\n", "'a' more than once"),
    (b"PAR1 this is no parquet", "cannot be read"),
    (b"a,b\n1" + b",2" * 200 + b"\n", "line 2 cannot be read"),
])
def test_unreadable_files_are_named(tmp_path, content, message):
    path = written(tmp_path, content, "mine.csv")
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith("mine.csv")
    assert str(tmp_path) not in str(caught.value)


def test_an_inch_sign_is_no_open_quote(tmp_path):
    kept, _, _ = read(written(tmp_path, b'goods,n\n5" disk,2\n'))
    assert kept["n0"].tolist() == ['5" disk']


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "absent.csv")


@pytest.mark.parametrize("name", ["a[1].csv", "a*.csv", "a?.csv", "it's (1).csv", "x;y,z.csv", "été.csv", "{a}.csv"])
def test_odd_file_names_are_no_patterns(tmp_path, name):
    written(tmp_path, b"a,b\n9,9\n9,9\n", "a1.csv")
    assert read(written(tmp_path, b"a,b\n1,2\n", name))[0]["n0"].tolist() == ["1"]


def test_nothing_is_left_behind_and_nothing_written_beside_the_input(tmp_path, monkeypatch):
    place, temporary = tmp_path / "in", tmp_path / "temporary"
    place.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    path = written(place, b"name\nC\xf4te\n")
    place.chmod(0o555)
    with open_table(path) as opened:
        assert os.listdir(temporary) != []
        assert opened.records.count().to_pyarrow().as_py() == 1
    assert os.listdir(place) == ["t.csv"]
    assert os.listdir(temporary) == []


def test_rules_apply_in_order_and_every_row_is_kept_or_rejected(tmp_path):
    values = ["1", "-1", "nan", "inf", "1e999", "1,5", "1_000", "0x1", "x", "", "0", "+2.5e1", ".5", "-0"]
    path = written(tmp_path, ("name;v\n" + "\n".join(f"n{i};{v}" for i, v in enumerate(values)) + "\n").encode())
    with open_table(path) as opened:
        columns = {"name": "name", "amount": "v", "absent": None}
        table = pick(opened, columns)
        rules = [("no amount", "amount", table["amount"] == ""), *amount_rules("amount", table["amount"])]
        checked = split(opened, table, rules, columns)
        kept = frame(checked.kept.mutate(x=number(checked.kept["amount"])).order_by("row"))
        rejects = frame(checked.rejects)
    assert kept["x"].tolist() == [1, 0, 25, 0.5, 0]
    assert kept["absent"].tolist() == [""] * 5
    assert checked.counts == {"amount is negative": 1, "amount is not a number": 7, "no amount": 1}
    assert checked.n_read == checked.n_kept + sum(checked.counts.values()) == 14
    assert rejects.iloc[0].tolist() == [3, "amount is negative", "v", "-1"]
    assert checked.examples["amount is not a number"] == [
        "row 4: v = 'nan'", "row 5: v = 'inf'", "row 6: v = '1e999'", "row 7: v = '1,5'", "row 8: v = '1_000'"
    ]


def test_translate_asks_once_for_each_distinct_value(tmp_path):
    asked = []

    def upper(text: str) -> tuple[str]:
        asked.append(text)
        if text == "bad":
            raise UnknownNameError("word", text)
        return (text.upper(),)

    path = written(tmp_path, b"w\na\nbad\na\nb\n")
    with open_table(path) as opened:
        table = translate(pick(opened, {"w": "w"}), (["w"], ["up"], upper))
        result = frame(table.order_by("row").select("row", "up"))
    assert asked == ["a", "b", "bad"]
    assert result["up"].fillna("?").tolist() == ["A", "?", "A", "B"]


def test_ids_are_the_hash_of_file_and_row(tmp_path):
    path = written(tmp_path, b"w\na\nb\n")
    with open_table(path) as opened:
        table = pick(opened, {"w": "w"})
        ids = frame(table.select("row", **record_columns(opened, table)).order_by("row"))
    digest = hashlib.sha256(b"w\na\nb\n").hexdigest()
    assert ids["id"].tolist() == [f"{digest[:16]}-000000000{row}" for row in (2, 3)]
    assert ids["record_ref"].tolist() == ["t.csv:2", "t.csv:3"]


def test_order_is_kept_in_large_files(tmp_path):
    path = written(tmp_path, b"n\n" + b"".join(b"%d\n" % i for i in range(300_000)))
    kept, _, _ = read(path)
    assert (kept["row"] == kept["n0"].astype("int64") + 2).all()
    assert len(kept) == 300_000


def test_missing_columns_are_named_with_near_misses():
    with pytest.raises(InputError, match=r"f\.csv: .*'partnerCode' \(renamed to 'partner_code'\?\), 'value'"):
        require_columns(["period", "partner_code"], ["period", "partnerCode", "value"], file="f.csv", layout="a download")
    with pytest.raises(InputError, match="is the header missing"):
        require_columns(["2022", "398"], ["period"], file="f.csv", layout="a download")
    require_columns(["a"], ["a"], file="f.csv", layout="a download")


CYRILLIC = "Фирма;Город\nООО «Пример»;Ереван\nОбразец;Câmara\n"


@pytest.mark.parametrize(("encoding", "told"), [
    ("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-be", "utf-16"), ("cp1251", "cp1251")])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_are_known_by_their_bytes(tmp_path, encoding, told, newline):
    text = CYRILLIC.replace("â", "a").replace("\n", newline)
    content = ("\ufeff" if encoding == "utf-16-be" else "") + text
    for path in (written(tmp_path, content.encode(encoding)), written(tmp_path, gzip.compress(content.encode(encoding), mtime=0), "t.gz")):
        kept, _, about = read(path)
        assert (about["header"], about["encoding"]) == (("Фирма", "Город"), told)
        assert kept[["n0", "n1"]].values.tolist() == [["ООО «Пример»", "Ереван"], ["Образец", "Camara"]]
        assert about["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_stated_encoding_wins(tmp_path):
    path = written(tmp_path, "Фирма\nПример\n".encode("cp866"))
    with open_table(path, encoding="CP866") as opened:
        assert (opened.header, opened.encoding) == (("Фирма",), "cp866")
    with pytest.raises(InputError, match="not known"), open_table(path, encoding="cp99999"):
        pass
    with pytest.raises(InputError, match=r"t\.csv is not utf-8"), open_table(path, encoding="utf8"):
        pass


def test_reading_on_all_cores_gives_what_reading_on_one_gives(tmp_path):
    generator = random.Random(5)
    cells = ["a", "", " b ", '"x, y"', '""', '"q ""z"""', "ü", '5" disk 3" wide', "1.5"]
    lines = [",".join(generator.choice(cells) for _ in range(generator.choice([3, 3, 3, 3, 2, 4]))) for _ in range(400_000)]
    path = written(tmp_path, ("a,b,c\n" + "\n".join(line or "x" for line in lines)).encode())
    with open_table(path) as opened:
        assert len(opened.readings) == 2
        together = frame(opened.store("together", lambda t: t.select("c0", "c1", "c2", "shape")))
        alone = frame(opened.records.select("c0", "c1", "c2", "shape", "row"))
        assert opened.n_lines == len(alone) + 1 == 400_001
    pd.testing.assert_frame_equal(together.sort_values("row", ignore_index=True), alone.sort_values("row", ignore_index=True))


def test_a_reading_that_does_not_give_every_line_is_done_again(tmp_path):
    with open_table(written(tmp_path, b"a,b\n1,2\n3,4\n")) as opened:
        whole, part = opened.readings[-1], opened.readings[0].limit(2)
        again = frame(dataclasses.replace(opened, readings=(part, whole)).store("again", lambda t: t.select("c0", "c1")))
    assert again.sort_values("row").values.tolist() == [["1", "2", 2], ["3", "4", 3]]


def test_what_a_file_raises_while_it_is_read_names_the_file(tmp_path):
    path = written(tmp_path, b"a,b\n1,2\n")
    with pytest.raises(InputError, match=r"t\.csv cannot be read \(basic_string\)"), open_table(path):
        raise RuntimeError("basic_string")
    with pytest.raises(NotImplementedError), open_table(path):
        raise NotImplementedError


def test_fields_that_differ_in_blanks_alone_repeat(tmp_path):
    path = written(tmp_path, b"a,b,c\n1,2,x\n 1,2 , x\n1,2,y\n")
    with open_table(path) as opened:
        found = frame(pick(opened, {"n0": "a", "n1": "b"})).sort_values("row")
    assert found["repeated"].tolist() == [False, True, False]


@pytest.mark.parametrize(("content", "ways"), [
    (b"a,b\n1,2\n", 2), (b"a,b\r\n1,2\r\n", 2), (b'a,b\n"1\n",2\n', 1), (b"a,b\n\n1,2\n", 1), (b"a,b\r1,2\r", 1), (b'a,b\n5",2\n', 1),
    (b'a,b\n"5""",2\n', 2)])
def test_fields_with_line_ends_are_read_on_one_core(tmp_path, content, ways):
    with open_table(written(tmp_path, content)) as opened:
        assert len(opened.readings) == ways


def test_chunks_may_end_anywhere(tmp_path, monkeypatch):
    content = 'a,b\r\n"é ""x""",2\r\n"3\r\n",é\r\n'.encode()
    path = written(tmp_path, content)
    expected = read(path)[0]
    for size in range(1, len(content) + 1):
        monkeypatch.setattr("chiptrail.loaders.reader._BYTES", size)
        with open_table(path) as opened:
            assert (opened.encoding, len(opened.readings)) == ("utf-8", 1)
    pd.testing.assert_frame_equal(read(path)[0], expected)
    assert expected["n0"].tolist() == ['é "x"', "3"]


def test_a_sheet_of_a_workbook(tmp_path):
    path = tmp_path / "t.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame([["Title of all", None, None, None], [None] * 4, ["as of", datetime(2022, 7, 20, 13, 5), None, None],
                      ["code", "day", "value", "part"], ["0101", datetime(2022, 7, 20), 12, 0.25], [None] * 4,
                      ["8542", date(2022, 7, 21), 1e7, None]]).to_excel(book, sheet_name="Data", header=False, index=False)
        pd.DataFrame([["read me"]]).to_excel(book, sheet_name="About", header=False, index=False)
    assert sheet_names(path) == ["Data", "About"]
    kept, _, about = read(path)
    assert (about["header"], about["encoding"]) == (("code", "day", "value", "part"), "xlsx")
    assert kept[["n0", "n1", "n2", "n3"]].values.tolist() == [["0101", "2022-07-20", "12", "0.25"], ["8542", "2022-07-21", "10000000", ""]]
    assert kept["row"].tolist() == [2, 3]
    with open_table(path, sheet="Data", header_row=5) as opened:
        assert opened.header == ("0101", "2022-07-20", "12", "0.25")
    with pytest.raises(InputError, match="no sheet 'Dato'; it has 'Data', 'About'"), open_table(path, sheet="Dato"):
        pass


def test_several_tables_in_a_workbook_ask_for_the_sheet(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        for name in ("one", "two"):
            pd.DataFrame({"a": [name], "b": [1]}).to_excel(book, sheet_name=name, index=False)
    with pytest.raises(InputError, match="'one', 'two'"), open_table(tmp_path / "t.xlsx"):
        pass
    with open_table(tmp_path / "t.xlsx", sheet="two") as opened:
        assert opened.records.to_pyarrow()["c0"].to_pylist() == ["two"]
