import numpy as np
import pytest

from engineroom.client.transport import Address, address_from_url, plain_array
from engineroom.errors import BadInput


@pytest.mark.parametrize(
    ("url", "address"),
    [
        pytest.param("grpc://server:9001", Address("grpc", "server", 9001), id="gRPC"),
        pytest.param("http://server:9000/", Address("http", "server", 9000), id="HTTP"),
        pytest.param("server:9001", Address("grpc", "server", 9001), id="bare means gRPC"),
        pytest.param("grpc://server", Address("grpc", "server", 8001), id="Triton's port for gRPC"),
        pytest.param("http://server", Address("http", "server", 8000), id="Triton's port for HTTP"),
        pytest.param("http://[::1]:9000", Address("http", "::1", 9000), id="IPv6"),
    ],
)
def test_a_url_names_protocol_host_and_port(url, address):
    assert address_from_url(url) == address


@pytest.mark.parametrize(
    "url", ["", "ftp://server", "http://", "http://server:port", "http://server/v2", "grpc://s:99999"]
)
def test_what_is_no_url_is_refused_with_the_forms_that_are(url):
    with pytest.raises(BadInput, match=r"is no server address.* Use grpc://HOST:8001, http://HOST:8000, or HOST:PORT"):
        address_from_url(url)


def test_an_ipv6_address_keeps_its_brackets():
    assert address_from_url("grpc://[::1]:1").url == "grpc://[::1]:1"


def test_answers_are_writable():
    array = plain_array(np.frombuffer(b"\x01\x02", np.uint8))
    array[0] = 9
    assert array.tolist() == [9, 2]
