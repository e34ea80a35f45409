import csv
import hashlib
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, actor_id
from chiptrail.graphmodel.schema import TABLES
from chiptrail.loaders import bundled
from chiptrail.loaders.bundled import build

FOLDER = Path(build.__file__).parent
HUBS = ["KAZ", "ARM", "KGZ", "RUS"]


@pytest.fixture(scope="module")
def countries() -> TradeNetwork:
    return bundled.load_bundled("countries")


@pytest.fixture(scope="module")
def firms() -> TradeNetwork:
    return bundled.load_bundled("firms")


@pytest.fixture(scope="module")
def figures() -> pd.DataFrame:
    return bundled.published_figures()


def shipped(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the build -------------------------------------------------------------------------------------------------------


def test_shipped_files_are_what_the_build_makes(shared: Path, tmp_path: Path) -> None:
    counts = build.build(shared / "curated", tmp_path)
    for name in counts:
        assert (tmp_path / f"{name}.csv").read_bytes() == (FOLDER / f"{name}.csv").read_bytes(), name
    assert {f"{name}.csv" for name in counts} | {"weapon_names.csv"} == {p.name for p in FOLDER.glob("*.csv")}


def test_build_refuses_other_columns_and_counts(shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "curated"
    shutil.copytree(shared / "curated", folder, copy_function=shutil.copyfile)
    folder.chmod(0o755)
    text = (folder / "listings.csv").read_text(encoding="utf-8")
    (folder / "listings.csv").write_text(text.replace("listing_date", "date_listed", 1), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"listings\.csv: columns are name country list date_listed source_url"):
        build.build(folder, tmp_path)
    (folder / "listings.csv").write_text(text[: text.rstrip().rindex("\n") + 1], encoding="utf-8")
    with pytest.raises(SystemExit, match=r"listings\.csv: 73 rows, expected 74"):
        build.build(folder, tmp_path)


def test_shipped_files_are_diffable_text() -> None:
    for path in sorted(FOLDER.glob("*.csv")):
        content = path.read_bytes()
        assert b"\r" not in content, path.name
        assert content.endswith(b"\n"), path.name
        assert not content.startswith(b"\xef\xbb\xbf"), path.name
        rows = list(csv.reader(content.decode("utf-8").splitlines()))
        assert len({len(row) for row in rows}) == 1, path.name


def test_every_shipped_row_names_its_source() -> None:
    known = {row["source_id"] for row in shipped("sources.csv")}
    for name in ("chip_corridors", "world_chip_imports", "documented_trades", "weapon_parts", "ecb_monthly_rates",
                 "coverage", "listings"):
        assert {row["source"] for row in shipped(f"{name}.csv")} <= known, name
    for name in ("policy_events", "listings", "weapon_names"):
        assert all(row.get("source_url") or row.get("source") for row in shipped(f"{name}.csv")), name
    assert all(row["source_title"] and row["publisher"] for row in shipped("trade_figures.csv"))
    assert all(row["basis"] in ("established", "alleged", "reported") for row in shipped("documented_trades.csv"))


def test_names_of_rows_not_for_the_bundle_are_nowhere_in_the_package(shared: Path) -> None:
    with (shared / "curated" / "documented_trades.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    left_out = [row for row in rows if row["bundle"] != "yes"]
    assert len(left_out) == 21
    shown = {row[side] for row in rows if row["bundle"] == "yes" for side in ("seller_name", "buyer_name")}
    hidden = {row[f"{side}_name"] for row in left_out for side in ("seller", "buyer") if row[f"{side}_role"] != "weapon"}
    hidden = {name for name in hidden - shown if not name.startswith("Unnamed")}
    assert len(hidden) == 18
    short = {re.sub(r"\s*\(.*\)|,? (LLC|LLP|GmbH|Limited|Corporation LLP|HK Limited|Holding)$", "", name) for name in hidden}
    inner = {match for name in hidden for match in re.findall(r"\((.*)\)", name)}
    slugs = {re.sub(r"\W+", "-", name.lower()) for name in short if len(name) > 5}
    for path in [*FOLDER.glob("*.csv"), *FOLDER.glob("*.py")]:
        text = path.read_text(encoding="utf-8")
        for name in hidden | short | inner | slugs:
            assert not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text), f"{name} in {path.name}"
        if path.name != "weapon_parts.csv":
            for name in short | inner:
                assert name.lower() not in re.findall(r"[a-z]+", text), f"{name} in {path.name}"


def test_no_private_person_is_named() -> None:
    given = (
        "Alexander|Alexei|Andrei|Anna|Anton|Boris|Daniel|David|Dmitri|Dmitry|Elena|Ivan|Igor|Irina|James|John|Konstantin|"
        "Maria|Michael|Mikhail|Natalia|Nikolai|Oleg|Olga|Paul|Pavel|Peter|Robert|Roman|Rudolf|Sergei|Sergey|"
        "Svetlana|Thomas|Timofey|Vadim|Vasily|Viktor|Vladimir|Yevgeny|Yuri"
    )
    for path in FOLDER.glob("*.csv"):
        text = path.read_text(encoding="utf-8").replace("Knyaz Veschyi Oleg UAV", "")  # a drone
        assert not re.search(rf"\b(?:{given}) [A-Z][a-z]+", text), path.name
        assert not re.search(r"\b(?:Mr|Mrs|Ms|Dr)\.? [A-Z]", text), path.name


# --- countries -------------------------------------------------------------------------------------------------------


def test_countries_have_the_sources_rows(countries: TradeNetwork) -> None:
    assert countries.level == "countries"
    assert countries.trades["source_id"].value_counts().to_dict() == {
        "wto_bilateral_imports": 14602, "eurostat_comext": 7326, "taiwan_customs": 673, "un_comtrade_exact": 15,
        "un_comtrade_rounded": 20,
    }
    sources = countries.sources.set_index("source_id")
    assert sources.loc["eurostat_comext", ["rows_read", "rows_kept"]].tolist() == [7326, 7326]
    assert sources.loc["wto_bilateral_imports", "sha256"] == hashlib.sha256(
        (FOLDER / "world_chip_imports.csv").read_bytes()).hexdigest()
    assert sources["licence"].ne("").all()
    kinds = countries.actors.set_index("actor_id")["kind"]
    assert kinds[kinds.eq("bloc")].index.tolist() == ["EU27"]


@pytest.mark.parametrize(("year", "last", "sums"), [
    (2020, 12, [6.681, 0.146, 0.044, 560.462]),
    (2021, 12, [6.105, 0.423, 0.062, 622.191]),
    (2022, 12, [14.681, 4.482, 1.682, 119.389]),
    (2020, 11, [6.190, 0.139, 0.044, 520.737]),
    (2021, 11, [5.433, 0.350, 0.060, 525.208]),
    (2022, 11, [14.681, 4.482, 1.682, 119.389]),
])
def test_eurostat_check_sums_in_euros(countries: TradeNetwork, year: int, last: int, sums: list[float]) -> None:
    trades = countries.trades
    chips = trades[trades["source_id"].eq("eurostat_comext") & trades["hs_code"].str.startswith("8542")]
    assert set(chips["currency"]) == {"EUR"}
    window = chips[chips["period_start"].dt.year.eq(year) & chips["period_start"].dt.month.le(last)]
    millions = window.groupby("buyer_id")["value"].sum() / 1e6
    assert [round(millions[hub], 3) for hub in HUBS] == sums


@pytest.mark.parametrize(("hub", "year", "us", "all_origins"), [
    ("KAZ", 2021, 2.87, 56.1), ("KAZ", 2022, 4.27, 87.9), ("TUR", 2021, 28.6, 1391), ("TUR", 2022, 41.2, 2354),
    ("HKG", 2021, 2567, 234349), ("HKG", 2022, 1940, 234984), ("CHN", 2021, 16403, 272911), ("CHN", 2022, 12642, 267694),
])
def test_us_origin_in_imports_as_worked_by_hand(
    countries: TradeNetwork, hub: str, year: int, us: float, all_origins: float
) -> None:
    trades = countries.trades
    bought = trades[trades["flow"].eq("import") & trades["buyer_id"].eq(hub) & trades["period_start"].dt.year.eq(year)]
    digits = 2 if us < 10 else 1 if us < 100 else 0
    assert round(bought.loc[bought["seller_id"].eq("USA"), "value_usd"].sum() / 1e6, digits) == us
    assert round(bought["value_usd"].sum() / 1e6, 1 if all_origins < 100 else 0) == all_origins


def test_exports_to_russia(countries: TradeNetwork) -> None:
    trades = countries.trades
    un = trades[trades["source_id"].str.startswith("un_")].set_index(["seller_id", "period_start"])["value_usd"]
    assert un["KAZ", "2021-01-01"] == 245946
    assert un["KAZ", "2022-01-01"] == 18258557.85
    assert un["HKG", "2025-01-01"] == 190e6


def test_imports_are_by_origin_and_exports_by_destination(countries: TradeNetwork) -> None:
    trades = countries.trades
    told = trades[["flow", "partner_concept", "valuation", "product_set"]].drop_duplicates()
    assert sorted(told.itertuples(index=False, name=None)) == [
        ("export", "destination", "FOB", ""), ("import", "origin", "CIF", "8541+8542")]
    imports = trades["flow"].eq("import")
    assert trades.loc[imports, "reported_by"].equals(trades.loc[imports, "buyer_id"])
    assert trades.loc[~imports, "reported_by"].equals(trades.loc[~imports, "seller_id"])
    assert trades["basis"].eq("recorded").all()
    assert set(trades["hs_version"]) == {"", "HS2017", "HS2022"}
    assert trades.loc[trades["hs_code"].eq("8542"), "hs_version"].eq("").all()


def test_euros_become_dollars_by_the_month_s_mean_rate(countries: TradeNetwork) -> None:
    trades = countries.trades
    euros = trades[trades["currency"].eq("EUR")].drop_duplicates("period_start").set_index("period_start")["fx_rate"]
    # monthly averages of the euro reference rate as the ECB itself publishes them
    for month, rate in {"2020-01": 1.1100, "2020-12": 1.2170, "2021-06": 1.2047, "2022-07": 1.0179}.items():
        assert round(euros[pd.Timestamp(month)], 4) == rate
    assert trades.loc[trades["currency"].eq("USD"), "fx_rate"].eq(1).all()
    assert (trades["value_usd"] - trades["value"] * trades["fx_rate"]).abs().max() < 1e-6
    assert trades["value_usd"].notna().all()


def test_periods_and_flags(countries: TradeNetwork) -> None:
    trades = countries.trades
    monthly = trades[trades["source_id"].eq("eurostat_comext")]
    days = (monthly["period_end"] - monthly["period_start"]).dt.days
    assert days.between(27, 30).all()
    yearly = trades[trades["source_id"].ne("eurostat_comext")]
    assert set(yearly["period_start"].dt.strftime("%m-%d")) == {"01-01"}
    assert set(yearly["period_end"].dt.strftime("%m-%d")) == {"12-31"}
    assert trades.loc[trades["x_rounded"], "source_id"].eq("un_comtrade_rounded").all()
    assert (trades["x_rounded"].sum(), trades["x_partial_year"].sum()) == (20, 4)
    assert trades.loc[trades["x_partial_year"], "period_start"].dt.year.eq(2025).all()


def test_coverage_says_what_was_asked(countries: TradeNetwork) -> None:
    covered = countries.coverage
    origin = covered[covered["source_id"].eq("wto_bilateral_imports")]
    years = origin.groupby("reporter")["period_start"].agg(lambda days: sorted(days.dt.year))
    assert years["KAZ"] == [2017, 2019, 2020, 2021, 2022]
    assert years["KGZ"] == [2017, 2018, 2019]
    assert years["ARM"] == [2018]
    assert years["GEO"] == [2017, 2018, 2019, 2021]
    assert years["ARE"] == [2019, 2020]
    assert not {"RUS", "BLR", "UZB", "VNM"} & set(years.index)
    assert not origin["complete"].any()
    assert origin["partners"].str.split().str.len().eq(100).all()
    eurostat = covered[covered["source_id"].eq("eurostat_comext")]
    assert eurostat["reporter"].nunique() == 26
    assert "CYP" not in set(eurostat["reporter"])
    assert set(eurostat["partners"]) == {"ARM BLR GEO KAZ KGZ RUS UZB"}
    assert eurostat["period_end"].eq(pd.Timestamp("2022-11-30")).all()
    un = covered[covered["source_id"].str.startswith("un_")]
    assert set(un.loc[~un["complete"], "period_start"].dt.year) == {2025}
    assert un.loc[un["reporter"].eq("ARE"), "period_start"].dt.year.tolist() == [2019, 2021, 2022, 2023]


def test_every_trade_of_the_countries_is_covered(countries: TradeNetwork) -> None:
    trades = countries.trades
    trades["code"] = trades["product_set"].where(trades["hs_code"].eq(""), trades["hs_code"])
    rows = trades.merge(countries.coverage, left_on=["source_id", "reported_by"], right_on=["source_id", "reporter"])
    partner = rows["seller_id"].where(rows["flow_x"].eq("import"), rows["buyer_id"])
    inside = rows["period_start_x"].ge(rows["period_start_y"]) & rows["period_end_x"].le(rows["period_end_y"])
    told = pd.Series([
        who in partners.split() and any(code.startswith(product) for product in products.split())
        for who, partners, code, products in zip(partner, rows["partners"], rows["code"], rows["products"], strict=True)
    ], index=rows.index)
    assert set(rows.loc[inside & told, "trade_id"]) == set(trades["trade_id"])


# --- firms -----------------------------------------------------------------------------------------------------------


def test_firms_have_the_documented_rows(firms: TradeNetwork) -> None:
    kinds = firms.links["kind"].value_counts().to_dict()
    assert (len(firms.trades), kinds) == (97, {"component_found": 2975, "brand": 9, "makes_weapon": 3})
    rows = pd.concat([firms.trades, firms.links[firms.links["kind"].ne("component_found")]])
    assert rows["x_note"].str.contains("Secondary coverage").sum() == 72
    assert rows["x_note"].str.startswith("SHARED TOTAL").sum() == 5
    assert rows["period_start"].isna().sum() == 42
    assert rows["value_usd"].notna().sum() == 20
    named = firms.actors.set_index("actor_id")["kind"]
    sides = [rows[a].fillna(rows[b]).map(named).eq("placeholder") for a, b in
             (("seller_id", "from_id"), ("buyer_id", "to_id"))]
    assert (sides[0] | sides[1]).sum() == 55
    left_out = firms.sources.set_index("source_id").loc["documented_left_out"]
    assert left_out[["rows_read", "rows_kept", "rejected"]].tolist() == [21, 0, '{"not for the bundled data": 21}']
    assert firms.sources["rows_read"].sum() == 130 + 2975 + 74


def test_a_documented_trade_in_full(firms: TradeNetwork) -> None:
    row = firms.trades.set_index("x_link_id").loc["DT007"]
    assert row["seller_id"] == actor_id("company", "CYP", "Astrafteros Technokosmos Ltd")
    assert row["buyer_id"] == actor_id("company", "RUS", "Electrocom VPK")
    assert row[["hs_code", "currency", "basis", "case", "flow", "partner_concept"]].tolist() == [
        "8542", "USD", "alleged", "astrafteros", "export", "destination"]
    assert (row["value"], row["fx_rate"], row["value_usd"]) == (225000, 1, 225000)
    assert (row["period_start"], row["period_end"]) == (pd.Timestamp("2022-02-01"), pd.Timestamp("2023-08-31"))
    source = firms.sources.set_index("source_id").loc[row["source_id"]]
    assert source["publisher"] == row["reported_by"] == "insightnews.media on US Justice Department"
    assert source["published"] == "2024-08"


def test_dates_that_are_not_given_stay_open(firms: TradeNetwork) -> None:
    trades = firms.trades.set_index("x_link_id")
    assert pd.isna(trades.loc["DT001", "period_start"])
    assert trades.loc["DT001", "period_end"] == pd.Timestamp("2024-05-31")
    assert pd.isna(trades.loc["DT033", "period_end"])
    assert trades.loc["DT081", "period_start"] == pd.Timestamp("2022-04-01")


def test_a_maker_s_brand_is_a_link_and_no_trade(firms: TradeNetwork) -> None:
    links = firms.links
    brand = links[links["kind"].eq("brand")]
    names = firms.actors.set_index("actor_id")["name"]
    assert sorted(brand["from_id"].map(names)) == [
        "Analog Devices", "Cisco", "DJI", "Dell", "Gumstix", "Intel", "Nvidia", "Qorvo", "Texas Instruments"]
    assert brand["x_note"].str.startswith("BRAND LINK").all()
    assert not firms.trades["x_note"].str.startswith("BRAND LINK").any()
    made = links[links["kind"].eq("makes_weapon")]
    assert sorted(zip(made["from_id"].map(names), made["to_id"].map(names), strict=True)) == [
        ("IEMZ Kupol", "Garpiya"), ("IEMZ Kupol", "Tor-M2E"), ("Special Technology Center", "Orlan-10")]


def test_unnamed_parties_are_placeholders_one_per_case(firms: TradeNetwork) -> None:
    actors = firms.actors
    unnamed = actors[actors["name"].str.startswith("Unnamed")]
    assert unnamed["kind"].eq("placeholder").all()
    assert set(actors.loc[actors["kind"].eq("placeholder"), "name"]) - set(unnamed["name"]) == {
        "Not identified (country not given)", "Not identified (CHN)", "Not identified (IRN)", "Not identified (JPN)"}
    rows = pd.concat([firms.trades, firms.links[firms.links["case"].ne("")].rename(
        columns={"from_id": "seller_id", "to_id": "buyer_id"})])
    for side in ("seller_id", "buyer_id"):
        cases = rows[rows[side].isin(unnamed["actor_id"])].groupby(side)["case"].nunique()
        assert cases.max() == 1


def test_an_actor_of_several_roles_takes_the_most_telling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "bundled"
    shutil.copytree(FOLDER, folder, copy_function=shutil.copyfile)
    path = folder / "documented_trades.csv"
    text = path.read_text(encoding="utf-8")
    # Spring Electronics LLC buys as end_user and, added here, sells as intermediary; Milandr buys as unknown and end_user
    text = text.replace("Milandr,RUS,end_user", "Milandr,RUS,unknown", 1)
    text = text.replace("AK Microtech,RUS,intermediary,Unnamed", "Spring Electronics LLC,RUS,intermediary,Unnamed", 1)
    path.write_text(text, encoding="utf-8")
    monkeypatch.setattr(bundled, "_FOLDER", folder)
    roles = bundled.load_bundled("firms").actors.set_index("name")["role"]
    assert roles["Spring Electronics LLC"] == "end_user"
    assert roles["Milandr"] == "end_user"


def test_listings_name_actors_with_their_dates(firms: TradeNetwork) -> None:
    listings = firms.listings
    assert listings["list_name"].value_counts().to_dict() == {"OFAC SDN": 43, "EU": 26, "BIS Entity List": 5}
    center = listings[listings["actor_id"].eq(actor_id("company", "RUS", "Special Technology Center"))]
    assert sorted(center["date_as_stated"]) == ["2016-12", "2022-12-16"]
    assert sorted(center["listed_from"].dt.strftime("%Y-%m-%d")) == ["2016-12-01", "2022-12-16"]
    assert listings["last_checked"].isna().all()
    assert listings["citation"].str.startswith("http").all()


# --- parts found in weapons ------------------------------------------------------------------------------------------


def test_parts_found_in_weapons(firms: TradeNetwork) -> None:
    parts = firms.links[firms.links["kind"].eq("component_found")]
    assert (len(parts), parts["n_parts"].sum()) == (2975, 5806)
    assert (parts["x_maker_as_named"].nunique(), parts["x_weapon_as_named"].nunique()) == (622, 195)
    makers = parts.merge(firms.actors, left_on="from_id", right_on="actor_id")
    share = makers.loc[makers["country"].eq("USA"), "n_parts"].sum() / 5806
    assert round(share, 3) == 0.680
    assert makers["role"].eq("manufacturer").all()
    assert parts["basis"].eq("reported").all()
    source = firms.sources.set_index("source_id").loc["gur_war_sanctions"]
    assert source[["licence", "retrieved", "rows_kept"]].tolist() == ["CC BY 4.0", "2026-06-13", 2975]


def test_makers_are_the_actors_of_the_documented_links(firms: TradeNetwork) -> None:
    links = firms.links
    makers = set(links.loc[links["kind"].eq("component_found"), "from_id"])
    brands = set(links.loc[links["kind"].eq("brand"), "from_id"])
    names = firms.actors.set_index("actor_id")["name"]
    assert sorted(names[list(makers & brands)]) == ["Analog Devices", "Nvidia", "Qorvo", "Texas Instruments"]


def test_text_glued_to_a_maker_s_name_is_parted(firms: TradeNetwork) -> None:
    assert not firms.actors["name"].str.contains(r"\b(?:Suppliers|Importers|Foreign suppliers|Involved companies)\b").any()
    rows = shipped("weapon_parts.csv")
    glued = {row["maker_as_named"]: row["maker"] for row in rows if row["maker"] != row["maker_as_named"]}
    assert len(glued) == 24
    assert all(named.startswith(f"{maker} ") for named, maker in glued.items())


def test_weapon_names_of_both_files_are_tied(firms: TradeNetwork) -> None:
    parts = firms.links[firms.links["kind"].eq("component_found")]
    orlan = actor_id("weapon", "RUS", "Orlan-10")
    made = firms.links[firms.links["kind"].eq("makes_weapon")]
    assert orlan in set(made["to_id"])
    found = parts[parts["to_id"].eq(orlan)]
    assert set(found["x_weapon_as_named"]) == {
        "Orlan-10 UAV (June 2022)", "Orlan-10 UAV No. 14662", "Orlan-10 UAV №11333 (May 2022)",
        'UAV "Orlan-10" (July 2022)'}
    assert found["n_parts"].sum() == 7 + 58 + 35 + 63


def test_the_table_of_weapon_names_ties_by_the_name_alone() -> None:
    rows = shipped("weapon_names.csv")
    assert len({row["weapon_as_named"] for row in rows}) == len(rows) == 195
    assert [row["weapon_as_named"] for row in rows] == sorted(row["weapon_as_named"] for row in rows)
    tied = {row["weapon_as_named"]: row["weapon"] for row in rows}
    assert sum(weapon == "Shahed-136 / Geran-2" for weapon in tied.values()) == 20
    assert sum(weapon == "Kh-101" for weapon in tied.values()) == 9
    tor = 'Combat vehicle BM 9A331M tactical anti-aircraft missile complex "TOR-M2"'
    apart = [tor, "Geran-3 UAV", "UAV Shahed-131", "Missile Kh-59", "T-72B3M Tank", "Lancet loitering munition (Izdeliye-51)"]
    assert [tied[name] for name in apart] == apart
    assert "Tor-M2E" in next(row["why"] for row in rows if row["weapon_as_named"] == tor)
    plain = {"9M544 (Tornado-S)": "9M544", "9M549 (Tornado-S)": "9M549", "9M727 (Iskander-K)": "9M727",
             "3M-14 Kalibr": "3M-14 Kalibr", "Kinzhal (Kh-47M2)": "Kinzhal", "Shahed-136 / Geran-2": "Shahed-136|Geran-2",
             "Delta (CBTS.611000)": "CBTS.611000", "Supercam S350": "Supercam.S350", "Zala 421-16E": "Zala ?421-16E",
             "KamAZ-63968 Typhoon-K": "KamAZ-63968", "14Ц821С": "14Ц821[CС]"}
    for name, weapon in tied.items():
        if name != weapon:
            assert re.search(plain.get(weapon, re.escape(weapon)), name, re.IGNORECASE), name


# --- rows can be found again -----------------------------------------------------------------------------------------


def test_record_ref_and_id_lead_to_the_row(countries: TradeNetwork, firms: TradeNetwork) -> None:
    tables = [(countries.trades, "trade_id"), (firms.trades, "trade_id"), (firms.links, "link_id")]
    for table, key in tables:
        for row in table.sample(40, random_state=3).to_dict("records"):
            file, number = row["record_ref"].split(":")
            sha256 = hashlib.sha256((FOLDER / file).read_bytes()).hexdigest()
            assert row[key] == f"{sha256[:16]}-{number:0>10}"
            record = shipped(file)[int(number) - 2]
            if key == "link_id" and "x_weapon_as_named" in row and row["kind"] == "component_found":
                assert record["weapon_as_named"] == row["x_weapon_as_named"]
                assert float(record["n_parts"]) == row["n_parts"]
            elif "x_link_id" in row:
                assert record["link_id"] == row["x_link_id"]
            else:
                assert (record["exporter"], record["importer"]) == (row["seller_id"], row["buyer_id"])
                assert float(record["value"]) == row["value"]


def test_networks_come_back_from_disk(firms: TradeNetwork, countries: TradeNetwork, tmp_path: Path) -> None:
    for network in (firms, countries):
        assert TradeNetwork.load(network.save(tmp_path / network.level)).equals(network)


def test_loading_twice_gives_the_same(firms: TradeNetwork, countries: TradeNetwork) -> None:
    assert bundled.load_bundled("firms").equals(firms)
    assert bundled.load_bundled("countries").equals(countries)
    for network in (firms, countries):
        for table in TABLES:
            extra = set(getattr(network, table).columns) - {column.name for column in TABLES[table]}
            assert all(name.startswith("x_") for name in extra)


def test_unknown_network_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'countries'"):
        bundled.load_bundled("country")


# --- reference data --------------------------------------------------------------------------------------------------


def test_policy_events_have_days() -> None:
    events = bundled.policy_events()
    assert len(events) == 40
    ban = events[events["title"].eq("US ban on chip exports to Russia")].iloc[0]
    assert ban["date_start"] == ban["date_end"] == pd.Timestamp("2022-02-24")
    block = events[events["title"].str.startswith("Turkey blocks US-origin")].iloc[0]
    assert (block["date"], block["date_start"], block["date_end"]) == (
        "2024-10", pd.Timestamp("2024-10-01"), pd.Timestamp("2024-10-31"))
    assert events["date_start"].is_monotonic_increasing
    assert events["source_url"].str.startswith("http").all()


def test_published_figures_are_whole(figures: pd.DataFrame) -> None:
    assert figures["unit"].value_counts().to_dict() == {"USD": 111, "percent": 53, "EUR": 30, "count": 13}
    assert figures["value_num"].notna().all()
    row = figures[figures["product_list"].eq("restricted_chips") & figures["period"].eq("2022-02/2024-07")].iloc[0]
    assert (row["period_start"], row["period_end"]) == (pd.Timestamp("2022-02-01"), pd.Timestamp("2024-07-31"))
    assert figures.loc[figures["source_url"].eq(""), "secondary"].all()
    assert figures.loc[figures["note"].str.contains("Second-hand"), "secondary"].all()
    assert not figures.loc[figures["note"].str.startswith("Founding article"), "secondary"].any()
    assert not figures["note"].str.contains("research notes").any()


@pytest.mark.parametrize(("exporter", "importer", "product_list", "period", "unit", "value"), [
    ("TUR", "RUS", "chpl50", "2022-03", "USD", 3e6),
    ("TUR", "RUS", "chpl50", "2022-12", "USD", 38e6),
    ("TUR", "RUS", "chpl50", "2024-08", "USD", 4.1e6),
    ("CHN", "RUS", "chpl50", "2024-07", "USD", 377e6),
    ("CHN", "KAZ+KGZ", "battlefield45", "2023", "USD", 1.3e9),
    ("CHN", "KAZ+KGZ", "battlefield45", "2023", "percent", 64),
    ("CHN", "KAZ", "drones_hs8806", "2023", "USD", 5.9e6),
    ("KAZ", "RUS", "drones_hs8806", "2023", "USD", 2.7e6),
    ("WLD", "RUS", "weapon_components_nacp", "2023-12", "count", 2500),
    ("USA", "RUS", "weapon_components_nacp", "2023-12", "percent", 75),
    ("WLD", "RUS", "chpl50", "2024-10", "count", 50),
    ("TUR", "RUS", "us_origin_battlefield", "2024-10", "count", 48),
    ("WLD", "KAZ+KGZ", "battlefield45", "2023", "count", 45),
])
def test_figures_of_the_founding_articles(
    figures: pd.DataFrame, exporter: str, importer: str, product_list: str, period: str, unit: str, value: float
) -> None:
    asked = {"exporter": exporter, "importer": importer, "product_list": product_list, "period": period, "unit": unit}
    rows = figures[figures["note"].str.startswith("Founding article")]
    assert len(rows) == 13
    for column, wanted in asked.items():
        rows = rows[rows[column].eq(wanted)]
    assert rows["value_num"].tolist() == [value]
    assert rows["source_url"].str.startswith("https://").all()


def test_founding_articles_beside_the_data(figures: pd.DataFrame, firms: TradeNetwork) -> None:
    founding = figures[figures["note"].str.startswith("Founding article")].set_index(["exporter", "product_list", "unit"])
    into, out = (founding.loc[(who, "drones_hs8806", "USD"), "value_num"].item() for who in ("CHN", "KAZ"))
    assert round(out / into, 2) == 0.46
    early = founding[founding["period"].eq("2022-03")]
    assert "about 3 million a month at the start" in early["note"].item()
    parts = firms.links["n_parts"].sum()
    assert founding.loc[("WLD", "weapon_components_nacp", "count"), "value_num"].item() == 2500 < parts == 5806


def test_our_own_words_accuse_nobody():
    """Titles are their authors'; what we wrote of goods, effects and notes uses no such words. A plea in court is a fact."""
    accusing = re.compile(r"smuggl|crimin|culprit|launder|complicit|\bfronts?\b|\bshells?\b|\bfalse exports", re.I)
    firms = bundled.load_bundled("firms")
    texts = [*firms.trades["goods"], *firms.trades["x_note"], *firms.links["goods"], *bundled.policy_events()["effect"]]
    assert len(texts) > 100
    assert [text for text in texts if accusing.search(text)] == []
