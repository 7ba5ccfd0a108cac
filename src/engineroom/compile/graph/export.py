"""Export: module → `model.onnx`, FP32, with the recipe's names and its sizes left open."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engineroom.compile.graph import naming
from engineroom.compile.graph.onnx_files import save_onnx
from engineroom.compile.graph.traces import remove_traces
from engineroom.compile.truth.reference import Reference
from engineroom.errors import ExportError
from engineroom.recipe import Axis, Recipe

OPSET = 20
"""Opset of the exported graph; LayerNormalization needs 17, PyTorch's exporter translates from 18 up."""


def onnx_from_module(reference: Reference, path: Path) -> list[str]:
    """Export the recipe's module and check what came out.

    Args:
        reference: The recipe with its module and samples.
        path: The `.onnx` file to write.

    Returns:
        Notes for the reader of the build, such as internal values that were renamed.

    Raises:
        ExportError: The module cannot be exported, or the graph lacks an input, an output or an open size.
    """
    import onnx

    recipe = reference.recipe
    program = _exported(reference)
    edges = {
        **{f"engineroom_input_{index}": tensor.name for index, tensor in enumerate(recipe.inputs)},
        **{f"engineroom_output_{index}": tensor.name for index, tensor in enumerate(recipe.outputs)},
    }
    program.save(str(path), include_initializers=True)
    model = onnx.load(str(path))
    renamed = naming.rename(model.graph, edges)
    remove_traces(model)
    save_onnx(model, path)
    _check(recipe, path)
    return [f"renamed the internal value '{name}', the recipe uses its name" for name in renamed]


def _exported(reference: Reference) -> Any:
    import torch

    recipe = reference.recipe
    # Two rows where two may come: a batch of one makes the exporter take the batch for a constant.
    example = recipe.rows(reference.groups[0], min(max(2, recipe.batch.opt), recipe.batch.max))
    tensors = tuple(torch.from_numpy(example[tensor.name]) for tensor in recipe.inputs)
    try:
        with quiet():
            return torch.onnx.export(
                reference.module,
                tensors,
                dynamo=True,
                dynamic_shapes=_dynamic_shapes(recipe),
                input_names=[f"engineroom_input_{index}" for index in range(len(recipe.inputs))],
                output_names=[f"engineroom_output_{index}" for index in range(len(recipe.outputs))],
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:
        raise ExportError(explanation(recipe, error)) from error


def _dynamic_shapes(recipe: Recipe) -> tuple[dict[int, Any], ...]:
    from torch.export import Dim

    # An axis of one size only is no dimension to leave open; torch refuses a Dim whose min is its max.
    dims = {
        axis.name: Dim(axis.name, min=axis.min, max=axis.max)
        for axis in (recipe.batch, *recipe.axes)
        if axis.min < axis.max
    }
    return tuple(
        {
            index: dims[dim.name]
            for index, dim in enumerate((recipe.batch, *tensor.dims))
            if isinstance(dim, Axis) and dim.name in dims
        }
        for tensor in recipe.inputs
    )


def explanation(recipe: Recipe, error: BaseException) -> str:
    """The message for a failed export: the exporter's own reason, and what usually mends it.

    Args:
        recipe: The recipe that was exported.
        error: What the exporter raised; it wraps the cause, often several times.
    """
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    text = "\n".join(str(link) for link in chain)
    if "Constraints violated" in text or "specialized" in text:
        axes = ", ".join(axis.name for axis in (recipe.batch, *recipe.axes))
        return (
            f"{recipe.name}: the module fixes a size that the recipe leaves open ({axes}). {_reason(chain)} "
            "Look for a shape written as a number, such as view(8, -1) or expand(8, ...), and use x.shape[0] instead."
        )
    return f"{recipe.name}: PyTorch cannot export the module to ONNX. {_reason(chain)}"


def _reason(chain: list[BaseException]) -> str:
    for link in reversed(chain):
        lines = [line.strip() for line in str(link).splitlines() if line.strip()]
        if lines:
            return f"{type(link).__name__}: {' '.join(lines[:3])[:500]}"
    return type(chain[-1]).__name__


def _check(recipe: Recipe, path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"{recipe.name}: the exported graph is invalid: {error}") from error
    graph = onnx.load(str(path), load_external_data=False).graph
    for tensor, value in zip((*recipe.inputs, *recipe.outputs), (*graph.input, *graph.output), strict=True):
        dims = value.type.tensor_type.shape.dim
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name
        sizes = tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in dims)
        expected = (recipe.batch.size, *tensor.shape)
        if (
            dtype != tensor.dtype
            or len(sizes) != len(expected)
            or any(_frozen(have, want) for have, want in zip(sizes, expected, strict=True))
        ):
            raise ExportError(
                f"{recipe.name}: '{tensor.name}' was exported as {dtype} {sizes}, "
                f"the recipe says {tensor.dtype} {expected} (-1: any size). "
                "A number in place of -1 means that the module fixes this size."
            )


def _frozen(have: int, want: int) -> bool:
    return have not in (want, -1)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what PyTorch's exporter says on a good day: prints, warnings about its own internals, log lines."""
    before = logging.root.manager.disable
    logging.disable(max(before, logging.WARNING))
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
