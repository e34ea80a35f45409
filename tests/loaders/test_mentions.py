"""Mentions of makers and parts: rules on texts written for them, and error rates counted by hand."""

import math
import random
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, actor_id
from chiptrail.loaders.mentions import find_mentions, mention_errors, mention_faults, mentions_in, read_labelled, read_parts

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def parts() -> pd.DataFrame:
    return read_parts(SAMPLES / "parts.csv")


def listed(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["maker", "part", "alias"], dtype="str")


def found(text: str, parts: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    table = find_mentions(pd.Series([text]), parts)
    assert (table["text"] == 0).all()
    return list(table[["maker", "part", "matched", "rule"]].itertuples(index=False, name=None))


def test_error_rates_are_those_counted_by_hand(parts: pd.DataFrame) -> None:
    labelled = read_labelled(SAMPLES / "descriptions.csv")
    assert labelled["text"].nunique() == 74
    errors = mention_errors(labelled, parts).set_index("rule")
    counts = errors[["n_true", "n_found", "n_right"]].to_dict("index")
    assert counts == {
        "part": {"n_true": 31, "n_found": 28, "n_right": 27},
        "part with maker": {"n_true": 7, "n_found": 7, "n_right": 6},
        "part of a longer number": {"n_true": 2, "n_found": 2, "n_right": 1},
        "maker": {"n_true": 25, "n_found": 25, "n_right": 20},
        "all": {"n_true": 65, "n_found": 62, "n_right": 54},
    }
    assert errors["precision"].to_dict() == pytest.approx({
        "part": 27 / 28, "part with maker": 6 / 7, "part of a longer number": 1 / 2, "maker": 20 / 25, "all": 54 / 62})
    assert errors["recall"].to_dict() == pytest.approx({
        "part": 27 / 31, "part with maker": 6 / 7, "part of a longer number": 1 / 2, "maker": 20 / 25, "all": 54 / 65})


def test_intervals_end_where_the_share_is_just_1_96_standard_errors_away(parts: pd.DataFrame) -> None:
    for row in mention_errors(read_labelled(SAMPLES / "descriptions.csv"), parts).itertuples():
        for share, low, high, n in [(row.precision, row.precision_low, row.precision_high, row.n_found),
                                    (row.recall, row.recall_low, row.recall_high, row.n_true)]:
            for bound in (low, high):
                assert abs(share - bound) == pytest.approx(1.959964 * math.sqrt(bound * (1 - bound) / n), rel=1e-6)
            assert 0 < low < share < high < 1


def test_errors_are_listed_one_by_one(parts: pd.DataFrame) -> None:
    labelled = read_labelled(SAMPLES / "descriptions.csv")
    faults = mention_faults(labelled, parts)
    assert list(faults.columns) == ["fault", "text", "maker", "part", "matched", "rule"]
    why = pd.read_csv(SAMPLES / "descriptions.csv", dtype=str, keep_default_na=False)
    for fault, word in [("false mention", "false"), ("missed", "missed")]:
        expected = set(why.loc[why["why"].str.startswith(word), "text"])
        assert set(faults.loc[faults["fault"] == fault, "text"]) == expected
    assert (faults["fault"] == "false mention").sum() == 62 - 54
    assert (faults["fault"] == "missed").sum() == 65 - 54
    assert (faults["matched"] == "").equals(faults["fault"] == "missed")


def test_shares_over_nothing_are_missing(parts: pd.DataFrame) -> None:
    labelled = pd.DataFrame({"text": ["cable"], "maker": [""], "part": [""]})
    errors = mention_errors(labelled, parts)
    assert errors[["n_true", "n_found", "n_right"]].eq(0).all(axis=None)
    assert errors[["precision", "precision_low", "recall", "recall_high"]].isna().all(axis=None)
    assert mention_faults(labelled, parts).empty


def test_labels_must_name_makers_of_the_list(parts: pd.DataFrame) -> None:
    with pytest.raises(UnknownNameError, match=r"Exilom.*did you mean 'Exilon'"):
        mention_errors(pd.DataFrame({"text": ["x"], "maker": ["Exilom"], "part": [""]}), parts)


def test_label_of_a_part_outside_the_list_is_missed(parts: pd.DataFrame) -> None:
    faults = mention_faults(pd.DataFrame({"text": ["EX9999"], "maker": ["exilon"], "part": ["EX9999"]}), parts)
    assert faults[["fault", "maker", "part", "rule"]].values.tolist() == [["missed", "Exilon", "EX9999", "part"]]


@pytest.mark.parametrize(("text", "matched"), [
    ("EX\u00ad7805", "EX7805"), ("EX\u200b7805", "EX7805"), ("[EX7805]", "EX7805"), ("EX_7805#", "EX_7805"), ("ex+7805;", "ex+7805"),
    ("ЕХ78О5", "ЕХ78О5"), ("кол.EX7805", "EX7805"), ("EX‑7805", "EX-7805"), ("EX–7805", "EX–7805"),
])
def test_numbers_are_found_however_written(text: str, matched: str, parts: pd.DataFrame) -> None:
    text = text.replace("‑", "\u2010")
    matched = matched.replace("-", "\u2010") if "\u2010" in text else matched
    assert found(text, parts) == [("Exilon", "EX7805", matched, "part")]


@pytest.mark.parametrize("text", [
    "EX7805A", "AEX7805", "EX780 5", "EX78,05", "EX:7805", "EX(7805)", "E X7805", "EX\n7805", "1EX7805", "EX7805\u0431", "EX", "7805",
])
def test_numbers_are_not_found_in_pieces_or_longer_words(text: str, parts: pd.DataFrame) -> None:
    assert found(text, parts) == []


@pytest.mark.parametrize(("text", "rule"), [
    ("12-EX7805", ""), ("A-EX7805-B", ""), ("12.2EX7805", ""), ("12.EX7805", ""), ("EX7805.5", ""), ("1A–EX7805", ""),
    ("EX7805-K", "part"), ("EX7805-1CS", "part"), ("регулятор-EX7805", "part"), ("AB12/EX7805", "part"), ("3. EX7805.", "part"),
    ("12-EX7805 EX7805", "part"), ("12-EX7805 Exilon", "part of a longer number"), ("Exilon 12-EX7805 EX7805", "part"),
    ("12-EX7805 Sigma", ""),
])
def test_a_number_inside_a_longer_one_needs_its_maker(text: str, rule: str, parts: pd.DataFrame) -> None:
    assert [row[3] for row in found(text, parts) if row[1]] == [rule] * bool(rule)


def test_longest_number_wins_and_holds_no_other() -> None:
    parts = listed(("Exilon", "XC7K325", ""), ("Exilon", "XC7K325-2FFG", ""), ("Delta Chips", "2FFG900", ""))
    assert [row[1] for row in found("XC7K325-2FFG", parts)] == ["XC7K325-2FFG"]
    assert [row[1] for row in found("XC7K325 3FFG", parts)] == ["XC7K325"]
    assert [row[1] for row in found("XC7K325 2FFG900", parts)] == ["XC7K325", "2FFG900"]


@pytest.mark.parametrize("part", ["N74", "AB12", "12345", "1234567", "1O0O1"])
def test_short_and_plain_numbers_need_their_maker(part: str) -> None:
    parts = listed(("Exilon", part, "Эксилон"), ("Sigma", "", ""))
    assert found(f"деталь {part}", parts) == []
    assert [row[0] for row in found(f"Sigma {part}", parts)] == ["Sigma"]
    assert found(f"{part} Эксилон", parts) == [
        ("Exilon", part, part, "part with maker"), ("Exilon", "", "Эксилон", "maker"),
    ]


@pytest.mark.parametrize(("text", "n"), [
    ("Delta Chips", 1), ("DELTA-CHIPS", 1), ("Delta  Chips Inc.", 1), ("delta_chips", 1), ("Delta\nChips", 1),
    ("Deltachips", 0), ("Del-ta Chips", 0), ("Delta Chipset", 0), ("Delta (Chips)", 0), ("Delta and Chips", 0),
])
def test_names_have_the_words_of_the_list(text: str, n: int) -> None:
    assert len(found(text, listed(("Delta Chips", "", "")))) == n


def test_long_texts_take_no_longer_than_their_length(parts: pd.DataFrame) -> None:
    texts = ["ex " * 100_000, "e" * 100_000, " " * 100_000 + "ex", "ex" + " " * 100_000 + "(", "ex-" * 100_000]
    assert find_mentions(pd.Series(texts), parts).empty


def test_equal_texts_each_have_their_mentions_in_order(parts: pd.DataFrame) -> None:
    texts = pd.Series(["Sigma EX7805", "nothing", "Sigma EX7805", None], index=[9, 9, 3, 1], dtype=object)
    table = find_mentions(texts, parts)
    assert table[["text", "maker", "part"]].values.tolist() == [
        [0, "Sigma", ""], [0, "Exilon", "EX7805"], [2, "Sigma", ""], [2, "Exilon", "EX7805"],
    ]


def test_nothing_to_search_gives_an_empty_table_of_the_same_form(parts: pd.DataFrame) -> None:
    full = find_mentions(pd.Series(["Sigma"]), parts)
    for table in (find_mentions(pd.Series([], dtype="str"), parts), find_mentions(pd.Series(["Sigma"]), parts.iloc[:0])):
        assert table.empty
        assert table.dtypes.equals(full.dtypes)


def test_search_agrees_with_a_slow_one_that_tries_every_place() -> None:
    rng = random.Random(7)
    pieces = ["AB", "12", "7", "XY9", "Q", "0", "O"]
    for _ in range(300):
        numbers = {"-".join(rng.choices(pieces, k=rng.randint(2, 3))) for _ in range(4)}
        parts = listed(*(("Exilon", number, "") for number in sorted(numbers)))
        text = "".join(rng.choice([" ", "-", ", ", "/", ""]) + piece for piece in rng.choices(pieces, k=8))
        assert {row[1] for row in found(text, parts)} <= _slowly(text, parts)
        number = rng.choice(sorted(numbers))
        assert {plain(row[1]) for row in found(f"Exilon; {number}; end", parts)} == {"", plain(number)}


def plain(value: str) -> str:
    return "".join(c for c in value.lower() if c.isalnum()).replace("o", "0")


def _slowly(text: str, parts: pd.DataFrame) -> set[str]:
    """Numbers whose letters and digits stand at some place of the text between word borders."""
    hits = set()
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            if (start and text[start - 1].isalnum() and text[start].isalnum()) or (
                end < len(text) and text[end].isalnum() and text[end - 1].isalnum()
            ):
                continue
            slice_ = text[start:end]
            if slice_[0].isalnum() and slice_[-1].isalnum() and "," not in slice_:
                hits |= {part for part in parts["part"] if plain(part) == plain(slice_)}
    return hits


def test_mentions_in_a_network_lead_to_their_records(parts: pd.DataFrame) -> None:
    seller, buyer, maker = (actor_id("company", country, name) for country, name in [
        ("HKG", "Example Trading"), ("KAZ", "Sample Import"), ("USA", "Exilon Inc.")])
    actors = pd.DataFrame({
        "actor_id": [seller, buyer, maker], "name": ["Example Trading", "Sample Import", "Exilon Inc."],
        "kind": "company", "role": "unknown", "country": ["HKG", "KAZ", "USA"],
    })
    trades = pd.DataFrame({
        "trade_id": ["t1", "t2", "t3"], "seller_id": seller, "buyer_id": buyer, "goods": ["EX7805 by Exilon", "cable", "NV8221ARZ"],
        "maker_id": [maker, "", ""], "flow": "import", "partner_concept": "consignment", "reported_by": "KAZ", "basis": "recorded",
        "source_id": "s", "record_ref": ["f.csv:2", "f.csv:3", "f.csv:4"],
    })
    sources = pd.DataFrame({"source_id": ["s"], "title": ["sample"]})
    network = TradeNetwork(level="firms", actors=actors, trades=trades, sources=sources)
    table = mentions_in(network, parts)
    assert table.drop(columns=["goods"]).values.tolist() == [
        ["t1", "f.csv:2", "Example Trading", "Sample Import", "Exilon Inc.", "Exilon", "EX7805", "EX7805", "part", "inferred"],
        ["t1", "f.csv:2", "Example Trading", "Sample Import", "Exilon Inc.", "Exilon", "", "Exilon", "maker", "inferred"],
        ["t3", "f.csv:4", "Example Trading", "Sample Import", "", "Norvex Devices", "NV8221ARZ", "NV8221ARZ", "part", "inferred"],
    ]
    nothing = mentions_in(network.where(since="2030"), parts)
    assert nothing.empty
    assert nothing.dtypes.equals(table.dtypes)


@pytest.mark.parametrize(("text", "message"), [
    ("part\nA1\n", "no column maker"),
    ("maker,part\nExilon,A1\n,B2\n", "row 3: no maker"),
    ("maker,part\nExilon,--\n", "part '--' of 'Exilon' has no letter"),
    ("maker,part\n...,A1\n", "name '...' has no letter"),
    ("maker,part,alias\nExilon,,Alfa\nSigma,,ALFA\n", "'ALFA' stands for 'Exilon' and 'Sigma'"),
    ('maker,part\nExilon,"A1\n', "cannot be read"),
])
def test_lists_with_faults_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "parts.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        read_parts(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.csv: no such file"):
        read_parts(tmp_path / "nowhere.csv")
    path = tmp_path / "x.csv"
    path.write_bytes("maker,part\nЭксилон,A1\n".encode("cp1251"))
    with pytest.raises(InputError, match="UTF-8"):
        read_parts(path)
    path.write_text("text,maker,part\nx,,A1\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2: a part without a maker"):
        read_labelled(path)
    with pytest.raises(InputError, match="no column maker"):
        find_mentions(pd.Series(["x"]), pd.DataFrame({"part": ["A"]}))
