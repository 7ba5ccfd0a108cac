import numpy as np
import pytest

from engineroom.errors import BadInput, LoadError
from engineroom.load.open_loop.schedule import Step, constant, poisson, recorded, stepped, steps_from_text


def test_constant_arrivals_are_evenly_apart():
    schedule = constant(4, 1.0)
    assert schedule.offsets_s.tolist() == [0, 0.25, 0.5, 0.75]
    assert schedule.rate_per_s == 4


def test_a_rounding_error_makes_no_request():
    assert len(constant(10, 0.3).offsets_s) == 3


def test_poisson_arrivals_have_the_rate_and_the_gaps_of_a_poisson_process():
    schedule = poisson(500, 100, seed=3)
    gaps = np.diff(schedule.offsets_s)
    assert schedule.rate_per_s == pytest.approx(500, rel=0.02)
    # Exponential gaps: their deviation is their mean, and a share of 1/e is longer than it.
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.03)
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), abs=0.01)


def test_a_seed_gives_the_same_times_and_another_one_others():
    again, other = poisson(50, 2, seed=1), poisson(50, 2, seed=2)
    assert poisson(50, 2, seed=1).offsets_s.tolist() == again.offsets_s.tolist() != other.offsets_s.tolist()


@pytest.mark.parametrize("seed", [None, 0], ids=["constant", "poisson"])
def test_steps_follow_each_other(seed):
    schedule = stepped(steps_from_text("100:2,1000:1,100:2"), seed)
    counts = np.histogram(schedule.offsets_s, [0, 2, 3, 5])[0]
    assert schedule.span_s == 5
    assert counts == pytest.approx([200, 1000, 200], rel=0 if seed is None else 0.2)


def test_recorded_times_begin_at_once_and_keep_their_rate(tmp_path):
    path = tmp_path / "times.txt"
    path.write_text("1000.5\n1001.0\n1001.5\n")
    schedule = recorded(path)
    assert schedule.offsets_s.tolist() == [0, 0.5, 1.0]
    assert schedule.rate_per_s == pytest.approx(2)


def test_hands_share_the_schedule_evenly():
    schedule = constant(10, 1)
    hands = schedule.dealt(3)
    assert [len(hand) for hand in hands] == [4, 3, 3]
    assert sorted(np.concatenate(hands)) == schedule.offsets_s.tolist()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: constant(0, 1), id="no rate"),
        pytest.param(lambda: poisson(1, -1), id="negative time"),
        pytest.param(lambda: constant(float("nan"), 1), id="not a number"),
        pytest.param(lambda: poisson(1e-9, 1), id="empty by chance"),
        pytest.param(lambda: stepped(()), id="no steps"),
        pytest.param(lambda: steps_from_text("50"), id="a step without its time"),
        pytest.param(lambda: steps_from_text("a:b"), id="words"),
        pytest.param(lambda: Step(1e6, 1e6), id="more than memory holds"),
    ],
)
def test_no_schedule(make):
    with pytest.raises(BadInput):
        make()


@pytest.mark.parametrize("text", ["", "1.0", "2 1", "now later", "1 nan 2", "1 3 2 4"])
def test_no_recording(tmp_path, text):
    path = tmp_path / "times.txt"
    path.write_text(text)
    with pytest.raises(BadInput, match=r"times\.txt"):
        recorded(path)


def test_a_recording_that_cannot_be_read(tmp_path):
    with pytest.raises(LoadError, match="cannot be read"):
        recorded(tmp_path / "nothing.txt")
