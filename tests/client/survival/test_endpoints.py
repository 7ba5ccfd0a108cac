"""Which of several servers is asked, and what happens when one of them does not answer."""

import time
from collections import Counter
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from one_model import M, ask, asked

from engineroom.client import (
    BadInput,
    Client,
    FunctionTransport,
    ModelNotFound,
    ServerUnavailable,
)
from engineroom.client.survival.breaker import FAILURES
from engineroom.client.survival.endpoints import Endpoints


class Named(FunctionTransport):
    """Answers with 2, or with its error while it has one."""

    def __init__(self, address):
        super().__init__({M: self.answer})
        self.address = address
        self.error = None
        self.closed = False

    def answer(self, arrays):
        if self.error:
            raise self.error
        return {"y": np.array([2.0], np.float32)}

    def ready(self, model, version):
        if self.error:
            raise self.error
        return True

    def close(self):
        self.closed = True


@pytest.fixture
def servers():
    return [Named(name) for name in ("a", "b", "c")]


def test_the_server_with_the_fewest_requests_in_flight_is_taken(servers):
    endpoints = Endpoints(servers)
    with ExitStack() as stack:
        for round_ in range(1, 4):
            for _ in servers:
                stack.enter_context(endpoints.taken())
            assert [endpoint.in_flight for endpoint in endpoints.all] == [round_] * 3
    assert [endpoint.in_flight for endpoint in endpoints.all] == [0] * 3


def test_ties_are_broken_at_random(servers):
    endpoints, taken = Endpoints(servers), Counter()
    for _ in range(300):
        with endpoints.taken() as endpoint:
            taken[endpoint.transport.address] += 1
    assert min(taken["a"], taken["b"], taken["c"]) > 50


@pytest.mark.parametrize("error", [ServerUnavailable("reset"), ModelNotFound("it ends, and has unloaded")], ids=repr)
def test_a_server_that_fails_is_left_and_the_others_answer(servers, error):
    servers[0].error = error
    client, start = Client(transport=servers), time.monotonic()
    for _ in range(200):
        ask(client)
    assert FAILURES <= asked(servers)[0] <= FAILURES + time.monotonic() - start  # then a probe each second
    assert sum(asked(servers)[1:]) == 200


def test_one_request_is_not_sent_twice_to_a_server_while_there_is_another(servers):
    for server in servers:
        server.error = ServerUnavailable("reset")
    with pytest.raises(ServerUnavailable, match=r"^none of a, b, c answers\. The last one: reset$"):
        ask(Client(transport=servers))
    assert asked(servers) == [1, 1, 1]


def test_open_breakers_do_not_keep_callers_from_the_last_servers(servers):
    client = Client(transport=servers)
    for server in servers:
        server.error = ServerUnavailable("reset")
    for _ in range(50):
        with suppress(ServerUnavailable):
            ask(client)
    for server in servers:
        server.error = None
    ask(client)


def test_a_server_that_came_back_unseen_is_asked_when_the_other_one_dies(servers):
    first, second, _ = servers
    first.error = ServerUnavailable("killed")
    client = Client(transport=servers[:2])
    for _ in range(50):
        ask(client)
    assert client._asking.servers._endpoints.all[0].breaker.open
    first.error, second.error = None, ServerUnavailable("killed")
    for _ in range(50):
        ask(client)


def test_an_unknown_model_is_unknown_everywhere(servers):
    with Client(transport=servers) as client, pytest.raises(ModelNotFound, match="Loaded: m"):
        client.infer("n", x=[1.0])


def test_names_that_no_server_knows_open_no_breaker(servers):
    client = Client(transport=servers)
    for _ in range(30):
        with pytest.raises(ModelNotFound):
            client.metadata("n", "")
    assert not any(endpoint.breaker.open for endpoint in client._asking.servers._endpoints.all)


def test_some_server_is_ready(servers):
    client = Client(transport=servers)
    servers[0].error = servers[1].error = ServerUnavailable("gone")
    assert client.ready("", "")
    servers[2].error = ServerUnavailable("gone")
    assert not client.ready("", "")


def test_every_server_is_closed_and_named(servers):
    client = Client(transport=servers)
    assert client.address == "a, b, c"
    client.close()
    assert all(server.closed for server in servers)


def test_no_address_is_refused():
    with pytest.raises(BadInput, match="no server address is given"):
        Client([])
