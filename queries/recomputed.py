"""Published results as they can be recomputed: small functions from networks to a number with its interval."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from chiptrail.graphmodel.aggregate import retrieval_dates
from chiptrail.graphmodel.coded import plain
from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.graphmodel.products import product_lists
from chiptrail.graphmodel.tellings import left_aside
from chiptrail.queries.mirror import mirror_gaps

BASELINES = ((2021,), (2020,), (2019,), (2020, 2021), (2019, 2020, 2021))
"""Years against whose mean the exports of 2022 and 2023 are called additional; the first is that of the publication."""
MARGINS = (0.0, 0.06, 0.1, 0.2)
IMPORTERS = ("ARM", "KAZ", "KGZ", "UZB")
_NAN = float("nan")
_YEARS = (2022, 2023)


@dataclass(frozen=True)
class Result:
    """A number recomputed, with its interval where it has one, what to know of it, and why it is refused, if it is."""

    value: float
    low: float = _NAN
    high: float = _NAN
    note: str = ""
    refused: str = ""


@dataclass(frozen=True)
class AtHand:
    """The data at hand: the bundled networks, and one of yearly totals by partner; None where they are not."""

    countries: TradeNetwork | None = None
    firms: TradeNetwork | None = None
    totals: TradeNetwork | None = None

    @cached_property
    def gaps(self) -> pd.DataFrame | None:
        """Mirror gaps of the Union as one economy, without a margin."""
        if self.totals is None:
            return None
        table = mirror_gaps(self.totals, exporters=["EU27"], importers=list(IMPORTERS), cif_margin=0.0)
        return table[table["exporter_id"].eq("EU27")]

    @cached_property
    def told(self) -> pd.Series | None:
        """What exporters and importers tell of each flow in EUR, each telling once: by `flow`, `seller_id`, `buyer_id` and `year`.

        The Union and its members stand beside each other.
        """
        if self.totals is None:
            return None
        trades = plain(self.totals.trades)
        sides = [rows for flow in ("export", "import") if len(rows := trades[trades["flow"].eq(flow)])]
        taken = [left_aside(rows, level="countries", retrieved=retrieval_dates(self.totals), blocs_as=()).eq("") for rows in sides]
        told = pd.concat([rows[once] for rows, once in zip(sides, taken, strict=True)])
        return told.assign(year=told["period_start"].dt.year).groupby(["flow", "seller_id", "buyer_id", "year"])["value"].sum(min_count=1)


Recompute = Callable[[AtHand], Result | None]
"""From the data at hand to a result; None where they do not hold what it needs."""


def growth(exporter: str, first: str, last: str) -> Recompute:
    """Exports of integrated circuits to Russia in one year as a multiple of another's."""
    return lambda data: _growth(data, exporter, first, last)


def change(exporter: str, first: str, last: str) -> Recompute:
    """The same, as a change in percent."""
    def recompute(data: AtHand) -> Result | None:
        result = _growth(data, exporter, first, last)
        return None if result is None else Result(100 * (result.value - 1), note=result.note)

    return recompute


def heading(exporter: str, year: str) -> Recompute:
    """All integrated circuits (HS 8542) that a country reports to have sent to Russia, USD."""
    return lambda data: None if (value := _sent(data, exporter, year)) is None else Result(value)


def share_of_parts(country: str) -> Recompute:
    """Share of the parts found in weapons whose maker has its seat in the country, percent."""
    return lambda data: _share_of_parts(data, country)


def list_length(data: AtHand) -> Result:
    """Codes of all tiers of the Common High Priority List of February 2024, in the HS version it is written in."""
    codes = product_lists()
    codes = codes[codes["product_list"].eq("chpl") & codes["valid_from"].eq("2024-02-23") & codes["hs_version"].eq("HS2022")]
    tiers = codes.groupby("tier")["hs_code"].nunique()
    return Result(float(tiers.sum()), note=" + ".join(f"{n} in tier {tier}" for tier, n in tiers.items()))


def share_missing(importer: str, year: str) -> Recompute:
    """Share of the Union's exports to a country that the country did not record, percent; interval over margins of 0 to 20 %."""
    return lambda data: _missing(data, importer, year, share=True)


def gap(importer: str, year: str) -> Recompute:
    """The Union's exports to a country less what the country recorded, USD; interval over margins of 0 to 20 %."""
    return lambda data: _missing(data, importer, year, share=False)


