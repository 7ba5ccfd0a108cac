"""A server with all its processes: started, watched, made to stand still, ended."""

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MARK = "ENGINEROOM_PEER_MARK"
"""Environment variable that every process of a server inherits, and by which those are found that left its tree."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
END_S = 10.0
"""Longest wait for a root that was asked to end."""
LEFT_S = 1.0
"""Longest wait for the others once it has."""


@dataclass(frozen=True)
class Tree:
    """The processes of one server.

    Attributes:
        root: Process id of the one that was started.
        mark: What the others have inherited; empty where only descendants count.
    """

    root: int
    mark: str = ""

    def pids(self) -> list[int]:
        """Every living process of the server."""
        parents = {int(path.name): _parent(path) for path in Path("/proc").glob("[0-9]*")}
        found = {self.root} & parents.keys()
        if self.mark:
            found |= {pid for pid in parents if _has_mark(pid, self.mark)}
        while more := {pid for pid, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def cpu_s(self) -> float:
        """Processor time that they have taken so far, seconds."""
        return sum(_cpu_ticks(pid) for pid in self.pids()) / TICKS_PER_S

    def memory_bytes(self) -> int:
        """Memory that they take: proportional set sizes, so that shared pages count once."""
        return sum(_pss_bytes(pid) for pid in self.pids())

    def pause(self) -> None:
        """Make them stand still: an idle server takes no processor time from the one that is measured."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self.send(signal.SIGCONT)

    def send(self, what: signal.Signals) -> None:
        """Send a signal to each of them."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, what)

    def end(self) -> None:
        """Ask the root to end, then kill what is left, however often it comes back."""
        self.resume()
        with suppress(ProcessLookupError):
            os.kill(self.root, signal.SIGTERM)
        _until(lambda: self.root not in self.pids(), END_S)
        _until(lambda: not self.pids(), LEFT_S)
        _until(self._killed, END_S)

    def _killed(self) -> bool:
        self.send(signal.SIGKILL)
        return not self.pids()


@contextmanager
def launched(command: list[str], environment: Mapping[str, str], folder: Path) -> Iterator[Tree]:
    """Start a server in a session of its own; none of its processes survives the block.

    Args:
        command: What to run.
        environment: Added to this process's own.
        folder: Its working folder, which also takes its `log`.
    """
    mark = uuid.uuid4().hex
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, MARK: mark},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    tree = Tree(process.pid, mark)
    try:
        yield tree
    finally:
        # Its parent must take it off the list of processes before it counts as gone.
        reaper = _reaping(process)
        tree.end()
        reaper.join()


def _until(question: Callable[[], bool], seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while not question() and time.monotonic() < until_s:
        time.sleep(0.05)


def _reaping(process: subprocess.Popen[bytes]) -> threading.Thread:
    reaper = threading.Thread(target=process.wait, daemon=True)
    reaper.start()
    return reaper


def _fields(path: Path) -> list[str]:
    # The name in parentheses may hold spaces; what follows it does not (proc(5)).
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parent(path: Path) -> int:
    fields = _fields(path)
    return int(fields[1]) if fields and fields[0] != "Z" else 0


def _cpu_ticks(pid: int) -> int:
    fields = _fields(Path("/proc") / str(pid))
    return int(fields[11]) + int(fields[12]) if fields else 0


def _has_mark(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def _pss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
