"""One result type for every load tool, and its form on disk."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from engineroom.errors import LoadError
from engineroom.repository.documents import document_from_file, known
from engineroom.repository.files import write_atomically

SCHEMA = 2
"""Version of the results' form. Older ones are refused: their samples had another form."""

Kind = Literal["concurrency", "users", "rate"]


@dataclass(frozen=True)
class Offered:
    """How much load a tool offered.

    Attributes:
        kind: `concurrency` (requests kept in flight), `users` (Locust's closed loops) or `rate` (requests per second).
        value: The amount, in the unit of its kind; the most, where it changes.
        shape: How it changes, as it was asked for; empty where it does not.
    """

    kind: Kind
    value: float
    shape: str = ""

    @property
    def amount(self) -> str:
        """How much, in words."""
        return f"{self.kind} {self.value:g}" + ("/s" if self.kind == "rate" else "")

    def __str__(self) -> str:
        return self.amount + (self.shape and f" ({self.shape})")


@dataclass(frozen=True)
class Latency:
    """Latency of requests as their sender saw it, failed requests included.

    Attributes:
        mean_ms: Mean.
        p50_ms: Median.
        p90_ms: 90th percentile.
        p95_ms: 95th percentile.
        p99_ms: 99th percentile.
        max_ms: Largest; None where the tool does not tell.
        p999_ms: 99.9th percentile; None where the tool does not tell, or of a thousand requests or fewer.
    """

    mean_ms: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float | None = None
    p999_ms: float | None = None


@dataclass(frozen=True)
class Goodput:
    """How many kept the promise.

    Attributes:
        slo_ms: The latency promised.
        in_time: Requests rightly answered within it.
        per_s: The same, per second.
    """

    slo_ms: float
    in_time: int
    per_s: float


Limit = Literal["none", "server", "generator"]


@dataclass(frozen=True)
class OpenLoop:
    """What only an open loop can tell: its latencies count from when a request was due.

    Attributes:
        arrivals: The schedule, in words.
        span_s: Its length, seconds.
        lateness_p50_ms: Lateness (sent - scheduled), median.
        lateness_p99_ms: Its 99th percentile.
        lateness_max_ms: The largest.
        workers: Processes that sent.
        busiest: Largest share of the time that a worker's event loop was at work.
        limit: What gave way: `generator`, and the figures are its own; `server`, which fell behind; or `none`.
    """

    arrivals: str
    span_s: float
    lateness_p50_ms: float
    lateness_p99_ms: float
    lateness_max_ms: float
    workers: int
    busiest: float
    limit: Limit


@dataclass(frozen=True)
class ServerTime:
    """Mean time a request spent inside Triton, by its statistics.

    Attributes:
        queue_us: Waiting for a batch and an instance.
        input_us: Gathering inputs.
        infer_us: Computing.
        output_us: Handing out outputs.
    """

    queue_us: float
    input_us: float
    infer_us: float
    output_us: float


@dataclass(frozen=True)
class Conditions:
    """What a figure holds for.

    Attributes:
        machine: Processor that offered the load (and served, where the address is this machine's own).
        cores: Processors the tool could use.
        versions: Tool, server, model and interpreter, each with its version.
        command: The command that measures it again.
        time: UTC time at the end, ISO 8601.
    """

    machine: str
    cores: int
    versions: dict[str, str]
    command: str
    time: str


