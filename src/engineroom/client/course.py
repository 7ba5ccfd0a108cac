"""One request's way over the servers: what may still be done after each failure. Sends nothing, sleeps nowhere."""

import random

from engineroom.client.budget import RetryBudget
from engineroom.client.deadline import left_s
from engineroom.client.endpoints import Endpoint, Endpoints
from engineroom.client.retry import RetryPolicy
from engineroom.errors import CallError, ModelNotFound, ServerUnavailable


class Course:
    """What one request has tried.

    Args:
        endpoints: The servers.
        policy: When a request is repeated.
        budget: The client's repetitions.
        idempotent: Whether it may be repeated at all.

    Attributes:
        tried: Servers that failed.
    """

    def __init__(self, endpoints: Endpoints, policy: RetryPolicy, budget: RetryBudget, idempotent: bool) -> None:
        self.tried: set[Endpoint] = set()
        self._endpoints = endpoints
        self._policy = policy
        self._budget = budget
        self._idempotent = idempotent
        self._attempts = 0
        self._unknown_at: set[Endpoint] = set()
        budget.earn()

    def pause_s(self, endpoint: Endpoint, error: CallError) -> float | None:
        """Seconds before the next attempt, or None where there shall be none.

        Args:
            endpoint: The server that was asked.
            error: What came of it.
        """
        self._attempts += 1
        self.tried.add(endpoint)
        if isinstance(error, ModelNotFound):
            self._unknown_at.add(endpoint)
        elsewhere = len(self.tried) < len(self._endpoints.all)
        worth = self._policy.repeats(error) or (elsewhere and isinstance(error, ModelNotFound))
        if not (self._idempotent and worth and self._attempts < self._policy.attempts):
            return None
        at_once = elsewhere and isinstance(error, ServerUnavailable | ModelNotFound)
        pause_s = 0.0 if at_once else self._policy.pause_s(self._attempts, error, random.random())  # noqa: S311
        return pause_s if pause_s < left_s() and self._budget.spend() else None

    def answered(self) -> None:
        """The request has its answer: servers that did not know its model should have."""
        if self._unknown_at:
            self._endpoints.blame(self._unknown_at)

    def verdict(self, error: CallError) -> CallError:
        """The error that the caller gets: the last one, and what it stands for."""
        if not isinstance(error, ServerUnavailable) or len(self.tried) < 2:
            return error
        tried = ", ".join(endpoint.transport.address for endpoint in self._endpoints.all if endpoint in self.tried)
        return ServerUnavailable(f"none of {tried} answers. The last one: {error}")
