"""gRPC for the open loop: unary calls on HTTP/2 connections, each message as the bytes it is.

The mapping to HTTP/2 is gRPC's own: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import asyncio
import errno
import math
import time
from collections import deque
from collections.abc import Mapping
from urllib.parse import unquote

from engineroom import __version__
from engineroom.client.protocol.giving_up import CLOSE_S, LEFT_S
from engineroom.client.protocol.transport import Address
from engineroom.load.open_loop.http2_connection import Http2Connection
from engineroom.load.open_loop.http2_frames import block_from_fields
from engineroom.load.open_loop.wire import (
    Call,
    Ended,
    Messages,
    NotAnswered,
    Patience,
    Reply,
    new_buffer,
    not_connected,
)
from engineroom.load.outcome import Outcome, outcome_from_grpc
from engineroom.load.prepared import METHOD, Request

STATUS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)
"""gRPC's statuses by number."""
STATUS_OF_RESET = {7: "UNAVAILABLE", 8: "CANCELLED", 11: "RESOURCE_EXHAUSTED", 12: "PERMISSION_DENIED"}
"""What the code of a stream's early end means; any other is INTERNAL."""
STATUS_OF_HTTP = {
    "400": "INTERNAL",
    "401": "UNAUTHENTICATED",
    "403": "PERMISSION_DENIED",
    "404": "UNIMPLEMENTED",
    **dict.fromkeys(("429", "502", "503", "504"), "UNAVAILABLE"),
}
"""What an HTTP status means where no gRPC status stands beside it; any other is UNKNOWN."""
PREFIX_BYTES = 5
"""Before a message: whether it is compressed, and its length in four bytes."""
LONGEST_TIMEOUT_MS = 99_999_999
"""`grpc-timeout` has eight digits."""
MOST_CONNECTIONS = 1000


class GrpcCall(Call):
    """One call: puts the answer together."""

    __slots__ = ("connection", "first", "last", "number", "parts")

    def __init__(self, ended: Ended, patience: Patience) -> None:
        super().__init__(ended, patience)
        self.number = 0
        self.connection: Http2Connection | None = None
        self.first: Mapping[str, str] | None = None
        self.last: Mapping[str, str] = {}
        self.parts: list[bytes] = []

    def give_up(self) -> None:
        """Tell the server, but not while its answer may be on the way: see `engineroom.client.protocol.giving_up`."""
        if self.connection is not None:
            asyncio.get_running_loop().call_later(LEFT_S, self.connection.cancel, self)

    def on_fields(self, fields: Mapping[str, str]) -> None:
        """Keep the first, with the HTTP status, and the last, with gRPC's."""
        self.first, self.last = self.first or fields, fields

    def on_data(self, data: bytes) -> None:
        """Keep a part of the message."""
        self.parts.append(data)

    def on_end(self) -> None:
        """Tell the answer, or the status."""
        if self.last.get("grpc-status") == "0":
            self.end(reply_from_message(self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)))
        else:
            self.fail(*status_from_fields(self.first or {}, self.last))

    def on_reset(self, code: int) -> None:
        """Tell it."""
        self.fail(STATUS_OF_RESET.get(code, "INTERNAL"), f"the server ended the call (RST_STREAM, code {code})")

    def on_lost(self, reason: str) -> None:
        """Tell it."""
        self.fail("UNAVAILABLE", reason)

    def fail(self, status: str, details: str) -> None:
        """Tell a status that is not OK."""
        self.end(NotAnswered(outcome_from_grpc(status, details), f"{status}: {details}"))


def reply_from_message(message: bytes) -> Reply | NotAnswered:
    """The answer without what stands before it."""
    if len(message) < PREFIX_BYTES or message[0] or int.from_bytes(message[1:PREFIX_BYTES], "big") != len(message) - 5:
        return NotAnswered(Outcome.WRONG, f"no uncompressed message of gRPC: it begins with {message[:20]!r}")
    return Reply(message[PREFIX_BYTES:])


