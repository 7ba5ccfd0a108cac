"""A second server is asked while the first one is silent; and a silent server is given up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from one_model import M, ask, asked, in_flight
from waiting import wait_until

from engineroom.client import (
    BadInput,
    Client,
    FunctionTransport,
    HedgePolicy,
    InferenceFailed,
    RetryPolicy,
)
from engineroom.client.survival.hedge import ENOUGH, REMEMBERED, Latencies

SOON = RetryPolicy(hedge=HedgePolicy(after_s=0.02))


class Server(FunctionTransport):
    """Answers with its number, or fails while it has an error; is silent while it is held."""

    def __init__(self, number):
        super().__init__({M: self.answer})
        self.address = str(number)
        self.number = number
        self.error = None
        self.go = threading.Event()
        self.go.set()

    def answer(self, arrays):
        self.go.wait(timeout=20)
        if self.error:
            raise self.error
        return {"y": np.array([self.number], np.float32)}


@pytest.fixture
def servers():
    servers = [Server(0), Server(1)]
    yield servers
    for server in servers:
        server.go.set()


def test_another_server_answers_while_the_first_is_silent(servers):
    servers[0].go.clear()
    with Client(transport=servers, retry=SOON) as client:
        assert [ask(client) for _ in range(10)] == [1] * 10
        assert asked(servers)[0] >= 1
        assert in_flight(client) == [asked(servers)[0], 0]  # which keeps further requests away
        servers[0].go.set()
        wait_until(lambda: in_flight(client) == [0, 0])


def test_what_is_answered_soon_is_not_hedged(servers):
    with Client(transport=servers, retry=RetryPolicy(hedge=HedgePolicy(after_s=20.0))) as client:
        for _ in range(20):
            ask(client)
    assert sum(asked(servers)) == 20


@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the second"])
def test_a_failure_of_one_is_none_while_the_other_is_asked(servers, which):
    silent, failing = servers[which], servers[1 - which]
    failing.error = InferenceFailed("broken")
    silent.go.clear()
    failing.go.clear()
    with Client(transport=servers, retry=SOON) as client, ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, client)
        wait_until(lambda: asked(servers) == [1, 1])
        failing.go.set()
        wait_until(lambda: in_flight(client)[1 - which] == 0)
        silent.go.set()
        assert answer.result() == which
    assert asked(servers) == [1, 1]


def test_where_both_fail_the_call_fails(servers):
    for server in servers:
        server.error = InferenceFailed("broken")
        server.go.clear()
    with Client(transport=servers, retry=SOON) as client, ThreadPoolExecutor() as pool:
        answer = pool.submit(ask, client)
        wait_until(lambda: asked(servers) == [1, 1])
        for server in servers:
            server.go.set()
        with pytest.raises(InferenceFailed, match="broken"):
            answer.result()


@pytest.mark.parametrize(
    ("policy", "options", "count"),
    [
        pytest.param(SOON, {}, 1, id="one server"),
        pytest.param(SOON, {"idempotent": False}, 2, id="not idempotent"),
        pytest.param(RetryPolicy(attempts=1, hedge=HedgePolicy(after_s=0.02)), {}, 2, id="one attempt"),
    ],
)
def test_what_is_not_hedged(servers, policy, options, count):
    for server in servers:
        server.go.clear()
        threading.Timer(0.2, server.go.set).start()
    with Client(transport=servers[:count], retry=policy) as client:
        ask(client, **options)
    assert sum(asked(servers)) == 1


def test_hedges_are_paid_from_the_budget():
    def late(arrays):
        time.sleep(0.002)
        return {"y": arrays["x"]}

    servers = [FunctionTransport({M: late}) for _ in range(2)]
    with Client(transport=servers, retry=RetryPolicy(hedge=HedgePolicy(after_s=0.0))) as client:
        for _ in range(200):
            client.infer("m", x=[1.0])
    assert 200 < sum(asked(servers)) <= 200 * 1.2


def test_a_percentile_is_of_the_last_answers_of_the_model():
    latencies, policy = Latencies(), HedgePolicy(percentile=90)
    for number in range(ENOUGH - 1):
        latencies.add("m", float(number))
    assert latencies.late_s(policy, "m") is None
    latencies.add("m", ENOUGH - 1.0)
    assert latencies.late_s(policy, "m") == 0.9 * ENOUGH
    for _ in range(REMEMBERED):
        latencies.add("m", 7.0)
    assert latencies.late_s(policy, "m") == 7.0
    assert latencies.late_s(policy, "n") is None


def test_what_is_later_than_the_percentile_is_hedged(servers):
    with Client(transport=servers, retry=RetryPolicy(hedge=HedgePolicy(percentile=99))) as client:
        for _ in range(REMEMBERED):
            ask(client)
        servers[0].go.clear()
        assert [ask(client, timeout_s=20) for _ in range(4)] == [1] * 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give after_s or percentile"),
        ({"after_s": 1, "percentile": 95}, "give after_s or percentile"),
        ({"after_s": -1}, "after_s is -1, give 0 seconds or more"),
        ({"percentile": 100}, "percentile is 100, give more than 0 and less than 100"),
    ],
    ids=str,
)
def test_an_impossible_hedge_is_refused(given, message):
    with pytest.raises(BadInput, match=message):
        HedgePolicy(**given)
