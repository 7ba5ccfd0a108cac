"""HTTP/2 on the wire, as much of it as a client of unary calls needs: frames and blocks of header fields (RFC 9113)."""

import struct
from collections.abc import Iterable, Mapping
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">IBI")
"""The head of a frame: length and kind in one number, flags, number of the stream."""
HEAD_BYTES = 9
NUMBER = 2**31 - 1
"""The bits of a stream's number, and the largest window."""
LARGEST_FRAME_BYTES = 1 << 14
"""The largest payload of a frame, where the receiver allows no larger one; we never do."""
FIRST_WINDOW_BYTES = (1 << 16) - 1
"""What may be sent on a connection, and on each stream, before the receiver says more."""
MOST_BLOCKS = 1024
"""Blocks of fields remembered."""


class Kind(IntEnum):
    """Kinds of frames."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20
"""Flags."""


class Setting(IntEnum):
    """What the two ends tell each other about themselves."""

    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5


class BrokenConnection(Exception):
    """The other end does not keep to HTTP/2. It never leaves the connection."""


def frame(kind: Kind, flags: int, number: int, payload: bytes = b"") -> bytes:
    """A frame.

    Args:
        kind: Its kind.
        flags: Its flags.
        number: Of the stream; 0 for the connection.
        payload: What follows the head.
    """
    return HEAD.pack(len(payload) << 8 | kind, flags, number) + payload


def four(number: int) -> bytes:
    """A number as the payloads have it, in four bytes."""
    return number.to_bytes(4, "big")


def settings_frame(settings: Mapping[Setting, int]) -> bytes:
    """A frame that tells them."""
    return frame(Kind.SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in settings.items()))


def settings_from_payload(payload: bytes) -> dict[int, int]:
    """Read the payload of a SETTINGS frame."""
    return dict(struct.iter_unpack(">HI", payload))


def without_padding(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without what may surround it.

    Raises:
        BrokenConnection: There is more padding than payload.
    """
    begin, end = 0, len(payload)
    if flags & PADDED:
        begin, end = 1, end - payload[0]
    if flags & PRIORITIZED:
        begin += 5
    if begin > end:
        raise BrokenConnection("a frame has more padding than payload")
    return payload[begin:end]


def block_from_fields(fields: Iterable[tuple[str, str]]) -> bytes:
    """Header fields as a block that is the same every time: none of them enters the receiver's table."""
    from hpack import Encoder, NeverIndexedHeaderTuple

    return Encoder().encode([NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)


class Fields:
    """Reads blocks of fields whose sender keeps no table, so that equal bytes mean equal fields."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[str, str]] = {}

    def read(self, block: bytes) -> dict[str, str]:
        """The fields by name.

        Raises:
            BrokenConnection: The block is none, or its sender keeps a table though told not to.
        """
        found = self._known.get(block)
        if found is None:
            if len(self._known) >= MOST_BLOCKS:
                self._known.clear()
            found = self._known[block] = fields_from_block(block)
        return found


def fields_from_block(block: bytes) -> dict[str, str]:
    """Read a block on its own; see `Fields`."""
    from hpack import Decoder, HPACKError

    decoder = Decoder()
    decoder.header_table_size = decoder.max_allowed_table_size = 0
    try:
        pairs = decoder.decode(block, raw=True)
    except (HPACKError, IndexError) as error:
        raise BrokenConnection(f"header fields cannot be read ({error})") from error
    return {name.decode("latin-1"): text.decode("latin-1") for name, text in pairs}
