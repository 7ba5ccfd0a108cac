"""Where a project and the cache are found."""

from pathlib import Path

import pytest

from engineroom.project import Project, cache_folder


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENGINEROOM_PROJECT", "ENGINEROOM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("mark", ["build", "model_repository"])
def test_project_is_the_nearest_folder_upwards_with_recipes_or_a_repository(tmp_path: Path, mark: str) -> None:
    (tmp_path / "outer" / mark).mkdir(parents=True)
    (tmp_path / "outer" / "inner" / mark).mkdir(parents=True)
    deep = tmp_path / "outer" / "inner" / "a" / "b"
    deep.mkdir(parents=True)
    assert Project.find(deep) == Project(tmp_path / "outer" / "inner")
    assert Project.find(tmp_path / "outer") == Project(tmp_path / "outer")


def test_file_named_build_makes_no_project(tmp_path: Path) -> None:
    (tmp_path / "model_repository").mkdir()
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "build").write_text("")
    assert Project.find(tmp_path / "inner") == Project(tmp_path)


def test_start_itself_where_nothing_upwards_looks_like_a_project(tmp_path: Path) -> None:
    assert Project.find(tmp_path) == Project(tmp_path)


def test_start_is_the_current_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Project.find() == Project(tmp_path)


def test_environment_names_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "build").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENGINEROOM_PROJECT", "there")
    assert Project.find(tmp_path / "here") == Project(tmp_path / "there")


def test_folders_of_a_project(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.recipes == tmp_path / "build"
    assert project.repository == tmp_path / "model_repository"
    assert project.work == tmp_path / ".engineroom"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "home/.cache/engineroom"),
        ({"XDG_CACHE_HOME": "xdg"}, "xdg/engineroom"),
        ({"XDG_CACHE_HOME": ""}, "home/.cache/engineroom"),
        ({"ENGINEROOM_CACHE": "own", "XDG_CACHE_HOME": "xdg"}, "own"),
    ],
    ids=["home", "XDG", "empty XDG", "named"],
)
def test_cache_folder(
    environment: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name, value in environment.items():
        monkeypatch.setenv(name, str(tmp_path / value) if value else "")
    assert cache_folder() == tmp_path / expected
