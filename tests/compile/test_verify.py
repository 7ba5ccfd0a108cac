"""The proof: a runner against what the module answered, with figures where it misses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engineroom import Axis, Recipe, TaskMetric, Tensor, Tolerance
from engineroom.compile.targets import Runner
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import judged, measured, parity
from engineroom.errors import ParityError, RecipeError

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
RECIPE = Recipe(
    name="tiny",
    module=torch.nn.Identity,
    inputs=(Tensor("x", "float32", (4,)),),
    outputs=(Tensor("y", "float32", (4,)),),
    samples=lambda: [{"x": ROWS}],
    batch=Axis("batch", 1, 4, 5),
    # An identity rounds once: half a unit in the last place of 2 is 2**-11, some thousand of them are half a one.
    tolerance=Tolerance(noise=1000.0),
)


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    return evidence_from_reference(Reference(RECIPE))


def off_by(off: float, where: Any = lambda y: True) -> Runner:
    """Answers the input, its first element `off` by so much, for batches of a kind."""

    def answer(inputs: Any) -> dict[str, Any]:
        y = inputs["x"].copy()
        y[0, 0] += off if where(y) else 0
        return {"y": y}

    return Runner("double", answer)


def test_figures_are_the_worst_of_all_cases(evidence: Evidence) -> None:
    found = parity(RECIPE, evidence, off_by(0.0625))
    assert (found.runner, found.kind, found.batches, found.task) == ("double", "fp16", (1, 2, 3, 4, 5), {})
    assert (found.max_abs, found.mean_abs) == (pytest.approx(0.0625), pytest.approx(0.0625 / 4))
    assert 0.9 < found.cosine < 1.0
    assert found.top1 == 1.0
    scale = np.sqrt(np.mean((ROWS - ROWS.astype(np.float16)) ** 2))
    assert found.noise == pytest.approx(0.0625 / 2 / max(scale, 2**-11 * np.sqrt(np.mean(ROWS**2))), rel=0.01)


def test_exact_answers_have_no_noise_and_no_drift(evidence: Evidence) -> None:
    found = parity(RECIPE, evidence, off_by(0.0))
    assert (found.max_abs, found.noise, found.drift) == (0, 0, 0)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_miss_at_one_batch_size_is_found_and_named(evidence: Evidence, batch: int) -> None:
    with pytest.raises(ParityError) as caught:
        parity(RECIPE, evidence, off_by(8.0, lambda y: len(y) == batch))
    message = str(caught.value)
    assert f"tiny: double at batch {batch}, output 'y' differs from the PyTorch module: max_abs 8 is above" in message
    assert "times what fp16 rounding alone does; cosine" in message


def test_first_place_that_changes_is_a_miss_where_rounding_does_not_decide_it() -> None:
    clear, tied = np.float32([[1.0, 0.5, 0, 0]]), np.float32([[1.0, 0.9999, 0, 0]])
    lenient = replace(RECIPE, tolerance=Tolerance(noise=1e4))
    swapped = Runner("double", lambda inputs: {"y": inputs["x"][:, [1, 0, 2, 3]]})
    for rows, passes in ((clear, False), (tied, True)):
        recipe = replace(lenient, samples=lambda rows=rows: [{"x": rows}])
        known = evidence_from_reference(Reference(recipe))
        if passes:
            assert parity(recipe, known, swapped).top1 == 1.0
        else:
            with pytest.raises(ParityError, match="top1 0 is below 1"):
                parity(recipe, known, swapped)


def test_row_that_depends_on_the_rows_beside_it_is_named(evidence: Evidence) -> None:
    """Every answer is near enough to the module's; what moves it is who else is in the batch."""
    recipe = replace(RECIPE, tolerance=Tolerance(noise=40.0))
    kick = 20 * 2**-11

    def answer(inputs: Any) -> dict[str, Any]:
        return {"y": inputs["x"] + np.float32(kick if len(inputs["x"]) == 1 else -kick)}

    with pytest.raises(ParityError, match=r"double at row 0 alone, output 'y' differs from the same row at batch 5"):
        parity(recipe, evidence, Runner("double", answer))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda inputs: {"y": inputs["x"][:, :2]},
            r"output 'y': the answer has shape \(1, 2\), the reference \(1, 4\)",
        ),
        (lambda inputs: {"z": inputs["x"]}, "output 'y' is missing in the answer"),
        (lambda inputs: 1 / 0, "gives no answer: ZeroDivisionError: division by zero"),
        (lambda inputs: {"y": inputs["x"] * np.nan}, "differs .*: values that are NaN or infinite: 4"),
    ],
    ids=["shape", "name", "raises", "NaN"],
)
def test_runner_that_gives_no_fitting_answer_is_named(evidence: Evidence, answer: Any, message: str) -> None:
    with pytest.raises(ParityError, match=f"tiny: double at batch 1.*{message}"):
        parity(RECIPE, evidence, Runner("double", answer))


