"""`.npy`: one array, mapped into memory, its first axis the rows."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from engineroom.client import Arrays, BadInput, ModelMetadata, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer.binding import check_arrays, check_inputs, only_input
from engineroom.infer.table import Table


class NpySource:
    """One array for the model's only input.

    Args:
        path: The file.
        model: What is fed.
        chosen: Must be empty: an array has no columns.

    Raises:
        BadInput: It is no array, holds no rows, or others than the model takes.
    """

    def __init__(self, path: Path, model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        self._path = path
        check_inputs(model, chosen)
        self._tensor = only_input(model, path, "array")
        try:
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise BadInput(f"{path}: cannot be read as an array ({error}).") from error
        if not isinstance(self._array, np.ndarray) or not self._array.ndim or not len(self._array):
            raise BadInput(f"{path}: holds no rows. Its first axis must be the rows.")
        check_arrays(model, self._tensor, self._array, path)

    def __len__(self) -> int:
        return len(self._array)

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each row from `start` on."""
        for row in range(start, len(self._array)):
            yield {self._tensor.name: np.array(self._array[row])}

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row."""
        return str(self._path), row


def check_output(outputs: tuple[TensorMetadata, ...], path: Path) -> None:
    """Refuse what one array cannot hold.

    Raises:
        InferError: Several outputs, text, or rows of different shapes.
    """
    if len(outputs) != 1:
        names = ", ".join(output.name for output in outputs)
        raise InferError(f"{path}: .npy holds one array, the model gives {names}. Say --outputs NAME, or use .npz.")
    check_stackable(outputs, path)


def check_stackable(outputs: tuple[TensorMetadata, ...], path: Path) -> None:
    """Refuse outputs that arrays without pickled objects cannot hold.

    Raises:
        InferError: Text, or rows of different shapes.
    """
    for output in outputs:
        if output.dtype == "BYTES" or -1 in output.shape:
            what = "text" if output.dtype == "BYTES" else "of varying shape"
            raise InferError(
                f"{path}: output '{output.name}' is {what}, which arrays do not hold. Use .jsonl or .parquet."
            )


def write(path: Path, table: Table) -> None:
    """Write the only output as one array; NaN, or 0, in the rows that failed."""
    with path.open("wb") as file:
        write_array(file, table, table.outputs[0])


def write_array(file: IO[bytes], table: Table, output: TensorMetadata) -> None:
    """Stream one output of every row into a `.npy` file."""
    dtype = output.numpy_dtype
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (len(table), *output.shape),
    }
    np.lib.format.write_array_header_2_0(file, header)
    blank = np.full(output.shape, np.nan if dtype.kind == "f" else 0, dtype)
    for line in table:
        array = line.answer.get(output.name, blank)
        if array.shape != output.shape:
            raise InferError(f"{line.where}: output '{output.name}' has shape {array.shape}, not {output.shape}.")
        file.write(np.ascontiguousarray(array, dtype).tobytes())
