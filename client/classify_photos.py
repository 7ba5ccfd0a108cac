"""Say what is on photographs: image files or folders in, names and probabilities out."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from records import FORMS, Record, print_records, write_records
from rich.console import Console
from rich.progress import track

from engineroom.client import BadInput, CallError, Client, ModelMetadata
from engineroom.infer.images import SUFFIXES, images_in, pixels_from_image


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        paths: Image files and folders.
        url: The server.
        model: The model's name.
        top: Classes for each photo.
        batch: Photos sent at a time; 0 for the model's largest batch.
        crop: Share of the central square that is looked at, up to 1.
        form: How to print.
        output: File to write instead of printing.
    """

    paths: tuple[Path, ...]
    url: str
    model: str
    top: int
    batch: int
    crop: float
    form: str
    output: Path | None


def classify(client: Client, photos: Sequence[Path], options: Options) -> tuple[list[Record], list[str]]:
    """Ask the model about every photo.

    Returns:
        One row for each photo and class; and for each photo that could not be read, why.
    """
    model = client.metadata(options.model)
    side = _side(model)
    size = options.batch or max(1, model.max_batch_size)
    records: list[Record] = []
    unread: list[str] = []
    for start in _progress(range(0, len(photos), size)):
        pixels, failures = _read(photos[start : start + size], side, options.crop)
        unread += failures
        if not pixels:
            continue
        rows = client.classify(options.model, {model.inputs[0].name: np.stack(list(pixels.values()))}, top=options.top)
        records += [
            {"photo": str(path), "rank": rank, "class": one.label, "index": one.index, "probability": one.score}
            for path, row in zip(pixels, rows, strict=True)
            for rank, one in enumerate(row, 1)
        ]
    return records, unread


def _side(model: ModelMetadata) -> int:
    image = model.inputs[0]
    if len(model.inputs) > 1 or image.dtype != "UINT8" or len(image.shape) != 3 or image.shape[0] != image.shape[1]:
        takes = ", ".join(f"{tensor.name} ({tensor.dtype}, {model.accepted(tensor)})" for tensor in model.inputs)
        raise click.ClickException(
            f"{model.name}: takes {takes}, not photos (one UINT8 input of side, side, 3). Name another with --model."
        )
    return image.shape[0]


def _read(photos: Sequence[Path], side: int, crop: float) -> tuple[dict[Path, npt.NDArray[np.uint8]], list[str]]:
    pixels, unread = {}, []
    for path in photos:
        try:
            pixels[path] = pixels_from_image(path, (side, side), crop)
        except BadInput as error:
            unread.append(str(error))
    return pixels, unread


def _progress(starts: range) -> Any:
    return track(starts, "classifying", console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _output(_: click.Context, __: click.Parameter, path: Path | None) -> Path | None:
    if path and path.suffix not in (".csv", ".json"):
        raise click.BadParameter(f"{path.name} must end in .csv or .json.")
    return path


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--url", default="grpc://127.0.0.1:8001", show_default=True, help="Server; http://HOST:8000 works too.")
@click.option("--model", default="efficientnet_lite0", show_default=True, help="Model to ask.")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Classes for each photo.")
@click.option("--batch", default=0, type=click.IntRange(0), help="Photos sent at a time. [default: the model's most]")
@click.option(
    "--crop",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 1),
    help="Share of the central square to look at.",
)
@click.option("--format", "form", default="table", show_default=True, type=click.Choice(FORMS), help="How to print.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    callback=_output,
    help="Write FILE.csv or FILE.json instead of printing.",
)
def main(**given: Any) -> None:
    """Say what is on photographs.

    PATHS are image files, or folders that are searched for them. Exit status: 0; 1 where the server did not answer or
    a photo could not be read (the others are answered nevertheless); 2 for wrong usage.
    """
    options = Options(**given)
    photos = images_in(options.paths)
    if not photos:
        raise click.ClickException(f"no photos in {', '.join(map(str, options.paths))} ({' '.join(sorted(SUFFIXES))}).")
    try:
        with Client(options.url) as client:
            records, unread = classify(client, photos, options)
    except CallError as error:
        raise click.ClickException(str(error)) from error
    if records and options.output:
        write_records(records, options.output)
    elif records:
        print_records(records, options.form)
    click.echo(f"{len(photos) - len(unread)} of {len(photos)} photos classified by {options.model}", err=True)
    if unread:
        raise click.ClickException("\n".join(unread))


if __name__ == "__main__":
    main()
