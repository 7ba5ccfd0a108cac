"""One deadline a call: everything that a call does shares the seconds that its caller gave.

It stands in a context variable, so that whatever is asked on the way (metadata, liveness) is limited without being
told, also by transports whose methods know no timeout.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engineroom.errors import BadInput

LONGEST_S = 2e6
"""What is longer, for ever too, is 23 days: every clock on the way holds it (gRPC counts milliseconds in 32 bits)."""

_END: ContextVar[float] = ContextVar("engineroom_client_deadline", default=math.inf)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give what happens in the block so many seconds, or what is left of those given around it.

    Raises:
        BadInput: It is no number.
    """
    if math.isnan(seconds):
        raise BadInput(
            "a time of NaN seconds is none. Give a number of seconds; float('inf') waits as long as it takes."
        )
    token = _END.set(min(_END.get(), time.monotonic() + min(seconds, LONGEST_S)))
    try:
        yield
    finally:
        _END.reset(token)


def left_s() -> float:
    """Seconds that are left; infinite outside of every call, 0 at the end."""
    return max(0.0, _END.get() - time.monotonic())


def over() -> bool:
    """Whether the time is up, or a timer that was set to it has rung a little early."""
    return left_s() < 0.01


def timeout_us(seconds: float) -> int:
    """A request's `timeout` in Triton's unit; never 0, which would be none."""
    return max(1, int(min(seconds, 1e9) * 1e6))
