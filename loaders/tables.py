"""A folder saved by chiptrail, or plain tables of actors and trades, as a network."""

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from chiptrail.graphmodel.countries import country_code
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork, actor_id, conform, country_actors
from chiptrail.graphmodel.periods import parse_period
from chiptrail.graphmodel.schema import ACTORS, LEVELS, TRADES
from chiptrail.loaders.reader import Opened, open_table, require_columns
from chiptrail.loaders.records import (
    REPEAT,
    Checked,
    Rule,
    amount_rules,
    asked_rules,
    frame,
    number,
    pick,
    record_columns,
    source_counts,
    split,
    translate,
    write_rejects,
)

_TRADE_COLUMNS = (
    "seller", "buyer", "seller_country", "buyer_country", "hs_code", "product_set", "hs_version", "goods", "date", "period",
    "period_start", "period_end", "month", "year", "value_usd", "value", "currency", "fx_rate", "valuation", "weight_kg",
    "quantity", "quantity_unit", "flow", "partner_concept", "origin_country", "basis", "case", "reported_by", "source", "url",
)
_ACTOR_COLUMNS = ("name", "country", "kind", "role", "actor_id")
_DATES = ("period", "date", "period_start", "period_end", "month", "year")
_AMOUNTS = ("value_usd", "value", "fx_rate", "weight_kg", "quantity")
_MOST_COUNTRIES = 1000
_N_NAMED = 5
_VALUES = {column.name: column.values for column in (*ACTORS, *TRADES) if column.values}


def load_tables(
    path: str | Path, trades: str | Path | None = None, *, level: str | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None,
    countries: Sequence[str] | None = None, keep_rejects: str | Path | None = None,
) -> TradeNetwork:
    """A network from a folder saved by chiptrail, or from plain tables of actors and trades (CSV, TSV, gzip, Parquet).

    Parameters
    ----------
    path
        A folder made by `network.save`; or a folder with `trades.csv` and, if wanted, `actors.csv`; or a file of trades;
        or, where `trades` is given, the file of actors.
    trades
        File of trades.
    level
        `firms` or `countries`. By default `countries` if there is no file of actors and every seller and buyer is the code
        or name of a country; the ids are then ISO 3166 alpha-3 codes.
    products, since, until, countries
        Load only what `TradeNetwork.where` would keep; the other rows of plain tables are counted as "not asked for".
    keep_rejects
        File to which the rejected rows of plain tables are appended as CSV, with their reasons.

    Returns
    -------
    TradeNetwork
        With `sources.rejected` counting the rows left out by reason and `x_rejected_examples` naming up to five of each.

    Raises
    ------
    InputError
        If a file cannot be read, lacks a needed column, or has a column that looks like a known one misspelt; or if most
        sellers and buyers are countries, but not all, and `level` is not given.

    Notes
    -----
    Columns of trades: `seller` and `buyer` (name or actor id) are needed. Optional: `seller_country`, `buyer_country`,
    `hs_code` (digits, also as 8542.31) or `product_set`, `hs_version`, `goods`; `date` or `period` (2022, 2022-07,
    2022-07-20 or a/b) or `period_start` and `period_end`, else `month` (2022-07, or 7 beside a year) or `year`;
    `value_usd`, or `value` and `currency` with `fx_rate` (USD for one unit); `valuation`, `weight_kg` (kg),
    `quantity`, `quantity_unit`; `flow` (export if not given), `partner_concept` (destination for exports; imports must state
    origin or consignment), `origin_country`; `basis` (reported if not given), `case`, `reported_by` (else `source`, else the
    file's name), `source`, `url`.
    Columns of actors: `name`, and optionally `country`, `kind` (company if not given), `role`, `actor_id`.
    Columns that begin with `x_` are kept as text; others are named in the source's note.

    Rows whose `value_usd` is more than 1 % off their value in USD or at their `fx_rate` are rejected, and between countries
    also rows of whole months or years that repeat an earlier row in every field. Other repeats are kept and counted in the
    note: they may be shipments of their own. A name once with and once without a country stands for two actors, which the
    note names.

    Cautions: such tables state no coverage, so no absence can be read from them.

    Examples
    --------
    >>> load_tables("folder_with_trades")  # doctest: +SKIP
    """
    if level is not None and level not in LEVELS:
        raise InputError(f"level {level!r}: must be one of {', '.join(LEVELS)}")
    path = Path(path)
    asked: dict[str, Any] = {"products": products, "since": since, "until": until, "countries": countries}
    if path.is_dir() and (path / "network.json").is_file():
        network = TradeNetwork.load(path)
        if level not in (None, network.level):
            raise InputError(f"{path.name} holds a network of {network.level}, not of {level}")
        if any(condition is not None for condition in asked.values()):
            network = network.where(**asked)
        return network
    actors_file: Path | None = None
    if path.is_dir():
        trades_file, actors_file = _in_folder(path, "trades"), _in_folder(path, "actors")
        if trades_file is None:
            raise InputError(f"{path.name}: no saved network and no file trades.csv in this folder")
    elif trades is None:
        trades_file = path
    else:
        trades_file, actors_file = Path(trades), path
    return _load(trades_file, actors_file, level, asked, keep_rejects)


