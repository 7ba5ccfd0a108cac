"""Batches above a model's largest are sent in parts, and the answers put together again."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import Arrays, InputTensor
from engineroom.errors import InferenceFailed


def parts_of(model: ModelMetadata, tensors: tuple[InputTensor, ...]) -> list[tuple[InputTensor, ...]]:
    """Inputs in parts of at most `max_batch_size` rows, in order; views, not copies."""
    most = model.max_batch_size
    rows = len(tensors[0].array) if most else 0
    if rows <= most:
        return [tensors]
    return [
        tuple(replace(tensor, array=tensor.array[start : start + most]) for tensor in tensors)
        for start in range(0, rows, most)
    ]


def joined(model: ModelMetadata, answers: Sequence[Arrays]) -> Arrays:
    """The answers of the parts as one.

    Raises:
        InferenceFailed: An output's rows differ in shape from part to part.
    """
    if len(answers) == 1:
        return answers[0]
    return {name: _rows(model, name, answers) for name in answers[0]}


def _rows(model: ModelMetadata, name: str, answers: Sequence[Arrays]) -> npt.NDArray[Any]:
    arrays = [answer[name] for answer in answers]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise InferenceFailed(
            f"{model.name}: output '{name}' has rows of different shapes in the parts of this batch "
            f"({', '.join(map(str, sorted(shapes)))}). "
            f"Send at most {model.max_batch_size} rows at a time."
        )
    return np.concatenate(arrays)
