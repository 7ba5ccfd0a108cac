"""gRPC, through tritonclient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from engineroom.client.deadline import left_s, over, timeout_us
from engineroom.client.memory.placement import Placed
from engineroom.client.memory.pool import SharedMemory, is_tried
from engineroom.client.metadata import ModelMetadata, loaded_from_index, metadata_from_config
from engineroom.client.protocol.giving_up import LEFT_S, LeftCalls, bears_cancelling
from engineroom.client.protocol.handshake import trouble
from engineroom.client.protocol.outage import (
    by_queue,
    nobody_answers,
    refused,
    rejected,
    speaks_http,
    understood,
    wrong_server,
)
from engineroom.client.protocol.tls import credentials_from_tls
from engineroom.client.protocol.transport import Address, Arrays, Request
from engineroom.client.protocol.wire import arrays_from_grpc, wire_inputs, wire_outputs
from engineroom.client.runner import finished
from engineroom.client.stream import grpc_answers
from engineroom.errors import BadInput, CallError, DeadlineExceeded, ModelNotFound, ServerUnavailable

MESSAGE_BYTES = 2**31 - 1
"""Largest message: Triton's and protobuf's limit."""

RESTRICTED = "This protocol is restricted"
"""What Triton says, as UNAVAILABLE, to whoever has not the key."""

OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    # A client that waits for a server to start must not inherit, or grow, two minutes of back-off.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Well below `breaker.OPEN_S`: a probe that meets a channel in its back-off fails without having tried.
    ("grpc.max_reconnect_backoff_ms", 250),
    # As over HTTP: a proxy of the environment is for the outside, not for the server that was named.
    ("grpc.enable_http_proxy", 0),
)


def channel_options(address: Address) -> tuple[tuple[str, Any], ...]:
    """The options of a channel to this server."""
    # Of all its names: this is how long gRPC tries to connect, 20 s where it is not given.
    connecting = ("grpc.min_reconnect_backoff_ms", max(1, round(address.connect_timeout_s * 1000)))
    name = address.tls.server_name
    return (*OPTIONS, connecting, *([("grpc.ssl_target_name_override", name)] if name else []))


def grpc_credentials(address: Address) -> Any:
    """What gRPC is told of an address's TLS: `grpc.ChannelCredentials`; None where it is spoken to in the clear.

    Raises:
        BadInput: A file of its `TLS` is of no use.
    """
    if not address.secure:
        return None
    from grpc import ssl_channel_credentials

    known = credentials_from_tls(address.tls)
    return ssl_channel_credentials(known.roots, known.key, known.chain)


def check_size(request: Request, placed: Placed | None = None) -> None:
    """Refuse what no message of gRPC can carry, before it is copied.

    Raises:
        BadInput: It is too large.
    """
    elsewhere = placed.plan.inputs if placed else {}
    if sum(tensor.array.nbytes for tensor in request.inputs if tensor.name not in elsewhere) > MESSAGE_BYTES:
        raise BadInput(f"{request.model}: gRPC carries less than 2 GiB a request. Send fewer rows, or use http://.")


class _Closed:
    """Stands where a closed channel was."""

    def close(self) -> None:
        """Nothing is left to close."""


def close_once(client: Any) -> None:
    """Close tritonclient's gRPC client for good: by itself it closes its channel again when it is collected.

    Under gevent gRPC counts its open channels, and a channel that is closed twice leaves it waiting for ever, for the
    end of others that are still open.
    """
    client.close()
    client._channel = _Closed()


class GrpcTransport:
    """One channel; tritonclient's gRPC calls may share it between threads.

    Args:
        address: The server.

    Attributes:
        headers: Sent with every call.
        met: Whether the port has ever answered as a Triton does.
        bears: Whether the server bears calls that are cancelled; None while that is not known.
    """

    def __init__(self, address: Address) -> None:
        from tritonclient import grpc

        self._grpc = grpc
        self._where = address
        self.headers = {name.lower(): value for name, value in address.headers.items()}
        self._shared = SharedMemory(self, is_tried(address))
        self.met = False
        self.bears: bool | None = None
        self._calls = LeftCalls()
        self._client = grpc.InferenceServerClient(
            address.netloc, creds=grpc_credentials(address), channel_args=channel_options(address)
        )

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._where.url

    def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the server, can answer."""
        with self._border():
            if model:
                return bool(self._client.is_model_ready(model, version, **self.quick))
            return bool(self._client.is_server_ready(**self.quick))

    def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        with self._border():
            answer = self._client.get_model_config(model, version, as_json=True, **self.quick)
        with understood(self._where):
            return metadata_from_config(answer["config"], version)

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        with self._border():
            index = self._client.get_model_repository_index(as_json=True, **self.quick)
        return loaded_from_index(index.get("models", ()))

    def infer(self, request: Request) -> Arrays:
        """Answer one request."""

        async def send(asked: Request, placed: Placed | None) -> Arrays:
            return self._infer(asked, placed)

        return finished(self._shared.ask(request, send))

    def stream(self, request: Request) -> Iterator[Arrays]:
        """Answers to one request of a decoupled model."""
        send = self._client._client_stub.ModelStreamInfer
        return grpc_answers(send, request, self._where, self.error_of_stream)

    def error_of_stream(self, code: str, words: str) -> CallError:
        """What a status code that ended a stream means."""
        return self._error(code, words, infers=True)

    def close(self) -> None:
        """Close the channel."""
        self._calls.close()
        finished(self._shared.close())
        close_once(self._client)

    async def register(self, name: str, size_bytes: int) -> None:
        """Have the server map a region of shared memory."""
        with self._border():
            self._client.register_system_shared_memory(name, f"/{name}", size_bytes, **self.quick)

    async def unregister(self, name: str) -> None:
        """Have it forget the region."""
        with self._border():
            self._client.unregister_system_shared_memory(name, **self.quick)

    async def registered(self) -> tuple[str, ...]:
        """Names of the regions that it knows."""
        with self._border():
            status = self._client.get_system_shared_memory_status(as_json=True, **self.quick)
        return tuple(status.get("regions", ()))

    def _infer(self, request: Request, placed: Placed | None) -> Arrays:
        check_size(request, placed)
        with self._border(infers=True):
            if self.bears is None:
                self.bears = self._asked_whether_it_bears()
            result = self._result(
                min(request.timeout_s, left_s()),
                model_name=request.model,
                inputs=wire_inputs(self._grpc, request, placed),
                model_version=request.version,
                outputs=wire_outputs(self._grpc, request, placed),
                headers=self.headers,
            )
            with understood(self._where):
                return arrays_from_grpc(result, placed)

    def _result(self, timeout_s: float, **asked: Any) -> Any:
        asked["timeout"] = timeout_us(timeout_s)
        if self.bears:
            return self._client.infer(**asked, client_timeout=timeout_s)
        return self._calls.answer(
            lambda tell: self._client.async_infer(**asked, callback=tell, client_timeout=timeout_s + LEFT_S), timeout_s
        )

    def _asked_whether_it_bears(self) -> bool:
        from tritonclient.utils import InferenceServerException

        try:
            return bears_cancelling(self._client.get_server_metadata(**self.quick).version)
        except InferenceServerException as error:
            return self.without_version(error)

    def without_version(self, error: Any) -> bool:
        """Whether a server bears cancelling that has not said its version.

        Args:
            error: `InferenceServerException`.

        Raises:
            CallError: There is none, or it is silent.
        """
        if RESTRICTED not in str(error) and str(error.status()).endswith(("UNAVAILABLE", "DEADLINE_EXCEEDED")):
            raise self.meaning(error, infers=False) from error
        return False

    @property
    def quick(self) -> dict[str, object]:
        """What goes with every call that needs no model."""
        return {"client_timeout": self._quick_s, "headers": self.headers}

    @property
    def _quick_s(self) -> float:
        return min(self._where.connect_timeout_s, left_s())

    @contextmanager
    def _border(self, infers: bool = False) -> Iterator[None]:
        from tritonclient.utils import InferenceServerException

        try:
            yield
            self.met = True
        except InferenceServerException as error:
            raise self.meaning(error, infers) from error

    def meaning(self, error: Any, infers: bool) -> CallError:
        """What an error of tritonclient means; may ask the server once more to find out.

        Args:
            error: `InferenceServerException`.
            infers: Whether a model was asked.
        """
        code = str(error.status()).removeprefix("StatusCode.")
        return self._error(code, error.message() or code, infers)

    def _error(self, code: str, message: str, infers: bool) -> CallError:
        if code == "NOT_FOUND":
            return ModelNotFound(message)
        if code == "DEADLINE_EXCEEDED" and (infers or over()):
            return DeadlineExceeded(message)
        if code == "DEADLINE_EXCEEDED":
            return nobody_answers(self._where, f"no answer within {self._where.connect_timeout_s:.3g} s")
        if by_queue(message):
            return rejected(self._where, message)
        return self._outage(message) if self._gone(code, message) else refused(self._where, message)

    def _gone(self, code: str, message: str) -> bool:
        if code == "UNIMPLEMENTED":
            return not self._alive()
        return code == "UNAVAILABLE" and RESTRICTED not in message

    def _alive(self) -> bool:
        from tritonclient.utils import InferenceServerException

        try:
            return bool(self._client.is_server_live(**self.quick))
        except InferenceServerException:
            return False

    def _outage(self, message: str) -> ServerUnavailable:
        self.bears = None  # what comes back may be another version
        if not self.met or "handshake" in message:
            known = trouble(self._where, self._quick_s)
            if known:
                return known
        if not self.met and speaks_http(self._where, self._quick_s):
            return wrong_server(self._where, "HTTP, not gRPC", "http")
        return nobody_answers(self._where, message.rsplit("last error: ", maxsplit=1)[-1])