def _in_folder(folder: Path, name: str) -> Path | None:
    endings = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet")
    found = [folder / f"{name}{ending}" for ending in endings if (folder / f"{name}{ending}").is_file()]
    if len(found) > 1:
        raise InputError(f"{folder.name}: {' and '.join(f.name for f in found)} stand side by side; keep one")
    return found[0] if found else None


def _load(
    trades_file: Path, actors_file: Path | None, level: str | None, asked: dict[str, Any], keep_rejects: str | Path | None
) -> TradeNetwork:
    actors, sources = _read_actors(actors_file, keep_rejects) if actors_file else (conform(None, "actors"), [])
    with open_table(trades_file) as opened:
        columns, extra, unused = _columns(opened, _TRADE_COLUMNS, ("seller", "buyer"))
        table = pick(opened, columns | extra)
        level = level or (_level(table, opened.file) if actors.empty else "firms")
        known = _Actors(actors, level)
        table = translate(
            table,
            (["seller", "seller_country"], ["seller_id", "seller_fault", "seller_place"], known.find),
            (["buyer", "buyer_country"], ["buyer_id", "buyer_fault", "buyer_place"], known.find),
            ([*_DATES], ["first_day", "last_day"], _days),
            (["hs_code"], ["code"], lambda code: (_digits(code),)),
            (["origin_country"], ["origin"], lambda name: (country_code(name) if name else "",)),
        )
        wanted = asked_rules(table, **asked, code="code", sides=("seller_place", "buyer_place"))
        checked = split(opened, table, [*_trade_rules(table, level), *wanted], columns | {"code": columns["hs_code"]})
        write_rejects(opened, checked, keep_rejects)
        source_id = f"table:{opened.sha256[:12]}"
        trades = frame(_rows(opened, checked.kept, list(extra), source_id))
        n_repeats = int(checked.kept["repeated"].sum().to_pyarrow().as_py() or 0)
        used = {*trades["seller_id"], *trades["buyer_id"]}
        listed = country_actors(used) if level == "countries" else known.rows({*used, *actors["actor_id"]})
        note = _note(trades, listed, n_repeats, columns, unused)
        sources.append(_source(opened, checked, source_id, note))
    return TradeNetwork(level=level, actors=listed, trades=trades, sources=pd.DataFrame(sources))


def _columns(
    opened: Opened, known: Sequence[str], needed: Sequence[str]
) -> tuple[dict[str, str | None], dict[str, str | None], list[str]]:
    """Name in the file of each known column, of each column under x_, and the columns not used."""
    names = {re.sub(r"\s+", "_", name.strip().lower()): name for name in reversed(opened.header)}
    require_columns(list(names), needed, file=opened.file, layout=f"a table with {' and '.join(needed)}")
    extra: dict[str, str | None] = {plain: name for plain, name in sorted(names.items()) if plain.startswith("x_")}
    unused = [name for plain, name in sorted(names.items()) if plain not in known and plain not in extra]
    for plain in (re.sub(r"\s+", "_", name.lower()) for name in unused):
        near = difflib.get_close_matches(plain, [name for name in known if name not in names], n=1, cutoff=0.8)
        if near:
            raise InputError(
                f"{opened.file}: column {names[plain][:80]!r} is not known; did you mean {near[0]!r}? Rename it so, or to "
                f"{'x_' + plain[:80]!r} to keep it as a column of your own"
            )
    return {name: names.get(name) for name in known}, extra, unused


