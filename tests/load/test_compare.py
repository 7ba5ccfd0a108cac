import json
from dataclasses import replace

import numpy as np
import pytest

from engineroom.load.result import Goodput, Offered, OpenLoop, results_from_file, results_to_file
from engineroom.load.samples import Samples, samples_beside, samples_from_file, samples_to_file

REQUESTS = 2000
RATE_PER_S = 100


@pytest.fixture
def measured(result, tmp_path):
    """Writes a run of 20 s with latencies around 10 ms: `measured(name, factor, seed, failed, **fields)`."""

    def write(name, factor=1.0, seed=0, failed=0.0, **fields):
        rng = np.random.default_rng(seed)
        due_s = 500 + np.arange(REQUESTS) / RATE_PER_S
        latency_ms = factor * rng.lognormal(np.log(10), 0.3, REQUESTS)
        samples = Samples(due_s, latency_ms, rng.uniform(size=REQUESTS) < failed, due_s)
        told = OpenLoop("constant 100/s for 20 s", 20, 0.1, 0.2, 0.3, 1, 0.1, "none")
        path = tmp_path / f"{name}.json"
        samples_to_file(samples, samples_beside(path))
        one = replace(
            result,
            samples=samples_beside(path).name,
            goodput=Goodput(100, REQUESTS, RATE_PER_S),
            **{"open_loop": told, "offered": Offered("rate", 100), **fields},
        )
        results_to_file((one,), path)
        return path

    return write


@pytest.fixture
def compare(engineroom):
    return lambda *words: engineroom("load", "compare", *map(str, words))


def test_the_same_load_twice_is_no_regression(compare, measured):
    status, text, errors = compare(measured("a", seed=1), measured("b", seed=2))
    assert status == 0, errors
    assert text.count("within the margin") == 4


def test_a_slower_server_is_a_regression_beyond_the_margin_alone(compare, measured):
    a, b = measured("a", seed=1), measured("b", factor=1.2, seed=2)
    status, text, errors = compare(a, b)
    assert status == 1
    assert "p50" in errors
    assert "a regression beyond 5%" in errors
    assert "worse" in text
    assert compare(a, b, "--margin", 0.4)[0] == 0
    # And what became faster is none.
    assert compare(b, a)[0] == 0


def test_the_ratio_is_that_of_the_two(compare, measured):
    _, text, _ = compare(measured("a", seed=1), measured("b", factor=1.2, seed=2), "--json")
    found = {one["figure"]: one for one in json.loads(text)}
    for figure in ("p50", "p90"):
        assert found[figure]["low"] < 1.2 < found[figure]["high"]
        assert found[figure]["regression"]
    assert found["right answers"]["ratio"] == pytest.approx(1)


def test_answers_that_are_missing_are_a_regression_however_quick_the_others(compare, measured):
    status, _, errors = compare(measured("a"), measured("b", factor=0.5, failed=0.2))
    assert status == 1
    assert "right answers is 0." in errors


def test_answers_beyond_the_promise_are_no_right_ones(compare, measured):
    _, _, errors = compare(measured("a"), measured("b", factor=10))
    assert "right answers is 0." in errors


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"model": "other"}, "has model digits", id="another model"),
        pytest.param({"protocol": "http"}, "has protocol grpc", id="another protocol"),
        pytest.param({"offered": Offered("rate", 120)}, "has offered rate 100/s", id="another rate"),
        pytest.param({"offered": Offered("users", 100)}, "has offered rate 100/s", id="another kind of load"),
        pytest.param({"rows_per_request": 8}, "has rows_per_request 4", id="another batch"),
    ],
)
def test_only_the_same_load_compares(compare, measured, fields, expected):
    status, _, errors = compare(measured("a"), measured("b", **fields))
    assert status == 1
    assert expected in errors


def test_chance_in_the_rate_is_the_same_load(compare, measured):
    status, _, errors = compare(measured("a", seed=1), measured("b", seed=2, offered=Offered("rate", 102.3)))
    assert status == 0, errors


def test_of_a_closed_loop_the_throughput_is_compared(compare, measured):
    slower = measured("b", open_loop=None)
    kept = samples_from_file(samples_beside(slower))
    samples_to_file(Samples(2 * kept.sent_s, kept.latency_ms, kept.failed), samples_beside(slower))
    status, _, errors = compare(measured("a", open_loop=None), slower)
    assert status == 1
    assert "right answers is 0.500 of what it was" in errors


def test_a_first_run_without_right_answers(compare, measured):
    status, _, errors = compare(measured("a", failed=1.0), measured("b"))
    assert status == 1
    assert "there were no right answers" in errors


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        pytest.param(None, "names no samples beside it (users 8)", id="none"),
        pytest.param("../run.samples.jsonl.gz", "names samples that are not beside it", id="elsewhere"),
        pytest.param("gone.samples.jsonl.gz", "holds no samples", id="gone"),
    ],
)
def test_a_file_without_samples(compare, result, tmp_path, samples, expected):
    path = tmp_path / "none.json"
    results_to_file((replace(result, samples=samples),), path)
    status, _, errors = compare(path, path)
    assert status == 1
    assert expected in errors


def test_a_generator_that_was_the_limit_is_not_compared(compare, measured):
    path = measured("a")
    raw = json.loads(path.read_text())
    raw["results"][0]["open_loop"]["limit"] = "generator"
    path.write_text(json.dumps(raw))
    status, _, errors = compare(path, measured("b"))
    assert status == 1
    assert "the generator was the limit there" in errors


def test_too_few_requests(compare, measured, monkeypatch):
    monkeypatch.setattr(f"{__name__}.REQUESTS", 200)
    status, _, errors = compare(measured("a"), measured("b"))
    assert status == 1
    assert "200 requests are too few to compare" in errors


@pytest.fixture
def sweep(measured, tmp_path):
    """Writes runs at several rates into one file: `sweep(name, {rate: factor})`."""

    def write(name, factors):
        runs = []
        for rate, factor in factors.items():
            path = measured(f"{name}-{rate}", factor=factor, seed=rate, offered=Offered("rate", rate))
            runs.extend(results_from_file(path))
        path = tmp_path / f"{name}.json"
        results_to_file(tuple(runs), path)
        return path

    return write


def test_of_sweeps_the_rates_that_both_have_are_compared(compare, sweep):
    before, after = sweep("a", {10: 1, 20: 1, 40: 1}), sweep("b", {20: 1, 40: 1.5, 80: 1})
    status, text, errors = compare(before, after)
    assert status == 1
    assert [line for line in text.splitlines() if line.startswith("rate")] == ["rate 20/s:", "rate 40/s:"]
    assert "rate 40/s: p50 is 1.5" in errors
    assert "rate 20/s" not in errors
    assert {one["offered"] for one in json.loads(compare(before, after, "--json")[1])} == {"rate 20/s", "rate 40/s"}


def test_sweeps_without_a_common_rate(compare, sweep):
    status, _, errors = compare(sweep("a", {10: 1, 20: 1}), sweep("b", {40: 1}))
    assert status == 1
    assert "has offered rate 10/s, rate 20/s" in errors
