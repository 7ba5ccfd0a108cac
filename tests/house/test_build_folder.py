"""`build/` is a name that tools hide or delete by default. The recipes in it must stay visible."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_ruff_sees_the_recipes() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--show-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert str(ROOT / "build" / "digits.py") in shown


def test_git_does_not_ignore_recipes() -> None:
    ignored = subprocess.run(["git", "check-ignore", "-q", "build/anything.py"], cwd=ROOT, check=False)
    assert ignored.returncode == 1


def test_pytest_would_collect_a_folder_called_build(pytestconfig: pytest.Config) -> None:
    assert "build" not in pytestconfig.getini("norecursedirs")


def test_clean_keeps_recipes_and_configurations() -> None:
    said = subprocess.run(["make", "-n", "clean"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = said.split()
    assert "build" not in words
    assert "build/" not in words
    assert "model_repository/" not in words


def test_wheel_holds_the_library_alone(tmp_path: Path) -> None:
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["build-system"]["build-backend"] == "hatchling.build"
    assert settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/engineroom"]
