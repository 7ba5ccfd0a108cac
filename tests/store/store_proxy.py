"""A relay between a client and a store's server, which answers 500 or cuts connections when it is told to."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

from relay import DOWN, UP, Relay

BUSY = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy(Relay):
    """Change what it does while it runs.

    Attributes:
        address: URL where to reach it.
        failures: So many requests are answered 500; a negative number: all.
        cut_down_bytes: The next answer is cut after so many bytes; 0 for none.
        cut_up_bytes: The next request is cut after so many bytes; 0 for none.
        down_bytes: Bytes that servers have sent to clients.
        served: Requests that were answered 500, and connections that were cut.
    """

    def __init__(self, target: str) -> None:
        self.failures = self.cut_down_bytes = self.cut_up_bytes = self.down_bytes = self.served = 0
        self.lock = threading.Lock()
        super().__init__(urlsplit(target).netloc)
        self.address = f"http://{self.address}"

    def lets_pass(self, direction: str, block: bytes, source: socket.socket) -> bool:
        """Answer 500 in the server's place, as often as was said."""
        if direction == UP and block[:5] in (b"GET /", b"PUT /", b"HEAD ", b"POST ") and self._fails():
            source.sendall(BUSY)
            return False
        self.down_bytes += len(block) if direction == DOWN else 0
        return True

    def goes_on(self, direction: str, passed_bytes: int) -> bool:
        """Cut after so many bytes, once."""
        with self.lock:
            limit = getattr(self, f"cut_{direction}_bytes")
            if limit and passed_bytes >= limit:
                setattr(self, f"cut_{direction}_bytes", 0)
                self.served += 1
                return False
            return True

    def _fails(self) -> bool:
        with self.lock:
            if self.failures:
                self.failures -= 1
                self.served += 1
                return True
            return False


@contextlib.contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy to the server at an address."""
    with Proxy(target) as proxy:
        yield proxy
