"""The proof: a runner against the module, with figures where it misses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engineroom import Axis, Recipe, TaskMetric, Tensor, Tolerance
from engineroom.compile.samples import Reference
from engineroom.compile.verify import Runner, parity
from engineroom.errors import ParityError, RecipeError

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def reference(tolerance: Tolerance | None = None, task: TaskMetric | None = None) -> Reference:
    return Reference(
        Recipe(
            name="tiny",
            module=torch.nn.Identity,
            inputs=(Tensor("x", "float32", (4,)),),
            outputs=(Tensor("y", "float32", (4,)),),
            samples=lambda: [{"x": ROWS}],
            batch=Axis("batch", 1, 3, 4),
            tolerance=tolerance or Tolerance(max_abs=0.2, mean_abs=0.1, cosine=0.9, top1=1.0),
            task=task,
        )
    )


def runner(off: float = 0.0, at: int | None = None) -> Runner:
    """Answers the input, its first element `off` by so much, at one batch size or at all."""

    def answer(inputs: Any) -> dict[str, Any]:
        y = inputs["x"].copy()
        if at in (None, len(y)):
            y[0, 0] += off
        return {"y": y}

    return Runner("double", answer)


def test_figures_are_the_worst_of_all_cases() -> None:
    found = parity(reference(), runner(off=0.125))
    assert (found.runner, found.batches, found.top1, found.task) == ("double", (1, 2, 3, 4), 1.0, {})
    assert found.max_abs == pytest.approx(0.125)
    assert found.mean_abs == pytest.approx(0.125 / 4)
    assert 0.9 < found.cosine < 1.0


def test_share_of_first_places_is_not_reported_where_it_means_nothing() -> None:
    assert parity(reference(Tolerance()), runner()).top1 is None


@pytest.mark.parametrize("batch", [1, 2, 3, 4])
def test_miss_at_one_batch_size_is_found_and_named(batch: int) -> None:
    with pytest.raises(ParityError) as caught:
        parity(reference(), runner(off=0.5, at=batch))
    message = str(caught.value)
    assert (
        f"tiny: double at batch {batch}, output 'y' differs from the PyTorch module: max_abs 0.5 is above 0.2"
        in message
    )
    assert "mean_abs" in message
    assert "cosine" in message
    assert "top1" in message


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
def test_runner_that_gives_no_fitting_answer_is_named(answer: Any, message: str) -> None:
    with pytest.raises(ParityError, match=f"tiny: double at batch 1.*{message}"):
        parity(reference(), Runner("double", answer))


def share_of_positives(outputs: Any, truth: Any) -> float:
    return float(np.mean((outputs["y"][:, 0] > 0) == truth))


def test_task_is_scored_for_the_module_and_the_runner_in_batches_that_fit() -> None:
    sizes = []

    def answer(inputs: Any) -> dict[str, Any]:
        sizes.append(len(inputs["x"]))
        return {"y": inputs["x"]}

    task = TaskMetric("share", lambda: ({"x": ROWS}, ROWS[:, 0] > 0), share_of_positives)
    found = parity(reference(task=task), Runner("double", answer))
    assert found.task == {"share of the module": 1.0, "share": 1.0}
    assert sizes == [1, 2, 3, 4, 4, 2]


def test_runner_that_loses_more_of_the_task_than_allowed_is_refused() -> None:
    """Within the tolerance of every single figure, and wrong all the same: one row of ten changes sides."""
    rows = np.full((10, 4), 0.01, np.float32)
    shifted = np.zeros_like(rows)
    shifted[0] = -0.02

    def answer(inputs: Any) -> dict[str, Any]:
        return {"y": inputs["x"] + (shifted[: len(inputs["x"])] if np.all(inputs["x"] == rows[0, 0]) else 0)}

    task = TaskMetric("share", lambda: ({"x": rows}, rows[:, 0] > 0), share_of_positives, max_loss=0.2)
    with pytest.raises(
        ParityError, match=r"tiny: double reaches share 0\.[0-9]+, .* module 1\.0000: the loss of 0\.\d+ is above"
    ):
        parity(reference(task=task), Runner("double", answer))
    lenient = replace(task, max_loss=0.5)
    assert parity(reference(task=lenient), Runner("double", answer)).task["share"] == pytest.approx(0.7)


def test_a_score_that_is_no_number_is_refused() -> None:
    task = TaskMetric("share", lambda: ({"x": ROWS}, ROWS), lambda outputs, truth: float("nan"))
    with pytest.raises(ParityError, match="reaches share nan"):
        parity(reference(task=task), runner())


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        (TaskMetric("share", lambda: 1 / 0, share_of_positives), "ZeroDivisionError"),
        (TaskMetric("share", lambda: ({"x": ROWS}, None), lambda outputs, truth: len(truth)), "TypeError"),
        (TaskMetric("share", lambda: ({"x": ROWS[:, :2]}, ROWS[:, 0]), share_of_positives), "ValueError|IndexError"),
    ],
    ids=["data", "score", "data of another shape"],
)
def test_task_that_cannot_be_computed_is_an_error_of_the_recipe(task: TaskMetric, reason: str) -> None:
    with pytest.raises(RecipeError, match=f"tiny: .*({reason}|output 'y')"):
        parity(reference(task=task), runner())
