"""One request's way over the servers: what may still be done after each failure. Sends nothing, sleeps nowhere."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from engineroom.client.deadline import left_s, over, within
from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.survival.budget import RetryBudget
from engineroom.client.survival.endpoints import Endpoint, Endpoints
from engineroom.client.survival.retry import RetryPolicy
from engineroom.errors import CallError, DeadlineExceeded, ModelNotFound, ServerUnavailable


class Course:
    """What one request has tried.

    Args:
        endpoints: The servers.
        policy: When a request is repeated.
        budget: The client's repetitions.
        idempotent: Whether it may be repeated at all.
    """

    def __init__(self, endpoints: Endpoints, policy: RetryPolicy, budget: RetryBudget, idempotent: bool) -> None:
        self._endpoints = endpoints
        self._policy = policy
        self._budget = budget
        self._most = policy.attempts if idempotent else 1
        self._attempts = 0
        self._asked: list[Endpoint] = []  # and silent so far, in order
        self._tried: set[Endpoint] = set()
        self._unknown_at: set[Endpoint] = set()
        self._working: set[Endpoint] = set()  # given up while they were answering others
        self._lent = False
        budget.earn()

    @contextmanager
    def attempt(self, limited: bool = True) -> Iterator[AsyncTransport]:
        """One server, for one attempt within its limit; how the block ends is remembered.

        Args:
            limited: Whether the policy's limit of an attempt holds.

        Raises:
            ServerUnavailable: The server was silent for the whole of the attempt's limit.
        """
        self._attempts += 1
        begun_s = time.monotonic()
        limit_s = self._policy.attempt_s if limited and self._attempts < self._most else None
        with self._endpoints.taken({*self._tried, *self._asked}) as endpoint:
            self._asked.append(endpoint)
            try:
                with within(limit_s) if limit_s is not None else nullcontext():
                    yield endpoint.transport
            except DeadlineExceeded as error:
                self._failed_at(endpoint, error)
                if limit_s is None or over():
                    raise
                if endpoint.answered_s >= begun_s:
                    self._working.add(endpoint)
                raise ServerUnavailable(f"{endpoint.transport.address}: no answer within {limit_s:g} s") from error
            except CallError as error:
                self._failed_at(endpoint, error)
                raise
            else:
                self._answered_by(endpoint)
            finally:
                self._asked.remove(endpoint)

    def pause_s(self, error: CallError) -> float | None:
        """Seconds before the next attempt, or None where there shall be none.

        Args:
            error: What the last one ended with.
        """
        if self._lent:
            self._budget.charge()
            self._lent = False
        elsewhere = len(self._tried) < len(self._endpoints.all)
        worth = self._policy.repeats(error) or (elsewhere and isinstance(error, ModelNotFound))
        if not worth or self._attempts >= self._most:
            return None
        at_once = elsewhere and isinstance(error, ServerUnavailable | ModelNotFound)
        pause_s = 0.0 if at_once else self._policy.pause_s(self._attempts, error, random.random())  # noqa: S311
        return pause_s if pause_s < left_s() and (self._borrows(at_once) or self._budget.spend()) else None

    def hedges(self) -> bool:
        """Whether a second server is asked while the first one is silent; takes it from the budget."""
        others = self._endpoints.others({*self._tried, *self._asked})
        return bool(others) and self._attempts < self._most and self._budget.spend()

    def verdict(self, error: CallError) -> CallError:
        """The error that the caller gets: the last one, and what it stands for."""
        if not isinstance(error, ServerUnavailable) or len(self._tried) < 2:
            return error
        tried = ", ".join(endpoint.transport.address for endpoint in self._endpoints.all if endpoint in self._tried)
        return ServerUnavailable(f"none of {tried} answers. The last one: {error}")

    def _borrows(self, at_once: bool) -> bool:
        """Whether the repetition is no load upon load: those tried are dead or hang, and the next one is sound."""
        sound = any(endpoint.breaker.sound for endpoint in self._endpoints.others(self._tried))
        self._lent = at_once and sound and not self._working and self._budget.lends()
        return self._lent

    def _failed_at(self, endpoint: Endpoint, error: CallError) -> None:
        self._tried.add(endpoint)
        if isinstance(error, ModelNotFound):
            self._unknown_at.add(endpoint)

    def _answered_by(self, endpoint: Endpoint) -> None:
        slower = self._asked[: self._asked.index(endpoint)]
        if slower or self._unknown_at:
            self._endpoints.blame({*slower, *self._unknown_at})