def missing_of_additional(*importers: str) -> Recompute:
    """Share of the Union's additional exports of 2022 and 2023 that the importers did not record, percent.

    Its interval spans `BASELINES` and `MARGINS`.
    """
    return lambda data: _missing_of_additional(data, importers)


def not_at_hand(data: AtHand) -> None:
    """Nothing: the data that the result needs are not at hand."""


def _sent(data: AtHand, exporter: str, year: str) -> float | None:
    """What an exporter reports to have sent to Russia under 8542 in a year, USD."""
    if data.countries is None:
        return None
    trades = data.countries.trades
    own = trades[trades["seller_id"].eq(exporter) & trades["buyer_id"].eq("RUS") & trades["hs_code"].eq("8542")
                 & trades["reported_by"].eq(exporter) & trades["flow"].eq("export")
                 & trades["period_start"].eq(pd.Timestamp(f"{year}-01-01")) & trades["period_end"].eq(pd.Timestamp(f"{year}-12-31"))]
    return float(own["value_usd"].iloc[0]) if len(own) == 1 else None


def _growth(data: AtHand, exporter: str, first: str, last: str) -> Result | None:
    before, after = (_sent(data, exporter, year) for year in (first, last))
    if not before or after is None:
        return None
    return Result(after / before, note=f"{before:,.0f} USD in {first}, {after:,.0f} in {last}")


def _share_of_parts(data: AtHand, country: str) -> Result | None:
    if data.firms is None:
        return None
    links, actors = data.firms.links, data.firms.actors
    parts = links[links["kind"].eq("component_found")]
    if parts.empty:
        return None
    seat = parts["from_id"].map(actors.set_index("actor_id")["country"])
    own, every = parts.loc[seat.eq(country), "n_parts"].sum(), parts["n_parts"].sum()
    return Result(100 * float(own / every), note=f"{own:,.0f} of {every:,.0f} parts, those of no identified maker included")


def _missing(data: AtHand, importer: str, year: str, *, share: bool) -> Result | None:
    """The gap between the two reports, in USD or as a share of the exports; None if a report is not at hand."""
    if data.gaps is None or data.told is None:
        return None
    gaps = data.gaps
    rows = gaps[gaps["importer_id"].eq(importer) & gaps["period"].eq(year) & gaps["n_exporter"].gt(0) & gaps["n_importer"].gt(0)]
    if len(rows) != 1:
        return None
    row = rows.iloc[0]
    if row["status"] != "gap":
        return Result(_NAN, refused=f"{row['status']}: {row['reason']}")
    unit = 100 / row["exporter_usd"] if share else 1.0
    low, point, high = (unit * row[name] for name in ("gap_low_usd", "gap_usd", "gap_high_usd"))
    return Result(point, low, high, _not_allocated(data.told, importer, year))


def _not_allocated(told: pd.Series, importer: str, year: str) -> str:
    """What the importer records from the Union as a whole, but from none of its members."""
    imports = told.xs(("import", importer, int(year)), level=("flow", "buyer_id", "year"))
    rest = imports.get("EU27", 0.0) - imports[imports.index.isin(GROUPS["EU27"])].sum()
    return f"EUR {rest / 1e6:,.0f} million of the imports from the Union are not allocated to members" if rest > 1e6 else ""


def _missing_of_additional(data: AtHand, importers: tuple[str, ...]) -> Result | None:
    if data.told is None:
        return None
    years = sorted({*_YEARS, *(year for baseline in BASELINES for year in baseline)})
    wanted = pd.MultiIndex.from_product([("export", "import"), ["EU27"], importers, years], names=data.told.index.names)
    values = data.told.reindex(wanted)
    if values.isna().any():
        return None
    sums = values.groupby(level=["flow", "year"]).sum()
    extra = {(baseline, margin): _additional(sums["import"], baseline) / (1 + margin) / _additional(sums["export"], baseline)
             for baseline in BASELINES for margin in MARGINS}
    shares = {key: 100 * (1 - share) for key, share in extra.items()}
    bare = [share for (_, margin), share in shares.items() if margin == 0]
    note = ("interval over baselines of 2019 to 2021 and margins of 0 to 20%; "
            f"without margin {min(bare):.1f} to {max(bare):.1f}%")
    return Result(shares[BASELINES[0], 0.0], min(shares.values()), max(shares.values()), note)


def _additional(values: pd.Series, baseline: tuple[int, ...]) -> float:
    return float(np.sum(values[list(_YEARS)]) - len(_YEARS) * values[list(baseline)].mean())
