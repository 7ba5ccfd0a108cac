"""The seam between the client and a protocol, for transports that wait in an event loop."""

from typing import Protocol

from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import Arrays, Request, Transport


class AsyncTransport(Protocol):
    """What `AsyncClient` needs of a protocol: a `Transport` whose methods are coroutines of one event loop.

    A cancelled method ends its request and gives its connection back.
    """

    @property
    def address(self) -> str:
        """As `Transport.address`."""

    async def ready(self, model: str, version: str) -> bool:
        """As `Transport.ready`."""

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """As `Transport.metadata`."""

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """As `Transport.loaded`."""

    async def infer(self, request: Request) -> Arrays:
        """As `Transport.infer`."""

    async def close(self) -> None:
        """As `Transport.close`."""


class Blocking:
    """A `Transport` in the form of the other: its methods never wait for an event loop, and block their thread.

    Attributes:
        transport: Does the work.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport

    @property
    def address(self) -> str:
        """The server's URL."""
        return self.transport.address

    async def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the server, can answer."""
        return self.transport.ready(model, version)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        return self.transport.metadata(model, version)

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        return self.transport.loaded()

    async def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        return self.transport.infer(request)

    async def close(self) -> None:
        """Give connections back."""
        self.transport.close()
