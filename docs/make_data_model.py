"""Writes docs/data-model.md from graphmodel/schema.py and docs/data-model-notes.md: `python docs/make_data_model.py`."""

from pathlib import Path

from chiptrail.graphmodel.schema import COUNT, DATE, FLAG, KEYS, NUMBER, REFERENCES, TABLES, TEXT, Column

HERE = Path(__file__).resolve().parent
PAGE = HERE / "data-model.md"
NOTES = HERE / "data-model-notes.md"

INTRODUCTION = """# The data model

<!-- Made by docs/make_data_model.py from graphmodel/schema.py and docs/data-model-notes.md: change those, then `make docs`. -->

A trade network is a set of tables; every graph is a view of them. A network states its level: `firms` (records between
legal entities) or `countries` (statistics between economies). The two overlap and never stand in one network.

Text is never null: empty text means "not given". Numbers and dates that are not given are missing (NaN, NaT).
Columns marked *required* must be given in every row; the others may be left out. Your own columns may stand in every table
when their names begin with `x_`.
"""

ROWS = {
    "actors": "One row is a country, a bloc, a firm or other body, a weapon, or a placeholder for somebody unnamed.",
    "trades": "One row is one recorded flow of goods. All tellings of a flow are kept; sums count it once.",
    "links": "One row is a relation that is not trade: it never has a value.",
    "listings": "One row is one actor on one list of sanctions or controls.",
    "totals": "One row is an aggregate as its source reports it. Totals are never actors, and never added to their parts.",
    "coverage": "One row says what one source covers of one reporter's trade: it parts zero from *not observed*.",
    "sources": "One row is one source that was read, with the count of its rows.",
}
TYPES = {TEXT: "text", NUMBER: "number", COUNT: "whole number", DATE: "date", FLAG: "true or false"}


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, *(_section(name, columns) for name, columns in TABLES.items()), NOTES.read_text(encoding="utf-8")]
    return "\n".join(parts)


def _section(name: str, columns: tuple[Column, ...]) -> str:
    lines = [f"## {name}", "", ROWS[name], ""]
    if name in KEYS:
        lines += [f"Key: `{KEYS[name]}`, unique in the table.", ""]
    references = [f"`{column}` in `{other}.{key}`" for table, column, other, key in REFERENCES if table == name]
    if references:
        lines += [f"References, where given: {', '.join(references)}.", ""]
    lines += ["| column | type | unit | required | allowed values | meaning |", "|---|---|---|---|---|---|"]
    lines += [_line(column) for column in columns]
    return "\n".join(lines) + "\n"


def _line(column: Column) -> str:
    values = ", ".join(value or "(empty)" for value in column.values)
    cells = [f"`{column.name}`", TYPES[column.dtype], column.unit, "yes" if column.required else "", values, column.meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
