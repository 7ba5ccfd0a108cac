"""gRPC without a gRPC library, against servers that have one, and against servers that misbehave."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from engineroom.client.protocol.transport import Connecting, address_from_url
from engineroom.load.open_loop.grpc import fields_of_request
from engineroom.load.open_loop.http2_frames import END_HEADERS, END_STREAM, Kind, Setting, four, frame, settings_frame
from engineroom.load.open_loop.wire import NotAnswered, Reply
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import METHOD

BIG = bytes(range(256)) * 12_000
"""3 MB: many frames, and many times a window."""
OK = frame(Kind.HEADERS, END_HEADERS, 1, b"\x88")
NO_ERROR = b"\x00\x0bgrpc-status\x010"
CANCELLED = frame(Kind.RST_STREAM, 0, 1, four(8))
"""Of stream 1."""


@contextmanager
def real_server(answer, *options):
    """A server of the gRPC library: `answer(body, context)` gives the bytes of the answer."""

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(answer) if details.method == METHOD else None

    no_limit = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), handlers=(Handler(),), options=[*no_limit, *options])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", server
    finally:
        server.stop(None)


@pytest.mark.parametrize("body", [b"", b"small", BIG], ids=["nothing", "small", "3 MB"])
def test_messages_arrive_as_they_are_both_ways(exchange, body):
    with real_server(lambda got, context: got[::-1]) as (url, _):
        assert exchange(url, body, body) == [Reply(body[::-1])] * 2


def test_many_at_once_on_one_connection(exchange):
    peers = set()

    def answer(body, context):
        peers.add(context.peer())
        return body

    bodies = [str(number).encode() * 100 for number in range(300)]
    with real_server(answer) as (url, _):
        assert exchange(url, *bodies) == [Reply(body) for body in bodies]
    assert len(peers) == 1


def test_a_server_that_limits_calls_gets_more_connections(exchange):
    peers, together = set(), threading.Barrier(6, timeout=20)

    def answer(body, context):
        peers.add(context.peer())
        # Six calls meet here or none comes through: two on a connection, so three connections at least.
        together.wait()
        return body

    with real_server(answer, ("grpc.max_concurrent_streams", 2)) as (url, _):
        assert exchange(url, *[b"body"] * 12, timeout_s=30) == [Reply(b"body")] * 12
    assert 3 <= len(peers) <= 6


@pytest.mark.parametrize(
    ("status", "details", "outcome"),
    [
        (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size", Outcome.REJECTED),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "100 % full: größer", Outcome.REJECTED),
        (grpc.StatusCode.UNAVAILABLE, "not now", Outcome.UNREACHABLE),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", Outcome.LATE),
        (grpc.StatusCode.INVALID_ARGUMENT, "unexpected\nshape", Outcome.REFUSED),
    ],
)
def test_a_status_becomes_an_outcome_with_the_servers_words(exchange, status, details, outcome):
    with real_server(lambda body, context: context.abort(status, details)) as (url, _):
        assert exchange(url, b"x") == [NotAnswered(outcome, f"{status.name}: {details}")]


def test_headers_go_with_every_request_and_the_deadline_travels(exchange):
    seen = []

    def answer(body, context):
        seen.append((dict(context.invocation_metadata())["api-key"], context.time_remaining()))
        return body

    with real_server(answer) as (url, _):
        exchange(url, b"x", b"y", timeout_s=30, headers={"API-Key": "secret"})
    assert [key for key, _ in seen] == ["secret", "secret"]
    assert all(30 < remaining <= 40.1 for _, remaining in seen)


def test_who_waits_too_long_is_late_the_server_hears_of_it_and_the_connection_goes_on(exchange, monkeypatch):
    monkeypatch.setattr("engineroom.load.open_loop.grpc.LEFT_S", 0.2)
    heard = threading.Event()

    def answer(body, context):
        if body == b"slow":
            context.add_callback(heard.set)
            heard.wait(20)
        return body

    with real_server(answer) as (url, _):
        late, answered = exchange(url, b"slow", b"quick", timeout_s=1)
        # The server knows the deadline too: one of the two was first.
        assert late.outcome is Outcome.LATE
        assert answered == Reply(b"quick")
        assert heard.wait(20)


def test_a_server_that_stops_politely_finishes_what_it_has(exchange):
    begun = threading.Event()

    def answer(body, context):
        begun.set()
        threading.Event().wait(0.3)
        return body

    with real_server(answer) as (url, server):
        stopper = threading.Thread(target=lambda: begun.wait(20) and server.stop(20))
        stopper.start()
        assert exchange(url, b"x") == [Reply(b"x")]
        stopper.join()


def scripted(*answers, settings=None):
    """A server that sends its settings, reads one request, sends these bytes, and hangs up."""

    async def serve(reader, writer):
        writer.write(settings_frame(settings or {}))
        await reader.readuntil(b"BODY")
        writer.writelines(answers)
        await writer.drain()
        writer.close()

    return serve


def trailers(flags=END_HEADERS | END_STREAM, block=NO_ERROR):
    return frame(Kind.HEADERS, flags, 1, block)


MESSAGE = b"\0\0\0\0\x03abc"


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers()], id="plain"),
        pytest.param([OK, *(frame(Kind.DATA, 0, 1, MESSAGE[n : n + 1]) for n in range(8)), trailers()], id="in pieces"),
        pytest.param([OK, frame(Kind.DATA, 0x8, 1, b"\2" + MESSAGE + b"\0\0"), trailers()], id="padded"),
        pytest.param([frame(Kind.HEADERS, 0x24, 1, b"\0\0\0\0\x10\x88"), frame(Kind.DATA, 0, 1, MESSAGE), trailers()],
                     id="prioritised"),
        pytest.param([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers(END_STREAM, NO_ERROR[:5]),
                      frame(Kind.CONTINUATION, END_HEADERS, 1, NO_ERROR[5:])], id="fields in two frames"),
        pytest.param([frame(42, 0, 1, b"?"), OK, frame(Kind.DATA, 0, 3, b"of nobody"), frame(Kind.DATA, 0, 1, MESSAGE),
                      frame(Kind.RST_STREAM, 0, 3, four(0)), trailers()], id="frames that mean nothing to us"),
        pytest.param([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers(block=b"\x20" + NO_ERROR)], id="table of 0"),
        pytest.param([frame(Kind.GOAWAY, 0, 0, four(1) + four(0)), OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers()],
                     id="the last one on the connection"),
    ],
)  # fmt: skip
def test_answers_in_any_form(exchange, answers):
    assert exchange(scripted(*answers), b"BODY") == [Reply(b"abc")]


@pytest.mark.parametrize(
    ("answers", "outcome", "reason"),
    [
        ([], Outcome.UNREACHABLE, "closed the connection"),
        ([OK, frame(Kind.DATA, 0, 1, MESSAGE)[:12]], Outcome.UNREACHABLE, "closed the connection"),
        ([b"\0\xff\xff\0\0\0\0\0\1 a frame of 64 KB"], Outcome.UNREACHABLE, "no HTTP/2 as it should be"),
        ([frame(Kind.HEADERS, END_HEADERS, 1, b"\xbe")], Outcome.UNREACHABLE, "header fields cannot be read"),
        ([frame(Kind.HEADERS, END_HEADERS, 1, b"\0\xff\xff\xff")], Outcome.UNREACHABLE, "header fields cannot be read"),
        ([frame(Kind.HEADERS, 0, 1, b"\x88"), OK], Outcome.UNREACHABLE, "begun and not finished"),
        ([frame(Kind.CONTINUATION, 0, 1, b"\x88")], Outcome.UNREACHABLE, "were not begun"),
        ([frame(Kind.HEADERS, 0, 1, b"a" * 9000)]
         + [frame(Kind.CONTINUATION, 0, 1, b"a" * 9000)] * 8, Outcome.UNREACHABLE, "longer than 65536 bytes"),
        ([frame(Kind.DATA, 0x8, 1, b"\xff")], Outcome.UNREACHABLE, "more padding than payload"),
        ([frame(Kind.SETTINGS, 0, 0, b"odd")], Outcome.UNREACHABLE, "no HTTP/2 as it should be"),
        ([frame(Kind.GOAWAY, 0, 0, four(0) + four(11))], Outcome.UNREACHABLE, "GOAWAY, code 11"),
        ([frame(Kind.RST_STREAM, 0, 1, four(7))], Outcome.UNREACHABLE, "RST_STREAM, code 7"),
        ([frame(Kind.RST_STREAM, 0, 1, four(11))], Outcome.REJECTED, "RST_STREAM, code 11"),
        ([frame(Kind.RST_STREAM, 0, 1, four(2))], Outcome.REFUSED, "INTERNAL: "),
        ([OK, frame(Kind.DATA, END_STREAM, 1, MESSAGE)], Outcome.REFUSED, "no gRPC status, HTTP status 200"),
        ([trailers(block=b"\x8d")], Outcome.REFUSED, "UNIMPLEMENTED: no gRPC status, HTTP status 404"),
        ([trailers(block=b"\x00\x0bgrpc-status\x0299")], Outcome.REFUSED, "UNKNOWN: "),
        ([OK, trailers()], Outcome.WRONG, "no uncompressed message"),
        ([OK, frame(Kind.DATA, 0, 1, b"\1" + MESSAGE[1:]), trailers()], Outcome.WRONG, "no uncompressed message"),
        ([OK, frame(Kind.DATA, 0, 1, MESSAGE + b"d"), trailers()], Outcome.WRONG, "no uncompressed message"),
    ],
)  # fmt: skip
def test_servers_that_misbehave_make_outcomes(exchange, answers, outcome, reason):
    (result,) = exchange(scripted(*answers), b"BODY")
    assert result.outcome is outcome
    assert reason in result.reason


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", b"\0" * 200])
def test_another_protocol_on_the_port(exchange, said):
    async def serve(reader, writer):
        writer.write(said)
        await reader.read(10)

    (result,) = exchange(serve, b"BODY")
    assert result.outcome is Outcome.UNREACHABLE
    assert repr(said[:9])[2:-1] in result.reason


def test_a_server_that_says_nothing_makes_callers_late(exchange):
    async def serve(reader, writer):
        await reader.read(-1)

    (result,) = exchange(serve, b"BODY", timeout_s=0.2)
    assert result == NotAnswered(Outcome.LATE, "no answer within 0.2 s")


def test_no_byte_goes_beyond_the_windows(exchange):
    """A window of 10 bytes for each stream, opened by 7 at a time, while pings ask whether anybody is there."""
    sizes, pongs = [], []

    async def serve(reader, writer):
        writer.write(settings_frame({Setting.INITIAL_WINDOW_SIZE: 10}))
        await reader.readuntil(b"SM\r\n\r\n")
        left = 5 + 40
        while left:
            head = await reader.readexactly(9)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            if head[3] == Kind.PING:
                pongs.append((head[4], payload))
            if head[3] == Kind.DATA:
                sizes.append(len(payload))
                left -= len(payload)
                writer.write(frame(Kind.PING, 0, 0, b"12345678"))
                writer.write(frame(Kind.WINDOW_UPDATE, 0, 1, four(7)))
        writer.writelines([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers()])
        await reader.read(-1)

    assert exchange(serve, b"BODY" * 10) == [Reply(b"abc")]
    assert sizes == [10, 7, 7, 7, 7, 7]
    assert set(pongs) == {(1, b"12345678")}


def test_a_timeout_that_eight_digits_cannot_say():
    address = address_from_url("grpc://host:1", Connecting({"Key": "v"}))
    for timeout_s, text in ((0.0001, "10001m"), (2.5, "12500m"), (1e9, "99999999m")):
        assert ("grpc-timeout", text) in fields_of_request(address, timeout_s)
    assert ("key", "v") in fields_of_request(address, 1)


def answer_both(writer):
    """The first call, which nobody waits for any more, and the second."""
    writer.writelines([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers()])
    answers = [frame(Kind.HEADERS, END_HEADERS, 3, b"\x88"), frame(Kind.DATA, 0, 3, MESSAGE)]
    writer.writelines([*answers, frame(Kind.HEADERS, END_HEADERS | END_STREAM, 3, NO_ERROR)])


def test_nothing_is_told_after_the_end(exchange):
    """The server answers when nobody waits any longer, and has not heard of it."""
    heard = b""

    async def serve(reader, writer):
        nonlocal heard
        writer.write(settings_frame({}))
        await reader.readuntil(b"BODY")
        heard = await reader.readuntil(b"BODY")
        answer_both(writer)

    late, answered = exchange(serve, b"BODY", b"BODY", timeout_s=0.3, together=False)
    assert late.outcome is Outcome.LATE
    assert answered == Reply(b"abc")
    assert CANCELLED not in heard


def test_a_call_that_was_given_up_is_cancelled_in_the_end(exchange, monkeypatch):
    monkeypatch.setattr("engineroom.load.open_loop.grpc.LEFT_S", 0.2)

    async def serve(reader, writer):
        writer.write(settings_frame({}))
        for heard in (b"BODY", b"BODY", CANCELLED):
            await reader.readuntil(heard)
        answer_both(writer)

    late, answered = exchange(serve, b"BODY", b"BODY", timeout_s=0.5, together=False)
    assert late.outcome is Outcome.LATE
    assert answered == Reply(b"abc")


def test_the_end_waits_for_what_the_server_still_works_on(exchange):
    ends = []

    async def serve(reader, writer):
        writer.write(settings_frame({}))
        await reader.readuntil(b"BODY")
        await asyncio.sleep(0.4)
        ends.append(reader.at_eof())
        writer.writelines([OK, frame(Kind.DATA, 0, 1, MESSAGE), trailers()])

    (late,) = exchange(serve, b"BODY", timeout_s=0.1)
    assert late.outcome is Outcome.LATE
    assert ends == [False]
