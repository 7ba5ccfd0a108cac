"""TLS with a real Triton: over gRPC with its own, over HTTP with a proxy's before it."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import numpy as np
import pytest
from authority import Authority, Proxy

from engineroom.client import TLS, AsyncClient, BadInput, Client, RetryPolicy, ServerUnavailable, ServerUntrusted
from engineroom.serve.server import ServerOptions, running

X = np.arange(8, dtype=np.float32).reshape(1, 8)
ONCE = RetryPolicy(attempts=1)
PROTOCOLS = ["grpcs", "https"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


class Secured:
    """A Triton over TLS, with a proxy before its HTTP; both show a certificate for `localhost`."""

    def __init__(self, server, proxy):
        self.server = server
        self.ports = {"grpcs": int(server.grpc.split(":")[1]), "https": proxy.port}

    def url(self, protocol, host="localhost"):
        return f"{protocol}://{host}:{self.ports[protocol]}"


@pytest.fixture(scope="module")
def repository(publish_tiny, tmp_path_factory):
    repository = tmp_path_factory.mktemp("secured")
    publish_tiny(repository, on_cpu=True)
    return repository


@contextmanager
def secured(repository, authority, *options, clients=None):
    certificate, key = authority.issue("server", "localhost")
    arguments = (*options, f"--grpc-server-cert={certificate}", f"--grpc-server-key={key}")
    with running(ServerOptions(repository, drain_s=0, arguments=arguments)) as server:
        proxy = Proxy(server.http, (certificate, key), clients)
        yield Secured(server, proxy)
        proxy.close()


@pytest.fixture(scope="module")
def plain_clients(repository, authority):
    with secured(repository, authority, "--grpc-use-ssl=true") as server:
        yield server


@pytest.fixture(scope="module")
def known_clients(repository, authority):
    root = f"--grpc-root-cert={authority.certificate}"
    with secured(repository, authority, "--grpc-use-ssl-mutual=true", root, clients=authority.certificate) as server:
        yield server


async def ask(url, tls):
    async with AsyncClient(url, tls=tls, retry=ONCE) as client:
        return await client.infer("tiny", x=X)


def refusal(url, tls=None):
    """The error of a call that fails; in an event loop it is the same."""
    with Client(url, tls=tls, retry=ONCE) as client, pytest.raises(ServerUnavailable) as caught:
        client.infer("tiny", x=X)
    with pytest.raises(ServerUnavailable) as waited_for:
        asyncio.run(ask(url, tls))
    assert (type(waited_for.value), str(waited_for.value)) == (type(caught.value), str(caught.value))
    return caught.value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_believed_answers(plain_clients, authority, protocol):
    for ca in (authority.certificate, str(authority.certificate), authority.certificate.read_bytes()):
        with Client(plain_clients.url(protocol), tls=TLS(ca=ca)) as client:
            assert np.array_equal(client.infer("tiny", x=X)["y"], 2 * X)
    assert np.array_equal(asyncio.run(ask(plain_clients.url(protocol), TLS(ca=ca)))["y"], 2 * X)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_wants_to_know_its_clients_answers_those(known_clients, authority, protocol):
    certificate, key = authority.issue("client", "me")
    tls = TLS(authority.certificate, certificate.read_bytes() + key.read_bytes())
    with Client(known_clients.url(protocol), tls=tls) as client:
        assert np.array_equal(client.infer("tiny", x=X)["y"], 2 * X)
    assert np.array_equal(asyncio.run(ask(known_clients.url(protocol), tls))["y"], 2 * X)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_name_that_the_address_does_not_tell_can_be_said(plain_clients, authority, protocol):
    url = plain_clients.url(protocol, "127.0.0.1")
    error = refusal(url, TLS(authority.certificate))
    assert isinstance(error, ServerUntrusted)
    assert str(error).startswith(f"the certificate of {url} is not believed: IP address mismatch")
    assert str(error).endswith("Use the address that it was issued for, or say its name: TLS(server_name=...).")
    tls = TLS(authority.certificate, server_name="localhost")
    with Client(url, tls=tls) as client:
        assert client.ready("tiny")
    assert np.array_equal(asyncio.run(ask(url, tls))["y"], 2 * X)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("whose", ["the system's", "another's"])
def test_an_authority_that_is_not_believed(plain_clients, stranger, protocol, whose):
    error = refusal(plain_clients.url(protocol), None if whose == "the system's" else TLS(stranger.certificate))
    assert isinstance(error, ServerUntrusted)
    assert "unable to get local issuer certificate. Say which authority has signed it: TLS(ca=...)." in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_certificate_that_has_expired(plain_clients, authority, protocol):
    proxy = Proxy(plain_clients.server.http, authority.issue("expired", "localhost", days=-1))
    error = refusal(f"{protocol}://localhost:{proxy.port}", TLS(authority.certificate))
    proxy.close()
    assert isinstance(error, ServerUntrusted)
    assert "is not believed: certificate has expired. Renew it at the server" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_that_shows_no_certificate(known_clients, authority, protocol):
    error = refusal(known_clients.url(protocol), TLS(authority.certificate))
    assert isinstance(error, ServerUntrusted)
    assert f"{known_clients.url(protocol)} wants to see a certificate" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("days", [1, -1], ids=["of a stranger", "expired"])
def test_a_client_whose_certificate_is_not_accepted(known_clients, authority, stranger, protocol, days):
    issuer = stranger if days > 0 else authority
    tls = TLS(authority.certificate, *issuer.issue("refused", "me", days=days))
    error = refusal(known_clients.url(protocol), tls)
    assert isinstance(error, ServerUntrusted)
    assert f"{known_clients.url(protocol)} refuses the certificate that it was shown" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_in_the_clear_to_a_port_for_tls(plain_clients, protocol):
    url = plain_clients.url(protocol)
    error = refusal(url.replace("s://", "://"))
    assert f"speaks TLS. Use {url}, or" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_to_a_port_of_http_without(plain_clients, protocol):
    there = plain_clients.server.http
    assert f"{there} speaks HTTP without TLS. Use http://{there}, or" in str(refusal(f"{protocol}://{there}"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_tls_to_a_port_of_grpc_without(protocol):
    server = grpc.server(ThreadPoolExecutor(1))
    there = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    error = refusal(f"{protocol}://{there}")
    server.stop(0).wait()
    assert f"{there} speaks without TLS. Use grpc://{there}, or" in str(error)


@pytest.mark.parametrize(("protocol", "other"), [("grpcs", "https"), ("https", "grpcs")])
def test_the_other_protocols_port_over_tls(plain_clients, authority, protocol, other):
    url = plain_clients.url(other)
    error = refusal(url.replace(other, protocol), TLS(authority.certificate))
    assert f"Use {url}, or" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_where_nobody_listens_tls_is_not_blamed(protocol):
    assert f"no Triton answers at {protocol}://127.0.0.1:1" in str(refusal(f"{protocol}://127.0.0.1:1"))


@pytest.fixture
def folder(tmp_path, authority, stranger):
    """Files that are of no use."""
    certificate, key = authority.issue("client", "me")
    (tmp_path / "certificate.pem").write_bytes(certificate.read_bytes())
    (tmp_path / "key.pem").write_bytes(key.read_bytes())
    (tmp_path / "other.pem").write_bytes(stranger.issue("other", "me")[1].read_bytes())
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "torn.pem").write_bytes(certificate.read_bytes()[:200])
    locked = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    (tmp_path / "locked.pem").write_bytes(locked)
    return tmp_path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"ca": "none.pem"}, "ca '{0}/none.pem' cannot be read (No such file", id="a file that is not"),
        pytest.param({"ca": "."}, "ca '{0}' cannot be read (Is a directory)", id="a folder"),
        pytest.param({"ca": "text.pem"}, "ca '{0}/text.pem' is no PEM text", id="another text"),
        pytest.param({"ca": "torn.pem"}, "ca '{0}/torn.pem' holds no certificate", id="half a certificate"),
        pytest.param({"ca": "key.pem"}, "ca '{0}/key.pem' holds no certificate", id="a key for a certificate"),
        pytest.param(
            {"certificate": "certificate.pem"}, "certificate '{0}/certificate.pem' are no certificate and the key",
            id="no key",
        ),
        pytest.param(
            {"certificate": "certificate.pem", "key": "other.pem"},
            "certificate '{0}/certificate.pem' and key '{0}/other.pem' are no certificate and the key",
            id="the key of another",
        ),
        pytest.param(
            {"certificate": "certificate.pem", "key": "locked.pem"}, "key '{0}/locked.pem' has a passphrase",
            id="a locked key",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_of_no_use_is_named(folder, protocol, files, message):
    tls = TLS(**{role: folder / file for role, file in files.items()})
    with pytest.raises(BadInput) as caught:
        Client(f"{protocol}://localhost:1", tls=tls)
    assert message.format(folder) in str(caught.value)


def test_a_key_alone_is_refused():
    with pytest.raises(BadInput, match="a key is given without its certificate"):
        TLS(key=b"-----BEGIN ")


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_nobody_goes_in_the_clear_who_asks_for_tls(scheme):
    expected = f"{scheme}://server:1 goes without TLS, and one is given. Use {scheme}s://server:1."
    with pytest.raises(BadInput, match=expected):
        Client(f"{scheme}://server:1", tls=TLS())


def test_secrets_stand_in_no_text_about_them():
    secret = b"-----BEGIN PRIVATE KEY-----\nsecret"
    tls = TLS(ca=secret, certificate=secret, key=secret)
    assert "secret" not in repr(tls)
    with pytest.raises(BadInput) as caught:
        Client("grpcs://localhost", tls=tls)
    assert "secret" not in str(caught.value)
