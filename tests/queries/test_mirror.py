"""Mirror gaps: small networks worked by hand, and real mirror data against sums made straight from the files."""

import itertools

import numpy as np
import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.loaders.bundled import load_bundled
from chiptrail.loaders.mirror_totals import load_mirror_totals
from chiptrail.loaders.simulated import simulate
from chiptrail.queries.mirror import COLUMNS, GHOST, STATUSES, mirror_gaps, with_ghost_trade

IN = {"flow": "import", "partner_concept": "consignment", "valuation": "CIF"}
ORIGIN = {"flow": "import", "partner_concept": "origin", "valuation": "CIF"}
OUT = {"valuation": "FOB"}


def sent(seller, buyer, period, value, code="8542", **more):
    return (seller, buyer, code, period, value, OUT | more)


def received(seller, buyer, period, value, code="8542", **more):
    return (seller, buyer, code, period, value, IN | {"reported_by": buyer} | more)


def by_origin(seller, buyer, period, value, code="8542", **more):
    return (seller, buyer, code, period, value, ORIGIN | {"reported_by": buyer} | more)


def only(table):
    [row] = table.to_dict("records")
    return row


def test_a_gap_is_what_was_sent_less_what_arrived_without_its_freight(build):
    network = build([sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 53.0)])
    row = only(mirror_gaps(network, cif_margin=0.06))
    assert row["status"] == "gap"
    assert row["importer_fob_usd"] == pytest.approx(50.0)
    assert row["gap_usd"] == pytest.approx(50.0)
    assert row["gap_low_usd"] == pytest.approx(100 - 53)
    assert row["gap_high_usd"] == pytest.approx(100 - 53 / 1.2)
    assert row["share_missing"] == pytest.approx(0.5)
    assert (row["n_exporter"], row["n_importer"], row["cif_margin"]) == (1, 1, 0.06)


def test_gaps_are_signed_and_small_ones_kept(build):
    network = build([sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 99.9),
                     sent("DEU", "ARM", "2022", 100.0), received("DEU", "ARM", "2022", 180.0)])
    table = mirror_gaps(network, cif_margin=0).set_index("importer_id")
    assert table["gap_usd"].to_dict() == pytest.approx({"KAZ": 0.1, "ARM": -80.0})
    assert set(table["status"]) == {"gap"}


def test_no_margin_between_values_of_the_same_terms(build):
    network = build([sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 80.0, valuation="FOB")])
    row = only(mirror_gaps(network, cif_margin=0.1))
    assert (row["gap_usd"], row["gap_low_usd"], row["gap_high_usd"], row["cif_margin"]) == (20.0, 20.0, 20.0, 0.0)


def test_margin_is_the_median_of_those_that_both_report(build):
    countries = ["ARM", "AZE", "GEO", "KGZ", "UZB", "TUR", "SRB", "MDA", "MNG", "TJK", "TKM"]
    rows = [row for i, c in enumerate(countries) for row in (sent("DEU", c, "2022", 100.0), received("DEU", c, "2022", 105.0 + i))]
    rows += [sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 10.0)]
    table = mirror_gaps(build(rows)).set_index("importer_id")
    assert table.loc["KAZ", "cif_margin"] == pytest.approx(0.10)
    assert table.loc["KAZ", "gap_low_usd"] == pytest.approx(100 - 10)
    assert table.loc["KAZ", "gap_high_usd"] == pytest.approx(100 - 10 / np.sqrt(1.12 * 1.13))
    assert any("median of 11 cells" in note for note in table.attrs["notes"])


PARTNERS = ["ARM", "AZE", "GEO", "KGZ", "UZB", "TUR", "SRB", "MDA", "MNG", "TJK", "TKM"]


def test_a_margin_that_the_data_do_not_show_lies_between_none_and_a_fifth(build):
    network = build([row for c in PARTNERS for row in (sent("DEU", c, "2022", 100.0), received("DEU", c, "2022", 95.0))])
    table = mirror_gaps(network)
    assert table["gap_usd"].tolist() == pytest.approx([100 - 95 / 1.06] * 11)
    assert table["gap_low_usd"].tolist() == pytest.approx([5.0] * 11)
    assert table["gap_high_usd"].tolist() == pytest.approx([100 - 95 / 1.2] * 11)
    assert any("it is not identified" in note for note in table.attrs["notes"])


