import gzip
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from chiptrail.cli import app
from chiptrail.graphmodel.network import TradeNetwork

SAMPLES = Path(__file__).parents[1] / "loaders" / "samples"
COMMAND = Path(sys.executable).with_name("chiptrail")
COMMANDS = sorted(get_command(app).commands)
TABLES = {
    "hubs": ("hubs",), "routes": ("routes",), "routes of firms": ("routes", "bundled:firms"), "centrality": ("centrality",),
    "timeline": ("timeline",), "tabulate": ("tabulate",), "hubs of firms": ("hubs", "bundled:firms", "--concept", "brand"),
    "attribution": ("attribution", "--since", "2022", "--until", "2022"), "gaps": ("gaps",), "surge": ("surge",),
    "newcomers": ("newcomers", "--to", "KGZ"), "unit-values": ("unit-values", "--to", "RUS"),
    "code-shift": ("code-shift", "--from", "EU27", "--to", "RUS"), "displacement": ("displacement", "--hub", "EST", "--on", "2022-04"),
    "chokepoints": ("chokepoints", "--since", "2022", "--until", "2022"),
    "whatif": ("whatif", "--close", "TUR", "--since", "2022", "--until", "2022"),
}
HOSTILE = "Evil\x1b[31m [red]X[/red] :bomb: \u202etxt.exe\u2028\nfake line\x07"


def chains(rows) -> dict[str, list[dict]]:
    found: dict[tuple, list[dict]] = {}
    for row in rows:
        found.setdefault((row["route"], row["path"]), []).append(row)
    return {path: legs for (_, path), legs in found.items()}


@pytest.mark.parametrize("words", [
    ("info",), ("info", "bundled:firms"), *TABLES.values(), ("centrality", "bundled:firms"), ("timeline", "--by", "month"),
    ("tabulate", "--tier", "--product", "chpl"), ("tabulate", "bundled:firms"), ("hubs", "--against", "2021", "--since", "2022",
                                                                                "--until", "2022"),
], ids=" ".join)
def test_every_command_answers_from_bundled_data(run, words):
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert len(out.splitlines()) >= 5
    if words[0] != "info":
        assert "Question: " in out
        assert "Note: " in out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command(run, name):
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    command = get_command(app).commands[name]
    assert command.help.split(".")[0].split()[0] in out
    assert all(getattr(parameter, "help", None) for parameter in command.params if parameter.name != "help")


def test_help_lists_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    assert [line.split()[0] for line in out[out.index("Commands:"):].splitlines()[1:] if line.strip()] == [
        "load", "info", "hubs", "routes", "centrality", "timeline", "tabulate", "reconcile", "map", "mentions", "export", "report",
        "attribution", "gaps", "surge", "newcomers", "unit-values", "code-shift", "displacement", "chokepoints", "whatif", "scorecard",
        "fetch", "neo4j"]
    assert "Commands:" in run()[2]
    assert run("--version")[:2] == (0, "chiptrail 0.1.0\n")


@pytest.mark.parametrize("words", TABLES.values(), ids=TABLES)
def test_tables_on_standard_output_parse_back(run, records, words):
    rows = records(*words)
    code, out, err = run(*words, "--csv", "-")
    assert (code, err) == (0, "")
    table = pd.read_csv(io.StringIO(out), dtype=str, keep_default_na=False)
    assert len(table) == len(rows) > 0
    assert table.columns.tolist() == list(rows[0])
    for name in table:
        for cell, row in zip(table[name], rows, strict=True):
            value = row[name]
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert float(cell) == pytest.approx(value)
            elif not isinstance(value, list):
                assert cell == ("" if value is None else str(value))


