"""Modules of every shape exported for real, and what is said of those that cannot be."""

import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from engineroom import Axis, Recipe, Tensor
from engineroom.compile.graph.export import explanation, onnx_from_module, quiet
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.compile.truth.reference import Reference, evidence_from_reference
from engineroom.compile.verify import parity
from engineroom.errors import ExportError, ParityError
from engineroom.repository.passport import Parity

ROWS = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
X, Y, Z = (Tensor(name, "float32", (4,)) for name in "xyz")
TOKENS = Axis("tokens", 1, 4, 16)


def proven(truth: Recipe, path: Path) -> Parity:
    return parity(truth, evidence_from_reference(Reference(truth)), runner_from_onnx(path, "fp32"))


class One(torch.nn.Module):
    """One input."""

    def __init__(self, answer: Callable[..., Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.lstm = torch.nn.Linear(4, 4), torch.nn.LSTM(4, 4)
        self.answer = answer

    def forward(self, x: torch.Tensor) -> Any:
        return self.answer(self, x)


class Two(One):
    """Two inputs."""

    def forward(self, x: torch.Tensor, z: torch.Tensor) -> Any:  # type: ignore[override]
        return self.answer(self, x, z)


def recipe(answer: Callable[..., Any] = lambda self, x: self.linear(x), kind: Any = One, **changes: Any) -> Recipe:
    made = Recipe(
        name="tiny",
        module=lambda: kind(answer),
        inputs=(X,),
        outputs=(Y,),
        samples=lambda: [{"x": ROWS}],
        batch=Axis("batch", 1, 4, 8),
    )
    return replace(made, **changes)


def two_samples() -> list[dict[str, Any]]:
    return [{"x": ROWS, "z": ROWS + 1}]


def lengths() -> list[dict[str, Any]]:
    return [{"x": np.ones((2, length), np.float32)} for length in (5, 3)]


RECIPES = {
    "plain": recipe(),
    "input unused": recipe(lambda self, x, z: self.linear(x), Two, inputs=(X, Z), samples=two_samples),
    "inputs in the recipe's order": recipe(lambda self, x, z: x - z, Two, inputs=(X, Z), samples=two_samples),
    "input handed through": recipe(lambda self, x: x),
    "input among the outputs": recipe(lambda self, x: (self.linear(x), x), outputs=(Y, Z)),
    "output given twice": recipe(lambda self, x: (self.linear(x),) * 2, outputs=(Y, Z)),
    "batch of one only": recipe(batch=Axis("batch", 1, 1, 1)),
    "batch of at most two": recipe(batch=Axis("batch", 1, 1, 2)),
    "axis of one size": recipe(inputs=(Tensor("x", "float32", (Axis("width", 4, 4, 4),)),)),
    "open axis": recipe(
        lambda self, x: x.cumsum(1).mean(1, keepdim=True),
        inputs=(Tensor("x", "float32", (TOKENS,)),),
        outputs=(Tensor("y", "float32", (1,)),),
        samples=lengths,
    ),
    "open axis in the answer": recipe(
        lambda self, x: x * x.shape[1],
        inputs=(Tensor("x", "float32", (TOKENS,)),),
        outputs=(Tensor("y", "float32", (TOKENS,)),),
        samples=lengths,
    ),
    "batch used as a size": recipe(lambda self, x: self.linear(x) + torch.ones(x.shape[0], 1)),
}


@pytest.mark.parametrize("made", RECIPES.values(), ids=RECIPES.keys())
def test_exported_graph_answers_as_the_module_at_every_size(made: Recipe, tmp_path: Path) -> None:
    reference, path = Reference(made), tmp_path / "model.onnx"
    assert onnx_from_module(reference, path) == []
    graph = onnx.load(str(path)).graph
    assert [value.name for value in graph.input] == [tensor.name for tensor in made.inputs]
    assert [value.name for value in graph.output] == [tensor.name for tensor in made.outputs]
    assert proven(made, path).max_abs < 1e-5


def test_internal_value_with_the_outputs_name_is_moved_and_noted(tmp_path: Path) -> None:
    """PyTorch names a value after the function that makes it, here `linear`."""
    made = recipe(lambda self, x: self.linear(x).relu(), outputs=(Tensor("linear", "float32", (4,)),))
    reference, path = Reference(made), tmp_path / "model.onnx"
    assert onnx_from_module(reference, path) == ["renamed the internal value 'linear', the recipe uses its name"]
    assert proven(made, path).max_abs < 1e-5


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            lambda self, x: self.linear(x) / float(x.shape[0]),
            r"'x' was exported as float32 \(4, 4\), the",
        ),
        (lambda self, x: self.lstm(x.unsqueeze(1))[0].squeeze(1), r"'y' was exported as float32 \(4, 4\), the"),
        (lambda self, x: x if x.max() > 3 else -x, "cannot export the module to ONNX. GuardOnDataDependentSymNode"),
        (lambda self, x: x @ torch.linalg.inv(x.T @ x), "DispatchError: No ONNX function found for .*linalg_inv"),
    ],
    ids=["batch as a float", "batch in an LSTM", "control flow on data", "operator unknown to ONNX"],
)
def test_module_that_cannot_be_exported_is_explained(answer: Any, message: str, tmp_path: Path) -> None:
    reference = Reference(recipe(answer))
    with pytest.raises(ExportError, match=f"^tiny: .*{message}"):
        onnx_from_module(reference, tmp_path / "model.onnx")


