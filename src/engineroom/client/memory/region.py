"""One region of system shared memory: a file in memory that this process and a server have both mapped.

Whoever makes a region holds a lock on its file. The kernel takes the lock away when the process ends, however it ends,
and sees it from every container that shares the folder: so a region whose lock is free belongs to nobody any more.
"""

import mmap
import os
import secrets
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps POSIX shared memory
PREFIX = "engineroom-client_"
"""Begins the name of every region of ours, here and at the server; the process id follows, for who looks on."""


class Region:
    """A new region, readable and writable by this user alone, and gone with this object or this process.

    Args:
        size_bytes: Its size, reserved at once: a full memory is an error here and no signal later.

    Attributes:
        name: Its file in `FOLDER`, and its name at the server.
        size_bytes: Its size.

    Raises:
        OSError: There is no room, or no such folder.
    """

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.name, descriptor = _locked_file()
        self._remove = weakref.finalize(self, _remove, FOLDER / self.name, os.getpid())
        try:
            os.posix_fallocate(descriptor, 0, size_bytes)
            self._memory = mmap.mmap(descriptor, size_bytes)  # holds the lock from now on
        except (OSError, ValueError) as error:
            self._remove()
            raise OSError(f"no room for {size_bytes} bytes of shared memory ({error})") from error
        finally:
            os.close(descriptor)

    def array(self, dtype: npt.DTypeLike, shape: tuple[int, ...], offset: int) -> npt.NDArray[Any]:
        """A part of the region as an array, for as long as the region is."""
        part: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=self._memory, offset=offset)
        return part

    def close(self) -> None:
        """Remove the file. A server that has mapped it keeps the memory until it forgets the region."""
        self._remove()
        with suppress(BufferError):  # an array of it is still somewhere, and takes it along
            self._memory.close()


def sweep() -> None:
    """Remove the regions of processes that have ended."""
    for path in FOLDER.glob(f"{PREFIX}*"):
        with suppress(OSError), _opened(path) as descriptor:
            _lock(descriptor, waits=False)
            path.unlink()


def _locked_file() -> tuple[str, int]:
    while True:
        name = f"{PREFIX}{os.getpid()}_{secrets.token_hex(8)}"
        descriptor = os.open(FOLDER / name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        _lock(descriptor, waits=True)
        if os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)  # swept between its making and its lock


def _lock(descriptor: int, waits: bool) -> None:
    import fcntl  # not everywhere, and nor is FOLDER

    fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:  # and not a child of its, which has inherited this object
        path.unlink(missing_ok=True)
