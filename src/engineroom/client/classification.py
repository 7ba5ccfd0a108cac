"""Answers of Triton's classification extension."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CLASSIFIABLE = frozenset({"UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP32", "FP64"})
"""Output types that the extension ranks. FP16, BF16 and BOOL are refused by the server; asking it to rank BYTES ends
the whole server (seen with 2.51), so the client never sends that."""


@dataclass(frozen=True)
class Classification:
    """One class of one row.

    Attributes:
        score: The output's value, to the six decimals the extension writes.
        index: Position of the class in the output.
        label: Its name, from the output's `label_filename`; empty where the model has none.
    """

    score: float
    index: int
    label: str


def classifications_from_array(array: npt.NDArray[Any]) -> list[tuple[Classification, ...]]:
    """Read an answer of the extension, best class first.

    Args:
        array: `score:index` or `score:index:label` as bytes; (rows, classes), or (classes,) of a model without batches.

    Returns:
        One tuple a row.
    """
    return [tuple(_classification(item) for item in row) for row in np.atleast_2d(array)]


def _classification(item: bytes) -> Classification:
    score, index, *label = item.decode("utf-8", errors="replace").split(":", 2)
    return Classification(float(score), int(index), label[0] if label else "")
