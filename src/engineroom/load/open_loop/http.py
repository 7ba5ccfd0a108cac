"""HTTP/1.1 for the open loop: connections that are kept alive, one a request in flight."""

import asyncio
from typing import Any, NamedTuple

from engineroom.client.protocol.transport import Address
from engineroom.load.open_loop.wire import (
    Call,
    Ended,
    Messages,
    NotAnswered,
    Patience,
    Reading,
    Reply,
    new_buffer,
    not_connected,
)
from engineroom.load.outcome import Outcome, outcome_from_http
from engineroom.load.prepared import Request

LONGEST_HEAD_BYTES = 1 << 16
MOST_HEADS = 1024
"""Heads remembered."""


class Head(NamedTuple):
    """What the lines before an answer's body say.

    Attributes:
        status: The status.
        head_bytes: Their own length.
        body_bytes: Length of the body.
        json_bytes: Length of its JSON part, where they say so.
        keeps: Whether the connection stays open.
    """

    status: int
    head_bytes: int
    body_bytes: int
    json_bytes: int | None
    keeps: bool


class HttpCall(Call):
    """One request and its connection."""

    __slots__ = ("connection",)

    def __init__(self, ended: Ended, patience: Patience) -> None:
        super().__init__(ended, patience)
        self.connection: HttpConnection | None = None

    def give_up(self) -> None:
        """An answer that nobody waits for blocks its connection."""
        if self.connection is not None:
            self.connection.close()


class HttpWay:
    """Connections to one server; a new one where all are busy."""

    def __init__(self, address: Address, timeout_s: float) -> None:
        self._address, self._buffer, self._patience = address, new_buffer(), Patience(timeout_s)
        self._idle: list[HttpConnection] = []
        self._busy: set[HttpConnection] = set()
        self._messages = Messages(lambda request: head_of_request(address, request) + request.body)
        self._heads: dict[bytes, Head] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, request: Request, ended: Ended) -> None:
        """Send a request, at once or on a new connection."""
        call, message = HttpCall(ended, self._patience), self._messages.of(request)
        # The one used last: the others may rest, and be closed by the server.
        connection = self._idle.pop() if self._idle else None
        if connection is not None:
            self._begin(connection, call, message)
            return
        task = asyncio.ensure_future(self._connect(call, message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def flush(self) -> None:
        """Nothing was gathered: each request has a connection of its own."""

    async def close(self) -> None:
        """Close every connection."""
        self._patience.stop()
        for task in self._tasks:
            task.cancel()
        for connection in (*self._idle, *self._busy):
            connection.close()
        # The event loop closes them in its next round.
        await asyncio.sleep(0)

    def free(self, connection: "HttpConnection") -> None:
        """A connection can take the next request."""
        self._busy.discard(connection)
        self._idle.append(connection)

    def lose(self, connection: "HttpConnection") -> None:
        """A connection is gone."""
        self._busy.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def head(self, lines: bytes) -> Head:
        """`head_from_lines`, where these lines were read before without reading them again."""
        found = self._heads.get(lines)
        if found is None:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            found = self._heads[lines] = head_from_lines(lines)
        return found

    def _begin(self, connection: "HttpConnection", call: HttpCall, message: bytes) -> None:
        self._busy.add(connection)
        call.connection = connection
        connection.send(call, message)

    async def _connect(self, call: HttpCall, message: bytes) -> None:
        loop, address = asyncio.get_running_loop(), self._address
        try:
            connection = HttpConnection(self._buffer, self)
            await loop.create_connection(lambda: connection, address.host, address.port)
        except OSError as error:
            call.end(not_connected(error))
            return
        if call.waits:
            self._begin(connection, call, message)
        else:
            self.free(connection)


class HttpConnection(Reading):
    """One connection, with one request on it at most.

    Args:
        buffer: What it reads into; see `Reading`.
        way: Where it belongs.
    """

    def __init__(self, buffer: memoryview, way: HttpWay) -> None:
        super().__init__(buffer)
        self._way = way
        self._call: HttpCall | None = None
        self._head: Head | None = None
        self._parts: list[bytes] = []
        self._bytes = 0
        self._transport: Any = None

    def send(self, call: HttpCall, message: bytes) -> None:
        """Send a request; its call is told the answer."""
        self._call, self._head, self._parts, self._bytes = call, None, [], 0
        self._transport.write(message)

    def close(self) -> None:
        """End the connection; whoever waits on it is told."""
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever waits."""
        self._way.lose(self)
        self._end(NotAnswered(Outcome.UNREACHABLE, str(exc or "the server closed the connection")))

    def data_received(self, data: bytes) -> None:
        """Put the answer together."""
        if self._call is None:
            # Nobody asked: it would be taken for the answer to the next request.
            self.close()
            return
        self._parts.append(data)
        self._bytes += len(data)
        try:
            head = self._head = self._head or self._read_head()
        except ValueError as error:
            self._end(NotAnswered(Outcome.WRONG, f"no HTTP answer with a length ({error})"))
            self.close()
            return
        if head is not None and self._bytes >= head.head_bytes + head.body_bytes:
            self._tell(head)

    def _whole(self) -> bytes:
        if len(self._parts) > 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def _read_head(self) -> Head | None:
        """The head, where all of it is there.

        Raises:
            ValueError: It is none.
        """
        data = self._whole()
        end = data.find(b"\r\n\r\n")
        if end >= 0:
            return self._way.head(data[: end + 4])
        if len(data) > LONGEST_HEAD_BYTES:
            raise ValueError(f"its head is longer than {LONGEST_HEAD_BYTES} bytes")
        return None

    def _tell(self, head: Head) -> None:
        """Tell the answer, and take the next request."""
        end = head.head_bytes + head.body_bytes
        body = self._whole()[head.head_bytes : end]
        if head.keeps and self._bytes == end:
            self._way.free(self)
        else:
            self._transport.close()
        if head.status == 200:
            self._end(Reply(body, head.json_bytes))
        else:
            text = f"HTTP {head.status}: {body[:200].decode(errors='replace')}"
            self._end(NotAnswered(outcome_from_http(head.status, body), text))

    def _end(self, result: Reply | NotAnswered) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.end(result)


def head_of_request(address: Address, request: Request) -> bytes:
    """The lines before a request's body."""
    fields: dict[str, Any] = {"Host": address.netloc, "Content-Length": len(request.body), **address.headers}
    if request.json_bytes:
        fields["Inference-Header-Content-Length"] = request.json_bytes
    lines = [f"POST /v2/models/{request.model}/infer HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def head_from_lines(lines: bytes) -> Head:
    """Read the lines before an answer's body.

    Args:
        lines: Up to the empty one, which is among them.

    Raises:
        ValueError: They are no head of an HTTP answer, or say no length.
    """
    first, *rest = lines.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"it begins with {first[:40]!r}")
    fields = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in rest)}
    length, json_bytes = fields.get("content-length", ""), fields.get("inference-header-content-length")
    if not length.isdecimal():
        raise ValueError(f"its content-length is {length!r}")
    keeps = fields.get("connection", "keep-alive" if version == "HTTP/1.1" else "close").lower() != "close"
    return Head(int(status), len(lines), int(length), int(json_bytes) if json_bytes else None, keeps)
