"""Locust's connections: prepared requests out, answers in. Each waits within its own greenlet."""

from typing import Any, Protocol

import numpy.typing as npt

from engineroom.client.protocol.transport import Address
from engineroom.errors import InferenceFailed
from engineroom.load.outcome import Outcome, outcome_from_grpc, outcome_from_http
from engineroom.load.prepared import METHOD, Request, arrays_from_grpc, arrays_from_http


class FailedCall(InferenceFailed):
    """A request got no answer.

    Attributes:
        outcome: What became of it.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


class Caller(Protocol):
    """One connection. One user's alone: users that share one wait for each other."""

    def send(self, request: Request) -> dict[str, npt.NDArray[Any]]:
        """Send a request and wait.

        Returns:
            The answer by output name, rows on the first axis.

        Raises:
            FailedCall: The server answered with an error, or not in time, or not at all.
        """

    def close(self) -> None:
        """Give the connection back."""


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
        try:
            answer = self._infer(request.body, timeout=self._timeout_s)
        except self._error as error:
            code, details = error.code().name, str(error.details())
            raise FailedCall(f"{request.model}: {code}: {details}", outcome_from_grpc(code, details)) from error
        return arrays_from_grpc(answer)

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
        headers = {"Inference-Header-Content-Length": str(request.json_bytes)}
        try:
            response = self._client.post(f"/v2/models/{request.model}/infer", body=request.body, headers=headers)
            body = bytes(response.read())
        except OSError as error:
            outcome = Outcome.LATE if isinstance(error, TimeoutError) else Outcome.UNREACHABLE
            raise FailedCall(f"{request.model}: {error or type(error).__name__}", outcome) from error
        if response.status_code != 200:
            words = f"{request.model}: HTTP {response.status_code}: {body[:200].decode(errors='replace')}"
            raise FailedCall(words, outcome_from_http(response.status_code, body))
        length = response.get("inference-header-content-length")
        return arrays_from_http(body, int(length) if length else None)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
