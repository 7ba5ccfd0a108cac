"""How far one array of answers is from another: the one comparison behind parity and golden answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import ParityError
from engineroom.recipe import Tolerance


@dataclass(frozen=True)
class Agreement:
    """How an answer compares with a reference, over all rows of one output.

    Attributes:
        max_abs: Largest absolute error of any element; infinite where a value of either side is not finite.
        mean_abs: Mean absolute error; infinite likewise.
        cosine: Smallest cosine between a row and the reference's row.
        top1: Share of rows whose largest element is (one of) the reference's largest.
        not_finite: Count of elements that are NaN or infinite on either side.
    """

    max_abs: float
    mean_abs: float
    cosine: float
    top1: float
    not_finite: int = 0

    def misses(self, tolerance: Tolerance) -> tuple[str, ...]:
        """The criteria missed, each with its figures; empty where the answer is good.

        Args:
            tolerance: What is allowed.
        """
        if self.not_finite:
            return (f"values that are NaN or infinite: {self.not_finite}",)
        found = []
        if self.max_abs > tolerance.max_abs:
            found.append(f"max_abs {self.max_abs:.3g} is above {tolerance.max_abs:.3g}")
        if self.mean_abs > tolerance.mean_abs:
            found.append(f"mean_abs {self.mean_abs:.3g} is above {tolerance.mean_abs:.3g}")
        if self.cosine < tolerance.cosine:
            found.append(f"cosine {self.cosine:.6f} is below {tolerance.cosine:.6f}")
        if tolerance.top1 is not None and self.top1 < tolerance.top1:
            found.append(f"top1 {self.top1:.3f} is below {tolerance.top1:.3f}")
        return tuple(found)


def agreement(reference: npt.NDArray[Any], answer: npt.NDArray[Any]) -> Agreement:
    """Compare an answer with its reference, in float64.

    Args:
        reference: What should have come out, shape (rows, ...), any numeric or boolean dtype.
        answer: What came out, of the same shape.

    Raises:
        ParityError: The shapes differ, or there is nothing to compare.
    """
    if reference.shape != answer.shape:
        raise ParityError(f"the answer has shape {answer.shape}, the reference {reference.shape}.")
    if reference.size == 0:
        raise ParityError(f"there is nothing to compare in an answer of shape {answer.shape}. Give at least one row.")
    expected, got = _rows(reference), _rows(answer)
    not_finite = int(np.count_nonzero(~(np.isfinite(expected) & np.isfinite(got))))
    if not_finite:
        return Agreement(np.inf, np.inf, cosine=-1.0, top1=0.0, not_finite=not_finite)
    error = np.abs(expected - got)
    best = np.take_along_axis(expected, got.argmax(axis=1, keepdims=True), axis=1)[:, 0]
    return Agreement(
        max_abs=float(error.max()),
        mean_abs=float(error.mean()),
        cosine=_smallest_cosine(expected, got),
        top1=float(np.mean(best == expected.max(axis=1))),
    )


def _rows(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    wide = np.atleast_1d(array).astype(np.float64)
    return wide.reshape(len(wide), -1)


def _smallest_cosine(expected: npt.NDArray[np.float64], got: npt.NDArray[np.float64]) -> float:
    # A single value has no direction: rows of one value are compared as one vector.
    if expected.shape[1] == 1:
        expected, got = expected.T, got.T
    # A reference of nothing but zeros has none either: there the absolute errors alone decide.
    directed = expected.any(axis=1)
    if not directed.any():
        return 1.0
    # From the distance of the unit vectors, because 1 - d²/2 keeps its digits near 1 and the dot product does not.
    distance = np.linalg.norm(_unit(expected[directed]) - _unit(got[directed]), axis=1)
    silent = ~got[directed].any(axis=1)
    return float(np.where(silent, 0.0, 1.0 - 0.5 * distance**2).min())


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # The division by the largest value first keeps the squares from overflowing.
    scaled: npt.NDArray[np.float64] = rows / np.maximum(np.abs(rows).max(axis=1, keepdims=True), np.finfo(float).tiny)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length == 0, 1.0, length)
