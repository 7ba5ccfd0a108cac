"""ER32: tensors held against what the model itself takes and gives."""

from collections.abc import Iterator
from typing import Any

from engineroom.repository.lint.bindings import Bindings, Port
from engineroom.repository.lint.case import Case, inside
from engineroom.repository.lint.finding import TOP, Edit, Found
from engineroom.repository.lint.rule import rule
from engineroom.repository.lint.rules.tensors import tensors
from engineroom.repository.lint.suggest import nearest
from engineroom.repository.pbtxt.tree import Value, named

CHECKING = ("openvino",)
"""Backends whose refusal was tried: their verdicts on TensorRT's and ONNX Runtime's are not claimed."""


def _matched(case: Case) -> Iterator[tuple[str, Any, Value, Port, Bindings]]:
    """Every tensor that the model has too, with the model's own description."""
    told = case.bindings
    if told is None:
        return
    for side, tensor, value in tensors(case):
        for port in told.ports(side):
            if port.name == tensor.name:
                yield side, tensor, value, port, told


@rule("ER321", "error")
def tensor_unknown_to_model(case: Case) -> Iterator[Found]:
    """The model has no tensor of this name.

    The backend refuses the model when it loads it, in the words of its library.

    Mend: Write the model's own name; renaming a tensor means building the model again.
    """
    told = case.bindings
    for side, tensor, value in tensors(case) if told is not None else ():
        names = [port.name for port in told.ports(side)] if told else []
        if not tensor.name or tensor.name in names or _asked_by_control(case, tensor.name):
            continue
        free = [name for name in names if name not in {one.name for one in getattr(case.config, side)}]
        meant = nearest(tensor.name, free, 0.5) or (free[0] if len(free) == 1 else "")
        field = inside(value, "name")
        name = named(value.fields or (), "name")[0].values[0]
        edits = (Edit(name.start, name.end, f'"{meant}"'),) if meant and nearest(tensor.name, free, 0.8) else ()
        said = f"{told.told_by if told else ''} has no {side} '{tensor.name}', only {', '.join(names)}"
        yield Found(field, said, f'Write "{meant}"' if meant else "Take it out", edits, refused=_refuses(case))


def _asked_by_control(case: Case, name: str) -> bool:
    return any(name in (one.input_name, one.output_name) for one in case.config.sequence_batching.state)


@rule("ER322", "error")
def input_of_model_missing(case: Case) -> Iterator[Found]:
    """The model has an input that the configuration does not mention.

    A graph needs all its inputs, and a request can only give those that the configuration names.

    Mend: Describe the input too.
    """
    told = case.bindings
    held = {one.name for one in case.config.input} | {one.name for one in case.config.sequence_batching.control_input}
    held |= {one.input_name for one in case.config.sequence_batching.state}
    held |= {name for one in case.config.batch_input for name in one.target_name}
    if told is None or (not held and case.backend in ("tensorrt", "onnxruntime") and case.passport is None):
        return
    for port in told.inputs:
        if port.name not in held:
            dims = list(port.shape[1:] if case.batches else port.shape)
            mend = f'Add: input {{ name: "{port.name}" data_type: {port.data_type} dims: {dims} }}'
            yield Found(
                case.at("input"), f"{told.told_by} has an input '{port.name}' too", mend, refused=_refuses(case)
            )


@rule("ER323", "error")
def data_type_differs(case: Case) -> Iterator[Found]:
    """A tensor has another element type than in the model.

    Mend: Write the model's type; `--fix` does. For another type on the wire, build the model with it.
    """
    for side, tensor, value, port, told in _matched(case):
        written = named(value.fields or (), "data_type")
        kinds = tensor.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number
        if written and port.data_type and kinds[tensor.data_type].name not in (port.data_type, "TYPE_INVALID"):
            place = written[0].values[0]
            said = (
                f"{side} '{tensor.name}' is {kinds[tensor.data_type].name} here and {port.data_type} in {told.told_by}"
            )
            edits = (Edit(place.start, place.end, port.data_type),)
            yield Found(place, said, f"Write {port.data_type}", edits, refused=_refuses(case))


@rule("ER324", "error")
def dims_hold_the_batch(case: Case) -> Iterator[Found]:
    """`dims` begin with the batch axis, which `max_batch_size` adds by itself.

    With `max_batch_size` above 0, dims describe one row: `[3, 224, 224]`, not `[-1, 3, 224, 224]`. Triton would ask
    callers for one axis more than the model has.

    Mend: Take the first size out of the dims, or write `max_batch_size: 0`.
    """
    if not case.batches:
        return
    for side, tensor, value in _with_batch(case):
        sizes = [one for field in named(value.fields or (), "dims") for one in field.values]
        edits = (Edit(sizes[0].start, sizes[1].start, ""),) if len(sizes) == len(tensor.dims) and _listed(value) else ()
        said = f"{side} '{tensor.name}' has its batch axis in dims {list(tensor.dims)}, and max_batch_size adds one"
        yield Found(inside(value, "dims"), said, f"Write dims: {list(tensor.dims)[1:]}", edits)


