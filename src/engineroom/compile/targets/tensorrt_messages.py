"""What a TensorRT module says while it works, kept for the message of an error."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any


@dataclass
class Messages:
    """The errors TensorRT logged. It keeps the first logger of a process, so there is one for each module of it."""

    logger: Any
    lines: list[str] = field(default_factory=list)

    def take(self) -> str:
        """The last errors as one line; forgets all."""
        text = " ".join(self.lines[-3:])[:600] or "it gave no reason"
        self.lines.clear()
        return text


@cache
def messages(trt: Any) -> Messages:
    """The one logger of a TensorRT module in this process."""
    lines: list[str] = []

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                lines.append(msg.strip())

    return Messages(Logger(), lines)
