"""The words of a recipe refuse what contradicts itself, and say how to mend it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engineroom import Axis, Recipe, Tensor, Tolerance
from engineroom.errors import RecipeError

TOKENS = Axis("tokens", 2, 16, 64)

RECIPE = Recipe(
    name="tiny",
    module=lambda: None,
    inputs=(Tensor("ids", "int64", (TOKENS,)), Tensor("mask", "int64", (TOKENS,))),
    outputs=(Tensor("embedding", "float32", (4,)),),
    samples=list,
)


@pytest.mark.parametrize("sizes", [(0, 1, 2), (2, 1, 4), (1, 8, 4), (-1, 1, 1)])
def test_sizes_of_an_axis_ascend_from_one(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(RecipeError, match=rf"axis 'n': sizes need 1 <= min <= opt <= max, got {sizes[0]}, {sizes[1]}"):
        Axis("n", *sizes)


@pytest.mark.parametrize("name", ["", "batch size", "2nd", "a-b"])
def test_name_of_an_axis_is_an_identifier(name: str) -> None:
    with pytest.raises(RecipeError, match=f"axis '{name}': the name must be an identifier"):
        Axis(name, 1, 2, 3)


def test_shape_is_open_only_where_the_size_varies() -> None:
    tensor = Tensor("x", "float32", (TOKENS, 3, Axis("fixed", 5, 5, 5)))
    assert tensor.shape == (-1, 3, 5)
    assert [tensor.sized(which) for which in ("min", "opt", "max")] == [(2, 3, 5), (16, 3, 5), (64, 3, 5)]
    assert tensor.axes == (TOKENS, Axis("fixed", 5, 5, 5))


@pytest.mark.parametrize(
    ("dtype", "dims", "message"),
    [
        ("float", (1,), r"tensor 'x': dtype 'float' is unknown\. Use one of: bool, uint8, .*float64\."),
        ("bfloat16", (1,), "tensor 'x': dtype 'bfloat16' is unknown"),
        ("float32", (3, 0), r"tensor 'x': dims \(3, 0\) must be positive\. Use an Axis for a size that varies"),
        ("float32", (-1,), r"tensor 'x': dims \(-1,\) must be positive"),
        ("float32", (), r"tensor 'x': has no dims, .* Use dims=\(1,\) and x\.unsqueeze\(1\)"),
    ],
    ids=["alias of a dtype", "dtype Triton has not", "zero", "minus one", "no dims"],
)
def test_tensor_that_cannot_be_served_is_refused(dtype: str, dims: tuple[int, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Tensor("x", dtype, dims)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"noise": 0.0}, "tolerance: noise must be above 0, got 0.0"),
        ({"max_abs": 0.0}, "tolerance: max_abs must be above 0, got 0.0"),
        ({"mean_abs": -1.0}, "tolerance: mean_abs must be above 0, got -1.0"),
        ({"cosine": 1.5}, "tolerance: cosine is a share of at most 1, got 1.5"),
        ({"top1": 95.0}, "tolerance: top1 is a share of at most 1, got 95.0"),
        ({"top1": float("nan")}, "tolerance: top1 is a share of at most 1, got nan"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_tolerance_that_means_nothing_is_refused(limits: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Tolerance(**limits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "my-model"}, r"recipe 'my-model': the name must be a Python identifier, as in build/NAME\.py"),
        ({"inputs": ()}, "tiny: a recipe needs at least one input and one output"),
        ({"outputs": ()}, "tiny: a recipe needs at least one input and one output"),
        (
            {"outputs": (Tensor("ids", "int64", (1,)),)},
            "tiny: tensor names must differ, ids occurs twice. Rename one of them",
        ),
        ({"precision": "int4"}, "tiny: precision 'int4' is unknown. Use fp16, int8 or fp32"),
        ({"sparsity": "1:2"}, "tiny: sparsity '1:2' is unknown. Use 2:4, or leave it out"),
        ({"batch": Axis("batch", 2, 4, 8)}, "tiny: the batch axis must begin at 1, Triton sends single rows too"),
        (
            {"batch": Axis("tokens", 1, 4, 8)},
            "tiny: axis 'tokens' is given twice with different sizes. One name is one axis",
        ),
        (
            {"outputs": (Tensor("y", "float32", (Axis("words", 1, 2, 3),)),)},
            "tiny: output axis words is on no input, so nothing decides its size",
        ),
    ],
    ids=[
        "name",
        "no input",
        "no output",
        "name twice",
        "precision",
        "sparsity",
        "batch from 2",
        "axis twice",
        "free output axis",
    ],
)
def test_recipe_that_contradicts_itself_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        replace(RECIPE, **changes)


def test_axes_come_once_and_without_the_batch() -> None:
    assert RECIPE.axes == (TOKENS,)


@pytest.mark.parametrize("available", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [1, 2, 5, 16])
def test_rows_repeat_from_the_start_and_are_copies(available: int, count: int) -> None:
    group = {"ids": np.arange(available * 3).reshape(available, 3), "mask": np.ones((available, 3))}
    before = group["ids"].copy()
    rows = RECIPE.rows(group, count)
    assert set(rows) == {"ids", "mask"}
    for index in range(count):
        np.testing.assert_array_equal(rows["ids"][index], group["ids"][index % available])
    assert rows["ids"].flags.c_contiguous
    rows["ids"][:] = -1
    np.testing.assert_array_equal(group["ids"], before)
