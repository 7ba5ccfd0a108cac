import socket

import pytest

from engineroom.errors import PortInUse
from engineroom.serve.ports import choose_ports


def test_free_ports_differ_and_can_be_listened_on():
    ports = choose_ports("127.0.0.1", None, None, None)
    assert len({ports.http, ports.grpc, ports.metrics}) == 3
    for port in (ports.http, ports.grpc, ports.metrics):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", port))


def test_a_port_given_twice_is_refused():
    free = choose_ports("127.0.0.1", None, None, None).http
    with pytest.raises(PortInUse, match=rf"metrics: port {free} .*--metrics-port"):
        choose_ports("127.0.0.1", free, None, free)


def test_a_port_with_connections_of_an_earlier_server_is_free():
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, Triton among them
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            accepted, _ = listener.accept()
            # Closed by the server's side first, so that its port lingers in TIME_WAIT.
            accepted.close()
    assert choose_ports("127.0.0.1", port, None, None).http == port
