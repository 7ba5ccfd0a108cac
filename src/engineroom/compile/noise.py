"""Noise: how far rounding alone moves a module's answers, measured on the module itself.

A short element type makes honest answers differ, on one model by a thousandth and on another by a tenth. So the scale
that an artefact's error is judged by comes from the module: it is run once more with every value rounded to the
significand of the type after every operation. What is no more than a few times as far off has rounded; what is
further off is wrong. The exponents stay FP32's: overflow is a fault, and must not widen what is allowed.
"""

from collections.abc import Mapping
from typing import Any

SIGNIFICANDS = {"fp16": 11, "bf16": 8}
"""Bits of the significand, the hidden one included (IEEE 754 binary16; bfloat16)."""


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
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_map

    bits = SIGNIFICANDS[kind]

    class Rounding(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
        ) -> Any:
            found = func(*args, **(kwargs or {}))
            if func.is_view:
                return found
            if func._schema.is_mutable:
                tree_map(lambda value: _round_in_place(value, bits), found)
                return found
            return tree_map(lambda value: rounded(value, bits), found)

    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    weights = {name: rounded(value, bits) for name, value in state.items()}
    inputs = tuple(rounded(value, bits) for value in tensors)
    # Fused attention would round once where a graph rounds after every step.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), Rounding():
        return torch.func.functional_call(module, weights, inputs)


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
