"""The simulated worlds keep what they promise: exact statistics, one truth, and a closure that changes nothing else."""

import numpy as np
import pandas as pd
import pytest

from chiptrail.loaders.simulated import CODES, LISTED, simulate

KEY = ["seller_id", "buyer_id", "hs_code", "month"]


@pytest.fixture(scope="module")
def exact():
    return simulate(3, exact=True)


@pytest.fixture(scope="module")
def reported():
    return simulate(3)


def told(world, flow):
    trades = world.countries.trades
    rows = trades[trades["flow"].eq(flow)].rename(columns={"period_start": "month"})
    return rows.groupby(KEY)["value_usd"].sum()


def test_same_seed_same_world(exact):
    again = simulate(3, exact=True)
    assert again.countries.equals(exact.countries)
    pd.testing.assert_frame_equal(again.legs, exact.legs)
    assert simulate(4, exact=True).legs["value_usd"].sum() != exact.legs["value_usd"].sum()


def test_exact_statistics_are_the_sums_of_the_legs(exact, reported):
    legs = exact.legs
    assert legs["declared_id"].eq(legs["buyer_id"]).all()
    assert reported.legs["declared_id"].ne(reported.legs["buyer_id"]).any()
    exports = legs.groupby(KEY)["value_usd"].sum()
    imports = legs.drop(columns="seller_id").rename(columns={"origin": "seller_id"}).groupby(KEY)["value_usd"].sum()
    for flow, truth in (("export", exports), ("import", imports)):
        found = told(exact, flow)
        truth = truth[truth.gt(0.5)]
        assert found.index.equals(truth.index)
        np.testing.assert_allclose(found, truth, atol=0.006)


def test_lots_are_whole_paths(exact, reported):
    for world in (exact, reported):
        legs = world.legs
        before = legs.groupby("lot_id").shift()
        later = legs["leg"].gt(0)
        assert (before.loc[later, "buyer_id"] == legs.loc[later, "seller_id"]).all()
        assert (before.loc[later, "buyer_firm"] == legs.loc[later, "seller_firm"]).all()
        assert (before.loc[later, "month"] <= legs.loc[later, "month"]).all()
        ends = legs.groupby("lot_id").agg(first=("seller_id", "first"), last=("buyer_id", "last"), origin=("origin", "first"),
                                          destination=("destination", "first"))
        assert ends["first"].equals(ends["origin"].rename("first"))
        assert ends["last"].equals(ends["destination"].rename("last"))
        assert not legs.duplicated(["lot_id", "buyer_id"]).any()
        same = legs.groupby("lot_id")["value_usd"].nunique().eq(1).all()
        assert same == world.exact


def test_nobody_passes_on_more_than_came_in(exact):
    """By country, origin and goods, over the whole time; makers aside."""
    legs = exact.legs
    goods = legs["hs_code"].replace({"854151": "854150", "854159": "854150"})
    came = legs.groupby(["buyer_id", "origin", goods])["value_usd"].sum()
    went = legs[legs["leg"].gt(0)].groupby(["seller_id", "origin", goods])["value_usd"].sum()
    assert (came.reindex(went.index) - went >= -0.01).all()
    assert (came.sum() - went.sum()) > 0


def test_through_is_what_left_the_hub_and_ends_there(exact):
    legs, hub = exact.legs, exact.hubs[1]
    total, ends = 0.0, {"USA": set(), "RUS": set()}
    for leg in legs.itertuples():
        for end, country in (("USA", leg.seller_id), ("RUS", leg.buyer_id)):
            if country == end:
                ends[end].add(leg.lot_id)
    wanted = ends["USA"] & ends["RUS"]
    for leg in legs.itertuples():
        if leg.seller_id == hub and leg.lot_id in wanted and leg.hs_code in LISTED and leg.month.year == 2023:
            total += leg.value_usd
    assert total > 0
    assert exact.through(hub, "2023-01", "2023-12") == pytest.approx(total)


