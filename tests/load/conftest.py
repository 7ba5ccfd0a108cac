"""Results, models and a server that stops for known times, for the tests of load."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import ModelMetadata, TensorMetadata
from engineroom.client.protocol.transport import Connecting, address_from_url
from engineroom.load.open_loop.fine_loop import FineLoop
from engineroom.load.open_loop.wire import open_caller
from engineroom.load.prepared import Request, requests_from_golden
from engineroom.load.result import Conditions, Latency, LoadResult, Offered, ServerTime
from engineroom.load.served import ServedModel, address_from_options, served_model
from engineroom.repository.golden import Golden

CONFIG = """
name: "stall"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [8] }
output { name: "y" data_type: TYPE_FP32 dims: [8] }
"""
STALL_SERVER = Path(__file__).parents[2] / "perf" / "stall_server.py"


@pytest.fixture
def conditions():
    return Conditions("a processor", 2, {"perf_analyzer": "2.60.0"}, "engineroom load …", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def result(conditions):
    return LoadResult(
        tool="locust",
        model="digits",
        protocol="grpc",
        offered=Offered("users", 8),
        duration_s=10.0,
        requests=1000,
        failures=20,
        rows_per_request=4,
        latency=Latency(mean_ms=2.5, p50_ms=2.0, p90_ms=3.0, p95_ms=4.0, p99_ms=9.0, max_ms=50.0),
        conditions=conditions,
        server=ServerTime(100.0, 20.0, 900.0, 50.0),
        notes=("a remark",),
        samples="result.samples.jsonl.gz",
        failed={"refused": 20},
    )


@pytest.fixture
def served():
    image = TensorMetadata("image", "UINT8", (8, 8, 3))
    metadata = ModelMetadata("identity", (image,), (TensorMetadata("sum", "FP32", (3,)),), max_batch_size=16)
    return ServedModel(address_from_url("grpc://127.0.0.1:8001"), metadata, "1", "triton 2.51.0")


@pytest.fixture
def dynamic():
    ids = TensorMetadata("input_ids", "INT64", (-1,))
    metadata = ModelMetadata("seq", (ids,), (TensorMetadata("out", "FP32", (4,)),), max_batch_size=16)
    return ServedModel(address_from_url("http://127.0.0.1:8000"), metadata, "1", "triton 2.51.0")


@contextmanager
def stalling(stall_ms, every_ms):
    """A stall server: its process, and the URL of each protocol."""
    times = ["--stall-ms", str(stall_ms), "--every-ms", str(every_ms)]
    command = [sys.executable, STALL_SERVER, "--http-port", "0", "--grpc-port", "0", *times]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ports = json.loads(process.stdout.readline())
            yield process, {protocol: f"{protocol}://127.0.0.1:{port}" for protocol, port in ports.items()}
        finally:
            process.kill()


@pytest.fixture(scope="session")
def steady():
    """URLs, by protocol, of a server that never stops."""
    with stalling(0, 1000) as (_, urls):
        yield urls


@pytest.fixture
def stall():
    """Starts a stall server: `with stall(stall_ms, every_ms) as (process, urls)`."""
    return stalling


@pytest.fixture
def ask():
    """A model on a stall server, and the requests for it: `ask(url, error=0.0)`."""

    def prepared(url, error=0.0):
        x = np.arange(16, dtype=np.float32).reshape(2, 8)
        served = served_model(address_from_options(url, None), "stall")
        return served, requests_from_golden(Golden("stall", {"x": x}, {"y": x + np.float32(error)}), served, 1)

    return prepared


@pytest.fixture
def exchange():
    """What requests come to: `exchange(server, *bodies, scheme="grpc", timeout_s=5, headers=None, together=True)`.

    The server is a URL, or a coroutine function that is given the reader and writer of each connection.
    """

    def play(server, *bodies, **options):
        loop = FineLoop()
        try:
            return loop.run_until_complete(exchanged(server, bodies, **options))
        finally:
            loop.close()

    return play


async def exchanged(server, bodies, scheme="grpc", timeout_s=5, headers=None, together=True):
    """See `exchange`."""
    async with nullcontext(server) if isinstance(server, str) else listening(server, scheme) as url:
        way = open_caller(address_from_url(url, Connecting(headers or {})), timeout_s)
        ends = []
        try:
            for body in bodies:
                ends.append(asyncio.get_running_loop().create_future())
                way.send(Request("stall", 1, body, len(body), None), ends[-1].set_result)
                if not together:
                    way.flush()
                    await ends[-1]
            way.flush()
            return await asyncio.gather(*ends)
        finally:
            await way.close()


@asynccontextmanager
async def listening(serve, scheme):
    """The URL of a server on a free port; it ends when its callers have hung up."""
    tasks = []

    async def connected(reader, writer):
        tasks.append(asyncio.current_task())
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)
        # The event loop closes connections in its next round.
        await asyncio.sleep(0)


@pytest.fixture
def load_stall(engineroom, tmp_path, monkeypatch, steady):
    """Runs `engineroom load COMMAND stall …` in a project that knows the model's golden answers.

    Whether this machine is quiet is not asked: the figures are wanted anyway.
    """
    version = tmp_path / "project" / "model_repository" / "stall" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text(CONFIG)
    x = np.arange(16, dtype=np.float32).reshape(2, 8)
    np.savez(version / "golden.npz", **{"input.x": x, "output.y": x})
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path / "project"))

    def run(command, *options, protocol="grpc", anyway=True):
        further = ("--publish-anyway",) if anyway else ()
        return engineroom("load", command, "stall", "--url", steady[protocol], *further, *map(str, options))

    return run
