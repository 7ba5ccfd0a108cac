"""The driver's interface, spoken to a double of it: `libcuda` is there only where a GPU is."""

import ctypes
from typing import Any

import pytest

from engineroom.compile.gpu import Gpu, gpus_from_driver

NO_DEVICE = 100
"""`CUDA_ERROR_NO_DEVICE`."""


class Driver:
    """The five functions of `libcuda` that are asked, writing through pointers as it does."""

    def __init__(self, *found: tuple[str, int, int], status: int = 0) -> None:
        self.found = found
        self.status = status

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