@pytest.mark.parametrize(("received_usd", "high"), [(101.0, 0.06), (115.0, 0.15), (150.0, 0.2)])
def test_the_interval_of_an_estimated_margin_is_never_narrow(build, received_usd, high):
    network = build([row for c in PARTNERS for row in (sent("DEU", c, "2022", 100.0), received("DEU", c, "2022", received_usd))])
    table = mirror_gaps(network)
    assert table["cif_margin"].tolist() == pytest.approx([min(received_usd / 100 - 1, 0.2)] * 11)
    assert table["gap_low_usd"].tolist() == pytest.approx([100 - received_usd] * 11)
    assert table["gap_high_usd"].tolist() == pytest.approx([100 - received_usd / (1 + high)] * 11)


def test_with_too_few_pairs_the_margin_is_the_usual_one(build):
    row = only(mirror_gaps(build([sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 53.0)])))
    assert row["cif_margin"] == 0.06
    assert (row["gap_low_usd"], row["gap_high_usd"]) == pytest.approx((47.0, 100 - 53 / 1.2))


@pytest.mark.parametrize("months", [range(1, 3), range(1, 12)], ids=["two", "eleven"])
def test_a_year_of_few_months_is_no_gap(build, months):
    rows = [sent("DEU", "KAZ", str(year), 1200.0) for year in (2020, 2021, 2022)]
    rows += [received("DEU", "KAZ", f"{year}-{m:02}", 100.0) for year in (2020, 2021) for m in range(1, 13)]
    rows += [received("DEU", "KAZ", f"2022-{m:02}", 100.0) for m in months]
    table = mirror_gaps(build(rows), cif_margin=0).set_index("period")
    assert table["status"].tolist() == ["gap", "gap", "partial period"]
    assert np.isnan(table.loc["2022", "gap_usd"])
    assert f"{len(months)} of 12 months" in table.loc["2022", "reason"]


def test_coverage_says_which_months_are_told(build):
    rows = [sent("DEU", "KAZ", "2022-01", 60.0), sent("DEU", "KAZ", "2022-11", 60.0), received("DEU", "KAZ", "2022", 200.0)]
    coverage = [("DEU", "KAZ", "8542", "2022-01/2022-11", {"resolution": "month"}), ("KAZ", "*", "8542", "2022", IN)]
    network = build(rows, coverage=[(*row[:4], {k: v for k, v in (row[4] if len(row) > 4 else {}).items() if k != "valuation"})
                                    for row in coverage])
    assert only(mirror_gaps(network))["status"] == "partial period"


def test_few_rows_and_partners_are_a_partial_year_but_growth_is_not(build):
    partners = ["DEU", "FRA", "ITA", "ESP", "POL", "CZE", "AUT", "NLD", "BEL", "SWE", "FIN", "DNK"]
    rows = [row for y in range(2018, 2024) for p in partners
            for row in (sent(p, "ARM", str(y), 100.0), sent(p, "KGZ", str(y), 100.0 * 3 ** (y - 2018)),
                        received(p, "KGZ", str(y), 100.0 * 3 ** (y - 2018)))]
    rows += [received(p, "ARM", str(y), 100.0) for y in range(2018, 2023) for p in partners]
    rows += [received(p, "ARM", "2023", 15.0) for p in partners[:9]]
    table = mirror_gaps(build(rows), cif_margin=0)
    cut = table[table["status"].eq("partial period")]
    assert set(zip(cut["importer_id"], cut["period"], strict=True)) == {("ARM", "2023")}
    assert len(cut) == 12
    assert any("ARM reports 2023 in part: 9 partners, usually 12" in note for note in table.attrs["notes"])
    same = mirror_gaps(build([row if row[3] != "2023" or row[1] != "ARM" or row[5].get("flow") != "import"
                              else (*row[:4], 100.0, row[5]) for row in rows]), cif_margin=0)
    assert "partial period" not in set(same["status"]), "three partners of twelve may fall out while the others trade as ever"


