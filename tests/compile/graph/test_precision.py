from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnx.reference
import pytest

from engineroom import Recipe, Tensor
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.errors import PrecisionError

GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
normalised (float[batch, 4] x) => (float[batch, 4] y)
<float[4, 4] weight = {1,2,3,4, 5,6,7,8, 9,10,11,12, 13,14,15,16}, float[4] scale = {1,1,1,1}>
{
    [double] doubled = MatMul(x, weight)
    [normalise] scaled = LayerNormalization<axis = -1>(doubled, scale)
    [relu] y = Relu(scaled)
}
"""


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="normalised",
        module=lambda: None,
        inputs=(Tensor("x", "float32", (4,)),),
        outputs=(Tensor("y", "float32", (4,)),),
        samples=lambda: [{"x": np.ones((2, 4), np.float32)}],
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(GRAPH)), path)
    return path


def types_by_operator(model: onnx.ModelProto) -> dict[str, str]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    types = {
        value.name: onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
        for value in (*inferred.value_info, *inferred.output)
    }
    return {node.op_type: types[node.output[0]] for node in inferred.node}


def test_products_become_fp16_and_normalisations_stay_fp32(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path)
    types = types_by_operator(onnx.load(path))
    assert types["MatMul"] == "FLOAT16"
    assert types["LayerNormalization"] == "FLOAT"


def test_edges_keep_their_types(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path)
    graph = onnx.load(path).graph
    edges = [value.type.tensor_type.elem_type for value in (*graph.input, *graph.output)]
    assert edges == [onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]


def test_graph_is_valid_and_in_order(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    """The reference evaluator runs nodes as they stand: a cast that is appended to the end breaks it."""
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path)
    onnx.checker.check_model(str(path), full_check=True)
    x = np.array([[1, 0, 0, 0], [0, 1, 0, 2]], np.float32)
    (halved,) = onnx.reference.ReferenceEvaluator(str(path)).run(None, {"x": x})
    (exact,) = onnx.reference.ReferenceEvaluator(str(source)).run(None, {"x": x})
    np.testing.assert_allclose(halved, exact, atol=2e-3)


def test_fp32_is_left_alone(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    assert graph_from_fp32(replace(recipe, precision="fp32"), source, path) == "fp32, as exported"
    assert path.read_bytes() == source.read_bytes()


def test_a_graph_in_which_nothing_became_fp16_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    only_normalisation = GRAPH.replace("doubled = MatMul(x, weight)", "doubled = Identity(x)").replace(
        "float[4, 4] weight = {1,2,3,4, 5,6,7,8, 9,10,11,12, 13,14,15,16}, ", ""
    )
    source = tmp_path / "model.onnx"
    onnx.save(onnx.parser.parse_model(only_normalisation), source)
    with pytest.raises(PrecisionError, match=r"normalised: no weight of model.onnx became FP16.*precision='fp32'"):
        graph_from_fp32(recipe, source, tmp_path / "graph.onnx")


def test_a_graph_without_floating_point_is_left_in_peace(recipe: Recipe, tmp_path: Path) -> None:
    whole_numbers = """
<ir_version: 10, opset_import: ["": 20]>
negated (int32[batch, 4] x) => (int32[batch, 4] y) { y = Neg(x) }
"""
    source, path = tmp_path / "model.onnx", tmp_path / "graph.onnx"
    onnx.save(onnx.parser.parse_model(whole_numbers), source)
    graph_from_fp32(recipe, source, path)
    assert types_by_operator(onnx.load(path)) == {"Neg": "INT32"}


def test_a_file_that_is_no_graph_is_an_error_of_ours(recipe: Recipe, tmp_path: Path) -> None:
    onnx.save(onnx.ModelProto(), tmp_path / "model.onnx")
    with pytest.raises(PrecisionError, match=r"normalised: the values of model.onnx cannot be measured: "):
        graph_from_fp32(recipe, tmp_path / "model.onnx", tmp_path / "graph.onnx")
