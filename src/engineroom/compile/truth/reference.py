"""The PyTorch module as the source of truth, and the evidence that is taken from it."""

from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.compile.truth.evidence import Evidence, Sample, in_batches
from engineroom.compile.truth.limits import limits
from engineroom.compile.truth.noise import rounded_answer
from engineroom.compile.truth.samples import fits, samples_from_recipe, stretched
from engineroom.compile.truth.sparsity import pruned
from engineroom.errors import RecipeError
from engineroom.recipe import Arrays, Recipe, Tolerance
from engineroom.repository.agreement import agreement

MOST = 64
"""Rows of a group of samples that the module answers."""


class Reference:
    """The PyTorch module of a recipe.

    Args:
        recipe: The recipe; its module and samples are loaded when they are first needed.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    @cached_property
    def dense(self) -> Any:
        """The module of the recipe, loaded once."""
        return module_from_recipe(self.recipe)

    @cached_property
    def module(self) -> Any:
        """The module that is exported: the recipe's, or a pruned copy where the recipe asks for sparsity."""
        return pruned(self.dense).module if self.recipe.sparsity else self.dense

    @cached_property
    def groups(self) -> tuple[Arrays, ...]:
        """The recipe's samples, checked against its inputs."""
        return samples_from_recipe(self.recipe)

    def answer(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """What the module answers.

        Args:
            inputs: Arrays by name, shape (batch, ...).

        Returns:
            Outputs by name, shape (batch, ...).

        Raises:
            RecipeError: The module raises, its outputs do not fit the recipe, or hold NaN or infinity.
        """
        return self._run(inputs, lambda module, tensors: module(*tensors))

    def dense_answer(self, inputs: Arrays) -> dict[str, npt.NDArray[Any]]:
        """What the module answers before it is pruned; as `answer`."""
        return self._run(inputs, lambda _, tensors: self.dense(*tensors))

    def rounded(self, inputs: Arrays, kind: str) -> dict[str, npt.NDArray[Any]]:
        """What the module answers with every value rounded.

        Args:
            inputs: Arrays by name, shape (batch, ...).
            kind: Element type, such as `fp16`.

        Raises:
            RecipeError: As for `answer`.
        """
        return self._run(inputs, lambda module, tensors: rounded_answer(module, tensors, kind))

    def _run(self, inputs: Arrays, answer: Callable[[Any, tuple[Any, ...]], Any]) -> dict[str, npt.NDArray[Any]]:
        import torch

        tensors = tuple(torch.from_numpy(np.ascontiguousarray(inputs[tensor.name])) for tensor in self.recipe.inputs)
        module = self.module  # Loaded before the mode below: a recipe may train its module.
        try:
            with torch.inference_mode():
                found = answer(module, tensors)
        except Exception as error:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in inputs.items())
            raise RecipeError(
                f"{self.recipe.name}: the module raises on its samples ({shapes}): {type(error).__name__}: {error}. "
                "Its forward must take the inputs in the recipe's order, each with a leading batch axis, "
                "in every size that the recipe's axes allow."
            ) from error
        outputs = found if isinstance(found, tuple | list) else (found,)
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
            if not fits(tensor, array, batch):
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


def evidence_from_reference(reference: Reference, kinds: tuple[str, ...] = ()) -> Evidence:
    """Let the module answer everything that artefacts will be judged by.

    Args:
        reference: The recipe with its module.
        kinds: Element types to measure the rounding of; by default what the recipe's artefacts may compute in.

    Raises:
        RecipeError: The module or the samples do not fit the recipe, or a row's answer depends on the rows beside it.
    """
    recipe = reference.recipe
    kinds = kinds or ("fp16", "bf16", *(["int8"] if recipe.precision == "int8" else []))
    own = [("", {name: array[:MOST] for name, array in group.items()}) for group in reference.groups]
    samples = tuple(
        _sample(reference, what, inputs, kinds) for what, inputs in (*own, *stretched(recipe, reference.groups))
    )
    task = _task_answers(reference) if recipe.task else {}
    axis = recipe.batch
    batches = tuple(sorted({size for size in (1, 2, 3, axis.opt, axis.max) if size <= axis.max}))
    evidence = Evidence(recipe.name, samples, batches, task)
    if axis.max > 1:
        _check_rows_apart(reference, evidence)
    return evidence


def _task_answers(reference: Reference) -> Arrays:
    recipe = reference.recipe
    assert recipe.task is not None, "asked for a task that is not there"  # noqa: S101
    try:
        inputs, _ = recipe.task.data()
    except Exception as error:
        raise RecipeError(
            f"{recipe.name}: the data of its task metric '{recipe.task.name}' cannot be loaded: "
            f"{type(error).__name__}: {error}. Mend data() of the recipe's task."
        ) from error
    # What the task may lose, it may lose by pruning and by rounding together.
    return in_batches(reference.dense_answer, inputs, recipe.batch.max)


def _sample(reference: Reference, what: str, inputs: Arrays, kinds: tuple[str, ...]) -> Sample:
    # The usual batch size keeps the memory that a large group takes within bounds.
    size = reference.recipe.batch.opt
    rounded = {kind: in_batches(partial(reference.rounded, kind=kind), inputs, size) for kind in kinds}
    return Sample(reference.recipe.name, what, inputs, in_batches(reference.answer, inputs, size), rounded)


def _check_rows_apart(reference: Reference, evidence: Evidence) -> None:
    """Refuse a module that mixes the rows of a batch: Triton puts strangers' requests into one."""
    for sample in evidence.samples:
        for case in sample.alone(sample.rows):
            for output, answer in reference.answer(case.inputs).items():
                found = agreement(case.outputs[output], answer)
                if missed := found.misses(limits(evidence, output, "fp32", Tolerance())):
                    raise RecipeError(
                        f"{evidence.model}: the module answers {case.at} otherwise than beside other rows, "
                        f"output '{output}': {'; '.join(missed)}. Dynamic batching puts strangers' requests into one "
                        "batch, so no row may depend on another: look for a mean or a norm over the batch axis."
                    )


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
