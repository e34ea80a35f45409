"""Checks that tables follow the data model; every problem is found before one error is raised."""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from chiptrail.graphmodel.errors import ValidationError
from chiptrail.graphmodel.schema import DATE, KEYS, LEVELS, REFERENCES, TABLES, TEXT, Column

_HS = (r"(\d{2}|\d{4}|\d{6}|\d{8,12})?", "HS codes have 2, 4, 6 or 8 to 12 digits; did it lose a leading zero?")
_PATTERNS = {
    ("trades", "hs_code"): _HS,
    ("links", "hs_code"): _HS,
    ("totals", "hs_code"): _HS,
    ("trades", "product_set"): (r"(\d{2,12}(\+\d{2,12})+)?", "a product set is HS codes joined by +"),
    ("trades", "currency"): (r"([A-Z]{3})?", "currencies are ISO 4217 codes such as USD"),
    ("actors", "country"): (r"([A-Z]{3}|[A-Z]+\d+)?", "countries are ISO 3166 alpha-3 codes such as KAZ"),
}
_NOT_NEGATIVE = ("value", "value_usd", "fx_rate", "weight_kg", "quantity", "n_parts", "rows_read", "rows_kept")
_SPANS = {"trades": ("period_start", "period_end"), "links": ("period_start", "period_end"),
          "totals": ("period_start", "period_end"), "coverage": ("period_start", "period_end"),
          "listings": ("listed_from", "listed_to")}


def check_tables(level: str, tables: Mapping[str, pd.DataFrame]) -> None:
    """Raises ValidationError with every problem in the tables, or returns nothing.

    Up to five rows are named for each problem, by key and, where there is one, by file and row.
    """
    problems = [] if level in LEVELS else [f"level {level!r}: must be one of {', '.join(LEVELS)}"]
    for name, frame in tables.items():
        problems += _column_problems(name, frame)
        problems += _span_problems(name, frame)
    problems += _reference_problems(tables)
    problems += _trade_problems(level, tables)
    if problems:
        raise ValidationError(problems)


def _column_problems(table: str, frame: pd.DataFrame) -> list[str]:
    import pandera.pandas as pa

    known = {column.name for column in TABLES[table]}
    problems = [
        f"{table}: unknown column {name!r}; further columns must begin with x_"
        for name in frame.columns
        if name not in known and not str(name).startswith("x_")
    ]
    for column in TABLES[table]:
        values = frame[column.name]
        different = _different(values)
        schema = pa.SeriesSchema(checks=_checks(table, column), nullable=True)
        try:
            schema.validate(different, lazy=True)
        except pa.errors.SchemaErrors as error:
            for check, group in error.failure_cases.groupby("check", sort=True):
                wrong = different.loc[group["index"].dropna().astype(int)]
                rows = frame[values.isin(wrong)]
                problems.append(f"{table}.{column.name}: {check}{_samples(table, rows, column.name)}")
    key = KEYS.get(table)
    if key and not increasing(frame[key]) and frame[key].duplicated().any():
        rows = frame[frame[key].duplicated(keep=False)]
        problems.append(f"{table}.{key}: must be unique{_samples(table, rows, key)}")
    return problems


