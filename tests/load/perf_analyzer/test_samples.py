"""Reading what a real perf_analyzer 2.60.0 wrote: `perf_analyzer/requests.json`, its tensors shortened."""

from pathlib import Path

import numpy as np
import pytest

from engineroom.errors import LoadError
from engineroom.load.perf_analyzer.samples import samples_from_export
from engineroom.load.samples import latency_from_samples

RECORDED = Path(__file__).parent / "requests.json"


def test_what_it_counted_is_what_is_read():
    # Its own words: 21 and 43 requests; p50, p90, p95 and p99 in microseconds. The first load needed a fourth window.
    told = {20: (21, (782, 902, 1134, 3379)), 40: (43, (799, 6404, 6581, 10422))}
    found = samples_from_export(RECORDED)
    assert found.keys() == told.keys()
    for load, (count, percentiles_us) in told.items():
        samples = found[load]
        assert len(samples) == count
        assert not samples.failed.any()
        assert (np.diff(samples.end_s) >= 0).all()
        latency = latency_from_samples(samples.latency_ms)
        ours = [1000 * getattr(latency, f"p{share}_ms") for share in (50, 90, 95, 99)]
        assert ours[:2] == pytest.approx(percentiles_us[:2], rel=0.02)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(
            RECORDED.read_bytes().replace(b'"window_boundaries":[', b'"window_boundaries":[],"w":['), id="windows"
        ),
        pytest.param(RECORDED.read_bytes()[:5000], id="half a file"),
    ],
)
def test_what_is_not_understood(tmp_path, text):
    (tmp_path / "requests.json").write_bytes(text)
    with pytest.raises(LoadError, match=r"Use version 2\.60\.0"):
        samples_from_export(tmp_path / "requests.json")


def test_no_export(tmp_path):
    with pytest.raises(LoadError, match=r"Use version 2\.60\.0"):
        samples_from_export(tmp_path / "requests.json")
