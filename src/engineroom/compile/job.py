"""What a build is asked to make, and why the latest version is not that already."""

from dataclasses import dataclass
from pathlib import Path

from engineroom.compile.cache.inputs import named_files
from engineroom.compile.options import BuildOptions
from engineroom.compile.plan import Plan, plan_of
from engineroom.compile.record import flaw, held_targets
from engineroom.compile.targets import Target, target_from_name
from engineroom.errors import RepositoryError
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.layout import MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import passport_from_file


@dataclass(frozen=True)
class Job:
    """What a build makes.

    Attributes:
        recipe: The model.
        folder: The model's folder in the repository.
        targets: What to compile for, by name.
        plan: The stages, and what they are made from.
        missing: Why the latest version is not what is asked for; empty where it is.
        options: How to build it.
        named: Files and folders that the recipe says it reads.
    """

    recipe: Recipe
    folder: ModelFolder
    targets: dict[str, Target]
    plan: Plan
    missing: str
    options: BuildOptions
    named: tuple[Path, ...]


def job_of(recipe: Recipe, project: Project, options: BuildOptions) -> Job:
    """Say what a build would make. Nothing is written.

    Args:
        recipe: The model.
        project: Where its recipe and the repository are.
        options: How to build.

    Raises:
        CompileError: A target cannot be used on this machine.
        RecipeError: The recipe's source or files cannot be read, or a package that it needs is missing.
    """
    folder = Repository(project.repository).model(recipe.name)
    targets = {name: target_from_name(name) for name in options.targets}
    plan = plan_of(recipe, project, targets.values(), options)
    missing = "--force" if options.force else missing_from(folder, plan)
    if missing and (others := sorted(_made_alike(folder, plan, options.fallback) - targets.keys())):
        # What an equal build already made stays part of the model: a new version replaces the old one whole.
        targets |= {name: target_from_name(name) for name in others}
        plan = plan_of(recipe, project, targets.values(), options)
    return Job(recipe, folder, targets, plan, missing, options, tuple(named_files(recipe, project).values()))


def missing_from(folder: ModelFolder, plan: Plan) -> str:
    """Why the latest version of a model is not what a plan makes; empty where it is.

    Args:
        folder: The model's folder in the repository.
        plan: The plan.
    """
    number = folder.latest
    if number is None:
        return "no version is published"
    try:
        passport = passport_from_file(folder.version(number) / MANIFEST)
    except RepositoryError as error:
        return str(error)
    if told := flaw(passport, folder.version(number)):
        return f"version {number} {told}"
    made = {target for one in passport.artefacts for target in one.fingerprints}
    if absent := [target for target in plan.targets if target not in made]:
        return f"version {number} has nothing for {', '.join(absent)}"
    equal = {mark for one in passport.artefacts for mark in one.fingerprints.items()}
    if not all((target, plan.fingerprint(target)) in equal for target in plan.targets):
        return f"version {number} was made from other inputs"
    return ""


def _made_alike(folder: ModelFolder, plan: Plan, fallback: str) -> set[str]:
    """Targets of the latest version, if that was made from the inputs that all targets share."""
    try:
        passport = passport_from_file(folder.version(folder.latest or 0) / MANIFEST)
    except RepositoryError:
        return set()
    return held_targets(passport, fallback) if passport.fingerprint == plan.fingerprint() else set()
