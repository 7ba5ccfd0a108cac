"""Rates upward, until the server keeps its promise no longer."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from engineroom.errors import BadInput
from engineroom.load.result import LoadResult


@dataclass(frozen=True)
class Climb:
    """The rates of a sweep.

    Attributes:
        start_per_s: The first, requests per second.
        factor: From one to the next.
        most: How many at most.
    """

    start_per_s: float
    factor: float = 1.5
    most: int = 12

    def __post_init__(self) -> None:
        if self.start_per_s <= 0 or self.factor <= 1 or self.most < 1:
            raise BadInput(
                f"a sweep of {self.most} rates from {self.start_per_s:g}/s in steps of {self.factor:g}: it begins "
                "above 0, and every rate is above the one before."
            )

    def __iter__(self) -> Iterator[float]:
        """The rates, upward, in three digits."""
        return (float(f"{self.start_per_s * self.factor**step:.3g}") for step in range(self.most))


def climbed(rates: Iterable[float], measure: Callable[[float], LoadResult], least_ratio: float) -> Iterator[LoadResult]:
    """Measure at one rate after the other, and end with the first at which the goodput fell.

    Args:
        rates: Requests per second, upward.
        measure: Measures at one of them.
        least_ratio: Share of the requests that must be rightly answered within the SLO.
    """
    for rate in rates:
        result = measure(rate)
        yield result
        if not _kept(result, least_ratio):
            return


def highest_kept(results: tuple[LoadResult, ...], least_ratio: float) -> LoadResult | None:
    """The result at the highest rate up to which the promise was kept throughout; None where it never was."""
    kept = list(itertools.takewhile(lambda one: _kept(one, least_ratio), results))
    return kept[-1] if kept else None


def _kept(result: LoadResult, least_ratio: float) -> bool:
    return result.goodput_ratio is not None and result.goodput_ratio >= least_ratio
