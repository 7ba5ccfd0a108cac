"""What this machine can compute with. Files of the system tell; a library is loaded only to ask its version."""

import ctypes
import platform
import re
from pathlib import Path
from typing import Any

TENSORRT_MAJORS = (11, 10)
"""Majors of TensorRT's library that Triton's images hold, newest first: `libnvinfer.so.11`."""


def has_gpu() -> bool:
    """Whether an NVIDIA GPU is visible: its device nodes, on bare metal and in containers, or WSL's."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/dxg").exists()


def has_amx() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware (the kernel's flag `amx_bf16`)."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return False


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name, or the architecture where the system does not tell it.

    Args:
        cpuinfo: Linux's description of the processors.
    """
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def tensorrt_libraries() -> str:
    """Version of the system's TensorRT, the one that Triton's backend loads.

    Returns:
        Such as `11.2.1`, without the build number; empty where there is none.
    """
    for major in TENSORRT_MAJORS:
        try:
            return version_from_library(ctypes.CDLL(f"libnvinfer.so.{major}"))
        except OSError:
            continue
    return ""


def version_from_library(library: Any) -> str:
    """The version that TensorRT's library tells, such as `11.2.1`.

    Args:
        library: `libnvinfer`, through ctypes. Its `getInferLibVersion()` is major * 10000 + minor * 100 + patch since
            10.0 (NvInferVersion.h).
    """
    number = library.getInferLibVersion()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def capability(gpu: str) -> str:
    """Compute capability of a GPU in the driver's words, as `sm90`; empty where they do not tell it."""
    told = re.search(r"compute capability (\d+)\.(\d+)", gpu)
    return f"sm{told[1]}{told[2]}" if told else ""
