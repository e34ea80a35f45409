"""Shipments between invented firms, of a stated size and seed: makers in the USA, hubs, buyers in Russia, and others.

Values are heavy-tailed, few firms carry most of the trade, and names hold commas, quotes and accents. Nobody sells to the USA and
nobody in Russia sells on, so every chain from the USA to Russia runs through hubs.
"""

from pathlib import Path

import numpy as np
import pandas as pd

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


def shipments(rows: int, firms: int, seed: int) -> pd.DataFrame:
    """Shipments in the columns of a plain table of trades; `date` is a day, `value_usd` in USD, `weight_kg` in kg."""
    rng = np.random.default_rng(seed)
    names = np.array([NAMES[i % len(NAMES)].format(i) for i in range(firms)], dtype=object)
    country = np.empty(firms, dtype=object)
    group, start = {}, 0
    for name, (share, places) in GROUPS.items():
        stop = firms if name == "other" else start + max(2, round(share * firms))
        group[name] = np.arange(start, stop)
        country[start:stop] = rng.choice(places, stop - start)
        start = stop
    kinds = rng.choice(len(LEGS), rows, p=list(LEGS.values()))
    sellers, buyers = np.empty(rows, dtype=int), np.empty(rows, dtype=int)
    for i, (seller, buyer) in enumerate(LEGS):
        chosen = kinds == i
        sellers[chosen] = _popular(rng, group[seller], int(chosen.sum()))
        buyers[chosen] = _popular(rng, group[buyer], int(chosen.sum()))
    kept = sellers != buyers
    days = pd.date_range(FIRST_DAY, LAST_DAY)
    value = np.round(np.exp(rng.normal(9, 2, rows)), 2)
    table = pd.DataFrame({
        "seller": names[sellers], "seller_country": country[sellers], "buyer": names[buyers], "buyer_country": country[buyers],
        "hs_code": rng.choice(CODES, rows), "date": rng.choice(days, rows), "value_usd": value,
        "weight_kg": np.round(value / rng.uniform(20, 2000, rows), 3), "flow": "export", "basis": "recorded",
        "reported_by": "Example customs",
    })
    return table[kept].reset_index(drop=True)


def write_shipments(folder: Path, rows: int, firms: int, seed: int) -> Path:
    """The file `trades.csv` written into a folder."""
    path = folder / "trades.csv"
    shipments(rows, firms, seed).to_csv(path, index=False, encoding="utf-8", lineterminator="\n", date_format="%Y-%m-%d")
    return path


def _popular(rng: np.random.Generator, members: np.ndarray, n: int) -> np.ndarray:
    weight = 1 / np.arange(1, len(members) + 1) ** 0.8
    return rng.choice(members, n, p=weight / weight.sum())
