"""The Python that the embedded server's backends run in: found, asked, and checked before anything is downloaded."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import ServerNotInstalled

SUPPORTED = ("3.12", "3.11", "3.10")
"""Versions with both a stub in the Triton wheel and a numpy 1.26 wheel."""

GLIBC = (2, 35)
"""The Triton wheel is `manylinux_2_35`."""

VARIABLE = "ENGINEROOM_SERVER_PYTHON"

_QUESTION = """
import json, platform, sys, sysconfig
print(json.dumps({
    "version": platform.python_version(),
    "prefix": sys.base_prefix,
    "folders": [sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("LIBPL"), sys.base_prefix + "/lib"],
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python that can run the stub.

    Attributes:
        executable: Path of the program.
        version: Three-part version.
        prefix: Where it is installed (not the virtual environment it may be in).
        libraries: Folder of its shared `libpython`.
    """

    executable: Path
    version: str
    prefix: Path
    libraries: Path

    @property
    def minor(self) -> str:
        """Version as the stub's folder is called, such as `3.11`."""
        return ".".join(self.version.split(".")[:2])


def find_interpreter() -> Interpreter:
    """The Python to use: `ENGINEROOM_SERVER_PYTHON`, else the running one, else one on PATH.

    Raises:
        ServerNotInstalled: This is no machine for the embedded server, or no Python fits; says why for each one.
    """
    check_machine()
    complaints = []
    for program in _candidates():
        found = ask_interpreter(program)
        if isinstance(found, Interpreter):
            return found
        complaints.append(f"\n  {program}: {found}")
    raise ServerNotInstalled(
        f"the embedded server needs a Python {SUPPORTED[-1]} to {SUPPORTED[0]} with a shared libpython, found none."
        f"{''.join(complaints)}\nInstall one, or name it in {VARIABLE}."
    )


def check_machine() -> None:
    """Make sure that the Triton wheel's binary can run here.

    Raises:
        ServerNotInstalled: It cannot; the message names the alternative.
    """
    found = f"{platform.system()} {platform.machine()}"
    library, version = platform.libc_ver()
    if found != "Linux x86_64" or library != "glibc":
        reason = f"is built for Linux x86_64 with glibc, this is {found} with {library or 'another libc'}"
    elif tuple(int(part) for part in version.split(".")[:2]) < GLIBC:
        reason = f"needs glibc {'.'.join(map(str, GLIBC))} or newer, this machine has {version}"
    else:
        return
    raise ServerNotInstalled(f"the embedded server {reason}. Use the Triton container instead (Dockerfile.triton).")


def ask_interpreter(program: str) -> Interpreter | str:
    """Ask a Python for what the server needs to know.

    Args:
        program: Path of the executable.

    Returns:
        The interpreter, or why it does not fit.
    """
    try:
        answer = subprocess.run(
            [program, "-I", "-c", _QUESTION], capture_output=True, text=True, check=True, timeout=30
        )
        known = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"does not run as a Python ({type(error).__name__})."
    minor = ".".join(known["version"].split(".")[:2])
    if minor not in SUPPORTED:
        return f"is Python {known['version']}, the server takes {', '.join(SUPPORTED)}."
    library = f"libpython{minor}.so.1.0"
    for folder in filter(None, known["folders"]):
        if (Path(folder) / library).exists():
            return Interpreter(Path(program), known["version"], Path(known["prefix"]), Path(folder))
    return (
        f"has no shared {library}. Debian and Ubuntu have it in the package libpython{minor}; "
        "pyenv builds it with PYTHON_CONFIGURE_OPTS=--enable-shared."
    )


def _candidates() -> Iterator[str]:
    named = os.environ.get(VARIABLE)
    if named:
        yield named
        return
    yield sys.executable
    for version in SUPPORTED:
        on_path = shutil.which(f"python{version}")
        if on_path:
            yield on_path
