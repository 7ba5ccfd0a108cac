"""`engineroom build`: compile models into the model repository."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.progress import watch
from engineroom.cli.registry import record_build
from engineroom.project import Project
from engineroom.recipe import Recipe

if TYPE_CHECKING:
    from engineroom.compile.explain import Explanation
    from engineroom.compile.options import BuildOptions
    from engineroom.compile.report import BuildReport
    from engineroom.repository.passport import Parity

TARGET = click.option(
    "--target", "targets", multiple=True, metavar="TARGET",
    help="openvino, tensorrt, or tensorrt-rtx:smNN,smNN...; several may be given. "
    "Default: tensorrt where it and a GPU are here, else openvino.",
)  # fmt: skip
FORCE = click.option("--force", is_flag=True, help="Run every stage, although nothing changed.")
WRITE_CONFIG = click.option(
    "--write-config", is_flag=True, help="Replace config.pbtxt and configs/cpu.pbtxt by freshly written ones."
)
FIND_ISLANDS = click.option(
    "--find-islands",
    is_flag=True,
    help="Where FP16 misses the proof, find the nodes that must stay FP32. Takes minutes.",
)
FALLBACK = click.option(
    "--fallback", type=click.Choice(["onnxruntime"]),
    help="Where TensorRT refuses the model, serve its graph on Triton's ONNX Runtime backend instead.",
)  # fmt: skip
EXPLAIN = click.option("--explain", is_flag=True, help="Say which stages would run, and why. Changes nothing.")
MLFLOW = click.option(
    "--mlflow", metavar="URI", envvar="MLFLOW_TRACKING_URI", show_envvar=True,
    help="Record what was published in MLflow; a server that is down fails no build.",
)  # fmt: skip
JSON = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


def options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a build, for the command and for a recipe that is a program."""
    for option in (JSON, MLFLOW, EXPLAIN, FALLBACK, FIND_ISLANDS, WRITE_CONFIG, FORCE, TARGET):
        command = option(command)
    return command


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options
def build(names: tuple[str, ...], **given: Any) -> None:
    """Compile models into the model repository: export, precision, compile, verify, publish.

    NAME is a recipe in build/; all of them where none is given. Only stages whose inputs have changed run.
    """
    from engineroom.compile.recipes import recipe_from_name, recipe_names

    project = Project.find()
    recipes = [recipe_from_name(project, name) for name in names or recipe_names(project)]
    if not recipes:
        raise click.UsageError(f"there are no recipes in {project.recipes}.")
    build_all(recipes, project, **given)


def build_recipe(recipe: Recipe) -> None:
    """Make a recipe's file a program: `python build/NAME.py --target …` builds it.

    Args:
        recipe: The file's recipe.
    """
    from engineroom.cli import run

    @click.command(help=f"Compile {recipe.name} into the model repository.")
    @options
    def script(**given: Any) -> None:
        build_all([recipe], Project.find(), **given)

    run(script)


def build_all(recipes: list[Recipe], project: Project, *, explain: bool, as_json: bool, **given: Any) -> None:
    """Build recipes one after the other and print what was done.

    Args:
        recipes: What to build.
        project: Where to.
        explain: Only say what would be done.
        as_json: Print JSON instead of tables.
        given: Fields of `BuildOptions`; without targets, the default one.
    """
    from engineroom.compile.options import BuildOptions
    from engineroom.compile.targets import default_target, target_names
    from engineroom.repository.layout import ModelFolder

    targets = target_names(given["targets"]) or (default_target(),)
    fallback = given["fallback"] or ""
    words = [*(f"--target {name}" for name in targets), *([f"--fallback {fallback}"] if fallback else [])]
    mlflow, answers = given.pop("mlflow"), True
    reports: list[BuildReport | Explanation] = []
    for recipe in recipes:
        command = " ".join(["engineroom build", recipe.name, *words])
        options = BuildOptions(**{**given, "targets": targets, "fallback": fallback, "command": command})
        done, show = _explained(recipe, project, options) if explain else _built(recipe, project, options)
        reports.append(done)
        if not as_json:
            show()
        if mlflow and not explain:
            answers = record_build(ModelFolder(project.repository / recipe.name), mlflow, answers)
    if as_json:
        click.echo(json.dumps([asdict(report) for report in reports], indent=2))


def _built(recipe: Recipe, project: Project, options: "BuildOptions") -> tuple["BuildReport", Callable[[], None]]:
    from engineroom.compile.pipeline import build as build_one

    report = build_one(recipe, project, options, watch(recipe.name))
    return report, partial(_print, report, project)


def _explained(recipe: Recipe, project: Project, options: "BuildOptions") -> tuple["Explanation", Callable[[], None]]:
    from engineroom.compile.explain import explanation

    told = explanation(recipe, project, options)
    return told, partial(_print_explanation, told)


def _print_explanation(told: "Explanation") -> None:
    click.echo(f"{told.model}: {told.summary}")
    width = max(len(one.stage) for one in told.stages)
    for one in told.stages:
        click.echo(f"  {one.stage:{width}}  {one.verdict}{': ' if one.why else ''}{one.why}")


def _print(report: "BuildReport", project: Project) -> None:
    if report.up_to_date:
        click.echo(f"{report.model}: version {report.version} is up to date. --force builds it again.")
        for stage in report.stages:
            click.echo(stage.note)
    else:
        _print_table(report)
    if waiting := _waiting(report, project):
        click.echo(waiting)


def _waiting(report: "BuildReport", project: Project) -> str:
    """How a version goes live that the configurations do not serve; empty where they serve it."""
    from engineroom.repository.layout import Repository
    from engineroom.repository.policy import current_version

    served = current_version(Repository(project.repository).model(report.model))
    if served in (None, report.version):
        return ""
    return (
        f"{report.model}: the configurations serve version {served}. To serve version {report.version}: "
        f"engineroom models promote {report.model} {report.version}"
    )


def _print_table(report: "BuildReport") -> None:
    from rich.console import Console
    from rich.table import Table

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
        time = "cached" if stage.cached else f"{stage.seconds:.1f} s"
        table.add_row(stage.name, time, size, "\n".join(map(_proof, stage.parity)), stage.note)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _proof(parity: "Parity") -> str:
    task = "".join(f", {name} {score:.4f}" for name, score in parity.task.items())
    return f"{parity.runner}: {parity.noise:.2g} {parity.kind}, {parity.max_abs:.2g}, {parity.cosine:.5f}{task}"
