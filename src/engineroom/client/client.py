"""The client: arrays in, arrays out."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from engineroom.client.asking import Asking
from engineroom.client.check import mapping
from engineroom.client.classification import Classification
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.async_transport import Blocking
from engineroom.client.protocol.dial import addresses_from_urls, given_transports, transport_from_address
from engineroom.client.protocol.tls import TLS
from engineroom.client.protocol.transport import Arrays, Connecting, Transport
from engineroom.client.question import Question
from engineroom.client.runner import ThreadRunner, finished
from engineroom.client.several import Several
from engineroom.client.survival.failover import Failover
from engineroom.client.survival.retry import RetryPolicy


class Client(Several):
    """Asks a Triton server, or several that serve the same models.

    May be shared between threads. A large batch is sent in parts of the model's `max_batch_size`, several at once; the
    answer's rows keep their order. What a model takes is asked once and remembered; it is asked again before an input
    is refused, and after an error, so that a reloaded model is noticed.

    Args:
        url: `grpc://HOST:PORT`, `http://HOST:PORT`, or `HOST:PORT` for gRPC; over TLS `grpcs://` and `https://`; or
            several of them. Of several the one with the fewest requests in flight is asked. Nothing is sent before the
            first call.
        timeout_s: Seconds a call may take as a whole: connecting, metadata, all its parts. They are sent along as the
            request's timeout, for a queue that lets requests set their own.
        connect_timeout_s: Seconds for connecting, and for readiness and metadata.
        headers: Sent with every request, such as the key of a restricted API or a bearer token.
        tls: Whom to believe at `grpcs://` and `https://` instead of the system's authorities, and what to show.
        shared_memory: Whether large tensors travel through shared memory: None where the address is this machine's and
            the server takes it, True at every address whose server takes it, False nowhere. The network takes the rest.
        retry: When a request is repeated, within its deadline; `RetryPolicy(attempts=1)` for never.
        transport: Used instead of `url`, one or several, and closed with the client: `FunctionTransport` makes a
            server needless in an application's tests.

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
        transport: Transport | Sequence[Transport] | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        connecting = Connecting(headers or {}, connect_timeout_s, tls, shared_memory)
        transports = given_transports(transport, waits=False) or [
            transport_from_address(address) for address in addresses_from_urls(url, connecting)
        ]
        runner = ThreadRunner()
        servers = Failover([Blocking(transport) for transport in transports], retry or RetryPolicy(), runner)
        self._asking = Asking(servers, runner)

    @property
    def address(self) -> str:
        """The server's URL, or all of them."""
        return self._asking.address

    def ready(self, model: str = "", version: str = "") -> bool:
        """Whether a server (every loaded model of it), or one model, can answer; False where nobody answers."""
        return finished(self._asking.ready(model, version))

    def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """What a model takes and gives.

        Raises:
            ModelNotFound: The server does not know it, or has not loaded it.
            ServerUnavailable: Nobody answers.
        """
        return finished(self._asking.metadata(model, version, self.timeout_s))

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer.

        Raises:
            CallError: Nobody answers, or the list is a restricted API.
        """
        return finished(self._asking.loaded(self.timeout_s))

    def infer(
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
        """Ask a model.

        Args:
            model: Its name.
            inputs: Arrays by input name; for names that are no identifiers, or are words of this method.
            outputs: The outputs wanted; all of them where empty.
            version: The model's version; empty for the one the server chooses.
            timeout_s: Seconds to wait instead of the client's.
            idempotent: Whether asking twice does no harm; False keeps the request from being repeated.
            **named: Inputs as keywords: `client.infer("digits", image=images)`.

        Returns:
            Arrays by output name, writable. BF16 comes as float32, BYTES as objects of type `bytes`.

        Raises:
            BadInput: An input or output is not what the model has; nothing was sent.
            ModelNotFound: The server does not know the model, or has not loaded it.
            ServerUnavailable: Nobody answers.
            DeadlineExceeded: The answer did not come in time.
            Rejected: The server's queue is full, or kept the request too long.
            InferenceFailed: The server answered with another error.
        """
        question = Question(model, version, mapping(model, inputs, named), outputs, idempotent)
        return finished(self._asking.infer(question, self.timeout_s if timeout_s is None else timeout_s))

    def classify(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        output: str = "",
        top: int = 5,
        version: str = "",
        timeout_s: float | None = None,
    ) -> list[tuple[Classification, ...]]:
        """The best classes of an output, ranked and named by the server.

        Args:
            model: Its name.
            inputs: Arrays by input name.
            output: The output to rank; may be left out where the model has only one.
            top: Classes wanted, at least 1.
            version: The model's version; empty for the one the server chooses.
            timeout_s: Seconds to wait instead of the client's.

        Returns:
            For each row its classes, best first.

        Raises:
            BadInput: As for `infer`, or the output cannot be ranked.
            CallError: As for `infer`.
        """
        question = Question(model, version, mapping(model, inputs, {}), [output] if output else [])
        return finished(self._asking.classify(question, top, self.timeout_s if timeout_s is None else timeout_s))

    def close(self) -> None:
        """Give connections and threads back. Closing twice does nothing."""
        finished(self._asking.close())

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
