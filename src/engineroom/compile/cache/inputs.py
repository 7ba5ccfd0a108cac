"""The inputs of a build that are not code: files, versions, and this machine."""

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from engineroom.compile.cache.sources import recipe_file
from engineroom.errors import RecipeError
from engineroom.hardware import has_amx, has_gpu
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.files import sha256

COMPILERS = {
    "openvino": ("openvino",),
    "tensorrt": ("tensorrt", "tensorrt-cu13", "tensorrt-cu13-bindings"),
    "tensorrt-rtx": ("tensorrt-rtx-cu13",),
}
"""Distributions that compile for a kind of target, where they are installed."""

TOOLS = ("numpy", "onnx", "onnxruntime", "onnxscript", "torch")
"""Distributions that take part in every build."""


def named_files(recipe: Recipe, project: Project) -> dict[str, Path]:
    """Where the files and folders are that a recipe names."""
    return {name: recipe_file(recipe, project).parent / name for name in recipe.files}


def recipe_files(recipe: Recipe, project: Project) -> dict[str, str]:
    """Digests of the files that the recipe reads, by name; of a folder, all files in it.

    Raises:
        RecipeError: One is not there.
    """
    found: dict[str, str] = {}
    for name, path in named_files(recipe, project).items():
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
        if not files:
            raise RecipeError(
                f"{recipe.name}: its file {name} is not at {path}. Put it there, or mend the recipe's files: "
                "their paths begin at the folder of the recipe."
            )
        found |= {f"file {Path(name) / file.relative_to(path)}": sha256(file) for file in files}
    return found


def packages(names: Iterable[str], recipe: Recipe | None = None) -> dict[str, str]:
    """Versions of distributions, by name; those that are not installed are left out.

    Args:
        names: The distributions.
        recipe: Whose `packages` must be installed.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed.
    """
    found = {}
    for name in names:
        try:
            found[f"package {name}"] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            if recipe and name in recipe.packages:
                raise RecipeError(f"{recipe.name}: needs the package {name}. Run: pip install {name}") from error
    return found


def python() -> dict[str, str]:
    """The version of Python, to its last part."""
    return {"Python": platform.python_version()}


def libraries(recipe: Recipe) -> dict[str, str]:
    """Versions of everything that takes part in the build, for the passport.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed.
    """
    compilers = (name for names in COMPILERS.values() for name in names)
    found = packages((*TOOLS, *compilers, *recipe.packages), recipe)
    return {"python": platform.python_version(), **{name.removeprefix("package "): one for name, one in found.items()}}


def machine() -> dict[str, str]:
    """What the artefacts are proven on: the parts of this machine that change the proof."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "amx": "yes" if has_amx() else "no",
        "gpu": "yes" if has_gpu() else "no",
    }
