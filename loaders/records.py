"""From the records of a file to rows kept and rows rejected, each with its reason: read = kept + rejected.

A loader picks the columns it understands, translates distinct codes, and states in order why a row may be rejected.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.datatypes as dt
import numpy as np
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
from chiptrail.loaders.reader import NUMBER, Opened, stored_table

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
_PLAIN = r"^([0-9]{1,18}(\.[0-9]*)?)?$"
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

    others = [field for name, field in place.items() if name not in columns.values()]

    def chosen(records: ir.Table) -> ir.Table:
        rest = [ibis.ifelse(_edged(records[c], opened.blanks), records[c].strip(), records[c]).fill_null("") for c in others]
        texts = {new: ibis.literal("") if name is None else records[place[name]].fill_null("") for new, name in columns.items()}
        return records.select("shape", rest=reduce(_hashed, rest, (records["shape"] + 1).cast("uint64")), **texts)

    picked = opened.store("picked", chosen)
    texts = [new for new, name in columns.items() if name is not None]
    if texts and picked.filter(ibis.or_(*(_edged(picked[new], opened.blanks) for new in texts))).count().to_pyarrow().as_py():
        picked = stored_table(opened.engine, "trimmed", picked.mutate(**{new: picked[new].strip() for new in texts}))
        opened.engine.raw_sql("DROP TABLE picked")
    whole = reduce(_hashed, [picked[new] for new in texts], picked["rest"])
    several = _twice(opened.engine.con.sql(picked.select(whole=whole).compile()).fetchnumpy()["whole"])
    if not len(several):
        return picked.mutate(repeated=ibis.literal(False)).drop("rest")
    alike = picked.filter(whole.isin(ibis.memtable(pa.table({"whole": several}))["whole"]))
    alike = alike.mutate(first=alike["row"].min().over(group_by=["rest", *texts]))
    again = opened.engine.create_table("again", alike.filter(alike["row"] > alike["first"]).select(again="row"))
    found = picked.left_join(again, picked["row"] == again["again"])
    return found.mutate(repeated=found["again"].notnull()).drop("again", "rest")


def _edged(text: ir.StringValue, blanks: str) -> ir.BooleanValue:
    """Whether a text begins or ends with a blank; much cheaper than to strip it."""
    return ((text >= "\t") & (text < "!")) | ibis.or_(*map(text.endswith, blanks))


@ibis.udf.scalar.builtin(name="hash", signature=((dt.uint64, dt.string), dt.uint64))
def _hashed(seed: int, text: str) -> int:
    """The engine's hash of a number and a text."""
    raise NotImplementedError


def _twice(values: np.ndarray) -> np.ndarray:
    """The values that occur more than once."""
    values.sort()
    return np.unique(values[1:][values[1:] == values[:-1]])


def translate(table: ir.Table, *steps: Translation) -> ir.Table:
    """The table with new text columns, found once for each distinct combination of values; null where it is refused.

    The rows are stored anew with a number in place of each combination, and the table given is gone.

    Parameters
    ----------
    table
        A table made from `pick`.
    steps
        Columns, names of the new columns, and the function from the values of the one to those of the other; it raises a
        ChiptrailError to refuse.
    """
    engine: Any = table.get_backend()
    numbered, known = table, []
    for i, (columns, new, function) in enumerate(steps):
        asked = table.select(*columns).distinct().order_by(list(columns)).to_pyarrow()
        found: list[tuple[str | None, ...]] = []
        for values in zip(*(column.to_pylist() for column in asked.columns), strict=True):
            try:
                found.append(function(*values))
            except ChiptrailError:
                found.append((None,) * len(new))
        answers = list(zip(*found, strict=True)) or [()] * len(new)
        arrays = [*asked.columns, *(pa.array(answer, pa.string()) for answer in answers), pa.array(range(len(asked)), pa.int32())]
        names = [f"{name}:{i}" for name in columns]
        told = ibis.memtable(pa.table(dict(zip([*names, *new, f"number:{i}"], arrays, strict=True))))
        known.append(engine.create_table(f"known_{i}", told))
        same = [numbered[name] == known[i][key] for name, key in zip(columns, names, strict=True)]
        numbered = numbered.left_join(known[i], same).drop(*names, *new)
    coded = {name: i for i, (columns, _, _) in enumerate(steps) for name in columns}
    stored = stored_table(engine, "coded", numbered.drop(*coded))
    for name in ("picked", "trimmed"):
        engine.raw_sql(f"DROP TABLE IF EXISTS {name}")
    for i, told in enumerate(known):
        stored = stored.left_join(told, f"number:{i}").drop(f"number:{i}")
        stored = stored.rename({name: f"{name}:{i}" for name, place in coded.items() if place == i})
    stored = stored.drop(*(name for name in stored.columns if re.search(r":\d+$", name)))
    return engine.create_view("understood", stored)


