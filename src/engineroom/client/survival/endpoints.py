"""The servers of a client, and which of them is asked next."""

import random
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.survival.breaker import Breaker
from engineroom.errors import CallError, DeadlineExceeded, ModelNotFound, ServerUnavailable

FAILURES = (ServerUnavailable, DeadlineExceeded)
"""What counts against a server by itself."""


class Endpoint:
    """One server.

    Attributes:
        transport: How it is asked.
        breaker: Whether it is worth asking.
        in_flight: This client's requests that it has not answered yet.
        answered_s: When it last answered one; monotonic seconds.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self.transport = transport
        self.breaker = Breaker()
        self.in_flight = 0
        self.answered_s = 0.0


class Endpoints:
    """Chooses the server with the fewest requests in flight among those whose breaker lets requests through.

    Where no breaker does, every server is worth a try, and where a request has failed at all that are let through, the
    others are: a breaker spares callers a dead server while there is another, and never keeps them from the last one.
    """

    def __init__(self, transports: Sequence[AsyncTransport]) -> None:
        self.all = tuple(Endpoint(transport) for transport in transports)
        self._lock = threading.Lock()

    @contextmanager
    def taken(self, tried: Collection[Endpoint] = ()) -> Iterator[Endpoint]:
        """One server for one request; how the block ends is what its breaker learns.

        Args:
            tried: Servers that this request was sent to already: taken only where there is no other.
        """
        endpoint = self._take(tried)
        failed: bool | None = None
        try:
            yield endpoint
            failed = False
        except CallError as error:
            failed = None if isinstance(error, ModelNotFound) else isinstance(error, FAILURES)
            raise
        finally:
            with self._lock:
                now = time.monotonic()
                endpoint.in_flight -= 1
                endpoint.breaker.end(now, failed)
                if failed is False:
                    endpoint.answered_s = now

    def others(self, tried: Collection[Endpoint]) -> list[Endpoint]:
        """Servers besides those that were tried, whose breakers let requests through."""
        with self._lock:
            now = time.monotonic()
            return [endpoint for endpoint in self.all if endpoint not in tried and endpoint.breaker.allows(now)]

    def blame(self, endpoints: Collection[Endpoint]) -> None:
        """Count a failure against servers in whose place another one has answered.

        Those that did not know the model: a Triton that ends in order still takes requests, and knows no model any
        more. A name that no server knows is nobody's failure but the caller's. And those that were asked first and
        are still silent.
        """
        with self._lock:
            for endpoint in endpoints:
                endpoint.breaker.end(time.monotonic(), failed=True)

    def _take(self, tried: Collection[Endpoint]) -> Endpoint:
        with self._lock:
            now = time.monotonic()
            allowed = [endpoint for endpoint in self.all if endpoint.breaker.allows(now)] or self.all
            untried = [endpoint for endpoint in self.all if endpoint not in tried]
            # One that has failed this very request is a worse choice than one whose failures are older.
            worth = [endpoint for endpoint in untried if endpoint in allowed] or untried or allowed
            fewest = min(endpoint.in_flight for endpoint in worth)
            chosen = random.choice([endpoint for endpoint in worth if endpoint.in_flight == fewest])  # noqa: S311
            chosen.in_flight += 1
            chosen.breaker.begin()
            return chosen
