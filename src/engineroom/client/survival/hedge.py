"""Hedging: a second request to another server while the first one is late."""

import threading
from collections import deque
from dataclasses import dataclass

from engineroom.errors import BadInput

REMEMBERED = 200
"""Answers of each model that a percentile is taken of."""

ENOUGH = 20
"""Answers of a model before its percentile is believed; until then its requests are not hedged."""


@dataclass(frozen=True)
class HedgePolicy:
    """When a request that is not answered yet is sent to another server too.

    Either after a time, or after a percentile of the model's last answers: at 95, one request in twenty is late.

    Attributes:
        after_s: Seconds after which a request is late.
        percentile: How many of a hundred answers come sooner than what is late.

    Raises:
        BadInput: Neither is given, or both, or one is out of its range.
    """

    after_s: float | None = None
    percentile: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be followed."""
        if (self.after_s is None) == (self.percentile is None):
            raise BadInput("HedgePolicy: give after_s or percentile.")
        if self.after_s is not None and self.after_s < 0:
            raise BadInput(f"HedgePolicy: after_s is {self.after_s:g}, give 0 seconds or more.")
        if self.percentile is not None and not 0 < self.percentile < 100:
            raise BadInput(f"HedgePolicy: percentile is {self.percentile:g}, give more than 0 and less than 100.")


class Latencies:
    """How long the last answers took, by model. Safe for threads."""

    def __init__(self) -> None:
        self._by_model: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def add(self, model: str, seconds: float) -> None:
        """Remember one answer."""
        with self._lock:
            self._by_model.setdefault(model, deque(maxlen=REMEMBERED)).append(seconds)

    def late_s(self, policy: HedgePolicy, model: str) -> float | None:
        """Seconds after which a request to the model is late; None where that is not known yet."""
        if policy.percentile is None:
            return policy.after_s
        with self._lock:
            ordered = sorted(self._by_model.get(model, ()))
        if len(ordered) < ENOUGH:
            return None
        return ordered[int(len(ordered) * policy.percentile / 100)]
