import json

import pytest

from engineroom.load.result import results_from_file
from engineroom.load.samples import samples_from_file


@pytest.fixture
def load_run(load_stall):
    return lambda *options, **how: load_stall("run", *options, **how)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_a_run_is_told_and_kept(load_run, tmp_path, protocol):
    path, picture = tmp_path / "run.json", tmp_path / "run.png"
    options = ("--rate", 100, "--seconds", 1, "--batch", 2, "--slo-ms", 5000, "--output", path, "--picture", picture)
    status, text, errors = load_run(*options, protocol=protocol)
    assert status == 0, errors
    assert "sending" in errors
    for words in ("p99.9 ms", "goodput 100.00% of the requests within 5000 ms; failed: none", "lateness p50"):
        assert words in text
    (result,) = results_from_file(path)
    samples = samples_from_file(tmp_path / result.samples)
    assert (result.tool, result.protocol, result.rows_per_request) == ("open loop", protocol, 2)
    assert len(samples) == result.requests > 50
    assert (samples.scheduled_s <= samples.sent_s).all()
    assert not samples.outcome.any()
    assert result.conditions.versions["stall"] == "1"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--rate", 20, "--arrivals", "constant"), "constant 20/s for 1 s"),
        (("--rate", 20, "--seed", 7), "poisson 20/s for 1 s, seed 7"),
        (("--steps", "20:0.5,60:0.5"), "poisson 20/s for 0.5 s, then 60/s for 0.5 s, seed 0"),
        (("--times", "times.txt"), "recorded in times.txt"),
    ],
    ids=["constant", "poisson", "steps", "times"],
)
def test_arrivals(load_run, tmp_path, monkeypatch, options, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "times.txt").write_text("0\n0.1\n0.5\n")
    status, text, errors = load_run(*options, "--seconds", 1, "--json")
    assert status == 0, errors
    assert json.loads(text)["results"][0]["open_loop"]["arrivals"] == words


def test_a_generator_that_cannot_keep_up_publishes_nothing(load_run, tmp_path):
    path = tmp_path / "run.json"
    options = ("--rate", 40_000, "--seconds", 0.1, "--workers", 1, "--max-failure-ratio", 1, "--output", path)
    status, text, errors = load_run(*options, anyway=False)
    assert (status, text) == (1, "")
    assert "the generator was the limit" in errors
    assert not path.exists()
    status, text, _ = load_run(*options)
    assert status == 0
    assert "NOT FIGURES OF THE SERVER" in text
    assert results_from_file(path)[0].open_loop.limit == "generator"


def test_limits_decide_the_exit_status(load_run):
    status, text, errors = load_run("--rate", 50, "--seconds", 1, "--slo-ms", 0.0001, "--min-goodput-ratio", 0.5)
    assert status == 1
    assert "goodput ratio 0.0000 is below 0.5" in errors
    assert "stall" in text


@pytest.mark.parametrize("options", [(), ("--rate", 5, "--steps", "1:1")], ids=["no rate", "two"])
def test_when_requests_are_due_is_said_once(load_run, options):
    status, _, errors = load_run(*options)
    assert status == 2
    assert "one of --rate, --steps and --times" in errors


def test_a_batch_that_the_server_does_not_take(load_run):
    status, _, errors = load_run("--rate", 5, "--batch", 9)
    assert status == 1
    assert "the server takes 1..8" in errors
