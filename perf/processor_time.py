"""Processor time of other processes, as the scheduler counts it."""

import time
from contextlib import suppress
from pathlib import Path

PROCESS_CLOCK = 2
"""The clock of a process with all its threads: see clock_getcpuclockid(3)."""


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, seconds; 0 where it has ended."""
    try:
        return time.clock_gettime(~pid << 3 | PROCESS_CLOCK)
    except OSError:
        return 0.0


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found: set[int] = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with suppress(FileNotFoundError):  # a thread that has ended meanwhile
            found.update(map(int, path.read_text().split()))
    return found
