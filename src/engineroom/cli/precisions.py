"""`engineroom models precisions`: one recipe in every precision, side by side."""

import io
import json
import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engineroom.cli.progress import watch
from engineroom.project import Project
from engineroom.recipe import Recipe

if TYPE_CHECKING:
    from engineroom.compile.precisions import Row


@click.command()
@click.argument("name")
@click.option(
    "--seconds", type=click.FloatRange(min=1), default=20.0, show_default=True, help="Time for the speed of all."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def precisions(name: str, seconds: float, as_json: bool) -> None:
    """Compile NAME for this CPU in FP32, FP16, bf16 and INT8, dense and 2:4 sparse, and compare them.

    NAME is a recipe in build/. Size, parity, task metric and speed stand side by side, with the verdict of the gates
    on each. Nothing is published.
    """
    from engineroom.compile.precisions import rows_from_recipe
    from engineroom.compile.recipes import recipe_from_name

    recipe = recipe_from_name(Project.find(), name)
    told = conditions(recipe)
    with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
        rows = rows_from_recipe(recipe, Path(folder), seconds, watch(name))
    if as_json:
        click.echo(json.dumps({"model": name, "conditions": told, "rows": [asdict(row) for row in rows]}, indent=2))
    else:
        click.echo(text_from_rows(rows), nl=False)
        click.echo(", ".join(f"{name} {value}" for name, value in told.items()))


def conditions(recipe: Recipe) -> dict[str, str]:
    """What speed depends on besides the model: the batch, this machine, and what computes on it.

    Args:
        recipe: Says the batch.
    """
    from engineroom.compile.record import machine_here, versions

    known = versions(recipe)
    computing = {name: known[name] for name in ("openvino", "onnxruntime", "torch")}
    return {"batch": str(recipe.batch.opt), "cores": str(os.cpu_count()), **machine_here(), **computing}


def text_from_rows(rows: "tuple[Row, ...]", width: int = 140) -> str:
    """The table, what its words mean, and the reasons of the refusals.

    Args:
        rows: At least one row.
        width: Characters a line of the table may have.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    task = [name for name in rows[0].parity.task if not name.endswith(" of the module")]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("precision", "computes", "size", "noise", "max error", "cosine", *task, "rows/s", "x fp32", "gate"):
        table.add_column(heading, justify="left" if heading in ("precision", "computes", "gate") else "right")
    for row in rows:
        table.add_row(*_cells(row, task))
    screen = io.StringIO()
    Console(file=screen, width=width, highlight=False).print(table)
    # Pruning is refused once for all that it is in.
    reasons = [f"refused: {reason}" for reason in dict.fromkeys(row.refused for row in rows if row.refused)]
    legend = "noise: error in units of what rounding to the type alone does to the module"
    lines = [line.rstrip() for line in screen.getvalue().splitlines() if line.strip()]
    return "\n".join([*lines, legend, *reasons, ""])


def _cells(row: "Row", task: list[str]) -> tuple[str, ...]:
    middle, low, high = row.ratio
    return (
        row.name,
        row.computes,
        f"{row.size_bytes / 1e6:.2f} MB",
        f"{row.parity.noise:.2f} of {row.parity.kind}",
        f"{row.parity.max_abs:.2g}",
        f"{row.parity.cosine:.5f}",
        *(f"{row.parity.task[name]:.4f}" for name in task),
        f"{row.rows_per_s:.0f}",
        f"{middle:.2f} ({low:.2f} to {high:.2f})",
        "refused" if row.refused else "passes",
    )