def test_a_tolerance_that_changes_needs_no_second_run(evidence: Evidence) -> None:
    found = measured(RECIPE, evidence, off_by(0.0625))
    assert judged(RECIPE, evidence, found).max_abs == pytest.approx(0.0625)
    with pytest.raises(ParityError, match=r"max_abs 0\.0625 is above 0\.05"):
        judged(replace(RECIPE, tolerance=Tolerance(noise=1000.0, max_abs=0.05)), evidence, found)


def share_of_positives(outputs: Any, truth: Any) -> float:
    return float(np.mean((outputs["y"][:, 0] > 0) == truth))


def with_task(task: TaskMetric) -> tuple[Recipe, Evidence]:
    recipe = replace(RECIPE, task=task)
    return recipe, evidence_from_reference(Reference(recipe))


def test_task_is_scored_for_the_module_and_the_runner_in_batches_that_fit() -> None:
    sizes = []

    def answer(inputs: Any) -> dict[str, Any]:
        sizes.append(len(inputs["x"]))
        return {"y": inputs["x"]}

    recipe, known = with_task(TaskMetric("share", lambda: ({"x": ROWS}, ROWS[:, 0] > 0), share_of_positives))
    assert parity(recipe, known, Runner("double", answer)).task == {"share of the module": 1.0, "share": 1.0}
    assert sizes[-2:] == [5, 1]


def test_runner_that_loses_more_of_the_task_than_allowed_is_refused() -> None:
    """Within the limits of every single figure, and wrong all the same: two rows of ten change sides."""
    rows = np.full((10, 4), 0.01, np.float32)
    shifted = np.zeros_like(rows)
    shifted[0] = -0.02

    def answer(inputs: Any) -> dict[str, Any]:
        return {"y": inputs["x"] + (shifted[: len(inputs["x"])] if np.all(inputs["x"] == rows[0, 0]) else 0)}

    task = TaskMetric("share", lambda: ({"x": rows}, rows[:, 0] > 0), share_of_positives, max_loss=0.1)
    recipe, known = with_task(task)
    with pytest.raises(ParityError, match=r"tiny: double reaches share 0\.8000, .* 1\.0000: the loss of 0\.2000 is ab"):
        parity(recipe, known, Runner("double", answer))
    lenient = replace(recipe, task=replace(task, max_loss=0.5))
    assert parity(lenient, known, Runner("double", answer)).task["share"] == pytest.approx(0.8)


def test_a_score_that_is_no_number_is_refused() -> None:
    recipe, known = with_task(TaskMetric("share", lambda: ({"x": ROWS}, ROWS), lambda outputs, truth: float("nan")))
    with pytest.raises(ParityError, match="reaches share nan"):
        parity(recipe, known, off_by(0.0))


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (TaskMetric("share", lambda: 1 / 0, share_of_positives), "ZeroDivisionError"),
        (TaskMetric("share", lambda: ({"x": ROWS}, None), lambda outputs, truth: len(truth)), "TypeError"),
        (TaskMetric("share", lambda: ({"x": ROWS[:, :2]}, ROWS[:, 0]), share_of_positives), "output 'y'"),
    ],
    ids=["data", "score", "data of another shape"],
)
def test_task_that_cannot_be_computed_is_an_error_of_the_recipe(task: TaskMetric, reason: str) -> None:
    def proven() -> None:
        recipe, known = with_task(task)
        parity(recipe, known, off_by(0.0))

    with pytest.raises(RecipeError, match=f"tiny: .*{reason}"):
        proven()