def test_who_does_not_report_has_no_gap(build):
    rows = [sent("DEU", "RUS", "2021", 10.0), received("DEU", "RUS", "2021", 10.0), sent("DEU", "RUS", "2022", 10.0),
            sent("DEU", "BLR", "2022", 5.0), received("USA", "RUS", "2021", 3.0)]
    table = mirror_gaps(build(rows)).set_index(["exporter_id", "importer_id", "period"])["status"].to_dict()
    assert table == {("DEU", "RUS", "2021"): "gap", ("DEU", "RUS", "2022"): "importer does not report",
                     ("DEU", "BLR", "2022"): "importer does not report", ("USA", "RUS", "2021"): "exporter does not report"}


def test_a_missing_row_is_zero_only_where_it_is_covered_completely(build):
    rows = [sent("DEU", "KAZ", "2022", 100.0), sent("DEU", "KGZ", "2022", 100.0), received("FRA", "KGZ", "2022", 1.0)]
    concept = {"flow": "import", "partner_concept": "consignment"}
    network = build(rows, coverage=[("KAZ", "*", "8542", "2022", concept), ("KGZ", "*", "8542", "2022", concept | {"complete": False})])
    table = mirror_gaps(network, exporters=["DEU"]).set_index("importer_id")
    assert table.loc["KAZ", ["status", "importer_usd", "gap_usd"]].tolist() == ["gap", 0.0, 100.0]
    assert table.loc["KGZ", "status"] == "not covered"
    assert table.loc["KGZ", ["importer_usd", "gap_usd"]].isna().all()


CONSIGNED = {"flow": "import", "partner_concept": "consignment"}
WHOLE = [("DEU", "*", "8541 8542", "2022"), ("FRA", "*", "8541 8542", "2022"), ("KAZ", "*", "8541 8542", "2022", CONSIGNED)]


def no_number(table):
    gap = ["gap_usd", "gap_low_usd", "gap_high_usd", "share_missing"]
    return table[gap].isna().all(axis=None) and not table[["exporter_usd", "importer_usd"]].eq(0).any(axis=None)


@pytest.mark.parametrize(("theirs", "digits", "more", "status"), [
    ("854231", 6, {}, "goods told in other codes"), ("8541+8542", 4, {}, "goods told in other codes"),
    ("854231", 6, {"products": "854231"}, "goods told in other codes"),
    ("8542", 4, {"by": "month"}, "told for another period"),
    ("8542", 4, {"since": "2022-03", "until": "2022-06"}, "told for another period"),
])
def test_what_a_side_told_otherwise_is_no_zero_though_it_is_covered(build, theirs, digits, more, status):
    months = [received("DEU", "KAZ", f"2022-{m:02}", 10.6, theirs) for m in range(1, 13)]
    network = build([sent("DEU", "KAZ", "2022", 120.0), *months], coverage=WHOLE)
    table = mirror_gaps(network, digits=digits, cif_margin=0.06, **more)
    assert set(table["status"]) == {status}
    assert no_number(table)
    assert with_ghost_trade(network, table) is network


def test_goods_of_another_version_are_no_zero_though_they_are_covered(build):
    rows = [sent("DEU", "KAZ", "2022", 100.0, "854151", hs_version="HS2022"), received("DEU", "KAZ", "2022", 106.0, "854150")]
    for more in ({}, {"products": "854151"}, {"products": "854151", "digits": 4}):
        table = mirror_gaps(build(rows, coverage=WHOLE), **{"digits": 6} | more)
        assert set(table["status"]) == {"HS version break"}
        assert no_number(table)
    rows[1] = received("DEU", "KAZ", "2022", 106.0, "854231")
    row = mirror_gaps(build(rows, coverage=WHOLE), digits=6).set_index("product").loc["854151"]
    assert (row["status"], row["importer_usd"], row["gap_usd"]) == ("gap", 0.0, 100.0), "854231 holds none of its goods"


def test_other_goods_and_another_time_leave_the_zero(build):
    rows = [sent("DEU", "KAZ", "2022", 100.0, "854231"), received("DEU", "KAZ", "2022", 7.0, "854239"), received("DEU", "KAZ", "2021", 9.0),
            received("FRA", "KAZ", "2022", 8.0)]
    row = mirror_gaps(build(rows, coverage=WHOLE), exporters=["DEU"], digits=6).set_index("product").loc["854231"]
    assert (row["status"], row["importer_usd"], row["gap_usd"]) == ("gap", 0.0, 100.0)


