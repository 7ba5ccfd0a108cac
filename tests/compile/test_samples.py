"""Samples and the module's answers, checked before anything is built on them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from engineroom import Axis, Recipe, Tensor
from engineroom.compile.samples import Reference, module_from_recipe, samples_from_recipe
from engineroom.errors import RecipeError

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
TOKENS = Axis("tokens", 1, 4, 8)


class Module(torch.nn.Module):
    """Answers whatever a function makes of the inputs."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.answer(*inputs)


def recipe(answer: Callable[..., Any] = lambda x: x * 2, **changes: Any) -> Recipe:
    made = Recipe(
        name="tiny",
        module=lambda: Module(answer),
        inputs=(Tensor("x", "float32", (4,)),),
        outputs=(Tensor("y", "float32", (4,)),),
        samples=lambda: [{"x": ROWS}],
        batch=Axis("batch", 1, 4, 8),
    )
    return replace(made, **changes)


def test_cases_are_every_group_at_every_batch_size_of_the_proof() -> None:
    reference = Reference(recipe(samples=lambda: [{"x": ROWS}, {"x": -ROWS[:1]}]))
    assert reference.batches == (1, 2, 4, 8)
    assert [case.batch for case in reference.cases] == [1, 2, 4, 8] * 2
    for case in reference.cases:
        np.testing.assert_array_equal(case.outputs["y"], case.inputs["x"] * 2)


@pytest.mark.parametrize(("batch", "batches"), [((1, 1, 1), (1,)), ((1, 1, 2), (1, 2)), ((1, 2, 64), (1, 2, 64))])
def test_batches_of_the_proof_stay_within_the_recipes(batch: tuple[int, int, int], batches: tuple[int, ...]) -> None:
    assert Reference(recipe(batch=Axis("batch", *batch))).batches == batches


@pytest.mark.parametrize(("largest", "rows"), [(8, 4), (2, 2), (1, 1)])
def test_golden_case_is_small_and_fits_a_batch(largest: int, rows: int) -> None:
    assert Reference(recipe(batch=Axis("batch", 1, 1, largest))).golden().batch == rows


def test_module_is_loaded_once_in_eval_mode_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    loaded = []

    def module() -> Module:
        sys.stdout.write("downloading weights 100 %")
        sys.stderr.write("progress")
        loaded.append(Module(lambda x: x))
        return loaded[-1].train()

    reference = Reference(recipe(module=module))
    assert reference.module is reference.module is loaded[0]
    assert not reference.module.training
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: open("/no/such/weights"), "tiny: its module cannot be loaded: FileNotFoundError: .*weights"),  # noqa: PTH123, SIM115
        (lambda: "a path", r"tiny: module\(\) returned str, a torch\.nn\.Module was expected"),
        (lambda: None, r"tiny: module\(\) returned NoneType"),
    ],
    ids=["weights are missing", "no module", "nothing"],
)
def test_module_that_is_none_is_refused(module: Callable[[], Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        module_from_recipe(recipe(module=module))


NAN = np.where(ROWS == 5, np.nan, ROWS).astype(np.float32)
INF = np.where(ROWS == 5, np.inf, ROWS).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], r"tiny: samples\(\) returned nothing\. Parity needs at least one real input"),
        ([{"x": ROWS[:0]}], "must have the same number of rows, at least one"),
        ([{"x": ROWS.astype(np.float64)}], r"samples of 'x' are float64 \(3, 4\), the recipe says float32 \('r"),
        ([{"x": ROWS[:, :3]}], r"samples of 'x' are float32 \(3, 3\), the recipe says float32"),
        ([{"x": ROWS[0]}], r"samples of 'x' are float32 \(4,\), the recipe says"),
        ([{"x": ROWS.tolist()}], "samples of 'x' are list, a numpy array of rows was expected"),
        ([{"x": np.float32(1)}], "samples of 'x' are float32, a numpy array of rows was expected"),
        ([{"image": ROWS}], "mappings from exactly x to arrays, one of them is image"),
        ([{"x": ROWS, "z": ROWS}], "mappings from exactly x to arrays, one of them is x, z"),
        ({"x": ROWS}, "mappings from exactly x to arrays, one of them is str"),
        ([ROWS], "mappings from exactly x to arrays, one of them is ndarray"),
        ([{"x": NAN}], "samples of 'x' hold NaN or infinity. Parity on them would prove nothing"),
        ([{"x": INF}], "samples of 'x' hold NaN or infinity"),
        (None, "its samples cannot be loaded: TypeError"),
    ],
    ids=[
        "no group", "no rows", "dtype", "shape", "a row alone", "a list", "a scalar", "another name", "one too many",
        "no list of groups", "no mapping", "NaN", "infinity", "nothing",
    ],
)  # fmt: skip
def test_samples_that_prove_nothing_are_refused(samples: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=f"^tiny: .*{message.removeprefix('tiny: ')}"):
        samples_from_recipe(recipe(samples=lambda: samples))


def test_rows_of_all_inputs_must_be_as_many() -> None:
    two = (Tensor("x", "float32", (4,)), Tensor("z", "float32", (4,)))
    with pytest.raises(RecipeError, match="must have the same number of rows"):
        samples_from_recipe(recipe(inputs=two, samples=lambda: [{"x": ROWS, "z": ROWS[:2]}]))


def open_ended(*lengths: int) -> Recipe:
    return recipe(
        inputs=(Tensor("x", "float32", (TOKENS,)),),
        samples=lambda: [{"x": np.ones((2, length), np.float32)} for length in lengths],
    )


def test_axis_of_one_size_only_proves_nothing_of_the_others() -> None:
    with pytest.raises(RecipeError, match=r"all samples have axis 'tokens' at 4, the recipe says 1\.\.8\. Give"):
        samples_from_recipe(open_ended(4, 4))
    assert len(samples_from_recipe(open_ended(4, 5))) == 2


def test_size_outside_the_axis_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"samples of 'x' are float32 \(2, 9\), the recipe says float32"):
        samples_from_recipe(open_ended(4, 9))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x @ torch.ones(5, 5), r"the module raises on its samples \(x \(1, 4\)\): RuntimeError: "),
        (lambda x, y: x, r"the module raises on its samples .*TypeError.* Its forward must take the inputs in the"),
        (lambda x: (x, x), "the module returns 2 outputs, the recipe names 1"),
        (lambda x: x[:, :2], r"output 'y' of the module is float32 \(1, 2\), the recipe says float32 \(1, 4\)"),
        (lambda x: x.double(), r"output 'y' of the module is float64 \(1, 4\), the recipe says float32"),
        (lambda x: x.sum(0), r"output 'y' of the module is float32 \(4,\), the recipe says"),
        (lambda x: {"y": x}, r"the module returns dict .* Wrap the module so that it returns one tensor, or a tuple"),
        (lambda x: x.bfloat16(), r"the module returns torch\.bfloat16 .* of Triton's types was expected"),
        (lambda x: None, "the module returns NoneType"),
        (lambda x: x / 0, "output 'y' of the module holds NaN or infinity on its samples. .*mend the module"),
    ],
    ids=[
        "raises", "needs more inputs", "two outputs", "shape", "dtype", "no batch", "dict", "bfloat16", "none", "NaN",
    ],
)  # fmt: skip
def test_answer_that_does_not_fit_the_recipe_is_refused(answer: Callable[..., Any], message: str) -> None:
    with pytest.raises(RecipeError, match=f"^tiny: .*{message}"):
        Reference(recipe(answer)).cases  # noqa: B018 - a property that computes
