import numpy as np
import pandas as pd
import pytest

import chiptrail as ct


def row(seller, buyer, period, value, kg, more=None, code="854231"):
    return (seller, buyer, code, period, value, {"weight_kg": kg} | (more or {}))


def of(table, buyer="RUS"):
    return table.set_index("buyer_id").loc[buyer]


@pytest.fixture(scope="module")
def corridors(build):
    """XAA sells to RUS at 300 USD per kg, and to others at 100 and 200; XBB sells dear to RUS, and a lot of another code."""
    pieces = {"quantity": 50.0, "quantity_unit": "p/st"}
    return build([
        row("XAA", "RUS", "2022", 3_000.0, 10.0, pieces), row("XAA", "KAZ", "2022", 1_000.0, 10.0, pieces),
        row("XAA", "TUR", "2022", 6_000.0, 30.0), row("XAA", "TUR", "2021", 1.0, 1.0), row("XBB", "RUS", "2022", 9_000.0, 10.0),
        row("XAA", "TUR", "2022", 5.0, 5.0, code="854110"),
    ])


def test_premium_is_over_the_same_sellers_other_destinations_by_hand(corridors):
    table = ct.unit_values(corridors, destinations=["RUS"], concept="dispatched")
    first = table[table["seller_id"].eq("XAA")].iloc[0]
    assert first["usd_per_kg"] == 300
    assert first["others_usd_per_kg"] == (1_000 + 6_000) / (10 + 30)
    assert first["premium"] == pytest.approx(300 / 175)
    assert (first["usd_per_piece"], first["others_usd_per_piece"], first["premium_per_piece"]) == (60, 20, 3)
    assert (first["n_other_destinations"], first["status"]) == (2, "compared")
    assert np.isnan(first["premium_low"]), "two destinations have no quantiles"
    other = table[table["seller_id"].eq("XBB")].iloc[0]
    assert np.isnan(other["premium"])
    assert other["status"] == "no other destination with a measured weight"


def test_without_destinations_each_buyer_stands_against_the_others(corridors):
    table = ct.unit_values(corridors, concept="dispatched", origins=["XAA"], products="854231", since="2022")
    assert table.set_index("buyer_id")["premium"].round(6).to_dict() == {
        "KAZ": round(100 / (9_000 / 40), 6), "RUS": round(300 / 175, 6), "TUR": round(200 / 200, 6)}


def test_other_destinations_outside_the_question_count_for_the_premium_and_in_no_row(corridors):
    table = ct.unit_values(corridors, destinations=["RUS"], concept="dispatched")
    assert set(table["buyer_id"]) == {"RUS"}


def test_destinations_are_no_base_for_each_other(corridors):
    table = ct.unit_values(corridors, destinations=["RUS", "KAZ"], origins=["XAA"], concept="dispatched")
    assert table.set_index("buyer_id")["premium"].to_dict() == {"RUS": 1.5, "KAZ": 0.5}


@pytest.mark.parametrize("mark", [{"x_weight_estimated": True}, {"basis": "estimated"}])
def test_estimated_weights_give_no_price(build, mark):
    plain = {"x_weight_estimated": False} if "x_weight_estimated" in mark else {}
    network = build([row("XAA", "RUS", "2022-01", 3_000.0, 10.0, plain), row("XAA", "RUS", "2022-02", 3_000.0, 1.0, mark),
                     row("XAA", "KAZ", "2022-01", 1_000.0, 10.0, mark)])
    table = ct.unit_values(network, concept="dispatched")
    assert of(table)["usd_per_kg"] == 300
    assert (of(table)["n_weight_estimated"], of(table)["n_weighed"], of(table)["n_records"]) == (1, 1, 2)
    assert of(table)["status"] == "no other destination with a measured weight"
    assert of(table, "KAZ")["status"] == "no measured weight"


@pytest.mark.parametrize("mark", [{"x_quantity_estimated": True}, {"basis": "estimated"}])
def test_estimated_numbers_of_pieces_give_no_price(build, mark):
    pieces = {"quantity_unit": "u", "quantity": 10.0}
    plain = {"x_quantity_estimated": False} if "x_quantity_estimated" in mark else {}
    table = ct.unit_values(build([row("XAA", "RUS", "2022-01", 3_000.0, 10.0, pieces | plain),
                                  row("XAA", "RUS", "2022-02", 3_000.0, 1.0, pieces | {"quantity": 1.0} | mark)]), concept="dispatched")
    assert (of(table)["usd_per_piece"], of(table)["pieces"], of(table)["n_counted"]) == (300, 10, 1)


