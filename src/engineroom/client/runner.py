"""How the client's coroutines run: in the threads of its callers, or in their event loop.

What a client does is written once, as coroutines. Those of a blocking transport never wait for an event loop, so that
without one they run from start to end like any function.
"""

import asyncio
import concurrent.futures
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Thread
from typing import Any, Protocol, TypeAlias, TypeVar

Answer = TypeVar("Answer")
Item = TypeVar("Item")

Started: TypeAlias = Any
"""What runs beside its caller: a future, of a thread or of the event loop."""

IN_FLIGHT = 4
"""Parts of one large batch that are on their way at once: enough to keep a server's instances busy, few enough not to
fill its queue for everybody else."""


class Runner(Protocol):
    """What the client's coroutines need besides transports."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    async def each(self, ask: Callable[[Item], Coroutine[Any, Any, Answer]], items: Sequence[Item]) -> list[Answer]:
        """Ask for each of the items, `IN_FLIGHT` at once; the answers in order, or the error of one."""

    def start(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Started:
        """Run beside the caller, within its deadline."""

    async def first(self, running: set[Started], limit_s: float | None) -> tuple[set[Started], set[Started]]:
        """Wait until one or more have ended, at most so long: those that have, and those that have not."""

    async def leave(self, running: Iterable[Started]) -> None:
        """Wait no longer for these; they end by themselves where they cannot be ended."""

    def close(self) -> None:
        """Give threads back."""


def finished(coroutine: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a coroutine that never waits for an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        answer: Answer = end.value
        return answer
    coroutine.close()
    raise RuntimeError("what waits for an event loop was called without one")


class ThreadRunner:
    """Blocks the calling thread, and starts others for what happens beside it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="engineroom-client")

    async def sleep(self, seconds: float) -> None:
        """Block."""
        time.sleep(seconds)

    async def each(self, ask: Callable[[Item], Coroutine[Any, Any, Answer]], items: Sequence[Item]) -> list[Answer]:
        """Ask in the client's pool of threads; its size is for all calls together."""
        contexts = [copy_context() for _ in items]  # with the deadline, into each thread
        return list(self._pool.map(lambda context, item: context.run(lambda: finished(ask(item))), contexts, items))

    def start(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Started:
        """Start a thread that keeps no program from ending: a silent server may hold it until its deadline."""
        future: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        context = copy_context()

        def work() -> None:
            try:
                future.set_result(context.run(lambda: finished(ask())))
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it, as from a pool
                future.set_exception(error)

        Thread(target=work, name="engineroom-client-hedged", daemon=True).start()
        return future

    async def first(self, running: set[Started], limit_s: float | None) -> tuple[set[Started], set[Started]]:
        """Block until one has ended."""
        ended, silent = concurrent.futures.wait(running, limit_s, concurrent.futures.FIRST_COMPLETED)
        return ended, silent

    async def leave(self, running: Iterable[Started]) -> None:
        """Nothing: a thread cannot be ended."""

    def close(self) -> None:
        """Give the pool's threads back."""
        self._pool.shutdown(cancel_futures=True)


class LoopRunner:
    """Waits in the event loop, where everything can be cancelled."""

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        await asyncio.sleep(seconds)

    async def each(self, ask: Callable[[Item], Coroutine[Any, Any, Answer]], items: Sequence[Item]) -> list[Answer]:
        """Ask in tasks, so many at once for each call; the error of one cancels the others."""
        gate = asyncio.Semaphore(IN_FLIGHT)

        async def ask_in_turn(item: Item) -> Answer:
            async with gate:
                return await ask(item)

        tasks = [asyncio.ensure_future(ask_in_turn(item)) for item in items]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            await self.leave(tasks)

    def start(self, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Started:
        """Start a task."""
        return asyncio.ensure_future(ask())

    async def first(self, running: set[Started], limit_s: float | None) -> tuple[set[Started], set[Started]]:
        """Wait until one has ended."""
        ended, silent = await asyncio.wait(running, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        return ended, silent

    async def leave(self, running: Iterable[Started]) -> None:
        """Cancel them, and wait until they have given everything back."""
        tasks = list(running)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        """Nothing to give back."""
