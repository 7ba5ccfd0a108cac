"""`engineroom models preflight`: whether what is published will load, here or elsewhere."""

import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engineroom.project import Project

if TYPE_CHECKING:
    from engineroom.repository.place import Place


@click.command()
@click.argument("name")
@click.option(
    "--gpu", metavar="smNN", help="Compute capability of the GPU there, such as sm90. [default: this machine's]"
)
@click.option(
    "--triton", metavar="TAG", help="Triton's image there, such as 26.08. [default: this machine's libraries]"
)
@click.option("--repository", type=click.Path(path_type=Path), help="Model repository. [default: the project's]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def preflight(name: str, gpu: str | None, triton: str | None, repository: Path | None, as_json: bool) -> None:
    """Say whether the latest version of NAME will load, and why not; exit status 1 where it will not.

    Without --gpu and --triton, this machine is judged: its GPU, or the CPU where it has none.
    """
    from engineroom.repository.layout import Repository
    from engineroom.repository.preflight import preflight as judge

    place = _place(gpu, triton)
    (model,) = Repository(repository or Project.find().repository).published((name,))
    found = judge(model, place)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2))
    else:
        click.echo("\n".join([found.sentence, *(f"  {one.sentence}" for one in found.artefacts)]))
    sys.exit(0 if found.loads else 1)


def _place(gpu: str | None, triton: str | None) -> "Place":
    from engineroom.compile.targets.gpu import gpus
    from engineroom.hardware import has_gpu, tensorrt_libraries
    from engineroom.repository.place import Place
    from engineroom.repository.triton_images import image_from_tag

    if gpu and not re.fullmatch(r"sm\d{2,3}", gpu.lower()):
        raise click.UsageError(f"--gpu '{gpu}' is no compute capability. Say it as smNN, such as --gpu sm90.")
    if not gpu and not has_gpu():
        if triton:
            raise click.UsageError("this machine has no GPU to judge for. Say which one is there, such as --gpu sm90.")
        return Place(cpu=True)
    image = image_from_tag(triton) if triton else None
    # Of another machine's TensorRT nothing is known; of this one's the libraries tell.
    tensorrt = image.tensorrt if image else "" if gpu else tensorrt_libraries()
    return Place(gpu.lower() if gpu else next(map(str, gpus()), ""), tensorrt, image)
