"""What keeps repetitions from multiplying the load of a server that is already in trouble."""

import threading

RESERVE = 10.0
"""Repetitions that a client has before it has earned any: a young one survives the loss of a server too."""

MOST = 100.0
"""Repetitions that can be saved up: as many requests as one client may lose with a server that dies."""


class RetryBudget:
    """A bucket of repetitions, filled by requests; shared by all calls of a client.

    The reserve is an advance: the first requests pay it back before they earn more. So of any number of requests since
    the beginning at most `share` is repeated, or `RESERVE` where that is more.

    Args:
        share: What one request earns.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._saved = RESERVE
        self._owed = RESERVE
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count one request, whatever becomes of it."""
        with self._lock:
            if self._owed > 0:
                self._owed -= self._share
            else:
                self._saved = min(MOST, self._saved + self._share)

    def spend(self) -> bool:
        """Take one repetition, if there is one."""
        with self._lock:
            if self._saved < 1:
                return False
            self._saved -= 1
            return True
