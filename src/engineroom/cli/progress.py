"""Showing what runs, on standard error: a spinner on a terminal, a line elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import click


def watch(model: str) -> Callable[[str], AbstractContextManager[None]]:
    """What shows the stages of one model's build.

    Args:
        model: Its name.
    """

    @contextmanager
    def show(stage: str) -> Iterator[None]:
        if not sys.stderr.isatty():
            click.echo(f"{model}: {stage}", err=True)
            yield
            return
        from rich.console import Console

        with Console(stderr=True).status(f"{model}: {stage}"):
            yield

    return show


@contextmanager
def transfer(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Shows bytes on their way; what it yields is told of those that are done, from any thread.

    Args:
        title: What runs.
        total_bytes: How much there is to do.
    """
    if not sys.stderr.isatty():
        click.echo(f"{title}: {total_bytes / 1e6:.1f} MB", err=True)
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn(title), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total_bytes)
        yield lambda done: progress.advance(task, done)
