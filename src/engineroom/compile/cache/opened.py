"""Files that a recipe reads and does not name: a build would not notice when they change."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from engineroom.compile.cache.sources import installed

SYSTEM = ("/dev", "/etc", "/proc", "/run", "/sys", "/usr", "/var")
"""Folders that belong to the system; what changes there comes with a new one."""

CODE = (".py", ".pyc", ".so")
"""Python's own files, which count by themselves."""


@contextlib.contextmanager
def opened() -> Iterator[list[str]]:
    """Collect the paths that this process opens for reading, in order, each once."""
    found: dict[str, None] = {}
    _listeners().append(found)
    names: list[str] = []
    try:
        yield names
    finally:
        _listeners().remove(found)
        names += found


def unnamed(paths: Sequence[str], named: Sequence[Path]) -> list[Path]:
    """Those of some opened paths that a build depends on, and that nobody has named.

    Args:
        paths: From `opened`.
        named: Files and folders that are known, such as the recipe's `files`.
    """
    apart = (*installed(), *map(Path, SYSTEM), Path(tempfile.gettempdir()).resolve(), *named)
    files = (Path(path).resolve() for path in paths)
    return [
        file
        for file in dict.fromkeys(files)
        if file.is_file() and file.suffix not in CODE and not any(file.is_relative_to(folder) for folder in apart)
    ]


def overlooked(file: Path) -> str:
    """What a reader of the build should know of a file that nobody has named."""
    return f"it reads {file}, which the recipe's files do not name: when that changes, a build does not notice"


@cache
def _listeners() -> list[dict[str, None]]:
    """Who listens now. A hook cannot be taken away again, so there is one for the process."""
    listeners: list[dict[str, None]] = []

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and listeners and isinstance(arguments[0], str) and "r" in (arguments[1] or ""):
            for one in listeners:
                one[arguments[0]] = None

    sys.addaudithook(hook)
    return listeners
