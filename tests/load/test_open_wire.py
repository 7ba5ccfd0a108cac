import asyncio
import selectors
import time

import numpy as np
import pytest

from engineroom.client.transport import address_from_url
from engineroom.load.answers import KEPT_BYTES, Comparison
from engineroom.load.fine_loop import FineSelector, fine_loop
from engineroom.load.open_wire import NotAnswered, Reply, http_head, open_caller, status_and_headers
from engineroom.load.outcome import Outcome, outcome_from_grpc, outcome_from_http
from engineroom.load.prepared import Request
from engineroom.repository.golden import Golden

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def request_of_6():
    x = np.ones((1, 1), np.float32)
    return Request("stall", 1, b"012345", 2, Golden("stall", {"x": x}, {"y": x}))


def exchange(request, *answers):
    """What a request over HTTP comes to, one after the other, at a server that sends these bytes and hangs up."""

    async def play():
        left = list(answers)

        async def serve(reader, writer):
            await reader.readuntil(b"012345")
            writer.write(left.pop(0))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        way = open_caller(address_from_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"), 5)
        try:
            return [await way.send(request) for _ in answers]
        finally:
            await way.close()
            server.close()

    loop = fine_loop()
    try:
        return loop.run_until_complete(play())
    finally:
        loop.close()


def test_an_answer_over_http(request_of_6):
    head = b"Content-Length: 3\r\nInference-Header-Content-Length: 2\r\nConnection: close\r\n\r\n"
    replies = exchange(request_of_6, OK + head + b"abc", OK + head + b"def")
    assert replies == [Reply(b"abc", 2), Reply(b"def", 2)]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(b"", Outcome.UNREACHABLE, id="hangs up"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nabc", Outcome.UNREACHABLE, id="hangs up half-way"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", Outcome.WRONG, id="another protocol"),
        pytest.param(OK + b"\r\n", Outcome.WRONG, id="no length"),
        pytest.param(OK + b"Content-Length: many\r\n\r\n", Outcome.WRONG, id="a length that is none"),
        pytest.param(b"x" * 200_000, Outcome.WRONG, id="an endless head"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Outcome.REJECTED, id="busy"),
        pytest.param(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno", Outcome.REFUSED, id="refused"),
    ],
)
def test_no_answer_over_http(request_of_6, answer, outcome):
    with pytest.raises(NotAnswered) as caught:
        exchange(request_of_6, answer)
    assert caught.value.outcome is outcome


def test_nobody_listens(request_of_6, unused_port):
    async def play(protocol):
        way = open_caller(address_from_url(f"{protocol}://127.0.0.1:{unused_port}"), 5)
        try:
            await way.send(request_of_6)
        finally:
            await way.close()

    for protocol in ("http", "grpc"):
        with pytest.raises(NotAnswered) as caught:
            asyncio.run(play(protocol))
        assert caught.value.outcome is Outcome.UNREACHABLE


@pytest.fixture
def unused_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_a_head_says_where_the_tensors_begin_and_carries_the_key(request_of_6):
    head = http_head(address_from_url("http://host:8000", {"api-key": "secret"}), request_of_6).decode()
    assert head.startswith("POST /v2/models/stall/infer HTTP/1.1\r\n")
    for line in ("Host: host:8000", "Content-Length: 6", "Inference-Header-Content-Length: 2", "api-key: secret"):
        assert f"\r\n{line}\r\n" in head
    assert head.endswith("\r\n\r\n")


def test_fields_of_a_head_are_found_whatever_their_letters():
    assert status_and_headers(b"HTTP/1.1 404 Not Found\r\nCONTENT-length: 7\r\n\r\n")[0] == 404


@pytest.mark.parametrize(
    ("code", "details", "outcome"),
    [
        ("UNAVAILABLE", "Request timeout expired", Outcome.REJECTED),
        ("UNAVAILABLE", "failed to connect", Outcome.UNREACHABLE),
        ("RESOURCE_EXHAUSTED", "", Outcome.REJECTED),
        ("DEADLINE_EXCEEDED", "", Outcome.LATE),
        ("INVALID_ARGUMENT", "unexpected shape", Outcome.REFUSED),
    ],
)
def test_what_a_grpc_status_means(code, details, outcome):
    assert outcome_from_grpc(code, details) is outcome


def test_a_rejection_by_triton_over_http():
    assert outcome_from_http(400, b'{"error":"Exceeds maximum queue size"}') is Outcome.REJECTED


def test_an_answer_is_read_once(request_of_6):
    body = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[1.0]}]}'
    comparison = Comparison()
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.RIGHT
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.RIGHT
    # The same bytes are no right answer to another request.
    other = Request("stall", 1, b"", 2, request_of_6.golden.batch(0, 2))
    assert comparison.outcome(1, other, Reply(body)) is Outcome.WRONG
    assert "shape" in comparison.reason
    assert len(body) < KEPT_BYTES


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"outputs":[{}]}'])
def test_garbage_is_a_wrong_answer(request_of_6, body):
    comparison = Comparison()
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.WRONG
    assert comparison.reason


def test_the_loop_wakes_between_milliseconds():
    def quickest_s(selector):
        def wait_s():
            begun = time.perf_counter()
            selector.select(0.0002)
            return time.perf_counter() - begun

        with selector:
            return min(wait_s() for _ in range(100))

    assert quickest_s(FineSelector()) < 0.0009 < quickest_s(selectors.EpollSelector())
