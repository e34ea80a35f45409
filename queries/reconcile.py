"""Records of firms against national statistics: how much of what was declared do the records hold, and where do they hold more?"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from chiptrail.graphmodel.countries import GROUPS
from chiptrail.graphmodel.coverage import CoverageIndex
from chiptrail.graphmodel.errors import NotComparableError, UnknownNameError
from chiptrail.graphmodel.network import TradeNetwork, empty
from chiptrail.graphmodel.periods import parse_period, precision, window
from chiptrail.graphmodel.products import product_codes
from chiptrail.graphmodel.selection import by_origin, places
from chiptrail.queries.answer import answer
from chiptrail.queries.cells import shortened
from chiptrail.queries.scope import SENSE, count_once, shaped, trades_in_scope, value_concept

DIGITS = 4
BY = ("month", "year")
STATUSES = ("compared", "no records", "records without value", "zero", "narrower goods", "value not given", "may be missing",
            "not covered")
"""What a row can compare: both sides; a statistic without records; records that state no value; a statistic that is known to be
zero; a statistic of narrower (or other) goods than the records, such as 85423190 beside 854231, unless its coverage says that
nothing else of the heading was traded (no share, no excess); a statistic whose value is suppressed or not given; no row where the
coverage is not complete; nothing."""

_COMPARABLE = ("compared", "no records", "zero")
_AMOUNTS = ("firms_usd", "statistic_usd", "firms_kg", "statistic_kg")
_DTYPES: dict[str, Any] = {
    "seller": "str", "buyer": "str", "product": "str", "period": "str", "concept": "str", "status": "str", "share_covered": "float64",
    "exceeds_usd": "float64", "firms_usd": "float64", "statistic_usd": "float64", "share_covered_kg": "float64",
    "exceeds_kg": "float64", "firms_kg": "float64", "statistic_kg": "float64", "n_records": "int64", "n_without_value": "int64",
    "n_without_weight": "int64", "n_months": "int64", "coverage": "str", "coarse": "bool", "firms_valuation": "str",
    "statistic_valuation": "str", "reported_by": "str", "first_date": "datetime64[us]", "last_date": "datetime64[us]",
}
COLUMNS = tuple(_DTYPES)
_CELL = ["seller", "buyer", "product", "period"]


def reconcile(
    firms: TradeNetwork, countries: TradeNetwork, *, concept: str | None = None, products: str | Sequence[str] | None = None,
    since: str | None = None, until: str | None = None, by: str = "month", origins: Sequence[str] | None = None,
    destinations: Sequence[str] | None = None, prefer: str = "exporter",
) -> pd.DataFrame:
    """Sums of firms' records beside national statistics, by seller's and buyer's country, HS heading and month.

    Parameters
    ----------
    firms
        A network of firms, such as customs records.
    countries
        A network of countries: the statistics.
    concept
        `dispatched` (the default): records by the country they were sent from (`x_dispatch_country`, else the seller's seat) beside
        exports by destination and imports by consignment. `origin`: records by their `origin_country` beside imports by origin.
    products, since, until
        As in `TradeNetwork.where`. Without a period: from the month of the first record to that of the last.
    by
        `month`, with years where the statistic tells only years; or `year`.
    origins, destinations
        Countries or groups (`EU27`) of the sellers and buyers; None for all.
    prefer
        Whose statistic is taken where both countries told of a flow: `exporter` or `importer`.

    Returns
    -------
    DataFrame
        One row for each pair of countries and heading that has a record, and each period of it told by either side:
        `seller` and `buyer` (country or bloc codes), `product` (HS heading, or headings joined by + where a side gives only their
        sum), `period` (2022-07 or 2022), `concept`, `status` (one of `STATUSES`), `share_covered` (0 and more,
        `firms_usd` / `statistic_usd`), `exceeds_usd` (USD that the records have beyond the statistic; 0 if none), `firms_usd` (USD,
        sum of the values that records state), `statistic_usd` (USD), `share_covered_kg`, `exceeds_kg`, `firms_kg` and
        `statistic_kg` (kg, likewise), `n_records`, `n_without_value` and `n_without_weight` (records), `n_months` (months
        compared; those that neither side tells are not among them),
        `coverage` of the statistic (`covered`, `partly`, `not covered`), `coarse` (a side holds other goods than those asked for),
        `firms_valuation` and `statistic_valuation` (FOB, CIF, joined by spaces; empty if not stated), `reported_by` (the
        statistic's reporters), `first_date` and `last_date` (of the records). Missing where there is nothing to compare. Sorted by
        seller, buyer, product and period. `attrs` holds the question, notes, rows left aside by side and reason, and sources.

    Raises
    ------
    NotComparableError
        If the networks are not one of firms and one of countries; and for `concept="brand"`, whose links have no value.
    UnknownNameError
        If a country, concept, product list, length of period or preference is not known.

    Notes
    -----
    Each flow counts once on both sides. Records without a date, a country of either side, an HS heading or (for `origin`) a country
    of origin are left aside and counted; so are records within one country, and in years compared by month, records of more than a
    month. Where a statistic tells a bloc and none of its members, their records stand with the bloc. In a year made of months,
    only the months that can be compared count, on both sides. `zero` is said only where the coverage is complete, no row of the
    statistic touches the cell, and it uses the heading in that year.

    Cautions: a share of one does not say that the records are complete, for the two may err in different places. CIF includes
    freight and insurance to the border and FOB does not, so rows of different valuation differ for that alone. Statistics may
    leave out small values, and date a flow a month later than a record. More in the records than in the statistic is a question
    to the data, not a finding about anybody.

    Examples
    --------
    >>> reconcile(ct.TradeNetwork.load("declarations"), ct.TradeNetwork.load("comext"), products="8542")  # doctest: +SKIP
    """
    for network, level in ((firms, "firms"), (countries, "countries")):
        if network.level != level:
            raise NotComparableError(
                f"a network of {level} is wanted in this place, this is one of {network.level}: records of firms come first, then "
                "statistics of countries"
            )
    if by not in BY:
        raise UnknownNameError("period", by, BY, f"choose one of {' or '.join(BY)}")
    concept = value_concept(firms, concept)
    asked: dict[str, Any] = {"products": products, "since": since, "until": until}
    records = _records(firms, concept, prefer, places(origins) if origins else None, places(destinations) if destinations else None,
                       asked)
    every = _told(countries, concept, asked)
    records = _beside_blocs(records, every)
    told = _counted(countries, every, records[records["left_aside"].eq("")], by, prefer, since, until)
    codes = _asked_codes(products)
    index = _coverage_of(countries, set(_apart(records)["heading"]))
    records = _with_periods(records, told, index, concept, codes, by, since, until)
    used, sums = _joined_sets(*(rows[rows["left_aside"].eq("")] for rows in (records, told)))
    table = _compared(_sums(used, "firms"), _sums(sums, "statistic"))
    table = _judged(table, _coverage(table, index, concept, codes), every, _narrower(used, sums))
    notes = _notes(table, CoverageIndex(countries), concept, _without_records(every, records))
    if by == "year":
        table = _by_year(table)
        table["coverage"] = _coverage(table, index, concept, codes, window(since, until))
    table = _shares(table.assign(concept=concept)).sort_values(_CELL, kind="stable")
    question = asked | {"concept": concept, "by": by, "origins": origins, "destinations": destinations, "prefer": prefer}
    reasons = pd.concat([_named(records, "records"), _named(told, "statistic")])
    result = answer(shaped(table, _DTYPES), firms, question=question, notes=notes, source_ids=records["source_id"],
                    left_aside=reasons)
    other = answer(pd.DataFrame(), countries, question={}, notes=[], source_ids=told["source_id"]).attrs["sources"]
    result.attrs["sources"] += [source for source in other if source not in result.attrs["sources"]]
    return result


def _records(
    firms: TradeNetwork, concept: str, prefer: str, origins: set[str] | None, destinations: set[str] | None, asked: dict[str, Any]
) -> pd.DataFrame:
    """The records of one concept with `seller`, `buyer` (countries), `product` and `left_aside`, each flow counted once."""
    found = [trades_in_scope(firms, concept="dispatched", **asked)]
    if concept == "origin":
        found.append(trades_in_scope(firms, concept="origin", **asked))
    records = pd.concat(found, ignore_index=True)
    place = firms.actors.set_index("actor_id")["country"]
    seller, buyer = (records[side].map(place).fillna("").astype("str") for side in ("seller_id", "buyer_id"))
    stated = records.get("x_dispatch_country") if concept == "dispatched" else records["origin_country"]
    if stated is not None:
        stated = stated.fillna("").astype("str")
        keep = stated.eq("") & (by_origin(records) | (concept == "dispatched"))
        seller = seller.where(keep, stated)
    records = records.assign(seller=seller, buyer=buyer)
    for side, names in (("seller", origins), ("buyer", destinations)):
        if names is not None:
            records = records[records[side].isin(names) | records[side].eq("")]
    no_seller = "country of origin not stated" if concept == "origin" else "country of the seller not known"
    _leave(records, records["seller"].eq(""), no_seller)
    _leave(records, records["buyer"].eq(""), "country of the buyer not known")
    _leave(records, records["seller"].eq(records["buyer"]), "within one country")
    _leave(records, records["period_start"].isna() | records["period_end"].isna(), "without dates")
    _leave(records, records["period_start"].dt.year.ne(records["period_end"].dt.year), "dates not within one year")
    return _with_headings(count_once(firms, _short_aside(records), prefer=prefer))


def _told(countries: TradeNetwork, concept: str, asked: dict[str, Any]) -> pd.DataFrame:
    """Rows of the statistic of one concept with `seller`, `buyer`, `product`, `length` (month or year) and `left_aside`."""
    told = trades_in_scope(countries, concept=concept, **asked)
    told = told.assign(seller=told["seller_id"], buyer=told["buyer_id"], length=precision(told["period_start"], told["period_end"]))
    _leave(told, ~told["length"].isin(BY), "dates no whole month or year")
    return _with_headings(_short_aside(told))


def _leave(rows: pd.DataFrame, condition: pd.Series, reason: str) -> None:
    rows.loc[rows["left_aside"].eq("") & condition, "left_aside"] = reason


def _short_aside(rows: pd.DataFrame) -> pd.DataFrame:
    codes = pd.Index(rows["code"].unique())
    short = rows["code"].isin([code for code in codes if min(map(len, code.split("+"))) < DIGITS])
    _leave(rows, rows["code"].eq(""), "without HS code")
    _leave(rows, short, f"code of fewer than {DIGITS} digits")
    return rows


def _with_headings(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(product=rows["code"].map({code: shortened(code, DIGITS) for code in rows["code"].unique()}).astype("str"))


def _beside_blocs(records: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """The records with members of blocs that the statistic tells only as one under the bloc's code."""
    for side in ("seller", "buyer"):
        held = set(told[side].unique())
        alone = [bloc for bloc in GROUPS if bloc in held and held.isdisjoint(set(GROUPS[bloc]) - {bloc})]
        under = {code: bloc for bloc in alone for code in GROUPS[bloc]}
        records = records.assign(**{side: records[side].replace(under)})
    return records


def _counted(
    countries: TradeNetwork, told: pd.DataFrame, records: pd.DataFrame, by: str, prefer: str, since: str | None, until: str | None
) -> pd.DataFrame:
    """The statistic of the pairs, headings and days that have records, each flow counted once, with `period`."""
    pairs = _apart(records)[["seller", "buyer", "heading"]].drop_duplicates()
    spread = _apart(told)
    place = spread["place"][pd.MultiIndex.from_frame(spread[pairs.columns.tolist()]).isin(pd.MultiIndex.from_frame(pairs))]
    told = told.iloc[sorted(set(place))]
    if len(records):
        first, last = records["period_start"].min(), records["period_end"].max()
        inside = pd.Series(True, index=told.index)
        if not since:
            inside &= told["period_end"].isna() | told["period_end"].ge(first)
        if not until:
            inside &= told["period_start"].isna() | told["period_start"].le(last)
        told = told[inside]
    told = told.copy()
    if by == "month":
        monthly = _years(told[told["left_aside"].eq("") & told["length"].eq("month")])
        yearly = told["left_aside"].eq("") & told["length"].eq("year")
        _leave(told, yearly & pd.Series(_years(told).isin(monthly), index=told.index), "year told by months too")
    told = count_once(countries, told, prefer=prefer)
    year = told["period_start"].dt.strftime("%Y")
    return told.assign(period=told["period_start"].dt.strftime("%Y-%m").where(told["length"].eq("month"), year).astype("str"))


def _years(rows: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_arrays([rows["seller"], rows["buyer"], rows["product"], rows["period_start"].dt.year])


def _apart(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each heading of a row, with `heading` and `place` (of the row, from 0)."""
    names = ["seller", "buyer", "product", "period_start", "period_end", "left_aside"]
    spread = rows[names].assign(place=np.arange(len(rows)), heading=rows["product"])
    if not spread["product"].str.contains("+", regex=False).any():
        return spread
    return spread.assign(heading=spread["product"].str.split("+")).explode("heading").astype({"heading": "str"})


def _with_periods(
    records: pd.DataFrame, told: pd.DataFrame, index: CoverageIndex, concept: str, codes: frozenset[str] | None, by: str,
    since: str | None, until: str | None,
) -> pd.DataFrame:
    """The records with `period`: their month, or their year where the statistic tells or covers only that."""
    first, last = window(since, until)
    lengths = _apart(told).assign(year=lambda rows: rows["period_start"].dt.year)
    lengths["length"] = told["length"].to_numpy()[lengths["place"]]
    lengths = lengths[lengths["left_aside"].eq("")]
    known = lengths.groupby(["seller", "buyer", "heading", "year"])["length"].min().to_dict()
    keys = list(zip(records["seller"], records["buyer"], records["product"].str[:DIGITS], records["period_start"].dt.year, strict=True))
    usable = records["left_aside"].eq("")
    for seller, buyer, heading, year in sorted({key for key, use in zip(keys, usable, strict=True) if use} - known.keys()):
        start, end = parse_period(str(int(year)))
        goods = _codes_of(heading, codes)
        seen = index.observed([seller], [buyer], concept=concept, codes=goods, first=start, last=end)
        if seen.status == "not covered":
            yearly = by == "year"
        else:
            month = seen.spans[0][0]
            in_month = index.observed([seller], [buyer], concept=concept, codes=goods, first=month, last=month + pd.offsets.MonthEnd(0))
            yearly = in_month.status == "not covered" and (first is None or first <= start) and (last is None or end <= last)
        known[seller, buyer, heading, year] = "year" if yearly else "month"
    length = pd.Series([known.get(key, "") for key in keys], index=records.index, dtype="str")
    month = records["period_start"].dt.strftime("%Y-%m")
    year_text = records["period_start"].dt.strftime("%Y")
    records = records.assign(period=month.where(length.eq("month"), year_text).astype("str"))
    _leave(records, length.eq("month") & month.ne(records["period_end"].dt.strftime("%Y-%m")), "dates not within one month")
    outside = pd.Series(False, index=records.index)
    if first is not None:
        outside |= length.eq("month") & month.eq(first.strftime("%Y-%m")) & (first.day > 1)
    if last is not None:
        outside |= length.eq("month") & month.eq(last.strftime("%Y-%m")) & (not last.is_month_end)
    _leave(records, outside, "in a month that the question holds only in part")
    return records


def _asked_codes(products: str | Sequence[str] | None) -> frozenset[str] | None:
    if products is None:
        return None
    asked = product_codes(products)
    return frozenset(code for codes in (*asked.codes.values(), *asked.wider.values()) for code in codes)


def _codes_of(product: str, asked: frozenset[str] | None) -> frozenset[str]:
    """The codes of a product that are asked for."""
    headings = frozenset(product.split("+"))
    if asked is None:
        return headings
    inside = {c for code in asked for c in code.split("+") for h in headings if c.startswith(h)}
    wider = {h for code in asked for c in code.split("+") for h in headings if h.startswith(c)}
    return frozenset(inside | wider) or headings


def _joined_sets(records: pd.DataFrame, told: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both sides with headings joined where, for one pair and period, a side gives only the sum of several."""
    key = ["seller", "buyer", "period"]
    sets = pd.concat([rows.loc[rows["product"].str.contains("+", regex=False), [*key, "product"]] for rows in (records, told)])
    groups: dict[tuple[str, ...], list[set[str]]] = {}
    for *cell, product in sets.drop_duplicates().itertuples(index=False, name=None):
        merged = set(product.split("+"))
        apart = []
        for group in groups.get(tuple(cell), []):
            if group & merged:
                merged |= group
            else:
                apart.append(group)
        groups[tuple(cell)] = [*apart, merged]

    def product_of(seller: str, buyer: str, period: str, product: str) -> str:
        here = set(product.split("+"))
        return next(("+".join(sorted(group)) for group in groups.get((seller, buyer, period), []) if group & here), product)

    if not groups:
        return records, told
    new = []
    for rows in (records, told):
        products = [product_of(*row) for row in rows[[*key, "product"]].itertuples(index=False, name=None)]
        new.append(rows.assign(product=pd.Series(products, index=rows.index, dtype="str")))
    return new[0], new[1]


def _sums(rows: pd.DataFrame, side: str) -> pd.DataFrame:
    """One row per cell: of records the sum of what they state; of a statistic a sum only if all of it is stated."""
    rows = rows.assign(no_value=rows["value_usd"].isna(), no_weight=rows["weight_kg"].isna())
    groups = rows.groupby(_CELL)
    stated: dict[str, Any] = {"min_count": 1} if side == "firms" else {"skipna": False}
    table = pd.DataFrame({
        f"{side}_usd": groups["value_usd"].sum(**stated), f"{side}_kg": groups["weight_kg"].sum(**stated),
        f"n_{side}": groups.size(), f"coarse_{side}": groups["coarse"].any(),
    })
    for column, name in (("valuation", f"{side}_valuation"), ("reported_by", "reported_by")):
        kinds = rows[[*_CELL, column]].drop_duplicates().sort_values([*_CELL, column])
        kinds = kinds[kinds[column].ne("")]
        table[name] = kinds.groupby(_CELL)[column].agg(" ".join).astype("str").reindex(table.index)
    if side == "firms":
        table["n_without_value"], table["n_without_weight"] = groups["no_value"].sum(), groups["no_weight"].sum()
        table["first_date"], table["last_date"] = groups["period_start"].min(), groups["period_end"].max()
        table = table.drop(columns="reported_by")
    return table


def _compared(records: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Both sides, cell by cell."""
    table = records.join(told, how="outer").reset_index()
    table["coarse"] = table.pop("coarse_firms").eq(True) | table.pop("coarse_statistic").eq(True)
    table["n_records"] = table.pop("n_firms")
    for column in ("n_records", "n_statistic", "n_without_value", "n_without_weight"):
        table[column] = table[column].fillna(0).astype("int64")
    for column in ("firms_valuation", "statistic_valuation", "reported_by"):
        table[column] = table[column].fillna("").astype("str")
    return table


def _narrower(records: pd.DataFrame, told: pd.DataFrame) -> set[tuple[str, ...]]:
    """The cells in which a record's code begins with no code of the statistic, whose goods are thus narrower, or others."""
    codes: dict[tuple[str, ...], set[str]] = {}
    for *cell, code in told[[*_CELL, "code"]].drop_duplicates().itertuples(index=False, name=None):
        codes.setdefault(tuple(cell), set()).update(code.split("+"))
    pairs = records[[*_CELL, "code"]].drop_duplicates().itertuples(index=False, name=None)
    return {
        tuple(cell) for *cell, code in pairs
        if tuple(cell) in codes and not all(part.startswith(tuple(codes[tuple(cell)])) for part in code.split("+"))
    }


def _judged(table: pd.DataFrame, coverage: pd.Series, every: pd.DataFrame, narrower: set[tuple[str, ...]]) -> pd.DataFrame:
    """The cells with `coverage`, `status`, `n_months` and `narrower` (no share can be told); `every`: all rows of the statistic."""
    table = table.assign(coverage=coverage)
    status, apart = [], []
    spread = _apart(every)
    years = pd.DataFrame({"heading": spread["heading"], "year": spread["period_start"].dt.year}).drop_duplicates()
    in_use = set(years.itertuples(index=False, name=None))
    pairs = pd.MultiIndex.from_frame(table[["seller", "buyer"]].drop_duplicates())
    touching = _touching(spread[pd.MultiIndex.from_frame(spread[["seller", "buyer"]]).isin(pairs)])
    for row in table.to_dict("records"):
        days = parse_period(row["period"])
        wider = {heading[:n] for heading in row["product"].split("+") for n in range(DIGITS)}
        met = _met(touching, row, wider, *days)
        apart.append(tuple(row[name] for name in _CELL) in narrower and (met or row["coverage"] != "covered"))
        if row["n_statistic"]:
            value = "value not given" if row["statistic_usd"] != row["statistic_usd"] else "narrower goods" if apart[-1] else "compared"
            no_value = row["n_records"] and row["firms_usd"] != row["firms_usd"]
            status.append("no records" if value == "compared" and not row["n_records"]
                          else "records without value" if value in ("compared", "narrower goods") and no_value else value)
            continue
        met = met or _met(touching, row, set(row["product"].split("+")), *days)
        used = all((heading, days[0].year) in in_use for heading in row["product"].split("+"))
        zero = row["coverage"] == "covered" and not met and used
        status.append("zero" if zero else "not covered" if row["coverage"] == "not covered" else "may be missing")
    table = table.assign(status=pd.Series(status, dtype="str"), narrower=np.array(apart, dtype=bool))
    table.loc[table["status"].eq("zero"), ["statistic_usd", "statistic_kg"]] = 0.0
    table.loc[table["status"].eq("no records"), ["firms_usd", "firms_kg"]] = 0.0
    months = pd.Series(np.where(table["period"].str.len().eq(4), 12, 1), index=table.index)
    return table.assign(n_months=months.where(table["status"].isin(_COMPARABLE), 0))


def _met(touching: dict[tuple[str, str, str], set[tuple]], cell: dict, codes: set[str], first: Any, last: Any) -> bool:
    """Whether a row of the statistic with one of these codes touches the days of a cell."""
    return any(start <= last and first <= end for code in codes for start, end in touching.get((cell["seller"], cell["buyer"], code), ()))


def _coverage_of(countries: TradeNetwork, headings: set[str]) -> CoverageIndex:
    """The coverage, of these headings only: a statistic may name thousands of codes in each row."""
    def relevant(products: str) -> str:
        parts = {text: text.split("+") for text in products.split()}
        return " ".join(text for text, codes in parts.items() if any(c == "*" or c[:DIGITS] in wanted for c in codes))

    wanted = headings | {heading[:n] for heading in headings for n in range(1, DIGITS)}
    rows = countries.coverage
    rows = rows.assign(products=rows["products"].map(relevant).astype("str"))
    return CoverageIndex(TradeNetwork(
        level="countries", actors=countries.actors, trades=empty("trades"), coverage=rows[rows["products"].ne("")],
        sources=countries.sources))


def _coverage(
    table: pd.DataFrame, index: CoverageIndex, concept: str, codes: frozenset[str] | None, within: tuple[Any, Any] = (None, None)
) -> pd.Series:
    """What the statistic covers of each cell, of its days in the question."""
    found = []
    for seller, buyer, product, period in table[_CELL].itertuples(index=False, name=None):
        first, last = parse_period(period)
        first, last = max(first, within[0] or first), min(last, within[1] or last)
        goods = _codes_of(product, codes)
        seen = index.observed([seller], [buyer], concept=concept, codes=goods, first=first, last=last)
        wide = tuple(part for covered in seen.products for part in covered.split("+"))
        whole = "*" in seen.products or all(code.startswith(wide) for code in goods)
        found.append("partly" if seen.status == "covered" and not whole else seen.status)
    return pd.Series(found, index=table.index, dtype="str")


def _touching(spread: pd.DataFrame) -> dict[tuple[str, str, str], set[tuple]]:
    """For each pair and heading (or wider code) the days of every row of the statistic, those left aside too."""
    days = spread[["seller", "buyer", "heading", "period_start", "period_end"]].drop_duplicates()
    days = days.fillna({"period_start": pd.Timestamp.min.as_unit("us"), "period_end": pd.Timestamp.max.as_unit("us")})
    found: dict[tuple[str, str, str], set[tuple]] = {}
    for seller, buyer, heading, start, end in days.itertuples(index=False, name=None):
        found.setdefault((seller, buyer, heading), set()).add((start, end))
    return found


def _by_year(table: pd.DataFrame) -> pd.DataFrame:
    """The cells of each year as one: of its months those that can be compared, or all if none can."""
    table = table.assign(month=table["period"], period=table["period"].str[:4], fits=table["status"].isin(_COMPARABLE))
    held = table.groupby(_CELL)["fits"].transform("any")
    table = table[table["fits"] | ~held]
    rank = {status: i for i, status in enumerate(STATUSES)}
    table = table.assign(rank=table["status"].map(rank))
    groups = table.groupby(_CELL)
    years = pd.DataFrame({name: groups[name].sum(skipna=False) for name in _AMOUNTS})
    for name in ("n_records", "n_without_value", "n_without_weight", "n_months"):
        years[name] = groups[name].sum()
    for name in ("firms_valuation", "statistic_valuation", "reported_by"):
        years[name] = groups[name].agg(lambda texts: " ".join(sorted({word for text in texts for word in text.split()})))
    years["coarse"], years["narrower"] = groups["coarse"].any(), groups["narrower"].any()
    years["first_date"], years["last_date"] = groups["first_date"].min(), groups["last_date"].max()
    lowest, highest = groups["rank"].min(), groups["rank"].max()
    mixed = lowest.ne(highest) & highest.le(rank["zero"])
    years["status"] = lowest.mask(mixed, rank["compared"]).map(dict(enumerate(STATUSES)))
    return years.reset_index()


def _shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table with what share of the statistic the records hold, and what they hold beyond it."""
    for unit in ("usd", "kg"):
        firms, told = table[f"firms_{unit}"], table[f"statistic_{unit}"]
        share = "share_covered" if unit == "usd" else "share_covered_kg"
        table[share] = (firms / told.where(told > 0)).mask(table["narrower"]).astype("float64")
        table[f"exceeds_{unit}"] = (firms - told).clip(lower=0).mask(table["narrower"]).astype("float64")
    return table


def _named(rows: pd.DataFrame, side: str) -> pd.Series:
    """Why rows of a side are left aside, with the side's name."""
    return (side + ": " + rows["left_aside"]).where(rows["left_aside"].ne(""), "").astype("str")


def _without_records(every: pd.DataFrame, records: pd.DataFrame) -> pd.DataFrame:
    """Rows of the statistic of pairs with records, in headings without one."""
    counted = records[records["left_aside"].eq("")]
    pairs, own = _apart(counted)[["seller", "buyer", "heading"]], _apart(every)
    of_pair = pd.MultiIndex.from_frame(own[["seller", "buyer"]]).isin(pd.MultiIndex.from_frame(pairs[["seller", "buyer"]]))
    known = pd.MultiIndex.from_frame(own[["seller", "buyer", "heading"]]).isin(pd.MultiIndex.from_frame(pairs))
    return own[of_pair & ~known & own["heading"].str.len().eq(DIGITS)]


def _notes(table: pd.DataFrame, index: CoverageIndex, concept: str, alone: pd.DataFrame) -> list[str]:
    """Sentences on what was compared with what, and what the data cover."""
    status = table["status"].value_counts()
    shown = [f"{int(status[name]):,} {name}" for name in STATUSES if name in status]
    terms = [table[side].isin(["FOB"]) & table[other].eq("CIF") for side, other in
             (("firms_valuation", "statistic_valuation"), ("statistic_valuation", "firms_valuation"))]
    mixed = int((terms[0] | terms[1]).sum())
    partly = int((table["coverage"].eq("partly") & table["status"].isin(_COMPARABLE)).sum())
    alone_records = int(table.loc[~table["status"].isin(_COMPARABLE), "n_records"].sum())
    unvalued = int(table["n_without_value"].sum())
    return [
        SENSE[concept],
        f"cells of a pair, heading and period: {', '.join(shown)}" if shown else "no record meets the question: nothing is compared",
        f"{alone_records:,} records stand where there is nothing to compare" if alone_records else "",
        f"{unvalued:,} records state no value, so their sums are too small" if unvalued else "",
        f"{mixed:,} cells compare FOB with CIF, which includes freight and insurance" if mixed else "",
        f"{partly:,} cells compare with a statistic that covers them only in part" if partly else "",
        f"the statistic also tells of {alone['heading'].nunique():,} headings of these pairs of which there is no record"
        if len(alone) else "",
        index.described(),
        "where the statistic does not cover a pair, no row is not a zero",
    ]
