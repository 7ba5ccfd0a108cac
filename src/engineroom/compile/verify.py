"""Verify: what a runner answers against what the PyTorch module answered, at every size of the proof.

Measuring and judging are two steps: a tolerance that changes needs no artefact to run again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engineroom.compile.targets import Runner
from engineroom.compile.truth.evidence import Case, Evidence, in_batches
from engineroom.compile.truth.limits import doubt, limits, noise
from engineroom.errors import EngineRoomError, ParityError, RecipeError
from engineroom.recipe import Arrays, Recipe
from engineroom.repository.agreement import Agreement, agreement
from engineroom.repository.passport import Parity


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        at: What was asked, such as `batch 8`.
        output: Name of the output.
        agreement: How the answer compares with what was expected.
        beside: What was expected, for a message.
    """

    at: str
    output: str
    agreement: Agreement
    beside: str = "the PyTorch module"


@dataclass(frozen=True)
class Measured:
    """Everything that a runner was found to do, before anything is judged.

    Attributes:
        runner: What computed.
        kind: Element type whose rounding its errors are judged by.
        findings: Every case and output against the module, then rows of a batch against the same rows alone.
        task: Score of the recipe's task metric, and of the module; empty where it has none.
    """

    runner: str
    kind: str
    findings: tuple[Finding, ...]
    task: dict[str, float] = field(default_factory=dict)


def parity(recipe: Recipe, evidence: Evidence, runner: Runner) -> Parity:
    """Measure a runner and judge it.

    Raises:
        ParityError: An answer misses a limit, has another shape, or does not come at all, a row's answer depends on the
            rows beside it, or the task metric loses more than it may; the message holds the figures and the size.
    """
    return judged(recipe, evidence, measured(recipe, evidence, runner))


def measured(recipe: Recipe, evidence: Evidence, runner: Runner) -> Measured:
    """Run everything that the proof asks for.

    Args:
        recipe: Says the task, if it has one.
        evidence: What the module answered.
        runner: What is to be proven.

    Raises:
        ParityError: An answer has another shape than the module's, or does not come at all.
    """
    answered = [(case, _answer(runner, case)) for case in evidence.cases]
    findings = [one for case, answer in answered for one in _against_module(runner, case, answer)]
    # The last request made of a sample is its largest.
    for case, answer in {case.sample: (case, answer) for case, answer in answered}.values():
        findings += _against_itself(runner, case, answer)
    return Measured(runner.name, runner.kind, tuple(findings), task_scores(recipe, evidence, runner))


def judged(recipe: Recipe, evidence: Evidence, found: Measured) -> Parity:
    """Judge what was measured.

    Args:
        recipe: Says the tolerance and what the task may lose.
        evidence: Gives the scale.
        found: From `measured`.

    Raises:
        ParityError: Something misses.
    """
    named = f"{evidence.model}: {found.runner}"
    for one in found.findings:
        if missed := one.agreement.misses(limits(evidence, one.output, found.kind, recipe.tolerance)):
            times = one.agreement.rms / noise(evidence, one.output, found.kind).rms
            raise ParityError(
                f"{named} at {one.at}, output '{one.output}' differs from {one.beside}: {'; '.join(missed)} "
                f"({times:.3g} times what {found.kind} rounding alone does; cosine {one.agreement.cosine:.6f})."
            )
    _judge_task(recipe, named, found.task)
    return summed_up(evidence, found)


def summed_up(evidence: Evidence, found: Measured) -> Parity:
    """The worst of everything that was measured.

    Args:
        evidence: Gives the scale.
        found: From `measured`.
    """

    def worst(which: list[Finding]) -> float:
        return max((f.agreement.rms / noise(evidence, f.output, found.kind).rms for f in which), default=0.0)

    told = [one for one in found.findings if one.beside == Finding.beside]
    return Parity(
        runner=found.runner,
        batches=evidence.batches,
        max_abs=max(one.agreement.max_abs for one in told),
        mean_abs=max(one.agreement.mean_abs for one in told),
        cosine=min(one.agreement.cosine for one in told),
        top1=min(one.agreement.top1 for one in told),
        task=found.task,
        kind=found.kind,
        noise=worst(told),
        drift=worst([one for one in found.findings if one.beside != Finding.beside]),
    )


def _against_module(runner: Runner, case: Case, answer: Arrays) -> Iterator[Finding]:
    for output, expected in case.outputs.items():
        at = f"{case.sample.model}: {runner.name} at {case.at}, output '{output}'"
        yield Finding(case.at, output, _compared(at, expected, answer.get(output), doubt(case, output, runner.kind)))


def _against_itself(runner: Runner, full: Case, together: Arrays) -> Iterator[Finding]:
    """Rows alone and the same rows in the largest batch: who else is in it must not matter."""
    for case in full.sample.alone(full.batch) if full.batch > 1 else ():
        answer = _answer(runner, case)
        for output in case.outputs:
            at = f"{case.sample.model}: {runner.name} at {case.at}, output '{output}'"
            found = _compared(at, together[output][case.rows], answer.get(output), doubt(case, output, runner.kind))
            yield Finding(case.at, output, found, f"the same row at {full.at}")


def _answer(runner: Runner, case: Case) -> Arrays:
    try:
        return runner.answer(case.inputs)
    except Exception as error:
        raise ParityError(
            f"{case.sample.model}: {runner.name} at {case.at} gives no answer: "
            f"{type(error).__name__}: {_first_line(error)}."
        ) from error


def _compared(at: str, expected: Any, got: Any, doubts: Any) -> Agreement:
    if got is None:
        raise ParityError(f"{at} is missing in the answer.")
    try:
        return agreement(expected, got, doubts)
    except ParityError as error:
        raise ParityError(f"{at}: {error}") from error


def task_scores(recipe: Recipe, evidence: Evidence, runner: Runner) -> dict[str, float]:
    """The recipe's task metric for a runner and, as `NAME of the module`, for the module; empty where there is none.

    Args:
        recipe: Gives the data and the score.
        evidence: What the module answered to the data.
        runner: What is to be scored.

    Raises:
        RecipeError: The task's data cannot be loaded, or its score not computed.
    """
    task = recipe.task
    if task is None:
        return {}
    try:
        inputs, truth = task.data()
        answers = in_batches(runner.answer, inputs, recipe.batch.max)
        best, reached = (float(task.score(outputs, truth)) for outputs in (evidence.task, answers))
    except EngineRoomError:
        raise
    except Exception as error:
        raise RecipeError(
            f"{recipe.name}: its task metric '{task.name}' cannot be computed with {runner.name}: "
            f"{type(error).__name__}: {_first_line(error)}. Mend data() or score() of the recipe's task."
        ) from error
    return {f"{task.name} of the module": best, task.name: reached}


def _judge_task(recipe: Recipe, named: str, scores: dict[str, float]) -> None:
    if recipe.task is None:
        return
    name, most = recipe.task.name, recipe.task.max_loss
    best, reached = scores[f"{name} of the module"], scores[name]
    # Written so that NaN is a miss too.
    if not best - reached <= most:
        raise ParityError(
            f"{named} reaches {name} {reached:.4f}, the PyTorch module {best:.4f}: "
            f"the loss of {best - reached:.4f} is above {most:.4f}."
        )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:400]
