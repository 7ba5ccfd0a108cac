"""Our server beside others: the same models, requests, cores and minutes. Wants a quiet machine.

python perf/side_by_side.py                       both models, everybody, both runtimes: about 20 minutes
python perf/side_by_side.py --quick --only mosec  a short look, a minute
python perf/side_by_side.py --install             only make the peers' environments
"""

import json
import os
import signal
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from peers.contest import field_of, searched
from peers.description import PEERS, RUNTIMES, Peer
from peers.environments import install
from peers.stairs import lines_from_stairs, nearest
from peers.subject import Subject, subject
from peers.table import json_from_field, lines_from_field

from engineroom.cli import run as run_command
from engineroom.load.conditions import conditions_of_now
from engineroom.project import Project

CORES = 2
MODELS = ("efficientnet_lite0", "digits")
COMMAND = "python perf/side_by_side.py"


@dataclass(frozen=True)
class Wanted:
    """What to measure; where a list is empty, everything.

    Attributes:
        only: Names of peers.
        model: Names of models.
        runtime: What runs the model in the peers.
        seconds: Length of a window.
        stairs: Rounds in which those who came near the best go up and down about their limit.
        quick: Short windows and few rounds.
        install: Make the peers' environments, and measure nothing.
        output: Where every window goes.
    """

    only: tuple[str, ...]
    model: tuple[str, ...]
    runtime: tuple[str, ...]
    seconds: float
    stairs: int
    quick: bool
    install: bool
    output: Path


@click.command()
@click.option("--only", multiple=True, type=click.Choice([peer.name for peer in PEERS]), help="Peers; all without.")
@click.option("--model", multiple=True, type=click.Choice(MODELS), help="Models; both without.")
@click.option("--runtime", multiple=True, type=click.Choice(RUNTIMES), help="In the peers; both without.")
@click.option("--seconds", default=2.5, show_default=True, help="Length of a window.")
@click.option("--stairs", default=20, show_default=True, help="Rounds that compare those near the best.")
@click.option("--quick", is_flag=True, help="Windows of one second, six rounds: a look, not figures.")
@click.option("--install", is_flag=True, help="Make the peers' environments, and measure nothing.")
@click.option("--output", default="out/bench-peers.json", show_default=True, type=click.Path(path_type=Path))
def main(**options: Any) -> None:
    """Measure the throughput of every server at the recipe's SLO."""
    wanted = Wanted(**options)
    peers = [peer for peer in PEERS if not wanted.only or peer.name in wanted.only]
    for peer in peers:
        tell(f"environment of {peer.title}: {install(peer).parents[1].name}")
    if not wanted.install:
        measure(wanted, [(peer, runtime) for runtime in wanted.runtime or RUNTIMES for peer in peers])


def measure(wanted: Wanted, choices: list[tuple[Peer, str]]) -> None:
    """Every model in turn, with everybody up at once."""
    # Servers that stand still would outlive an end by this signal.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Everything that is started from here inherits the two cores, the generator's processes too.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    project = Project.find(Path(__file__).parent)
    seconds, rounds, stairs = (1.0, 6, 8) if wanted.quick else (wanted.seconds, 14, wanted.stairs)
    found = {}
    for name in wanted.model or MODELS:
        one = subject(project, name, wanted.output.parent.resolve() / "peers")
        with field_of(one, choices, tell) as field:
            searched(field, seconds, rounds, tell)
            found[name] = json_from_field(field)
            click.echo("\n".join(["", title(one, seconds), "", *lines_from_field(field), ""]))
            near = nearest(field)
            searched(near, seconds, stairs, tell)
            found[name]["stairs"] = json_from_field(near)["servers"]
            click.echo("\n".join([f"{name}: {stairs} rounds up and down", "", *lines_from_stairs(near), ""]))
    write(wanted.output, found)


def title(one: Subject, window_s: float) -> str:
    """What a table holds for."""
    return (
        f"{one.recipe.name}: the highest rate at which 99 % of the answers are right and come "
        f"within {one.slo_ms:g} ms; Poisson arrivals, windows of {window_s:g} s"
    )


def write(output: Path, found: dict[str, Any]) -> None:
    """Keep every window with its conditions."""
    conditions = conditions_of_now(COMMAND, {})
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"conditions": asdict(conditions), "models": found}, indent=2) + "\n")
    click.echo(f"{conditions.machine}, {conditions.cores} cores, {conditions.time}; every window: {output}")


def tell(line: str) -> None:
    """A line of progress."""
    click.echo(line, err=True)


if __name__ == "__main__":
    run_command(main)
