"""Laying out a project: what is written, under which names, and where nothing is."""

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.errors import EngineRoomError
from engineroom.scaffold.layout import MODEL, PROJECT, lay_out, project_files

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str, str]]

FOLDERS = {"build", "client", "perf", "model_repository", "tests"}


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_command_writes_a_project_and_says_what_comes_next(engineroom: Run, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    status, said, _ = engineroom("new", str(folder))
    assert status == 0
    assert everything(folder) == {str(path) for path in project_files()}
    assert {path.name for path in folder.iterdir() if path.is_dir()} == FOLDERS
    assert f"  cd {folder}\n  make demo" in said


def test_a_dry_run_lists_the_same_files_and_writes_none(engineroom: Run, tmp_path: Path) -> None:
    _, planned, _ = engineroom("new", str(tmp_path / "mine"), "--name", "bells", "--dry-run")
    assert not (tmp_path / "mine").exists()
    _, written, _ = engineroom("new", str(tmp_path / "mine"), "--name", "bells")
    listed = [line for line in planned.splitlines() if line.startswith("  ")]
    assert listed == [line for line in written.split("\nNext:")[0].splitlines() if line.startswith("  ")]
    assert "  build/bells.py" in listed


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert (tmp_path / "Makefile") in lay_out(tmp_path)


def test_the_models_name_is_everywhere(tmp_path: Path) -> None:
    lay_out(tmp_path, "bells")
    texts = {path: (tmp_path / path).read_text() for path in everything(tmp_path)}
    assert not [path for path, text in texts.items() if MODEL in path or MODEL in text]
    assert 'name="bells"' in texts["build/bells.py"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "must begin with a letter"),
        ("two words", "must begin with a letter"),
        ("../up", "must begin with a letter"),
        ("9lives", "must begin with a letter"),
        ("_private", "must begin with a letter"),
        ("class", "must begin with a letter"),
        ("torch", "would hide the Python package torch"),
        ("json", "would hide the Python package json"),
    ],
    ids=lambda text: text or "empty",
)
def test_a_bad_name_is_refused_and_nothing_written(engineroom: Run, tmp_path: Path, name: str, why: str) -> None:
    status, _, problem = engineroom("new", str(tmp_path / "mine"), "--name", name)
    assert status == 1
    assert why in problem
    assert not (tmp_path / "mine").exists()


def test_a_folder_that_holds_something_is_refused(engineroom: Run, tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).touch()
    for extra in ([], ["--dry-run"]):
        status, _, problem = engineroom("new", str(tmp_path), *extra)
        assert status == 1
        assert problem == (
            f"error: {tmp_path}: is not empty, it holds a, b, c and 1 more. Name a folder that is new or empty.\n"
        )
    assert everything(tmp_path) == {"a", "b", "c", "d"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineRoomError, match="is a file"):
        lay_out(tmp_path / "file")


@pytest.mark.parametrize("folder", [Path("/proc/mine"), Path(__file__) / "mine"], ids=["kernel's", "below a file"])
def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    with pytest.raises(EngineRoomError, match=r"cannot be written|is a file"):
        lay_out(folder)


def test_a_failure_half_way_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(EngineRoomError, match=r"File name too long.*Nothing was left there"):
        lay_out(tmp_path / "new" / "mine", "n" * 300)
    assert list(tmp_path.iterdir()) == []


def test_the_locust_suite_is_ours(tmp_path: Path) -> None:
    lay_out(tmp_path, "efficientnet_lite0")
    theirs, ours = ((root / "perf" / "locustfile.py").read_text() for root in (tmp_path, ROOT))
    # Our own package is one of other people's there: only its place among the imports differs.
    assert sorted(filter(None, theirs.splitlines())) == sorted(filter(None, ours.splitlines()))


def test_no_text_is_a_placeholder() -> None:
    words = re.compile(r"\b(TODO|FIXME|XXX|lorem|changeme|your[-_ ]name|foo|bar)\b", re.IGNORECASE)
    assert not [path for path, text in project_files().items() if words.search(text)]


def test_recipes_are_not_ignored_by_the_projects_git(tmp_path: Path) -> None:
    lay_out(tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    shown = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert set(shown) == everything(tmp_path) - {path for path in everything(tmp_path) if path.startswith(".git/")}


def test_a_wheel_carries_the_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("engineroom/scaffold/project/")}
    assert len(inside) == len(project_files())
    zipfile.ZipFile(wheel).extractall(tmp_path / "unpacked")
    code = (
        f"import sys, json; sys.path.insert(0, {str(tmp_path / 'unpacked')!r})\n"
        "from engineroom.scaffold import layout\n"
        "print(json.dumps([layout.__file__, sorted(map(str, layout.project_files()))]))"
    )
    place, files = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
    assert place.startswith(str(tmp_path))
    assert files == sorted(map(str, project_files()))


def test_the_files_as_they_stand_are_found_beside_the_code() -> None:
    assert (PROJECT / "build" / f"{MODEL}.py").is_file()
