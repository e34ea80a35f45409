import json
import signal
import sys

import pytest

from chiptrail.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """A function that runs the command in this process: exit code, standard output, standard error."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.delenv("CHIPTRAIL_TRACEBACK", raising=False)

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["chiptrail", *map(str, words)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        return code, *capsys.readouterr()

    return command


@pytest.fixture
def records(run):
    """A function that runs a command with --json - and gives its records."""
    def ask(*words):
        code, out, err = run(*words, "--json", "-")
        assert (code, err) == (0, "")
        return json.loads(out)["records"]

    return ask
