"""The output itself: all parts in one file, and the rows that failed in another."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from engineroom.client import TensorMetadata
from engineroom.errors import InferError
from engineroom.infer.formats import writer_of
from engineroom.infer.parts import Part
from engineroom.infer.record import Record, errors_path, parts_folder
from engineroom.infer.rows import Rows
from engineroom.infer.table import Line, Table
from engineroom.repository.files import sync_file, sync_folder


def finish(
    record: Record, rows: Rows, outputs: tuple[TensorMetadata, ...], parts: Sequence[Part], output: Path
) -> Record:
    """Write the output and its record; the parts are kept where rows have failed, which will be asked again.

    Args:
        record: What the output is made from.
        rows: What was asked.
        outputs: What is written.
        parts: What became of every row.
        output: The file.

    Raises:
        InferError: It cannot be written; the parts are kept.
    """
    failed = sum(len(part.failed()) for part in parts)
    table = Table(outputs, len(rows), lambda: _lines(parts, rows))
    broken = Table((), failed, lambda: (line for line in _lines(parts, rows) if line.error))
    try:
        _replace(output, table)
        if failed:
            _replace(errors_path(output), broken)
        else:
            errors_path(output).unlink(missing_ok=True)
        done = record.with_counts(len(rows) - failed, failed)
        done.save(output)
        if not failed:
            shutil.rmtree(parts_folder(output))
    except OSError as error:
        raise InferError(
            f"{output}: cannot be written ({error.strerror}). The answers are kept: make room, and run the same "
            "command again."
        ) from error
    return done


def _lines(parts: Sequence[Part], rows: Rows) -> Iterator[Line]:
    for part in parts:
        for index, outcome in part.read().items():
            file, row = rows.place(index)
            yield Line(file, row, error=outcome) if isinstance(outcome, str) else Line(file, row, outcome)


def _replace(path: Path, table: Table) -> None:
    """Write a table under a temporary name, and rename it."""
    beside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        writer_of(path).write(beside, table)
        sync_file(beside)
        beside.replace(path)
        sync_folder(path.parent)
    finally:
        beside.unlink(missing_ok=True)
