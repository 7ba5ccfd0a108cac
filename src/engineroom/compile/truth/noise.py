"""Noise: how far rounding alone moves a module's answers, measured on the module itself.

A short element type makes honest answers differ, on one model by a thousandth and on another by a tenth. So the scale
that an artefact's error is judged by comes from the module: it is run once more with every value rounded to the
significand of the type after every operation. What is no more than a few times as far off has rounded; what is
further off is wrong. The exponents stay FP32's: overflow is a fault, and must not widen what is allowed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

SIGNIFICANDS = {"fp16": 11, "bf16": 8, "int8": 11}
"""Bits of the significand, the hidden one included (IEEE 754 binary16; bfloat16). Around INT8 there is FP16."""

PRODUCTS = {
    "aten::addmm": (1, 2, 1), "aten::linear": (0, 1, 0), "aten::matmul": (0, 1, 1), "aten::mm": (0, 1, 1),
    "aten::conv1d": (0, 1, 0), "aten::conv2d": (0, 1, 0), "aten::conv3d": (0, 1, 0), "aten::convolution": (0, 1, 0),
}  # fmt: skip
"""Operations that read INT8: where in their arguments the activation and the weight stand, and the weight's axis of
output channels."""

LEVELS = 127
"""Steps of INT8 on either side of 0, the same on both."""


def rounded_answer(module: Any, tensors: tuple[Any, ...], kind: str) -> Any:
    """Run a module with its parameters, its inputs and the result of every operation rounded.

    Args:
        module: A `torch.nn.Module` in FP32; left as it is.
        tensors: Its inputs.
        kind: One of `SIGNIFICANDS`.

    Returns:
        What the module returns.
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    bits = SIGNIFICANDS[kind]
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    weights = {name: rounded(value, bits) for name, value in state.items()}
    inputs = tuple(rounded(value, bits) for value in tensors)
    # Fused attention would round once where a graph rounds after every step; compiled branches would not be seen.
    apart, eager = sdpa_kernel(SDPBackend.MATH), torch.compiler.set_stance("force_eager")
    with torch.no_grad(), apart, eager, _rounding(kind, weights.values()):
        return torch.func.functional_call(module, weights, inputs)


def _rounding(kind: str, weights: Iterable[Any]) -> Any:
    """A context in which the result of every operation is rounded."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_map

    bits, stored = SIGNIFICANDS[kind], {value.untyped_storage().data_ptr() for value in weights}

    class Rounding(TorchDispatchMode):
        # Branches and loops come as one operation each: what they give is rounded, and nothing inside.
        supports_higher_order_operators = True

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            single = isinstance(func, torch._ops.OpOverload)
            if single and kind == "int8":
                args = _with_int8(func, args, stored)
            found = func(*args, **(kwargs or {}))
            if single and func.is_view:
                return found
            if single and func._schema.is_mutable:
                tree_map(lambda value: _round_in_place(value, bits), found)
                return found
            return tree_map(lambda value: rounded(value, bits), found)

    return Rounding()


def rounded(value: Any, bits: int) -> Any:
    """An FP32 tensor rounded to a shorter significand, half to even; anything else as it is.

    Args:
        value: A tensor, or not.
        bits: Bits of the significand, the hidden one included.
    """
    import torch

    if not isinstance(value, torch.Tensor) or value.dtype != torch.float32:
        return value
    dropped = 24 - bits
    whole = value.detach().contiguous().view(torch.int32)
    half = (1 << (dropped - 1)) - 1
    short = ((whole + half + ((whole >> dropped) & 1)) & -(1 << dropped)).view(torch.float32)
    # The largest FP32 values, which masks use, would round to infinity.
    return torch.where(torch.isfinite(short), short, value)


def _round_in_place(value: Any, bits: int) -> None:
    import torch

    if isinstance(value, torch.Tensor) and value.dtype == torch.float32:
        value.copy_(rounded(value, bits))


def in_int8(value: Any, axis: int | None = None) -> Any:
    """An FP32 tensor on the levels of INT8, symmetric about 0.

    Args:
        value: A tensor.
        axis: Of the output channels, each of which has a scale; without it there is one for all.
    """
    others = [index for index in range(value.dim()) if index != axis]
    largest = value.abs().amax() if axis is None else value.abs().amax(others, keepdim=True)
    # Below the smallest number of FP16, which scales are stored in, there is no scale.
    scale = (largest / LEVELS).clamp(min=2.0**-24)
    return (value / scale).round() * scale


def _with_int8(func: Any, args: tuple[Any, ...], stored: set[int]) -> tuple[Any, ...]:
    """The arguments of an operation, in INT8 where it multiplies by a weight."""
    if func._schema.name not in PRODUCTS:
        return args
    activation, weight, axis = PRODUCTS[func._schema.name]
    if args[weight].untyped_storage().data_ptr() not in stored:
        return args
    changed = {activation: in_int8(args[activation]), weight: in_int8(args[weight], axis)}
    return tuple(changed.get(index, value) for index, value in enumerate(args))
