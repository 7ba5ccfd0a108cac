"""An event loop that wakes on time: asyncio's own rounds every wait up to whole milliseconds."""

import asyncio
import select
import selectors


class FineSelector(selectors.EpollSelector):
    """Waits to the microsecond: the epoll descriptor is itself waited for by `select`, which takes such times.

    Python's `EpollSelector` rounds up to milliseconds, because `epoll_wait` counts in them.
    """

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Ready descriptors, after `timeout` seconds at the latest."""
        if timeout is not None and timeout > 0:
            if not select.select([self.fileno()], [], [], timeout)[0]:
                return []
            timeout = 0
        return super().select(timeout)


def fine_loop() -> asyncio.AbstractEventLoop:
    """A new event loop that waits to the microsecond."""
    return asyncio.SelectorEventLoop(FineSelector())
