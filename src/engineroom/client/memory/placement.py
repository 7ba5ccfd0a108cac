"""Which tensors of a request travel through shared memory, and where in a region each of them lies."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.memory.region import Region
from engineroom.client.metadata import NUMPY_TYPES
from engineroom.client.protocol.transport import InputTensor, Request, wire_array
from engineroom.errors import InferenceFailed

WORTH_BYTES = 64 * 1024
"""Tensors from this size on travel through shared memory. Below it the two ways do not differ by what can be measured
(perf/shared_memory.py)."""

ALIGNED_BYTES = 64
"""Tensors begin at multiples of a cache line."""


@dataclass(frozen=True)
class Span:
    """A place in a region.

    Attributes:
        offset: Where it begins.
        size_bytes: How long it is.
    """

    offset: int
    size_bytes: int


@dataclass(frozen=True)
class Plan:
    """What a request needs of a region.

    Attributes:
        inputs: Places of inputs, by name.
        outputs: Places of outputs, by name.
        size_bytes: Together.
    """

    inputs: Mapping[str, Span]
    outputs: Mapping[str, Span]
    size_bytes: int


def plan_from_request(request: Request, sized: bool = True) -> Plan | None:
    """Give a place to every tensor that is large enough and whose size is known; None where none is.

    Args:
        request: What is sent.
        sized: Whether the model keeps to the sizes of outputs that its configuration says.
    """
    spans: dict[str, dict[str, Span]] = {"inputs": {}, "outputs": {}}
    end = 0
    sizes = [("inputs", tensor.name, wire_bytes(tensor)) for tensor in request.inputs]
    sizes += [("outputs", name, size) for name, size in _output_sizes(request)] if sized else []
    for side, name, size in sizes:
        if size >= WORTH_BYTES:
            spans[side][name] = Span(end, size)
            end += -(-size // ALIGNED_BYTES) * ALIGNED_BYTES
    return Plan(spans["inputs"], spans["outputs"], end) if end else None


def wire_bytes(tensor: InputTensor) -> int:
    """The size of an input on the wire; 0 for BYTES, which is not known before it is written."""
    return 0 if tensor.dtype == "BYTES" else int(tensor.array.size) * wire_dtype(tensor.dtype).itemsize


def wire_dtype(dtype: str) -> np.dtype[Any]:
    """The numpy type of a tensor's bytes."""
    if dtype == "BF16":
        import ml_dtypes

        brain: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain
    return np.dtype(NUMPY_TYPES[dtype])


def _output_sizes(request: Request) -> list[tuple[str, int]]:
    model = request.known
    if model is None:
        return []
    rows = (len(request.inputs[0].array),) if model.max_batch_size else ()
    wanted = {output.name for output in request.outputs if not output.class_count}
    return [
        (output.name, prod((*rows, *output.shape)) * wire_dtype(output.dtype).itemsize)
        for output in model.outputs
        if output.dtype != "BYTES" and -1 not in output.shape and (output.name in wanted or not request.outputs)
    ]


@dataclass(frozen=True)
class Placed:
    """A request whose tensors have their places.

    Attributes:
        region: Where they are.
        plan: The places.
    """

    region: Region
    plan: Plan

    def write(self, request: Request) -> None:
        """Copy the inputs into the region."""
        for tensor in request.inputs:
            span = self.plan.inputs.get(tensor.name)
            if span:
                array = wire_array(tensor)
                self.region.array(array.dtype, array.shape, span.offset)[...] = array

    def read(self, name: str, dtype: str, shape: Iterable[int]) -> npt.NDArray[Any]:
        """Copy an output out of the region.

        Raises:
            InferenceFailed: It is larger than its place.
        """
        span, sizes, kind = self.plan.outputs[name], tuple(int(size) for size in shape), wire_dtype(dtype)
        if prod(sizes) * kind.itemsize > span.size_bytes:
            raise InferenceFailed(f"output '{name}' of {sizes} does not fit its own description in the configuration")
        array = self.region.array(kind, sizes, span.offset)
        return array.astype(np.float32) if dtype == "BF16" else array.copy()
