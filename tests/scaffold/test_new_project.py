"""A project that `engineroom new` made, used as its owner uses it: make, git, DVC, ruff."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.scaffold.layout import lay_out

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project after its first `make demo`, and what that printed."""
    folder = tmp_path_factory.mktemp("new") / "ringing"
    lay_out(folder, "bells")
    return folder, typed("make demo", folder)


def typed(command: str, folder: Path, path: str = "", status: int = 0) -> str:
    """Type a command in a folder, with the environment of somebody who has activated the virtual one."""
    place = path or f"{BIN}:{os.environ['PATH']}"
    # The make that runs the tests would have this one speak of the folders that it enters.
    others = ("ENGINEROOM_PROJECT", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    alone = {name: value for name, value in os.environ.items() if name not in others}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env={**alone, "PATH": place, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == status, f"{command}\n{done.stdout}"
    return done.stdout


def test_demo_builds_serves_asks_checks_and_ends(demo: tuple[Path, str]) -> None:
    folder, said = demo
    assert "bells version 1 answers its golden input" in said
    assert said.count("sawtooth") == 8
    assert said.rstrip().endswith("Every answer is right. Triton stopped.")
    assert (folder / "model_repository" / "bells" / "1" / "model.xml").is_file()


def test_its_own_tests_pass(demo: tuple[Path, str]) -> None:
    assert " passed" in typed("make test", demo[0])


def test_a_wrong_answer_ends_the_demo(demo: tuple[Path, str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(demo[0], tmp_path / "copy"))
    examples = folder / "client" / "examples.csv"
    examples.write_text(examples.read_text().replace("sine,", "square,", 1))
    said = typed(f"{sys.executable} client/demo.py", folder, status=1)
    assert "1 of 8 answers are wrong" in said
    assert "Traceback" not in said


def test_help_lists_the_targets(demo: tuple[Path, str]) -> None:
    said = typed("make", demo[0])
    assert {"make demo", "make test", "make help"} <= {line.strip().split("  ")[0] for line in said.splitlines()}


def test_without_engineroom_make_says_what_to_do(demo: tuple[Path, str]) -> None:
    said = typed("make demo", demo[0], path="/usr/bin:/bin", status=2)
    assert said.startswith("error: no engineroom on PATH: run pip install -r requirements.txt, or make ENGINEROOM=")


def test_engineroom_can_be_named(demo: tuple[Path, str]) -> None:
    said = typed(f"make build ENGINEROOM={BIN / 'engineroom'}", demo[0], path="/usr/bin:/bin")
    assert "bells: version 1 is up to date" in said


def test_it_is_clean(demo: tuple[Path, str]) -> None:
    typed("ruff check && ruff format --check", demo[0])


def test_the_commands_of_its_readme_exist(demo: tuple[Path, str]) -> None:
    text = (demo[0] / "README.md").read_text()
    commands = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `engineroom ")}
    assert len(commands) == 4
    for command in commands - {"engineroom serve", "engineroom doctor"}:
        typed(command, demo[0])


def test_dvc_runs_what_changed_and_nothing_else(demo: tuple[Path, str], counterpart: Callable[[str], Path]) -> None:
    folder = demo[0]
    path = f"{BIN}:{counterpart('dvc')}:{os.environ['PATH']}"
    typed("git init --quiet && DVC_NO_ANALYTICS=1 dvc init --quiet && dvc config core.analytics false", folder, path)
    said = typed("dvc repro", folder, path)
    assert [f"Running stage '{stage}'" in said for stage in ("build", "record", "ask")] == [True, True, True]
    lock = (folder / "dvc.lock").read_text()
    assert "Data and pipelines are up to date." in typed("dvc repro", folder, path)
    assert (folder / "dvc.lock").read_text() == lock
    metrics = json.loads(typed("dvc metrics show --json 2>/dev/null", folder, path))[""]["data"]
    assert metrics["out/answers.json"]["data"] == {"right": 1.0}
    assert metrics["out/bells/figures.json"]["data"]["openvino"]["f32"]["accuracy"] > 0.95
    page = typed("dvc plots show --quiet && cat dvc_plots/index.html", folder, path)
    assert "errors.png" in page
    assert "Where the build's time went" in page
    check_changes_are_noticed(folder, path)


def check_changes_are_noticed(folder: Path, path: str) -> None:
    """A version that is gone comes back, a changed parameter runs the build, a configuration is the operator's."""
    config = folder / "model_repository" / "bells" / "config.pbtxt"
    config.write_text(f"# reviewed\n{config.read_text()}")
    assert "Data and pipelines are up to date." in typed("dvc status", folder, path)
    shutil.rmtree(folder / "model_repository" / "bells" / "1")
    assert "model_repository/bells" in typed("dvc status", folder, path)
    typed("dvc repro build record", folder, path)
    assert (folder / "model_repository" / "bells" / "1" / "model.xml").is_file()
    recipe = folder / "build" / "bells.py"
    recipe.write_text(recipe.read_text().replace("SEED = 7", "SEED = 8"))
    assert "SEED" in typed("dvc status", folder, path)
    assert "Running stage 'build'" in typed("dvc repro --dry", folder, path)
