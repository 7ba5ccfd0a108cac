from dataclasses import replace

import numpy as np
import pytest

from engineroom.errors import GeneratorLimited
from engineroom.load.open_loop.engine import OpenRun, OpenRunDone
from engineroom.load.open_loop.schedule import constant
from engineroom.load.open_loop.verdict import refuse_own_figures, result_from_run
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request
from engineroom.load.result import results_from_file, results_to_file
from engineroom.load.samples import Samples
from engineroom.load.table import text_from_results


@pytest.fixture
def run(served):
    return OpenRun(served, (Request("identity", 2, b"", None, None),), constant(100, 20))


@pytest.fixture
def done(run):
    """2000 requests of 10 ms each, sent 0.1 ms late."""
    due_s = 1000 + run.schedule.offsets_s
    took_ms = np.full(2000, 10.0)
    outcome = np.zeros(2000, np.uint8)
    samples = Samples(due_s + 0.0001, took_ms, outcome != Outcome.RIGHT, due_s, outcome)
    return OpenRunDone(samples, 1000.0, workers=2, busiest=0.3, reasons={})


@pytest.fixture
def summed_up(run, conditions):
    def result(done, slo_ms=100.0):
        return result_from_run(run, done, slo_ms, conditions)

    return result


def failing(done, share, kind, latency_ms):
    """The last requests of a run, otherwise."""
    samples = done.samples
    outcome, took = samples.outcome.copy(), samples.latency_ms.copy()
    last = slice(int(len(outcome) * (1 - share)), None)
    outcome[last], took[last] = kind, latency_ms
    return replace(done, samples=replace(samples, latency_ms=took, outcome=outcome, failed=outcome != Outcome.RIGHT))


def test_a_quiet_run(summed_up, done):
    result = summed_up(done)
    assert (result.requests, result.failures, result.duration_s) == (2000, 0, 20)
    assert result.latency.p999_ms == 10
    assert result.goodput.per_s == 100
    assert result.open_loop.lateness_p99_ms == pytest.approx(0.1, abs=1e-3)
    assert result.open_loop.limit == "none"
    refuse_own_figures(result)


def test_goodput_counts_right_answers_within_the_promise(summed_up, done):
    slow = failing(done, 0.25, Outcome.RIGHT, 200)
    assert summed_up(slow).goodput.per_s == pytest.approx(75)
    assert summed_up(slow, slo_ms=200).goodput.per_s == pytest.approx(100)
    # Rejected at once, and therefore quick: no goodput.
    assert summed_up(failing(done, 0.25, Outcome.REJECTED, 1)).goodput.per_s == pytest.approx(75)


def test_failures_are_counted_by_kind(summed_up, done):
    result = summed_up(failing(done, 0.02, Outcome.REJECTED, 1))
    assert result.failures == 40
    assert result.failed == {"rejected": 40}
    assert result.open_loop.limit == "none"


@pytest.mark.parametrize(
    ("share", "kind", "latency_ms"),
    [
        pytest.param(0.1, Outcome.REJECTED, 1, id="rejections"),
        pytest.param(0.5, Outcome.RIGHT, 12_000, id="answers that come after the end"),
    ],
)
def test_a_server_that_falls_behind_is_the_limit(summed_up, done, share, kind, latency_ms):
    result = summed_up(failing(done, share, kind, latency_ms))
    assert result.open_loop.limit == "server"
    refuse_own_figures(result)


def test_time_after_the_schedule_counts_into_the_throughput(summed_up, done):
    result = summed_up(failing(done, 0.5, Outcome.RIGHT, 10_010))
    assert result.duration_s == pytest.approx(30)
    assert result.requests_per_s == pytest.approx(2000 / 30, rel=1e-3)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param(lambda done: replace(done, busiest=0.95), id="event loop at work all the time"),
        pytest.param(
            lambda done: replace(done, samples=replace(done.samples, sent_s=done.samples.scheduled_s + 0.0012)),
            id="late",
        ),
        pytest.param(lambda done: failing(done, 0.001, Outcome.UNSENT, 0), id="unsent"),
    ],
)
def test_figures_of_the_generator_are_refused(summed_up, done, spoilt):
    result = summed_up(spoilt(done))
    assert result.open_loop.limit == "generator"
    assert "NOT FIGURES OF THE SERVER" in text_from_results((result,))
    with pytest.raises(GeneratorLimited, match="the generator was the limit"):
        refuse_own_figures(result)


def test_it_survives_the_disk_and_is_told(summed_up, done, tmp_path):
    result = summed_up(replace(failing(done, 0.02, Outcome.LATE, 5000), reasons={"late": "no answer within 5 s"}))
    results_to_file((result,), tmp_path / "result.json")
    assert results_from_file(tmp_path / "result.json") == (result,)
    text = text_from_results((result,))
    for words in ("failed: 40 late", "lateness p50 0.100 ms", "the limit: none", "late: no answer within 5 s"):
        assert words in text
