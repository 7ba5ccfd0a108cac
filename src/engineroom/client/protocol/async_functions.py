"""Functions instead of a server, for the tests of an application with an event loop."""

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping

from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.functions import FunctionTransport, wanted_of
from engineroom.client.protocol.transport import Arrays, Request

AsyncAnswering = Callable[[Arrays], Arrays | Awaitable[Arrays] | AsyncIterable[Arrays]]
"""What answers for a model: a function, or one that is awaited; for a decoupled one, an asynchronous generator too."""


class AsyncFunctionTransport:
    """`FunctionTransport` for `AsyncClient`.

    Args:
        models: What each model takes and gives, and what answers; see `FunctionTransport`.

    Attributes:
        requests: Every request so far, in order of arrival.
    """

    address = FunctionTransport.address

    def __init__(self, models: Mapping[ModelMetadata, AsyncAnswering]) -> None:
        self._functions = FunctionTransport(models)  # type: ignore[arg-type] # what is awaitable is awaited here
        self.requests = self._functions.requests

    async def ready(self, model: str, version: str) -> bool:
        """Whether there is a function of that name; always true of the whole."""
        return self._functions.ready(model, version)

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        return self._functions.metadata(model, version)

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model."""
        return self._functions.loaded()

    async def infer(self, request: Request) -> Arrays:
        """Answer one request."""
        answer = self._functions._answer(request)
        return wanted_of(request, await answer if inspect.isawaitable(answer) else answer)

    async def stream(self, request: Request) -> AsyncGenerator[Arrays, None]:
        """Answers to one request of a decoupled model: of its function, or of its asynchronous generator."""
        answers = self._functions._answer(request)
        if isinstance(answers, AsyncIterable):
            async for answer in answers:
                yield answer
        else:
            for answer in answers:
                yield answer

    async def close(self) -> None:
        """Nothing to give back."""
