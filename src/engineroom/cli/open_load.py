"""`engineroom load run`, `sweep` and `compare`: the open loop, and what a change did to its figures."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.measuring import (
    ABOVE_0,
    FILE,
    SHARE,
    Wanted,
    asking,
    command_line,
    finish,
    measuring,
    promise_of,
    with_samples,
)
from engineroom.errors import GeneratorLimited, ThresholdMissed
from engineroom.load.result import LoadResult
from engineroom.load.thresholds import Thresholds
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.load.compare import Ratio
    from engineroom.load.open_loop.engine import OpenRun
    from engineroom.load.open_loop.schedule import Schedule
    from engineroom.load.samples import Samples

RATE_OF_A_WORKER = 2000
"""Requests per second that one process is given unless `--workers` says otherwise: it keeps its times with ease."""


@click.command()
@click.argument("name")
@measuring
@click.option("--rate", type=ABOVE_0, help="Requests per second.")
@click.option("--seconds", type=ABOVE_0, default=10.0, show_default=True, help="How long, with --rate.")
@click.option("--steps", metavar="RATE:SECONDS,…", help="Instead of --rate: one rate after the other.")
@click.option("--times", type=FILE, help="Instead of --rate: a file of times in seconds, one a line.")
@click.option("--arrivals", type=click.Choice(["poisson", "constant"]), default="poisson", show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the Poisson arrivals.")
@click.option("--slo-ms", type=ABOVE_0, help="Latency that goodput is counted against. [default: the recipe's]")
@click.option("--workers", type=click.IntRange(1), help="Processes that send. [default: by the rate, and the cores]")
@click.option("--timeout-s", type=ABOVE_0, default=30.0, show_default=True, help="Longest wait for an answer.")
@click.option("--max-failure-ratio", type=SHARE, default=0.0, show_default=True, help="Exit with 1 above.")
@click.option("--min-goodput-ratio", type=SHARE, help="Exit with 1 where fewer answers keep the SLO.")
@click.option("--picture", type=FILE, help="Draw the distribution of the latencies into a PNG file.")
@click.option("--publish-anyway", is_flag=True, help="Give the figures, marked, where the generator was the limit.")
def run(name: str, publish_anyway: bool, **given: Any) -> None:
    """Send requests to model NAME when they are due, whatever the answers do: the open loop.

    Latency counts from when a request was due. Every answer is compared with its golden answer.
    """
    limits = Thresholds(
        given["max_p95_ms"], given["max_p99_ms"], given["max_failure_ratio"], given["min_goodput_ratio"]
    )
    wanted = Wanted(limits, given["as_json"], given["output"], given["picture"])
    slo_ms = given["slo_ms"] or promise_of(name)
    result, samples = _measured(_run(name, given), slo_ms, publish_anyway)
    if wanted.output:
        result = with_samples(result, samples, wanted.output)
    if wanted.picture:
        from engineroom.load.picture import picture_from_samples

        picture_from_samples(samples.latency_ms, result, wanted.picture)
    finish((result,), wanted)


@click.command()
@click.argument("name")
@asking
@click.option("--start", type=ABOVE_0, default=10.0, show_default=True, help="The first rate, requests per second.")
@click.option("--factor", type=click.FloatRange(1, min_open=True), default=1.5, show_default=True, help="To the next.")
@click.option("--most", type=click.IntRange(1), default=12, show_default=True, help="Most rates.")
@click.option("--seconds", type=ABOVE_0, default=5.0, show_default=True, help="Time of each rate.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the Poisson arrivals.")
@click.option("--slo-ms", type=ABOVE_0, help="Latency that goodput is counted against. [default: the recipe's]")
@click.option("--min-goodput-ratio", type=SHARE, default=0.99, show_default=True, help="Ends where fewer keep the SLO.")
@click.option("--workers", type=click.IntRange(1), help="Processes that send. [default: by the rate, and the cores]")
@click.option("--timeout-s", type=ABOVE_0, default=5.0, show_default=True, help="Longest wait for an answer.")
@click.option("--publish-anyway", is_flag=True, help="Give the figures, marked, where the generator was the limit.")
def sweep(name: str, as_json: bool, output: Path | None, publish_anyway: bool, **given: Any) -> None:
    """Offer model NAME more and more, until its goodput falls: the open loop at one rate after the other.

    Exits with 1 where the promise is not kept even at the first rate.
    """
    from engineroom.load.sweep import Climb, climbed, highest_kept

    slo_ms, least = given.pop("slo_ms") or promise_of(name), given["min_goodput_ratio"]
    rates = Climb(given.pop("start"), given.pop("factor"), given.pop("most"))

    def measure(rate: float) -> LoadResult:
        wished = _run(name, {**given, "rate": rate, "steps": None, "times": None, "arrivals": "poisson"})
        result, samples = _measured(wished, slo_ms, publish_anyway)
        return with_samples(result, samples, output, f"{rate:g}") if output else result

    found: list[LoadResult] = []
    limited: GeneratorLimited | None = None
    try:
        found.extend(climbed(rates, measure, least))
    except GeneratorLimited as error:
        if not found:
            raise
        limited = error
    finish(tuple(found), Wanted(Thresholds(failure_ratio=None), as_json, output))
    kept = highest_kept(tuple(found), least)
    if kept is None:
        raise ThresholdMissed(f"{name}: fewer than {least:.0%} were answered within {slo_ms:g} ms at the first rate.")
    click.echo(f"{kept.offered}: the highest at which {least:.0%} were rightly answered within {slo_ms:g} ms", err=True)
    if limited:
        raise limited
    if kept is found[-1]:
        click.echo("more was not offered: say a larger --factor, or --most", err=True)


@click.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.option("--margin", type=SHARE, default=0.05, show_default=True, help="What may be worse by, as a share.")
@click.option("--json", "as_json", is_flag=True, help="Print the ratios as JSON.")
def compare(before: Path, after: Path, margin: float, as_json: bool) -> None:
    """Compare the results in two files: ratios with their intervals; exit with 1 where AFTER is worse.

    It is worse where the whole 95 % interval of a ratio is beyond the margin. Of several loads, as a sweep measures,
    those are compared that both files have.
    """
    from engineroom.load.compare import check_no_regression, pairs_from_files, ratios

    pairs = pairs_from_files(before, after)
    found = {str(pair.before.result.offered): ratios(pair) for pair in pairs}
    click.echo(_ratios_as_json(found, margin) if as_json else _ratios_as_text(found, margin))
    check_no_regression(found, margin)


def _ratios_as_json(found: "dict[str, tuple[Ratio, ...]]", margin: float) -> str:
    import json
    from dataclasses import asdict

    rows = [
        {"offered": load, **asdict(one), "regression": one.is_regression(margin)}
        for load, there in found.items()
        for one in there
    ]
    return json.dumps(rows, indent=2)


def _ratios_as_text(found: "dict[str, tuple[Ratio, ...]]", margin: float) -> str:
    lines = []
    for load, there in found.items():
        lines.append(f"{load}:")
        for one in there:
            verdict = "worse" if one.is_regression(margin) else "within the margin"
            interval = f"95 % interval {one.low:.3f} to {one.high:.3f}"
            lines.append(f"  {one.figure:14} {one.ratio:.3f}  ({interval})  {verdict}")
    return "\n".join(lines)


def _measured(wished: "OpenRun", slo_ms: float, publish_anyway: bool) -> "tuple[LoadResult, Samples]":
    from engineroom.load.open_loop.engine import send_on_schedule
    from engineroom.load.open_loop.verdict import refuse_own_figures, result_of_now

    click.echo(f"sending {len(wished.schedule.offsets_s):,} requests: {wished.schedule.words}", err=True)
    done = send_on_schedule(wished)
    result = result_of_now(wished, done, slo_ms, command_line())
    if not publish_anyway:
        refuse_own_figures(result)
    return result, done.samples


def _run(name: str, given: dict[str, Any]) -> "OpenRun":
    from engineroom.load.open_loop.engine import OpenRun
    from engineroom.load.prepared import requests_from_golden
    from engineroom.load.served import address_from_options, served_model
    from engineroom.repository.golden import golden_from_repository
    from engineroom.repository.layout import Repository

    schedule = _schedule(given)
    served = served_model(address_from_options(given["url"], given["protocol"]), name)
    served.check_batch(given["batch"])
    golden = golden_from_repository(Repository(Project.find().repository), name, int(served.version))
    requests = requests_from_golden(golden, served, given["batch"])
    most = len(os.sched_getaffinity(0))
    workers = given["workers"] or min(most, 1 + int(schedule.rate_per_s / RATE_OF_A_WORKER))
    return OpenRun(served, requests, schedule, workers, given["timeout_s"])


def _schedule(given: dict[str, Any]) -> "Schedule":
    from engineroom.load.open_loop import schedule

    rate, steps, times = given["rate"], given["steps"], given["times"]
    if [rate, steps, times].count(None) != 2:
        raise click.UsageError("say when requests are due: one of --rate, --steps and --times.")
    if times:
        return schedule.recorded(Path(times))
    even = given["arrivals"] == "constant"
    if steps:
        return schedule.stepped(schedule.steps_from_text(steps), None if even else given["seed"])
    if even:
        return schedule.constant(rate, given["seconds"])
    return schedule.poisson(rate, given["seconds"], given["seed"])
