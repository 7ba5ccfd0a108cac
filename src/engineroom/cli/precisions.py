"""`engineroom models precisions`: one recipe in every precision, side by side."""

import json
import sys
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
    with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
        rows = rows_from_recipe(recipe, Path(folder), seconds, watch(name))
    if as_json:
        told = {"model": name, "conditions": _conditions(recipe), "rows": [asdict(row) for row in rows]}
        click.echo(json.dumps(told, indent=2))
    else:
        _print(recipe, rows)


def _conditions(recipe: Recipe) -> dict[str, str]:
    from engineroom.compile.inputs import libraries, machine

    known = libraries(recipe)
    tools = ("openvino", "onnxruntime", "torch")
    return {"batch": str(recipe.batch.opt), **machine(), **{name: known[name] for name in tools}}


def _print(recipe: Recipe, rows: "tuple[Row, ...]") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    task = [recipe.task.name] if recipe.task else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("precision", "computes", "size", "noise", "max error", "cosine", *task, "rows/s", "x fp32", "gate"):
        table.add_column(heading, justify="left" if heading in ("precision", "computes", "gate") else "right")
    for row in rows:
        table.add_row(*_cells(row, task))
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)
    click.echo("noise: error in units of what rounding to the precision alone does to the module. ", nl=False)
    click.echo(", ".join(f"{name} {value}" for name, value in _conditions(recipe).items()))
    # Pruning is refused once for all that it is in.
    for reason in dict.fromkeys(row.refused for row in rows if row.refused):
        click.echo(f"refused: {reason}")


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
