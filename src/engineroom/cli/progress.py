"""Showing what runs, on standard error: a spinner on a terminal, a line elsewhere."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import click

PAUSE_S = 10.0
"""Between two lines that say how far something is."""


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


@contextmanager
def rows(title: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Shows rows; what it yields is told how many are done, and how many of them failed.

    Args:
        title: What runs.
        total: How many there are.
    """
    if not sys.stderr.isatty():
        yield _said_now_and_then(title, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failures = TextColumn("{task.fields[failed]}")
    columns = (TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), failures)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=total, failed="")
        yield lambda done, failed: progress.update(task, completed=done, failed=f"{failed} failed" if failed else "")


def _said_now_and_then(title: str, total: int) -> Callable[[int, int], None]:
    """A line at the beginning, every ten seconds, and at the end."""
    said_at = -math.inf

    def say(done: int, failed: int) -> None:
        nonlocal said_at
        if done == total or time.monotonic() - said_at > PAUSE_S:
            said_at = time.monotonic()
            click.echo(f"{title}: {done:,} of {total:,} rows{f', {failed:,} failed' if failed else ''}", err=True)

    return say
