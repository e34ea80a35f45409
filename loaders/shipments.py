"""Customs declarations and bills of lading, row by row and with any columns, as a network of firms."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
from ibis.expr import types as ir

from chiptrail.graphmodel.coded import constant
from chiptrail.graphmodel.countries import country_name
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.network import TradeNetwork, actor_id, concat, conform
from chiptrail.loaders.cells import currency, day_orders, days, decimal_signs, moment, no_maker, nobody, place, plain_amount
from chiptrail.loaders.exchange import usd_rates
from chiptrail.loaders.mapping import GARBLED, PARTIES, ROLES, Mapping, choose, fitting, read_mapping, with_columns
from chiptrail.loaders.reader import NUMBER, Opened, open_table
from chiptrail.loaders.records import (
    REPEAT,
    Rule,
    amount_rules,
    asked_rules,
    coded_frame,
    number,
    pick,
    source_counts,
    split,
    translate,
    write_rejects,
)

AMENDED = "replaced by an amendment"
_AMOUNTS = ("value", "value_usd", "weight_kg", "gross_weight_kg", "quantity")
_PLACES = ("origin_country", "dispatch_country", "trading_country")
_OTHERS = {"contract_holder": "unknown", "carrier": "logistics", "maker": "manufacturer"}
_FLOWS = {
    **dict.fromkeys(("export", "exports", "exp", "ex", "e", "x", "эк", "экспорт", "outbound"), "export"),
    **dict.fromkeys(("import", "imports", "imp", "im", "i", "m", "им", "импорт", "inbound"), "import"),
    **dict.fromkeys(("re-export", "reexport", "rx", "реэкспорт"), "re-export"),
    **dict.fromkeys(("re-import", "reimport", "rm", "реимпорт"), "re-import"),
}


def load_shipments(
    paths: str | Path | Sequence[str | Path], *, mapping: str | Path | None = None, columns: dict[str, str] | None = None,
    products: str | Sequence[str] | None = None, since: str | None = None, until: str | None = None,
    countries: Sequence[str] | None = None, keep_rejects: str | Path | None = None,
) -> TradeNetwork:
    """A network of firms from customs declarations or bills of lading: every row a trade, or counted as rejected.

    Parameters
    ----------
    paths
        One file or several: CSV, TSV, semicolons, gzip, Parquet or .xlsx.
    mapping
        Name of a mapping that comes with the package, or a TOML file. Without it, columns are known by the names of their
        roles, or by the ready mapping that fits best.
    columns
        Column by role, over those of the mapping; an empty name takes a role out.
    products, since, until, countries
        Load only what `TradeNetwork.where` would keep; the rest is counted as "not asked for" in `sources.rejected`.
    keep_rejects
        File to which the rejected rows are appended as CSV, with their reasons.

    Returns
    -------
    TradeNetwork
        - `trades`: one row per record, the exporter as seller and the importer as buyer, dated by its day. Basis is
          `recorded`. `x_carrier_id`, `x_contract_holder_id`, `x_dispatch_country`, `x_trading_country` and
          `x_gross_weight_kg` (kg) where the file has these roles, and the columns mapped to `x_...` as
          text.
        - `actors`: carriers have the role `logistics`, makers `manufacturer`, unless they also trade; others `unknown`.
          Parties without a name are one placeholder for each country.
        - `sources`: one row per file with its counts; `note` says what was assumed.

    Raises
    ------
    InputError
        If a file or mapping cannot be read, a needed column is missing, or dates or amounts can be read in two ways.
    UnknownNameError
        If a mapping or role is not known.

    Notes
    -----
    Rows with the same declaration and item are one record: equal ones are repeats, and of different ones the latest holds, by
    the column of the role `amendment` or else by the order of the file. Without a version, rows of other parties or another
    HS heading are other goods: all are kept and counted in the note ("numbers used twice"). Without both numbers, equal rows
    are kept and counted in the note: they may be shipments of their own. All this holds within one file; rows of several
    files add up, even if they are the same.

    Values in other currencies are converted at the mean of the daily ECB rates of the month, or of the year if the date is
    a whole year; else, or where there is no rate, `value_usd` is not given. `fx_rate` is missing where the file itself gives
    the dollars of another currency. If nothing says who reported, `reported_by` is the title of the mapping or "customs
    records", the same for all files. Imports count as dispatched (partner concept `consignment`): the exporter is who sent the
    goods, not who made them.

    Cautions: such files hold what was declared. One firm may stand under many spellings; names are not joined here.

    Examples
    --------
    >>> load_shipments("declarations.csv.gz", mapping="russian_customs", products="chips")  # doctest: +SKIP
    """
    files = [paths] if isinstance(paths, str | Path) else list(paths)
    if not files:
        raise InputError("no file given; name at least one file of shipments")
    given = None if mapping is None else read_mapping(mapping)
    if columns:
        given = with_columns(given or Mapping(columns={role: (role,) for role in ROLES}), columns)
    asked: dict[str, Any] = {"products": products, "since": since, "until": until, "countries": countries}
    networks = [_load(Path(path), given, asked, keep_rejects) for path in files]
    return networks[0] if len(networks) == 1 else concat(networks)


def _load(path: Path, given: Mapping | None, asked: dict[str, Any], keep_rejects: str | Path | None) -> TradeNetwork:
    about = given or Mapping()
    with open_table(path, encoding=about.encoding, sheet=about.sheet, header_row=about.header_row) as opened:
        _refuse_garbled(opened, about)
        mapping = given or fitting(opened.header, opened.file)
        chosen = choose(mapping, opened.header, opened.file)
        picked = pick(opened, dict(chosen))
        stated = {role: text for role, text in mapping.constants.items() if role not in chosen}
        if "value" in chosen and "currency" not in chosen | stated:
            raise InputError(f"{opened.file}: {chosen['value'][:60]!r} has no currency; map a column, or state one in [constants]")
        firms = _Firms()
        table = _understood(opened, picked.mutate(**{role: ibis.literal(text) for role, text in stated.items()}), mapping, firms)
        faults = _faults(table)
        table, n_twice = _superseded(opened, table, faults, chosen)
        late: list[Rule] = [
            (REPEAT, "declaration", table["late"] == "repeat"), (AMENDED, "declaration", table["late"] == "amended"),
        ] if "late" in table.columns else []
        wanted = asked_rules(table, **asked, code="code", sides=("seller_place", "buyer_place"))
        named = {**chosen, "code": chosen.get("hs_code")}
        checked = split(opened, table, [*faults, *late, *wanted], named)
        write_rejects(opened, checked, keep_rejects)
        trades = coded_frame(opened, _rows(checked.kept, mapping))
        source_id = f"shipments:{opened.sha256[:12]}"
        counts = source_counts(opened, checked)
    n_repeats = int(trades.pop("repeated").sum())
    fixed = {"source_id": source_id, "basis": "recorded"}
    fixed |= {} if "reported_by" in trades else {"reported_by": stated.get("reported_by") or mapping.title or "customs records"}
    trades = trades.assign(**{name: constant(text, trades.index) for name, text in fixed.items()})
    source = {
        "source_id": source_id, "title": mapping.title or opened.file, "redistributable": False,
        "note": _note(opened, mapping, chosen, stated, trades, n_repeats, n_twice), **counts,
    }
    return TradeNetwork(level="firms", actors=firms.used(trades), trades=trades, sources=pd.DataFrame([source]))


def _refuse_garbled(opened: Opened, about: Mapping) -> None:
    """Raises where names would be read in a wrong encoding: Latin-1 has no signs for the bytes 80 to 9F."""
    if opened.encoding == "latin-1" and about.encoding is None:
        fields = [opened.records[f"c{i}"].re_search(GARBLED) for i in range(len(opened.header))]
        if any(map(re.compile(GARBLED).search, opened.header)) or opened.records.filter(ibis.or_(*fields)).count().to_pyarrow().as_py():
            raise InputError(
                f"{opened.file} is neither UTF-8 nor Windows-1251 nor Latin-1; say its encoding, such as encoding = 'cp866', "
                f"'windows-1254' or 'windows-1252' in a mapping (`chiptrail map {opened.file}` proposes one)"
            )


class _Firms:
    """The firms named so far; the same id is one firm, under the first of its spellings."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, str]] = {}

    def party(self, name: str, country: str) -> tuple[str, str, str]:
        """Id of a seller or buyer, its country, and what is at fault: `name` or `country`."""
        try:
            code = place(country)
        except ChiptrailError:
            return "", "", "country"
        if nobody(name):
            if not code:
                return "", "", "name"
            return self._add("placeholder", code, f"Unnamed firm in {country_name(code)}", "unknown"), code, ""
        return self._add("company", code, name, "unknown"), code, ""

    def other(self, role: str, name: str, country: str = "") -> tuple[str]:
        """Id of a firm that takes part in another way; empty if none is named."""
        unnamed = no_maker(name) if role == "manufacturer" else nobody(name)
        return (("" if unnamed else self._add("company", place(country), name, role)),)

    def used(self, trades: pd.DataFrame) -> pd.DataFrame:
        """The table of the firms that trades name; who buys or sells is no mere carrier or maker."""
        sides = {*trades["seller_id"].unique(), *trades["buyer_id"].unique()}
        names = [name for name in ("maker_id", "x_carrier_id", "x_contract_holder_id") if name in trades]
        ids = sides.union(*(trades[name].unique() for name in names)) - {""}
        rows = [self._rows[i] | ({"role": "unknown"} if i in sides else {}) for i in sorted(ids)]
        return conform(pd.DataFrame(rows), "actors")

    def _add(self, kind: str, country: str, name: str, role: str) -> str:
        new = actor_id(kind, country, name)
        row = self._rows.setdefault(new, {"actor_id": new, "name": name, "kind": kind, "role": role, "country": country})
        if row["role"] != role and role != "unknown":
            row["role"] = role
        return new


