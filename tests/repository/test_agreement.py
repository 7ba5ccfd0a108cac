import numpy as np
import pytest

from engineroom.errors import ParityError
from engineroom.repository.agreement import Limits, agreement

STRICT = Limits(max_abs=1e-12, p99_abs=1e-12, rms=1e-12, mean_abs=1e-12, cosine=1.0, top1=1.0)


@pytest.mark.parametrize(
    "array",
    [
        np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32),
        np.random.default_rng(1).normal(size=(3, 2, 4, 5)),
        np.arange(-3, 3),
        np.array([[True, False], [False, True]]),
        np.zeros((2, 3)),
        np.array([[1e300, -1e300], [1e-300, 1e-300]]),
        np.float32([[65504, 1]]).astype(np.float16),
    ],
    ids=["2-d", "4-d", "1-d integers", "booleans", "zeros", "extreme magnitudes", "float16"],
)
def test_an_array_agrees_with_itself_under_the_strictest_tolerance(array):
    assert agreement(array, array.copy()).misses(STRICT) == ()


def test_the_figures_are_those_computed_by_hand():
    found = agreement(np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 0.0]]))
    assert (found.max_abs, found.p99_abs, found.mean_abs, found.top1) == (1.0, 1.0, 0.5, 0.5)
    assert found.rms == pytest.approx(0.5**0.5)
    assert found.cosine == pytest.approx(24 / 25)


def test_integers_beyond_the_range_of_their_dtype_do_not_wrap():
    assert agreement(np.array([[250]], np.uint8), np.array([[5]], np.uint8)).max_abs == 245


@pytest.mark.parametrize(("value", "side"), [(np.nan, 0), (np.inf, 1), (-np.inf, 1), (np.nan, 1)])
def test_a_value_that_is_not_finite_is_a_miss_whatever_is_allowed(value, side):
    pair = [np.ones((2, 3)), np.ones((2, 3))]
    pair[side][1, 2] = value
    assert agreement(*pair).misses(Limits()) == ("values that are NaN or infinite: 1",)


def test_every_criterion_missed_is_named_with_its_figures():
    misses = agreement(np.array([[3.0, 4.0]]), np.array([[4.0, 3.0]])).misses(Limits(0.5, 0.9, 0.3, 0.25, 0.99, 0.75))
    assert misses == (
        "max_abs 1 is above 0.5",
        "p99_abs 1 is above 0.9",
        "rms 1 is above 0.3",
        "mean_abs 1 is above 0.25",
        "cosine 0.96 is below 0.99",
        "top1 0 is below 0.75",
    )


@pytest.mark.parametrize(
    ("reference", "answer", "cosine"),
    [([[1.0, 2.0]], [[0.0, 0.0]], 0.0), ([[0.0, 0.0]], [[1e-9, 0.0]], 1.0), ([1.0, 2.0], [-1.0, -2.0], -1.0)],
    ids=["silent answer", "reference without direction", "rows of one value are one vector"],
)
def test_cosine_where_a_row_has_no_direction(reference, answer, cosine):
    assert agreement(np.array(reference), np.array(answer)).cosine == pytest.approx(cosine)


def test_a_tie_in_the_reference_may_be_broken_either_way():
    assert agreement(np.array([[1.0, 1.0, 0.0]]), np.array([[0.9, 1.0, 0.0]])).top1 == 1.0


def test_only_rows_whose_first_place_is_decided_count_for_it():
    reference, answer = np.array([[3.0, 1.0], [1.1, 1.0], [0.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 1.1], [0.0, 2.0]])
    assert agreement(reference, answer).top1 == pytest.approx(2 / 3)
    assert agreement(reference, answer, np.full(3, 0.2)).top1 == 1.0
    assert agreement(reference, answer, np.full(3, 9.0)).top1 == 1.0
    assert agreement(reference, answer, np.array([0.2, 0.05, 0.2])).top1 == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("reference", "answer", "message"),
    [((2, 3), (2, 4), r"shape \(2, 4\), the reference \(2, 3\)"), ((0, 3), (0, 3), "nothing to compare")],
    ids=["shapes differ", "no rows"],
)
def test_what_cannot_be_compared_is_refused(reference, answer, message):
    with pytest.raises(ParityError, match=message):
        agreement(np.zeros(reference), np.zeros(answer))
