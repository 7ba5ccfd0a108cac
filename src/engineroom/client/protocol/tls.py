"""TLS: whom the client believes, and how it proves who it is."""

import ssl
from dataclasses import dataclass, field
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from engineroom.errors import BadInput

Pem: TypeAlias = str | PathLike[str] | bytes
"""A file's path, or what stands in it."""

BEGIN = b"-----BEGIN "


@dataclass(frozen=True)
class TLS:
    """How a server at `grpcs://` or `https://` is verified, and what it is shown.

    Files are read when a client is made.

    Attributes:
        ca: Certificates (PEM) of the authorities that are believed, instead of the system's.
        certificate: The client's own (PEM), for a server that asks for one, and those that lead to its authority.
        key: Its private key (PEM, without a passphrase); may stand in the certificate's file.
        server_name: The name that the server's certificate must bear, where it is not the host of the address.

    Raises:
        BadInput: There is a key without a certificate.
    """

    ca: Pem | None = field(default=None, repr=False)
    certificate: Pem | None = field(default=None, repr=False)
    key: Pem | None = field(default=None, repr=False)
    server_name: str = ""

    def __post_init__(self) -> None:
        """Refuse half of a pair."""
        if self.key is not None and self.certificate is None:
            raise BadInput("TLS: a key is given without its certificate. Give both, or none.")


@dataclass(frozen=True)
class Credentials:
    """What a `TLS` stands for, read and found to be usable.

    Attributes:
        roots: Certificates of the authorities, as PEM; None where the system keeps them elsewhere than in one file.
        chain: The client's certificate, as PEM.
        key: Its key, as PEM.
        context: All of it, for Python's `ssl`.
    """

    roots: bytes | None = field(repr=False)
    chain: bytes | None = field(repr=False)
    key: bytes | None = field(repr=False)
    context: ssl.SSLContext = field(repr=False)


def credentials_from_tls(tls: TLS) -> Credentials:
    """Read the files, and let OpenSSL say whether they are what they should be.

    Raises:
        BadInput: One cannot be read, or is something else; names the file.
    """
    if tls.ca is None:
        roots, context = _system_roots(), ssl.create_default_context()
    else:
        roots = _read("ca", tls.ca)
        context = _context_from_roots(tls.ca, roots)
    chain = key = None
    if tls.certificate is not None:
        chain = _read("certificate", tls.certificate)
        key = chain if tls.key is None else _read("key", tls.key)
        _load(context, tls, chain, key)
    return Credentials(roots, chain, key, context)


def _system_roots() -> bytes | None:
    """So that gRPC, which brings its own, believes whom HTTPS believes."""
    file = ssl.get_default_verify_paths().cafile
    return Path(file).read_bytes() if file else None


def _read(role: str, given: Pem) -> bytes:
    try:
        text = given if isinstance(given, bytes) else Path(given).read_bytes()
    except OSError as error:
        raise BadInput(f"TLS: {_named(role, given)} cannot be read ({error.strerror}).") from error
    if BEGIN not in text:
        raise BadInput(f"TLS: {_named(role, given)} is no PEM text, which has a line '-----BEGIN …'.")
    if role == "key" and b"ENCRYPTED" in text:
        raise BadInput(f"TLS: {_named(role, given)} has a passphrase. Give it without one: openssl pkey -in … -out ….")
    return text


def _context_from_roots(given: Pem, roots: bytes) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=roots.decode("ascii", errors="replace"))
    except (ssl.SSLError, ValueError) as error:
        raise BadInput(f"TLS: {_named('ca', given)} holds no certificate that can be read ({error}).") from error


def _load(context: ssl.SSLContext, tls: TLS, chain: bytes, key: bytes) -> None:
    # Python's ssl takes files only. TemporaryDirectory is readable by its owner alone.
    with TemporaryDirectory(prefix="engineroom-tls-") as folder:
        files = Path(folder, "certificate"), Path(folder, "key")
        for file, text in zip(files, (chain, key), strict=True):
            file.write_bytes(text)
        try:
            context.load_cert_chain(*files, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            names = _named("certificate", tls.certificate) + (f" and {_named('key', tls.key)}" if tls.key else "")
            why = getattr(error, "reason", None) or str(error)
            raise BadInput(f"TLS: {names} are no certificate and the key that belongs to it ({why}).") from error


def _named(role: str, given: Pem | None) -> str:
    return f"the {role} given as bytes" if given is None or isinstance(given, bytes) else f"{role} '{fspath(given)}'"