def _understood(opened: Opened, table: ir.Table, mapping: Mapping, firms: _Firms) -> ir.Table:
    """The records with ids, codes and days, found once for each distinct text, and amounts as plain numbers."""
    held = set(table.columns)
    table = table.mutate(**{role: ibis.literal("") for role in ("exporter", "exporter_country", "importer", "importer_country",
                                                                "hs_code", "date", "currency", "flow") if role not in held})
    dates = {text for name in ("date", "amendment") if name in held
             for text in table.select(name).distinct().to_pyarrow()[name].to_pylist()}
    orders = day_orders(sorted(dates), mapping.day_first, opened.file)
    both = days(orders)
    steps: list[Any] = [
        (["exporter", "exporter_country"], ["seller_id", "seller_place", "seller_fault"], firms.party),
        (["importer", "importer_country"], ["buyer_id", "buyer_place", "buyer_fault"], firms.party),
        (["date"], ["first_day", "last_day"], both),
        (["hs_code"], ["code", "code_fault"], _code(table)),
        (["currency"], ["currency_code"], lambda text: (currency(text),)),
        (["flow"], ["flow_name"], lambda text: (_FLOWS[text.casefold()] if text.casefold() in _FLOWS else _refuse(text),)),
    ]
    for role, kind in _OTHERS.items():
        keys = [name for name in (role, f"{role}_country") if name in held]
        if role in held:
            steps.append((keys, [f"{role}_id"], lambda *texts, kind=kind: firms.other(kind, *texts)))
    steps += [([role], [f"{role}_code"], lambda text: (place(text),)) for role in _PLACES if role in held]
    if "amendment" in held:
        steps.append((["amendment"], ["version"], lambda text: (_version(text, orders),)))
    if "value" in held:
        steps.append((["currency", "date"], ["rate"], lambda text, day: (_rate(currency(text), _rate_period(*both(day))),)))
    table = translate(table, *steps)
    amounts = [name for name in _AMOUNTS if name in held]
    signs = decimal_signs(table, amounts, mapping.decimal, opened.file, typed=opened.encoding in ("xlsx", "parquet"))
    return table.mutate(**{
        f"{name}_number": plain_amount(table[name], signs[name]) if name in signs else table[name] for name in amounts})


