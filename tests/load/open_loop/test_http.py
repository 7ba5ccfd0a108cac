"""HTTP/1.1 of the open loop, against servers that misbehave."""

import socket

import pytest

from engineroom.client.protocol.transport import Connecting, address_from_url
from engineroom.load.open_loop.http import head_from_lines, head_of_request
from engineroom.load.open_loop.wire import NotAnswered, Reply
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request

OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: 3\r\nInference-Header-Content-Length: 2\r\n\r\nabc"


def scripted(*answers):
    """A server that answers the first request of each connection with the next of these, and hangs up."""
    left = list(answers)

    async def serve(reader, writer):
        await reader.readuntil(b"012345")
        writer.write(left.pop(0))
        await writer.drain()
        writer.close()

    return serve


def test_an_answer_and_a_new_connection_where_the_server_closes(exchange):
    closing = WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    replies = exchange(scripted(closing, closing), b"012345", b"012345", scheme="http", together=False)
    assert replies == [Reply(b"abc", 2)] * 2


def test_a_connection_is_kept_and_used_again(exchange):
    connections = []

    async def serve(reader, writer):
        connections.append(writer)
        for _ in range(3):
            await reader.readuntil(b"012345")
            # In pieces: a head may end anywhere.
            for at in range(len(WHOLE)):
                writer.write(WHOLE[at : at + 1])
                await writer.drain()

    assert exchange(serve, *[b"012345"] * 3, scheme="http", together=False) == [Reply(b"abc", 2)] * 3
    assert len(connections) == 1


def test_bytes_that_nobody_asked_for_are_not_the_next_answer(exchange):
    answers = [WHOLE + OK, WHOLE]

    async def serve(reader, writer):
        await reader.readuntil(b"012345")
        writer.write(answers.pop(0))
        await reader.read(-1)

    assert exchange(serve, b"012345", b"012345", scheme="http", together=False) == [Reply(b"abc", 2)] * 2


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        pytest.param(b"", Outcome.UNREACHABLE, id="hangs up"),
        pytest.param(OK + b"Content-Length: 9\r\n\r\nabc", Outcome.UNREACHABLE, id="hangs up half-way"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", Outcome.WRONG, id="another protocol"),
        pytest.param(OK + b"\r\n", Outcome.WRONG, id="no length"),
        pytest.param(OK + b"Content-Length: many\r\n\r\n", Outcome.WRONG, id="a length that is none"),
        pytest.param(OK + b"Content-Length: -1\r\n\r\n", Outcome.WRONG, id="a length below 0"),
        pytest.param(b"x" * 200_000, Outcome.WRONG, id="an endless head"),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", Outcome.REJECTED, id="busy"),
        pytest.param(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\nno", Outcome.REFUSED, id="refused"),
    ],
)
def test_no_answer_over_http(exchange, answer, outcome):
    (result,) = exchange(scripted(answer), b"012345", scheme="http")
    assert isinstance(result, NotAnswered)
    assert result.outcome is outcome
    assert result.reason


def test_a_server_that_says_nothing_makes_callers_late_and_keeps_none_of_their_connections(exchange):
    ended = []

    async def serve(reader, writer):
        ended.append(await reader.read(-1))

    late = NotAnswered(Outcome.LATE, "no answer within 0.2 s")
    assert exchange(serve, b"012345", b"012345", scheme="http", timeout_s=0.2, together=False) == [late, late]
    assert len(ended) >= 1


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nobody_listens(exchange, scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    (result,) = exchange(f"{scheme}://127.0.0.1:{port}", b"x")
    assert result.outcome is Outcome.UNREACHABLE


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_process_without_descriptors_could_not_send(exchange, monkeypatch, scheme):
    async def no_more(*_, **__):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("asyncio.BaseEventLoop.create_connection", no_more)
    (result,) = exchange(f"{scheme}://127.0.0.1:1", b"x")
    assert result.outcome is Outcome.UNSENT


def test_a_head_says_where_the_tensors_begin_and_carries_the_key():
    request = Request("stall", 1, b"012345", 2, None)
    head = head_of_request(address_from_url("http://host:8000", Connecting({"api-key": "secret"})), request).decode()
    assert head.startswith("POST /v2/models/stall/infer HTTP/1.1\r\n")
    for line in ("Host: host:8000", "Content-Length: 6", "Inference-Header-Content-Length: 2", "api-key: secret"):
        assert f"\r\n{line}\r\n" in head
    assert head.endswith("\r\n\r\n")


def test_fields_of_a_head_are_found_whatever_their_letters():
    head = head_from_lines(b"HTTP/1.1 404 Not Found\r\nCONTENT-length: 7\r\n\r\n")
    assert (head.status, head.body_bytes, head.keeps) == (404, 7, True)
    assert not head_from_lines(b"HTTP/1.0 200 OK\r\ncontent-length: 7\r\n\r\n").keeps
