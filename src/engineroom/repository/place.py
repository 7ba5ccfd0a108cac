"""Where a version is to be loaded, and which plans TensorRT loads there."""

from dataclasses import dataclass

from engineroom.hardware import capability
from engineroom.repository.passport import Artefact
from engineroom.repository.triton_images import TritonImage


@dataclass(frozen=True)
class Place:
    """Where a version is to be loaded; with nothing said, a GPU of an unknown kind with an unknown TensorRT.

    Attributes:
        gpu: Compute capability, such as `sm90`, or the driver's words, such as `NVIDIA H200, compute capability 9.0`.
        tensorrt: TensorRT's version, in the parts that are known.
        triton: Triton's image; None for no particular one.
        cpu: There is no GPU, so Triton reads the configuration for the CPU.
    """

    gpu: str = ""
    tensorrt: str = ""
    triton: TritonImage | None = None
    cpu: bool = False

    def __str__(self) -> str:
        """The place as a sentence says it, after `on`."""
        triton = f"Triton {self.triton.tag}" if self.triton else ""
        gpu = "a machine without a GPU" if self.cpu else self.gpu or "a GPU"
        return " with ".join(filter(None, (triton, gpu)))

    @property
    def full(self) -> bool:
        """Whether the GPU's model is known, and not its compute capability alone."""
        return bool(self.gpu) and not self.gpu.startswith("sm")


def misfit(artefact: Artefact, place: Place) -> str:
    """Why TensorRT would not load a plan at a place; empty where it would, or where nothing is known against it.

    By default a plan loads with the exact version of TensorRT that made it, and on the model of GPU that it was made on
    (TensorRT's documentation, "Engine Compatibility": /tensorrt/11.1.0/inference-library/engine-compatibility.html).
    Where only a compute capability is known of the place, that must be the same.
    """
    made_by = artefact.built_with.rpartition(" ")[2]
    reasons = []
    if not same_version(made_by, place.tensorrt):
        reasons.append(f"made by TensorRT {made_by}, not {place.tensorrt}")
    if place.gpu and place.gpu not in (artefact.device, capability(artefact.device)):
        reasons.append(f"made on {artefact.device or 'an unknown GPU'}, not {place.gpu}")
    return " and ".join(reasons)


def same_version(one: str, other: str) -> bool:
    """Whether two versions agree in the parts that both have: a library tells `11.2.1`, a package `11.2.1.2`."""
    return not one or not other or all(a == b for a, b in zip(one.split("."), other.split("."), strict=False))
