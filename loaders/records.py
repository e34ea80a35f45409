"""From the records of a file to rows kept and rows rejected, each with its reason: read = kept + rejected.

A loader picks the columns it understands, translates distinct codes, and states in order why a row may be rejected.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from ibis.expr import types as ir

from chiptrail.graphmodel.coded import REPEATED
from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.graphmodel.periods import window
from chiptrail.graphmodel.products import match, product_codes
from chiptrail.graphmodel.schema import KEYS, TABLES
from chiptrail.graphmodel.selection import places
from chiptrail.loaders.reader import NUMBER, Opened

Rule = tuple[str, str, ir.BooleanValue]
"""Why a row is rejected: the reason in words, the column at fault, and the condition."""

Translation = tuple[Sequence[str], Sequence[str], Callable[..., tuple[str, ...]]]
"""Columns, new columns, and the function that gives the values of these from the values of those."""

REPEAT = "repeats an earlier row"
"""The reason for a row that equals an earlier one in every field."""

NOT_ASKED = "not asked for: "
"""How the reasons for rows begin that are sound but outside of the products, period or countries asked for."""

_N_EXAMPLES = 5
_PART, _FEW = 500_000, 1000
_REJECT_COLUMNS = ("file", "row", "reason", "column", "value", "record")


@dataclass(frozen=True)
class Checked:
    """Rows kept and rejected: `rejects` has row, reason, column and value, in the order of the file.

    `counts` holds the number rejected by reason, `examples` up to five of them by reason, for messages; `rejected` has
    the rows rejected with all their columns, `shape` and `reason`.
    """

    kept: ir.Table
    rejected: ir.Table
    rejects: ir.Table
    n_read: int
    counts: dict[str, int]
    examples: dict[str, list[str]]

    @property
    def n_kept(self) -> int:
        """Rows read less rows rejected."""
        return self.n_read - sum(self.counts.values())


def pick(opened: Opened, columns: Mapping[str, str | None]) -> ir.Table:
    """A table of chosen columns as trimmed text, never null, with `row`, `shape` and `repeated`; the file is read once.

    `repeated` is whether an earlier row has the same text in every field, those not chosen too.

    Parameters
    ----------
    opened
        The file.
    columns
        New name of each column and its name in the header, or None where the file has no such column.
    """
    place = {name: f"c{i}" for i, name in enumerate(opened.header)}

    def chosen(records: ir.Table) -> ir.Table:
        fields = {name: _trimmed(records[name]) for name in place.values()}
        texts = {new: ibis.literal("") if name is None else fields[place[name]] for new, name in columns.items()}
        return records.select("shape", whole=ibis.struct(fields | {"shape": records["shape"]}).hash(), **texts)

    picked = opened.store("picked", chosen)
    count = picked.group_by("whole").agg(n=picked.count())
    alike = picked.semi_join(count.filter(count["n"] > 1), "whole")
    alike = alike.mutate(first=alike["row"].min().over(group_by=["whole", *columns]))
    again = opened.engine.create_table("again", alike.filter(alike["row"] > alike["first"]).select(again="row"))
    found = picked.left_join(again, picked["row"] == again["again"])
    return found.mutate(repeated=found["again"].notnull()).drop("whole", "again")


def _trimmed(text: ir.StringValue) -> ir.StringValue:
    """The text without blanks around it; the engine strips slowly, so only where there are some."""
    edged = ibis.or_(text < "!", *(text.endswith(blank) for blank in " \t\r\n\v\f"))
    return ibis.ifelse(edged, text.strip(), text).fill_null("")


def translate(table: ir.Table, *steps: Translation) -> ir.Table:
    """The table with new text columns, found once for each distinct combination of values; null where it is refused.

    Parameters
    ----------
    table
        A table made from `pick`.
    steps
        Columns, names of the new columns, and the function from the values of the one to those of the other; it raises a
        ChiptrailError to refuse.
    """
    joined = table
    for columns, new, function in steps:
        asked = table.select(*columns).distinct().order_by(list(columns)).to_pyarrow()
        found: list[tuple[str | None, ...]] = []
        for values in zip(*(column.to_pylist() for column in asked.columns), strict=True):
            try:
                found.append(function(*values))
            except ChiptrailError:
                found.append((None,) * len(new))
        keys = [f"key_{name}" for name in columns]
        answers = list(zip(*found, strict=True)) or [()] * len(new)
        arrays = [*asked.columns, *(pa.array(answer, pa.string()) for answer in answers)]
        known = ibis.memtable(pa.Table.from_arrays(arrays, names=[*keys, *new]))
        same = [joined[name] == known[key] for name, key in zip(columns, keys, strict=True)]
        joined = joined.left_join(known, same).drop(*keys)
    return joined


def number(text: ir.StringValue) -> ir.FloatingValue:
    """The number that a text states as a plain decimal, null if it states none (`nan`, `inf`, `1,5`, `1_000`)."""
    return ibis.ifelse(text.re_search(NUMBER), text, ibis.null("string")).try_cast("float64")


def amount_rules(column: str, text: ir.StringValue) -> list[Rule]:
    """Rules that reject a text which is given and is no finite number of zero or more."""
    value = number(text)
    bad = (text != "") & (value.isnull() | (value == float("inf")) | (value == float("-inf")))
    return [(f"{column} is not a number", column, bad), (f"{column} is negative", column, value < 0)]


def asked_rules(
    table: ir.Table, *, products: str | Sequence[str] | None, since: str | None, until: str | None,
    countries: Sequence[str] | None, code: str = "hs_code", version: str = "hs_version", product_set: str = "product_set",
    first: str = "first_day", last: str = "last_day", sides: tuple[str, str] = ("seller_id", "buyer_id"),
) -> list[Rule]:
    """Rules that reject what was not asked for, with the meaning of `TradeNetwork.where`; put them after those of faults.

    Parameters
    ----------
    table
        A table made from `pick`.
    products, since, until, countries
        The question; None asks for all.
    code, version, product_set
        Columns of HS codes, HS versions and product sets; `version` and `product_set` may be missing.
    first, last
        Columns of the first and last day, dates or ISO text; empty if unknown.
    sides
        Columns of the two parties: country codes or ids of actors.

    Raises
    ------
    UnknownNameError
        If a product list or a country is not known.
    InputError
        If a period or HS code is not well-formed.
    """
    rules: list[Rule] = []
    if products is not None:
        names = [name if name in table.columns else None for name in (code, product_set, version)]
        goods = ibis.literal("\x1f").join([ibis.literal("") if n is None else table[n].fill_null("") for n in names])
        found = frame(table.select(key=goods).distinct())
        parts = found["key"].str.split("\x1f", expand=True).reindex(columns=range(3)).fillna("")
        fits = match(product_codes(products), parts[0], parts[1], parts[2])
        asked = found.loc[fits["within"] | fits["coarse"], "key"]
        known = ibis.memtable(pa.table({"asked": pa.array(asked, pa.string())}))
        rules.append((f"{NOT_ASKED}product", code, goods.notin(known["asked"])))
    start, end = window(since, until)
    if start is not None:
        rules.append((f"{NOT_ASKED}period", first, ~(_date(table[first]) >= start.date()).fill_null(False)))
    if end is not None:
        rules.append((f"{NOT_ASKED}period", last, ~(_date(table[last]) <= end.date()).fill_null(False)))
    if countries is not None:
        codes = sorted(places(countries))
        seller, buyer = (table[side].fill_null("").re_replace("^[a-z]+:([A-Z0-9]+):.*$", "\\1") for side in sides)
        rules.append((f"{NOT_ASKED}country", sides[1], ~(seller.isin(codes) | buyer.isin(codes))))
    return rules


def _date(day: ir.Value) -> ir.Value:
    return day.nullif("").try_cast("date") if day.type().is_string() else day.cast("date")


def split(opened: Opened, table: ir.Table, rules: Sequence[Rule], columns: Mapping[str, str | None]) -> Checked:
    """Rows kept and rows rejected, each with the first rule that it breaks.

    Rows with fewer or more fields than the header are rejected first.

    Parameters
    ----------
    opened, table
        The file and a table made from `pick`.
    rules
        Reason, column and condition of each rule, in order.
    columns
        The columns as given to `pick`: rejects are named as the file names them.
    """
    shape: list[Rule] = [
        ("fewer fields than the header", "", table["shape"] == -1),
        ("more fields than the header", "", table["shape"] == 1),
    ]
    every = [*shape, *rules]
    broken = ibis.cases(*((condition, i) for i, (_, _, condition) in enumerate(every)), else_=-1)
    checked = table.mutate(broken=broken)
    checked = opened.engine.create_table("checked", checked.filter(checked["broken"] >= 0))

    def by_rule(values: Sequence[Any]) -> ir.Value:
        return ibis.cases(*((checked["broken"] == i, value) for i, value in enumerate(values)), else_="")

    rejected = checked.mutate(reason=by_rule([reason for reason, _, _ in every]))
    rejects = rejected.select(
        "row", "reason",
        column=by_rule([columns.get(name) or name for _, name, _ in every]),
        value=by_rule([checked[name] if name else "" for _, name, _ in every]),
    ).order_by("row")
    counted = rejects.group_by("reason").agg(n=rejects.count()).order_by("reason").to_pyarrow().to_pylist()
    first = rejects.mutate(place=ibis.row_number().over(group_by="reason", order_by="row"))
    examples: dict[str, list[str]] = {row["reason"]: [] for row in counted}
    for row in first.filter(first["place"] < _N_EXAMPLES).order_by("row").to_pyarrow().to_pylist():
        what = f"row {row['row']}" + (f": {row['column']} = {row['value'][:80]!r}" if row["column"] else "")
        examples[row["reason"]].append(what)
    n_read = opened.engine.table("picked").count().to_pyarrow().as_py() - (opened.first_row == 1)
    if n_read and n_read == sum(row["n"] for row in counted if not row["reason"].startswith(NOT_ASKED)):
        told = "; ".join(f"{row['n']:,} {row['reason']} ({', '.join(examples[row['reason']][:2])})" for row in counted)
        raise InputError(f"{opened.file}: none of its {n_read:,} rows can be kept: {told}; correct the file and load it again")
    return Checked(
        kept=table.anti_join(checked, "row").drop("shape"), rejected=rejected.drop("broken"), rejects=rejects,
        n_read=n_read, counts={row["reason"]: row["n"] for row in counted}, examples=examples,
    )


def write_rejects(opened: Opened, checked: Checked, path: str | Path | None) -> None:
    """Nothing; appends the rejected rows to a CSV file: file, row, reason, column, value, record.

    `record` is a JSON object of all fields as in the file. Nothing is written if `path` is None.

    Raises
    ------
    InputError
        If the file exists and is not one of rejected rows.
    """
    if path is None:
        return
    path = Path(path)
    header = ",".join(f'"{name}"' for name in _REJECT_COLUMNS) + "\n"
    begun = path.exists() and path.stat().st_size > 0
    if begun:
        with open(path, "rb") as file:
            if file.readline() != header.encode():
                raise InputError(f"{path.name} exists and is no file of rejected rows; choose another name")
    records = opened.records
    beyond = [records[c] for c in records.columns if c.startswith("c") and int(c[1:]) >= len(opened.header)]
    fields = {name: records[f"c{i}"] for i, name in enumerate(opened.header)}
    more = {"(beyond the header)": ibis.literal(opened.delimiter).join(beyond)} if beyond else {}
    texts = ibis.ifelse(records["shape"] == 1, ibis.struct(fields | more).cast("json").cast("string"),
                        ibis.struct(fields).cast("json").cast("string"))
    texts = records.select(at="row", record=texts)
    rejects = checked.rejects
    rows = rejects.inner_join(texts, rejects["row"] == texts["at"]).mutate(file=ibis.literal(opened.file))
    found = rows.select(*_REJECT_COLUMNS).order_by("row").to_pyarrow()
    with open(path, "ab") as out:
        if not begun:
            out.write(header.encode())
        pyarrow.csv.write_csv(found, out, pyarrow.csv.WriteOptions(include_header=False))


def record_columns(opened: Opened, table: ir.Table) -> dict[str, ir.StringValue]:
    """The columns `id` (the file's hash and the row, so that ids sort as the file does) and `record_ref` (file and row)."""
    row = table["row"].cast("string")
    return {
        "id": ibis.literal(opened.sha256[:16] + "-") + row.lpad(10, "0"),
        "record_ref": ibis.literal(opened.file + ":") + row,
    }


def frame(table: ir.Table) -> pd.DataFrame:
    """The table in memory, in column types of its own; a row never becomes a Python object."""
    return table.to_pyarrow().to_pandas()


def network_frame(rows: ir.Table, table: str) -> pd.DataFrame:
    """The rows in memory, sorted by key, with the columns that a table of the network has and those under `x_`.

    Texts of trades that repeat are categories.
    """
    names = {column.name for column in TABLES[table]}
    chosen = rows.select(*(name for name in rows.columns if name in names or name.startswith("x_"))).order_by(KEYS[table])
    found = chosen.to_pyarrow()
    if table == "trades":
        for i, name in enumerate(found.column_names):
            if name in REPEATED:
                found = found.set_column(i, name, found[name].combine_chunks().dictionary_encode())
    return found.to_pandas()


def coded_frame(opened: Opened, table: ir.Table) -> pd.DataFrame:
    """The table in memory, with texts that repeat as categories; the rows come in parts, as texts only for a moment."""
    parts, repeated = [], None
    for part in opened.engine.con.sql(table.compile()).to_arrow_reader(_PART):
        if repeated is None:
            repeated = [
                field.name for field in part.schema
                if pa.types.is_string(field.type) and field.name not in ("trade_id", "record_ref", "goods")
                and 2 * pc.count_distinct(part[field.name]).as_py() <= max(part.num_rows, _FEW)
            ]
        rest = part.drop_columns(repeated)
        rest = pa.ipc.read_record_batch(rest.serialize(), rest.schema)  # a column alone would keep the whole part in memory
        codes = [pc.dictionary_encode(part[name]) for name in repeated]
        parts.append(pa.Table.from_arrays([*rest.columns, *codes], names=[*rest.schema.names, *repeated]))
    if not parts:
        return frame(table)
    return pa.concat_tables(parts).unify_dictionaries().to_pandas(split_blocks=True, self_destruct=True)


def source_counts(opened: Opened, checked: Checked) -> dict[str, Any]:
    """The columns of the table `sources` that the reader knows: file, hash, rows read and kept, rejects by reason.

    `x_rejected_examples` holds up to five rejected rows by reason, a JSON object of texts.
    """
    return {
        "file": opened.file, "sha256": opened.sha256, "rows_read": checked.n_read, "rows_kept": checked.n_kept,
        "rejected": json.dumps(checked.counts, sort_keys=True, ensure_ascii=False),
        "x_rejected_examples": json.dumps(checked.examples, sort_keys=True, ensure_ascii=False),
    }
