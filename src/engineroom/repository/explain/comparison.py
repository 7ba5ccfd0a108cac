"""Two configurations side by side: the lines that differ, and what each difference means."""

from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

from engineroom.repository.config import config_from_text
from engineroom.repository.explain.effects import changes
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.figures import bytes_said, counted
from engineroom.repository.explain.outlook import IN_WORDS, Change, Needs, most


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes:
        label: What it is called: a path, `digits@3`.
        text: Its text.
    """

    label: str
    text: str

    @property
    def config(self) -> Any:
        """Its `ModelConfig` message.

        Raises:
            RepositoryError: The text is none.
        """
        return config_from_text(self.text, Path(self.label), unknown=True)


@dataclass(frozen=True)
class Comparison:
    """What differs between two configurations, and what it means.

    Attributes:
        before: What the first is called.
        after: What the second is called.
        diff: Lines that differ, as a unified diff; empty where none does.
        changes: One for each setting that differs.
    """

    before: str
    after: str
    diff: str
    changes: tuple[Change, ...]

    @property
    def needs(self) -> Needs:
        """What all changes together take."""
        return most(tuple(change.needs for change in self.changes))

    @property
    def memory_bytes(self) -> int | None:
        """What all changes together add; None where a part of it is unknown."""
        amounts = [change.memory_bytes for change in self.changes]
        return None if None in amounts else sum(amount or 0 for amount in amounts)

    @property
    def summary(self) -> str:
        """All of it in one line."""
        if not self.changes:
            what = "comments and layout alone differ" if self.diff else "the same text"
            return f"{what}: nothing to do"
        said = [counted(len(self.changes), "change"), f"together they need {IN_WORDS[self.needs]}"]
        amount = self.memory_bytes
        if amount:
            said.append(f"memory {'+' if amount > 0 else '-'}{bytes_said(abs(amount))}")
        warned = sum(bool(change.callers) for change in self.changes)
        said.append(f"callers notice {warned} of them" if warned else "callers notice nothing")
        return ", ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON's types."""
        return {
            "before": self.before,
            "after": self.after,
            "needs": self.needs,
            "memory_bytes": self.memory_bytes,
            "summary": self.summary,
            "changes": [change.to_dict() for change in self.changes],
        }


def comparison(before: Side, after: Side, facts: Facts | None = None) -> Comparison:
    """Compare two texts.

    Args:
        before: What is served now.
        after: What shall be served.
        facts: What is known of the model.

    Raises:
        RepositoryError: One of them is no configuration.
    """
    old, new = before.text.splitlines(), after.text.splitlines()
    diff = unified_diff(old, new, before.label, after.label, lineterm="")
    found = changes(before.config, after.config, facts=facts)
    return Comparison(before.label, after.label, "\n".join(diff), found)
