import pytest

from engineroom.errors import BadInput
from engineroom.load.perf_analyzer.run import PerfRun, levels_in_range


@pytest.mark.parametrize(
    ("text", "count"),
    [("4", 1), ("1:4", 4), ("1:8:2", 4), ("100:300:100", 3), ("0.5:2:0.5", 4)],
)
def test_loads_in_a_range(text, count):
    assert levels_in_range(text) == count


@pytest.mark.parametrize("text", ["", "0", "8:1", "1:0", "a", "1:2:3:4", "1:4:0", "-1"])
def test_what_is_no_range(text):
    with pytest.raises(BadInput, match="expected START"):
        levels_in_range(text)


def test_concurrency_is_a_closed_loop(served, tmp_path):
    options = " ".join(PerfRun(served, batch=2, concurrency="1:8:2").options(tmp_path / "report.csv"))
    assert "-m identity -i grpc -u 127.0.0.1:8001 -b 2" in options
    assert "--concurrency-range 1:8:2" in options
    assert "--async" not in options


def test_a_rate_is_sent_asynchronously_at_poisson_intervals(served, tmp_path):
    options = " ".join(PerfRun(served, rate="100").options(tmp_path / "report.csv"))
    assert "--request-rate-range 100 --request-distribution poisson --async" in options
    assert "--concurrency-range" not in options


def test_a_batch_the_server_does_not_take(served):
    with pytest.raises(BadInput, match=r"identity: a request of 17 rows, the server takes 1\.\.16"):
        PerfRun(served, batch=17)


def test_a_size_that_varies_must_be_said(dynamic, tmp_path):
    with pytest.raises(BadInput, match="Say --shape input_ids:SIZE"):
        PerfRun(dynamic)
    assert "--shape input_ids:64" in " ".join(PerfRun(dynamic, shapes=("input_ids:64",)).options(tmp_path))
    assert PerfRun(dynamic, input_data=tmp_path / "golden.json").shapes == ()


def test_the_time_limit_grows_with_the_work(served):
    assert PerfRun(served, concurrency="1:8").timeout_s > PerfRun(served).timeout_s > 30
