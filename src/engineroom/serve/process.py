"""Starting Triton so that it cannot outlive us, and ending it so that nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from engineroom.serve.triton import Triton

KILL_S = 5.0
"""Time that killed processes are given to disappear."""

TEARDOWN_S = 30.0
"""Time for unloading after the last request was answered: Triton takes about a second for each stub."""

# Runs between fork and Triton, in an interpreter of its own because the one that forks may hold threads and locks:
# asks the kernel to end Triton when we end, however we end (prctl(2), PR_SET_PDEATHSIG = 1).
_LAUNCHER = """
import ctypes, json, os, signal, sys
parent, environment, *command = sys.argv[1:]
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(parent):
    sys.exit("the process that starts Triton has ended")
os.execve(command[0], command, json.loads(environment))
"""


def start(triton: Triton, options: list[str], log: Path) -> subprocess.Popen[bytes]:
    """Start Triton in a session of its own, so that Ctrl-C in the terminal reaches us alone.

    It ends when the calling *thread* ends, even by SIGKILL: call this from a thread that stays.

    Args:
        triton: What to start.
        options: Its options, besides `triton.options`.
        log: File that takes everything it writes.
    """
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), json.dumps(triton.environment)]
    with log.open("wb") as output:
        return subprocess.Popen(
            [*launcher, str(triton.binary), *options, *triton.options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], drain_s: float) -> None:
    """End Triton and its stubs.

    Args:
        process: From `start`.
        drain_s: Time for requests in flight; with 0 it is killed at once.
    """
    try:
        if process.poll() is None and drain_s > 0:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(drain_s + TEARDOWN_S)
    finally:
        _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + KILL_S
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            break
        process.poll()
        time.sleep(0.01)
    process.wait()
