import random
import re
from inspect import getdoc, signature

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.schema import TABLES
from chiptrail.loaders.bundled import load_bundled
from chiptrail.queries.reconcile import COLUMNS, STATUSES, reconcile

CONSIGNMENT = {"flow": "import", "partner_concept": "consignment"}
ORIGIN = {"flow": "import", "partner_concept": "origin"}
MONTHS = {"resolution": "month"}


def kg(value):
    return {"weight_kg": value}


@pytest.fixture
def firms(build):
    """Records of two sellers in Germany and one in Turkey who sell to Kazakhstan."""
    return build([
        ("a.DEU", "x.KAZ", "854231", "2022-01-05", 30.0, kg(1.0)), ("b.DEU", "y.KAZ", "8542", "2022-01-20", 20.0, kg(2.0)),
        ("a.DEU", "x.KAZ", "854239", "2022-02-10", 90.0, kg(4.0)), ("a.DEU", "x.KAZ", "854231", "2022-03-01", None),
        ("a.DEU", "y.KAZ", "847150", "2022-01-09", 7.0), ("c.TUR", "x.KAZ", "854110", "2022-01-11", 60.0),
        ("c.TUR", "x.KAZ", "854231", "2022-06-11", 40.0), ("a.DEU", "x.KAZ", "854231", "2022-12-24", 5.0),
    ], level="firms")


@pytest.fixture
def statistics(build):
    """Germany reports months to November, Turkey a year of two headings together, Kazakhstan tells some of it too."""
    return build([
        ("DEU", "KAZ", "8542", "2022-01", 100.0, kg(10.0)), ("DEU", "KAZ", "85423190", "2022-01", 60.0),
        ("DEU", "KAZ", "8542", "2022-02", 60.0, kg(8.0)), ("DEU", "KAZ", "8542", "2022-03", 11.0),
        ("DEU", "KAZ", "8542", "2022-04", 50.0), ("DEU", "KAZ", "8471", "2022-01", None), ("DEU", "KAZ", "9014", "2022-01", 8.0),
        ("DEU", "KAZ", "8542", "2022-01", 111.0, CONSIGNMENT | {"reported_by": "KAZ", "valuation": "CIF"}),
        ("TUR", "KAZ", "8541+8542", "2022", 400.0), ("DEU", "RUS", "8542", "2022-01", 9.0),
        ("DEU", "KAZ", "8542", "2022", 999.0, ORIGIN | {"reported_by": "KAZ"}),
    ], coverage=[("DEU", "*", "*", "2022-01..2022-11", MONTHS), ("TUR", "*", "8541+8542", "2022", {"resolution": "year"})])


def cell(table, *key):
    return table.set_index(["seller", "buyer", "product", "period"]).loc[key]


