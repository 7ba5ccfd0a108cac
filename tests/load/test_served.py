import pytest

from engineroom.errors import BadInput
from engineroom.load.result import ServerTime
from engineroom.load.served import Spent, address_from_options


@pytest.mark.parametrize(
    ("url", "protocol", "expected"),
    [
        (None, None, "grpc://127.0.0.1:8001"),
        (None, "http", "http://127.0.0.1:8000"),
        ("server:9001", None, "grpc://server:9001"),
        ("server:9000", "http", "http://server:9000"),
        ("http://server", None, "http://server:8000"),
        ("grpc://server:9001", "grpc", "grpc://server:9001"),
    ],
)
def test_address(url, protocol, expected):
    assert address_from_options(url, protocol).url == expected


@pytest.mark.parametrize(
    ("url", "protocol"), [("http://server", "grpc"), ("ftp://server", None), ("a:b", None), ("grpcs://s", None)]
)
def test_no_address(url, protocol):
    with pytest.raises(BadInput):
        address_from_options(url, protocol)


def test_time_spent_is_a_mean_in_microseconds():
    before, after = Spent(10, (1000, 0, 5000, 0)), Spent(14, (9000, 4000, 25000, 400))
    assert after.since(before) == ServerTime(queue_us=2.0, input_us=1.0, infer_us=5.0, output_us=0.1)
    assert after.since(after) is None


def test_a_model_without_a_batch_takes_one_row(served):
    served.check_batch(16)
    with pytest.raises(BadInput, match=r"a request of 0 rows, the server takes 1\.\.16"):
        served.check_batch(0)
