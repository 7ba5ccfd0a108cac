"""How much load repetitions add: counted where they arrive."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from engineroom.client import (
    CallError,
    Client,
    FunctionTransport,
    ModelMetadata,
    ModelNotFound,
    RetryPolicy,
    ServerUnavailable,
    TensorMetadata,
)
from engineroom.client.survival.breaker import FAILURES
from engineroom.client.survival.budget import SPARE, RetryBudget

M = ModelMetadata("m", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),))
SHARE = 0.2
STUBBORN = RetryPolicy(attempts=50, backoff_s=0.0)
GONE = ServerUnavailable("gone")


class Server(FunctionTransport):
    """Answers, or fails while it has an error; holds its requests while the gate is closed."""

    def __init__(self, address="a"):
        super().__init__({M: self.answer})
        self.address = address
        self.error = None
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, arrays):
        assert self.gate.wait(timeout=20)
        if self.error:
            raise self.error
        return {"y": np.array([2.0], np.float32)}


def call(client, requests):
    """How many of so many calls, one after the other, are answered."""
    answered = 0
    for _ in range(requests):
        with suppress(CallError):
            client.infer("m", x=[1.0])
            answered += 1
    return answered


def arrived(servers):
    return sum(len(server.requests) for server in servers)


def most(requests):
    """Repetitions that so many requests may cost."""
    return max(SPARE, SHARE * requests)


@pytest.mark.parametrize("healthy", [0, 1000])
@pytest.mark.parametrize("requests", [1, 49, 60, 500, 5000])
def test_of_an_outage_a_share_is_repeated_or_ten(healthy, requests):
    budget, spent = RetryBudget(SHARE), 0
    for _ in range(healthy):
        budget.earn()
    for _ in range(requests):
        budget.earn()
        while budget.spend():
            spent += 1
    assert most(requests) - 1 <= spent <= most(requests)


def test_of_any_requests_in_a_row_a_share_is_repeated_and_ten():
    chance = random.Random(0)
    budget, surplus, worst = RetryBudget(SHARE), 0.0, 0.0
    for _ in range(20_000):
        budget.earn()
        surplus = max(0.0, surplus - SHARE)
        for _ in range(*chance.choices([0, 1, 20], [100, 5, 1])):
            surplus += budget.spend()
        worst = max(worst, surplus)
    assert SPARE - 1 < worst <= SPARE + 1e-6


def test_what_is_lent_costs_nothing_until_it_fails():
    budget = RetryBudget(SHARE)
    assert all(budget.lends() for _ in range(1000))
    for _ in range(11):
        budget.charge()
    assert not budget.lends()
    assert not budget.spend()
    for _ in range(55):
        budget.earn()
    assert budget.lends()
    assert not budget.spend()
    for _ in range(50):
        budget.earn()
    assert all(budget.spend() for _ in range(SPARE))


@pytest.mark.parametrize("count", [1, 3], ids=["one server", "three servers"])
@pytest.mark.parametrize("healthy", [0, 60], ids=["from the start", "after a healthy time"])
@pytest.mark.parametrize("requests", [3, 20, 200], ids=["a moment", "a short one", "a long one"])
@pytest.mark.parametrize("policy", [RetryPolicy(backoff_s=0.0), STUBBORN], ids=["default", "stubborn"])
def test_an_outage_of_all_servers(count, healthy, requests, policy):
    servers = [Server(str(number)) for number in range(count)]
    with Client(transport=servers, retry=policy) as client:
        assert call(client, healthy) == healthy
        for server in servers:
            server.error = GONE
        before = arrived(servers)
        assert call(client, requests) == 0
    assert requests < arrived(servers) - before <= requests + most(requests)


def test_outages_one_after_the_other():
    server = Server()
    with Client(transport=server, retry=STUBBORN) as client:
        for _ in range(20):
            server.error = GONE
            call(client, 5)
            server.error = None
            call(client, 5)
    assert len(server.requests) <= 200 + most(200)


def test_an_outage_of_one_of_two_servers_adds_no_load_to_the_other():
    servers = [Server("a"), Server("b")]
    servers[0].error = GONE
    start = time.monotonic()
    with Client(transport=servers) as client:
        assert call(client, 300) == 300
    assert len(servers[1].requests) == 300
    assert len(servers[0].requests) <= FAILURES + time.monotonic() - start + 1  # and a probe each second


@pytest.mark.parametrize("error", [GONE, ModelNotFound("it ends")], ids=repr)
def test_all_that_is_in_flight_at_a_server_that_dies_is_answered_by_the_other(error):
    callers, servers = 80, [Server("a"), Server("b")]
    for server in servers:
        server.gate.clear()
    with Client(transport=servers) as client, ThreadPoolExecutor(callers) as pool:
        client.metadata("m")
        answers = [pool.submit(client.infer, "m", x=[1.0]) for _ in range(callers)]
        while arrived(servers) < callers:
            time.sleep(0.001)
        assert [len(server.requests) for server in servers] == [callers / 2] * 2
        servers[0].error = error
        for server in reversed(servers):
            server.gate.set()
        assert all(answer.result()["y"] == 2 for answer in answers)
    assert arrived(servers) <= callers * 1.5


def test_when_the_last_server_dies_the_floor_is_what_was_in_flight():
    callers, rounds, servers = 40, 10, [Server("a"), Server("b")]
    for server in servers:
        server.error = GONE
        server.gate.clear()
    with Client(transport=servers, retry=STUBBORN) as client, ThreadPoolExecutor(callers) as pool:
        client.metadata("m")
        for _ in range(callers):
            pool.submit(call, client, rounds)
        while arrived(servers) < callers:
            time.sleep(0.001)
        for server in servers:
            server.gate.set()
    requests = callers * rounds
    assert requests < arrived(servers) <= requests + max(callers, SHARE * requests)


def test_a_name_that_no_server_knows_is_asked_for_within_the_budget():
    class Asked(Server):
        asked = 0

        def metadata(self, model, version):
            self.asked += 1
            return super().metadata(model, version)

    servers = [Asked("a"), Asked("b")]
    with Client(transport=servers) as client:
        for _ in range(200):
            with pytest.raises(ModelNotFound):
                client.metadata("n")
    # each error lists what is loaded, which is one request more, and earns
    assert sum(server.asked for server in servers) <= 200 + most(400)
