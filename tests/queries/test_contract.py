"""What holds for every query of the public names; a new one is covered on the day it is named there."""

import inspect
import re
from importlib import import_module

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import chiptrail
from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.schema import TABLES

OTHERS = {"reconcile", "with_ghost_trade"}
"""The query of two networks, which `test_reconcile` holds to the same, and what gives a network."""
NAMES = sorted(name for name, home in chiptrail._HOME.items() if home.startswith("queries.") and name not in OTHERS)
COLUMNS = {"components": "COMPONENT_COLUMNS", "tabulate": "LEADING_COLUMNS"}
ENDS = {"origins": ["USA"], "destinations": ["RUS"]}
SLIPS = {
    "origins": ["Kazakstan"], "destinations": ["Rusia"], "concept": "orgin", "products": "chip", "prefer": "exprter", "by": None,
    "hub": "seler", "goods": "teir", "close": ["Kazakstan"],
}
SLIPS_OF_BY = {"supply_routes": "hop"}
SLIPS_OF_HUB = {"displacement": "Kazakstan"}
NEEDED = {"displacement": {"hub": "KAZ", "since": "2022-02"}, "what_if": {"close": ["KAZ"]}}
PERIOD = re.compile(r"\d{4}(-(\d{2}|Q[1-4]))?")


def parameters(name):
    return inspect.signature(getattr(chiptrail, name)).parameters


def ask(name, network, **more):
    """The query's answer with what it cannot do without."""
    needed = {key: ENDS[key] for key, p in parameters(name).items() if key in ENDS and p.default is inspect.Parameter.empty}
    needed |= NEEDED.get(name, {})
    return getattr(chiptrail, name)(network, **(needed | more))


def documented(name):
    module = import_module(getattr(chiptrail, name).__module__)
    return list(getattr(module, COLUMNS.get(name, "COLUMNS")))


def tables(network):
    return {table: getattr(network, table) for table in TABLES}


@pytest.fixture(params=["countries", "firms"])
def network(request):
    return request.getfixturevalue(f"small_{request.param}")


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def test_all_queries_are_public():
    first = {"centrality", "communities", "components", "panel", "supply_routes", "tabulate", "timeline", "transit_hubs"}
    assert first <= set(NAMES)


ACCUSING = re.compile(r"guilt|smuggl|crimin|culprit|launder|complicit|front[- ]compan|shell[- ]compan|evad|illegal", re.IGNORECASE)


def test_no_text_accuses(name, network):
    table = ask(name, network)
    told = [*table.attrs["notes"], inspect.getdoc(getattr(chiptrail, name)), *table.columns,
            *(text for column in table.select_dtypes("str") for text in table[column])]
    assert len(told) > 5
    assert not [text for text in told if ACCUSING.search(text)]


def test_network_comes_first_and_the_rest_by_name(name):
    first, *rest = parameters(name).values()
    assert first.name == "network"
    assert rest
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in rest)
    assert "weight" not in parameters(name)


def test_columns_are_those_documented(name, network):
    table = ask(name, network)
    columns = documented(name)
    assert list(table.columns[:len(columns)]) == columns
    assert all(PERIOD.fullmatch(column) for column in table.columns[len(columns):])
    assert name == "tabulate" or len(table.columns) == len(columns)
    returns = inspect.getdoc(getattr(chiptrail, name)).split("Returns\n")[1].split("Raises\n")[0]
    abbreviated = re.findall(r"`\*(_\w+)`", returns)
    missing = [c for c in columns if f"`{c}`" not in returns and not c.endswith(tuple(abbreviated))]
    assert missing == []
    assert table.index.equals(pd.RangeIndex(len(table)))


def test_network_does_not_change(name, network):
    before = {table: frame.copy(deep=True) for table, frame in tables(network).items()}
    ask(name, network)
    for table, frame in before.items():
        assert_frame_equal(getattr(network, table), frame)


