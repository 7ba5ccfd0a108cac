"""The command line: one file a noun. Parse, call one function, print."""

import importlib
import sys
from collections.abc import Mapping

import click

from engineroom import __version__
from engineroom.errors import EngineRoomError


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for, so that `--help` stays quick.

    Args:
        lazy: Command name to (`module:attribute`, one line of help).
    """

    def __init__(self, *args: object, lazy: Mapping[str, tuple[str, str]] | None = None, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of the commands, in the order of a model's life."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one command, or None where there is none of that name."""
        if cmd_name not in self.lazy:
            return None
        module, attribute = self.lazy[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands from the table alone, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])


@click.group(
    cls=LazyGroup,
    lazy={
        "new": ("engineroom.cli.new:new", "Lay out a project of your own."),
        "build": ("engineroom.cli.build:build", "Compile models into the model repository."),
        "models": ("engineroom.cli.models:models", "List, promote, roll back and retire versions; compile engines."),
        "config": ("engineroom.cli.config:config", "Check, explain, change and take back configurations."),
        "registry": ("engineroom.cli.registry:registry", "Record versions in MLflow; follow its champion."),
        "push": (
            "engineroom.cli.store:push",
            "Send models to a store: a folder, S3, Google Cloud Storage or Azure Blob.",
        ),
        "pull": ("engineroom.cli.store:pull", "Bring models from a store."),
        "store": ("engineroom.cli.store:store", "Say what was pushed to a store; check that it is whole."),
        "server": ("engineroom.cli.server:server", "Install the embedded Triton, or say where it is."),
        "serve": ("engineroom.cli.serve:serve", "Start Triton on the model repository."),
        "infer": ("engineroom.cli.infer:infer", "Ask a model about every row of files."),
        "load": ("engineroom.cli.load:load", "Measure a running server."),
        "doctor": ("engineroom.cli.doctor:doctor", "Say what works on this machine, and how to mend the rest."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="engineroom")
def cli() -> None:
    """Turn PyTorch models into fast, proven, operable Triton services."""


def main() -> None:
    """Run the command line; errors of ours end it with one message and exit status 1."""
    run(cli)


def run(command: click.Command) -> None:
    """Run a click command as a program of its own.

    Args:
        command: What to run, with `sys.argv`.
    """
    try:
        command.main(standalone_mode=True)
    except EngineRoomError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
