import math

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import chiptrail as ct
from chiptrail.graphmodel.errors import InputError, NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.schema import TABLES
from chiptrail.queries.displacement import COLUMNS, displacement

MONTHS = pd.period_range("2021-03", "2023-12", freq="M")
CLOSURE = pd.Period("2023-03", freq="M")
DONORS = ["AZE", "DEU", "GEO", "IND", "MDA", "SRB"]
QUESTION = {"hub": "KAZ", "since": "2023-03", "destinations": ["RUS"]}


def wobble(place, number):
    """Movements of some percent that differ by seller and have no trend; nothing random."""
    return 1 + 0.05 * math.sin(1.7 * number + 2.3 * place) + 0.03 * math.sin(0.9 * number * (place + 1))


def world(build, *, moved=0.6, loss=0.9, months=MONTHS, donors=DONORS, grown=True, more=(), level="countries"):
    """Kazakhstan (100 a month) loses `loss` of its trade, and Armenia and Kyrgyzstan (50 each) take `moved` of that."""
    rows = [*more]
    for number, month in enumerate(months):
        after = month >= CLOSURE
        young = 0.1 if grown and month < pd.Period("2022-06", freq="M") else 1.0
        rows.append(("KAZ", "RUS", "854231", str(month), young * 100 * wobble(0, number) * (1 - loss * after)))
        for place, hub in enumerate(["ARM", "KGZ"], start=1):
            rows.append((hub, "RUS", "854231", str(month), young * 50 * wobble(place, number) + after * 50 * loss * moved))
        if after:
            rows.append(("KAZ", "ARM", "854231", str(month), 20 * wobble(7, number)))
        for place, donor in enumerate(donors, start=3):
            rows.append((donor, "RUS", "854231", str(month), 10 * place * wobble(place, number)))
    period = f"{months[0]}/{months[-1]}"
    sellers = sorted({row[0] for row in rows})
    return build(rows, coverage=[(s, "*", "8541 8542 8471", period) for s in sellers], level=level)


@pytest.fixture(scope="module")
def moved(build):
    return world(build)


def part(table, role):
    return table[table["role"].eq(role)].set_index("hub_id")


def total(table):
    return part(table, "total").iloc[0]


def test_the_planted_ratio_is_found(moved):
    table = displacement(moved, **QUESTION)
    row = total(table)
    assert row["ratio"] == pytest.approx(0.6, abs=0.1)
    assert 0 < row["ratio_low"] < 0.6 < row["ratio_high"] < 1
    assert set(part(table, "gaining").index) == {"ARM", "KGZ"}
    closed = part(table, "closed").loc["KAZ"]
    assert closed["status"] == "fell"
    assert closed["effect_low_usd"] < -90 < closed["effect_high_usd"] < 0
    assert closed["p_value"] == pytest.approx(1 / 7)
    assert closed["prefit"] < 0.1


def test_means_are_those_of_the_records(moved):
    table = displacement(moved, **QUESTION)
    trades = moved.trades[moved.trades["buyer_id"].eq("RUS")]
    rows = table[table["role"].isin(["closed", "gaining", "placebo"]) & ~table["status"].str.startswith("as if")]
    assert len(rows) == 3 + len(DONORS)
    for row in rows.itertuples():
        own = trades[trades["seller_id"].eq(row.hub_id)].sort_values("period_start")["value_usd"].to_numpy()
        before = own[:24][-row.n_months_before:]
        assert row.before_usd == pytest.approx(before.mean())
        assert row.after_usd == pytest.approx(own[24:].mean())
        assert row.effect_usd == pytest.approx(row.after_usd - row.counterfactual_usd)
    assert total(table)["effect_usd"] == pytest.approx(part(table, "gaining")["effect_usd"].sum())


def test_level_is_four_months_after_growth_and_twelve_where_steady(build):
    assert set(displacement(world(build), **QUESTION).query("role == 'closed'")["n_months_before"]) == {4}
    steady = displacement(world(build, grown=False), suspects=["ARM", "KGZ"], **QUESTION)
    assert total(steady)["n_months_before"] == 12
    assert total(steady)["ratio"] == pytest.approx(0.6, abs=0.1)


