"""The networks and reference data that come with chiptrail, made by `build.py` from public documents and statistics.

Each row names its source; `record_ref` is the file of this folder and the row, so that the record can be opened.
"""

import hashlib
from io import BytesIO
from pathlib import Path

import pandas as pd

from chiptrail.graphmodel.errors import UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, actor_id, country_actors
from chiptrail.graphmodel.periods import parse_period

NAMES = ("countries", "firms")
_FOLDER = Path(__file__).parent
_ROLES = ("manufacturer", "end_user", "intermediary", "logistics", "unknown")
"""An actor that records give several roles takes the first of these."""
_SECOND_HAND = r"(?i)secondary coverage|second-hand"


def load_bundled(name: str = "countries") -> TradeNetwork:
    """The trade network that comes with chiptrail: `countries` or `firms`.

    `countries` holds chip imports of 100 economies by country of origin, yearly 2017-2022 (HS 8541 and 8542 together,
    CIF), and chip exports as their exporters reported them: of 26 EU members to seven partners, monthly 2020-01 to
    2022-11; of Taiwan, yearly 2019-2024; of seven transit hubs to Russia, yearly 2019-2025 with gaps. `firms` holds
    supply links that public documents describe, `brand` and `makes_weapon` links, listings, and parts found in
    weapons by maker (`component_found`).

    Extra columns: `x_rounded` (the value was rounded by the copy it was read from), `x_partial_year`; for firms
    `x_link_id` and `x_note` (second-hand coverage and shared totals are said there), on links also `x_maker_as_named`
    and `x_weapon_as_named`.

    Parameters
    ----------
    name
        `countries` or `firms`.

    Raises
    ------
    UnknownNameError
        If the name is neither.

    Cautions
    --------
    Absent is not zero: see `coverage`. Documented links are what somebody published; counting them measures
    attention. A link says no more about a firm than the document it cites. EU27 as an economy stands beside its
    members in `countries`: the one in imports by origin, the others in exports; they never belong into one sum.

    Examples
    --------
    >>> from chiptrail.loaders.bundled import load_bundled
    >>> network = load_bundled("countries")
    >>> len(network.trades)
    22636
    """
    if name not in NAMES:
        raise UnknownNameError("bundled network", str(name), NAMES, hint="choose 'countries' or 'firms'")
    return _countries() if name == "countries" else _firms()


def policy_events() -> pd.DataFrame:
    """Bans, blocks, listings, guidance and tracking steps since 2022, one row each.

    Columns: `date` and `end_date` as the source states them, `date_start` and `date_end` (first and last day),
    `jurisdiction`, `hub` (country code; empty if none in particular), `kind`, `title`, `effect`, `source_url`.

    Examples
    --------
    >>> from chiptrail.loaders.bundled import policy_events
    >>> policy_events()["title"].iloc[0]
    'US ban on chip exports to Russia'
    """
    events = _read("policy_events.csv").drop(columns=["row_id", "record_ref"])
    last = events["end_date"].where(events["end_date"].ne(""), events["date"])
    events["date_start"] = _days(events["date"])[0]
    events["date_end"] = _days(last)[1]
    return events


def published_figures() -> pd.DataFrame:
    """Figures on the trade between countries that others published, one row each.

    Columns as printed: `exporter`, `importer` (codes; groups such as EU27 or CCA5; + joins countries), `product_list`
    (the source's own), `period`, `value_usd` (US dollars only where `unit` is USD), `unit` (USD, EUR, percent, count),
    `measure`, `reported_by`, `source_title`, `publisher` ("A on B": A tells what B published), `source_date`,
    `source_url`, `note`. Added: `value_num` (the value as a number, in `unit`), `period_start`, `period_end` (first and
    last day), `secondary` (no link is known, or the note says that the source itself was not read).

    Cautions
    --------
    The product lists differ from source to source: never add across them. Names of single firms without a bundled
    record are withheld.

    Examples
    --------
    >>> from chiptrail.loaders.bundled import published_figures
    >>> figures = published_figures()
    >>> figures.loc[figures["note"].str.startswith("Founding article"), "value_num"].head(2).tolist()
    [4100000.0, 3000000.0]
    """
    figures = _read("trade_figures.csv").drop(columns=["row_id", "record_ref"])
    figures["value_num"] = figures["value_usd"].astype("float64")
    figures["period_start"], figures["period_end"] = _days(figures["period"])
    told = figures["note"].str.contains(_SECOND_HAND) | figures["source_title"].str.contains(_SECOND_HAND)
    figures["secondary"] = told | figures["source_url"].eq("")
    return figures