def test_an_estimate_is_no_report_and_its_absence_no_zero(build):
    row = only(mirror_gaps(build([sent("DEU", "KAZ", "2022", 100.0, basis="estimated"), received("DEU", "KAZ", "2022", 106.0)],
                                 coverage=WHOLE)))
    assert row["status"] == "exporter does not report"
    assert np.isnan(row["exporter_usd"])


def test_confidential_goods_are_no_zero(build):
    rows = [sent("DEU", "KAZ", "2022", 100.0, "999999"), received("DEU", "KAZ", "2022", 106.0)]
    row = mirror_gaps(build(rows, coverage=WHOLE)).set_index("product").loc["8542"]
    assert (row["status"], row["reason"]) == ("suppressed", "exporter: goods may stand under special codes 999999")


def test_members_are_not_compared_with_their_bloc(build):
    rows = [sent("DEU", "KAZ", "2022", 60.0), sent("FRA", "KAZ", "2022", 40.0), received("EU27", "KAZ", "2022", 106.0)]
    network = build(rows, coverage=WHOLE)
    table = mirror_gaps(network, cif_margin=0.06).set_index("exporter_id")
    assert set(table["status"]) == {"bloc against members"}
    assert no_number(table)
    assert table.loc["EU27", "importer_fob_usd"] == pytest.approx(100.0)
    assert table["reason"].to_dict() == {"DEU": "importer: told for EU27, 106 USD", "FRA": "importer: told for EU27, 106 USD",
                                         "EU27": "exporter: told for DEU FRA, 100 USD together"}
    assert mirror_gaps(network, exporters=["DEU"])["status"].tolist() == ["bloc against members"]


def test_what_a_bloc_reports_leaves_the_zero_of_a_member_that_reports(build):
    rows = [sent("EU27", "KAZ", "2022", 100.0), sent("FRA", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 5.0),
            received("FRA", "KAZ", "2022", 90.0)]
    table = mirror_gaps(build(rows, coverage=WHOLE), cif_margin=0).set_index("exporter_id")
    assert table["gap_usd"].to_dict() == {"DEU": -5.0, "FRA": 10.0}


def test_a_year_that_ends_in_november_is_no_whole_year(build):
    rows = [sent("DEU", "KAZ", f"2022-{m:02}", 10.0) for m in range(1, 12)] + [received("DEU", "KAZ", "2022", 127.2)]
    row = only(mirror_gaps(build(rows), cif_margin=0.06))
    assert (row["status"], row["reason"]) == ("partial period", "exporter: its months are 2022-01/2022-11, and no coverage says more")
    assert np.isnan(row["gap_usd"])
    row = only(mirror_gaps(build(rows, coverage=[("DEU", "*", "8542", "2022", {"resolution": "month"})]), cif_margin=0.06))
    assert (row["status"], row["gap_usd"]) == ("gap", pytest.approx(-10.0)), "covered to December, where nothing was sent"
    months = [*rows[:-1], *(received("DEU", "KAZ", f"2022-{m:02}", 10.6) for m in range(1, 12))]
    assert only(mirror_gaps(build(months), cif_margin=0.06))["status"] == "partial period"
    assert only(mirror_gaps(build(months), cif_margin=0.06, until="2022-11"))["gap_usd"] == pytest.approx(0.0)
    assert set(mirror_gaps(build(months), cif_margin=0.06, by="month")["status"]) == {"gap"}
    quarters = mirror_gaps(build(months), cif_margin=0.06, by="quarter").set_index("period")["status"].to_dict()
    assert quarters == {"2022-Q1": "gap", "2022-Q2": "gap", "2022-Q3": "gap", "2022-Q4": "partial period"}


def test_a_year_cut_by_the_question_says_which_months_it_holds(build):
    rows = [row for m in range(1, 13) for row in (sent("DEU", "KAZ", f"2022-{m:02}", 10.0), received("DEU", "KAZ", f"2022-{m:02}", 7.0))]
    row = only(mirror_gaps(build(rows), cif_margin=0, since="2022-03", until="2022-06"))
    assert (row["period"], row["status"], row["gap_usd"], row["reason"]) == ("2022", "gap", 12.0, "only 2022-03/2022-06 of the period")
    assert only(mirror_gaps(build(rows), cif_margin=0, since="2022", until="2022"))["reason"] == ""


