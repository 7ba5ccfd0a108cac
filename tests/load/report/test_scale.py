import numpy as np
import pytest

from engineroom.load.report.scale import linear_scale, log_scale, percentile_scale, position, time_scale


@pytest.mark.parametrize(
    ("high", "last", "ticks"), [(10, 10, 6), (9.3, 10, 6), (0.0007, 0.0008, 5), (1234, 1500, 4), (0, 1, 6)]
)
def test_a_linear_scale_ends_at_a_round_figure(high, last, ticks):
    scale = linear_scale(high)
    assert scale.high == pytest.approx(last)
    assert len(scale.ticks) == ticks
    assert float(scale.share(scale.high)) == 1
    assert float(scale.share(high)) == pytest.approx(high / last if high else 0)


@pytest.mark.parametrize(("high", "end"), [(9.9, 10), (9.3, 9.3)])
def test_time_ends_where_it_ends(high, end):
    assert time_scale(high).high == end


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(3, 700, (2, 1000)), (5, 5, (5, 10)), (0, 0, (1e-6, 1)), (1, 1000, (1, 1000)), (1e-9, 50, (5e-5, 50))],
)
def test_a_log_scale_reaches_from_a_round_figure_to_another(low, high, ends):
    scale = log_scale(low, high)
    assert (scale.low, scale.high) == pytest.approx(ends)
    assert len(scale.ticks) <= 10
    shares = scale.share(np.array([scale.low, np.sqrt(scale.low * scale.high), scale.high]))
    assert shares == pytest.approx([0, 0.5, 1])


def test_each_step_of_percentiles_is_a_tenth_of_the_one_before():
    scale = percentile_scale(5000)
    assert [words for _, words in scale.ticks] == ["0 %", "50 %", "90 %", "99 %", "99.9 %"]
    assert position(0.999) == pytest.approx(3)
    assert scale.high == pytest.approx(position(1 - 1 / 5000))