def _code(table: ir.Table) -> Any:
    """A function from a text to the digits of its HS code and what is at fault.

    Nine digits are a code that lost its zero only where the file also has codes of ten.
    """
    ten = table.filter(table["hs_code"].length() >= 10).select("hs_code").distinct().to_pyarrow()["hs_code"].to_pylist()
    lost = {1, 3, 5, 7} | ({9} if any(len(_digits(text)) == 10 for text in ten) else set())

    def code(text: str) -> tuple[str, str]:
        digits = _digits(text)
        if digits and not re.fullmatch("[0-9]{1,12}", digits):
            return digits, "digits"
        return digits, "zero" if len(digits) in lost else ""

    return code


def _digits(text: str) -> str:
    return re.sub(r"[\s.\-]", "", text)


def _refuse(text: str) -> str:
    if text:
        raise InputError(f"{text[:40]!r} is no flow")
    return "export"


@cache
def _rate(code: str, period: str) -> str:
    """The rate of a month or year as text; empty if there is none."""
    found = usd_rates([(code, period)]) if code and period else {}
    return repr(found[code, period]) if found else ""


def _rate_period(first: str, last: str) -> str:
    """The month in which both days lie, or the year that they span; empty if neither."""
    if first[:7] == last[:7]:
        return first[:7]
    return first[:4] if (first[5:], last[5:]) == ("01-01", "12-31") and first[:4] == last[:4] else ""


