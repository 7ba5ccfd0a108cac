"""What is repeated, when, and how often at most."""

import time

import numpy as np
import pytest

from engineroom.client import (
    BadInput,
    Client,
    DeadlineExceeded,
    FunctionTransport,
    InferenceFailed,
    ModelMetadata,
    ModelNotFound,
    Rejected,
    RetryPolicy,
    ServerUnavailable,
    TensorMetadata,
)

M = ModelMetadata("m", (TensorMetadata("x", "FP32", (1,)),), (TensorMetadata("y", "FP32", (1,)),))
QUICK = RetryPolicy(backoff_s=0.001, longest_backoff_s=0.002)


class Failing(FunctionTransport):
    """Answers with these errors, one after the other, and then with 2."""

    def __init__(self, *errors):
        super().__init__({M: self.answer})
        self.errors = list(errors)

    def answer(self, arrays):
        if self.errors:
            raise self.errors.pop(0)
        return {"y": np.array([2.0], np.float32)}


def ask(transport, policy=QUICK, **options):
    """How often the server was asked, and the error, if there was one."""
    with Client(transport=transport, retry=policy) as client:
        try:
            assert client.infer("m", x=[1.0], **options)["y"].tolist() == [2.0]
        except InferenceFailed as error:  # also Rejected
            return len(transport.requests), type(error)
        except (BadInput, ServerUnavailable, DeadlineExceeded, ModelNotFound) as error:
            return len(transport.requests), type(error)
        return len(transport.requests), None


@pytest.mark.parametrize(
    ("errors", "asked", "ends_with"),
    [
        pytest.param([ServerUnavailable("reset")], 2, None, id="once nobody"),
        pytest.param([ServerUnavailable("reset")] * 2, 3, None, id="twice nobody"),
        pytest.param([ServerUnavailable("reset")] * 3, 3, ServerUnavailable, id="nobody at all"),
        pytest.param([Rejected("full", 0.0)], 2, None, id="rejected, come back"),
        pytest.param([Rejected("full")], 1, Rejected, id="rejected"),
        pytest.param([DeadlineExceeded("late")], 1, DeadlineExceeded, id="late"),
        pytest.param([InferenceFailed("broken")], 1, InferenceFailed, id="the model's own error"),
        pytest.param([BadInput("too large")], 1, BadInput, id="bad input"),
        pytest.param([ModelNotFound("no m")], 1, ModelNotFound, id="not found"),
    ],
)
def test_only_what_may_go_away_is_repeated(errors, asked, ends_with):
    assert ask(Failing(*errors)) == (asked, ends_with)


def test_what_must_not_be_repeated_is_not():
    assert ask(Failing(ServerUnavailable("reset")), idempotent=False) == (1, ServerUnavailable)
    assert ask(Failing(Rejected("full", 0.0)), idempotent=False) == (1, Rejected)


def test_one_attempt_is_no_repetition():
    assert ask(Failing(ServerUnavailable("reset")), RetryPolicy(attempts=1)) == (1, ServerUnavailable)


def test_a_policy_may_repeat_rejections():
    assert ask(Failing(Rejected("full")), RetryPolicy(rejected=True, backoff_s=0.001)) == (2, None)


def test_retry_after_is_waited_for():
    start = time.monotonic()
    assert ask(Failing(Rejected("full", 0.3)), timeout_s=2) == (2, None)
    assert 0.3 <= time.monotonic() - start < 1


def test_a_pause_that_ends_after_the_deadline_is_not_begun():
    start = time.monotonic()
    assert ask(Failing(Rejected("full", 5.0)), timeout_s=1) == (1, Rejected)
    assert time.monotonic() - start < 0.5


def test_pauses_double_up_to_the_longest_and_are_drawn_from_nothing_on():
    policy = RetryPolicy(backoff_s=0.1, longest_backoff_s=0.3)
    error = ServerUnavailable("reset")
    assert [policy.pause_s(attempts, error, 1.0) for attempts in (1, 2, 3, 4, 5000)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.3, 0.3]
    )
    assert policy.pause_s(3, error, 0.0) == 0
    assert policy.pause_s(1, Rejected("full", 2.0), 0.5) == pytest.approx(2.05)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"attempts": 0}, "attempts is 0, give 1"),
        ({"share": 0.0}, "share is 0, give more than 0"),
        ({"share": 1.5}, "share is 1.5"),
        ({"backoff_s": -1.0}, "a pause is negative"),
    ],
    ids=str,
)
def test_an_impossible_policy_is_refused(field, message):
    with pytest.raises(BadInput, match=message):
        RetryPolicy(**field)


@pytest.mark.parametrize("policy", [QUICK, RetryPolicy(attempts=50, backoff_s=0.0)], ids=["default", "stubborn"])
def test_an_outage_gets_a_fifth_more_requests_at_most(counting, policy):
    with Client(counting.url, retry=policy) as client:
        client.metadata("m")
        counting.answer = (503, {}, b'{"error": "Server not ready"}')
        for _ in range(150):
            with pytest.raises(ServerUnavailable):
                client.infer("m", x=[1.0])
    assert 179 <= counting.asked["infer"] <= 180


def test_rejections_that_ask_for_patience_are_within_the_budget_too(counting):
    counting.answer = (429, {"Retry-After": "0"}, b"")
    with Client(counting.url, retry=QUICK) as client:
        for _ in range(100):
            with pytest.raises(Rejected):
                client.infer("m", x=[1.0])
    assert 100 < counting.asked["infer"] <= 120
