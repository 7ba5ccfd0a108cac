"""Single requests: recorded one by one, summed up at the end, kept in a file of JSON lines."""

import gzip
import io
import itertools
import json
import operator
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import LoadError
from engineroom.load.outcome import Outcome
from engineroom.load.result import Goodput, Latency, LoadResult
from engineroom.repository.files import write_atomically

SUFFIX = ".samples.jsonl.gz"
"""How the names of files of samples end."""
AT_ONCE = 50_000
"""Lines that are made, or read, at a time: a million requests need not stand in memory as text."""
TIMES = ("scheduled_us", "sent_us", "end_us")
"""Names in a line; closed loops have no first one."""
NUMBERS = {kind.word: kind.value for kind in Outcome}
Numbers = npt.NDArray[np.int64]


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

    @property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """What became of each, numbers of `Outcome`; a failure of unknown kind counts as refused."""
        if self.outcome is not None:
            return self.outcome
        return np.where(self.failed, Outcome.REFUSED, Outcome.RIGHT).astype(np.uint8)

    @property
    def failed_by_kind(self) -> dict[str, int]:
        """How many failed in each way, by the word for it; ways in which none did are left out."""
        counts = np.bincount(self.kinds, minlength=len(Outcome))
        return {kind.word: int(counts[kind]) for kind in Outcome if kind is not Outcome.RIGHT and counts[kind]}


@dataclass
class Recorder:
    """Collects samples while a test runs.

    Attributes:
        rows: (sent_s, latency_ms, outcome), one a request.
    """

    rows: list[tuple[float, float, int]] = field(default_factory=list)

    def add(self, sent_s: float, latency_ms: float, outcome: Outcome) -> None:
        """Keep one request."""
        self.rows.append((sent_s, latency_ms, outcome))

    def samples(self) -> Samples:
        """Everything recorded so far."""
        table = np.array(self.rows, dtype=np.float64).reshape(-1, 3)
        outcome = table[:, 2].astype(np.uint8)
        return Samples(table[:, 0].copy(), table[:, 1].copy(), outcome != Outcome.RIGHT, outcome=outcome)


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


def goodput_from_samples(samples: Samples, slo_ms: float, span_s: float) -> Goodput:
    """Count who kept the promise.

    Args:
        samples: Every request.
        slo_ms: The promise.
        span_s: The time in which they began, seconds.
    """
    in_time = int((~samples.failed & (samples.latency_ms <= slo_ms)).sum())
    return Goodput(slo_ms, in_time, in_time / span_s)


def samples_beside(output: Path, part: str = "") -> Path:
    """Where the samples of a result go.

    Args:
        output: The result's file.
        part: Which result, where the file holds several.
    """
    return output.with_name(output.stem + (part and f"-{part}") + SUFFIX)


def samples_to_file(samples: Samples, path: Path) -> None:
    """Write samples as JSON lines, compressed: one object a request, microseconds since the first one began.

    A line holds `scheduled_us` (open loop alone), `sent_us`, `end_us` and `outcome`, a word.

    Raises:
        LoadError: The file cannot be written.
    """
    text = io.BytesIO()
    with gzip.GzipFile(fileobj=text, mode="wb", compresslevel=1, mtime=0) as file:
        for lines in _lines(samples):
            file.write(lines.encode())
    try:
        write_atomically(path, text.getvalue())
    except OSError as error:
        raise LoadError(f"{path}: the samples cannot be written ({error.strerror}). Name another file.") from error


def _lines(samples: Samples) -> Iterator[str]:
    known = zip(TIMES, (samples.scheduled_s, samples.sent_s, samples.end_s), strict=True)
    times = {name: time_s for name, time_s in known if time_s is not None}
    begin_s = samples.begin_s.min(initial=np.inf)
    line = "{" + "".join(f'"{name}": %d, ' for name in times) + '"outcome": "%s"}\n'
    words = [kind.word for kind in Outcome]
    for first in range(0, len(samples), AT_ONCE):
        some = slice(first, first + AT_ONCE)
        columns = [np.rint((time_s[some] - begin_s) * 1e6).astype(np.int64).tolist() for time_s in times.values()]
        outcomes = map(words.__getitem__, samples.kinds[some].tolist())
        yield "".join(map(line.__mod__, zip(*columns, outcomes, strict=True)))


def samples_from_file(path: Path) -> Samples:
    """Read what `samples_to_file` wrote; times count from the first request.

    Raises:
        LoadError: The file cannot be read, or holds no samples.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            parts = [_numbers(lines) for lines in iter(lambda: list(itertools.islice(file, AT_ONCE)), [])]
        return _samples(np.concatenate(parts))
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise LoadError(f"{path}: holds no samples ({error}). Measure again.") from error


def _numbers(lines: list[str]) -> Numbers:
    rows: list[dict[str, Any]] = json.loads(f"[{','.join(lines)}]")
    times = operator.itemgetter(*(TIMES if TIMES[0] in rows[0] else TIMES[1:]))
    return np.array([(NUMBERS[row["outcome"]], *times(row)) for row in rows], dtype=np.int64)


def _samples(table: Numbers) -> Samples:
    outcome, *due_us, sent_us, end_us = table.T
    latency_ms = (end_us - (due_us or [sent_us])[0]) / 1000
    if (latency_ms < 0).any():
        raise ValueError("a request ended before it began")
    kinds = outcome.astype(np.uint8)
    return Samples(sent_us / 1e6, latency_ms, kinds != Outcome.RIGHT, due_us[0] / 1e6 if due_us else None, kinds)


def samples_from_result(path: Path, result: LoadResult) -> Samples | None:
    """Read the requests of a result; None where none were kept.

    Args:
        path: The result's file.
        result: What it holds.

    Raises:
        LoadError: They are named, and not there.
    """
    if result.samples is None:
        return None
    if Path(result.samples).name != result.samples:
        raise LoadError(f"{path}: names samples that are not beside it ({result.samples!r}). Measure again.")
    return samples_from_file(path.with_name(result.samples))
