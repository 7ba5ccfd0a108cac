"""Several servers, or one that fails now and then, as one transport."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from engineroom.client.deadline import left_s
from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.protocol.transport import Arrays, Request
from engineroom.client.runner import Runner
from engineroom.client.stream import carrier_of, check_streams, surviving
from engineroom.client.survival.budget import RetryBudget
from engineroom.client.survival.course import Course
from engineroom.client.survival.endpoints import Endpoints
from engineroom.client.survival.hedge import Latencies
from engineroom.client.survival.retry import RetryPolicy
from engineroom.errors import CallError, ServerUnavailable

Answer = TypeVar("Answer")

Ask = Callable[[AsyncTransport], Awaitable[Answer]]


class Failover:
    """Asks the least loaded server, and another one, or the same again, where the policy allows it.

    Args:
        transports: One for each server; closed with this one.
        policy: When a request is repeated.
        runner: Waits.
    """

    def __init__(self, transports: Sequence[AsyncTransport], policy: RetryPolicy, runner: Runner) -> None:
        self._endpoints = Endpoints(transports)
        self._streaming = Endpoints([one for one in transports if carrier_of(one)])
        self._policy = policy
        self._budget = RetryBudget(policy.share)
        self._latencies = Latencies()
        self._runner = runner

    @property
    def address(self) -> str:
        """The servers' URLs."""
        return ", ".join(endpoint.transport.address for endpoint in self._endpoints.all)

    async def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name a whole server, can answer, at any server."""
        for endpoint in self._endpoints.all:
            try:
                if await endpoint.transport.ready(model, version):
                    return True
            except ServerUnavailable:
                continue
        return False

    async def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        return await self._survive(lambda transport: transport.metadata(model, version))

    async def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer, at one server."""
        return await self._survive(lambda transport: transport.loaded())

    async def infer(self, request: Request) -> Arrays:
        """Answer one request, within the deadline around this call."""
        late_s = self._late_s(request)
        start = time.monotonic()
        answer = await self._survive(
            lambda transport: transport.infer(replace(request, timeout_s=left_s())), request.idempotent, late_s
        )
        if self._policy.hedge:
            self._latencies.add(request.model, time.monotonic() - start)
        return answer

    def stream(self, request: Request) -> AsyncGenerator[Arrays, None]:
        """Answers to one request of a decoupled model, from the servers that carry streams."""
        check_streams(self._streaming, self.address)
        course = Course(self._streaming, self._policy, self._budget, request.idempotent)
        return surviving(course, request, self._runner)

    async def close(self) -> None:
        """Give every server's connections back."""
        for endpoint in self._endpoints.all:
            await endpoint.transport.close()

    def _late_s(self, request: Request) -> float | None:
        """Seconds after which the request is hedged; None for never."""
        hedge = self._policy.hedge
        if hedge is None or not request.idempotent or len(self._endpoints.all) == 1:
            return None
        return self._latencies.late_s(hedge, request.model)

    async def _survive(self, ask: Ask[Answer], idempotent: bool = True, late_s: float | None = None) -> Answer:
        course = Course(self._endpoints, self._policy, self._budget, idempotent)
        while True:
            try:
                if late_s is None:
                    return await _attempt(course, ask)
                return await self._race(course, ask, late_s)
            except CallError as error:
                pause_s = course.pause_s(error)
                if pause_s is None:
                    verdict = course.verdict(error)
                    if verdict is error:
                        raise
                    raise verdict from error
            await self._runner.sleep(pause_s)

    async def _race(self, course: Course, ask: Ask[Answer], late_s: float) -> Answer:
        """The first right answer of one server, or of two where one is late; the error only where all have failed."""
        start = partial(self._runner.start, partial(_attempt, course, ask))
        started = running = {start()}
        limit_s: float | None = late_s
        try:
            while True:
                ended, running = await self._runner.first(running, limit_s)
                if not ended and course.hedges():
                    running = {*running, start()}
                    started = {*started, *running}
                limit_s = None
                right = [attempt for attempt in ended if attempt.exception() is None]
                if right or not running:
                    answer: Answer = (right or list(ended))[0].result()
                    return answer
        finally:
            await self._runner.leave(started)


async def _attempt(course: Course, ask: Ask[Answer]) -> Answer:
    with course.attempt() as transport:
        return await ask(transport)