def test_where_nothing_moved_the_interval_holds_zero(build):
    row = total(displacement(world(build, moved=0.0), **QUESTION))
    assert row["ratio_low"] == 0
    assert row["ratio_high"] < 0.6


def test_without_a_closure_there_is_no_ratio(build):
    table = displacement(world(build, loss=0.0), **QUESTION)
    assert total(table)["status"] == "no ratio: no loss is found at the closed hub"
    assert math.isnan(total(table)["ratio"])
    assert part(table, "closed")["status"].tolist() == ["no effect found"]


def test_upstream_leg_is_shown(moved):
    table = part(displacement(moved, **QUESTION), "upstream")
    assert table.loc["ARM", "status"] == "began after the event"
    assert table.loc["ARM", "after_usd"] == pytest.approx(20, abs=2)
    assert "KGZ" not in table.index


def test_placebo_in_time_stands_at_the_months_before(moved):
    table = displacement(moved, **QUESTION)
    early = table[table["status"].str.startswith("as if")]
    assert early["hub_id"].tolist() == ["KAZ"]
    assert early["status"].str.contains("2022-11: no effect found").all()


def test_suspects_and_donors_can_be_named(moved):
    table = displacement(moved, suspects=["ARM"], donors=DONORS[:5], **QUESTION)
    assert part(table, "gaining").index.tolist() == ["ARM"]
    assert part(table, "closed")["n_donors"].tolist() == [5]
    assert total(table)["ratio"] == pytest.approx(0.3, abs=0.1)
    unseen = displacement(moved, suspects=["ARM", "UZB"], **QUESTION)
    assert part(unseen, "gaining").loc["UZB", "status"] == "not observed in all of these months"
    assert total(unseen)["status"].endswith("1 suspects are not observed")


def test_other_trade_serves_where_donors_are_few(build):
    more = [("KAZ", buyer, "854231", str(month), 30 * wobble(place, number)) for number, month in enumerate(MONTHS)
            for place, buyer in enumerate(["TUR", "UZB", "TJK"], start=20)]
    more += [("KAZ", "RUS", "847130", str(month), 70 * wobble(31, number)) for number, month in enumerate(MONTHS)]
    network = world(build, donors=DONORS[:2], more=more)
    table = displacement(network, products="854231", suspects=["ARM", "KGZ"], **QUESTION)
    used = set(part(table, "placebo").index) - {"KAZ"}
    assert used == {"AZE", "DEU", "KAZ to TUR", "KAZ to UZB", "KAZ to TJK", "KAZ to RUS, 8471"}
    assert total(table)["ratio"] == pytest.approx(0.6, abs=0.15)
    assert any("serve as donors too" in note for note in table.attrs["notes"])


@pytest.mark.parametrize(("made", "asked", "reason"), [
    ({"donors": DONORS[:2]}, {"suspects": ["ARM", "KGZ"]}, "2 donors, 5 are needed"),
    ({"months": MONTHS[-13:]}, {}, "only 3 months before the event, 4 are needed"),
    ({"months": MONTHS[:26]}, {}, "only 2 months after the event, 3 are needed"),
    ({}, {"until": "2023-02"}, "no month after the event"),
    ({}, {"hub": "TUR"}, "no month before the event"),
])
def test_too_little_gives_no_ratio_and_says_why(build, made, asked, reason):
    table = displacement(world(build, **made), **(QUESTION | asked))
    assert table["ratio"].isna().all()
    assert table["role"].tolist() == ["closed"]
    assert reason in table["status"].iloc[0]


def test_poor_fit_gives_no_ratio(build):
    more = [("KAZ", "RUS", "854239", "2023-01", 900.0)]
    assert "off its synthetic control by" in total(displacement(world(build, more=more), **QUESTION))["status"]


