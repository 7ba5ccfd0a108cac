import importlib
import json
import shutil
import sys
import threading
from collections import Counter
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from engineroom.serve.server import ServerOptions, running

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "client"
MOODY = ROOT / "tests" / "e2e" / "models" / "moody"

QUEUE = """
backend: "python"
max_batch_size: 1
dynamic_batching {{ default_queue_policy {{
  max_queue_size: 1
  timeout_action: REJECT
  default_timeout_microseconds: 60000000
  allow_timeout_override: {override}
}} }}
input {{ name: "sleep_ms" data_type: TYPE_INT32 dims: [ 1 ] }}
input {{ name: "complaint" data_type: TYPE_STRING dims: [ 1 ] }}
output {{ name: "slept_ms" data_type: TYPE_INT32 dims: [ 1 ] }}
instance_group {{ kind: KIND_CPU count: 1 }}
"""


@pytest.fixture(scope="session")
def program():
    """Imports a program of `client/` as it runs: with its folder first on the path."""
    sys.path.insert(0, str(PROGRAMS))
    yield importlib.import_module
    sys.path.remove(str(PROGRAMS))


@pytest.fixture(scope="session")
def queues(tmp_path_factory):
    """A Triton with two models that sleep as long as they are told, one request at a time, and one in the queue.

    Of `patient` a request may say how long it may wait in the queue; of `stubborn` it may not.
    """
    repository = tmp_path_factory.mktemp("queues")
    for name, override in (("patient", "true"), ("stubborn", "false")):
        shutil.copytree(MOODY, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
        (repository / name / "config.pbtxt").write_text(QUEUE.format(override=override))
    with running(ServerOptions(repository, drain_s=0)) as server:
        yield server


@pytest.fixture(scope="session")
def pair(publish_tiny, tmp_path_factory):
    """Two Tritons of one repository, whose model `tiny` doubles; whoever stops one lets it go on."""
    repository = tmp_path_factory.mktemp("pair")
    publish_tiny(repository, on_cpu=True)
    with ExitStack() as stack:
        yield [stack.enter_context(running(ServerOptions(repository, drain_s=0))) for _ in range(2)]


class Counting:
    """A small HTTP server in Triton's place: every inference is counted, and answered with what `answer` says.

    Attributes:
        url: Its address.
        asked: Requests so far, by the last word of their path.
        bodies: The JSON of every inference.
        answer: Status, headers and body of an inference.
    """

    CONFIG = json.dumps({"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [1]}]}).encode()
    ANSWER = json.dumps({"outputs": [{"name": "y", "datatype": "FP32", "shape": [1], "data": [2.0]}]}).encode()

    def __init__(self):
        self.asked = Counter()
        self.bodies = []
        self.answer = (200, {}, self.ANSWER)
        self.lock = threading.Lock()
        counting = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer

            def do_GET(self):
                self.reply(200, {}, counting.CONFIG)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                length = int(self.headers.get("Inference-Header-Content-Length", len(body)))
                with counting.lock:
                    counting.bodies.append(json.loads(body[:length] or "{}"))
                self.reply(*counting.answer)

            def reply(self, status, headers, body):
                with counting.lock:
                    counting.asked[self.path.rsplit("/", maxsplit=1)[-1]] += 1
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def counting():
    server = Counting()
    yield server
    server.close()
