"""The open loop: requests are sent when they are due, whatever the answers do, and timed from then on."""

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from engineroom.errors import BadInput, LoadError
from engineroom.load.open_loop.schedule import Schedule
from engineroom.load.open_loop.worker import Done, Share, work
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request
from engineroom.load.result import ServerTime
from engineroom.load.samples import Samples
from engineroom.load.served import ServedModel, spent_where_told

START_S = 60.0
"""Longest time for starting a worker and warming it up; the server's own first answers are in it."""
LEAD_S = 0.1
"""Between the order to begin and the begin: every worker has read it by then."""


@dataclass(frozen=True)
class OpenRun:
    """What to measure.

    Attributes:
        served: The model on its server.
        requests: What is sent, in turn.
        schedule: When.
        workers: Processes that send.
        timeout_s: Longest wait for an answer, from the send on.
    """

    served: ServedModel
    requests: tuple[Request, ...]
    schedule: Schedule
    workers: int = 1
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if not self.requests or self.workers < 1 or self.timeout_s <= 0:
            raise BadInput(
                f"{self.served.name}: {len(self.requests)} requests, {self.workers} workers, waiting "
                f"{self.timeout_s:g} s for an answer: each must be above 0."
            )

    @property
    def shares(self) -> tuple[Share, ...]:
        """The run dealt out. A worker without a single request is none."""
        hands = self.schedule.dealt(min(self.workers, len(self.schedule.offsets_s)))
        address = self.served.address
        return tuple(Share(address, self.timeout_s, self.requests, hand, n) for n, hand in enumerate(hands))


@dataclass(frozen=True)
class OpenRunDone:
    """What was measured.

    Attributes:
        samples: Every request, in the order in which they were due.
        begin_s: When the schedule began, monotonic seconds.
        workers: Processes that sent.
        busiest: Largest share of the time that a worker's event loop was at work.
        reasons: Words for the first failure of each kind.
        server: Triton's own statistics of the same requests; None where it does not tell.
    """

    samples: Samples
    begin_s: float
    workers: int
    busiest: float
    reasons: dict[str, str]
    server: ServerTime | None = None


def send_on_schedule(run: OpenRun) -> OpenRunDone:
    """Measure.

    Raises:
        LoadError: A worker got no right answer to begin with, or ended.
    """
    with _workers(run.shares) as parents:
        for parent in parents:
            problem = _heard(parent, START_S, run)
            if problem is not None:
                raise LoadError(f"{run.served.name}: no right answer before the measurement: {problem}")
        before = spent_where_told(run.served)
        begin_s = time.monotonic() + LEAD_S
        for parent in parents:
            parent.send(begin_s)
        longest_s = LEAD_S + run.schedule.span_s + run.timeout_s + START_S
        done: list[Done] = [_heard(parent, longest_s, run) for parent in parents]
    after = spent_where_told(run.served)
    server = after.since(before) if after and before else None
    samples = _samples(run, done, begin_s)
    reasons = {word: text for one in reversed(done) for word, text in one.reasons.items()}
    return OpenRunDone(samples, begin_s, len(done), max(one.busy for one in done), reasons, server)


@contextmanager
def _workers(shares: tuple[Share, ...]) -> Iterator[list[Connection]]:
    """Started processes, as the ends of their pipes; none survives the block."""
    # A fork would copy gRPC's threads into a state that nobody can use.
    fresh = multiprocessing.get_context("spawn")
    started, parents = [], []
    try:
        for share in shares:
            parent, child = fresh.Pipe()
            process = fresh.Process(target=work, args=(share, child), daemon=True, name="engineroom-load")
            process.start()
            child.close()
            started.append(process)
            parents.append(parent)
        yield parents
        for process in started:
            process.join(timeout=5)
    finally:
        for process in started:
            process.kill()
            process.join()


def _heard(parent: Connection, within_s: float, run: OpenRun) -> Any:
    try:
        if parent.poll(within_s):
            return parent.recv()
    except (EOFError, ConnectionError) as error:
        raise LoadError(f"{run.served.name}: a process that sends has ended. Is there enough memory?") from error
    raise LoadError(f"{run.served.name}: a process that sends said nothing within {within_s:.0f} s and was killed.")


def _samples(run: OpenRun, done: list[Done], begin_s: float) -> Samples:
    scheduled_s = begin_s + np.concatenate([share.offsets_s for share in run.shares])
    order = np.argsort(scheduled_s, kind="stable")
    sent_s, end_s, outcome = (
        np.concatenate([getattr(one, name) for one in done])[order] for name in ("sent_s", "end_s", "outcome")
    )
    scheduled_s = scheduled_s[order]
    failed = outcome != Outcome.RIGHT
    return Samples(sent_s, (end_s - scheduled_s) * 1000, failed, scheduled_s, outcome)