def test_estimated_weight_mark_survives_being_saved(build, tmp_path):
    network = build([row("XAA", "RUS", "2022-01", 3_000.0, 10.0, {"x_weight_estimated": True}),
                     row("XAA", "RUS", "2022-02", 500.0, 10.0, {"x_weight_estimated": False})])
    network.save(tmp_path / "net")
    assert of(ct.unit_values(ct.TradeNetwork.load(tmp_path / "net"), concept="dispatched"))["usd_per_kg"] == 50


def test_thousandfold_outliers_are_flagged_and_left_out(build):
    rows = [row("XAA", "KAZ", f"2022-0{m}", 1_000.0, 10.0) for m in range(1, 6)]
    rows += [row("XAA", "RUS", "2022-01", 2_000.0, 10.0), row("XAA", "RUS", "2022-02", 2_000.0, 0.01),
             row("XAA", "TUR", "2022-01", 99.0, 1_000.0), row("XAA", "UZB", "2022-01", 1_000.0, 10_000.0)]
    table = ct.unit_values(build(rows), concept="dispatched")
    assert set(table["product_median_usd_per_kg"]) == {100.0}
    assert (of(table)["n_outliers"], of(table)["outlier_ratio"], of(table)["usd_per_kg"]) == (1, pytest.approx(2_000), 200)
    assert of(table)["premium"] == 2, "TUR and UZB count in nobody's base"
    assert (of(table, "TUR")["outlier_ratio"], of(table, "TUR")["status"]) == (
        pytest.approx(0.099 / 100), "thousandfold off: likely an error of unit")
    assert np.isnan(of(table, "TUR")["usd_per_kg"])
    assert any("3 records are a thousand times" in note for note in table.attrs["notes"])
    assert of(table, "KAZ")["usd_per_kg_low"] == of(table, "KAZ")["usd_per_kg_high"] == 100


def test_record_of_no_value_has_no_price(build):
    rows = [row("XAA", buyer, "2022", 1_000.0, 10.0) for buyer in ("KAZ", "TUR", "UZB", "ARM", "GEO")]
    pieces = {"quantity": 5.0, "quantity_unit": "u"}
    found = of(ct.unit_values(build([*rows, row("XAA", "RUS", "2022", 0.0, 5.0, pieces)]), concept="dispatched"))
    assert found[["usd_per_kg", "outlier_ratio", "premium", "usd_per_piece"]].isna().all()
    assert (found["n_outliers"], found["n_weighed"], found["n_counted"], found["status"]) == (0, 0, 0, "no value")


def test_median_is_of_the_product_in_one_version_by_the_origins_to_all_buyers(build):
    rows = [row("XAA", "KAZ", f"2021-0{m}", 1_000.0, 10.0) for m in range(1, 6)]
    rows += [row("XAA", "TUR", f"2022-0{m}", 10.0 * m, 1.0, {"hs_version": "HS2022"}) for m in range(1, 6)]
    rows += [row("XBB", "TUR", f"2022-0{m}", 900.0, 1.0, {"hs_version": "HS2022"}) for m in range(1, 7)]
    table = ct.unit_values(build(rows), origins=["XAA"], destinations=["TUR"], concept="dispatched")
    assert table["product_median_usd_per_kg"].tolist() == [30]


def test_just_less_than_a_thousandfold_is_no_outlier(build):
    rows = [row("XAA", "KAZ", f"2022-0{m}", 1_000.0, 10.0) for m in range(1, 6)] + [row("XAA", "RUS", "2022-01", 99_900.0, 1.0)]
    assert of(ct.unit_values(build(rows), concept="dispatched"))["n_outliers"] == 0


def test_range_of_the_premium_holds_it_and_comes_from_the_other_prices(build):
    prices = {"KAZ": 50.0, "TUR": 80.0, "UZB": 100.0, "ARM": 120.0, "KGZ": 200.0}
    rows = [row("XAA", buyer, "2022", 10 * price, 10.0) for buyer, price in prices.items()] + [row("XAA", "RUS", "2022", 3_000.0, 10.0)]
    found = of(ct.unit_values(build(rows), destinations=["RUS"], concept="dispatched"))
    low, high = (300 / pd.Series(list(prices.values())).quantile([0.95, 0.05])).tolist()
    assert (found["premium_low"], found["premium_high"]) == (pytest.approx(low), pytest.approx(high))
    assert low < found["premium"] < high


def test_bundled_corridors_have_no_weights_and_say_so():
    table = ct.unit_values(ct.load_bundled("countries"), destinations=["KAZ"], concept="dispatched", since="2022", until="2022")
    assert len(table) > 50
    assert set(table["status"]) == {"no measured weight"}
    assert table["usd_per_kg"].isna().all()
