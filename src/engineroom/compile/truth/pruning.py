"""What pruning costs: the sparse module against the dense one, before anything is compiled from it."""

from typing import Any

import numpy as np

from engineroom.compile.truth.evidence import Evidence, in_batches
from engineroom.compile.truth.limits import doubt
from engineroom.compile.truth.reference import Reference
from engineroom.errors import ParityError
from engineroom.repository.agreement import Limits, agreement

ADVICE = (
    "Magnitude pruning alone seldom suffices: prune the module while it is trained (weights that are 2:4 already stay "
    "as they are), or allow more in the recipe."
)


def check_pruning(reference: Reference, evidence: Evidence) -> str:
    """Judge a pruned module by the recipe's task; where it has none, by the absolute limits of its tolerance.

    Args:
        reference: The recipe with its modules, dense and pruned.
        evidence: What the pruned module answered to the samples, and the dense one to the task's data.

    Returns:
        What it costs, for the reader of the build.

    Raises:
        ParityError: More than the recipe allows.
    """
    told, missed = _by_task(reference, evidence) if reference.recipe.task else _by_samples(reference, evidence)
    if missed:
        raise ParityError(f"{evidence.model}: 2:4 pruning costs too much: {missed}. {ADVICE}")
    return told


def _by_task(reference: Reference, evidence: Evidence) -> tuple[str, str]:
    recipe, task = reference.recipe, reference.recipe.task
    assert task is not None  # noqa: S101 - the caller has looked
    inputs, truth = task.data()
    answers = in_batches(reference.answer, inputs, recipe.batch.max)
    dense, sparse = (float(task.score(outputs, truth)) for outputs in (evidence.task, answers))
    told = f"{task.name} {sparse:.4f}, the dense module's is {dense:.4f}"
    # Written so that NaN is a miss too.
    return told, "" if dense - sparse <= task.max_loss else f"{told}, and may lose {task.max_loss:.4f}"


def _by_samples(reference: Reference, evidence: Evidence) -> tuple[str, str]:
    allowed = reference.recipe.tolerance
    limits = Limits(allowed.max_abs, None, None, allowed.mean_abs, allowed.cosine, allowed.top1)
    cosines = []
    for sample in evidence.samples:
        dense: Any = in_batches(reference.dense_answer, sample.inputs, reference.recipe.batch.opt)
        case = sample.case("", np.arange(sample.rows))
        for output, pruned in sample.outputs.items():
            found = agreement(dense[output], pruned, doubt(case, output, "fp16"))
            cosines.append(found.cosine)
            if missed := found.misses(limits):
                return "", f"output '{output}' differs from the dense module's: {'; '.join(missed)}"
    return f"cosine {min(cosines):.4f} to the dense module", ""
