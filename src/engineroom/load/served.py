"""What must be known of a served model before it is loaded: asked from the server itself."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from engineroom.errors import BadInput, CallError, ModelNotFound, ServerUnavailable
from engineroom.load.result import ServerTime

DEFAULT_PORTS = {"http": 8000, "grpc": 8001}


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens.

    Attributes:
        protocol: `grpc` or `http`.
        host: Name or address.
        port: Port of that protocol.
    """

    protocol: str
    host: str
    port: int

    @property
    def address(self) -> str:
        """`host:port`, as the tools take it."""
        return f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.protocol}://{self.address}"


def endpoint_from_text(text: str | None, protocol: str | None = None) -> Endpoint:
    """The endpoint a user named.

    Args:
        text: `grpc://host:port`, `http://host:port` or `host:port`; None is this machine on Triton's own port.
        protocol: `grpc` or `http`; the text's own where None, and gRPC where neither says.

    Raises:
        BadInput: The text is no endpoint, or says another protocol.
    """
    scheme, found, rest = (text or "").rpartition("://")
    said = scheme if found else (protocol or "grpc")
    if said not in DEFAULT_PORTS or (protocol and said != protocol):
        raise BadInput(f"address '{text}': the protocol must be {protocol or 'grpc or http'}. Write grpc://HOST:PORT.")
    host, colon, port = rest.rstrip("/").rpartition(":")
    if not colon:
        host, port = port, str(DEFAULT_PORTS[said])
    if not port.isdecimal():
        raise BadInput(f"address '{text}': '{port}' is no port. Write {said}://HOST:PORT.")
    return Endpoint(said, host or "127.0.0.1", int(port))


@dataclass(frozen=True)
class ServedTensor:
    """An input or output as the server declares it.

    Attributes:
        name: Its name.
        datatype: Triton's name of the element type, such as `UINT8`.
        dims: Sizes without the batch, -1 where they vary.
    """

    name: str
    datatype: str
    dims: tuple[int, ...]


@dataclass(frozen=True)
class ServedModel:
    """A model as the server declares it.

    Attributes:
        name: The model's name.
        version: Its newest version on the server.
        max_batch_size: Most rows of one request; 0 where the model does not batch.
        inputs: What it takes.
        server: Name and version of the server, such as `triton 2.51.0`.
    """

    name: str
    version: str
    max_batch_size: int
    inputs: tuple[ServedTensor, ...]
    server: str

    def check_batch(self, rows: int) -> None:
        """Pass where one request may have so many rows.

        Raises:
            BadInput: It may not.
        """
        if not 1 <= rows <= max(self.max_batch_size, 1):
            raise BadInput(
                f"{self.name}: a request of {rows} rows, the server takes 1..{max(self.max_batch_size, 1)}. "
                "Send fewer, or widen the recipe's batch."
            )


@dataclass(frozen=True)
class Spent:
    """Time all requests so far spent inside Triton, by its own counters.

    Attributes:
        requests: Requests answered.
        parts_ns: Sums of the queue, input, infer and output time.
    """

    requests: int
    parts_ns: tuple[int, int, int, int]

    def since(self, before: "Spent") -> ServerTime | None:
        """Mean time of the requests answered since an earlier look; None where there were none."""
        count = self.requests - before.requests
        if count <= 0:
            return None
        parts = (now - then for now, then in zip(self.parts_ns, before.parts_ns, strict=True))
        return ServerTime(*(part / count / 1000 for part in parts))


def served_model(endpoint: Endpoint, name: str) -> ServedModel:
    """Ask a server for a model.

    Raises:
        ServerUnavailable: Nobody answers.
        ModelNotFound: The server does not know, or has not loaded, the model.
    """
    with _asking(endpoint, name) as (client, options):
        metadata = client.get_model_metadata(name, **options)
        config = client.get_model_config(name, **options)
        server = client.get_server_metadata(**options)
    max_batch_size = int(config.get("config", config).get("max_batch_size", 0))
    skipped = 1 if max_batch_size else 0
    inputs = tuple(
        ServedTensor(one["name"], one["datatype"], tuple(int(size) for size in one["shape"])[skipped:])
        for one in metadata["inputs"]
    )
    return ServedModel(name, metadata["versions"][-1], max_batch_size, inputs, f"{server['name']} {server['version']}")


def time_spent(endpoint: Endpoint, name: str) -> Spent:
    """Triton's counters of a model, over all its versions.

    Raises:
        ServerUnavailable: Nobody answers.
        ModelNotFound: The server does not know, or has not loaded, the model.
    """
    with _asking(endpoint, name) as (client, options):
        answer = client.get_inference_statistics(name, **options)
    stats = [one.get("inference_stats", {}) for one in answer["model_stats"]]

    def total(part: str, field: str) -> int:
        return sum(int(one.get(part, {}).get(field, 0)) for one in stats)

    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    queue, gather, infer, output = (total(part, "ns") for part in parts)
    return Spent(total("success", "count"), (queue, gather, infer, output))


@contextlib.contextmanager
def _asking(endpoint: Endpoint, name: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    """A client for one question, with the options that make its answers plain dictionaries."""
    from tritonclient.utils import InferenceServerException

    client, options = _client(endpoint)
    try:
        if not client.is_server_live():
            raise ServerUnavailable(f"nobody answers at {endpoint}. Start the server: engineroom serve")
        yield client, options
    except (InferenceServerException, OSError) as error:
        raise _call_error(error, endpoint, name) from error
    finally:
        client.close()


def _client(endpoint: Endpoint) -> tuple[Any, dict[str, Any]]:
    if endpoint.protocol == "grpc":
        from tritonclient.grpc import InferenceServerClient

        return InferenceServerClient(endpoint.address), {"as_json": True, "client_timeout": 10.0}
    from tritonclient.http import InferenceServerClient as HttpClient

    return HttpClient(endpoint.address, connection_timeout=10.0, network_timeout=10.0), {}


def _call_error(error: Exception, endpoint: Endpoint, name: str) -> CallError:
    text = str(error)
    if "unknown model" in text or "is not found" in text or "not ready" in text:
        return ModelNotFound(
            f"{name}: the server at {endpoint} has no such model loaded. Build it, and restart: engineroom serve"
        )
    return ServerUnavailable(f"nobody answers at {endpoint} ({text}). Start the server: engineroom serve")
