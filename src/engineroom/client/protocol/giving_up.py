"""Callers of gRPC who give up, and servers that a cancelled call can end.

Before 2.57 (25.04) Triton's gRPC front end may use what it has freed when a call is cancelled, or its deadline rings,
while its answer is on the way: the process then ends with a segmentation fault. With 2.51 that was seen once in a
thousand such calls; https://github.com/triton-inference-server/server/pull/8078 mended it. To such a server, and to one
that has not said its version yet, a call is left rather than cancelled: its caller goes on at once, and the answer is
thrown away.
"""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any

from engineroom.errors import DeadlineExceeded

SOUND = (2, 57)
"""The first Triton that bears it."""

LEFT_S = 10.0
"""Time for a call beyond its caller's: after that it is cancelled all the same, so that a silent server keeps none."""

CLOSE_S = 1.0
"""Longest wait of a client that is closed for calls that nobody waits for: closing a connection cancels them."""

LATE = "Deadline Exceeded"

Tell = Callable[[Any, Exception | None], None]
"""Takes an answer, or an error; by these names: `result`, `error`."""


def bears_cancelling(version: str) -> bool:
    """Whether the gRPC front end of a Triton bears calls that are cancelled.

    Args:
        version: As the server's metadata tells it, such as `2.51.0`.
    """
    try:
        major, minor = version.split(".")[:2]
        return (int(major), int(minor)) >= SOUND
    except ValueError:
        return False


class LeftCalls:
    """The calls of one channel, whose callers may leave before they end. Safe for threads."""

    def __init__(self) -> None:
        # The call itself is kept with its end: gRPC cancels a call that nobody holds any more.
        self._running: dict[Future[Any], Any] = {}

    def answer(self, begin: Callable[[Tell], Any], timeout_s: float) -> Any:
        """The answer of a call, or its error.

        Args:
            begin: Begins the call, which tells its end, as tritonclient's callback does; gives what keeps it.
            timeout_s: Longest wait.

        Raises:
            DeadlineExceeded: It has not ended by then; it goes on.
        """
        ended: Future[Any] = Future()

        def tell(result: Any, error: Exception | None) -> None:
            if error is None:
                ended.set_result(result)
            else:
                ended.set_exception(error)

        self._running[ended] = begin(tell)
        ended.add_done_callback(self._running.pop)
        try:
            return ended.result(timeout_s)
        except TimeoutError:
            raise DeadlineExceeded(LATE) from None

    def close(self) -> None:
        """Wait for those that still run, a little."""
        wait(list(self._running), CLOSE_S)


class LeftTasks:
    """The same in an event loop."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    async def answer(self, asked: Coroutine[Any, Any, Any], timeout_s: float) -> Any:
        """The answer of a call, or its error; whoever is cancelled leaves it too.

        Args:
            asked: The call.
            timeout_s: Longest wait.

        Raises:
            DeadlineExceeded: It has not ended by then; it goes on.
        """
        task = asyncio.ensure_future(asked)
        self._running.add(task)
        task.add_done_callback(self._forget)
        ended, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not ended:
            raise DeadlineExceeded(LATE)
        return task.result()

    async def close(self) -> None:
        """Wait for those that still run, a little, and cancel the rest."""
        running = list(self._running)
        if running:
            await asyncio.wait(running, timeout=CLOSE_S)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # asyncio complains of an error that nobody looked at