def test_imports_of_its_own_goods_arrived_too(build):
    rows = [sent("HKG", "CHN", "2022", 1000.0), by_origin("TWN", "CHN", "2022", 200.0), by_origin("CHN", "CHN", "2022", 900.0)]
    row = only(mirror_gaps(build(rows, coverage=[("CHN", "*", "8542", "2022", {"flow": "import", "partner_concept": "origin"})])))
    assert (row["status"], row["gap_low_usd"], row["gap_high_usd"]) == ("by origin", -100.0, 1000.0)


def test_arrivals_told_in_wider_codes_leave_the_interval_open(build):
    rows = [sent("HKG", "CHN", "2022", 1000.0), by_origin("TWN", "CHN", "2022", 200.0), by_origin("KOR", "CHN", "2022", 900.0, "8541+8542")]
    covered = [("CHN", "*", "8541 8542", "2022", {"flow": "import", "partner_concept": "origin"})]
    row = only(mirror_gaps(build(rows, coverage=covered)))
    assert (row["status"], row["gap_high_usd"]) == ("by origin", 1000.0)
    assert np.isnan(row["gap_low_usd"])


def test_imports_by_origin_are_no_mirror(build):
    rows = [sent("DEU", "KAZ", "2022", 100.0), by_origin("DEU", "KAZ", "2022", 10.0), by_origin("CHN", "KAZ", "2022", 20.0)]
    row = only(mirror_gaps(build(rows)))
    assert (row["status"], row["concept"], row["importer_usd"], row["gap_high_usd"]) == ("by origin", "origin", 10.0, 100.0)
    assert all(np.isnan(row[name]) for name in ("gap_usd", "importer_fob_usd", "share_missing", "gap_low_usd"))
    network = build(rows, coverage=[("KAZ", "*", "8542", "2022", {"flow": "import", "partner_concept": "origin"})])
    row = only(mirror_gaps(network))
    assert (row["gap_low_usd"], row["gap_high_usd"]) == (100.0 - 30.0, 100.0)


def test_consignment_is_taken_where_both_are_told(build):
    network = build([sent("CHN", "ARM", "2022", 80.0), by_origin("CHN", "ARM", "2022", 138.0), received("CHN", "ARM", "2022", 70.0)])
    row = only(mirror_gaps(network, cif_margin=0))
    assert (row["status"], row["importer_usd"], row["gap_usd"]) == ("gap", 70.0, 10.0)


def test_codes_of_different_versions_are_not_compared(build):
    rows = [sent("DEU", "KAZ", "2022", 5.0, "854151", hs_version="HS2022"), received("DEU", "KAZ", "2022", 5.0, "854150"),
            sent("DEU", "KAZ", "2022", 7.0, "854231", hs_version="HS2022"), received("DEU", "KAZ", "2022", 7.0, "854231")]
    table = mirror_gaps(build(rows), digits=6, cif_margin=0).set_index("product")
    assert table["status"].to_dict() == {"854150": "HS version break", "854151": "HS version break", "854231": "gap"}
    assert table.loc["854231", "hs_version"] == "HS2017 HS2022"
    headings = mirror_gaps(build(rows), cif_margin=0).set_index("product")
    assert headings["gap_usd"].to_dict() == {"8541": 0.0, "8542": 0.0}


def test_a_heading_that_one_version_lacks_is_a_break(build):
    rows = [sent("DEU", "KAZ", "2022", 5.0, "8806", hs_version="HS2022"), received("DEU", "KAZ", "2022", 5.0, "8802")]
    assert mirror_gaps(build(rows)).set_index("product").loc["8806", "status"] == "HS version break"


def test_goods_told_in_wider_codes_are_named(build):
    rows = [sent("DEU", "KAZ", "2022", 5.0), received("DEU", "KAZ", "2022", 9.0, "8541+8542")]
    assert set(mirror_gaps(build(rows))["status"]) == {"goods told in other codes"}


def test_a_value_that_is_kept_secret_gives_no_gap(build):
    rows = [sent("DEU", "KAZ", "2022", None), received("DEU", "KAZ", "2022", 9.0)]
    row = only(mirror_gaps(build(rows)))
    assert row["status"] == "suppressed"
    assert np.isnan(row["gap_usd"])


def covered_months(build, rows):
    concept = {"flow": "import", "partner_concept": "consignment", "resolution": "month"}
    return build(rows, coverage=[("DEU", "*", "8542", "2021-11/2022-02", {"resolution": "month"}),
                                 ("KAZ", "*", "8542", "2021-11/2022-02", concept)])


