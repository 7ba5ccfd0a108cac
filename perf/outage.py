"""What callers see of an outage, and what an outage's servers see of the callers.

python perf/outage.py                    about two minutes
python perf/outage.py --seconds 6

Callers ask two servers at a steady rate, whatever the answers do, each call with a deadline. Three outages:

one killed      one of two real Tritons is ended with `kill -9`, and started again later; both count their inferences
both killed     neither comes back: how long until callers are told, and of which error
both refuse     two servers that answer every inference with 503 for a while, and count what arrives
"""

import asyncio
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
from marked import WIDTH, configure, publish_next
from stall_server import CONFIG as STALL
from stall_server import Counter as Inferences
from stall_server import HttpConnection, Stalls, http_answer

from engineroom.cli import run as run_command
from engineroom.client import Client
from engineroom.client.protocol.transport import address_from_url
from engineroom.errors import CallError
from engineroom.load.conditions import conditions_of_now
from engineroom.load.served import served_model, time_spent
from engineroom.serve.server import Server, ServerOptions, running

COMMAND = "python perf/outage.py"
TIMEOUT_S = 2.0
"""Deadline of a call."""
CALLERS = 16
X = np.arange(WIDTH, dtype=np.float32).reshape(1, WIDTH)


@dataclass
class Calls:
    """Callers on one client, at a steady rate, and what became of each call.

    Attributes:
        client: The client that all of them share.
        model: What they ask.
        per_s: Calls a second, all together.
        ended: For each call when it began (monotonic seconds), how long it took (seconds), and its error's class or "".
    """

    client: Client
    model: str
    per_s: float
    ended: list[tuple[float, float, str]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Call for as long as the block lasts, and wait for the last answers."""
        threads = [threading.Thread(target=self._call, args=(index,)) for index in range(CALLERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopped.set()
            for thread in threads:
                thread.join()

    def _call(self, index: int) -> None:
        every_s = CALLERS / self.per_s
        due = time.monotonic() + every_s * index / CALLERS
        while not self.stopped.wait(max(0.0, due - time.monotonic())):
            began, failed = time.monotonic(), ""
            try:
                answer = self.client.infer(self.model, x=X, timeout_s=TIMEOUT_S)
                failed = "" if np.array_equal(answer["y"], X) else "wrong"
            except CallError as error:
                failed = type(error).__name__
            self.ended.append((began, time.monotonic() - began, failed))
            due += every_s

    def between(self, begin_s: float, end_s: float) -> list[tuple[float, str]]:
        """Length and error of the calls that began then."""
        return [(length_s, failed) for began, length_s, failed in self.ended if begin_s <= began < end_s]


@dataclass(frozen=True)
class Row:
    """One line of the table: calls of an outage, and what arrived at the servers for them."""

    outage: str
    calls: list[tuple[float, str]]
    arrived: int | None

    def __str__(self) -> str:
        lengths_ms = np.sort([length_s * 1000 for length_s, _ in self.calls])
        failed = Counter(failed for _, failed in self.calls if failed)
        words = ", ".join(f"{count} {name}" for name, count in failed.items()) or "0"
        p99, most = np.percentile(lengths_ms, 99), lengths_ms[-1]
        load = f"{self.arrived / len(self.calls) - 1:+.1%}" if self.arrived is not None else ""
        return f"| {self.outage} | {len(self.calls)} | {words} | {p99:.0f} | {most:.0f} | {load} |"


def one_killed(protocol: str, per_s: float, seconds: float) -> Iterator[Row]:
    """One of two Tritons dies, and comes back."""
    with two_servers() as (servers, restart):
        urls = [f"{protocol}://{getattr(server, protocol)}" for server in servers]
        with Client(urls) as client:
            calls = Calls(client, "marked", per_s)
            before = inferences(servers)
            with calls.going_on():
                time.sleep(seconds / 3)
                # What the first server had counted is lost with it.
                lost = inferences(servers[:1])
                killed_s = time.monotonic()
                servers[0].process.kill()
                servers[0].process.wait()
                time.sleep(seconds / 3)
                restart(0)
                time.sleep(seconds / 3)
            arrived = lost + inferences(servers) - before
        yield Row(f"one of two killed, {protocol}", calls.between(0, np.inf), arrived)
        yield Row("of these, from the kill on", calls.between(killed_s, np.inf), None)
        with Client(urls) as client:
            calls = Calls(client, "marked", per_s)
            with calls.going_on():
                time.sleep(seconds / 3)
                for server in servers:
                    server.process.kill()
                    server.process.wait()
                gone_s = time.monotonic()
                time.sleep(seconds / 3)
        yield Row(f"both killed, {protocol}", calls.between(gone_s, np.inf), None)


@contextmanager
def two_servers() -> Iterator[tuple[list[Server], Callable[[int], None]]]:
    """Two Tritons of one repository, and what starts one of them again on its own ports."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as first, ExitStack() as second:
        repository, stacks = Path(folder) / "repository", (first, second)
        publish_next(configure(repository), Path(folder) / "scratch")  # its first version multiplies by 1

        def start(stack: ExitStack, **ports: Any) -> Server:
            return stack.enter_context(running(ServerOptions(repository, drain_s=0, **ports)))

        servers = [start(stack) for stack in stacks]

        def restart(which: int) -> None:
            stacks[which].close()
            dead = servers[which]
            ports = {f"{name}_port": int(getattr(dead, name).split(":")[1]) for name in ("http", "grpc", "metrics")}
            servers[which] = start(stacks[which], **ports)

        yield servers, restart


def inferences(servers: list[Server]) -> int:
    """Inferences so far, by the servers' own count."""
    return sum(
        time_spent(served_model(address_from_url(f"grpc://{server.grpc}"), "marked")).requests for server in servers
    )


class Refusing(HttpConnection):
    """One connection to a server that can be told to refuse every inference."""

    refuses = False

    def answer(self, path: str, fields: dict[str, str], body: bytes) -> bytes:
        """The bytes of an answer; every inference is counted, the refused ones too."""
        if Refusing.refuses and path.endswith("/infer"):
            self.counter.count += 1
            return http_answer(503, json.dumps({"error": "out of order"}).encode())
        return super().answer(path, fields, body)


def both_refuse(per_s: float, seconds: float) -> Iterator[Row]:
    """Both servers answer 503 for a third of the time."""
    with refusing_servers() as (urls, counter), Client(urls) as client:
        calls = Calls(client, str(STALL["name"]), per_s)
        with calls.going_on():
            time.sleep(seconds / 3)
            Refusing.refuses, begin_s, before = True, time.monotonic(), counter.count
            time.sleep(seconds / 3)
            Refusing.refuses, end_s, after = False, time.monotonic(), counter.count
            time.sleep(seconds / 3)
    yield Row("both refuse, http", calls.between(begin_s, end_s), after - before)


@contextmanager
def refusing_servers() -> Iterator[tuple[list[str], Inferences]]:
    """Two servers of this process, and what they count together."""
    counter, loop = Inferences(), asyncio.new_event_loop()

    async def listen() -> Any:
        return await loop.create_server(lambda: Refusing(Stalls(1, 0), counter), "127.0.0.1", 0)

    servers = [loop.run_until_complete(listen()) for _ in range(2)]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield [f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers], counter
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


@click.command()
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(["grpc", "http"]), default=["grpc", "http"])
@click.option("--rate", default=100.0, show_default=True, help="Calls per second.")
@click.option(
    "--seconds", default=30.0, show_default=True, help="Time of one outage: a third each before, in it, after."
)
def main(protocols: tuple[str, ...], rate: float, seconds: float) -> None:
    """Make the outages, and print what callers and servers saw."""
    rows = [row for protocol in protocols for row in one_killed(protocol, rate, seconds)]
    rows += both_refuse(rate, seconds)
    click.echo(f"{rate:g} calls/s, each within {TIMEOUT_S:g} s\n")
    click.echo("| outage | calls | failed | p99 ms | longest ms | more than the calls arrived |\n" + "| --- " * 6 + "|")
    click.echo("\n".join(map(str, rows)))
    click.echo(f"\n{conditions_of_now(COMMAND, {})}")


if __name__ == "__main__":
    run_command(main)
