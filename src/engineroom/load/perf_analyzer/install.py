"""Getting the real perf_analyzer, in a folder of the user's cache."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from engineroom.errors import ToolMissing
from engineroom.load.perf_analyzer.binary import (
    VERSION,
    PerfAnalyzer,
    check_platform,
    installed_folder,
    perf_analyzer_in,
    runs,
)
from engineroom.load.perf_analyzer.newer_libraries import fetch_newer_libraries

WHEEL_PLATFORM = "manylinux_2_38_x86_64"
"""What the real wheel is built for. Where pip is not asked for it, an older system gets the placeholder 0.1.0."""


def install_perf_analyzer() -> PerfAnalyzer:
    """Install perf_analyzer for this user; where it is installed already, do nothing.

    Returns:
        One that was seen to run.

    Raises:
        ToolMissing: The platform is not supported, or the wheel or the libraries it needs cannot be had.
    """
    check_platform()
    folder = installed_folder()
    if folder.is_dir() and runs(perf_analyzer_in(folder).command):
        return perf_analyzer_in(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{VERSION}.", dir=folder.parent) as work:
            _publish(_prepared(Path(work)), folder)
    except OSError as error:
        raise ToolMissing(
            f"perf_analyzer cannot be installed in {folder.parent}: {error}. Free space, or set ENGINEROOM_CACHE."
        ) from error
    return perf_analyzer_in(folder)


def _prepared(work: Path) -> Path:
    """A complete folder that runs, under a temporary name."""
    folder = work / "new"
    _fetch_wheel(folder)
    binary = folder / "perf_analyzer" / "bin" / "perf_analyzer"
    if not binary.is_file():
        raise ToolMissing(f"the wheel perf-analyzer {VERSION} holds no program. Use NVIDIA's Triton SDK container.")
    binary.chmod(0o755)
    if not runs(perf_analyzer_in(folder).command):
        apt = work / "apt"
        apt.mkdir()
        fetch_newer_libraries(folder / "lib", apt)
    if not runs(perf_analyzer_in(folder).command):
        raise ToolMissing(f"perf_analyzer {VERSION} does not run here, not even with a newer C library.")
    return folder


def _fetch_wheel(folder: Path) -> None:
    # Only the binary is wanted, and it is a program of its own: no dependencies, nothing compiled.
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-compile", "--platform", WHEEL_PLATFORM, "--only-binary=:all:", "--target", str(folder)]
    answer = subprocess.run(
        [*command, f"perf-analyzer=={VERSION}"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    if answer.returncode != 0:
        lines = [line for line in answer.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise ToolMissing(f"pip cannot fetch perf-analyzer {VERSION}: {lines[-1]}")


def _publish(new: Path, folder: Path) -> None:
    if folder.is_dir() and not runs(perf_analyzer_in(folder).command):
        shutil.rmtree(folder)
    try:
        new.rename(folder)
    except OSError:
        # Another installation was quicker; its result is as good.
        if not runs(perf_analyzer_in(folder).command):
            raise