def test_goods_on_their_way_at_the_end_of_december_are_a_lag(build):
    months = ["2021-11", "2021-12", "2022-01", "2022-02"]
    rows = [sent("DEU", "KAZ", m, v) for m, v in zip(months, [100.0, 100.0, 50.0, 100.0], strict=True)]
    rows += [received("DEU", "KAZ", m, v) for m, v in zip(months, [100.0, 40.0, 110.0, 60.0], strict=True)]
    table = mirror_gaps(covered_months(build, rows), by="month", cif_margin=0).set_index("period")
    assert table["status"].to_dict() == {"2021-11": "gap", "2021-12": "lag", "2022-01": "lag", "2022-02": "gap"}
    assert table.loc["2022-02", "gap_usd"] == 40.0
    assert table["gap_usd"].isna().tolist() == [False, True, True, False]


def test_what_arrives_before_it_leaves_is_no_lag(build):
    rows = [sent("DEU", "KAZ", "2021-12", 50.0), received("DEU", "KAZ", "2021-12", 110.0), sent("DEU", "KAZ", "2022-01", 100.0),
            received("DEU", "KAZ", "2022-01", 40.0)]
    assert set(mirror_gaps(covered_months(build, rows), by="month", cif_margin=0)["status"]) == {"gap"}


def test_a_years_lag_is_two_months_of_trade_at_most(build):
    def status(low, high):
        rows = [sent("DEU", "KAZ", "2021", 100.0), received("DEU", "KAZ", "2021", low), sent("DEU", "KAZ", "2022", 100.0),
                received("DEU", "KAZ", "2022", high)]
        values = [(*row[:5], row[5] | {"valuation": "FOB"}) for row in rows]
        return mirror_gaps(build(values), cif_margin=0)["status"].tolist()

    assert status(88.0, 112.0) == ["lag", "lag"]
    assert status(40.0, 160.0) == ["gap", "gap"]


def test_a_bloc_that_one_side_tells_does_not_hide_its_members(build):
    rows = [sent("DEU", "KAZ", "2022", 60.0), sent("FRA", "KAZ", "2022", 40.0), received("EU27", "KAZ", "2022", 90.0),
            received("DEU", "KAZ", "2022", 50.0), received("FRA", "KAZ", "2022", 30.0)]
    table = mirror_gaps(build(rows), cif_margin=0).set_index("exporter_id")
    assert table["gap_usd"].to_dict() == {"DEU": 10.0, "FRA": 10.0}
    whole = [*rows[2:], sent("EU27", "KAZ", "2022", 100.0)]
    assert only(mirror_gaps(build(whole), cif_margin=0))["gap_usd"] == 10.0


def test_months_add_up_to_the_window_that_both_tell(build):
    rows = [row for m in range(1, 13) for row in (sent("DEU", "KAZ", f"2022-{m:02}", 10.0), received("DEU", "KAZ", f"2022-{m:02}", 7.0))]
    assert only(mirror_gaps(build(rows), cif_margin=0))["gap_usd"] == 36.0
    assert only(mirror_gaps(build(rows), cif_margin=0, until="2022-11"))["gap_usd"] == 33.0


def test_every_cell_of_random_reports_is_their_difference(build):
    rng = np.random.default_rng(6)
    places = ["DEU", "KAZ", "KGZ", "ARM"]
    flows = {(a, b, y): rng.uniform(1, 100, 2) for a, b in itertools.permutations(places, 2) for y in ("2021", "2022")}
    rows = [row for (a, b, y), (x, m) in flows.items() for row in (sent(a, b, y, x), received(a, b, y, m))]
    table = mirror_gaps(build(rows), cif_margin=0.06)
    assert len(table) == len(flows)
    for row in table.to_dict("records"):
        x, m = flows[row["exporter_id"], row["importer_id"], row["period"]]
        assert row["status"] in ("gap", "lag")
        assert (row["exporter_usd"], row["importer_usd"]) == (x, m)
        assert row["status"] == "lag" or row["gap_usd"] == pytest.approx(x - m / 1.06)


