"""Whether the figures move where `engineroom config explain` says: changes made to a served model, under load.

python perf/explain.py                 about three minutes; wants a quiet machine
python perf/explain.py --rounds 5

Each change is loaded into a running Triton and taken back, in turns. Under each configuration callers send one row at
a time, each as soon as the one before is answered: first one caller, then many. What moved by less than the band
counts as the same.
"""

import asyncio
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import click
import numpy as np

from engineroom.cli import run as run_command
from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.project import Project
from engineroom.repository.config import config_from_text
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.explanation import facts_of
from engineroom.repository.explain.outlook import Change, Direction
from engineroom.repository.golden import Golden, golden_from_repository
from engineroom.repository.layout import ModelFolder, Repository
from engineroom.serve.server import Server, ServerOptions, running

BANDS = {"throughput": 0.10, "p50": 0.10, "p99": 0.25}
"""Share that a figure must move by before it has moved; a 99th percentile of a second is a noisy thing."""

USERS = {"digits": 64, "efficientnet_lite0": 32}
"""Callers of the busy load: twice what all instances take in one round, and more."""

REFUSED_S = 0.02
"""What a caller waits after a refusal."""

QUEUE = "dynamic_batching {"
DELAY = "max_queue_delay_microseconds: 2000"
LIMIT = "default_queue_policy { max_queue_size: 16 }"
LATE = "default_queue_policy { timeout_action: REJECT default_timeout_microseconds: 2000 }"


@dataclass(frozen=True)
class Trial:
    """One change that is tried.

    Attributes:
        name: What it is called in the table.
        model: The model it is made to.
        old: What its configuration says.
        new: What it says then.
    """

    name: str
    model: str
    old: str
    new: str


TRIALS = (
    Trial("queue delay 0 -> 2 ms", "digits", QUEUE, f"{QUEUE} {DELAY}"),
    Trial("queue of 16 at most", "digits", QUEUE, f"{QUEUE} {LIMIT}"),
    Trial("waiting of 2 ms at most", "digits", QUEUE, f"{QUEUE} {LATE}"),
    Trial("no dynamic batching", "digits", r"dynamic_batching \{[^}]*\}", ""),
    Trial("instances 2 -> 1, in place", "digits", "count: 2", "count: 1"),
    Trial("instances 2 -> 1, in place", "efficientnet_lite0", "count: 2", "count: 1"),
    Trial("no dynamic batching", "efficientnet_lite0", r"dynamic_batching \{[^}]*\}", ""),
    Trial(
        "FP32 for bf16", "efficientnet_lite0", r"\Z", 'parameters { key: "HINT_BF16" value { string_value: "NO" } }\n'
    ),
)


@dataclass(frozen=True)
class Figures:
    """What callers saw under one load: rows answered a second, and percentiles of the latency in ms."""

    throughput: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Verdict:
    """One figure under one load: where it should have moved, and where it did."""

    figure: str
    load: str
    foretold: Direction
    ratio: float

    @property
    def measured(self) -> Direction:
        """Where it moved."""
        band = BANDS[self.figure]
        return "up" if self.ratio > 1 + band else "down" if self.ratio < 1 / (1 + band) else "same"

    @property
    def word(self) -> str:
        """The verdict in the table."""
        told = "open" if self.foretold == "either" else "right" if self.foretold == self.measured else "WRONG"
        return f"{self.figure} {self.load}: {self.foretold}, x{self.ratio:.2f} {told}"


@click.command()
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--seconds", default=1.0, show_default=True, help="Of each load in each round.")
def measure(rounds: int, seconds: float) -> None:
    """Try every change and say where the figures moved."""
    names = tuple(dict.fromkeys(trial.model for trial in TRIALS))
    verdicts: list[Verdict] = []
    for model in Repository(Project.find().repository).published(names):
        with served(model) as (server, folder):
            base = folder.cpu_config.read_text(encoding="utf-8")
            for trial in (one for one in TRIALS if one.model == model.name):
                found = try_out(trial, Bench(server, folder, base, rounds, seconds))
                click.echo(f"{model.name}: {trial.name}")
                click.echo("".join(f"  {verdict.word}\n" for verdict in found), nl=False)
                verdicts += found
    judged = [one for one in verdicts if one.foretold != "either"]
    right = sum(one.foretold == one.measured for one in judged)
    click.echo(f"\n{right} of {len(judged)} directions right, {len(verdicts) - len(judged)} left open")
    conditions = conditions_of_now("python perf/explain.py", {"triton": "2.51.0"})
    click.echo(f"{conditions.machine}, {conditions.cores} cores, {conditions.time}")


