"""ER30: tensors as a configuration describes them."""

import math
from collections.abc import Iterator
from typing import Any

from engineroom.repository.layout import MANIFEST
from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import TOP, Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.pbtxt.tree import Value, named

SIDES = ("input", "output")

COMPLETED = ("tensorrt", "onnxruntime", "tensorflow")
"""Backends that complete a tensor's description from the model's file (Triton's model_configuration.md)."""


def tensors(case: Case) -> Iterator[tuple[str, Any, Value]]:
    """Every tensor of a configuration: its side, its message, and the value that it was read from."""
    for side in SIDES:
        for tensor, value in case.pairs(side):
            yield side, tensor, value


@rule("ER301", "error", refused=True)
def tensor_incomplete(case: Case) -> Iterator[Found]:
    """A tensor lacks its name, its element type or its dims.

    Triton refuses the model. Some backends fill in what is missing from the model's file, unless Triton runs with
    `--disable-auto-complete-config`, as it does for models with a manifest.

    Mend: Write `name`, `data_type` and `dims` of every tensor.
    """
    ours = case.version is not None and (case.version / MANIFEST).exists()
    if case.backend in COMPLETED and not ours:
        return
    for side, tensor, value in tensors(case):
        lacking = [name for name in ("name", "data_type", "dims") if not getattr(tensor, name)]
        if lacking:
            said = f"{side} '{tensor.name}'" if tensor.name else f"an {side}"
            yield Found(
                inside(value, "data_type" if "data_type" in lacking else "name"),
                f"{said} lacks {' and '.join(lacking)}",
                "Write it",
            )


@rule("ER302", "error", refused=True)
def dim_out_of_range(case: Case) -> Iterator[Found]:
    """A size in `dims` or in a reshape is 0 or below -1.

    -1 stands for a size that varies; 0 for nothing.

    Mend: Write the size, or -1.
    """
    for side, tensor, value in tensors(case):
        for path, sizes in ((("dims",), tensor.dims), (("reshape", "shape"), tensor.reshape.shape)):
            held = [one for field in named(value.fields or (), *path) for one in field.values]
            for size, place in zip(sizes, held, strict=False):
                if size == 0 or size < -1:
                    yield Found(
                        place, f"{side} '{tensor.name}' has a size of {size}", "Write a size of 1 or more, or -1"
                    )


@rule("ER303", "error")
def tensor_twice(case: Case) -> Iterator[Found]:
    """Two inputs, or two outputs, have the same name.

    Requests name tensors, so one of the two can never be meant; backends that count inputs refuse the model.

    Mend: Keep one of the two, or give it its own name.
    """
    seen: dict[tuple[str, str], int] = {}
    for side, tensor, value in tensors(case):
        first = seen.setdefault((side, tensor.name), value.line)
        if tensor.name and seen[side, tensor.name] is not None and first != value.line:
            refused = side == "input" and case.backend == "openvino"
            said = f"{side} '{tensor.name}' stands in line {first} already"
            yield Found(inside(value, "name"), said, "Keep one of the two", refused=refused)


@rule("ER304", "error", refused=True)
def reshape_changes_count(case: Case) -> Iterator[Found]:
    """A reshape has another number of elements than the dims, or varies in another place.

    Triton copies the elements as they are: `dims: [4]` can become `[2, 2]`, never `[3, 2]`.

    Mend: Write a shape with as many elements as the dims have.
    """
    for side, tensor, value in tensors(case):
        if tensor.HasField("reshape") and 0 not in (*tensor.dims, *tensor.reshape.shape):
            dims, shape = list(tensor.dims), list(tensor.reshape.shape)
            scalar = not shape and math.prod(dims) == 1 and case.batches
            if (_trunks(dims) != _trunks(shape) and not scalar) or (not shape and not case.batches):
                said = f"{side} '{tensor.name}' is {dims} and cannot become {shape}"
                yield Found(inside(value, "reshape"), said, "Keep the number of elements")


def _trunks(dims: list[int]) -> list[int]:
    """Elements between the sizes that vary: a reshape keeps them."""
    counts = [1]
    for size in dims:
        if size == -1:
            counts.append(1)
        else:
            counts[-1] *= size
    return counts


@rule("ER305", "error", refused=True)
def format_needs_three_dims(case: Case) -> Iterator[Found]:
    """An image format is given to a tensor that has no three dims.

    `FORMAT_NCHW` and `FORMAT_NHWC` describe an image: channels, height and width, without the batch.

    Mend: Write the three dims, or take `format` out: it changes nothing in how requests are read.
    """
    for tensor, value in case.pairs("input"):
        if tensor.format and len(tensor.dims) != 3:
            said = f"input '{tensor.name}' has a format for three dims, and {len(tensor.dims)}"
            yield Found(inside(value, "format"), said, "Write three dims, or take the format out")


