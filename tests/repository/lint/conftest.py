"""Cases of every rule, each a configuration with a mistake and one without, laid out as models of a repository."""

import importlib.util
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engineroom import SLO, Recipe, Tensor
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.repository.lint.case import World
from engineroom.repository.lint.finding import Finding
from engineroom.repository.lint.lint import lint_world

RECIPE = Recipe(
    name="tiny",
    module=lambda: None,
    inputs=(Tensor("x", "float32", (8,)),),
    outputs=(Tensor("y", "float32", (8,)),),
    samples=list,
)

LintText = Callable[..., tuple[Finding, ...]]
"""`lint_text(text, name="tiny", **world)`: what is said of a text that stands in `configs/cpu.pbtxt`."""


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


rule_case = _loaded("rule_case")
CASES = [*_loaded("cases").CASES, *_loaded("cases_around").CASES]
NAMES = [f"{case.code}-{[one.code for one in CASES[:index]].count(case.code) + 1}" for index, case in enumerate(CASES)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes a `rule_case` once for each of them."""
    if "rule_case" in metafunc.fixturenames:
        metafunc.parametrize("rule_case", CASES, ids=NAMES)


def for_gpu(text: str) -> bool:
    """Whether a configuration is laid out as `config.pbtxt`."""
    return text.startswith(rule_case.GPU[: rule_case.GPU.index("max_batch_size")])


@pytest.fixture(scope="session")
def rule_cases() -> dict[str, Any]:
    """Every case of every rule, by its code and number."""
    return dict(zip(NAMES, CASES, strict=True))


@pytest.fixture(scope="session")
def hub(publish_tiny: Callable[..., ModelFolder], tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A model `hub` that is really served; every other model here is a copy of its version."""
    model = publish_tiny(tmp_path_factory.mktemp("lint") / "models", "hub", on_cpu=True)
    model.config.unlink()
    return model


@pytest.fixture(scope="session")
def lay_out(hub: ModelFolder) -> Callable[..., ModelFolder]:
    """Lays out a model with a text as its configuration, beside the hub or in a repository of its own."""

    def lay(
        repository: Path, name: str, text: str, files: Mapping[str, str | bytes | None] | None = None
    ) -> ModelFolder:
        model = ModelFolder(repository / name)
        shutil.copytree(hub.version(1), model.version(1))
        model.cpu_config.parent.mkdir()
        path = model.config if for_gpu(text) else model.cpu_config
        for file, content in {str(path.relative_to(model.path)): text, **(files or {})}.items():
            target = model.path / file
            target.parent.mkdir(exist_ok=True)
            if content is None:
                target.unlink()
            elif isinstance(content, bytes):
                target.write_bytes(content)
            else:
                target.write_text(content.replace("NAME", name))
        return model

    return lay


@pytest.fixture
def lint_text(hub: ModelFolder, lay_out: Callable[..., ModelFolder], tmp_path: Path) -> LintText:
    """What is said of a text, in a repository with the hub in it."""

    def lint(text: str, name: str = "tiny", files: Any = None, slo_ms: float | None = None, **world: Any) -> Any:
        repository = Repository(tmp_path / "models")
        if not repository.path.exists():
            shutil.copytree(hub.path.parent, repository.path)
        shutil.rmtree(repository.path / name, ignore_errors=True)
        model = lay_out(repository.path, name, text, files)
        recipe = None if slo_ms is None else replace(RECIPE, slo=SLO(p99_ms=slo_ms))
        found = lint_world(World(model, recipe, **world))
        return tuple(one for one in found if one.file.name != "config.pbtxt" or for_gpu(text))

    return lint