def _read_actors(path: Path, keep_rejects: str | Path | None) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    with open_table(path) as opened:
        columns, extra, unused = _columns(opened, _ACTOR_COLUMNS, ("name",))
        table = translate(
            pick(opened, columns | extra), (["country"], ["place"], lambda name: (country_code(name) if name else "",))
        )
        rules: list[Rule] = [
            ("no name", "name", table["name"] == ""),
            ("unknown country", "country", table["place"].isnull()),
            *(_choice_rule(table, name) for name in ("kind", "role")),
        ]
        checked = split(opened, table, rules, columns)
        write_rejects(opened, checked, keep_rejects)
        kept = frame(checked.kept.order_by("row"))
        source = _source(opened, checked, f"table:{opened.sha256[:12]}", _unused_note(unused))
    kept["country"] = kept["place"]
    kept["kind"] = kept["kind"].str.lower().replace("", "company")
    kept["role"] = kept["role"].str.lower().replace("", "unknown")
    made = [actor_id(k, c, n) for k, c, n in zip(kept["kind"], kept["country"], kept["name"], strict=True)]
    kept["actor_id"] = kept["actor_id"].where(kept["actor_id"].ne(""), pd.Series(made, index=kept.index, dtype="str"))
    twice = kept.loc[kept["actor_id"].duplicated(), "name"]
    if len(twice):
        raise InputError(f"{path.name}: named twice: {', '.join(repr(n[:80]) for n in twice[:5])}; keep one row of each")
    return conform(kept[[*_ACTOR_COLUMNS, *extra]], "actors"), [source]


class _Actors:
    """The actors known so far; a name that is new becomes a company."""

    def __init__(self, actors: pd.DataFrame, level: str) -> None:
        self._level = level
        self._rows = {row["actor_id"]: row for row in actors.to_dict("records")}
        self._named: dict[str, list[dict[Any, Any]]] = {}
        for row in self._rows.values():
            self._named.setdefault(_name_key(row["name"]), []).append(row)

    def find(self, name: str, country: str) -> tuple[str, str, str]:
        """Id of the actor, what is at fault (`name`, `country` or `several`), and the actor's country."""
        if not name:
            return "", "name", ""
        try:
            if self._level == "countries":
                code = country_code(name)
                return code, "", code
            place = country_code(country) if country else ""
        except ChiptrailError:
            return "", "name" if self._level == "countries" else "country", ""
        if name in self._rows:
            return name, "", self._rows[name]["country"]
        fits = [row for row in self._named.get(_name_key(name), []) if place in ("", row["country"])]
        if len(fits) > 1:
            return "", "several", ""
        if fits:
            return fits[0]["actor_id"], "", fits[0]["country"]
        kind = "placeholder" if _name_key(name).startswith("unnamed ") else "company"
        new = actor_id(kind, place, name)
        self._rows.setdefault(
            new, {"actor_id": new, "name": name, "kind": kind, "role": "unknown", "country": place}
        )
        return new, "", place

    def rows(self, ids: Iterable[str]) -> pd.DataFrame:
        """The table of these actors."""
        return conform(pd.DataFrame([self._rows[i] for i in sorted(ids)]), "actors")


def _name_key(name: str) -> str:
    return " ".join(name.casefold().split())


def _level(table: ir.Table, file: str) -> str:
    """Countries if every seller and buyer is one that no country beside it contradicts, else firms; refuses a mixture."""
    whole = table.filter(table["shape"] == 0)
    sides = [whole.select(name=whole[side], country=whole[f"{side}_country"]) for side in ("seller", "buyer")]
    both = sides[0].union(sides[1])
    pairs = both.filter(both["name"] != "").distinct().order_by(["name", "country"])
    found = pairs.limit(_MOST_COUNTRIES + 1).to_pyarrow().to_pylist()
    if len(found) > _MOST_COUNTRIES:
        return "firms"
    others = [pair["name"] for pair in found if not _is_country(**pair)]
    if found and not others:
        return "countries"
    if 2 * len(others) < len(found):
        raise InputError(
            f"{file}: {len(found) - len(others)} of {len(found)} sellers and buyers are countries, but not "
            f"{', '.join(repr(name[:60]) for name in others[:_N_NAMED])}{', ...' if len(others) > _N_NAMED else ''}: correct "
            "these names, or say what the table holds with level='countries' or level='firms' (--level)"
        )
    return "firms"


