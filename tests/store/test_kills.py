"""`kill -9` in a push or a pull leaves the old state or the new one; `perf/kills.py` does it more often."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).parents[2] / "perf" / "kills.py"


@pytest.mark.parametrize("case", ["push", "pull"])
def test_old_or_new_and_never_another(case: str) -> None:
    command = [sys.executable, str(KILLS), case, "--times", "5", "--seed", "7", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["times"], found["old"] + found["new"]) == (5, 5)
