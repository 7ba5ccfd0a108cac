"""`engineroom models`: what is published, whether it will load, and engines for the GPU that is here."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engineroom.cli.precisions import precisions
from engineroom.cli.preflight import preflight
from engineroom.cli.progress import watch
from engineroom.cli.versions import promote, retire, rollback, show
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.compile.engines import Engine
    from engineroom.repository.inventory import Entry
    from engineroom.repository.passport import Artefact, Parity

REPOSITORY = click.option(
    "--repository", type=click.Path(path_type=Path), help="Model repository. [default: the project's]"
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def models() -> None:
    """List, show, promote, roll back and retire versions; say what will load; compile engines; compare precisions."""


models.add_command(preflight)
models.add_command(precisions)
for _command in (show, promote, rollback, retire):
    models.add_command(_command)


@models.command("list")
@REPOSITORY
@JSON
def list_models(repository: Path | None, as_json: bool) -> None:
    """List every model of the repository: its versions, what they hold and how it was proven."""
    from engineroom.repository.inventory import inventory
    from engineroom.repository.layout import Repository

    path = repository or Project.find().repository
    entries = inventory(Repository(path))
    if as_json:
        click.echo(json.dumps([entry.to_dict() for entry in entries], indent=2))
    elif entries:
        click.echo("\n".join(map(_text, entries)))
    else:
        click.echo(f"no models in {path}. Run: engineroom build NAME")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@REPOSITORY
@click.option("--target", default="tensorrt", show_default=True, help="tensorrt, or tensorrt-rtx:smNN.")
@click.option("--force/--missing", default=False, help="Compile all, or only what is missing or does not fit here.")
@JSON
def engines(names: tuple[str, ...], repository: Path | None, target: str, force: bool, as_json: bool) -> None:
    """Compile the TensorRT engines that the latest versions lack, on the GPU in this machine.

    NAME is a published model; all of them where none is given. The graph in the version folder is enough: neither the
    recipe nor PyTorch is needed. An engine made by another TensorRT version or on another model of GPU counts as
    missing; engines for other compute capabilities stay beside it, and config.pbtxt names each for its own.
    """
    from engineroom.compile.engines import add_engine, engine_target
    from engineroom.repository.layout import Repository

    published = Repository(repository or Project.find().repository).published(names)
    compile_for = engine_target(target)
    done = []
    for model in published:
        done.append(add_engine(model, compile_for, watch(model.name), force=force))
        if not as_json:
            click.echo("\n  ".join(filter(None, (_line(done[-1]), done[-1].wiring))))
    if as_json:
        click.echo(json.dumps([asdict(engine) for engine in done], indent=2))


def run_engines(names: tuple[str, ...], repository: Path) -> None:
    """Run `models engines` as a process of its own.

    The memory that TensorRT takes on the GPU goes with that process, and it can be ended while TensorRT compiles,
    which answers no signal.

    Args:
        names: Published models; all of them where empty.
        repository: The model repository.

    Raises:
        SystemExit: It failed, and has said why on standard error.
    """
    command = [sys.executable, "-m", "engineroom", "models", "engines", *names, "--repository", str(repository)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr) as process:
        try:
            status = process.wait()
        finally:
            process.terminate()
            process.wait()
    if status:
        sys.exit(status)


def _line(engine: "Engine") -> str:
    told = f"{engine.model}: version {engine.version}: "
    if engine.artefact is None:
        return f"{told}skipped, {engine.reason}"
    facts = f"{engine.artefact.file}, {engine.artefact.size_bytes / 1e6:.1f} MB, {engine.artefact.built_with}"
    if not engine.compiled:
        return f"{told}{engine.reason} ({facts})"
    return f"{told}compiled {facts}, {engine.artefact.seconds:.1f} s"


def _text(entry: "Entry") -> str:
    """The latest version in full, the ones before in a line each."""
    lines = [f"{entry.model}{': ' if entry.advice else ''}{entry.advice}"]
    for version in reversed(entry.versions):
        artefacts = () if version.passport is None else version.passport.artefacts
        built = version.problem if version.passport is None else f"built {version.passport.built_at}"
        latest = version is entry.versions[-1]
        held = "" if latest else "".join(f", {artefact.target}" for artefact in artefacts)
        served = ", served" if version.number in entry.current else ""
        lines.append(f"  version {version.number}: {built}{served}{held}")
        lines += [line for artefact in artefacts for line in _artefact_lines(artefact)] if latest else []
    return "\n".join(lines)


def _artefact_lines(artefact: "Artefact") -> list[str]:
    made = f"{artefact.built_with}{' on ' if artefact.device else ''}{artefact.device}"
    proofs = list(map(_proof, artefact.parity)) or ["added where it is served, not compared with PyTorch"]
    proofs += [f"instead of {target}: {words}" for target, words in artefact.instead_of.items()]
    return [
        f"    {artefact.target:<18} {artefact.file:<20} {artefact.size_bytes / 1e6:>7.1f} MB  {made}",
        *(f"    {'':<18} {line}" for line in proofs),
    ]


def _proof(parity: "Parity") -> str:
    task = "".join(f", {name} {score:.4f}" for name, score in parity.task.items())
    return (
        f"{parity.runner}: {parity.noise:.2g} times {parity.kind} rounding, max {parity.max_abs:.2g}, "
        f"cosine {parity.cosine:.5f}{task}"
    )
