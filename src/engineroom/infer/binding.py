"""Which columns of a file feed which inputs of a model, and what their values become."""

import difflib
import fnmatch
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from engineroom.client import Arrays, BadInput, ModelMetadata, TensorMetadata
from engineroom.client.check import array_for, check_names

Binding = Mapping[str, tuple[str, ...]]
"""Columns by input name, in the order of the input's elements."""


def bound(model: ModelMetadata, chosen: Mapping[str, str], columns: Sequence[str], path: Path) -> Binding:
    """Choose the columns of every input.

    An input NAME is fed by the column NAME, else by the columns NAME.0, NAME.1 and so on.

    Args:
        model: What is fed.
        chosen: Instead of NAME, by input: a column, a pattern such as `pixel_*`, or several with commas between.
        columns: What the file has.
        path: The file, for messages.

    Raises:
        BadInput: A column is not there, or an input that was chosen for.
    """
    check_inputs(model, chosen)
    found = {tensor.name: _columns(chosen.get(tensor.name, tensor.name), columns) for tensor in model.inputs}
    for tensor in model.inputs:
        if not found[tensor.name] and (tensor.name in chosen or not tensor.optional):
            raise BadInput(_missing(model, tensor, chosen.get(tensor.name, tensor.name), columns, path))
    return {name: names for name, names in found.items() if names}


def check_inputs(model: ModelMetadata, names: Mapping[str, str]) -> None:
    """Refuse names of inputs that the model does not have.

    Raises:
        BadInput: Names the first of them.
    """
    check_names(model.name, "input", names, [tensor.name for tensor in model.inputs])


def only_input(model: ModelMetadata, path: Path, what: str) -> TensorMetadata:
    """The input that is fed by something without a name.

    Raises:
        BadInput: The model needs several.
    """
    needed = [tensor for tensor in model.inputs if not tensor.optional] or list(model.inputs)
    if len(needed) != 1:
        names = ", ".join(tensor.name for tensor in needed)
        raise BadInput(f"{path}: is one {what} without a name, {model.name} takes several inputs: {names}. Use .npz.")
    return needed[0]


def _columns(wanted: str, columns: Sequence[str]) -> tuple[str, ...]:
    if wanted in columns:
        return (wanted,)
    numbered = [column for column in columns if column.startswith(f"{wanted}.") and _number(column) is not None]
    if numbered:
        return tuple(sorted(numbered, key=lambda column: _number(column) or 0))
    found: list[str] = []
    for pattern in wanted.split(",") if "," in wanted or "*" in wanted or "?" in wanted else ():
        matching = [column for column in columns if fnmatch.fnmatchcase(column, pattern.strip())]
        if not matching:
            return ()
        found += matching
    return tuple(dict.fromkeys(found))


def _number(column: str) -> int | None:
    end = column.rpartition(".")[2]
    return int(end) if end.isdecimal() else None


def _missing(model: ModelMetadata, tensor: TensorMetadata, wanted: str, columns: Sequence[str], path: Path) -> str:
    close = difflib.get_close_matches(wanted, columns, n=1)
    meant = f" Did you mean --input {tensor.name}={close[0]}?" if close else ""
    shown = ", ".join(columns[:20]) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
    return (
        f"{path}: has no column '{wanted}' for input '{tensor.name}' of {model.name}, it has: {shown}. "
        f"Say --input {tensor.name}=COLUMN.{meant}"
    )


def inputs_of_row(model: ModelMetadata, values: Mapping[str, Any], where: str) -> Arrays | BadInput:
    """The inputs of one row, from numbers, texts and lists, converted where every value survives.

    Args:
        model: What is fed.
        values: By input name; an input that is left out may be missing.
        where: The row, for messages.
    """
    arrays = {}
    for tensor in model.inputs:
        if tensor.name not in values:
            continue
        try:
            arrays[tensor.name] = _array(model, tensor, values[tensor.name])
        except (BadInput, ValueError) as error:
            return BadInput(f"{where}: {error}")
    return arrays


def _array(model: ModelMetadata, tensor: TensorMetadata, value: Any) -> npt.NDArray[Any]:
    if not isinstance(value, list) and math.prod(tensor.shape) == 1:
        for _ in tensor.shape:
            value = [value]
    return array_for(model, tensor, [value])[0] if model.max_batch_size else array_for(model, tensor, value)


def check_arrays(model: ModelMetadata, tensor: TensorMetadata, array: npt.NDArray[Any], path: Path) -> None:
    """Refuse an array whose rows are not what the model takes: of the type exactly, as `Client.infer` does.

    Args:
        model: What is fed.
        tensor: Its input.
        array: At least one row.
        path: The file, for messages.

    Raises:
        BadInput: The type or the shape of the rows is another.
    """
    try:
        array_for(model, tensor, array[:1] if model.max_batch_size else array[0])
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
