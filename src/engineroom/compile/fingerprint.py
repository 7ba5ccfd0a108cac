"""The fingerprint of a build: equal fingerprints, equal artefacts, so the second build has nothing to do."""

import hashlib
import inspect
import platform
import sys
from importlib import metadata
from pathlib import Path

from engineroom.compile.targets.openvino import has_amx
from engineroom.compile.targets.tensorrt import has_gpu
from engineroom.errors import RecipeError
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


def fingerprint(recipe: Recipe) -> str:
    """Digest of the recipe's source, the versions of its packages, this machine's abilities, and engineroom's own code.

    Raises:
        RecipeError: A distribution that the recipe needs is not installed, or its source cannot be read.
    """
    parts = [source_of(recipe).read_bytes()]
    parts += [path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py"))]
    parts += [repr(sorted(one.items())).encode() for one in (libraries(recipe), machine())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def source_of(recipe: Recipe) -> Path:
    """The file that defines the recipe's module.

    Raises:
        RecipeError: There is no file, as in an interactive session.
    """
    module = sys.modules.get(recipe.module.__module__)
    file = getattr(module, "__file__", None) or inspect.getsourcefile(recipe.module)
    if file is None or not Path(file).is_file():
        raise RecipeError(
            f"{recipe.name}: the source of its module() is in no file. Write the recipe into build/{recipe.name}.py."
        )
    return Path(file)
