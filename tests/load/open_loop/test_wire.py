import numpy as np
import pytest

from engineroom.load.open_loop.answers import KEPT_BYTES, Comparison
from engineroom.load.open_loop.wire import Reply
from engineroom.load.outcome import Outcome, outcome_from_grpc, outcome_from_http
from engineroom.load.prepared import Request
from engineroom.repository.golden import Golden


@pytest.fixture
def request_of_6():
    x = np.ones((1, 1), np.float32)
    return Request("stall", 1, b"012345", 2, Golden("stall", {"x": x}, {"y": x}))


@pytest.mark.parametrize(
    ("code", "details", "outcome"),
    [
        ("UNAVAILABLE", "Request timeout expired", Outcome.REJECTED),
        ("UNAVAILABLE", "failed to connect", Outcome.UNREACHABLE),
        ("RESOURCE_EXHAUSTED", "", Outcome.REJECTED),
        ("DEADLINE_EXCEEDED", "", Outcome.LATE),
        ("INVALID_ARGUMENT", "unexpected shape", Outcome.REFUSED),
    ],
)
def test_what_a_grpc_status_means(code, details, outcome):
    assert outcome_from_grpc(code, details) is outcome


def test_a_rejection_by_triton_over_http():
    assert outcome_from_http(400, b'{"error":"Exceeds maximum queue size"}') is Outcome.REJECTED


def test_an_answer_is_read_once(request_of_6):
    body = b'{"outputs":[{"name":"y","datatype":"FP32","shape":[1,1],"data":[1.0]}]}'
    comparison = Comparison()
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.RIGHT
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.RIGHT
    # The same bytes are no right answer to another request.
    other = Request("stall", 1, b"", 2, request_of_6.golden.batch(0, 2))
    assert comparison.outcome(1, other, Reply(body)) is Outcome.WRONG
    assert "shape" in comparison.reason
    assert len(body) < KEPT_BYTES


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[]", b'{"outputs":[{}]}'])
def test_garbage_is_a_wrong_answer(request_of_6, body):
    comparison = Comparison()
    assert comparison.outcome(0, request_of_6, Reply(body)) is Outcome.WRONG
    assert comparison.reason
