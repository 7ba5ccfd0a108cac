"""The servers that the tests of stores talk to, each on a free port of 127.0.0.1."""

import contextlib
import logging
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).parents[2]

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key of azurite's one account: public, and the same in every installation (Azurite's README)."""


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """moto's S3, with the bucket `models`; its address."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        make_bucket(address, "models")
        yield address
    finally:
        server.stop()


def make_bucket(address: str, name: str) -> None:
    """Make a bucket on an S3 server."""
    import boto3

    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=address, **keys).create_bucket(Bucket=name)


@contextlib.contextmanager
def google_server(*, conditional: bool) -> Iterator[str]:
    """gcp-storage-emulator, with the bucket `models`; its address.

    Args:
        conditional: Whether it keeps `ifGenerationMatch=0`, as Google's own does. The emulator as it comes ignores it.
    """
    from gcp_storage_emulator import server as emulator

    port, plain = free_port(), emulator.RequestHandler
    emulator.RequestHandler = _with_conditions(plain) if conditional else plain
    try:
        server = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket="models")
        server.start()
        wait_for_port(port)
    finally:
        emulator.RequestHandler = plain
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def _with_conditions(plain: Any) -> Any:
    """A handler that answers 412 to an upload with `ifGenerationMatch=0` of an object that exists.

    So says Google's JSON API (objects.insert).
    """

    class Conditional(plain):
        def do_POST(self) -> None:
            address = urlsplit(self.path)
            if parse_qs(address.query).get("ifGenerationMatch") == ["0"]:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                named = re.search(rb'"name": ?"([^"]+)"', body)
                assert named, body[:300]
                bucket = address.path.split("/")[-2]
                if named[1].decode() in self.storage.objects.get(bucket, {}):
                    self.send_error(412, "conditionNotMet")
                    return
                self.rfile = BytesIO(body)
            super().do_POST()

    return Conditional


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass(frozen=True)
class Azurite:
    """An Azure Blob server.

    Attributes:
        port: Where it listens.
    """

    port: int

    @property
    def connection(self) -> str:
        """What `AZURE_STORAGE_CONNECTION_STRING` must say."""
        return self.connection_with(KEY)

    def connection_with(self, key: str) -> str:
        """The same with another key."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{self.port}/devstoreaccount1;"
        )


@contextlib.contextmanager
def azure_server(program: Path) -> Iterator[Azurite]:
    """azurite's blob server, in memory, with the container `models`."""
    server = Azurite(free_port())
    command = ["node", str(program), "--blobHost", "127.0.0.1", "--blobPort", str(server.port), "--silent"]
    command += ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(server.port)
            make_container(server.connection, "models")
            yield server
        finally:
            process.terminate()


def wait_for_port(port: int) -> None:
    """Wait until somebody listens on a port of 127.0.0.1."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


def make_container(connection: str, name: str) -> None:
    """Make a container on an Azure Blob server."""
    from azure.storage.blob import BlobServiceClient

    with BlobServiceClient.from_connection_string(connection) as client:
        client.create_container(name)
