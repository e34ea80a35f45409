"""`chiptrail load`, `map`, `mentions` and `reconcile`: files of the user in, a network or one message out."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from chiptrail import loading, show
from chiptrail.graphmodel.network import TradeNetwork
from chiptrail.loaders.records import NOT_ASKED

SAMPLES = Path(__file__).parents[1] / "loaders" / "samples"
COMTRADE = ("comtrade_47.csv", "comtrade_47_monthly.csv")
BAD = "period,reporterCode\n2022,398\n"


@pytest.fixture
def folder(tmp_path):
    """A folder of two downloads, beside them what is no data."""
    here = tmp_path / "data"
    (here / "answers").mkdir(parents=True)
    for name in COMTRADE:
        shutil.copy(SAMPLES / name, here / name)
    shutil.copy(SAMPLES / COMTRADE[0], here / "answers" / "raw.csv")
    for name in ("README.md", "readme.csv", "note.json", ".hidden.csv"):
        (here / name).write_text("no data", encoding="utf-8")
    return here


def rows_of(out):
    """Rows read, kept and rejected by file, and whether seconds stand beside them."""
    return {m[1]: tuple(map(int, m[2].split())) for m in re.finditer(r"^(\S+)((?: +\d+){3,4}) +[\d.e-]+ *$", out, re.M)}


@pytest.mark.parametrize(("words", "counts", "said"), [
    (("comtrade", COMTRADE[0]), {COMTRADE[0]: (22, 12, 10)}, "countries"),
    (("comext", "comext_long.csv"), None, "countries"), (("comext", "full202201.dat", "full200101.dat"), None, "countries"),
    (("baci", "BACI_HS17_Y2022_V202601.csv"), None, "countries"),
    (("shipments", "shipments.csv", "russian_customs.csv", "panjiva.csv"), None, "firms"),
    (("shipments", "russian_customs.csv", "--mapping", "russian_customs"), {"russian_customs.csv": (4, 4, 0)}, "firms"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_every_format_loads_with_its_counts(run, tmp_path, words, counts, said):
    words = [SAMPLES / word if (SAMPLES / word).is_file() else word for word in words]
    code, out, err = run("load", *words, "--out", tmp_path / "n", "--keep-rejects", tmp_path / "rejects.csv")
    assert (code, err) == (0, "")
    found = rows_of(out)
    network = TradeNetwork.load(tmp_path / "n")
    assert network.level == said
    read = dict(zip(network.sources["file"], network.sources["rows_read"], strict=True))
    assert {name: counted[0] for name, counted in found.items()} == read
    assert all(read == kept + rejected for read, kept, rejected in found.values())
    assert counts is None or found == counts
    with open(tmp_path / "rejects.csv", encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert len(rejects) == sum(rejected for _, _, rejected in found.values())
    assert all(isinstance(json.loads(row["record"]), dict) for row in rejects)


def test_what_is_not_asked_for_is_counted_apart(run, tmp_path):
    code, out, _ = run("load", "comtrade", SAMPLES / COMTRADE[0], "--out", tmp_path / "n", "--product", "8542", "--since", "2022-01",
                       "--until", "2022-12", "--country", "RUS")
    assert code == 0
    read, kept, outside, rejected = rows_of(out)[COMTRADE[0]]
    assert "not asked for" in out.splitlines()[0]
    assert (read, rejected, read - kept - outside) == (22, 10, 10)
    assert outside > 0
    whole = run("load", "comtrade", SAMPLES / COMTRADE[0], "--out", tmp_path / "all")
    assert whole[0] == 0
    same = TradeNetwork.load(tmp_path / "all").where(products="8542", since="2022-01", until="2022-12", countries=["RUS"])
    assert set(TradeNetwork.load(tmp_path / "n").trades["trade_id"]) == set(same.trades["trade_id"])
    assert show._NOT_ASKED == NOT_ASKED


def test_folders_patterns_and_files_mean_the_same(run, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, words in {"a": [folder], "b": ["data/comtrade*.csv"], "c": [folder / n for n in COMTRADE],
                        "d": [folder, "data/comtrade_47.csv", "data/*47*.csv"]}.items():
        code, out, err = run("load", "comtrade", *words, "--out", name)
        assert (code, err) == (0, ""), words
        assert rows_of(out) == {COMTRADE[0]: (22, 12, 10), COMTRADE[1]: (5, 5, 0)}
        assert TradeNetwork.load(name).equals(TradeNetwork.load("a"))
        assert ("named twice, read once" in out) == (name == "d")
        if name == "a":
            assert "not read: README.md, note.json, readme.csv" in out


def test_equal_content_counts_once(run, folder, tmp_path):
    shutil.copy(folder / COMTRADE[0], folder / "copy.csv")
    code, out, _ = run("load", "comtrade", folder, "--out", tmp_path / "n")
    assert code == 0
    assert "the same content as" in out
    assert sum(read for read, *_ in rows_of(out).values()) == 27
    assert len(TradeNetwork.load(tmp_path / "n").trades) == 15


def test_one_bad_file_among_many(run, folder, tmp_path):
    run("load", "comtrade", folder / COMTRADE[1], "--out", tmp_path / "n")
    before = TradeNetwork.load(tmp_path / "n")
    (folder / "bad.csv").write_text(BAD, encoding="utf-8")
    (folder / "torn.csv.gz").write_bytes(b"\x1f\x8b\x08torn")
    code, out, err = run("load", "comtrade", folder, "--out", tmp_path / "n", "--keep-rejects", tmp_path / "r.csv")
    assert code == 1
    assert rows_of(out) == {COMTRADE[0]: (22, 12, 10), COMTRADE[1]: (5, 5, 0)}
    assert err.startswith("chiptrail: 2 of 4 files cannot be read, so nothing is saved; correct them or leave them out, or add --skip-bad")
    assert err.count("chiptrail: ") == 1
    assert re.search(r"\n- bad\.csv: .*no column", err)
    assert re.search(r"\n- torn\.csv\.gz: ", err)
    assert TradeNetwork.load(tmp_path / "n").equals(before)
    assert not (tmp_path / "r.csv").exists()
    code, out, err = run("load", "comtrade", folder, "--out", tmp_path / "n", "--skip-bad", "--keep-rejects", tmp_path / "r.csv")
    assert (code, err) == (0, "")
    assert "bad.csv: not read: " in out
    assert len(TradeNetwork.load(tmp_path / "n").trades) == 15
    assert (tmp_path / "r.csv").read_text("utf-8").count("comtrade_47.csv") >= 10
    for name in COMTRADE:
        (folder / name).unlink()
    code, _, err = run("load", "comtrade", folder, "--out", tmp_path / "o", "--skip-bad")
    assert code == 1
    assert "none of the files can be read" in err
    assert not (tmp_path / "o").exists()


def test_a_load_that_is_interrupted_leaves_the_old_network(run, folder, tmp_path, monkeypatch):
    run("load", "comtrade", folder / COMTRADE[1], "--out", tmp_path / "n")
    before = TradeNetwork.load(tmp_path / "n")
    rejects = tmp_path / "r.csv"
    rejects.write_text('"file","row","reason","column","value","record"\n', encoding="utf-8")

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(TradeNetwork, "save", interrupted)
    code, _, _ = run("load", "comtrade", folder, "--out", tmp_path / "n", "--keep-rejects", rejects)
    assert code != 0
    assert TradeNetwork.load(tmp_path / "n").equals(before)
    assert rejects.read_text("utf-8").count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "n", "r.csv"]


def test_rejects_are_those_of_the_last_load(run, tmp_path):
    for _ in range(2):
        assert run("load", "comtrade", SAMPLES / COMTRADE[0], "--out", tmp_path / "n", "--keep-rejects", tmp_path / "r.csv")[0] == 0
    with open(tmp_path / "r.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 10


@pytest.mark.parametrize(("words", "said"), [
    (("comtrade", "{tmp}/*.parquet"), "no file fits this pattern"), (("comtrade", "{tmp}/empty"), "no data in this folder"),
    (("comtrade", "{sample}", "{sample}x"), "no such file"), (("comtrade", "{sample}", "--product", "chipz"), "did you mean 'chips'"),
    (("comtrade", "{sample}", "--country", "Rusia"), "did you mean 'Russia'"),
    (("comtrade", "{sample}", "--since", "2022-13"), "2022-13"),
    (("shipments", "{sample}", "--mapping", "panjva"), "did you mean 'panjiva'"), (("shipments", "{sample}"), "chiptrail map"),
    (("shipments", "{sample}", "--map", "exportr=x"), "did you mean 'exporter'"),
    (("baci", "{sample}", "--hs-version", "HS17"), "HS2017"),
    (("comtrade", "{sample}", "--keep-rejects", "{sample}"), "no file of rejected"),
    (("tables", "{tmp}/empty", "{sample}"), "tables are folders"),
], ids=lambda value: " ".join(value) if isinstance(value, tuple) else "")
def test_errors_are_one_message(run, tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    shutil.copy(SAMPLES / COMTRADE[0], tmp_path / "sample.csv")
    before = (tmp_path / "sample.csv").read_bytes()
    code, _, err = run("load", *(w.format(tmp=tmp_path, sample=tmp_path / "sample.csv") for w in words), "--out", tmp_path / "o")
    assert code == 1
    assert said in err
    assert err.startswith("chiptrail: ")
    assert err.count("chiptrail: ") == 1
    assert not (tmp_path / "o").exists()
    assert (tmp_path / "sample.csv").read_bytes() == before


@pytest.mark.parametrize("words", [
    ("comtrade", "--mapping", "panjiva"), ("comtrade", "--map", "a=b"), ("comext", "--hs-version", "HS2017"),
    ("shipments", "--level", "firms"), ("shipments", "--map", "exporter"),
], ids=" ".join)
def test_an_option_of_another_format_is_a_wrong_use(run, tmp_path, words):
    code, out, err = run("load", words[0], SAMPLES / COMTRADE[0], *words[1:], "--out", tmp_path / "o")
    assert (code, out) == (2, "")
    assert words[1] in err


def test_several_folders_of_tables_are_joined(run, tmp_path):
    for name, day in (("a", "2022-01"), ("b", "2022-02")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trades.csv").write_text(f"seller,buyer,hs_code,date,value_usd\nOne,Two,8542,{day},5\n", encoding="utf-8")
    code, _, err = run("load", "tables", tmp_path / "a", tmp_path / "b", "--level", "firms", "--out", tmp_path / "n")
    assert (code, err) == (0, "")
    assert len(TradeNetwork.load(tmp_path / "n").trades) == 2


def test_names_of_files_reach_the_terminal_as_text(run, tmp_path):
    name = "evil\x1b[31m [bold]x \u202e.csv"
    shutil.copy(SAMPLES / COMTRADE[0], tmp_path / name)
    shutil.copy(SAMPLES / COMTRADE[1], tmp_path / "good.csv")
    (tmp_path / ("bad" + name)).write_text(BAD, encoding="utf-8")
    for more in ((), ("--skip-bad",)):
        _, out, err = run("load", "comtrade", tmp_path, "--out", tmp_path / "n", *more)
        assert "[bold]x ?.csv" in out
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + err)
    shutil.copy(SAMPLES / "volza.csv", tmp_path / ("map" + name))
    _, out, err = run("map", tmp_path / ("map" + name))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", out + err)


def test_progress_is_shown_on_a_terminal_only(tmp_path, monkeypatch, capsys):
    units = [(SAMPLES / name,) for name in COMTRADE]
    with loading.progress(units) as step:
        step("reading x", 10)
    assert capsys.readouterr() == ("", "")

    def terminal(*, stderr=False):
        from rich.console import Console

        return Console(file=screen, force_terminal=True, width=120)

    screen = io.StringIO()
    monkeypatch.setattr("chiptrail.show.console", terminal)
    with loading.progress(units) as step:
        step("reading \x1b]0;x [bold]", 0)
        step("", sum(path.stat().st_size for path, in units))
    assert "reading ?]0;x [bold]" in screen.getvalue()
    assert "0:00:0" in screen.getvalue()


LAYOUT = "Sold by,From land,Bought by,To land,Tariff code,Invoice value USD,Net weight kg,Day\n" + "".join(
    f"Example Trade {i} Ltd,Germany,Primer {i} LLC,Kazakhstan,854231,{i}00,{i},2022-01-{i:02}\n" for i in range(1, 10))


def test_a_file_that_no_mapping_knows_loads_after_one_confirmation(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    header = "Отправитель,Страна отправителя,Получатель,Страна получателя,Код ТН ВЭД,Статистическая стоимость USD,Вес нетто,Дата"
    Path("mine.csv").write_text("\n".join([header, *LAYOUT.splitlines()[1:]]) + "\n", encoding="utf-8")
    assert run("load", "shipments", "mine.csv", "--out", "n")[0] == 1
    code, out, err = run("map", "mine.csv")
    assert (code, err) == (0, "")
    assert 'exporter = "Отправитель"' in out
    assert not Path("mine.toml").exists()
    asked = []
    monkeypatch.setattr("chiptrail.cli.terminal", lambda: True)
    for answer in (False, True):
        monkeypatch.setattr("typer.confirm", lambda text, default, answer=answer: asked.append(text) or answer)
        code, out, _ = run("map", "mine.csv")
        assert code == 0
        assert Path("mine.toml").exists() == answer
    assert len(asked) == 2
    assert "chiptrail load shipments mine.csv --mapping mine.toml --out NETWORK" in out
    code, out, err = run("load", "shipments", "mine.csv", "--mapping", "mine.toml", "--out", "n")
    assert (code, err) == (0, "")
    trades = TradeNetwork.load("n").trades
    assert (len(trades), trades["value_usd"].sum(), trades["weight_kg"].sum()) == (9, 4500, 45)
    monkeypatch.setattr("chiptrail.cli.terminal", lambda: False)
    assert run("map", "mine.csv", "--out", "mine.toml")[0] == 1
    assert run("map", "mine.csv", "--out", "other.toml")[0] == 0
    assert Path("other.toml").read_bytes() == Path("mine.toml").read_bytes()


def test_columns_named_on_the_command_line(run, tmp_path):
    (tmp_path / "mine.csv").write_text(LAYOUT, encoding="utf-8")
    roles = {"exporter": "Sold by", "exporter_country": "From land", "importer": "Bought by", "importer_country": "To land",
             "hs_code": "Tariff code", "value_usd": "Invoice value USD", "weight_kg": "Net weight kg", "date": "Day"}
    words = [word for role, column in roles.items() for word in ("--map", f"{role}={column}")]
    code, _, err = run("load", "shipments", tmp_path / "mine.csv", *words, "--out", tmp_path / "n")
    assert (code, err) == (0, "")
    assert TradeNetwork.load(tmp_path / "n").trades["value_usd"].sum() == 4500


@pytest.fixture
def networks(run, tmp_path):
    """Records of firms and a statistic of the same corridor, saved."""
    (tmp_path / "mine.csv").write_text(
        "exporter,exporter_country,importer,importer_country,hs_code,date,value_usd,goods\n"
        "Example A,Germany,Primer,Kazakhstan,854231,2022-01-05,30,FPGA EX7805 chips\n"
        "Example A,Germany,Primer,Kazakhstan,8542,2022-02-05,80,parts\n", encoding="utf-8")
    assert run("load", "shipments", tmp_path / "mine.csv", "--out", tmp_path / "firms")[0] == 0
    (tmp_path / "trades.csv").write_text(
        "seller,buyer,hs_code,period,value_usd\nDEU,KAZ,8542,2022-01,60\nDEU,KAZ,8542,2022-02,50\n", encoding="utf-8")
    assert run("load", "tables", tmp_path / "trades.csv", "--out", tmp_path / "countries")[0] == 0
    return tmp_path / "firms", tmp_path / "countries"


def test_reconcile(run, records, networks):
    rows = records("reconcile", *networks)
    assert [(r["period"], r["share_covered"], r["exceeds_usd"]) for r in rows] == [("2022-01", 0.5, 0), ("2022-02", 1.6, 30)]
    year, = records("reconcile", *networks, "--by", "year", "--from", "DEU", "--to", "KAZ", "--product", "8542", "--since", "2022")
    assert (year["share_covered"], year["n_months"]) == (1, 2)
    code, out, err = run("reconcile", *networks)
    assert (code, err) == (0, "")
    assert re.search(r"^DEU +KAZ +8542 +2022-01 +compared +0\.5 ", out, re.M)
    code, out, err = run("reconcile", *reversed(networks))
    assert (code, out) == (1, "")
    assert "records of firms come first" in err


def test_mentions(run, records, networks, tmp_path):
    (tmp_path / "parts.csv").write_text("maker,part\nExilon,EX7805\n", encoding="utf-8")
    (tmp_path / "labelled.csv").write_text("text,maker,part\nEX7805 new,Exilon,EX7805\nnothing,,\n", encoding="utf-8")
    found, = records("mentions", networks[0], tmp_path / "parts.csv")
    assert (found["maker"], found["part"], found["record_ref"], found["basis"]) == ("Exilon", "EX7805", "mine.csv:2", "inferred")
    code, out, err = run("mentions", networks[0], tmp_path / "parts.csv", "--labelled", tmp_path / "labelled.csv")
    assert (code, err) == (0, "")
    assert re.search(r"^all +1 +1 +1 ", out, re.M)
    table = pd.read_csv(io.StringIO(run("mentions", networks[0], tmp_path / "parts.csv", "--csv", "-")[1]))
    assert len(table) == 1
    code, _, err = run("mentions", networks[0], tmp_path / "labelled.csv")
    assert code == 1
    assert "chiptrail: " in err