def _read(file: str) -> pd.DataFrame:
    """A shipped file as text, with `record_ref` and `row_id`, the first digits of the file's sha256 and the row."""
    content = (_FOLDER / file).read_bytes()
    frame = pd.read_csv(BytesIO(content), dtype=str, keep_default_na=False, encoding="utf-8")
    sha256 = hashlib.sha256(content).hexdigest()
    rows = [str(row) for row in range(2, len(frame) + 2)]
    frame["record_ref"] = [f"{file}:{row}" for row in rows]
    frame["row_id"] = [f"{sha256[:16]}-{row:0>10}" for row in rows]
    return frame


def _days(periods: pd.Series) -> tuple[pd.Series, pd.Series]:
    """First and last day of each period; NaT where none is given."""
    nothing = (pd.NaT, pd.NaT)
    known = {text: parse_period(text) if text else nothing for text in periods.unique()}
    return tuple(  # type: ignore[return-value]
        periods.map({text: days[side] for text, days in known.items()}).astype("datetime64[us]") for side in (0, 1)
    )


def _numbers(texts: pd.Series) -> pd.Series:
    return pd.to_numeric(texts.where(texts.ne(""))).astype("float64")


def _sources(files: set[str]) -> pd.DataFrame:
    """The sources of some shipped files, each with the sha256 of its file."""
    sources = _read("sources.csv").drop(columns=["row_id", "record_ref"])
    sources = sources[sources["file"].isin(files)].copy()
    hashes = {file: hashlib.sha256((_FOLDER / file).read_bytes()).hexdigest() for file in files if file}
    sources["sha256"] = sources["file"].map(hashes).fillna("")
    sources["redistributable"] = sources["redistributable"].eq("True")
    for column in ("rows_read", "rows_kept"):
        sources[column] = sources[column].astype("int64")
    return sources


def _countries() -> TradeNetwork:
    imports = _read("world_chip_imports.csv").rename(columns={"product": "product_set"})
    imports["reported_by"] = imports["importer"]
    imports["flow"] = "import"
    corridors = _read("chip_corridors.csv")
    corridors = corridors.assign(flow="export", partner_concept="destination", valuation="FOB")
    corridors["hs_version"] = corridors["hs_version"].replace("as reported", "")
    trades = pd.concat([imports, corridors], ignore_index=True).fillna("")
    rates = _read("ecb_monthly_rates.csv").set_index("month")["usd"].astype("float64")
    dollars = trades["currency"].eq("USD")
    trades["fx_rate"] = trades["period"].map(rates).where(~dollars, 1.0)
    trades["value"] = _numbers(trades["value"])
    trades["value_usd"] = trades["value"] * trades["fx_rate"]
    trades["period_start"], trades["period_end"] = _days(trades["period"])
    trades["x_rounded"] = trades["source"].eq("un_comtrade_rounded")
    trades["x_partial_year"] = trades["period"].eq("2025")
    trades["basis"] = "recorded"
    trades = trades.rename(columns={"exporter": "seller_id", "importer": "buyer_id", "source": "source_id",
                                    "row_id": "trade_id"})
    coverage = _read("coverage.csv").rename(columns={"source": "source_id"})
    coverage["period_start"], coverage["period_end"] = _days(coverage["period"])
    coverage["complete"] = coverage["complete"].eq("True")
    return TradeNetwork(
        level="countries",
        actors=country_actors([*trades["seller_id"], *trades["buyer_id"]]),
        trades=trades.drop(columns="period"),
        coverage=coverage.drop(columns=["period", "row_id", "record_ref"]),
        sources=_sources({"world_chip_imports.csv", "chip_corridors.csv", "ecb_monthly_rates.csv"}),
    )


