"""`engineroom push`, `pull` and `store`: the model repository on a folder, S3, Google Cloud Storage or Azure Blob."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engineroom.cli.progress import transfer
from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.store.changes import Difference
    from engineroom.store.documents import Head
    from engineroom.store.local import Selection
    from engineroom.store.pull import Pulled
    from engineroom.store.push import Pushed
    from engineroom.store.store import Store

REPOSITORY = click.option(
    "--repository", type=click.Path(path_type=Path), help="Model repository. [default: the project's]"
)
VERSIONS = click.option("--versions", default="all", show_default=True, help="all, latest, latest:N, or 3,5.")
JOBS = click.option("--jobs", type=click.IntRange(1, 64), default=4, show_default=True, help="Transfers at a time.")
ATTEMPTS = click.option(
    "--attempts", type=click.IntRange(1), default=5, show_default=True, help="Tries of each request that may yet work."
)
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--to", "url", metavar="URL", help="The store. [default: ENGINEROOM_STORE]")
@REPOSITORY
@VERSIONS
@click.option("--why", default="", help="The reason, for the log.")
@click.option("--verify", is_flag=True, help="Read back what the store tells no digest of.")
@click.option("--alone", is_flag=True, help="Nobody else pushes now: take a store without conditional writes.")
@JOBS
@ATTEMPTS
@DRY_RUN
@JSON
def push(names: tuple[str, ...], url: str | None, repository: Path | None, **given: Any) -> None:
    """Send models to a store; all of the repository where no NAME is given.

    Versions are first checked against their manifests. What the store has already is not sent again, so a push that was
    cut off goes on where it was. It counts when all has arrived, and at once.
    """
    from engineroom.repository.layout import Repository
    from engineroom.store.push import PushOptions
    from engineroom.store.push import push as send

    as_json = given.pop("as_json")
    store, selection = _store(url, given.pop("attempts")), selection_from_text(given.pop("versions"))
    options = PushOptions(names, selection, **given)
    done = send(Repository(repository or Project.find().repository), store, options, transfer)
    click.echo(json.dumps(asdict(done), indent=2) if as_json else _pushed(done, options.dry_run))


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "url", metavar="URL", help="The store. [default: ENGINEROOM_STORE]")
@REPOSITORY
@VERSIONS
@click.option("--head", type=click.IntRange(1), help="Number of the head. [default: the current one]")
@click.option("--theirs", "take", flag_value="theirs", help="Where both sides changed a file, take the store's.")
@click.option("--ours", "take", flag_value="ours", help="Where both sides changed a file, keep the one here.")
@JOBS
@ATTEMPTS
@DRY_RUN
@JSON
def pull(names: tuple[str, ...], url: str | None, repository: Path | None, take: str | None, **given: Any) -> None:
    """Bring models from a store; all of the store where no NAME is given.

    Every version appears whole, and the configurations follow. What was edited here is never lost: where the store
    changed the same file, nothing is done and the difference is shown.
    """
    from engineroom.repository.layout import Repository
    from engineroom.store.pull import PullOptions
    from engineroom.store.pull import pull as bring

    as_json = given.pop("as_json")
    store, selection = _store(url, given.pop("attempts")), selection_from_text(given.pop("versions"))
    options = PullOptions(names, selection, take=take or "", **given)
    done = bring(Repository(repository or Project.find().repository), store, options, transfer)
    click.echo(json.dumps(asdict(done), indent=2) if as_json else _pulled(done, options.dry_run))


@click.group()
def store() -> None:
    """Say what was pushed to a store; check that it is whole."""


@store.command()
@click.argument("url", required=False)
@click.option("--count", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@JSON
def log(url: str | None, count: int, as_json: bool) -> None:
    """List the latest pushes, newest first: who, when, why, which models."""
    from engineroom.store.check import log as heads

    found = heads(_store(url), count)
    click.echo(json.dumps([asdict(head) for head in found], indent=2) if as_json else "\n".join(map(_head, found)))


@store.command()
@click.argument("url", required=False)
@click.option("--head", type=click.IntRange(1), help="Number of the head. [default: the current one]")
@click.option("--quick", is_flag=True, help="Believe the sizes, and read no content.")
@JOBS
@JSON
def check(url: str | None, head: int | None, quick: bool, jobs: int, as_json: bool) -> None:
    """Check that everything a head points to is there, with its size and digest; exit with 1 where it is not."""
    from engineroom.store.check import check as look

    done = look(_store(url), head, quick=quick, jobs=jobs, watch=transfer)
    if as_json:
        click.echo(json.dumps(asdict(done), indent=2))
    else:
        click.echo("\n".join((*done.problems, f"{done.head.told}: {_blobs(done.blobs, done.size_bytes)}")))
        click.echo(
            f"{len(done.problems)} are wrong. Push again from a repository that has them." if done.problems else "whole"
        )
    if done.problems:
        sys.exit(1)


def selection_from_text(text: str) -> "Selection":
    """Which versions are meant by `all`, `latest`, `latest:3` or `3,5`.

    Raises:
        BadParameter: The text says none of these.
    """
    from engineroom.store.local import Selection

    word, _, count = text.partition(":")
    if text == "all":
        return Selection()
    if word == "latest" and ((count.isdecimal() and int(count)) or text == "latest"):
        return Selection(last=int(count or 1))
    numbers = [part.strip() for part in text.split(",")]
    if all(part.isdecimal() and int(part) for part in numbers):
        return Selection(numbers=frozenset(map(int, numbers)))
    raise click.BadParameter(
        f"'{text}' is neither all, latest, latest:N nor numbers such as 3,5.", param_hint="--versions"
    )


def _store(url: str | None, attempts: int = 5) -> "Store":
    from engineroom.store.address import store_from_url
    from engineroom.store.store import Retry

    return store_from_url(url, Retry(attempts))


def _pushed(done: "Pushed", dry_run: bool) -> str:
    lines = [f"after {told}" for told in done.after]
    lines += [_model(model, "would push" if dry_run else "pushed") for model in done.models]
    if not done.models:
        return "\n".join([*lines, f"nothing is new for {done.url}"])
    if done.head is not None:
        sent = _blobs(done.sent, done.sent_bytes)
        lines.append(f"head {done.head.number} of {done.url}: sent {sent}; {done.there} were there already")
    return "\n".join(lines)


def _pulled(done: "Pulled", dry_run: bool) -> str:
    lines = [f"{path}: stays as it was edited here" for path in done.kept]
    lines += [_model(model, "would pull" if dry_run else "pulled") for model in done.models]
    lines.append(f"{done.head.told} of {done.url}{'' if done.models else ': nothing is new'}")
    return "\n".join(lines)


def _model(model: "Difference", verb: str) -> str:
    told = [f"version {number}" for number in model.added]
    told += [f"engines of version {number}" for number in model.changed]
    told += [f"without version {number}" for number in model.removed]
    line = f"{model.model}: {verb} {', '.join((*told, *model.files))}"
    return f"{line}\n{model.diff}" if model.diff else line


def _head(head: "Head") -> str:
    return f"{head.number:>6}  {head.at}  {head.by}  {', '.join(head.models)}{f'  {head.why}' if head.why else ''}"


def _blobs(count: int, size_bytes: int) -> str:
    return f"{count} files, {size_bytes / 1e6:.1f} MB"
