"""The Python bindings of TensorRT against the libraries they found: in the container the two come from two places."""

import ctypes
from typing import Any

from engineroom.compile.targets.tensorrt import load
from engineroom.errors import CompileError
from engineroom.hardware import version_from_library


def check_bindings(trt: Any | None = None) -> str:
    """Make sure that bindings without libraries of their own found libraries of their own version.

    Args:
        trt: TensorRT's Python module; by default the one installed.

    Returns:
        The version, such as `11.2.1.2`.

    Raises:
        CompileError: The bindings cannot be loaded, or the libraries are of another version.
    """
    trt = trt or load("tensorrt")
    version: str = trt.__version__
    if trt.__name__ == "tensorrt_bindings":
        # Loaded already by the bindings, so this finds the very library they use.
        library = ctypes.CDLL(f"libnvinfer.so.{version.partition('.')[0]}")
        check_versions(version, version_from_library(library))
    return version


def check_versions(bindings: str, library: str) -> None:
    """Compare the two versions.

    Args:
        bindings: Version of the Python package, such as `11.2.1.2`.
        library: Version of the libraries, such as `11.2.1`: they tell no build number.

    Raises:
        CompileError: They differ.
    """
    if bindings.rsplit(".", 1)[0] != library:
        raise CompileError(
            f"tensorrt_bindings is {bindings}, the TensorRT libraries here are {library}. "
            f"Install the bindings of that version: docker build --build-arg TENSORRT={library}.BUILD"
        )