@pytest.mark.parametrize("exactly", [True, False])
def test_closure_changes_only_what_went_through_the_hub(exactly):
    with_closure, without = simulate(5, exact=exactly), simulate(5, exact=exactly, closure=False)
    hub, day = with_closure.closed_hub, with_closure.closed_on
    assert without.closed_on is None
    assert np.isnan(without.rerouted)

    def to_destination(world):
        legs = world.legs
        return legs[legs["buyer_id"].eq("RUS") & legs["month"].ge(day)].groupby("seller_id")["value_usd"].sum()

    one, other = to_destination(with_closure), to_destination(without)
    change = one.sub(other, fill_value=0)
    assert change[hub] < -0.8 * other[hub]
    changed = {c for c, usd in change.items() if abs(usd) > 1}
    assert changed <= {hub, *with_closure.hubs}
    taken = change.drop(hub).sum()
    assert taken > 0
    if exactly:
        assert taken / -change[hub] == pytest.approx(with_closure.rerouted, abs=0.02)
    early, early_without = (world.legs[world.legs["month"] < day - pd.DateOffset(months=4)] for world in (with_closure, without))
    pd.testing.assert_frame_equal(early.reset_index(drop=True), early_without.reset_index(drop=True))


def test_response_is_the_share_taken_over():
    for share in (0.0, 0.9):
        assert simulate(6, exact=True, response=share).rerouted == pytest.approx(share, abs=0.06)


def test_embargo_and_growth(exact):
    legs = exact.legs
    direct = legs[legs["seller_id"].eq("USA") & legs["buyer_id"].eq("RUS")]
    assert direct["month"].max() < pd.Timestamp("2022-03-01")
    assert len(direct) > 50
    for hub in exact.hubs:
        assert exact.through(hub, "2022-07", "2022-12") > 2 * exact.through(hub, "2021-07", "2021-12")


def test_statistics_are_imperfect_unless_exact(reported, exact):
    trades, coverage = reported.countries.trades, reported.countries.coverage
    russian = trades[trades["reported_by"].eq("RUS")]
    assert russian["period_end"].max() == pd.Timestamp("2021-12-31")
    assert exact.countries.trades.loc[lambda t: t["reported_by"].eq("RUS"), "period_end"].max() == pd.Timestamp("2024-12-31")
    silent = {*reported.countries.actors["actor_id"]} - {*coverage.loc[coverage["flow"].eq("export"), "reporter"]}
    assert len(silent) == 1
    assert not trades["reported_by"].isin(silent).any()
    for row in coverage.itertuples():
        rows = trades[trades["reported_by"].eq(row.reporter) & trades["flow"].eq(row.flow)]
        assert len(rows) == 0 or rows["period_end"].max() <= row.period_end
    hub = reported.hubs[1]
    declared = trades[trades["seller_id"].eq(hub) & trades["buyer_id"].eq("RUS") & trades["flow"].eq("export")]
    true = reported.legs[reported.legs["seller_id"].eq(hub) & reported.legs["buyer_id"].eq("RUS")]
    ratio = declared.loc[declared["hs_code"].isin(LISTED), "value_usd"].sum() / true.loc[true["hs_code"].isin(LISTED), "value_usd"].sum()
    assert 0.3 < ratio < 0.99
    assert set(trades["hs_code"]) == set(CODES)
    late = trades["period_start"] >= pd.Timestamp("2022-01-01")
    assert set(trades.loc[late, "hs_code"]) == set(CODES) - {"854150"}


def test_shipments_between_firms(exact, reported):
    everything = exact.firms
    assert len(everything.trades) == len(exact.legs)
    assert everything.trades["value_usd"].sum() == pytest.approx(exact.legs["value_usd"].sum())
    seen = reported.firms
    places = seen.actors.set_index("actor_id")["country"]
    ends = seen.trades["seller_id"].map(places).isin(reported.hubs[:3]) | seen.trades["buyer_id"].map(places).isin(reported.hubs[:3])
    assert ends.all()
    assert 0 < len(seen.trades) < 0.5 * len(reported.legs)


def test_cast_of_many_worlds():
    for seed in range(20, 26):
        world = simulate(seed)
        everyone = {*world.hubs, *world.decoys, *world.donors}
        assert len(everyone) == len(world.hubs) + len(world.decoys) + len(world.donors)
        assert len(world.hubs) >= 5
        assert len(world.decoys) >= 4
        assert len(world.donors) >= 20
        assert world.closed_hub in world.hubs
        assert 0 < world.rerouted < 1
        bought = world.legs.groupby("buyer_id")["value_usd"].sum()
        assert bought[list(world.decoys)].mean() > bought[list(world.hubs)].mean()
