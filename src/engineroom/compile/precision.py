"""Precision: FP32 graph → the graph that every target compiles, FP16 with FP32 islands; the edges keep their types.

TensorRT 11 has no FP16 switch left: its networks are strongly typed and compute in the types the graph says.
One FP16 graph therefore means the same on TensorRT 10, 11 and RTX, and OpenVINO compiles the same one.
"""

import contextlib
import io
from pathlib import Path
from typing import Any

from engineroom.errors import PrecisionError
from engineroom.recipe import Recipe

FP32_ISLANDS = ("LayerNormalization", "ReduceL2", "ReduceMean", "ReduceSum", "Softmax")
"""Operators that keep FP32: they sum many terms, or square or exponentiate them, which is where FP16 (largest finite
value 65504, IEEE 754 binary16) overflows or loses small terms first."""


def fp16_from_fp32(recipe: Recipe, source: Path, path: Path) -> str:
    """Write the graph that every target compiles.

    Args:
        recipe: Says the precision; with `fp32` the graph is copied as it is.
        source: `model.onnx`, FP32.
        path: The `.onnx` file to write.

    Returns:
        What the graph computes in, for the reader of the build.

    Raises:
        PrecisionError: The graph cannot be converted, or nothing in it became FP16.
    """
    import onnx

    if recipe.precision == "fp32":
        path.write_bytes(source.read_bytes())
        return "fp32, as exported"
    model = _converted(recipe, onnx.load(str(source)))
    halves, floats = _weights(model)
    if not halves and floats:
        raise PrecisionError(
            f"{recipe.name}: no weight of {source.name} became FP16. "
            "Say precision='fp32' in the recipe if that is meant."
        )
    onnx.save(model, str(path))
    _check(recipe, path)
    return f"fp16, {floats} of {halves + floats} weights stay fp32" if floats else "fp16"


def _converted(recipe: Recipe, model: Any) -> Any:
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    try:
        # The converter prints a line for every constant that it rounds to FP16's smallest value.
        with contextlib.redirect_stdout(io.StringIO()):
            converted = convert_float_to_float16(model, keep_io_types=True, op_block_list=list(FP32_ISLANDS))
    except Exception as error:
        raise PrecisionError(
            f"{recipe.name}: the FP32 graph cannot be put into FP16: {type(error).__name__}: {error}. "
            "Say precision='fp32' in the recipe to serve it in FP32."
        ) from error
    # The converter appends its casts to the end; ONNX wants every node after those it reads from.
    OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)
    # What was known of the FP32 graph's values is no longer true, and nothing needs it.
    del converted.graph.value_info[:]
    return converted


def _check(recipe: Recipe, path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise PrecisionError(f"{recipe.name}: the FP16 graph is invalid: {error}") from error


def _weights(model: Any) -> tuple[int, int]:
    """Weights in FP16 and in FP32, by count of elements' tensors with more than one element."""
    import onnx

    types = [item.data_type for item in model.graph.initializer if len(item.dims) and max(item.dims) > 1]
    return types.count(onnx.TensorProto.FLOAT16), types.count(onnx.TensorProto.FLOAT)
