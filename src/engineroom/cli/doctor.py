"""`engineroom doctor`: what this machine has, what works here, and what mends the rest."""

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from engineroom.cli.progress import watch
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.cli.checkup import Checkup

MARKS = {"ok": "yes", "missing": "-", "broken": "NO"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what works on this machine, and the command that mends what does not.

    Exit status 1 where models cannot be built here in any way, or cannot be served in any.
    """
    from engineroom.cli.checkup import check_up

    with watch("doctor")("looking at this machine, and loading what is installed"):
        found = check_up(Project.find())
    if as_json:
        click.echo(json.dumps({"usable": found.usable, **asdict(found)}, indent=2))
    else:
        _print(found)
    if not found.usable:
        ctx.exit(1)


def _print(found: "Checkup") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False, emoji=False)
    here, works = Table("", "what is here", "found", box=SIMPLE_HEAD), Table("", "what works here", box=SIMPLE_HEAD)
    for heading in ("what it lacks", "command that mends it"):
        works.add_column(heading, overflow="fold")
    for check in found.checks:
        mend = f"Run: {check.mend}" if check.mend else ""
        here.add_row(MARKS[check.state], check.name, "\n".join(filter(None, (check.found, check.problem, mend))))
    for verdict in found.verdicts:
        works.add_row("yes" if verdict.works else "-", verdict.name, verdict.problem, verdict.mend)
    console.print(here, works)
