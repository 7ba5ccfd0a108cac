"""A relay of TCP connections between callers and a real server, which interferes when it is told to."""

import contextlib
import socket
import threading
from collections.abc import Iterator

UP, DOWN = "up", "down"
"""From the caller to the server, and back."""


class Relay:
    """Hands on what comes, both ways; what is derived from it says what does not.

    Args:
        target: Address of the server, `HOST:PORT`.

    Attributes:
        address: Where to reach it.
    """

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._to = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def lets_pass(self, direction: str, block: bytes, source: socket.socket) -> bool:
        """Whether what has come is handed on; the connection is cut where it is not."""
        return True

    def goes_on(self, direction: str, passed_bytes: int) -> bool:
        """Whether a connection goes on, so many bytes having been handed on in one direction."""
        return True

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._to)
            for pair, direction in (((caller, server), UP), ((server, caller), DOWN)):
                threading.Thread(target=self._forward, args=(*pair, direction), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, direction: str) -> None:
        passed = 0
        with contextlib.suppress(OSError), source, sink:
            while block := source.recv(4096 if direction == UP else 65536):
                if not self.lets_pass(direction, block, source):
                    break
                sink.sendall(block)
                passed += len(block)
                if not self.goes_on(direction, passed):
                    break
            for one in (source, sink):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


class Hanging(Relay):
    """Falls silent for a while: connections are taken and stay, and nothing goes either way.

    To a caller it is a server that hangs. A Triton that is stopped itself (SIGSTOP) is no such thing to be relied on:
    its Python backend (2.51) may end the process when it goes on, because a lock was held too long.
    """

    def __init__(self, target: str) -> None:
        self._speaks = threading.Event()
        self._speaks.set()
        super().__init__(target)

    def lets_pass(self, direction: str, block: bytes, source: socket.socket) -> bool:
        """Hold it while silent."""
        return self._speaks.wait()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Silent in the block."""
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()
