"""Equal fingerprints, equal artefacts: what changes one, and what does not."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile.fingerprint import fingerprint, libraries, sources_of
from engineroom.compile.recipes import recipe_from_name
from engineroom.errors import RecipeError
from engineroom.project import Project

RECIPE = Path(__file__).parents[1] / "recipes" / "tiny.py"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.recipes.mkdir()
    (project.recipes / "tiny.py").write_text(RECIPE.read_text())
    return project


def mark(project: Project, *edits: tuple[str, str]) -> str:
    """The fingerprint after some edits of the recipe."""
    path = project.recipes / "tiny.py"
    for old, new in edits:
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))
    return fingerprint(recipe_from_name(project, "tiny"), project)


def test_nothing_changed_nothing_differs(project: Project) -> None:
    assert mark(project) == mark(project)


def test_place_of_the_project_does_not_matter(project: Project, tmp_path: Path) -> None:
    moved = Project(tmp_path / "moved")
    moved.recipes.mkdir(parents=True)
    (moved.recipes / "tiny.py").write_text(RECIPE.read_text())
    assert mark(project) == mark(moved)


def test_recipe_as_a_program_has_the_same_fingerprint(project: Project) -> None:
    """`python build/tiny.py` and `engineroom build tiny` build the same."""
    path = project.recipes / "tiny.py"
    path.write_text(
        path.read_text().partition("if __name__")[0]
        + "if __name__ == '__main__':\n"
        + "    from engineroom.compile.fingerprint import fingerprint\n"
        + "    from engineroom.project import Project\n"
        + "    print(fingerprint(RECIPE, Project.find()))\n"
    )
    done = subprocess.run(
        [sys.executable, "build/tiny.py"], cwd=project.root, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == mark(project)


def test_edited_recipe_differs(project: Project) -> None:
    assert mark(project) != mark(project, ("manual_seed(0)", "manual_seed(1)"))


def test_recipe_counts_where_its_module_is_made_elsewhere(project: Project) -> None:
    imported = ("import numpy as np", "import functools\n\nimport numpy as np")
    before = mark(project, imported, ("module=module", "module=functools.partial(module)"))
    assert mark(project, ("max=8", "max=16")) != before


def test_file_of_the_module_counts_as_well_as_the_recipe(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (project.root / "my_models.py").write_text("def module():\n    return None\n")
    monkeypatch.syspath_prepend(project.root)
    mark(project, ("import numpy as np", "import my_models\nimport numpy as np"), ("=module,", "=my_models.module,"))
    found = sources_of(recipe_from_name(project, "tiny"), project)
    assert {path.name for path in found} == {"tiny.py", "my_models.py"}


def test_recipe_in_no_file_is_refused(project: Project, tmp_path: Path) -> None:
    namespace: dict[str, Any] = {"__name__": "typed_by_hand"}
    exec("def module():\n    return None", namespace)
    recipe = replace(recipe_from_name(project, "tiny"), module=namespace["module"])
    with pytest.raises(RecipeError, match=r"tiny: the source of its module\(\) is in no file\. .*into build/tiny\.py"):
        sources_of(recipe, Project(tmp_path / "elsewhere"))


def test_packages_that_the_model_comes_from_are_recorded(project: Project) -> None:
    recipe = recipe_from_name(project, "tiny")
    known = libraries(replace(recipe, packages=("scikit-learn",)))
    assert {"python", "torch", "onnx", "openvino", "scikit-learn"} <= set(known)


def test_missing_package_says_how_to_install_it(project: Project) -> None:
    recipe = replace(recipe_from_name(project, "tiny"), packages=("weights-of-nobody",))
    with pytest.raises(RecipeError, match=r"tiny: needs the package weights-of-nobody\. Run: pip install weights-of"):
        fingerprint(recipe, project)
