"""A certificate authority for one test run, and a proxy that speaks TLS before a server that does not."""

import datetime
import ipaddress
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

HANDSHAKE = b"\x16"
"""The first byte of TLS."""

IN_THE_CLEAR = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>"
DAY = datetime.timedelta(days=1)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Authority:
    """Issues certificates into a folder.

    Attributes:
        certificate: File of its own certificate.
    """

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = self._builder(self._name, self._key.public_key(), 1)
        builder = builder.add_extension(constraints, critical=True).add_extension(usage, critical=True)
        self.certificate = self._write(f"{name}.pem", builder)

    def issue(self, file: str, *names: str, days: int = 1) -> tuple[Path, Path]:
        """A certificate for these names, and its key; with less than no days left it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = self._builder(_name(names[0]), key.public_key(), days).add_extension(uses, critical=False)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        certificate = self._write(f"{file}.pem", builder.add_extension(alternatives, critical=False))
        path = self.folder / f"{file}.key"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, path

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        builder = x509.CertificateBuilder(self._name, name, key, x509.random_serial_number())
        return (
            builder.not_valid_before(now - 9 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _write(self, file: str, builder: x509.CertificateBuilder) -> Path:
        path = self.folder / file
        path.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        return path


class Proxy:
    """Takes TLS connections and passes what they say on in the clear, as a proxy before Triton's HTTP does.

    Who speaks in the clear is told so in the clear, as nginx does.

    Attributes:
        port: Where it listens, on 127.0.0.1.
    """

    def __init__(self, target: str, pair: tuple[Path, Path], clients: Path | None = None) -> None:
        host, port = target.rsplit(":", 1)
        self._target = (host, int(port))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*pair)
        self._context.set_alpn_protocols(["http/1.1"])
        if clients:
            self._context.load_verify_locations(clients)
            self._context.verify_mode = ssl.CERT_REQUIRED
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                threading.Thread(target=self._serve, args=(self._listening.accept()[0],), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        if plain.recv(1, socket.MSG_PEEK) != HANDSHAKE:
            with plain:
                plain.recv(65536)
                plain.sendall(IN_THE_CLEAR)
            return
        with (
            suppress(OSError),
            plain,
            self._context.wrap_socket(plain, server_side=True) as near,
            socket.create_connection(self._target) as far,
        ):
            back = threading.Thread(target=_pass, args=(far, near), daemon=True)
            back.start()
            _pass(near, far)
            back.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
