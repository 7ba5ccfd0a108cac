"""Ranges: how large the values inside a graph become on real samples, and which nodes FP16 cannot hold.

A CPU hides FP16 overflow: ONNX Runtime and OpenVINO compute an FP16 graph with FP32 inside, so a graph whose engine
would answer NaN passes there. What tells beforehand is the FP32 graph itself, with every value looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engineroom.compile.graph.onnx_files import inferred, loadable
from engineroom.recipe import Arrays

HALF_MAX = 65504.0
"""Largest finite value of FP16 (IEEE 754 binary16)."""

HALF_MIN = 2.0**-14
"""Smallest normal number of FP16: below it, digits are lost one by one, and below 6e-8 all of them."""

HEADROOM = 4.0
"""Samples are not all inputs there are: what a node computes counts as too large from a quarter of that on."""


@dataclass(frozen=True)
class Ranges:
    """The largest finite magnitude of every floating-point value of a graph.

    Infinities do not count: FP16 has them too, and masks use them on purpose.

    Attributes:
        constants: By name of the constant.
        values: By name of what a node computes, over all samples.
    """

    constants: dict[str, float]
    values: dict[str, float]

    def beyond_half(self, names: Iterable[str]) -> float:
        """The largest magnitude among some values that FP16 cannot hold; 0 where it holds them all.

        A value is too small where even the largest of its elements is.
        """
        too_large = [self.constants[name] for name in names if self.constants.get(name, 0.0) > HALF_MAX]
        too_small = [self.values[name] for name in names if 0.0 < self.values.get(name, 0.0) < HALF_MIN]
        too_large += [self.values[name] for name in names if self.values.get(name, 0.0) > HALF_MAX / HEADROOM]
        return max(too_large + too_small, default=0.0)


def ranges_from_onnx(source: Path, requests: Iterable[Arrays]) -> Ranges:
    """Run a graph on samples and look at every value.

    Args:
        source: The FP32 graph.
        requests: Real inputs by name, shape (rows, ...).
    """
    import onnx
    import onnxruntime

    model = onnx.load(str(source))
    constants = {
        item.name: _magnitude(onnx.numpy_helper.to_array(item))
        for item in model.graph.initializer
        if item.data_type == onnx.TensorProto.FLOAT
    }
    watched, names = _watched(model)
    options = onnxruntime.SessionOptions()
    # Optimised away, a value could not be watched; fused, it would not be the one that FP16 would hold.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    with loadable(watched) as loaded:
        session = onnxruntime.InferenceSession(loaded, options, providers=["CPUExecutionProvider"])
    values: dict[str, float] = {}
    for request in requests:
        for name, array in zip(names, session.run(names, dict(request)), strict=True):
            values[name] = max(values.get(name, 0.0), _magnitude(array))
    return Ranges(constants, values)


def nodes_beyond_half(source: Path, ranges: Ranges) -> dict[str, float]:
    """Nodes that read or write a value which FP16 cannot hold.

    Args:
        source: The FP32 graph.
        ranges: From `ranges_from_onnx`.

    Returns:
        The largest magnitude by node name.
    """
    import onnx

    nodes = onnx.load(str(source), load_external_data=False).graph.node
    found = {node.name: ranges.beyond_half((*node.input, *node.output)) for node in nodes}
    return {name: largest for name, largest in found.items() if largest}


def _watched(model: Any) -> tuple[Any, list[str]]:
    """The model with every floating-point value that a node computes as an output, and their names."""
    import onnx

    watched = inferred(model)
    graph = watched.graph
    floats = {
        value.name
        for value in (*graph.value_info, *graph.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    names = [name for node in graph.node for name in node.output if name in floats]
    outputs = {value.name for value in graph.output}
    del graph.value_info[:]
    graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names if name not in outputs
    )
    return watched, names


def _magnitude(array: Any) -> float:
    import numpy as np

    finite = np.abs(array[np.isfinite(array)])
    return float(finite.max(initial=0.0))
