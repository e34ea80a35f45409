"""Each way of telling one flow twice is counted once, by hand."""

import pandas as pd
import pytest

from chiptrail.graphmodel.aggregate import counted_once
from chiptrail.graphmodel.errors import UnknownNameError

IMPORT = {"flow": "import", "partner_concept": "consignment", "reported_by": "RUS"}


def told(network, **options):
    table = counted_once(network, **options)
    return dict(zip(table["trade_id"], table["left_aside"], strict=True)), table.loc[table["left_aside"].eq(""), "value_usd"].sum()


def test_exporter_and_importer(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 130.0, IMPORT)])
    assert told(network) == ({"t00001": "", "t00002": "told by the other side too"}, 100.0)
    assert told(network, prefer="importer") == ({"t00001": "told by the other side too", "t00002": ""}, 130.0)


def test_the_importer_stands_in_where_the_exporter_is_silent(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2021", 7.0, IMPORT)])
    assert told(network)[1] == 107.0


def test_re_export_is_a_part_of_exports(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 60.0, {"flow": "re-export"})])
    assert told(network) == ({"t00001": "", "t00002": "re-export within exports"}, 100.0)


def test_re_export_alone_counts(build):
    assert told(build([("KAZ", "RUS", "8542", "2022", 60.0, {"flow": "re-export"})]))[1] == 60.0


def test_total_and_its_transport_modes(build):
    mode = {"breakdown": "transport mode"}
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 30.0, mode),
                     ("KAZ", "RUS", "8542", "2022", 70.0, mode)])
    reasons, total = told(network)
    assert total == 100.0
    assert set(reasons.values()) == {"", "part of a total by transport mode"}
    parts_only = build([("KAZ", "RUS", "8542", "2022", 30.0, mode), ("KAZ", "RUS", "8542", "2022", 70.0, mode)])
    assert told(parts_only)[1] == 100.0


def test_year_and_its_months(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022-02", 30.0),
                     ("KAZ", "RUS", "8542", "2022-03", 40.0), ("KAZ", "RUS", "8542", "2021-12", 5.0)])
    reasons, total = told(network)
    assert total == 105.0
    assert reasons["t00002"] == "period within a longer one"


def test_heading_and_subheadings(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "854231", "2022", 60.0),
                     ("KAZ", "RUS", "854232", "2022", 30.0), ("KAZ", "RUS", "854110", "2022", 1.0)])
    reasons, total = told(network)
    assert total == 101.0
    assert reasons["t00002"] == "code within a wider one"


def test_subheadings_of_one_telling_add_up(build):
    assert told(build([("KAZ", "RUS", "854231", "2022", 60.0), ("KAZ", "RUS", "854232", "2022", 30.0)]))[1] == 90.0


def test_two_sources(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 101.0, {"source_id": "t"})],
                    sources=("s", "t"))
    assert told(network)[1] == 100.0


def test_the_newer_source_is_taken(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 101.0, {"source_id": "t"})],
                    sources=("s", "t"))
    sources = network.sources.assign(retrieved=["2023-01-01", "2024-01-01"])
    newer = type(network)(level="countries", actors=network.actors, trades=network.trades, sources=sources)
    assert told(newer)[1] == 101.0


def test_codes_of_different_versions_compare_at_the_heading(build):
    network = build([("KAZ", "RUS", "854140", "2022", 100.0), ("KAZ", "RUS", "854143", "2022", 90.0,
                     {"hs_version": "HS2022", "source_id": "t"})], sources=("s", "t"))
    assert told(network)[1] == 100.0


def test_a_bloc_and_its_members(build):
    network = build([("EU27", "KAZ", "8542", "2022", 100.0), ("DEU", "KAZ", "8542", "2022", 40.0),
                     ("LTU", "KAZ", "854231", "2022-03", 10.0), ("LTU", "KAZ", "8542", "2021", 3.0),
                     ("GBR", "KAZ", "8542", "2022", 5.0)])
    reasons, total = told(network)
    assert total == 108.0
    assert reasons["t00002"] == reasons["t00003"] == "member of EU27, which is told as one"


def test_origin_and_dispatch_are_not_two_tellings(build):
    by_origin = {"flow": "import", "partner_concept": "origin", "reported_by": "KAZ"}
    network = build([("DEU", "KAZ", "8542", "2022", 10.0), ("DEU", "KAZ", "8542", "2022", 12.0, by_origin)])
    assert set(told(network)[0].values()) == {""}


def test_shipments_between_firms_are_flows_of_their_own(build):
    rows = [("a.USA", "b.HKG", "854231", "2022-03-01", 5.0), ("a.USA", "b.HKG", "854231", "2022-03-01", 5.0),
            ("a.USA", "b.HKG", "8542", "2022", 7.0)]
    assert told(build(rows, level="firms"))[1] == 17.0


def test_a_firms_flow_told_by_two_sources(build):
    rows = [("a.USA", "b.HKG", "854231", "2022-03-01", 5.0), ("a.USA", "b.HKG", "8542", "2022-03", 6.0, {"source_id": "t"})]
    assert told(build(rows, level="firms", sources=("s", "t")))[1] == 6.0, "the month holds the day"


def test_unknown_preference(build):
    with pytest.raises(UnknownNameError, match="did you mean 'exporter'"):
        counted_once(build([("KAZ", "RUS", "8542", "2022", 1.0)]), prefer="exporters")


