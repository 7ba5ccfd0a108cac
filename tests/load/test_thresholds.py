import pytest

from engineroom.errors import ThresholdMissed
from engineroom.load.thresholds import Thresholds


@pytest.mark.parametrize(
    ("limits", "missed"),
    [
        pytest.param(Thresholds(p95_ms=4.0, p99_ms=9.0, failure_ratio=0.02), 0, id="all just kept"),
        pytest.param(Thresholds(p95_ms=3.9, failure_ratio=None), 1, id="p95 missed"),
        pytest.param(Thresholds(p99_ms=8.9, failure_ratio=None), 1, id="p99 missed"),
        pytest.param(Thresholds(), 1, id="no failure is allowed by default"),
        pytest.param(Thresholds(p95_ms=1, p99_ms=1, failure_ratio=0.01), 3, id="everything missed"),
    ],
)
def test_limits(result, limits, missed):
    assert len(limits.misses(result)) == missed


def test_a_miss_names_model_load_and_figures(result):
    Thresholds(p95_ms=4.0, failure_ratio=0.02).check((result,))
    with pytest.raises(ThresholdMissed, match=r"digits at users 8: p95 4.00 ms is above 3 ms"):
        Thresholds(p95_ms=3.0, failure_ratio=0.02).check((result,))
