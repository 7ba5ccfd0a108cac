"""Whether Triton lives where callers give up in the middle of their calls.

python perf/giving_up.py                    five minutes at most
python perf/giving_up.py --calls 2000       for a look: a server that lives may only have had luck

Eight callers ask a Triton of their own with deadlines between 0.5 and 20 ms, about as long as an answer takes, until
so many have given up, or Triton has ended.

tritonclient    its blocking gRPC call with `client_timeout`: at the deadline the call is cancelled
Client          ours, over gRPC and HTTP
AsyncClient     ours, over gRPC; every second call is ended by cancelling its task
"""

import asyncio
import itertools
import random
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from marked import WIDTH, configure, publish_next

from engineroom.cli import run as run_command
from engineroom.client import AsyncClient, Client, RetryPolicy
from engineroom.errors import CallError, ServerUnavailable
from engineroom.load.conditions import conditions_of_now
from engineroom.serve.server import Server, ServerOptions, running

COMMAND = "python perf/giving_up.py"
MODEL = "marked"
CALLERS = 8
LEAST_S, MOST_S = 0.0005, 0.02
LIMIT_S = 75.0
"""Longest time for one way of asking."""
X = np.arange(WIDTH, dtype=np.float32).reshape(1, WIDTH)
ONCE = RetryPolicy(attempts=1)


class Tally:
    """Answers and calls given up, until there are enough of these, or the server has ended."""

    def __init__(self, server: Server, enough: int) -> None:
        self.server, self.enough = server, enough
        self.answered = self.given_up = 0
        self.end_s = time.monotonic() + LIMIT_S
        self._random = random.Random(0)  # noqa: S311 - deadlines are no secret

    @property
    def goes_on(self) -> bool:
        """Whether to ask once more."""
        return self.given_up < self.enough and time.monotonic() < self.end_s and self.server.process.poll() is None

    def deadline_s(self) -> float:
        """For the next call."""
        return self._random.uniform(LEAST_S, MOST_S)

    def count(self, answered: bool | None) -> None:
        """One more; None for a call that was not sent, because the client leaves a silent server alone."""
        self.answered += answered is True
        self.given_up += answered is False


def with_tritonclient(tally: Tally) -> None:
    """A caller who cancels."""
    from tritonclient import grpc
    from tritonclient.utils import InferenceServerException

    client = grpc.InferenceServerClient(tally.server.grpc)
    tensor = grpc.InferInput("x", X.shape, "FP32").set_data_from_numpy(X)
    while tally.goes_on:
        try:
            client.infer(MODEL, [tensor], client_timeout=tally.deadline_s())
            tally.count(True)
        except InferenceServerException:
            tally.count(False)
    client.close()


def with_ours(protocol: str) -> Callable[[Tally], None]:
    """A caller with our client."""

    def ask(tally: Tally) -> None:
        url = f"{protocol}://{getattr(tally.server, protocol)}"
        with Client(url, retry=ONCE) as client:
            client.metadata(MODEL)
            while tally.goes_on:
                try:
                    client.infer(MODEL, x=X, timeout_s=tally.deadline_s())
                    tally.count(True)
                except ServerUnavailable:
                    tally.count(None)
                except CallError:
                    tally.count(False)

    return ask


def in_loop(tally: Tally) -> None:
    """A caller with our client in an event loop."""

    async def ask() -> None:
        async with AsyncClient(f"grpc://{tally.server.grpc}", retry=ONCE) as client:
            await client.metadata(MODEL)
            for number in itertools.count():
                if not tally.goes_on:
                    return
                task = asyncio.ensure_future(client.infer(MODEL, x=X, timeout_s=tally.deadline_s()))
                if number % 2:
                    await asyncio.sleep(tally.deadline_s())
                    task.cancel()
                (result,) = await asyncio.gather(task, return_exceptions=True)
                tally.count(None if isinstance(result, ServerUnavailable) else isinstance(result, dict))

    asyncio.run(ask())


WAYS = {
    "tritonclient, gRPC": with_tritonclient,
    "Client, gRPC": with_ours("grpc"),
    "AsyncClient, gRPC": in_loop,
    "Client, HTTP": with_ours("http"),
}


def row(name: str, enough: int) -> str:
    """A line: what became of the calls of one way of asking, and of their server."""
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "repository"
        publish_next(configure(repository), Path(folder) / "scratch")
        with running(ServerOptions(repository, drain_s=0)) as server:
            tally, began = Tally(server, enough), time.monotonic()
            callers = [threading.Thread(target=WAYS[name], args=(tally,)) for _ in range(CALLERS)]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
            code = server.process.poll()
            end = "lives" if code is None else f"ended, exit status {code}"
            return f"| {name} | {tally.given_up} | {tally.answered} | {time.monotonic() - began:.0f} | {end} |"


@click.command()
@click.option("--calls", default=20_000, show_default=True, help="Calls given up in each way.")
def main(calls: int) -> None:
    """Ask in each way, and print what became of the server."""
    click.echo("| callers | given up | answered | s | Triton |\n| --- | --- | --- | --- | --- |")
    for name in WAYS:
        click.echo(row(name, calls))
    click.echo(f"\n{conditions_of_now(COMMAND, {})}")


if __name__ == "__main__":
    run_command(main)
