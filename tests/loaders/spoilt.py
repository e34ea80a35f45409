"""Spoils the samples of all loaders in the ways that seeds say, loads them, and prints what came of each as a line of JSON."""

import contextlib
import csv
import gc
import gzip
import io
import json
import math
import os
import random
import re
import sys
import tempfile
import traceback
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
ROLES = {"exporter": "Shipper", "importer": "Consignee", "importer_country": "Consignee Country", "value_usd": "Value of Goods (USD)",
         "date": "Arrival Date", "hs_code": "HS Code", "carrier": "Carrier"}
CASES = {
    **{f"comtrade {name}": ("comtrade", f"{name}.csv", {}, ()) for name in (
        "comtrade_28", "comtrade_29", "comtrade_35", "comtrade_35_api", "comtrade_47", "comtrade_47_monthly")},
    "comext long": ("comext", "comext_long.csv", {}, ("value",)),
    "comext view": ("comext", "comext_view.csv", {}, ("VALUE_IN_EUR",)),
    "comext bulk": ("comext", "full202201.dat", {}, ("VALUE_EUR",)),
    "comext old bulk": ("comext", "full200101.dat", {}, ("VALUE_IN_EUROS",)),
    "comext workbook": ("comext", "", {}, ()),
    "baci": ("baci", "BACI_HS17_Y2022_V202601.csv", {}, ("v",)),
    "baci again": ("baci", "BACI_HS17_Y2022_V202601.csv", {"hs_version": "HS2017"}, ("v",)),
    "shipments": ("shipments", "shipments.csv", {}, ("value",)),
    "shipments columns": ("shipments", "panjiva.csv", {"columns": ROLES}, ("Value of Goods (USD)",)),
    "shipments panjiva": ("shipments", "panjiva.csv", {}, ("Value of Goods (USD)",)),
    "shipments panjiva_exports": ("shipments", "panjiva_exports.csv", {"mapping": "panjiva_exports"}, ("Value of Goods (USD)",)),
    "shipments importgenius": ("shipments", "importgenius.csv", {"mapping": "importgenius"}, ()),
    "shipments volza": ("shipments", "volza.csv", {"mapping": "volza"}, ("Value in FC", "Estimated F.O.B Value $")),
    "shipments russian_customs": ("shipments", "russian_customs.csv", {"mapping": "russian_customs"}, (
        "G42 (Фактурная стоимость)", "G46 (Статистическая стоимость, USD.)")),
    "tables": ("tables", "trades.csv", {}, ("value", "value_usd")),
    "tables firms": ("tables", "trades.csv", {"level": "firms"}, ("value", "value_usd")),
}
"""Loader, sample, options, and the columns of the value: the first that a row gives is kept."""
WORKBOOK = [
    ["DS-045409 - EU trade since 1988"], [], ["FLOW", "EXPORT"], ["INDICATORS", "VALUE_IN_EUROS"], ["PARTNER", "Kazakhstan"], [],
    ["TIME", "", "2021-01", "2021-02", "2021-03", "2021-04"], ["REPORTER (Labels)", "PRODUCT (Labels)"],
    ["Germany", "8542 - Electronic integrated circuits", 1000, 20.5, ":", 0], ["Austria", "85423190 - Processors", 7, ":", ":c", 12],
    ["Austria", "8471 - Computers", 3, 4, 5, 6], ["France", "TOTAL - Total", 9, 9, 9, 9], ["Atlantis", "8542 - Circuits", 1, 1, 1, 1], [],
    ["Special value", ":"], [":", "not available"],
]
CELLS = (
    "", " ", "0", "-1", "-0", "+5", "1e400", "-1e400", "1e-400", "nan", "NaN", "inf", "-Infinity", str(10**30), "1e308", "0x10", "1_000",
    "٣", "１２", "1,5", "1.234,5", "1,234", "1 234,50", "1\u202f234", "12 345.6", "N/A", "NULL", ":", "\u22125", "1.", ".5", ".", "1e5",
    "1.0E+2", "2022", "2022-02-30", "0000-00-00", "9999-12-31", "31.12.2022", "12/31/2022", "02/03/2022", "202213", "2022-01/2021-01",
    "1899", "10000", "2022-07-20T00:00:00Z", "0001", "842", "999", "World", "USA", "Атлантида", "Côte d'Ivoire", "EU27", "8542", "854231",
    "0101", "101", "8542.31.00", "TOTAL", "8542XXXX", "X", "M", "export", "USD", "usd", "XXX",
    "=1+1", '=HYPERLINK("http://example.org";"x")', "@SUM(A1)", "-2+3", "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>',
    "'}) DETACH DELETE n //", "'; DROP TABLE x", "../../etc/passwd", "C:\\con", "/dev/null", "%s%n{0}", "$HOME", "a\nb", "a\r\nb",
    "a,b;c|d\te", 'a"b', '"', '""', "\ufeff", "\u202eabc", "\x01\x02", "\x1f", "\x7f", "\x85", "\u2028", "🚢", "e\u0301", "x" * 5000,
)
CONFIDENTIAL = (":c", ": c", "c")
"""How Comext writes a value that is kept secret: the record is kept without it."""
NAMES = ("", "a b ", "=cmd ", "o'neil ", "[1]*? ", "цены ", "<b> ", "100% {0} ", "$HOME ")


