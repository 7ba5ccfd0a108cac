"""Inputs are checked before anything is sent.

An array must have the model's type exactly: a cast would hide a forgotten preprocessing step (uint8 pixels for an
FP32 model), lose digits, or double the bytes sent. Python numbers and lists have no type of their own, and are taken
where every value survives: integers exactly, fractions rounded to the nearest of the model's type. Infinities and NaN
are values like others: whether they mean something is the model's affair.
"""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.arrays import array_from_value, is_typed, kind_of
from engineroom.client.images import array_from_images, has_images
from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.client.protocol.transport import InputTensor
from engineroom.errors import BadInput


def mapping(model: str, inputs: Mapping[str, Any] | None, named: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a call by name.

    Args:
        model: The model's name, for messages.
        inputs: Those given as a mapping.
        named: Those given as keywords.

    Raises:
        BadInput: The mapping is none, or an input is given twice.
    """
    if not isinstance(inputs, Mapping | None):
        raise BadInput(f"{model}: inputs are a {type(inputs).__name__}, give a mapping of names to arrays.")
    twice = sorted(set(inputs or {}) & set(named))
    if twice:
        raise BadInput(f"{model}: input '{twice[0]}' is given twice, in the mapping and as a keyword.")
    return {**(inputs or {}), **named}


def checked(model: ModelMetadata, inputs: Mapping[str, Any]) -> tuple[InputTensor, ...]:
    """Inputs as they will be sent.

    Args:
        model: What the model takes.
        inputs: Arrays, or what numpy makes arrays of, by input name.

    Raises:
        BadInput: A name, a type, a shape or the batch is not what the model takes.
    """
    check_names(model.name, "input", inputs, [tensor.name for tensor in model.inputs])
    missing = [tensor for tensor in model.inputs if tensor.name not in inputs and not tensor.optional]
    if missing:
        wanted = ", ".join(f"'{tensor.name}' ({tensor.dtype}, {model.accepted(tensor)})" for tensor in missing)
        raise BadInput(f"{model.name}: input {wanted} is missing.")
    given = [tensor for tensor in model.inputs if tensor.name in inputs]
    if not given:
        raise BadInput(f"{model.name}: no input is given. The model takes: {', '.join(t.name for t in model.inputs)}.")
    tensors = tuple(
        InputTensor(tensor.name, tensor.dtype, array_for(model, tensor, inputs[tensor.name])) for tensor in given
    )
    _check_batch(model, tensors)
    return tensors


def check_names(model: str, kind: str, given: Iterable[str], known: list[str]) -> None:
    """Refuse names that the model does not have.

    Raises:
        BadInput: Names the first of them, and the one that was probably meant.
    """
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise BadInput(f"{model}: {kind} '{name}' is unknown, the model has: {', '.join(known)}.{meant}")


def array_for(model: ModelMetadata, tensor: TensorMetadata, value: Any) -> npt.NDArray[Any]:
    """One input as an array of the model's type and shape.

    Raises:
        BadInput: It is of another type or shape.
    """
    where = f"{model.name}: input '{tensor.name}'"
    if tensor.dtype == "BYTES":
        array = _strings(where, value)
    elif has_images(value):
        array = array_from_images(model, tensor, value)
    elif is_typed(value):
        array = _exact(where, tensor, array_from_value(where, value))
    else:
        array = _converted(where, tensor, array_from_value(where, value))
    _check_shape(where, model, tensor, array.shape)
    return array


def _exact(where: str, tensor: TensorMetadata, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wanted = tensor.numpy_dtype
    if tensor.dtype == "BF16" and array.dtype.name == "bfloat16":
        return array.astype(wanted)
    if array.dtype.newbyteorder("=") != wanted:
        cast = "bool" if wanted.kind == "b" else f"np.{wanted}"
        real = ".real" if array.dtype.kind == "c" else ""
        raise BadInput(
            f"{where} has dtype {array.dtype}, the model takes {tensor.dtype} ({wanted}). "
            f"Say {real}.astype({cast}) if that is what you mean."
        )
    return array.astype(wanted, copy=False)


def _converted(where: str, tensor: TensorMetadata, raw: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wanted = tensor.numpy_dtype
    if raw.dtype.kind not in {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[wanted.kind] and raw.size:
        raise BadInput(f"{where} holds {kind_of(raw)}, the model takes {tensor.dtype} ({wanted}).")
    with np.errstate(over="ignore", invalid="ignore"):
        array = raw.astype(wanted)
        back = array.astype(raw.dtype)
    if raw.dtype.kind == "f":
        kept = np.array_equal(np.isinf(array), np.isinf(raw))
    else:  # there and back alone lets -1 through UINT64, comparing alone 2**53 + 1 through FP64
        kept = np.array_equal(array, raw) and np.array_equal(back, raw)
    if not kept:
        raise BadInput(f"{where} holds values that {tensor.dtype} cannot ({raw.min()} to {raw.max()}).")
    return array


def _strings(where: str, value: Any) -> npt.NDArray[Any]:
    array = array_from_value(where, value, object)
    odd = [item for item in array.flat if not isinstance(item, (str, bytes))]
    if odd:
        raise BadInput(f"{where} takes BYTES: an array of str or bytes, {reprlib.repr(odd[0])} is neither.")
    try:
        encoded = [item.encode() if isinstance(item, str) else bytes(item) for item in array.flat]
    except UnicodeEncodeError as error:
        raise BadInput(f"{where} holds text that is not valid Unicode ({error}). Send it as bytes.") from error
    return np.fromiter(encoded, dtype=object, count=array.size).reshape(array.shape)


def _check_shape(where: str, model: ModelMetadata, tensor: TensorMetadata, shape: tuple[int, ...]) -> None:
    batched = model.max_batch_size > 0
    wanted = (-1, *tensor.shape) if batched else tensor.shape
    wrong = [axis for axis, (size, is_) in enumerate(zip(wanted, shape, strict=False)) if size not in (-1, is_)]
    if len(shape) == len(wanted) and not wrong and not (batched and shape[0] == 0):
        return
    if batched and len(shape) == 1 and tensor.shape == (1,) and shape[0] > 1:
        advice = f"One value a row: {tensor.name}[:, np.newaxis]."
    elif batched and len(shape) == len(tensor.shape):
        advice = f"Add the batch axis: {tensor.name}[np.newaxis]."
    elif len(shape) != len(wanted):
        advice = f"It needs {len(wanted)} axes, not {len(shape)}."
    elif wrong:
        advice = f"Resize axis {', '.join(map(str, wrong))}, or widen the recipe."
    else:
        advice = "Send at least one row."
    raise BadInput(f"{where} has shape {shape}, the model takes {model.accepted(tensor)}. {advice}")


def _check_batch(model: ModelMetadata, tensors: tuple[InputTensor, ...]) -> None:
    if model.max_batch_size and len({len(tensor.array) for tensor in tensors}) > 1:
        rows = ", ".join(f"'{tensor.name}' has {len(tensor.array)} rows" for tensor in tensors)
        raise BadInput(f"{model.name}: the inputs differ in batch size: {rows}. Send as many rows of each.")
