"""Precision: FP32 graph → the graph that every target compiles, in the precision that the recipe asks for.

FP16 and INT8 live in the graph and nowhere else: `half` puts in the one, `int8` the other.
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engineroom.compile.graph.half import half_from_fp32, weights
from engineroom.compile.graph.int8 import quantised_from_fp32
from engineroom.compile.graph.onnx_files import copy_onnx, save_onnx
from engineroom.compile.truth.sparsity import sparse_products
from engineroom.errors import PrecisionError
from engineroom.recipe import Arrays, Recipe


def graph_from_fp32(
    recipe: Recipe, source: Path, path: Path, requests: Iterable[Arrays] = (), islands: Iterable[str] = ()
) -> str:
    """Write the graph that every target compiles.

    Args:
        recipe: Says the precision; with `fp32` the graph is copied as it is.
        source: `model.onnx`, FP32.
        path: The `.onnx` file to write.
        requests: Real inputs by name, shape (rows, ...): values are measured on them, for their range.
        islands: Names of nodes that stay FP32 whatever the precision.

    Returns:
        What the graph computes in, for the reader of the build.

    Raises:
        PrecisionError: The graph cannot be converted, or nothing in it took the precision that was asked for.
    """
    import onnx

    if recipe.precision == "fp32":
        copy_onnx(source, path)
        model, notes = onnx.load(str(path)), ["fp32, as exported"]
    else:
        make = _int8 if recipe.precision == "int8" else _fp16
        model, notes = make(recipe, source, tuple(requests), tuple(islands))
    if recipe.sparsity:
        notes.append(_sparse(recipe, model.graph))
    if recipe.precision != "fp32":
        _save(recipe, model, path)
    return ", ".join(notes)


def _fp16(
    recipe: Recipe, source: Path, requests: tuple[Arrays, ...], islands: tuple[str, ...]
) -> tuple[Any, list[str]]:
    model, notes = half_from_fp32(recipe.name, source, requests, islands)
    halves, floats = weights(model)
    if not halves and floats and not islands:
        raise PrecisionError(
            f"{recipe.name}: no weight of {source.name} became FP16. "
            "Say precision='fp32' in the recipe if that is meant."
        )
    return model, ["fp16", *notes]


def _int8(
    recipe: Recipe, source: Path, requests: tuple[Arrays, ...], islands: tuple[str, ...]
) -> tuple[Any, list[str]]:
    """What is not INT8 computes in FP16: the scales are FP16, and a value has the type of the scale it came from."""
    with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
        quantised = Path(folder) / source.name
        count = quantised_from_fp32(recipe.name, source, quantised, requests, islands)
        model, notes = half_from_fp32(recipe.name, quantised, requests, islands)
    return model, [f"int8 in {count}, the rest fp16", *notes]


def _sparse(recipe: Recipe, graph: Any) -> str:
    found = dict(sparse_products(graph))
    if not any(found.values()):
        raise PrecisionError(
            f"{recipe.name}: sparsity 2:4 was asked for, but none of the graph's {len(found)} weights has it: no layer "
            "sums over a multiple of four channels. Leave sparsity out of the recipe."
        )
    return f"2:4 in {sum(found.values())} of {len(found)} weights"


def _save(recipe: Recipe, model: Any, path: Path) -> None:
    import onnx

    save_onnx(model, path)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise PrecisionError(f"{recipe.name}: the {recipe.precision} graph is invalid: {error}") from error
