"""The client: arrays in, arrays out."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from types import TracebackType
from typing import Any

from engineroom.client.batch import joined, parts_of
from engineroom.client.check import check_names, checked, mapping
from engineroom.client.classification import CLASSIFIABLE, Classification, classifications_from_array
from engineroom.client.deadline import left_s, within
from engineroom.client.failover import Failover, transports_from_urls
from engineroom.client.metadata import ModelMetadata
from engineroom.client.retry import RetryPolicy
from engineroom.client.several import Several
from engineroom.client.stream import check_one_answer
from engineroom.client.tls import TLS
from engineroom.client.transport import Arrays, Connecting, InputTensor, Request, RequestedOutput, Transport
from engineroom.errors import (
    BadInput,
    CallError,
    DeadlineExceeded,
    InferenceFailed,
    ModelNotFound,
    Rejected,
)

IN_FLIGHT = 4
"""Parts of one large batch that are on their way at once: enough to keep a server's instances busy, few enough not to
fill its queue for everybody else."""


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
        transport: Used instead of `url`, and closed with the client: `FunctionTransport` makes a server needless in
            an application's tests.

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
        transport: Transport | None = None,
    ) -> None:
        self.timeout_s = timeout_s
        connecting = Connecting(headers or {}, connect_timeout_s, tls, shared_memory)
        transports = [transport] if transport else transports_from_urls(url, connecting)
        self._transport = Failover(transports, retry or RetryPolicy())
        self._known: dict[tuple[str, str], ModelMetadata] = {}
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="engineroom-client")
        self._closed = False

    @property
    def address(self) -> str:
        """The server's URL, or all of them."""
        return self._transport.address

    def ready(self, model: str = "", version: str = "") -> bool:
        """Whether a server (every loaded model of it), or one model, can answer; False where nobody answers."""
        self._check_open()
        return self._transport.ready(model, version)

    def metadata(self, model: str, version: str = "") -> ModelMetadata:
        """What a model takes and gives.

        Raises:
            ModelNotFound: The server does not know it, or has not loaded it.
            ServerUnavailable: Nobody answers.
        """
        self._check_open()
        known = self._known.get((model, version))
        if known is None:
            try:
                with within(self.timeout_s):
                    known = self._known[model, version] = self._transport.metadata(model, version)
            except ModelNotFound as error:
                raise self._not_found(model, error) from error
        return known

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
        given = mapping(model, inputs, named)
        wanted = tuple(RequestedOutput(name) for name in outputs)
        with self._in_time(model, timeout_s):
            known, tensors = self._prepared(model, version, given, outputs)
            return self._ask(known, tensors, wanted, idempotent)

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
        given = mapping(model, inputs, {})
        with self._in_time(model, timeout_s):
            known, tensors = self._prepared(model, version, given, [output] if output else [])
            wanted = RequestedOutput(_ranked(known, output), top)
            if top < 1:
                raise BadInput(f"{model}: top is {top}, ask for 1 class or more.")
            answer = self._ask(known, tensors, (wanted,))
        return classifications_from_array(answer[wanted.name])

    def close(self) -> None:
        """Give connections and threads back. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            self._pool.shutdown(cancel_futures=True)
            self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise CallError(f"this client of {self.address} is closed. Make a new one.")

    def _prepared(
        self, model: str, version: str, given: Mapping[str, Any], outputs: Sequence[str]
    ) -> tuple[ModelMetadata, tuple[InputTensor, ...]]:
        remembered = (model, version) in self._known
        known = self.metadata(model, version)
        try:
            check_names(model, "output", outputs, [tensor.name for tensor in known.outputs])
            return known, checked(known, given)
        except BadInput:
            if not remembered:
                raise
            self._known.pop((model, version), None)
            return self._prepared(model, version, given, outputs)

    @contextmanager
    def _in_time(self, model: str, timeout_s: float | None) -> Iterator[None]:
        given_s = self.timeout_s if timeout_s is None else timeout_s
        try:
            with within(given_s):
                yield
        except DeadlineExceeded as error:
            raise DeadlineExceeded(
                f"{model}: no answer from {self.address} within {given_s:.3g} s. Raise timeout_s, or send fewer rows."
            ) from error

    def _ask(
        self,
        model: ModelMetadata,
        tensors: tuple[InputTensor, ...],
        outputs: tuple[RequestedOutput, ...],
        idempotent: bool = True,
    ) -> Arrays:
        def send(part: tuple[InputTensor, ...]) -> Arrays:
            waits_s = left_s()
            if not waits_s:
                raise DeadlineExceeded("no time left")
            request = Request(model.name, model.version, part, outputs, waits_s, idempotent, model.outputs)
            return self._transport.infer(request)

        check_one_answer(model)
        parts = parts_of(model, tensors)
        with self._named(model):
            if len(parts) == 1:
                return joined(model, [send(parts[0])])
            contexts = [copy_context() for _ in parts]  # with the deadline, into each part's thread
            answers = self._pool.map(lambda context, part: context.run(send, part), contexts, parts)
            return joined(model, list(answers))

    @contextmanager
    def _named(self, model: ModelMetadata) -> Iterator[None]:
        """Errors name the model; what the server has refused to answer is asked about anew."""
        try:
            yield
        except Rejected as error:
            raise Rejected(f"{model.name}: {error}", error.retry_after_s) from error
        except InferenceFailed as error:
            self._known.pop((model.name, model.version), None)
            raise InferenceFailed(f"{model.name}: {error}") from error
        except ModelNotFound as error:
            self._known.pop((model.name, model.version), None)
            raise self._not_found(model.name, error) from error

    def _not_found(self, model: str, error: ModelNotFound) -> ModelNotFound:
        try:
            loaded = self._transport.loaded()
        except CallError:  # the list is a kindness, and may be a restricted API
            return ModelNotFound(f"{model}: {self.address} has not loaded it ({error}).")
        listed = ", ".join(f"{name} (version {version})" for name, version in loaded) or "nothing"
        close = difflib.get_close_matches(model, [name for name, _ in loaded if name != model], n=1)
        meant = f" Did you mean '{close[0]}'?" if close else ""
        return ModelNotFound(f"{model}: {self.address} has not loaded it ({error}). Loaded: {listed}.{meant}")


def _ranked(model: ModelMetadata, name: str) -> str:
    """The name of the output to rank."""
    names = ", ".join(output.name for output in model.outputs)
    if not name and len(model.outputs) != 1:
        raise BadInput(f"{model.name}: say which output to rank, the model has: {names}.")
    output = next(output for output in model.outputs if name in ("", output.name))
    if output.dtype not in CLASSIFIABLE:
        raise BadInput(
            f"{model.name}: output '{output.name}' is {output.dtype}, which Triton's classification extension does not "
            "rank. Use infer, and sort."
        )
    return output.name
