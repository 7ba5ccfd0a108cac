"""The seam between the client and a protocol: what goes over it, and how a transport is chosen."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from engineroom.client.metadata import ModelMetadata
from engineroom.errors import BadInput, InferenceFailed

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by tensor name."""

PORTS = {"grpc": 8001, "http": 8000}
"""Protocols and Triton's port of each, where an address names none."""


@dataclass(frozen=True)
class InputTensor:
    """One checked input.

    Attributes:
        name: Name on the wire.
        dtype: Triton's word for the element type.
        array: Values in `NUMPY_TYPES[dtype]`, batch included; elements of BYTES are `bytes`.
    """

    name: str
    dtype: str
    array: npt.NDArray[Any]


@dataclass(frozen=True)
class RequestedOutput:
    """One output that the answer shall hold.

    Attributes:
        name: Name on the wire.
        class_count: Classes wanted through the classification extension; 0 for the tensor itself.
    """

    name: str
    class_count: int = 0


@dataclass(frozen=True)
class Request:
    """One inference request, within the model's largest batch.

    Attributes:
        model: The model's name.
        version: Its version; empty for the one the server chooses.
        inputs: What is sent.
        outputs: What is asked for; everything where empty.
        timeout_s: Seconds until the caller stops waiting.
        idempotent: Whether it may be sent twice.
    """

    model: str
    version: str
    inputs: tuple[InputTensor, ...]
    outputs: tuple[RequestedOutput, ...]
    timeout_s: float
    idempotent: bool = True


class Transport(Protocol):
    """What the client needs of a protocol. Every method may be called from several threads at once."""

    @property
    def address(self) -> str:
        """The server's URL, for messages."""

    def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the whole server, can answer.

        Raises:
            ServerUnavailable: Nobody answers.
        """

    def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives.

        Raises:
            ModelNotFound: The server does not know it.
            ServerUnavailable: Nobody answers.
        """

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""

    def infer(self, request: Request) -> Arrays:
        """Answer one request.

        Returns:
            Writable arrays by output name; classifications as BYTES in the form of the extension.

        Raises:
            CallError: One of its subclasses other than `BadInput`, whatever the library underneath raised.
        """

    def close(self) -> None:
        """Give connections back. No method is called afterwards."""


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        scheme: `grpc` or `http`.
        host: Name or number, IPv6 without brackets.
        port: TCP port.
        headers: Sent with every request, such as the key of a restricted API.
        connect_timeout_s: Seconds for connecting, and for every call that needs no model: readiness and metadata.
    """

    scheme: str
    host: str
    port: int
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_timeout_s: float = 3.0

    @property
    def netloc(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """`scheme://host:port`."""
        return f"{self.scheme}://{self.netloc}"


def address_from_url(url: str, headers: Mapping[str, str] | None = None, connect_timeout_s: float = 3.0) -> Address:
    """Read a server's URL: `grpc://HOST:PORT`, `http://HOST:PORT`, or `HOST:PORT` for gRPC.

    Raises:
        BadInput: The text is no such URL.
    """
    try:
        parts = urlsplit(url if "://" in url else f"grpc://{url}")
        port = parts.port
    except ValueError as error:
        raise BadInput(f"'{url}' is no server address ({error}). {_FORMS}") from error
    if parts.scheme not in PORTS or not parts.hostname or parts.path.strip("/") or parts.query:
        raise BadInput(f"'{url}' is no server address. {_FORMS}")
    return Address(parts.scheme, parts.hostname, port or PORTS[parts.scheme], headers or {}, connect_timeout_s)


_FORMS = "Use grpc://HOST:8001, http://HOST:8000, or HOST:PORT for gRPC."


def wire_array(tensor: InputTensor) -> npt.NDArray[Any]:
    """The array as tritonclient takes it: BF16 in the type of ml_dtypes, all else unchanged."""
    if tensor.dtype != "BF16":
        return tensor.array
    import ml_dtypes

    return tensor.array.astype(ml_dtypes.bfloat16)


def arrays_from_result(result: Any, names: Iterable[str]) -> Arrays:
    """An answer as applications get it: writable, BF16 as float32.

    Args:
        result: tritonclient's `InferResult`, of either protocol.
        names: The outputs it holds.

    Raises:
        InferenceFailed: An output's bytes are not what its shape and type say.
    """
    arrays = {}
    for name in names:
        try:
            array = result.as_numpy(name)
        except (ValueError, struct.error) as error:
            raise InferenceFailed(f"output '{name}' does not fit its own description: {error}") from error
        arrays[name] = array.astype(np.float32) if array.dtype.name == "bfloat16" else np.array(array)
    return arrays
