"""`engineroom build`: compile models into the model repository."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.progress import watch
from engineroom.project import Project
from engineroom.recipe import Recipe

if TYPE_CHECKING:
    from engineroom.compile.report import BuildReport
    from engineroom.repository.passport import Parity

TARGET = click.option(
    "--target", "targets", multiple=True, metavar="TARGET",
    help="openvino, tensorrt, or tensorrt-rtx:smNN,smNN...; several may be given. "
    "Default: tensorrt where it and a GPU are here, else openvino.",
)  # fmt: skip
FORCE = click.option("--force", is_flag=True, help="Build although nothing changed.")
WRITE_CONFIG = click.option(
    "--write-config", is_flag=True, help="Replace config.pbtxt and configs/cpu.pbtxt by freshly written ones."
)
FIND_ISLANDS = click.option(
    "--find-islands",
    is_flag=True,
    help="Where FP16 misses the proof, find the nodes that must stay FP32. Takes minutes.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


def build_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that `engineroom build` and a recipe's own script share; they arrive as fields of `BuildOptions`."""
    for option in (JSON, FIND_ISLANDS, WRITE_CONFIG, FORCE, TARGET):
        command = option(command)
    return command


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@build_options
def build(names: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Compile models into the model repository: export, precision, compile, verify, publish.

    NAME is a recipe in build/; all of them where none is given. A model that is up to date is not built again.
    """
    from engineroom.compile.recipes import recipe_from_name, recipe_names

    project = Project.find()
    recipes = [recipe_from_name(project, name) for name in names or recipe_names(project)]
    if not recipes:
        raise click.UsageError(f"there are no recipes in {project.recipes}.")
    build_all(recipes, project, options, as_json=as_json)


def build_recipe(recipe: Recipe) -> None:
    """Make a recipe's file a program: `python build/NAME.py --target …` builds it.

    Args:
        recipe: The file's recipe.
    """
    from engineroom.cli import run

    @click.command(help=f"Compile {recipe.name} into the model repository.")
    @build_options
    def script(as_json: bool, **options: Any) -> None:
        build_all([recipe], Project.find(), options, as_json=as_json)

    run(script)


def build_all(recipes: list[Recipe], project: Project, options: dict[str, Any], *, as_json: bool) -> None:
    """Build recipes one after the other and print what was done.

    Args:
        recipes: What to build.
        project: Where to.
        options: Fields of `BuildOptions`; without targets, the default one.
        as_json: Print JSON instead of tables.
    """
    from engineroom.compile.pipeline import BuildOptions
    from engineroom.compile.pipeline import build as build_one
    from engineroom.compile.targets import default_target, target_names

    targets = target_names(options["targets"]) or (default_target(),)
    reports = []
    for recipe in recipes:
        command = " ".join(["engineroom build", recipe.name, *(f"--target {name}" for name in targets)])
        report = build_one(
            recipe, project, BuildOptions(**{**options, "targets": targets, "command": command}), watch(recipe.name)
        )
        reports.append(report)
        if not as_json:
            _print(report)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], indent=2))


def _print(report: "BuildReport") -> None:
    from rich.console import Console
    from rich.table import Table

    if report.up_to_date:
        click.echo(f"{report.model}: version {report.version} is up to date. --force builds it again.")
        return
    table = Table(title=f"{report.model}: version {report.version} published", title_justify="left", title_style="bold")
    for heading in (
        "stage",
        "time",
        "size",
        "parity with PyTorch: error in roundings of the type, max, cosine",
        "note",
    ):
        table.add_column(heading, justify="right" if heading in ("time", "size") else "left", overflow="fold")
    for stage in report.stages:
        size = "" if stage.size_bytes is None else f"{stage.size_bytes / 1e6:.1f} MB"
        table.add_row(stage.name, f"{stage.seconds:.1f} s", size, "\n".join(map(_proof, stage.parity)), stage.note)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _proof(parity: "Parity") -> str:
    task = "".join(f", {name} {score:.4f}" for name, score in parity.task.items())
    return f"{parity.runner}: {parity.noise:.2g} {parity.kind}, {parity.max_abs:.2g}, {parity.cosine:.5f}{task}"
