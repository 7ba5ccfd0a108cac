"""What FP16 cannot hold is found on the FP32 graph, because no CPU runtime shows it on the FP16 one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from engineroom import Recipe, Tensor
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.graph.ranges import HALF_MAX, nodes_beyond_half, ranges_from_onnx

# A normalisation written out by hand: its squares reach 250,000, far beyond FP16, its answer is of order 1.
NORMALISATION = """
<ir_version: 10, opset_import: ["": 20]>
normalisation (float[batch, 4] x) => (float[batch, 4] y)
<float[4, 4] weight = {500,0,0,0, 0,500,0,0, 0,0,500,0, 0,0,0,500}, float two = {2}, int64[1] last = {-1}>
{
    [scale] scaled = MatMul(x, weight)
    [square] squared = Pow(scaled, two)
    [mean] variance = ReduceMean(squared, last)
    [root] deviation = Sqrt(variance)
    [divide] y = Div(scaled, deviation)
}
"""

X = np.array([[0.5, -0.25, 1.0, 0.75], [1.0, 1.0, -1.0, 0.125]], np.float32)


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="normalisation",
        module=lambda: None,
        inputs=(Tensor("x", "float32", (4,)),),
        outputs=(Tensor("y", "float32", (4,)),),
        samples=lambda: [{"x": X}],
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    model = onnx.parser.parse_model(NORMALISATION)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def rounded(path: Path) -> np.ndarray:
    """What the graph answers when every operation really rounds to the type it is in."""
    with np.errstate(all="ignore"):
        return ReferenceEvaluator(str(path)).run(None, {"x": X})[0]


def test_values_are_measured_on_samples(source: Path) -> None:
    found = ranges_from_onnx(source, [{"x": X[:1]}, {"x": X[1:]}])
    assert found.values["scaled"] == 500
    assert found.values["squared"] == 250_000
    assert found.constants["weight"] == 500


def test_only_nodes_at_the_large_values_are_named(source: Path) -> None:
    found = nodes_beyond_half(source, ranges_from_onnx(source, [{"x": X}]))
    assert set(found) == {"square", "mean", "root"}
    assert max(found.values()) == 250_000


def test_infinities_are_no_range(source: Path) -> None:
    masked = X.copy()
    masked[0, 1] = -np.inf
    assert ranges_from_onnx(source, [{"x": masked}]).values["scaled"] == 500


def test_constants_need_no_headroom(source: Path) -> None:
    ranges = replace(ranges_from_onnx(source, []), constants={"weight": HALF_MAX}, values={"scaled": HALF_MAX / 5})
    assert nodes_beyond_half(source, ranges) == {}


def test_a_cpu_hides_the_overflow_and_rounding_shows_it(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    """Why ranges are measured at all: without them the graph is wrong, and ONNX Runtime does not see it."""
    path = tmp_path / "graph.onnx"
    unmeasured = onnx.load(source)
    converted = convert_float_to_float16(unmeasured, keep_io_types=True, op_block_list=["ReduceMean"])
    OnnxModel.graph_topological_sort(converted.graph)
    onnx.save(converted, path)
    (exact,) = onnxruntime.InferenceSession(source).run(None, {"x": X})
    (hidden,) = onnxruntime.InferenceSession(path).run(None, {"x": X})
    assert not np.allclose(rounded(path), exact, atol=0.01)
    np.testing.assert_allclose(hidden, exact, atol=0.01)


def test_measured_nodes_stay_fp32_and_the_answer_is_right_when_rounded(
    recipe: Recipe, source: Path, tmp_path: Path
) -> None:
    path = tmp_path / "graph.onnx"
    note = graph_from_fp32(recipe, source, path, [{"x": X}])
    assert "3 nodes stay fp32 for their range (values up to 2.5e+05)" in note
    (exact,) = ReferenceEvaluator(str(source)).run(None, {"x": X})
    np.testing.assert_allclose(rounded(path), exact, atol=2e-3)


def test_constants_are_not_cut(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    """A BatchNorm's variance can be 30,000; onnxruntime's converter cuts it to 10,000 unless it is told otherwise."""
    path, large = tmp_path / "graph.onnx", tmp_path / "large.onnx"
    text = NORMALISATION.replace(
        "{500,0,0,0, 0,500,0,0, 0,0,500,0, 0,0,0,500}", "{30000,0,0,0, 0,1,0,0, 0,0,1,0, 0,0,0,1}"
    )
    onnx.save(onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text)), large)
    graph_from_fp32(recipe, large, path, [{"x": X / 100}])
    (weight,) = [item for item in onnx.load(path).graph.initializer if item.name == "weight"]
    assert weight.data_type == onnx.TensorProto.FLOAT16
    assert onnx.numpy_helper.to_array(weight).max() == 30_000


def test_neighbouring_islands_hand_each_other_fp32(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path, [{"x": X}])
    graph = onnx.load(path).graph
    producers = {name: node for node in graph.node for name in node.output}
    operators = {node.name: node for node in graph.node}
    assert producers[operators["mean"].input[0]].name == "square"
    assert producers[operators["root"].input[0]].name == "mean"
    assert [node.op_type for node in graph.node].count("Cast") == 4
