"""INT8 in the graph: what became INT8, what stayed, and that compilers take it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx.reference import ReferenceEvaluator

from engineroom import Recipe, Tensor
from engineroom.compile.fallback import OnnxRuntime
from engineroom.compile.graph.int8 import products_in_int8
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.targets.tensorrt import TensorRT, plan_from_onnx
from engineroom.errors import CompileError, PrecisionError
from engineroom.repository.passport import Profile

# A convolution, two products with weights and one of two activations, as attention has it.
GRAPH = """
<ir_version: 10, opset_import: ["": 20]>
mixed (float[batch, 4, 6, 6] x) => (float[batch, 8, 8] y)
<int64[3] shape = {0, 8, 16}>
{
    [conv] seen = Conv<strides = [1, 1]>(x, kernels, bias)
    [relu] active = Relu(seen)
    [rows] rows = Reshape(active, shape)
    [product] product = MatMul(rows, first)
    [attention] attention = MatMul(product, product)
    [softmax] weighed = Softmax<axis = -1>(attention)
    [last] y = MatMul(weighed, second)
}
"""

RTX = TensorRT("tensorrt-rtx:sm89", "tensorrt-rtx", "SM89")

WEIGHTS = {"kernels": (8, 4, 3, 3), "bias": (8,), "first": (16, 8), "second": (8, 8)}


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="mixed",
        module=lambda: None,
        inputs=(Tensor("x", "float32", (4, 6, 6)),),
        outputs=(Tensor("y", "float32", (8, 8)),),
        samples=list,
        precision="int8",
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    model = onnx.parser.parse_model(GRAPH)
    for name, shape in WEIGHTS.items():
        array = random.normal(0, 0.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    path = tmp_path / "model.onnx"
    onnx.save(onnx.shape_inference.infer_shapes(model), path)
    return path


def requests(count: int = 4) -> Iterator[dict[str, np.ndarray]]:
    random = np.random.default_rng(1)
    for _ in range(count):
        yield {"x": random.normal(size=(2, 4, 6, 6)).astype(np.float32)}


def types(model: onnx.ModelProto) -> dict[str, str]:
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True).graph
    values = (*inferred.value_info, *inferred.output)
    return {value.name: onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type) for value in values}


def test_products_with_weights_read_int8_and_the_rest_is_fp16(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    note = graph_from_fp32(recipe, source, path, requests())
    assert note.startswith("int8 in 3 of 4 products, the rest fp16")
    model = onnx.load(path)
    assert set(products_in_int8(model.graph)) == {"seen", "product", "graph_output_cast_0"}
    assert types(model)["attention"] == "FLOAT16"
    assert types(model)["y"] == "FLOAT"


def test_scales_are_symmetric_one_a_channel_of_a_weight_and_one_an_activation(
    recipe: Recipe, source: Path, tmp_path: Path
) -> None:
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path, requests())
    graph = onnx.load(path).graph
    constants = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    pairs = [node for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert len(pairs) == 3 + 6
    for node in pairs:
        scale, zero = (constants[name] for name in node.input[1:])
        assert scale.dtype == np.float16
        assert not zero.any()
        stored = constants.get(node.input[0])
        assert scale.size == (1 if stored is None else stored.shape[0 if stored.ndim == 4 else 1])
        assert stored is None or stored.dtype == np.int8
    assert constants["bias"].dtype == np.float16


def test_answers_are_those_of_int8(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    """Near the FP32 graph's in ONNX Runtime, which could fuse its nodes, and in ONNX's own evaluator."""
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path, requests())
    (request,) = requests(1)
    exact = runner_from_onnx(source).answer(request)["y"]
    answer = runner_from_onnx(path).answer(request)["y"]
    (by_the_book,) = ReferenceEvaluator(str(path)).run(None, request)
    for found in (answer, by_the_book):
        assert 0.001 < np.sqrt(np.mean((found - exact) ** 2)) / np.sqrt(np.mean(exact**2)) < 0.05


def test_same_inputs_give_the_same_bytes(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        graph_from_fp32(recipe, source, tmp_path / name, requests())
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_islands_are_left_alone(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    note = graph_from_fp32(recipe, source, path, requests(), islands=["conv"])
    assert note.startswith("int8 in 2 of 4 products")
    model = onnx.load(path)
    assert "seen" not in set(products_in_int8(model.graph))
    (kernels,) = [item for item in model.graph.initializer if item.name == "kernels"]
    assert kernels.data_type == onnx.TensorProto.FLOAT


def test_real_tensorrt_compiles_it_for_a_gpu_that_is_not_here(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path, requests())
    compiled = plan_from_onnx(RTX, path, Profile.of(recipe), tmp_path / RTX.plan)
    # Three activations are quantised, and three weights are INT8 constants.
    assert compiled.precision["INT8"] == 6
    assert compiled.precision["HALF"] > compiled.precision["FLOAT"]


def test_openvino_computes_in_int8(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    import openvino

    path = tmp_path / "graph.onnx"
    graph_from_fp32(recipe, source, path, requests())
    compiled = openvino.Core().compile_model(openvino.convert_model(str(path)), "CPU")
    told = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    products = [one for one in told if one["layerType"].astype(str) in ("Convolution", "FullyConnected")]
    assert len(products) >= 2
    assert {one["runtimePrecision"].astype(str) for one in products} == {"i8"}


@pytest.mark.parametrize(
    ("text", "rows", "message"),
    [
        ("", 0, r"mixed: model.onnx has no samples to calibrate on\. Say precision='fp16'"),
        (
            "Relu",
            1,
            r"mixed: model.onnx has no weights in Conv, Gemm, MatMul that could be INT8\. Say precision='fp16'",
        ),
    ],
    ids=["no samples", "no weights"],
)
def test_what_cannot_be_int8_is_refused(
    recipe: Recipe, source: Path, tmp_path: Path, text: str, rows: int, message: str
) -> None:
    if text:
        model = onnx.parser.parse_model(
            '<ir_version: 10, opset_import: ["": 20]> bare (float[batch, 4, 6, 6] x) => (float[batch, 4, 6, 6] y) '
            "{ y = Relu(x) }"
        )
        onnx.save(model, source)
    with pytest.raises(PrecisionError, match=message):
        graph_from_fp32(recipe, source, tmp_path / "graph.onnx", requests(rows))


def test_product_that_silently_stayed_fp32_is_refused(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    """Nodes without names cannot be told apart by the quantiser: what leaves one out, leaves all of them."""
    model = onnx.load(source)
    for node in model.graph.node:
        node.name = ""
    onnx.save(model, source)
    with pytest.raises(PrecisionError, match=r"mixed: the quantiser left 3 of 3 products in FP32.*product, seen, y"):
        graph_from_fp32(recipe, source, tmp_path / "graph.onnx", requests())


def test_network_without_int8_is_refused_where_int8_was_asked(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    graph_from_fp32(replace(recipe, precision="fp16"), source, tmp_path / "graph.onnx", requests())
    with pytest.raises(
        CompileError, match=r"precision int8 was asked for, but no layer of the network is INT8\. Build"
    ):
        plan_from_onnx(RTX, tmp_path / "graph.onnx", Profile.of(recipe), tmp_path / RTX.plan)


def test_onnx_runtime_serves_no_int8(recipe: Recipe, source: Path, tmp_path: Path) -> None:
    graph_from_fp32(recipe, source, tmp_path / "graph.onnx", requests())
    with pytest.raises(CompileError, match=r"mixed: ONNX Runtime's own .* or build without --fallback"):
        OnnxRuntime().compile(tmp_path / "graph.onnx", recipe, tmp_path)
