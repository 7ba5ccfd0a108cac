"""The whole chain in a minute: serve the models, ask them real questions, measure, stop.

Everything is done by commands that can be typed by hand; the demo prints each before it runs it.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click

from engineroom.cli import run
from engineroom.errors import EngineRoomError
from engineroom.project import Project
from engineroom.serve.server import Server, ServerOptions, running

PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg")  # a cat, a cup and a rocket, in scikit-image's package

SENTENCES = """\
The engine room is hot and loud.
A cat sleeps on the warm window sill.
Espresso is coffee brewed under pressure.
The rocket left the launch pad at dawn.
"""


@click.command()
@click.option("--seconds", default=8, show_default=True, type=click.IntRange(1, 600), help="How long the load lasts.")
@click.option("--users", default=8, show_default=True, type=click.IntRange(1, 256), help="Locust users at a time.")
@click.option("--out", default="out", show_default=True, type=click.Path(path_type=Path), help="Folder for figures.")
def demo(seconds: int, users: int, out: Path) -> None:
    """Serve the built models, classify photographs, embed sentences, measure, stop."""
    project = Project.find(Path(__file__).parent)
    models = ("efficientnet_lite0", "minilm", "digits")
    click.secho("\nStarting Triton", bold=True)
    with running(ServerOptions(project.repository, models)) as server:
        for model in server.models:
            click.echo(f"  {model.name} version {model.version} answers its golden input")
        click.echo(f"  HTTP {server.http}   gRPC {server.grpc}   metrics http://{server.metrics}/metrics")
        ask(project, server, shlex.quote(str(photographs(out / "photos"))))
        measure(project, server, out, f"--users {users} --seconds {seconds}")
    left = [str(path) for path in Path("/dev/shm").glob(f"engineroom_{os.getpid()}_*")]  # noqa: S108 - only read
    if server.process.poll() is None or left:
        raise EngineRoomError(
            f"Triton (process {server.pid}) left something behind: {left}. End and remove it by hand."
        )
    click.secho("\nTriton stopped, no process and no shared memory left.", bold=True)


def photographs(folder: Path) -> Path:
    """Copy the three photographs out of scikit-image's package, so that their paths are short.

    Returns:
        The folder they are in.
    """
    from skimage import data

    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        shutil.copyfile(Path(data.__file__).parent / name, folder / name)
    return folder


def ask(project: Project, server: Server, photos: str) -> None:
    """Photographs through gRPC and through HTTP, and a question to the sentences."""
    for url in (f"grpc://{server.grpc}", f"http://{server.http}"):
        command(project, f"python client/classify_photos.py --url {url} --top 1 {photos}")
    asked = f"python client/embed_sentences.py --url grpc://{server.grpc} --top 1 --query 'What do cats do all day?'"
    command(project, asked, text=SENTENCES)


def measure(project: Project, server: Server, out: Path, load: str) -> None:
    """A short closed-loop load, and a picture of its latencies."""
    picture = out / "latency.png"
    command(
        project,
        f"engineroom load locust efficientnet_lite0 --url grpc://{server.grpc} {load} "
        f"--output {out / 'demo.json'} --picture {picture}",
    )
    click.echo(f"  the distribution of latencies: {picture}")


def command(project: Project, words: str, text: str | None = None) -> None:
    """Print a command and run it, with the interpreter that runs the demo.

    Args:
        project: Where it runs.
        words: The command, as typed.
        text: What it reads from standard input.

    Raises:
        EngineRoomError: It failed.
    """
    click.secho(f"\n$ {words}", bold=True)
    parts = shlex.split(words)
    program = [sys.executable] if parts[0] == "python" else [str(Path(sys.executable).parent / parts[0])]
    done = subprocess.run([*program, *parts[1:]], cwd=project.root, input=text, text=True, check=False)
    if done.returncode:
        raise EngineRoomError(f"the demo ends here: `{parts[0]} {parts[1]}` ended with status {done.returncode}.")


if __name__ == "__main__":
    run(demo)
