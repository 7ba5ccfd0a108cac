"""What a server leaves outside itself: shared-memory regions and a run folder, both named after it.

Triton removes its regions when it ends in order; a killed one cannot. The name carries the process that started the
server and a random part, so that exactly its own things are removed, and those of dead servers by the next one.
"""

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux keeps POSIX shared memory
PREFIX = "engineroom_"


def new_name() -> str:
    """A name for one server: `engineroom_PID_RANDOM`."""
    return f"{PREFIX}{os.getpid()}_{secrets.token_hex(4)}"


def make_run_folder(name: str) -> Path:
    """Make the folder of one server's temporary files.

    Args:
        name: From `new_name`.
    """
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir(mode=0o700)
    return folder


def remove(name: str) -> None:
    """Remove everything of one server.

    Args:
        name: From `new_name`; the server must have ended.
    """
    for path in SHARED_MEMORY.glob(f"{name}_*"):
        with suppress(OSError):
            path.unlink()
    shutil.rmtree(Path(tempfile.gettempdir()) / name, ignore_errors=True)


def sweep() -> tuple[str, ...]:
    """Remove what dead servers of ours have left.

    Returns:
        Names of the servers swept.
    """
    dead = dead_servers()
    for name in dead:
        remove(name)
    return dead


def dead_servers() -> tuple[str, ...]:
    """Names of servers of ours that have ended and left something."""
    paths = (*SHARED_MEMORY.glob(f"{PREFIX}*_*"), *Path(tempfile.gettempdir()).glob(f"{PREFIX}*_*"))
    names = {"_".join(path.name.split("_")[:3]) for path in paths}
    return tuple(sorted(name for name in names if not is_alive(name)))


def is_alive(name: str) -> bool:
    """Whether a server of ours, by its name, still runs or is about to start."""
    # Either the process that started the server lives, or the server itself still drains: the name is among
    # the arguments of Triton and of its stubs.
    owner = name.split("_")[1]
    if not owner.isdecimal() or Path("/proc", owner).exists():
        return True
    return any(name.encode() in _command(process) for process in Path("/proc").glob("[0-9]*"))


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
