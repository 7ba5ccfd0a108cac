"""Small modules that are hard to put into FP16, each with one difficulty that real models have, as recipes.

`perf/converters.py` gives them to every converter. None of them is built or served.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from engineroom import Axis, Recipe, Tensor
from engineroom.recipe import Arrays

ROWS, WIDTH = 8, 16
FLOATS = Tensor("x", "float32", (WIDTH,))
ANSWER = Tensor("y", "float32", (WIDTH,))
TOKENS = Axis("tokens", min=2, opt=6, max=32)


def normal(scale: float = 1.0, width: int = WIDTH) -> Any:
    """Seeded normal numbers, float32 (ROWS, width)."""
    return (scale * np.random.default_rng(0).standard_normal((ROWS, width))).astype(np.float32)


def module_of(forward: Callable[..., Any], **constants: Any) -> Any:
    """A module that computes `forward(module, ...)` after a linear layer's worth of weights.

    Args:
        forward: Gets the module, then the inputs.
        constants: Buffers of the module, by name.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = type("Hard", (torch.nn.Module,), {"forward": forward})()
        made.linear = torch.nn.Linear(WIDTH, WIDTH)
    for name, value in constants.items():
        made.register_buffer(name, torch.tensor(value))
    return made


def hard(name: str, forward: Callable[..., Any], x: Any, **constants: Any) -> Recipe:
    """A recipe with one input `x` and one output `y`, float32 (batch, 16)."""
    module = partial(module_of, forward, **constants)
    return Recipe(name, module, (FLOATS,), (ANSWER,), lambda: [{"x": x}], batch=Axis("batch", 1, 4, 8))


def layer_norm(self: Any, x: Any) -> Any:
    """A LayerNorm written out by hand: the squares are beyond FP16 where values are beyond 256."""
    centred = x - x.mean(-1, keepdim=True)
    return self.linear(centred * (centred.pow(2).mean(-1, keepdim=True) + 1e-5).rsqrt())


def divided(self: Any, x: Any) -> Any:
    """A division by a stored constant, such as a running variance."""
    return self.linear(x / self.scale)


def unit(self: Any, x: Any) -> Any:
    """Rows divided by their length, which is kept from zero by 1e-12: PyTorch's own normalize."""
    import torch

    return self.linear(torch.nn.functional.normalize(x))


def by_hand(self: Any, x: Any) -> Any:
    """The same by hand: where values are below 2e-4, their squares are below FP16's smallest."""
    return self.linear(x / x.pow(2).sum(-1, keepdim=True).sqrt())


def branches(self: Any, x: Any) -> Any:
    """An If: two branches, chosen by the values; here all rows are sure to take the first."""
    import torch

    def above(value: Any) -> Any:
        return value * 2.0

    def below(value: Any) -> Any:
        return value.exp()

    return torch.cond(x.abs().max() < 100.0, above, below, (self.linear(x),))


def island_in_branch(self: Any, x: Any) -> Any:
    """An If with a softmax in a branch: what stays FP32 stands inside a subgraph."""
    import torch

    def above(value: Any) -> Any:
        return torch.softmax(value, -1)

    def below(value: Any) -> Any:
        return value.exp()

    return torch.cond(x.abs().max() < 100.0, above, below, (self.linear(x),))


def loop(self: Any, x: Any) -> Any:
    """A Loop: a linear layer three times over."""
    import torch
    from torch._higher_order_ops.while_loop import while_loop

    def unfinished(count: Any, _: Any) -> Any:
        return count < 3

    def once(count: Any, value: Any) -> Any:
        return count + 1, torch.tanh(self.linear(value))

    return while_loop(unfinished, once, (torch.tensor(0), x))[1]


def resized(self: Any, x: Any) -> Any:
    """A Resize, which takes its scales in FP32 only."""
    import torch

    image = self.linear(x).reshape(-1, 1, 4, 4)
    return torch.nn.functional.interpolate(image, scale_factor=2.0, mode="bilinear").flatten(1)


def masked(self: Any, ids: Any, mask: Any) -> Any:
    """Attention with a mask added to the scores, `(1 - mask) * lowest`: minus infinity times 0 would be NaN."""
    import torch

    lowest = torch.finfo(torch.float32).min

    tokens = self.linear(self.table[ids])
    scores = tokens @ tokens.transpose(1, 2) / 4.0
    scores = scores + (1.0 - mask.to(torch.float32)).unsqueeze(1) * lowest
    return (torch.softmax(scores, -1) @ tokens).mean(1)