def test_tables_as_files(run, records, tmp_path):
    files = {ending: tmp_path / "new" / f"routes.{ending}" for ending in ("json", "csv", "xlsx", "dta")}
    options = [word for ending, path in files.items() for word in (f"--{ending}", path)]
    code, out, err = run("routes", "bundled:firms", "--top", 5, *options)
    assert code == 0
    assert "Question: " in out
    assert err.splitlines() == [f"{path} written" for path in files.values()]
    rows = records("routes", "bundled:firms", "--top", 5)
    assert json.loads(files["json"].read_text("utf-8"))["records"] == rows
    assert pd.read_csv(files["csv"], encoding="utf-8-sig", dtype=str)["record_refs"].tolist() == [r["record_refs"] for r in rows]
    book = openpyxl.load_workbook(files["xlsx"])
    sheet = book["table"]
    heads = [cell.value for cell in sheet[1]]
    assert sheet.max_row == len(rows) + 1
    assert [cell.value for cell in sheet[2]][heads.index("products")] == rows[0]["products"]  # text, not a number
    assert "sources" in book.sheetnames
    book.close()
    stata = pd.read_stata(files["dta"])
    assert stata["path"].tolist() == [r["path"] for r in rows]


def test_files_hold_all_rows_and_the_screen_only_the_top(run, records, tmp_path):
    every = records("hubs", "--top", 1)
    code, out, _ = run("hubs", "--top", 3, "--csv", tmp_path / "hubs.csv")
    assert code == 0
    assert len(pd.read_csv(tmp_path / "hubs.csv")) == len(every) > 40
    assert f"… and {len(every) - 3} rows more" in out


@pytest.mark.parametrize(("option", "name"), [
    ("--json", "hubs.txt"), ("--csv", "hubs.xlsx"), ("--xlsx", "hubs.csv"), ("--xlsx", "-"), ("--dta", "hubs"),
])
def test_a_wrong_ending_is_a_wrong_use(run, tmp_path, option, name):
    path = name if name == "-" else tmp_path / name
    code, out, err = run("hubs", option, path)
    assert code == 2
    assert f"the name must end in .{option[2:]}" in " ".join(err.split())
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_one_table_only_goes_to_standard_output(run):
    assert run("hubs", "--json", "-", "--csv", "-")[0] == 2


def counts(out: str) -> dict[str, tuple[int, int, int]]:
    """Rows read, kept and rejected by file, as printed."""
    return {m[1]: (int(m[2]), int(m[3]), int(m[4])) for m in re.finditer(r"^(\S+) +(\d+) +(\d+) +(\d+)( +[\d.]+)? *$", out, re.M)}


def reasons(out: str, file: str) -> int:
    return sum(int(n) for n in re.findall(rf"^{re.escape(file)}: (\d+) rejected, ", out, re.M))


def test_comtrade_files_become_a_network_and_answer(run, records, tmp_path):
    folder = tmp_path / "mine"
    code, out, err = run("load", "comtrade", SAMPLES / "comtrade_47.csv", SAMPLES / "comtrade_47_monthly.csv", "--out", folder)
    assert (code, err) == (0, "")
    assert counts(out) == {"comtrade_47.csv": (22, 12, 10), "comtrade_47_monthly.csv": (5, 5, 0)}
    assert reasons(out, "comtrade_47.csv") == 10
    assert "1 rejected, value is negative: row 16: primaryValue = '-5'" in out
    assert "<TradeNetwork of countries: 7 actors, 15 trades, 2 totals" in out
    # X 700 to Russia (854231, RX, modes, procedures and months are parts of it), 80 of US origin: at most 80 through
    hub, = (row for row in records("hubs", folder) if row["rank"])
    assert (hub["hub"], hub["inflow_usd"], hub["outflow_usd"], hub["throughput_max_usd"]) == ("Kazakhstan", 80, 700, 80)
    route, = chains(records("routes", folder)).values()
    assert [leg["leg_usd"] for leg in route] == [80, 700]
    assert "origin: 1 reporters, 2022" in run("info", folder)[1]
    code, out, _ = run("export", folder, tmp_path / "g.graphml")
    assert code == 0
    assert (tmp_path / "g.graphml").read_text("utf-8").count("<edge ") == 15


