"""What the commands that measure share: options, and what becomes of their results."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engineroom.load.result import LoadResult, json_from_results, results_to_file
from engineroom.load.table import text_from_results
from engineroom.load.thresholds import Thresholds
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.load.samples import Samples

PROTOCOL = click.Choice(["grpc", "http"])
FILE = click.Path(path_type=Path, dir_okay=False)
ABOVE_0 = click.FloatRange(min=0, min_open=True)
SHARE = click.FloatRange(0, 1)


@dataclass(frozen=True)
class Wanted:
    """What is to become of a measurement.

    Attributes:
        thresholds: What the exit status depends on.
        as_json: Print JSON instead of a table.
        output: File for the results, or None.
        picture: File for the picture of the latencies, or None.
    """

    thresholds: Thresholds
    as_json: bool
    output: Path | None
    picture: Path | None = None


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every tool: whom to ask, how, and where the results go."""
    return _with(
        command,
        click.option("--json", "as_json", is_flag=True, help="Print the results as JSON."),
        click.option("--output", type=FILE, help="Also write the results, as JSON."),
        click.option("--batch", type=click.IntRange(1), default=1, show_default=True, help="Rows of one request."),
        click.option("--protocol", type=PROTOCOL, help="[default: the URL's, else grpc]"),
        click.option("--url", help="The server. [default: this machine, Triton's own port]"),
    )


def measuring(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every tool whose figures are judged."""
    limits = _with(
        command,
        click.option("--max-p99-ms", type=ABOVE_0, help="Exit with 1 where the 99th percentile is above."),
        click.option("--max-p95-ms", type=ABOVE_0, help="Exit with 1 where the 95th percentile is above."),
    )
    return asking(limits)


def _with(command: Callable[..., None], *options: Callable[..., Callable[..., None]]) -> Callable[..., None]:
    for option in options:
        command = option(command)
    return command


def with_samples(result: LoadResult, samples: "Samples", output: Path, part: str = "") -> LoadResult:
    """Write every request beside a result's file, and say so in the result; `part` tells several results apart."""
    from engineroom.load.samples import samples_beside, samples_to_file

    beside = samples_beside(output, part)
    samples_to_file(samples, beside)
    return replace(result, samples=beside.name)


def command_line() -> str:
    """The command as it was given, for a result's conditions."""
    return " ".join(["engineroom", *sys.argv[1:]])


def finish(results: tuple[LoadResult, ...], wanted: Wanted) -> None:
    """Write and print first, then judge: a missed limit is a result too."""
    if wanted.output:
        results_to_file(results, wanted.output)
    click.echo(json_from_results(results) if wanted.as_json else text_from_results(results), nl=False)
    wanted.thresholds.check(results)


def promise_of(name: str) -> float:
    """The latency, in ms, that a model's recipe promises; the usual one where it says none."""
    from engineroom.cli.operating import recipe_of
    from engineroom.recipe import SLO
    from engineroom.repository.layout import ModelFolder

    recipe = recipe_of(ModelFolder(Project.find().repository / name))
    return (recipe.slo if recipe else SLO()).p99_ms
