"""The project's figures: interleaved rounds, ratios with their intervals, and the conditions beside them.

make bench                      everything
python perf/bench.py serving    EfficientNet-Lite0 through the embedded server beside the same artefact in-process
python perf/bench.py builds     how long a build takes: from nothing, from the cache, and when nothing changed
python perf/bench.py startup    how long `engineroom --help` takes
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from engineroom.cli import run as run_command
from engineroom.compile.precisions import median_and_interval
from engineroom.errors import LoadError
from engineroom.load.conditions import conditions_of_now
from engineroom.project import Project
from engineroom.repository.layout import Repository
from engineroom.serve.server import Server, ServerOptions, running

HERE = Path(__file__).parent
MODEL = "efficientnet_lite0"
PROTOCOLS = {"grpc": "none", "grpc, shared memory": "system"}


@dataclass(frozen=True)
class Served:
    """One measurement of the served model.

    Attributes:
        rows_per_s: Rows answered per second.
        p99_ms: 99th percentile of the latency, milliseconds.
        server_cpu_ms: Processor time of `tritonserver` for one row, milliseconds.
        model_cpu_ms: Processor time of the model's instances for one row, milliseconds.
        mean_batch: Rows Triton put into one inference.
    """

    rows_per_s: float
    p99_ms: float
    server_cpu_ms: float
    model_cpu_ms: float
    mean_batch: float


@click.group(invoke_without_command=True)
@click.pass_context
def bench(context: click.Context) -> None:
    """Measure; without a command, everything."""
    if context.invoked_subcommand is None:
        context.invoke(startup)
        context.invoke(builds)
        context.invoke(serving)


@bench.command()
@click.option("--rounds", default=20, show_default=True)
def startup(rounds: int) -> None:
    """How long `engineroom --help` takes, beside an empty Python."""
    help_command = [str(Path(sys.executable).with_name("engineroom")), "--help"]
    ours, bare = [], []
    for _ in range(rounds):
        ours.append(seconds_of(help_command))
        bare.append(seconds_of([sys.executable, "-c", "pass"]))
    click.echo(f"engineroom --help: median {statistics.median(ours):.3f} s, slowest {max(ours):.3f} s of {rounds}")
    click.echo(f"python -c pass:    median {statistics.median(bare):.3f} s")


@bench.command()
@click.option("--rounds", default=3, show_default=True, help="Rounds of all models, each from nothing.")
@click.option("--output", default="out/bench-builds.json", show_default=True, type=click.Path(path_type=Path))
def builds(rounds: int, output: Path) -> None:
    """How long a build takes: cold, warm (a lost version comes back from the cache), and when nothing changed."""
    recipes = sorted(path.stem for path in (HERE.parent / "build").glob("*.py"))
    found: dict[str, list[dict[str, float]]] = {name: [] for name in recipes}
    for number in range(rounds):
        for name in recipes:
            found[name].append(build_seconds(name))
            told = ", ".join(f"{state} {seconds:.2f} s" for state, seconds in found[name][-1].items())
            click.echo(f"round {number + 1}: {name}: {told}")
    for name, figures in found.items():
        ratios = np.array([one["cold"] / one["warm"] for one in figures])
        middle = {state: statistics.median(one[state] for one in figures) for state in figures[0]}
        click.echo(
            f"{name}: cold {middle['cold']:.1f} s; warm {middle['warm']:.2f} s, {np.median(ratios):.0f} times faster "
            f"({ratios.min():.0f} to {ratios.max():.0f} in {rounds} rounds); unchanged {middle['unchanged']:.2f} s"
        )
    conditions = asdict(conditions_of_now("python perf/bench.py builds", {}))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"conditions": conditions, "seconds": found}, indent=2) + "\n")
    click.echo(f"machine: {conditions['machine']}, {conditions['cores']} cores; raw figures: {output}")


def build_seconds(name: str) -> dict[str, float]:
    """How long one model's build takes in a project of its own, for a CPU and for a GPU that is elsewhere."""
    command = [sys.executable, "-m", "engineroom", "build", name, "--target", "openvino,tensorrt-rtx:sm89"]
    with tempfile.TemporaryDirectory(prefix="engineroom-bench-") as folder:
        project = Project(Path(folder))
        shutil.copytree(HERE.parent / "build", project.recipes, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {**os.environ, "ENGINEROOM_PROJECT": folder}
        cold = seconds_of(command, environment)
        shutil.rmtree(project.repository / name / "1")
        return {"cold": cold, "warm": seconds_of(command, environment), "unchanged": seconds_of(command, environment)}


@bench.command()
@click.option("--rounds", default=7, show_default=True, help="Rounds of A-B-A-B.")
@click.option("--seconds", default=5.0, show_default=True, help="Length of an in-process measurement.")
@click.option("--concurrency", default=32, show_default=True, help="Requests in flight, of one row each.")
@click.option("--output", default="out/bench-serving.json", show_default=True, type=click.Path(path_type=Path))
def serving(rounds: int, seconds: float, concurrency: int, output: Path) -> None:
    """The served model beside the same artefact in-process, in one interleaved run."""
    project = Project.find(HERE)
    (folder,) = Repository(project.repository).published((MODEL,))
    bare: list[dict[str, Any]] = []
    served: dict[str, list[Served]] = {name: [] for name in PROTOCOLS}
    with running(ServerOptions(project.repository, (MODEL,))) as server:
        for number in range(rounds):
            bare.append(in_process(folder.version(folder.latest or 0), seconds))
            for name, shared_memory in PROTOCOLS.items():
                served[name].append(through_server(server, concurrency, shared_memory))
            click.echo(f"round {number + 1}: " + line(bare[-1], {name: found[-1] for name, found in served.items()}))
    report(bare, served)
    conditions = asdict(conditions_of_now("python perf/bench.py serving", {}))
    output.parent.mkdir(parents=True, exist_ok=True)
    figures = {name: [asdict(one) for one in found] for name, found in served.items()}
    output.write_text(json.dumps({"conditions": conditions, "bare": bare, "served": figures}, indent=2) + "\n")
    click.echo(f"machine: {conditions['machine']}, {conditions['cores']} cores; raw figures: {output}")


def in_process(version: Path, seconds: float) -> dict[str, Any]:
    """The artefact without a server."""
    done = subprocess.run(
        [sys.executable, str(HERE / "bare_openvino.py"), str(version), "--seconds", str(seconds)],
        capture_output=True,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def through_server(server: Server, concurrency: int, shared_memory: str) -> Served:
    """The served model under perf_analyzer, on the same cores."""
    before, cpu = statistics_of(server), cpu_seconds(server.pid)
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("engineroom")),
            *("load", "perf-analyzer", MODEL, "--url", f"grpc://{server.grpc}", "--json"),
            *("--concurrency", str(concurrency), "--input-data", "golden", "--shared-memory", shared_memory),
            # Wide windows and a loose criterion: the rounds, not the windows, are what averages here.
            *("--window-ms", "2000", "--stability-percent", "40"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise LoadError(f"perf_analyzer did not measure: {done.stderr.strip()}")
    result = json.loads(done.stdout)["results"][0]
    after, spent = statistics_of(server), cpu_seconds(server.pid)
    rows = after["inference_count"] - before["inference_count"]
    return Served(
        rows_per_s=result["rows_per_s"],
        p99_ms=result["latency"]["p99_ms"],
        server_cpu_ms=(spent[0] - cpu[0]) * 1e3 / rows,
        model_cpu_ms=(spent[1] - cpu[1]) * 1e3 / rows,
        mean_batch=rows / (after["execution_count"] - before["execution_count"]),
    )


def statistics_of(server: Server) -> dict[str, int]:
    """Triton's own counts for the model."""
    import tritonclient.grpc as triton

    with triton.InferenceServerClient(server.grpc) as client:
        found = client.get_inference_statistics(MODEL, as_json=True)["model_stats"][0]
    return {name: int(found[name]) for name in ("inference_count", "execution_count")}


def cpu_seconds(pid: int) -> tuple[float, float]:
    """Processor time so far of a process, and of its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        # The name in parentheses may hold spaces; what follows it does not (proc(5)).
        fields = path.read_text().rpartition(")")[2].split()
        ticks = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        parents[int(path.parent.name)] = (int(fields[1]), ticks)
    below = sum(ticks for parent, ticks in parents.values() if parent == pid)
    return parents[pid][1], below


def report(bare: list[dict[str, Any]], served: dict[str, list[Served]]) -> None:
    """Print the ratio of every way of serving to the bare artefact, and where the rest goes."""
    # Each served round stands between two bare ones where it can: the machine drifts.
    around = [np.mean([one["rows_per_s"] for one in bare[at : at + 2]]) for at in range(len(bare))]
    click.echo(f"\nin-process: median {np.median([one['rows_per_s'] for one in bare]):.0f} rows/s, {bare[0]}")
    for name, found in served.items():
        ratios = np.array([one.rows_per_s / base for one, base in zip(found, around, strict=True)])
        middle_ratio, low, high = median_and_interval(ratios)
        click.echo(f"{name}: {middle_ratio:.3f} of it (95 % interval {low:.3f} to {high:.3f}, {len(ratios)} rounds)")
        middle = {field: np.median([getattr(one, field) for one in found]) for field in asdict(found[0])}
        click.echo("  " + ", ".join(f"{field} {value:.2f}" for field, value in middle.items()))


def line(bare: dict[str, Any], served: dict[str, Served]) -> str:
    """One round in a line."""
    parts = [f"in-process {bare['rows_per_s']:.0f} rows/s"]
    return ", ".join(
        parts + [f"{name} {one.rows_per_s:.0f} (batch {one.mean_batch:.1f})" for name, one in served.items()]
    )


def seconds_of(command: list[str], environment: dict[str, str] | None = None) -> float:
    """How long a command takes."""
    began = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True, env=environment)
    return time.perf_counter() - began


if __name__ == "__main__":
    run_command(bench)
