"""What hedging and a limit for each attempt do where one of two servers stops now and then.

python perf/hedging.py             about two minutes
python perf/hedging.py --quick     about twenty seconds; for a look, not for figures

Requests go to two small servers in an open loop, whatever the answers do. One of them stands still for 200 ms in every
2 s (`perf/stall_server.py`). Latency counts from when a request was due; what arrives is counted by the servers.
"""

import asyncio
import json
import math
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from stall_server import MODEL, ROW

from engineroom.cli import run as run_command
from engineroom.client import AsyncClient, HedgePolicy, RetryPolicy
from engineroom.errors import CallError
from engineroom.load.conditions import conditions_of_now

COMMAND = "python perf/hedging.py"
X = np.zeros((1, ROW), np.float32)
WARM = 200
"""Requests before the first one that is measured."""
POLICIES = {
    "neither": RetryPolicy(),
    "hedged after 20 ms": RetryPolicy(hedge=HedgePolicy(after_s=0.02)),
    "hedged after the 95th percentile": RetryPolicy(hedge=HedgePolicy(percentile=95)),
    "50 ms for an attempt": RetryPolicy(attempt_s=0.05),
}


@contextmanager
def server(stall_ms: int) -> Iterator[dict[str, int]]:
    """A server that stalls so long in every 2 s; its ports."""
    program = Path(__file__).with_name("stall_server.py")
    options = [f"--stall-ms={stall_ms}", "--every-ms=2000", "--http-port=0", "--grpc-port=0"]
    process = subprocess.Popen([sys.executable, str(program), *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout  # noqa: S101 - it is a pipe
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()


def inferences(ports: list[dict[str, int]]) -> int:
    """Inferences so far, by the servers' own count."""
    count = 0
    for one in ports:
        with urllib.request.urlopen(f"http://127.0.0.1:{one['http']}/v2/models/{MODEL}/stats", timeout=10) as answer:
            count += json.load(answer)["model_stats"][0]["inference_count"]
    return count


async def latencies_ms(urls: list[str], policy: RetryPolicy, per_s: float, seconds: float) -> list[float]:
    """Ask at a steady rate; milliseconds from when each request was due to its answer, infinite where it has none."""

    async def ask(client: AsyncClient, due: float) -> float:
        try:
            await client.infer(MODEL, x=X)
        except CallError:
            return math.inf
        return 1000 * (time.monotonic() - due)

    async with AsyncClient(urls, retry=policy, shared_memory=False) as client:
        for _ in range(WARM):  # both servers are known, and a percentile is
            await ask(client, 0.0)
        begin, calls = time.monotonic(), []
        for number in range(int(per_s * seconds)):
            due = begin + number / per_s
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            calls.append(asyncio.ensure_future(ask(client, due)))
        return list(await asyncio.gather(*calls))


def rows(protocol: str, per_s: float, seconds: float, rounds: int) -> Iterator[str]:
    """A line for each policy; rounds are interleaved."""
    found: dict[str, list[float]] = {name: [] for name in POLICIES}
    arrived = dict.fromkeys(POLICIES, 0)
    with server(200) as stalling, server(0) as steady:
        ports = [stalling, steady]
        for _ in range(rounds):
            for name, policy in POLICIES.items():
                before = inferences(ports)
                urls = [f"{protocol}://127.0.0.1:{one[protocol]}" for one in ports]
                found[name] += asyncio.run(latencies_ms(urls, policy, per_s, seconds))
                arrived[name] += inferences(ports) - before - WARM
    for name, taken_ms in found.items():
        p50, p99, p999 = np.percentile(taken_ms, [50, 99, 99.9], method="higher")
        more = arrived[name] / len(taken_ms) - 1
        failed = sum(map(math.isinf, taken_ms))
        yield f"| {protocol} | {name} | {len(taken_ms)} | {failed} | {p50:.1f} | {p99:.1f} | {p999:.1f} | {more:+.1%} |"


@click.command()
@click.option("--rate", default=200.0, show_default=True, help="Requests per second.")
@click.option("--quick", is_flag=True, help="One short round.")
def main(rate: float, quick: bool) -> None:
    """Ask, and print what came back and what arrived."""
    lines = [line for protocol in ("grpc", "http") for line in rows(protocol, rate, *((2, 1) if quick else (4, 3)))]
    click.echo(
        "| protocol | policy | requests | failed | p50 ms | p99 ms | p99.9 ms | more than the requests arrived |"
    )
    click.echo("| --- " * 8 + "|")
    click.echo("\n".join(lines))
    click.echo(f"\n{conditions_of_now(COMMAND, {})}")


if __name__ == "__main__":
    run_command(main)