def test_tables_become_a_network_and_answer(run, records, tmp_path):
    code, out, err = run("load", "tables", SAMPLES / "actors.csv", SAMPLES / "trades.csv", "--out", tmp_path / "mine")
    assert (code, err) == (0, "")
    assert counts(out) == {"actors.csv": (5, 4, 1), "trades.csv": (14, 4, 10)}
    assert (reasons(out, "actors.csv"), reasons(out, "trades.csv")) == (1, 10)
    path, = chains(records("routes", tmp_path / "mine"))
    assert path == "Alpha Parts → Beta Trading → Gamma Works"
    hub, = records("hubs", tmp_path / "mine")
    assert (hub["hub"], hub["rank"], hub["outflow_coverage"]) == ("Beta Trading", None, "not covered")
    again = run("load", "tables", tmp_path / "mine", "--out", tmp_path / "again")
    assert again[0] == 0
    assert TradeNetwork.load(tmp_path / "again").equals(TradeNetwork.load(tmp_path / "mine"))
    assert run("load", "tables", *["x.csv"] * 3, "--out", tmp_path / "o")[0] == 1


@pytest.mark.parametrize("name", ["g.html", "g.GRAPHML", "g.gexf", "tables"])
def test_exports(run, tmp_path, name):
    code, out, err = run("export", "bundled:countries", tmp_path / name, "--since", "2022", "--until", "2022", "--country", "KAZ",
                         "--title", "Kazakhstan in 2022")
    assert (code, err) == (0, "")
    assert "written" in out
    assert (tmp_path / name).stat().st_size > 0
    if name == "g.html":
        assert "Kazakhstan in 2022" in (tmp_path / name).read_text("utf-8")


def test_export_keeps_firms_by_name_and_refuses_other_endings(run, tmp_path):
    assert run("export", "bundled:firms", tmp_path / "g.html", "--actor", "IK Tech Corporation")[0] == 0
    code, out, err = run("export", "bundled:firms", tmp_path / "g.docx")
    assert (code, out) == (1, "")
    assert "g.docx: write .html, .graphml, .gexf" in err


def renamed(folder: Path) -> Path:
    text = (SAMPLES / "comtrade_47.csv").read_bytes().replace(b"primaryValue", b"primary_val")
    (folder / "renamed.csv").write_bytes(text)
    return folder / "renamed.csv"


