"""The GPUs that NVIDIA's driver shows to this process.

Asked through the driver's C interface, because where engines are compiled for service there is no PyTorch to ask.
"""

import ctypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
"""`CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR` and `_MINOR` (CUDA driver API, enum `CUdevice_attribute`)."""

NAME_BYTES = 256


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: The driver's name of it, such as `NVIDIA L4`.
        capability: Its compute capability, such as `8.9`.
    """

    name: str
    capability: str

    def __str__(self) -> str:
        """Name and compute capability, as a passport records them."""
        return f"{self.name}, compute capability {self.capability}"


@dataclass(frozen=True)
class Driver:
    """NVIDIA's driver, and what it shows.

    Attributes:
        version: Such as `580.95.05`; empty where the kernel does not tell it, as under WSL.
        cuda: The newest CUDA that it runs, such as `13.0`; empty where it does not tell.
        gpus: What it shows to this process.
        status: What `cuInit` answered: 0, or a `CUresult` such as 100 (`CUDA_ERROR_NO_DEVICE`).
    """

    version: str
    cuda: str
    gpus: tuple[Gpu, ...]
    status: int = 0

    def __str__(self) -> str:
        """The versions, as a passport records them: `580.95.05, CUDA 13.0`."""
        return ", ".join(filter(None, (self.version, self.cuda and f"CUDA {self.cuda}")))


def find_driver() -> Driver | None:
    """The driver of this machine; None where its library is not here."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None
    return driver_from_library(library, Path("/proc/driver/nvidia/version"))


def driver_from_library(library: Any, told: Path) -> Driver:
    """What a loaded driver library and the kernel tell.

    Args:
        library: `libcuda`, through ctypes.
        told: The kernel module's description of itself.
    """
    version = re.search(r"\b\d{3}(?:\.\d+){1,2}\b", told.read_text(encoding="utf-8")) if told.is_file() else None
    number = ctypes.c_int()
    # 1000 * major + 10 * minor (CUDA driver API, cuDriverGetVersion).
    failed = library.cuDriverGetVersion(ctypes.byref(number))
    cuda = "" if failed else f"{number.value // 1000}.{number.value % 1000 // 10}"
    return Driver(version[0] if version else "", cuda, gpus_from_driver(library), int(library.cuInit(0)))


def gpus() -> tuple[Gpu, ...]:
    """The GPUs in the driver's order, which `CUDA_VISIBLE_DEVICES` narrows; none where there is no working driver."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    return gpus_from_driver(driver)


def gpus_from_driver(driver: Any) -> tuple[Gpu, ...]:
    """The GPUs of a loaded driver library.

    Args:
        driver: `libcuda`, through ctypes.
    """
    count = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)):
        return ()
    return tuple(_gpu(driver, ordinal) for ordinal in range(count.value))


def _gpu(driver: Any, ordinal: int) -> Gpu:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(NAME_BYTES)
    driver.cuDeviceGet(ctypes.byref(device), ordinal)
    driver.cuDeviceGetName(name, NAME_BYTES, device)
    major, minor = (_attribute(driver, device, number) for number in (CAPABILITY_MAJOR, CAPABILITY_MINOR))
    return Gpu(name.value.decode(errors="replace"), f"{major}.{minor}")


def _attribute(driver: Any, device: ctypes.c_int, number: int) -> int:
    value = ctypes.c_int()
    driver.cuDeviceGetAttribute(ctypes.byref(value), number, device)
    return value.value
