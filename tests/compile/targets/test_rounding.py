"""The judge that rounds: ONNX Runtime itself does not, on a CPU."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.targets.rounding import rounding_model, rounding_runner

HALF, FLOAT = TensorProto.FLOAT16, TensorProto.FLOAT


def saved(path: Path, nodes: list[Any], weights: dict[str, Any] | None = None, edges: int = FLOAT) -> Path:
    """A graph from x to y, both of shape (batch, 4)."""
    x, y = (helper.make_tensor_value_info(name, edges, ["batch", 4]) for name in "xy")
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "graph", [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return path


def in_half(*nodes: Any) -> list[Any]:
    """Nodes from `a` to `b` in FP16, between casts."""
    return [helper.make_node("Cast", ["x"], ["a"], to=HALF), *nodes, helper.make_node("Cast", ["b"], ["y"], to=FLOAT)]


SQUARE_ROOT_OF_SQUARE = in_half(
    helper.make_node("Mul", ["a", "a"], ["square"]),
    helper.make_node("Sqrt", ["square"], ["b"]),
)


def test_overflow_that_the_cpu_hides_is_seen(tmp_path: Path) -> None:
    graph = saved(tmp_path / "graph.onnx", SQUARE_ROOT_OF_SQUARE)
    x = np.float32([[1000, 3, 255, 256]])
    np.testing.assert_allclose(runner_from_onnx(graph).answer({"x": x})["y"], x, rtol=1e-3)
    np.testing.assert_array_equal(rounding_runner(graph).answer({"x": x})["y"], [[np.inf, 3, 255, np.inf]])


def test_every_operation_rounds_as_numpy_does_in_fp16(tmp_path: Path) -> None:
    nodes = in_half(
        helper.make_node("Add", ["a", "third"], ["sum"]),
        helper.make_node("Mul", ["sum", "third"], ["product"]),
        helper.make_node("Transpose", ["product"], ["turned"], perm=[1, 0]),
        helper.make_node("Transpose", ["turned"], ["back"], perm=[1, 0]),
        helper.make_node("Sub", ["back", "a"], ["b"]),
    )
    graph = saved(tmp_path / "graph.onnx", nodes, {"third": np.float16([1 / 3])})
    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    a, third = x.astype(np.float16), np.float16(1 / 3)
    np.testing.assert_array_equal(rounding_runner(graph).answer({"x": x})["y"], ((a + third) * third - a))
    assert np.any(runner_from_onnx(graph).answer({"x": x})["y"] != ((a + third) * third - a))


def test_what_is_fp32_in_the_graph_stays_fp32(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), helper.make_node("Sqrt", ["square"], ["y"])]
    graph = saved(tmp_path / "graph.onnx", nodes)
    x = np.float32([[1000.1, 1 / 3, 0, 1e10]])
    np.testing.assert_allclose(rounding_runner(graph).answer({"x": x})["y"], x, rtol=1e-6)
    assert [node.op_type for node in rounding_model(graph).graph.node] == ["Mul", "Sqrt"]


def test_edges_that_are_fp16_stay_fp16(tmp_path: Path) -> None:
    graph = saved(
        tmp_path / "graph.onnx",
        [helper.make_node("Mul", ["x", "x"], ["y"])],
        edges=HALF,
    )
    answer = rounding_runner(graph).answer({"x": np.float16([[300, 2, 3, 0.1]])})["y"]
    assert answer.dtype == np.float16
    np.testing.assert_array_equal(answer, np.float16([[np.inf, 4, 9, np.float16(0.1) ** 2]]))


def branches(name: str) -> Any:
    """An If that squares where the sum of `a` is positive, and halves elsewhere."""
    value = helper.make_tensor_value_info
    then = helper.make_graph(
        [helper.make_node("Mul", ["a", "a"], ["squared"])], "then", [], [value("squared", HALF, None)]
    )
    two = helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float16(2)))
    other = helper.make_graph(
        [two, helper.make_node("Div", ["a", "two"], ["halved"])], "else", [], [value("halved", HALF, None)]
    )
    return helper.make_node("If", [name], ["b"], then_branch=then, else_branch=other)


def test_branches_round_too(tmp_path: Path) -> None:
    nodes = in_half(
        helper.make_node("ReduceSum", ["a"], ["total"], keepdims=0),
        helper.make_node("Cast", ["total"], ["wide"], to=FLOAT),
        helper.make_node("Greater", ["wide", "zero"], ["positive"]),
        branches("positive"),
    )
    graph = saved(tmp_path / "graph.onnx", nodes, {"zero": np.float32(0)})
    runner = rounding_runner(graph)
    np.testing.assert_array_equal(
        runner.answer({"x": np.float32([[300, 2, 3, 0.1]])})["y"], [[np.inf, 4, 9, np.float16(0.1) ** 2]]
    )
    np.testing.assert_array_equal(runner.answer({"x": np.float32([[-300, 2, 3, 1]])})["y"], [[-150, 1, 1.5, 0.5]])


def test_model_without_any_fp16_is_the_same(tmp_path: Path) -> None:
    graph = saved(tmp_path / "graph.onnx", [helper.make_node("Relu", ["x"], ["y"])])
    assert rounding_model(graph).graph.node == onnx.load(graph).graph.node
