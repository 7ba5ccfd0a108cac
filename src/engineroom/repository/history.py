"""The history of a model's configuration: who changed what, when, why, and what came of it (`history.jsonl`).

One line a change, only ever added to. Every line holds the whole texts of the files it changed, before and after, so
that any state can be shown and taken up again, also one that was taken back.
"""

import getpass
import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from engineroom.errors import RepositoryError
from engineroom.repository.documents import known
from engineroom.repository.files import sync_folder
from engineroom.repository.layout import ModelFolder
from engineroom.repository.wiring import read

HISTORY = "history.jsonl"
"""Name of the file, in the model's folder."""

Outcome = Literal["written", "applied", "taken back"]


@dataclass(frozen=True)
class Effect:
    """What a model did in a moment of time, from Triton's own statistics and from golden inputs sent one by one.

    Attributes:
        seconds: How long it was watched.
        requests_per_s: Requests answered, of everybody, the probes too.
        failed: Requests that failed in that time.
        queue_us: Mean time of a request in the queue.
        compute_us: Mean time of a request in the model, input and output included.
        rows_per_batch: Mean rows of an execution.
        golden_p50_ms: Median latency of the golden input, sent one at a time.
        golden_p99_ms: Its 99th percentile.
    """

    seconds: float
    requests_per_s: float
    failed: int
    queue_us: float
    compute_us: float
    rows_per_batch: float
    golden_p50_ms: float
    golden_p99_ms: float


@dataclass(frozen=True)
class Change:
    """One file before and after; None where it was not there.

    Attributes:
        before: Its text before.
        after: Its text after.
    """

    before: str | None
    after: str | None


@dataclass(frozen=True)
class Record:
    """One line of the history.

    Attributes:
        number: Its number in the model's history, from 1.
        at: UTC time, ISO 8601.
        by: Who, as `user@host`.
        why: Their reason; empty where they gave none.
        action: What was asked for: `set`, `apply`, `rollback`, `promote`, `retire`, `pull`.
        outcome: `written` to the files alone; `applied` and proven on a running server; `taken back`.
        reason: Why it was taken back.
        changes: The files, by path inside the model's folder.
        versions: The versions served, before and after, by path of the configuration that serves them.
        servers: Addresses of the servers it was applied to.
        effect: What the model did before and after; empty where that was not measured.
        undoes: Numbers of the changes that a rollback took back.
        unproven: Versions served that have no golden answer: they were loaded, and not compared with anything.
    """

    number: int
    at: str
    by: str
    why: str
    action: str
    outcome: Outcome
    reason: str = ""
    changes: dict[str, Change] = field(default_factory=dict)
    versions: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    servers: tuple[str, ...] = ()
    effect: dict[str, Effect] = field(default_factory=dict)
    undoes: tuple[int, ...] = ()
    unproven: tuple[int, ...] = ()

    @property
    def stands(self) -> bool:
        """Whether it changed what the files say, and was not taken back."""
        return self.outcome != "taken back" and bool(self.changes)


def history(model: ModelFolder) -> tuple[Record, ...]:
    """A model's history, oldest first; a last line that a power cut left unfinished is not counted.

    Raises:
        RepositoryError: A line is no record.
    """
    path = model.path / HISTORY
    if not path.exists():
        return ()
    *lines, _ = path.read_bytes().split(b"\n")
    return tuple(record_from_json(line, f"{path}: line {number}") for number, line in enumerate(lines, 1))


def add(model: ModelFolder, record: Record) -> Record:
    """Add a line to a model's history, under the next number. The model must be held.

    Args:
        model: The model.
        record: The record; its number is not looked at.

    Returns:
        The record with its number.

    Raises:
        OSError: The file cannot be written; nothing is added then.
        RepositoryError: It is no history.
    """
    numbered = Record(**{**vars(record), "number": len(history(model)) + 1})
    path = model.path / HISTORY
    with path.open("ab") as file:
        # A line that was cut off is written over: nobody has ever seen it.
        whole = path.read_bytes().rfind(b"\n") + 1
        file.truncate(whole)
        try:
            file.write(json.dumps(asdict(numbered), ensure_ascii=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            file.truncate(whole)
            raise
    sync_folder(model.path)
    return numbered


def record(action: str, outcome: Outcome, by: str = "", why: str = "", **rest: Any) -> Record:
    """A record of now.

    Args:
        action: What was asked for.
        outcome: What came of it.
        by: Who; whoever runs this by default.
        why: Their reason.
        **rest: Further fields of `Record`.
    """
    return Record(0, now(), by or operator(), why, action, outcome, **rest)


def now() -> str:
    """UTC time, ISO 8601, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def operator() -> str:
    """Who runs this: `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # A container may run under a number that has no name.
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def last_applied(records: tuple[Record, ...], path: str) -> str | None:
    """The newest text of a file that a server was proven to serve; None where the history tells of none."""
    texts = [one.changes[path].after for one in records if one.outcome == "applied" and path in one.changes]
    return texts[-1] if texts else None


def undone(records: tuple[Record, ...]) -> frozenset[int]:
    """Numbers of the changes that a later rollback took back."""
    return frozenset(number for one in records if one.stands for number in one.undoes)


def record_from_json(line: bytes, where: str) -> Record:
    """Read one record.

    Args:
        line: Its JSON.
        where: Where it stands, for the message.

    Raises:
        RepositoryError: It is none.
    """
    try:
        raw = known(Record, json.loads(line))
        changes = {path: Change(**known(Change, one)) for path, one in raw.get("changes", {}).items()}
        versions = {path: (tuple(a), tuple(b)) for path, (a, b) in raw.get("versions", {}).items()}
        effect = {when: Effect(**known(Effect, one)) for when, one in raw.get("effect", {}).items()}
        lists = {name: tuple(raw.get(name, ())) for name in ("servers", "undoes", "unproven")}
        return Record(**{**raw, **lists, "changes": changes, "versions": versions, "effect": effect})
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RepositoryError(
            f"{where} is no record of a change ({error}). Take the line out, or the file back from a copy."
        ) from error


def texts_of(model: ModelFolder) -> dict[Path, str]:
    """Every configuration of a model with its text.

    Raises:
        RepositoryError: One cannot be read.
    """
    return {path: read(path) for path in model.configs}
