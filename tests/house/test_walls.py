"""The walls of the house: how long a file and a function may be (docs/design.md, "House style")."""

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_WALL = 320
FUNCTION_WALL = 40
PARAMETER_WALL = 6


def sources() -> list[str]:
    """Python files that git knows or would add, tests excepted."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return [path for path in listed if not path.startswith("tests/") and (ROOT / path).is_file()]


def test_there_are_sources_in_every_room() -> None:
    rooms = {path.split("/")[0] for path in sources()}
    assert {"src", "build", "client", "perf"} <= rooms


@pytest.mark.parametrize("path", sources())
def test_file_and_function_walls(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_WALL, f"{path} is longer than {FILE_WALL} lines: split it by what it does"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_WALL, (
                f"{path}:{node.lineno} {node.name} has {length} lines, {FUNCTION_WALL} is the wall"
            )


def test_no_drawer_modules() -> None:
    drawers = {"utils.py", "util.py", "common.py", "helpers.py", "misc.py"}
    assert not [path for path in sources() if Path(path).name in drawers]
