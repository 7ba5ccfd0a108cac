"""Which perf_analyzer is usable here, and how it is started."""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from engineroom.errors import ToolMissing
from engineroom.project import cache_folder

VERSION = "2.60.0"
"""The release that is installed, and whose options and output are known to fit."""

INSTALL = "Run: engineroom load install-perf-analyzer"
LOADER = "ld-linux-x86-64.so.2"


@dataclass(frozen=True)
class PerfAnalyzer:
    """A perf_analyzer that runs here.

    Attributes:
        command: What starts it; its own options follow.
        version: Its version, as far as known: the binary itself does not tell its release.
        origin: Where it was found.
    """

    command: tuple[str, ...]
    version: str
    origin: str


def find_perf_analyzer() -> PerfAnalyzer:
    """The first that runs: on the `PATH` (NVIDIA's containers), the wheel in this environment, the installed one.

    Raises:
        ToolMissing: None is there, or none of those that are there runs.
    """
    found = _candidates()
    for candidate in found:
        if runs(candidate.command):
            return candidate
    raise ToolMissing(f"perf_analyzer: {_why_not(found)} {INSTALL}")


def _candidates() -> list[PerfAnalyzer]:
    found = []
    on_path = shutil.which("perf_analyzer")
    # The wheel's own script of that name hides the exit status, and the placeholder's runs nothing.
    if on_path and _is_program(Path(on_path)):
        found.append(PerfAnalyzer((on_path,), "of the container", on_path))
    version = wheel_version()
    if version:
        binary = _wheel_binary()
        if binary.is_file():
            found.append(PerfAnalyzer((str(binary),), version, str(binary)))
    folder = installed_folder()
    if folder.is_dir():
        found.append(perf_analyzer_in(folder))
    return found


def _why_not(found: list[PerfAnalyzer]) -> str:
    if found:
        return f"{found[-1].origin} does not run on this system (it needs glibc 2.38; here is {_libc()})."
    version = wheel_version()
    if version:
        return (
            f"the installed package perf-analyzer {version} is a placeholder without a program, "
            "which pip resolves to where glibc is older than 2.38."
        )
    return "is not installed."


def _libc() -> str:
    return " ".join(platform.libc_ver()).strip() or "another C library"


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def wheel_version() -> str | None:
    """Version of the perf-analyzer package in this environment; None where there is none."""
    try:
        return importlib.metadata.version("perf-analyzer")
    except importlib.metadata.PackageNotFoundError:
        return None


def _wheel_binary() -> Path:
    package = importlib.metadata.distribution("perf-analyzer")
    return Path(str(package.locate_file("perf_analyzer/bin/perf_analyzer")))


def installed_folder() -> Path:
    """Where `install-perf-analyzer` puts it."""
    return cache_folder() / "perf_analyzer" / VERSION


def perf_analyzer_in(folder: Path) -> PerfAnalyzer:
    """The one that `install-perf-analyzer` left in a folder.

    Args:
        folder: Holds `perf_analyzer/bin/perf_analyzer`, and `lib/` where it needs libraries newer than the system's.
    """
    binary, libraries = folder / "perf_analyzer" / "bin" / "perf_analyzer", folder / "lib"
    command: tuple[str, ...] = (str(binary),)
    if libraries.is_dir():
        # Nothing is put into the environment: a program it starts keeps the system's libraries.
        command = (str(libraries / LOADER), "--library-path", str(libraries), str(binary))
    return PerfAnalyzer(command, VERSION, str(binary))


def runs(command: tuple[str, ...]) -> bool:
    """Whether a perf_analyzer starts here: a loader that lacks a library ends with a status other than 0."""
    try:
        answer = subprocess.run(
            [*command, "--version"], capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "Perf Analyzer" in answer.stdout + answer.stderr


def check_platform() -> None:
    """Pass where NVIDIA's build can run at all.

    Raises:
        ToolMissing: Another system or processor.
    """
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise ToolMissing(
            f"perf_analyzer is built for Linux on x86-64, this is {sys.platform} on {platform.machine()}. "
            "Use the one in NVIDIA's Triton SDK container."
        )
