"""Why a server did not answer, in words that help."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException

from engineroom.client.protocol.transport import PORTS, Address
from engineroom.errors import InferenceFailed, Rejected, ServerUnavailable

QUEUE_WORDS = ("Request timeout expired", "Exceeds maximum queue size")
"""What Triton's scheduler says of a request that it drops: UNAVAILABLE over gRPC, 503 over HTTP (seen with 2.51). It
says UNAVAILABLE, and so does gRPC itself, of servers that are not there: only the words tell them apart."""


def nobody_answers(address: Address, reason: str) -> ServerUnavailable:
    """A connection could not be made, or broke; `reason` is what the library underneath said."""
    return ServerUnavailable(
        f"no Triton answers at {address.url} ({reason}). Start one with: engineroom serve. Or give another address."
    )


def wrong_server(address: Address, spoken: str, scheme: str) -> ServerUnavailable:
    """The port speaks another protocol; `scheme` is the one to try."""
    return ServerUnavailable(
        f"{address.netloc} speaks {spoken}. Use {scheme}://{address.netloc}, or {_usual_port(address)}."
    )


def stranger(address: Address, answer: str) -> ServerUnavailable:
    """The port speaks the protocol, but is not Triton's for inference (the one for metrics, say)."""
    return ServerUnavailable(f"{address.url} answers {answer}, not as Triton does. Use {_usual_port(address)}.")


def _usual_port(address: Address) -> str:
    owner = "the port of the proxy before Triton" if address.scheme == "https" else "Triton's port"
    return f"{owner} for {address.scheme} ({PORTS[address.scheme]} by default)"


@contextmanager
def understood(address: Address) -> Iterator[None]:
    """Whatever reading an answer raises, because it is not of the form that the protocol gives it, is a stranger's.

    Raises:
        ServerUnavailable: Nothing else, besides the errors of ours that pass.
    """
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        raise stranger(address, f"in a form of its own ({type(error).__name__}: {error})") from error


def refused(address: Address, message: str) -> InferenceFailed:
    """Triton answered with an error; `message` is its own."""
    return InferenceFailed(f"{address.url} answers: {message}")


def by_queue(message: str) -> bool:
    """Whether these are the words of Triton's queue."""
    return any(words in message for words in QUEUE_WORDS)


def rejected(address: Address, message: str, retry_after_s: float | None = None) -> Rejected:
    """The server is there and does not take the request now."""
    return Rejected(f"{address.url} answers: {message}", retry_after_s)


def retry_after_s_from_header(value: str | None) -> float | None:
    """Seconds to wait, of a `Retry-After` header: a number, or a date (RFC 9110, 10.2.3); None of anything else."""
    with suppress(TypeError, ValueError, OverflowError):
        if value is not None and value.strip().isdecimal():
            return float(value)
        return max(0.0, parsedate_to_datetime(value or "").timestamp() - time.time())
    return None


def speaks_http(address: Address, timeout_s: float) -> bool:
    """Whether the port answers a plain HTTP request in time."""
    connection = HTTPConnection(address.host, address.port, timeout=max(0.001, timeout_s))
    try:
        connection.request("GET", "/v2/health/live")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
