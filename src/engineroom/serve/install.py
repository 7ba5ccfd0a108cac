"""Making the embedded server, once: whole or not at all, however many processes try and wherever one is killed."""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engineroom.errors import ServerNotInstalled
from engineroom.serve.embedded import PINS, EmbeddedServer, embedded_server

Report = Callable[[str], None]
"""Takes one line on what is being done."""


def install(report: Report, *, force: bool = False) -> bool:
    """Install the embedded server unless it is there.

    Args:
        report: Told about each step.
        force: Make it anew even where it is there.

    Returns:
        True where something was installed, False where there was nothing to do.

    Raises:
        ServerNotInstalled: This machine cannot run it, a package could not be had, or the cache cannot be written.
    """
    server = embedded_server()
    if not force and not server.missing:
        return False
    try:
        with _locked(server.folder.with_suffix(".lock"), report) as lock:
            if not force and not server.missing:
                return False
            _make(server, lock, report)
    except OSError as error:
        raise ServerNotInstalled(
            f"{server.folder}: cannot be written ({error.strerror or error}). "
            "Make room or rights there, or name another folder in ENGINEROOM_CACHE."
        ) from error
    return True


@contextmanager
def _locked(path: Path, report: Report) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("waiting for another process that is installing the server")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _make(server: EmbeddedServer, lock: int, report: Report) -> None:
    # The lock is held: a folder of this name was left by a process that was killed.
    partial = EmbeddedServer(server.folder.with_suffix(".partial"), server.interpreter)
    shutil.rmtree(partial.folder, ignore_errors=True)
    try:
        _make_environment(partial, report)
        _download(partial, lock, report)
        _assemble(partial, report)
    except BaseException:
        shutil.rmtree(partial.folder, ignore_errors=True)
        raise
    old = server.folder.with_suffix(".old")
    shutil.rmtree(old, ignore_errors=True)
    if server.folder.exists():
        server.folder.rename(old)
    partial.folder.rename(server.folder)
    shutil.rmtree(old, ignore_errors=True)


def _make_environment(server: EmbeddedServer, report: Report) -> None:
    report(f"making an environment with Python {server.interpreter.version}")
    command = [str(server.interpreter.executable), "-I", "-m", "venv", "--without-pip", str(server.environment)]
    made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if made.returncode:
        raise ServerNotInstalled(
            f"{server.interpreter.executable}: cannot make a virtual environment.\n{made.stdout.strip()}\n"
            "Debian and Ubuntu have the module venv in the package python3-venv."
        )


def _download(server: EmbeddedServer, lock: int, report: Report) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ServerNotInstalled(f"{sys.executable}: has no pip. Run: {sys.executable} -m ensurepip --upgrade")
    command = [sys.executable, "-m", "pip", "--python", str(server.environment / "bin" / "python3"), "install"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    command += ["--no-deps", "--only-binary=:all:", *PINS]
    # pip holds the lock too: where we are killed it goes on writing, and the next installation must wait for it.
    pip = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(lock,))
    last: deque[str] = deque(maxlen=8)
    with pip:
        for line in pip.stdout or ():
            last.append(line.rstrip())
            step = re.match(r"\s*(Downloading|Using cached|Processing|Installing collected packages:) (.*)", line)
            if step:
                report(f"{step[1].removesuffix(' collected packages:').lower()} {step[2].rsplit('/', 1)[-1]}")
    if pip.returncode:
        raise ServerNotInstalled(
            f"pip could not install {', '.join(PINS)} (exit status {pip.returncode}). Its last lines:\n  "
            + "\n  ".join(last)
        )


def _assemble(server: EmbeddedServer, report: Report) -> None:
    report("assembling the Python backend")
    stub = server.triton / "python_backend_stubs" / server.interpreter.minor / "triton_python_backend_stub"
    source = server.triton / "backends" / "python"
    server.python_backend.mkdir(parents=True)
    for file in (source / "libtriton_python.so", source / "triton_python_backend_utils.py", stub):
        target = server.python_backend / file.name
        shutil.copyfile(file, target)
        target.chmod(0o755)
    server.binary.chmod(0o755)
    question = "import numpy, openvino; assert numpy.__version__ < '2'; openvino.Core().available_devices"
    command = [str(server.environment / "bin" / "python3"), "-I", "-c", question]
    tried = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if tried.returncode:
        raise ServerNotInstalled(f"the packages of the embedded server do not import here.\n{tried.stdout.strip()}")
    os.sync()
