"""Why TLS with a server does not come about: gRPC and HTTP libraries hardly say, so the handshake is made once more."""

import socket
import ssl
from contextlib import suppress

from engineroom.client.protocol.outage import speaks_http, wrong_server
from engineroom.client.protocol.tls import credentials_from_tls
from engineroom.client.protocol.transport import Address
from engineroom.errors import ServerUnavailable, ServerUntrusted

HTTP2 = "h2"
HUNG_UP = "it hangs up after the handshake"
"""What gRPC's server does, without a word, where our certificate is missing or not believed."""

NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
"""What OpenSSL calls bytes that are no TLS, by its version."""

EXPIRED, TOO_EARLY, OTHER_NAME, OTHER_NUMBER = 10, 9, 62, 64
"""Of OpenSSL's verification results (x509_vfy.h), those that are mended otherwise than the rest."""


def trouble(address: Address, timeout_s: float) -> ServerUnavailable | None:
    """Why a connection to this server did not come about, or broke before its first answer, as far as TLS explains it.

    Args:
        address: The server; its own certificate is verified, and ours shown, as its `TLS` says.
        timeout_s: Seconds for each of at most three connections.
    """
    if not address.secure:
        return wrong_server(address, "TLS", f"{address.scheme}s") if _speaks_tls(address, timeout_s) else None
    context = credentials_from_tls(address.tls).context
    wanted = HTTP2 if address.protocol == "grpc" else "http/1.1"
    try:
        spoken = _shake(address, context, wanted, timeout_s)
    except ssl.SSLError as error:
        return _verdict(address, error, timeout_s)
    except OSError:
        return None
    if spoken == HUNG_UP:
        return _refused(address, HUNG_UP)
    return None if spoken == wanted else _other_protocol(address, context, wanted, timeout_s)


def _shake(address: Address, context: ssl.SSLContext, protocol: str, timeout_s: float) -> str | None:
    """Make a connection, and wait for its first byte: with TLS 1.3 a server refuses our certificate only then.

    Returns:
        The protocol that the server speaks, as far as it shows; or `HUNG_UP`.
    """
    context.set_alpn_protocols([protocol])
    name = address.tls.server_name or address.host
    with (
        socket.create_connection((address.host, address.port), timeout=max(0.001, timeout_s)) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        chosen = connection.selected_alpn_protocol()
        if chosen != HTTP2:  # whose server begins to speak by itself
            with suppress(OSError):
                connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: %b\r\n\r\n" % address.netloc.encode())
        try:
            answer = connection.recv(5)
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                raise
            return chosen
        except OSError:
            return chosen
        if chosen == HTTP2 and not answer:
            return HUNG_UP
        return "http/1.1" if answer == b"HTTP/" else chosen


def _verdict(address: Address, error: ssl.SSLError, timeout_s: float) -> ServerUnavailable | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _not_believed(address, error.verify_code, error.verify_message)
    reason = error.reason or ""
    if "ALERT" in reason:
        return _refused(address, reason.rpartition("ALERT_")[2].replace("_", " ").lower())
    if speaks_http(address, timeout_s):
        return wrong_server(address, "HTTP without TLS", "http")
    if reason in NO_TLS:
        return wrong_server(address, "without TLS", "grpc")
    return None


def _not_believed(address: Address, code: int, words: str) -> ServerUntrusted:
    if code in (EXPIRED, TOO_EARLY):
        advice = "Renew it at the server; or this machine's clock is wrong."
    elif code in (OTHER_NAME, OTHER_NUMBER):
        advice = "Use the address that it was issued for, or say its name: TLS(server_name=...)."
    else:
        advice = "Say which authority has signed it: TLS(ca=...)."
    return ServerUntrusted(f"the certificate of {address.url} is not believed: {words.rstrip('.')}. {advice}")


def _refused(address: Address, alert: str) -> ServerUntrusted:
    if address.tls.certificate is None:
        return ServerUntrusted(
            f"{address.url} wants to see a certificate ({alert}). Give TLS(certificate=..., key=...), of an authority "
            "that the server believes."
        )
    return ServerUntrusted(
        f"{address.url} refuses the certificate that it was shown ({alert}). Give TLS(certificate=..., key=...) one "
        "that is valid, of an authority that the server believes."
    )


def _other_protocol(
    address: Address, context: ssl.SSLContext, wanted: str, timeout_s: float
) -> ServerUnavailable | None:
    with suppress(OSError):
        other = "http/1.1" if wanted == HTTP2 else HTTP2
        if _shake(address, context, other, timeout_s) == other:
            return wrong_server(address, *(("HTTP, not gRPC", "https") if wanted == HTTP2 else ("gRPC", "grpcs")))
    return None


def _speaks_tls(address: Address, timeout_s: float) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is told to it, but that we are here
    try:
        with socket.create_connection((address.host, address.port), timeout=max(0.001, timeout_s)) as plain:
            context.wrap_socket(plain).close()
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")
    except OSError:
        return False
    return True
