"""A server that answers garbage, or half: one clear error each, whatever the libraries underneath raise."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from engineroom.client import Client, InferenceFailed, RetryPolicy, ServerUnavailable

CONFIG = {"config": {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]}}
FLOAT = {"name": "y", "datatype": "FP32", "shape": [1]}
LENGTH = "Inference-Header-Content-Length"
ONCE = RetryPolicy(attempts=1)
STRANGE = (ServerUnavailable, "not as Triton does")
UNFIT = (InferenceFailed, "does not fit its own description")


def outputs(**changed):
    return json.dumps({"outputs": [{**FLOAT, **changed}]}).encode()


BINARY = outputs(parameters={"binary_data_size": 4})


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        pytest.param({}, b"<html>", STRANGE, id="a page"),
        pytest.param({}, b"", STRANGE, id="nothing"),
        pytest.param({}, b"[]", STRANGE, id="a list"),
        pytest.param({}, b"{}", STRANGE, id="no outputs"),
        pytest.param({}, b'{"outputs": null}', STRANGE, id="null outputs"),
        pytest.param({}, bytes(range(128, 256)), STRANGE, id="no text"),
        pytest.param({}, b'{"outputs": [{"datatype": "FP32"}]}', STRANGE, id="an output without a name"),
        pytest.param({LENGTH: "long"}, BINARY + bytes(4), STRANGE, id="a length that is no number"),
        pytest.param({LENGTH: "9999"}, BINARY + bytes(4), UNFIT, id="a length beyond the end"),
        pytest.param({LENGTH: str(len(BINARY))}, BINARY + bytes(2), UNFIT, id="half of the bytes"),
        pytest.param({}, outputs(shape=[7], data=[1.0]), UNFIT, id="fewer values than its shape"),
    ],
)
def test_answers_over_http(counting, headers, body, expected):
    counting.answer = (200, headers, body)
    with Client(counting.url, retry=ONCE) as client, pytest.raises(expected[0], match=expected[1]):
        client.infer("m", x=[1.0], timeout_s=2)


@pytest.mark.parametrize(
    "config", [b"[]", b"{}", b'{"name": "m", "input": [{}]}', b'{"name": "m", "input": 7}', b"<html>"]
)
def test_metadata_over_http(counting, config):
    counting.CONFIG = config
    with Client(counting.url, retry=ONCE) as client, pytest.raises(ServerUnavailable, match="not as Triton does"):
        client.metadata("m")


@pytest.fixture
def answering():
    """Starts a gRPC server that gives these answers to ModelConfig and ModelInfer; gives its URL."""
    server = grpc.server(ThreadPoolExecutor(1))

    def start(config, inference):
        class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
            def ModelConfig(self, request, context):
                return ParseDict(config, service_pb2.ModelConfigResponse())

            def ModelInfer(self, request, context):
                return ParseDict(inference, service_pb2.ModelInferResponse())

        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"grpc://127.0.0.1:{port}"

    yield start
    server.stop(0).wait()


@pytest.mark.parametrize(
    ("config", "inference", "expected"),
    [
        pytest.param({}, {}, STRANGE, id="no configuration"),
        pytest.param(CONFIG, {"outputs": [FLOAT]}, UNFIT, id="no bytes"),
        pytest.param(CONFIG, {"outputs": [FLOAT], "raw_output_contents": ["AAA="]}, UNFIT, id="half of the bytes"),
        pytest.param(
            CONFIG, {"outputs": [{**FLOAT, "datatype": "BYTES"}], "raw_output_contents": ["/////w=="]}, UNFIT,
            id="a text that is longer than the answer",
        ),
    ],
)  # fmt: skip
def test_answers_over_grpc(answering, config, inference, expected):
    url = answering(config, inference)
    with Client(url, retry=ONCE) as client, pytest.raises(expected[0], match=expected[1]):
        client.infer("m", x=[1.0], timeout_s=2)


@pytest.fixture
def breaking():
    """Starts a server that takes one line, says these bytes and hangs up; gives its `host:port`."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(said):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # the test is over
                return
            with connection:
                connection.recv(65536)
                connection.sendall(said)

    def start(said):
        threading.Thread(target=serve, args=(said,), daemon=True).start()
        return f"127.0.0.1:{listening.getsockname()[1]}"

    yield start
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff" * 50, id="noise"),
        pytest.param(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"outputs"', id="half an answer"),
    ],
)
def test_a_connection_that_breaks(breaking, protocol, said):
    with Client(f"{protocol}://{breaking(said)}", connect_timeout_s=1) as client, pytest.raises(ServerUnavailable):
        client.infer("m", x=[1.0], timeout_s=4)
