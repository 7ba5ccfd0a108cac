"""What is allowed: the module's own rounding some times over, and never so much that the answer drowns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engineroom import Axis, Recipe, Tensor, Tolerance
from engineroom.compile.truth.evidence import Evidence
from engineroom.compile.truth.limits import COSINE, EXACT, LARGEST, SIGNAL, doubt, limits, loosest, noise, variation
from engineroom.compile.truth.reference import Reference, evidence_from_reference

ROWS = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)


class Shifted(torch.nn.Module):
    """Loses what a large value added in between cannot hold."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + self.by) - self.by


def evidence(by: float, rows: np.ndarray = ROWS) -> Evidence:
    recipe = Recipe(
        name="shifted",
        module=lambda: Shifted(by),
        inputs=(Tensor("x", "float32", (8,)),),
        outputs=(Tensor("y", "float32", (8,)),),
        samples=lambda: [{"x": rows}],
        batch=Axis("batch", 1, 4, 8),
    )
    return evidence_from_reference(Reference(recipe))


def test_limits_are_the_modules_rounding_times_the_tolerance() -> None:
    known = evidence(12.0)
    scale, allowed = noise(known, "y", "fp16"), limits(known, "y", "fp16", Tolerance(noise=3.0))
    # From 8 to 16 FP16 has steps of 2**-7, so errors are evenly spread over half of one on either side.
    assert scale.rms == pytest.approx(2**-7 / 12**0.5, rel=0.1)
    assert allowed.rms == pytest.approx(3 * scale.rms)
    assert allowed.p99_abs == pytest.approx(3 * scale.p99_abs)
    assert allowed.max_abs == pytest.approx(3 * LARGEST * scale.max_abs)
    assert allowed.cosine == pytest.approx(1 - 36 * (1 - scale.cosine))
    assert (allowed.mean_abs, allowed.top1) == (None, 1.0)


def test_bf16_is_allowed_more_and_fp32_far_less() -> None:
    known = evidence(12.0)
    fp16, bf16, fp32 = (noise(known, "y", kind).rms for kind in ("fp16", "bf16", "fp32"))
    assert bf16 == pytest.approx(8 * fp16, rel=0.1)
    assert fp32 == pytest.approx(EXACT * fp16)
    assert loosest(known, "y", {"fp16", "bf16"}, Tolerance()) == limits(known, "y", "bf16", Tolerance())


def test_type_that_is_too_short_for_the_module_gives_no_licence() -> None:
    """Next to 12,000 FP16 has steps of 8: the module's own rounding would excuse anything."""
    known = evidence(12000.0)
    assert noise(known, "y", "fp16").rms > 0.9
    allowed = limits(known, "y", "fp16", Tolerance())
    assert allowed.rms == pytest.approx(SIGNAL * ROWS.std(), rel=0.01)
    assert allowed.cosine == COSINE


def test_limits_of_the_recipe_hold_besides() -> None:
    known = evidence(12.0)
    allowed = limits(known, "y", "fp16", Tolerance(max_abs=1e-6, mean_abs=1e-7, cosine=0.999999, top1=0.5))
    assert (allowed.max_abs, allowed.mean_abs, allowed.top1) == (1e-6, 1e-7, 0.5)
    assert allowed.cosine >= 0.999999
    assert limits(known, "y", "fp16", Tolerance(max_abs=100.0)).max_abs < 1


@pytest.mark.parametrize(("value", "expected"), [(3.0, 3.0), (0.0, 0.0)], ids=["the same", "nothing"])
def test_variation_of_an_answer_that_never_varies_is_its_size(value: float, expected: float) -> None:
    assert variation(evidence(12.0, np.full((4, 8), value, np.float32)), "y") == expected


def test_answer_is_never_asked_to_be_closer_than_its_own_last_rounding() -> None:
    known = evidence(0.0, np.float32([[1, 2, 4, 8, 16, 32, 64, 128]]))
    assert noise(known, "y", "fp16").max_abs == 128 * 2**-11


def test_lead_that_decides_a_row_is_a_multiple_of_that_rows_rounding() -> None:
    known = evidence(12.0)
    (case, *_) = [case for case in known.cases if case.batch == 8]
    sample = known.samples[0]
    errors = np.abs(sample.outputs["y"] - sample.rounded["fp16"]["y"]).max(axis=1)
    usual = np.sqrt(np.mean(errors**2))
    assert doubt(case, "y", "fp16") == pytest.approx(6 * np.maximum(errors[:8], usual))
    assert np.sum(errors[:8] < usual) not in (0, 8)
    assert np.all(doubt(case, "y", "fp32") < doubt(case, "y", "fp16"))
    assert replace(known, task={}).cases[0].at == "batch 1"