def _is_country(name: str, country: str) -> bool:
    try:
        code = country_code(name)
        return not country or country_code(country) == code
    except ChiptrailError:
        return False


def _days(period: str, date: str, start: str, end: str, month: str, year: str) -> tuple[str, str]:
    def clean(text: str) -> str:
        return re.sub(r"[T ]00:00(:00(\.0+)?)?Z?$", "", text)

    if period or date:
        first, last = parse_period(clean(period or date))
        return str(first.date()), str(last.date())
    if not (start or end) and (month or year):
        if year and re.fullmatch("[0-9]{1,2}", month):
            month = f"{year}-{month:>02}"
        first, last = parse_period(clean(month or year))
        return str(first.date()), str(last.date())
    first_day = str(parse_period(clean(start))[0].date()) if start else ""
    last_day = str(parse_period(clean(end))[1].date()) if end else ""
    if first_day and last_day and first_day > last_day:
        raise InputError("the period ends before it begins")
    return first_day, last_day


def _digits(code: str) -> str:
    """An HS code without the dots of the form 8542.31 or 8542.31.00."""
    return code.replace(".", "") if re.fullmatch(r"[0-9]{4}(\.[0-9]{2}){1,4}", code) else code


def _choice_rule(table: ir.Table, column: str) -> Rule:
    allowed = [value for value in _VALUES[column] if value]
    text = table[column] if column in ("valuation", "hs_version") else table[column].lower()
    return (f"{column} is not one of {', '.join(allowed)}", column, ~text.isin(["", *allowed]))


def _trade_rules(table: ir.Table, level: str) -> list[Rule]:
    """Why a trade is rejected, in the order in which it is asked."""
    code, sides = table["code"], ("seller", "buyer")
    faults = {"name": "unknown {}", "country": "unknown country of the {}",
              "several": "the {}'s name stands for several actors, a country is needed"}
    inward = table["flow"].lower().isin(["import", "re-import"])
    value, usd, rate = (number(table[name]) for name in ("value", "value_usd", "fx_rate"))
    dollars = table["currency"] == "USD"
    rules: list[Rule] = [
        (text.format(side), f"{side}_country" if fault == "country" else side, table[f"{side}_fault"] == fault)
        for fault, text in faults.items() for side in sides
    ]
    rules += [
        ("bad date", name, table["first_day"].isnull() & (table[name] != ""))
        for name in _DATES
    ]
    rules += [
        ("HS code lost its leading zero (it has an odd number of digits)", "hs_code", code.re_search(r"^(\d|\d{3}|\d{5})$")),
        ("HS code is not 2 to 12 digits", "hs_code", (code != "") & ~code.re_search(r"^(\d{2}|\d{4,12})$")),
        ("product set is not HS codes joined by +", "product_set",
         (table["product_set"] != "") & ~table["product_set"].re_search(r"^\d{2,12}(\+\d{2,12})+$")),
        ("HS code beside a product set", "product_set", (table["product_set"] != "") & (code != "")),
        *(rule for name in _AMOUNTS for rule in amount_rules(name, table[name])),
        ("value without a currency", "value", (table["value"] != "") & (table["currency"] == "")),
        ("currency is no code such as USD", "currency", ~table["currency"].re_search("^([A-Z]{3})?$")),
        ("value_usd and value in USD differ by more than 1 %", "value_usd", dollars & _apart(usd, value)),
        ("value_usd and value times fx_rate differ by more than 1 %", "value_usd", ~dollars & _apart(usd, value * rate)),
        ("unknown country of origin", "origin_country", table["origin"].isnull()),
        *(_choice_rule(table, name) for name in ("hs_version", "valuation", "flow", "partner_concept", "basis")),
        ("import without partner_concept (origin or consignment)", "flow", inward & (table["partner_concept"] == "")),
    ]
    if level == "countries":
        first, last = (table[day].nullif("").cast("date") for day in ("first_day", "last_day"))
        whole_months = (first.day() == 1) & ((last + ibis.interval(days=1)).day() == 1)
        rules += [("no HS code", "hs_code", (code == "") & (table["product_set"] == "")),
                  (REPEAT, "", table["repeated"] & whole_months)]
    return rules