@contextmanager
def served(model: ModelFolder) -> Iterator[tuple[Server, ModelFolder]]:
    """A server on a copy of a model's newest version, whose configuration may be changed."""
    newest = max(model.versions)
    with tempfile.TemporaryDirectory() as folder:
        copy = ModelFolder(Path(folder) / model.name)
        shutil.copytree(model.version(newest), copy.version(newest))
        for path in (*model.path.glob("*.txt"), *model.configs):
            target = copy.path / path.relative_to(model.path)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
        with running(ServerOptions(copy.path.parent, (model.name,), drain_s=0)) as server:
            yield server, copy


@dataclass(frozen=True)
class Bench:
    """A served model, its configuration as it was, and how long it is asked."""

    server: Server
    model: ModelFolder
    base: str
    rounds: int
    seconds: float

    def load(self, text: str) -> None:
        """Load a configuration."""
        self.model.cpu_config.write_text(text, encoding="utf-8")
        connection = HTTPConnection(self.server.http, timeout=60)
        connection.request("POST", f"/v2/repository/models/{self.model.name}/load")
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != HTTPStatus.OK:
            raise LoadError(f"{self.model.name}: Triton does not load the change: {said.decode()}")
        connection.close()

    def figures(self) -> dict[str, Figures]:
        """The figures of both loads."""
        golden = golden_from_repository(Repository(self.model.path.parent), self.model.name).batch(0, 1)
        asyncio.run(asked(self.server.grpc, golden, 4, 0.3))
        users = {"quiet": 1, "busy": USERS[self.model.name]}
        return {
            load: asyncio.run(asked(self.server.grpc, golden, count, self.seconds)) for load, count in users.items()
        }


def try_out(trial: Trial, bench: Bench) -> list[Verdict]:
    """Make a change and take it back, some times over, and compare the figures."""
    changed = re.sub(trial.old, lambda _: trial.new, bench.base, count=1)
    (change,) = foretold(bench, changed)
    ratios: dict[tuple[str, str], list[float]] = {}
    for _ in range(bench.rounds):
        bench.load(bench.base)
        before = bench.figures()
        bench.load(changed)
        after = bench.figures()
        for load in before:
            for figure in BANDS:
                ratio = getattr(after[load], figure) / getattr(before[load], figure)
                ratios.setdefault((figure, load), []).append(ratio)
    bench.load(bench.base)
    trends = {"quiet": change.quiet, "busy": change.busy}
    return [
        Verdict(figure, load, getattr(trends[load], figure), statistics.median(found))
        for (figure, load), found in ratios.items()
    ]


def foretold(bench: Bench, changed: str) -> tuple[Change, ...]:
    """What explain says of a change."""
    before, after = (config_from_text(text, bench.model.cpu_config) for text in (bench.base, changed))
    found = changes(before, after, facts=facts_of(bench.model, after))
    # Without dynamic batching its settings go too; the first says all of it.
    return found[:1]


async def asked(address: str, golden: Golden, users: int, seconds: float) -> Figures:
    """Closed loops of some callers for a while; refused requests count as not answered."""
    from tritonclient.grpc import InferInput
    from tritonclient.grpc.aio import InferenceServerClient
    from tritonclient.utils import InferenceServerException, np_to_triton_dtype

    inputs = []
    for name, array in golden.inputs.items():
        tensor = InferInput(name, list(array.shape), np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    latencies: list[float] = []
    end = time.monotonic() + seconds

    async def caller(client: Any) -> None:
        while (start := time.monotonic()) < end:
            try:
                await client.infer(golden.model, inputs)
            except InferenceServerException:
                # Somebody who is refused tries again later; at once, it would only cost the server.
                await asyncio.sleep(REFUSED_S)
            else:
                latencies.append((time.monotonic() - start) * 1e3)

    async with InferenceServerClient(address) as client:
        await asyncio.gather(*(caller(client) for _ in range(users)))
    p50, p99 = np.percentile(latencies, (50, 99))
    return Figures(len(latencies) / seconds, float(p50), float(p99))


if __name__ == "__main__":
    run_command(measure)
