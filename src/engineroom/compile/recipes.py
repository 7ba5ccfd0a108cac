"""Finding recipes: `build/NAME.py` with a `RECIPE` in it."""

import difflib
import importlib.util
import sys
import traceback
from pathlib import Path

from engineroom.errors import RecipeError
from engineroom.project import Project
from engineroom.recipe import Recipe


def recipe_names(project: Project) -> list[str]:
    """Names of the recipes in a project, by file name."""
    return sorted(path.stem for path in project.recipes.glob("*.py") if not path.stem.startswith("_"))


def recipe_from_name(project: Project, name: str) -> Recipe:
    """Import `build/NAME.py` and take its `RECIPE`.

    Args:
        project: The project.
        name: The recipe's name.

    Raises:
        RecipeError: There is no such file, it does not import, or holds no fitting `RECIPE`.
    """
    path = project.recipes / f"{name}.py"
    if not path.is_file():
        known = recipe_names(project)
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(known) or 'none'}."
        raise RecipeError(f"{name}: there is no recipe {path}. {hint}")
    recipe = getattr(_imported(path), "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise RecipeError(f"{path}: has no RECIPE. Write RECIPE = Recipe(name='{name}', ...) at its top level.")
    if recipe.name != name:
        raise RecipeError(f"{path}: its recipe is named '{recipe.name}'. Give file and recipe the same name.")
    return recipe


def _imported(path: Path) -> object:
    """Import a file under a name of its own, so that a recipe called `digits` hides no package called digits."""
    name = f"engineroom_recipes.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"{path}: is not a Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except RecipeError:
        raise
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = (
            f" at line {lines[-1]}" if lines else f" at line {error.lineno}" if isinstance(error, SyntaxError) else ""
        )
        raise RecipeError(
            f"{path}: does not import{where}: {type(error).__name__}: {error}. Mend it, then build again."
        ) from error
    return module
