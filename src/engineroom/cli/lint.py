"""`engineroom config lint`: configurations checked before Triton sees them."""

import json
import sys
from contextlib import nullcontext
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.operating import DRY_RUN, JSON, REPOSITORY, recipe_of
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.repository.layout import ModelFolder
    from engineroom.repository.lint.case import World
    from engineroom.repository.lint.finding import Finding


def _explain(context: click.Context, _: click.Parameter, code: str | None) -> None:
    """Print a rule's page, or the page of all rules, and end."""
    if code is None or context.resilient_parsing:
        return
    from engineroom.repository.lint.page import page_from_rules
    from engineroom.repository.lint.rules import RULES

    if code == "all":
        click.echo(page_from_rules(), nl=False)
        context.exit()
    found = [rule for rule in RULES if code.upper() == rule.code or code == rule.name]
    if not found:
        raise click.BadParameter(f"there is no rule {code}; they are {RULES[0].code} to {RULES[-1].code}.")
    click.echo(found[0].page, nl=False)
    context.exit()


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@REPOSITORY
@click.option("--fix", is_flag=True, help="Make the edits that are safe; comments and order stay.")
@DRY_RUN
@click.option("--strict", is_flag=True, help="Warnings fail too.")
@click.option("--gpu-memory-gib", type=click.FloatRange(0, min_open=True), help="Memory of the GPU that will serve.")
@click.option("--sarif", type=click.Path(path_type=Path, dir_okay=False), help="Write SARIF 2.1.0 there, too.")
@click.option(
    "--explain", metavar="CODE", callback=_explain, is_eager=True, expose_value=False, help="Explain a rule, or all."
)
@JSON
def lint(names: tuple[str, ...], fix: bool, strict: bool, as_json: bool, **given: Any) -> None:
    """Check configurations as Triton will read them, against the model and the recipe.

    NAME is a model; all of them where none is given. The status is 1 where there is an error. docs/lint.md lists the
    rules.
    """
    if given["dry_run"] and not fix:
        raise click.UsageError("--dry-run says what --fix would do: give both.")
    worlds = [_world(model, given["gpu_memory_gib"]) for model in _models(names, given["repository"])]
    if fix:
        worlds = [_fixed(world, dry_run=given["dry_run"], quiet=as_json) for world in worlds]
    from engineroom.repository.lint.lint import lint_world

    findings = [finding for world in worlds for finding in lint_world(world)]
    _print(worlds, findings, as_json)
    if given["sarif"] is not None:
        _write_sarif(findings, given["sarif"])
    failing = ("error", "warning") if strict else ("error",)
    sys.exit(int(any(finding.severity in failing for finding in findings)))


def _models(names: tuple[str, ...], repository: Path | None) -> "tuple[ModelFolder, ...]":
    """The models to check: those named, or every folder that holds a version or something like a configuration.

    Raises:
        RepositoryError: A named model has no folder, or there is nothing to check.
    """
    from engineroom.errors import RepositoryError
    from engineroom.repository.layout import ModelFolder

    path = repository or Project.find().repository
    folders = [ModelFolder(one) for one in sorted(path.iterdir()) if one.is_dir()] if path.is_dir() else []
    known = {model.name: model for model in folders if not model.name.startswith(".")}
    for name in names:
        if name not in known:
            raise RepositoryError(f"{name}: no such model in {path}. It holds: {', '.join(known) or 'nothing'}.")
    told = [model for model in known.values() if model.configs or model.versions or any(model.path.glob("*.pb*"))]
    chosen = tuple(known[name] for name in names) or tuple(told)
    if not chosen:
        raise RepositoryError(f"no models in {path}. Run: engineroom build NAME")
    return chosen


def _world(model: "ModelFolder", gpu_memory_gib: float | None) -> "World":
    from engineroom.repository.lint.case import World

    memory = None if gpu_memory_gib is None else round(gpu_memory_gib * 2**30)
    return World(model, recipe_of(model), gpu_memory_bytes=memory)


def _fixed(world: "World", *, dry_run: bool, quiet: bool) -> "World":
    """Make the safe edits, or only show them; what is checked afterwards is what would stand there."""
    from engineroom.errors import RepositoryError
    from engineroom.repository.history import Change, add, operator, record
    from engineroom.repository.journal import held
    from engineroom.repository.lint.case import with_texts
    from engineroom.repository.lint.fix import fixed_texts
    from engineroom.repository.wiring import write

    try:
        with nullcontext() if dry_run else held(world.model, "lint --fix", operator()):
            fixed = fixed_texts(world)
            for path, (before, after) in fixed.items():
                if not quiet:
                    click.echo(_diff(path, before, after), nl=False)
                if not dry_run:
                    write(path, after)
            if fixed and not dry_run:
                names = {path: str(path.relative_to(world.model.path)) for path in fixed}
                changes = {names[path]: Change(*texts) for path, texts in fixed.items()}
                add(world.model, record("lint --fix", "written", changes=changes))
    except OSError as error:
        raise RepositoryError(f"{world.model.path}: cannot be written: {error}") from error
    return with_texts(world, {path: after for path, (_, after) in fixed.items()}) if dry_run else world


def _diff(path: Path, before: str, after: str) -> str:
    if before == after:
        return f"{path}: is written in UTF-8\n"
    lines = unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="")
    return "".join(f"{line}\n" for line in lines)


def _print(worlds: "list[World]", findings: "list[Finding]", as_json: bool) -> None:
    from engineroom.repository.lint.report import document_from_findings, text_from_findings

    configs = sum(len(world.model.configs) for world in worlds)
    texts = {path: text for world in worlds for path, text in world.texts.items()}
    if as_json:
        click.echo(json.dumps(document_from_findings(findings, configs), indent=2))
    else:
        click.echo(text_from_findings(findings, configs, texts))


def _write_sarif(findings: "list[Finding]", path: Path) -> None:
    from engineroom.errors import RepositoryError
    from engineroom.repository.files import write_atomically
    from engineroom.repository.lint.sarif import sarif_from_findings

    try:
        write_atomically(path, json.dumps(sarif_from_findings(findings), indent=2) + "\n")
    except OSError as error:
        raise RepositoryError(f"{path}: cannot be written: {error}") from error
