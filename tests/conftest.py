import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of public data beside the project; tests that use it skip where it is absent, but not in CI."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the folder of public data must stand beside the project in CI")
        pytest.skip("no folder `shared` with public data beside the project")
    return folder
