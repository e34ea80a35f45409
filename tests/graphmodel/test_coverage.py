"""Zero, partly known and not observed are told apart."""

import random

import pytest

from chiptrail.graphmodel.coverage import CoverageIndex, overlaps
from chiptrail.graphmodel.errors import InputError
from chiptrail.graphmodel.periods import parse_period, window

ORIGIN = {"flow": "import", "partner_concept": "origin"}
MONTHS = {"resolution": "month"}
YEARS = {"resolution": "year"}


def ask(network, sellers, buyers, since, until, *, concept="dispatched", codes=None, exact=None):
    return seen(network, sellers, buyers, since, until, concept=concept, codes=codes, exact=exact).text


def seen(network, sellers, buyers, since, until, *, concept="dispatched", codes=None, exact=None):
    first, last = window(since, until)
    codes, exact = (codes and frozenset(codes) for codes in (codes or exact, exact))
    return CoverageIndex(network).observed(sellers, buyers, concept=concept, codes=codes, exact=exact, first=first, last=last)


@pytest.mark.parametrize(
    ("since", "until", "text"),
    [("2022", "2022", "covered"), ("2022-03", "2022-05", "covered"), ("2022", "2023", "partly: only 2022"),
     ("2021", "2022", "partly: only 2022"), ("2023", "2023", "not covered")],
)
def test_periods(build, since, until, text):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[("KAZ", "RUS", "8542", "2022", MONTHS)])
    assert ask(network, ["KAZ"], ["RUS"], since, until) == text


def test_a_yearly_source_does_not_cover_some_months(build):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[("KAZ", "RUS", "8542", "2021/2022", YEARS)])
    assert ask(network, ["KAZ"], ["RUS"], "2022-01", "2022-11") == "not covered"
    assert ask(network, ["KAZ"], ["RUS"], "2021-06", "2022-12") == "partly: only 2022"
    assert ask(network, ["KAZ"], ["RUS"], "2021", "2022") == "covered"


def test_reports_of_both_sides_cover_a_dispatch(build):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[
        ("KAZ", "RUS", "8542", "2022-01/2022-06", MONTHS),
        ("RUS", "KAZ TUR", "8542", "2022-07/2022-12", MONTHS | {"flow": "import", "partner_concept": "consignment"})])
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022") == "covered"
    assert ask(network, ["TUR"], ["RUS"], "2022", "2022") == "partly: only 2022-07/2022-12"
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022", concept="origin") == "not covered"


def test_origin_is_covered_by_the_importer_alone(build):
    network = build([("USA", "KAZ", "8542", "2022", 1.0)], coverage=[("KAZ", "*", "8541+8542", "2022", ORIGIN), ("USA", "*", "*", "2022")])
    assert ask(network, ["USA"], ["KAZ"], "2022", "2022", concept="origin", codes=["8542"]) == "covered"
    assert ask(network, ["USA"], ["KAZ"], "2022", "2022", concept="origin", codes=["8471"]) == "not covered"
    assert ask(network, ["USA"], ["TUR"], "2022", "2022", concept="origin") == "not covered"


def test_some_of_several_pairs(build):
    network = build([("DEU", "KAZ", "8542", "2022", 1.0)], coverage=[("DEU", "KAZ", "8542", "2022"), ("LTU", "KAZ", "8542", "2022")])
    assert ask(network, ["DEU", "LTU", "CYP"], ["KAZ"], "2022", "2022") == "partly: 2 of 3 pairs"


BOTH = ["8541", "8542"]


def test_goods_covered_on_some_of_the_days_leave_those_on_which_all_are(build):
    network = build([("KAZ", "RUS", "8542", "2022-01", 1.0)], coverage=[
        ("KAZ", "RUS", "8541", "2022-01/2022-06", MONTHS), ("KAZ", "RUS", "8542", "2022", MONTHS)])
    both = seen(network, ["KAZ"], ["RUS"], "2022", "2022", exact=BOTH)
    assert both.text == "partly: only 2022-01/2022-06"
    assert both.all_goods
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022", exact=["8542"]) == "covered"
    assert ask(network, ["KAZ"], ["RUS"], "2022-02", "2022-03", exact=BOTH) == "covered"
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022", exact=["8471", *BOTH]) == "partly: only 2022-01/2022-06; only goods 8541 8542"


