"""Serve the built model on free ports, ask it, check the answers, stop.

Everything is done by commands that can be typed by hand; the demo prints each before it runs it.
"""

import json
import subprocess
import sys
from pathlib import Path

import click
from classify import EXAMPLES, MODEL, classify, waves_from_file
from engineroom.cli import run
from engineroom.errors import EngineRoomError
from engineroom.project import Project
from engineroom.repository.files import write_atomically
from engineroom.serve.server import ServerOptions, running


@click.command()
@click.option("--answers", type=click.Path(path_type=Path), help="Write the share of right answers to this JSON file.")
def demo(answers: Path | None) -> None:
    """Serve the built model on free ports, ask it through gRPC and HTTP, check the answers, stop."""
    project = Project.find(Path(__file__).parent)
    with running(ServerOptions(project.repository, (MODEL,))) as server:
        for model in server.models:
            click.echo(f"{model.name} version {model.version} answers its golden input")
        for url in (f"grpc://{server.grpc}", f"http://{server.http}"):
            command = ["client/classify.py", "--url", url]
            click.secho(f"\n$ python {' '.join(command)}", bold=True)
            if subprocess.run([sys.executable, *command], cwd=project.root, check=False).returncode:
                raise EngineRoomError("the demo ends here: see above.")
        if answers:
            write_atomically(answers, json.dumps({"right": right_answers(f"grpc://{server.grpc}")}) + "\n")
    click.secho("\nEvery answer is right. Triton stopped.", bold=True)


def right_answers(url: str) -> float:
    """Share of the examples that the server knows."""
    waves = waves_from_file(EXAMPLES)
    known = [answer.label == wave.kind for wave, answer in zip(waves, classify(url, waves), strict=True)]
    return sum(known) / len(known)


if __name__ == "__main__":
    run(demo)
