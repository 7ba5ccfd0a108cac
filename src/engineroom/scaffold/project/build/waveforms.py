"""What kind of wave is this? Sixty-four noisy measurements in, the probability of four kinds out.

A small convolutional network, trained here and now on waves that are made up here and now: seeded, in a few seconds,
without a download. Replace `module` and `samples` by your own.
"""

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from engineroom import SLO, Axis, Recipe, TaskMetric, Tensor
from engineroom.recipe import Arrays, Precision

PRECISION: Precision = "fp16"
SEED = 7
EPOCHS = 8
CHANNELS = 16

KINDS = ("sine", "square", "sawtooth", "noise")
MEASUREMENTS = 64
NOISE = 0.25  # standard deviation of what is added to a wave of height 1
TRAINED_ON = 2000
HELD_OUT = 400


@cache
def waves() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Waves of random length, phase and height: float32 (rows, 64), and their kinds."""
    rng = np.random.default_rng(SEED)
    rows = TRAINED_ON + HELD_OUT
    kinds = rng.integers(0, len(KINDS), rows)
    cycles, phase, height = (rng.uniform(low, high, (rows, 1)) for low, high in ((1.5, 5.0), (0.0, 1.0), (0.5, 2.0)))
    turns = cycles * np.linspace(0, 1, MEASUREMENTS) + phase
    sine, sawtooth = np.sin(2 * np.pi * turns), 2 * (turns % 1) - 1
    shapes = np.stack([sine, np.sign(sine), sawtooth, rng.normal(size=turns.shape)])
    clean = height * shapes[kinds, np.arange(rows)]
    return (clean + rng.normal(scale=NOISE, size=clean.shape)).astype(np.float32), kinds.astype(np.int64)


def held_out() -> tuple[Arrays, npt.NDArray[np.int64]]:
    """The waves that were not trained on, and their kinds."""
    measurements, kinds = waves()
    return {"measurements": measurements[TRAINED_ON:]}, kinds[TRAINED_ON:]


def accuracy(outputs: Arrays, kinds: npt.NDArray[np.int64]) -> float:
    """Share of waves whose most probable kind is the right one."""
    return float(np.mean(outputs["probabilities"].argmax(1) == kinds))


def module() -> Any:
    """The network, trained on everything but the held-out waves."""
    import torch
    from torch import nn

    class Listener(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(
                nn.Conv1d(1, CHANNELS, 9, stride=2, padding=4), nn.ReLU(),
                nn.Conv1d(CHANNELS, CHANNELS, 5, stride=2, padding=2), nn.ReLU(),
                nn.Flatten(), nn.Linear(CHANNELS * MEASUREMENTS // 4, len(KINDS)),
            )  # fmt: skip

        def forward(self, measurements: torch.Tensor) -> torch.Tensor:
            return torch.softmax(self.layers(measurements.unsqueeze(1)), dim=-1)

    measurements, kinds = (torch.from_numpy(array[:TRAINED_ON]) for array in waves())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        listener = Listener()
        optimiser = torch.optim.Adam(listener.parameters(), lr=1e-2)
        for _ in range(EPOCHS):
            for rows in torch.randperm(TRAINED_ON).split(200):
                optimiser.zero_grad()
                loss = nn.functional.nll_loss(torch.log(listener(measurements[rows]) + 1e-9), kinds[rows])
                loss.backward()
                optimiser.step()
    return listener.eval()


RECIPE = Recipe(
    name="waveforms",
    module=module,
    inputs=(Tensor("measurements", "float32", (MEASUREMENTS,)),),
    outputs=(Tensor("probabilities", "float32", (len(KINDS),), labels=lambda: KINDS),),
    samples=lambda: [held_out()[0]],
    batch=Axis("batch", min=1, opt=16, max=128),
    precision=PRECISION,
    slo=SLO(p99_ms=20.0),
    # Two of the held-out waves may be heard otherwise than by the module.
    task=TaskMetric("accuracy", data=held_out, score=accuracy, max_loss=2 / HELD_OUT),
)

if __name__ == "__main__":
    from engineroom.cli.build import build_recipe

    build_recipe(RECIPE)