def test_donors_that_were_hit_too_give_no_ratio(build):
    network = world(build)
    trades = network.trades
    hit = trades["seller_id"].isin(DONORS) & trades["period_start"].ge(CLOSURE.start_time)
    trades.loc[hit, ["value", "value_usd"]] *= 0.1
    changed = TradeNetwork(**{"level": "countries", **{t: getattr(network, t) for t in TABLES}, "trades": trades})
    assert "moved the donors too" in total(displacement(changed, suspects=["ARM", "KGZ"], **QUESTION))["status"]


def test_months_not_observed_are_not_zero(build):
    """A donor whose coverage ends early is no donor; its silence is no fall."""
    network = world(build)
    coverage = network.coverage
    coverage.loc[coverage["reporter"].eq("DEU"), "period_end"] = pd.Timestamp("2023-06-30")
    trades = network.trades
    trades = trades[~(trades["seller_id"].eq("DEU") & trades["period_start"].ge(pd.Timestamp("2023-07-01")))]
    changed = TradeNetwork(
        **{"level": "countries", **{t: getattr(network, t) for t in TABLES}, "trades": trades, "coverage": coverage})
    table = displacement(changed, **QUESTION)
    assert "DEU" not in set(table["hub_id"])
    assert total(table)["n_donors"] == len(DONORS) - 1


def test_a_month_without_records_counts_as_zero_where_it_is_covered(moved):
    trades = moved.trades
    drop = trades["seller_id"].eq("KAZ") & trades["period_start"].ge(CLOSURE.start_time) & trades["buyer_id"].eq("RUS")
    changed = TradeNetwork(**{"level": "countries", **{t: getattr(moved, t) for t in TABLES}, "trades": trades[~drop]})
    closed = part(displacement(changed, **QUESTION), "closed").loc["KAZ"]
    assert closed["after_usd"] == 0
    assert closed["n_months_after"] == 10


def test_day_within_a_month_leaves_that_month_out(moved):
    row = total(displacement(moved, **(QUESTION | {"since": "2023-03-17"})))
    assert row["n_months_after"] == 9


def test_transit_blocks_are_refused_and_other_events_are_not(moved):
    events = ct.policy_events()
    blocks = events[events["kind"].eq("transit_block")]
    assert len(blocks) > 0
    for _, event in blocks.iterrows():
        with pytest.raises(NotComparableError, match="is about customs transit"):
            displacement(moved, event=event, destinations=["RUS"])
    event = {"kind": "export_ban", "hub": "KAZ", "date": "2023-03", "title": "invented"}
    assert_frame_equal(displacement(moved, event=event, destinations=["RUS"]), displacement(moved, **QUESTION))


def test_an_event_without_a_hub_needs_one(moved):
    event = {"kind": "listing", "hub": "", "date": "2023-03", "title": "invented"}
    with pytest.raises(InputError, match="a hub and a date"):
        displacement(moved, event=event, destinations=["RUS"])
    assert displacement(moved, event=event, hub="KAZ", destinations=["RUS"])["role"].iloc[0] == "closed"
    with pytest.raises(InputError, match="a hub and a date"):
        displacement(moved, hub="KAZ", destinations=["RUS"])


def test_contract(moved):
    table = displacement(moved, **QUESTION)
    assert list(table.columns) == list(COLUMNS)
    shuffled = TradeNetwork(level="countries", **{t: getattr(moved, t).sample(frac=1, random_state=7) for t in TABLES})
    other = displacement(shuffled, **QUESTION)
    assert_frame_equal(table, other, check_exact=True)
    assert table.attrs == other.attrs
    nothing = displacement(TradeNetwork(level="countries", actors=empty("actors"), trades=empty("trades")), **QUESTION)
    assert len(nothing) == 0
    assert nothing.dtypes.to_dict() == table.dtypes.to_dict()
    assert nothing.attrs["notes"]
    for slip in ({"hub": "Kazakstan"}, {"destinations": ["Rusia"]}, {"suspects": ["Armnia"]}, {"products": "chip"},
                 {"prefer": "exprter"}):
        with pytest.raises(UnknownNameError, match="did you mean"):
            displacement(moved, **(QUESTION | slip))


