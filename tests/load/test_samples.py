import gzip
import json

import numpy as np
import pytest

from engineroom.errors import LoadError
from engineroom.load import samples as samples_module
from engineroom.load.outcome import Outcome
from engineroom.load.result import Goodput
from engineroom.load.samples import (
    Recorder,
    Samples,
    goodput_from_samples,
    latency_from_samples,
    samples_from_file,
    samples_to_file,
)


@pytest.fixture
def samples():
    recorder = Recorder()
    for second in range(10):
        recorder.add(float(second), second + 1.0, Outcome.LATE if second == 3 else Outcome.RIGHT)
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


def test_goodput_counts_who_is_right_and_in_time(samples):
    assert goodput_from_samples(samples, slo_ms=5, span_s=2) == Goodput(5, 4, 2)
    assert samples.failed_by_kind == {"late": 1}


def test_a_closed_loop_survives_the_disk(samples, tmp_path):
    path = tmp_path / "new" / "run.samples.jsonl.gz"
    samples_to_file(samples, path)
    read = samples_from_file(path)
    assert read.latency_ms.tolist() == samples.latency_ms.tolist()
    assert read.outcome.tolist() == samples.outcome.tolist()
    assert (read.failed == samples.failed).all()
    assert read.scheduled_s is None


def test_an_open_loop_survives_the_disk_to_the_microsecond(tmp_path, monkeypatch):
    monkeypatch.setattr(samples_module, "AT_ONCE", 7)
    rng = np.random.default_rng(0)
    due_s = 1e6 + np.sort(rng.uniform(0, 100, 50))
    outcome = rng.integers(0, len(Outcome), 50).astype(np.uint8)
    kept = Samples(due_s + 1e-4, rng.uniform(1, 9, 50), outcome != 0, due_s, outcome)
    samples_to_file(kept, tmp_path / "run.samples.jsonl.gz")
    read = samples_from_file(tmp_path / "run.samples.jsonl.gz")
    assert np.abs(read.latency_ms - kept.latency_ms).max() <= 0.001
    assert np.abs(read.scheduled_s - (due_s - due_s[0])).max() < 1e-6
    assert (read.outcome == outcome).all()


def test_one_line_a_request_for_whoever_wants_to_read_it(tmp_path):
    due_s = np.array([10.0, 10.5])
    kept = Samples(due_s + 0.001, np.array([2.0, 30_000.0]), np.array([False, True]), due_s, np.array([0, 3], np.uint8))
    samples_to_file(kept, tmp_path / "run.samples.jsonl.gz")
    with gzip.open(tmp_path / "run.samples.jsonl.gz", "rt") as file:
        assert [json.loads(line) for line in file] == [
            {"scheduled_us": 0, "sent_us": 1000, "end_us": 2000, "outcome": "right"},
            {"scheduled_us": 500_000, "sent_us": 501_000, "end_us": 30_500_000, "outcome": "late"},
        ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("no JSON\n", id="no JSON"),
        pytest.param("7\n", id="no object"),
        pytest.param('{"sent_us": 0}\n', id="a field is missing"),
        pytest.param('{"sent_us": 0, "end_us": 1, "outcome": "perhaps"}\n', id="an unknown outcome"),
        pytest.param('{"sent_us": 9, "end_us": 1, "outcome": "right"}\n', id="an end before the beginning"),
        pytest.param('{"sent_us": 0, "end_us": 1e99, "outcome": "right"}\n', id="a number too large"),
    ],
)
def test_a_file_without_samples(tmp_path, text):
    path = tmp_path / "other.samples.jsonl.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(LoadError, match="holds no samples"):
        samples_from_file(path)


def test_a_file_that_is_not_whole_or_not_there(samples, tmp_path):
    path = tmp_path / "run.samples.jsonl.gz"
    samples_to_file(samples, path)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(LoadError, match="holds no samples"):
        samples_from_file(path)
    with pytest.raises(LoadError, match="holds no samples"):
        samples_from_file(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(LoadError, match="cannot be written"):
        samples_to_file(samples, tmp_path / "file" / "run.samples.jsonl.gz")
