import importlib
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).resolve().parents[2] / "client"


@pytest.fixture(scope="session")
def program():
    """Imports a program of `client/` as it runs: with its folder first on the path."""
    sys.path.insert(0, str(PROGRAMS))
    yield importlib.import_module
    sys.path.remove(str(PROGRAMS))
