"""The open loop's way to a server: bytes out, bytes in, any number of requests at once."""

import asyncio
import errno
import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple, Protocol

from engineroom.client.protocol.transport import Address
from engineroom.load.outcome import Outcome
from engineroom.load.prepared import Request

OWN_WANT = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
"""What this machine lacks for one more connection: descriptors, ports, memory."""


class Reply(NamedTuple):
    """What came back.

    Attributes:
        body: The answer, unread.
        json_bytes: HTTP alone: length of the JSON part of the body.
    """

    body: bytes
    json_bytes: int | None = None


class NotAnswered(NamedTuple):
    """A request that failed on the wire.

    Attributes:
        outcome: How.
        reason: The server's words, or the network's.
    """

    outcome: Outcome
    reason: str


Ended = Callable[[Reply | NotAnswered], None]
"""Told once for every request, as soon as its end is known."""


class OpenCaller(Protocol):
    """The way to one server. Any number of requests may be on it at once."""

    def send(self, request: Request, ended: Ended) -> None:
        """Send a request, at the next `flush` at the latest; `ended` is told what becomes of it."""

    def flush(self) -> None:
        """Let everything go that `send` gathered."""

    async def close(self) -> None:
        """Give every connection back."""


def open_caller(address: Address, timeout_s: float) -> OpenCaller:
    """The way to a server. Make it where an event loop runs.

    Args:
        address: The server.
        timeout_s: Longest wait for an answer.
    """
    from engineroom.load.open_loop.grpc import GrpcWay
    from engineroom.load.open_loop.http import HttpWay

    return GrpcWay(address, timeout_s) if address.scheme == "grpc" else HttpWay(address, timeout_s)


class Call:
    """A request on its way. It ends once: what comes later is not told."""

    __slots__ = ("ended", "patience")

    def __init__(self, ended: Ended, patience: "Patience") -> None:
        self.ended, self.patience = ended, patience
        patience.begin(self)

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self in self.patience

    def end(self, result: Reply | NotAnswered) -> None:
        """Tell what became of it, unless that was told before."""
        if self.patience.end(self):
            self.ended(result)

    def give_up(self) -> None:
        """Free what it holds on the wire: nobody waits any longer."""


class Patience:
    """The calls that are waited for, each equally long: whoever came first is late first, and one timer does.

    Args:
        timeout_s: How long.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._loop = asyncio.get_running_loop()
        self._until_s: dict[Call, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __contains__(self, call: Call) -> bool:
        return call in self._until_s

    def begin(self, call: Call) -> None:
        """Wait for a call, from now on."""
        self._until_s[call] = until_s = time.monotonic() + self._timeout_s
        if self._timer is None:
            self._timer = self._loop.call_at(until_s, self._look)

    def end(self, call: Call) -> bool:
        """Wait no longer; False where nobody did."""
        return self._until_s.pop(call, None) is not None

    def stop(self) -> None:
        """Forget every call."""
        self._until_s.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now_s = time.monotonic()
        for call in list(itertools.takewhile(lambda call: self._until_s[call] <= now_s, self._until_s)):
            call.give_up()
            call.end(NotAnswered(Outcome.LATE, f"no answer within {self._timeout_s:g} s"))
        next_s = next(iter(self._until_s.values()), None)
        self._timer = None if next_s is None else self._loop.call_at(next_s, self._look)


class Reading(asyncio.BufferedProtocol, ABC):
    """A connection that reads into a buffer that all connections of a way share.

    A plain `asyncio.Protocol` is given new bytes for every read, 256 KB before they are cut: ten microseconds.

    Args:
        buffer: The buffer.
    """

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - the interface's
        """Where to read to."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes were read."""
        self.data_received(bytes(self._buffer[:nbytes]))

    @abstractmethod
    def data_received(self, data: bytes) -> None:
        """These bytes were read."""


def new_buffer() -> memoryview:
    """A buffer for the connections of one way, which read one after the other."""
    return memoryview(bytearray(1 << 16))


class Messages:
    """What goes over the wire for each request, put together once.

    Args:
        message: Puts it together.
    """

    def __init__(self, message: Callable[[Request], bytes]) -> None:
        self._message = message
        self._known: dict[int, tuple[Request, bytes]] = {}

    def of(self, request: Request) -> bytes:
        """What goes over the wire for this request."""
        # By identity, for which it is kept: comparing what is in it would take longer than sending it.
        known = self._known.get(id(request))
        if known is None:
            known = self._known[id(request)] = (request, self._message(request))
        return known[1]


def not_connected(error: OSError) -> NotAnswered:
    """What a request came to that got no connection."""
    return NotAnswered(Outcome.UNSENT if error.errno in OWN_WANT else Outcome.UNREACHABLE, str(error))
