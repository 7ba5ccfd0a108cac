"""What the module answers, checked, and the evidence that is taken from it."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engineroom import Axis, Recipe, Tensor
from engineroom.compile.truth.evidence import evidence_from_file, evidence_to_file
from engineroom.compile.truth.reference import MOST, Reference, evidence_from_reference, module_from_recipe
from engineroom.errors import RecipeError, RepositoryError

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
    evidence = evidence_from_reference(Reference(recipe(samples=lambda: [{"x": ROWS}, {"x": -ROWS[:1]}])))
    assert evidence.batches == (1, 2, 3, 4, 8)
    assert [case.at for case in evidence.cases] == [f"batch {size}" for size in evidence.batches] * 2
    for case in evidence.cases:
        np.testing.assert_array_equal(case.outputs["y"], case.inputs["x"] * 2)
    np.testing.assert_array_equal(evidence.cases[4].inputs["x"], ROWS[[0, 1, 2, 0, 1, 2, 0, 1]])


def test_axes_are_also_shown_at_sizes_that_no_sample_has() -> None:
    def total(x: torch.Tensor) -> torch.Tensor:
        return x.sum(1, keepdim=True)

    open_ended = recipe(
        total,
        inputs=(Tensor("x", "float32", (TOKENS,)),),
        outputs=(Tensor("y", "float32", (1,)),),
        samples=lambda: [{"x": np.ones((3, 4), np.float32)}, {"x": np.ones((3, 5), np.float32)}],
    )
    evidence = evidence_from_reference(Reference(open_ended))
    stretched = {case.at: case.outputs["y"][0, 0] for case in evidence.cases if case.sample.what}
    assert stretched == {"batch 2, tokens 1": 1.0, "batch 2, tokens 6": 6.0, "batch 2, tokens 8": 8.0}


@pytest.mark.parametrize(("batch", "batches"), [((1, 1, 1), (1,)), ((1, 1, 2), (1, 2)), ((1, 2, 64), (1, 2, 3, 64))])
def test_batches_of_the_proof_stay_within_the_recipes(batch: tuple[int, int, int], batches: tuple[int, ...]) -> None:
    assert evidence_from_reference(Reference(recipe(batch=Axis("batch", *batch)))).batches == batches


@pytest.mark.parametrize(("largest", "rows"), [(8, 4), (2, 2), (1, 1)])
def test_golden_case_is_small_and_fits_a_batch(largest: int, rows: int) -> None:
    evidence = evidence_from_reference(Reference(recipe(batch=Axis("batch", 1, 1, largest))))
    assert evidence.golden().batch == rows


def test_every_row_is_asked_once_up_to_a_bound() -> None:
    rows = np.arange(4 * (MOST + 9), dtype=np.float32).reshape(-1, 4)
    evidence = evidence_from_reference(Reference(recipe(samples=lambda: [{"x": rows}])))
    np.testing.assert_array_equal(np.concatenate([one["x"] for one in evidence.requests(rows=7)]), rows[:MOST])


@pytest.mark.parametrize(
    "answer",
    [lambda x: x - x.mean(0), lambda x: x * x.shape[0], lambda x: torch.cat([x[1:], x[:1]])],
    ids=["mean of the batch", "size of the batch", "rows change places"],
)
def test_module_that_mixes_the_rows_of_a_batch_is_refused(answer: Callable[..., Any]) -> None:
    with pytest.raises(RecipeError, match=r"answers row \d alone otherwise than beside other rows, output 'y': .*str"):
        evidence_from_reference(Reference(recipe(answer)))
    alone = recipe(lambda x: x, batch=Axis("batch", 1, 1, 1))
    assert evidence_from_reference(Reference(alone)).batches == (1,)


def test_evidence_is_read_as_it_was_written_and_in_equal_bytes(tmp_path: Path) -> None:
    evidence = evidence_from_reference(Reference(recipe(lambda x: x / 3)))
    for name in ("one.npz", "two.npz"):
        evidence_to_file(evidence, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    again = evidence_from_file(tmp_path / "one.npz")
    assert (again.model, again.batches, again.task) == (evidence.model, evidence.batches, {})
    for old, new in zip(evidence.samples, again.samples, strict=True):
        assert (old.model, old.what) == (new.model, new.what)
        np.testing.assert_array_equal(old.inputs["x"], new.inputs["x"])
        np.testing.assert_array_equal(old.outputs["y"], new.outputs["y"])
        np.testing.assert_array_equal(old.rounded["bf16"]["y"], new.rounded["bf16"]["y"])


@pytest.mark.parametrize("content", [b"", b"PK no archive", None], ids=["empty", "no archive", "missing"])
def test_broken_evidence_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "evidence.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RepositoryError, match=r"evidence\.npz: is no stored evidence"):
        evidence_from_file(path)


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


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda x: x @ torch.ones(5, 5), r"the module raises on its samples \(x \(3, 4\)\): RuntimeError: "),
        (lambda x, y: x, r"the module raises on its samples .*TypeError.* Its forward must take the inputs in the"),
        (lambda x: (x, x), "the module returns 2 outputs, the recipe names 1"),
        (lambda x: x[:, :2], r"output 'y' of the module is float32 \(3, 2\), the recipe says float32 \(3, 4\)"),
        (lambda x: x.double(), r"output 'y' of the module is float64 \(3, 4\), the recipe says float32"),
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
        evidence_from_reference(Reference(recipe(answer)))
