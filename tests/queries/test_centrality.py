"""Centrality against numbers worked by hand and a slow second implementation on random networks."""

import itertools
import math
import random

import pytest

from chiptrail.graphmodel.errors import NotComparableError
from chiptrail.queries.centrality import centrality

#        .--100--> HUB --100--.
#   CHN -                      -> RUS
#        `----1--> TUR ---1---'
HUB_AND_TRICKLE = [("CHN", "HKG", "8542", "2022", 100.0), ("HKG", "RUS", "8542", "2022", 100.0),
                   ("CHN", "TUR", "8542", "2022", 1.0), ("TUR", "RUS", "8542", "2022", 1.0)]


def by_id(table):
    return table.set_index("actor_id")


def test_the_hub_stands_above_the_trickle(build):
    """One pair of six, CHN to RUS, has a middle: by value all of it is the hub's; in hops each has half."""
    table = by_id(centrality(build(HUB_AND_TRICKLE), concept="dispatched"))
    assert table.loc[["HKG", "TUR"], "betweenness_by_value"].tolist() == [1 / 6, 0.0]
    assert table.loc[["HKG", "TUR"], "betweenness"].tolist() == [1 / 12, 1 / 12]
    assert table.loc["HKG", "pagerank"] > table.loc["TUR", "pagerank"]
    assert table.loc["HKG", "closeness_by_value"] > table.loc["TUR", "closeness_by_value"]


def test_numbers_by_hand(build):
    table = by_id(centrality(build(HUB_AND_TRICKLE), concept="dispatched"))
    assert table[["in_degree", "out_degree"]].loc[["CHN", "HKG", "TUR", "RUS"]].values.tolist() == [[0, 2], [1, 1], [1, 1], [2, 0]]
    assert table.loc["RUS", "in_strength_usd"] == 101.0
    assert table.loc["CHN", "out_strength_usd"] == 101.0
    assert math.isnan(table.loc["RUS", "out_strength_usd"]), "no record is not a zero"
    # to RUS: two actors at 1 hop, one at 2; by value HKG at 1, CHN at 1 + 1, TUR at 100
    assert table.loc["RUS", "closeness"] == pytest.approx(3 / 3 * 3 / 4)
    assert table.loc["RUS", "closeness_by_value"] == pytest.approx(3 / 3 * 3 / 103)
    # HKG is reached by one of three others
    assert table.loc["HKG", "closeness"] == pytest.approx(1 / 3 * 1 / 1)
    assert table.loc["TUR", "closeness_by_value"] == pytest.approx(1 / 3 * 1 / 100)


def test_unknown_values_count_in_hops_only(build):
    rows = [*HUB_AND_TRICKLE, ("HKG", "KAZ", "8542", "2022", None), ("HKG", "TUR", "8541", "2022", 5.0),
            ("HKG", "TUR", "8542", "2022", None)]
    answer = centrality(build(rows), concept="dispatched")
    table = by_id(answer)
    assert table.loc["HKG", ["out_degree", "n_without_value"]].tolist() == [3, 2]
    assert table.loc["HKG", "out_strength_usd"] == 100.0, "a flow that is known in part has no value"
    assert table.loc["KAZ", "in_degree"] == 1
    assert table.loc["KAZ", "closeness"] > 0
    assert table.loc["KAZ", ["in_strength_usd", "pagerank", "betweenness_by_value", "closeness_by_value"]].isna().all()
    assert answer["actor_id"].iloc[-1] == "KAZ", "without a value last"
    assert any(note.startswith("2 of 6 flows") for note in answer.attrs["notes"])


def test_months_and_their_year_are_counted_once(build):
    rows = [("HKG", "RUS", "8542", "2022", 12.0), ("HKG", "RUS", "8542", "2022-03", 5.0), ("HKG", "RUS", "8542", "2021", 7.0)]
    table = centrality(build(rows), concept="dispatched", since="2022", until="2022")
    assert by_id(table).loc["HKG", "out_strength_usd"] == 12.0
    assert table.attrs["left_aside"] == {"period within a longer one": 1}


def test_records_across_the_window_are_counted_as_left_aside(build):
    rows = [("HKG", "RUS", "8542", "2022", 12.0), ("TUR", "RUS", "8542", "2022-03", 5.0)]
    table = centrality(build(rows), concept="dispatched", since="2022-01", until="2022-06")
    assert table["actor_id"].tolist() == ["RUS", "TUR"]
    assert table.attrs["left_aside"] == {"only partly inside the period, or without dates": 1}


