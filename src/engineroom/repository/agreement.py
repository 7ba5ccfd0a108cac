"""How far one array of answers is from another: the one comparison behind parity and golden answers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.errors import ParityError


@dataclass(frozen=True)
class Limits:
    """How far an answer may be from its reference; None where nothing is asked. NaN and infinity never pass.

    Attributes:
        max_abs: Largest absolute error of any element.
        p99_abs: 99th percentile of the absolute errors.
        rms: Root of the mean squared error.
        mean_abs: Mean absolute error.
        cosine: Smallest cosine between a row and the reference's row.
        top1: Smallest share of decided rows whose largest element is the reference's.
    """

    max_abs: float | None = None
    p99_abs: float | None = None
    rms: float | None = None
    mean_abs: float | None = None
    cosine: float | None = None
    top1: float | None = None


@dataclass(frozen=True)
class Agreement:
    """How an answer compares with a reference, over all rows of one output.

    Attributes:
        max_abs: Largest absolute error of any element; infinite where a value of either side is not finite.
        p99_abs: 99th percentile of the absolute errors; infinite likewise.
        rms: Root of the mean squared error; infinite likewise.
        mean_abs: Mean absolute error; infinite likewise.
        cosine: Smallest cosine between a row and the reference's row.
        top1: Share of decided rows whose largest element is (one of) the reference's largest; 1 where none is decided.
        not_finite: Count of elements that are NaN or infinite on either side.
    """

    max_abs: float
    p99_abs: float
    rms: float
    mean_abs: float
    cosine: float
    top1: float
    not_finite: int = 0

    def misses(self, limits: Limits) -> tuple[str, ...]:
        """The criteria missed, each with its figures; empty where the answer is good.

        Args:
            limits: What is allowed.
        """
        if self.not_finite:
            return (f"values that are NaN or infinite: {self.not_finite}",)
        found = []
        for name in ("max_abs", "p99_abs", "rms", "mean_abs"):
            have, limit = getattr(self, name), getattr(limits, name)
            if limit is not None and not have <= limit:
                found.append(f"{name} {have:.3g} is above {limit:.3g}")
        for name in ("cosine", "top1"):
            have, limit = getattr(self, name), getattr(limits, name)
            if limit is not None and not have >= limit:
                found.append(f"{name} {have:.9g} is below {limit:.9g}")
        return tuple(found)


def agreement(
    reference: npt.NDArray[Any], answer: npt.NDArray[Any], doubt: npt.NDArray[np.float64] | None = None
) -> Agreement:
    """Compare an answer with its reference, in float64.

    Args:
        reference: What should have come out, shape (rows, ...), any numeric or boolean dtype.
        answer: What came out, of the same shape.
        doubt: For every row, how far its largest element must stand above the second to be decided, shape (rows,);
            without it, every row is.

    Raises:
        ParityError: The shapes differ, or there is nothing to compare.
    """
    if reference.shape != answer.shape:
        raise ParityError(f"the answer has shape {answer.shape}, the reference {reference.shape}.")
    if reference.size == 0:
        raise ParityError(f"there is nothing to compare in an answer of shape {answer.shape}. Give at least one row.")
    expected, got = by_row(reference), by_row(answer)
    not_finite = int(np.count_nonzero(~(np.isfinite(expected) & np.isfinite(got))))
    if not_finite:
        return Agreement(np.inf, np.inf, np.inf, np.inf, cosine=-1.0, top1=0.0, not_finite=not_finite)
    error = np.abs(expected - got)
    return Agreement(
        max_abs=float(error.max()),
        p99_abs=float(np.quantile(error, 0.99)),
        rms=float(np.sqrt(np.mean(error**2))),
        mean_abs=float(error.mean()),
        cosine=_smallest_cosine(expected, got),
        top1=_top1(expected, got, doubt),
    )


def by_row(array: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """An array as rows of numbers: shape (rows, everything else)."""
    wide = np.atleast_1d(array).astype(np.float64)
    return wide.reshape(len(wide), -1)


def _top1(
    expected: npt.NDArray[np.float64], got: npt.NDArray[np.float64], doubt: npt.NDArray[np.float64] | None
) -> float:
    best = np.take_along_axis(expected, got.argmax(axis=1, keepdims=True), axis=1)[:, 0]
    agreed = best == expected.max(axis=1)
    if doubt is not None and expected.shape[1] > 1:
        second, first = np.partition(expected, -2, axis=1)[:, -2:].T
        agreed = agreed[first - second > doubt]
    return float(np.mean(agreed)) if len(agreed) else 1.0


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
