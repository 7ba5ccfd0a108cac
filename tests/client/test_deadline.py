"""One deadline a call, which limits all that the call does and travels to the server."""

import asyncio
import json
import math
import socket
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from engineroom.client import (
    AsyncClient,
    BadInput,
    Client,
    DeadlineExceeded,
    FunctionTransport,
    ModelMetadata,
    Rejected,
    Request,
    ServerUnavailable,
    TensorMetadata,
)
from engineroom.client.deadline import left_s, over, timeout_us, within
from engineroom.client.protocol.over_grpc import GrpcTransport
from engineroom.client.protocol.transport import Connecting, address_from_url

PROTOCOLS = ("grpc", "http")
CONFIG = {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]}
DOUBLE = ModelMetadata("double", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),), 1)


def sleepy(client, model, sleep_ms=0, **options):
    return client.infer(model, sleep_ms=[[sleep_ms]], complaint=[[""]], **options)


def executed(server, model):
    """Requests that the model worked on, as Triton counts them; it does so a moment after it has answered."""
    time.sleep(0.2)
    with urllib.request.urlopen(f"http://{server.http}/v2/models/{model}/stats", timeout=5) as answer:
        return json.load(answer)["model_stats"][0]["inference_stats"]["compute_infer"]["count"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("model", "works_on"), [("patient", 2), ("stubborn", 3)])
def test_queue_drops_what_nobody_waits_for_where_requests_may_say_so(queues, protocol, model, works_on):
    with Client(f"{protocol}://{getattr(queues, protocol)}") as client:
        client.metadata(model)
        assert worked_on(queues, client, model) == works_on


def worked_on(queues, client, model):
    """Of three requests, the second of which is given up while it waits behind the first, those that are executed."""
    before = executed(queues, model)
    first = threading.Thread(target=sleepy, args=(client, model, 500))
    first.start()
    time.sleep(0.1)
    with pytest.raises((DeadlineExceeded, Rejected)):  # both clocks ring at the same moment
        sleepy(client, model, timeout_s=0.15)
    first.join()
    answered = False
    while not answered:  # the answer to this one comes after whatever still waits in the queue
        with suppress(Rejected):
            answered = bool(sleepy(client, model))
    return executed(queues, model) - before


@pytest.fixture
def silent():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_metadata_and_connecting_are_within_the_deadline(silent, protocol):
    start = time.monotonic()
    with (
        Client(f"{protocol}://{silent}", connect_timeout_s=9) as client,
        pytest.raises(DeadlineExceeded, match=r"m: no answer from .* within 0\.3 s"),
    ):
        client.infer("m", x=[1.0], timeout_s=0.3)
    assert time.monotonic() - start < 2


def test_connecting_ends_before_the_deadline_so_that_another_server_can_be_asked(silent, queues):
    def taken_s():
        with Client([f"grpc://{silent}", f"grpc://{queues.grpc}"], connect_timeout_s=0.2) as client:
            start = time.monotonic()
            for _ in range(6):
                assert sleepy(client, "patient", timeout_s=3)["slept_ms"].tolist() == [[0]]
            return time.monotonic() - start

    # Again where this machine stood still: what takes its time does so each time.
    assert any(taken_s() < 3 for _ in range(3))


def test_connecting_is_limited_for_a_known_model_too(silent):
    transport = GrpcTransport(address_from_url(silent, Connecting(connect_timeout_s=0.2)))
    start = time.monotonic()
    with pytest.raises(ServerUnavailable, match=f"no Triton answers at grpc://{silent}"):
        transport.infer(Request("m", "", (), (), timeout_s=8))
    transport.close()
    assert time.monotonic() - start < 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_for_ever_is_a_time(queues, protocol):
    url, forever = f"{protocol}://{getattr(queues, protocol)}", {"timeout_s": math.inf, "connect_timeout_s": math.inf}
    with Client(url, **forever) as client:
        assert client.ready("patient")
        assert sleepy(client, "patient")["slept_ms"].tolist() == [[0]]

    async def ask():
        async with AsyncClient(url, **forever) as client:
            assert await client.ready("patient")
            return await sleepy(client, "patient")

    assert asyncio.run(ask())["slept_ms"].tolist() == [[0]]


def test_what_is_no_number_is_no_time():
    transport = FunctionTransport({DOUBLE: lambda arrays: {"y": arrays["x"]}})
    with (
        Client(transport=transport) as client,
        pytest.raises(BadInput, match=r"a time of NaN seconds .* float\('inf'\)"),
    ):
        client.infer("double", x=[[1]], timeout_s=math.nan)


@pytest.mark.parametrize("given_s", [0, -1])
def test_no_time_is_no_answer_and_nothing_is_sent(given_s):
    transport = FunctionTransport({DOUBLE: lambda arrays: {"y": arrays["x"]}})
    with Client(transport=transport) as client, pytest.raises(DeadlineExceeded):
        client.infer("double", x=[[1]], timeout_s=given_s)
    assert transport.requests == []


def test_parts_of_a_batch_share_the_seconds_of_the_call():
    def slow(arrays):
        time.sleep(0.1)
        return {"y": arrays["x"]}

    transport = FunctionTransport({DOUBLE: slow})
    with Client(transport=transport) as client:
        client.infer("double", x=[[1]] * 8, timeout_s=5)
    given_s = [request.timeout_s for request in transport.requests]
    assert 4.5 < min(given_s) < 4.95 < max(given_s) <= 5


def test_bad_input_is_bad_input_also_without_time():
    transport = FunctionTransport({DOUBLE: lambda arrays: {"y": arrays["x"]}})
    with Client(transport=transport) as client, pytest.raises(BadInput):
        client.infer("double", z=[[1]], timeout_s=0)


def test_a_deadline_inside_another_cannot_be_longer():
    assert left_s() == float("inf")
    with within(1.0):
        with within(60.0):
            assert 0.9 < left_s() <= 1.0
        with within(0.0):
            assert left_s() == 0
            assert over()
        assert not over()


@pytest.mark.parametrize(("seconds", "sent_us"), [(0.15, 150_000), (1e-9, 1), (float("inf"), 10**15)])
def test_triton_counts_in_microseconds(seconds, sent_us):
    assert timeout_us(seconds) == sent_us


def test_timeout_goes_over_grpc_as_triton_reads_it():
    seen = []

    class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
        def ModelConfig(self, request, context):
            return service_pb2.ModelConfigResponse(config=ParseDict(CONFIG, model_config_pb2.ModelConfig()))

        def ModelInfer(self, request, context):
            seen.append(request.parameters["timeout"].int64_param)
            return service_pb2.ModelInferResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with Client(f"grpc://127.0.0.1:{port}") as client:
        client.infer("m", x=[1.0], timeout_s=2)
    server.stop(0).wait()
    assert 1_500_000 < seen[0] <= 2_000_000


def test_timeout_goes_over_http_as_triton_reads_it(counting):
    with Client(counting.url) as client:
        client.infer("m", x=[1.0], timeout_s=2)
    assert 1_500_000 < counting.bodies[0]["parameters"]["timeout"] <= 2_000_000
