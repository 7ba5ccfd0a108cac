import threading
import time

import numpy as np
import pytest
from stall_server import Stalls

from engineroom.errors import BadInput, LoadError
from engineroom.load.open_loop.engine import OpenRun, send_on_schedule
from engineroom.load.open_loop.schedule import constant, poisson
from engineroom.load.outcome import Outcome
from engineroom.load.served import time_spent

both = pytest.mark.parametrize("protocol", ["grpc", "http"])


@both
def test_every_request_is_sent_once_and_answered(steady, ask, protocol):
    schedule = poisson(200, 1, seed=5)
    done = send_on_schedule(OpenRun(*ask(steady[protocol]), schedule, workers=2))
    assert done.workers == 2
    assert done.samples.scheduled_s - done.begin_s == pytest.approx(schedule.offsets_s, abs=1e-9)
    assert (done.samples.outcome == Outcome.RIGHT).all()
    assert (done.samples.sent_s >= done.samples.scheduled_s).all()
    assert (done.samples.latency_ms > 0).all()
    assert done.reasons == {}


@both
def test_the_tail_is_the_truth_of_the_schedule_and_the_stalls(stall, ask, protocol):
    """Half of the requests meet a stall; whoever waited for answers would have asked during hardly any of it."""
    stalls = Stalls(every_s=2.0, length_s=1.0)
    with stall(1000, 2000) as (_, urls):
        run = OpenRun(*ask(urls[protocol]), poisson(60, 4))
        # Where other programs take the processor, the answers are late in truth: not what is asked here. How close it
        # comes on a quiet machine is measured by perf/stall.py.
        for _ in range(12):
            samples = send_on_schedule(run).samples
            truth_ms = stalls.left_s(samples.scheduled_s) * 1000
            got, true = (np.percentile(one, (90, 99), method="inverted_cdf") for one in (samples.latency_ms, truth_ms))
            if got == pytest.approx(true, rel=0.05):
                return
    assert got == pytest.approx(true, rel=0.05)


@both
def test_who_gets_no_answer_in_time_is_late(stall, ask, protocol):
    with stall(600, 1000) as (_, urls):
        served, requests = ask(urls[protocol])
        done = send_on_schedule(OpenRun(served, requests, constant(40, 1), timeout_s=0.25, workers=1))
    kinds = set(done.samples.outcome.tolist())
    assert kinds == {Outcome.RIGHT, Outcome.LATE}
    late = done.samples.latency_ms[done.samples.failed]
    assert late.min() == pytest.approx(250, abs=30)
    assert done.reasons.keys() == {"late"}


def kill_at_work(process, served):
    """Kill the server once it has answered some of the measured requests; each worker asks once before."""
    while time_spent(served).requests < 20:
        time.sleep(0.02)
    process.kill()


@both
def test_a_server_that_dies_makes_samples(stall, ask, protocol):
    with stall(0, 1000) as (process, urls):
        run = OpenRun(*ask(urls[protocol]), constant(50, 3))
        killer = threading.Thread(target=kill_at_work, args=(process, run.served))
        killer.start()
        done = send_on_schedule(run)
        killer.join()
    assert len(done.samples) == 150
    assert set(done.samples.outcome.tolist()) == {Outcome.RIGHT, Outcome.UNREACHABLE}
    assert done.samples.failed[-1]


@both
def test_a_model_that_answers_wrongly_is_not_measured(steady, ask, protocol):
    with pytest.raises(LoadError, match=r"no right answer before the measurement: .* off its golden answer"):
        send_on_schedule(OpenRun(*ask(steady[protocol], error=1.0), constant(10, 1)))


def test_a_schedule_shorter_than_the_workers(steady, ask):
    begun = time.monotonic()
    done = send_on_schedule(OpenRun(*ask(steady["grpc"]), constant(1, 1), workers=3))
    assert (done.workers, len(done.samples)) == (1, 1)
    assert time.monotonic() - begun < 30


def test_nothing_to_send(served):
    with pytest.raises(BadInput, match="0 requests"):
        OpenRun(served, (), constant(1, 1))
