"""Sparsity: two of every four weights become zero, which NVIDIA's sparse tensor cores skip.

TensorRT asks for it where weights are summed over: of every four input channels of one output channel, at each pixel of
a kernel, two are zero (NVIDIA TensorRT documentation, structured sparsity; an Ampere GPU or later). Whatever scales
output channels afterwards, such as a folded normalisation or the scales of INT8, keeps the zeros.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

GROUP, KEPT = 4, 2
"""Of so many neighbouring weights so many are kept: those of the largest magnitude."""

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""Operators whose second input may be a weight."""

PASSING = ("Cast", "DequantizeLinear", "Identity")
"""Operators between a stored weight and its product that leave zeros where they are."""


@dataclass(frozen=True)
class Pruned:
    """A module with 2:4 sparse weights.

    Attributes:
        module: A copy of the dense one; its other weights are as they were.
        layers: Names of the layers that are sparse now.
        left: Names of the linear and convolutional layers that stayed dense.
    """

    module: Any
    layers: tuple[str, ...]
    left: tuple[str, ...]


def pruned(module: Any) -> Pruned:
    """Make the linear and convolutional layers of a module sparse.

    Left dense are layers whose number of input channels (of a group) is no multiple of four, such as a first
    convolution on colours and every depthwise one, and weights that another layer uses too.

    Args:
        module: A `torch.nn.Module`; it is copied.
    """
    import copy

    import torch
    from torch import nn

    copied = copy.deepcopy(module)
    used = Counter(id(weight) for part in copied.modules() for weight in part.parameters(recurse=False))
    layers: list[str] = []
    left: list[str] = []
    for name, part in copied.named_modules():
        if isinstance(part, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
            fits = part.weight.shape[1] % GROUP == 0 and used[id(part.weight)] == 1
            (layers if fits else left).append(name)
            if fits:
                with torch.no_grad():
                    part.weight.copy_(sparse(part.weight))
    return Pruned(copied, tuple(layers), tuple(left))


def sparse(weight: Any) -> Any:
    """A weight with the smaller half of every four input channels set to zero.

    Args:
        weight: A tensor of shape (output channels, input channels, ...), the input channels a multiple of four.

    Returns:
        A tensor of the same shape; of equal magnitudes the later ones are kept.
    """
    channels_last = weight.detach().movedim(1, -1)
    groups = channels_last.reshape(-1, GROUP)
    smallest = groups.abs().argsort(dim=1, stable=True)[:, : GROUP - KEPT]
    return groups.scatter(1, smallest, 0.0).reshape(channels_last.shape).movedim(-1, 1)


def sparse_products(graph: Any) -> Iterator[tuple[str, bool]]:
    """The products with weights in a graph, and which of them have 2:4 sparse weights.

    Args:
        graph: `onnx.GraphProto`, in any precision.

    Yields:
        Name of the weight, and whether it is sparse.
    """
    import onnx

    stored = {item.name: item for item in graph.initializer}
    made = {node.output[0]: node for node in graph.node if node.op_type in PASSING}
    for node in graph.node:
        if node.op_type in PRODUCTS:
            name = node.input[1]
            while name in made:
                name = made[name].input[0]
            if name in stored:
                yield name, is_sparse(onnx.numpy_helper.to_array(stored[name]), _summed_axis(node))


def is_sparse(weight: Any, axis: int) -> bool:
    """Whether of every four neighbours along an axis at least two are zero.

    Args:
        weight: An array.
        axis: Along which is summed.
    """
    import numpy as np

    if weight.ndim < 2 or weight.shape[axis] % GROUP:
        return False
    groups = np.moveaxis(weight, axis, -1).reshape(-1, GROUP)
    return bool((np.count_nonzero(groups, axis=1) <= KEPT).all())


def _summed_axis(node: Any) -> int:
    if node.op_type == "Conv":
        return 1
    turned = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return -1 if turned else -2
