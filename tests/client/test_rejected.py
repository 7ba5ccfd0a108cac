"""A server that is there and does not take the request, told apart from one that is not there."""

import threading
import time
from email.utils import formatdate

import pytest

from engineroom.client import Client, InferenceFailed, Rejected, ServerUnavailable
from engineroom.client.protocol.outage import retry_after_s_from_header

PROTOCOLS = ("grpc", "http")


def sleepy(client, sleep_ms=0, model="patient", **options):
    return client.infer(model, sleep_ms=[[sleep_ms]], complaint=[[""]], **options)


@pytest.fixture(params=PROTOCOLS)
def client(queues, request):
    with Client(f"{request.param}://{getattr(queues, request.param)}") as client:
        client.metadata("patient")
        yield client


@pytest.fixture
def busy(client):
    """The model works on one request, and another waits in its queue."""
    callers = [threading.Thread(target=sleepy, args=(client, 400)) for _ in range(2)]
    for caller in callers:
        caller.start()
        time.sleep(0.1)
    yield
    for caller in callers:
        caller.join()


def test_full_queue_rejects(client, busy):
    with pytest.raises(Rejected, match=r"^patient: .*://127.0.0.1:\d+ answers: .*Exceeds maximum queue size") as caught:
        sleepy(client)
    assert isinstance(caught.value, InferenceFailed)
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind", "retry_after_s"),
    [
        pytest.param(429, {"Retry-After": "2"}, b"slow down", Rejected, 2.0, id="429 of a gateway"),
        pytest.param(429, {}, b'{"error": "later"}', Rejected, None, id="429 that does not say when"),
        pytest.param(503, {"Retry-After": "0"}, b"", Rejected, 0.0, id="503 that says when"),
        pytest.param(503, {}, b'{"error": "Request timeout expired"}', Rejected, None, id="503 of Triton's queue"),
        pytest.param(503, {}, b'{"error": "Server not ready"}', ServerUnavailable, None, id="503 of one that ends"),
        pytest.param(503, {}, b"<html>", ServerUnavailable, None, id="503 of a proxy without a server"),
        pytest.param(502, {}, b"<html>", ServerUnavailable, None, id="502"),
        pytest.param(500, {}, b'{"error": "broken"}', InferenceFailed, None, id="500"),
        pytest.param(500, {}, b'{"error": 7}', InferenceFailed, None, id="500 in odd words"),
    ],
)
def test_refusals_over_http(counting, status, headers, body, kind, retry_after_s):
    with Client(counting.url) as client:
        client.metadata("m")
        counting.answer = (status, headers, body)
        with pytest.raises(kind) as caught:
            client.infer("m", x=[1.0], timeout_s=0.5)
    assert type(caught.value) is kind
    assert getattr(caught.value, "retry_after_s", None) == retry_after_s


@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        pytest.param("3", 3, 3, id="seconds"),
        pytest.param(formatdate(time.time() + 86400, usegmt=True), 80000, 86401, id="a date"),
        pytest.param(formatdate(0, usegmt=True), 0, 0, id="a date that is over"),
    ],
)
def test_retry_after_is_a_number_or_a_date(value, least_s, most_s):
    assert least_s <= retry_after_s_from_header(value) <= most_s


@pytest.mark.parametrize("value", [None, "", "soon", "-1", "1e9", "Fri, 99 Nov"])
def test_retry_after_in_other_words_says_nothing(value):
    assert retry_after_s_from_header(value) is None
