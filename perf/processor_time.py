"""Processor time of other processes, as the scheduler counts it."""

import time
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
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
