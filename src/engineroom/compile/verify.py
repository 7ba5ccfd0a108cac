"""Verify: an artefact's answers against the PyTorch module's, on real samples, at every batch size of the proof."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engineroom.compile.samples import Case, Reference, in_batches
from engineroom.errors import EngineRoomError, ParityError, RecipeError
from engineroom.recipe import Arrays, Tolerance
from engineroom.repository.agreement import Agreement, agreement
from engineroom.repository.passport import Parity


@dataclass(frozen=True)
class Runner:
    """Something that computes a model's answers on this machine.

    Attributes:
        name: What computes, such as `openvino bf16`.
        answer: From inputs by name, shape (batch, ...), to outputs by name, shape (batch, ...).
    """

    name: str
    answer: Callable[[Arrays], Arrays]


def parity(reference: Reference, runner: Runner) -> Parity:
    """Compare a runner with the module, over every case and every output.

    Args:
        reference: The recipe with its module and samples.
        runner: What is to be proven.

    Raises:
        ParityError: An answer misses the recipe's tolerance, has another shape, or does not come at all, or the task
            metric loses more than it may; the message holds the figures and the batch size.
    """
    recipe = reference.recipe
    found = [one for case in reference.cases for one in _compared(recipe.name, runner, case, recipe.tolerance)]
    return Parity(
        runner=runner.name,
        batches=reference.batches,
        max_abs=max(one.max_abs for one in found),
        mean_abs=max(one.mean_abs for one in found),
        cosine=min(one.cosine for one in found),
        top1=None if recipe.tolerance.top1 is None else min(one.top1 for one in found),
        task=task_scores(reference, runner),
    )


def _compared(model: str, runner: Runner, case: Case, tolerance: Tolerance) -> list[Agreement]:
    at = f"{model}: {runner.name} at batch {case.batch}"
    try:
        answer = runner.answer(case.inputs)
    except Exception as error:
        raise ParityError(f"{at} gives no answer: {type(error).__name__}: {_first_line(error)}.") from error
    return [_agreed(f"{at}, output '{name}'", case.outputs[name], answer.get(name), tolerance) for name in case.outputs]


def _agreed(at: str, expected: Any, got: Any, tolerance: Tolerance) -> Agreement:
    if got is None:
        raise ParityError(f"{at} is missing in the answer.")
    try:
        found = agreement(expected, got)
    except ParityError as error:
        raise ParityError(f"{at}: {error}") from error
    if missed := found.misses(tolerance):
        raise ParityError(
            f"{at} differs from the PyTorch module: {'; '.join(missed)} "
            f"(max_abs {found.max_abs:.3g}, mean_abs {found.mean_abs:.3g}, "
            f"cosine {found.cosine:.6f}, top1 {found.top1:.3f})."
        )
    return found


def task_scores(reference: Reference, runner: Runner) -> dict[str, float]:
    """The recipe's task metric for a runner and, as `NAME of the module`, for the module; empty where there is none.

    Raises:
        RecipeError: The task's data cannot be loaded, or its score not computed.
        ParityError: The runner's score is further below the module's than the task allows.
    """
    task = reference.recipe.task
    if task is None:
        return {}
    try:
        inputs, truth = reference.task_data
        answers = in_batches(runner.answer, inputs, reference.recipe.batch.max)
        best, reached = (float(task.score(outputs, truth)) for outputs in (reference.task_answers, answers))
    except EngineRoomError:
        raise
    except Exception as error:
        raise RecipeError(
            f"{reference.recipe.name}: its task metric '{task.name}' cannot be computed with {runner.name}: "
            f"{type(error).__name__}: {_first_line(error)}. Mend data() or score() of the recipe's task."
        ) from error
    # Written so that NaN is a miss too.
    if not best - reached <= task.max_loss:
        raise ParityError(
            f"{reference.recipe.name}: {runner.name} reaches {task.name} {reached:.4f}, the PyTorch module {best:.4f}: "
            f"the loss of {best - reached:.4f} is above {task.max_loss:.4f}."
        )
    return {f"{task.name} of the module": best, task.name: reached}


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:400]
