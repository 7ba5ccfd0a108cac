"""`.csv`: a heading, then a row a line, cells by comma."""

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from engineroom.client import Arrays, BadInput, ModelMetadata, TensorMetadata
from engineroom.infer.binding import bound, inputs_of_row
from engineroom.infer.table import Line, Table, plain

TRUTH = {"true": True, "1": True, "false": False, "0": False}
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a list of a thousand numbers is longer than the default allows


class CsvSource:
    """Rows of text, read as the model's types.

    An input of several elements is fed by several columns, or by one whose cells are JSON lists.

    Args:
        path: The file.
        model: What is fed.
        chosen: Columns, by input.

    Raises:
        BadInput: It cannot be read, holds no rows, or lacks a column.
    """

    def __init__(self, path: Path, model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        self._path, self._model = path, model
        try:
            lines = self._lines()
            self._columns = next(lines, (0, []))[1]
            self._length = sum(1 for _ in lines)
        except (OSError, ValueError, csv.Error) as error:
            raise BadInput(f"{path}: cannot be read as CSV ({error}).") from error
        twice = sorted({column for column in self._columns if self._columns.count(column) > 1})
        if twice:
            raise BadInput(f"{path}: two columns are called '{twice[0]}'.")
        if not self._length:
            raise BadInput(f"{path}: holds no rows. Its first line must be the heading.")
        binding = bound(model, chosen, self._columns, path)
        self._places = {name: [self._columns.index(column) for column in columns] for name, columns in binding.items()}

    def __len__(self) -> int:
        return self._length

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each row from `start` on."""
        for number, cells in islice(self._lines(), start + 1, None):
            yield self._row(f"line {number}", cells)

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row."""
        return str(self._path), row

    def _row(self, where: str, cells: list[str]) -> Arrays | BadInput:
        if len(cells) != len(self._columns):
            return BadInput(f"{where}: has {len(cells)} cells, the heading has {len(self._columns)}.")
        values = {}
        for tensor in self._model.inputs:
            places = self._places.get(tensor.name, [])
            try:
                if places:
                    values[tensor.name] = _value(tensor, [cells[place] for place in places])
            except (ValueError, KeyError):
                odd = next(place for place in places if _is_odd(tensor, cells[place]))
                return BadInput(f"{where}, column '{self._columns[odd]}': {cells[odd]!r} is no {tensor.dtype}.")
        return inputs_of_row(self._model, values, where)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        with self._path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            for cells in reader:
                if cells:
                    yield reader.line_num, cells


def _value(tensor: TensorMetadata, cells: list[str]) -> Any:
    if len(cells) == 1 and tensor.dtype != "BYTES" and cells[0].lstrip().startswith("["):
        return json.loads(cells[0])
    values = [_parsed(tensor, cell) for cell in cells]
    return values[0] if len(values) == 1 and math.prod(tensor.shape) == 1 else _nested(values, tensor.shape)


def _parsed(tensor: TensorMetadata, cell: str) -> Any:
    if tensor.dtype == "BYTES":
        return cell
    if tensor.dtype == "BOOL":
        return TRUTH[cell.strip().lower()]
    return int(cell) if "INT" in tensor.dtype else float(cell)


def _is_odd(tensor: TensorMetadata, cell: str) -> bool:
    try:
        _value(tensor, [cell])
    except (ValueError, KeyError):
        return True
    return False


def _nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """A flat list in the shape of an input; as it is where it does not fit, for the check to say so."""
    if -1 not in shape and math.prod(shape) == len(values):
        for size in reversed(shape[1:]):
            values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def write(path: Path, table: Table) -> None:
    """Write `file`, `row`, a column for every element of every output, and `error`.

    An output whose elements vary in number is one column of JSON.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "row", *(name for output in table.outputs for name in _names(output)), "error"])
        for line in table:
            writer.writerow(
                [line.file, line.row, *(cell for output in table.outputs for cell in _cells(output, line)), line.error]
            )


def _names(output: TensorMetadata) -> list[str]:
    if -1 in output.shape or math.prod(output.shape) == 1:
        return [output.name]
    return [f"{output.name}.{number}" for number in range(math.prod(output.shape))]


def _cells(output: TensorMetadata, line: Line) -> list[str]:
    if output.name not in line.answer:
        return [""] * len(_names(output))
    array = line.answer[output.name]
    if -1 in output.shape:
        return [json.dumps(plain(array), ensure_ascii=False)]
    return [str(cell) for cell in (plain(array.ravel()) if array.dtype == object else array.ravel())]