def test_goods_never_covered_on_the_same_days(build):
    network = build([("KAZ", "RUS", "8542", "2022-01", 1.0)], coverage=[
        ("KAZ", "RUS", "8541", "2022-01/2022-06", MONTHS), ("KAZ", "RUS", "8542", "2022-07/2022-12", MONTHS)])
    found = seen(network, ["KAZ"], ["RUS"], "2022", "2022", exact=BOTH)
    assert not found.all_goods
    assert found.text == "partly: goods 8541 8542 not on the same days"


def test_codes_that_another_hs_version_replaced_take_no_days_away(build):
    old, new = ["854140"], ["854141", "854142", "854143", "854149"]
    network = build([("KAZ", "RUS", "854140", "2021-01", 1.0)], coverage=[
        ("KAZ", "RUS", " ".join([*old, "854231"]), "2021", MONTHS), ("KAZ", "RUS", " ".join([*new, "854231"]), "2022", MONTHS)])
    assert ask(network, ["KAZ"], ["RUS"], "2021", "2022", exact=[*old, *new, "854231"]) == "covered"
    assert ask(network, ["KAZ"], ["RUS"], "2021", "2022", exact=[*old, *new[:2]]).endswith("not on the same days"), "854149 is not asked"
    assert ask(network, ["KAZ"], ["RUS"], "2021", "2022", exact=["854231"]) == "covered"


@pytest.mark.parametrize(("code", "period", "text"), [
    ("8806", "2021", "partly: goods of 8806 stood under other codes"), ("8806", "2022", "covered"),
    ("8806", "2021/2022", "partly: only 2022"),
    ("854149", "2021", "partly: goods of 854149 stood under other codes"), ("854149", "2022", "covered"),
    ("854140", "2021", "covered"), ("854140", "2022", "partly: goods of 854140 stood under other codes"),
    ("8541", "2021/2022", "covered"), ("854231", "2021/2022", "covered"), ("999999", "2021/2022", "covered")])
def test_goods_of_a_code_are_not_told_where_it_did_not_exist(build, code, period, text):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[("KAZ", "*", "*", "2020/2023")])
    since, _, until = period.partition("/")
    assert ask(network, ["KAZ"], ["RUS"], since, until or since, exact=[code]) == text


def test_a_source_that_lists_an_old_code_tells_it(build):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[("KAZ", "*", "854140", "2020/2023")])
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022", exact=["854140"]) == "covered"


def test_predecessors_that_the_question_accepts_tell_the_goods(build):
    network = build([("KAZ", "RUS", "8542", "2022", 1.0)], coverage=[("KAZ", "*", "*", "2020/2023")])
    assert ask(network, ["KAZ"], ["RUS"], "2021", "2022", codes=["854149", "854140"], exact=["854149"]) == "covered"


def test_goods_covered_by_either_side_on_the_same_days_are_all_covered(build):
    network = build([("KAZ", "RUS", "8542", "2022-01", 1.0)], coverage=[
        ("KAZ", "RUS", "8541", "2022", MONTHS), ("RUS", "KAZ", "8542", "2022", {"flow": "import", "partner_concept": "consignment"})])
    assert ask(network, ["KAZ"], ["RUS"], "2022", "2022", exact=BOTH) == "covered"


def test_firms_are_covered_where_their_country_reports(build):
    network = build([("a.KAZ", "b.RUS", "8542", "2022", 1.0)], level="firms", coverage=[("KAZ", "RUS", "*", "2022")])
    assert ask(network, ["a.KAZ"], ["b.RUS"], "2022", "2022") == "covered"


@pytest.mark.parametrize("text", ["2022-13", "2022-02-30", "20220101", "2022/", "2023/2022", "", "next year", "2022-1"])
def test_bad_periods_are_refused(text):
    with pytest.raises(InputError, match="period"):
        parse_period(text)


def test_goods_overlap_where_one_code_begins_the_other():
    chance = random.Random(1)
    codes = ["85", "8541", "8542", "854231", "8541+8542", "84", "8471", "847130", "*", ""]
    for _ in range(2000):
        one, other = (frozenset(chance.sample(codes, chance.randint(0, 3))) for _ in range(2))
        parts = [{part for code in side for part in code.split("+")} for side in (one, other)]
        plain = any(a.startswith(b) or b.startswith(a) for a in parts[0] for b in parts[1])
        assert overlaps(one, other) == (plain or "*" in one or "*" in other)
