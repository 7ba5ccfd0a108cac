"""Builds that are wrong on purpose: each is refused by the proof, on the real digits model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engineroom.compile.evidence import Evidence
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.reference import Reference, evidence_from_reference
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.verify import parity
from engineroom.errors import ParityError
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.layout import GRAPH, Repository

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return recipe_from_name(Project(ROOT), "digits")


@pytest.fixture(scope="module")
def evidence(recipe: Recipe) -> Evidence:
    return evidence_from_reference(Reference(recipe))


@pytest.fixture
def graph(built: Repository) -> onnx.ModelProto:
    folder = built.model("digits")
    return onnx.load(folder.version(folder.latest or 0) / GRAPH)


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


def test_the_honest_graph_passes(recipe: Recipe, evidence: Evidence, graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "honest.onnx")
    assert parity(recipe, evidence, runner_from_onnx(tmp_path / "honest.onnx")).max_abs < 0.01


@pytest.mark.parametrize("plant", [swap_channels, reverse_classes, cut_activation, transpose_input, scale_bias])
def test_a_planted_fault_is_refused(
    recipe: Recipe, evidence: Evidence, graph: onnx.ModelProto, tmp_path: Path, plant: Callable[[onnx.ModelProto], None]
) -> None:
    plant(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, tmp_path / "planted.onnx")
    with pytest.raises(ParityError, match=r"digits: onnxruntime cpu at batch \d+, output 'probabilities' differs"):
        parity(recipe, evidence, runner_from_onnx(tmp_path / "planted.onnx"))