def test_asked_twice_the_answer_is_the_same(name, network):
    first, second = ask(name, network), ask(name, network)
    assert_frame_equal(first, second)
    assert first.attrs == second.attrs


def test_empty_network_gives_an_empty_table(name, network):
    table = ask(name, TradeNetwork(level=network.level, actors=empty("actors"), trades=empty("trades")))
    assert len(table) == 0
    assert list(table.columns) == documented(name)
    full = ask(name, network)[documented(name)]
    assert len(full) > 0, "else this test shows nothing"
    assert table.dtypes.to_dict() == full.dtypes.to_dict()
    assert table.attrs["notes"]


def test_order_of_rows_makes_no_difference(name, network):
    shuffled = TradeNetwork(level=network.level, **{
        table: frame.sample(frac=1, random_state=7) for table, frame in tables(network).items()})
    one, other = ask(name, network), ask(name, shuffled)
    assert_frame_equal(one, other, check_exact=True)
    assert one.attrs == other.attrs


def test_unknown_names_are_errors_that_help(name, network):
    for parameter, slip in SLIPS.items():
        if parameter not in parameters(name):
            continue
        slip = SLIPS_OF_BY.get(name, "mnth") if parameter == "by" else SLIPS_OF_HUB.get(name, slip) if parameter == "hub" else slip
        with pytest.raises(UnknownNameError, match="did you mean"):
            ask(name, network, **{parameter: slip})


def relabelled(network):
    """Other names, and between firms other ids, in another order; countries keep the codes that mean them."""
    actors = network.actors
    new = {id_: f"{chr(122 - i)}-new-{i}" for i, id_ in enumerate(actors["actor_id"])}
    ids = {id_: new[id_] if network.level == "firms" else id_ for id_ in new}
    changed = tables(network)
    for table, columns in {"actors": ["actor_id"], "trades": ["seller_id", "buyer_id"], "links": ["from_id", "to_id"]}.items():
        for column in columns:
            changed[table][column] = changed[table][column].map(ids)
    changed["actors"]["name"] = list(new.values())
    return TradeNetwork(level=network.level, **changed)


def test_names_make_no_difference(name, network):
    def numbers(table):
        found = table.select_dtypes("number").astype("float64").round(9)
        return found.sort_values(list(found.columns), ignore_index=True)

    assert_frame_equal(numbers(ask(name, network)), numbers(ask(name, relabelled(network))), rtol=1e-9)


def test_answer_states_its_concept_question_and_notes(name, network):
    table = ask(name, network)
    assert set(table["concept"]) <= {"dispatched", "origin", "brand"}
    assert {"question", "notes", "left_aside", "sources"} <= set(table.attrs)
    assert all(any(note.startswith(concept) for note in table.attrs["notes"]) for concept in set(table["concept"]))
    assert any("cover" in note for note in table.attrs["notes"])
    assert [source["source_id"] for source in table.attrs["sources"]] == ["s"]


def test_concepts_are_never_mixed(name, small_countries):
    if "concept" not in parameters(name):
        assert set(ask(name, small_countries)["concept"]) <= {"dispatched"}
        return
    for concept in ("dispatched", "origin"):
        table = ask(name, small_countries, concept=concept)
        assert set(table["concept"]) <= {concept}


def test_other_tellings_are_counted_not_added(name, small_countries):
    """The dispatch from the USA to Kazakhstan is told by both sides, as 77 and as 79."""
    if "concept" not in parameters(name):
        pytest.skip("is about both tellings, or about other flows alone")
    table = ask(name, small_countries, concept="dispatched")
    assert table.attrs["left_aside"]["told by the other side too"] == 1
    values = set(table.select_dtypes("number").stack())
    assert values.isdisjoint({79.0, 77.0 + 79.0})
    assert 77.0 in values or name in ("communities", "components", "surge")


def test_placeholders_are_never_ranked(name, small_firms):
    table = ask(name, small_firms)
    for column in {"actor_id", "hub_id"} & set(table.columns):
        assert not table[column].str.startswith("Unnamed").any()
