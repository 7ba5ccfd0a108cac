"""One output for all files, or one in a folder for each."""

from collections.abc import Sequence
from pathlib import Path

from engineroom.errors import InferError


def outputs_of(files: Sequence[Path], output: Path, form: str) -> list[tuple[tuple[Path, ...], Path]]:
    """Which files are written where.

    Args:
        files: What is read.
        output: A file for all of them; or a folder, which holds one for each, of the same name.
        form: The format in a folder, such as `csv`; empty where a file is meant.

    Returns:
        Files and their output.

    Raises:
        InferError: Two files of one name would have the same output, or the format is missing, or said twice.
    """
    if not form:
        if output.is_dir():
            raise InferError(f"{output}: is a folder. Say --format, for one output a file, or name a file.")
        return [(tuple(files), output)]
    if output.exists() and not output.is_dir():
        raise InferError(f"{output}: is a file, and --format is for a folder. Leave --format out, or name a folder.")
    found: dict[Path, Path] = {}
    for file in files:
        place = output / f"{file.resolve().name if file.is_dir() else file.stem}.{form}"
        if place in found:
            raise InferError(
                f"{found[place]} and {file}: both would be written to {place}. Rename one, or give one --output file."
            )
        found[place] = file
    return [((file,), place) for place, file in found.items()]