def _different(values: pd.Series) -> pd.Series:
    """Each value once where they are categories, so that millions of rows are checked at the cost of a few."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        used = np.bincount(values.cat.codes.to_numpy() + 1, minlength=len(values.cat.categories) + 1)[1:] > 0
        return pd.Series(values.cat.categories[used])
    return values.reset_index(drop=True)


def increasing(key: pd.Series) -> bool:
    """Whether each value is larger than the one before: then they are sorted, and all different."""
    values = key.array
    return bool((values[:-1] < values[1:]).all())


def _checks(table: str, column: Column) -> list:
    import pandera.pandas as pa

    checks = []
    if column.required and column.dtype == TEXT:
        checks.append(pa.Check(lambda s: s.ne(""), error="must be given"))
    elif column.required:
        checks.append(pa.Check(lambda s: s.notna(), error="must be given", ignore_na=False))
    if column.values:
        allowed = set(column.values) | (set() if column.required else {""})
        checks.append(pa.Check(lambda s: s.isin(allowed), error=f"must be one of {', '.join(column.values)}"))
    if column.dtype == DATE:
        checks.append(pa.Check(lambda s: s.isna() | s.eq(s.dt.normalize()), error="must be a day without a time of day (.dt.normalize())"))
    if (table, column.name) in _PATTERNS:
        pattern, advice = _PATTERNS[table, column.name]
        checks.append(pa.Check(lambda s: s.str.fullmatch(pattern), error=advice))
    if column.name in _NOT_NEGATIVE:
        checks.append(pa.Check(lambda s: s.ge(0) & s.lt(float("inf")), error="must be zero or more and finite"))
    return checks


def _span_problems(table: str, frame: pd.DataFrame) -> list[str]:
    if table not in _SPANS:
        return []
    start, end = _SPANS[table]
    wrong = frame[frame[start].gt(frame[end])]
    return [f"{table}.{start}: must not be after {end}{_samples(table, wrong, start)}"] if len(wrong) else []


def _reference_problems(tables: Mapping[str, pd.DataFrame]) -> list[str]:
    problems = []
    for table, column, other, key in REFERENCES:
        frame = tables[table]
        unknown = set(_different(frame[column]).tolist()) - set(tables[other][key].tolist()) - {""}
        if unknown:
            lost = frame[frame[column].isin(sorted(unknown))]
            problems.append(f"{table}.{column}: not in {other}.{key}{_samples(table, lost, column)}")
    return problems


def _trade_problems(level: str, tables: Mapping[str, pd.DataFrame]) -> list[str]:
    trades, actors, problems = tables["trades"], tables["actors"], []
    rules = [
        (trades["value"].notna() & trades["currency"].eq(""), "currency", "must be given beside a value"),
        (trades["hs_code"].ne("") & trades["product_set"].ne(""), "product_set", "must be empty beside an hs_code"),
        (trades["product_set"].eq("") & trades["hs_code"].eq("") & (level == "countries"), "hs_code",
         "a country's trade needs an hs_code or a product_set"),
    ]
    if level == "countries":
        places = set(actors.loc[actors["kind"].isin(["country", "bloc"]), "actor_id"])
        for side in ("seller_id", "buyer_id"):
            rules.append((~trades[side].isin(places), side, "a network of countries trades between countries only"))
    for broken, column, advice in rules:
        if broken.any():
            problems.append(f"trades.{column}: {advice}{_samples('trades', trades[broken], column)}")
    sources = tables["sources"]
    if len(sources):
        rejected = sources["rejected"].map(_count_rejected)
        off = sources[sources["rows_read"].ne(sources["rows_kept"] + rejected)]
        if len(off):
            problems.append(f"sources.rows_read: must be rows_kept plus the counts in rejected{_samples('sources', off, 'rows_read')}")
    return problems


def _count_rejected(text: str) -> int:
    """Rows rejected in all; -1 if the text is no JSON object of counts, so that read = kept + rejected fails."""
    try:
        return sum(json.loads(text).values()) if text else 0
    except (ValueError, AttributeError, TypeError):
        return -1


def _samples(table: str, rows: pd.DataFrame, column: str) -> str:
    """` (n rows: value (where), ...)` for up to five rows."""
    place = next((c for c in ("record_ref", KEYS.get(table, "")) if c in rows.columns), "")
    shown = [
        f"{str(row[column])[:80]!r}" + (f" at {str(row[place])[:120]}" if place else "")
        for row in rows.head(5).to_dict("records")
    ]
    return f" ({len(rows)} row{'s' if len(rows) != 1 else ''}: {', '.join(shown)}{', ...' if len(rows) > 5 else ''})"

