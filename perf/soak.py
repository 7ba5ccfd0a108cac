"""Does a client's memory grow? Small requests for an hour, or ten million of them, whichever comes first.

python perf/soak.py                      an hour
python perf/soak.py --seconds 60         a look

Each way of asking runs in a process of its own, beside the others, against one real Triton with a small model. One
request in a hundred is refused by the client, one in a thousand by the server: what errors leave behind counts too.
Memory is the anonymous part of the resident set (`RssAnon` in /proc/self/status): what the process has allocated,
without its libraries' files. Growth counts from the end of the warm-up.
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np
from marked import WIDTH, configure, publish_next

from engineroom.cli import run as run_command
from engineroom.client import AsyncClient, Client
from engineroom.client.memory import placement
from engineroom.errors import BadInput, EngineRoomError, ModelNotFound
from engineroom.load.conditions import conditions_of_now
from engineroom.serve.server import Server, ServerOptions, running

COMMAND = "python perf/soak.py"
MOST_MIB = 20.0
"""What a client may grow by."""
LOOKS = 60
"""How often a client's memory is looked at, over the whole time."""
X = np.arange(WIDTH, dtype=np.float32).reshape(1, WIDTH)
WRONG = np.zeros((1, WIDTH + 1), np.float32)


@dataclass(frozen=True)
class Soak:
    """What one process does.

    Attributes:
        way: One of `WAYS`.
        url: The server, for the way's protocol.
        seconds: How long.
        requests: How many at most.
        warm_up_s: Until memory counts.
    """

    way: str
    url: str
    seconds: float
    requests: int
    warm_up_s: float


@dataclass(frozen=True)
class Soaked:
    """What one process has seen.

    Attributes:
        way: As in `Soak`.
        requests: Calls in all.
        failed: Those that ended otherwise than they should.
        seconds: How long it took.
        mib: Memory after the warm-up and at each later look, in MiB.
    """

    way: str
    requests: int
    failed: int
    seconds: float
    mib: tuple[float, ...]

    @property
    def grown_mib(self) -> float:
        """Largest memory after the warm-up, over that at its end."""
        return max(self.mib) - self.mib[0]


