"""What is foreseen of a change: directions, needs, and the change itself."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engineroom.repository.explain.figures import bytes_said
from engineroom.repository.explain.memory import Estimate

Direction = Literal["up", "down", "same", "either"]
"""Where a figure should move; `either` where that depends on what nobody wrote down."""

Needs = Literal["nothing", "update", "reload", "rebuild", "refused"]
"""What makes a change count: nothing; the load API, which updates the running model in place; the load API, which loads
it anew beside the old one; a build, which makes a new version; or nothing at all, because Triton refuses it."""

IN_WORDS: dict[Needs, str] = {
    "nothing": "nothing",
    "update": "an update in place",
    "reload": "a reload",
    "rebuild": "a rebuild",
    "refused": "another value: Triton refuses this one",
}

ORDER: tuple[Needs, ...] = ("nothing", "update", "reload", "rebuild", "refused")
"""From the least to the most."""


@dataclass(frozen=True)
class Trend:
    """Where the figures move under one load.

    Attributes:
        throughput: Rows answered a second.
        p50: Median latency.
        p99: 99th percentile of the latency.
    """

    throughput: Direction = "same"
    p50: Direction = "same"
    p99: Direction = "same"


SAME = Trend()
EITHER = Trend("either", "either", "either")
BETTER = Trend("up", "down", "down")
WORSE = Trend("down", "up", "up")


@dataclass(frozen=True)
class Outlook:
    """What a rule foresees of one change.

    Attributes:
        does: What it does in this model's case.
        quiet: Where the figures move with one request at a time.
        busy: Where they move when more rows wait all the time than a batch takes.
        callers: What callers must change, or will notice; empty where nothing.
        needs: What it takes, where that is more than Triton's own rule says; None where that rule decides.
        refusal: Why Triton does not load it as long as the version is the same; empty where it does.
    """

    does: str
    quiet: Trend = SAME
    busy: Trend = SAME
    callers: str = ""
    needs: Needs | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Change:
    """One difference of two configurations with what it means.

    Attributes:
        path: The setting, such as `dynamic_batching.max_queue_delay_microseconds` or `input[image].dims`.
        before: Its value; empty where it was not set.
        after: Its value now; empty where it is not set.
        needs: What it takes until it counts.
        does: What it does in this model's case.
        quiet: Where the figures move with one request at a time.
        busy: Where they move when more rows wait all the time than a batch takes.
        callers: What callers must change, or will notice; empty where nothing.
        refusal: Why Triton does not load it; empty where it does.
        memory: What it adds, or frees; with the way it was estimated.
    """

    path: str
    before: str
    after: str
    needs: Needs
    does: str
    quiet: Trend = SAME
    busy: Trend = SAME
    callers: str = ""
    refusal: str = ""
    memory: Estimate = field(default_factory=Estimate)

    @property
    def memory_bytes(self) -> int | None:
        """Bytes that it adds, or frees below 0; None where they cannot be estimated."""
        return self.memory.total_bytes

    @property
    def throughput(self) -> str:
        """Where throughput should move, in words."""
        return _worded(self.quiet.throughput, self.busy.throughput)

    @property
    def latency(self) -> str:
        """Where latency should move, in words; median and 99th percentile apart where they differ."""
        p50, p99 = _worded(self.quiet.p50, self.busy.p50), _worded(self.quiet.p99, self.busy.p99)
        return p50 if p50 == p99 else f"p50 {p50}; p99 {p99}"

    @property
    def loads(self) -> bool:
        """Whether Triton loads it."""
        return not self.refusal

    def to_dict(self) -> dict[str, Any]:
        """The change as JSON's types."""
        return {**asdict(self), "throughput": self.throughput, "latency": self.latency, "sentence": self.sentence}

    @property
    def headline(self) -> str:
        """The setting and its two values: `max_batch_size: 4 -> 8`."""
        return f"{self.path}: {self.before or 'not set'} -> {self.after or 'not set'}"

    @property
    def figures(self) -> str:
        """What it needs, what memory it takes, and where the figures move; one line."""
        said = [f"needs {IN_WORDS[self.needs]}"]
        if self.memory_bytes is None:
            said.append("memory unknown")
        elif self.memory_bytes:
            sign = "+" if self.memory_bytes > 0 else "-"
            said.append(f"{self.memory.where} memory {sign}{bytes_said(abs(self.memory_bytes))}")
        if self.loads:
            both = f"throughput {self.throughput}; latency {self.latency}"
            said.append("throughput and latency stay" if self.quiet == self.busy == SAME else both)
        return "; ".join(said)

    @property
    def sentence(self) -> str:
        """All of it on one line, for a list of changes."""
        callers = f" Callers: {self.callers}" if self.callers else ""
        refusal = f" Triton refuses it: {self.refusal}." if self.refusal else ""
        return f"{self.headline}: {self.figures}. {self.does}{callers}{refusal}"


def most(needs: tuple[Needs, ...]) -> Needs:
    """The most that any of some changes takes; nothing where there are none."""
    return max(needs, key=ORDER.index, default="nothing")


def _worded(quiet: Direction, busy: Direction) -> str:
    words = {"up": "rises", "down": "falls", "same": "stays", "either": "depends"}
    return words[quiet] if quiet == busy else f"{words[quiet]} when quiet, {words[busy]} when busy"