def test_flows_say_how_many_tellings_they_left_aside(build):
    network = build([("KAZ", "RUS", "8542", "2022", 100.0), ("KAZ", "RUS", "8542", "2022", 130.0, IMPORT),
                     ("KAZ", "RUS", "854110", "2022", None)])
    flows = network.flows()
    assert flows[["n_records", "n_left_aside", "n_without_value", "known_usd"]].iloc[0].tolist() == [2, 1, 1, 100.0]
    assert pd.isna(flows["value_usd"].iloc[0])
    assert flows["record_refs"].iloc[0] == "hand.csv:2; hand.csv:4"


def test_a_part_of_the_time_never_stands_for_the_whole(build):
    """The exporter told of January, the importer of the year: the year is taken."""
    year = build([("KAZ", "RUS", "8542", "2022-01", 1.0), ("KAZ", "RUS", "8542", "2022", 1000.0, IMPORT)])
    assert told(year)[1] == 1000.0
    months = [("KAZ", "RUS", "8542", f"2022-{m:02}", 10.0) for m in range(1, 13)]
    assert told(build([*months, ("KAZ", "RUS", "8542", "2022", 130.0, IMPORT)]))[1] == 120.0, "twelve months fill the year"


def test_where_neither_holds_the_other_the_larger_is_taken(build):
    months = [("KAZ", "RUS", "8542", f"2022-{m:02}", 100.0) for m in range(1, 13)]
    assert told(build([("KAZ", "RUS", "854231", "2022", 5.0), *months]))[1] == 1200.0
    assert told(build([("KAZ", "RUS", "854231", "2022", 150.0), *months]))[1] == 1200.0, "all months together are larger"
    assert told(build([("KAZ", "RUS", "854231", "2022", 5000.0), *months[:3]]))[1] == 5000.0


def test_a_bloc_told_for_a_month_does_not_hide_its_members_year(build):
    network = build([("EU27", "KAZ", "8542", "2022-01", 50.0), ("DEU", "KAZ", "8542", "2022", 1000.0),
                     ("FRA", "KAZ", "8542", "2022", 500.0)])
    assert told(network)[1] == 1500.0


def test_codes_of_one_source_are_told_apart_without_a_version(build):
    unknown = {"hs_version": ""}
    network = build([("KAZ", "RUS", "854231", "2022", 10.0, unknown), ("KAZ", "RUS", "854232", "2022-05", 1000.0, unknown)])
    assert told(network)[1] == 1010.0


def test_of_two_stories_of_firms_the_longer_is_taken_whoever_tells_it(build):
    for first, second in (("s", "t"), ("t", "s")):
        rows = [("a.USA", "b.HKG", "8542", "2022", 100.0, {"source_id": first}),
                ("a.USA", "b.HKG", "8542", "2022-07-20", 5.0, {"source_id": second})]
        assert told(build(rows, level="firms", sources=("s", "t")))[1] == 100.0


def test_a_cell_of_a_statistic_counts_once(build):
    assert told(build([("KAZ", "RUS", "8542", "2022", 50.0), ("KAZ", "RUS", "8542", "2022", 50.0)]))[1] == 50.0
    modes_unnamed = build([("KAZ", "RUS", "8542", "2022", v) for v in (20.0, 50.0, 30.0)])
    assert told(modes_unnamed)[1] == 50.0
    days = build([("KAZ", "RUS", "8542", "2022-03-01", 50.0), ("KAZ", "RUS", "8542", "2022-03-01", 50.0)])
    assert told(days)[1] == 100.0, "days are shipments"


RECORDED = {"basis": "recorded", "reported_by": "Customs of A"}


def files_of_one_reporter(build, *rows):
    """Customs records; each row names its file."""
    return build([(s, b, code, day, value, RECORDED | {"source_id": file} | more) for file, s, b, code, day, value, *extra in rows
                  for more in [extra[0] if extra else {}]], level="firms", sources=("f1", "f2"))


def test_records_of_one_reporter_in_two_files_add_up(build):
    network = files_of_one_reporter(build, ("f1", "a.KAZ", "b.RUS", "8542", "2022-01-15", 100.0),
                                    ("f2", "a.KAZ", "b.RUS", "8542", "2022-01-15", 50.0))
    assert network.flows()["value_usd"].tolist() == [150.0]


def test_a_record_that_stands_in_two_files_counts_once(build):
    network = files_of_one_reporter(build, ("f1", "a.KAZ", "b.RUS", "8542", "2022-01-15", 100.0),
                                    ("f2", "a.KAZ", "b.RUS", "8542", "2022-01-15", 100.0))
    assert network.flows()[["value_usd", "n_left_aside"]].values.tolist() == [[100.0, 1.0]]


def test_a_declaration_that_a_later_file_corrects_counts_as_corrected(build):
    number = {"x_declaration": "D1", "x_item": "1"}
    network = files_of_one_reporter(build, ("f1", "a.KAZ", "b.RUS", "8542", "2022-01-31", 100.0, number),
                                    ("f2", "a.KAZ", "b.RUS", "8542", "2022-02-01", 90.0, number),
                                    ("f2", "a.KAZ", "b.RUS", "8542", "2022-02-01", 7.0, {"x_declaration": "D2", "x_item": "1"}))
    assert network.flows()[["value_usd", "n_left_aside"]].values.tolist() == [[97.0, 1.0]]


def test_recorded_months_come_before_an_estimate_of_the_year(build):
    months = [("DEU", "KAZ", "8542", f"2022-{m:02}", 10.0) for m in range(1, 13)]
    estimate = ("DEU", "KAZ", "854231", "2022", 4.0, {"basis": "estimated", "reported_by": "CEPII", "source_id": "t"})
    network = build([*months, estimate], sources=("s", "t"))
    assert network.flows()[["value_usd", "n_left_aside"]].values.tolist() == [[120.0, 1.0]]