def memory_mib() -> float:
    """What this process has allocated."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    (kib,) = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(kib) / 1024


class Diary:
    """Decides when a process has done enough, and looks at its memory meanwhile.

    Args:
        soak: What it does.
    """

    def __init__(self, soak: Soak) -> None:
        self.soak, self.begin_s = soak, time.monotonic()
        self.asked = self.failed = 0
        self.mib: list[float] = []

    def numbers(self) -> Iterator[int]:
        """A number for each call, to the end."""
        every_s = (self.soak.seconds - self.soak.warm_up_s) / LOOKS
        while (passed_s := time.monotonic() - self.begin_s) < self.soak.seconds and self.asked < self.soak.requests:
            if passed_s >= self.soak.warm_up_s + every_s * len(self.mib):
                self.mib.append(memory_mib())
            self.asked += 1
            yield self.asked

    def soaked(self) -> Soaked:
        """The end."""
        self.mib.append(memory_mib())
        return Soaked(self.soak.way, self.asked, self.failed, time.monotonic() - self.begin_s, tuple(self.mib))


def call_of(number: int) -> tuple[str, Any, type[Exception] | None]:
    """The model to ask, the array to send, and the error that must come of it."""
    if number % 1000 == 0:
        return "nobody", X, ModelNotFound
    return ("marked", WRONG, BadInput) if number % 100 == 0 else ("marked", X, None)


def in_turn(soak: Soak, diary: Diary) -> None:
    """One call after the other."""
    with Client(soak.url) as client:
        for number in diary.numbers():
            model, array, error = call_of(number)
            try:
                answer = client.infer(model, x=array)
                diary.failed += error is not None or answer["y"].tobytes() != X.tobytes()
            except EngineRoomError as raised:
                diary.failed += error is None or not isinstance(raised, error)


def through_shared_memory(soak: Soak, diary: Diary) -> None:
    """One call after the other, and no row too small for a region."""
    placement.WORTH_BYTES = 1
    in_turn(soak, diary)


async def at_once(soak: Soak, diary: Diary) -> None:
    """Eight calls in flight."""
    numbers = diary.numbers()

    async def caller(client: AsyncClient) -> None:
        for number in numbers:
            model, array, error = call_of(number)
            try:
                answer = await client.infer(model, x=array)
                diary.failed += error is not None or answer["y"].tobytes() != X.tobytes()
            except EngineRoomError as raised:
                diary.failed += error is None or not isinstance(raised, error)

    async with AsyncClient(soak.url) as client:
        await asyncio.gather(*(caller(client) for _ in range(8)))


WAYS: dict[str, tuple[str, Callable[[Soak, Diary], None]]] = {
    "grpc": ("grpc", in_turn),
    "http": ("http", in_turn),
    "grpc, shared memory": ("grpc", through_shared_memory),
    "grpc, async": ("grpc", lambda soak, diary: asyncio.run(at_once(soak, diary))),
    "http, async": ("http", lambda soak, diary: asyncio.run(at_once(soak, diary))),
}
"""Protocol, and how it is asked."""


def work(soak: Soak, told: Connection) -> None:
    """Soak, in a process of its own."""
    diary = Diary(soak)
    WAYS[soak.way][1](soak, diary)
    told.send(diary.soaked())


def soaked_from_processes(soaks: list[Soak]) -> list[Soaked]:
    """Run all of them side by side."""
    fresh = multiprocessing.get_context("spawn")
    processes, ends = [], []
    for soak in soaks:
        end, told = fresh.Pipe()
        processes.append(fresh.Process(target=work, args=(soak, told), daemon=True))
        processes[-1].start()
        told.close()
        ends.append(end)
    done = []
    for end in ends:
        with suppress(EOFError):  # A process that died is missing from the table, and fails the run.
            done.append(end.recv())
    for process in processes:
        process.join(timeout=30)
        process.kill()
    return done


def table(done: list[Soaked]) -> str:
    """The figures as Markdown."""
    lines = ["| way | calls | minutes | otherwise than due | MiB after warm-up | largest | grown |", "| --- " * 7 + "|"]
    for one in done:
        figures = (f"{one.requests:,}", f"{one.seconds / 60:.1f}", f"{one.failed}")
        memory = (f"{one.mib[0]:.1f}", f"{max(one.mib):.1f}", f"{one.grown_mib:+.1f}")
        lines.append(f"| {one.way} | {' | '.join(figures + memory)} |")
    return "\n".join(lines)


def url_of(server: Server, way: str) -> str:
    """Where a way of asking finds the server."""
    protocol = WAYS[way][0]
    return f"{protocol}://{getattr(server, protocol)}"


@click.command()
@click.option("--way", "ways", multiple=True, type=click.Choice(list(WAYS)), default=list(WAYS), help="[all]")
@click.option("--seconds", default=3600.0, show_default=True, help="How long.")
@click.option("--requests", default=10_000_000, show_default=True, help="How many calls of each way, at most.")
def main(ways: tuple[str, ...], seconds: float, requests: int) -> None:
    """Soak, and say by how much each client has grown; exit status 1 where one grew too much."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        publish_next(configure(repository), Path(folder) / "scratch")  # its first version multiplies by 1
        with running(ServerOptions(repository, drain_s=0)) as server:
            warm_up_s = min(60.0, seconds / 10)
            done = soaked_from_processes([Soak(way, url_of(server, way), seconds, requests, warm_up_s) for way in ways])
    click.echo(f"\n{table(done)}\n\n{conditions_of_now(COMMAND, {})}")
    if len(done) < len(ways) or any(one.failed or one.grown_mib > MOST_MIB for one in done):
        raise click.ClickException(f"a client ended early, got a wrong answer, or grew by more than {MOST_MIB:g} MiB.")


if __name__ == "__main__":
    run_command(main)
