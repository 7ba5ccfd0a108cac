"""A TCP proxy between a client and a store's server, which answers 500 or cuts connections when it is told to."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

BUSY = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Proxy:
    """What the proxy does; change it while it runs.

    Attributes:
        address: Where to reach it.
        failures: So many requests are answered 500; a negative number: all.
        cut_down_bytes: The next answer is cut after so many bytes; 0 for none.
        cut_up_bytes: The next request is cut after so many bytes; 0 for none.
        down_bytes: Bytes that servers have sent to clients.
        served: Requests that were answered 500, and connections that were cut.
    """

    address: str = ""
    failures: int = 0
    cut_down_bytes: int = 0
    cut_up_bytes: int = 0
    down_bytes: int = 0
    served: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fails(self) -> bool:
        """Whether this request is to be answered 500."""
        with self.lock:
            if self.failures:
                self.failures -= 1
                self.served += 1
                return True
            return False

    def cuts(self, direction: str, passed_bytes: int) -> bool:
        """Whether a connection is to be cut, so many bytes having passed in one direction."""
        with self.lock:
            limit = getattr(self, f"cut_{direction}_bytes")
            if limit and passed_bytes >= limit:
                setattr(self, f"cut_{direction}_bytes", 0)
                self.served += 1
                return True
            return False


@contextlib.contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy to the server at an address."""
    to = urlsplit(target)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=_listen, args=(listener, proxy, (to.hostname, to.port)), daemon=True).start()
        yield proxy
        listener.shutdown(socket.SHUT_RDWR)


def _listen(listener: socket.socket, proxy: Proxy, to: tuple[str | None, int | None]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.create_connection(to)
        for pair, direction in (((client, server), "up"), ((server, client), "down")):
            threading.Thread(target=_forward, args=(*pair, proxy, direction), daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket, proxy: Proxy, direction: str) -> None:
    passed = 0
    with contextlib.suppress(OSError), source, sink:
        while block := source.recv(4096 if direction == "up" else 65536):
            if direction == "up" and block[:5] in (b"GET /", b"PUT /", b"HEAD ", b"POST ") and proxy.fails():
                source.sendall(BUSY)
                break
            passed += len(block)
            proxy.down_bytes += len(block) if direction == "down" else 0
            sink.sendall(block)
            if proxy.cuts(direction, passed):
                break
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
