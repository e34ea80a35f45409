"""How long the command takes to start, beside Python alone: an entry for `run`."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from entry import Entry


def entries() -> Iterator[Entry]:
    """The help page against `python -c pass`: the difference of the two times is what chiptrail itself takes."""
    command = Path(sys.executable).with_name("chiptrail")
    words = [str(command) if command.exists() else shutil.which("chiptrail") or "chiptrail", "--help"]
    yield Entry(
        "chiptrail --help, beside python -c pass", "", lambda: output(words), lambda: output([sys.executable, "-c", "pass"]), check_help,
        "Python alone",
    )


def output(words: list[str]) -> str:
    """What a command prints."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def check_help(ours: str, theirs: str) -> None:
    """Asserts that the page names the commands, and that Python alone says nothing."""
    assert "Commands:" in ours
    assert " hubs " in ours
    assert theirs == ""
