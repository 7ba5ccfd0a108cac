"""Which folders are models, and which of their folders versions."""

from pathlib import Path

import pytest

from engineroom.errors import RepositoryError
from engineroom.repository.layout import ModelFolder, Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """`a` has versions 2 and 10, `b` a configuration alone, `notes` neither; a rehearsal of `a` was left behind."""
    for folder in (
        "a/2",
        "a/10",
        "a/configs",
        "a/03",
        "a/.staging-7",
        "a/old",
        "a/-1",
        "b/configs",
        "notes",
        ".rehearsal-a-7/2",
    ):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a" / "11").write_text("a file is no version")
    for name in ("a", ".rehearsal-a-7"):
        (tmp_path / name / "config.pbtxt").write_text("")
    (tmp_path / "b" / "configs" / "cpu.pbtxt").write_text("")
    (tmp_path / "README").write_text("")
    return Repository(tmp_path)


def test_versions_are_numbers_in_the_order_of_numbers(repository: Repository) -> None:
    model = repository.model("a")
    assert (model.versions, model.latest) == ((2, 10), 10)
    assert model.version(10) == model.path / "10"


def test_model_that_is_not_there_has_no_versions(tmp_path: Path) -> None:
    model = ModelFolder(tmp_path / "ghost")
    assert (model.name, model.versions, model.latest) == ("ghost", (), None)


def test_models_are_folders_with_a_configuration(repository: Repository, tmp_path: Path) -> None:
    assert [model.name for model in repository.models] == ["a", "b"]
    assert Repository(tmp_path / "nowhere").models == ()


def test_published_models_have_a_version(repository: Repository) -> None:
    assert [model.name for model in repository.published()] == ["a"]
    assert [model.name for model in repository.published(("a",))] == ["a"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "c"), r"c: no such model in .*\. It holds: a, b\."),
        (("b",), r"b: no version is published in .*/b\. Run: engineroom build b"),
    ],
    ids=["unknown", "no version"],
)
def test_model_that_cannot_be_served_is_named(repository: Repository, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(RepositoryError, match=message):
        repository.published(names)


def test_empty_repository_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match=r"nothing is published in .*\. Run: engineroom build NAME"):
        Repository(tmp_path).published()
    with pytest.raises(RepositoryError, match=r"a: no such model in .*\. It holds: nothing\."):
        Repository(tmp_path).published(("a",))
