"""Limits: how far an artefact may be from the module, in absolute figures for every output of this very model.

The scale is the module's own rounding (`noise`). The figures below were chosen from what honest builds reach and what
planted faults do: docs/proof.md.
"""

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from engineroom.compile.truth.evidence import Case, Evidence
from engineroom.recipe import Tolerance
from engineroom.repository.agreement import Agreement, Limits, agreement, by_row

UNITS = {"fp16": 2.0**-11, "bf16": 2.0**-8, "fp32": 2.0**-16, "int8": 2.0**-11}
"""Half the distance of two neighbouring values at 1, by element type: an answer is never closer than its last rounding.
FP32's is that of FP16 times `EXACT`; an INT8 graph's last operations are FP16."""

EXACT = 2.0**-5
"""FP32's part of FP16's noise. Sums in another order take 2**-13 of it or some more; TF32 or FP16, all of it."""

LARGEST = 2.0
"""The largest error of a few thousand varies more than their root mean square: it gets so much more room. So does the
cosine of the worst row, whose distance from 1 goes with the square of the error."""

SIGNAL = 0.1
"""The most of an answer's own variation that any error may take, whatever rounding does to the module: beyond that, the
element type is too short for it."""

COSINE = 0.95
"""The smallest cosine of a row, likewise."""

DECIDED = 6.0
"""A row's first place is decided when it leads the second by so many times the row's largest rounding error, or that of
the usual row where it is larger."""


@cache
def noise(evidence: Evidence, output: str, kind: str) -> Agreement:
    """How far rounding alone moves an output: the worst of all samples, and never less than rounding the answer itself.

    Args:
        evidence: What the module answered.
        output: Name of the output.
        kind: Element type, such as `fp16`.
    """
    pairs = [(one.outputs[output], one.rounded[_measured(kind)][output]) for one in evidence.samples]
    found = [agreement(exact, rounded) for exact, rounded in pairs]
    values = [by_row(exact) for exact, _ in pairs]
    part, unit = (EXACT if kind == "fp32" else 1.0), UNITS[kind]
    largest, size = (max(float(figure(rows)) for rows in values) for figure in (_largest, _rms))
    return Agreement(
        max_abs=max(unit * largest, part * max(one.max_abs for one in found)),
        p99_abs=max(unit * size, part * max(one.p99_abs for one in found)),
        rms=max(unit * size, part * max(one.rms for one in found)),
        mean_abs=max(unit * size, part * max(one.mean_abs for one in found)),
        cosine=1.0 - max(unit**2, part**2 * max(1.0 - one.cosine for one in found)),
        top1=min(one.top1 for one in found),
    )


def limits(evidence: Evidence, output: str, kind: str, tolerance: Tolerance) -> Limits:
    """What is allowed of an output.

    Args:
        evidence: What the module answered.
        output: Name of the output.
        kind: Element type that the artefact computes in.
        tolerance: The recipe's.
    """
    scale, times = noise(evidence, output, kind), tolerance.noise
    return Limits(
        max_abs=min(LARGEST * times * scale.max_abs, tolerance.max_abs or np.inf),
        p99_abs=times * scale.p99_abs,
        rms=min(times * scale.rms, SIGNAL * variation(evidence, output)),
        mean_abs=tolerance.mean_abs,
        cosine=max(1.0 - (LARGEST * times) ** 2 * (1.0 - scale.cosine), tolerance.cosine or COSINE),
        top1=tolerance.top1,
    )


@cache
def variation(evidence: Evidence, output: str) -> float:
    """Standard deviation of everything that the module answers in an output; its size, where that is always the same.

    Args:
        evidence: What the module answered.
        output: Name of the output.
    """
    values = np.concatenate([by_row(sample.outputs[output]).ravel() for sample in evidence.samples])
    spread, size = float(values.std()), _rms(values)
    return spread if spread > 1e-6 * size else size


def loosest(evidence: Evidence, output: str, kinds: Iterable[str], tolerance: Tolerance) -> Limits:
    """What is allowed of an output that may be computed in any of some element types.

    Args:
        evidence: What the module answered.
        output: Name of the output.
        kinds: The element types.
        tolerance: The recipe's.
    """
    return max((limits(evidence, output, kind, tolerance) for kind in kinds), key=lambda one: one.rms or 0.0)


def doubt(case: Case, output: str, kind: str) -> npt.NDArray[np.float64]:
    """For every row of a case, the lead that its first place needs to be decided, shape (batch,)."""
    exact, rounded = case.sample.outputs[output], case.sample.rounded[_measured(kind)][output]
    errors: npt.NDArray[np.float64] = np.abs(by_row(exact) - by_row(rounded)).max(axis=1)
    # A row that rounding happened to spare is no surer than the others.
    errors = np.maximum(errors, _rms(errors)) * (EXACT if kind == "fp32" else 1.0)
    lead: npt.NDArray[np.float64] = DECIDED * np.maximum(errors, UNITS[kind] * np.abs(by_row(exact)).max(axis=1))
    return lead[case.rows]


def _measured(kind: str) -> str:
    return "fp16" if kind == "fp32" else kind


def _largest(rows: npt.NDArray[np.float64]) -> float:
    return float(np.abs(rows).max())


def _rms(rows: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(rows**2)))