def totals(threshold: int = 99) -> Recipe:
    """Sums over an axis, and twice that below or above some size of it."""
    return recipe(
        lambda self, x: x.sum(1, keepdim=True) * (2 if x.shape[1] > threshold else 1),
        inputs=(Tensor("x", "float32", (TOKENS,)),),
        outputs=(Tensor("y", "float32", (1,)),),
        samples=lengths,
    )


@pytest.mark.parametrize(
    ("frozen", "truth", "at"),
    [
        (recipe(lambda self, x: x * (2 if x.shape[0] < 3 else 1)), recipe(lambda self, x: x * 2), "batch 1"),
        (totals(threshold=4), totals(), "batch 1"),
        (totals(threshold=15), totals(threshold=15), "batch 2, tokens 16"),
    ],
    ids=["batch", "another axis", "another axis at a size that no sample shows"],
)
def test_size_that_is_frozen_in_silence_is_found_by_the_proof(
    frozen: Recipe, truth: Recipe, at: str, tmp_path: Path
) -> None:
    """The exporter takes the branch of the example's size; the file says that every size is right."""
    path = tmp_path / "model.onnx"
    onnx_from_module(Reference(frozen), path)
    with pytest.raises(ParityError, match=f"tiny: onnxruntime cpu at {at}, output 'y' differs"):
        proven(truth, path)


def test_fixed_size_is_explained_by_the_axes_that_are_open() -> None:
    try:
        raise RuntimeError("outer") from ValueError("Constraints violated (batch)! You marked batch as dynamic but")
    except RuntimeError as error:
        text = explanation(recipe(), error)
    assert text.startswith("tiny: the module fixes a size that the recipe leaves open (batch). ValueError: Constraints")
    assert text.endswith("use x.shape[0] instead.")


def test_explanation_of_an_error_without_words_is_its_kind() -> None:
    assert explanation(recipe(), KeyError()) == "tiny: PyTorch cannot export the module to ONNX. KeyError"


def test_quiet_silences_prints_warnings_and_logs_for_a_while_only(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def speak() -> None:
        sys.stdout.write("out")
        sys.stderr.write("err")
        logging.getLogger("torch.export").warning("log")

    with quiet():
        speak()
        warnings.warn("of no importance", stacklevel=1)
    assert (capsys.readouterr(), caplog.messages) == (("", ""), [])
    speak()
    assert capsys.readouterr().out == "out"
    assert caplog.messages == ["log"]
