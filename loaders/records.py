"""From the records of a file to rows kept and rows rejected, each with its reason: read = kept + rejected.

A loader picks the columns it understands, translates distinct codes, and states in order why a row may be rejected.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from chiptrail.graphmodel.errors import ChiptrailError, InputError
from chiptrail.loaders.reader import NUMBER, Opened

Rule = tuple[str, str, ir.BooleanValue]
"""Why a row is rejected: the reason in words, the column at fault, and the condition."""

Translation = tuple[Sequence[str], Sequence[str], Callable[..., tuple[str, ...]]]
"""Columns, new columns, and the function that gives the values of these from the values of those."""

REPEAT = "repeats an earlier row"
"""The reason for a row that equals an earlier one in every field."""

_N_EXAMPLES = 5


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
    texts = {
        new: ibis.literal("") if name is None else opened.records[place[name]].strip().fill_null("")
        for new, name in columns.items()
    }
    fields = [opened.records[name].strip().fill_null("") for name in place.values()]
    whole = ibis.literal("\x1f").join([opened.records["shape"].cast("string"), *fields]).hexdigest("md5")
    picked = opened.engine.create_table("picked", opened.records.select("row", "shape", whole=whole, **texts))
    count = picked.group_by("whole").agg(n=picked.count(), first=picked["row"].min())
    twice = count.filter(count["n"] > 1).select(same="whole", first="first")
    found = picked.left_join(twice, picked["whole"] == twice["same"])
    return found.mutate(repeated=(found["row"] > found["first"]).fill_null(False)).drop("whole", "same", "first")


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
        rows = []
        for values in table.select(*columns).distinct().order_by(list(columns)).to_pyarrow().to_pylist():
            try:
                found: tuple[str | None, ...] = function(*values.values())
            except ChiptrailError:
                found = (None,) * len(new)
            rows.append((*values.values(), *found))
        keys = [f"key_{name}" for name in columns]
        names = [*keys, *new]
        schema = pa.schema([(name, pa.string()) for name in names])
        known = ibis.memtable(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], schema=schema))
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
    checked = opened.engine.create_table("checked", table.mutate(broken=broken))

    def by_rule(values: Sequence[Any]) -> ir.Value:
        return ibis.cases(*((checked["broken"] == i, value) for i, value in enumerate(values)), else_="")

    rejected = checked.filter(checked["broken"] >= 0).mutate(reason=by_rule([reason for reason, _, _ in every]))
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
    n_read = checked.count().to_pyarrow().as_py()
    if n_read and n_read == sum(row["n"] for row in counted):
        told = "; ".join(f"{row['n']:,} {row['reason']} ({', '.join(examples[row['reason']][:2])})" for row in counted)
        raise InputError(f"{opened.file}: none of its {n_read:,} rows can be kept: {told}; correct the file and load it again")
    return Checked(
        kept=checked.filter(checked["broken"] < 0).drop("broken", "shape"), rejected=rejected.drop("broken"), rejects=rejects,
        n_read=n_read, counts={row["reason"]: row["n"] for row in counted}, examples=examples,
    )


def record_columns(opened: Opened, table: ir.Table) -> dict[str, ir.StringValue]:
    """The columns `id` (hash of the file's sha256 and the row) and `record_ref` (file and row) of a table."""
    row = table["row"].cast("string")
    return {
        "id": (ibis.literal(opened.sha256 + ":") + row).hexdigest("md5").substr(0, 20),
        "record_ref": ibis.literal(opened.file + ":") + row,
    }


def frame(table: ir.Table) -> pd.DataFrame:
    """The table in memory, in column types of its own; a row never becomes a Python object."""
    return table.to_pyarrow().to_pandas()


def source_counts(opened: Opened, checked: Checked) -> dict[str, Any]:
    """The columns of the table `sources` that the reader knows: file, hash, rows read and kept, rejects by reason.

    `x_rejected_examples` holds up to five rejected rows by reason, a JSON object of texts.
    """
    return {
        "file": opened.file, "sha256": opened.sha256, "rows_read": checked.n_read, "rows_kept": checked.n_kept,
        "rejected": json.dumps(checked.counts, sort_keys=True, ensure_ascii=False),
        "x_rejected_examples": json.dumps(checked.examples, sort_keys=True, ensure_ascii=False),
    }
