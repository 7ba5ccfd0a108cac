"""Sending prepared requests with as little work as is honest.

Neither `tritonclient`'s `infer` nor our own client is used for the requests themselves: both build and serialise the
message for every call, and the load generator shares its machine with the server more often than not. Here a request
is serialised once and sent many times; every answer is parsed, and compared with its golden answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engineroom.client.check import checked
from engineroom.client.transport import Address
from engineroom.errors import GoldenMismatch, InferenceFailed
from engineroom.load.served import ServedModel
from engineroom.repository.golden import Golden

METHOD = "/inference.GRPCInferenceService/ModelInfer"
"""The inference call of the KServe v2 protocol, which Triton speaks."""


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent any number of times.

    Attributes:
        model: The model's name.
        rows: Its batch size.
        body: What goes over the wire.
        json_bytes: HTTP alone: length of the JSON part of the body, before the binary tensors.
        golden: What was asked, and what must be answered.
    """

    model: str
    rows: int
    body: bytes
    json_bytes: int | None
    golden: Golden

    def mismatch(self, answer: Mapping[str, npt.NDArray[Any]]) -> GoldenMismatch | None:
        """What is wrong with an answer; None where it is right."""
        try:
            self.golden.check(answer)
        except GoldenMismatch as error:
            return error
        return None


class Caller(Protocol):
    """One connection. One user's alone: users that share one wait for each other."""

    def send(self, request: Request) -> dict[str, npt.NDArray[Any]]:
        """Send a request and wait.

        Returns:
            The answer by output name, rows on the first axis.

        Raises:
            InferenceFailed: The server answered with an error, or not in time, or not at all.
        """

    def close(self) -> None:
        """Give the connection back."""


def requests_from_golden(golden: Golden, served: ServedModel, rows: int) -> tuple[Request, ...]:
    """Prepare one request for every golden row to begin with, so that neighbours differ.

    Args:
        golden: Inputs and answers.
        served: The model that takes them.
        rows: Batch size of a request.

    Raises:
        BadInput: The golden inputs are not what the model takes.
    """
    checked(served.metadata, golden.batch(0, rows).inputs)
    batches = [golden.batch(start, rows) for start in range(golden.rows)]
    if served.address.scheme == "grpc":
        return tuple(Request(golden.model, rows, _grpc_body(batch), None, batch) for batch in batches)
    return tuple(Request(golden.model, rows, *_http_body(batch), batch) for batch in batches)


def _grpc_body(batch: Golden) -> bytes:
    from tritonclient.grpc import service_pb2
    from tritonclient.utils import np_to_triton_dtype

    message = service_pb2.ModelInferRequest(model_name=batch.model)
    for name, array in batch.inputs.items():
        message.inputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        message.raw_input_contents.append(array.tobytes())
    body: bytes = message.SerializeToString()
    return body


def _http_body(batch: Golden) -> tuple[bytes, int | None]:
    from tritonclient.http import InferenceServerClient, InferInput
    from tritonclient.utils import np_to_triton_dtype

    inputs = []
    for name, array in batch.inputs.items():
        inputs.append(InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array, binary_data=True)
    body, json_bytes = InferenceServerClient.generate_request_body(inputs)
    return bytes(body), json_bytes


def connect(address: Address, timeout_s: float) -> Caller:
    """Open a connection of one's own.

    Args:
        address: The server.
        timeout_s: Longest wait for an answer.
    """
    return GrpcCaller(address, timeout_s) if address.scheme == "grpc" else HttpCaller(address, timeout_s)


class GrpcCaller:
    """gRPC, over a TCP connection that is not shared."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        import grpc
        from tritonclient.grpc import service_pb2

        options = [
            # Without this, all channels of a process to one address are one connection.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ]
        self._error = grpc.RpcError
        self._timeout_s = timeout_s
        self._channel = grpc.insecure_channel(address.netloc, options=options)
        self._infer = self._channel.unary_unary(METHOD, response_deserializer=service_pb2.ModelInferResponse.FromString)

    def send(self, request: Request) -> dict[str, npt.NDArray[Any]]:
        """Send the serialised message, and view the answer's tensors as arrays."""
        from tritonclient.utils import triton_to_np_dtype

        try:
            answer = self._infer(request.body, timeout=self._timeout_s)
        except self._error as error:
            raise InferenceFailed(f"{request.model}: {error.code().name}: {error.details()}") from error
        return {
            tensor.name: np.frombuffer(raw, triton_to_np_dtype(tensor.datatype)).reshape(tensor.shape)
            for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
        }

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


class HttpCaller:
    """HTTP with binary tensors, over a connection that is kept alive and not shared."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        from geventhttpclient import HTTPClient

        self._client = HTTPClient(
            address.host, address.port, concurrency=1, connection_timeout=timeout_s, network_timeout=timeout_s
        )

    def send(self, request: Request) -> dict[str, npt.NDArray[Any]]:
        """Post the prepared body, and view the answer's tensors as arrays."""
        from tritonclient.http import InferenceServerClient

        headers = {"Inference-Header-Content-Length": str(request.json_bytes)}
        try:
            response = self._client.post(f"/v2/models/{request.model}/infer", body=request.body, headers=headers)
            body = bytes(response.read())
        except OSError as error:
            raise InferenceFailed(f"{request.model}: {error or type(error).__name__}") from error
        if response.status_code != 200:
            raise InferenceFailed(
                f"{request.model}: HTTP {response.status_code}: {body[:200].decode(errors='replace')}"
            )
        length = response.get("inference-header-content-length")
        result = InferenceServerClient.parse_response_body(body, header_length=int(length) if length else None)
        return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