def _apart(left: ir.FloatingValue, right: ir.FloatingValue) -> ir.BooleanValue:
    return (left - right).abs() > 0.01 * ibis.greatest(left, right)


def _rows(opened: Opened, kept: ir.Table, extra: list[str], source_id: str) -> ir.Table:
    """The trades kept in the columns of `trades`."""
    value, usd, rate = (number(kept[name]) for name in ("value", "value_usd", "fx_rate"))
    own = value.notnull()
    currency = ibis.cases((own, kept["currency"]), (usd.notnull(), "USD"), else_="")
    rate = ibis.cases((currency == "USD", 1.0), (own, rate), else_=ibis.null("float64"))
    record = record_columns(opened, kept)

    def given(column: str, default: str | ir.StringValue) -> ir.StringValue:
        return ibis.ifelse(kept[column] != "", kept[column], default)

    reporter = ibis.ifelse(kept["source"] != "", kept["source"], opened.file)
    return kept.select(
        "seller_id", "buyer_id", "product_set", "hs_version", "goods", "valuation", "quantity_unit", "case", *extra,
        trade_id=record["id"], hs_code=kept["code"],
        period_start=kept["first_day"].nullif("").cast("timestamp"),
        period_end=kept["last_day"].nullif("").cast("timestamp"),
        value=value.coalesce(usd), currency=currency, fx_rate=rate, value_usd=usd.coalesce(value * rate),
        weight_kg=number(kept["weight_kg"]), quantity=number(kept["quantity"]),
        flow=given("flow", "export").lower(), partner_concept=given("partner_concept", "destination").lower(),
        origin_country=kept["origin"], basis=given("basis", "reported").lower(),
        reported_by=given("reported_by", reporter), source_id=ibis.literal(source_id), record_ref=record["record_ref"],
        **{f"x_{name}": kept[name] for name in ("source", "url") if f"x_{name}" not in extra},
    )


def _unused_note(unused: list[str]) -> str:
    return "Columns not used: " + ", ".join(name[:60] for name in unused) + "." if unused else ""


def _note(
    trades: pd.DataFrame, actors: pd.DataFrame, n_repeats: int, columns: dict[str, str | None], unused: list[str]
) -> str:
    notes = []
    if len(trades) and trades[["period_start", "period_end"]].isna().all(axis=None):
        why = "their dates are empty" if any(columns[name] for name in _DATES) else f"no column {', '.join(_DATES)}"
        notes.append(f"All trades are undated ({why}).")
    notes.append(_unused_note(unused))
    if n_repeats:
        notes.append(f"{n_repeats} rows repeat an earlier row in every field and are kept: they may be shipments of their own.")
    keys = actors["name"].map(_name_key)
    unplaced = actors["country"].eq("") & keys.isin(keys[actors["country"].ne("")])
    if unplaced.any():
        names = sorted(actors.loc[unplaced, "name"])
        more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
        notes.append(f"Once with and once without a country, so counted as different actors: "
                     f"{', '.join(repr(name[:60]) for name in names[:_N_NAMED])}{more}.")
    unconverted = int((trades["value"].notna() & trades["value_usd"].isna()).sum())
    if unconverted:
        notes.append(f"{unconverted} values in other currencies have no fx_rate: their value_usd is not given.")
    if columns["basis"] is None:
        notes.append("No column basis: all rows count as reported.")
    if columns["flow"] is None:
        notes.append("No column flow: all rows count as exports.")
    return " ".join(note for note in notes if note)


def _source(opened: Opened, checked: Checked, source_id: str, note: str) -> dict[str, Any]:
    return {"source_id": source_id, "title": opened.file, "redistributable": False, "note": note,
            **source_counts(opened, checked)}
