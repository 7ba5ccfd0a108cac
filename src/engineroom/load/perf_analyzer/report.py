"""Reading what perf_analyzer 2.60 wrote."""

import csv
import io
import re

from engineroom.errors import LoadError
from engineroom.load.perf_analyzer.run import PerfRun
from engineroom.load.result import Conditions, Latency, LoadResult, Offered, ServerTime

HEADING = re.compile(r"^Request (?:concurrency|Rate): ([\d.]+)(?: inference requests per second)?$", re.MULTILINE)
"""The line before each load's figures; the summary at the end has lines that begin alike."""


def results_from_output(output: str, report: str, run: PerfRun, conditions: Conditions) -> tuple[LoadResult, ...]:
    """Read what perf_analyzer 2.60 wrote.

    Args:
        output: Its standard output, for the counts of requests and its warnings.
        report: Its CSV file (`-f` with `--verbose-csv`): times in microseconds, throughput in rows per second.
        run: What was measured.
        conditions: What the figures hold for.

    Raises:
        LoadError: The texts are not what this version writes.
    """
    rows = {_number(row, 0): row for row in csv.DictReader(io.StringIO(report))}
    found = HEADING.split(output)
    blocks = {float(level): block for level, block in zip(found[1::2], found[2::2], strict=True)}
    if not rows or not rows.keys() <= blocks.keys():
        raise LoadError(f"{run.served.name}: perf_analyzer wrote no report that is understood. Use version 2.60.0.")
    try:
        return tuple(_result(rows[level], blocks[level], run, conditions) for level in sorted(rows))
    except (KeyError, ValueError, ZeroDivisionError, IndexError) as error:
        raise LoadError(
            f"{run.served.name}: perf_analyzer's report lacks or misnames {error}. Use version 2.60.0."
        ) from error


def _number(row: dict[str, str], column: int) -> float:
    return float(list(row.values())[column])


def _result(row: dict[str, str], block: str, run: PerfRun, conditions: Conditions) -> LoadResult:
    counted = re.search(r"Request count: (\d+)", block)
    if not counted:
        raise KeyError("Request count")
    requests = int(counted[1])
    return LoadResult(
        tool="perf_analyzer",
        model=run.served.name,
        protocol=run.served.address.scheme,
        offered=Offered("rate" if run.rate else "concurrency", _number(row, 0)),
        # The reported throughput is the count over the time of the windows that agreed.
        duration_s=requests * run.batch / float(row["Inferences/Second"]),
        requests=requests,
        # It ends with an error at the first request that fails.
        failures=0,
        rows_per_request=run.batch,
        latency=_latency(row),
        conditions=conditions,
        server=_server_time(row),
        notes=_notes(block, run),
    )


def _latency(row: dict[str, str]) -> Latency:
    return Latency(
        mean_ms=float(row["Avg latency"]) / 1000,
        p50_ms=float(row["p50 latency"]) / 1000,
        p90_ms=float(row["p90 latency"]) / 1000,
        p95_ms=float(row["p95 latency"]) / 1000,
        p99_ms=float(row["p99 latency"]) / 1000,
    )


def _server_time(row: dict[str, str]) -> ServerTime:
    return ServerTime(
        queue_us=float(row["Server Queue"]),
        input_us=float(row["Server Compute Input"]),
        infer_us=float(row["Server Compute Infer"]),
        output_us=float(row["Server Compute Output"]),
    )


def _notes(block: str, run: PerfRun) -> tuple[str, ...]:
    kept = ("every request was written down, which slows perf_analyzer",) if run.keep_samples else ()
    late = re.search(r"([\d.]+)% of the requests were delayed", block)
    if not run.rate:
        return kept
    timed = "latency is timed from the actual send, not from the scheduled one"
    return (f"{late[1]} % of the requests were sent late; {timed}" if late else timed, *kept)
