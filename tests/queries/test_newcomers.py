import pytest

import chiptrail as ct

DETAIL = {"hs_version": "HS2022"}


def statuses(table, side="seller_id"):
    return table.set_index(side)["status"].to_dict()


@pytest.fixture(scope="module")
def network(build):
    return build(
        [("XAA", "RUS", "8542", "2022-06", 500.0), ("XBB", "RUS", "8542", "2020-01", 7.0), ("XBB", "RUS", "8542", "2022-06", 900.0),
         ("XCC", "RUS", "8542", "2022-07", 300.0), ("XDD", "RUS", "8542", "2022", 200.0), ("XEE", "RUS", "8542", "", 100.0),
         ("XFF", "RUS", "8542", "2022-08", 80.0), ("XAA", "KAZ", "8542", "2021-01", 60.0)],
        coverage=[("XAA", "*", "8542", "2019/2022"), ("XBB", "RUS", "8542", "2019/2022"), ("XDD", "RUS", "8542", "2019/2022"),
                  ("XEE", "RUS", "8542", "2019/2022"), ("XFF", "RUS", "8542", "2021-09/2022-12")])


def test_only_who_was_seen_not_to_trade_before_is_a_newcomer(network):
    table = ct.newcomers(network, since="2022-03", destinations=["RUS"], concept="dispatched")
    assert statuses(table) == {
        "XAA": "newcomer", "XCC": "not known: the time before is not covered",
        "XDD": "not known: a record begins before the date and ends after it", "XEE": "not known: a record has no dates",
        "XFF": "not known: the year before is covered partly: only 2021-09/2022-02"}
    assert "XBB" not in set(table["seller_id"]), "it sold in 2020"
    first = table.iloc[0]
    assert (first["seller_id"], str(first["first_date"].date()), first["value_usd"], first["covered_before"]) == (
        "XAA", "2022-06-01", 500.0, "2021-03/2022-02")


def test_seller_is_judged_over_all_its_destinations(network):
    table = ct.newcomers(network, since="2022-03", who="seller", concept="dispatched")
    assert "XAA" not in set(table["seller_id"]), "it sold to KAZ in 2021"
    assert set(table["buyer_id"]) == {""}
    toward = ct.newcomers(network, since="2022-03", who="seller", destinations=["RUS"], concept="dispatched")
    assert statuses(toward)["XAA"] == "newcomer"


def test_buyer_is_known_to_be_new_only_where_all_its_sellers_are_covered(network):
    table = ct.newcomers(network, since="2020-06", who="buyer", concept="dispatched")
    assert statuses(table, "buyer_id") == {"KAZ": "not known: the time before is not covered"}


def test_incomplete_coverage_makes_nobody_a_newcomer(build):
    network = build([("XAA", "RUS", "8542", "2022-06", 5.0)], coverage=[("XAA", "RUS", "8542", "2020/2022", {"complete": False})])
    assert ct.newcomers(network, since="2022", concept="dispatched")["status"].tolist() == [
        "not known: the year before is covered partly: may miss rows"]


@pytest.mark.parametrize(("code", "covered", "status"), [
    ("854151", "8541", "not known: 854151 did not stand in HS2017"), ("854151", "854151", "not known: 854151 did not stand in HS2017"),
    ("854231", "8542", "newcomer")])
def test_goods_that_had_no_code_before_make_no_newcomer(build, code, covered, status):
    network = build([("XAA", "RUS", code, "2022-06", 5.0, DETAIL)], coverage=[("XAA", "RUS", covered, "2020/2022")])
    assert ct.newcomers(network, since="2022", concept="dispatched")["status"].tolist() == [status]


@pytest.mark.parametrize(("products", "status"), [
    ("854149", "not known: the year before is covered partly: goods of 854149 stood under other codes"),
    (["854140", "854149"], "newcomer"), ("8541", "newcomer"), (None, "newcomer")])
def test_goods_are_new_only_if_their_earlier_code_was_asked_for_too(build, products, status):
    network = build([("XAA", "RUS", "854149", "2022-06", 5.0, DETAIL)], coverage=[("XAA", "RUS", "8541 8542", "2020/2022")])
    assert ct.newcomers(network, since="2022", products=products, concept="dispatched")["status"].tolist() == [status]


def wide(build, *rows):
    network = build([("XAA", "RUS", code, period, 5.0) for code, period in rows], coverage=[("XAA", "*", "8542", "2020/2022")])
    return ct.newcomers(network, since="2022", products="854231", concept="dispatched")


def test_wider_code_alone_shows_no_newcomer(build):
    row = wide(build, ("8542", "2022-03")).iloc[0]
    assert (row["status"], row["n_records"]) == ("not known: told only in wider codes, or in dates partly outside the period", 0)
    assert row[["first_date", "value_usd", "known_usd"]].isna().all()


def test_first_date_is_that_of_a_record_counted(build):
    row = wide(build, ("8542", "2022-03"), ("854231", "2022-06")).iloc[0]
    assert (row["status"], str(row["first_date"].date()), row["products"]) == (
        "not known: when it began, since it is told in a wider code too", "2022-06-01", "854231")


def test_wider_code_before_the_date_is_no_silence_and_no_trade(build):
    row = wide(build, ("8542", "2021-06"), ("854231", "2022-06")).iloc[0]
    assert (row["status"], row["n_records"]) == ("not known: told before in a wider code", 1)
    assert wide(build, ("8542", "2021-06"), ("8542", "2022-06")).empty, "no record is of the products"


def test_heading_beside_its_subheadings_says_nothing_more(build):
    table = wide(build, ("8542", "2021-06"), ("854239", "2021-06"), ("8542", "2022-06"), ("854231", "2022-06"))
    assert table["status"].tolist() == ["newcomer"]
    assert wide(build, ("8542", "2021-06"), ("854231", "2021-06"), ("854231", "2022-06")).empty


def test_firms_are_covered_where_the_customs_of_their_country_are(build):
    rows = [("old.KAZ", "buyer.RUS", "8542", "2021-03", 5.0), ("new.KAZ", "buyer.RUS", "8542", "2022-06", 9.0),
            ("new.TUR", "buyer.RUS", "8542", "2022-06", 4.0), ("Unnamed firm.KAZ", "buyer.RUS", "8542", "2022-06", 1.0)]
    network = build(rows, level="firms", coverage=[("KAZ", "*", "8542", "2021/2022")])
    table = ct.newcomers(network, since="2022", concept="dispatched")
    assert statuses(table) == {"new.KAZ": "newcomer", "new.TUR": "not known: the time before is not covered"}


def test_members_of_the_union_that_began_to_sell_chips_to_kyrgyzstan():
    """Of the rows of the bundled corridors: first month of 8542 in 2020-01 to 2022-11 on or after March 2022."""
    network = ct.load_bundled("countries")
    table = ct.newcomers(network, since="2022-03", destinations=["KGZ"], concept="dispatched", products="8542")
    trades = network.trades
    chips = trades[trades["buyer_id"].eq("KGZ") & trades["hs_code"].str.startswith("8542") & trades["source_id"].eq("eurostat_comext")]
    first = chips.groupby("seller_id")["period_start"].min()
    assert set(table.loc[table["status"].eq("newcomer"), "seller_id"]) == set(first.index[first >= "2022-03-01"])
    assert len(table) > 3