def status_from_fields(first: Mapping[str, str], last: Mapping[str, str]) -> tuple[str, str]:
    """Name and text of the status of a call that failed.

    Args:
        first: The fields before the message.
        last: Those after it; the same where there was none.
    """
    text = last.get("grpc-status")
    if text is None:
        status = first.get(":status", "none")
        return STATUS_OF_HTTP.get(status, "UNKNOWN"), f"no gRPC status, HTTP status {status}"
    known = text.isdecimal() and int(text) < len(STATUS)
    return STATUS[int(text)] if known else "UNKNOWN", unquote(last.get("grpc-message", ""))


class GrpcWay:
    """Connections to one server. There is one, unless the server limits how many calls may be on it."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._buffer = address, new_buffer()
        self._block = block_from_fields(fields_of_request(address, timeout_s))
        self._patience = Patience(timeout_s)
        self._messages = Messages(lambda request: b"\0" + len(request.body).to_bytes(4, "big") + request.body)
        self._connections: list[Http2Connection] = []
        self._current: Http2Connection | None = None
        self._waiting: deque[tuple[GrpcCall, bytes]] = deque()
        self._opening: Http2Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def send(self, request: Request, ended: Ended) -> None:
        """Send a request, at once or on the next connection."""
        call, message = GrpcCall(ended, self._patience), self._messages.of(request)
        connection = self._current
        if self._waiting or connection is None or not connection.has_room:
            self._waiting.append((call, message))
            self._let_in()
        else:
            call.connection = connection
            connection.send(call, message)

    def flush(self) -> None:
        """Let everything go that was gathered."""
        if self._current is not None:
            self._current.flush()

    async def close(self) -> None:
        """Close every connection, having waited a little for what the server still works on."""
        self._patience.stop()
        self._waiting.clear()
        until_s = time.monotonic() + CLOSE_S
        while any(connection.is_asked for connection in self._connections) and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        if self._task is not None:
            self._task.cancel()
        for connection in (*self._connections, self._opening):
            if connection is not None:
                connection.close()
        # The event loop closes them in its next round.
        await asyncio.sleep(0)

    def _let_in(self) -> None:
        """Send what waits wherever there is room, and make room where there is none."""
        self._current = None
        for connection in self._connections:
            while self._waiting and connection.has_room:
                call, message = self._waiting.popleft()
                if call.waits:
                    call.connection = connection
                    connection.send(call, message)
            connection.flush()
            if connection.has_room:
                self._current = connection
                return
        if self._waiting and self._opening is None:
            self._opening = Http2Connection(self._buffer, self._block, self._changed)
            self._task = asyncio.ensure_future(self._open(self._opening))

    async def _open(self, connection: Http2Connection) -> None:
        """One more connection; whoever waits fails where there is none to be had."""
        try:
            if len(self._connections) >= MOST_CONNECTIONS:
                raise OSError(errno.EMFILE, f"no more calls are allowed on {MOST_CONNECTIONS} connections")
            loop = asyncio.get_running_loop()
            await loop.create_connection(lambda: connection, self._address.host, self._address.port)
        except OSError as error:
            self._opening = None
            self._refuse(not_connected(error))

    def _changed(self, connection: Http2Connection) -> None:
        """A connection has been opened, has room again, or is gone."""
        if connection is self._opening:
            self._opening = None
            if connection.gone:
                self._refuse(NotAnswered(Outcome.UNREACHABLE, connection.gone))
            else:
                self._connections.append(connection)
        if connection.is_done and connection in self._connections:
            self._connections.remove(connection)
            connection.close()
        self._let_in()

    def _refuse(self, result: NotAnswered) -> None:
        """Tell everybody who waits for a connection."""
        waiting, self._waiting = self._waiting, deque()
        for call, _ in waiting:
            call.end(result)


def fields_of_request(address: Address, timeout_s: float) -> list[tuple[str, str]]:
    """The header fields of every call.

    Args:
        address: The server, and what is sent to it with every request.
        timeout_s: Longest wait for an answer.
    """
    timeout_ms = min(math.ceil((timeout_s + LEFT_S) * 1000), LONGEST_TIMEOUT_MS)
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", METHOD),
        (":authority", address.netloc),
        ("te", "trailers"),
        ("grpc-timeout", f"{timeout_ms}m"),
        ("content-type", "application/grpc"),
        ("user-agent", f"engineroom/{__version__}"),
        *((name.lower(), text) for name, text in address.headers.items()),
    ]
