"""`engineroom models show | promote | rollback | retire`: the versions of a model."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.operating import (
    DRY_RUN,
    JSON,
    OPERATING,
    REPOSITORY,
    SERVERS,
    WHO,
    diff,
    headers_from,
    model_of,
    options_from,
    request_from,
    told,
    with_options,
)
from engineroom.cli.registry import move_champion
from engineroom.errors import EngineRoomError

if TYPE_CHECKING:
    from engineroom.operate.apply import Options
    from engineroom.operate.control import Control
    from engineroom.repository.layout import ModelFolder

KEEP = click.option("--keep", type=click.IntRange(1), help="Then retire all but the newest so many, and those in use.")


@click.command()
@click.argument("name")
@REPOSITORY
@with_options(*SERVERS)
@JSON
def show(name: str, repository: Path | None, as_json: bool, **given: Any) -> None:
    """Show a model's versions: who serves each, and why one must not be removed."""
    from engineroom.operate.control import controls
    from engineroom.operate.versions import in_use
    from engineroom.repository.inventory import entry_of

    model = model_of(name, repository)
    servers = () if given["offline"] else controls(model.path.parent, given["urls"], headers_from(given["headers"]))
    used, entry = in_use(model, servers), entry_of(model)
    if as_json:
        versions = [{**one, "in_use": used.get(one["version"], [])} for one in entry.to_dict()["versions"]]
        click.echo(json.dumps({**entry.to_dict(), "versions": versions}, indent=2))
        return
    click.echo(f"{name}{': ' if entry.advice else ''}{entry.advice}")
    for version in reversed(entry.versions):
        built = version.problem if version.passport is None else f"built {version.passport.built_at}"
        click.echo("\n      ".join((f"  version {version.number}: {built}", *used.get(version.number, ()))))


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(1), required=False)
@KEEP
@OPERATING
def promote(name: str, version: int | None, keep: int | None, **given: Any) -> None:
    """Serve a version, the newest by default, and no other; nothing is dropped.

    Both configurations say so from then on, so that a restart serves the same version and a new build waits.
    """
    from engineroom.operate import versions

    model = model_of(name, given["repository"])
    chosen = version or model.latest
    if chosen is None:
        raise EngineRoomError(f"{name}: no version is published. Run: engineroom build {name}")
    options, request = options_from(model, given), request_from(f"promote {chosen}", given)
    if given["dry_run"]:
        versions.intact(model, chosen)
        _dry_run(model, (chosen,), options, given["as_json"])
        return
    done = versions.promote(model, chosen, request, options)
    if not given["as_json"]:
        click.echo(told(done, name, as_json=False))
    move_champion(model, chosen)
    old = versions.superfluous(model, keep, options.servers) if keep is not None else ()
    if old:
        versions.retire(model, old, request_from("retire", given), options.servers)
    if given["as_json"]:
        click.echo(told(done, name, as_json=True, retired=old))
    elif keep is not None:
        click.echo(_retired(model, old))


@click.command()
@click.argument("name")
@OPERATING
def rollback(name: str, **given: Any) -> None:
    """Serve again what was served before the last promotion; once more goes one further back."""
    from engineroom.operate import versions

    model = model_of(name, given["repository"])
    options, request = options_from(model, given), request_from("rollback", given)
    _, before = versions.before_promotion(model)
    if given["dry_run"]:
        _dry_run(model, before, options, given["as_json"])
    else:
        click.echo(told(versions.rollback(model, request, options), name, given["as_json"]))
        move_champion(model, before[-1])


@click.command()
@click.argument("name")
@click.argument("numbers", nargs=-1, type=click.IntRange(1), metavar="[VERSION]...")
@click.option("--keep", type=click.IntRange(1), help="All but the newest so many; those in use stay.")
@REPOSITORY
@with_options(*SERVERS, *WHO)
@DRY_RUN
@JSON
def retire(name: str, numbers: tuple[int, ...], keep: int | None, repository: Path | None, **given: Any) -> None:
    """Remove versions; one that anything serves or would go back to is never touched."""
    from engineroom.operate.control import controls
    from engineroom.operate.versions import superfluous

    if bool(numbers) == (keep is not None):
        raise click.UsageError("give versions, or --keep N.")
    model = model_of(name, repository)
    servers = () if given["offline"] else controls(model.path.parent, given["urls"], headers_from(given["headers"]))
    _retire(model, numbers if keep is None else superfluous(model, keep, servers), servers, given)


def _retire(
    model: "ModelFolder", numbers: tuple[int, ...], servers: "tuple[Control, ...]", given: dict[str, Any]
) -> None:
    from engineroom.operate.versions import refuse_in_use
    from engineroom.operate.versions import retire as remove

    if given["dry_run"]:
        refuse_in_use(model, numbers, servers)
    else:
        remove(model, numbers, request_from("retire", given), servers)
    if given["as_json"]:
        click.echo(json.dumps({"model": model.name, "retired": numbers}))
    else:
        click.echo(_retired(model, numbers, "to be " * given["dry_run"]))


def _retired(model: "ModelFolder", numbers: tuple[int, ...], when: str = "") -> str:
    return f"{model.name}: versions {when}retired: {', '.join(map(str, numbers)) or 'none'}"


def _dry_run(model: "ModelFolder", versions: tuple[int, ...], options: "Options", as_json: bool) -> None:
    from engineroom.operate.plan import Request, check, planned
    from engineroom.operate.versions import serving_only

    changes = planned(model, Request("dry run", serving_only(versions)), options.servers)
    if as_json:
        moved = {path: asdict(change) for path, change in changes.items() if change.before != change.after}
        click.echo(json.dumps(moved, indent=2))
    else:
        click.echo(diff(changes) or f"{model.name}: the configurations stay as they are")
    check(model, changes, options.recipe)
