"""Figures of a configuration, and how they are said."""

import math
from typing import Any

from engineroom.repository.explain.facts import Facts

WIDTHS = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "BF16": 2,
    "UINT32": 4, "INT32": 4, "FP32": 4, "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip
"""Bytes of an element, by Triton's type."""


def bytes_said(amount: float) -> str:
    """An amount of memory with its unit: `1.2 MB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if abs(amount) >= size:
            value = amount / size
            return f"{value:.0f} {unit}" if abs(value) >= 10 else f"{value:.1f} {unit}"
    return f"{amount:.0f} bytes"


def time_said(microseconds: float) -> str:
    """A time with the unit that reads best: `500 us`, `2 ms`, `1.5 s`."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:g} {unit}"
    return f"{microseconds:g} us"


def counted(count: int, thing: str, things: str = "") -> str:
    """A number of things: `1 instance`, `2 instances`."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def type_of(tensor: Any) -> str:
    """A tensor's element type without its prefix: `FP32`."""
    from tritonclient.grpc import model_config_pb2

    return str(model_config_pb2.DataType.Name(tensor.data_type)).removeprefix("TYPE_")


def row_bytes(tensor: Any, facts: Facts) -> int:
    """Bytes of one row of a tensor, at its largest where a size varies; strings count as nothing.

    Args:
        tensor: An input or output of a `ModelConfig` message.
        facts: What is known of the model.
    """
    shapes = facts.shapes.get(tensor.name)
    largest = shapes[2][1:] if shapes else ()
    longest = max((size for shape in facts.shapes.values() for size in shape[2][1:]), default=1)
    dims = list(tensor.dims)
    sizes = largest if len(largest) == len(dims) else [longest if size < 0 else size for size in dims]
    return math.prod(sizes) * WIDTHS.get(type_of(tensor), 0)


def request_bytes(config: Any, facts: Facts) -> int:
    """Bytes of one row of every input and output together."""
    return sum(row_bytes(tensor, facts) for tensor in (*config.input, *config.output))


def parameter(config: Any, name: str) -> str:
    """A parameter's value; empty where it is not set."""
    return str(config.parameters[name].string_value) if name in config.parameters else ""
