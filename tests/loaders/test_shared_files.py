"""Every file of trade in the folder of public data loads with the loader for it, or is refused with a reason that is right."""

import json
from pathlib import Path

import pytest

from chiptrail.graphmodel.errors import InputError
from chiptrail.loaders.comext import load_comext
from chiptrail.loaders.comtrade import load_comtrade
from chiptrail.loaders.tables import load_tables

TRADE = ("armenia", "comtrade", "eurostat_comext", "mirror_totals", "taiwan_customs")
LOADED = {
    "comtrade/comtrade_hs8542_exports_to_world_annual_2013_2024.csv": (load_comtrade, 1_686),
    "comtrade/comtrade_hs8542_exports_to_world_monthly_2025-01_2025-08.csv": (load_comtrade, 396),
    "eurostat_comext/eu27_exports_cn8_monthly_2020-01_2022-11.csv.gz": (load_comext, 1_141_670),
    "eurostat_comext/comext_workbook_sample.xlsx": (load_comext, 224_532),
}
"""Loader and rows read, which in the workbook are the cells."""
ALL_GOODS = "all goods together, no HS code"
REFUSED = {
    "mirror_totals/eu_year_export": [(load_comext, f"none of its .* rows can be kept: [0-9,]+ {ALL_GOODS} \\([^)]*\\);")],
    "mirror_totals/national_data_converted": [(load_comext, f"none of its .* rows can be kept: [0-9,]+ {ALL_GOODS} \\([^)]*\\);")],
    # one economy's totals over all partners, or over all goods: no flow between two economies in known goods
    "armenia/armenia_reexports_hs6_monthly.csv": [(load_comext, "no column .*'PARTNER'"), (load_comtrade, "no column .*partner"),
                                                  (load_tables, "no column .*'buyer'")],
    "armenia/armenia_trade_by_country_monthly.csv": [(load_comext, "no column .*'partner', 'cn'"), (load_comtrade, "no column .*cmdCode"),
                                                     (load_tables, "no column .*'seller'")],
}
"""Loaders that a user might try, and what each says."""
ELSEWHERE = {
    "taiwan_customs/taiwan_exports_by_country_2013_2025.csv": "tests/test_docs_loader.py",
    "taiwan_customs/country_name_map_full.json": "names, no trade",
}


def files(shared: Path) -> list[str]:
    data = shared / "data"
    return sorted(str(path.relative_to(data)) for folder in TRADE for path in (data / folder).rglob("*") if path.is_file())


def place(name: str) -> str:
    return next((key for key in REFUSED if name.startswith(key)), "")


def test_every_file_is_known_here(shared):
    unknown = [name for name in files(shared) if name not in LOADED and name not in ELSEWHERE and not place(name)]
    assert unknown == []
    assert len(files(shared)) >= len(LOADED) + len(ELSEWHERE) + len(REFUSED)


@pytest.mark.parametrize("name", LOADED)
def test_it_loads_with_nothing_lost(shared, name):
    load, n_rows = LOADED[name]
    # one heading only, so that the largest file need not be held; every row is read all the same
    network = load(shared / "data" / name, products="8542")
    [source] = network.sources.to_dict("records")
    assert source["rows_read"] == n_rows == source["rows_kept"] + sum(json.loads(source["rejected"]).values())
    assert source["rows_kept"] == len(network.trades) + len(network.totals)


@pytest.mark.parametrize("key", REFUSED)
def test_it_is_refused_with_the_right_reason(shared, key):
    names = [name for name in files(shared) if place(name) == key]
    assert names
    for name in names:
        for load, reason in REFUSED[key]:
            with pytest.raises(InputError, match=f"(?s){Path(name).name}.*{reason}"):
                load(shared / "data" / name)
