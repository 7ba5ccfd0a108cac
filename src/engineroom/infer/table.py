"""What is written: a line for every row, whatever the format of the file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client import Arrays, TensorMetadata


@dataclass(frozen=True)
class Line:
    """What became of one row.

    Attributes:
        file: The file that it stands in.
        row: Its number there, from 0.
        answer: Outputs by name, without the batch axis; empty where it failed.
        error: Why it failed; empty where it did not.
    """

    file: str
    row: int
    answer: Arrays = field(default_factory=dict)
    error: str = ""

    @property
    def where(self) -> str:
        """The row, for messages."""
        return f"{self.file}, row {self.row}"


@dataclass(frozen=True)
class Table:
    """Every line, which may be read more than once.

    Attributes:
        outputs: The model's outputs that are written.
        length: How many lines there are.
        lines: Begins to read them.
    """

    outputs: tuple[TensorMetadata, ...]
    length: int
    lines: Callable[[], Iterator[Line]]

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Line]:
        return self.lines()


def plain(array: npt.NDArray[Any]) -> Any:
    """An array as JSON has it: lists of numbers and texts; null where a number is none."""
    if array.dtype == object:
        return _texts(array.tolist())
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        shown = array.astype(object)
        shown[~np.isfinite(array)] = None
        return shown.tolist()
    return array.tolist()


def _texts(value: Any) -> Any:
    if isinstance(value, list):
        return [_texts(one) for one in value]
    return value.decode("utf-8", errors="backslashreplace")