@rule("ER306", "error", refused=True)
def tensor_only_for_tensorrt(case: Case) -> Iterator[Found]:
    """`is_shape_tensor` or `is_non_linear_format_io` where the platform is not TensorRT's.

    Triton refuses them with every other backend.

    Mend: Take the field out of this configuration.
    """
    if case.backend == "tensorrt":
        return
    for side, tensor, value in tensors(case):
        for name in ("is_shape_tensor", "is_non_linear_format_io"):
            if getattr(tensor, name):
                said = f"{side} '{tensor.name}' sets {name}, which only TensorRT has"
                yield Found(inside(value, name), said, "Take it out")


@rule("ER307", "error")
def strings_without_support(case: Case) -> Iterator[Found]:
    """A tensor of strings where the backend computes with numbers alone.

    TensorRT and OpenVINO have no strings.

    Mend: Turn text into numbers before: in the client, or in a step of an ensemble.
    """
    if case.backend not in ("tensorrt", "openvino"):
        return
    kinds = case.config.DESCRIPTOR.fields_by_name["input"].message_type.fields_by_name["data_type"].enum_type
    for side, tensor, value in tensors(case):
        if tensor.data_type == kinds.values_by_name["TYPE_STRING"].number:
            said = f"{side} '{tensor.name}' holds strings, and {case.backend} knows none"
            yield Found(inside(value, "data_type"), said, "Write a type of numbers")


@rule("ER308", "error", refused=True)
def batch_tensor_malformed(case: Case) -> Iterator[Found]:
    """A `batch_input` or `batch_output` names no tensor that is there, none or several sources, or another type.

    Triton makes these tensors from a batch: each from one input, whole numbers of 32 bits or FP32.

    Mend: Name one input as `source_input`; outputs as `target_name` of a `batch_output`.
    """
    inputs, outputs = ({one.name for one in getattr(case.config, side)} for side in SIDES)
    for side in ("batch_input", "batch_output"):
        for batch, value in case.pairs(side):
            yield from (Found(value, said, "Mend it") for said in _wrong_in_batch(side, batch, inputs, outputs))


def _wrong_in_batch(side: str, batch: Any, inputs: set[str], outputs: set[str]) -> Iterator[str]:
    if len(batch.source_input) != 1:
        yield f"{side} takes one source_input, not {len(batch.source_input)}"
    for name in batch.source_input:
        if name not in inputs:
            yield f"{side} is made from '{name}', which is no input"
    if side == "batch_input" and batch.data_type not in (8, 11):
        yield "a batch_input is TYPE_INT32 or TYPE_FP32"
    for name in batch.target_name if side == "batch_output" else ():
        if name not in outputs:
            yield f"batch_output fills '{name}', which is no output"


@rule("ER309", "warning")
def optional_input_is_needed(case: Case) -> Iterator[Found]:
    """An input is `optional`, and the model cannot do without it.

    A graph needs all its inputs: a request without one is taken, joins a batch, and fails there.

    Mend: Take `optional` out.
    """
    if case.backend not in ("tensorrt", "onnxruntime", "openvino"):
        return
    for tensor, value in case.pairs("input"):
        if tensor.optional:
            yield Found(inside(value, "optional"), f"{case.backend} needs input '{tensor.name}'", "Take optional out")


@rule("ER310", "note")
def sizes_split_batches(case: Case) -> Iterator[Found]:
    """An input's size varies and requests are batched: only requests of one size meet in a batch.

    Traffic of mixed sizes is then served in batches of one or two, whatever the queue holds.

    Mend: Let clients pad to a few sizes, or allow ragged batches where the backend reads them (`allow_ragged_batch`).
    """
    if not case.config.HasField("dynamic_batching") or not case.batches:
        return
    for tensor, value in case.pairs("input"):
        ports = case.bindings.inputs if case.bindings is not None else ()
        fixed = any(port.name == tensor.name and -1 not in port.shape[1:] for port in ports)
        if -1 in tensor.dims and not tensor.allow_ragged_batch and not fixed:
            said = f"only requests with the same size of '{tensor.name}' are batched together"
            yield Found(inside(value, "dims"), said, "Let clients pad to a few sizes, where sizes differ much")
            return


@rule("ER311", "warning")
def ragged_without_batch(case: Case) -> Iterator[Found]:
    """`allow_ragged_batch` where nothing is batched.

    Mend: Take it out, or set `max_batch_size` and `dynamic_batching`.
    """
    for tensor, value in case.pairs("input"):
        if tensor.allow_ragged_batch and not case.batches:
            said = f"input '{tensor.name}' allows ragged batches, and max_batch_size is 0"
            yield Found(inside(value, "allow_ragged_batch"), said, "Take it out, or set max_batch_size")


@rule("ER312", "error")
def no_outputs(case: Case) -> Iterator[Found]:
    """No output is described, and the backend does not complete the configuration.

    The model loads and gives nothing: a request for an output is refused.

    Mend: Describe the outputs; `engineroom build` writes them.
    """
    ours = case.version is not None and (case.version / MANIFEST).exists()
    if case.config.output or not (case.backend == "openvino" or (ours and case.backend in COMPLETED)):
        return
    if case.source.fields and not case.values("output"):
        yield Found(TOP, "no output is described", "Describe the outputs")
