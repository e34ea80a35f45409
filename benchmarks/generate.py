"""Shipments between invented firms, of a stated size and seed: makers in the USA, hubs, buyers in Russia, and others.

Values are heavy-tailed, few firms carry most of the trade, and names hold commas, quotes and accents. Nobody sells to the USA and
nobody in Russia sells on, so every chain from the USA to Russia runs through hubs.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

GROUPS = {
    "maker": (0.05, ("USA",)),
    "hub": (0.15, ("KAZ", "TUR", "ARE", "HKG", "CHN", "KGZ", "ARM")),
    "buyer": (0.60, ("RUS",)),
    "other": (0.20, ("DEU", "TWN", "MYS", "JPN", "IND")),
}
"""Share of all firms, and countries, by group."""

LEGS = {("maker", "hub"): 0.30, ("hub", "hub"): 0.10, ("hub", "buyer"): 0.35, ("other", "hub"): 0.15, ("other", "buyer"): 0.05,
        ("maker", "buyer"): 0.05}
"""Share of all shipments by groups of seller and buyer."""

CODES = ("854231", "854232", "854239", "854110", "854121", "847330", "851762", "903020", "880730", "853400", "901380", "848210")
NAMES = ("Ostwind Handel {}, Ltd.", '"Меридиан {}" ООО', "Société Générique n° {}", "Çınar & Oğlu {} A.Ş.", 'Alpha "X" {}, Inc.')
FIRST_DAY, LAST_DAY = "2021-01-01", "2023-12-31"
PART = 1_000_000


def shipments(rows: int, firms: int, seed: int) -> pd.DataFrame:
    """Shipments in the columns of a plain table of trades; `date` is a day, `value_usd` in USD, `weight_kg` in kg."""
    return pd.concat([part.to_pandas() for part in _parts(rows, firms, seed)], ignore_index=True).astype({"date": "datetime64[us]"})


def write_shipments(folder: Path, rows: int, firms: int, seed: int) -> Path:
    """The file `trades.csv` written into a folder, a million rows at a time."""
    path = folder / "trades.csv"
    writer = None
    for part in _parts(rows, firms, seed):
        writer = writer or csv.CSVWriter(path, part.schema)
        writer.write(part)
    if writer:
        writer.close()
    return path


def _parts(rows: int, firms: int, seed: int) -> Iterator[pa.Table]:
    """The shipments, at most a million at a time. Firms trade with few others: five shipments to a pair in the mean."""
    rng = np.random.default_rng(seed)
    names = np.array([NAMES[i % len(NAMES)].format(i) for i in range(firms)], dtype=object)
    country = np.empty(firms, dtype=object)
    group, start = {}, 0
    for name, (share, places) in GROUPS.items():
        stop = firms if name == "other" else start + max(2, round(share * firms))
        group[name] = np.arange(start, stop)
        country[start:stop] = rng.choice(places, stop - start)
        start = stop
    pairs = max(len(LEGS), rows // 5)
    kinds = rng.choice(len(LEGS), pairs, p=list(LEGS.values()))
    sellers, buyers = np.empty(pairs, dtype=int), np.empty(pairs, dtype=int)
    for i, (seller, buyer) in enumerate(LEGS):
        chosen = kinds == i
        sellers[chosen] = _popular(rng, group[seller], int(chosen.sum()))
        buyers[chosen] = _popular(rng, group[buyer], int(chosen.sum()))
    different = sellers != buyers
    sellers, buyers = sellers[different], buyers[different]
    for begin in range(0, rows, PART):
        yield _part(np.random.default_rng([seed, begin]), min(PART, rows - begin), sellers, buyers, names, country)


def _part(
    rng: np.random.Generator, rows: int, sellers: np.ndarray, buyers: np.ndarray, names: np.ndarray, country: np.ndarray
) -> pa.Table:
    pair = rng.integers(0, len(sellers), rows)
    seller, buyer = sellers[pair], buyers[pair]
    days = np.datetime64(FIRST_DAY) + rng.integers(0, (np.datetime64(LAST_DAY) - np.datetime64(FIRST_DAY)).astype(int) + 1, rows)
    value = np.round(np.exp(rng.normal(9, 2, rows)), 2)
    same = {"flow": "export", "basis": "recorded", "reported_by": "Example customs"}
    return pa.table({
        "seller": pa.array(names[seller], pa.string()), "seller_country": pa.array(country[seller], pa.string()),
        "buyer": pa.array(names[buyer], pa.string()), "buyer_country": pa.array(country[buyer], pa.string()),
        "hs_code": pa.array(rng.choice(np.array(CODES, dtype=object), rows), pa.string()), "date": pa.array(days, pa.date32()),
        "value_usd": value, "weight_kg": np.round(value / rng.uniform(20, 2000, rows), 3),
    } | {name: pa.array(np.full(rows, text, dtype=object), pa.string()) for name, text in same.items()})


def _popular(rng: np.random.Generator, members: np.ndarray, n: int) -> np.ndarray:
    weight = 1 / np.arange(1, len(members) + 1) ** 0.8
    return rng.choice(members, n, p=weight / weight.sum())
