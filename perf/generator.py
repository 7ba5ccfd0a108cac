"""What a request costs the load generator: the open loop beside Locust users, same server, same payload.

python perf/generator.py             seven rounds, six minutes; wants a quiet machine
python perf/generator.py --quick     two short rounds, a minute and a half

The server is a real Triton that answers the digits model from its response cache: the cheapest there is. Each tool is
one process at its highest rate: Locust as fast as eight users go, the open loop at the highest rate whose figures it
would publish. Processor time is the system's count for the generator's process, requests are the server's own count,
both in the middle of a run: starting, connecting and summing up are left out.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from processor_time import children, cpu_s

from engineroom.cli import run as run_command
from engineroom.client.protocol.transport import Address, address_from_url
from engineroom.compile.precisions import median_and_interval
from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.load.locust.run import LocustRun, measure_with_locust
from engineroom.load.open_loop.engine import OpenRun, send_on_schedule
from engineroom.load.open_loop.schedule import poisson
from engineroom.load.open_loop.verdict import result_of_now
from engineroom.load.prepared import requests_from_golden
from engineroom.load.served import ServedModel, served_model, time_spent
from engineroom.project import Project
from engineroom.repository.golden import golden_from_repository
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.serve.server import ServerOptions, running

HERE = Path(__file__).parent
COMMAND = "python perf/generator.py"
MODEL = "digits"
RATES = (500, 750, 1000, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000, 10_000, 12_000, 15_000)
LOOK_S = 0.25
"""From one look at the counters to the next."""


@dataclass(frozen=True)
class Case:
    """What is asked, and for how long.

    Attributes:
        address: The server.
        project: Knows the golden answers, and Locust's file.
        seconds: Time of each run.
        users: Locust's users.
    """

    address: Address
    project: Project
    seconds: int
    users: int


@dataclass(frozen=True)
class Cost:
    """What one run came to.

    Attributes:
        rate_per_s: Requests answered per second.
        cpu_us: Processor time of the generator for one request, microseconds.
        lateness_ms: The open loop's 99th percentile; 0 for Locust, which has no schedule.
        published: Whether the figures would be.
    """

    rate_per_s: float
    cpu_us: float
    lateness_ms: float = 0.0
    published: bool = True

    @property
    def per_core_s(self) -> float:
        """Requests per second of processor time."""
        return 1e6 / self.cpu_us

    def __str__(self) -> str:
        late = f", lateness p99 {self.lateness_ms:.2f} ms" if self.lateness_ms else ""
        return f"{self.rate_per_s:.0f}/s, {self.cpu_us:.0f} us a request{late}" + ("" if self.published else " (LATE)")


class Meter:
    """Watches the processes that this one starts, and what the server answers, while a generator runs.

    Args:
        served: The model that is asked.
    """

    def __init__(self, served: ServedModel) -> None:
        self._served = served
        self._before = children()
        self._seen: list[tuple[float, float, float]] = []
        self._end = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look now and then."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def _watch(self) -> None:
        while not self._end.wait(LOOK_S):
            spent_s = sum(cpu_s(pid) for pid in children() - self._before)
            self._seen.append((time.monotonic(), spent_s, time_spent(self._served).requests))

    def cost(self) -> tuple[float, float]:
        """Requests answered per second, and processor time for one in microseconds.

        Raises:
            LoadError: The run was too short to have a middle.
        """
        seen = np.array(self._seen)
        answered = np.diff(seen[:, 2])
        under_way = np.flatnonzero(answered > answered.max(initial=0) / 4)
        if len(under_way) < 3:
            raise LoadError(f"only {len(under_way)} looks at a run under way. Measure for longer.")
        # Looks stand between the differences: the first and the last difference of the run are left out.
        elapsed_s, spent_s, count = seen[under_way[-1]] - seen[under_way[0] + 1]
        return count / elapsed_s, spent_s / count * 1e6


@contextmanager
def served_from_cache(protocol: str) -> Iterator[tuple[Address, Project]]:
    """A Triton that answers from its response cache, and the project that it serves."""
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        source, copy = (ModelFolder(root / MODEL) for root in (Project(HERE.parent).repository, project.repository))
        if source.latest is None:
            raise LoadError(f"{MODEL} is not built. Run: engineroom build {MODEL}")
        shutil.copytree(source.version(source.latest), copy.version(source.latest))
        copy.config.write_text(source.config.read_text())
        copy.cpu_config.parent.mkdir()
        copy.cpu_config.write_text(source.cpu_config.read_text() + "\nresponse_cache { enable: true }\n")
        for labels in source.path.glob("*.txt"):
            shutil.copy(labels, copy.path)
        (project.root / "perf").symlink_to(HERE)
        cached = ServerOptions(
            project.repository, (MODEL,), drain_s=1, arguments=("--cache-config=local,size=16777216",)
        )
        with running(cached) as server:
            yield address_from_url(f"{protocol}://{getattr(server, protocol)}"), project


def open_loop(case: Case, rate_per_s: float, seconds: float) -> Cost:
    """One worker at a rate."""
    served = served_model(case.address, MODEL)
    golden = golden_from_repository(Repository(case.project.repository), MODEL, int(served.version))
    run = OpenRun(served, requests_from_golden(golden, served, 1), poisson(rate_per_s, seconds))
    meter = Meter(served)
    with meter.watching():
        done = send_on_schedule(run)
    result = result_of_now(run, done, 100, COMMAND)
    told = result.open_loop
    assert told is not None, "every open loop's result has it"  # noqa: S101
    return Cost(*meter.cost(), told.lateness_p99_ms, told.limit == "none" and not result.failures)


def locust(case: Case) -> Cost:
    """Locust's users, without a pause between their requests.

    Raises:
        LoadError: It did not end, or requests failed.
    """
    run, meter = (
        LocustRun(case.address, MODEL, case.users, case.seconds, timeout_s=5),
        Meter(served_model(case.address, MODEL)),
    )
    with meter.watching():
        told, _ = measure_with_locust(run, case.project, COMMAND)
    if told.failures:
        raise LoadError(f"{told.failures} of Locust's requests failed: its figures say nothing.")
    return Cost(*meter.cost())


def highest(case: Case, seconds: float) -> float:
    """The highest of `RATES` that one worker would publish, each tried twice; the lowest where there is none."""
    best = RATES[0]
    for rate in RATES:
        cost = open_loop(case, rate, seconds)
        if not cost.published:
            cost = open_loop(case, rate, seconds)
        click.echo(f"open loop at {rate}/s: {cost}")
        if not cost.published and rate > RATES[1]:
            break
        if cost.published:
            best = rate
    return best


def report(ours: list[Cost], theirs: list[Cost]) -> None:
    """Print both, and how they compare."""
    click.echo("\n| generator | requests/s | processor time a request | requests/s per core | lateness p99 |")
    click.echo("| --- " * 5 + "|")
    for name, costs in (("Locust", theirs), ("open loop, 1 worker", ours)):
        rate, cpu_us, late_ms = (
            np.median([getattr(cost, field) for cost in costs]) for field in ("rate_per_s", "cpu_us", "lateness_ms")
        )
        late = f"{late_ms:.2f} ms" if late_ms else "no schedule"
        click.echo(f"| {name} | {rate:,.0f} | {cpu_us:.0f} us | {1e6 / cpu_us:,.0f} | {late} |")
    ratios = np.array([mine.per_core_s / yours.per_core_s for mine, yours in zip(ours, theirs, strict=True)])
    middle, low, high = median_and_interval(ratios)
    unpublished = sum(not cost.published for cost in ours)
    click.echo(
        f"\nopen loop / Locust, requests per second per core: {middle:.1f} (95 % interval {low:.1f} to {high:.1f}, "
        f"{len(ratios)} rounds; {unpublished} of the open loop's runs would not be published)"
    )


@click.command()
@click.option("--protocol", type=click.Choice(["grpc", "http"]), default="grpc", show_default=True)
@click.option("--users", default=8, show_default=True, help="Locust's users.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--seconds", default=10, show_default=True, help="Time of each run.")
@click.option("--rate", type=float, help="Of the open loop, instead of the highest.")
@click.option("--quick", is_flag=True, help="Two rounds of 6 s, to see that it works.")
def main(protocol: str, users: int, rounds: int, seconds: int, rate: float | None, quick: bool) -> None:
    """Measure both in turns, and print what a request costs each."""
    rounds, seconds = (2, 6) if quick else (rounds, seconds)
    with served_from_cache(protocol) as (address, project):
        case = Case(address, project, seconds, users)
        rate = rate or highest(case, seconds / 2)
        ours, theirs = [], []
        for number in range(rounds):
            try:
                theirs.append(locust(case))
            except LoadError as error:
                # Now and then gRPC's threads under gevent wait for one another for ever.
                click.echo(f"round {number + 1} is left out: {error}")
                continue
            ours.append(open_loop(case, rate, seconds))
            click.echo(f"round {number + 1}: Locust {theirs[-1]}; open loop {ours[-1]}")
    if not ours:
        raise LoadError("no round came about. Measure again, on a quiet machine.")
    report(ours, theirs)
    click.echo(f"\n{protocol}, {MODEL} from Triton's response cache, {users} users\n{conditions_of_now(COMMAND, {})}")


if __name__ == "__main__":
    run_command(main)
