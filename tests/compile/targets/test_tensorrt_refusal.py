"""What is said of a graph that the real TensorRT for RTX refuses: the node is named even where TensorRT does not."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from engineroom.compile.targets.tensorrt import TensorRT, plan_from_onnx
from engineroom.errors import CompileError, GraphRefused
from engineroom.repository.passport import Profile

RTX = TensorRT("tensorrt-rtx:sm89", "tensorrt-rtx", "SM89")
PROFILE = Profile("fp32", {"x": ((1, 8), (2, 8), (4, 8))})


def graph_of(path: Path, *nodes: Any, constants: tuple[Any, ...] = ()) -> Path:
    """A graph from `x` to `y`, both FLOAT (batch, 8)."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in "xy")
    graph = helper.make_graph(list(nodes), "refused", [x], [y], list(constants))
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def node(operator: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs.split(), [output], name=f"the_{operator}", **attributes)


TO_INT, TO_FLOAT = node("Cast", "x", "i", to=TensorProto.INT32), node("Cast", "j", "y", to=TensorProto.FLOAT)
THREE = numpy_helper.from_array(np.full((8,), 3, np.int32), "three")
SHIFT = numpy_helper.from_array(np.full((8,), 1, np.uint32), "one")
ZEROS = numpy_helper.from_array(np.zeros((1, 8), np.int64), "zeros")


@pytest.mark.parametrize(
    ("nodes", "constants", "words"),
    [
        ((TO_INT, node("BitwiseAnd", "i three", "j"), TO_FLOAT), (THREE,), "the_BitwiseAnd (BitwiseAnd): UNSUPPORTED"),
        (
            (node("ScatterElements", "x zeros x", "y", axis=1, reduction="add"),),
            (ZEROS,),
            "the_ScatterElements (ScatterElements): Unsupported reduction type",
        ),
        (
            (
                node("Cast", "x", "u", to=TensorProto.UINT32),
                node("BitShift", "u one", "j", direction="LEFT"),
                TO_FLOAT,
            ),
            (SHIFT,),
            "the_BitShift (BitShift): Failed to import initializer",
        ),
    ],
    ids=["whole message is false", "no node named", "a constant named"],
)
def test_refused_node_is_named_with_the_reason(
    tmp_path: Path, nodes: tuple[Any, ...], constants: tuple[Any, ...], words: str
) -> None:
    graph = graph_of(tmp_path / "model.graph.onnx", *nodes, constants=constants)
    with pytest.raises(GraphRefused) as caught:
        plan_from_onnx(RTX, graph, PROFILE, tmp_path / "model.plan")
    assert caught.value.words.startswith("tensorrt_rtx 1.7.")
    assert f"does not take this graph: {words}" in caught.value.words
    assert str(caught.value).startswith(f"{graph}: {caught.value.words}. Replace the operator in the module. Build for")
    assert str(caught.value).endswith("engineroom build --fallback onnxruntime")
    assert not (tmp_path / "model.plan").exists()


def test_node_is_named_where_only_engines_are_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU container has no onnx: what TensorRT says itself must do."""
    graph = graph_of(tmp_path / "model.graph.onnx", TO_INT, node("BitwiseAnd", "i three", "j"), TO_FLOAT,
                     constants=(THREE,))  # fmt: skip
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(GraphRefused, match=r"does not take this graph: the_BitwiseAnd \(BitwiseAnd\): UNSUPPORTED"):
        plan_from_onnx(RTX, graph, PROFILE, tmp_path / "model.plan")


@pytest.mark.parametrize("content", [b"", b"not a graph"], ids=["empty", "text"])
def test_file_that_is_no_graph_is_no_refusal(tmp_path: Path, content: bytes) -> None:
    """No fallback would help."""
    graph = tmp_path / "model.graph.onnx"
    graph.write_bytes(content)
    with pytest.raises(CompileError, match=r"model\.graph\.onnx: is no ONNX graph: .* Build it again") as caught:
        plan_from_onnx(RTX, graph, PROFILE, tmp_path / "model.plan")
    assert not isinstance(caught.value, GraphRefused)
