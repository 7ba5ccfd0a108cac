"""What a caller gives becomes a numpy array, or is refused where numpy would lose something without a word."""

import reprlib
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import BadInput

DEEPEST = 64
"""Most axes that numpy has."""


def array_from_value(where: str, value: Any, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Arrays, numbers, lists, and whatever else numpy understands, such as a torch tensor on the CPU.

    Args:
        where: Begins the messages.
        value: What was given.
        dtype: The type wanted; None for what numpy finds.

    Raises:
        BadInput: It is no array, or one that only its own library understands.
    """
    if hasattr(value, "toarray"):  # scipy's sparse kinds; numpy would take one for a single object
        raise BadInput(f"{where} is a sparse {type(value).__name__}. Say .toarray().")
    if _is_masked(value):
        raise BadInput(
            f"{where} has masked values, and a tensor has no mask. Say .filled(...) with what stands for them."
        )
    try:
        return np.asarray(value, dtype)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors on a GPU, with gradients, of BF16
        foreign = type(value).__module__.partition(".")[0] == "torch"
        advice = " Say .detach().cpu(), and .float() of a BF16 one." if foreign else ""
        raise BadInput(f"{where} cannot be made an array: {error}{advice}") from error


def is_typed(value: Any) -> bool:
    """Whether a value, or the first leaf of a list, brings a type of its own."""
    for _ in range(DEEPEST):
        if not (isinstance(value, (list, tuple)) and value):
            break
        value = value[0]
    return hasattr(value, "dtype")


def kind_of(array: npt.NDArray[Any]) -> str:
    """What an array holds, in words."""
    names = {
        "b": "booleans", "i": "integers", "u": "integers", "f": "fractions", "c": "complex numbers", "U": "text",
        "S": "bytes", "T": "text", "M": "dates", "m": "spans of time",
    }  # fmt: skip
    return names.get(array.dtype.kind, f"objects such as {reprlib.repr(array.flat[0])}" if array.size else "objects")


def _is_masked(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(isinstance(item, np.ma.MaskedArray) and np.ma.is_masked(item) for item in value)
    return isinstance(value, np.ma.MaskedArray) and bool(np.ma.is_masked(value))
