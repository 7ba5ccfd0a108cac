"""One setting as those see it that say what it does."""

from dataclasses import dataclass
from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.facts import Facts


@dataclass(frozen=True)
class Told:
    """One setting, the configuration that it stands in, and what is known of the model.

    Attributes:
        config: The `ModelConfig` message.
        facts: What is known of the model.
        value: The setting's value: a scalar, a message, or an element of a list.
        text: The value as it is written; an element's name.
    """

    config: Any
    facts: Facts
    value: Any
    text: str

    @property
    def backend(self) -> str:
        """The backend that runs the model."""
        return backend_of(self.config)
