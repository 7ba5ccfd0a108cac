"""Which file is read and written how: by the end of its name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engineroom.client import BadInput, ModelMetadata, TensorMetadata
from engineroom.errors import InferError
from engineroom.infer import csv_table, jsonl, npy, npz, parquet
from engineroom.infer.images import SUFFIXES, ImageSource
from engineroom.infer.rows import Source
from engineroom.infer.table import Table

Reader = Callable[[Path, ModelMetadata, Mapping[str, str]], Source]

READERS: Mapping[str, Reader] = {
    ".csv": csv_table.CsvSource,
    ".jsonl": jsonl.JsonlSource,
    ".npy": npy.NpySource,
    ".npz": npz.NpzSource,
    ".parquet": parquet.ParquetSource,
}


@dataclass(frozen=True)
class Writer:
    """How a format is written.

    Attributes:
        write: Writes a whole table.
        check: Refuses outputs that the format cannot hold, before anything is asked.
    """

    write: Callable[[Path, Table], None]
    check: Callable[[tuple[TensorMetadata, ...], Path], None] = lambda _, __: None


WRITERS: Mapping[str, Writer] = {
    ".csv": Writer(csv_table.write),
    ".jsonl": Writer(jsonl.write),
    ".npy": Writer(npy.write, npy.check_output),
    ".npz": Writer(npz.write, npy.check_stackable),
    ".parquet": Writer(parquet.write, parquet.check_output),
}


def sources_from_paths(paths: Sequence[Path], model: ModelMetadata, chosen: Mapping[str, str]) -> list[Source]:
    """Open every file; images that stand beside one another are one source.

    Raises:
        BadInput: A file is unknown, named twice, or cannot be read for this model.
        InferError: A library is missing.
    """
    _check_paths(paths)
    sources: list[Source] = []
    images: list[Path] = []
    for path in [*paths, None]:
        if path and _is_image(path):
            images.append(path)
            continue
        if images:
            sources.append(ImageSource(images, model, chosen))
            images = []
        if path:
            sources.append(READERS[path.suffix.lower()](path, model, chosen))
    return sources


def _check_paths(paths: Sequence[Path]) -> None:
    seen = set()
    for path in paths:
        if not path.exists():
            raise BadInput(f"{path}: is not there.")
        if not _is_image(path) and path.suffix.lower() not in READERS:
            known = " ".join([*READERS, *sorted(SUFFIXES)])
            raise BadInput(f"{path}: is of no format that is known here ({known}, or a folder of images).")
        if path.resolve() in seen:
            raise BadInput(f"{path}: is given twice.")
        seen.add(path.resolve())


def _is_image(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() in SUFFIXES


def writer_of(output: Path) -> Writer:
    """How a file is written.

    Raises:
        InferError: Its name ends in nothing that can be.
    """
    if output.suffix.lower() not in WRITERS:
        raise InferError(f"{output}: its name must end in one of {' '.join(WRITERS)}.")
    return WRITERS[output.suffix.lower()]
