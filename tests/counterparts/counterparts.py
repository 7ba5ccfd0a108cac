"""The programs that tests talk to and that do not fit beside the toolchain: each in a folder of its own, made once.

python tests/counterparts/counterparts.py      make all of them; tests that need one make it, or wait for it
"""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from engineroom.repository.files import exclusive, sha256

HERE = Path(__file__).parent
TOOLS = HERE.parents[1] / ".tools"

PYTHON = ("mlflow", "dvc")
"""Counterparts that are Python's."""


def programs(name: str) -> Path:
    """The programs of an environment that holds what `tests/counterparts/NAME.txt` pins.

    Args:
        name: One of `PYTHON`.
    """

    def make(place: Path, pins: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"]
        subprocess.run([*pip, "-r", pins], check=True)

    return _made(name, make) / "bin"


def azurite() -> Path | None:
    """The script that starts azurite, from npm; None where there is no npm."""
    npm = shutil.which("npm")

    def make(place: Path, pins: Path) -> None:
        (pin,) = [line for line in pins.read_text().splitlines() if not line.startswith("#")]
        place.mkdir()
        options = ["--prefix", str(place), "--no-audit", "--no-fund", "--silent"]
        subprocess.run([str(npm), "install", *options, pin.replace("==", "@")], check=True, timeout=300)

    return _made("azurite", make) / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js" if npm else None


def _made(name: str, make: Callable[[Path, Path], None]) -> Path:
    """The folder of a counterpart, under a digest of its pins; made by whoever comes first, the others wait."""
    pins = HERE / f"{name}.txt"
    place = TOOLS / f"{name}-{sha256(pins)[:12]}"
    with exclusive(place.with_suffix(".lock")):
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            make(place, pins)
            (place / "complete").touch()
    return place


if __name__ == "__main__":
    azurite()
    for one in PYTHON:
        programs(one)
