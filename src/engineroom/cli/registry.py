"""`engineroom registry`: versions and their aliases in MLflow, beside the model repository."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.operating import DRY_RUN, JSON, OPERATING, REPOSITORY, model_of
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.registry.record import Record
    from engineroom.registry.standing import Standing
    from engineroom.repository.layout import ModelFolder

MLFLOW = click.option(
    "--mlflow", metavar="URI", envvar="MLFLOW_TRACKING_URI", required=True, help="MLflow's server.", show_envvar=True
)


@click.group()
def registry() -> None:
    """Record versions in MLflow; compare it with the repository; follow its champion."""


@registry.command()
@click.argument("name", metavar="NAME")
@click.argument("version", required=False, type=click.IntRange(1))
@click.option("--alias", type=click.Choice(["champion", "challenger"]), help="Point this alias at the version too.")
@REPOSITORY
@MLFLOW
@DRY_RUN
@JSON
def log(name: str, version: int | None, alias: str | None, repository: Path | None, mlflow: str, **how: bool) -> None:
    """Record a published version, the newest by default: what a build does by itself when MLflow answers.

    Logged twice, a version is there once. One that is newer than all others becomes the challenger.
    """
    from engineroom.registry.log import log_version
    from engineroom.registry.record import record_from_version
    from engineroom.registry.server import Server

    record = record_from_version(model_of(name, repository), version)
    if how["dry_run"]:
        click.echo(_would_log(record, Server(mlflow).address, alias))
        return
    logged = log_version(record, Server(mlflow), alias or "")
    click.echo(json.dumps(asdict(logged), indent=2) if how["as_json"] else logged)


@registry.command()
@click.argument("name", metavar="NAME")
@click.argument("folder", metavar="FOLDER", type=click.Path(file_okay=False, path_type=Path))
@click.option("--version", type=click.IntRange(1), help="Which version. [default: the newest]")
@REPOSITORY
@DRY_RUN
def write(name: str, folder: Path, version: int | None, repository: Path | None, dry_run: bool) -> None:
    """Write the same record into FOLDER, under names that stay: what dvc.yaml calls metrics and plots."""
    from engineroom.registry.folder import files_of_record, write_record
    from engineroom.registry.record import record_from_version

    record = record_from_version(model_of(name, repository), version)
    files = [folder / file for file in files_of_record(record)] if dry_run else write_record(record, folder)
    click.echo(f"{name}: version {record.version}{' would be' if dry_run else ''} written to")
    click.echo("\n".join(f"  {path}" for path in files))


@registry.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@REPOSITORY
@MLFLOW
@JSON
def status(names: tuple[str, ...], repository: Path | None, mlflow: str, as_json: bool) -> None:
    """Show registry and repository side by side: aliases, what is served here, and what is missing on a side."""
    from engineroom.registry.server import Server
    from engineroom.registry.standing import standings
    from engineroom.repository.layout import Repository

    known = Repository(repository or Project.find().repository)
    models = [known.model(name) for name in names] or list(known.published())
    found = {model.name: standings(model, Server(mlflow)) for model in models}
    if as_json:
        click.echo(json.dumps({name: [asdict(one) for one in many] for name, many in found.items()}, indent=2))
        return
    for name, many in found.items():
        click.echo(f"{name}{'' if many else ': known neither here nor in MLflow'}")
        for one in reversed(many):
            click.echo(_line(one))


@registry.command()
@click.argument("name", metavar="NAME")
@click.option("--once", is_flag=True, help="Look once; without it, look until Ctrl-C.")
@click.option("--every", "every_s", default=30.0, show_default=True, type=click.FloatRange(1), help="Seconds between.")
@MLFLOW
@OPERATING
def follow(name: str, once: bool, every_s: float, mlflow: str, **given: Any) -> None:
    """Serve what MLflow calls champion: where it is another version than the one served, promote it.

    The alias is moved by `models promote`, here or on another machine, or on MLflow's own page. Every promotion is
    checked and taken back like any other. Until Ctrl-C, a server that does not answer is asked again; with --once, the
    exit status is 1.
    """
    from engineroom.cli.following import Follower
    from engineroom.registry.server import Server

    follower = Follower(model_of(name, given["repository"]), Server(mlflow), given)
    if once:
        click.echo(follower.look())
    else:
        follower.watch(every_s)


def record_build(model: "ModelFolder", uri: str, answers: bool = True) -> bool:
    """Record what a build has published; where that fails, the build has succeeded all the same.

    Args:
        model: The model's folder; its newest version is recorded.
        uri: MLflow's server.
        answers: Whether it may be asked: one that did not answer for one model is not waited for again.

    Returns:
        Whether it answered.
    """
    from engineroom.cli.progress import watch
    from engineroom.registry.aliases import not_recorded, record_for
    from engineroom.registry.server import Server

    version = model.latest or 0
    if not answers:
        click.echo(not_recorded(model.name, version, f"{Server(uri).address}: was not asked again."), err=True)
        return False
    with watch(model.name)("record in MLflow"):
        logged, said = record_for(model, version, Server(uri))
    if logged is None or not logged.already:
        click.echo(said, err=True)
    return logged is not None


def move_champion(model: "ModelFolder", version: int) -> None:
    """Tell MLflow, where `MLFLOW_TRACKING_URI` names it, which version is served now; never fails.

    Args:
        model: The model's folder.
        version: The version that was promoted, or rolled back to.
    """
    from engineroom.registry.aliases import follow_promotion

    said = follow_promotion(model, version)
    if said:
        click.echo(said, err=True)


def _would_log(record: "Record", address: str, alias: str | None) -> str:
    lines = [
        f"{record.model}: version {record.version} would be recorded at {address}{f' as {alias}' if alias else ''}",
        *(f"  parameter  {name}: {value}" for name, value in record.parameters.items()),
        *(f"  figure     {name}: {value:.6g}" for name, value in record.figures.items()),
        *(f"  file       {path.name}" for path in record.files),
    ]
    return "\n".join(lines)


def _line(one: "Standing") -> str:
    facts = [f"MLflow's {one.registered}" if one.registered else "", *one.aliases]
    facts += [f"served by {', '.join(one.served)}" if one.served else "", one.problem]
    return f"  version {one.version}: {', '.join(filter(None, facts))}"
