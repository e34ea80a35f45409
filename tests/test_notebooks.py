"""Every notebook runs from top to bottom, and its numbers are those that its text states."""

import json
import warnings
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NEO4J = ROOT / "notebooks" / "03_neo4j.ipynb"
NUMBERS = {
    "01_first_look.ipynb": """
import json
kazakhstan = hubs.set_index("hub_id").loc["KAZ"]
print(json.dumps({
    "ranked": ranked["hub"].tolist(),
    "kazakhstan": [round(float(kazakhstan[c])) for c in ("inflow_usd", "inflow_before_usd", "outflow_usd", "outflow_before_usd")],
    "not covered": sorted(h for h in ("ARM", "KGZ", "ARE") if not_covered.loc[h, "inflow_coverage"] == "not covered"),
    "shares": [dispatched_coverage, round(float(origin_share), 3), round(float(brand_share), 3), int(parts["n_parts"].sum())],
    "eu": {hub: [round(float(v) / 1e6, 3) for v in row] for hub, row in eu[["inflow_original_before", "inflow_original"]].iterrows()},
    "makers": sorted({path.split(" → ")[0] for path in orlan.index}),
    "times": sorted(set(orlan["time"])) + listed.loc[listed.index.str.endswith("OOO Sovtest Comp"), "time"].tolist(),
    "months": [len(months), str(months["period_start"].max().date())],
    "graph": page.read_text("utf-8").count("Orlan-10") > 0,
}))
""",
    "02_how_sure_are_we.ipynb": """
import json
kazakhstan = both[both["hub"].eq("Kazakhstan")].set_index("year")
print(json.dumps({
    "kazakhstan": [round(float(v), 3) for v in kazakhstan["share_of_origin"]],
    "ordered": bool((both["usd_low"] <= both["usd_attributed"]).all() and (both["usd_attributed"] <= both["usd_high"]).all()),
    "members at most, million": [round(float(v) / 1e6, 2) for v in members.sort_values("usd_most", ascending=False)["usd_most"]],
    "no point": int(members["usd_attributed"].isna().sum()),
    "inside": int(compared["inside"].sum()) >= len(compared) - 1,
}))
""",
    "04_your_own_files.ipynb": """
import json
print(json.dumps({
    "kept and rejected": [int(records.sources["rows_kept"].iloc[0]), sorted(rejected["row"])],
    "euros": [float(v) for v in records.trades.loc[records.trades["currency"].eq("EUR"), "value"]],
    "route": [routes["path"].unique().tolist(), routes["leg_usd"].tolist(), routes["time"].unique().tolist()],
    "ranked": int(hubs["status"].eq("ranked").sum()),
    "mentions": mentions["record_ref"].tolist(),
    "shares": shares["share_covered"].dropna().round(4).tolist(),
    "exceeds": float(shares["exceeds_usd"].max()),
    "page": page.exists(),
}))
""",
    "03_neo4j.ipynb": """
import json
print(json.dumps({
    "trades": int(counts.set_index("what").loc["TRADED", "n"]),
    "firms": reaches.groupby("relation")["from_name"].nunique().to_dict(),
    "newcomers": bool(newcomers["first_seen"].astype(str).ge("2022-02-24").all()),
    "listed": len(listed),
    "equal": bool(back.equals(firms)),
    "page": page.exists(),
}))
""",
}
EXPECTED = {
    "01_first_look.ipynb": {
        "ranked": ["Hong Kong", "China", "Taiwan", "Kazakhstan", "Turkey"],
        "kazakhstan": [4273764, 2869207, 18258558, 245946],
        "not covered": ["ARE", "ARM", "KGZ"],
        "shares": [["not covered"], 0.049, 0.68, 5806],
        "eu": {"Kazakhstan": [5.433, 14.681], "Armenia": [0.35, 4.482], "Kyrgyzstan": [0.06, 1.682]},
        "makers": ["GA Universal", "Gumstix", "Qorvo"],
        "times": ["undated", "ordered"],
        "months": [105, "2022-11-01"],  # three countries, 35 months
        "graph": True,
    },
    "02_how_sure_are_we.ipynb": {
        "kazakhstan": [0.051, 0.049],
        "ordered": True,
        "members at most, million": [15.07, 4.6, 0.66],
        "no point": 3,
        "inside": True,
    },
    "04_your_own_files.ipynb": {
        "kept and rejected": [5, ["6", "8", "9"]],
        "euros": [9000.0, 15000.0],
        "route": [["Example Parts Inc. → Primer Trading LLP → ООО Образец"], [85000.5, 71000.0], ["ordered"]],
        "ranked": 0,
        "mentions": ["customs.csv:2", "customs.csv:4", "customs.csv:7"],
        "shares": [0.5, 0.75, 1.25],  # 71,000 of 142,000; 60,000 of 80,000; 25,000.50 of 20,000
        "exceeds": 5000.5,
        "page": True,
    },
    "03_neo4j.ipynb": {
        "trades": 97,
        "firms": {"makes the weapon": 1, "part found": 59, "sent to a maker": 2},
        "newcomers": True,
        "listed": 129,
        "equal": True,
        "page": True,
    },
}


def executed(path: Path, folder: Path, last_cell: str) -> nbformat.NotebookNode:
    """The notebook, run in a fresh kernel whose working folder is given, with one cell more at its end."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(last_cell, id="numbers"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter and its messages, not of ours: the kernel is another process
        NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


@pytest.fixture(autouse=True)
def own_jupyter(monkeypatch, tmp_path_factory):
    """The kernel of this very Python, without anybody's Jupyter settings."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(home / name.lower()))


def test_there_are_notebooks_and_each_has_its_numbers():
    assert {path.name for path in NOTEBOOKS} == set(NUMBERS) == set(EXPECTED)


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if path != NEO4J], ids=lambda path: path.stem)
def test_notebook_runs_and_gives_its_numbers(path, tmp_path):
    runs_and_gives_its_numbers(path, tmp_path)


def test_notebook_of_neo4j_runs_and_gives_its_numbers(neo4j_server, tmp_path, monkeypatch):
    for name, text in (("NEO4J_URI", neo4j_server.uri), ("NEO4J_USERNAME", neo4j_server.user), ("NEO4J_PASSWORD", neo4j_server.password)):
        monkeypatch.setenv(name, text)
    runs_and_gives_its_numbers(NEO4J, tmp_path)


def runs_and_gives_its_numbers(path, tmp_path):
    notebook = executed(path, tmp_path, NUMBERS[path.name])
    assert json.loads(notebook.cells[-1].outputs[-1].text) == EXPECTED[path.name]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]
    shown = [cell for cell in notebook.cells[:-1] if cell.cell_type == "code" and not cell.outputs]
    assert shown == []  # every cell shows something


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    assert 8 <= len(code) <= 15