def filled(self: Any, ids: Any, mask: Any) -> Any:
    """Attention with a mask that puts minus infinity in place of scores."""
    import torch

    tokens = self.linear(self.table[ids])
    scores = (tokens @ tokens.transpose(1, 2) / 4.0).masked_fill((mask == 0).unsqueeze(1), float("-inf"))
    return (torch.softmax(scores, -1) @ tokens).mean(1)


def flags(self: Any, ids: Any, mask: Any) -> Any:
    """Casts in a row: every id but 0 counts as one, by way of bool. To drop the middle one would be wrong."""
    import torch

    known = (ids * mask).to(torch.bool).to(torch.float32).unsqueeze(-1)
    return (self.linear(self.table[ids]) * known).mean(1)


def twice(self: Any, x: Any) -> Any:
    """An output that is read again inside: a mean, which stays FP32 in some converters, and what is left without it."""
    mean = self.linear(x).mean(-1, keepdim=True)
    return x - mean, mean


def positions(self: Any, ids: Any, mask: Any) -> Any:
    """Positions counted in float32, over a length that varies: a Range, which ONNX has not got in FP16."""
    import torch

    place = torch.arange(ids.shape[1], dtype=torch.float32)
    waves = torch.sin(place.unsqueeze(1) * self.table[:1].abs())
    return ((self.linear(self.table[ids]) + waves) * mask.unsqueeze(-1)).mean(1)


def reading(name: str, forward: Callable[..., Any]) -> Recipe:
    """A recipe that reads token ids and a mask, int64, at two lengths."""
    table = np.random.default_rng(1).standard_normal((50, WIDTH)).astype(np.float32)
    inputs = (Tensor("ids", "int64", (TOKENS,)), Tensor("mask", "int64", (TOKENS,)))
    module = partial(module_of, forward, table=table)
    return Recipe(name, module, inputs, (ANSWER,), sentences, batch=Axis("batch", 1, 4, 8))


def sentences() -> list[Arrays]:
    """Ids and masks of two lengths; every row has at least one token."""
    draw = np.random.default_rng(2)
    groups: list[Arrays] = []
    for length in (6, 11):
        mask = (np.arange(length) <= draw.integers(0, length, (ROWS, 1))).astype(np.int64)
        groups.append({"ids": draw.integers(0, 50, (ROWS, length)), "mask": mask})
    return groups


def with_zero_row() -> Any:
    """Normal numbers with a row of zeros among them."""
    x = normal()
    x[1] = 0.0
    return x


def resizing() -> Recipe:
    """A recipe whose output is four times as large as its input."""
    module, y = partial(module_of, resized), Tensor("y", "float32", (64,))
    return Recipe("resize", module, (FLOATS,), (y,), lambda: [{"x": normal()}], batch=Axis("batch", 1, 4, 8))


def with_mean() -> Recipe:
    """A recipe of two outputs, of which one depends on the other."""
    outputs = (ANSWER, Tensor("mean", "float32", (1,)))
    module = partial(module_of, twice)
    return Recipe("output_read_again", module, (FLOATS,), outputs, lambda: [{"x": normal()}], Axis("batch", 1, 4, 8))


def large(constant: float) -> Any:
    """A divisor near a constant, float32 (16,)."""
    return (constant * (1.0 + np.arange(WIDTH) / WIDTH)).astype(np.float32)


HARD = (
    hard("layer_norm", layer_norm, normal(400.0)),
    hard("constant_2e4", divided, normal(1e4), scale=large(2e4)),
    hard("constant_1e5", divided, normal(1e4), scale=large(1e5)),
    hard("eps_1e_12", unit, with_zero_row()),
    hard("tiny_squares", by_hand, normal(1e-4)),
    reading("mask_lowest", masked),
    reading("mask_infinite", filled),
    reading("float_range", positions),
    reading("casts_in_a_row", flags),
    with_mean(),
    resizing(),
    hard("if_branches", branches, normal()),
    hard("island_in_branch", island_in_branch, normal()),
    hard("loop", loop, normal()),
)
"""Every hard case; the names say what is hard."""
