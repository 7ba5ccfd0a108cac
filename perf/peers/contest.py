"""Everybody in turn: all servers are up, one is awake, and each searches its own highest rate."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from peers.description import HERE, Peer
from peers.environments import install
from peers.inside.peer_model import VARIABLE
from peers.launched import Tree, launched
from peers.search import Search, Window
from peers.subject import Subject, tuning
from peers.wire import requests_for, served_at

from engineroom.client.protocol.transport import Address
from engineroom.errors import LoadError
from engineroom.load.open_loop.engine import OpenRun, send_on_schedule
from engineroom.load.open_loop.schedule import Schedule, Step, constant, stepped
from engineroom.load.prepared import Request
from engineroom.load.samples import latency_from_samples
from engineroom.load.served import ServedModel
from engineroom.project import Project
from engineroom.serve.log import last_lines
from engineroom.serve.ports import choose_ports
from engineroom.serve.server import ServerOptions, running

START_S = 120.0
OURS = "engineroom"
WARM_UP_S = 1.0
"""Each window begins with so long at half its rate, which does not count: a server that stood still has to find its
memory and its threads again."""
TIMEOUT_S = 5.0
"""Longest wait for an answer: beyond every SLO here, and short enough for a server that has fallen far behind."""


class Chooser(Protocol):
    """Chooses the rates of a contestant's windows: `Search`, then `Stairs`."""

    windows: list[Window]
    rate_per_s: float

    @property
    def kept(self) -> Window | None:
        """The window that is reported."""

    @property
    def done(self) -> bool:
        """Whether enough is known."""

    def tell(self, window: Window) -> None:
        """Take in a window, and choose the next rate."""


@dataclass(frozen=True)
class Contestant:
    """One row of the table.

    Attributes:
        title: The server's name.
        runtime: What runs the model in it.
        served: Where it is asked.
        requests: What it is asked.
        tree: Its processes.
        slo_ms: What its p99 must stay within.
        search: What was measured so far, and what is measured next.
    """

    title: str
    runtime: str
    served: ServedModel
    requests: tuple[Request, ...]
    tree: Tree
    slo_ms: float
    search: Chooser

    def measured(self, schedule: Schedule, rate_per_s: float, warm_up_s: float = 0.0) -> Window:
        """Offer a schedule, and say how it went.

        Args:
            schedule: When requests are due.
            rate_per_s: Its rate, where it counts.
            warm_up_s: How much of its begin does not count.

        Raises:
            LoadError: There was no right answer to begin with.
        """
        run = OpenRun(self.served, self.requests, schedule, timeout_s=TIMEOUT_S)
        before_s = self.tree.cpu_s()
        done = send_on_schedule(run)
        spent_s = self.tree.cpu_s() - before_s
        samples = done.samples.between(done.begin_s + warm_up_s, float("inf"))
        latency = latency_from_samples(samples.latency_ms)
        lateness_ms = (samples.sent_s - samples.begin_s) * 1000
        late = latency_from_samples(lateness_ms)
        return Window(
            rate_per_s=rate_per_s,
            in_time=float((~samples.failed & (samples.latency_ms <= self.slo_ms)).mean()),
            p50_ms=latency.p50_ms,
            p99_ms=latency.p99_ms,
            # Every request was also sent once before the schedule began.
            cpu_us=spent_s * 1e6 / (len(done.samples) + len(self.requests)),
            memory_bytes=self.tree.memory_bytes(),
            lateness_p99_ms=late.p99_ms,
            reasons=done.reasons,
        )

    def round(self, seconds: float, seed: int) -> Window:
        """One window at the search's next rate, with the other servers asleep."""
        self.tree.resume()
        try:
            rate_per_s = self.search.rate_per_s
            steps = (Step(rate_per_s / 2, WARM_UP_S), Step(rate_per_s, seconds))
            window = self.measured(stepped(steps, seed), rate_per_s, WARM_UP_S)
        except LoadError as error:
            window = Window(self.search.rate_per_s, 0.0, float("nan"), float("nan"), reasons={"no answer": str(error)})
        finally:
            self.tree.pause()
        self.search.tell(window)
        return window


@dataclass(frozen=True)
class Field:
    """Who takes part, and who cannot.

    Attributes:
        present: Everybody who has answered, each asleep.
        absent: Title and runtime of the others, with the reason.
    """

    present: list[Contestant]
    absent: dict[str, str]


