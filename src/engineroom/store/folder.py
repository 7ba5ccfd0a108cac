"""A store in a plain folder, also one that several machines mount."""

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from engineroom.repository.files import sync_folder
from engineroom.store.shelf import Found

TEMPORARY = ".part-"
"""Prefix of a file that is being written; it never counts."""


@dataclass(frozen=True)
class Folder:
    """A folder as a store.

    Attributes:
        root: The folder; its parent must exist, so that a disk that is not mounted is no empty store.
    """

    root: Path

    @property
    def url(self) -> str:
        """Its address."""
        return str(self.root)

    def names(self, folder: str) -> list[str]:
        """Names of the files in a folder; none where there is no such folder."""
        try:
            return [path.name for path in (self.root / folder).iterdir() if not path.name.startswith(TEMPORARY)]
        except FileNotFoundError:
            return []

    def found(self, name: str) -> Found | None:
        """Size of a file; None where there is none."""
        try:
            return Found((self.root / name).stat().st_size)
        except FileNotFoundError:
            return None

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """A part of a file."""
        with (self.root / name).open("rb") as file:
            file.seek(start)
            return file.read(-1 if end is None else end - start)

    def create(self, name: str, content: bytes) -> bool:
        """Make a file that nobody has made yet; False where it is there.

        Linking fails where the name is taken, renaming would not; and the name never stands for half a file.
        """

        def linked(temporary: Path, path: Path) -> bool:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            return True

        return self._write(name, lambda file: file.write(content), linked)

    def put(self, name: str, content: bytes) -> None:
        """Write a file at once."""
        self._write(name, lambda file: file.write(content), _renamed)

    def remove(self, name: str) -> None:
        """Take away a file that arrived damaged."""
        (self.root / name).unlink(missing_ok=True)

    def put_file(self, name: str, file: Path) -> None:
        """Copy a file at once."""
        with file.open("rb") as source:
            self._write(name, lambda target: shutil.copyfileobj(source, target, 1 << 20), _renamed)

    def _write(self, name: str, fill: Callable[[BinaryIO], object], place: Callable[[Path, Path], bool]) -> bool:
        path = self.root / name
        if not self.root.exists():
            self.root.mkdir()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            done = place(Path(temporary), path)
        finally:
            Path(temporary).unlink(missing_ok=True)
        sync_folder(path.parent)
        return done


def _renamed(temporary: Path, path: Path) -> bool:
    temporary.replace(path)
    return True
