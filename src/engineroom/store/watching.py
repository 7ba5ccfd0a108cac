"""How progress is told to whoever wants to show it."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""`with watch("push", total_bytes) as advance: advance(bytes_done)`; called from several threads."""


@contextmanager
def silent(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:  # noqa: ARG001 - a `Watch`
    """Shows nothing."""
    yield lambda _: None
