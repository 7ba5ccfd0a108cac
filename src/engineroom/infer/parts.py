"""What was answered, kept in parts beside the output until it is whole.

A part holds consecutive rows, whole or not at all: it is written under a temporary name and renamed. So whatever ends a
run, the rows from 0 on that have parts are answered, or known to have failed, and all others are not.
"""

import re
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client import Arrays
from engineroom.errors import InferError
from engineroom.repository.files import write_atomically

NAME = re.compile(r"(\d+)-(\d+)\.npz")
MOST_ROWS = 4096
MOST_BYTES = 16 << 20
MOST_S = 2.0
"""A part is written when it has so many rows, or bytes, or when the last is so long ago: what a kill may lose."""

Outcome = Arrays | str
"""Outputs of one row without the batch axis, or why it failed."""


@dataclass(frozen=True)
class Part:
    """Consecutive rows.

    Attributes:
        path: Its file.
        start: Its first row.
        stop: The row after its last.
    """

    path: Path
    start: int
    stop: int

    def read(self) -> dict[int, Outcome]:
        """What became of every row.

        Raises:
            InferError: The file cannot be read.
        """
        held = self._held()
        failed: dict[int, Outcome] = dict(zip(held["failed"].tolist(), held["words"].tolist(), strict=True))
        answers: dict[int, Arrays] = {row: {} for row in held["rows"].tolist()}
        for name in [name.removeprefix("data.") for name in held if name.startswith("data.")]:
            for row, array in zip(answers, _decoded(held, name), strict=True):
                answers[row][name] = array
        return dict(sorted((failed | answers).items()))

    def failed(self) -> list[int]:
        """Rows that failed.

        Raises:
            InferError: The file cannot be read.
        """
        rows: list[int] = self._held("failed")["failed"].tolist()
        return rows

    def _held(self, *names: str) -> dict[str, npt.NDArray[Any]]:
        try:
            with np.load(self.path, allow_pickle=False) as file:
                return {name: file[name] for name in names or file.files}
        except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
            raise InferError(f"{self.path}: cannot be read ({error}). Remove it: its rows are asked again.") from error


def parts_in(folder: Path) -> list[Part]:
    """The parts of a run, in order.

    Only those that follow one another from row 0: behind a part that somebody has removed, rows are asked again.
    """
    matches = (NAME.fullmatch(path.name) for path in folder.glob("*.npz"))
    found = [Part(folder / match[0], int(match[1]), int(match[2])) for match in matches if match]
    parts: list[Part] = []
    for part in sorted(found, key=lambda part: (part.start, part.stop)):
        if part.start == (parts[-1].stop if parts else 0):
            parts.append(part)
    return parts


class Keeper:
    """Writes outcomes into parts: those of new rows into new ones, those of rows asked again into theirs.

    Args:
        folder: The folder of the parts.

    Attributes:
        parts: Those that are whole.
    """

    def __init__(self, folder: Path) -> None:
        self.parts = parts_in(folder)
        self._folder = folder
        self._fresh: dict[int, Outcome] = {}
        self._again: dict[int, Outcome] = {}
        self._bytes = 0
        self._written_at = time.monotonic()

    @property
    def covered(self) -> int:
        """The first row without a part."""
        return self.parts[-1].stop if self.parts else 0

    def wanted(self, length: int) -> Iterator[int]:
        """Rows to ask: those that failed, then those without a part."""
        covered = self.covered
        for part in list(self.parts):
            yield from part.failed()
        yield from range(covered, length)

    def keep(self, outcomes: Mapping[int, Outcome]) -> None:
        """Take outcomes of ascending rows.

        Raises:
            InferError: The disk does not take them.
        """
        for row, outcome in sorted(outcomes.items()):
            if row < self.covered:
                if self._again and self._part(row) != self._part(next(iter(self._again))):
                    self._write_again()
                self._again[row] = outcome
            else:
                self._fresh[row] = outcome
                self._bytes += 200 if isinstance(outcome, str) else sum(array.nbytes for array in outcome.values())
        late = time.monotonic() - self._written_at > MOST_S
        if late or len(self._fresh) >= MOST_ROWS or self._bytes >= MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held.

        Raises:
            InferError: The disk does not take it.
        """
        if self._again:
            self._write_again()
        if self._fresh:
            start, stop = min(self._fresh), max(self._fresh) + 1
            part = Part(self._folder / f"{start:012}-{stop:012}.npz", start, stop)
            self._write(part, self._fresh)
            self.parts.append(part)
            self._fresh, self._bytes = {}, 0
        self._written_at = time.monotonic()

    def _write_again(self) -> None:
        part = self._part(next(iter(self._again)))
        self._write(part, part.read() | self._again)
        self._again = {}

    def _part(self, row: int) -> Part:
        return next(part for part in self.parts if part.start <= row < part.stop)

    @staticmethod
    def _write(part: Part, outcomes: Mapping[int, Outcome]) -> None:
        try:
            write_atomically(part.path, _encoded(outcomes))
        except OSError as error:
            raise InferError(
                f"{part.path.parent}: cannot be written ({error.strerror}). What was answered before is kept: "
                "make room, and run the same command again."
            ) from error


def _encoded(outcomes: Mapping[int, Outcome]) -> bytes:
    answers = {row: outcome for row, outcome in outcomes.items() if not isinstance(outcome, str)}
    words = {row: outcome for row, outcome in outcomes.items() if isinstance(outcome, str)}
    held: dict[str, npt.NDArray[Any]] = {
        "rows": np.array(list(answers), np.int64),
        "failed": np.array(list(words), np.int64),
        "words": np.array(list(words.values()), np.str_),
    }
    for name in next(iter(answers.values()), {}):
        arrays = [answer[name] for answer in answers.values()]
        flat = np.concatenate([array.ravel() for array in arrays])
        held[f"shape.{name}"] = np.array([array.shape for array in arrays], np.int64)
        if flat.dtype == object:
            held[f"length.{name}"] = np.array([len(item) for item in flat], np.int64)
            flat = np.frombuffer(b"".join(flat), np.uint8)
        held[f"data.{name}"] = flat
    file = BytesIO()
    np.savez(file, **held)  # type: ignore[arg-type]
    return file.getvalue()


def _decoded(held: Mapping[str, npt.NDArray[Any]], name: str) -> Iterator[npt.NDArray[Any]]:
    flat, shapes = held[f"data.{name}"], held[f"shape.{name}"]
    if f"length.{name}" in held:
        ends = np.cumsum(held[f"length.{name}"]).tolist()
        content = flat.tobytes()
        items = [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        flat = np.fromiter(items, object, len(items))
    ends = np.cumsum(np.prod(shapes, axis=1, dtype=np.int64)).tolist()
    for start, end, shape in zip([0, *ends], ends, shapes.tolist(), strict=False):
        yield flat[start:end].reshape(shape)
