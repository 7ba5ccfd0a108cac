"""What became of a request: an answer that is right, or one way of failing."""

from enum import IntEnum

from engineroom.errors import CallError, DeadlineExceeded, Rejected, ServerUnavailable


class Outcome(IntEnum):
    """How a request ended. The numbers stand in files of samples."""

    RIGHT = 0
    """Answered, and rightly."""
    WRONG = 1
    """Answered, and not as the golden answer says, or not readable."""
    REJECTED = 2
    """The server would not: its queue is full, or the request had waited there for too long."""
    LATE = 3
    """No answer within the time that the caller waits."""
    UNREACHABLE = 4
    """No connection, or one that broke."""
    REFUSED = 5
    """The server answered with another error."""
    UNSENT = 6
    """The generator could not send: no more connections for this process, or a fault of its own."""

    @property
    def word(self) -> str:
        """For people and files."""
        return self.name.lower()


FULL = ("Exceeds maximum queue size", "Request timeout expired")
"""What Triton says when it rejects; over gRPC both are UNAVAILABLE, as a server that is gone is."""

GRPC = {
    "UNAVAILABLE": Outcome.UNREACHABLE,
    "RESOURCE_EXHAUSTED": Outcome.REJECTED,
    "DEADLINE_EXCEEDED": Outcome.LATE,
}
HTTP = {429: Outcome.REJECTED, 503: Outcome.REJECTED}


def outcome_from_grpc(code: str, details: str) -> Outcome:
    """What a failed gRPC call came to.

    Args:
        code: Name of its status.
        details: What the server says.
    """
    if any(text in details for text in FULL):
        return Outcome.REJECTED
    return GRPC.get(code, Outcome.REFUSED)


def outcome_from_http(status: int, body: bytes) -> Outcome:
    """What an HTTP answer that is no 200 came to."""
    if any(text.encode() in body for text in FULL):
        return Outcome.REJECTED
    return HTTP.get(status, Outcome.REFUSED)


def outcome_from_error(error: CallError) -> Outcome:
    """What a failed call of our own client came to."""
    if isinstance(error, Rejected):
        return Outcome.REJECTED
    if isinstance(error, DeadlineExceeded):
        return Outcome.LATE
    return Outcome.UNREACHABLE if isinstance(error, ServerUnavailable) else Outcome.REFUSED
