"""What perf_analyzer is to measure, and its options for that."""

import re
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import BadInput
from engineroom.load.served import ServedModel


@dataclass(frozen=True)
class PerfRun:
    """What to measure.

    Attributes:
        served: The model, as its server declares it.
        batch: Rows of one request.
        concurrency: Requests in flight, `start[:end[:step]]`.
        rate: Requests per second instead, `start[:end[:step]]`, sent at Poisson intervals.
        input_data: An `--input-data` file; random data where None.
        shapes: Sizes of inputs with varying dimensions, each as `NAME:1,2,3`.
        shared_memory: `none` or `system`.
        window_ms: Length of one measurement window. Three in a row must agree.
        stability_percent: How far throughput and latency of the three may be apart.
        trials: Most windows at one load.
        keep_samples: Let perf_analyzer write every request down, which takes up to a third of its throughput.
        slack_s: Time to start and to drain, beside the windows.
    """

    served: ServedModel
    batch: int = 1
    concurrency: str = "1"
    rate: str | None = None
    input_data: Path | None = None
    shapes: tuple[str, ...] = ()
    shared_memory: str = "none"
    window_ms: int = 1000
    stability_percent: float = 20
    trials: int = 10
    keep_samples: bool = False
    slack_s: float = 30.0

    def __post_init__(self) -> None:
        self.served.check_batch(self.batch)
        levels_in_range(self.rate or self.concurrency)
        named = {shape.partition(":")[0] for shape in self.shapes}
        inputs = self.served.metadata.inputs
        unsized = [one.name for one in inputs if -1 in one.shape and one.name not in named]
        if unsized and not self.input_data:
            raise BadInput(
                f"{self.served.name}: the size of {', '.join(unsized)} varies. "
                f"Say --shape {unsized[0]}:SIZE for each, or --input-data golden."
            )

    @property
    def timeout_s(self) -> float:
        """Longest time the run may take: every trial at every load, and half as much again for the gaps between."""
        return self.slack_s + 1.5 * levels_in_range(self.rate or self.concurrency) * self.trials * self.window_ms / 1000

    def options(self, report: Path) -> list[str]:
        """perf_analyzer's own options.

        Args:
            report: CSV file it is to write; every request goes beside it, where it is to be kept.
        """
        # No --request-count: its time is rounded up to whole windows.
        options = ["-m", self.served.name, "-i", self.served.address.scheme, "-u", self.served.address.netloc]
        options += ["-b", str(self.batch), "-p", str(self.window_ms), "-r", str(self.trials)]
        options += ["-s", f"{self.stability_percent:g}", "-f", str(report), "--verbose-csv"]
        options += ["--shared-memory", self.shared_memory]
        if self.keep_samples:
            # Every request's tensors are in it, too, as numbers.
            options += ["--profile-export-file", str(export_beside(report))]
        if self.rate:
            # Synchronous sending has four requests in flight at most, and is a closed loop without saying so.
            options += ["--request-rate-range", self.rate, "--request-distribution", "poisson"]
            options += ["--async", "--max-threads", "8"]
        else:
            options += ["--concurrency-range", self.concurrency]
        if self.input_data:
            options += ["--input-data", str(self.input_data)]
        for shape in self.shapes:
            options += ["--shape", shape]
        return options


def export_beside(report: Path) -> Path:
    """The file of all requests, beside the report."""
    return report.with_name("requests.json")


def levels_in_range(text: str) -> int:
    """How many loads a range `start[:end[:step]]` has.

    Raises:
        BadInput: It is no such range.
    """
    valid = re.fullmatch(r"\d+(\.\d+)?(:\d+(\.\d+)?){0,2}", text)
    numbers = [float(part) for part in text.split(":")] if valid else [0.0]
    start = numbers[0]
    end = numbers[1] if len(numbers) > 1 else start
    step = numbers[2] if len(numbers) > 2 else 1.0
    if not 0 < start <= end or step <= 0:
        raise BadInput(f"load '{text}': expected START, START:END or START:END:STEP, as in 1:8:2.")
    return int((end - start) / step) + 1