def truncated(folder: Path) -> Path:
    whole = gzip.compress((SAMPLES / "comtrade_47.csv").read_bytes(), mtime=0)
    (folder / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    return folder / "cut.csv.gz"


@pytest.mark.parametrize(("words", "said"), [
    (("hubs", "{tmp}/nowhere"), "nowhere holds no whole saved network"),
    (("hubs", "--from", "Kazachstan"), "did you mean 'Kazakhstan'"),
    (("hubs", "--to", "Rusia"), "did you mean 'Russia'"),
    (("routes", "bundled:firms", "--from", "Qorvoo"), "did you mean 'Qorvo'"),
    (("hubs", "--product", "chipps"), "did you mean 'chips'"),
    (("hubs", "--since", "2022-13"), "2022-13"),
    (("hubs", "--since", "2022", "--until", "2022", "--against", "2020-01/2021-12"), "months"),
    (("info", "bundled:firm"), "did you mean 'bundled:firms'"),
    (("load", "comtrade", "{tmp}/nothing.csv", "--out", "{tmp}/o"), "nothing.csv: no such file"),
    (("load", "comtrade", "{renamed}", "--out", "{tmp}/o"), "primaryValue"),
    (("load", "comtrade", "{truncated}", "--out", "{tmp}/o"), "cut.csv.gz"),
    (("export", "bundled:firms", "{tmp}/g.html", "--actor", "Qorvoo"), "did you mean 'Qorvo'"),
    (("hubs", "--csv", "{tmp}/file/t.csv"), "file"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_errors_are_one_message_and_code_1(run, tmp_path, words, said):
    (tmp_path / "file").write_text("in the way of a folder", encoding="utf-8")
    places = {"tmp": tmp_path, "renamed": renamed(tmp_path), "truncated": truncated(tmp_path)}
    code, out, err = run(*(word.format(**places) for word in words))
    assert (code, out) == (1, "")
    assert said in err
    assert err.startswith("chiptrail: ")
    assert err.count("chiptrail: ") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("words", [
    ("hubs", "--concept", "sent"), ("hubs", "--top", "0"), ("hubs", "--nonsense"), ("nonsense",), ("load", "pdf", "x", "--out", "o"),
    ("load", "comtrade", "x.csv"), ("routes", "--hops", "11"), ("timeline", "--by", "week"),
], ids=" ".join)
def test_wrong_use_is_code_2(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "Error" in err
    assert "Traceback" not in err


def test_an_unforeseen_error_is_not_hidden(run, monkeypatch):
    monkeypatch.setattr("chiptrail.cli.open_network", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("info")


def test_names_from_files_reach_the_terminal_as_text(run, tmp_path):
    rows = pd.DataFrame({"seller": ["Maker", HOSTILE], "seller_country": ["USA", "TUR"], "buyer": [HOSTILE, "Plant"],
                         "buyer_country": ["TUR", "RUS"], "hs_code": "8542", "date": ["2022-01", "2022-02"], "value_usd": [1, 2],
                         "case": HOSTILE, "source": HOSTILE})
    rows.to_csv(tmp_path / "trades.csv", index=False)
    for words in (("load", "tables", tmp_path / "trades.csv", "--out", tmp_path / "n"), ("info", tmp_path / "n"),
                  ("hubs", tmp_path / "n"), ("routes", tmp_path / "n"), ("centrality", tmp_path / "n"),
                  ("routes", tmp_path / "n", "--from", HOSTILE + "?")):
        _, out, err = run(*words)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", out + err), words
        assert "\nfake line" not in out + err
    out = run("routes", tmp_path / "n")[1]
    assert "[red]X[/red] :bomb: ?txt.exe" in out
    assert HOSTILE in json.loads(run("routes", tmp_path / "n", "--json", "-")[1])["records"][0]["path"]


def test_origins_in_one_option_or_several(records):
    one = records("hubs", "--from", "USA,GBR", "--since", "2022", "--until", "2022")
    assert one == records("hubs", "--from", "USA", "--from", "GBR", "--since", "2022", "--until", "2022")
    hub = next(row for row in one if row["hub_id"] == "KAZ")
    alone = [next(row for row in records("hubs", "--from", country, "--since", "2022", "--until", "2022") if row["hub_id"] == "KAZ")
             for country in ("USA", "GBR")]
    assert hub["inflow_usd"] == pytest.approx(sum(row["inflow_usd"] for row in alone))
    assert sorted(hub["suppliers"]) == ["GBR", "USA"] or hub["n_suppliers"] == 2


def test_hubs_of_2022(run, records):
    _, out, _ = run("hubs", "--since", "2022", "--until", "2022")
    row = re.search(r"^ *(\d+) +Kazakhstan +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) +([\d,]+) ", out, re.M)
    assert row.groups() == ("4", "4,273,764", "2,869,207", "18,258,558", "245,946", "4,273,764")
    for name in ("Kyrgyzstan", "Armenia"):
        assert re.search(rf"^ +– +{name} +– .* not covered +covered *$", out, re.M)
    by_hub = {r["hub_id"]: r for r in records("hubs", "--since", "2022", "--until", "2022")}
    # inflow of customs origin USA and the year before, from the sums worked by hand in the notes on the source, million USD
    for hub, now, before in (("KAZ", 4.27, 2.87), ("TUR", 41.2, 28.6), ("HKG", 1940, 2567), ("CHN", 12642, 16403)):
        assert by_hub[hub]["inflow_usd"] / 1e6 == pytest.approx(now, rel=2e-3)
        assert by_hub[hub]["inflow_before_usd"] / 1e6 == pytest.approx(before, rel=2e-3)
        assert by_hub[hub]["throughput_max_usd"] == min(by_hub[hub]["inflow_usd"], by_hub[hub]["outflow_usd"])
    for hub in ("KGZ", "ARM"):
        assert by_hub[hub]["rank"] is None
        assert by_hub[hub]["inflow_usd"] is None
        assert by_hub[hub]["inflow_coverage"] == "not covered"


def test_european_dispatches_compare_eleven_months_with_eleven(records):
    rows = {r["hub_id"]: r for r in records("hubs", "--from", "EU27", "--concept", "dispatched")}
    for hub, before, now in (("KAZ", 5.433, 14.681), ("ARM", 0.350, 4.482), ("KGZ", 0.060, 1.682)):
        assert rows[hub]["inflow_currency"] == "EUR"
        assert (round(rows[hub]["inflow_original_before"] / 1e6, 3), round(rows[hub]["inflow_original"] / 1e6, 3)) == (before, now)
        assert "only 2022-01/2022-11" in rows[hub]["inflow_coverage"]


def test_documented_chains(records, run):
    found = chains(records("routes", "bundled:firms"))
    drone = [path for path in found if path.endswith("Special Technology Center → Orlan-10")]
    assert {path.split(" → ")[0] for path in drone} == {"Qorvo", "Gumstix", "GA Universal"}
    assert {path.split(" → ")[-3] for path in drone} == {"SMT-iLogic", "Device Consulting"}
    for path in drone:
        assert {leg["time"] for leg in found[path]} == {"undated"}
        assert all(re.fullmatch(r"documented_trades\.csv:\d+(; documented_trades\.csv:\d+)*", leg["record_refs"]) for leg in found[path])
    silicon, = (path for path in found if path.startswith("Silicon Space Technology"))
    assert silicon.endswith("OOO Sovtest Comp")
    assert {leg["time"] for leg in found[silicon]} == {"ordered"}
    assert f". {silicon}\n" in run("routes", "bundled:firms")[1]


@pytest.mark.parametrize("ends", [("Nvidia", "Lanprint Ltd"), ("Xiamen Limbach Aircraft Engine Co., Ltd.", "Tor-M2E")])
@pytest.mark.parametrize("hops", [4, 10])
def test_false_chains_are_not_found(run, records, ends, hops):
    words = ("routes", "bundled:firms", "--from", ends[0], "--to", ends[1], "--hops", hops)
    assert records(*words) == []
    code, out, _ = run(*words)
    assert code == 0
    assert "no chain of records meets the question" in out


def test_the_report_names_the_command_that_makes_it_again(run, tmp_path):
    run("load", "comtrade", SAMPLES / "comtrade_47.csv", "--out", tmp_path / "my data")
    code, out, err = run("report", tmp_path / "my data", "--out", tmp_path / "r.html", "--from", "USA,DEU", "--since", "2022")
    assert (code, err) == (0, "")
    assert "r.html written" in out
    page = (tmp_path / "r.html").read_text("utf-8")
    assert f"chiptrail report &#39;{tmp_path}/my data&#39; --out r.html --from USA --from DEU --to RUS --since 2022" in page


@pytest.fixture
def shell():
    if not COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    return lambda line: subprocess.run([shutil.which("bash"), "-c", line], capture_output=True, text=True, timeout=120, check=False)


def test_in_a_shell(shell, tmp_path):
    done = shell(f"{COMMAND} hubs --top 2 --csv - | {sys.executable} -c 'import csv, sys; print(len(list(csv.reader(sys.stdin))))'")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 40
    done = shell(f"set -o pipefail; {COMMAND} hubs --json - | head -c 1")
    assert done.stderr == ""  # a closed pipe ends it without a word
    done = shell(f"{COMMAND} info {tmp_path}")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("chiptrail: ")
    assert "Traceback" not in done.stderr


def test_help_and_import_are_light():
    code = """
import sys
import chiptrail
heavy = {"pandas", "numpy", "pyvis", "neo4j", "ibis", "duckdb", "networkx", "scipy", "altair", "pandera", "numba", "pyarrow"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from chiptrail.cli import main
sys.argv = ["chiptrail", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Commands:" in done.stdout


def test_hubs_show_the_sources_own_currency():
    done = CliRunner().invoke(app, ["hubs", "--from", "EU27", "--concept", "dispatched"])
    assert done.exit_code == 0
    for text in ("in, EUR", "5,433,081", "14,680,782", "350,139", "4,481,770", "59,865", "1,682,167"):
        assert text in done.stdout
    assert "in, EUR" not in CliRunner().invoke(app, ["hubs"]).stdout
