"""The same request bytes are answered to perf_analyzer as to everybody else: it compares every answer byte by byte."""

import numpy as np
import pytest

from engineroom.client import Client
from engineroom.client.protocol.transport import address_from_url
from engineroom.errors import LoadError
from engineroom.load.perf_analyzer.input import input_file
from engineroom.load.perf_analyzer.install import install_perf_analyzer
from engineroom.load.perf_analyzer.run import PerfRun
from engineroom.load.perf_analyzer.tool import measure_with_perf_analyzer
from engineroom.load.served import served_model
from engineroom.repository.golden import golden_from_repository
from engineroom.repository.layout import Repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory, write_sum_model):
    path = tmp_path_factory.mktemp("same_bytes")
    version = write_sum_model(path, "adder", delay_us=0)
    a, b = np.random.default_rng(1).normal(size=(2, 6, 4)).astype(np.float32)
    np.savez(version / "golden.npz", **{"input.a": a, "input.b": b, "output.sum": a + b})
    return path


@pytest.fixture(scope="module")
def server(start_server, repository):
    return start_server(repository)


@pytest.fixture(params=["grpc", "http"])
def url(request, server):
    return f"{request.param}://{getattr(server, request.param)}"


@pytest.fixture
def measure(url, tmp_path):
    """Has perf_analyzer send inputs one by one and compare the answers; answers its result."""

    def measure(model, inputs, expected):
        served = served_model(address_from_url(url), model)
        data = input_file(inputs, expected, tmp_path / "data.json")
        run = PerfRun(served, input_data=data, window_ms=150, stability_percent=90)
        ((result, _),) = measure_with_perf_analyzer(install_perf_analyzer(), run, "")
        return result

    return measure


def test_golden_requests_get_the_bytes_our_client_got(measure, repository, url):
    golden = golden_from_repository(Repository(repository), "adder")
    with Client(url) as client:
        answer = client.infer("adder", golden.inputs)
    golden.check(answer)
    assert measure("adder", golden.inputs, answer).requests > golden.rows


def test_one_wrong_byte_is_noticed(measure, repository):
    golden = golden_from_repository(Repository(repository), "adder")
    answer = golden.outputs["sum"].copy()
    answer.view(np.uint8).reshape(-1)[0] ^= 1
    with pytest.raises(LoadError, match="adder: an answer differs from the validation data"):
        measure("adder", golden.inputs, {"sum": answer})
