"""A caller over gRPC who gives up: told at once; the server is told of it only where it bears that."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from waiting import wait_until

from engineroom.client import AsyncClient, Client, DeadlineExceeded
from engineroom.client.protocol import giving_up, over_grpc, over_grpc_async
from engineroom.client.protocol.giving_up import LEFT_S, bears_cancelling

CONFIG = {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]}
OLD, NEW = "2.51.0", "2.57.0"


class Triton(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Works on a request until it is told to answer, and knows what became of each.

    Args:
        version: What it says of itself; nothing where it has no metadata.
    """

    def __init__(self, version):
        self.version = version
        self.answers = threading.Event()
        self.left_s, self.cancelled, self.answered, self.versions_asked = [], [], [], 0

    def ServerMetadata(self, request, context):
        self.versions_asked += 1
        if not self.version:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
        return service_pb2.ServerMetadataResponse(name="triton", version=self.version)

    def ServerLive(self, request, context):
        return service_pb2.ServerLiveResponse(live=True)

    def ModelConfig(self, request, context):
        return service_pb2.ModelConfigResponse(config=ParseDict(CONFIG, model_config_pb2.ModelConfig()))

    def ModelInfer(self, request, context):
        self.left_s.append(context.time_remaining())
        while context.is_active() and not self.answers.wait(0.01):
            pass
        (self.answered if context.is_active() else self.cancelled).append(request)
        return service_pb2.ModelInferResponse()


@contextmanager
def serving(version):
    service = Triton(version)
    server = grpc.server(ThreadPoolExecutor(4))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield service, f"grpc://127.0.0.1:{port}"
    finally:
        service.answers.set()
        server.stop(0).wait()


class InLoop:
    """`AsyncClient` in a loop of its own, with the calls of a `Client`."""

    def __init__(self, url):
        self.loop = asyncio.new_event_loop()
        self.client = AsyncClient(url)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.loop.run_until_complete(self.client.close())
        self.loop.close()

    def infer(self, model, **options):
        return self.loop.run_until_complete(self.client.infer(model, **options))

    def go_on(self):
        self.loop.run_until_complete(asyncio.sleep(0.01))


class InThread(Client):
    def go_on(self):
        time.sleep(0.01)


KINDS = pytest.mark.parametrize("kind", [InThread, InLoop])


def warm(service, client):
    """One answer, so that the time of the next call is all its own."""
    service.answers.set()
    client.infer("m", x=[1.0])
    service.answers.clear()
    service.left_s.clear()
    service.answered.clear()


def give_up(client):
    start = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"^m: no answer from .* within 0.2 s"):
        client.infer("m", x=[1.0], timeout_s=0.2)
    assert time.monotonic() - start < LEFT_S / 2


def wait_for(client, happened):
    wait_until(lambda: client.go_on() or happened(), timeout_s=20)


@pytest.mark.parametrize(
    ("version", "bears"),
    [
        ("2.51.0", False),
        ("2.56.0", False),
        ("2.57", True),
        ("2.70.0", True),
        ("3.0.1", True),
        ("", False),
        ("x.y", False),
    ],
)
def test_versions(version, bears):
    assert bears_cancelling(version) is bears


@KINDS
@pytest.mark.parametrize("version", [OLD, ""], ids=["old", "without metadata"])
def test_a_call_that_is_given_up_goes_on_where_its_cancellation_could_end_the_server(kind, version):
    with serving(version) as (service, url), kind(url) as client:
        warm(service, client)
        for _ in range(3):
            give_up(client)
        service.answers.set()
        wait_for(client, lambda: len(service.answered) == 3)
        client.infer("m", x=[1.0])
    assert service.cancelled == []
    assert service.versions_asked == 1
    assert LEFT_S < min(service.left_s[:3]) <= max(service.left_s[:3]) < LEFT_S + 1  # gRPC sends few digits


@KINDS
def test_it_is_cancelled_where_the_server_bears_that(kind):
    with serving(NEW) as (service, url), kind(url) as client:
        warm(service, client)
        give_up(client)
        wait_for(client, lambda: service.cancelled)
        service.answers.set()
        client.infer("m", x=[1.0])
    assert len(service.answered) == service.versions_asked == 1
    assert service.left_s[0] < 1


@KINDS
def test_a_server_that_is_silent_keeps_no_call(kind, monkeypatch):
    for module in (over_grpc, over_grpc_async):
        monkeypatch.setattr(module, "LEFT_S", 0.2)
    with serving(OLD) as (service, url), kind(url) as client:
        warm(service, client)
        give_up(client)
        wait_for(client, lambda: service.cancelled)


@KINDS
def test_closing_waits_for_what_still_runs(kind):
    with serving(OLD) as (service, url):
        with kind(url) as client:
            warm(service, client)
            give_up(client)
            threading.Timer(0.3, service.answers.set).start()
        wait_until(lambda: service.answered or service.cancelled)
        assert service.cancelled == []


@KINDS
def test_but_not_for_ever(kind, monkeypatch):
    monkeypatch.setattr(giving_up, "CLOSE_S", 0.2)
    with serving(OLD) as (service, url):
        with kind(url) as client:
            warm(service, client)
            give_up(client)
        wait_until(lambda: service.cancelled)


def test_a_task_that_is_cancelled_leaves_its_call():
    async def test(service, url):
        async with AsyncClient(url) as client:
            await client.metadata("m")
            task = asyncio.ensure_future(client.infer("m", x=[1.0]))
            while not service.left_s:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            service.answers.set()
            while not service.answered:
                await asyncio.sleep(0.01)
        assert service.cancelled == []

    with serving(OLD) as (service, url):
        asyncio.run(asyncio.wait_for(test(service, url), 20))


@KINDS
def test_what_comes_back_on_the_port_may_be_another_version(kind):
    with serving(OLD) as (service, url), kind(url) as client:
        service.answers.set()
        client.infer("m", x=[1.0])
        transport = client._asking if isinstance(client, Client) else client.client._asking
        blocking = transport.servers._endpoints.all[0].transport
        known = getattr(blocking, "transport", None) or blocking._blocking
        assert known.bears is False
        known.error_of_stream("UNAVAILABLE", "Connection refused")
        client.infer("m", x=[1.0])
    assert service.versions_asked == 2
