"""Why a server did not answer, in words that help."""

from http.client import HTTPConnection, HTTPException

from engineroom.client.transport import PORTS, Address
from engineroom.errors import InferenceFailed, ServerUnavailable


def nobody_answers(address: Address, reason: str) -> ServerUnavailable:
    """A connection could not be made, or broke; `reason` is what the library underneath said."""
    return ServerUnavailable(
        f"no Triton answers at {address.url} ({reason}). Start one with: engineroom serve. Or give another address."
    )


def wrong_server(address: Address, spoken: str, scheme: str) -> ServerUnavailable:
    """The port speaks another protocol; `scheme` is the one to try."""
    return ServerUnavailable(
        f"{address.netloc} speaks {spoken}. Use {scheme}://{address.netloc}, "
        f"or Triton's port for {address.scheme} ({PORTS[address.scheme]} by default)."
    )


def stranger(address: Address, answer: str) -> ServerUnavailable:
    """The port speaks the protocol, but is not Triton's for inference (the one for metrics, say)."""
    return ServerUnavailable(
        f"{address.url} answers {answer}, not as Triton does. "
        f"Use Triton's port for {address.scheme} ({PORTS[address.scheme]} by default)."
    )


def refused(address: Address, message: str) -> InferenceFailed:
    """Triton answered with an error; `message` is its own."""
    return InferenceFailed(f"{address.url} answers: {message}")


def speaks_http(address: Address) -> bool:
    """Whether the port answers a plain HTTP request."""
    connection = HTTPConnection(address.host, address.port, timeout=address.connect_timeout_s)
    try:
        connection.request("GET", "/v2/health/live")
        connection.getresponse().read()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
