"""The record of a version in a folder, under names that stay the same: for DVC, and for whoever reads files."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from engineroom.errors import RegistryError
from engineroom.registry.pictures import draw_pictures
from engineroom.registry.record import Record
from engineroom.repository.files import write_atomically
from engineroom.repository.layout import MANIFEST

PARAMETERS, FIGURES, STAGES = "parameters.json", "figures.json", "stages.csv"
"""Files of a written record: what the version was made with, what was measured, and the time of every stage."""


def files_of_record(record: Record) -> dict[str, str]:
    """The text of every file of a written record, by name.

    Args:
        record: What to tell of the version.
    """
    return {
        PARAMETERS: _json({"version": record.version, **record.parameters}),
        FIGURES: _json(_nested(record.figures)),
        STAGES: _table(record.passport.seconds),
        MANIFEST: (record.folder / MANIFEST).read_text(encoding="utf-8"),
    }


def write_record(record: Record, folder: Path) -> tuple[Path, ...]:
    """Write a record into a folder: parameters, figures, stages, passport, and pictures where matplotlib is installed.

    Args:
        record: What to tell of the version.
        folder: Where to; made where it is missing.

    Returns:
        The files written.

    Raises:
        RegistryError: The folder cannot be written.
    """
    try:
        for name, text in files_of_record(record).items():
            write_atomically(folder / name, text)
        with tempfile.TemporaryDirectory() as drawn:
            pictures = draw_pictures(record, Path(drawn))
            for picture in pictures:
                write_atomically(folder / picture.name, picture.read_bytes())
    except OSError as error:
        raise RegistryError(
            f"{folder}: cannot be written ({error.strerror}). Name another folder, or mend its rights."
        ) from error
    return tuple(folder / name for name in (*files_of_record(record), *(picture.name for picture in pictures)))


def _nested(figures: dict[str, float]) -> dict[str, Any]:
    """Figures by the parts of their names, as DVC's metrics have them."""
    nested: dict[str, Any] = {}
    for name, value in figures.items():
        *groups, last = name.split("/")
        place = nested
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = value
    return nested


def _table(seconds: dict[str, float]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("stage", "seconds"))
    writer.writerows(seconds.items())
    return text.getvalue()


def _json(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2) + "\n"
