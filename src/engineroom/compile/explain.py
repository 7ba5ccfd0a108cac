"""Why each stage of a build will run, or will not: by the names of the inputs that changed since the last time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from engineroom.compile.cache.store import Cache, Entry
from engineroom.compile.job import job_of
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import cache_of
from engineroom.compile.plan import PUBLISH, Inputs, Step
from engineroom.compile.results import inputs_of
from engineroom.project import Project
from engineroom.recipe import Recipe

NOTHING, CACHED, RUNS, MAY_RUN = "has nothing to do", "is cached", "will run", "may run"


@dataclass(frozen=True)
class Reason:
    """What a build would do with one stage.

    Attributes:
        stage: Its name.
        verdict: `has nothing to do`, `is cached`, `will run`, or `may run` where that depends on an earlier stage.
        why: What changed, or what it depends on; empty where there is nothing to say.
    """

    stage: str
    verdict: str
    why: str = ""


@dataclass(frozen=True)
class Explanation:
    """What a build would do, and why.

    Attributes:
        model: The model's name.
        summary: Why there is something to do, or that there is not.
        stages: Every stage, in order.
    """

    model: str
    summary: str
    stages: tuple[Reason, ...]


def explanation(recipe: Recipe, project: Project, options: BuildOptions) -> Explanation:
    """Say what `build` would do. Nothing is written.

    Args:
        recipe: The model.
        project: Where the work folder and the repository are.
        options: How it would be built.

    Raises:
        EngineRoomError: The build would not begin: a target, a package or a file is missing.
    """
    job = job_of(recipe, project, options)
    if not job.missing:
        stages = tuple(Reason(step.name, NOTHING) for step in job.plan.steps)
        return Explanation(
            recipe.name, f"version {job.folder.latest} is up to date", (*stages, Reason(PUBLISH, NOTHING))
        )
    done: dict[str, Entry] = {}
    cache = cache_of(recipe, project)
    reasons = [_reason(step, done, cache, force=options.force) for step in job.plan.steps]
    return Explanation(recipe.name, job.missing, (*reasons, Reason(PUBLISH, RUNS, job.missing)))


def _reason(step: Step, done: dict[str, Entry], cache: Cache, *, force: bool) -> Reason:
    if force:
        return Reason(step.name, RUNS, "--force")
    last, inputs = cache.last(step.name), inputs_of(step, done)
    if inputs is not None and (found := cache.find(step.name, inputs)):
        done[step.name] = found
        return Reason(step.name, CACHED)
    if last is None:
        return Reason(step.name, RUNS, "it never ran here")
    if changes := list(_changes(last.inputs, step.inputs if inputs is None else inputs, whole=inputs is not None)):
        return Reason(step.name, RUNS, ", ".join(changes))
    if inputs is not None:
        return Reason(step.name, RUNS, "its result is damaged")
    waiting = sorted({need.partition("/")[0] for need in step.needs}.difference(done))
    return Reason(step.name, MAY_RUN, f"depends on what {' and '.join(waiting)} will give")


def _changes(before: Inputs, now: Inputs, *, whole: bool) -> Iterator[str]:
    """What differs between two sets of inputs, in words.

    Args:
        before: The inputs of the last time.
        now: Those of now.
        whole: Whether `now` has them all, or those of earlier stages are not known yet.
    """
    for name, value in now.items():
        if name not in before:
            yield f"{name} is new"
        elif before[name] != value:
            yield f"{name} changed" if _is_digest(value) else f"{name} {before[name]} → {value}"
    yield from (f"{name} is gone" for name in before if name not in now and (whole or ": " not in name))


def _is_digest(value: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", value) is not None
