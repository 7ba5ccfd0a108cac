"""Samples, checked before anything is built on them, and stretched to sizes that they do not show."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engineroom import Axis, Recipe, Tensor
from engineroom.compile.truth.samples import samples_from_recipe, stretched
from engineroom.errors import RecipeError

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)
TOKENS = Axis("tokens", 1, 4, 8)


def recipe(**changes: Any) -> Recipe:
    made = Recipe(
        name="tiny",
        module=lambda: None,
        inputs=(Tensor("x", "float32", (4,)),),
        outputs=(Tensor("y", "float32", (4,)),),
        samples=lambda: [{"x": ROWS}],
        batch=Axis("batch", 1, 4, 8),
    )
    return replace(made, **changes)


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


def test_samples_are_repeated_or_cut_along_an_axis_to_the_sizes_that_none_shows() -> None:
    tokens = np.arange(10, dtype=np.float32).reshape(2, 5)
    made = recipe(inputs=(Tensor("x", "float32", (TOKENS,)), Tensor("z", "float32", (2, TOKENS))))
    groups = [{"x": tokens, "z": np.stack([tokens, -tokens], axis=1)}]
    found = dict(stretched(made, groups))
    assert list(found) == ["tokens 1", "tokens 4", "tokens 6", "tokens 8"]
    np.testing.assert_array_equal(found["tokens 1"]["x"], tokens[:, :1])
    np.testing.assert_array_equal(found["tokens 8"]["x"], tokens[:, [0, 1, 2, 3, 4, 0, 1, 2]])
    assert found["tokens 8"]["z"].shape == (2, 2, 8)
    assert list(stretched(recipe(), [{"x": ROWS}])) == []
