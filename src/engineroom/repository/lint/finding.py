"""What a check found: where, how bad, why, and how to mend it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]
"""`error`: Triton refuses it or answers wrongly; `warning`: it loads and does not do what its author meant; `note`."""

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


class Anchor(Protocol):
    """A place in a text: fields and values of its tree are such places."""

    @property
    def start(self) -> int:
        """Offset of its first character."""

    @property
    def end(self) -> int:
        """Offset behind its last."""

    @property
    def line(self) -> int:
        """Line of its first character, from 1."""

    @property
    def column(self) -> int:
        """Column of it, from 1."""


@dataclass(frozen=True)
class Spot:
    """An anchor of its own; by default the beginning of the file.

    Attributes:
        start: Offset of its first character.
        end: Offset behind its last.
        line: Line of its first character, from 1.
        column: Column of it, from 1.
    """

    start: int = 0
    end: int = 0
    line: int = 1
    column: int = 1


TOP = Spot()
"""The beginning of a file, for what stands nowhere in it."""


@dataclass(frozen=True)
class Edit:
    """A change of a text that mends a finding without changing what its author meant.

    Attributes:
        start: Offset of the first character that goes.
        end: Offset behind the last.
        text: What comes instead.
    """

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class Found:
    """What a rule says of one place; the rule's own severity and verdict hold where none is given here.

    Attributes:
        anchor: The place.
        reason: Why it is wrong, a sentence without its full stop.
        mend: What to do, a sentence without its full stop.
        edits: The changes that do it, where they are safe.
        severity: Another severity than the rule's.
        refused: Another verdict than the rule's.
    """

    anchor: Anchor
    reason: str
    mend: str
    edits: tuple[Edit, ...] = ()
    severity: Severity | None = None
    refused: bool | None = None


@dataclass(frozen=True)
class Finding:
    """One finding in one file.

    Attributes:
        file: The configuration.
        line: Its line, from 1.
        column: Its column, from 1.
        length: Characters of that line that it is about, at least 1.
        severity: How bad it is.
        code: The rule's code, such as `ER401`.
        rule: The rule's name, such as `preferred-above-maximum`.
        reason: Why it is wrong.
        mend: What to do.
        refused: Triton refuses to load this configuration because of it.
        edits: Changes that mend it, where they are safe.
    """

    file: Path
    line: int
    column: int
    length: int
    severity: Severity
    code: str
    rule: str
    reason: str
    mend: str
    refused: bool = False
    edits: tuple[Edit, ...] = ()

    @property
    def sentence(self) -> str:
        """The finding in one line of text."""
        return f"{self.file}:{self.line}:{self.column}: {self.severity} {self.code}: {self.reason}. {self.mend}."

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON's types."""
        return {
            "file": str(self.file),
            "line": self.line,
            "column": self.column,
            "severity": self.severity,
            "code": self.code,
            "rule": self.rule,
            "reason": self.reason,
            "mend": self.mend,
            "refused": self.refused,
            "fixable": bool(self.edits),
        }


def edited(text: str, edits: tuple[Edit, ...]) -> str:
    """A text with its edits made; of two that overlap, the one that begins first.

    Args:
        text: The text that the edits' offsets belong to.
        edits: In any order.
    """
    pieces, end = [], 0
    for edit in sorted(set(edits), key=lambda one: (one.start, one.end)):
        if edit.start >= end:
            pieces += [text[end : edit.start], edit.text]
            end = edit.end
    return "".join((*pieces, text[end:]))
