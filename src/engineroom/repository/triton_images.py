"""NVIDIA's Triton images: which Triton and which TensorRT a tag of `nvcr.io/nvidia/tritonserver:TAG-py3` holds.

Triton's versions are those of the release branches of triton-inference-server/server (file TRITON_VERSION). TensorRT's
cannot be derived from the tag, so each row names its evidence; where there is none, the version is empty, or a guess
from the cadence of releases.
"""

from dataclasses import dataclass

from engineroom.errors import RepositoryError


@dataclass(frozen=True)
class TritonImage:
    """One release.

    Attributes:
        tag: Its month, such as `26.08`.
        triton: Triton's version.
        tensorrt: TensorRT's version, in the parts that are known; empty where nothing is.
        evidence: Who says so; empty where nobody does.
    """

    tag: str
    triton: str
    tensorrt: str = ""
    evidence: str = ""


IMAGES = (
    TritonImage("25.01", "2.54"),
    TritonImage("25.02", "2.55"),
    TritonImage("25.03", "2.56"),
    TritonImage("25.04", "2.57"),
    TritonImage("25.05", "2.58"),
    TritonImage("25.06", "2.59.0"),
    TritonImage("25.07", "2.59.1"),
    TritonImage("25.08", "2.60"),
    TritonImage("25.09", "2.61"),
    TritonImage("25.10", "2.62"),
    TritonImage("25.11", "2.63"),
    TritonImage("25.12", "2.64", "10.14.1", "a maintainer's comment in triton-inference-server/server#8462"),
    TritonImage("26.01", "2.65"),
    TritonImage("26.02", "2.66"),
    TritonImage("26.03", "2.67", "10.16.0.72", "NVIDIA's CUDA deep learning release notes, 26-03"),
    TritonImage("26.04", "2.68", "10.16.1", "public repositories"),
    TritonImage("26.05", "2.69", "10.16.1.11", "public repositories, of this image and of NVIDIA's TensorRT image"),
    TritonImage("26.06", "2.70", "11.0.0.114", "public repositories, of NVIDIA's TensorRT image of the month"),
    TritonImage("26.07", "2.71", "11.1.0.106", "NVIDIA/TensorRT-Model-Connect; a public check inside the image"),
    TritonImage("26.08", "2.72", "11.2.1.2", "public repositories, of this image and of NVIDIA's TensorRT image"),
    TritonImage("26.09", "2.73", "11.3.0.99"),
    TritonImage("26.10", "2.74", "11.4"),
    TritonImage("26.11", "2.75", "11.4"),
)


def image_from_tag(tag: str) -> TritonImage:
    """The release of a tag such as `26.08`.

    Raises:
        RepositoryError: It is not in the table; the message lists those that are.
    """
    for image in IMAGES:
        if image.tag == tag.removesuffix("-py3"):
            return image
    raise RepositoryError(f"Triton '{tag}' is unknown. Known are: {', '.join(image.tag for image in IMAGES)}.")
