"""What pruning costs is judged before anything is compiled: by the task, or by the limits of the tolerance."""

from dataclasses import replace
from pathlib import Path

import pytest

from engineroom import Recipe, Tolerance
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.pruning import check_pruning
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.errors import ParityError
from engineroom.project import Project

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference(replace(recipe_from_name(Project(ROOT), "digits"), sparsity="2:4"))


@pytest.fixture(scope="module")
def evidence(reference: Reference) -> Evidence:
    return evidence_from_reference(reference)


def judged(reference: Reference, evidence: Evidence, recipe: Recipe) -> str:
    again = Reference(recipe)
    again.dense = reference.dense
    return check_pruning(again, evidence)


def test_digits_lose_too_much_without_training(reference: Reference, evidence: Evidence) -> None:
    with pytest.raises(
        ParityError,
        match=r"digits: 2:4 pruning costs too much: accuracy 0\.9\d+, the dense module's is 0\.98\d+, "
        r"and may lose 0\.0028\. Magnitude pruning alone seldom suffices",
    ):
        check_pruning(reference, evidence)


def test_a_recipe_may_allow_it(reference: Reference, evidence: Evidence) -> None:
    assert reference.recipe.task is not None
    patient = replace(reference.recipe, task=replace(reference.recipe.task, max_loss=0.05))
    assert judged(reference, evidence, patient).startswith("accuracy 0.9")


def test_without_a_task_the_absolute_limits_decide(reference: Reference, evidence: Evidence) -> None:
    bare = replace(reference.recipe, task=None)
    with pytest.raises(
        ParityError, match=r"output 'probabilities' differs from the dense module's: top1 0\.\d+ is below"
    ):
        judged(reference, evidence, bare)
    with pytest.raises(ParityError, match=r"cosine 0\.\d+ is below 0\.9"):
        judged(reference, evidence, replace(bare, tolerance=Tolerance(cosine=0.9, top1=0.0)))
    assert judged(reference, evidence, replace(bare, tolerance=Tolerance(top1=0.0))).startswith("cosine 0.")


def test_a_module_that_is_sparse_already_costs_nothing(reference: Reference) -> None:
    trained = replace(reference.recipe, module=lambda: reference.module)
    again = Reference(trained)
    assert check_pruning(again, evidence_from_reference(again)).startswith("accuracy 0.9")
