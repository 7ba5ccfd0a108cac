"""`.npz`: arrays by input name, read row by row without ever holding one whole."""

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from engineroom.client import Arrays, BadInput, ModelMetadata
from engineroom.infer.binding import bound, check_arrays
from engineroom.infer.npy import write_array
from engineroom.infer.table import Table


@dataclass(frozen=True)
class _Member:
    """One array of the file, as its header describes it."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        return self.dtype.itemsize * math.prod(self.shape[1:])


class NpzSource:
    """Arrays of equal length, by name.

    Args:
        path: The file.
        model: What is fed.
        chosen: Arrays of other names, by input.

    Raises:
        BadInput: It is no such file, holds no rows, or others than the model takes.
    """

    def __init__(self, path: Path, model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name.removesuffix(".npy") for name in archive.namelist()]
                binding = bound(model, chosen, names, path)
                self._members = {name: _member(archive, columns[0]) for name, columns in binding.items()}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise BadInput(f"{path}: cannot be read as .npz ({error}).") from error
        lengths = {member.name: (member.shape or (0,))[0] for member in self._members.values()}
        if len(set(lengths.values())) != 1 or 0 in lengths.values():
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise BadInput(f"{path}: the arrays must have as many rows each, and at least one: {told}.")
        self._length = next(iter(lengths.values()))
        for tensor in model.inputs:
            if tensor.name in self._members:
                member = self._members[tensor.name]
                check_arrays(model, tensor, np.zeros((1, *member.shape[1:]), member.dtype), path)

    def __len__(self) -> int:
        return self._length

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each row from `start` on."""
        with zipfile.ZipFile(self._path) as archive:
            files = {name: _opened(archive, member, start) for name, member in self._members.items()}
            for _ in range(start, self._length):
                yield {name: _row(file, self._members[name]) for name, file in files.items()}

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row."""
        return str(self._path), row


def _member(archive: zipfile.ZipFile, name: str) -> _Member:
    with archive.open(f"{name}.npy") as file:
        shape, fortran, dtype = _header(file)
    if dtype.hasobject:
        raise ValueError(f"array '{name}' holds Python objects")
    if fortran and len(shape) > 1:
        raise ValueError(f"array '{name}' is stored column by column. Save np.ascontiguousarray of it")
    return _Member(name, shape, dtype)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    return shape, fortran, dtype


def _opened(archive: zipfile.ZipFile, member: _Member, start: int) -> IO[bytes]:
    file = archive.open(f"{member.name}.npy")
    _header(file)
    left = start * member.row_bytes
    while left:  # seek would do the same, 16 MiB at a time
        left -= len(file.read(min(left, 1 << 20))) or left
    return file


def _row(file: IO[bytes], member: _Member) -> npt.NDArray[Any]:
    content = file.read(member.row_bytes)
    if len(content) < member.row_bytes:
        raise EOFError(f"array '{member.name}' ends early")
    return np.frombuffer(content, member.dtype).reshape(member.shape[1:])


def write(path: Path, table: Table) -> None:
    """Write every output as an array, and `answered`: False in the rows that failed, where outputs are NaN or 0."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for output in table.outputs:
            with archive.open(f"{output.name}.npy", "w", force_zip64=True) as file:
                write_array(file, table, output)
        with archive.open("answered.npy", "w", force_zip64=True) as file:
            answered = np.fromiter((not line.error for line in table), np.bool_, len(table))
            np.lib.format.write_array(file, answered, allow_pickle=False)
