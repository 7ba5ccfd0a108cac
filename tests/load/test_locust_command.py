"""`engineroom load locust` in a project of one's own, against a server that answers at once."""

from pathlib import Path

import pytest

from engineroom.errors import BadInput
from engineroom.load.locust.run import LocustRun
from engineroom.load.result import results_from_file
from engineroom.load.samples import samples_from_file
from engineroom.load.served import address_from_options

ROOT = Path(__file__).parents[2]


@pytest.fixture
def locust(load_stall, tmp_path):
    (tmp_path / "project" / "perf").symlink_to(ROOT / "perf")
    return lambda *options, **how: load_stall("locust", *options, **how, anyway=False)


def test_a_shape_and_a_promise(locust, tmp_path):
    path = tmp_path / "run.json"
    options = ("--shape", "steps:1:1,3:3", "--slo-ms", 5000, "--output", path)
    status, text, errors = locust(*options, protocol="http")
    assert status == 0, errors
    assert "goodput 100.00% of the requests within 5000 ms; failed: none" in text
    (result,) = results_from_file(path)
    assert str(result.offered) == "users 3 (steps:1:1,3:3)"
    assert result.goodput.in_time == result.requests > 0
    assert 0 < result.duration_s < 60
    samples = samples_from_file(tmp_path / result.samples)
    # More users ask more.
    half_s = samples.begin_s.max() / 2
    assert 0 < len(samples.between(0, half_s)) < len(samples)


def test_a_promise_that_is_not_kept(locust):
    status, text, errors = locust("--users", 2, "--seconds", 3, "--slo-ms", 0.0001, "--min-goodput-ratio", 0.5)
    assert status == 1
    assert "goodput ratio 0.0000 is below 0.5" in errors
    assert "stall" in text


def test_a_shape_that_is_none(locust):
    status, _, errors = locust("--shape", "steps:1")
    assert status == 1
    assert "shape 'steps:1': expected steps:USERS:SECONDS" in errors


def test_a_shape_takes_its_own_time():
    address = address_from_options(None, "grpc")
    plain, shaped = LocustRun(address, "stall", seconds=10), LocustRun(address, "stall", shape="soak:2:300")
    assert shaped.longest_s - plain.longest_s == pytest.approx(290)
    assert "--run-time" in plain.options(Path("result.json"))
    assert "--run-time" not in shaped.options(Path("result.json"))
    with pytest.raises(BadInput, match="must be above 0"):
        LocustRun(address, "stall", users=0)
