"""Nodes that must keep FP32: found by halving, on graphs that FP16 ruins."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from engineroom import Axis, Recipe, Tensor
from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.precision import graph_from_fp32
from engineroom.compile.islands import check_islands, islands_for, smallest
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import parity
from engineroom.errors import ParityError, PrecisionError

ROWS = np.random.default_rng(0).normal(size=(32, 16)).astype(np.float32)


class Drowned(torch.nn.Module):
    """Adds what takes all of FP16's digits, and takes it away again, between two layers that FP16 bears well."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = torch.nn.Linear(16, 16), torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x) + 8000.0
        return self.last(torch.relu(y) - 8000.0)


class Normalised(torch.nn.Module):
    """A layer normalisation written out by hand, of values whose squares FP16 cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.last = torch.nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = (x - x.mean(-1, keepdim=True)) * 900.0
        return self.last(y / (y.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt())


def recipe(module: Any, **changes: Any) -> Recipe:
    return Recipe(
        name="tiny",
        module=module,
        inputs=(Tensor("x", "float32", (16,)),),
        outputs=(Tensor("y", "float32", (4,)),),
        samples=lambda: [{"x": ROWS}],
        batch=Axis("batch", 1, 4, 8),
        **changes,
    )


def exported(made: Recipe, folder: Path) -> tuple[Evidence, Path]:
    reference = Reference(made)
    onnx_from_module(reference, folder / "model.onnx")
    return evidence_from_reference(reference), folder / "model.onnx"


def test_islands_make_a_ruined_graph_pass_and_none_can_be_left_out(tmp_path: Path) -> None:
    made = recipe(Drowned)
    evidence, source = exported(made, tmp_path)
    graph = tmp_path / "graph.onnx"
    graph_from_fp32(made, source, graph, evidence.requests())
    with pytest.raises(ParityError, match=r"rms .* is above"):
        parity(made, evidence, rounding_runner(graph))
    islands = islands_for(made, evidence, source)
    assert 1 < len(islands) <= 4
    assert not {"node_linear", "node_linear_1"} & set(islands)
    for kept, passes in ((islands, True), *((islands[:at] + islands[at + 1 :], False) for at in range(len(islands)))):
        graph_from_fp32(made, source, graph, evidence.requests(), kept)
        if passes:
            assert parity(made, evidence, rounding_runner(graph)).noise < 4
        else:
            with pytest.raises(ParityError):
                parity(made, evidence, rounding_runner(graph))


def test_normalisation_that_overflows_is_refused_where_a_cpu_would_pass_it_and_its_islands_pass(tmp_path: Path) -> None:
    made = recipe(Normalised)
    evidence, source = exported(made, tmp_path)
    graph = tmp_path / "graph.onnx"

    def convert(islands: tuple[str, ...]) -> None:
        # Without samples nothing is known of the ranges, so nothing is kept FP32 for them.
        graph_from_fp32(made, source, graph, (), islands)

    def passes(islands: tuple[str, ...]) -> bool:
        convert(islands)
        try:
            return parity(made, evidence, rounding_runner(graph)).noise > 0
        except ParityError:
            return False

    convert(())
    assert parity(made, evidence, runner_from_onnx(graph)).cosine > 0.999
    with pytest.raises(ParityError, match=r"fp16 rounding at batch 1, output 'y' differs"):
        parity(made, evidence, rounding_runner(graph))
    nodes = {node.name: node.op_type for node in onnx.load(source).graph.node}
    islands = smallest(list(nodes), passes)
    # From the squares to the root of their mean; means are FP32 in any case.
    assert [nodes[name] for name in islands] == ["Pow", "Add", "Sqrt"]
    assert passes(islands)
    # A build measures the ranges, and keeps these nodes FP32 by itself.
    assert "nodes stay fp32 for their range" in graph_from_fp32(made, source, graph, evidence.requests())
    assert parity(made, evidence, rounding_runner(graph)).noise < 4


@pytest.mark.parametrize("needed", [set(), {0}, {63}, {5, 6}, {0, 31, 32, 63}, set(range(64))], ids=str)
def test_smallest_set_is_found_in_few_trials(needed: set[int]) -> None:
    names = [str(index) for index in range(64)]
    trials = []

    def passes(some: tuple[str, ...]) -> bool:
        trials.append(some)
        return {str(index) for index in needed} <= set(some)

    assert set(smallest(names, passes)) == {str(index) for index in needed}
    assert len(trials) <= 1 + 2 * len(needed) * (1 + math.log2(64 / max(len(needed), 1)))


def test_graph_that_is_wrong_whatever_the_precision_has_no_islands(tmp_path: Path) -> None:
    made = recipe(Drowned)
    evidence, _ = exported(made, tmp_path)
    onnx_from_module(Reference(recipe(Normalised)), tmp_path / "other.onnx")
    with pytest.raises(PrecisionError, match="no set of FP32 nodes makes the graph pass its proof"):
        islands_for(made, evidence, tmp_path / "other.onnx")


def test_islands_that_the_graph_has_not_are_refused_with_near_ones(tmp_path: Path) -> None:
    made = recipe(Drowned, islands=("node_linaer",))
    _, source = exported(made, tmp_path)
    with pytest.raises(PrecisionError, match=r"islands name the node 'node_linaer', .*Near ones: node_linear"):
        check_islands(made, source)
