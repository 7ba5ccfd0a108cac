"""A recipe's samples, checked, and what the PyTorch module answers to them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import RecipeError
from engineroom.recipe import Arrays, Axis, Recipe, Tensor


@dataclass(frozen=True)
class Case:
    """One request of the proof: some rows of one group of samples, and the module's answer.

    Attributes:
        inputs: Arrays by name, shape (batch, ...).
        outputs: The module's answer in FP32, by name.
    """

    inputs: dict[str, npt.NDArray[Any]]
    outputs: dict[str, npt.NDArray[Any]]

    @property
    def batch(self) -> int:
        """Rows in this request."""
        return len(next(iter(self.inputs.values())))


class Reference:
    """The PyTorch module as the source of truth.

    Args:
        recipe: The recipe; its module and samples are loaded when they are first needed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @cached_property
    def module(self) -> Any:
        """The module of the recipe, loaded once."""
        return module_from_recipe(self.recipe)

    @cached_property
    def groups(self) -> tuple[Arrays, ...]:
        """The recipe's samples, checked against its inputs."""
        return samples_from_recipe(self.recipe)

    @cached_property
    def batches(self) -> tuple[int, ...]:
        """Batch sizes of the proof: 1, 2, the optimum and the maximum."""
        axis = self.recipe.batch
        return tuple(sorted({size for size in (1, 2, axis.opt, axis.max) if size <= axis.max}))

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Every group of samples at every batch size of the proof, with the module's answers."""
        rows = [self.recipe.rows(group, size) for group in self.groups for size in self.batches]
        return tuple(Case(inputs, self.answer(inputs)) for inputs in rows)

    @cached_property
    def task_data(self) -> tuple[Arrays, npt.NDArray[Any]]:
        """The labelled data of the recipe's task, loaded once; only for recipes that have one."""
        assert self.recipe.task is not None, "asked for the data of a task that is not there"  # noqa: S101
        return self.recipe.task.data()

    @cached_property
    def task_answers(self) -> Arrays:
        """What the module answers to the task's data, computed once for all artefacts that are scored beside it."""
        return in_batches(self.answer, self.task_data[0], self.recipe.batch.max)

    def requests(self, rows: int = 4, most: int = 64) -> Iterator[Arrays]:
        """The samples themselves, each row once, a few rows at a time.

        Args:
            rows: Rows of a request.
            most: Rows taken of each group.
        """
        for group in self.groups:
            count = min(most, len(next(iter(group.values()))))
            for start in range(0, count, rows):
                yield {name: array[start : min(start + rows, count)] for name, array in group.items()}

    def golden(self, rows: int = 4) -> Case:
        """A small case to keep beside the artefacts; every published copy must answer it.

        Args:
            rows: Rows wanted; fewer where the recipe's largest batch is smaller.
        """
        inputs = self.recipe.rows(self.groups[0], min(rows, self.recipe.batch.max))
        return Case(inputs, self.answer(inputs))

    def answer(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """What the module answers.

        Args:
            inputs: Arrays by name, shape (batch, ...).

        Returns:
            Outputs by name, shape (batch, ...).

        Raises:
            RecipeError: The module raises, its outputs do not fit the recipe, or hold NaN or infinity.
        """
        import torch

        tensors = [torch.from_numpy(np.ascontiguousarray(inputs[tensor.name])) for tensor in self.recipe.inputs]
        module = self.module  # Loaded before the mode below: a recipe may train its module.
        try:
            with torch.inference_mode():
                answer = module(*tensors)
        except Exception as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
            raise RecipeError(
                f"{self.recipe.name}: the module raises on its samples ({shapes}): {type(error).__name__}: {error}. "
                "Its forward must take the inputs in the recipe's order, each with a leading batch axis."
            ) from error
        outputs = answer if isinstance(answer, tuple | list) else (answer,)
        return self._named([self._array(output) for output in outputs], len(tensors[0]))

    def _array(self, output: Any) -> npt.NDArray[Any]:
        import torch

        try:
            array: npt.NDArray[Any] = output.numpy()
        except (AttributeError, TypeError) as error:
            kind = output.dtype if isinstance(output, torch.Tensor) else type(output).__name__
            raise RecipeError(
                f"{self.recipe.name}: the module returns {kind} ({error}), a tensor on the CPU of one of Triton's "
                "types was expected. Wrap the module so that it returns one tensor, or a tuple, as the recipe says."
            ) from error
        return array

    def _named(self, arrays: Sequence[npt.NDArray[Any]], batch: int) -> dict[str, npt.NDArray[Any]]:
        recipe = self.recipe
        if len(arrays) != len(recipe.outputs):
            raise RecipeError(
                f"{recipe.name}: the module returns {len(arrays)} outputs, the recipe names {len(recipe.outputs)}."
            )
        for tensor, array in zip(recipe.outputs, arrays, strict=True):
            if not _fits(tensor, array, batch):
                raise RecipeError(
                    f"{recipe.name}: output '{tensor.name}' of the module is {array.dtype} {array.shape}, "
                    f"the recipe says {tensor.dtype} {(batch, *tensor.shape)}. Change the recipe or the module."
                )
            if not np.all(np.isfinite(array)):
                raise RecipeError(
                    f"{recipe.name}: output '{tensor.name}' of the module holds NaN or infinity on its samples. "
                    "Nothing can be compared with it: mend the module or its samples."
                )
        return {tensor.name: array for tensor, array in zip(recipe.outputs, arrays, strict=True)}


def module_from_recipe(recipe: Recipe) -> Any:
    """Load the recipe's module, in eval mode.

    Raises:
        RecipeError: The recipe's `module` raises, or returns something else than a `torch.nn.Module`.
    """
    import contextlib
    import io

    import torch

    try:
        # Model packages like to print and draw bars while they load; the terminal belongs to the command.
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            module = recipe.module()
    except Exception as error:
        raise RecipeError(f"{recipe.name}: its module cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(module, torch.nn.Module):
        raise RecipeError(f"{recipe.name}: module() returned {type(module).__name__}, a torch.nn.Module was expected.")
    return module.eval()


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
        if not _fits(tensor, array, len(array)):
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


def _fits(tensor: Tensor, array: npt.NDArray[Any], batch: int) -> bool:
    if array.dtype.name != tensor.dtype or array.ndim != len(tensor.dims) + 1 or array.shape[0] != batch:
        return False
    return all(
        dim.min <= size <= dim.max if isinstance(dim, Axis) else dim == size
        for dim, size in zip(tensor.dims, array.shape[1:], strict=True)
    )


def in_batches(answer: Callable[[Arrays], Arrays], inputs: Arrays, size: int) -> Arrays:
    """Answer many rows in batches of a size, the last one smaller; rows stay in order.

    Args:
        answer: From inputs to outputs by name, shape (batch, ...).
        inputs: Arrays by name, shape (rows, ...).
        size: Rows of a batch.
    """
    rows = len(next(iter(inputs.values())))
    parts = [answer({name: array[at : at + size] for name, array in inputs.items()}) for at in range(0, rows, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
