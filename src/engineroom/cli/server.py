"""`engineroom server`: the embedded Triton."""

import json

import click


@click.group()
def server() -> None:
    """Install the embedded Triton, or say where it is."""


@server.command()
@click.option("--force", is_flag=True, help="Make it anew even where it is there.")
def install(force: bool) -> None:
    """Install a Triton that needs neither Docker nor a GPU, in your cache folder.

    About 115 MB are downloaded and 500 MB used. Safe to interrupt and to run again.
    """
    from engineroom.serve.embedded import embedded_server
    from engineroom.serve.install import install as make

    made = make(lambda step: click.echo(f"  {step}"), force=force)
    click.echo(f"{'installed in' if made else 'already installed in'} {embedded_server().folder}")


@server.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Say which Triton would be started and what it lacks; exit status 1 where it cannot be."""
    from engineroom.serve.status import server_status

    found = server_status()
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            click.echo(f"{name:10} {', '.join(value) if isinstance(value, list) else value}")
    if found["missing"]:
        ctx.exit(1)
