"""A recipe that builds in seconds: eight numbers in, scores of four classes out. Tests copy it into projects."""

from typing import Any

import numpy as np

from engineroom import Axis, Recipe, TaskMetric, Tensor, Tolerance

ROWS = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32)


def module() -> Any:
    import torch

    class Tiny(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(8, 8), torch.nn.Linear(8, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.first(x)))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tiny()


RECIPE = Recipe(
    name="tiny",
    module=module,
    inputs=(Tensor("x", "float32", (8,)),),
    outputs=(Tensor("scores", "float32", (4,), labels=lambda: ["north", "east", "south", "west"]),),
    samples=lambda: [{"x": ROWS}],
    batch=Axis("batch", min=1, opt=4, max=8),
    tolerance=Tolerance(top1=1.0),
    task=TaskMetric("share", data=lambda: ({"x": ROWS}, ROWS), score=lambda outputs, truth: 1.0),
    packages=("numpy",),
)

if __name__ == "__main__":
    from engineroom.cli.build import build_recipe

    build_recipe(RECIPE)
