import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from peers.contest import Contestant, Field, peer_up, searched
from peers.description import PEERS
from peers.environments import python
from peers.launched import launched
from peers.search import Search
from peers.subject import Subject
from peers.table import json_from_field, lines_from_field
from peers.wire import requests_for, served_at

from engineroom.client import ModelMetadata, TensorMetadata
from engineroom.client.protocol.transport import Address
from engineroom.compile.recipes import recipe_from_name
from engineroom.load.open_loop.schedule import constant
from engineroom.repository.golden import Golden, golden_from_repository
from engineroom.repository.layout import GRAPH, Repository

ANSWER_S = 0.04
"""What the stand-in takes for an answer, one after the other: it can give 25 a second, however quick the machine is."""


@pytest.fixture(scope="module")
def stand_in():
    """A server that doubles float32, one request at a time."""
    turn = threading.Lock()

    class Doubling(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            rows = np.frombuffer(self.rfile.read(int(self.headers["Content-Length"])), np.float32)
            with turn:
                time.sleep(ANSWER_S)
            self.send_response(200)
            self.send_header("Content-Length", str(rows.nbytes))
            self.end_headers()
            self.wfile.write((rows * 2).tobytes())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Doubling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def contestant(stand_in, tmp_path):
    """The stand-in as a contestant; the process that is put to sleep and woken is another one."""
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    tensors = (TensorMetadata("x", "FP32", (8,)),), (TensorMetadata("y", "FP32", (8,)),)
    metadata = ModelMetadata("double", *tensors, 1)
    served = served_at(Address("http", "127.0.0.1", stand_in), metadata, "stand-in")

    def make(factor: int = 2) -> Contestant:
        requests = requests_for("raw", Golden("double", {"x": x}, {"y": factor * x}), served)
        return Contestant("stand-in", "numpy", served, requests, tree, 1000.0, Search(27.0, close=1.5))

    with launched([sys.executable, "-c", "import time; time.sleep(600)"], {}, tmp_path) as tree:
        yield make


def test_the_search_finds_a_rate_that_the_server_can_give(contestant):
    one = contestant()
    field = Field([one], {"other, numpy": "did not answer"})
    lines: list[str] = []
    searched(field, seconds=1.0, most_rounds=8, tell=lines.append)
    assert one.search.kept is not None
    # In the second that a window lasts, and the second that an answer may take, it cannot give more.
    assert one.search.kept.rate_per_s * 0.99 <= 2.0 / ANSWER_S
    assert len(lines) == len(one.search.windows)
    assert lines_from_field(field)[-1].startswith("| stand-in | numpy | ")
    told = json_from_field(field)
    assert told["left_out"] == {"other, numpy": "did not answer"}
    assert len(told["servers"][0]["windows"]) == len(lines)


def test_a_server_that_answers_wrongly_keeps_no_promise(contestant):
    one = contestant(factor=3)
    window = one.round(0.2, seed=0)
    assert not window.kept
    assert "off its golden answer" in window.reasons["no answer"]


@pytest.mark.parametrize("peer", [peer for peer in PEERS if peer.name == "mosec"], ids=["mosec"])
def test_an_installed_peer_answers_rightly(peer, tiny_built):
    if python(peer) is None:
        pytest.skip(f"the environment of {peer.title} is not installed: python perf/side_by_side.py --install")
    repository = Repository(tiny_built.repository)
    (folder,) = repository.published(("tiny",))
    version = folder.version(folder.latest)
    golden = golden_from_repository(repository, "tiny")
    tiny = Subject(recipe_from_name(tiny_built, "tiny"), version, golden, version / GRAPH)
    with peer_up(tiny, peer, "openvino") as one:
        one.tree.resume()
        window = one.measured(constant(20, 0.5), 20)
    assert window.reasons == {}
    assert window.cpu_us > 0
    assert window.memory_bytes > 1 << 20
    assert one.tree.pids() == []