def _with_batch(case: Case) -> Iterator[tuple[str, Any, Value]]:
    matched = {(side, tensor.name): port for side, tensor, _, port, _ in _matched(case)}
    for side, tensor, value in tensors(case):
        port, dims = matched.get((side, tensor.name)), list(tensor.dims)
        if len(dims) < 2 or tensor.HasField("reshape"):
            continue
        if port is not None:
            if (
                len(dims) == len(port.shape)
                and dims[0] in (-1, 1, case.config.max_batch_size)
                and _agree(dims[1:], port.shape[1:])
            ):
                yield side, tensor, value
        elif case.bindings is None and dims[0] == -1 and len(dims) == 4 and -1 not in dims[1:]:
            yield side, tensor, value


def _listed(value: Value) -> bool:
    return any(field.listed and len(field.values) > 1 for field in named(value.fields or (), "dims"))


@rule("ER325", "error")
def dims_differ(case: Case) -> Iterator[Found]:
    """The dims are not the model's: another number of them, or another size.

    Triton checks requests against the configuration and the backend against the model: no request can please both.

    Mend: Write the model's dims; -1 where a size varies.
    """
    held = {(side, tensor.name) for side, tensor, _ in _with_batch(case)} if case.batches else set()
    for side, tensor, value, port, told in _matched(case):
        own = list(port.shape[1:] if case.batches else port.shape)
        dims = list(tensor.reshape.shape) if tensor.HasField("reshape") else list(tensor.dims)
        if dims and (side, tensor.name) not in held and not _agree(dims, own):
            without = not case.batches and _agree(dims, port.shape[1:])
            mend = "Write max_batch_size, for the model has a batch axis" if without else f"Write dims: {own}"
            said = f"{side} '{tensor.name}' is {dims} here and {own} in {told.told_by}"
            yield Found(inside(value, "dims"), said, mend)


def _agree(dims: list[int], own: Any) -> bool:
    return len(dims) == len(own) and all(
        one in (other, -1) or other == -1 for one, other in zip(dims, own, strict=True)
    )


@rule("ER326", "warning")
def size_outside_profile(case: Case) -> Iterator[Found]:
    """A fixed size lies outside the range that the artefacts were compiled for.

    An engine takes only the sizes of its profile: every request would be refused by it.

    Mend: Write a size of the profile, or -1, or widen the recipe's axis and build again.
    """
    for side, tensor, value, port, told in _matched(case):
        ranges = list(zip(port.low, port.high, strict=True))[1:]
        if len(ranges) == len(tensor.dims) and case.batches:
            for size, (low, high) in zip(tensor.dims, ranges, strict=True):
                if low != high and size != -1 and not low <= size <= high:
                    said = (
                        f"{side} '{tensor.name}' has a size of {size}, {told.told_by} was compiled for {low} to {high}"
                    )
                    yield Found(inside(value, "dims"), said, "Write -1, or a size in that range")


@rule("ER327", "error")
def batch_is_fixed_in_model(case: Case) -> Iterator[Found]:
    """`max_batch_size` is above the one batch size that the model was exported with.

    The first axis of its inputs is a number, not a name: the backend refuses the model, or every batch but one.

    Mend: Export it with a dynamic first axis, or write `max_batch_size: 0` and the whole shape in `dims`.
    """
    told = case.bindings
    if told is not None and told.batch == "fixed" and case.batches and told.inputs:
        size = told.inputs[0].shape[0]
        if case.config.max_batch_size > size or size > 1:
            said = f"{told.told_by} takes batches of {size} only"
            yield Found(case.at("max_batch_size"), said, "Export it with a dynamic batch, or write max_batch_size: 0")


@rule("ER328", "warning")
def size_left_open(case: Case) -> Iterator[Found]:
    """A size of an input is left open (-1), and the model takes only one.

    Triton lets every size through: what does not fit fails in the backend, and in a batch others fail with it.

    Mend: Write the model's size.
    """
    for side, tensor, value, port, told in _matched(case):
        own = list(port.shape[1:] if case.batches else port.shape)
        dims = list(tensor.dims)
        free = [known for size, known in zip(dims, own, strict=False) if size == -1 and known != -1]
        if side == "input" and len(dims) == len(own) and free and not tensor.HasField("reshape"):
            said = f"input '{tensor.name}' is {dims} here and {own} in {told.told_by}"
            yield Found(inside(value, "dims"), said, f"Write dims: {own}")


@rule("ER329", "error")
def control_input_unknown_to_model(case: Case) -> Iterator[Found]:
    """A control of a sequence goes to an input that the model does not have.

    The model never learns that a sequence begins or ends.

    Mend: Write the name of the model's input that takes it.
    """
    told = case.bindings
    names = [port.name for port in told.inputs] if told is not None else []
    for control, value in case.pairs("sequence_batching", "control_input"):
        if told is not None and control.name and control.name not in names:
            said = f"{told.told_by} has no input '{control.name}'"
            yield Found(inside(value, "name"), said, f"It has {', '.join(names)}")


@rule("ER330", "note")
def graph_not_read(case: Case) -> Iterator[Found]:
    """The model's ONNX file was not looked at, because the `onnx` package is missing.

    Names, types, dims and batch of the tensors are not compared with it. Models that engineroom built need no package:
    their manifest and golden answers tell.

    Mend: Install `engineroom[compile]` where configurations are checked.
    """
    if case.onnx_unread and case.onnx_file is not None:
        said = f"{case.onnx_file.name} was not compared with the configuration: there is no onnx package"
        yield Found(TOP, said, "Install engineroom[compile]")


def _refuses(case: Case) -> bool:
    return case.backend in CHECKING
