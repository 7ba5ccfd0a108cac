"""One process of the open loop: one event loop, one share of the schedule."""

import asyncio
import gc
import resource
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import numpy.typing as npt

from engineroom.client.transport import Address
from engineroom.load.answers import Comparison
from engineroom.load.fine_loop import fine_loop
from engineroom.load.open_wire import NotAnswered, OpenCaller, Reply, open_caller
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request

PATIENCE_S = 20.0
"""How long a first answer is asked for again and again, where none comes in time."""


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
    loop = fine_loop()
    try:
        loop.run_until_complete(Worker(share).run(parent))
    except (KeyboardInterrupt, BrokenPipeError, EOFError):
        # Whoever interrupted the parent says what there is to say.
        pass
    finally:
        loop.close()


class Worker:
    """What a worker keeps while it sends."""

    def __init__(self, share: Share) -> None:
        count = len(share.offsets_s)
        self.share = share
        self.comparison = Comparison()
        self.sent_s, self.end_s = np.zeros(count), np.zeros(count)
        self.outcome = np.full(count, Outcome.UNSENT, np.uint8)
        self.reasons: dict[str, str] = {}

    async def run(self, parent: Connection) -> None:
        """See `work`."""
        way = open_caller(self.share.address, self.share.timeout_s)
        try:
            problem = await self._warm_up(way)
            parent.send(problem)
            if problem is None:
                # What was made so far stays: the collector need not look at it while requests are due.
                gc.freeze()
                parent.send(await self._send_all(way, parent.recv()))
        finally:
            await way.close()

    async def _warm_up(self, way: OpenCaller) -> str | None:
        """One answer to every prepared request, none of them measured: connected, compared, remembered."""
        for number, request in enumerate(self.share.requests):
            try:
                outcome = self.comparison.outcome(number, request, await self._patiently(way, request))
            except NotAnswered as error:
                return str(error)
            if outcome is not Outcome.RIGHT:
                return self.comparison.reason
        return None

    async def _patiently(self, way: OpenCaller, request: Request) -> Reply:
        """A first answer may take longer than one that is measured."""
        until_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await way.send(request)
            except NotAnswered as error:
                if error.outcome is not Outcome.LATE or time.monotonic() > until_s:
                    raise

    async def _send_all(self, way: OpenCaller, begin_s: float) -> Done:
        loop, flying = asyncio.get_running_loop(), set()
        await asyncio.sleep(begin_s - time.monotonic())
        worked_s, awake_s = time.thread_time(), time.monotonic()
        for index, offset_s in enumerate(self.share.offsets_s.tolist()):
            # Below 0 this only lets others run: who is late sends at once, and never skips.
            await asyncio.sleep(begin_s + offset_s - time.monotonic())
            task = loop.create_task(self._send(way, index))
            flying.add(task)
            task.add_done_callback(flying.discard)
        await asyncio.sleep(0)
        busy = (time.thread_time() - worked_s) / max(time.monotonic() - awake_s, 1e-9)
        if flying:
            await asyncio.wait(flying)
        return Done(self.sent_s, self.end_s, self.outcome, busy, self.reasons)

    async def _send(self, way: OpenCaller, index: int) -> None:
        number = (self.share.first + index) % len(self.share.requests)
        request = self.share.requests[number]
        self.sent_s[index] = time.monotonic()
        reason = ""
        try:
            reply = await way.send(request)
            self.end_s[index] = time.monotonic()
            outcome = self.comparison.outcome(number, request, reply)
        except NotAnswered as error:
            self.end_s[index] = time.monotonic()
            outcome, reason = error.outcome, str(error)
        except Exception as error:  # noqa: BLE001 - a fault of our own is a sample too, and refuses the figures
            self.end_s[index] = time.monotonic()
            outcome, reason = Outcome.UNSENT, repr(error)
        self.outcome[index] = outcome
        if outcome is not Outcome.RIGHT:
            self.reasons.setdefault(outcome.word, reason or self.comparison.reason)
