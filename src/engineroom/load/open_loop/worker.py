"""One process of the open loop: one event loop, one share of the schedule."""

import asyncio
import gc
import math
import resource
import time
from array import array
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt

from engineroom.client.protocol.transport import Address
from engineroom.load.open_loop.answers import Comparison
from engineroom.load.open_loop.fine_loop import FineLoop
from engineroom.load.open_loop.wire import NotAnswered, Reply, open_caller
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request

PATIENCE_S = 20.0
"""How long a first answer is asked for again and again, where none comes in time."""
MOST_AT_ONCE = 32
"""Requests sent before answers are looked at, where more are due."""


@dataclass(frozen=True)
class Share:
    """What one worker is to do.

    Attributes:
        address: The server.
        timeout_s: Longest wait for an answer.
        requests: What is sent, round and round.
        offsets_s: When each is due, seconds after the begin.
        first: Where in the round this worker starts.
    """

    address: Address
    timeout_s: float
    requests: tuple[Request, ...]
    offsets_s: npt.NDArray[np.float64]
    first: int


@dataclass(frozen=True)
class Done:
    """What one worker did.

    Attributes:
        sent_s: When each request was sent, monotonic seconds, in the order of the share.
        end_s: When each ended.
        outcome: What became of each, numbers of `Outcome`.
        busy: Share of the time that the event loop was at work.
        reasons: The server's words, or the network's, for the first failure of each kind.
    """

    sent_s: npt.NDArray[np.float64]
    end_s: npt.NDArray[np.float64]
    outcome: npt.NDArray[np.uint8]
    busy: float
    reasons: dict[str, str]


def work(share: Share, parent: Connection) -> None:
    """Body of the process: connect, say so, wait for the time to begin, send, hand in.

    Args:
        share: What to do.
        parent: Sends the begin, in monotonic seconds, when every worker has said `None`: it is ready. Receives a text
            instead where it is not, and a `Done` at the end.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    loop = FineLoop()
    try:
        loop.run_until_complete(_run(share, parent, loop))
    except (KeyboardInterrupt, BrokenPipeError, EOFError):
        # Whoever interrupted the parent says what there is to say.
        pass
    finally:
        loop.close()


async def _run(share: Share, parent: Connection, loop: FineLoop) -> None:
    await Worker(share, loop).run(parent)


class Worker:
    """What a worker keeps while it sends. Make it where its event loop runs."""

    def __init__(self, share: Share, loop: FineLoop) -> None:
        count = len(share.offsets_s)
        self.share = share
        self.comparison = Comparison()
        # A number at a time, these take it quicker than numpy's.
        self.sent_s, self.end_s = (array("d", bytes(8 * count)) for _ in range(2))
        self.outcome = bytearray([Outcome.UNSENT]) * count
        self.reasons: dict[str, str] = {}
        self._offsets_s: list[float] = share.offsets_s.tolist()
        self._begin_s = 0.0
        self._next, self._missing = 0, count
        self._loop = loop
        self._all_sent, self._all_ended = self._loop.create_future(), self._loop.create_future()
        self._way = open_caller(share.address, share.timeout_s)

    async def run(self, parent: Connection) -> None:
        """See `work`."""
        try:
            problem = await self._warm_up()
            parent.send(problem)
            if problem is None:
                # What was made so far stays: the collector need not look at it while requests are due.
                gc.freeze()
                parent.send(await self._send_all(parent.recv()))
        finally:
            await self._way.close()

    async def _warm_up(self) -> str | None:
        """One answer to every prepared request, none of them measured: connected, compared, remembered."""
        for number, request in enumerate(self.share.requests):
            result = await self._patiently(request)
            if isinstance(result, NotAnswered):
                return result.reason
            if self.comparison.outcome(number, request, result) is not Outcome.RIGHT:
                return self.comparison.reason
        return None

    async def _patiently(self, request: Request) -> Reply | NotAnswered:
        """A first answer may take longer than one that is measured."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            answer: asyncio.Future[Reply | NotAnswered] = self._loop.create_future()
            self._way.send(request, answer.set_result)
            self._way.flush()
            result = await answer
            if isinstance(result, Reply) or result.outcome is not Outcome.LATE or time.monotonic() > until_s:
                return result

    async def _send_all(self, begin_s: float) -> Done:
        self._begin_s = begin_s
        await asyncio.sleep(begin_s - time.monotonic())
        worked_s, awake_s = time.thread_time(), time.monotonic()
        self._loop.pace(begin_s, self._send_due)
        await self._all_sent
        busy = (time.thread_time() - worked_s) / max(time.monotonic() - awake_s, 1e-9)
        await self._all_ended
        outcome = np.frombuffer(self.outcome, np.uint8)
        return Done(np.frombuffer(self.sent_s), np.frombuffer(self.end_s), outcome, busy, self.reasons)

    def _send_due(self) -> float:
        """Send what is due, and say when to come back. Who is late sends at once, and never skips."""
        offsets_s, requests, first = self._offsets_s, self.share.requests, self._next
        now_s = time.monotonic() - self._begin_s
        index, last = first, min(first + MOST_AT_ONCE, len(offsets_s))
        while index < last and offsets_s[index] <= now_s:
            number = (self.share.first + index) % len(requests)
            ended = partial(self._ended, index, number)
            try:
                self._way.send(requests[number], ended)
            except Exception as error:  # noqa: BLE001 - a fault of our own is a sample too, and refuses the figures
                ended(NotAnswered(Outcome.UNSENT, repr(error)))
            index += 1
        self._way.flush()
        sent_s = time.monotonic()
        for sent in range(first, index):
            self.sent_s[sent] = sent_s
        self._next = index
        if index < len(offsets_s):
            return self._begin_s + offsets_s[index]
        self._all_sent.set_result(None)
        return math.inf

    def _ended(self, index: int, number: int, result: Reply | NotAnswered) -> None:
        self.end_s[index] = time.monotonic()
        if isinstance(result, Reply):
            outcome, reason = self.comparison.outcome(number, self.share.requests[number], result), ""
        else:
            outcome, reason = result
        self.outcome[index] = outcome
        if outcome is not Outcome.RIGHT:
            self.reasons.setdefault(outcome.word, reason or self.comparison.reason)
        self._missing -= 1
        if not self._missing:
            self._all_ended.set_result(None)
