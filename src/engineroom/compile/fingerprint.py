"""The fingerprint of a build: equal fingerprints, equal artefacts, so the second build has nothing to do."""

import hashlib
import platform
import sys
from importlib import metadata
from pathlib import Path

from engineroom.errors import RecipeError
from engineroom.hardware import has_amx, has_gpu
from engineroom.project import Project
from engineroom.recipe import Recipe

TOOLS = (
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "tensorrt",
    "tensorrt-cu13",
    "tensorrt-rtx-cu13",
    "torch",
)
"""Distributions that take part in every build, where they are installed."""


def libraries(recipe: Recipe) -> dict[str, str]:
    """Versions of everything that takes part in the build.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed.
    """
    versions = {"python": platform.python_version()}
    for name in (*TOOLS, *recipe.packages):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError as error:
            if name in recipe.packages:
                raise RecipeError(f"{recipe.name}: needs the package {name}. Run: pip install {name}") from error
    return versions


def machine() -> dict[str, str]:
    """What the artefacts are proven on: the parts of this machine that change the proof."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "amx": "yes" if has_amx() else "no",
        "gpu": "yes" if has_gpu() else "no",
    }


def fingerprint(recipe: Recipe, project: Project) -> str:
    """Digest of the recipe's source, the versions of its packages, this machine's abilities, and engineroom's own code.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed, or its source cannot be read.
    """
    parts = [path.read_bytes() for path in sources_of(recipe, project)]
    parts += [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    parts += [repr(sorted(one.items())).encode() for one in (libraries(recipe), machine())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def sources_of(recipe: Recipe, project: Project) -> list[Path]:
    """The recipe's own file, and the one that defines its module where that is another.

    Raises:
        RecipeError: There is neither, as in an interactive session.
    """
    # A functools.partial says that it comes from functools.
    maker = getattr(recipe.module, "func", recipe.module)
    defined_in = getattr(sys.modules.get(maker.__module__), "__file__", None)
    files = {project.recipes / f"{recipe.name}.py", *([Path(defined_in)] if defined_in else [])}
    found = sorted({file.resolve() for file in files if file.is_file()})
    if not found:
        raise RecipeError(
            f"{recipe.name}: the source of its module() is in no file. Write the recipe into build/{recipe.name}.py."
        )
    return found
