"""Every dependency is argued for in docs/dependencies.md and pinned in constraints.txt."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETTINGS = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
REQUIREMENT = re.compile(r'^\s*"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*[<>=~!][^"]*",?$', re.MULTILINE)


def declared() -> set[str]:
    """Names of all distributions in pyproject.toml's lists of requirements."""
    start = SETTINGS.index("\ndependencies = [")
    return {name.lower() for name in REQUIREMENT.findall(SETTINGS[start : SETTINGS.index("[project.scripts]")])} | {
        name.lower()
        for line in re.findall(r"^(?:rtx|tensorrt|perf|mlflow) = \[(.*)\]$", SETTINGS, re.MULTILINE)
        for name in re.findall(r'"([A-Za-z0-9_.-]+)', line)
    }


def test_every_dependency_is_argued_for() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    argued = {row.lower() for row in re.findall(r"^\| ([a-zA-Z0-9-]+)(?: [0-9.]+)? \|", page, re.MULTILINE)} - {
        "package",
        "---",
    }
    server_only = {"nvidia-pytriton"}
    assert argued - server_only == declared()


def test_every_dependency_is_pinned() -> None:
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in _pins()}
    elsewhere = {"tensorrt-cu13"}  # the GPU container has its own
    assert {name.replace("_", "-") for name in declared()} - elsewhere <= pinned


def test_pins_are_names_and_versions_only() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]+", line) for line in _pins())


def _pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]
