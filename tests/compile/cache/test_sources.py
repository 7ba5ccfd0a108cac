"""Source code as an input: what changes a digest, what does not, and whose code counts."""

import ast
from pathlib import Path

import pytest

from engineroom.compile.cache.sources import LIBRARY, own_code, own_imports, recipe_sources, task_source
from engineroom.compile.recipes import recipe_from_name
from engineroom.errors import RecipeError
from engineroom.project import Project

RECIPE = Path(__file__).parents[2] / "recipes" / "tiny.py"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.recipes.mkdir()
    (project.recipes / "tiny.py").write_text(RECIPE.read_text())
    return project


def sources(project: Project, *edits: tuple[str, str]) -> dict[str, str]:
    """The digests of the recipe's sources after some edits."""
    path = project.recipes / "tiny.py"
    for old, new in edits:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    return recipe_sources(recipe_from_name(project, "tiny"), project)


HARMLESS = {
    "comment": ("RECIPE = ", "# the one and only\nRECIPE = "),
    "doc string": ("def module() -> Any:\n", 'def module() -> Any:\n    """Makes it."""\n'),
    "formatting": ("normal(size=(6, 8))", "normal(\n    size = (6,8)\n)"),
    "quotes": ('name="tiny"', "name='tiny'"),
    "how it runs as a program": ("    build_recipe(RECIPE)", "    print('building')\n    build_recipe(RECIPE)"),
    "tolerance": ("Tolerance(top1=1.0)", "Tolerance(top1=0.9)"),
    "labels": ('"north", "east"', '"up", "right"'),
    "loss allowed": ("score=lambda outputs, truth: 1.0", "score=lambda outputs, truth: 1.0, max_loss=0.5"),
    "precision": ('packages=("numpy",)', 'packages=("numpy",), precision="fp32"'),
    "packages": ('packages=("numpy",)', "packages=()"),
    "instances": ('packages=("numpy",)', "instances=3"),
}

HARMFUL = {
    "weights": ("manual_seed(0)", "manual_seed(1)"),
    "layers": ("torch.relu(self.first(x))", "torch.tanh(self.first(x))"),
    "samples": ("default_rng(0)", "default_rng(1)"),
    "batch": ("max=8", "max=16"),
    "a text": ('Tensor("x"', 'Tensor("y"'),
    "function that nobody calls": ("RECIPE = ", "def unused() -> None:\n    pass\n\n\nRECIPE = "),
}


@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_the_module_does_not_depend_on_changes_nothing(project: Project, change: tuple[str, str]) -> None:
    assert sources(project) == sources(project, change)


@pytest.mark.parametrize("change", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_the_module_may_depend_on_changes_the_recipe(project: Project, change: tuple[str, str]) -> None:
    assert sources(project)["recipe"] != sources(project, change)["recipe"]


def test_place_of_the_project_does_not_matter(project: Project, tmp_path: Path) -> None:
    moved = Project(tmp_path / "moved")
    moved.recipes.mkdir(parents=True)
    (moved.recipes / "tiny.py").write_text(RECIPE.read_text())
    assert sources(project) == sources(moved)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [("truth: 1.0", "truth: 1.0, max_loss=0.5", True), ("truth: 1.0", "truth: 0.9", False)],
    ids=["loss allowed", "score"],
)
def test_task_counts_by_itself(project: Project, old: str, new: str, same: bool) -> None:
    before, path = task_source(recipe_from_name(project, "tiny"), project), project.recipes / "tiny.py"
    path.write_text(path.read_text().replace(old, new))
    assert (task_source(recipe_from_name(project, "tiny"), project) == before) == same


def test_users_own_modules_count_and_those_that_they_import(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "my_layers.py").write_text("WIDTH = 8\n")
    (project.root / "my_models").mkdir()
    (project.root / "my_models" / "__init__.py").write_text("from my_models.tiny import WIDTH\n")
    (project.root / "my_models" / "tiny.py").write_text("from my_layers import WIDTH\n")
    monkeypatch.syspath_prepend(project.root)
    before = sources(project, ("import numpy as np", "import my_models\nimport numpy as np"))
    layers = f"module {project.root.name}/my_layers.py"
    assert set(before) == {"recipe", "module my_models/__init__.py", "module my_models/tiny.py", layers}
    (project.root / "my_layers.py").write_text("WIDTH = 9\n")
    after = sources(project)
    assert {name for name in after if after[name] != before[name]} == {layers}


def test_module_made_in_another_file_counts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "makers.py").write_text("def module():\n    return None\n")
    monkeypatch.syspath_prepend(project.root)
    found = sources(
        project, ("import numpy as np", "import makers\nimport numpy as np"), ("=module,", "=makers.module,")
    )
    assert set(found) == {"recipe", f"module {project.root.name}/makers.py"}


def test_recipe_that_is_made_elsewhere_counts_as_it_is_written(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, makers = project.recipes / "tiny.py", project.root / "made_elsewhere.py"
    makers.write_text(path.read_text())
    path.write_text("from made_elsewhere import RECIPE\n")
    monkeypatch.syspath_prepend(project.root)
    before = sources(project)
    makers.write_text(makers.read_text().replace("truth: 1.0", "truth: 0.9"))
    assert {name for name, digest in sources(project).items() if digest != before[name]} == {
        f"module {project.root.name}/made_elsewhere.py"
    }


def test_recipe_in_no_file_is_refused(project: Project, tmp_path: Path) -> None:
    from dataclasses import replace

    namespace: dict[str, object] = {"__name__": "typed_by_hand"}
    exec("def module():\n    return None", namespace)
    recipe = replace(recipe_from_name(project, "tiny"), module=namespace["module"])  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"tiny: the source of its module\(\) is in no file\. .*into build/tiny\.py"):
        recipe_sources(recipe, Project(tmp_path / "elsewhere"))


def modules() -> list[str]:
    """Every module of engineroom, by its name."""
    names = []
    for path in sorted((ROOT / "src" / LIBRARY).rglob("*.py")):
        parts = path.relative_to(ROOT / "src").with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", modules())
def test_no_import_within_engineroom_is_overlooked(name: str) -> None:
    path = (ROOT / "src").joinpath(*name.split("."))
    text = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    expected = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            expected |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import would be overlooked"
            expected |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    assert own_imports(name) >= expected.intersection(modules())


def test_own_code_is_what_is_imported_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from engineroom.compile.cache import sources as module

    texts = {
        "engineroom.a": "from engineroom.b import thing\n",
        "engineroom.b": "def thing():\n    from engineroom import c\n    from engineroom.errors import BuildError\n",
        "engineroom.c": "C = 1\n",
        "engineroom.d": "D = 1\n",
        "engineroom.errors": "",
    }
    monkeypatch.setattr(module, "_own_text", texts.get)
    module.own_imports.cache_clear()
    try:
        before = own_code("engineroom.a")
        for name, counts in (("b", True), ("c", True), ("d", False), ("errors", False)):
            with monkeypatch.context() as patch:
                patch.setitem(texts, f"engineroom.{name}", texts[f"engineroom.{name}"] + "MORE = 1\n")
                assert (own_code("engineroom.a") != before) == counts, name
        with monkeypatch.context() as patch:
            alone = own_code("engineroom.a", alone=("engineroom.b",))
            patch.setitem(texts, "engineroom.c", "C = 2\n")
            assert own_code("engineroom.a", alone=("engineroom.b",)) == alone
    finally:
        module.own_imports.cache_clear()
