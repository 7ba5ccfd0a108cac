import pytest

from engineroom.errors import (
    BadInput,
    DeadlineExceeded,
    InferenceFailed,
    ModelNotFound,
    Rejected,
    ServerUnavailable,
    ServerUntrusted,
)
from engineroom.load.outcome import Outcome, outcome_from_error


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Rejected("Exceeds maximum queue size"), Outcome.REJECTED),
        (DeadlineExceeded("no answer within 1 s"), Outcome.LATE),
        (ServerUnavailable("connection refused"), Outcome.UNREACHABLE),
        (ServerUntrusted("expired"), Outcome.UNREACHABLE),
        (InferenceFailed("out of memory"), Outcome.REFUSED),
        (ModelNotFound("unloaded"), Outcome.REFUSED),
        (BadInput("dims changed"), Outcome.REFUSED),
    ],
)
def test_what_a_failed_call_came_to(error, outcome):
    assert outcome_from_error(error) is outcome
