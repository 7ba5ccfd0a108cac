"""What belongs to one event loop: made there at the first call, and used nowhere else."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from engineroom.errors import CallError

Thing = TypeVar("Thing")


class LoopBound(Generic[Thing]):
    """One thing of one event loop.

    Args:
        make: Makes it.

    Attributes:
        made: The thing, once it is made.
    """

    def __init__(self, make: Callable[[], Thing]) -> None:
        self.made: Thing | None = None
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> Thing:
        """The thing.

        Raises:
            CallError: It belongs to another event loop than this one.
        """
        loop = asyncio.get_running_loop()
        if self.made is None:
            self.made, self._loop = self._make(), loop
        if self._loop is not loop:
            raise CallError("an AsyncClient belongs to the event loop of its first call. Make one in each event loop.")
        return self.made
