"""Communities and components against hand-drawn groups, the formula of modularity and a slow second implementation."""

import itertools
import random
import subprocess
import sys

import pytest

from chiptrail.queries.communities import communities, components

#   CHN <-90-> HKG -50-> VNM -40-> CHN      one thin bridge      KAZ -30-> RUS <-20- KGZ, KAZ -10-> KGZ
TWO_GROUPS = [("CHN", "HKG", "8542", "2022", 60.0), ("HKG", "CHN", "8542", "2022", 30.0), ("HKG", "VNM", "8542", "2022", 50.0),
              ("VNM", "CHN", "8542", "2022", 40.0), ("CHN", "KAZ", "8542", "2022", 2.0), ("KAZ", "RUS", "8542", "2022", 30.0),
              ("KGZ", "RUS", "8542", "2022", 20.0), ("KAZ", "KGZ", "8542", "2022", 10.0)]


def test_two_groups_by_hand(build):
    table = communities(build(TWO_GROUPS), concept="dispatched")
    assert table[["community", "actor_id", "community_usd", "community_size"]].values.tolist() == [
        [1, "CHN", 180.0, 3], [1, "HKG", 180.0, 3], [1, "VNM", 180.0, 3],
        [2, "KAZ", 60.0, 3], [2, "KGZ", 60.0, 3], [2, "RUS", 60.0, 3]]
    kazakhstan = table.set_index("actor_id").loc["KAZ"]
    assert kazakhstan[["within_usd", "total_usd"]].tolist() == [40.0, 42.0]
    # m = 242; the groups' strengths are 2*180 + 2 and 2*60 + 2
    expected = 180 / 242 - (362 / 484) ** 2 + 60 / 242 - (122 / 484) ** 2
    assert table.attrs["modularity"] == pytest.approx(expected)


def test_no_division_of_small_networks_is_better(build):
    """Louvain is a heuristic; on seven actors in two clear groups it must find the best of all 877 divisions."""
    rows = [*TWO_GROUPS, ("KGZ", "UZB", "8542", "2022", 15.0)]
    table = communities(build(rows), concept="dispatched")
    edges = [(s, b, v) for s, b, _, _, v in rows]
    total = sum(v for *_, v in edges)
    names = sorted(table["actor_id"])

    def modularity(label):
        inside = sum(v for s, b, v in edges if label[s] == label[b])
        strength = {}
        for s, b, v in edges:
            for end in (s, b):
                strength[label[end]] = strength.get(label[end], 0) + v
        return inside / total - sum((k / (2 * total)) ** 2 for k in strength.values())

    divisions = (dict(zip(names, labels, strict=True)) for labels in itertools.product(range(len(names)), repeat=len(names))
                 if all(label <= max(labels[:i], default=-1) + 1 for i, label in enumerate(labels)))
    assert table.attrs["modularity"] == pytest.approx(max(map(modularity, divisions)))


def test_flows_without_value_are_left_out_and_counted(build):
    table = communities(build([*TWO_GROUPS, ("CHN", "UZB", "8542", "2022", None)]), concept="dispatched")
    assert "UZB" not in set(table["actor_id"])
    assert any(note.startswith("1 of 9 flows") for note in table.attrs["notes"])


def test_equal_communities_stand_in_the_order_of_ids(build):
    rows = [("UZB", "KGZ", "8542", "2022", 5.0), ("ARM", "GEO", "8542", "2022", 5.0)]
    assert communities(build(rows), concept="dispatched")["actor_id"].tolist() == ["ARM", "GEO", "KGZ", "UZB"]


def test_hashes_of_names_make_no_difference():
    """Sets of names are walked in another order in every process, unless care is taken."""
    code = ("import chiptrail as ct\n"
            "t = ct.communities(ct.load_bundled('countries'), since='2021', until='2021')\n"
            "print(t.to_csv(), t.attrs['modularity'], ct.components(ct.load_bundled('firms')).to_csv())")
    answers = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2", "3")
    }
    assert len(answers) == 1
    assert len(answers.pop()) > 1000


def test_components_by_hand(build):
    #  CHN -> HKG -> CHN, HKG -> KAZ        UZB -> KGZ
    rows = [("CHN", "HKG", "8542", "2022", 1.0), ("HKG", "CHN", "8542", "2022", None), ("HKG", "KAZ", "8542", "2022", 1.0),
            ("UZB", "KGZ", "8542", "2022", 99.0)]
    table = components(build(rows), concept="dispatched")
    assert table[["component", "component_size", "strong_component", "strong_component_size", "actor_id"]].values.tolist() == [
        [1, 3, 1, 2, "CHN"], [1, 3, 1, 2, "HKG"], [1, 3, 2, 1, "KAZ"], [2, 2, 3, 1, "KGZ"], [2, 2, 4, 1, "UZB"]]


def test_placeholders_connect_without_a_row(build):
    rows = [("a.USA", "Unnamed firms", "8542", "2022", 5.0), ("Unnamed firms", "b.RUS", "8542", "2022", 6.0)]
    network = build(rows, level="firms")
    assert components(network)[["actor_id", "component", "component_size"]].values.tolist() == [["a.USA", 1, 2], ["b.RUS", 1, 2]]
    assert sorted(communities(network)["actor_id"]) == ["a.USA", "b.RUS"]


@pytest.mark.parametrize("seed", range(20))
def test_components_equal_brute_force(build, seed):
    rng = random.Random(seed)
    names = ["CHN", "HKG", "TUR", "KAZ", "ARM", "RUS", "UZB", "KGZ", "GEO"]
    pairs = rng.sample(list(itertools.permutations(names, 2)), rng.randint(3, 12))
    table = components(build([(s, b, "8542", "2022", 1.0) for s, b in pairs]), concept="dispatched").set_index("actor_id")
    reach = {(a, b): a == b or (a, b) in pairs for a in names for b in names}
    weak = {(a, b): reach[a, b] or reach[b, a] for a in names for b in names}
    for known in (reach, weak):
        for middle, a, b in itertools.product(names, repeat=3):
            known[a, b] = known[a, b] or (known[a, middle] and known[middle, b])
    for a, b in itertools.product(table.index, repeat=2):
        assert (table.loc[a, "component"] == table.loc[b, "component"]) == weak[a, b]
        together = reach[a, b] and reach[b, a]
        assert (table.loc[a, "strong_component"] == table.loc[b, "strong_component"]) == together
    sizes = table.groupby("component").size()
    assert sizes.tolist() == sorted(sizes, reverse=True)
    assert (table["component_size"] == table["component"].map(sizes)).all()