def test_ghost_trade_is_a_part_of_the_record_and_never_counts_twice(build):
    rows = [sent("DEU", "KAZ", "2022-01", 60.0, "854231"), sent("DEU", "KAZ", "2022-03", 40.0, "854239"),
            received("DEU", "KAZ", "2022", 25.0), sent("DEU", "ARM", "2022", 10.0), received("DEU", "ARM", "2022", 50.0)]
    network = build(rows)
    ghosts = with_ghost_trade(network, mirror_gaps(network, cif_margin=0))
    assert ghosts.flows()["value_usd"].tolist() == network.flows()["value_usd"].tolist()
    assert ghosts.where(basis=["recorded"]).trades["trade_id"].tolist() == network.trades["trade_id"].tolist()
    alone = ghosts.where(basis=["inferred"])
    assert alone.trades.sort_values("hs_code")["value_usd"].tolist() == pytest.approx([45.0, 30.0])
    assert alone.trades["x_share_missing"].tolist() == pytest.approx([0.75, 0.75])
    assert set(alone.trades["breakdown"]) == {GHOST}
    assert set(alone.trades["x_ghost_of"]) <= set(network.trades["trade_id"])
    assert alone.flows()["value_usd"].tolist() == pytest.approx([75.0])
    assert ghosts.flows(prefer="importer")["value_usd"].tolist() == [50.0, 25.0]
    again = mirror_gaps(ghosts, cif_margin=0)
    assert again["gap_usd"].tolist() == mirror_gaps(network, cif_margin=0)["gap_usd"].tolist(), "ghost trade is no report"


def test_ghost_trade_needs_the_table_and_its_network(build):
    network = build([sent("DEU", "KAZ", "2022", 100.0), received("DEU", "KAZ", "2022", 50.0)])
    gaps = mirror_gaps(network)
    with pytest.raises(InputError, match="not one of mirror_gaps"):
        with_ghost_trade(network, gaps.drop(columns="status"))
    with pytest.raises(InputError, match="does not hold"):
        with_ghost_trade(build([sent("DEU", "ARM", "2022", 100.0)]), gaps)
    assert with_ghost_trade(network, gaps[gaps["gap_usd"] < 0]) is network


@pytest.fixture(scope="module")
def world():
    return simulate(11)


def test_what_never_arrived_is_found_in_a_simulated_world(build, world):
    """Exports as declared, and arrivals with six percent of freight: the gaps are the lots declared to somebody else than the buyer."""
    legs = world.legs.assign(year=world.legs["month"].dt.year.astype(str), code="8542")
    declared = legs.groupby(["seller_id", "declared_id", "year"])["value_usd"].sum()
    arrived = legs.groupby(["seller_id", "buyer_id", "year"])["value_usd"].sum()
    arrived.index.names = declared.index.names
    truth = declared.sub(arrived, fill_value=0.0)
    assert (truth > 1).sum() > 10, "else this test shows nothing"
    rows = [sent(*key, value) for key, value in declared.items()] + [received(*key, 1.06 * value) for key, value in arrived.items()]
    table = mirror_gaps(build(rows), cif_margin=0.06).set_index(["exporter_id", "importer_id", "period"])
    told = table.index.isin(declared.index) & table.index.isin(arrived.index)
    assert set(table.loc[told, "status"]) <= {"gap", "lag", "partial period"}
    found = table.loc[told & table["status"].eq("gap"), "gap_usd"]
    assert len(found) > 0.9 * told.sum()
    pd.testing.assert_series_equal(found, truth[found.index], check_names=False, atol=1e-3, rtol=1e-9)


def test_a_world_that_tells_only_origins_has_no_gaps(world):
    table = mirror_gaps(world.countries, since="2022", until="2022")
    assert table["gap_usd"].isna().all()
    assert "gap" not in set(table["status"])


def test_what_is_asked_wrongly(build):
    network = build([sent("DEU", "KAZ", "2022", 100.0)])
    with pytest.raises(UnknownNameError, match="did you mean"):
        mirror_gaps(network, importers=["Kazakstan"])
    with pytest.raises(UnknownNameError, match="2, 4, 6"):
        mirror_gaps(network, digits=5)
    with pytest.raises(InputError, match="between 0 and 1"):
        mirror_gaps(network, cif_margin=6)


def test_nothing_reported_is_an_empty_table():
    table = mirror_gaps(TradeNetwork(level="countries", actors=empty("actors"), trades=empty("trades")))
    assert (len(table), tuple(table.columns)) == (0, COLUMNS)
    assert any("nothing is compared" in note for note in table.attrs["notes"])


