"""Spoilt files: whatever is done to an input, it is refused with a reason that names it, or no row of it goes uncounted.

`spoilt.py` spoils and loads them, in processes of its own, so that a crash is seen.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openpyxl
import pandas as pd
import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.shipments import load_shipments
from chiptrail.loaders.tables import load_tables

PROGRAM = Path(__file__).with_name("spoilt.py")
MOST_CASES = 18
"""Of the 22 cases, so many at least must have files that load and files that are refused; a twentieth may miss a rare one."""


@pytest.mark.soak
def test_spoilt_files_are_refused_or_counted(campaign):
    seeds = campaign(10_000)
    n_parts = max(os.cpu_count() or 1, len(seeds) // 250)

    def run(part):
        command = [sys.executable, PROGRAM, *map(str, seeds[part::n_parts])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()], done.returncode, done.stderr[-3000:]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = list(pool.map(run, range(n_parts)))
    for _, code, told in parts:
        assert code == 0, told
    results = [result for part, _, _ in parts for result in part]
    wrong = [result for result in results if result["outcome"] not in ("loaded", "refused")]
    assert not wrong, f"{len(wrong)} of {len(results)}: {wrong[:5]}"
    assert {result["seed"] for result in results} == set(seeds)
    counts = Counter((result["case"], result["outcome"]) for result in results)
    for outcome in ("loaded", "refused"):
        assert len({case for case, came in counts if came == outcome}) >= MOST_CASES, counts


def test_a_header_of_empty_names_is_refused(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text('"",""\n1,2\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"trades\.csv has no header"):
        load_tables(path)


@pytest.mark.parametrize("form", ["parquet", "xlsx"])
def test_damage_within_a_file_is_told(form, tmp_path):
    path = tmp_path / f"trades.{form}"
    if form == "parquet":
        pd.DataFrame({"seller": ["A"], "buyer": ["B"]}).to_parquet(path)
    else:
        book = openpyxl.Workbook()
        book.active.append(["seller", "buyer"])
        book.active.append(["A", "B"])
        book.save(path)
    whole = bytearray(path.read_bytes())
    at = len(whole) - 60 if form == "parquet" else whole.index(b"xl/worksheets/sheet1.xml") + 40
    whole[at : at + 20] = b"\xff" * 20
    path.write_bytes(whole)
    with pytest.raises(InputError, match=path.name):
        load_tables(path)


def test_a_text_with_a_comma_is_no_doubtful_amount(tmp_path):
    path = tmp_path / "shipments.csv"
    path.write_text('exporter,importer,quantity\nExample Ltd,Sample LLC,"a,b"\nExample Ltd,Sample LLC,5\n', encoding="utf-8")
    assert json.loads(load_shipments(path).sources["rejected"].iloc[0]) == {"quantity is not a number": 1}
    path.write_text('exporter,importer,quantity\nExample Ltd,Sample LLC,"1,234"\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"shipments\.csv: quantity"):
        load_shipments(path)


def test_the_country_of_a_role_without_the_role_is_no_fault(tmp_path):
    path = tmp_path / "shipments.csv"
    path.write_text("exporter,importer,contract_holder_country\nExample Ltd,Sample LLC,KZ\n", encoding="utf-8")
    assert len(load_shipments(path).trades) == 1
