"""The ports of a server: the ones asked for, or free ones."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass

from engineroom.errors import PortInUse


@dataclass(frozen=True)
class Ports:
    """Ports of Triton's three endpoints.

    Attributes:
        http: HTTP and health.
        grpc: gRPC.
        metrics: Prometheus metrics.
    """

    http: int
    grpc: int
    metrics: int


def choose_ports(host: str, http: int | None, grpc: int | None, metrics: int | None) -> Ports:
    """Check the ports given and find free ones for the rest.

    Args:
        host: Address that the server will listen on.
        http: Port of HTTP, or None for any free one.
        grpc: Port of gRPC, or None.
        metrics: Port of the metrics, or None.

    Raises:
        PortInUse: Somebody listens there, or one port is given twice.
    """
    chosen: dict[str, int] = {}
    # All sockets stay open until all ports are chosen, so that no free port is found twice.
    with ExitStack() as held:
        for endpoint, port in (("http", http), ("grpc", grpc), ("metrics", metrics)):
            chosen[endpoint] = _bind(held, host, endpoint, port)
    return Ports(**chosen)


def _bind(held: ExitStack, host: str, endpoint: str, port: int | None) -> int:
    probe = held.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
    if port:
        # Connections of an earlier server may linger in TIME_WAIT; they keep nobody from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port or 0))
        probe.listen()
    except OSError as error:
        raise PortInUse(
            f"{endpoint}: port {port} on {host} cannot be listened on ({error.strerror}). "
            f"End what uses it, or choose another with --{endpoint}-port."
        ) from error
    return int(probe.getsockname()[1])
