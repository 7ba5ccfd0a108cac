"""A server whose streams are garbage, or half: one clear error each."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import service_pb2, service_pb2_grpc

from engineroom.client import Client, DeadlineExceeded, InferenceFailed, Rejected, RetryPolicy, ServerUnavailable

CONFIG = {
    "config": {
        "name": "m",
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}],
        "model_transaction_policy": {"decoupled": True},
    }
}
OUTPUT = {"name": "y", "datatype": "FP32", "shape": [1]}
ANSWER = {"inferResponse": {"outputs": [OUTPUT], "rawOutputContents": ["AACAPw=="]}}


@pytest.fixture
def streaming():
    """Starts a gRPC server that gives these messages to every stream, and ends it so; gives its URL."""
    server = grpc.server(ThreadPoolExecutor(2))

    def start(messages, code, words):
        class Service(service_pb2_grpc.GRPCInferenceServiceServicer):
            def ModelConfig(self, request, context):
                return ParseDict(CONFIG, service_pb2.ModelConfigResponse())

            def ModelStreamInfer(self, requests, context):
                for message in messages:
                    yield ParseDict(message, service_pb2.ModelStreamInferResponse())
                if code:
                    context.abort(code, words)

        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Service(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"grpc://127.0.0.1:{port}"

    yield start
    server.stop(0).wait()


HALF = {"inferResponse": {"outputs": [OUTPUT], "rawOutputContents": ["AAA="]}}


@pytest.mark.parametrize(
    ("messages", "code", "words", "kind", "message"),
    [
        ([ANSWER], None, "", ServerUnavailable, "answers a stream that ends without its final answer"),
        ([ANSWER, HALF], None, "", InferenceFailed, "output 'y' does not fit its own description"),
        ([ANSWER, {"errorMessage": "Exceeds maximum queue size"}], None, "", Rejected, "Exceeds maximum queue size"),
        ([ANSWER], grpc.StatusCode.INTERNAL, "broken", InferenceFailed, "answers: broken"),
        ([ANSWER], grpc.StatusCode.UNAVAILABLE, "going", ServerUnavailable, "going"),
        ([ANSWER], grpc.StatusCode.DEADLINE_EXCEEDED, "late", DeadlineExceeded, "did not end within"),
    ],
    ids=["no end", "half an answer", "a full queue", "an error", "an outage", "a deadline"],
)
def test_a_stream_of_garbage(streaming, messages, code, words, kind, message):
    url = streaming(messages, code, words)
    with Client(url, retry=RetryPolicy(attempts=1)) as client:
        answers = client.stream("m", x=[1.0], timeout_s=10)
        assert next(answers)["y"].tolist() == [1.0]
        with pytest.raises(kind, match=message):
            next(answers)
