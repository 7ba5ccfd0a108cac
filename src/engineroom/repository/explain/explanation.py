"""A configuration explained: what is set, what is not, what it takes, and what changes would do."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engineroom.repository.config import config_from_text
from engineroom.repository.explain.facts import Facts, facts_from_folder
from engineroom.repository.explain.memory import Estimate, served
from engineroom.repository.explain.outlook import Change
from engineroom.repository.explain.prospects import prospects
from engineroom.repository.explain.settings import Setting, settings
from engineroom.repository.explain.unset import unset
from engineroom.repository.layout import ModelFolder
from engineroom.repository.pbtxt.tree import fields_from_text
from engineroom.repository.policy import served_versions
from engineroom.repository.wiring import read


@dataclass(frozen=True)
class Explanation:
    """One configuration, explained.

    Attributes:
        model: The model.
        path: The configuration's file.
        set: What is set, from top to bottom.
        unset: What is not, and matters.
        memory: What the model takes once it is loaded.
        changes: What some usual changes would do.
    """

    model: str
    path: Path
    set: tuple[Setting, ...]
    unset: tuple[Setting, ...]
    memory: Estimate
    changes: tuple[Change, ...]

    def to_dict(self) -> dict[str, Any]:
        """The explanation as JSON's types."""
        return {**asdict(self), "path": str(self.path), "changes": [change.to_dict() for change in self.changes]}


def explain(model: ModelFolder, path: Path, p99_ms: float | None = None) -> Explanation:
    """Explain one of a model's configurations.

    Args:
        model: The model's folder.
        path: The configuration's file.
        p99_ms: The 99th percentile that callers are promised, where it is known.

    Raises:
        RepositoryError: The file cannot be read, or is no configuration.
    """
    text = read(path)
    config = config_from_text(text, path, unknown=True)
    facts = facts_of(model, config, p99_ms)
    return Explanation(
        model.name,
        path,
        settings(config, fields_from_text(text), facts),
        unset(config, facts),
        served(config, facts),
        prospects(config, facts),
    )


def facts_of(model: ModelFolder, config: Any, p99_ms: float | None = None) -> Facts:
    """What is known of a model, of the version that a configuration serves by default.

    Args:
        model: The model's folder.
        config: The `ModelConfig` message that chooses the version.
        p99_ms: The 99th percentile that callers are promised, where it is known.
    """
    chosen = served_versions(config, model.versions)
    return facts_from_folder(model, chosen[-1] if chosen else None, p99_ms)
