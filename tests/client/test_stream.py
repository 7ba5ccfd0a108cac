"""Streams of a real decoupled model, and of a function in its place."""

import asyncio
import shutil
import threading
import time
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import (
    AsyncClient,
    AsyncFunctionTransport,
    BadInput,
    Client,
    DeadlineExceeded,
    FunctionTransport,
    InferenceFailed,
    ModelMetadata,
    ModelNotFound,
    RetryPolicy,
    ServerUnavailable,
    TensorMetadata,
)
from engineroom.serve.server import ServerOptions, running

MODELS = Path(__file__).parent / "models"
ONCE = RetryPolicy(attempts=1)
FOR_EVER = 1_000_000


def counting(count, pause_ms=0, complaint=""):
    return {
        "count": np.array([[count]], np.int32),
        "pause_ms": np.array([[pause_ms]], np.int32),
        "complaint": [[complaint]],
    }


def numbers(answers):
    return [answer["number"].item() for answer in answers]


@pytest.fixture(scope="module")
def counter(tmp_path_factory):
    """A repository with a decoupled model, `counter`, and one that is none, `once`."""
    repository = tmp_path_factory.mktemp("streams") / "models"
    return Path(shutil.copytree(MODELS, repository, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def server(counter):
    with running(ServerOptions(counter, drain_s=0)) as server:
        yield server


@pytest.fixture
def client(server):
    with Client(f"grpc://{server.grpc}", timeout_s=20) as client:
        yield client


def wait_until_idle(client, limit_s=10):
    """The model says in its answer how many of its requests are still being answered."""
    deadline = time.monotonic() + limit_s
    while True:
        (answer,) = client.stream("counter", counting(1))
        if answer["others"].item() == 0:
            return
        assert time.monotonic() < deadline, "the server still works on a stream that nobody reads"
        time.sleep(0.05)


@pytest.mark.parametrize("count", [0, 1, 50])
def test_a_stream_gives_every_answer_and_ends(client, count):
    assert numbers(client.stream("counter", counting(count))) == list(range(count))


def test_answers_come_as_they_are_given(client):
    answers = client.stream("counter", counting(FOR_EVER, pause_ms=20))
    assert [next(answers)["number"].item() for _ in range(3)] == [0, 1, 2]
    answers.close()
    wait_until_idle(client)


def test_a_stream_that_is_dropped_is_cancelled(client):
    for answer in client.stream("counter", counting(FOR_EVER, pause_ms=1)):
        if answer["number"].item() == 5:
            break
    wait_until_idle(client)


def test_outputs_are_selected(client):
    (answer,) = client.stream("counter", counting(1), outputs=["number"])
    assert list(answer) == ["number"]


def test_the_model_s_own_error_ends_the_stream(client):
    answers = client.stream("counter", counting(2, complaint="out of numbers"))
    assert [next(answers)["number"].item() for _ in range(2)] == [0, 1]
    with pytest.raises(InferenceFailed, match=r"^counter: .* answers: out of numbers"):
        next(answers)


def test_a_deadline_holds_for_the_whole_stream(client):
    with pytest.raises(DeadlineExceeded, match=r"counter: the stream from .* did not end within 0\.\d+ s"):
        list(client.stream("counter", counting(FOR_EVER, pause_ms=5), timeout_s=0.5))
    wait_until_idle(client)


def test_several_streams_at_once_do_not_mix(client):
    found = {}

    def read(index):
        found[index] = numbers(client.stream("counter", counting(20 + index, pause_ms=1)))

    readers = [threading.Thread(target=read, args=(index,)) for index in range(6)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(timeout=30)
    assert found == {index: list(range(20 + index)) for index in range(6)}


def test_streams_leave_no_thread(client):
    list(client.stream("counter", counting(2)))
    before = threading.active_count()
    for _ in range(10):
        next(client.stream("counter", counting(FOR_EVER, pause_ms=1)))
    deadline = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline, [thread.name for thread in threading.enumerate()]
        time.sleep(0.02)


def test_a_model_that_answers_once_may_be_streamed(client):
    (answer,) = client.stream("once", x=np.ones((1, 1), np.float32))
    assert answer["y"].tolist() == [[2.0]]


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_plain_call_of_a_decoupled_model_is_refused(server, protocol):
    with (
        Client(f"{protocol}://{getattr(server, protocol)}") as client,
        pytest.raises(BadInput, match=r"counter: is decoupled, .* Use client\.stream, over gRPC"),
    ):
        client.infer("counter", counting(1))


def test_http_carries_no_streams(server):
    with (
        Client(f"http://{server.http}") as client,
        pytest.raises(BadInput, match=r"http://.* carries no streams, only gRPC does\. Use grpc://"),
    ):
        client.stream("counter", counting(1))


def test_of_two_servers_the_one_that_speaks_grpc_is_asked(server):
    with Client([f"http://{server.http}", f"grpc://{server.grpc}"]) as client:
        for _ in range(5):
            assert numbers(client.stream("counter", counting(3))) == [0, 1, 2]


def test_nothing_is_sent_when_an_input_is_wrong(client):
    with pytest.raises(BadInput, match="input 'count' has dtype int64"):
        client.stream("counter", {**counting(1), "count": np.array([[1]])})
    with pytest.raises(BadInput, match="a stream takes one batch, of at most 4 rows"):
        client.stream("counter", {name: np.repeat(np.asarray(value), 5, 0) for name, value in counting(1).items()})


def test_an_unknown_model_is_told_at_the_call(client):
    with pytest.raises(ModelNotFound, match=r"Did you mean 'counter'\?"):
        client.stream("conter", counting(1))


def test_a_model_that_is_unloaded_meanwhile_is_not_found(client):
    client.metadata("once")
    client._asking.servers._endpoints.all[0].transport.transport._client.unload_model("once")
    with pytest.raises(ModelNotFound, match=r"once: .* has not loaded it"):
        list(client.stream("once", x=np.ones((1, 1), np.float32)))


def test_a_server_that_dies_is_one_error_before_the_first_answer_and_after_it(counter):
    with running(ServerOptions(counter, drain_s=0)) as server, Client(f"grpc://{server.grpc}", retry=ONCE) as client:
        streams = [client.stream("counter", counting(FOR_EVER, pause_ms=10)) for _ in range(2)]
        assert next(streams[0])["number"].item() == 0
        server.process.kill()
        server.process.wait()
        for answers in streams:
            with pytest.raises(ServerUnavailable, match="no Triton answers at grpc://"):
                list(answers)


WORDS = ModelMetadata("words", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),), 1, "", True)
X = np.ones((1, 1), np.float32)


class Broken(FunctionTransport):
    """Fails as often as it is told before the first answer, or after it."""

    before, after = 0, 0

    def stream(self, request):
        self.requests.append(request)
        if len(self.requests) <= self.before:
            raise ServerUnavailable("gone")
        yield {"y": X}
        if len(self.requests) <= self.after:
            raise ServerUnavailable("gone")


@pytest.fixture
def broken():
    return Broken({WORDS: lambda arrays: []})


def test_a_function_gives_the_answers_of_a_decoupled_model():
    transport = FunctionTransport({WORDS: lambda arrays: ({"y": arrays["x"] * factor} for factor in (1, 2))})
    with Client(transport=transport) as client:
        assert [answer["y"].item() for answer in client.stream("words", x=X)] == [1, 2]


def test_a_stream_is_repeated_before_its_first_answer(broken):
    broken.before = 2
    with Client(transport=broken) as client:
        assert len(list(client.stream("words", x=X))) == 1
    assert len(broken.requests) == 3


def test_a_stream_is_not_repeated_after_its_first_answer(broken):
    broken.after = 1
    with Client(transport=broken) as client, pytest.raises(ServerUnavailable, match="gone"):
        list(client.stream("words", x=X))
    assert len(broken.requests) == 1


def test_a_stream_that_may_not_be_repeated_is_not(broken):
    broken.before = 1
    with Client(transport=broken) as client, pytest.raises(ServerUnavailable, match="gone"):
        list(client.stream("words", x=X, idempotent=False))
    assert len(broken.requests) == 1


def in_loop(server, test, protocol="grpc"):
    """Run a coroutine function with a client of the event loop; no task of its may be left."""

    async def run():
        async with AsyncClient(f"{protocol}://{getattr(server, protocol)}", timeout_s=20) as client:
            return await test(client)

    return asyncio.run(run())


async def numbers_in_loop(answers):
    return [answer["number"].item() async for answer in answers]


def test_streams_of_an_event_loop_do_not_mix(server):
    async def test(client):
        streams = (client.stream("counter", counting(20 + index, pause_ms=1)) for index in range(6))
        return await asyncio.gather(*map(numbers_in_loop, streams))

    assert in_loop(server, test) == [list(range(20 + index)) for index in range(6)]


def test_a_stream_of_an_event_loop_is_cancelled_with_its_task_and_when_it_is_closed(server, client):
    async def test(client):
        async with aclosing(client.stream("counter", counting(FOR_EVER, pause_ms=5))) as answers:
            assert (await anext(answers))["number"].item() == 0
        reader = asyncio.ensure_future(numbers_in_loop(client.stream("counter", counting(FOR_EVER, pause_ms=5))))
        await asyncio.sleep(0.2)
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    in_loop(server, test)
    wait_until_idle(client)


@pytest.mark.parametrize(
    ("asked", "options", "kind", "message"),
    [
        (counting(2, complaint="no more"), {}, InferenceFailed, r"^counter: .* answers: no more"),
        (counting(FOR_EVER, 5), {"timeout_s": 0.5}, DeadlineExceeded, "counter: the stream from .* did not end within"),
        ({"count": [[1]]}, {}, BadInput, "is missing"),
    ],
    ids=["the model's", "deadline", "input"],
)
def test_errors_of_a_stream_in_an_event_loop(server, asked, options, kind, message):
    async def test(client):
        with pytest.raises(kind, match=message):
            await numbers_in_loop(client.stream("counter", asked, **options))

    in_loop(server, test)


def test_http_carries_no_streams_in_an_event_loop_either(server):
    async def test(client):
        with pytest.raises(BadInput, match=r"carries no streams, only gRPC does"):
            await numbers_in_loop(client.stream("counter", counting(1)))

    in_loop(server, test, "http")


def test_an_asynchronous_generator_gives_the_answers_of_a_decoupled_model():
    async def both(arrays):
        yield {"y": arrays["x"]}
        yield {"y": arrays["x"] * 2}

    async def test():
        async with AsyncClient(transport=AsyncFunctionTransport({WORDS: both})) as client:
            return [answer["y"].item() async for answer in client.stream("words", x=X)]

    assert asyncio.run(test()) == [1, 2]
