"""A small network trained on scikit-learn's handwritten digits whenever it is built: seeded, in seconds.

It has a true task metric: the share of held-out digits that it reads correctly.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom import SLO, Axis, Recipe, TaskMetric, Tensor
from engineroom.recipe import Arrays

SEED = 7
EPOCHS = 15
HELD_OUT = 360  # of 1,797 digits: a fifth, never trained on


@cache
def digits() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """All digits in a seeded order: images float32 (1797, 8, 8) of 0 to 16, and their classes."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(SEED).permutation(len(data.target))
    return data.images[order].astype(np.float32), data.target[order].astype(np.int64)


def module() -> Any:
    """A convolutional network, trained here and now on everything but the held-out digits."""
    import torch
    from torch import nn

    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(),
                nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
            )  # fmt: skip

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.layers(image.unsqueeze(1) / 16.0), dim=-1)

    images, classes = (torch.from_numpy(array[HELD_OUT:]) for array in digits())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        reader = Reader()
        optimiser = torch.optim.Adam(reader.parameters(), lr=3e-3)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(images)).split(128):
                optimiser.zero_grad()
                loss = nn.functional.nll_loss(torch.log(reader(images[rows]) + 1e-9), classes[rows])
                loss.backward()
                optimiser.step()
    return reader.eval()


def held_out() -> tuple[Arrays, npt.NDArray[np.int64]]:
    """The digits that were not trained on, and their classes."""
    images, classes = digits()
    return {"image": images[:HELD_OUT]}, classes[:HELD_OUT]


def accuracy(outputs: Arrays, classes: npt.NDArray[np.int64]) -> float:
    """Share of digits whose most probable class is the right one."""
    return float(np.mean(outputs["probabilities"].argmax(1) == classes))


RECIPE = Recipe(
    name="digits",
    module=module,
    inputs=(Tensor("image", "float32", (8, 8)),),
    outputs=(Tensor("probabilities", "float32", (10,), labels=lambda: [str(digit) for digit in range(10)]),),
    samples=lambda: [held_out()[0]],
    batch=Axis("batch", min=1, opt=16, max=128),
    slo=SLO(p99_ms=20.0),
    # One of the held-out digits may be read otherwise than by the module.
    task=TaskMetric("accuracy", data=held_out, score=accuracy, max_loss=1 / HELD_OUT),
    packages=("scikit-learn",),
)

if __name__ == "__main__":
    from engineroom.cli.build import build_recipe

    build_recipe(RECIPE)
