"""The way out of one HTTP/2 connection: frames are gathered and go in one piece, as far as the windows allow."""

from collections.abc import Mapping
from dataclasses import dataclass

from engineroom.load.open_loop.http2_frames import (
    END_HEADERS,
    END_STREAM,
    FIRST_WINDOW_BYTES,
    HEAD,
    LARGEST_FRAME_BYTES,
    Kind,
    Setting,
    four,
    frame,
)


@dataclass
class Held:
    """What is left of a message that a window holds back.

    Attributes:
        rest: Its bytes.
        window_bytes: How many of them the stream's window lets through.
    """

    rest: memoryview
    window_bytes: int


class Sending:
    """What goes out.

    Args:
        block: The header fields of every request.
    """

    def __init__(self, block: bytes) -> None:
        self._before = HEAD.pack(len(block) << 8 | Kind.HEADERS, END_HEADERS, 0)[:-4]
        self._block = block
        self._gathered: list[bytes | memoryview] = []
        self._held: dict[int, Held] = {}
        self._window_bytes = FIRST_WINDOW_BYTES
        self._stream_bytes = FIRST_WINDOW_BYTES
        self._frame_bytes = LARGEST_FRAME_BYTES
        self._at_once_bytes = LARGEST_FRAME_BYTES

    def control(self, *frames: bytes) -> None:
        """Gather frames that no window holds back."""
        self._gathered += frames

    def request(self, number: int, message: bytes) -> None:
        """Gather a request.

        Args:
            number: Its stream.
            message: Its body.
        """
        size, stream = len(message), four(number)
        if size <= self._at_once_bytes and size <= self._window_bytes and not self._held:
            self._window_bytes -= size
            self._gathered += (
                self._before, stream, self._block, HEAD.pack(size << 8 | Kind.DATA, END_STREAM, number), message,
            )  # fmt: skip
            return
        self._gathered += (self._before, stream, self._block)
        self._held[number] = Held(memoryview(message), self._stream_bytes)
        self._release()

    def cancel(self, number: int, code: int) -> None:
        """Gather the end of a stream that nobody waits for, and drop what is held of it."""
        self._held.pop(number, None)
        self._gathered.append(frame(Kind.RST_STREAM, 0, number, four(code)))

    def forget(self, number: int) -> None:
        """Drop what is held of a stream that the server has ended."""
        if self._held:
            self._held.pop(number, None)

    def widen(self, number: int, more_bytes: int) -> None:
        """The receiver opens the window of a stream, or with 0 the connection's."""
        if number == 0:
            self._window_bytes += more_bytes
        elif number in self._held:
            self._held[number].window_bytes += more_bytes
        self._release()

    def adapt(self, settings: Mapping[int, int]) -> None:
        """The receiver tells what it takes."""
        self._frame_bytes = settings.get(Setting.MAX_FRAME_SIZE, self._frame_bytes)
        stream_bytes = settings.get(Setting.INITIAL_WINDOW_SIZE, self._stream_bytes)
        for held in self._held.values():
            held.window_bytes += stream_bytes - self._stream_bytes
        self._stream_bytes = stream_bytes
        self._at_once_bytes = min(self._frame_bytes, stream_bytes)
        self._release()

    def taken(self) -> bytes:
        """What was gathered, in one piece; the caller sends it."""
        gathered, self._gathered = self._gathered, []
        return b"".join(gathered)

    def _release(self) -> None:
        """Gather what is held, the oldest first, as far as the windows allow."""
        through = []
        for number, held in self._held.items():
            if self._window_bytes <= 0:
                break
            self._release_one(number, held)
            if not held.rest:
                through.append(number)
        for number in through:
            del self._held[number]

    def _release_one(self, number: int, held: Held) -> None:
        while held.rest and (size := min(len(held.rest), self._window_bytes, held.window_bytes, self._frame_bytes)) > 0:
            flags = END_STREAM if size == len(held.rest) else 0
            self._gathered += (HEAD.pack(size << 8 | Kind.DATA, flags, number), held.rest[:size])
            held.rest = held.rest[size:]
            held.window_bytes -= size
            self._window_bytes -= size
