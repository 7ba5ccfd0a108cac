"""The client of an event loop and real servers: answers, errors and cancellation."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import numpy as np
import pytest

from engineroom.client import (
    AsyncClient,
    BadInput,
    CallError,
    Client,
    DeadlineExceeded,
    InferenceFailed,
    ModelNotFound,
    Rejected,
    RetryPolicy,
    ServerUnavailable,
)

PROTOCOLS = ("grpc", "http")
LENGTH = "Inference-Header-Content-Length"


def in_flight(client):
    return [endpoint.in_flight for endpoint in client._asking.servers._endpoints.all]


@pytest.fixture
def server(pair):
    return pair[0]


X = np.arange(8, dtype=np.float32).reshape(1, 8)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_real_server_answers_many_tasks_each_its_own(server, protocol):
    async def ask():
        url = f"{protocol}://{getattr(server, protocol)}"
        async with AsyncClient(url, timeout_s=120, connect_timeout_s=60) as client:
            assert await client.ready("tiny")
            assert not await client.ready("other")
            assert (await client.metadata("tiny")).inputs[0].name == "x"
            answers = await asyncio.gather(*[client.infer("tiny", x=X + number) for number in range(150)])
            for number, answer in enumerate(answers):
                np.testing.assert_array_equal(answer["y"], 2 * (X + number))
            x = np.arange(8 * 100, dtype=np.float32).reshape(100, 8)
            np.testing.assert_array_equal((await client.infer("tiny", x=x))["y"], 2 * x)
            assert in_flight(client) == [0]

    asyncio.run(ask())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_one_client_answers_many_threads_each_its_own(server, protocol):
    wrong = []

    def work(number):
        for step in range(12):
            x = X + 100 * number + step
            if not np.array_equal(client.infer("tiny", x=x)["y"], 2 * x):
                wrong.append((number, step))

    with Client(f"{protocol}://{getattr(server, protocol)}", timeout_s=120, connect_timeout_s=60) as client:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def outcome(call):
    try:
        return {name: array.tolist() for name, array in call().items()}
    except CallError as error:
        return type(error), str(error)


def both(url, *args, **options):
    """What a call of each client comes to."""

    async def ask():
        async with AsyncClient(url, retry=RetryPolicy(attempts=1), connect_timeout_s=20) as client:
            return await client.infer(*args, **options)

    with Client(url, retry=RetryPolicy(attempts=1), connect_timeout_s=20) as client:
        return outcome(lambda: client.infer(*args, **options)), outcome(lambda: asyncio.run(ask()))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("model", "options", "kind"),
    [
        pytest.param("tiny", {"x": X}, None, id="right"),
        pytest.param("tiny", {"x": X.astype(np.float64)}, BadInput, id="another type"),
        pytest.param("tiny", {"x": X, "outputs": ["z"]}, BadInput, id="an unknown output"),
        pytest.param("tyni", {"x": X}, ModelNotFound, id="an unknown model"),
        pytest.param("tiny", {"x": X, "version": "9"}, ModelNotFound, id="an unknown version"),
        pytest.param("tiny", {"x": X, "timeout_s": 0}, DeadlineExceeded, id="no time"),
    ],
)
def test_both_clients_say_the_same(server, protocol, model, options, kind):
    blocking, waiting = both(f"{protocol}://{getattr(server, protocol)}", model, **options)
    assert blocking == waiting
    assert kind is None or waiting[0] is kind


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param((200, {}, b"<html>"), ServerUnavailable, id="a page"),
        pytest.param((200, {}, b'{"outputs": null}'), ServerUnavailable, id="null outputs"),
        pytest.param((200, {LENGTH: "long"}, b"{}"), ServerUnavailable, id="a length that is no number"),
        pytest.param((429, {"Retry-After": "2"}, b"slow down"), Rejected, id="429"),
        pytest.param((503, {}, b'{"error": "Request timeout expired"}'), Rejected, id="503 of the queue"),
        pytest.param((503, {}, b'{"error": "Server not ready"}'), ServerUnavailable, id="503 of one that ends"),
        pytest.param((502, {}, b"<html>"), ServerUnavailable, id="502"),
        pytest.param((500, {}, b'{"error": "broken"}'), InferenceFailed, id="500"),
        pytest.param((404, {}, b'{"error": "no m"}'), ModelNotFound, id="404"),
    ],
)
def test_both_clients_say_the_same_of_an_odd_answer(counting, answer, kind):
    counting.answer = answer
    blocking, waiting = both(counting.url, "m", x=[1.0])
    assert blocking == waiting
    assert waiting[0] is kind


@pytest.mark.parametrize(("spoken", "protocol"), [("http", "grpc"), ("grpc", "http")])
def test_both_clients_say_the_same_of_the_wrong_protocol(server, spoken, protocol):
    blocking, waiting = both(f"{protocol}://{getattr(server, spoken)}", "tiny", x=X)
    assert blocking == waiting
    assert f"Use {spoken}://" in waiting[1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nobody_and_silence_are_the_same_errors(protocol):
    blocking, waiting = both(f"{protocol}://127.0.0.1:1", "tiny", x=X)
    assert blocking[0] is waiting[0] is ServerUnavailable
    assert waiting[1].startswith(f"no Triton answers at {protocol}://127.0.0.1:1 (")
    assert blocking == waiting or protocol == "grpc"  # which words its own errors as it likes
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{protocol}://127.0.0.1:{silent.getsockname()[1]}"
        blocking, waiting = both(url, "tiny", x=X, timeout_s=0.3)
    assert blocking == waiting
    assert waiting[0] is DeadlineExceeded


def test_the_deadline_travels(counting):
    async def ask():
        async with AsyncClient(counting.url) as client:
            await client.infer("m", x=[1.0], timeout_s=2)

    asyncio.run(ask())
    assert 1_000_000 < counting.bodies[0]["parameters"]["timeout"] <= 2_000_000


def test_a_large_body_goes_over_http(counting):
    counting.CONFIG = counting.CONFIG.replace(b"[1]", b"[500000]")

    async def ask():
        async with AsyncClient(counting.url, shared_memory=False) as client:
            assert (await client.infer("m", x=np.ones(500_000, np.float32)))["y"] == 2

    asyncio.run(ask())
    assert counting.bodies[0]["inputs"][0]["parameters"]["binary_data_size"] == 2_000_000


@asynccontextmanager
async def hung_http():
    """A server that says what the model takes, and is silent when it is asked; tells when a caller hangs up."""
    asked, left = asyncio.Event(), asyncio.Event()
    config = b'{"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]}'

    async def serve(reader, writer):
        while (line := await reader.readline()).strip():
            while (await reader.readline()).strip():
                pass
            if line.startswith(b"POST"):
                asked.set()
                while await reader.read(1000):
                    pass
                left.set()
                break
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(config), config))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked, left


def test_a_cancelled_call_hangs_up():
    async def ask():
        async with hung_http() as (url, asked, left), AsyncClient(url, shared_memory=False) as client:
            call = asyncio.ensure_future(client.infer("m", x=[1.0]))
            await asyncio.wait_for(asked.wait(), 20)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert in_flight(client) == [0]
            await asyncio.wait_for(left.wait(), 20)

    asyncio.run(ask())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_of_another_event_loop_is_refused(server, protocol):
    client = AsyncClient(f"{protocol}://{getattr(server, protocol)}")
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(client.ready())
    with pytest.raises(CallError, match="belongs to the event loop of its first call"):
        asyncio.run(client.ready())
    loop.run_until_complete(client.close())
    loop.close()