def in_rows(rng, rows):
    """One change to the records of a table, in place."""
    at, column = rng.randrange(len(rows)), rng.randrange(max(map(len, rows)) or 1)
    other = rng.randrange(len(rows))
    change = rng.choice(("cell", "cell", "cell", "cell", "cut", "double", "swap", "join", "short", "long", "columns swapped", "dropped",
                         "renamed", "doubled", "shuffled", "blank", "many"))
    if change in ("cell", "many"):
        for _ in range(1 if change == "cell" else 8):
            if row := rows[rng.randrange(min(1, len(rows) - 1), len(rows))]:
                row[rng.randrange(len(row))] = rng.choice(CELLS) if rng.random() < 0.99 else "1" * 1_000_000
    elif change == "cut":
        del rows[at : at + rng.choice((1, 1, 3, 100))]
    elif change == "double":
        rows[other:other] = [list(rows[at]) for _ in range(rng.choice((1, 1, 20)))]
    elif change == "swap":
        rows[at], rows[other] = rows[other], rows[at]
    elif change == "join":
        rows[at : at + 2] = [[cell for row in rows[at : at + 2] for cell in row]]
    elif change == "short":
        rows[at] = rows[at][: rng.randrange(len(rows[at]) + 1)]
    elif change == "long":
        rows[at] = rows[at] + rng.choices(("", "", "x", "1"), k=rng.choice((1, 2, 15, 40)))
    elif change == "shuffled":
        rows[1:] = rng.sample(rows[1:], len(rows) - 1)
    elif change == "blank":
        rows[at:at] = rng.choice(([[]], [[""]], [[" "]], [[""] * len(rows[0])]))
    else:
        with_header = change == "dropped" or rng.random() < 0.7
        to = rng.randrange(max(len(rows[0]), 1))
        for row in rows[0 if with_header else 1 :]:
            if column < len(row) and to < len(row):
                if change == "columns swapped":
                    row[column], row[to] = row[to], row[column]
                elif change == "dropped":
                    del row[column]
                elif change == "doubled":
                    row.insert(to, row[column])
        if change == "renamed" and column < len(rows[0]):
            rows[0][column] = rng.choice((*CELLS, rows[0][column].upper(), rows[0][column] + "_x", f" {rows[0][column]} "))
    if not rows:
        rows.append([""])


PIECES = (
    b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\x80", b"\xc3", b"\r", b"\n", b"\r\n", b"\n\n", b",", b";", b"\t", b'"', b"\x1a", b"\\",
    b"'", b"\xed\xa0\x80", b"\xc2\x85", "Ж".encode("cp1251"), "é".encode("latin-1"), "ab\n".encode("utf-16"),
)


def in_bytes(rng, content):
    """One change to the bytes of a file."""
    at = len(content) - min(rng.randrange(1, 9), len(content)) if rng.random() < 0.3 else rng.randrange(len(content) + 1)
    to = min(len(content), at + rng.choice((1, 1, 2, 5, 40, 400)))
    times = rng.choice((1, 3, -1))
    before, hit, after = content[:at], content[at:to], content[to:]
    change = rng.choice(("flip", "flip", "noise", "insert", "delete", "repeat", "cut", "encode", "quote", "line end", "delimiter"))
    if change == "flip":
        return before + bytes(byte ^ 1 << rng.randrange(8) for byte in hit[:1]) + hit[1:] + after
    if change == "noise":
        return before + rng.randbytes(len(hit)) + after
    if change == "insert":
        return before + rng.choice(PIECES) * rng.choice((1, 1, 3)) + hit + after
    if change == "encode":
        piece = hit.decode("utf-8", "replace") + "Ж é"
        return before + piece.encode(rng.choice(("utf-16", "utf-16-le", "cp1251", "latin-1", "utf-32")), "replace") + after
    if change == "line end":
        return content.replace(b"\n", rng.choice((b"\r\n", b"\r")), times)
    if change == "delimiter":
        return content.replace(b",", rng.choice((b";", b"\t", b"|", b":")), times)
    if change == "quote":
        return content.replace(b'"', b"", times) if rng.random() < 0.5 else before + b'"' + hit + after
    return before + {"delete": after, "repeat": hit * 2 + after, "cut": b""}[change]


