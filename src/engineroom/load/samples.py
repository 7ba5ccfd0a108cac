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
    """Every request of a measurement: of a closed loop in the order of their ends, of an open one as they were due.

    Attributes:
        sent_s: When each was sent, monotonic seconds, float64.
        latency_ms: How long each took, float64: from when it was due where that is known, else from when it was sent.
        failed: Which got no right answer, bool.
        scheduled_s: When each was due, monotonic seconds, float64; None in a closed loop, which has no schedule.
        outcome: What became of each, numbers of `Outcome`, uint8; None where only `failed` is known.
    """

    sent_s: npt.NDArray[np.float64]
    latency_ms: npt.NDArray[np.float64]
    failed: npt.NDArray[np.bool_]
    scheduled_s: npt.NDArray[np.float64] | None = None
    outcome: npt.NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.latency_ms)

    def between(self, begin_s: float, end_s: float) -> "Samples":
        """The requests that began in a span of time, whenever they ended."""
        kept = (self.begin_s >= begin_s) & (self.begin_s < end_s)
        arrays = {name: None if array is None else array[kept] for name, array in vars(self).items()}
        return Samples(**arrays)  # type: ignore[arg-type]  # the fields that were read

    @property
    def begin_s(self) -> npt.NDArray[np.float64]:
        """Where each latency begins: when the request was due, or was sent where no schedule is known."""
        return self.sent_s if self.scheduled_s is None else self.scheduled_s

    @property
    def end_s(self) -> npt.NDArray[np.float64]:
        """When each answer came."""
        ends: npt.NDArray[np.float64] = self.begin_s + self.latency_ms / 1000
        return ends

    @property
    def last_end_s(self) -> float:
        """When the last answer came."""
        return float(self.end_s.max())


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
    p50, p90, p95, p99, p999 = np.percentile(latency_ms, (50, 90, 95, 99, 99.9), method="inverted_cdf")
    return Latency(
        mean_ms=float(latency_ms.mean()),
        p50_ms=float(p50),
        p90_ms=float(p90),
        p95_ms=float(p95),
        p99_ms=float(p99),
        max_ms=float(latency_ms.max()),
        # Of fewer, it would be the maximum under another name.
        p999_ms=float(p999) if len(latency_ms) > 1000 else None,
    )


def samples_to_file(samples: Samples, path: Path) -> None:
    """Write samples as an `.npz` with an array for every attribute that is known.

    Raises:
        LoadError: The file cannot be written.
    """
    arrays: dict[str, Any] = {name: array for name, array in vars(samples).items() if array is not None}
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
            further = {name: arrays[name] for name in ("scheduled_s", "outcome") if name in arrays}
            return Samples(arrays["sent_s"], arrays["latency_ms"], arrays["failed"], **further)
    except (OSError, ValueError, KeyError) as error:
        raise LoadError(f"{path}: holds no samples ({error}). Measure again.") from error
