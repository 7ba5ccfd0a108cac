"""What a build reports: one line a stage, while it runs and at the end."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

from engineroom.repository.passport import Parity

Watch = Callable[[str], AbstractContextManager[object]]
"""Called with the name of each stage; the stage runs inside what it returns."""


@dataclass
class Stage:
    """One stage of a build. It is filled in while the stage runs.

    Attributes:
        name: What the stage is called.
        seconds: How long it took.
        size_bytes: Size of what it wrote; None where it wrote nothing.
        note: What a reader should know.
        parity: The proofs, for a verify stage.
    """

    name: str
    seconds: float = 0.0
    size_bytes: int | None = None
    note: str = ""
    parity: tuple[Parity, ...] = ()


@dataclass(frozen=True)
class BuildReport:
    """What a build did.

    Attributes:
        model: The model's name.
        version: The version that is now the latest.
        up_to_date: Whether there was nothing to do.
        stages: The stages that ran, in order.
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
