"""What a model does in a moment of time: Triton's own statistics of everybody's requests, and golden inputs of ours."""

import time
from typing import Any

import numpy as np

from engineroom.errors import CallError
from engineroom.operate.control import Control
from engineroom.repository.golden import Golden
from engineroom.repository.history import Effect

PROBES = 200
"""Golden inputs that are sent at most: a measurement must not be a load."""


def observe(control: Control, golden: Golden, version: int, seconds: float) -> Effect:
    """Watch a model for a while, sending its first golden row again and again, one at a time.

    Args:
        control: The server.
        golden: Golden inputs of the version that is served.
        version: That version.
        seconds: How long, in seconds.

    Raises:
        ServerError: The server does not answer.
        CallError: The model does not.
    """
    before, began = control.statistics(golden.model), time.monotonic()
    latencies = _probe(control, golden.batch(0, 1), version, seconds)
    after, took = control.statistics(golden.model), time.monotonic() - began
    counts = {key: _count(after, key) - _count(before, key) for key in _WHERE}
    requests, executions = counts["requests"] or 1, counts["executions"] or 1
    return Effect(
        seconds=round(took, 3),
        requests_per_s=round(counts["requests"] / took, 1),
        failed=counts["failed"],
        queue_us=round(counts["queue_ns"] / requests / 1e3, 1),
        compute_us=round(sum(counts[key] for key in ("input_ns", "infer_ns", "output_ns")) / requests / 1e3, 1),
        rows_per_batch=round(counts["rows"] / executions, 2),
        golden_p50_ms=round(float(np.percentile(latencies, 50)), 3),
        golden_p99_ms=round(float(np.percentile(latencies, 99)), 3),
    )


def _probe(control: Control, golden: Golden, version: int, seconds: float) -> list[float]:
    latencies: list[float] = []
    end = time.monotonic() + seconds
    with control.client() as client:
        while not latencies or (time.monotonic() < end and len(latencies) < PROBES):
            began = time.perf_counter()
            try:
                client.infer(golden.model, golden.inputs, outputs=tuple(golden.outputs), version=str(version))
            except CallError:
                # Busy, or rejecting: Triton counts it as failed. The first one tells whether it answers at all.
                if not latencies:
                    raise
            latencies.append((time.perf_counter() - began) * 1e3)
        time.sleep(max(0.0, end - time.monotonic()))
    return latencies


_WHERE = {
    "requests": ("inference_stats", "success", "count"),
    "failed": ("inference_stats", "fail", "count"),
    "queue_ns": ("inference_stats", "queue", "ns"),
    "input_ns": ("inference_stats", "compute_input", "ns"),
    "infer_ns": ("inference_stats", "compute_infer", "ns"),
    "output_ns": ("inference_stats", "compute_output", "ns"),
    "rows": ("inference_count",),
    "executions": ("execution_count",),
}


def _count(statistics: dict[int, dict[str, Any]], key: str) -> int:
    total = 0
    for one in statistics.values():
        found: Any = one
        for name in _WHERE[key]:
            found = found.get(name, {}) if isinstance(found, dict) else {}
        total += int(found or 0)
    return total
