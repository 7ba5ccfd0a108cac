"""A recipe's samples, checked, and stretched to the sizes that they do not show."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import RecipeError
from engineroom.recipe import Arrays, Axis, Recipe, Tensor


def samples_from_recipe(recipe: Recipe) -> tuple[Arrays, ...]:
    """The recipe's samples, checked.

    Raises:
        RecipeError: They cannot be loaded, are empty, hold NaN, or do not fit the inputs.
    """
    try:
        groups = tuple(recipe.samples())
    except Exception as error:
        raise RecipeError(f"{recipe.name}: its samples cannot be loaded: {type(error).__name__}: {error}") from error
    if not groups:
        raise RecipeError(f"{recipe.name}: samples() returned nothing. Parity needs at least one real input.")
    for group in groups:
        _check_group(recipe, group)
    _check_axes(recipe, groups)
    return groups


def _check_group(recipe: Recipe, group: Arrays) -> None:
    expected = [tensor.name for tensor in recipe.inputs]
    if not isinstance(group, Mapping) or sorted(group) != sorted(expected):
        found = ", ".join(map(str, group)) if isinstance(group, Mapping) else type(group).__name__
        raise RecipeError(
            f"{recipe.name}: samples() must give a list of mappings from exactly {', '.join(expected)} to arrays, "
            f"one of them is {found or 'empty'}."
        )
    for name, array in group.items():
        if not isinstance(array, np.ndarray) or not array.ndim:
            raise RecipeError(
                f"{recipe.name}: samples of '{name}' are {type(array).__name__}, a numpy array of rows was expected."
            )
    if len({len(array) for array in group.values()}) != 1 or not len(group[expected[0]]):
        raise RecipeError(
            f"{recipe.name}: arrays of one group of samples must have the same number of rows, at least one."
        )
    for tensor in recipe.inputs:
        array = group[tensor.name]
        if not fits(tensor, array, len(array)):
            raise RecipeError(
                f"{recipe.name}: samples of '{tensor.name}' are {array.dtype} {array.shape}, "
                f"the recipe says {tensor.dtype} {('rows', *tensor.shape)}. Change the recipe or its samples."
            )
        if not np.all(np.isfinite(array)):
            raise RecipeError(
                f"{recipe.name}: samples of '{tensor.name}' hold NaN or infinity. Parity on them would prove nothing."
            )


def _check_axes(recipe: Recipe, groups: Sequence[Arrays]) -> None:
    """Every axis in two sizes: one alone cannot tell an open size from one that the export froze at the example's."""
    for axis in recipe.axes:
        sizes = {
            group[tensor.name].shape[index]
            for group in groups
            for tensor in recipe.inputs
            for index, dim in enumerate(tensor.dims, 1)
            if dim == axis
        }
        if axis.min < axis.max and len(sizes) < 2:
            raise RecipeError(
                f"{recipe.name}: all samples have axis '{axis.name}' at {sizes.pop()}, "
                f"the recipe says {axis.min}..{axis.max}. "
                "Give a group of samples of another size too, so that the proof sees the axis vary."
            )


def stretched(recipe: Recipe, groups: Sequence[Arrays]) -> Iterator[tuple[str, Arrays]]:
    """Samples at the sizes of every axis that no group shows: the smallest, the usual, one above it, and the largest.

    A size that the export or a compiler has frozen is wrong at the others. Values are the samples' own, repeated along
    the axis or cut.

    Args:
        recipe: Says the axes.
        groups: Checked samples.

    Yields:
        What was done, such as `sequence 256`, and arrays by input name, shape (at most 2, ...).
    """
    for axis in recipe.axes:
        shown = {_size(recipe, group, axis): group for group in reversed(groups)}
        for size in sorted({axis.min, axis.opt, (axis.opt + axis.max + 1) // 2, axis.max} - shown.keys()):
            nearest = shown[min(shown, key=lambda have: abs(have - size))]
            yield f"{axis.name} {size}", _with_size(recipe, nearest, axis, size)


def _size(recipe: Recipe, group: Arrays, axis: Axis) -> int:
    return next(
        int(group[tensor.name].shape[index])
        for tensor in recipe.inputs
        for index, dim in enumerate(tensor.dims, 1)
        if dim == axis
    )


def _with_size(recipe: Recipe, group: Arrays, axis: Axis, size: int) -> Arrays:
    made = {}
    for tensor in recipe.inputs:
        array = group[tensor.name][:2]
        for index, dim in enumerate(tensor.dims, 1):
            if dim == axis:
                array = np.take(array, np.arange(size) % array.shape[index], axis=index)
        made[tensor.name] = np.ascontiguousarray(array)
    return made


def fits(tensor: Tensor, array: npt.NDArray[Any], batch: int) -> bool:
    """Whether an array has a tensor's dtype and shape, with so many rows."""
    if array.dtype.name != tensor.dtype or array.ndim != len(tensor.dims) + 1 or array.shape[0] != batch:
        return False
    return all(
        dim.min <= size <= dim.max if isinstance(dim, Axis) else dim == size
        for dim, size in zip(tensor.dims, array.shape[1:], strict=True)
    )
