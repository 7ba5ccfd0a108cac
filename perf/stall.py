"""What load tools say about a server that stops for known times, beside the truth.

python perf/stall.py                      both protocols, three minutes
python perf/stall.py --protocol grpc
python perf/stall.py --quick              the open loop alone, half a minute

The truth about the 99th percentile is computed from the schedule and the stalls alone: whoever is due during a stall
waits for its end. A second truth adds what the server works: it answers one after the other, each in the processor
time that it spent on a request. Every tool measures the same server, one after the other, at the same rate where it
has one.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from processor_time import cpu_s
from stall_server import CONFIG, MODEL, ROW, Stalls

from engineroom.cli import run as run_command
from engineroom.client.protocol.transport import Address, address_from_url
from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.load.locust.run import LocustRun, measure_with_locust
from engineroom.load.open_loop.engine import OpenRun, send_on_schedule
from engineroom.load.open_loop.schedule import poisson
from engineroom.load.open_loop.verdict import result_of_now
from engineroom.load.perf_analyzer.binary import find_perf_analyzer
from engineroom.load.perf_analyzer.run import PerfRun
from engineroom.load.perf_analyzer.tool import measure_with_perf_analyzer
from engineroom.load.prepared import requests_from_golden
from engineroom.load.result import Latency
from engineroom.load.samples import latency_from_samples
from engineroom.load.served import served_model
from engineroom.project import Project
from engineroom.repository.golden import golden_from_repository, golden_to_file
from engineroom.repository.layout import Repository

HERE = Path(__file__).parent
COMMAND = "python perf/stall.py"
ATTEMPTS = 3
"""Runs of the open loop until one may be published: on a shared machine, others make it late."""


@dataclass(frozen=True)
class Case:
    """One stall server, and what is asked of it.

    Attributes:
        address: Where it listens.
        pid: Its process.
        project: Knows its golden answers.
        stalls: When it stops.
        rate_per_s: Requests offered per second.
        seconds: Time of each tool.
    """

    address: Address
    pid: int
    project: Project
    stalls: Stalls
    rate_per_s: float
    seconds: int


@dataclass(frozen=True)
class Row:
    """What one tool says.

    Attributes:
        tool: The tool, and how it asked.
        latency: Its percentiles.
        requests: What it counted.
        remark: What to know beside them.
    """

    tool: str
    latency: Latency
    requests: int
    remark: str = ""


@contextmanager
def stall_server(protocol: str, stalls: Stalls) -> Iterator[tuple[Address, int]]:
    """A stall server on a free port, and its process."""
    times = ["--stall-ms", f"{stalls.length_s * 1000:g}", "--every-ms", f"{stalls.every_s * 1000:g}"]
    command = [sys.executable, str(HERE / "stall_server.py"), "--http-port", "0", "--grpc-port", "0", *times]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "a pipe was asked for"  # noqa: S101
            ports = json.loads(process.stdout.readline())
            yield address_from_url(f"{protocol}://127.0.0.1:{ports[protocol]}"), process.pid
        finally:
            process.kill()


def project_of_stall(root: Path) -> Project:
    """A project that knows what the server answers, with this one's Locust file."""
    version = root / "model_repository" / MODEL / "1"
    version.mkdir(parents=True)
    tensors = "".join(
        f'{way} {{ name: "{CONFIG[way][0]["name"]}" data_type: TYPE_FP32 dims: [{ROW}] }}\n'
        for way in ("input", "output")
    )
    (version.parent / "config.pbtxt").write_text(f'name: "{MODEL}"\nmax_batch_size: 8\n{tensors}')
    x = np.arange(2 * ROW, dtype=np.float32).reshape(2, ROW)
    golden_to_file({"x": x}, {"y": x}, version / "golden.npz")
    (root / "perf").symlink_to(HERE)
    return Project(root)


def open_loop(case: Case) -> list[Row]:
    """Ours, and the truth of the same schedule."""
    served = served_model(case.address, MODEL)
    golden = golden_from_repository(Repository(case.project.repository), MODEL)
    run = OpenRun(served, requests_from_golden(golden, served, 1), poisson(case.rate_per_s, case.seconds))
    for _ in range(ATTEMPTS):
        before_s = cpu_s(case.pid)
        done = send_on_schedule(run)
        service_s = (cpu_s(case.pid) - before_s) / len(done.samples)
        told = result_of_now(run, done, 100, COMMAND)
        if told.open_loop and told.open_loop.limit != "generator":
            break
    assert told.open_loop is not None, "every open loop's result has it"  # noqa: S101
    remark = f"lateness p99 {told.open_loop.lateness_p99_ms:.2f} ms" + (
        ", which is not to be published" if told.open_loop.limit == "generator" else ""
    )
    return [
        *truths(case.stalls, done.samples.begin_s, service_s),
        Row("open loop", told.latency, told.requests, remark),
    ]


