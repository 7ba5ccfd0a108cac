"""`engineroom infer`: files in, answers out."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.operating import headers_from
from engineroom.cli.progress import rows
from engineroom.errors import InferError

if TYPE_CHECKING:
    from engineroom.client import TLS
    from engineroom.infer.record import Record
    from engineroom.infer.run import Job

PEM = click.Path(path_type=Path)
FORMATS = click.Choice(["csv", "jsonl", "npy", "npz", "parquet"])


def _chosen(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    for name, equals, column in pairs:
        if not (name and equals and column):
            raise click.BadParameter(f"'{name}{equals}{column}' is not of the form NAME=COLUMN.")
    return {name: column for name, _, column in pairs}


@click.command()
@click.argument("name")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="File for the answers, or a folder.")
@click.option("--format", "form", type=FORMATS, help="Write a file of this format into the folder, for each FILE.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=COLUMN", callback=_chosen, help="Feed NAME otherwise.")
@click.option("--outputs", multiple=True, metavar="NAME", help="Write this output only; may be repeated.")
@click.option("--url", multiple=True, default=["grpc://127.0.0.1:8001"], show_default=True, help="Server, or several.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Sent along, such as a key.")
@click.option("--ca", type=PEM, help="PEM file of the authorities to believe at grpcs:// and https://.")
@click.option("--certificate", type=PEM, help="PEM file to show to a server that asks who calls.")
@click.option("--key", type=PEM, help="PEM file of its private key. [default: in the certificate's file]")
@click.option("--server-name", default="", help="Name in the server's certificate, where the address tells another.")
@click.option("--version", default="", help="The model's version. [default: the one that is served now]")
@click.option("--batch", default=0, type=click.IntRange(0), help="Rows of a request. [default: up to 32]")
@click.option("--window", default=4, show_default=True, type=click.IntRange(1, 256), help="Requests in flight.")
@click.option("--timeout-s", default=30.0, show_default=True, type=click.FloatRange(0, min_open=True))
@click.option("--dry-run", is_flag=True, help="Say what would be asked and written; send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def infer(output: Path, form: str | None, url: tuple[str, ...], dry_run: bool, as_json: bool, **given: Any) -> None:
    """Ask model NAME about every row of FILES, and write one output for each.

    FILES are .npy, .npz, .parquet, .csv, .jsonl, images, and folders of images. What was broken off goes on where it
    stopped when the same command is run again; rows that failed are asked again too. Exit status: 0; 1 where a row
    failed, or could not be asked; 2 for wrong usage.
    """
    from engineroom.client import Client
    from engineroom.infer.places import outputs_of
    from engineroom.infer.run import Wish, infer_files, planned

    name, files = given.pop("name"), given.pop("files")
    places = outputs_of(files, output, form or "")
    headers, tls = headers_from(given.pop("headers")), _tls_from(given)
    with Client(list(url), headers=headers, tls=tls) as client:
        jobs = [planned(client, Wish(name, read, written, **given)) for read, written in places]
        if dry_run:
            click.echo(
                json.dumps([_plan(job) for job in jobs], indent=2) if as_json else "\n".join(map(_plan_text, jobs))
            )
            return
        done = []
        for job in jobs:
            with rows(str(job.wish.output), len(job.rows)) as told:
                done.append((job.wish.output, infer_files(client, job, told)))
    if as_json:
        click.echo(json.dumps([{"output": str(path), **asdict(record)} for path, record in done], indent=2))
    else:
        for path, record in done:
            click.echo(f"{path}: {record.answered:,} of {record.rows:,} rows answered by {_model(record)}")
    _check_failed(done)


def _tls_from(given: dict[str, Any]) -> "TLS | None":
    """What the options say of certificates, taken out of them; None where they say nothing."""
    from engineroom.client import TLS

    said = {word: given.pop(word) for word in ("ca", "certificate", "key", "server_name")}
    return TLS(**said) if any(said.values()) else None


def _plan(job: "Job") -> dict[str, Any]:
    shapes = {output.name: list(output.shape) for output in job.outputs}
    told = {"output": str(job.wish.output), "answered": job.answered(), "shapes": shapes, "batch": job.batch}
    return {**asdict(job.record), **told}


def _plan_text(job: "Job") -> str:
    files = ", ".join(job.record.files)
    shapes = ", ".join(f"{output.name} {output.shape}" for output in job.outputs)
    return (
        f"{job.wish.output}: {len(job.rows):,} rows of {files}, {job.answered():,} answered already\n"
        f"  asked: {_model(job.record)}, {job.batch} rows a request, {job.wish.window} requests in flight\n"
        f"  written: {shapes}"
    )


def _model(record: "Record") -> str:
    return f"{record.model} version {record.version}" if record.version else record.model


def _check_failed(done: "list[tuple[Path, Record]]") -> None:
    from engineroom.infer.record import errors_path

    broken = [(path, record) for path, record in done if record.failed]
    if broken:
        told = "; ".join(
            f"{record.failed:,} of {record.rows:,} rows, see {errors_path(path)}" for path, record in broken
        )
        raise InferError(f"failed: {told}. Run the same command again to ask them once more.")
