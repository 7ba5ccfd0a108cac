"""Half: a graph of FP32 operations → the same in FP16, with FP32 islands; the edges keep their types.

TensorRT 11 has no FP16 switch left: its networks are strongly typed and compute in the types the graph says.
One FP16 graph therefore means the same on TensorRT 10, 11 and RTX, and OpenVINO compiles the same one.
"""

import contextlib
import io
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engineroom.compile.graph.naming import names_in
from engineroom.compile.graph.onnx_files import inferred
from engineroom.compile.graph.ranges import nodes_beyond_half, ranges_from_onnx
from engineroom.errors import PrecisionError
from engineroom.recipe import Arrays

FP32_ISLANDS = ("LayerNormalization", "ReduceL2", "ReduceMean", "ReduceSum", "Softmax")
"""Operators that keep FP32: they sum many terms, or square or exponentiate them, which is where FP16 (largest finite
value 65504, IEEE 754 binary16) overflows or loses small terms first."""


def half_from_fp32(model_name: str, source: Path, requests: Iterable[Arrays], islands: Iterable[str] = ()) -> Any:
    """Put FP16 into a graph.

    Nodes that touch a value which FP16 cannot hold, measured on real samples, stay FP32.

    Args:
        model_name: For messages.
        source: The ONNX file, FP32; it may quantise and dequantise.
        requests: Real inputs by name, shape (rows, ...), to measure the values on; without any, constants alone count.
        islands: Names of further nodes that stay FP32.

    Returns:
        `onnx.ModelProto`, and what a reader of the build should know of it.

    Raises:
        PrecisionError: The graph cannot be converted.
    """
    import onnx

    beyond = _beyond_half(model_name, source, requests)
    model = _converted(model_name, onnx.load(str(source)), [*beyond, *islands])
    halves, floats = weights(model)
    notes = []
    if floats:
        notes.append(f"{floats} of {halves + floats} weights stay fp32")
    if beyond:
        notes.append(f"{len(beyond)} nodes stay fp32 for their range (values up to {max(beyond.values()):.2g})")
    return model, notes


def _beyond_half(model_name: str, source: Path, requests: Iterable[Arrays]) -> dict[str, float]:
    try:
        return nodes_beyond_half(source, ranges_from_onnx(source, requests))
    except Exception as error:
        raise PrecisionError(
            f"{model_name}: the values of {source.name} cannot be measured: {type(error).__name__}: {error}"
        ) from error


def _converted(model_name: str, model: Any, beyond: list[str]) -> Any:
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    try:
        # The converter prints a line for every constant that it rounds to FP16's smallest value.
        with contextlib.redirect_stdout(io.StringIO()):
            converted = convert_float_to_float16(
                inferred(model),
                disable_shape_infer=True,
                keep_io_types=True,
                # Its own list: what ONNX has not got in FP16, such as Range.
                op_block_list=DEFAULT_OP_BLOCK_LIST,
                # By name and not by kind: for a node inside a branch or a loop it would cast outside of it.
                node_block_list=[*beyond, *(node.name for node in model.graph.node if node.op_type in FP32_ISLANDS)],
            )
        # What was known of the FP32 graph's values is no longer true, and nothing needs it.
        del converted.graph.value_info[:]
        _join_islands(converted.graph)
        # The converter appends its casts to the end; ONNX wants every node after those it reads from.
        OnnxModel.graph_topological_sort(converted.graph, is_deterministic=True)
    except Exception as error:
        raise PrecisionError(
            f"{model_name}: the FP32 graph cannot be put into FP16: {type(error).__name__}: {error}. "
            "Say precision='fp32' in the recipe to serve it in FP32."
        ) from error
    return converted


def _join_islands(graph: Any) -> None:
    """Let neighbouring FP32 nodes hand each other FP32: the converter casts to FP16 and back between any two."""
    # It also adds one cast for every reader of a value, all of the same name.
    for twin in [node for node in graph.node if _restores(node)]:
        if sum(node.name == twin.name for node in graph.node) > 1:
            graph.node.remove(twin)
    whole = {cast.output[0]: cast.input[0] for cast in graph.node if _halves(cast)}
    restored = {
        cast.output[0]: whole[cast.input[0]] for cast in graph.node if _restores(cast) and cast.input[0] in whole
    }
    for node in graph.node:
        # The casts before the graph's outputs keep their place: their names are the outputs'.
        at_edge = node.name.startswith("graph_output_cast")
        node.input[:] = [(whole if at_edge else restored).get(name, name) for name in node.input]
    # Casts that nobody reads any more go: those back to FP32 first, then those to FP16 that fed them alone.
    for is_cast in (_restores, _halves):
        mentions = Counter(names_in(graph))
        for cast in [node for node in graph.node if is_cast(node) and mentions[node.output[0]] == 1]:
            graph.node.remove(cast)


def _halves(node: Any) -> bool:
    """Whether this is a cast from FP32 to FP16 that the converter has added, by the names it gives."""
    return bool(node.name.endswith("_cast_to_fp16_node") or node.name.startswith("graph_input_cast"))


def _restores(node: Any) -> bool:
    """Whether this is a cast from FP16 to FP32 that the converter has added before an FP32 node."""
    return bool(node.name.endswith("_cast_to_fp32_node"))


def weights(model: Any) -> tuple[int, int]:
    """How many of a graph's constants of more than one element are FP16, and how many FP32."""
    import onnx

    types = [item.data_type for item in model.graph.initializer if len(item.dims) and max(item.dims) > 1]
    return types.count(onnx.TensorProto.FLOAT16), types.count(onnx.TensorProto.FLOAT)
