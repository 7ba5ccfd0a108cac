"""Single latencies: recorded one by one, summed up at the end, kept in a file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError
from engineroom.load.result import Latency


@dataclass(frozen=True)
class Samples:
    """Every request of a measurement, in the order of their ends.

    Attributes:
        sent_s: When each was sent, monotonic seconds, float64.
        latency_ms: How long each took, float64.
        failed: Which got no right answer, bool.
    """

    sent_s: npt.NDArray[np.float64]
    latency_ms: npt.NDArray[np.float64]
    failed: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.latency_ms)

    def between(self, begin_s: float, end_s: float) -> "Samples":
        """The requests sent in a span of time, whenever they ended."""
        kept = (self.sent_s >= begin_s) & (self.sent_s < end_s)
        return Samples(self.sent_s[kept], self.latency_ms[kept], self.failed[kept])

    @property
    def last_end_s(self) -> float:
        """When the last answer came."""
        return float((self.sent_s + self.latency_ms / 1000).max())


@dataclass
class Recorder:
    """Collects samples while a test runs.

    Attributes:
        rows: (sent_s, latency_ms, failed), one a request.
    """

    rows: list[tuple[float, float, bool]] = field(default_factory=list)

    def add(self, sent_s: float, latency_ms: float, failed: bool) -> None:
        """Keep one request."""
        self.rows.append((sent_s, latency_ms, failed))

    def samples(self) -> Samples:
        """Everything recorded so far."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, 3)
        return Samples(table[:, 0].copy(), table[:, 1].copy(), table[:, 2].astype(np.bool_))


def latency_from_samples(latency_ms: npt.NDArray[np.float64]) -> Latency:
    """Sum up latencies. A percentile is the smallest latency seen that so large a share stays within.

    Args:
        latency_ms: At least one latency, in milliseconds.

    Raises:
        LoadError: There is none.
    """
    if not len(latency_ms):
        raise LoadError("no request was answered, so there is no latency to sum up. Measure for longer.")
    p50, p90, p95, p99 = np.percentile(latency_ms, (50, 90, 95, 99), method="inverted_cdf")
    return Latency(
        mean_ms=float(latency_ms.mean()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        max_ms=float(latency_ms.max()),
    )


def samples_to_file(samples: Samples, path: Path) -> None:
    """Write samples as an `.npz` with the arrays `sent_s`, `latency_ms` and `failed`.

    Raises:
        LoadError: The file cannot be written.
    """
    arrays: dict[str, Any] = {
        "sent_s": samples.sent_s,
        "latency_ms": samples.latency_ms,
        "failed": samples.failed,
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)
    except OSError as error:
        raise LoadError(f"{path}: the samples cannot be written ({error.strerror}). Name another file.") from error


def samples_from_file(path: Path) -> Samples:
    """Read what `samples_to_file` wrote.

    Raises:
        LoadError: The file cannot be read, or holds no samples.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Samples(arrays["sent_s"], arrays["latency_ms"], arrays["failed"])
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(f"{path}: holds no samples ({error}). Measure again.") from error
