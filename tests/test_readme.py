"""What the README shows is what a reader gets: its commands run, its output is real, its Python lines work."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines() if line.startswith("chiptrail ")]
SAMPLE = ROOT / "tests" / "loaders" / "samples" / "comtrade_47.csv"


def shell(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", command], cwd=folder, env={"PATH": path, "LANG": "C.UTF-8"}, capture_output=True, text=True,
                          check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_commands_to_try():
    assert len(COMMANDS) >= 5
    assert shutil.which("chiptrail", path=str(Path(sys.executable).parent))


@pytest.mark.parametrize("command", [command for command in COMMANDS if " serve " not in command])
def test_commands_run(command, tmp_path):
    assert shell(command, tmp_path).strip()


@pytest.mark.neo4j
def test_the_neo4j_server_starts_as_shown(neo4j_ready, tmp_path):
    neo4j_ready("5.26")
    [command] = [command for command in COMMANDS if " serve " in command]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1",
                                "XDG_DATA_HOME": str(tmp_path)}
    with subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as serving:
        try:
            assert any(line.startswith("Neo4j Browser: http://127.0.0.1:") for line in serving.stdout)
        finally:
            serving.send_signal(signal.SIGINT)
            serving.wait(timeout=60)
    assert serving.returncode == 0


def test_the_session_shown_is_real(tmp_path):
    session = next(block for kind, block in BLOCKS if kind == "console")
    command, _, expected = session.partition("\n")
    assert shell(command.removeprefix("$ "), tmp_path) == expected


def test_the_first_ten_lines_work(tmp_path, monkeypatch):
    code = next(block for kind, block in BLOCKS if kind == "python")
    shutil.copy(SAMPLE, tmp_path / "TradeData.csv")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "chips.html").stat().st_size > 100_000


def test_the_picture_is_there():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert (ROOT / picture).is_file()


def test_figures_named_are_those_of_the_data():
    import chiptrail as ct

    firms = ct.load_bundled("firms")
    kinds = firms.links["kind"].value_counts()
    found = firms.links[firms.links["kind"].eq("component_found")]
    named = firms.actors.set_index("actor_id")["kind"].ne("placeholder")
    for text in (f"{len(firms.trades)} documented trades", f"{kinds['brand'] + kinds['makes_weapon']} links of brands",
                 f"{len(firms.listings)} listings", f"{found['from_id'].drop_duplicates().map(named).sum()} brands in",
                 f"in {found['to_id'].nunique()} weapons", f"of {found['n_parts'].sum():,.0f} parts"):
        assert text in re.sub(r"\s+", " ", README), text