def test_sums_worked_by_hand(firms, statistics):
    table = reconcile(firms, statistics)
    assert list(table["period"][table["seller"].eq("DEU") & table["product"].eq("8542")]) == [
        "2022-01", "2022-02", "2022-03", "2022-04", "2022-12"]
    january = cell(table, "DEU", "KAZ", "8542", "2022-01")
    assert (january["status"], january["firms_usd"], january["statistic_usd"]) == ("compared", 50, 100)
    assert (january["share_covered"], january["exceeds_usd"], january["n_records"]) == (0.5, 0, 2)
    assert (january["firms_kg"], january["statistic_kg"], january["share_covered_kg"]) == (3, 10, 0.3)
    assert (january["first_date"], january["last_date"]) == (pd.Timestamp("2022-01-05"), pd.Timestamp("2022-01-20"))
    assert january["coverage"] == "covered"
    february = cell(table, "DEU", "KAZ", "8542", "2022-02")
    assert (february["share_covered"], february["exceeds_usd"], february["exceeds_kg"]) == (1.5, 30, 0)
    march = cell(table, "DEU", "KAZ", "8542", "2022-03")
    assert (march["status"], march["n_without_value"], march["n_records"]) == ("records without value", 1, 1)
    assert pd.isna(march["share_covered"])
    april = cell(table, "DEU", "KAZ", "8542", "2022-04")
    assert (april["status"], april["share_covered"], april["firms_usd"]) == ("no records", 0, 0)
    december = cell(table, "DEU", "KAZ", "8542", "2022-12")
    assert (december["status"], december["coverage"], december["firms_usd"]) == ("not covered", "not covered", 5)
    assert december[["share_covered", "exceeds_usd", "statistic_usd"]].isna().all()
    assert cell(table, "DEU", "KAZ", "8471", "2022-01")["status"] == "value not given"
    turkey = cell(table, "TUR", "KAZ", "8541+8542", "2022")
    assert (turkey["share_covered"], turkey["firms_usd"], turkey["n_records"], turkey["n_months"]) == (0.25, 100, 2, 12)
    assert table.attrs["left_aside"] == {
        "statistic: code within a wider one": 1, "statistic: told by the other side too": 1}
    assert "9014" not in set(table["product"])
    notes = " ".join(table.attrs["notes"])
    assert "1 headings of these pairs" in notes
    assert "1 records state no value" in notes


def test_years_hold_only_the_months_that_compare(firms, statistics):
    table = reconcile(firms, statistics, by="year")
    year = cell(table, "DEU", "KAZ", "8542", "2022")
    # January 50 of 100, February 90 of 60, April none of 50; March has no value in the records, December no statistic
    assert (year["firms_usd"], year["statistic_usd"], year["n_months"], year["status"]) == (140, 210, 3, "compared")
    assert year["coverage"] == "partly"
    assert cell(table, "TUR", "KAZ", "8541+8542", "2022")["share_covered"] == 0.25


def test_zero_needs_complete_coverage_and_a_heading_in_use(build):
    firms = build([("a.DEU", "x.KAZ", "8542", "2022-05-05", 30.0), ("a.DEU", "x.KAZ", "8524", "2022-05-05", 4.0),
                   ("a.DEU", "x.ARM", "8542", "2022-05-05", 2.0)], level="firms")
    rows = [("DEU", "RUS", "8542", "2022-01", 1.0), ("DEU", "ARM", "85", "2022-05", 50.0)]
    covered = ("DEU", "*", "*", "2022-01..2022-12", MONTHS)
    table = reconcile(firms, build(rows, coverage=[covered]))
    zero = cell(table, "DEU", "KAZ", "8542", "2022-05")
    assert (zero["status"], zero["statistic_usd"], zero["exceeds_usd"]) == ("zero", 0, 30)
    assert pd.isna(zero["share_covered"])
    assert cell(table, "DEU", "KAZ", "8524", "2022-05")["status"] == "may be missing", "no row of the statistic has this heading"
    assert cell(table, "DEU", "ARM", "8542", "2022-05")["status"] == "may be missing", "the chapter may hold it"
    partly = (*covered[:4], MONTHS | {"complete": False})
    assert cell(reconcile(firms, build(rows, coverage=[partly])), "DEU", "KAZ", "8542", "2022-05")["status"] == "may be missing"
    assert set(reconcile(firms, build(rows))["status"]) == {"not covered"}


