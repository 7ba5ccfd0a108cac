"""One change as the rules see it."""

from dataclasses import dataclass
from typing import Any

from engineroom.repository.config import backend_of
from engineroom.repository.explain.compare import Difference
from engineroom.repository.explain.facts import Facts
from engineroom.repository.explain.figures import parameter
from engineroom.repository.explain.memory import QUICK_ELEMENTS, USUAL, instances


@dataclass(frozen=True)
class Case:
    """One difference, the configurations that it stands between, and what is known of the model.

    Attributes:
        difference: What is not the same.
        old: The `ModelConfig` message before.
        new: The message after, with all its other changes.
        facts: What is known of the model.
        in_place: Whether Triton updates the running model, because nothing but its instances has changed.
    """

    difference: Difference
    old: Any
    new: Any
    facts: Facts
    in_place: bool = False

    @property
    def before(self) -> str:
        """The value before; empty where it was not set."""
        return self.difference.before

    @property
    def after(self) -> str:
        """The value now; empty where it is not set."""
        return self.difference.after

    @property
    def numbers(self) -> tuple[int, int]:
        """Both values as numbers; 0 where one is not set."""
        return int(self.before or 0), int(self.after or 0)

    @property
    def is_small(self) -> bool:
        """Whether the model is known to be so small that a batch costs less than its requests do around it."""
        graph = self.facts.footprint
        return graph is not None and graph.all_elements * USUAL <= QUICK_ELEMENTS

    @property
    def backend(self) -> str:
        """The backend now."""
        return backend_of(self.new)


def threads(config: Any, facts: Facts) -> int:
    """Threads of each instance in our OpenVINO backend, which shares the cores out when a model is loaded."""
    given = parameter(config, "INFERENCE_NUM_THREADS")
    return int(given) if given.isdecimal() and int(given) else max(1, facts.cores // instances(config))


def largest_formed(config: Any) -> int:
    """Rows of the largest batch that Triton forms from waiting requests.

    It takes the largest preferred size that the queue can fill, and leaves the rest (core, dynamic_batch_scheduler.cc).
    """
    if not config.HasField("dynamic_batching"):
        return 1
    return int(max(config.dynamic_batching.preferred_batch_size, default=max(1, config.max_batch_size)))


def promise(facts: Facts, microseconds: int) -> str:
    """How a time compares with the promise made to callers; empty where none is known."""
    if facts.p99_ms is None:
        return ""
    share = microseconds / 1e3 / facts.p99_ms
    beyond = "more than" if share > 1 else f"{share:.0%} of" if share >= 0.01 else "next to nothing of"
    return f", {beyond} the {facts.p99_ms:g} ms that callers are promised"