def _firms() -> TradeNetwork:
    cases, case_actors = _documented()
    parts, part_actors = _parts()
    is_brand, is_weapon = cases["note"].str.startswith("BRAND LINK"), cases["buyer_role"].eq("weapon")
    cases = cases.rename(columns={"source": "source_id", "link_id": "x_link_id", "note": "x_note"})
    shared = ["hs_code", "goods", "period_start", "period_end", "basis", "case", "source_id", "record_ref", "x_link_id",
              "x_note"]
    links = cases.loc[is_brand | is_weapon, ["row_id", "seller_id", "buyer_id", *shared]]
    links = links.rename(columns={"row_id": "link_id", "seller_id": "from_id", "buyer_id": "to_id"})
    links["kind"] = is_brand[links.index].map({True: "brand", False: "makes_weapon"})
    trades = cases.loc[~(is_brand | is_weapon), ["row_id", "seller_id", "buyer_id", "value_usd", "publisher", *shared]]
    trades = trades.rename(columns={"row_id": "trade_id", "publisher": "reported_by"})
    trades["value_usd"] = _numbers(trades["value_usd"])
    trades["value"] = trades["value_usd"]
    valued = trades["value"].notna()
    trades["currency"] = valued.map({True: "USD", False: ""})
    trades["fx_rate"] = valued.map({True: 1.0, False: float("nan")})
    trades = trades.assign(flow="export", partner_concept="destination")
    actors = pd.concat([case_actors, part_actors], ignore_index=True)
    actors["rank"] = actors["role"].map({role: rank for rank, role in enumerate(_ROLES)})
    actors = actors.sort_values("rank", kind="stable").drop_duplicates("actor_id").drop(columns="rank")
    links = pd.concat([links, parts], ignore_index=True)
    named = [column for column in links.columns if column.startswith("x_")]
    links[named] = links[named].fillna("")
    return TradeNetwork(
        level="firms", actors=actors, trades=trades, links=links, listings=_listings(),
        sources=_sources({"documented_trades.csv", "weapon_parts.csv", "listings.csv", ""}),
    )


def _identified(
    names: pd.Series, countries: pd.Series | str, kinds: pd.Series | str, roles: pd.Series | str
) -> pd.DataFrame:
    """Rows of `actors`, one for each value given."""
    actors = pd.DataFrame({"name": names, "country": countries, "kind": kinds, "role": roles})
    keys = list(zip(actors["kind"], actors["country"], actors["name"], strict=True))
    ids = {key: actor_id(*key) for key in dict.fromkeys(keys)}
    actors["actor_id"] = [ids[key] for key in keys]
    return actors


def _documented() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Documented links with the ids of both sides and their days, and the actors of both sides."""
    cases = _read("documented_trades.csv")
    sides = []
    for side in ("seller", "buyer"):
        names, roles = cases[f"{side}_name"], cases[f"{side}_role"]
        kinds = pd.Series("company", index=cases.index).mask(names.str.startswith("Unnamed"), "placeholder")
        kinds = kinds.mask(roles.eq("weapon"), "weapon")
        sides.append(_identified(names, cases[f"{side}_country"], kinds, roles.replace("weapon", "unknown")))
        cases[f"{side}_id"] = sides[-1]["actor_id"]
    cases["period_start"] = _days(cases["first_date"])[0]
    cases["period_end"] = _days(cases["last_date"])[1]
    return cases, pd.concat(sides, ignore_index=True)


def _parts() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Links from makers to the weapons in which their parts were found, and the makers and weapons."""
    parts = _read("weapon_parts.csv")
    unknown = parts["maker"].eq("Not identified")
    place = parts["maker_country"].replace("", "country not given")
    names = parts["maker"].mask(unknown, "Not identified (" + place + ")")
    kinds = unknown.map({True: "placeholder", False: "company"})
    makers = _identified(names, parts["maker_country"], kinds, "manufacturer")
    types = _read("weapon_names.csv").set_index("weapon_as_named")["weapon"]
    weapons = _identified(parts["weapon_as_named"].map(types), "RUS", "weapon", "unknown")
    links = pd.DataFrame({
        "link_id": parts["row_id"], "kind": "component_found", "from_id": makers["actor_id"],
        "to_id": weapons["actor_id"], "n_parts": parts["n_parts"].astype("float64"), "basis": parts["basis"],
        "source_id": parts["source"], "record_ref": parts["record_ref"], "x_maker_as_named": parts["maker_as_named"],
        "x_weapon_as_named": parts["weapon_as_named"],
    })
    return links, pd.concat([makers, weapons], ignore_index=True)


def _listings() -> pd.DataFrame:
    rows = _read("listings.csv")
    return pd.DataFrame({
        "actor_id": _identified(rows["name"], rows["country"], "company", "unknown")["actor_id"],
        "list_name": rows["list"], "listed_from": _days(rows["listing_date"])[0],
        "date_as_stated": rows["listing_date"], "citation": rows["source_url"], "source_id": rows["source"],
        "record_ref": rows["record_ref"],
    })
