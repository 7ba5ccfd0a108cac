"""The recipe's names at the edges of a graph, whatever its internal values are called."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from engineroom.compile.graph.naming import names_in, rename

WANTED = {"engineroom_input_0": "x", "engineroom_output_0": "y"}


def chain(*internal: str) -> Any:
    """`output = -…-input`, one negation for each internal value and one more."""
    names = ["engineroom_input_0", *internal, "engineroom_output_0"]
    nodes = [helper.make_node("Neg", [one], [other]) for one, other in itertools.pairwise(names)]
    return graph_of(nodes)


def graph_of(nodes: list[Any]) -> Any:
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch"]) for name in WANTED]
    return helper.make_graph(nodes, "g", edges[:1], edges[1:])


def answer(graph: Any, edges: Mapping[str, str], x: float) -> float:
    """What ONNX Runtime computes; it refuses a graph with a name defined twice."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [session.get_inputs()[0].name, session.get_outputs()[0].name] == list(edges.values())
    return float(session.run(None, {session.get_inputs()[0].name: np.array([x], np.float32)})[0][0])


@pytest.mark.parametrize(
    ("internal", "moved"),
    [
        ((), []),
        (("a", "b"), []),
        (("y", "a"), ["y"]),
        (("y", "x"), ["x", "y"]),
        (("y", "y_internal", "y_internal_"), ["y"]),
        (("x_", "x", "x_internal"), ["x"]),
    ],
    ids=["no value", "no collision", "output's name", "both, crossed", "the way out is taken too", "input's name"],
)
def test_internal_values_move_out_of_the_way(internal: tuple[str, ...], moved: list[str]) -> None:
    graph = chain(*internal)
    assert rename(graph, WANTED) == moved
    assert answer(graph, WANTED, 3.0) == 3.0 * (-1) ** (len(internal) + 1)


def test_name_given_to_a_moved_value_is_no_wanted_name() -> None:
    edges = {"engineroom_input_0": "y_internal", "engineroom_output_0": "y"}
    graph = chain("y")
    assert rename(graph, edges) == ["y"]
    assert answer(graph, edges, 3.0) == 3.0


@pytest.mark.parametrize("seed", range(20))
def test_any_set_of_names_gives_a_valid_graph_that_computes_the_same(seed: int) -> None:
    names = ["x", "y", "x_internal", "y_internal", "x_internal_", "a", "b", "val_0"]
    chosen = random.Random(seed)
    internal = chosen.sample(names, chosen.randint(0, len(names)))
    edges = dict(zip(WANTED, chosen.sample(["x", "y", "x_internal", "y_internal", "z"], 2), strict=True))
    graph = chain(*internal)
    assert set(rename(graph, edges)) == set(internal) & set(edges.values())
    assert answer(graph, edges, 2.0) == 2.0 * (-1) ** (len(internal) + 1)
    assert not set(WANTED) & set(names_in(graph))


def test_subgraphs_are_renamed_with_the_rest() -> None:
    """Both branches read the graph's input from outside; one defines a value with the output's name."""

    def branch(name: str, nodes: list[Any], result: str) -> Any:
        return helper.make_graph(nodes, name, [], [helper.make_tensor_value_info(result, TensorProto.FLOAT, ["batch"])])

    yes = branch("yes", [helper.make_node("Neg", ["engineroom_input_0"], ["y"])], "y")
    no = branch("no", [helper.make_node("Abs", ["engineroom_input_0"], ["x"])], "x")
    graph = graph_of(
        [
            helper.make_node("ReduceSum", ["engineroom_input_0"], ["total"], keepdims=0),
            helper.make_node("Constant", [], ["zero"], value_float=0.0),
            helper.make_node("Less", ["total", "zero"], ["negative"]),
            helper.make_node("If", ["negative"], ["engineroom_output_0"], then_branch=no, else_branch=yes),
        ]
    )
    assert sorted(rename(graph, WANTED)) == ["x", "y"]
    assert {"x_internal", "y_internal"} <= set(names_in(graph))
    assert answer(graph, WANTED, 3.0) == -3.0
    assert answer(graph, WANTED, -4.0) == 4.0
