"""One HTTP/2 connection to a server: requests that all have the same header fields, any number at once."""

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol

from engineroom.load.open_loop.http2_frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW_BYTES,
    HEAD,
    HEAD_BYTES,
    LARGEST_FRAME_BYTES,
    NUMBER,
    PADDED,
    PREFACE,
    PRIORITIZED,
    BrokenConnection,
    Fields,
    Kind,
    Setting,
    four,
    frame,
    settings_frame,
    settings_from_payload,
    without_padding,
)
from engineroom.load.open_loop.http2_sending import Sending
from engineroom.load.open_loop.wire import Reading

CANCEL = 8
"""The code with which a stream ends that nobody waits for."""
OWN_SETTINGS = {Setting.HEADER_TABLE_SIZE: 0, Setting.ENABLE_PUSH: 0, Setting.INITIAL_WINDOW_SIZE: NUMBER}
GREETING = PREFACE + settings_frame(OWN_SETTINGS) + frame(Kind.WINDOW_UPDATE, 0, 0, four(NUMBER - FIRST_WINDOW_BYTES))
REFILL_BYTES = 1 << 29
"""Bytes received after which the server's window is opened again."""
LONGEST_BLOCK_BYTES = 1 << 16


class Stream(Protocol):
    """Who waits for an answer.

    Attributes:
        number: The stream's number on the connection.
    """

    number: int

    def on_fields(self, fields: Mapping[str, str]) -> None:
        """Header fields came: those before the message, or those after it."""

    def on_data(self, data: bytes) -> None:
        """A part of the message came."""

    def on_end(self) -> None:
        """Nothing more will come."""

    def on_reset(self, code: int) -> None:
        """The server ended the stream before its time."""

    def on_lost(self, reason: str) -> None:
        """The connection is gone, or the server will not answer on it."""


