"""Requests and answers in tritonclient's words, which are the same for both protocols but where an answer lies."""

from collections.abc import Iterable
from typing import Any

from engineroom.client.memory.placement import Placed
from engineroom.client.protocol.transport import Arrays, Request, RequestedOutput, arrays_from_result, wire_array

Described = tuple[str, str, Iterable[int], bool]
"""An output as an answer describes it: name, data type, shape, and whether its values are in the answer itself."""


def wire_inputs(library: Any, request: Request, placed: Placed | None) -> list[Any]:
    """What is sent.

    Args:
        library: `tritonclient.grpc` or `tritonclient.http`.
        request: The request.
        placed: Where tensors are that travel through shared memory; they have been written.

    Returns:
        `InferInput` objects.
    """
    inputs = []
    for tensor in request.inputs:
        inputs.append(library.InferInput(tensor.name, tensor.array.shape, tensor.dtype))
        span = placed.plan.inputs.get(tensor.name) if placed else None
        if placed and span:
            inputs[-1].set_shared_memory(placed.region.name, span.size_bytes, span.offset)
        else:
            inputs[-1].set_data_from_numpy(wire_array(tensor))
    return inputs


def wire_outputs(library: Any, request: Request, placed: Placed | None) -> list[Any] | None:
    """What is asked for, in the terms of `wire_inputs`; None for everything."""
    places = placed.plan.outputs if placed else {}
    wanted = request.outputs
    if places and request.known and not wanted:  # a place can be told only of an output that is named
        wanted = tuple(RequestedOutput(output.name) for output in request.known.outputs)
    outputs = []
    for output in wanted:
        outputs.append(library.InferRequestedOutput(output.name, class_count=output.class_count))
        span = places.get(output.name)
        if placed and span:
            outputs[-1].set_shared_memory(placed.region.name, span.size_bytes, span.offset)
    return outputs or None


def arrays_from_grpc(result: Any, placed: Placed | None = None) -> Arrays:
    """A gRPC answer as arrays.

    Raises:
        InferenceFailed: An output is not what it is described as.
    """
    answer = result.get_response()
    inline = [bool(values) for values in answer.raw_output_contents]
    inline += [True] * (len(answer.outputs) - len(inline))
    described = [
        (output.name, output.datatype, output.shape, is_inline)
        for output, is_inline in zip(answer.outputs, inline, strict=False)
    ]
    return _arrays(result, described, placed)


def arrays_from_http(result: Any, placed: Placed | None = None) -> Arrays:
    """An HTTP answer as arrays.

    Raises:
        InferenceFailed: An output is not what it is described as.
        LookupError, TypeError, ValueError: It has not the form of an answer.
    """
    described = [
        (one["name"], one["datatype"], one["shape"], "data" in one or "binary_data_size" in one.get("parameters", {}))
        for one in result.get_response()["outputs"]
    ]
    return _arrays(result, described, placed)


def _arrays(result: Any, described: list[Described], placed: Placed | None) -> Arrays:
    places = placed.plan.outputs if placed else {}
    arrays = {
        name: placed.read(name, dtype, shape)
        for name, dtype, shape, inline in described
        if placed and name in places and not inline
    }
    arrays |= arrays_from_result(result, [name for name, *_ in described if name not in arrays])
    return {name: arrays[name] for name, *_ in described}
