"""The house itself: who imports whom, what the wheel holds, and that the documents say what the code does."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {
    "chiptrail": "facade",
    "chiptrail.graphmodel": "graphmodel",
    "chiptrail.loaders": "loaders",
    "chiptrail.queries": "queries",
    "chiptrail.exporters": "exporters",
}
MAY_IMPORT = {
    "graphmodel": {"graphmodel"},
    "loaders": {"graphmodel", "loaders"},
    "queries": {"graphmodel", "queries"},
    "exporters": {"graphmodel", "queries", "exporters"},
}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CHIPTRAIL"))}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean | dict(env or {}), capture_output=True, text=True, check=False
    )


def shipped(root: Path) -> dict[str, Path]:
    """Every file of the five folders by its place in the installed package."""
    return {
        f"{package.replace('.', '/')}/{path.relative_to(root / folder).as_posix()}": path
        for package, folder in FOLDERS.items()
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }


# Import direction


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports; a relative import begins with a dot."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "chiptrail" and not node.level:
            yield from (f"chiptrail.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


@pytest.mark.parametrize("folder", FOLDERS.values())
def test_imports_flow_one_way(folder: str) -> None:
    found = [(path, name) for path in sorted((ROOT / folder).rglob("*.py")) for name in imported(path)]
    wrong = [(path, name) for path, name in found if name.startswith(".")]
    if folder in MAY_IMPORT:
        ours = [(path, name) for path, name in found if name.split(".")[0] == "chiptrail"]
        wrong += [(path, name) for path, name in ours if name.partition(".")[2].split(".")[0] not in MAY_IMPORT[folder]]
    assert not [f"{path.relative_to(ROOT)} imports {name}" for path, name in wrong]


def lint_imports(folder: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return run(Path(sys.executable).with_name("lint-imports"), "--no-cache", cwd=folder, env=env)


def test_import_contracts_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("graphmodel/periods.py", "import chiptrail.loaders.reader"),
        ("queries/timing.py", "from chiptrail.loaders import reader"),
        ("loaders/reader.py", "from chiptrail.queries.timing import union"),
        ("exporters/layout.py", "from chiptrail.loaders.reader import open_table"),
        ("queries/timing.py", "from chiptrail import cli"),
    ],
)
def test_import_contracts_can_break(module: str, line: str, tmp_path: Path) -> None:
    for place, path in shipped(ROOT).items():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / place)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    changed = tmp_path / "chiptrail" / module
    changed.write_text(changed.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = lint_imports(tmp_path, {"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 1
    assert f"chiptrail.{module[:-3].replace('/', '.')} -> " in done.stdout, done.stdout + done.stderr


def test_import_of_chiptrail_is_light() -> None:
    heavy = {"pyvis", "neo4j", "ibis", "duckdb", "altair", "vl_convert", "openpyxl", "numba"}
    done = run(sys.executable, "-c", "import chiptrail, sys; print(*sys.modules)", cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    assert not heavy & set(done.stdout.split())


# The wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in FOLDERS.values():
        shutil.copytree(ROOT / name, folder / "copy" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "copy")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=folder / "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / f"chiptrail-{VERSION}-py3-none-any.whl"


def test_wheel_holds_every_file_of_the_folders(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = shipped(ROOT)
    assert held == set(expected)
    assert {"chiptrail/cli.py", "chiptrail/py.typed", "chiptrail/graphmodel/schema.py"} <= held
    assert any(name.startswith("chiptrail/loaders/bundled/") and name.endswith(".csv") for name in held)


def test_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Installed into an environment of its own, which sees the libraries installed here, but not the development install."""
    assert run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path).returncode == 0
    scripts = tmp_path / "env" / Path(sysconfig.get_path("scripts")).name
    install = run(
        sys.executable, "-m", "pip", "--python", scripts / "python", "install", "--quiet", "--no-deps", "--no-index", wheel,
        cwd=tmp_path,
    )
    assert install.returncode == 0, install.stderr
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    libraries = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (packages / "libraries.pth").write_text("\n".join(libraries) + "\n", encoding="utf-8")

    code = "import chiptrail as ct; print(ct.__file__); print(ct.load_bundled('countries')); print(ct.load_bundled('firms'))"
    loaded = run(scripts / "python", "-c", code, cwd=tmp_path)
    assert loaded.returncode == 0, loaded.stderr
    where, countries, firms = loaded.stdout.splitlines()
    assert Path(where).is_relative_to(packages)
    assert "TradeNetwork of countries" in countries
    assert "TradeNetwork of firms" in firms

    version = run(scripts / "chiptrail", "--version", cwd=tmp_path)
    assert version.stdout.strip() == f"chiptrail {VERSION}"
    described = run(scripts / "chiptrail", "--help", cwd=tmp_path)
    assert described.returncode == 0
    assert "hubs" in described.stdout
    hubs = run(scripts / "chiptrail", "hubs", "--csv", tmp_path / "hubs.csv", cwd=tmp_path)
    assert hubs.returncode == 0, hubs.stderr
    assert "Kazakhstan" in (tmp_path / "hubs.csv").read_text(encoding="utf-8")


# Documents


def test_data_model_page_is_up_to_date() -> None:
    script = ROOT / "docs" / "make_data_model.py"
    spec = importlib.util.spec_from_file_location("make_data_model", script)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8") == module.page(), "run `make docs`"


def test_readme_is_short_and_names_every_command() -> None:
    import typer.main

    from chiptrail.cli import app

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    commands: dict[str, Any] = vars(typer.main.get_command(app))["commands"]
    assert {"load", "hubs", "routes", "report"} <= set(commands)
    assert not [name for name in commands if f"chiptrail {name}" not in text]


def test_make_targets_are_explained() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    explained = set(re.findall(r"^([a-z0-9]+):.*## ", text, re.MULTILINE))
    assert {"help", "report", "test", "check", "bench", "soak"} <= explained
    assert explained == set(text.splitlines()[0].removeprefix(".PHONY:").split())


def test_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {VERSION}\n" in citation
    assert re.search(r"^## (\S+)", changes, re.MULTILINE)[1] == VERSION  # type: ignore[index]


def test_files_name_no_machine_and_no_registry() -> None:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("git and a checkout are needed")
        pytest.skip("no git checkout")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    assert listed.returncode == 0, listed.stderr
    names = [name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]
    assert "pyproject.toml" in names
    machine = re.compile(
        rb"(?<![\w.])/(?:work|tmp|root|home)/|pypi\.org|pythonhosted\.org|anaconda\.org|npmjs\.(?:org|com)|proxy\.golang\.org"
    )
    found = [f"{name}: {m[0].decode()}" for name in names for m in [machine.search((ROOT / name).read_bytes())] if m]
    assert not found


def test_tests_mirror_the_folders() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(FOLDERS.values()) <= folders
    untested = [
        f"tests/{folder}/test_{path.stem}.py"
        for folder in ("loaders", "queries", "exporters")
        for path in sorted((ROOT / folder).glob("*.py"))
        if public_functions(path) & public_names() and not (ROOT / "tests" / folder / f"test_{path.stem}.py").is_file()
    ]
    assert not untested


def public_functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)}


def public_names() -> set[str]:
    import chiptrail

    return set(chiptrail.__all__)