def test_narrower_goods_are_not_compared(build):
    """Of the heading the statistic tells one narrow code, 35; the chapter may hold the rest."""
    records = [("a.DEU", "x.KAZ", "854231", "2022-01-05", 70.0, kg(2.0)), ("a.DEU", "x.KAZ", "854290", "2022-01-06", 70.0)]
    firms = build(records, level="firms")
    one, chapter = ("DEU", "KAZ", "85423190", "2022-01", 35.0, kg(1.0)), ("DEU", "KAZ", "85", "2022-01", 900.0)
    covered = [("DEU", "*", "*", "2022-01..2022-12", MONTHS)]
    for by, period in (("month", "2022-01"), ("year", "2022")):
        for statistic in (build([one]), build([one, chapter]), build([one, chapter], coverage=covered)):
            row = cell(reconcile(firms, statistic, by=by), "DEU", "KAZ", "8542", period)
            assert row[["status", "firms_usd", "statistic_usd", "n_months"]].tolist() == ["narrower goods", 140, 35, 0]
            assert row[["share_covered", "exceeds_usd", "share_covered_kg", "exceeds_kg"]].isna().all()
    whole = cell(reconcile(firms, build([one], coverage=covered)), "DEU", "KAZ", "8542", "2022-01")
    assert whole[["status", "exceeds_usd"]].tolist() == ["compared", 105], "all is covered, so the rest of the heading is zero"
    both = build([one, ("DEU", "KAZ", "854290", "2022-01", 70.0)])
    same = build([("a.DEU", "x.KAZ", "85423190", "2022-01-05", 70.0), records[1]], level="firms")
    assert cell(reconcile(same, both), "DEU", "KAZ", "8542", "2022-01")["status"] == "compared"
    assert cell(reconcile(firms, both), "DEU", "KAZ", "8542", "2022-01")["status"] == "narrower goods", "of 854231 only a part is told"


def test_like_with_like(build):
    firms = build([
        ("a.ARE", "x.KAZ", "8542", "2022-01-05", 10.0, {"x_dispatch_country": "DEU", "origin_country": "MYS"}),
        ("b.DEU", "x.KAZ", "8542", "2022-01-06", 20.0, {"origin_country": ""}),
    ], level="firms")
    statistics = build([("DEU", "KAZ", "8542", "2022-01", 40.0), ("ARE", "KAZ", "8542", "2022-01", 1.0),
                        ("MYS", "KAZ", "8542", "2022-01", 50.0, ORIGIN | {"reported_by": "KAZ"})])
    sent = reconcile(firms, statistics)
    assert sent[["seller", "firms_usd", "statistic_usd", "share_covered"]].values.tolist() == [["DEU", 30.0, 40.0, 0.75]]
    made = reconcile(firms, statistics, concept="origin")
    assert made[["seller", "firms_usd", "statistic_usd", "share_covered"]].values.tolist() == [["MYS", 10.0, 50.0, 0.2]]
    assert made.attrs["left_aside"] == {"records: country of origin not stated": 1}


def test_blocs_stand_for_members_the_statistic_does_not_tell(build):
    firms = build([("a.DEU", "x.KAZ", "8542", "2022-01-05", 10.0), ("a.FRA", "x.KAZ", "8542", "2022-01-06", 20.0)], level="firms")
    table = reconcile(firms, build([("EU27", "KAZ", "8542", "2022-01", 60.0)]))
    assert table[["seller", "firms_usd", "share_covered"]].values.tolist() == [["EU27", 30.0, 0.5]]
    both = reconcile(firms, build([("EU27", "KAZ", "8542", "2022-01", 60.0), ("DEU", "KAZ", "8542", "2022-01", 40.0)]))
    assert cell(both, "DEU", "KAZ", "8542", "2022-01")["share_covered"] == 0.25


def test_records_that_cannot_be_placed_are_counted(build):
    rows = [
        ("a.DEU", "x.KAZ", "8542", "2022-01-05", 10.0), ("nowhere", "x.KAZ", "8542", "2022-01-05", 1.0),
        ("a.DEU", "nobody", "8542", "2022-01-05", 1.0), ("a.DEU", "x.KAZ", "", "2022-01-05", 1.0),
        ("a.DEU", "x.KAZ", "85", "2022-01-05", 1.0), ("a.DEU", "x.KAZ", "8542", "", 1.0), ("a.DEU", "b.DEU", "8542", "2022-01-05", 1.0),
        ("a.DEU", "x.KAZ", "8542", "2021-12..2022-01", 1.0), ("a.DEU", "x.KAZ", "8542", "2022-01..2022-02", 1.0),
    ]
    table = reconcile(build(rows, level="firms"), build([("DEU", "KAZ", "8542", "2022-01", 40.0), ("DEU", "KAZ", "8542", "2022-02", 1.0)]))
    assert cell(table, "DEU", "KAZ", "8542", "2022-01")["firms_usd"] == 10
    assert table.attrs["left_aside"] == {f"records: {reason}": 1 for reason in (
        "country of the buyer not known", "country of the seller not known", "code of fewer than 4 digits", "without HS code",
        "without dates", "within one country", "dates not within one year", "dates not within one month")}
    used = int(table["n_records"].sum())
    assert used + sum(table.attrs["left_aside"].values()) == len(rows)


