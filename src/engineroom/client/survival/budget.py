"""What keeps repetitions from multiplying the load of servers that are already in trouble."""

import threading

SPARE = 10
"""Repetitions that a client has ready. More, or a window of seconds as in Finagle and Envoy, would let a short outage
exceed the share by what a long healthy time has saved."""


class RetryBudget:
    """So many repetitions for so many requests; shared by all calls of a client.

    From the first repetition on, at most `share` of the requests is repeated, or `SPARE` where that is more. Once the
    requests have paid for them, and for `SPARE` to come, counting begins anew.

    Args:
        share: Repetitions for each request.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._requests = 0
        self._repeated = 0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count one request, whatever becomes of it."""
        with self._lock:
            self._requests += 1
            if not self._repeated or self._share * self._requests >= self._repeated + SPARE:
                self._requests = self._repeated = 0

    def spend(self) -> bool:
        """Take one repetition, if there is one."""
        with self._lock:
            if self._repeated + 1 > self._most:
                return False
            self._repeated += 1
            return True

    def lends(self) -> bool:
        """Whether a repetition may be made for which nothing is taken as long as it succeeds: not while in debt."""
        with self._lock:
            return self._repeated <= self._most

    def charge(self) -> None:
        """Take a lent repetition after all: it failed."""
        with self._lock:
            self._repeated += 1

    @property
    def _most(self) -> float:
        return max(float(SPARE), self._share * self._requests)
