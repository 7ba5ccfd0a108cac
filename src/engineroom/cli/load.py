"""`engineroom load`: measure a running server."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.load_report import report
from engineroom.cli.measuring import (
    ABOVE_0,
    FILE,
    SHARE,
    Wanted,
    command_line,
    finish,
    measuring,
    promise_of,
    with_samples,
)
from engineroom.cli.open_load import compare, sweep
from engineroom.cli.open_load import run as open_loop
from engineroom.load.locust.shapes import FORMS
from engineroom.load.thresholds import Thresholds
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.load.result import LoadResult
    from engineroom.load.samples import Samples
    from engineroom.load.served import ServedModel


@click.group()
def load() -> None:
    """Measure a running server: figures with their conditions, and limits that decide the exit status."""


load.add_command(open_loop)
load.add_command(sweep)
load.add_command(compare)
load.add_command(report)


@load.command("perf-analyzer")
@click.argument("name")
@measuring
@click.option("--concurrency", default="1", show_default=True, help="Requests in flight: START[:END[:STEP]].")
@click.option("--rate", help="Requests per second instead, at Poisson intervals: START[:END[:STEP]].")
@click.option("--input-data", help="`golden`, or a file in perf_analyzer's form. [default: random]")
@click.option("--shape", "shapes", multiple=True, metavar="NAME:SIZES", help="Sizes of a dynamic input; repeatable.")
@click.option("--shared-memory", type=click.Choice(["none", "system"]), default="none", show_default=True)
@click.option("--window-ms", type=click.IntRange(100), default=1000, show_default=True, help="One measurement window.")
@click.option("--stability-percent", type=ABOVE_0, default=20.0, show_default=True, help="Three windows must agree so.")
@click.option("--trials", type=click.IntRange(3), default=10, show_default=True, help="Most windows at one load.")
@click.option("--keep-samples", is_flag=True, help="Let it write every request down: up to a third of its throughput.")
@click.option("--slo-ms", type=ABOVE_0, help="Latency that goodput counts, of samples kept. [default: the recipe's]")
def perf_analyzer(
    name: str, max_p95_ms: float | None, max_p99_ms: float | None, slo_ms: float | None, **given: Any
) -> None:
    """Measure model NAME with NVIDIA's perf_analyzer, at one load after the other."""
    import tempfile

    from engineroom.load.perf_analyzer.binary import find_perf_analyzer
    from engineroom.load.perf_analyzer.run import PerfRun
    from engineroom.load.perf_analyzer.tool import measure_with_perf_analyzer
    from engineroom.load.served import address_from_options, served_model

    if slo_ms and not given["keep_samples"]:
        raise click.UsageError("--slo-ms counts single requests. Add --keep-samples.")
    wanted = Wanted(Thresholds(max_p95_ms, max_p99_ms), given.pop("as_json"), given.pop("output"))
    tool = find_perf_analyzer()
    served = served_model(address_from_options(given.pop("url"), given.pop("protocol")), name)
    with tempfile.TemporaryDirectory(prefix="engineroom-input-") as folder:
        data = _input_data(given.pop("input_data"), served, Path(folder))
        run = PerfRun(served, input_data=data, **given)
        found = measure_with_perf_analyzer(tool, run, command_line())
    if run.keep_samples:
        slo_ms = slo_ms or promise_of(name)
    finish(tuple(_with_kept(result, samples, slo_ms, wanted.output) for result, samples in found), wanted)


def _with_kept(
    result: "LoadResult", samples: "Samples | None", slo_ms: float | None, output: Path | None
) -> "LoadResult":
    from engineroom.load.samples import goodput_from_samples

    if samples is None or slo_ms is None:
        return result
    result = replace(result, goodput=goodput_from_samples(samples, slo_ms, result.duration_s))
    return with_samples(result, samples, output, f"{result.offered.value:g}") if output else result


def _input_data(text: str | None, served: "ServedModel", folder: Path) -> Path | None:
    from engineroom.client.check import checked
    from engineroom.load.perf_analyzer.input import input_file
    from engineroom.repository.golden import golden_from_repository
    from engineroom.repository.layout import Repository

    if text != "golden":
        return Path(text).resolve() if text else None
    golden = golden_from_repository(Repository(Project.find().repository), served.name, int(served.version))
    checked(served.metadata, golden.batch(0, 1).inputs)
    return input_file(golden.inputs, None, folder / "golden.json")


@load.command("install-perf-analyzer")
@click.option("--json", "as_json", is_flag=True, help="Print where it is as JSON.")
def install_perf_analyzer(as_json: bool) -> None:
    """Install NVIDIA's perf_analyzer for this user, with the C library it needs where the system's is older."""
    import json

    from engineroom.load.perf_analyzer.install import install_perf_analyzer as install

    if not as_json:
        click.echo("installing perf_analyzer, unless it is there already", err=True)
    tool = install()
    found = {"version": tool.version, "path": tool.origin, "command": list(tool.command)}
    click.echo(json.dumps(found) if as_json else f"perf_analyzer {tool.version} runs: {tool.origin}")


@load.command("locust")
@click.argument("name")
@measuring
@click.option("--users", type=click.IntRange(1), default=8, show_default=True, help="Closed loops.")
@click.option("--seconds", type=click.IntRange(1), default=10, show_default=True, help="Time to measure.")
@click.option("--shape", default="", help=f"Instead of --users and --seconds: {FORMS}.")
@click.option("--slo-ms", type=ABOVE_0, help="Latency that goodput is counted against. [default: the recipe's]")
@click.option("--timeout-s", type=ABOVE_0, default=30.0, show_default=True, help="Longest wait for an answer.")
@click.option("--max-failure-ratio", type=SHARE, default=0.0, show_default=True, help="Exit with 1 above.")
@click.option("--min-goodput-ratio", type=SHARE, help="Exit with 1 where fewer answers keep the SLO.")
@click.option("--picture", type=FILE, help="Draw the distribution of the latencies into a PNG file.")
def locust(name: str, as_json: bool, output: Path | None, picture: Path | None, **given: Any) -> None:
    """Measure model NAME with the project's perf/locustfile.py: golden inputs, every answer compared."""
    from engineroom.load.locust.run import LocustRun, measure_with_locust
    from engineroom.load.served import address_from_options

    names = ("max_p95_ms", "max_p99_ms", "max_failure_ratio", "min_goodput_ratio")
    limits = Thresholds(*(given.pop(limit) for limit in names))
    given["slo_ms"] = given["slo_ms"] or promise_of(name)
    run = LocustRun(address_from_options(given.pop("url"), given.pop("protocol")), name, **given)
    result, samples = measure_with_locust(run, Project.find(), command_line())
    if output:
        result = with_samples(result, samples, output)
    if picture:
        from engineroom.load.picture import picture_from_samples

        picture_from_samples(samples.latency_ms, result, picture)
    finish((result,), Wanted(limits, as_json, output, picture))
