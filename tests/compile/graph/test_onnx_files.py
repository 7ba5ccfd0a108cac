"""Graphs whose weights stand beside them, with the limit lowered so that a small one is large."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from engineroom.compile.graph import onnx_files
from engineroom.compile.graph.onnx_files import (
    copy_onnx,
    data_file,
    files_of,
    inferred,
    loadable,
    save_onnx,
    weights_bytes,
)


@pytest.fixture
def model() -> Any:
    """`x @ weight` with 4,096 bytes of weight."""
    weight = numpy_helper.from_array(np.arange(1024, dtype=np.float32).reshape(32, 32) / 1024, "weight")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 32]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weight"], ["y"])], "g", [x], [y], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", 4096)


def answer(path: Path) -> Any:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["y"], {"x": np.ones((2, 32), np.float32)})[0]


def test_small_graph_is_one_file(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert weights_bytes(model.graph) == 4096
    save_onnx(model, path)
    assert files_of(path) == (path,)


@pytest.mark.usefixtures("large")
def test_large_graph_has_its_weights_beside_it(model: Any, tmp_path: Path) -> None:
    expected = tmp_path / "whole.onnx"
    onnx.save(model, expected)
    path = tmp_path / "model.onnx"
    save_onnx(model, path)
    assert files_of(path) == (path, tmp_path / "model.onnx.data")
    assert path.stat().st_size < 1000
    assert data_file(path).stat().st_size == 4096
    onnx.checker.check_model(str(path), full_check=True)
    np.testing.assert_array_equal(answer(path), answer(expected))


@pytest.mark.usefixtures("large")
def test_written_again_the_bytes_are_the_same(model: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    save_onnx(model, path)
    before = [file.read_bytes() for file in files_of(path)]
    save_onnx(onnx.load(str(path)), path)
    assert [file.read_bytes() for file in files_of(path)] == before


def test_graph_that_became_small_leaves_no_weights_behind(model: Any, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "model.onnx"
    with monkeypatch.context() as patch:
        patch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", 0)
        save_onnx(model, path)
    save_onnx(onnx.load(str(path)), path)
    assert files_of(path) == (path,)


@pytest.mark.parametrize("limit", [4096, 5000], ids=["large", "small"])
def test_copy_stands_alone(model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", limit)
    source, path = tmp_path / "model.onnx", tmp_path / "model.graph.onnx"
    save_onnx(model, source)
    copy_onnx(source, path)
    expected = answer(source)
    for file in files_of(source):
        file.unlink()
    np.testing.assert_array_equal(answer(path), expected)
    assert len(files_of(path)) == (2 if limit == 4096 else 1)


@pytest.mark.parametrize("limit", [4096, 5000], ids=["large", "small"])
def test_model_in_memory_can_be_loaded_and_its_shapes_inferred(
    model: Any, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", limit)
    x = np.ones((2, 32), np.float32)
    expected = x @ numpy_helper.to_array(model.graph.initializer[0])
    model.graph.node.append(helper.make_node("Relu", ["y"], ["z"]))
    model.graph.output[0].name = "z"
    known = inferred(model)
    assert {value.name: value.type.tensor_type.elem_type for value in known.graph.value_info} == {
        "y": TensorProto.FLOAT
    }
    with loadable(known) as source:
        assert isinstance(source, str if limit == 4096 else bytes)
        session = onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["z"], {"x": x})[0], expected, rtol=1e-5)
