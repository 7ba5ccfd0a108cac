"""Lay out a project: the files of `project/`, which are real ones, with the model's name put in."""

import keyword
import os
import re
import sys
from contextlib import suppress
from pathlib import Path, PurePosixPath

from engineroom.errors import EngineRoomError
from engineroom.repository.files import write_atomically

PROJECT = Path(__file__).with_name("project")
"""The files as they stand; what tools leave beside them, under hidden names, is none of them."""

MODEL = "waveforms"
"""The model's name in the files as they stand, and the default."""

DOTTED = ("gitignore", "dvcignore")
"""Files whose names get their dot when they are laid out: here, tools would obey them."""

TAKEN = frozenset({"engineroom", "numpy", "onnx", "onnxruntime", "openvino", "tensorrt", "torch", "tritonclient"})
"""Packages that a recipe of the same name would hide when it runs as a program."""


def project_files(model: str = MODEL) -> dict[PurePosixPath, str]:
    """The files of a new project, by their paths in it.

    Args:
        model: The model's name.

    Raises:
        EngineRoomError: The name cannot be one.
    """
    check_name(model)
    named = re.compile(rf"\b{MODEL}\b")
    files = {}
    for file in PROJECT.rglob("*"):
        path = PurePosixPath(file.relative_to(PROJECT))
        if file.is_file() and not any(part.startswith((".", "__")) for part in path.parts):
            place = named.sub(model, str(path.with_name(f".{path.name}") if path.name in DOTTED else path))
            files[PurePosixPath(place)] = named.sub(model, file.read_text(encoding="utf-8"))
    return dict(sorted(files.items()))


def check_name(model: str) -> None:
    """Pass where a name can be that of a recipe, and of its file `build/NAME.py`.

    Raises:
        EngineRoomError: It cannot; the message says why.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", model) or keyword.iskeyword(model):
        raise EngineRoomError(
            f"name '{model}': must begin with a letter and hold letters, digits and underscores alone, as in "
            "build/NAME.py. Give another with --name."
        )
    if model in TAKEN or model in sys.stdlib_module_names:
        raise EngineRoomError(
            f"name '{model}': build/{model}.py would hide the Python package {model} when it runs. "
            "Give another with --name."
        )


def lay_out(folder: Path, model: str = MODEL) -> tuple[Path, ...]:
    """Write a new project; where that fails, nothing of it stays.

    Args:
        folder: Where to; made where it is missing, and else it must be empty.
        model: The model's name.

    Returns:
        The files written.

    Raises:
        EngineRoomError: The name cannot be one, the folder holds something, or it cannot be written.
    """
    files = project_files(model)
    check_folder(folder)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    written = []
    try:
        for path, text in files.items():
            write_atomically(folder / path, text)
            written.append(folder / path)
    except OSError as error:
        _remove(written, folder, missing)
        raise EngineRoomError(
            f"{folder}: cannot be written ({error.strerror}). Nothing was left there. Name another folder, free space, "
            "or mend its rights."
        ) from error
    return tuple(written)


def check_folder(folder: Path) -> None:
    """Pass where a project can be laid out.

    Raises:
        EngineRoomError: There is a file, or a folder that holds something, or it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise EngineRoomError(f"{folder}: is a file. Name a folder that is new or empty.")
    try:
        held = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise EngineRoomError(f"{folder}: cannot be read ({error.strerror}). Name another folder.") from error
    if held:
        shown = ", ".join(held[:3]) + (f" and {len(held) - 3} more" if held[3:] else "")
        raise EngineRoomError(f"{folder}: is not empty, it holds {shown}. Name a folder that is new or empty.")
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise EngineRoomError(f"{nearest}: cannot be written. Name another folder, or mend its rights.")


def _remove(written: list[Path], folder: Path, missing: list[Path]) -> None:
    for path in written:
        path.unlink(missing_ok=True)
    inner = sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True) if folder.exists() else []
    for place in (*inner, *missing):
        with suppress(OSError):
            place.rmdir()
