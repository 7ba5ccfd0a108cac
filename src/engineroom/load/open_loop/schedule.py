"""Arrival schedules: when requests are due, decided before the first one is sent."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engineroom.errors import BadInput, LoadError

MOST_REQUESTS = 20_000_000
"""A longer schedule is a slip of the pen: its samples would not fit into memory."""


@dataclass(frozen=True)
class Schedule:
    """When requests are due, whatever the answers do.

    Attributes:
        offsets_s: Seconds after the begin, float64, ascending, at least one.
        span_s: Seconds from the begin to the end; the last request is due before.
        words: How it came about, so that it can be made again.
    """

    offsets_s: npt.NDArray[np.float64]
    span_s: float
    words: str

    def __post_init__(self) -> None:
        if not len(self.offsets_s):
            raise BadInput(f"{self.words}: no request is due. Offer more, or for longer.")
        if not (self.offsets_s[0] >= 0 and (np.diff(self.offsets_s) >= 0).all() and self.offsets_s[-1] <= self.span_s):
            raise BadInput(f"{self.words}: times must ascend from 0 on, and end within {self.span_s:g} s.")

    @property
    def rate_per_s(self) -> float:
        """Mean requests per second."""
        return len(self.offsets_s) / self.span_s

    def dealt(self, hands: int) -> tuple[npt.NDArray[np.float64], ...]:
        """The offsets dealt out in turn, so that every hand has the same rate at every time."""
        return tuple(self.offsets_s[hand::hands] for hand in range(hands))


@dataclass(frozen=True)
class Step:
    """A rate that holds for a time.

    Attributes:
        rate_per_s: Requests per second.
        seconds: How long.
    """

    rate_per_s: float
    seconds: float

    def __post_init__(self) -> None:
        if not (0 < self.rate_per_s < np.inf and 0 < self.seconds < np.inf):
            raise BadInput(f"{self.rate_per_s:g} requests/s for {self.seconds:g} s: both must be above 0.")
        if self.rate_per_s * self.seconds > MOST_REQUESTS:
            raise BadInput(
                f"{self.rate_per_s:g} requests/s for {self.seconds:g} s are more than {MOST_REQUESTS:,} requests. "
                "Offer less, or measure in parts."
            )


def constant(rate_per_s: float, seconds: float) -> Schedule:
    """Requests at equal distances, the first at once.

    Raises:
        BadInput: A number is not above 0.
    """
    step = Step(rate_per_s, seconds)
    return Schedule(_even(step), seconds, f"constant {rate_per_s:g}/s for {seconds:g} s")


def poisson(rate_per_s: float, seconds: float, seed: int = 0) -> Schedule:
    """Requests of many callers who do not know of each other: a Poisson process.

    Args:
        rate_per_s: Mean requests per second.
        seconds: How long.
        seed: The same seed gives the same times.

    Raises:
        BadInput: A number is not above 0, or chance left the time empty.
    """
    step = Step(rate_per_s, seconds)
    times = _scattered(step, np.random.default_rng(seed))
    return Schedule(times, seconds, f"poisson {rate_per_s:g}/s for {seconds:g} s, seed {seed}")


def stepped(steps: tuple[Step, ...], seed: int | None = 0) -> Schedule:
    """One rate after the other: stairs, spikes, a ramp.

    Args:
        steps: At least one.
        seed: For Poisson arrivals within each step; None is equal distances.

    Raises:
        BadInput: There is no step, or chance left the time empty.
    """
    rng = None if seed is None else np.random.default_rng(seed)
    ends = np.cumsum([0.0, *(step.seconds for step in steps)])
    parts = [begin + (_even(step) if rng is None else _scattered(step, rng)) for begin, step in zip(ends, steps)]  # noqa: B905 - one more end than steps
    told = ", then ".join(f"{step.rate_per_s:g}/s for {step.seconds:g} s" for step in steps) or "no step"
    words = f"constant {told}" if seed is None else f"poisson {told}, seed {seed}"
    return Schedule(np.concatenate([*parts, np.empty(0)]), float(ends[-1]), words)


def steps_from_text(text: str) -> tuple[Step, ...]:
    """Read steps written as `RATE:SECONDS,RATE:SECONDS,…`.

    Raises:
        BadInput: It is no such text.
    """
    try:
        pairs = [part.split(":") for part in text.split(",")]
        return tuple(Step(float(rate), float(seconds)) for rate, seconds in pairs)
    except ValueError as error:
        raise BadInput(f"steps '{text}': expected RATE:SECONDS,RATE:SECONDS,… as in 50:10,200:5,50:10.") from error


def recorded(path: Path) -> Schedule:
    """The times of a file: seconds, one a line, from any clock. The first request is due at once.

    Raises:
        LoadError: The file cannot be read.
        BadInput: It holds no ascending numbers.
    """
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path}: the times cannot be read ({error}). Name a text file, one time a line.") from error
    try:
        times = np.array([float(word) for word in words])
    except ValueError as error:
        raise BadInput(f"{path}: {error}. Expected seconds, one a line.") from error
    if len(times) < 2 or not times[0] < times[-1] < np.inf:
        raise BadInput(f"{path}: holds {len(times)} times. Expected at least two, ascending, in seconds.")
    # The mean distance after the last request makes the rate that of the file.
    span_s = float(times[-1] - times[0]) * len(times) / (len(times) - 1)
    return Schedule(times - times[0], span_s, f"recorded in {path.name}")


def _even(step: Step) -> npt.NDArray[np.float64]:
    # 0.1 * 3 is a little more than 0.3, and is no further request.
    return np.arange(np.ceil(step.rate_per_s * step.seconds - 1e-9)) / step.rate_per_s


def _scattered(step: Step, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    # Given their number, the times of a Poisson process are independent and uniform.
    return np.sort(rng.uniform(0, step.seconds, rng.poisson(step.rate_per_s * step.seconds)))