class Http2Connection(Reading):
    """The connection. It takes requests from the server's first settings on.

    Args:
        buffer: What it reads into; see `Reading`.
        block: The header fields of every request.
        changed: Called when the connection can take requests for the first time, or again, and at its end.

    Attributes:
        gone: Why it takes no requests any more; empty while it does.
    """

    def __init__(self, buffer: memoryview, block: bytes, changed: Callable[["Http2Connection"], None]) -> None:
        super().__init__(buffer)
        self.gone = ""
        self._changed = changed
        self._sending = Sending(block)
        self._fields = Fields()
        self._streams: dict[int, Stream] = {}
        self._next, self._most, self._room, self._settled = 1, NUMBER, 0, False
        self._rest, self._unfinished, self._end_stream = b"", b"", 0
        self._received_bytes = 0
        self._transport: Any = None

    @property
    def has_room(self) -> bool:
        """Whether it takes a request now."""
        return len(self._streams) < self._room

    @property
    def is_done(self) -> bool:
        """Whether it takes no requests, and nobody waits on it."""
        return bool(self.gone) and not self._streams

    @property
    def is_asked(self) -> bool:
        """Whether the server owes an answer."""
        return bool(self._streams)

    def send(self, stream: Stream, message: bytes) -> None:
        """Gather a request; `flush` lets it go. Only where there is room."""
        number = stream.number = self._next
        self._next = number + 2
        if number > NUMBER - 2:
            self._leave("its numbers for calls are used up")
        self._streams[number] = stream
        self._sending.request(number, message)

    def cancel(self, stream: Stream) -> None:
        """Wait for a stream no longer, and say so to the server."""
        if self._streams.pop(stream.number, None) is not None:
            self._sending.cancel(stream.number, CANCEL)
            self.flush()
            self._changed(self)

    def flush(self) -> None:
        """Let go what was gathered."""
        if gathered := self._sending.taken():
            self._transport.write(gathered)

    def close(self) -> None:
        """End the connection; whoever waits on it is told."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport
        self._transport.write(GREETING)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell everybody."""
        self._leave(str(exc or "the server closed the connection"))
        streams, self._streams = self._streams, {}
        for stream in streams.values():
            stream.on_lost(self.gone)
        self._changed(self)

    def data_received(self, data: bytes) -> None:
        """Read every frame that is whole by now."""
        if self._rest:
            data = self._rest + data
        try:
            read = self._read(data)
        except (BrokenConnection, struct.error, IndexError) as error:
            self._leave(f"no HTTP/2 as it should be: {error}")
            self._transport.abort()
            return
        self._rest = data[read:]
        self.flush()

    def _read(self, data: bytes) -> int:
        """Read frames, and say up to where."""
        at, size = 0, len(data)
        while size - at >= HEAD_BYTES:
            word, flags, number = HEAD.unpack_from(data, at)
            kind, end = word & 0xFF, at + HEAD_BYTES + (word >> 8)
            if word >> 8 > LARGEST_FRAME_BYTES or not (self._settled or kind == Kind.SETTINGS):
                raise BrokenConnection(f"it says {data[at : at + 40]!r}")
            if end > size:
                break
            if self._unfinished and kind != Kind.CONTINUATION:
                raise BrokenConnection("header fields were begun and not finished")
            take = self._TAKE.get(kind)
            if take is not None:
                take(self, flags, number & NUMBER, data[at + HEAD_BYTES : end])
            at = end
        return at

    def _on_data(self, flags: int, number: int, payload: bytes) -> None:
        self._received_bytes += len(payload)
        if self._received_bytes >= REFILL_BYTES:
            self._sending.control(frame(Kind.WINDOW_UPDATE, 0, 0, four(self._received_bytes)))
            self._received_bytes = 0
        stream = self._streams.get(number)
        # Nobody waits for what the server sent before it heard of the cancellation.
        if stream is not None:
            stream.on_data(without_padding(flags, payload) if flags & PADDED else payload)
            if flags & END_STREAM:
                self._remove(number)
                stream.on_end()

    def _on_headers(self, flags: int, number: int, payload: bytes) -> None:
        if flags & (PADDED | PRIORITIZED):
            payload = without_padding(flags, payload)
        if flags & END_HEADERS:
            self._on_fields(flags, number, payload)
        else:
            # The flag of the stream's end stands in the first frame, that of the fields' end in the last.
            self._unfinished, self._end_stream = payload, flags & END_STREAM

    def _on_continuation(self, flags: int, number: int, payload: bytes) -> None:
        block = self._unfinished + payload
        if not self._unfinished or len(block) > LONGEST_BLOCK_BYTES:
            raise BrokenConnection(f"header fields were not begun, or are longer than {LONGEST_BLOCK_BYTES} bytes")
        self._unfinished = b"" if flags & END_HEADERS else block
        if flags & END_HEADERS:
            self._on_fields(self._end_stream, number, block)

    def _on_fields(self, flags: int, number: int, block: bytes) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.on_fields(self._fields.read(block))
            if flags & END_STREAM:
                self._remove(number)
                stream.on_end()

    def _leave(self, reason: str) -> None:
        """Take no more requests."""
        self.gone, self._room = self.gone or reason, 0

    def _remove(self, number: int) -> Stream | None:
        stream = self._streams.pop(number, None)
        self._sending.forget(number)
        # With room again, whoever waits for it is let in.
        if len(self._streams) == self._room - 1 or (self.gone and not self._streams):
            self._changed(self)
        return stream

    def _on_reset(self, _: int, number: int, payload: bytes) -> None:
        stream = self._remove(number)
        if stream is not None:
            stream.on_reset(int.from_bytes(payload, "big"))

    def _on_settings(self, flags: int, _: int, payload: bytes) -> None:
        if flags & ACK:
            return
        settings = settings_from_payload(payload)
        self._most = settings.get(Setting.MAX_CONCURRENT_STREAMS, self._most)
        self._sending.control(frame(Kind.SETTINGS, ACK, 0))
        self._sending.adapt(settings)
        self._settled = True
        self._room = 0 if self.gone else self._most
        self._changed(self)

    def _on_ping(self, flags: int, _: int, payload: bytes) -> None:
        if not flags & ACK:
            self._sending.control(frame(Kind.PING, ACK, 0, payload))

    def _on_goaway(self, _: int, __: int, payload: bytes) -> None:
        last, code = struct.unpack_from(">II", payload)
        self._leave(f"the server takes no more requests on the connection (GOAWAY, code {code})")
        for number in [number for number in self._streams if number > last & NUMBER]:
            self._streams.pop(number).on_lost(self.gone)
        self._changed(self)

    def _on_window(self, _: int, number: int, payload: bytes) -> None:
        self._sending.widen(number, int.from_bytes(payload, "big") & NUMBER)

    _TAKE: ClassVar[dict[int, Callable[[Any, int, int, bytes], None]]] = {
        Kind.DATA: _on_data,
        Kind.HEADERS: _on_headers,
        Kind.CONTINUATION: _on_continuation,
        Kind.RST_STREAM: _on_reset,
        Kind.SETTINGS: _on_settings,
        Kind.PING: _on_ping,
        Kind.GOAWAY: _on_goaway,
        Kind.WINDOW_UPDATE: _on_window,
    }
