"""2:4 sparsity: what is pruned, and that the zeros are still there in the graph that is published."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from engineroom import Axis, Recipe, Tensor, Tolerance
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.truth.reference import Reference
from engineroom.compile.truth.sparsity import is_sparse, pruned, sparse, sparse_products
from engineroom.recipe import Precision


class Network(nn.Module):
    """Colours in; a depthwise convolution, normalisations that the export folds, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3)
        self.wide = nn.Conv2d(8, 16, 3)
        self.norm = nn.BatchNorm2d(16)
        self.depth = nn.Conv2d(16, 16, 3, groups=16)
        self.linear = nn.Linear(16, 12)
        self.last = nn.Linear(12, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.wide(torch.relu(self.first(x)))))
        return self.last(torch.relu(self.linear(self.depth(x).mean((2, 3)))))


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = Network().eval()
        module.norm.running_var.uniform_(0.5, 2.0)
        module.norm.running_mean.normal_()
        module.norm.weight.data.uniform_(0.5, 2.0)
    return module


def samples() -> list[dict[str, np.ndarray]]:
    return [{"x": np.random.default_rng(0).normal(size=(6, 3, 9, 9)).astype(np.float32)}]


@pytest.fixture
def recipe() -> Recipe:
    return Recipe(
        name="network",
        module=network,
        inputs=(Tensor("x", "float32", (3, 9, 9)),),
        outputs=(Tensor("y", "float32", (8,)),),
        samples=samples,
        batch=Axis("batch", 1, 4, 8),
        sparsity="2:4",
        tolerance=Tolerance(top1=0.0),
    )


def test_two_of_four_input_channels_stay_the_larger_ones() -> None:
    weight = torch.tensor([[0.1, -3.0, 2.0, 0.2, 1.0, 1.0, 1.0, 1.0]])
    assert sparse(weight).tolist() == [[0.0, -3.0, 2.0, 0.0, 0.0, 0.0, 1.0, 1.0]]
    kernels = torch.randn(6, 8, 3, 3)
    kept = sparse(kernels)
    assert kept.shape == kernels.shape
    assert torch.equal((kept.reshape(6, 2, 4, 3, 3) != 0).sum(2), torch.full((6, 2, 3, 3), 2))
    assert torch.equal(kept[kept != 0], kernels[kept != 0])


def test_weights_that_are_sparse_already_stay_as_they_are() -> None:
    kernels = sparse(torch.randn(6, 8, 3, 3))
    assert torch.equal(sparse(kernels), kernels)


def test_layers_without_groups_of_four_are_left_and_the_module_is_copied() -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    found = pruned(module)
    assert found.layers == ("wide", "linear", "last")
    assert found.left == ("first", "depth")
    after = found.module.state_dict()
    changed = [name for name, value in before.items() if not torch.equal(after[name], value)]
    assert changed == ["wide.weight", "linear.weight", "last.weight"]
    assert all(torch.equal(module.state_dict()[name], value) for name, value in before.items())


def test_weights_that_another_layer_uses_are_left() -> None:
    module: Any = nn.Sequential(nn.Embedding(12, 8), nn.Linear(8, 12))
    module[1].weight = module[0].weight
    assert pruned(module).left == ("1",)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_zeros_survive_export_folding_and_precision(recipe: Recipe, tmp_path: Path, precision: Precision) -> None:
    recipe = replace(recipe, precision=precision)
    onnx_from_module(Reference(recipe), tmp_path / "model.onnx")
    note = graph_from_fp32(recipe, tmp_path / "model.onnx", tmp_path / "graph.onnx", samples())
    graph = onnx.load(tmp_path / "graph.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert sorted(sparse for _, sparse in sparse_products(graph)) == [False, False, True, True, True]
    assert "2:4 in 3 of 5 weights" in note


def test_axis_decides() -> None:
    weight = np.ones((4, 4), np.float32)
    weight[:, :2] = 0
    assert (is_sparse(weight, 1), is_sparse(weight, 0), is_sparse(weight[:3], 0)) == (True, False, False)
