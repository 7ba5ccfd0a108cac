"""Parsing, on what a real perf_analyzer 2.60.0 wrote (the files in perf_analyzer/)."""

from pathlib import Path

import pytest

from engineroom.errors import LoadError
from engineroom.load.perf_analyzer.report import results_from_output
from engineroom.load.perf_analyzer.run import PerfRun
from engineroom.load.result import Latency, Offered, ServerTime

RECORDED = Path(__file__).parent


def recorded(name):
    return (RECORDED / f"{name}.txt").read_text(), (RECORDED / f"{name}.csv").read_text()


def test_one_result_for_every_concurrency(served, conditions):
    first, second = results_from_output(*recorded("concurrency"), PerfRun(served, batch=2), conditions)
    assert first.offered == Offered("concurrency", 1.0)
    assert second.offered == Offered("concurrency", 3.0)
    assert (second.requests, second.failures, second.rows_per_request) == (4056, 0, 2)
    assert second.rows_per_s == pytest.approx(5554.17)
    assert second.requests_per_s == pytest.approx(5554.17 / 2)
    assert second.latency == Latency(mean_ms=1.067, p50_ms=0.988, p90_ms=1.429, p95_ms=1.639, p99_ms=3.302)
    assert second.server == ServerTime(queue_us=87, input_us=35, infer_us=274, output_us=131)
    assert second.notes == ()


def test_the_time_measured_follows_from_count_and_throughput(served, conditions):
    (_, second) = results_from_output(*recorded("concurrency"), PerfRun(served, batch=2), conditions)
    # Three windows of 400 ms, each a fifth longer.
    assert second.duration_s == pytest.approx(3 * 0.4 * 1.2, rel=0.05)


def test_late_requests_are_noted(served, conditions):
    (only,) = results_from_output(*recorded("late"), PerfRun(served, rate="2500"), conditions)
    assert only.offered == Offered("rate", 2500.0)
    assert only.requests == 3902
    assert only.notes == (
        "2.90 % of the requests were sent late; latency is timed from the actual send, not from the scheduled one",
    )


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda output, report: (output, ""), id="no report"),
        pytest.param(lambda output, report: ("", report), id="no output"),
        pytest.param(lambda output, report: (output, report.replace("p99 latency", "p99")), id="a column is renamed"),
        pytest.param(lambda output, report: (output.replace("Request count", "Count"), report), id="no count"),
    ],
)
def test_what_is_not_understood_is_refused(served, conditions, spoil):
    with pytest.raises(LoadError, match=r"Use version 2\.60\.0"):
        results_from_output(*spoil(*recorded("concurrency")), PerfRun(served, batch=2), conditions)
