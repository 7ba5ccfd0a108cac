"""What is known of the model that a configuration is for."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.errors import RepositoryError
from engineroom.hardware import has_amx
from engineroom.repository.explain.footprint import Footprint, footprint_from_xml
from engineroom.repository.layout import MANIFEST, ModelFolder
from engineroom.repository.passport import Passport, Shapes, passport_from_file


def cores() -> int:
    """Cores that this process, and a server started by it, may use."""
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Facts:
    """What is known of a model; everything may be missing, and then less is said.

    Attributes:
        passport: Of the version that is served by default.
        versions: Versions that the repository holds, ascending.
        p99_ms: The 99th percentile that callers are promised.
        footprint: What the graph holds while it runs.
        cores: Cores of the machine that serves.
        amx: Whether they multiply bf16 in hardware.
        folder: The model's folder, to look for files in.
        anew: Every instance of an OpenVINO model starts anew, as `config apply` sees to.
    """

    passport: Passport | None = None
    versions: tuple[int, ...] = ()
    p99_ms: float | None = None
    footprint: Footprint | None = None
    cores: int = field(default_factory=cores)
    amx: bool = field(default_factory=has_amx)
    folder: Path | None = None
    anew: bool = False

    @property
    def shapes(self) -> dict[str, Shapes]:
        """Smallest, usual and largest shape of each input, batch included; empty where no passport tells."""
        return {} if self.passport is None else self.passport.profile.inputs

    @property
    def largest_batch(self) -> int | None:
        """The largest batch that was compiled and proven; None where no passport tells."""
        return max((shapes[2][0] for shapes in self.shapes.values() if shapes[2]), default=None)

    @property
    def usual_batch(self) -> int | None:
        """The batch size that compilers tuned for; None where no passport tells."""
        return max((shapes[1][0] for shapes in self.shapes.values() if shapes[1]), default=None)

    def file_bytes(self, target: str) -> int | None:
        """Size of the artefact of a target such as `tensorrt`; None where no passport tells."""
        artefact = None if self.passport is None else self.passport.artefact(target)
        return None if artefact is None else artefact.size_bytes

    def proven(self, target: str) -> tuple[str, ...]:
        """Element types that the artefact of a target may compute in; empty where none is known."""
        artefact = None if self.passport is None else self.passport.artefact(target)
        return () if artefact is None else artefact.proven


def facts_from_folder(model: ModelFolder, version: int | None = None, p99_ms: float | None = None) -> Facts:
    """What a model's folder tells.

    Args:
        model: The folder; it may be empty, or not be there.
        version: The version whose passport and graph count; the latest by default.
        p99_ms: The 99th percentile that callers are promised, where it is known.
    """
    number = version or model.latest
    if number is None:
        return Facts(p99_ms=p99_ms, folder=model.path)
    folder = model.version(number)
    try:
        passport = passport_from_file(folder / MANIFEST)
    except RepositoryError:
        # Without a passport the settings are explained all the same, with fewer figures.
        passport = None
    varying = (
        () if passport is None else (size for shapes in passport.profile.inputs.values() for size in _open(shapes))
    )
    footprint = footprint_from_xml(folder / "model.xml", longest=max(varying, default=1))
    return Facts(passport, model.versions, p99_ms, footprint, folder=model.path)


def _open(shapes: Shapes) -> tuple[int, ...]:
    """Largest sizes of the axes that vary, the batch apart."""
    smallest, _, largest = shapes
    return tuple(most for least, most in zip(smallest[1:], largest[1:], strict=False) if least != most)
