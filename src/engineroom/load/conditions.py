"""The conditions of a measurement: machine, versions, command, time."""

import os
import platform
from datetime import datetime, timezone
from pathlib import Path

from engineroom import __version__
from engineroom.load.result import Conditions


def conditions_of_now(command: str, versions: dict[str, str]) -> Conditions:
    """The conditions of a measurement that ends now, on this machine.

    Args:
        command: The command that measures it again.
        versions: What took part, by name; engineroom and Python are added.
    """
    return Conditions(
        machine=machine_name(),
        cores=len(os.sched_getaffinity(0)),
        versions={**versions, "engineroom": __version__, "python": platform.python_version()},
        command=command,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def machine_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's model name, or the architecture where the system does not tell it.

    Args:
        cpuinfo: Linux's description of the processors.
    """
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()
