"""Reading Triton's log: it alone says why a model did not load."""

import re
from collections import deque
from pathlib import Path

# E1122 00:51:44.189211 11339 model_lifecycle.cc:642] "failed to load 'x' version 1: Internal: …\n…"
_REASON = re.compile(
    r"^E\d{4} .*?(?:model_lifecycle|model_repository_manager|tritonserver|http_server|grpc_server)[.]cc:\d+\] "
    r"(?P<text>.*)"
)
# [libprotobuf ERROR …/text_format.cc:337] Error parsing text-format inference.ModelConfig: 8:4: …
_PROTOBUF = re.compile(r"^\[libprotobuf ERROR .*?\] (?P<text>.*)")
# error: creating server: Internal - failed to load all models
_FATAL = re.compile(r"^error: (?P<text>.*)")


def last_lines(log: Path, count: int = 15) -> str:
    """The end of a log, without the tables and empty lines that Triton draws.

    Args:
        log: The file.
        count: Lines at most.
    """
    with log.open(encoding="utf-8", errors="replace") as lines:
        told = (line.rstrip() for line in lines if line.strip() and line[0] not in "+|")
        return "\n".join(f"  {line}" for line in deque(told, maxlen=count))


def reasons(log: Path, start: int = 0) -> str:
    """Why a server did not start, or did not load a model, in its own words.

    Args:
        log: Its log.
        start: Byte of the log to begin at.

    Returns:
        One reason a line, indented; the last lines of the log where it names none.
    """
    found: dict[str, None] = {}
    fatal = ""
    for line in log.read_bytes()[start:].decode(errors="replace").splitlines():
        reason = _REASON.match(line) or _PROTOBUF.match(line)
        if reason:
            found[_plain(reason["text"])] = None
        elif match := _FATAL.match(line):
            fatal = _plain(match["text"])
    return "\n".join(f"  {text}" for text in found or ([fatal] if fatal else [])) or last_lines(log)


def _plain(text: str) -> str:
    # A stub's error ends with a Python stack in this form; lines are escaped within one log line.
    said = text.strip('"').replace('\\"', '"').split("\\n\\nAt:\\n")[0]
    return re.sub(r"\s*(\\n)+\s*", ": ", said).rstrip(": ")