@contextmanager
def field_of(subject: Subject, choices: list[tuple[Peer, str]], tell: Callable[[str], None]) -> Iterator[Field]:
    """Everybody up, proven by an answer, and asleep; ours first, over both protocols.

    Args:
        subject: The model.
        choices: Peers with their runtimes.
        tell: Takes a line of progress.
    """
    with ExitStack() as stack:
        found = Field(stack.enter_context(_ours(subject)), {})
        for peer, runtime in choices:
            began_s = time.monotonic()
            try:
                found.present.append(stack.enter_context(peer_up(subject, peer, runtime)))
                tell(f"{peer.title} with {runtime} answers after {time.monotonic() - began_s:.1f} s")
            except LoadError as error:
                found.absent[f"{peer.title}, {runtime}"] = str(error)
                tell(f"left out: {error}")
        yield found


def searched(field: Field, seconds: float, most_rounds: int, tell: Callable[[str], None]) -> None:
    """Rounds in which everybody whose search goes on gets one window, until all are done.

    Args:
        field: Who takes part.
        seconds: Length of a window.
        most_rounds: Rounds at most.
        tell: Takes a line of progress.
    """
    for number in range(most_rounds):
        going = [one for one in field.present if not one.search.done]
        # Who comes first changes from round to round: no place in the order is better than another for long.
        for one in going if number % 2 else reversed(going):
            window = one.round(seconds, seed=number)
            told = "kept" if window.kept else "broken"
            tell(
                f"round {number + 1}: {one.title} with {one.runtime}: {window.rate_per_s:.0f}/s, p99 "
                f"{window.p99_ms:.1f} ms, {window.in_time:.1%} in time: {told}"
            )


@contextmanager
def _ours(subject: Subject) -> Iterator[list[Contestant]]:
    name = subject.recipe.name
    with running(ServerOptions(Project.find(HERE).repository, (name,), drain_s=2.0)) as server:
        tree = Tree(server.pid)
        found = []
        for scheme, netloc in (("http", server.http), ("grpc", server.grpc)):
            host, _, port = netloc.rpartition(":")
            served = served_at(Address(scheme, host, int(port)), subject.metadata, OURS)
            requests = requests_for("v2", subject.golden, served)
            search = Search(tuning(name, "openvino").guess_per_s)
            title = OURS if scheme == "http" else f"{OURS}, gRPC"
            found.append(Contestant(title, "openvino", served, requests, tree, subject.slo_ms, search))
        tree.pause()
        try:
            yield found
        finally:
            tree.resume()


@contextmanager
def peer_up(subject: Subject, peer: Peer, runtime: str) -> Iterator[Contestant]:
    """A peer that has answered rightly, asleep; it ends with the block.

    Raises:
        LoadError: It did not answer in time, with the last lines of its log.
    """
    python = install(peer)
    port = choose_ports("127.0.0.1", None, None, None).http
    task = subject.task(runtime, port)
    with tempfile.TemporaryDirectory(prefix=f"peer-{peer.name}-", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        environment = {
            **peer.environment,
            VARIABLE: json.dumps(asdict(task)),
            "PYTHONPATH": str(HERE / "inside"),
            # The libraries' own pools as small as the share of a worker.
            "OMP_NUM_THREADS": str(task.threads),
        }
        with launched([str(python), str(peer.program)], environment, folder) as tree:
            served = served_at(Address(peer.scheme, "127.0.0.1", port), subject.metadata, peer.title)
            requests = requests_for(peer.body, subject.golden, served)
            search = Search(tuning(task.model, runtime).guess_per_s)
            one = Contestant(peer.title, runtime, served, requests, tree, subject.slo_ms, search)
            _wait_until_ready(one, folder / "log")
            tree.pause()
            yield one


def _wait_until_ready(one: Contestant, log: Path) -> None:
    until_s = time.monotonic() + START_S
    while True:
        try:
            one.measured(constant(10, 0.5), 10)
            return
        except LoadError as error:
            if time.monotonic() > until_s or not one.tree.pids():
                raise LoadError(f"{one.title} did not answer: {error}\n{last_lines(log, 40)}") from error
            time.sleep(0.5)
