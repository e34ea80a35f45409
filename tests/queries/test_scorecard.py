"""The scorecard: each result against sums made straight from the files, and what it says where data are missing."""

import csv
import dataclasses
from importlib.resources import files

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError, UnknownNameError
from chiptrail.loaders.bundled import load_bundled, published_figures
from chiptrail.loaders.mirror_totals import load_mirror_totals
from chiptrail.queries import scorecard as module
from chiptrail.queries.recomputed import AtHand, Result
from chiptrail.queries.scorecard import CLAIMS, COLUMNS, KINDS, scorecard
from chiptrail.scoring import scorecard as scorecard_of_folder

RECOMPUTED = "recomputed from records"


@pytest.fixture(scope="module")
def bundled():
    return scorecard_of_folder()


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "data" / "mirror_totals"


@pytest.fixture(scope="module")
def full(shared):
    return scorecard_of_folder(shared / "data")


def by_figure(table, part):
    [row] = table[table["figure"].str.contains(part, regex=False)].to_dict("records")
    return row


def shipped(name):
    with (files("chiptrail.loaders.bundled") / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_columns_and_kinds(bundled):
    assert tuple(bundled.columns) == COLUMNS
    assert set(bundled["kind"]) <= set(KINDS)
    assert bundled["published"].notna().all()
    assert bundled["ours"].notna().eq(bundled["kind"].isin([RECOMPUTED, "contradicted", "quoted", "counted in our list"])).all()
    assert bundled.loc[bundled["kind"].ne(RECOMPUTED), "reason"].ne("").any()
    gap = (bundled["ours"] - bundled["published"]).dropna()
    assert gap.tolist() == pytest.approx(bundled["difference"].dropna().tolist())


def test_every_claim_stands_on_published_figures():
    table = scorecard(published_figures(), {})
    assert len(table) == len(CLAIMS)
    assert len({(claim.figure, claim.rows) for claim in CLAIMS}) == len(CLAIMS)


def test_without_any_data_nothing_is_recomputed():
    table = scorecard(published_figures(), {})
    assert table.loc[table["kind"].eq("counted in our list"), "figure"].tolist() == ["items on the high-priority list, all tiers"]
    assert set(table["kind"]) == {"counted in our list", "quoted", "data not at hand"}
    assert table.attrs["notes"][0].startswith("0 derived results of 0 publications")
    assert len(scorecard(published_figures().head(0), {})) == 0


def test_results_of_the_bundled_countries(bundled):
    sent = {(r["exporter"], r["period"]): float(r["value"]) for r in shipped("chip_corridors.csv")
            if r["importer"] == "RUS" and r["hs_code"] == "8542" and r["source"].startswith("un_comtrade")}
    assert by_figure(bundled, "Armenian chips")["ours"] == pytest.approx(sent["ARM", "2022"] / sent["ARM", "2021"])
    assert by_figure(bundled, "Armenian chips")["published"] == 13_000_000 / 2_000
    assert by_figure(bundled, "Chinese chips to Russia")["ours"] == pytest.approx(sent["CHN", "2022"] / sent["CHN", "2021"]) == 2.5
    assert by_figure(bundled, "Turkish electronic")["ours"] == pytest.approx(2.8 / 0.06)
    assert by_figure(bundled, "Emirati chips")["ours"] == pytest.approx(4.76 / 1.68)
    assert by_figure(bundled, "Hong Kong's")["ours"] == pytest.approx(100 * (208 / 283 - 1))


def test_shares_of_parts(bundled):
    rows = shipped("weapon_parts.csv")
    every = sum(int(r["n_parts"]) for r in rows)
    for country, name in (("USA", "the USA"), ("CHE", "Switzerland"), ("JPN", "Japan"), ("CHN", "China")):
        own = sum(int(r["n_parts"]) for r in rows if r["maker_country"] == country)
        found = bundled[bundled["figure"].eq(f"share of parts in Russian weapons by makers of {name}")]
        assert found["ours"].tolist() == pytest.approx([100 * own / every])
    assert by_figure(bundled, "318 of 450")["published"] == pytest.approx(100 * 318 / 450)


def test_the_list_has_fifty_items_by_tier(bundled, shared):
    tiers = pd.read_csv(shared / "data" / "reference" / "chpl_2024-02-23.csv", dtype=str)
    assert by_figure(bundled, "high-priority list")["ours"] == len(tiers) == 50


def test_what_the_data_contradict_is_shown(bundled):
    contradicted = bundled[bundled["kind"].eq("contradicted")].set_index("figure")
    assert len(contradicted) == 2
    kyrgyz = by_figure(contradicted.reset_index(), "Kyrgyz chips")
    assert kyrgyz["published"] == pytest.approx(6.7e6 + 19.8e6)
    assert kyrgyz["ours"] == pytest.approx(13_531_390, abs=10)
    assert contradicted["reason"].ne("").all()
    assert "sources disagree" in " ".join(bundled.attrs["notes"])


@pytest.mark.parametrize("figure", ["Emirati chips", "Hong Kong's semiconductors"])
def test_what_ours_measures_otherwise_is_not_contradicted(bundled, figure):
    row = by_figure(bundled, figure)
    assert row["kind"] == RECOMPUTED
    assert abs(row["difference"]) > 10
    assert "reported of HS 8542" in row["reason"]


def test_quoted_is_told_apart(bundled):
    quoted = bundled[bundled["kind"].eq("quoted")]
    assert sorted(quoted["published"]) == [145.0, 250.0]
    assert quoted["ours"].tolist() == pytest.approx([100 * (2140 / 785 - 1)] * 2)


def test_enough_is_recomputed_and_the_note_counts_it(full, bundled):
    done = full[full["kind"].eq(RECOMPUTED)]
    assert len(done) >= 12
    assert done["publication"].nunique() >= 4
    n_publications = done["publication"].nunique()
    shown = done["ours"].round(9).astype(str) + done["unit"]
    assert shown.value_counts().loc[lambda n: n > 1].tolist() == [3, 2], "makers of the USA, and the additional exports"
    assert full.attrs["notes"][0] == (f"{len(done) - 3} derived results of {n_publications} publications are recomputed from records "
                                      f"({len(done)} rows, some of which show the same number)")
    assert len(bundled[bundled["kind"].eq(RECOMPUTED)]) < len(done)


def totals_by_pandas(folder, name, file):
    """Exports of the Union to a country and what it recorded, EUR by year, straight from the files."""
    sold = pd.concat([pd.read_csv(f) for f in sorted((folder / "eu_year_export").glob("*.csv"))])
    sold = sold[sold["PARTNER"].eq(name)]
    sold = sold.set_index(sold["PERIOD"].str[-4:])["VALUE_IN_EUR"]
    bought = pd.read_csv(folder / "national_data_converted" / f"{file}_import_yearly.csv")
    bought = bought[bought["PARTNER"].str.startswith("European Union - 27")]
    return sold, bought.set_index(bought["PERIOD"].str[1:])["VALUE_IN_EUR"]


def test_ghost_trade(full, folder):
    expected = {"Kyrgyzstan": [7, 57, 67], "Kazakhstan": [8, 26, 20]}
    for name, file in (("Kyrgyzstan", "kyrgyz"), ("Kazakhstan", "kazakhstan")):
        sold, bought = totals_by_pandas(folder, name, file)
        for year, rounded in zip(("2021", "2022", "2023"), expected[name], strict=True):
            row = by_figure(full, f"share of EU exports to {name} not recorded there, {year}")
            assert row["ours"] == row["ours_low"] == pytest.approx(100 * (1 - bought[year] / sold[year]))
            assert row["ours_high"] == pytest.approx(100 * (1 - bought[year] / 1.2 / sold[year]))
            assert round(row["ours"]) == rounded
            assert row["kind"] == RECOMPUTED
    assert "EUR 262 million" in by_figure(full, "Kazakhstan not recorded there, 2021")["reason"]
    assert "EUR 366 million" in by_figure(full, "Kazakhstan not recorded there, 2022")["reason"]


def test_armenia_2023_is_refused(full):
    row = by_figure(full, "Armenia not recorded there, 2023")
    assert (row["kind"], round(row["published"])) == ("refused", 93)
    assert row["reason"].startswith("partial period: importer: 87 partners, usually 117")
    assert pd.isna(row["ours"])
    assert by_figure(full, "Armenia not recorded there, 2022")["kind"] == RECOMPUTED


def test_additional_exports_that_did_not_arrive(full, folder):
    sides = [totals_by_pandas(folder, name, file) for name, file in (("Kyrgyzstan", "kyrgyz"), ("Kazakhstan", "kazakhstan"))]
    sold, bought = sides[0][0] + sides[1][0], sides[0][1] + sides[1][1]

    def share(*baseline, margin=0.0):
        sums = [values["2022"] + values["2023"] - 2 * values[list(baseline)].mean() for values in (bought, sold)]
        return 100 * (1 - sums[0] / (1 + margin) / sums[1])

    row = by_figure(full, "additional EU exports to Kazakhstan and Kyrgyzstan")
    assert row["ours"] == row["ours_low"] == pytest.approx(share("2021"))
    assert row["ours_high"] == pytest.approx(share("2019", margin=0.2))
    assert (round(row["ours_low"]), round(row["ours_high"])) == (46, 63)
    assert f"without margin {share('2021'):.1f} to {share('2019'):.1f}%" in row["reason"]
    assert by_figure(full, "around half")["publication"] == "EBRD / CEPR"
    assert by_figure(full, "around half")["kind"] == RECOMPUTED


def test_the_gap_of_the_first_year_of_war(full, folder):
    sold, bought = totals_by_pandas(folder, "Kazakhstan", "kazakhstan")
    row = by_figure(full, "first year of war")
    assert row["published"] == 2.9e9
    assert row["ours"] == pytest.approx(1.053 * (sold["2022"] - bought["2022"]), rel=0.001)


def test_a_file_that_stands_there_twice_counts_once(full, folder, tmp_path):
    files = sorted(folder.rglob("*.csv"))
    exports = [file for file in files if file.parent.name == "eu_year_export"]
    for file in [*exports, folder / "national_data_converted" / "kyrgyz_import_yearly.csv"]:
        copy = tmp_path / f"again_{file.name}"
        copy.write_bytes(file.read_bytes() + b"\n")
        files.append(copy)
    again = scorecard(published_figures(), {name: load_bundled(name) for name in ("countries", "firms")}
                      | {"totals": load_mirror_totals(files)})
    pd.testing.assert_frame_equal(again, full)


def test_one_file_is_not_enough(folder):
    network = load_mirror_totals(folder / "national_data_converted" / "kyrgyz_import_yearly.csv")
    table = scorecard(published_figures(), {"totals": network})
    ghost = table[table["figure"].str.contains("not recorded there")]
    assert set(ghost["kind"]) == {"data not at hand"}
    assert ghost["reason"].str.contains("give the folder that holds mirror_totals/").all()


def test_a_wrong_number_would_be_contradicted(monkeypatch):
    claim = next(c for c in CLAIMS if c.figure.startswith("items on"))
    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(claim, recompute=lambda data: Result(49.0)),))
    assert scorecard(published_figures(), {})["kind"].tolist() == ["contradicted"]
    monkeypatch.setattr(module, "CLAIMS", (dataclasses.replace(claim, recompute=lambda data: None),))
    assert scorecard(published_figures(), {})["kind"].tolist() == ["data not at hand"]


def test_networks_are_known_by_name():
    with pytest.raises(UnknownNameError, match="did you mean"):
        scorecard(published_figures(), {"total": load_bundled("countries")})
    assert AtHand().gaps is None


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        scorecard_of_folder(tmp_path / "nothing")
    assert scorecard_of_folder(tmp_path)["kind"].value_counts()[RECOMPUTED] == 11


def test_asked_twice_the_same(bundled):
    again = scorecard(published_figures(), {name: load_bundled(name) for name in ("countries", "firms")})
    pd.testing.assert_frame_equal(bundled, again)
