"""Connections of the open loop: bytes out, bytes in, any number at once."""

import asyncio
import errno
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

from engineroom.client.transport import Address
from engineroom.load.outcome import Outcome, outcome_from_grpc, outcome_from_http
from engineroom.load.prepared import METHOD, Request

NO_LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
OPTIONS = [*NO_LIMIT, ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
LONGEST_HEAD_BYTES = 1 << 16
OWN_WANT = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
"""What this machine lacks for one more connection: descriptors, ports, memory."""


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        body: The answer, unread.
        json_bytes: HTTP alone: length of the JSON part of the body.
    """

    body: bytes
    json_bytes: int | None = None


class NotAnswered(Exception):
    """A request failed on the wire. It never leaves the worker.

    Attributes:
        outcome: How.
    """

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class OpenCaller(Protocol):
    """The way to one server. Any number of requests may be on it at once."""

    async def send(self, request: Request) -> Reply:
        """Send, and wait for the answer.

        Raises:
            NotAnswered: There is none.
        """

    async def close(self) -> None:
        """Give every connection back."""


def open_caller(address: Address, timeout_s: float) -> OpenCaller:
    """The way to a server.

    Args:
        address: The server.
        timeout_s: Longest wait for an answer.
    """
    return GrpcWay(address, timeout_s) if address.scheme == "grpc" else HttpWay(address, timeout_s)


class GrpcWay:
    """One HTTP/2 connection, which carries many requests at once. Messages go as the bytes they are."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        from grpc import RpcError, aio

        self._error, self._timeout_s = RpcError, timeout_s
        self._metadata = tuple((name.lower(), value) for name, value in address.headers.items()) or None
        self._channel = aio.insecure_channel(address.netloc, options=OPTIONS)
        self._infer = self._channel.unary_unary(METHOD)

    async def send(self, request: Request) -> Reply:
        """Send, and wait for the answer."""
        try:
            return Reply(await self._infer(request.body, timeout=self._timeout_s, metadata=self._metadata))
        except self._error as error:
            code, details = error.code().name, error.details() or ""
            raise NotAnswered(outcome_from_grpc(code, details), f"{code}: {details}") from error

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class HttpWay:
    """Connections that are kept alive, one a request in flight; a new one where all are busy."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._idle: deque[Connection] = deque()
        self._heads: dict[int, bytes] = {}

    async def send(self, request: Request) -> Reply:
        """Send, and wait for the answer."""
        try:
            return await asyncio.wait_for(self._exchange(request), self._timeout_s)
        except asyncio.TimeoutError as error:
            raise NotAnswered(Outcome.LATE, f"no answer within {self._timeout_s:g} s") from error
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise NotAnswered(Outcome.UNREACHABLE, f"{error or type(error).__name__}") from error
        except OSError as error:
            raise NotAnswered(Outcome.UNSENT if error.errno in OWN_WANT else Outcome.UNREACHABLE, str(error)) from error
        except (ValueError, asyncio.LimitOverrunError) as error:
            raise NotAnswered(Outcome.WRONG, f"no HTTP answer with a length ({error})") from error

    async def _exchange(self, request: Request) -> Reply:
        reader, writer = connection = await self._connection()
        try:
            writer.writelines((self._head(request), request.body))
            head = await reader.readuntil(b"\r\n\r\n")
            status, headers = status_and_headers(head)
            body = await reader.readexactly(int(headers["content-length"]))
        except BaseException:
            writer.close()
            raise
        if headers.get("connection", "").lower() == "close":
            writer.close()
        else:
            self._idle.append(connection)
        if status != 200:
            raise NotAnswered(outcome_from_http(status, body), f"HTTP {status}: {body[:200].decode(errors='replace')}")
        json_bytes = headers.get("inference-header-content-length")
        return Reply(body, int(json_bytes) if json_bytes else None)

    async def _connection(self) -> Connection:
        while self._idle:
            # The one used last: the others may rest, and be closed by the server.
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._address.host, self._address.port, limit=LONGEST_HEAD_BYTES)

    def _head(self, request: Request) -> bytes:
        # By identity: a request of this size is not compared, and lives as long as the run.
        known = self._heads.get(id(request))
        if known is None:
            known = self._heads[id(request)] = http_head(self._address, request)
        return known

    async def close(self) -> None:
        """Close every idle connection."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


def http_head(address: Address, request: Request) -> bytes:
    """The lines before a request's body."""
    fields: dict[str, Any] = {"Host": address.netloc, "Content-Length": len(request.body), **address.headers}
    if request.json_bytes:
        fields["Inference-Header-Content-Length"] = request.json_bytes
    lines = [f"POST /v2/models/{request.model}/infer HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def status_and_headers(head: bytes) -> tuple[int, dict[str, str]]:
    """Read the head of an HTTP answer.

    Returns:
        The status, and the fields by name in small letters; `content-length` is among them.

    Raises:
        ValueError: It is none, or says no length.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"begins with {first[:40]!r}")
    headers = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        raise ValueError("says no content-length")
    return int(status), headers