def test_valuation_is_named(build):
    firms = build([("a.DEU", "x.KAZ", "8542", "2022-01-05", 10.0, {"valuation": "FOB"})], level="firms")
    table = reconcile(firms, build([("DEU", "KAZ", "8542", "2022-01", 40.0, CONSIGNMENT | {"reported_by": "KAZ", "valuation": "CIF"})]))
    assert table[["firms_valuation", "statistic_valuation", "reported_by"]].values.tolist() == [["FOB", "CIF", "KAZ"]]
    assert any("CIF" in note for note in table.attrs["notes"])


def test_months_held_in_part_by_the_question(firms, statistics):
    table = reconcile(firms, statistics, since="2022-01-10", until="2022-02", products="8542")
    assert table[["period", "firms_usd"]][table["seller"].eq("DEU")].values.tolist() == [["2022-02", 90.0]]
    assert table.attrs["left_aside"]["records: in a month that the question holds only in part"] == 1


def told_by_month(rows, statistic):
    """Sums by cell, the long way."""
    sums: dict[tuple, list] = {}
    for seller, buyer, code, day, value in rows:
        sums.setdefault((seller[-3:], buyer[-3:], code[:4], day[:7]), []).append(value)
    headings = {key[:3] for key in sums}
    months = sorted(key[3] for key in sums)
    keys = set(sums) | {key for key in statistic if key[:3] in headings and months[0] <= key[3] <= months[-1]}
    return {key: (sum(sums.get(key, [])), statistic.get(key)) for key in keys}


@pytest.mark.soak
def test_brute_force(build, campaign):
    for seed in campaign(200):
        draw = random.Random(seed)
        lands, codes = ["DEU", "FRA", "TUR", "KAZ"], ["8541", "854231", "854239", "8471"]
        months = [f"2022-{m:02}" for m in range(1, 8)]
        rows = []
        for _ in range(draw.randint(1, 40)):
            seller, buyer = draw.sample(lands, 2)
            day = f"{draw.choice(months)}-{draw.randint(1, 28):02}"
            rows.append((f"s{draw.randint(0, 3)}.{seller}", f"b.{buyer}", draw.choice(codes), day, float(draw.randint(1, 99))))
        statistic = {(s, b, code[:4], m): float(draw.randint(0, 99)) for s in lands for b in lands if s != b for code in codes
                     for m in months if draw.random() < 0.4}
        told = [(*key, value) for key, value in statistic.items()] + [("KAZ", "RUS", code[:4], m, 1.0) for code in codes for m in months]
        coverage = [(land, "*", "*", "2022-01..2022-07", MONTHS) for land in lands[:3]]
        table = reconcile(build(rows, level="firms"), build(told, coverage=coverage))
        columns = ["seller", "buyer", "product", "period", "firms_usd", "statistic_usd", "status"]
        found = {tuple(row[:4]): row[4:] for row in table[columns].itertuples(index=False, name=None)}
        expected = told_by_month(rows, statistic)
        assert found.keys() == expected.keys(), seed
        for key, (ours, theirs) in expected.items():
            status = ("no records" if not ours else "compared") if theirs is not None else "not covered" if key[0] == "KAZ" else "zero"
            assert found[key][2] == status, (seed, key)
            assert found[key][0] == ours
            assert pd.isna(found[key][1]) if status == "not covered" else found[key][1] == (theirs or 0)


