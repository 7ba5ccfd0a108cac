"""The conditions of a measurement: machine, versions, command, time."""

import os
import platform
from datetime import datetime, timezone

from engineroom import __version__
from engineroom.hardware import processor
from engineroom.load.result import Conditions


def conditions_of_now(command: str, versions: dict[str, str]) -> Conditions:
    """The conditions of a measurement that ends now, on this machine.

    Args:
        command: The command that measures it again.
        versions: What took part, by name; engineroom and Python are added.
    """
    return Conditions(
        machine=processor(),
        cores=len(os.sched_getaffinity(0)),
        versions={**versions, "engineroom": __version__, "python": platform.python_version()},
        command=command,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
