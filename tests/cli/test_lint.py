"""`engineroom config lint`: what it prints, writes and ends with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.project import Project
from engineroom.repository.history import history
from engineroom.repository.layout import ModelFolder

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "tests" / "recipes" / "tiny.py"
BATCHING = "dynamic_batching { default_queue_policy { max_queue_size: 8 } }\n"


@pytest.fixture
def model(publish_tiny: Callable[..., ModelFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelFolder:
    """A clean model in a project of its own."""
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))
    model = publish_tiny(Project(tmp_path).repository)
    model.config.write_text(model.config.read_text() + BATCHING)
    return model


def test_our_own_configurations_are_clean(engineroom: Callable[..., tuple[int, str, str]]) -> None:
    status, said, _ = engineroom("config", "lint", "--repository", str(ROOT / "model_repository"), "--json")
    assert (status, json.loads(said)["counts"]["error"], json.loads(said)["counts"]["warning"]) == (0, 0, 0)


def test_clean_model(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder) -> None:
    assert engineroom("config", "lint") == (0, "1 configuration: nothing to say\n", "")


def test_error_ends_with_1(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder) -> None:
    model.config.write_text(model.config.read_text() + "max_batch: 3\n")
    status, said, _ = engineroom("config", "lint", "tiny")
    assert (status, "error ER106" in said) == (1, True)


def test_warning_fails_only_when_strict(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder) -> None:
    model.config.write_text(model.config.read_text().replace(BATCHING, ""))
    assert engineroom("config", "lint")[0] == 0
    assert engineroom("config", "lint", "--strict")[0] == 1


def test_dry_run_shows_and_leaves(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder) -> None:
    text = model.config.read_text().replace("max_batch_size", "max_batchsize")
    model.config.write_text(text)
    status, said, _ = engineroom("config", "lint", "--fix", "--dry-run")
    assert (status, "+max_batch_size: 4" in said, model.config.read_text()) == (0, True, text)


def test_fix_writes_and_checks_again(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder) -> None:
    good = model.config.read_text()
    model.config.write_text(good.replace("max_batch_size", "max_batchsize"))
    assert engineroom("config", "lint", "--fix")[0] == 0
    assert model.config.read_text() == good
    (done,) = history(model)
    assert (done.action, done.changes["config.pbtxt"].after) == ("lint --fix", good)


def test_sarif_is_written(engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder, tmp_path: Path) -> None:
    assert engineroom("config", "lint", "--sarif", str(tmp_path / "log.sarif"))[0] == 0
    assert json.loads((tmp_path / "log.sarif").read_text())["version"] == "2.1.0"


def test_promise_of_the_recipe_counts(
    engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder, tmp_path: Path
) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tiny.py").write_text(RECIPE.read_text())
    delay = "dynamic_batching { max_queue_delay_microseconds: 150000 }\n"
    model.config.write_text(model.config.read_text().replace(BATCHING, delay))
    assert "warning ER411" in engineroom("config", "lint")[1]


def test_recipe_that_does_not_import_is_told(
    engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder, tmp_path: Path
) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "tiny.py").write_text("import nothing_of_that_name\n")
    status, _, warned = engineroom("config", "lint")
    assert (status, "tiny is checked without its recipe" in warned) == (0, True)


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("nobody",), 1, "nobody: no such model"),
        (("--repository", "/nowhere"), 1, "no models in /nowhere"),
        (("--dry-run",), 2, "give both"),
        (("--explain", "ER999"), 2, "there is no rule ER999"),
        (("--sarif", "/proc/nowhere/log"), 1, "cannot be written"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_misuse(
    engineroom: Callable[..., tuple[int, str, str]], model: ModelFolder, words: tuple[str, ...], status: int, told: str
) -> None:
    found, _, error = engineroom("config", "lint", *words)
    assert (found, told in error) == (status, True)


def test_explain_is_the_rules_page(engineroom: Callable[..., tuple[int, str, str]]) -> None:
    status, said, _ = engineroom("config", "lint", "--explain", "er404")
    assert status == 0
    assert said in (ROOT / "docs" / "lint.md").read_text(encoding="utf-8")