def truths(stalls: Stalls, due_s: npt.NDArray[np.float64], service_s: float) -> list[Row]:
    """What the schedule says, and what it says when the server's own work is known."""
    alone = latency_from_samples(stalls.left_s(due_s) * 1000)
    working = latency_from_samples((stalls.answered_s(due_s, service_s) - due_s) * 1000)
    return [
        Row("the truth", alone, len(due_s)),
        Row("the truth, with the server's work", working, len(due_s), f"{service_s * 1000:.2f} ms a request"),
    ]


def locust(case: Case) -> list[Row]:
    """Locust, with as many users as it is usually given."""
    told, _ = measure_with_locust(LocustRun(case.address, MODEL, 8, case.seconds), case.project, COMMAND)
    return [Row("Locust, 8 users", told.latency, told.requests)]


def perf_analyzer(case: Case) -> list[Row]:
    """perf_analyzer: requests kept in flight, and at the rate."""
    tool, served = find_perf_analyzer(), served_model(case.address, MODEL)
    # Each window holds one stall, and its figures are as different as stalls make them.
    window_ms = int(case.stalls.every_s * 1000)
    trials = max(3, int(case.seconds / case.stalls.every_s))
    run = PerfRun(served, concurrency="8", window_ms=window_ms, stability_percent=900, trials=trials)
    rows = []
    for name, one in (
        ("perf_analyzer, 8 in flight", run),
        ("perf_analyzer, Poisson rate", replace(run, rate=f"{case.rate_per_s:g}")),
    ):
        try:
            ((told, _),) = measure_with_perf_analyzer(tool, one, COMMAND)
            rows.append(Row(name, told.latency, told.requests, "; ".join(told.notes)))
        except LoadError as error:
            click.echo(f"{name}: {error}")
    return rows


def table(rows: dict[str, list[Row]]) -> str:
    """The rows of each protocol as Markdown, and what to know beside them."""
    lines = ["| protocol | tool | requests | p50 ms | p90 ms | p99 ms | p99 / truth |", "| --- " * 7 + "|"]
    remarks = []
    for protocol, found in rows.items():
        for row in found:
            told = row.latency
            shares = (f"{value:.2f}" for value in (told.p50_ms, told.p90_ms, told.p99_ms))
            ratio = told.p99_ms / found[0].latency.p99_ms
            lines.append(f"| {protocol} | {row.tool} | {row.requests:,} | {' | '.join(shares)} | {ratio:.3f} |")
            remarks += [f"{protocol}, {row.tool}: {row.remark}"] if row.remark else []
    return "\n".join((*lines, "", *remarks))


@click.command()
@click.option("--protocol", "protocols", multiple=True, type=click.Choice(["grpc", "http"]), default=["grpc", "http"])
@click.option("--rate", default=50.0, show_default=True, help="Requests per second.")
@click.option("--seconds", default=10, show_default=True, help="Time of each tool.")
@click.option("--stall-ms", default=500.0, show_default=True)
@click.option("--every-ms", default=5000.0, show_default=True)
@click.option("--quick", is_flag=True, help="The open loop alone.")
def main(protocols: tuple[str, ...], rate: float, seconds: int, stall_ms: float, every_ms: float, quick: bool) -> None:
    """Measure with every tool, and print what each says beside the truth."""
    stalls = Stalls(every_ms / 1000, stall_ms / 1000)
    tools: tuple[Callable[[Case], list[Row]], ...] = (open_loop,) if quick else (open_loop, locust, perf_analyzer)
    os.environ.pop("ENGINEROOM_PROJECT", None)
    rows = {}
    for protocol in protocols:
        with tempfile.TemporaryDirectory() as folder, stall_server(protocol, stalls) as (address, pid):
            case = Case(address, pid, project_of_stall(Path(folder)), stalls, rate, seconds)
            rows[protocol] = [row for tool in tools for row in tool(case)]
    click.echo(f"\n{stall_ms:g} ms of every {every_ms:g} ms, {rate:g} requests/s\n\n{table(rows)}")
    click.echo(f"\n{conditions_of_now(COMMAND, {})}")


if __name__ == "__main__":
    run_command(main)
