"""Rows of files, in order, and batches of them."""

import csv
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engineroom.client import Arrays, BadInput, ModelMetadata

ROWS_OF_A_BATCH = 1024
"""Most rows of one batch, those that cannot be sent included, so that a file of broken rows takes no memory either."""

UNREADABLE = (OSError, ValueError, EOFError, csv.Error, zipfile.BadZipFile, zlib.error)
"""What reading a file may raise that was whole when it was opened, or broken in its middle."""


class Source(Protocol):
    """What rows are read from: one file, or images."""

    def __len__(self) -> int:
        """Its rows."""

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Inputs by name, without the batch axis, of each row from `start` on; or what is wrong with the row.

        Raises:
            BadInput: The file cannot be read any further.
        """

    def place(self, row: int) -> tuple[str, int]:
        """The file that a row stands in, and its number there, from 0."""


class Rows:
    """The rows of several sources as one sequence, read forwards."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._starts = np.cumsum([0, *map(len, sources)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def place(self, index: int) -> tuple[str, int]:
        """The file that a row stands in, and its number there, from 0."""
        which = self._which(index)
        return self._sources[which].place(index - int(self._starts[which]))

    def at(self, indices: Iterable[int]) -> Iterator[tuple[int, Arrays | BadInput]]:
        """The rows of ascending indices; those between are passed over.

        Raises:
            BadInput: A file cannot be read any further.
        """
        which, following = -1, 0
        rows: Iterator[Arrays | BadInput] = iter(())
        for index in indices:
            if which != self._which(index):
                which, following = self._which(index), index
                rows = self._sources[which].rows(index - int(self._starts[which]))
            yield index, self._next(rows, index - following, index)
            following = index + 1

    def _next(self, rows: Iterator[Arrays | BadInput], passed_over: int, index: int) -> Arrays | BadInput:
        try:
            row = next(islice(rows, passed_over, None), None)
        except UNREADABLE as error:
            raise BadInput(f"{self.place(index)[0]}: cannot be read any further ({error}).") from error
        if row is None:
            raise BadInput(f"{self.place(index)[0]}: has become shorter since it was opened.")
        return row

    def _which(self, index: int) -> int:
        return int(np.searchsorted(self._starts, index, side="right")) - 1


@dataclass(frozen=True)
class Batch:
    """Rows that are asked in one request, and those beside them that cannot be asked.

    Attributes:
        inputs: Inputs of each row, by the row's index.
        failed: What is wrong with a row, by its index.
    """

    inputs: dict[int, Arrays] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.inputs) + len(self.failed)

    def takes(self, row: Arrays) -> bool:
        """Whether a row has the inputs and shapes of those that are here."""
        first = next(iter(self.inputs.values()), row)
        return {name: array.shape for name, array in first.items()} == {
            name: array.shape for name, array in row.items()
        }

    def request(self, model: ModelMetadata) -> dict[str, npt.NDArray[Any]]:
        """The inputs of all rows in one; of the only one where the model has no batch axis."""
        rows = list(self.inputs.values())
        return {
            name: np.stack([row[name] for row in rows]) if model.max_batch_size else rows[0][name] for name in rows[0]
        }


def batches(rows: Iterable[tuple[int, Arrays | BadInput]], size: int) -> Iterator[Batch]:
    """Rows in batches, in their order.

    Args:
        rows: Each with its index.
        size: Most rows of a request.
    """
    batch = Batch()
    for index, row in rows:
        full = len(batch) == ROWS_OF_A_BATCH
        if full or (not isinstance(row, BadInput) and (len(batch.inputs) == size or not batch.takes(row))):
            yield batch
            batch = Batch()
        if isinstance(row, BadInput):
            batch.failed[index] = str(row)
        else:
            batch.inputs[index] = row
    if len(batch):
        yield batch
