"""`.jsonl`: an object a line, inputs or outputs by name."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from engineroom.client import Arrays, BadInput, ModelMetadata
from engineroom.infer.binding import Binding, bound, inputs_of_row
from engineroom.infer.table import Table, plain


class JsonlSource:
    """Objects with a key for each input, one a line; blank lines count for nothing.

    Args:
        path: The file.
        model: What is fed.
        chosen: Other keys, by input.

    Raises:
        BadInput: It cannot be read, or its first object lacks an input.
    """

    def __init__(self, path: Path, model: ModelMetadata, chosen: Mapping[str, str]) -> None:
        self._path, self._model = path, model
        try:
            self._length = sum(1 for _ in self._lines())
        except (OSError, ValueError) as error:
            raise BadInput(f"{path}: cannot be read as lines of JSON ({error}).") from error
        if not self._length:
            raise BadInput(f"{path}: holds no rows.")
        number, text = next(self._lines())
        first = _object(text)
        if isinstance(first, BadInput):
            raise BadInput(f"{path}, line {number}: {first}")
        self._binding: Binding = bound(model, chosen, list(first), path)

    def __len__(self) -> int:
        return self._length

    def rows(self, start: int) -> Iterator[Arrays | BadInput]:
        """Each row from `start` on."""
        for number, text in islice(self._lines(), start, None):
            where = f"line {number}"
            found = _object(text)
            if isinstance(found, BadInput):
                yield BadInput(f"{where}: {found}")
                continue
            values = {}
            for name, keys in self._binding.items():
                given = [found[key] for key in keys if key in found]
                if len(given) == len(keys):
                    values[name] = given[0] if len(keys) == 1 else given
            yield self._complete(values, where)

    def _complete(self, values: dict[str, object], where: str) -> Arrays | BadInput:
        for tensor in self._model.inputs:
            if tensor.name not in values and not tensor.optional:
                return BadInput(f"{where}: has no '{self._binding[tensor.name][0]}' for input '{tensor.name}'.")
        return inputs_of_row(self._model, values, where)

    def place(self, row: int) -> tuple[str, int]:
        """The file, and the row."""
        return str(self._path), row

    def _lines(self) -> Iterator[tuple[int, str]]:
        with self._path.open(encoding="utf-8-sig") as file:
            yield from ((number, line) for number, line in enumerate(file, 1) if line.strip())


def _object(text: str) -> dict[str, object] | BadInput:
    try:
        found = json.loads(text)
    except ValueError as error:
        return BadInput(f"is no JSON ({error}).")
    return found if isinstance(found, dict) else BadInput('is no JSON object, write {"INPUT": value, …}.')


def write(path: Path, table: Table) -> None:
    """Write an object a line: `file`, `row`, and the outputs, or `error`."""
    with path.open("w", encoding="utf-8") as file:
        for line in table:
            told = {"error": line.error} if line.error else {name: plain(array) for name, array in line.answer.items()}
            file.write(json.dumps({"file": line.file, "row": line.row, **told}, ensure_ascii=False) + "\n")
