"""What kind are these waves? A CSV file in, a kind and its probability for each row out."""

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from engineroom.client import CallError, Classification, Client

MODEL = "waveforms"
EXAMPLES = Path(__file__).with_name("examples.csv")


@dataclass(frozen=True)
class Wave:
    """One row of the file.

    Attributes:
        measurements: float32 (64,).
        kind: What it really is; empty where the file does not say.
    """

    measurements: npt.NDArray[np.float32]
    kind: str


def waves_from_file(path: Path) -> list[Wave]:
    """Read a CSV file: a heading, then one wave a row; a column `kind` may say what it really is.

    Raises:
        ClickException: It cannot be read, or holds something that is no number.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        waves = [Wave(np.array(list(row.values()), np.float32), kind) for row in rows for kind in [row.pop("kind", "")]]
    except (OSError, ValueError, TypeError) as error:
        raise click.ClickException(f"{path}: cannot be read as waves ({error}).") from error
    if not waves:
        raise click.ClickException(f"{path}: holds no wave. Give a heading, then one wave a row.")
    return waves


def classify(url: str, waves: list[Wave]) -> list[Classification]:
    """The most probable kind of every wave.

    Args:
        url: The server, such as `grpc://127.0.0.1:8001`.
        waves: What to ask, all of 64 measurements.

    Raises:
        CallError: The server does not answer, or the waves are not what the model takes.
    """
    with Client(url) as client:
        rows = client.classify(MODEL, {"measurements": np.stack([wave.measurements for wave in waves])}, top=1)
    return [row[0] for row in rows]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", default=EXAMPLES, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default="grpc://127.0.0.1:8001", show_default=True, help="Server; http://HOST:8000 works too.")
def main(file: Path, url: str) -> None:
    """Print the most probable kind of every wave in FILE, by default client/examples.csv.

    Where the file says what a wave really is, a wrong answer ends the program with status 1.
    """
    waves = waves_from_file(file)
    try:
        answers = classify(url, waves)
    except (CallError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("wave  answer    probability  truth")
    for number, (wave, answer) in enumerate(zip(waves, answers, strict=True), 1):
        click.echo(f"{number:>4}  {answer.label:<9} {answer.score:>11.4f}  {wave.kind}")
    wrong = sum(bool(wave.kind) and wave.kind != answer.label for wave, answer in zip(waves, answers, strict=True))
    if wrong:
        click.echo(f"{wrong} of {len(waves)} answers are wrong", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