def as_text(rng, rows):
    out = io.StringIO()
    dialect = {"delimiter": rng.choice(",,,,;\t|"), "lineterminator": rng.choice(("\n", "\n", "\n", "\r\n", "\r")),
               "quoting": rng.choice((csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL))}
    csv.writer(out, **dialect).writerows(rows)
    return out.getvalue().encode(rng.choice(("utf-8",) * 6 + ("utf-8-sig", "utf-16", "cp1251", "latin-1")), "replace")


def as_workbook(rows):
    import openpyxl

    book, content = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append([re.sub(r"[\x00-\x1f]", "?", cell[:30_000]) if isinstance(cell, str) else cell for cell in row])
    for row in book.active.iter_rows():
        for cell in row:
            cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    book.save(content)
    return content.getvalue()


def as_parquet(rows):
    import pyarrow as pa
    import pyarrow.parquet

    out, width = io.BytesIO(), len(rows[0])
    rows[:] = [(row + [""] * width)[:width] for row in rows]
    columns = [pa.array([row[i] for row in rows[1:]], pa.string()) for i in range(width)]
    pyarrow.parquet.write_table(pa.Table.from_arrays(columns, names=rows[0]), out)
    return out.getvalue()


def spoilt(rng, sample, name):
    """Name and content of a spoilt file, and its records where they are known beside it."""
    form = "workbook" if not sample else rng.choice(("text",) * 7 + ("gz", "parquet", "workbook"))
    rows = records((SAMPLES / sample).read_bytes(), "replace") if sample else [list(row) for row in WORKBOOK]
    n_rows, n_bytes = rng.choice(((1, 0), (2, 0), (4, 0), (1, 1), (0, 1), (0, 2), (0, 4)))
    for _ in range(n_rows):
        in_rows(rng, rows)
    stem = rng.choice(NAMES) + name.partition(".")[0]
    if form in ("parquet", "workbook"):
        content = as_parquet(rows) if form == "parquet" else as_workbook(rows)
        for _ in range(n_bytes):
            content = in_bytes(rng, content)
        return f"{stem}.{'xlsx' if form == 'workbook' else form}", content, form, rows if not n_bytes else None
    content = as_text(rng, rows)
    for _ in range(n_bytes):
        content = in_bytes(rng, content)
    ending = "." + name.partition(".")[2]
    if form == "gz":
        content, whole = gzip.compress(content, mtime=0), rng.random() < 0.6
        content = content if whole else in_bytes(rng, content)
        return f"{stem}{ending}.gz", content, form, records(gzip.decompress(content)) if whole else None
    return stem + ending, content, form, records(content)


def records(content, errors="surrogateescape"):
    """The records of a text as Python's own reader sees them, the header first, without blank lines; None if it sees none."""
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    text = content.decode("utf-16", "replace") if utf16 else content.decode("utf-8-sig", errors)
    header = text.replace("\r", "\n").lstrip("\n").partition("\n")[0]
    csv.field_size_limit(1 << 30)
    try:
        delimiter = max(",;\t|", key=lambda d: len(next(csv.reader([header], delimiter=d), [])))
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True) if row]
    except csv.Error:
        return None
    return rows or None


def as_loaders_know(name):
    """A column's name without regard to case, its bytes that are not UTF-8 as Latin-1."""
    return re.sub("[\udc80-\udcff]", lambda lone: chr(ord(lone[0]) - 0xDC00), name).casefold()


def readings(text):
    """The numbers that a text may mean, by a dot and by a comma before the decimals."""
    bare = re.sub(r"[\s'\u00a0\u202f]", "", text)
    for plain in (bare.replace(",", ""), bare.replace(".", "").replace(",", ".")):
        with contextlib.suppress(ValueError):
            yield float(plain)


