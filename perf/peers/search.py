"""The highest rate at which a server keeps its promise: bracketed upward or downward, then halved between."""

from dataclasses import dataclass, field

LEAST_IN_TIME = 0.99
"""Share of the requests that must be rightly answered within the SLO: its p99, with failures counted as beyond it."""
HOPELESS = 0.3
"""Below this share one window is enough; above it, chance may have been against the server, and it gets a second."""
STEP = 1.5
"""Factor from one rate to the next while one side of the bracket is missing."""
LEAST_PER_S = 1.0


@dataclass(frozen=True)
class Window:
    """What one measurement at one rate gave.

    Attributes:
        rate_per_s: Requests offered per second.
        in_time: Share of them that were rightly answered within the SLO.
        p50_ms: Median of the latency, from when a request was due.
        p99_ms: Its 99th percentile.
        cpu_us: Processor time of the server's processes for one request, microseconds.
        memory_bytes: Memory of the server's processes at the end.
        lateness_p99_ms: 99th percentile of how late the generator sent.
        reasons: Words for the first failure of each kind.
    """

    rate_per_s: float
    in_time: float
    p50_ms: float
    p99_ms: float
    cpu_us: float = 0.0
    memory_bytes: int = 0
    lateness_p99_ms: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        return self.in_time >= LEAST_IN_TIME


class Search:
    """Chooses the next rate from the windows so far. Several searches can take turns.

    Args:
        guess_per_s: The first rate.
        close: The search ends when the lowest broken rate is at most so many times the highest kept one.

    Attributes:
        windows: Everything measured.
        kept: The window at the highest rate that was kept; None while there is none.
        broken_per_s: The lowest rate that was not.
    """

    def __init__(self, guess_per_s: float, close: float = 1.1) -> None:
        self.close = close
        self.windows: list[Window] = []
        self.kept: Window | None = None
        self.broken_per_s: float | None = None
        self.rate_per_s = guess_per_s
        """What to offer next."""
        self._doubted = False

    @property
    def done(self) -> bool:
        """Whether the answer is known closely enough, or there is none."""
        if self.broken_per_s is None:
            return False
        if self.kept is None:
            return self.broken_per_s <= LEAST_PER_S
        return self.broken_per_s <= self.kept.rate_per_s * self.close

    def tell(self, window: Window) -> None:
        """Take in the window that was measured at `rate_per_s`, and choose the next rate."""
        self.windows.append(window)
        if not window.kept and window.in_time >= HOPELESS and not self._doubted:
            self._doubted = True
            return
        self._doubted = False
        if window.kept:
            self.kept = window
        else:
            self.broken_per_s = self.rate_per_s
        self.rate_per_s = self._next()

    def _next(self) -> float:
        if self.kept is None:
            return (self.broken_per_s or LEAST_PER_S) / STEP
        if self.broken_per_s is None:
            return self.kept.rate_per_s * STEP
        return float((self.kept.rate_per_s * self.broken_per_s) ** 0.5)
