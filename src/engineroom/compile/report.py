"""What a build reports: one line a stage, while it runs and at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from engineroom.compile.cache.store import Entry
from engineroom.repository.passport import Parity

Watch = Callable[[str], AbstractContextManager[object]]
"""Called with the name of each stage; the stage runs inside what it returns."""


@dataclass
class Stage:
    """One stage of a build. It is filled in while the stage runs.

    Attributes:
        name: What the stage is called.
        seconds: How long it took; for a cached one, when it ran.
        size_bytes: Size of what it wrote; None where it wrote nothing.
        note: What a reader should know.
        parity: The proofs, for a verify stage.
        cached: Whether its result was there already, so that it did not run.
    """

    name: str
    seconds: float = 0.0
    size_bytes: int | None = None
    note: str = ""
    parity: tuple[Parity, ...] = ()
    cached: bool = False

    def take(self, entry: Entry) -> None:
        """Report the result of the stage."""
        self.seconds, self.note = entry.seconds, entry.made.note
        self.size_bytes = entry.size_bytes if entry.files else None


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        model: The model's name.
        version: The version that is now the latest.
        up_to_date: Whether there was nothing to do.
        stages: The stages, in order, those whose result was cached among them; of a version that is up to date, what
            was mended in its configuration.
    """

    model: str
    version: int
    up_to_date: bool
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True)
class Log:
    """The stages of a running build.

    Attributes:
        watch: Shows progress.
        stages: Those that ended, in order.
    """

    watch: Watch
    stages: list[Stage] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a stage and keep it; a stage that raises is not kept.

        Args:
            name: What the stage is called.
        """
        stage = Stage(name)
        began = time.perf_counter()
        with self.watch(name):
            yield stage
        stage.seconds = time.perf_counter() - began
        self.stages.append(stage)

    def cached(self, name: str, entry: Entry) -> None:
        """Keep a stage that did not have to run."""
        stage = Stage(name, cached=True)
        stage.take(entry)
        self.stages.append(stage)

    def judged(self, parity: tuple[Parity, ...], note: str) -> None:
        """Add to the last stage what its measurements were found to be worth."""
        self.stages[-1].parity, self.stages[-1].note = parity, note
