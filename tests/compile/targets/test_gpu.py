"""The driver's interface, spoken to a double of it: `libcuda` is there only where a GPU is."""

import ctypes
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile.targets.gpu import Driver as FoundDriver
from engineroom.compile.targets.gpu import Gpu, driver_from_library, gpus_from_driver

NO_DEVICE = 100
"""`CUDA_ERROR_NO_DEVICE`."""


class Driver:
    """The six functions of `libcuda` that are asked, writing through pointers as it does."""

    def __init__(self, *found: tuple[str, int, int], status: int = 0) -> None:
        self.found = found
        self.status = status

    def cuDriverGetVersion(self, version: Any) -> int:
        version._obj.value = 13020
        return 0

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return self.status

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.found)
        return 0

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:
        # A device's handle is the driver's own number, not the ordinal.
        device._obj.value = ordinal + 7
        return 0

    def cuDeviceGetName(self, name: Any, length: int, device: ctypes.c_int) -> int:
        name.value = self.found[device.value - 7][0].encode()[: length - 1]
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: ctypes.c_int) -> int:
        value._obj.value = self.found[device.value - 7][{75: 1, 76: 2}[attribute]]
        return 0


def test_every_gpu_is_told_with_its_capability() -> None:
    found = gpus_from_driver(Driver(("NVIDIA L4", 8, 9), ("NVIDIA H200", 9, 0)))
    assert found == (Gpu("NVIDIA L4", "8.9"), Gpu("NVIDIA H200", "9.0"))
    assert str(found[1]) == "NVIDIA H200, compute capability 9.0"


@pytest.mark.parametrize("driver", [Driver(), Driver(("NVIDIA L4", 8, 9), status=NO_DEVICE)], ids=["none", "refused"])
def test_a_driver_without_a_usable_gpu_shows_none(driver: Driver) -> None:
    assert gpus_from_driver(driver) == ()


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 17 22:55:48 UTC 2024\n", "535.161.08"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.44.01  Release Build\n", "590.44.01"),
        ("GCC version: none\n", ""),
        (None, ""),
    ],
    ids=["closed", "open", "says nothing", "WSL"],
)
def test_the_driver_tells_its_versions(tmp_path: Path, told: str | None, version: str) -> None:
    path = tmp_path / "version"
    if told is not None:
        path.write_text(told)
    found = driver_from_library(Driver(("NVIDIA L4", 8, 9)), path)
    assert found == FoundDriver(version, "13.2", (Gpu("NVIDIA L4", "8.9"),), status=0)


def test_a_driver_that_refuses_says_its_status(tmp_path: Path) -> None:
    assert driver_from_library(Driver(status=NO_DEVICE), tmp_path) == FoundDriver("", "13.2", (), status=NO_DEVICE)
