"""Builds that are wrong on purpose: each is refused by the proof, on the real digits model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.targets import target_from_name
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import parity
from engineroom.errors import CompileError, ParityError
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.layout import GRAPH

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_from_name(Project(ROOT), "digits")


@pytest.fixture(scope="module")
def evidence(recipe: Recipe) -> Evidence:
    return evidence_from_reference(Reference(recipe))


@pytest.fixture(scope="module")
def honest(recipe: Recipe, evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("digits")
    onnx_from_module(Reference(recipe), folder / "model.onnx")
    graph_from_fp32(recipe, folder / "model.onnx", folder / GRAPH, evidence.requests())
    return (folder / GRAPH).read_bytes()


@pytest.fixture
def graph(honest: bytes) -> onnx.ModelProto:
    return onnx.load_model_from_string(honest)


def weight(model: onnx.ModelProto, name: str) -> Any:
    (found,) = [item for item in model.graph.initializer if item.name == name]
    return found


def swap_channels(model: onnx.ModelProto) -> None:
    """Two channels of the first convolution change places, their biases do not."""
    item = weight(model, "layers.0.weight")
    array = onnx.numpy_helper.to_array(item).copy()
    array[[0, 1]] = array[[1, 0]]
    item.CopyFrom(onnx.numpy_helper.from_array(array, item.name))


def reverse_classes(model: onnx.ModelProto) -> None:
    """The last layer's classes stand in the opposite order."""
    for name in ("layers.8.weight", "layers.8.bias"):
        item = weight(model, name)
        item.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(item)[::-1].copy(), name))


def cut_activation(model: onnx.ModelProto) -> None:
    """The first Relu is gone: its readers get what stood before it."""
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    for node in model.graph.node:
        node.input[:] = [relu.input[0] if name == relu.output[0] else name for name in node.input]
    model.graph.node.remove(relu)


def transpose_input(model: onnx.ModelProto) -> None:
    """Rows and columns of the image change places."""
    for node in model.graph.node:
        node.input[:] = ["turned" if name == "image" else name for name in node.input]
    model.graph.node.insert(0, onnx.helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 2, 1]))


def scale_bias(model: onnx.ModelProto) -> None:
    """One bias of the last layer is off by a little: no class changes often, the probabilities do."""
    item = weight(model, "layers.8.bias")
    array = onnx.numpy_helper.to_array(item).copy()
    array[3] += np.float16(1.5)
    item.CopyFrom(onnx.numpy_helper.from_array(array, item.name))


def cut_before_softmax(model: onnx.ModelProto) -> None:
    """The graph ends a step early: scores come out where probabilities should."""
    softmax = next(node for node in model.graph.node if node.op_type == "Softmax")
    for node in model.graph.node:
        node.input[:] = [softmax.input[0] if name == softmax.output[0] else name for name in node.input]
    model.graph.node.remove(softmax)


def transpose_features(model: onnx.ModelProto) -> None:
    """What the pooling gives has rows and columns exchanged; every shape stays as it was."""
    pool = next(node for node in model.graph.node if node.op_type == "MaxPool")
    for node in model.graph.node:
        node.input[:] = ["turned" if name == pool.output[0] else name for name in node.input]
    at = list(model.graph.node).index(pool) + 1
    model.graph.node.insert(at, onnx.helper.make_node("Transpose", [pool.output[0]], ["turned"], perm=[0, 1, 3, 2]))


def bake_batch(model: onnx.ModelProto) -> None:
    """A reshape says how many rows there are: right for sixteen, the usual batch."""
    (shape,) = [item for item in model.graph.initializer if item.name in _shapes(model)]
    sizes = onnx.numpy_helper.to_array(shape).copy()
    sizes[0] = 16
    shape.CopyFrom(onnx.numpy_helper.from_array(sizes, shape.name))


def _shapes(model: onnx.ModelProto) -> set[str]:
    return {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}


PLANTED = (
    swap_channels, reverse_classes, cut_activation, cut_before_softmax, transpose_input, transpose_features, scale_bias,
    bake_batch,
)  # fmt: skip


def test_the_honest_graph_passes(recipe: Recipe, evidence: Evidence, graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "honest.onnx")
    assert parity(recipe, evidence, rounding_runner(tmp_path / "honest.onnx")).noise < 2


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_refused(
    recipe: Recipe,
    evidence: Evidence,
    graph: onnx.ModelProto,
    tmp_path: Path,
    plant: Callable[[onnx.ModelProto], None],
) -> None:
    plant(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, tmp_path / "planted.onnx")
    with pytest.raises(
        ParityError, match=r"digits: fp16 rounding at batch \d+(, output 'probabilities' differs| gives no)"
    ):
        parity(recipe, evidence, rounding_runner(tmp_path / "planted.onnx"))


def test_graph_that_is_fp32_in_silence_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    """Its answers are better than FP16's: what gives it away is the types of its layers."""
    exported = tmp_path / "model.onnx"
    onnx_from_module(Reference(recipe), exported)
    target = target_from_name("tensorrt-rtx:sm89")
    with pytest.raises(CompileError, match=r"precision fp16 was asked for, but of \d+ floating-point layers only 0"):
        target.compile(exported, recipe, tmp_path)
    assert not list(tmp_path.glob("*.plan"))
