from dataclasses import replace

import pytest

from engineroom.errors import BadInput, GeneratorLimited
from engineroom.load.result import Goodput, Offered, results_from_file
from engineroom.load.sweep import Climb, climbed, highest_kept


@pytest.fixture
def at_rate(result):
    """The result of a server that answers 200 requests/s in time, and hardly any beyond."""

    def measure(rate):
        kept = rate if rate <= 200 else 0.1 * rate
        return replace(result, requests=int(rate), offered=Offered("rate", rate), goodput=Goodput(100, int(kept), kept))

    return measure


def test_rates_go_up():
    assert list(Climb(10, 1.5, 5)) == [10, 15, 22.5, 33.8, 50.6]


@pytest.mark.parametrize("fields", [(0, 1.5, 5), (10, 1, 5), (10, 1.5, 0)], ids=["no rate", "no step", "no rates"])
def test_no_climb(fields):
    with pytest.raises(BadInput, match="every rate is above the one before"):
        Climb(*fields)


def test_a_sweep_ends_where_the_goodput_fell(at_rate):
    results = tuple(climbed(Climb(50, 2, 9), at_rate, 0.99))
    assert [one.offered.value for one in results] == [50, 100, 200, 400]
    assert highest_kept(results, 0.99).offered.value == 200


def test_a_rate_beyond_a_failed_one_does_not_count(at_rate):
    results = (at_rate(100), at_rate(300), at_rate(150))
    assert highest_kept(results, 0.99).offered.value == 100
    assert highest_kept(results[1:], 0.99) is None


def test_the_command(load_stall, tmp_path):
    path = tmp_path / "sweep.json"
    options = ("--start", 20, "--factor", 2, "--most", 2, "--seconds", 1, "--slo-ms", 5000, "--output", path)
    status, text, errors = load_stall("sweep", *options)
    assert status == 0, errors
    assert "the highest at which 99% were rightly answered within 5000 ms" in errors
    assert "more was not offered" in errors
    results = results_from_file(path)
    assert [one.samples for one in results] == ["sweep-20.samples.jsonl.gz", "sweep-40.samples.jsonl.gz"]
    assert all((tmp_path / one.samples).is_file() for one in results)
    assert text.count("goodput 100.00%") == 2


def test_a_promise_that_is_never_kept(load_stall):
    status, text, errors = load_stall("sweep", "--start", 20, "--seconds", 1, "--slo-ms", 0.0001)
    assert status == 1
    assert "fewer than 99% were answered within 0.0001 ms at the first rate" in errors
    assert text.count("open loop") == 1


def test_what_was_measured_before_the_generator_was_the_limit_stands(load_stall, monkeypatch):
    from engineroom.load.open_loop import verdict as open_result

    def refuse(result):
        if result.offered.value > 60:
            raise GeneratorLimited("the generator was the limit")

    # The judgement itself is tested elsewhere; here, when it falls must not depend on the machine.
    monkeypatch.setattr(open_result, "refuse_own_figures", refuse)
    options = ("--start", 20, "--factor", 6, "--seconds", 1, "--slo-ms", 5000)
    status, text, errors = load_stall("sweep", *options, anyway=False)
    assert status == 1
    assert "the generator was the limit" in errors
    assert "the highest at which" in errors
    assert "poisson 20/s" in text
    assert "poisson 120/s" not in text
