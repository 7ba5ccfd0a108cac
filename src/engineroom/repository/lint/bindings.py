"""What a model itself takes and gives, told by a version's manifest and golden answers, an ONNX file, or a recipe."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engineroom.errors import RepositoryError
from engineroom.recipe import Recipe, Tensor
from engineroom.repository.golden import golden_from_file
from engineroom.repository.layout import GOLDEN, MANIFEST
from engineroom.repository.passport import Passport, passport_from_file

Batch = Literal["varies", "fixed", "none", "unknown"]
"""Whether the first axis of every tensor is a batch of any size, one of a fixed size, or no batch."""

TYPES = {"bool": "TYPE_BOOL", "float16": "TYPE_FP16", "float32": "TYPE_FP32", "float64": "TYPE_FP64"}
"""Triton's names of numpy's element types, where they are not numpy's in capitals."""

ONNX_TYPES = {
    1: "TYPE_FP32", 2: "TYPE_UINT8", 3: "TYPE_INT8", 4: "TYPE_UINT16", 5: "TYPE_INT16", 6: "TYPE_INT32",
    7: "TYPE_INT64", 8: "TYPE_STRING", 9: "TYPE_BOOL", 10: "TYPE_FP16", 11: "TYPE_FP64", 12: "TYPE_UINT32",
    13: "TYPE_UINT64", 16: "TYPE_BF16",
}  # fmt: skip
"""Triton's names of ONNX's element types (onnx.proto, `TensorProto.DataType`)."""


@dataclass(frozen=True)
class Port:
    """An input or output of the model.

    Attributes:
        name: Its name.
        data_type: Its element type, as Triton names it.
        shape: Its sizes with the batch axis where there is one; -1 where a size varies or is not known.
        low: Smallest sizes, where the artefacts were compiled for a range.
        high: Largest sizes.
    """

    name: str
    data_type: str
    shape: tuple[int, ...]
    low: tuple[int, ...] = ()
    high: tuple[int, ...] = ()


@dataclass(frozen=True)
class Bindings:
    """What a model takes and gives.

    Attributes:
        inputs: Its inputs.
        outputs: Its outputs.
        told_by: What says so, for messages: `version 3` or `the recipe`.
        batch: What the first axis is.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    told_by: str
    batch: Batch = "varies"

    def ports(self, side: str) -> tuple[Port, ...]:
        """The ports of a side, `input` or `output`."""
        return self.inputs if side == "input" else self.outputs


def bindings_from_version(folder: Path, passport: Passport | None) -> Bindings | None:
    """What a version's own files tell without a heavy library: the manifest's profile, and golden arrays.

    Args:
        folder: The version's folder.
        passport: Its passport.

    Returns:
        None where they do not tell.
    """
    if passport is None or not (folder / GOLDEN).is_file():
        return None
    try:
        golden = golden_from_file(folder / GOLDEN, passport.model)
    except RepositoryError:
        return None
    inputs = []
    for name, array in golden.inputs.items():
        shapes = passport.profile.inputs.get(name)
        if shapes is None or len(shapes[0]) != array.ndim:
            inputs.append(Port(name, _triton_type(array), (-1,) * array.ndim))
        else:
            inputs.append(_ranged(name, _triton_type(array), shapes[0], shapes[2]))
    fixed = all(-1 not in port.shape[1:] for port in inputs)
    outputs = tuple(
        # Where an input varies, an output may vary with it: one golden answer does not tell in which size.
        Port(name, _triton_type(array), (-1, *(array.shape[1:] if fixed else (-1,) * (array.ndim - 1))))
        for name, array in golden.outputs.items()
    )
    return Bindings(tuple(inputs), outputs, f"version {folder.name}")


def bindings_from_onnx(path: Path) -> Bindings | None:
    """What an ONNX file takes and gives; its weights are not read.

    Args:
        path: The file.

    Returns:
        None where it cannot be read.

    Raises:
        ImportError: The `onnx` package is missing.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        graph = onnx.load(path, load_external_data=False).graph
    except (OSError, DecodeError):
        return None
    weights = {one.name for one in graph.initializer}
    inputs = tuple(_port(one) for one in graph.input if one.name not in weights)
    outputs = tuple(_port(one) for one in graph.output)
    return Bindings(inputs, outputs, f"{path.parent.name}/{path.name}", _batch(inputs))


def bindings_from_recipe(recipe: Recipe) -> Bindings:
    """What a recipe says that a model takes and gives."""

    def port(tensor: Tensor) -> Port:
        low, high = ((getattr(recipe.batch, end), *tensor.sized(end)) for end in ("min", "max"))
        return Port(tensor.name, _named_type(tensor.dtype), (-1, *tensor.shape), low, high)

    return Bindings(tuple(map(port, recipe.inputs)), tuple(map(port, recipe.outputs)), "the recipe")


def passport_of(folder: Path) -> Passport | None:
    """A version's passport; None where it has none that can be read."""
    try:
        return passport_from_file(folder / MANIFEST)
    except RepositoryError:
        return None


def _ranged(name: str, data_type: str, low: tuple[int, ...], high: tuple[int, ...]) -> Port:
    shape = tuple(one if one == other else -1 for one, other in zip(low[1:], high[1:], strict=True))
    return Port(name, data_type, (-1, *shape), low, high)


def _port(value: Any) -> Port:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in tensor.shape.dim)
    return Port(value.name, ONNX_TYPES.get(tensor.elem_type, ""), shape)


def _batch(inputs: tuple[Port, ...]) -> Batch:
    """What the first axis of an ONNX graph's inputs is: only its sizes tell."""
    firsts = {port.shape[0] if port.shape else 0 for port in inputs}
    if firsts == {-1}:
        return "varies"
    return "fixed" if len(firsts) == 1 and min(firsts) > 0 else "unknown"


def _triton_type(array: Any) -> str:
    return _named_type(array.dtype.name)


def _named_type(dtype: str) -> str:
    return TYPES.get(dtype, f"TYPE_{dtype.upper()}")
