"""Two measurements side by side: ratios with their intervals, and whether the second is a regression."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError, ThresholdMissed
from engineroom.load.result import LoadResult, results_from_file
from engineroom.load.samples import Samples, samples_from_result

SLICES = (5, 20)
"""Fewest and most slices of time that a run is cut into: within one, requests depend on each other."""
OF_A_SLICE = 50
"""Requests that a slice should have: fewer slices are cut where there would be less."""
SAME_RATE = 0.1
"""How far apart, as a share, two offered loads may be that are called the same."""
LOAD = ("model", "tool", "protocol", "rows_per_request", "offered")
"""What makes two loads the same."""
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


@dataclass(frozen=True)
class Pair:
    """The same load, measured twice.

    Attributes:
        before: The first measurement.
        after: The second.
    """

    before: Measurement
    after: Measurement


def pairs_from_files(before: Path, after: Path) -> tuple[Pair, ...]:
    """Read two files of results, and put the same loads side by side.

    Returns:
        At least one pair, in the order of the first file.

    Raises:
        LoadError: A file holds no results; nothing was measured under the same load; samples are missing; or the
            generator was the limit.
    """
    one, other = (results_from_file(path) for path in (before, after))
    matches = [(first, _match(first, other)) for first in one]
    found = tuple(
        Pair(_measurement(before, first), _measurement(after, second))
        for first, second in matches
        if second is not None
    )
    if not found:
        raise LoadError(f"{_difference(before, one, after, other)}: only figures of the same load compare.")
    return found


def _measurement(path: Path, result: LoadResult) -> Measurement:
    if result.is_generators:
        raise LoadError(
            f"{path}: the generator was the limit there ({result.offered}), so it says nothing about the server."
        )
    samples = samples_from_result(path, result)
    if samples is None:
        raise LoadError(
            f"{path}: names no samples beside it ({result.offered}), and single requests are compared. Measure with "
            "--output, and with perf_analyzer also with --keep-samples."
        )
    return Measurement(path, result, samples)


def ratios(pair: Pair) -> tuple[Ratio, ...]:
    """Compare.

    Each run is cut into as many slices of time; the figures of slices in the same place are divided, and the median
    of those ratios is bootstrapped.

    Raises:
        LoadError: The two are too short.
    """
    from engineroom.compile.precisions import median_and_interval

    before, after = pair.before, pair.after
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


def check_no_regression(found: Mapping[str, tuple[Ratio, ...]], margin: float) -> None:
    """Pass where no figure is worse than the margin allows.

    Args:
        found: Ratios, by the load.
        margin: What may be worse by, as a share.

    Raises:
        ThresholdMissed: One is.
    """
    worse = [
        f"{load}: {one.figure} is {one.ratio:.3f} of what it was (95 % interval {one.low:.3f} to {one.high:.3f})"
        for load, ratios_there in found.items()
        for one in ratios_there
        if one.is_regression(margin)
    ]
    if worse:
        raise ThresholdMissed(f"a regression beyond {margin:.0%}: {'; '.join(worse)}.")


def _match(wanted: LoadResult, others: tuple[LoadResult, ...]) -> LoadResult | None:
    return next((one for one in others if all(_alike(wanted, one, name) for name in LOAD)), None)


def _alike(one: LoadResult, other: LoadResult, name: str) -> bool:
    if name == "offered" and one.offered.kind == other.offered.kind == "rate":
        # Chance makes a little more or less of the same Poisson rate.
        return abs(one.offered.value / other.offered.value - 1) <= SAME_RATE
    return bool(getattr(one, name) == getattr(other, name))


def _difference(before: Path, one: tuple[LoadResult, ...], after: Path, other: tuple[LoadResult, ...]) -> str:
    for name in LOAD:
        if one and other and not any(_alike(first, second, name) for first in one for second in other):
            told = [", ".join(dict.fromkeys(str(getattr(result, name)) for result in file)) for file in (one, other)]
            return f"{before} has {name} {told[0]}, {after} has {told[1]}"
    return f"{before} and {after} have no load in common"


def _sliced(run: Measurement, count: int, figure: "Figure") -> Figures:
    begin_s = run.samples.begin_s
    edges = np.linspace(begin_s.min(), np.nextafter(begin_s.max(), np.inf), count + 1)
    parts = [run.samples.between(low, high) for low, high in itertools.pairwise(edges)]
    seconds = float(edges[1] - edges[0])
    return np.array([figure(part, seconds, run.result) if len(part) else 0.0 for part in parts])


def _percentile(share: float) -> "Figure":
    def figure(part: Samples, seconds: float, result: LoadResult) -> float:  # noqa: ARG001 - all are asked alike
        return float(np.percentile(part.latency_ms, share, method="inverted_cdf"))

    return figure


def _right(part: Samples, seconds: float, result: LoadResult) -> float:
    """Of an open loop, the share that kept the SLO: how many asked is not the server's doing. Of others, a rate."""
    right = ~part.failed
    if result.goodput is not None:
        right &= part.latency_ms <= result.goodput.slo_ms
    return float(right.mean()) if result.open_loop else float(right.sum()) / seconds


Figure = Callable[[Samples, float, LoadResult], float]
FIGURES: tuple[tuple[str, str, Figure], ...] = (
    ("p50", "above", _percentile(50)),
    ("p90", "above", _percentile(90)),
    ("p99", "above", _percentile(99)),
    ("right answers", "below", _right),
)
"""Name, on which side of 1 it is worse, and the figure of a slice of time from its samples and its length in seconds.

Right answers are those within the SLO, where there is one.
"""