def _version(text: str, orders: dict[str, str]) -> str:
    """A text that sorts as versions follow each other: numbers, else days with their time."""
    if not text:
        return ""
    if re.fullmatch(NUMBER, text):
        return f"{float(text):030.6f}"
    return " ".join(moment(text, orders))


def _faults(table: ir.Table) -> list[Rule]:
    """Why a record is rejected, in the order in which it is asked."""
    held = set(table.columns)
    rules: list[Rule] = []
    for (party, country), side in zip(PARTIES, ("seller", "buyer"), strict=True):
        fault = table[f"{side}_fault"]
        rules += [(f"unknown country of the {party}", country, fault == "country"),
                  (f"no {party}: neither name nor country", party, fault == "name")]
    rules += [(f"unknown country of the {role.replace('_', ' ')}", f"{role}_country", table[f"{role}_id"].isnull())
              for role in _OTHERS if {role, f"{role}_country"} <= held]
    rules += [("unknown " + role.replace("_country", " country"), role, table[f"{role}_code"].isnull())
              for role in _PLACES if role in held]
    rules += [
        ("date is no day, month or year", "date", table["first_day"].isnull()),
        ("date lies in the future", "date", table["first_day"] > date.today().isoformat()),
        ("HS code lost its leading zero (it has an odd number of digits)", "hs_code", table["code_fault"] == "zero"),
        ("HS code is not 2 to 12 digits", "hs_code", table["code_fault"] == "digits"),
        ("flow is no export or import", "flow", table["flow_name"].isnull()),
        ("currency is no code such as USD", "currency", table["currency_code"].isnull()),
    ]
    for name in _AMOUNTS:
        if name in held:
            rules += amount_rules(name, table[f"{name}_number"])
    if "value" in held:
        rules.append(("value without a currency", "value", (table["value"] != "") & (table["currency_code"] == "")))
    if "version" in held:
        rules.append(("amendment is no date or number", "amendment", table["version"].isnull()))
    return rules


def _superseded(opened: Opened, table: ir.Table, faults: Sequence[Rule], chosen: dict[str, str]) -> tuple[ir.Table, int]:
    """The records with `late`: whether another of the same declaration and item repeats or replaces them.

    Where no row of a number says which version it is, other parties or another HS heading are other goods, not a version:
    also returned is how many numbers are used twice so.
    """
    if not {"declaration", "item"} <= chosen.keys():
        return table, 0
    bad = ibis.or_(table["shape"] != 0, *(condition.fill_null(False) for _, _, condition in faults))
    number_given = (table["declaration"] != "") & (table["item"] != "")
    sound = table.filter(number_given & ~bad)
    sound = sound.select(
        "row", "declaration", "item", key=ibis.struct({"d": sound["declaration"], "i": sound["item"]}).hash(),
        content=ibis.struct({role: sound[role] for role in sorted(chosen)}).hash(),
        goods=ibis.struct({"s": sound["seller_id"], "b": sound["buyer_id"], "c": sound["code"].substr(0, 4)}).hash(),
        version=sound["version"] if "version" in sound.columns else ibis.literal(""),
    )
    sound = opened.engine.create_table("numbered", sound)
    count = sound.group_by("key").agg(n=sound.count())
    several = sound.semi_join(count.filter(count["n"] > 1), "key")
    versions = several["version"].max().over(group_by=["declaration", "item"])
    several = several.mutate(goods=ibis.ifelse(versions == "", several["goods"], several["goods"].nullif(several["goods"])))
    record = ["declaration", "item", "goods"]
    newest = ibis.window(group_by=record, order_by=[ibis.desc("version"), ibis.desc("row")])
    several = several.mutate(
        last=several["content"].first().over(newest),
        place=ibis.row_number().over(ibis.window(group_by=[*record, "content"], order_by="row")),
    )
    late = ibis.cases((several["content"] != several["last"], "amended"), (several["place"] > 0, "repeat"), else_="")
    late_rows = opened.engine.create_table("late", several.select(late_row="row", late=late).filter(lambda t: t["late"] != ""))
    goods = several.group_by(["declaration", "item"]).agg(n=several["goods"].nunique())
    n_twice = goods.filter(goods["n"] > 1).count().to_pyarrow().as_py()
    return table.left_join(late_rows, table["row"] == late_rows["late_row"]).drop("late_row").mutate(
        late=lambda t: t["late"].fill_null("")), n_twice


