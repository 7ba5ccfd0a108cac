"""Calls with several answers, in an event loop."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Literal

from engineroom.client.async_many import answers_in_loop
from engineroom.client.check import mapping
from engineroom.client.many import WINDOW, Many
from engineroom.client.protocol.transport import Arrays
from engineroom.client.question import Question
from engineroom.client.several import begun_stream


class AsyncSeveral:
    """What `AsyncClient` can do besides one answer to one call."""

    def infer_many(
        self: Any,
        model: str,
        items: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        window: int = WINDOW,
        ordered: bool = True,
        errors: Literal["raise", "yield"] = "raise",
        on_progress: Callable[[int, int], None] | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """As `Client.infer_many`, of an iterable or an asynchronous one; answers do not wait for a slow one.

        Whoever stops early closes the iterator (`contextlib.aclosing`), which cancels what is in flight.
        """

        async def ask(item: Mapping[str, Any]) -> Arrays:
            answer: Arrays = await self.infer(model, item, **options)
            return answer

        return answers_in_loop(ask, items, Many(window, ordered, errors, on_progress))

    async def stream(
        self: Any,
        model: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        outputs: Sequence[str] = (),
        version: str = "",
        timeout_s: float | None = None,
        idempotent: bool = True,
        **named: Any,
    ) -> AsyncGenerator[Arrays, None]:
        """As `Client.stream`. Every error comes with the first answer that is asked for, or later.

        Whoever stops early closes the iterator (`contextlib.aclosing`), and the server is told.
        """
        question = Question(model, version, mapping(model, inputs, named), outputs, idempotent)
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        async with aclosing(await begun_stream(self._asking, question, timeout_s)) as answers:
            async for answer in answers:
                yield answer
