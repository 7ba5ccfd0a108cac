"""The seam between the client and a protocol: what goes over it, and how a transport is chosen."""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from engineroom.client.deadline import LONGEST_S
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.tls import TLS
from engineroom.errors import BadInput, InferenceFailed

Arrays = dict[str, npt.NDArray[Any]]
"""Arrays by tensor name."""

PORTS = {"grpc": 8001, "http": 8000, "grpcs": 8001, "https": 443}
"""Schemes and the port of each, where an address names none: Triton's, and for HTTPS, which Triton does not speak, that
of a proxy before it."""

HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110, 5.6.2)."""


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
        known: What the model takes and gives, where the sender knows.
    """

    model: str
    version: str
    inputs: tuple[InputTensor, ...]
    outputs: tuple[RequestedOutput, ...]
    timeout_s: float
    idempotent: bool = True
    known: ModelMetadata | None = None


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
class Connecting:
    """How servers are reached, besides their addresses.

    Attributes:
        headers: Sent with every request, such as a key or a token; in no message.
        connect_timeout_s: Seconds for connecting, and for every call that needs no model: readiness and metadata.
        tls: Whom to believe at `grpcs://` and `https://`, and what to show.
        shared_memory: Whether large tensors travel through shared memory: None where the address is this machine's and
            the server takes it, True at every address whose server takes it, False nowhere.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    connect_timeout_s: float = 3.0
    tls: TLS | None = None
    shared_memory: bool | None = None

    def __post_init__(self) -> None:
        """Refuse headers here: the libraries underneath would, with the secret in their message.

        Raises:
            BadInput: A name is none, or a value holds what no header may.
        """
        for name, value in self.headers.items():
            if not isinstance(name, str) or not HEADER.fullmatch(name):
                raise BadInput(f"{name!r} is no name of a header.")
            if not isinstance(value, str) or not value.isascii() or not value.isprintable() or value != value.strip():
                raise BadInput(
                    f"header '{name}': its value is no plain ASCII text of one line. A key from a file ends with a "
                    "line break: .strip() it."
                )


@dataclass(frozen=True)
class Address:
    """Where a server listens, and how it is reached.

    Attributes:
        scheme: One of `PORTS`; with an `s` at the end, over TLS.
        host: Name or number, IPv6 without brackets.
        port: TCP port.
        connecting: What is common to all servers of a client.
    """

    scheme: str
    host: str
    port: int
    connecting: Connecting = field(default_factory=Connecting)

    def __post_init__(self) -> None:
        """Refuse to speak in the clear where TLS was asked for.

        Raises:
            BadInput: There is a `TLS`, and the scheme is without.
        """
        if self.connecting.tls and not self.secure:
            raise BadInput(f"{self.url} goes without TLS, and one is given. Use {self.scheme}s://{self.netloc}.")

    @property
    def secure(self) -> bool:
        """Whether connections are encrypted."""
        return self.scheme.endswith("s")

    @property
    def protocol(self) -> str:
        """`grpc` or `http`."""
        return self.scheme.removesuffix("s")

    @property
    def headers(self) -> Mapping[str, str]:
        """Sent with every request."""
        return self.connecting.headers

    @property
    def connect_timeout_s(self) -> float:
        """Seconds for connecting, and for readiness and metadata."""
        return min(self.connecting.connect_timeout_s, LONGEST_S)

    @property
    def tls(self) -> TLS:
        """Whom to believe, and what to show."""
        return self.connecting.tls or TLS()

    @property
    def netloc(self) -> str:
        """`host:port`."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """`scheme://host:port`."""
        return f"{self.scheme}://{self.netloc}"


def address_from_url(url: str, connecting: Connecting | None = None) -> Address:
    """Read a server's URL: `grpc://HOST:PORT`, `http://HOST:PORT`, with an `s` over TLS, or `HOST:PORT` for gRPC.

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
    return Address(parts.scheme, parts.hostname, port or PORTS[parts.scheme], connecting or Connecting())


_FORMS = "Use grpc://HOST:8001, http://HOST:8000, or HOST:PORT for gRPC; grpcs:// and https:// over TLS."


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
