"""Whether a server is worth asking, from what it answered last. Pure: the time is given."""

FAILURES = 5
"""Failures in a row that open a breaker."""

OPEN_S = 1.0
"""Seconds until one request tries whether the server is back."""

SOUND = 10
"""Answers in a row after which a failure is forgotten."""


class Breaker:
    """Opens after failures in a row; then lets one request at a time through, until one succeeds.

    Not safe for threads: its owner holds a lock.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._answers = SOUND
        self._until = 0.0
        self._probing = False

    @property
    def open(self) -> bool:
        """Whether the last requests failed."""
        return self._failures >= FAILURES

    @property
    def sound(self) -> bool:
        """Whether none of the last requests failed; also before the first one."""
        return self._answers >= SOUND

    def allows(self, now: float) -> bool:
        """Whether a request may be sent: always while closed, one at a time after a while when open."""
        return not self.open or (now >= self._until and not self._probing)

    def begin(self) -> None:
        """A request is sent; when open, it is the probe."""
        self._probing = self.open

    def end(self, now: float, failed: bool | None) -> None:
        """A request ended.

        Args:
            now: Seconds of a monotonic clock.
            failed: Whether the server did not answer; None where that is not known.
        """
        self._probing = False
        if failed:
            self._failures += 1
            self._answers = 0
            self._until = now + OPEN_S
        elif failed is not None:
            self._failures = 0
            self._answers += 1
