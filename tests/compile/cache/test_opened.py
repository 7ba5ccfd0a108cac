"""Files that a recipe reads without naming them."""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from engineroom.compile.cache import opened as module
from engineroom.compile.cache.opened import opened, unnamed
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.project import Project


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not the system's, as temporary ones are."""
    monkeypatch.setattr(module, "SYSTEM", ())
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: "/nowhere")
    return tmp_path


def test_what_is_read_meanwhile_is_seen_in_order(home: Path) -> None:
    for name in "abcd":
        (home / name).write_text(name)
    with opened() as paths:
        (home / "b").read_text()
        with open(home / "a", "rb"), opened() as inner:  # noqa: PTH123 - the way that libraries open
            (home / "c").read_bytes()
        (home / "written").write_text("")
    (home / "d").read_text()
    assert unnamed(paths, []) == [home / "b", home / "a", home / "c"]
    assert unnamed(inner, []) == [home / "c"]
    assert unnamed(paths, [home / "b", home / "a"]) == [home / "c"]


def test_code_libraries_and_what_is_gone_do_not_count(home: Path) -> None:
    (home / "code.py").write_text("")
    (home / "gone").write_text("")
    with opened() as paths:
        for path in (home / "code.py", home / "gone", Path(os.__file__), Path(pytest.__file__).with_name("py.typed")):
            path.read_text()
    (home / "gone").unlink()
    assert len(paths) >= 4
    assert unnamed(paths, []) == []


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_build_says_which_file_is_not_named(
    tiny_project: Project, monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: "/nowhere")
    rows, recipe = tiny_project.recipes / "rows.txt", tiny_project.recipes / "tiny.py"
    rows.write_text("1.5")
    text = recipe.read_text().replace('[{"x": ROWS}]', '[{"x": ROWS * np.loadtxt(ROWS_FILE, np.float32)}]')
    files = 'files=("rows.txt",)' if named else "files=()"
    recipe.write_text(f"ROWS_FILE = {str(rows)!r}\n" + text.replace('packages=("numpy",)', files))
    options = BuildOptions(("openvino",))
    report = build(recipe_from_name(tiny_project, "tiny"), tiny_project, options, lambda _: nullcontext())
    told = f"it reads {rows}, which the recipe's files do not name"
    assert (told in report.stages[0].note) != named
