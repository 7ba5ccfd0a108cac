"""Any number of calls in an event loop, several of them in flight: `AsyncClient.infer_many`."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from itertools import islice
from typing import Any

from engineroom.client.many import Many
from engineroom.client.protocol.transport import Arrays
from engineroom.errors import CallError


async def answers_in_loop(
    ask: Callable[[Any], Awaitable[Arrays]], items: Iterable[Any] | AsyncIterable[Any], many: Many
) -> AsyncIterator[Any]:
    """Ask about every item, in tasks.

    Args:
        ask: Answers one item, or raises a `CallError`.
        items: What to ask; may be endless.
        many: How.

    Yields:
        As `Client.infer_many`.
    """
    done = failed = 0
    window = _Window(ask, items, many)
    try:
        while (found := await window.next()) is not None:
            index, outcome = found
            done, failed = done + 1, failed + isinstance(outcome, CallError)
            if many.on_progress:
                many.on_progress(done, failed)
            if isinstance(outcome, CallError) and many.errors == "raise":
                raise outcome
            yield outcome if many.ordered else (index, outcome)
    finally:
        await window.close()


class _Window:
    """Items in flight, and the one that is being fetched."""

    def __init__(self, ask: Callable[[Any], Awaitable[Arrays]], items: Any, many: Many) -> None:
        self._ask, self._many = ask, many
        self._items = aiter(items) if isinstance(items, AsyncIterable) else _in_loop(items)
        self._asked: dict[asyncio.Task[Any], int] = {}  # in the order of the items
        self._fetching: asyncio.Task[Any] | None = None
        self._count = 0
        self._ended = False

    async def next(self) -> tuple[int, Any] | None:
        """The next answer or error, with its index; None after the last."""
        while True:
            self._fetch()
            head = list(islice(self._asked, 1 if self._many.ordered else None))
            ready = next((task for task in head if task.done()), None)
            if ready:
                return self._asked.pop(ready), ready.result()
            watched = [*head, *([self._fetching] if self._fetching else [])]
            if not watched:
                return None
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        """Cancel what is in flight."""
        left = [*self._asked, *([self._fetching] if self._fetching else [])]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def _fetch(self) -> None:
        """Ask about the item that was fetched, and fetch another one where there is room."""
        if self._fetching and self._fetching.done():
            fetched, self._fetching = self._fetching.result(), None
            self._ended = not fetched
            for item in fetched:
                self._asked[asyncio.ensure_future(self._outcome(item))] = self._count
                self._count += 1
        if not self._fetching and not self._ended and len(self._asked) < self._many.window:
            self._fetching = asyncio.ensure_future(self._fetched())

    async def _fetched(self) -> list[Any]:
        """One item, or none at the end."""
        try:
            return [await anext(self._items)]
        except StopAsyncIteration:
            return []

    async def _outcome(self, item: Any) -> Any:
        try:
            return await self._ask(item)
        except CallError as error:
            return error


async def _in_loop(items: Iterable[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item
