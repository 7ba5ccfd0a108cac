"""What keeps repetitions from multiplying the load of servers that are already in trouble."""

import threading

SPARE = 10.0
"""Repetitions that a client has ready. A bucket this small bounds an outage of every length: savings of a long healthy
time, or a window of seconds as in Finagle, would let a short outage exceed the share."""


class RetryBudget:
    """A bucket of repetitions, filled by requests; shared by all calls of a client.

    Of any requests in a row at most `share` is repeated, and `SPARE` more.

    Args:
        share: What one request earns.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = SPARE
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count one request, whatever becomes of it."""
        with self._lock:
            self._saved = min(SPARE, self._saved + self._share)

    def spend(self) -> bool:
        """Take one repetition, if there is one."""
        with self._lock:
            if self._saved < 1:
                return False
            self._saved -= 1
            return True

    def lends(self) -> bool:
        """Whether a repetition may be made for which nothing is taken as long as it succeeds: not while in debt."""
        with self._lock:
            return self._saved >= 0

    def charge(self) -> None:
        """Take a lent repetition after all: it failed."""
        with self._lock:
            self._saved -= 1
