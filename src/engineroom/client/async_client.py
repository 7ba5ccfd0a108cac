"""The client of an event loop: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from engineroom.client.asking import Asking
from engineroom.client.async_several import AsyncSeveral
from engineroom.client.check import mapping
from engineroom.client.classification import Classification
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.protocol.dial import addresses_from_urls, async_transport_from_address, given_transports
from engineroom.client.protocol.tls import TLS
from engineroom.client.protocol.transport import Arrays, Connecting
from engineroom.client.question import Question
from engineroom.client.runner import LoopRunner
from engineroom.client.survival.failover import Failover
from engineroom.client.survival.retry import RetryPolicy


class AsyncClient(AsyncSeveral):
    """`Client` for an event loop: the same calls, awaited, with the same checks, errors, deadlines and repetitions.

    Belongs to the event loop of its first call. A call that is cancelled cancels its requests.

    Args:
        url: As for `Client`.
        timeout_s: As for `Client`.
        connect_timeout_s: As for `Client`.
        headers: As for `Client`.
        tls: As for `Client`.
        shared_memory: As for `Client`.
        retry: As for `Client`.
        transport: As for `Client`; `AsyncFunctionTransport` makes a server needless in an application's tests.

    Raises:
        BadInput: A URL is none, or a header, or a file of `tls`.
    """

    def __init__(  # noqa: PLR0913 - options by name, each of which most callers leave out
        self,
        url: str | Sequence[str] = "grpc://127.0.0.1:8001",
        *,
        timeout_s: float = 30.0,
        connect_timeout_s: float = 3.0,
        headers: Mapping[str, str] | None = None,
        tls: TLS | None = None,
        shared_memory: bool | None = None,
        retry: RetryPolicy | None = None,
        transport: AsyncTransport | Sequence[AsyncTransport] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        connecting = Connecting(headers or {}, connect_timeout_s, tls, shared_memory)
        transports = given_transports(transport, waits=True) or [
            async_transport_from_address(address) for address in addresses_from_urls(url, connecting)
        ]
        runner = LoopRunner()
        self._asking = Asking(Failover(transports, retry or RetryPolicy(), runner), runner)

    @property
    def address(self) -> str:
        """The server's URL, or all of them."""
        return self._asking.address

    async def ready(self, model: str = "", version: str = "") -> bool:
        """As `Client.ready`."""
        return await self._asking.ready(model, version)

    async def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """As `Client.metadata`."""
        return await self._asking.metadata(model, version, self.timeout_s)

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """As `Client.loaded`."""
        return await self._asking.loaded(self.timeout_s)

    async def infer(
        self,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        outputs: Sequence[str] = (),
        version: str = "",
        timeout_s: float | None = None,
        idempotent: bool = True,
        **named: Any,
    ) -> Arrays:
        """As `Client.infer`."""
        question = Question(model, version, mapping(model, inputs, named), outputs, idempotent)
        return await self._asking.infer(question, self.timeout_s if timeout_s is None else timeout_s)

    async def classify(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        output: str = "",
        top: int = 5,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[tuple[Classification, ...]]:
        """As `Client.classify`."""
        question = Question(model, version, mapping(model, inputs, {}), [output] if output else [])
        return await self._asking.classify(question, top, self.timeout_s if timeout_s is None else timeout_s)

    async def close(self) -> None:
        """Give connections back. Closing twice does nothing."""
        await self._asking.close()

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
