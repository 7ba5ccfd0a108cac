"""HTTP with binary tensors: bodies by tritonclient, connections by urllib3.

tritonclient's own HTTP connections belong to the thread that made them and leave an event loop behind in every
thread (two file descriptors each); urllib3's pool is safe to share.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import BadStatusLine, RemoteDisconnected
from typing import Any, Protocol, TypeAlias
from urllib.parse import quote

import urllib3

from engineroom.client.deadline import left_s, over, timeout_us
from engineroom.client.memory.placement import Placed
from engineroom.client.memory.pool import SharedMemory, is_tried
from engineroom.client.metadata import ModelMetadata, loaded_from_index, metadata_from_config
from engineroom.client.protocol.handshake import trouble
from engineroom.client.protocol.outage import (
    by_queue,
    nobody_answers,
    refused,
    rejected,
    retry_after_s_from_header,
    stranger,
    understood,
    wrong_server,
)
from engineroom.client.protocol.tls import credentials_from_tls
from engineroom.client.protocol.transport import Address, Arrays, Request
from engineroom.client.protocol.wire import arrays_from_http, wire_inputs, wire_outputs
from engineroom.client.runner import finished
from engineroom.errors import CallError, DeadlineExceeded, ModelNotFound, ServerUnavailable

HEADER_LENGTH = "Inference-Header-Content-Length"
"""Says where the JSON ends and the tensors begin (Triton's binary tensor data extension)."""

REGIONS = "/v2/systemsharedmemory"

CONNECTIONS = 32
"""Idle connections kept; more threads than that open theirs anew."""


Sent: TypeAlias = tuple[bytes, int | None]
"""A body, and how much of it is JSON where tensors follow."""


class HttpAnswer(Protocol):
    """What answers of urllib3 and of aiohttp have in common."""

    @property
    def status(self) -> int:
        """HTTP status."""

    @property
    def headers(self) -> Any:
        """By name, in any case of letters."""

    @property
    def data(self) -> bytes:
        """The body."""

    def json(self) -> Any:
        """The body, read."""


class HttpTransport:
    """A pool of connections.

    Args:
        address: The server.

    Attributes:
        met: Whether the port has ever answered over HTTP.
    """

    def __init__(self, address: Address) -> None:
        from tritonclient import http

        self._http = http
        self._shared = SharedMemory(self, is_tried(address))
        self.met = False
        self._where = address
        self._pool = _pool(address)

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._where.url

    def ready(self, model: str, version: str) -> bool:
        """Whether the model, or with an empty name the whole server, can answer."""
        return self._send("GET", f"{path_of(model, version)}/ready" if model else "/v2/health/ready").status == 200

    def metadata(self, model: str, version: str) -> ModelMetadata:
        """What the model takes and gives."""
        config = self._json("GET", f"{path_of(model, version)}/config")
        with understood(self._where):
            return metadata_from_config(config, version)

    def loaded(self) -> tuple[tuple[str, str], ...]:
        """Name and version of every model that can answer."""
        index = self._json("POST", "/v2/repository/index")
        with understood(self._where):
            return loaded_from_index(index)

    def infer(self, request: Request) -> Arrays:
        """Answer one request."""

        async def send(asked: Request, placed: Placed | None) -> Arrays:
            return self._infer(asked, placed)

        return finished(self._shared.ask(request, send))

    def close(self) -> None:
        """Close every connection."""
        finished(self._shared.close())
        self._pool.close()

    async def register(self, name: str, size_bytes: int) -> None:
        """Have the server map a region of shared memory."""
        asked = json.dumps({"key": f"/{name}", "offset": 0, "byte_size": size_bytes}).encode()
        self.check(self._send("POST", f"{REGIONS}/region/{name}/register", (asked, None)))

    async def unregister(self, name: str) -> None:
        """Have it forget the region."""
        self.check(self._send("POST", f"{REGIONS}/region/{name}/unregister"))

    async def registered(self) -> tuple[str, ...]:
        """Names of the regions that it knows."""
        with understood(self._where):
            return tuple(region["name"] for region in self._json("GET", f"{REGIONS}/status"))

    def _infer(self, request: Request, placed: Placed | None) -> Arrays:
        path = f"{path_of(request.model, request.version)}/infer"
        response = self._send("POST", path, self.encoded(request, placed), request.timeout_s)
        self.check(response)
        return self.decoded(response, placed)

    def encoded(self, request: Request, placed: Placed | None) -> Sent:
        """A request as it is sent."""
        body, length = self._http.InferenceServerClient.generate_request_body(
            wire_inputs(self._http, request, placed),
            outputs=wire_outputs(self._http, request, placed),
            timeout=timeout_us(request.timeout_s),
        )
        return body, length

    def decoded(self, response: HttpAnswer, placed: Placed | None) -> Arrays:
        """What an answer holds."""
        client = self._http.InferenceServerClient
        length = response.headers.get(HEADER_LENGTH)
        with understood(self._where), _own_words():
            result = client.parse_response_body(response.data, header_length=int(length) if length else None)
            return arrays_from_http(result, placed)

    def _json(self, method: str, path: str) -> Any:
        response = self._send(method, path)
        self.check(response)
        return self.read_json(response)

    def read_json(self, response: HttpAnswer) -> Any:
        """What an answer without tensors says."""
        try:
            return response.json()
        except ValueError as error:
            raise stranger(self._where, "HTTP 200 without JSON") from error

    def _send(
        self, method: str, path: str, sent: Sent = (b"", None), timeout_s: float | None = None
    ) -> urllib3.BaseHTTPResponse:
        body, length = sent
        headers = {**self._where.headers, **({HEADER_LENGTH: str(length)} if length else {})}
        quick_s = min(self._where.connect_timeout_s, left_s())
        whole_s = quick_s if timeout_s is None else timeout_s
        if min(quick_s, whole_s) <= 0:
            raise DeadlineExceeded("no time left")
        limit = urllib3.Timeout(connect=min(quick_s, whole_s), total=whole_s)
        try:
            answer = self._pool.request(method, path, body=body, headers=headers, timeout=limit)
            self.met = True
            return answer
        except urllib3.exceptions.ReadTimeoutError as error:
            if timeout_s is None and not over():
                raise nobody_answers(self._where, f"no answer within {quick_s:.3g} s") from error
            raise DeadlineExceeded(f"no answer within {whole_s:.3g} s") from error
        except urllib3.exceptions.HTTPError as error:
            cause = error.__cause__ or error.args[-1]
            garbled = isinstance(cause, BadStatusLine) and not isinstance(cause, RemoteDisconnected)
            raise self.outage(str(cause), garbled) from error

    def outage(self, reason: str, garbled: bool) -> CallError:
        """What it means that a connection did not come about, or broke; may connect once more to find out.

        Args:
            reason: What the library underneath said.
            garbled: Whether something came that is no HTTP.
        """
        known = None if self.met else self._tls_trouble()
        if known:
            return known
        if garbled:
            return wrong_server(self._where, "another protocol than HTTP", "grpc")
        return nobody_answers(self._where, reason)

    def _tls_trouble(self) -> ServerUnavailable | None:
        return trouble(self._where, min(self._where.connect_timeout_s, left_s()))

    def check(self, response: HttpAnswer) -> None:
        """Raise what a refusal means; may ask the server once more to find out."""
        if response.status == 200:
            return
        error, cause = self._refusal(response)
        raise error from cause

    def _refusal(self, response: HttpAnswer) -> tuple[CallError, Exception | None]:
        after_s = retry_after_s_from_header(response.headers.get("Retry-After"))
        cause: Exception | None = None
        try:
            message = str(response.json()["error"])
        except (ValueError, KeyError, TypeError) as error:
            message, cause = f"HTTP {response.status}", error
        busy = response.status == 503
        if response.status == 429 or (busy and (after_s is not None or by_queue(message))):
            return rejected(self._where, message, after_s), cause
        if cause:  # 400 is also what nginx says, in the clear, of a request in the clear to its port for TLS
            return (self._tls_trouble() if response.status == 400 else None) or stranger(self._where, message), cause
        if response.status == 404:
            return ModelNotFound(message), None
        return nobody_answers(self._where, message) if busy else refused(self._where, message), None


@contextmanager
def _own_words() -> Iterator[None]:
    """What tritonclient says of bytes that are no text is a ValueError like every other."""
    from tritonclient.utils import InferenceServerException

    try:
        yield
    except InferenceServerException as error:
        raise ValueError(error.message()) from error


def _pool(address: Address) -> urllib3.HTTPConnectionPool:
    if not address.secure:
        return urllib3.HTTPConnectionPool(address.host, address.port, maxsize=CONNECTIONS, retries=False)
    return urllib3.HTTPSConnectionPool(
        address.host,
        address.port,
        maxsize=CONNECTIONS,
        retries=False,
        ssl_context=credentials_from_tls(address.tls).context,
        server_hostname=address.tls.server_name or None,
    )


def path_of(model: str, version: str) -> str:
    """The path of a model, or of one version of it."""
    return f"/v2/models/{quote(model, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
