"""Rows of named values as a table, CSV or JSON: what both programs print and write."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

Record = Mapping[str, object]

FORMS = ("table", "csv", "json")
"""What `--format` takes."""

WIDE = 10_000
"""Columns of a table that goes into a file or a pipe: there, nothing needs folding."""


def print_records(records: Sequence[Record], form: str) -> None:
    """Print rows to standard output in one of `FORMS`."""
    if form == "table":
        _print_table(records)
    else:
        _write(records, form, sys.stdout)


def write_records(records: Sequence[Record], path: Path) -> None:
    """Write rows to a file whose suffix, `.csv` or `.json`, says how."""
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(records, path.suffix[1:], file)


def _write(records: Sequence[Record], form: str, file: TextIO) -> None:
    if form == "json":
        json.dump(records, file, ensure_ascii=False, indent=2)
        file.write("\n")
        return
    writer = csv.DictWriter(file, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def _print_table(records: Sequence[Record]) -> None:
    table = Table(box=None, pad_edge=False)
    for name, value in records[0].items():
        table.add_column(name, justify="right" if isinstance(value, (int, float)) else "left", overflow="fold")
    for record in records:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in record.values()))
    width = None if sys.stdout.isatty() else WIDE
    Console(markup=False, highlight=False, emoji=False, width=width).print(table)
