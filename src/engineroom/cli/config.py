"""`engineroom config`: check, explain, change and take back configurations."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.explain import compare, explain
from engineroom.cli.lint import lint
from engineroom.cli.operating import (
    JSON,
    OPERATING,
    REPOSITORY,
    diff,
    effect_lines,
    model_of,
    options_from,
    request_from,
    told,
)

if TYPE_CHECKING:
    from engineroom.operate.apply import Options
    from engineroom.operate.plan import Request
    from engineroom.repository.history import Record
    from engineroom.repository.layout import ModelFolder

SETTINGS = click.argument("settings", nargs=-1, metavar="KEY=VALUE...")
VARIANT = click.option(
    "--variant", metavar="NAME", help="cpu: configs/cpu.pbtxt; gpu: config.pbtxt. [default: the one served here]"
)


@click.group()
def config() -> None:
    """Check, explain, change and take back configurations."""


config.add_command(lint)
config.add_command(explain)
config.add_command(compare)


@config.command("set")
@click.argument("name")
@SETTINGS
@VARIANT
@OPERATING
def set_(name: str, settings: tuple[str, ...], variant: str | None, **given: Any) -> None:
    """Change settings in a configuration's file; comments and order stay. `config apply` makes them live.

    KEY is a path, such as dynamic_batching.max_queue_delay_microseconds, instance_group[0].count or
    parameters[threads]. KEY= takes a setting out.
    """
    if not settings:
        raise click.UsageError("give at least one KEY=VALUE.")
    model = model_of(name, given["repository"])
    options = options_from(model, {**given, "offline": True})
    request = request_from("set", given, texts=_edits(model, settings, variant, given))
    _go(model, request, options, given)


@config.command()
@click.argument("name")
@SETTINGS
@VARIANT
@OPERATING
def apply(name: str, settings: tuple[str, ...], variant: str | None, **given: Any) -> None:
    """Make a configuration live: what was set or edited, and KEY=VALUE on top of it.

    It is checked, rehearsed beside the served model, written, loaded, and proven with golden inputs. Where a step
    fails, what was before stands again.
    """
    model = model_of(name, given["repository"])
    options = options_from(model, given)
    texts = _edits(model, settings, variant, given) if settings else dict
    _go(model, request_from("apply", given, texts=texts), options, given)


@config.command()
@click.argument("name")
@click.option("--to", type=click.IntRange(0), help="As it was after that change. [default: before the last one]")
@OPERATING
def rollback(name: str, to: int | None, **given: Any) -> None:
    """Take the last change back; once more takes back the one before it."""
    from engineroom.operate.rollback import taking_back

    model = model_of(name, given["repository"])
    options = options_from(model, given)
    texts, undoes = taking_back(model, to)
    said = f"rollback of {', '.join(map(str, undoes))}"
    _go(model, request_from(said, given, texts=texts, undoes=undoes), options, given)


@config.command()
@click.argument("name")
@click.option("--show", "number", type=click.IntRange(1), help="One change in full, with its diff.")
@REPOSITORY
@JSON
def history(name: str, number: int | None, repository: Path | None, as_json: bool) -> None:
    """List who changed what, when and why, and what came of it."""
    from engineroom.errors import RepositoryError
    from engineroom.repository import history as past

    records = past.history(model_of(name, repository))
    if number is not None and number > len(records):
        raise RepositoryError(f"{name}: its history has {len(records)} changes, there is no {number}.")
    chosen = records if number is None else records[number - 1 : number]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in chosen], indent=2))
    elif not records:
        click.echo(f"{name}: nothing was changed by engineroom yet")
    else:
        undone = past.undone(records)
        click.echo("\n".join(_line(one, undone) if number is None else _whole(one) for one in chosen))


def _go(model: "ModelFolder", request: "Request", options: "Options", given: dict[str, Any]) -> None:
    """Show a change, and make it, unless it is a dry run."""
    from engineroom.operate.apply import apply as make
    from engineroom.operate.plan import check, planned

    changes = planned(model, request, options.servers)
    moved = {name: change for name, change in changes.items() if change.before != change.after}
    if not given["as_json"]:
        click.echo(diff(moved) if moved else f"{model.name}: the configuration stays as it is")
        for line in (*_consequences(model, moved), *_warnings(model, moved, options)):
            click.echo(line)
    if given["dry_run"]:
        check(model, changes, options.recipe)
        if given["as_json"]:
            click.echo(json.dumps({name: asdict(change) for name, change in moved.items()}, indent=2))
    elif moved or options.servers:
        click.echo(told(make(model, request, options), model.name, given["as_json"]))


def _consequences(model: "ModelFolder", changes: Mapping[str, Any]) -> list[str]:
    """What each changed setting needs, and where it moves throughput and latency."""
    from engineroom.operate.consequences import consequences

    return [f"  {line}" for line in consequences(model, changes)]


def _warnings(model: "ModelFolder", changes: Mapping[str, Any], options: "Options") -> list[str]:
    """What the check warns of in the new texts; errors are refused later, with all of them."""
    from engineroom.repository.lint.lint import lint_model

    texts = {model.path / name: change.after for name, change in changes.items() if change.after is not None}
    found = lint_model(model, recipe=options.recipe, texts=texts)
    return [f"  {one.sentence}" for one in found if one.severity == "warning" and one.file in texts]


def _edits(model: "ModelFolder", settings: tuple[str, ...], variant: str | None, given: dict[str, Any]) -> Any:
    """What changes settings in the chosen configuration, made of the words of the command line."""
    from engineroom.operate.control import controls, served_config
    from engineroom.operate.variant import variant_path
    from engineroom.repository.pbtxt.edit import edited

    pairs = [word.partition("=") for word in settings]
    if bad := [key for key, equals, _ in pairs if not equals or not key]:
        raise click.UsageError(f"'{bad[0]}': write KEY=VALUE, or KEY= to take a setting out.")
    running = [] if variant else controls(model.path.parent, given["urls"], {})
    path = served_config(model, running[0]) if running else variant_path(model, variant)
    changes = {key: value for key, _, value in pairs}
    return lambda texts: {path: edited(texts[path], path, changes)}


def _line(record: "Record", undone: frozenset[int]) -> str:
    note = " (taken back later)" if record.number in undone else ""
    why = f": {record.why}" if record.why else ""
    reason = f"\n      {record.reason.splitlines()[0]}" if record.reason else ""
    before, after = record.effect.get("before"), record.effect.get("after")
    p50 = f", p50 {before.golden_p50_ms:g} -> {after.golden_p50_ms:g} ms" if before and after else ""
    return f"{record.number:>4}  {record.at}  {record.by}  {record.action}, {record.outcome}{p50}{note}{why}{reason}"


def _whole(record: "Record") -> str:
    lines = [_line(record, frozenset()), *(f"  on {server}" for server in record.servers), *effect_lines(record)]
    return "\n".join((*lines, diff(record.changes)))
