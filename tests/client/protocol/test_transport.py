import grpc
import numpy as np
import pytest

from engineroom.client.protocol.over_grpc import GrpcTransport
from engineroom.client.protocol.transport import (
    Address,
    Connecting,
    InputTensor,
    Request,
    address_from_url,
    arrays_from_result,
)
from engineroom.errors import BadInput, CallError, InferenceFailed


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


class Result:
    """An answer as tritonclient gives it, made by hand."""

    def __init__(self, raw, shape):
        self.raw, self.shape = raw, shape

    def as_numpy(self, name):
        return np.frombuffer(self.raw, np.uint8).reshape(self.shape)


def test_answers_are_writable():
    array = arrays_from_result(Result(b"\x01\x02", (2,)), ["y"])["y"]
    array[0] = 9
    assert array.tolist() == [9, 2]


def test_an_answer_that_does_not_fit_its_shape_is_the_servers_failure():
    with pytest.raises(InferenceFailed, match="output 'y' does not fit its own description: cannot reshape"):
        arrays_from_result(Result(b"", (2, 2)), ["y"])


@pytest.mark.parametrize("infers", [True, False], ids=["inference", "metadata"])
@pytest.mark.parametrize("code", grpc.StatusCode, ids=lambda code: code.name)
def test_every_status_of_grpc_has_an_error_of_ours(code, infers):
    transport = GrpcTransport(Address("grpc", "127.0.0.1", 1))
    error = transport._error(code.name, "in its own words", infers)
    transport.close()
    assert isinstance(error, CallError)
    assert not isinstance(error, BadInput)


def test_a_request_too_large_for_grpc_is_refused_before_it_is_copied():
    huge = np.broadcast_to(np.zeros(1, np.uint8), (2**31,))
    transport = GrpcTransport(Address("grpc", "127.0.0.1", 1))
    request = Request("m", "", (InputTensor("x", "UINT8", huge),), (), 1.0)
    with pytest.raises(BadInput, match=r"m: gRPC carries less than 2 GiB a request. Send fewer rows, or use http://."):
        transport.infer(request)
    transport.close()


@pytest.mark.parametrize("value", ["secret\n", " secret", "sécret", b"secret", "secret\r\nhost: elsewhere"])
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(value):
    with pytest.raises(BadInput, match="header 'api-key': its value is no plain ASCII text") as caught:
        Connecting({"api-key": value})
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["api key", "", "host:", 7])
def test_a_header_has_a_name(name):
    with pytest.raises(BadInput, match="is no name of a header"):
        Connecting({name: "value"})


def test_a_headers_value_stands_in_no_text_about_the_address():
    assert "secret" not in repr(address_from_url("http://server", Connecting({"api-key": "secret"})))


def test_a_grpc_channel_is_closed_once(monkeypatch):
    """tritonclient closes it again when it is collected, which under gevent leaves gRPC waiting for ever."""
    transport = GrpcTransport(address_from_url("grpc://127.0.0.1:1"))
    client, closed = transport._client, []
    monkeypatch.setattr(client._channel, "close", lambda: closed.append(client))
    transport.close()
    client.__del__()
    assert closed == [client]
