"""`.parquet`: columns of numbers, texts and lists, read by row groups. Needs pyarrow."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from engineroom.client import Arrays, BadInput, ModelMetadata, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer.binding import bound, inputs_of_row
from engineroom.infer.table import Line, Table, plain

ROWS_AT_ONCE = 1024


class ParquetSource:
    """Rows of columns; an input of several elements is fed by a column of lists, or by several columns.

    Args:
        path: The file.
        model: What is fed.
        chosen: Columns, by input.

    Raises:
        BadInput: It cannot be read, holds no rows, or lacks a column.
    """

    def __init__(self, path: Path, model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        self._path, self._model = path, model
        arrow, parquet = libraries(path)
        self._errors = (arrow.ArrowException, OSError, ValueError)
        try:
            with parquet.ParquetFile(path) as file:
                names = file.schema_arrow.names
                groups = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
        except self._errors as error:
            raise BadInput(f"{path}: cannot be read as Parquet ({error}).") from error
        self._groups, self._parquet = groups, parquet
        if not sum(groups):
            raise BadInput(f"{path}: holds no rows.")
        self._binding = bound(model, chosen, names, path)

    def __len__(self) -> int:
        return sum(self._groups)

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each row from `start` on; row groups before it are not read."""
        first = 0
        while start >= self._groups[first]:
            start -= self._groups[first]
            first += 1
        number = sum(self._groups[:first]) + start
        try:
            for found in islice(self._found(first), start, None):
                values = {
                    name: found[columns[0]] if len(columns) == 1 else [found[column] for column in columns]
                    for name, columns in self._binding.items()
                }
                yield inputs_of_row(self._model, values, f"row {number}")
                number += 1
        except self._errors as error:
            raise BadInput(f"{self._path}: cannot be read any further ({error}).") from error

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row."""
        return str(self._path), row

    def _found(self, first: int) -> Iterator[dict[str, Any]]:
        columns = sorted({column for columns in self._binding.values() for column in columns})
        with self._parquet.ParquetFile(self._path) as file:
            groups = list(range(first, len(self._groups)))
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=columns):
                yield from batch.to_pylist()


def libraries(path: Path) -> tuple[Any, Any]:
    """pyarrow, and its module of Parquet.

    Raises:
        InferError: It is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InferError(f"{path}: Parquet needs pyarrow. Run: pip install 'engineroom[infer]'") from error
    return pyarrow, parquet


def check_output(_: tuple[TensorMetadata, ...], path: Path) -> None:
    """Refuse to begin where pyarrow is missing."""
    libraries(path)


def write(path: Path, table: Table) -> None:
    """Write `file`, `row`, the outputs (lists where they have several elements) and `error`."""
    arrow, parquet = libraries(path)
    fields = [arrow.field("file", arrow.string()), arrow.field("row", arrow.int64())]
    fields += [arrow.field(output.name, _type(arrow, output)) for output in table.outputs]
    schema = arrow.schema([*fields, arrow.field("error", arrow.string())])
    with parquet.ParquetWriter(path, schema) as writer:
        lines = iter(table)
        while part := list(islice(lines, ROWS_AT_ONCE)):
            writer.write_table(arrow.Table.from_pylist([_record(table, line) for line in part], schema))


def _record(table: Table, line: Line) -> dict[str, Any]:
    cells = {}
    for output in table.outputs:
        if output.name in line.answer:
            array = line.answer[output.name]
            cells[output.name] = plain(array) if array.dtype == object else array.tolist()
            if _scalar(output):
                cells[output.name] = array.ravel().tolist()[0] if array.dtype != object else plain(array.ravel())[0]
    return {"file": line.file, "row": line.row, **cells, "error": line.error or None}


def _scalar(output: TensorMetadata) -> bool:
    return all(size == 1 for size in output.shape)


def _type(arrow: Any, output: TensorMetadata) -> Any:
    name = {"BOOL": "bool_", "BYTES": "string", "FP16": "float32", "FP64": "float64"}.get(output.dtype)
    kind = getattr(arrow, name or ("float32" if "F" in output.dtype else output.dtype.lower()))()
    for _ in () if _scalar(output) else output.shape:
        kind = arrow.list_(kind)
    return kind