def test_the_bundled_countries_hold_no_mirror():
    table = mirror_gaps(load_bundled("countries"))
    assert set(table["status"]) == {"by origin", "importer does not report"}
    assert table["gap_usd"].isna().all()
    assert set(table["status"]) <= set(STATUSES)


def test_armenia_imports_from_china_by_origin_and_by_consignment(build, shared):
    """1.38 billion by origin, 0.70 by consignment: against one report of the exporter, only the second is a mirror."""
    file = shared / "data" / "armenia" / "armenia_trade_by_country_monthly.csv"
    rows = pd.read_csv(file, encoding="utf-8-sig").query("country == 'China' and year == 2022")
    told = [maker("CHN", "ARM", f"2022-{month:02}", 1000 * value)
            for column, maker in (("import_origin", by_origin), ("import_consignment", received))
            for month, value in zip(rows["month"], rows[column], strict=True)]
    declared = sent("CHN", "ARM", "2022", 8e8)
    assert len(told) == 24
    row = only(mirror_gaps(build([declared, *told[:12]])))
    assert (row["status"], row["concept"]) == ("by origin", "origin")
    assert row["importer_usd"] == pytest.approx(1.38e9, rel=0.005)
    assert np.isnan(row["gap_usd"])
    row = only(mirror_gaps(build([declared, *told]), cif_margin=0))
    assert row["status"] == "gap"
    assert row["importer_usd"] == pytest.approx(0.70e9, rel=0.005)
    assert row["gap_usd"] == pytest.approx(8e8 - 1000 * rows["import_consignment"].sum())


@pytest.fixture(scope="module")
def totals(shared):
    folder = shared / "data" / "mirror_totals"
    exports = sorted((folder / "eu_year_export").glob("*2024-11-17*.csv"))
    return load_mirror_totals([*exports, *(folder / "national_data_converted" / f"{name}_import_yearly.csv"
                                           for name in ("armenia", "kazakhstan", "kyrgyz"))])


def test_exports_of_the_union_that_did_not_arrive(totals, shared):
    """Kyrgyzstan 7, 57 and 67 percent; Kazakhstan 8, 26 and 20: from the files by pandas, and by the query."""
    folder = shared / "data" / "mirror_totals"
    told = pd.concat([pd.read_csv(f) for f in sorted((folder / "eu_year_export").glob("*.csv"))])
    table = mirror_gaps(totals, exporters=["EU27"], importers=["KAZ", "KGZ", "ARM"], since="2021", until="2023", cif_margin=0)
    table = table[table["exporter_id"].eq("EU27")].set_index(["importer_id", "period"])
    for code, name, file, published in (("KGZ", "Kyrgyzstan", "kyrgyz", [7, 57, 67]), ("KAZ", "Kazakhstan", "kazakhstan", [8, 26, 20])):
        imports = pd.read_csv(folder / "national_data_converted" / f"{file}_import_yearly.csv")
        imports = imports[imports["PARTNER"].str.startswith("European Union - 27")].set_index("PERIOD")["VALUE_IN_EUR"]
        shares = []
        for year in (2021, 2022, 2023):
            sold = told.loc[told["PARTNER"].eq(name) & told["PERIOD"].str.endswith(str(year)), "VALUE_IN_EUR"]
            shares.append(1 - imports[f"Y{year}"] / sold.item())
            assert table.loc[(code, str(year)), "share_missing"] == pytest.approx(shares[-1])
        assert [round(100 * share) for share in shares] == published
    assert table.loc[("ARM", "2023"), "status"] == "partial period"
    assert table.loc[("ARM", "2022"), "status"] == "gap"


def test_read_by_origin_the_same_files_give_no_gap(shared):
    folder = shared / "data" / "mirror_totals"
    files = sorted((folder / "eu_year_export").glob("*2024-11-17*.csv"))[-1:]
    network = load_mirror_totals([*files, folder / "national_data_converted" / "kazakhstan_import_yearly.csv"], partner_concept="origin")
    table = mirror_gaps(network, exporters=["EU27"], importers=["KAZ"])
    assert set(table.loc[table["exporter_id"].eq("EU27"), "status"]) == {"by origin"}
    assert table["gap_usd"].isna().all()
