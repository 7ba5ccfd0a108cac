"""Publish: a finished version appears in the repository at once, or not at all."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.repository.files import sync_file, sync_folder
from engineroom.repository.layout import ModelFolder

STAGING = ".staging-"
"""Prefix of a version that is being made. Triton looks only at folders whose name is a number."""


def publish(folder: ModelFolder, files: Iterable[Path]) -> int:
    """Make files the model's next version.

    They are copied to a folder beside the versions, flushed to the disk, and renamed into place in one step.

    Args:
        folder: The model's folder; made where it is missing.
        files: Everything the version holds.

    Returns:
        The version's number.

    Raises:
        RepositoryError: The repository cannot be written; the versions before stay as they were.
    """
    with staged(folder) as place:
        for file in files:
            sync_file(Path(shutil.copyfile(file, place / file.name)))
        return _rename(place, folder)


def publish_as(folder: ModelFolder, number: int, files: Mapping[str, Path]) -> None:
    """Make files the version of a given number, in one step as `publish` does.

    Args:
        folder: The model's folder; made where it is missing.
        number: The version.
        files: Everything that it holds: path inside the version to the file, which is linked where the disk can.

    Raises:
        RepositoryError: That version is there already, or the repository cannot be written.
    """
    with staged(folder) as place:
        for name, file in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                (place / name).hardlink_to(file)
            except OSError:
                shutil.copyfile(file, place / name)
            sync_file(place / name)
        if folder.version(number).exists():
            raise RepositoryError(
                f"{folder.name}: version {number} has appeared in the meantime. Run the command again."
            )
        sync_folder(place)
        place.rename(folder.version(number))
        sync_folder(folder.path)


@contextlib.contextmanager
def staged(folder: ModelFolder) -> Iterator[Path]:
    """A folder beside the versions, for one that is being made; gone in the end, unless it was renamed.

    Raises:
        RepositoryError: The repository cannot be written; the versions before stay as they were.
    """
    place = folder.path / f"{STAGING}{os.getpid()}"
    with explained(folder):
        sweep(folder)
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)


def _rename(place: Path, folder: ModelFolder) -> int:
    sync_folder(place)
    while True:
        number = (folder.latest or 0) + 1
        try:
            place.rename(folder.version(number))
        except OSError:
            # Another build took this number in the meantime: a folder cannot replace one with content.
            if folder.version(number).exists():
                continue
            raise
        sync_folder(folder.path)
        return number


def sweep(folder: ModelFolder) -> None:
    """Remove what builds that were killed left behind."""
    for path in folder.path.glob(f"{STAGING}*"):
        owner = path.name.removeprefix(STAGING)
        if owner == str(os.getpid()) or not Path(f"/proc/{owner}").exists():
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def explained(folder: ModelFolder) -> Iterator[None]:
    """Turn the system's refusal to write into a message that says what still holds."""
    try:
        yield
    except OSError as error:
        kept = f"Version {folder.latest} stays published." if folder.latest else "Nothing is published yet."
        raise RepositoryError(
            f"{folder.name}: cannot write {error.filename2 or error.filename or folder.path}: "
            f"{error.strerror or error}. {kept} Free space or mend the rights of the folder, then build again."
        ) from error