def _rows(kept: ir.Table, mapping: Mapping) -> ir.Table:
    """The records kept in the columns of `trades`, without those that are the same in all."""
    held = set(kept.columns)
    amounts = {name: number(kept[f"{name}_number"]) for name in _AMOUNTS if name in held}
    usd = amounts.get("value_usd", ibis.null("float64"))
    own = amounts.get("value", ibis.null("float64"))
    given = own.notnull()
    rate = kept["rate"].nullif("").try_cast("float64") if "rate" in held else ibis.null("float64")
    foreign = given & (kept["currency_code"] != "USD")
    rate = ibis.cases((foreign & usd.notnull(), ibis.null("float64")), (foreign, rate),
                      (given | usd.notnull(), 1.0), else_=ibis.null("float64"))
    flow = kept["flow_name"]
    texts: dict[str, ir.Value] = {name: kept[name] for name in ("goods", "quantity_unit", "reported_by") if name in held}
    texts |= {f"x_{role}": kept[role] for role in ("declaration", "item") if role in held}
    texts |= {"x_gross_weight_kg": amounts["gross_weight_kg"]} if "gross_weight_kg" in amounts else {}
    texts |= {name: kept[name] for name in sorted(mapping.columns) if name.startswith("x_") and name in held}
    texts |= {name: kept[f"{name}_code"] for name in ("origin_country",) if name in held}
    texts |= {f"x_{name}": kept[f"{name}_code"] for name in ("dispatch_country", "trading_country") if name in held}
    texts |= {new: kept[old] for new, old in (("maker_id", "maker_id"), ("x_carrier_id", "carrier_id"),
                                              ("x_contract_holder_id", "contract_holder_id")) if old in held}
    return kept.select(
        "row", "seller_id", "buyer_id", "repeated", hs_code=kept["code"],
        period_start=kept["first_day"].nullif("").cast("timestamp"), period_end=kept["last_day"].nullif("").cast("timestamp"),
        value=own.coalesce(usd), currency=ibis.cases((given, kept["currency_code"]), (usd.notnull(), "USD"), else_=""),
        fx_rate=rate, value_usd=usd.coalesce(own * rate), flow=flow,
        partner_concept=ibis.ifelse(flow.isin(["import", "re-import"]), "consignment", "destination"),
        **{name: amounts[name] for name in ("weight_kg", "quantity") if name in amounts}, **texts,
    )


def _note(opened: Opened, mapping: Mapping, chosen: dict[str, str], stated: dict[str, str], trades: pd.DataFrame,
          n_repeats: int, n_twice: int) -> str:
    notes = [f"Layout from {mapping.source}." if mapping.source else ""]
    unused = [name for name in opened.header if name not in chosen.values()]
    if unused:
        notes.append("Columns not used: " + ", ".join(name[:60] for name in unused) + ".")
    if "flow" not in chosen | stated:
        notes.append("No flow: all rows count as exports.")
    if "date" not in chosen | stated:
        notes.append("No date: all trades are undated.")
    unconverted = int((trades["value"].notna() & trades["value_usd"].isna()).sum())
    if unconverted:
        notes.append(f"{unconverted} values in other currencies have no rate for their time: their value_usd is not given.")
    if n_repeats:
        notes.append(f"{n_repeats} rows repeat an earlier row in every field and are kept: they may be shipments of their own.")
    if n_twice:
        notes.append(f"{n_twice} numbers used twice: the same declaration and item, but other parties or HS headings; all are kept.")
    if opened.encoding not in ("utf-8", "parquet", "xlsx"):
        notes.append(f"Read as {opened.encoding}.")
    return " ".join(note for note in notes if note)
