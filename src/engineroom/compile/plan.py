"""The plan of a build: its stages in order, and what each is made from.

Whatever a stage's result depends on is an input with a name, so that a build can say why it runs a stage again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from engineroom.compile.cache.inputs import COMPILERS, machine, packages, python, recipe_files
from engineroom.compile.cache.sources import own_code, recipe_sources, task_source
from engineroom.compile.options import BuildOptions
from engineroom.compile.targets import KINDS, Target
from engineroom.project import Project
from engineroom.recipe import Recipe
from engineroom.repository.passport import Profile

Inputs: TypeAlias = Mapping[str, str]
"""What a result is made from: name, and version, setting or digest."""

REFERENCE, PRUNING = "reference", "verify pruning"
EXPORT, PROOF = "export", "verify export"
ISLANDS, PRECISION, ROUNDING = "find islands", "precision", "verify rounding"
COMPILE, VERIFY = "compile {}", "verify {}"
PUBLISH, CONFIG = "publish", "config"
"""Names of the stages in order; those with a gap, once a target. The last runs by itself where all else is done."""

SAMPLES = "samples"
"""Name of the digest of the samples alone, in the result of `reference`."""

CODE = "engineroom's code"
ROOM = "engineroom.compile"
GLUE = (f"{ROOM}.stages", f"{ROOM}.targets")
"""Modules that call the others: what they do themselves counts for every stage, what they import does not."""


@dataclass(frozen=True)
class Step:
    """One stage of a build, as it is planned.

    Attributes:
        name: Name of the stage.
        inputs: What it is made from besides earlier results.
        needs: Earlier results that it is made from: a stage with all its files, or `STAGE/NAME` with one digest.
    """

    name: str
    inputs: Inputs
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All stages of one model's build, in order.

    Attributes:
        common: Those that every target shares.
        targets: Those of each target, by its name.
        beside: What else decides whether a version is the one that is asked for: the limits that it is judged by, and
            the machine that it is proven on.
    """

    common: tuple[Step, ...]
    targets: Mapping[str, tuple[Step, ...]]
    beside: Inputs

    @property
    def steps(self) -> tuple[Step, ...]:
        """Every stage but the publication."""
        return (*self.common, *(step for steps in self.targets.values() for step in steps))

    def __contains__(self, name: str) -> bool:
        return any(step.name == name for step in self.steps)

    def step(self, name: str) -> Step:
        """One stage by its name."""
        return next(step for step in self.steps if step.name == name)

    def fingerprint(self, target: str = "") -> str:
        """Digest of all that goes into a version, or into one of its artefacts: equal fingerprints, equal artefacts.

        Args:
            target: The artefact's target.
        """
        steps = (*self.common, *self.targets.get(target, ()))
        told = [sorted(self.beside.items()), *([step.name, sorted(step.inputs.items())] for step in steps)]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def plan_of(recipe: Recipe, project: Project, targets: Iterable[Target], options: BuildOptions) -> Plan:
    """Plan a build.

    Args:
        recipe: The model.
        project: Where its recipe is.
        targets: What to compile for.
        options: How to build.

    Raises:
        RecipeError: The recipe's source or one of its files cannot be read, or a package that it needs is missing.
    """
    sources = {**recipe_sources(recipe, project), **recipe_files(recipe, project)}
    # A score is computed by the recipe's own code, and by what that imports.
    score = {**sources, **packages(recipe.packages, recipe), "task": task_source(recipe, project)}
    task = score if recipe.task else {}
    made = {target.name: _target_steps(recipe, target, task, options.fallback) for target in targets}
    beside = {**_limits(recipe), **machine(), CODE: _code("verify")}
    if options.find_islands and recipe.precision != "fp32":
        steps = _common_steps(recipe, sources, task, _search(recipe, task))
    else:
        steps = _common_steps(recipe, sources, task)
    return Plan(steps, made, beside)


def _common_steps(recipe: Recipe, sources: Inputs, task: Inputs, *search: Step) -> tuple[Step, ...]:
    module = {**sources, **python(), **packages((*recipe.packages, "torch", "numpy"), recipe), **_sparsity(recipe)}
    # The module's own rounding is measured for the types that artefacts may compute in.
    kinds = {"precision": recipe.precision} if recipe.precision == "int8" else {}
    run = packages(("onnxruntime", "numpy"))
    rounding = Step(ROUNDING, {**task, **run, CODE: _code("verify", "rounding")}, (PRECISION, REFERENCE))
    pruning = Step(PRUNING, {**module, **task, **_limits(recipe), CODE: _code("pruning")}, (REFERENCE,))
    needs = (EXPORT, *(step.name for step in search))
    return (
        Step(REFERENCE, {**module, **task, **kinds, CODE: _code("reference")}),
        *((pruning,) if recipe.sparsity else ()),
        Step(EXPORT, {**module, **packages(("onnx", "onnxscript")), CODE: _code("export")}),
        Step(PROOF, {**task, **run, CODE: _code("verify", "targets.onnx_runtime")}, (EXPORT, REFERENCE)),
        *search,
        Step(PRECISION, {**_graph(recipe), CODE: _code("precision")}, (*needs, f"{REFERENCE}/{SAMPLES}")),
        *(() if recipe.precision == "fp32" else (rounding,)),
    )


def _target_steps(recipe: Recipe, target: Target, task: Inputs, fallback: str) -> tuple[Step, ...]:
    kind = target.name.partition(":")[0]
    module = KINDS[kind].partition(":")[0].removeprefix(f"{ROOM}.")
    told = {"target": target.name, "precision": recipe.precision, **packages(COMPILERS.get(kind, ()))}
    told |= {name: value for name, value in (("GPU", getattr(target, "device", "")), ("fallback", fallback)) if value}
    compiling = {**told, "profile": repr(Profile.of(recipe)), CODE: _code(module, "fallback")}
    run = {**machine(), **packages(("onnxruntime", "numpy"))}
    proving = {**told, **task, **run, CODE: _code("verify", "fallback", module)}
    compile_it, verify_it = COMPILE.format(target.name), VERIFY.format(target.name)
    return Step(compile_it, compiling, (PRECISION,)), Step(verify_it, proving, (compile_it, PRECISION, REFERENCE))


def _search(recipe: Recipe, task: Inputs) -> Step:
    return Step(ISLANDS, {**_graph(recipe), **task, **_limits(recipe), CODE: _code("islands")}, (EXPORT, REFERENCE))


def _graph(recipe: Recipe) -> dict[str, str]:
    islands = {"islands": ", ".join(recipe.islands)} if recipe.islands else {}
    tools = packages(("onnx", "onnxruntime", "numpy"))
    return {"precision": recipe.precision, **_sparsity(recipe), **islands, **tools}


def _sparsity(recipe: Recipe) -> Inputs:
    return {"sparsity": recipe.sparsity} if recipe.sparsity else {}


def _limits(recipe: Recipe) -> Inputs:
    return {"tolerance": repr(recipe.tolerance), **({"max_loss": repr(recipe.task.max_loss)} if recipe.task else {})}


def _code(*modules: str) -> str:
    return own_code(*(f"{ROOM}.{name}" for name in modules), alone=GLUE)
