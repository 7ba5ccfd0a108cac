"""A server that takes requests and answers nothing: it is given up, or another one is asked meanwhile."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack

import numpy as np
import pytest
from one_model import M, ask, asked, in_flight
from relay import Hanging
from waiting import wait_until

from engineroom.client import (
    AsyncClient,
    BadInput,
    Client,
    DeadlineExceeded,
    FunctionTransport,
    HedgePolicy,
    RetryPolicy,
    ServerUnavailable,
)
from engineroom.client.survival.budget import SPARE


@pytest.fixture
def hanging(pair):
    """A relay to each of two real servers, by protocol, which hangs when it is told to."""
    with ExitStack() as stack:
        yield {
            protocol: [stack.enter_context(Hanging(getattr(server, protocol))) for server in pair]
            for protocol in ("grpc", "http")
        }


def urls(hanging, protocol):
    return [f"{protocol}://{relay.address}" for relay in hanging[protocol]]


X = np.arange(8, dtype=np.float32).reshape(1, 8)
POLICIES = [
    pytest.param(RetryPolicy(hedge=HedgePolicy(after_s=0.2)), id="hedged"),
    # Many attempts: the last one has all the time that is left, and should not be for the server that hangs where this
    # machine keeps the other one from answering for a moment.
    pytest.param(RetryPolicy(attempts=8, attempt_s=0.5), id="an attempt has its own limit"),
]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_server_that_hangs_keeps_no_call_from_its_answer(hanging, protocol, policy):
    with Client(urls(hanging, protocol), retry=policy) as client:
        for _ in range(20):
            client.infer("tiny", x=X)
        with hanging[protocol][0].silent():
            for _ in range(8):
                np.testing.assert_array_equal(client.infer("tiny", x=X, timeout_s=20)["y"], 2 * X)


@pytest.mark.parametrize("policy", POLICIES)
def test_nor_in_an_event_loop(hanging, policy):
    async def ask():
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(AsyncClient(urls(hanging, protocol), retry=policy))
                for protocol in ("grpc", "http")
            ]
            for client in clients:
                await asyncio.gather(*[client.infer("tiny", x=X) for _ in range(8)])
            with hanging["grpc"][0].silent(), hanging["http"][0].silent():
                calls = [client.infer("tiny", x=X, timeout_s=20) for client in clients for _ in range(4)]
                for answer in await asyncio.gather(*calls):
                    np.testing.assert_array_equal(answer["y"], 2 * X)
            assert [in_flight(client) for client in clients] == [[0, 0]] * 2

    asyncio.run(ask())


def test_without_either_a_hung_server_costs_the_whole_deadline(hanging):
    with Client(urls(hanging, "grpc")) as client:
        client.metadata("tiny")
        with hanging["grpc"][0].silent(), hanging["grpc"][1].silent(), pytest.raises(DeadlineExceeded):
            client.infer("tiny", x=X, timeout_s=0.5)


def test_silence_counts_against_a_server(hanging):
    with Client(urls(hanging, "grpc")[:1], retry=RetryPolicy(attempts=2, attempt_s=0.1, backoff_s=0.0)) as client:
        client.metadata("tiny")
        (endpoint,) = client._asking.servers._endpoints.all
        with hanging["grpc"][0].silent():
            for _ in range(3):
                with pytest.raises(DeadlineExceeded, match=r"^tiny: no answer from .* within 0.3 s"):
                    client.infer("tiny", x=X, timeout_s=0.3)
        assert endpoint.breaker.open
        assert endpoint.in_flight == 0


class Mute(FunctionTransport):
    """Answers, or is silent while it hangs, to the end of all its attempts."""

    def __init__(self):
        super().__init__({M: lambda arrays: {"y": arrays["x"]}})
        self.hangs = False
        self.end = threading.Event()

    def infer(self, request):
        answer = super().infer(request)
        if self.hangs:
            assert self.end.wait(timeout=20)
            raise DeadlineExceeded("silent")
        return answer


def test_all_that_is_in_flight_at_a_server_that_hangs_is_answered_by_the_other():
    callers, servers = 40, [Mute(), Mute()]
    with (
        Client(transport=servers, retry=RetryPolicy(attempt_s=30.0), timeout_s=60) as client,
        ThreadPoolExecutor(callers) as pool,
    ):
        client.metadata("m")
        servers[0].hangs = True
        other = client._asking.servers._endpoints.all[1]
        other.in_flight += 2 * callers  # so that all of them ask the first one
        answers = [pool.submit(ask, client) for _ in range(callers)]
        wait_until(lambda: asked(servers) == [callers, 0])
        other.in_flight -= 2 * callers
        servers[0].end.set()
        assert [answer.result() for answer in answers] == [1] * callers
    assert asked(servers) == [callers, callers]


def test_attempts_at_a_server_that_answers_others_are_within_the_budget():
    callers, servers = 40, [Mute(), Mute()]
    with (
        Client(transport=servers, retry=RetryPolicy(attempt_s=30.0), timeout_s=60) as client,
        ThreadPoolExecutor(callers) as pool,
    ):
        client.metadata("m")
        servers[0].hangs = True
        other = client._asking.servers._endpoints.all[1]
        other.in_flight += 2 * callers
        answers = [pool.submit(ask, client) for _ in range(callers)]
        wait_until(lambda: asked(servers) == [callers, 0])
        servers[0].hangs = False
        ask(client)  # which it answers
        assert asked(servers) == [callers + 1, 0]
        other.in_flight -= 2 * callers
        servers[0].end.set()
        failed = sum(isinstance(answer.exception(), ServerUnavailable) for answer in answers)
    assert callers - failed == asked(servers)[1] == SPARE


def test_attempts_at_silent_servers_are_within_the_budget():
    servers = [Mute(), Mute()]
    with Client(transport=servers, retry=RetryPolicy(attempt_s=30.0), timeout_s=60) as client:
        client.metadata("m")
        for server in servers:
            server.hangs = True
            server.end.set()
        for _ in range(100):
            with pytest.raises((ServerUnavailable, DeadlineExceeded)):
                client.infer("m", x=[1.0])
    assert 100 < sum(asked(servers)) <= 100 * 1.2


def test_the_last_attempt_and_what_must_not_be_repeated_have_all_that_is_left():
    server = Mute()
    with Client(transport=server, retry=RetryPolicy(attempts=2, attempt_s=0.5), timeout_s=9) as client:
        ask(client)
        ask(client, idempotent=False)
        server.hangs = True
        server.end.set()
        with pytest.raises(DeadlineExceeded):
            ask(client)
    limits = [request.timeout_s < 1 for request in server.requests]
    assert limits == [True, False, True, False]


def test_a_limit_of_nothing_is_refused():
    with pytest.raises(BadInput, match="attempt_s is 0, give more than 0 seconds, or None"):
        RetryPolicy(attempt_s=0)