def test_bundled_data():
    firms, countries = load_bundled("firms"), load_bundled("countries")
    table = reconcile(firms, countries, products="8542", origins=["HKG"], destinations=["RUS"])
    year = cell(table, "HKG", "RUS", "8542", "2022")
    records = firms.trades
    assert year["statistic_usd"] == 208_000_000
    of_year = records[records["hs_code"].str.startswith("8542") & records["seller_id"].str.contains(":HKG:")
                      & records["buyer_id"].str.contains(":RUS:") & records["period_start"].dt.year.eq(2022)
                      & records["period_end"].dt.year.eq(2022)]
    assert year["n_records"] == len(of_year) > 0
    assert year["firms_usd"] == of_year["value_usd"].sum()
    assert year["share_covered"] == pytest.approx(of_year["value_usd"].sum() / 208e6)
    assert len(table.attrs["sources"]) >= 2


def test_contract(small_firms, small_countries):
    first, second, *rest = signature(reconcile).parameters.values()
    assert (first.name, second.name) == ("firms", "countries")
    assert all(p.kind is p.KEYWORD_ONLY for p in rest)
    returns = getdoc(reconcile).split("Returns\n")[1].split("Raises\n")[0]
    assert [c for c in COLUMNS if f"`{c}`" not in returns] == []
    before = {(n.level, t): getattr(n, t) for n in (small_firms, small_countries) for t in TABLES}
    table = reconcile(small_firms, small_countries)
    for (level, name), frame in before.items():
        assert_frame_equal(getattr(small_firms if level == "firms" else small_countries, name), frame)
    assert list(table.columns) == list(COLUMNS)
    assert set(table["status"]) <= set(STATUSES)
    assert {"question", "notes", "left_aside", "sources"} <= set(table.attrs)
    assert any("cover" in note for note in table.attrs["notes"])
    assert any(note.startswith("dispatched") for note in table.attrs["notes"])
    shuffled = [TradeNetwork(level=n.level, **{t: getattr(n, t).sample(frac=1, random_state=3) for t in TABLES})
                for n in (small_firms, small_countries)]
    again = reconcile(*shuffled)
    assert_frame_equal(table, again, check_exact=True)
    assert table.attrs == again.attrs


@pytest.mark.parametrize("by", ["month", "year"])
def test_empty_networks_give_the_same_columns(firms, statistics, by):
    full = reconcile(firms, statistics, by=by)
    nothing = {level: TradeNetwork(level=level, actors=empty("actors"), trades=empty("trades")) for level in ("firms", "countries")}
    for pair in ((nothing["firms"], nothing["countries"]), (nothing["firms"], statistics)):
        table = reconcile(*pair, by=by)
        assert len(table) == 0
        assert table.dtypes.to_dict() == full.dtypes.to_dict()
        assert table.attrs["notes"]
    alone = reconcile(firms, nothing["countries"], by=by)
    assert set(alone["status"]) == {"not covered"}
    assert alone.dtypes.to_dict() == full.dtypes.to_dict()


def test_wrong_use(firms, statistics):
    with pytest.raises(NotComparableError, match="records of firms come first"):
        reconcile(statistics, firms)
    with pytest.raises(NotComparableError, match="brand"):
        reconcile(firms, statistics, concept="brand")
    for slip in ({"by": "mnth"}, {"concept": "orgin"}, {"products": "chip"}, {"prefer": "exprter"}, {"origins": ["Kazakstan"]},
                 {"destinations": ["Rusia"]}):
        with pytest.raises(UnknownNameError, match="did you mean"):
            reconcile(firms, statistics, **slip)


def test_nothing_accuses():
    assert not re.search("guilt|smuggl|illegal|evad", getdoc(reconcile).lower())