def divided(build, level=100):
    """Until the end of 2021 all tell 854150 of HS2017, then 854151 of HS2022, and 854231 in both; nothing moves, the event is 2022-01."""
    months = pd.period_range("2020-06", "2022-12", freq="M")
    rows = []
    for number, month in enumerate(months):
        version, code = ("HS2022", "854151") if month.year >= 2022 else ("HS2017", "854150")
        for place, seller in enumerate(["KAZ", *DONORS]):
            rows.append((seller, "RUS", "854231", str(month), level * wobble(place, number), {"hs_version": version}))
        rows.append(("KAZ", "RUS", code, str(month), level * wobble(1, number), {"hs_version": version}))
    sold = [(s, "*", "8541 8542", f"{months[0]}/{months[-1]}", {"resolution": "month"}) for s in ["KAZ", *DONORS]]
    return build(rows, coverage=sold)


BREAK = {"hub": "KAZ", "since": "2022-01", "destinations": ["RUS"], "suspects": ["DEU"]}


@pytest.mark.parametrize(("products", "level", "named"), [
    (["854231", "854151"], 100, "854151"), (["854231", "854150"], 100, "854150"), (["854231", "8541"], 200, ""), (None, 200, ""),
    ("854231", 100, ""),
])
def test_codes_that_do_not_compare_move_nothing(build, products, level, named):
    table = displacement(divided(build), products=products, **BREAK)
    closed = part(table, "closed").loc["KAZ"]
    assert (closed["before_usd"], closed["after_usd"]) == (pytest.approx(level, rel=0.05), pytest.approx(level, rel=0.05))
    assert closed["status"] == "no effect found"
    notes = [note for note in table.attrs["notes"] if "do not compare" in note]
    assert [note.rsplit(": ")[1] for note in notes] == ([named] if named else [])


def test_without_codes_that_compare_there_is_no_answer(build):
    with pytest.raises(NotComparableError, match="854150, 854151 cannot be compared"):
        displacement(divided(build), products=["854150", "854151"], **BREAK)


def test_new_codes_are_compared_after_they_began(build):
    table = displacement(divided(build), products="854151", **(BREAK | {"since": "2022-07"}))
    assert table["status"].tolist() == ["no ratio: 1 donors, 5 are needed"], "its own trade in 8542"


def test_firms_without_coverage_have_no_zeros(build):
    network = build([("trader.KAZ", "buyer.RUS", "854231", "2023-01", 5.0)], level="firms")
    table = displacement(network, **QUESTION)
    assert table["status"].str.startswith("no ratio: no month before").all()


@pytest.mark.soak
def test_simulated_worlds(campaign, found):
    """The interval holds the true ratio, leaves zero out where much moved, and nothing is found where nothing closed."""
    held, above, quiet = [], [], []
    seeds = campaign(200)
    for seed in seeds:
        for closure in (True, False):
            made = ct.simulate(seed, closure=closure)
            table = displacement(made.countries, hub=made.closed_hub, since="2023-03", destinations=["RUS"])
            ratios = part(table, "total")[["ratio_low", "ratio_high"]].dropna()
            if not closure:
                quiet.append(ratios.empty and not table["status"].iloc[0].startswith("fell"))
                continue
            low, high = ratios.iloc[0] if len(ratios) else (math.nan, math.nan)
            held.append(low <= made.rerouted <= high)
            if made.rerouted >= 0.5:
                above.append(low > 0)
    found(f"{len(seeds)} worlds: the 90 % interval holds the true ratio in {sum(held)} of {len(held)}, leaves zero out in {sum(above)} "
          f"of the {len(above)} where half or more moved, and nothing is found in {sum(quiet)} of {len(quiet)} without a closure")
    slack = 0 if len(seeds) == 200 else 1
    for what, cases, share in (("held", held, 0.9), ("zero left out", above, 0.8), ("quiet", quiet, 0.9)):
        assert sum(cases) >= share * len(cases) - slack, f"{what}: {sum(cases)} of {len(cases)}"
