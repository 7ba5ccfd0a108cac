"""The results of a build's stages: from the cache where nothing that they are made from has changed, else made now."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engineroom.compile.cache.store import Cache, Entry, Made
from engineroom.compile.plan import Plan, Step
from engineroom.compile.report import Log


@dataclass(frozen=True)
class Results:
    """What the stages of a running build gave so far.

    Attributes:
        plan: The stages.
        cache: Where results are kept.
        log: Shows and times what runs.
        force: Run every stage, whatever is in the cache.
        done: Results by stage.
    """

    plan: Plan
    cache: Cache
    log: Log
    force: bool = False
    done: dict[str, Entry] = field(default_factory=dict)

    def of(self, stage: str, make: Callable[[Path], Made]) -> Entry:
        """The result of a stage.

        Args:
            stage: Its name in the plan; the stages that it needs are done.
            make: Runs it: writes its files into the folder it is given, and says what it found out.
        """
        step = self.plan.step(stage)
        inputs = inputs_of(step, self.done)
        assert inputs is not None, f"{stage} came before what it needs"  # noqa: S101
        found = None if self.force else self.cache.find(stage, inputs)
        if found:
            self.log.cached(stage, self.cache.use(found))
        self.done[stage] = found or self._made(stage, inputs, make)
        return self.done[stage]

    def _made(self, stage: str, inputs: Mapping[str, str], make: Callable[[Path], Made]) -> Entry:
        place = self.cache.workplace(stage)
        try:
            with self.log.stage(stage) as shown:
                began = time.perf_counter()
                made = make(place)
                entry = self.cache.keep(place, stage, inputs, time.perf_counter() - began, made)
                shown.take(entry)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return entry


def inputs_of(step: Step, done: Mapping[str, Entry]) -> dict[str, str] | None:
    """All inputs of a stage, those from earlier stages too; None where one of these is not done.

    Args:
        step: The stage.
        done: Results of earlier stages, by name.
    """
    inputs = dict(step.inputs)
    for need in step.needs:
        stage, _, name = need.partition("/")
        if stage not in done:
            return None
        inputs |= {f"{stage}: {part}": digest for part, digest in done[stage].digests(name).items()}
    return inputs