def test_codes_wider_than_the_question_are_counted_as_left_aside(build):
    rows = [("HKG", "RUS", "85", "2022", 12.0), ("TUR", "RUS", "854231", "2022", 5.0), ("TUR", "RUS", "8471", "2022", 3.0),
            ("KAZ", "RUS", "8541+8542", "2022", 2.0)]
    table = centrality(build(rows), concept="dispatched", products="chips")
    assert by_id(table)["out_strength_usd"].dropna().to_dict() == {"TUR": 5.0, "KAZ": 2.0}
    assert table.attrs["left_aside"] == {"code wider than the products asked for": 1}
    assert "1 records counted give only a code that holds other goods too" in table.attrs["notes"]


def test_trade_with_oneself_is_left_aside(build):
    table = centrality(build([*HUB_AND_TRICKLE, ("CHN", "CHN", "8542", "2022", 900.0)]), concept="dispatched")
    assert by_id(table).loc["CHN", "out_strength_usd"] == 101.0
    assert table.attrs["left_aside"] == {"seller is the buyer": 1}


def test_placeholders_carry_paths_but_get_no_row(build):
    rows = [("a.USA", "Unnamed firms", "8542", "2022", 5.0), ("Unnamed firms", "b.RUS", "8542", "2022", 5.0)]
    table = by_id(centrality(build(rows, level="firms")))
    assert sorted(table.index) == ["a.USA", "b.RUS"]
    assert table.loc["b.RUS", "closeness"] == pytest.approx(2 / 2 * 2 / 3)


def test_ties_stand_in_the_order_of_ids(build):
    rows = [("CHN", name, "8542", "2022", 1.0) for name in ("UZB", "ARM", "KGZ")]
    assert centrality(build(rows), concept="dispatched")["actor_id"].tolist() == ["ARM", "KGZ", "UZB", "CHN"]


def test_brand_has_no_value(small_firms):
    with pytest.raises(NotComparableError, match="transit_hubs"):
        centrality(small_firms, concept="brand")


def slow_paths(distance, nodes):
    """Lengths of the shortest paths and how many there are, by trying all simple paths."""
    best = {}
    for start, stop in itertools.permutations(nodes, 2):
        found = []
        for size in range(len(nodes) - 1):
            for inner in itertools.permutations([n for n in nodes if n not in (start, stop)], size):
                path = (start, *inner, stop)
                legs = [distance.get(leg) for leg in itertools.pairwise(path)]
                if None not in legs:
                    found.append((sum(legs), path))
        if found:
            least = min(length for length, _ in found)
            best[start, stop] = least, [path for length, path in found if math.isclose(length, least, rel_tol=1e-9)]
    return best


def slow_pagerank(values, nodes):
    score = dict.fromkeys(nodes, 1 / len(nodes))
    sent = {n: sum(v for (s, _), v in values.items() if s == n) for n in nodes}
    for _ in range(300):
        loose = sum(score[n] for n in nodes if not sent[n]) / len(nodes)
        score = {
            n: 0.15 / len(nodes) + 0.85 * (loose + sum(score[s] * v / sent[s] for (s, b), v in values.items() if b == n))
            for n in nodes
        }
    return score


@pytest.mark.parametrize("seed", range(15))
def test_measures_equal_brute_force(build, seed):
    rng = random.Random(seed)
    names = ["CHN", "HKG", "TUR", "KAZ", "ARM", "RUS"]
    pairs = rng.sample(list(itertools.permutations(names, 2)), rng.randint(5, 14))
    values = {pair: float(2 ** rng.randint(0, 9)) for pair in pairs}
    table = by_id(centrality(build([(s, b, "8542", "2022", v) for (s, b), v in values.items()]), concept="dispatched"))
    nodes = sorted({n for pair in pairs for n in pair})
    by_value = {pair: max(values.values()) / value for pair, value in values.items()}
    for suffix, distance in (("", dict.fromkeys(pairs, 1)), ("_by_value", by_value)):
        best = slow_paths(distance, nodes)
        for node in nodes:
            between = sum(sum(node in p[1:-1] for p in paths) / len(paths) for _, paths in best.values())
            assert table.loc[node, f"betweenness{suffix}"] == pytest.approx(between / ((len(nodes) - 1) * (len(nodes) - 2)))
            reached = [length for (_, stop), (length, _) in best.items() if stop == node]
            close = len(reached) / (len(nodes) - 1) * len(reached) / sum(reached) if reached else 0.0
            assert table.loc[node, f"closeness{suffix}"] == pytest.approx(close)
    assert table["pagerank"].to_dict() == pytest.approx(slow_pagerank(values, nodes))
