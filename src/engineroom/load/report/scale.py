"""Scales: from figures to places on an axis, and the ticks that stand there."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
STEPS = (1, 2, 5)


@dataclass(frozen=True)
class Scale:
    """One axis.

    Attributes:
        low: The figure at its beginning.
        high: The figure at its end, above `low`.
        ticks: Figures that are marked, with their words.
        log: Whether equal distances are equal factors; `low` is above 0 then.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, values: Floats | float) -> Floats:
        """Where figures stand, 0 to 1; those outside stand at the edge."""
        values = np.clip(np.asarray(values, np.float64), self.low, self.high)
        if self.log:
            return np.asarray(np.log(values / self.low) / math.log(self.high / self.low))
        return np.asarray((values - self.low) / (self.high - self.low))


def linear_scale(high: float) -> Scale:
    """From 0 to a round figure at or above `high`, in about five steps."""
    high = high if high > 0 else 1.0
    rough = high / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (*STEPS, 10) if factor * power >= rough * 0.999)
    count = math.ceil(high / step - 1e-9)
    return Scale(0, count * step, tuple((n * step, f"{n * step:,.6g}") for n in range(count + 1)))


def time_scale(high: float) -> Scale:
    """As `linear_scale`, and ending at `high` itself, unless that is next to a round figure."""
    scale = linear_scale(high)
    end = next((value for value, _ in scale.ticks if high <= value <= high * 1.02), high)
    return Scale(0, end, tuple(tick for tick in scale.ticks if tick[0] <= end))


def log_scale(low: float, high: float) -> Scale:
    """Round figures around `low` and `high`; what is 0 stands where a millionth of `high` does."""
    high = high if high > 0 else 1.0
    low = max(low, high / 1e6)
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    marks = [float(f"{step}e{power}") for power in range(first, last + 1) for step in STEPS]
    below = [mark for mark in marks if mark <= low * (1 + 1e-9)]
    above = [mark for mark in marks if mark >= high * (1 - 1e-9)]
    start, end = below[-1], above[0]
    if start == end:
        end = next((mark for mark in marks if mark > end), end * 2)
    inside = [mark for mark in marks if start <= mark <= end]
    if len(inside) > 10:
        inside = [mark for mark in inside if f"{mark:e}"[0] == "1"]
    return Scale(start, end, tuple((mark, f"{mark:,.6g}") for mark in inside), log=True)


def percentile_scale(requests: int) -> Scale:
    """Shares of requests, each step a tenth of those of the step before; positions are those of `position`."""
    ends = position(1 - 1 / max(requests, 10))
    named = [share for share in (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999) if position(share) <= ends + 1e-9]
    ticks = tuple((position(share), f"{share * 100:.6g} %") for share in named)
    # Where the steps are narrow, 0 % has no room beside 50 %.
    return Scale(0, ends, ticks if ends > 4.5 else ((0.0, "0 %"), *ticks))


def position(share: float) -> float:
    """Where a share of the requests stands on a `percentile_scale`."""
    return -math.log10(1 - share)
