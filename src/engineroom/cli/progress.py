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
