"""The limits a measurement must keep: what turns a load test into a check."""

from dataclasses import dataclass

from engineroom.errors import ThresholdMissed
from engineroom.load.result import LoadResult


@dataclass(frozen=True)
class Thresholds:
    """Limits for every result of a measurement; None does not judge.

    Attributes:
        p95_ms: Largest 95th percentile of the latency.
        p99_ms: Largest 99th percentile of the latency.
        failure_ratio: Largest share of failed requests.
        goodput_ratio: Least share of requests rightly answered within the SLO; judged where the result names one.
    """

    p95_ms: float | None = None
    p99_ms: float | None = None
    failure_ratio: float | None = 0.0
    goodput_ratio: float | None = None

    def misses(self, result: LoadResult) -> tuple[str, ...]:
        """The limits a result does not keep, each with its figures; empty where it keeps them all."""
        found = []
        for name, limit, value in (
            ("p95", self.p95_ms, result.latency.p95_ms),
            ("p99", self.p99_ms, result.latency.p99_ms),
        ):
            if limit is not None and value > limit:
                found.append(f"{name} {value:.2f} ms is above {limit:g} ms")
        if self.failure_ratio is not None and result.failure_ratio > self.failure_ratio:
            found.append(f"failure ratio {result.failure_ratio:.4f} is above {self.failure_ratio:g}")
        share = result.goodput_ratio
        if self.goodput_ratio is not None and share is not None and share < self.goodput_ratio:
            found.append(f"goodput ratio {share:.4f} is below {self.goodput_ratio:g}")
        return tuple(found)

    def check(self, results: tuple[LoadResult, ...]) -> None:
        """Pass, or say what was missed.

        Raises:
            ThresholdMissed: A result is beyond a limit.
        """
        found = [f"{one.model} at {one.offered}: {miss}" for one in results for miss in self.misses(one)]
        if found:
            raise ThresholdMissed("; ".join(found) + ". Offer less load, or give the model more instances.")