def faults(case, network, folder, name, form, rows):
    """What is wrong with a network that was read from a spoilt file."""
    _, _, _, value_columns = CASES[case]
    trades, totals = network.trades, network.totals
    [source] = network.sources.to_dict("records")
    if source["rows_read"] != source["rows_kept"] + sum(json.loads(source["rejected"] or "{}").values()):
        yield "read is not kept and rejected"
    if source["rows_kept"] != len(trades) + len(totals):
        yield "kept is not trades and totals"
    for table in (trades, totals):
        numbers = table[[c for c in ("value", "value_usd", "weight_kg", "quantity", "fx_rate") if c in table]].astype("float64")
        if (numbers < 0).any(axis=None) or numbers.isin([math.inf]).any(axis=None):
            yield "a number is negative or without end"
        if case.startswith(("comtrade", "baci")) and table["value"].isna().any():
            yield "a value is missing"
    refs = [*trades["record_ref"], *totals["record_ref"]]
    found = [int(ref.removeprefix(f"{name}:")) for ref in refs]
    n_read = source["rows_read"]
    if len(set(found)) < len(found) or not set(found) <= set(range(2, n_read + 2)):
        yield f"rows kept are not rows of the file: {sorted(found)} of {n_read}"
    if (folder / "rejects.csv").exists():
        with open(folder / "rejects.csv", encoding="utf-8", newline="") as file:
            rejected = [int(row["row"]) for row in csv.DictReader(line.replace("\0", "") for line in file)]
        if sorted([*found, *rejected]) != list(range(2, n_read + 2)):
            yield f"rows kept and rejected are not all rows: {sorted([*found, *rejected])} of {n_read}"
    if case == "comext workbook":
        for row in trades.to_dict("records") if rows else ():
            column, line = re.search("!([A-Z])([0-9]+)$", row["x_cell"]).groups()
            text = str(rows[int(line) - 1][ord(column) - 65])
            if text not in CONFIDENTIAL and row["value"] != float(text):
                yield f"{row['x_cell']} has value {row['value']}, the sheet another"
        return
    if rows is None:
        return
    if form == "workbook":
        rows = [row + [""] * len(rows[0]) for row in rows if "".join(map(str, row)).strip(" ")]
    if n_read != len(rows) - 1:
        yield f"{n_read} rows read, {len(rows) - 1} in the file"
        return
    header = [cell.strip() for cell in rows[0]]
    plain = [as_loaders_know(cell) for cell in header]
    for table in (trades, totals):
        for row in table.to_dict("records"):
            record = rows[int(row["record_ref"].removeprefix(f"{name}:")) - 1]
            names = [row["x_value_column"]] if "x_value_column" in row else value_columns
            written = [(n, n.upper(), n.encode("cp1251", "replace").decode("utf-8", "surrogateescape")) for n in names]
            places = [[header.index(n) for n in ways if n in header] or [plain.index(n) for n in map(as_loaders_know, ways) if n in plain]
                      for ways in written]
            texts = [record[place].strip() for same in places for place in same]
            text = next(filter(None, texts), "")
            text = "" if case.startswith("comext") and text.lower() in CONFIDENTIAL else text
            times = 1_000 if case.startswith("baci") else 1
            if math.isnan(row["value"]) != (text == "") or (text and not any(
                    math.isclose(row["value"], times * number, rel_tol=1e-12) for number in readings(text))):
                yield f"{row['record_ref']} has value {row['value']}, the file {text[:40]!r}"


def tried(seed, folder):
    """What came of a seed: the case, and `loaded`, `refused` or what is wrong."""
    import pandas as pd

    import chiptrail
    from chiptrail.graphmodel.errors import ChiptrailError

    rng = random.Random(seed)
    nth, case = seed // len(CASES), list(CASES)[seed % len(CASES)]
    kind, sample, options, _ = CASES[case]
    name, content, form, rows = spoilt(rng, sample, sample or "workbook.xlsx")
    place, rejects = folder / "in", folder / "rejects.csv"
    place.mkdir(parents=True)
    path = place / name
    path.write_bytes(content)
    load = getattr(chiptrail, f"load_{kind}")
    try:
        network = load(path, **options, keep_rejects=rejects if nth % 2 else None)
        wrong = list(faults(case, network, folder, name, form, rows))
        if nth % 8 == 0:
            again = load(path, **options)
            for table in ("actors", "trades", "totals", "coverage", "sources"):
                pd.testing.assert_frame_equal(getattr(network, table), getattr(again, table))
        outcome = "loaded"
    except ChiptrailError as error:
        told, outcome = str(error), "refused"
        fair = name in told and len(name) + 20 < len(told) < 5_000
        wrong = [] if fair else [f"{type(error).__name__} tells too little or much: {told[:300]}"]
    except Exception as error:
        outcome, wrong = "fault", [f"{type(error).__name__}: {str(error)[:300]} {traceback.format_exc(limit=-2)[-600:]}"]
    if os.listdir(place) != [name] or path.read_bytes() != content:
        wrong.append("something was written beside the input, or to it")
    return {"seed": seed, "case": case, "form": form, "outcome": "; ".join(wrong) or outcome}


def main(seeds):
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = f"{folder}/tmp"
        Path(tempfile.tempdir).mkdir()
        for seed in seeds:
            sys.stdout.write(json.dumps(tried(seed, Path(folder) / str(seed))) + "\n")
            sys.stdout.flush()
        assert not os.listdir(tempfile.tempdir), "temporary files were left"


if __name__ == "__main__":
    main(map(int, sys.argv[1:]))
