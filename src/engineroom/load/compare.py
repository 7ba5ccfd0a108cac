"""Two measurements side by side: ratios with their intervals, and whether the second is a regression."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError, ThresholdMissed
from engineroom.load.result import LoadResult, Offered, OpenLoop, results_from_file
from engineroom.load.samples import Samples, samples_from_file

SLICES = (5, 20)
"""Fewest and most slices of time that a run is cut into: within one, requests depend on each other."""
OF_A_SLICE = 50
"""Requests that a slice should have: fewer slices are cut where there would be less."""
SAME_RATE = 0.1
"""How far apart, as a share, two offered loads may be that are called the same."""
Figures = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Measurement:
    """A result with its samples.

    Attributes:
        path: The result's file.
        result: The result.
        samples: Every request.
    """

    path: Path
    result: LoadResult
    samples: Samples


@dataclass(frozen=True)
class Ratio:
    """One figure of two measurements, second over first.

    Attributes:
        figure: Its name.
        ratio: Median over the slices of time.
        low: Lower end of its 95 % interval.
        high: Upper end.
        worse: Whether a ratio above 1 is the worse (`above`) or one below (`below`).
    """

    figure: str
    ratio: float
    low: float
    high: float
    worse: str

    def is_regression(self, margin: float) -> bool:
        """Whether the whole interval is worse than the margin allows."""
        return self.low > 1 + margin if self.worse == "above" else self.high < 1 - margin


def measurement_from_file(path: Path) -> Measurement:
    """Read one result and its samples.

    Raises:
        LoadError: The file holds not exactly one result with samples, or one that is the generator's own.
    """
    results = results_from_file(path)
    if len(results) != 1 or results[0].samples is None:
        raise LoadError(
            f"{path}: holds {len(results)} results; one with its samples is compared. Measure with "
            "`engineroom load run` or `engineroom load locust`, and --output."
        )
    (result,) = results
    if result.open_loop and result.open_loop.limit == "generator":
        raise LoadError(f"{path}: the generator was the limit there, so it says nothing about the server.")
    return Measurement(path, result, samples_from_file(path.parent / str(result.samples)))


def ratios(before: Measurement, after: Measurement) -> tuple[Ratio, ...]:
    """Compare.

    Each run is cut into as many slices of time; the figures of slices in the same place are divided, and the median
    of those ratios is bootstrapped.

    Raises:
        LoadError: The two were measured under different loads, or are too short.
    """
    from engineroom.compile.precisions import median_and_interval

    _check_alike(before, after)
    fewest, most = SLICES
    requests = min(len(before.samples), len(after.samples))
    count = min(most, requests // OF_A_SLICE)
    if count < fewest:
        raise LoadError(
            f"{before.path}, {after.path}: {requests} requests are too few to compare, "
            f"{fewest * OF_A_SLICE} at least are needed. Measure for longer."
        )
    found = []
    for name, worse, figure in FIGURES:
        one, other = (_sliced(run, count, figure) for run in (before, after))
        kept = one > 0
        if kept.sum() < fewest:
            raise LoadError(f"{before.path}: most of the time there were no {name}, so nothing can be divided by them.")
        found.append(Ratio(name, *median_and_interval(other[kept] / one[kept]), worse))
    return tuple(found)


def check_no_regression(found: tuple[Ratio, ...], margin: float) -> None:
    """Pass where no figure is worse than the margin allows.

    Raises:
        ThresholdMissed: One is.
    """
    worse = [
        f"{one.figure} is {one.ratio:.3f} of what it was (95 % interval {one.low:.3f} to {one.high:.3f})"
        for one in found
        if one.is_regression(margin)
    ]
    if worse:
        raise ThresholdMissed(f"a regression beyond {margin:.0%}: {'; '.join(worse)}.")


def _check_alike(before: Measurement, after: Measurement) -> None:
    for name in ("model", "tool", "protocol", "rows_per_request", "offered"):
        one, other = (getattr(run.result, name) for run in (before, after))
        if not _alike(one, other):
            raise LoadError(
                f"{before.path} has {name} {one}, {after.path} has {other}: only figures of the same load compare."
            )


def _alike(one: object, other: object) -> bool:
    if isinstance(one, Offered) and isinstance(other, Offered):
        # Chance makes a little more or less of the same Poisson rate.
        return one.kind == other.kind and abs(one.value / other.value - 1) <= SAME_RATE
    return one == other


def _sliced(run: Measurement, count: int, figure: "Figure") -> Figures:
    begin_s = run.samples.begin_s
    edges = np.linspace(begin_s.min(), np.nextafter(begin_s.max(), np.inf), count + 1)
    parts = [run.samples.between(low, high) for low, high in itertools.pairwise(edges)]
    seconds = float(edges[1] - edges[0])
    return np.array([figure(part, seconds, run.result.open_loop) if len(part) else 0.0 for part in parts])


def _percentile(share: float) -> "Figure":
    def figure(part: Samples, seconds: float, told: OpenLoop | None) -> float:  # noqa: ARG001 - all are asked alike
        return float(np.percentile(part.latency_ms, share, method="inverted_cdf"))

    return figure


def _right(part: Samples, seconds: float, told: OpenLoop | None) -> float:
    """Of an open loop, the share that kept the SLO: how many asked is not the server's doing. Of others, a rate."""
    if told is None:
        return float((~part.failed).sum()) / seconds
    return float((~part.failed & (part.latency_ms <= told.slo_ms)).mean())


Figure = Callable[[Samples, float, OpenLoop | None], float]
FIGURES: tuple[tuple[str, str, Figure], ...] = (
    ("p50", "above", _percentile(50)),
    ("p90", "above", _percentile(90)),
    ("p99", "above", _percentile(99)),
    ("right answers", "below", _right),
)
"""Name, on which side of 1 it is worse, and the figure of a slice of time from its samples and its length in seconds.

Right answers are those within the SLO, where there is one.
"""
