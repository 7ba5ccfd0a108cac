import numpy as np
import pytest

from engineroom.errors import LoadError
from engineroom.load.samples import Recorder, latency_from_samples, samples_from_file, samples_to_file


@pytest.fixture
def samples():
    recorder = Recorder()
    for second in range(10):
        recorder.add(float(second), second + 1.0, second == 3)
    return recorder.samples()


def test_percentiles_are_latencies_that_occurred():
    latency = latency_from_samples(np.arange(1.0, 101.0))
    assert (latency.p50_ms, latency.p90_ms, latency.p95_ms, latency.p99_ms) == (50.0, 90.0, 95.0, 99.0)
    assert (latency.mean_ms, latency.max_ms) == (50.5, 100.0)


def test_one_sample_is_every_percentile():
    latency = latency_from_samples(np.array([0.125]))
    assert latency.p50_ms == latency.p99_ms == latency.max_ms == 0.125


def test_nothing_to_sum_up():
    with pytest.raises(LoadError, match="no request was answered"):
        latency_from_samples(Recorder().samples().latency_ms)


def test_a_span_holds_what_was_sent_in_it_whenever_it_ended(samples):
    kept = samples.between(3.0, 6.0)
    assert kept.latency_ms.tolist() == [4.0, 5.0, 6.0]
    assert kept.failed.tolist() == [True, False, False]
    assert kept.last_end_s == pytest.approx(5.006)


def test_samples_survive_the_disk(samples, tmp_path):
    path = tmp_path / "new" / "run.samples.npz"
    samples_to_file(samples, path)
    read = samples_from_file(path)
    assert read.latency_ms.tolist() == samples.latency_ms.tolist()
    assert read.failed.dtype == np.bool_


def test_a_file_without_samples(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, something=np.ones(3))
    with pytest.raises(LoadError, match="holds no samples"):
        samples_from_file(path)
