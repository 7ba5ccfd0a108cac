"""The embedded server: a Triton without Docker, in a Python environment of its own in the user's cache.

Its binary and Python backend come in the `nvidia-pytriton` wheel. The Python backend's stub reads requests with
numpy < 2 only, so the toolchain and the server cannot share an environment.
"""

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import ServerNotInstalled
from engineroom.project import cache_folder
from engineroom.serve.interpreter import Interpreter, find_interpreter

PINS = ("nvidia-pytriton==0.7.0", "numpy==1.26.4", "openvino==2026.4.1")
"""What is installed, and nothing else: openvino imports without its own dependencies but numpy."""

LAYOUT = 1
"""Raised when the folder's form changes, so that an older installation is not mistaken for a current one."""


@dataclass(frozen=True)
class EmbeddedServer:
    """Where one installation lies, or would lie.

    Attributes:
        folder: Its folder, which appears only when it is complete.
        interpreter: The Python that its stubs run in.
    """

    folder: Path
    interpreter: Interpreter

    @property
    def environment(self) -> Path:
        """The virtual environment that the stubs run in."""
        return self.folder / "environment"

    @property
    def packages(self) -> Path:
        """The environment's `site-packages`."""
        return self.environment / "lib" / f"python{self.interpreter.minor}" / "site-packages"

    @property
    def triton(self) -> Path:
        """Triton's own folder in the wheel."""
        return self.packages / "pytriton" / "tritonserver"

    @property
    def binary(self) -> Path:
        """The `tritonserver` program."""
        return self.triton / "bin" / "tritonserver"

    @property
    def caches(self) -> Path:
        """Folder of the response caches."""
        return self.triton / "caches"

    @property
    def python_backend(self) -> Path:
        """The Python backend, with the stub of the right version beside its library."""
        return self.folder / "backends" / "python"

    @property
    def libraries(self) -> tuple[Path, ...]:
        """Folders that the dynamic loader needs: libpython, and what the wheel's build has put beside it."""
        return (self.interpreter.libraries, self.packages / "nvidia_pytriton.libs")

    @property
    def missing(self) -> tuple[Path, ...]:
        """Files that must be there and are not; all of them where nothing is installed."""
        needed = (
            self.binary,
            self.environment / "bin" / "python3",
            self.python_backend / "libtriton_python.so",
            self.python_backend / "triton_python_backend_stub",
            self.python_backend / "triton_python_backend_utils.py",
            self.packages / "numpy",
            self.packages / "openvino",
        )
        return tuple(path for path in needed if not path.exists())


def embedded_server() -> EmbeddedServer:
    """The installation that belongs to these pins, this Python and this machine, whether or not it is made yet.

    Raises:
        ServerNotInstalled: This machine, or its Pythons, cannot run the embedded server.
    """
    interpreter = find_interpreter()
    parts = (*PINS, str(LAYOUT), interpreter.version, str(interpreter.prefix), platform.machine())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
    return EmbeddedServer(cache_folder() / "server" / key, interpreter)


def installed_server() -> EmbeddedServer:
    """The embedded server, ready to be started.

    Raises:
        ServerNotInstalled: It is not installed, or files of it are gone.
    """
    server = embedded_server()
    if not server.folder.exists():
        raise ServerNotInstalled(
            f"no Triton on PATH or in /opt/tritonserver, and no embedded server in {server.folder}. "
            "Run: engineroom server install"
        )
    if server.missing:
        raise ServerNotInstalled(
            f"the embedded server in {server.folder} lacks {server.missing[0].relative_to(server.folder)}"
            f"{f' and {len(server.missing) - 1} more' if server.missing[1:] else ''}. "
            "Run: engineroom server install --force"
        )
    return server
