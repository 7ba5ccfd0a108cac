"""Rounding: an FP16 graph run as a GPU would, with every value rounded to FP16 where a node leaves it.

ONNX Runtime and OpenVINO compute FP16 graphs on a CPU with FP32 inside, across several nodes, and so hide overflow and
most of the rounding. Here every node computes in FP32 and its result goes through FP16 and back, as on a GPU whose
matrix units multiply FP16 and sum in FP32. ONNX Runtime keeps such pairs of casts, with all its optimisations.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engineroom.compile.graph.naming import subgraphs
from engineroom.compile.graph.onnx_files import inferred
from engineroom.compile.targets import Runner
from engineroom.compile.targets.onnx_runtime import runner_from_model

MOVES = frozenset(
    (
        "Concat", "Constant", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND",
        "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze",
        "Tile", "Transpose", "Unsqueeze", "Where",
    )
)  # fmt: skip
"""Operators whose results are among their inputs: nothing is left to round."""


def rounding_runner(graph: Path, kind: str = "fp16") -> Runner:
    """A runner that rounds wherever the graph says FP16.

    Args:
        graph: The ONNX graph after the precision step.
        kind: Element type whose rounding its error is judged by.

    Raises:
        CompileError: ONNX Runtime does not take the graph.
    """
    return runner_from_model(rounding_model(graph), graph, f"{kind} rounding", kind)


def rounding_model(graph: Path) -> Any:
    """The graph in FP32 with a cast to FP16 and back after every node that computes in FP16.

    Args:
        graph: The ONNX graph after the precision step.

    Returns:
        `onnx.ModelProto`.
    """
    import onnx

    model = inferred(onnx.load(str(graph)))
    edges = _keep_edges(model.graph)
    _round(model.graph)
    model.graph.node.extend(edges)
    return model


def _keep_edges(graph: Any) -> list[Any]:
    """Let inputs and outputs that are FP16 stay so; gives the casts that make the outputs."""
    import onnx

    wide = {value.name: f"{value.name}_wide" for value in (*graph.input, *graph.output) if _is_half(value)}
    for node in graph.node:
        _rename(node, wide)
    entering = [value.name for value in graph.input if value.name in wide]
    for number, name in enumerate(entering):
        graph.node.insert(number, onnx.helper.make_node("Cast", [name], [wide[name]], to=onnx.TensorProto.FLOAT))
    leaving = [value.name for value in graph.output if value.name in wide]
    graph.value_info.extend(onnx.helper.make_tensor_value_info(wide[one], _half(), None) for one in leaving)
    return [onnx.helper.make_node("Cast", [wide[name]], [name], to=_half()) for name in leaving]


def _rename(node: Any, names: Mapping[str, str]) -> None:
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for subgraph in subgraphs(node):
        for inner in subgraph.node:
            _rename(inner, names)


def _round(graph: Any) -> None:
    """Make every value in a graph and its subgraphs FP32, and put casts behind what was FP16."""
    import onnx

    halves = {value.name for value in (*graph.value_info, *graph.output) if _is_half(value)}
    for item in graph.initializer:
        _widen(item)
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]
    for node in nodes:
        for subgraph in subgraphs(node):
            _round(subgraph)
            for value in (*subgraph.input, *subgraph.output):
                if _is_half(value):
                    value.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        for attribute in node.attribute:
            _widen_attribute(attribute)
        moves = node.op_type in MOVES
        casts = [cast for name in node.output if name in halves and not moves for cast in _casts(name)]
        node.output[:] = [f"{name}_unrounded" if name in halves and not moves else name for name in node.output]
        graph.node.extend([node, *casts])


def _casts(name: str) -> tuple[Any, Any]:
    import onnx

    return (
        onnx.helper.make_node("Cast", [f"{name}_unrounded"], [f"{name}_fp16"], to=_half()),
        onnx.helper.make_node("Cast", [f"{name}_fp16"], [name], to=onnx.TensorProto.FLOAT),
    )


def _widen_attribute(attribute: Any) -> None:
    """What a node's attributes say of FP16: the type that it gives, or a tensor that it holds."""
    import onnx

    if attribute.name in ("to", "dtype", "output_dtype") and attribute.i == _half():
        attribute.i = onnx.TensorProto.FLOAT
    if attribute.HasField("t"):
        _widen(attribute.t)


def _widen(item: Any) -> None:
    import onnx

    if item.data_type == _half():
        array = onnx.numpy_helper.to_array(item).astype("float32")
        item.CopyFrom(onnx.numpy_helper.from_array(array, item.name))


def _is_half(value: Any) -> bool:
    return bool(value.type.tensor_type.elem_type == _half())


def _half() -> int:
    import onnx

    return int(onnx.TensorProto.FLOAT16)