def number(text: ir.StringValue) -> ir.FloatingValue:
    """The number that a text states as a plain decimal, null if it states none (`nan`, `inf`, `1,5`, `1_000`)."""
    return ibis.ifelse(text.re_search(NUMBER), text, ibis.null("string")).try_cast("float64")


def amount_rules(column: str, text: ir.StringValue) -> list[Rule]:
    """Rules that reject a text which is given and is no finite number of zero or more."""
    value, plain = number(text), text.re_search(_PLAIN)
    bad = (text != "") & (value.isnull() | (value == float("inf")) | (value == float("-inf")))
    return [(f"{column} is not a number", column, ibis.ifelse(plain, False, bad)),
            (f"{column} is negative", column, ibis.ifelse(plain, False, value < 0))]


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
    broken = ibis.cases(*((condition, ibis.literal(i, "int16")) for i, (_, _, condition) in enumerate(every)),
                        else_=ibis.literal(-1, "int16"))
    judged = stored_table(opened.engine, "judged", table.select(at="row", broken=broken))
    found = judged.group_by("broken").agg(n=judged.count()).order_by("broken").to_pyarrow().to_pylist()
    judged = judged.filter(judged["broken"] >= 0)
    rejected = table.inner_join(judged, table["row"] == judged["at"]).drop("at")

    def by_rule(rows: ir.Table, values: Sequence[Any]) -> ir.Value:
        return ibis.cases(*((rows["broken"] == i, value) for i, value in enumerate(values)), else_="")

    def told(rows: ir.Table) -> ir.Table:
        return rows.select(
            "row", reason=by_rule(rows, [reason for reason, _, _ in every]),
            column=by_rule(rows, [columns.get(name) or name for _, name, _ in every]),
            value=by_rule(rows, [rows[name] if name else "" for _, name, _ in every]),
        ).order_by("row")

    counts: Counter[str] = Counter()
    for row in found:
        if row["broken"] >= 0:
            counts[every[row["broken"]][0]] += row["n"]
    few = judged.mutate(place=ibis.row_number().over(group_by="broken", order_by="at"))
    few = table.inner_join(few.filter(few["place"] < _N_EXAMPLES), table["row"] == few["at"])
    examples: dict[str, list[str]] = {reason: [] for reason in sorted(counts)}
    for row in told(few).to_pyarrow().to_pylist() if counts else ():
        what = f"row {row['row']}" + (f": {row['column']} = {row['value'][:80]!r}" if row["column"] else "")
        if len(examples[row["reason"]]) < _N_EXAMPLES:
            examples[row["reason"]].append(what)
    n_read = sum(row["n"] for row in found)
    if n_read and n_read == sum(n for reason, n in counts.items() if not reason.startswith(NOT_ASKED)):
        shown = "; ".join(f"{counts[reason]:,} {reason} ({', '.join(texts[:2])})" for reason, texts in examples.items())
        raise InputError(f"{opened.file}: none of its {n_read:,} rows can be kept: {shown}; correct the file and load it again")
    return Checked(
        kept=(table.anti_join(judged, table["row"] == judged["at"]) if counts else table).drop("shape"),
        rejected=rejected.mutate(reason=by_rule(rejected, [reason for reason, _, _ in every])).drop("broken"),
        rejects=told(rejected), n_read=n_read, counts={reason: counts[reason] for reason in examples}, examples=examples,
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
    """The table in memory, in the order of `row`, which gives way to `trade_id` and `record_ref`; the engine is closed then.

    Texts that repeat become categories. The rows come in parts, and what `translate` found comes as codes.
    """
    _encode_known(opened)
    parts: list[pa.Table] = []
    repeated, texts = [], {}
    for part in opened.engine.con.sql(table.compile()).to_arrow_reader(_PART):
        if not parts:
            texts = {field.name: part[field.name].dictionary for field in part.schema if pa.types.is_dictionary(field.type)}
            repeated = [
                field.name for field in part.schema if pa.types.is_string(field.type) and field.name != "goods"
                and 2 * pc.count_distinct(part[field.name]).as_py() <= max(part.num_rows, _FEW)
            ]
        own = {name: _own(part, name) for name in part.schema.names if name not in repeated and name not in texts}
        own |= {name: pc.dictionary_encode(part[name]) for name in repeated}
        own |= {name: pa.DictionaryArray.from_arrays(part[name].indices.cast(pa.int32()), known) for name, known in texts.items()}
        parts.append(pa.table(own))
    if not parts:
        return frame(table).assign(trade_id="", record_ref="").drop(columns="row")
    opened.engine.disconnect()
    arrow = pa.concat_tables(parts).unify_dictionaries()
    del parts, part, own
    order = arrow.column("row").to_numpy().argsort(kind="stable")
    columns = {}
    for name in arrow.column_names:  # one at a time, so that no second table stands in memory
        columns[name] = arrow.select([name]).to_pandas()[name].array.take(order)
        arrow = arrow.drop_columns(name)
        pa.default_memory_pool().release_unused()
    found = pd.DataFrame(columns, copy=False)
    return found.assign(**_record_texts(opened, found.pop("row")))


def _own(part: pa.RecordBatch, name: str) -> pa.Array:
    """A column in memory of its own; taken as it is, it would keep all columns of the part."""
    alone = part.select([name])
    return pa.ipc.read_record_batch(alone.serialize(), alone.schema).column(0)


def _record_texts(opened: Opened, row: pd.Series) -> dict[str, pd.Series]:
    """What `record_columns` gives, made in memory."""
    texts = [pa.array(row.to_numpy()[start : start + _PART]).cast(pa.string()) for start in range(0, len(row), _PART)]
    ids = [pc.binary_join_element_wise(f"{opened.sha256[:16]}-", pc.utf8_lpad(text, 10, "0"), "") for text in texts]
    places = [pc.binary_join_element_wise(f"{opened.file}:", text, "") for text in texts]
    return {"trade_id": pa.chunked_array(ids).to_pandas(), "record_ref": pa.chunked_array(places).to_pandas()}


def _encode_known(opened: Opened) -> None:
    """Turns the texts found by `translate` into codes within the engine; Ibis, which does not know it, still sees texts."""
    run = opened.engine.con.execute
    texts = run("SELECT table_name, column_name FROM duckdb_columns() WHERE table_name LIKE 'known_%' AND data_type = 'VARCHAR'"
                " AND column_name NOT LIKE '%:%'").fetchall()
    for i, (table, column) in enumerate(texts):
        if run(f'SELECT max("{column}") FROM {table}').fetchone()[0] is None:
            continue
        run(f'CREATE TYPE texts_{i} AS ENUM (SELECT DISTINCT "{column}" FROM {table} WHERE "{column}" IS NOT NULL ORDER BY 1)')
        run(f'ALTER TABLE {table} ALTER "{column}" TYPE texts_{i}')
    for (view,) in run("SELECT sql FROM duckdb_views() WHERE view_name = 'understood'").fetchall():
        run(view.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))


def source_counts(opened: Opened, checked: Checked) -> dict[str, Any]:
    """The columns of the table `sources` that the reader knows: file, hash, rows read and kept, rejects by reason.

    `x_rejected_examples` holds up to five rejected rows by reason, a JSON object of texts.
    """
    return {
        "file": opened.file, "sha256": opened.sha256, "rows_read": checked.n_read, "rows_kept": checked.n_kept,
        "rejected": json.dumps(checked.counts, sort_keys=True, ensure_ascii=False),
        "x_rejected_examples": json.dumps(checked.examples, sort_keys=True, ensure_ascii=False),
    }
