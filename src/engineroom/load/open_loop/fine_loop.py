"""An event loop that keeps times to the microsecond, and spends little on keeping them."""

import asyncio
import math
import select
import selectors
import time
from collections.abc import Callable
from typing import Any

Work = Callable[[], float]
"""Does what is due, and says when to come back: monotonic seconds, infinite for never."""


class FineSelector(selectors.EpollSelector):
    """Waits to the microsecond: the epoll descriptor is itself waited for by `select`, which takes such times.

    Python's `EpollSelector` rounds up to milliseconds, because `epoll_wait` counts in them.

    Attributes:
        disturbed: The loop was given something to do: it waits no longer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.disturbed = False
        self._due_s, self._work = math.inf, _nothing

    def pace(self, due_s: float, work: Work) -> None:
        """Do work within the wait, from a time on. A timer of the loop's takes twice the processor time."""
        self._due_s, self._work = due_s, work

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready descriptors, after `timeout` seconds at the latest."""
        self.disturbed = False
        now_s = time.monotonic()
        until_s = math.inf if timeout is None else now_s + timeout
        while True:
            if self._due_s <= now_s:
                self._due_s = self._work()
                now_s = time.monotonic()
            wait_s = min(self._due_s, until_s) - now_s
            if wait_s <= 0 or self.disturbed:
                return super().select(0)
            if select.select([self.fileno()], [], [], None if wait_s == math.inf else wait_s)[0]:
                return super().select(0)
            now_s = time.monotonic()


class FineLoop(asyncio.SelectorEventLoop):
    """The event loop. Its selector learns of everything that the loop is given to do."""

    def __init__(self) -> None:
        self._fine = FineSelector()
        super().__init__(self._fine)

    def pace(self, due_s: float, work: Work) -> None:
        """Do work at a time, and again whenever it says.

        Args:
            due_s: When for the first time, monotonic seconds.
            work: Does it.
        """
        self._fine.pace(due_s, work)
        self._fine.disturbed = True

    def call_soon(self, *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]  # 3.10 has no word
        """See `asyncio`."""
        self._fine.disturbed = True
        return super().call_soon(*args, **options)

    def call_at(self, *args: Any, **options: Any) -> asyncio.TimerHandle:  # type: ignore[override]  # as above
        """See `asyncio`."""
        self._fine.disturbed = True
        return super().call_at(*args, **options)


def _nothing() -> float:
    return math.inf
