"""Source code as an input of a build.

Of a recipe counts what it says, not how it is written: comments, doc strings and formatting change nothing. Of
engineroom's own code a stage depends on the modules that it imports, and those that they import.
"""

import ast
import hashlib
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from engineroom.errors import RecipeError
from engineroom.project import Project
from engineroom.recipe import Recipe

APART = {
    "Recipe": ("files", "instances", "islands", "packages", "precision", "slo", "sparsity", "task", "tolerance"),
    "Tensor": ("labels",),
    "TaskMetric": ("max_loss",),
}
"""Arguments that neither the module's answers nor the export depend on; they count by themselves where they do."""

LIBRARY = "engineroom"
IMPORT = re.compile(r"^\s*(?:from (engineroom[\w.]*) import (\([^)]*\)|.*)|import (engineroom[\w.]*))", re.MULTILINE)
NO_PART = ("engineroom", "engineroom.errors")
"""Modules whose code changes no result: the list of public names, and the tree of errors."""


def recipe_sources(recipe: Recipe, project: Project) -> dict[str, str]:
    """Digests of the code that makes the module and its samples, by name.

    That is the recipe's file without the arguments in `APART`, the file that defines the module, and every module of
    the user's own that they import: those that are neither Python's nor installed.

    Raises:
        RecipeError: There is no such file, as in an interactive session.
    """
    path, maker = recipe_file(recipe, project), _defining_file(recipe)
    files = [file for file in dict.fromkeys((path, maker)) if file and file.is_file()]
    if not files:
        raise RecipeError(
            f"{recipe.name}: the source of its module() is in no file. Write the recipe into build/{recipe.name}.py."
        )
    found = {}
    for file in _with_imports(files):
        if file == path:
            found["recipe"] = code_digest(_without_apart(_tree(file)))
        else:
            found[f"module {file.parent.name}/{file.name}"] = code_digest(_tree(file))
    return found


def recipe_file(recipe: Recipe, project: Project) -> Path:
    """Where a recipe of this name is written, whether or not it is."""
    return (project.recipes / f"{recipe.name}.py").resolve()


def task_source(recipe: Recipe, project: Project) -> str:
    """Digest of the recipe's `task` as it is written, without `max_loss`; empty where it stands elsewhere."""
    path = recipe_file(recipe, project)
    if recipe.task is None or not path.is_file():
        return ""
    tree = _tree(path)
    written = [
        argument.value
        for call in _calls(tree, "Recipe")
        for argument in call.keywords
        if argument.arg == "task"
    ]  # fmt: skip
    return code_digest(*(_without_apart(value) for value in written))


def own_code(*modules: str, alone: tuple[str, ...] = ()) -> str:
    """Digest of modules of engineroom, and of all that they import of it.

    Args:
        modules: Names such as `engineroom.compile.graph.export`.
        alone: Modules that count without their imports.
    """
    found, waiting = set(alone), list(modules)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += own_imports(name)
    texts = (f"{name}\0{_own_text(name)}\0" for name in sorted(found.difference(NO_PART)))
    return hashlib.sha256("".join(texts).encode()).hexdigest()


def code_digest(*trees: ast.AST) -> str:
    """SHA-256 of syntax trees, in hexadecimal; where things stand in a file, and what is only text, does not count."""
    digest = hashlib.sha256()
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(body := getattr(node, "body", None), list):
                body[:] = [statement for statement in body if not _is_text(statement)]
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError) as error:
        raise RecipeError(f"{path}: cannot be read as Python: {error}.") from error


def _is_text(statement: ast.stmt) -> bool:
    """A string that stands alone, as doc strings do, or the part of a file that runs it as a program."""
    if isinstance(statement, ast.If):
        return isinstance(statement.test, ast.Compare) and getattr(statement.test.left, "id", "") == "__name__"
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _without_apart(tree: ast.AST) -> ast.AST:
    for name, arguments in APART.items():
        for call in _calls(tree, name):
            call.keywords = [argument for argument in call.keywords if argument.arg not in arguments]
    return tree


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            if name == (called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")):
                yield node


def _defining_file(recipe: Recipe) -> Path | None:
    # A functools.partial says that it comes from functools.
    maker = getattr(recipe.module, "func", recipe.module)
    defined_in = getattr(sys.modules.get(maker.__module__), "__file__", None)
    return Path(defined_in).resolve() if defined_in else None


def _with_imports(files: list[Path]) -> list[Path]:
    """Files, and those of the user's own modules that they import."""
    found: list[Path] = []
    waiting = list(files)
    while waiting:
        file = waiting.pop(0)
        if file not in found:
            found.append(file)
            for name in sorted({name.partition(".")[0] for name in _imports(_tree(file)) if name}):
                waiting += _users_files(name)
    return found


@cache
def _users_files(name: str) -> tuple[Path, ...]:
    """Files of a top-level module or package, if it is neither Python's nor installed nor engineroom."""
    if name in sys.stdlib_module_names or name == LIBRARY:
        return ()
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return ()
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return ()
    path = Path(spec.origin).resolve()
    if any(path.is_relative_to(folder) for folder in installed()):
        return ()
    return tuple(sorted(path.parent.rglob("*.py"))) if path.name == "__init__.py" else (path,)


@cache
def installed() -> tuple[Path, ...]:
    """Folders of Python's own library and of what is installed for it."""
    paths = sysconfig.get_paths()
    names = [*(paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")), *site.getsitepackages()]
    return tuple(Path(name).resolve() for name in (*names, site.getusersitepackages()))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _own_text(module: str) -> str | None:
    base = Path(__file__).parents[2].joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return path.read_text(encoding="utf-8") if path.is_file() else None


@cache
def own_imports(module: str) -> frozenset[str]:
    """Modules of engineroom that one of them imports, at its top or within a function.

    They are found in the text, which is many times quicker than in its syntax tree.

    Args:
        module: Its name, such as `engineroom.compile.graph.export`.
    """
    found = set()
    for source, names, alone in IMPORT.findall(_own_text(module) or ""):
        found |= {source, alone, *(f"{source}.{name}" for name in re.findall(r"\w+", names))}
    return frozenset(name for name in found if name and _own_text(name) is not None)