@dataclass(frozen=True)
class LoadResult:
    """One measurement of one model under one load.

    Attributes:
        tool: `open loop`, `perf_analyzer` or `locust`.
        model: The model's name on the server.
        protocol: `grpc` or `http`.
        offered: How much load was offered.
        duration_s: Time measured, warm-up excluded.
        requests: Requests in that time, failed ones included.
        failures: Requests without a right answer.
        rows_per_request: Batch size of one request.
        latency: What the sender saw.
        conditions: What the figures hold for.
        server: Where the time went inside Triton; None where unknown.
        notes: Whatever a reader must know before believing the figures.
        samples: Name of the file beside the result with every single request; None where none was kept.
        goodput: How many kept the promise; None where none was named.
        failed: Failed requests by what became of them, words of `Outcome`.
        open_loop: Lateness and the verdict; None for a closed loop.
    """

    tool: str
    model: str
    protocol: str
    offered: Offered
    duration_s: float
    requests: int
    failures: int
    rows_per_request: int
    latency: Latency
    conditions: Conditions
    server: ServerTime | None = None
    notes: tuple[str, ...] = ()
    samples: str | None = None
    goodput: Goodput | None = None
    failed: dict[str, int] = field(default_factory=dict)
    open_loop: OpenLoop | None = None

    @property
    def requests_per_s(self) -> float:
        """Requests rightly answered per second."""
        return (self.requests - self.failures) / self.duration_s

    @property
    def rows_per_s(self) -> float:
        """Rows (images, sentences) rightly answered per second."""
        return self.requests_per_s * self.rows_per_request

    @property
    def failure_ratio(self) -> float:
        """Share of requests without a right answer."""
        return self.failures / self.requests if self.requests else 0.0

    @property
    def goodput_ratio(self) -> float | None:
        """Share of the requests that were rightly answered within the SLO; None where none was named."""
        return self.goodput.in_time / self.requests if self.goodput else None

    @property
    def is_generators(self) -> bool:
        """Whether the figures are the generator's own, and say nothing about the server."""
        return self.open_loop is not None and self.open_loop.limit == "generator"


def json_from_results(results: tuple[LoadResult, ...]) -> str:
    """The results' text: `{"schema": …, "results": […]}`, throughput included for readers that are no Python."""
    throughput = ("requests_per_s", "rows_per_s", "failure_ratio", "goodput_ratio")
    entries = [{**asdict(one), **{name: getattr(one, name) for name in throughput}} for one in results]
    return json.dumps({"schema": SCHEMA, "results": entries}, indent=2) + "\n"


def results_to_file(results: tuple[LoadResult, ...], path: Path) -> None:
    """Write results, making the folders they need.

    Raises:
        LoadError: The file cannot be written.
    """
    try:
        write_atomically(path, json_from_results(results))
    except OSError as error:
        raise LoadError(f"{path}: the result cannot be written ({error.strerror}). Name another file.") from error


def results_from_file(path: Path) -> tuple[LoadResult, ...]:
    """Read results.

    Raises:
        LoadError: The file is missing, holds no results, or was written by an older or newer engineroom.
    """
    raw = document_from_file(path, SCHEMA, LoadError, lacking="holds no load results", mend="Measure again.")
    if raw["schema"] < SCHEMA:
        raise LoadError(f"{path}: has schema {raw['schema']}, written by an older engineroom. Measure again.")
    try:
        return tuple(_result(entry) for entry in raw["results"])
    except (KeyError, TypeError, AttributeError) as error:
        raise LoadError(f"{path}: lacks or misnames a field ({error}). Measure again.") from error


def _result(raw: dict[str, Any]) -> LoadResult:
    entry = known(LoadResult, raw)
    result = LoadResult(
        **{
            **entry,
            "offered": Offered(**known(Offered, raw["offered"])),
            "latency": Latency(**known(Latency, raw["latency"])),
            "conditions": Conditions(**known(Conditions, raw["conditions"])),
        }
    )
    server, goodput, open_loop = (raw.get(name) for name in ("server", "goodput", "open_loop"))
    return replace(
        result,
        notes=tuple(raw.get("notes", ())),
        server=ServerTime(**known(ServerTime, server)) if server else None,
        goodput=Goodput(**known(Goodput, goodput)) if goodput else None,
        open_loop=OpenLoop(**known(OpenLoop, open_loop)) if open_loop else None,
    )
