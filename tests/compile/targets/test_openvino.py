"""The OpenVINO target, and ONNX Runtime beside it: real files, real answers, and their refusals."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from onnx import TensorProto, helper

from engineroom import Recipe, Tensor
from engineroom.compile.targets import Compiled, default_target, target_from_name
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.targets.openvino import has_amx
from engineroom.compile.targets.tensorrt import has_gpu
from engineroom.errors import CompileError
from engineroom.repository.layout import GRAPH

RECIPE = Recipe(
    name="tiny",
    module=lambda: None,
    inputs=(Tensor("x", "float32", (8,)),),
    outputs=(Tensor("y", "float32", (8,)),),
    samples=list,
)
ROWS = np.arange(24, dtype=np.float32).reshape(3, 8)


@pytest.fixture
def graph(tmp_path: Path, publish_tiny: Any) -> Path:
    """`relu(relu(x) @ 2)` in FP16."""
    path: Path = publish_tiny(tmp_path).version(1) / GRAPH
    return path


def test_model_is_two_files_with_the_recipes_names(graph: Path, tmp_path: Path) -> None:
    compiled = target_from_name("openvino").compile(graph, RECIPE, tmp_path)
    assert (compiled.file, compiled.companions) == (tmp_path / "model.xml", (tmp_path / "model.bin",))
    assert compiled.built_with.startswith("openvino 20")
    model = openvino.Core().read_model(str(compiled.file))
    assert [port.get_names() for port in (*model.inputs, *model.outputs)] == [{"x"}, {"y"}]
    assert model.inputs[0].get_partial_shape().is_dynamic


def test_each_type_that_this_processor_has_answers(graph: Path, tmp_path: Path) -> None:
    target = target_from_name("openvino")
    runners = target.runners(target.compile(graph, RECIPE, tmp_path), graph, RECIPE)
    assert [kind for kind, _ in runners] == ["f32", *(["bf16"] if has_amx() else [])]
    for kind, start in runners:
        runner = start()
        assert runner.name == f"openvino {kind}"
        np.testing.assert_allclose(runner.answer({"x": ROWS})["y"], 2 * ROWS, rtol=1e-2)


def test_edge_that_only_a_cast_stands_behind_keeps_its_own_name(tmp_path: Path) -> None:
    """OpenVINO drops a cast to the type that is there already, and gives its name to what it cast."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in "xy")
    nodes = [
        helper.make_node("Cast", ["x"], ["_to_copy"], to=TensorProto.FLOAT),
        helper.make_node("Relu", ["_to_copy"], ["relu"]),
        helper.make_node("Cast", ["relu"], ["y"], to=TensorProto.FLOAT),
    ]
    drawn = helper.make_graph(nodes, "cast", [x], [y])
    path = tmp_path / "cast.onnx"
    onnx.save(helper.make_model(drawn, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    target = target_from_name("openvino")
    ((_, start), *_) = target.runners(target.compile(path, RECIPE, tmp_path), path, RECIPE)
    np.testing.assert_array_equal(start().answer({"x": ROWS})["y"], ROWS)


def test_graph_that_openvino_does_not_take_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.graph.onnx"
    path.write_text("not a graph")
    with pytest.raises(CompileError, match=r"tiny: OpenVINO refuses model\.graph\.onnx: \S+"):
        target_from_name("openvino").compile(path, RECIPE, tmp_path)
    assert not (tmp_path / "model.xml").exists()


def test_artefact_that_is_damaged_is_refused_by_its_runner(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("<net")
    target = target_from_name("openvino")
    ((_, start), *_) = target.runners(Compiled(tmp_path / "model.xml", "openvino"), tmp_path / "graph", RECIPE)
    with pytest.raises(CompileError, match=r"model\.xml: OpenVINO cannot run it in f32: \S+"):
        start()


def test_onnx_runtime_answers_by_name(graph: Path) -> None:
    runner = runner_from_onnx(graph)
    assert runner.name == "onnxruntime cpu"
    np.testing.assert_allclose(runner.answer({"x": ROWS})["y"], 2 * ROWS, rtol=1e-2)


def test_graph_that_onnx_runtime_does_not_take_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_text("not a graph")
    with pytest.raises(CompileError, match=r"broken\.onnx: ONNX Runtime 1\.\S+ does not take this graph: \S+"):
        runner_from_onnx(tmp_path / "broken.onnx")


@pytest.mark.skipif(has_gpu(), reason="there is a GPU")
def test_target_without_a_gpu_is_openvino() -> None:
    assert default_target() == "openvino"
