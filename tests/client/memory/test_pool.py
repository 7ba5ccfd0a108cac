"""Tensors through shared memory with a real Triton: the same answers as over the network, and nothing left."""

import asyncio
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import AsyncClient, Client, DeadlineExceeded, InferenceFailed, RetryPolicy
from engineroom.client.memory import region
from engineroom.serve.server import ServerOptions, running

MODELS = Path(__file__).parents[2] / "e2e" / "models"
ONCE = RetryPolicy(attempts=1)
TYPES = ("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = tmp_path_factory.mktemp("wide")
    for name in ("wide", "every_dtype"):
        (repository / name).symlink_to(MODELS / name)
    return repository


@pytest.fixture(scope="module")
def server(repository):
    with running(ServerOptions(repository, drain_s=0)) as server:
        yield server


@pytest.fixture(params=["grpc", "http"])
def url(request, server):
    return f"{request.param}://{getattr(server, request.param)}"


def rows(value, count=2):
    return np.arange(count * 65536, dtype=np.float32).reshape(count, 65536) / 1e5 + value


def post(server, path):
    request = urllib.request.Request(f"http://{server.http}/v2/systemsharedmemory{path}", method="POST")
    urllib.request.urlopen(request, timeout=10).close()


def registered(server, pid=""):
    """Regions of clients, or of one client, that the server knows."""
    with urllib.request.urlopen(f"http://{server.http}/v2/systemsharedmemory/status", timeout=10) as answer:
        names = {known["name"] for known in json.load(answer)}
    return {name for name in names if name.startswith(f"{region.PREFIX}{pid}")}


def files(pid=""):
    return {path.name for path in region.FOLDER.glob(f"{region.PREFIX}{pid}*")}


def ask(client, value=0.0, **given):
    """An answer, which must be right."""
    x = rows(value)
    answer = client.infer("wide", x=x, **given)
    assert np.array_equal(answer["y"], x)
    return answer


@contextmanager
def watched(server):
    """Gives the names of regions that the server has come to know in the block."""
    before, found = registered(server), set()
    yield found
    found |= registered(server) - before


def test_answers_are_those_of_the_network(server, url):
    with Client(url) as near, Client(url, shared_memory=False) as far:
        with watched(server) as used:
            ours = ask(near)
        assert len(used) == 1
        assert oct((region.FOLDER / used.pop()).stat().st_mode)[-3:] == "600"
        with watched(server) as used:
            theirs = ask(far)
        assert not used
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert array.flags.writeable
        assert array.tolist() == theirs[name].tolist()


def test_every_type_arrives(server, url):
    values = np.arange(200_000) % 2
    given = {name: values.astype({"FP16": "f2", "FP32": "f4", "FP64": "f8"}.get(name, name.lower())) for name in TYPES}
    given |= {"BF16": np.linspace(-3, 3, 200_000, dtype=np.float32), "BYTES": np.array([b"a\x00", b""], object)}
    with Client(url) as near, Client(url, shared_memory=False) as far:
        for name, array in given.items():
            with watched(server) as used:
                (ours,) = near.infer("every_dtype", {name: array[np.newaxis]}, outputs=[f"{name}_OUT"]).values()
            (theirs,) = far.infer("every_dtype", {name: array[np.newaxis]}, outputs=[f"{name}_OUT"]).values()
            assert ours.dtype == theirs.dtype, name
            assert np.array_equal(ours, theirs), name
        assert used == set()  # the last were texts; and the first region served all the others
        assert len(registered(server)) >= 1


def test_an_array_in_another_order_in_memory_arrives_right(url):
    x = np.asfortranarray(rows(1))[::-1]
    with Client(url) as client:
        assert np.array_equal(client.infer("wide", x=x)["y"], x)


def test_outputs_are_selected_and_ranked_as_ever(url):
    x = rows(0)
    with Client(url) as near, Client(url, shared_memory=False) as far:
        assert list(near.infer("wide", x=x, outputs=["half"])) == ["half"]
        asked = {"output": "y", "top": 2}
        assert near.classify("wide", {"x": x}, **asked) == far.classify("wide", {"x": x}, **asked)


def test_a_region_is_used_again_and_freed_at_the_end(server, url):
    with Client(url) as client:
        with watched(server) as used:
            for value in range(5):
                ask(client, value)
        assert len(used) == 1
        assert used <= files()
    assert not used & files()
    assert not used & registered(server)


def test_a_large_batch_in_parts_and_many_threads(server, url):
    failures = []

    def work(client, value):
        try:
            for _ in range(4):
                x = rows(value, 7)
                assert np.array_equal(client.infer("wide", x=x, timeout_s=120)["y"], x)
        except BaseException as error:  # noqa: BLE001 - a thread's own would be lost
            failures.append(error)

    with Client(url) as one, Client(url) as other:
        threads = [threading.Thread(target=work, args=((one, other)[value % 2], value)) for value in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_in_an_event_loop_it_is_the_same(server, url):
    async def infer(client, value):
        x = rows(value)
        return np.array_equal((await client.infer("wide", x=x))["y"], x)

    async def ask_many():
        async with AsyncClient(url) as client:
            with watched(server) as used:
                assert all(await asyncio.gather(*[infer(client, value) for value in range(8)]))
                assert await infer(client, 9)
            assert 1 <= len(used) <= 8
            abandoned = [asyncio.ensure_future(infer(client, value)) for value in range(8)]
            await asyncio.sleep(0.01)
            for call in abandoned:
                call.cancel()
            await asyncio.gather(*abandoned, return_exceptions=True)
            assert await infer(client, 10)
            return used

    used = asyncio.run(ask_many())
    assert not used & files()
    assert not files(os.getpid())


KILLED = """
import sys, time, numpy as np
from engineroom.client import Client
client = Client(sys.argv[1])
client.infer("wide", x=np.zeros((1, 65536), np.float32))
print("asked", flush=True)
time.sleep(600)
"""


def test_what_a_killed_client_leaves_is_removed_by_the_next_one(server, url):
    process = subprocess.Popen([sys.executable, "-c", KILLED, url], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"asked\n"
    with Client(url) as client:
        ask(client)
        left = files(process.pid)
        assert len(left) == 1  # alive, and so is its region
        assert registered(server, process.pid) == left
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert registered(server, process.pid) == left
    with Client(url) as client:
        ask(client)
        assert files(process.pid) == registered(server, process.pid) == set()


def test_a_region_that_the_server_has_lost_is_registered_within_the_call(server, url):
    with Client(url, retry=ONCE) as client:
        ask(client)
        post(server, "/unregister")
        with watched(server) as used:
            ask(client, 1.0, idempotent=False)
        assert len(used) == 1


def test_a_server_that_comes_back_is_asked_as_before(repository):
    with running(ServerOptions(repository, ("wide",), drain_s=0)) as first:
        ports = {f"{name}_port": int(getattr(first, name).split(":")[1]) for name in ("http", "grpc", "metrics")}
        clients = [Client(f"{protocol}://{getattr(first, protocol)}") for protocol in ("grpc", "http")]
        for client in clients:
            ask(client)
    with running(ServerOptions(repository, ("wide",), drain_s=0, **ports)) as second:
        for client in clients:
            with client:
                with watched(second) as used:
                    ask(client, 1.0)
                assert len(used) == 1


def test_where_server_and_client_share_no_memory_the_network_is_used(server, url, tmp_path, monkeypatch):
    monkeypatch.setattr(region, "FOLDER", tmp_path)
    with Client(url, retry=ONCE) as client, watched(server) as used:
        ask(client)
        ask(client, 1.0)
    assert not used
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_shared_memory_the_network_is_used(url, tmp_path, monkeypatch):
    monkeypatch.setattr(region, "FOLDER", tmp_path / "none")
    with Client(url, retry=ONCE) as client:
        ask(client)


def test_where_it_is_full_the_network_is_used(server, url):
    with Client(url, retry=ONCE) as client, watched(server) as used:
        client.metadata("wide")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            with pytest.raises(OSError, match="no room for 65536 bytes") as caught:
                region.Region(65536)
            ask(client)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not used
    assert caught.value.__cause__.errno == errno.EFBIG


def test_a_caller_in_a_hurry_does_not_send_others_over_the_network(server, url):
    with Client(url, retry=ONCE) as client:
        client.metadata("wide")
        with pytest.raises(DeadlineExceeded):
            ask(client, timeout_s=0.0005)
        ask(client)
        assert registered(server, os.getpid()) & files()


def test_an_answer_that_comes_too_late_disturbs_nobody(server, url):
    sleep_ms = np.full((2, 1), 800, np.int32)
    with Client(url, retry=ONCE) as client:
        with watched(server) as used:
            ask(client)
        with pytest.raises(DeadlineExceeded):
            ask(client, 5.0, sleep_ms=sleep_ms, timeout_s=0.3)
        for value in range(3):
            ask(client, value)
        ask(client, 6.0, sleep_ms=sleep_ms * 2)  # longer than the late one has left
        assert not used & files()
    assert not used & registered(server)


def test_an_output_larger_than_the_configuration_says_travels_over_the_network(url):
    x, twice = rows(0), np.full((2, 1), 2, np.int32)
    with Client(url, retry=ONCE) as client:
        with pytest.raises(InferenceFailed, match="shared memory size"):
            client.infer("wide", x=x, times=twice, idempotent=False)
        assert np.array_equal(client.infer("wide", x=x, times=twice)["y"], np.tile(x, (1, 2)))
    with Client(url, retry=ONCE) as client:
        assert np.array_equal(client.infer("wide", x=x, times=twice)["y"], np.tile(x, (1, 2)))


def test_a_server_that_takes_regions_and_does_not_use_them_is_understood(counting):
    output = {"name": "y", "datatype": "FP32", "shape": [65536]}
    counting.CONFIG = json.dumps(
        {"name": "m", "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [65536]}],
         "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [65536]}]}
    ).encode()  # fmt: skip
    counting.answer = (200, {}, json.dumps({"outputs": [{**output, "data": [7.0] * 65536}]}).encode())
    with Client(counting.url, retry=ONCE) as client:
        assert client.infer("m", x=rows(0, 1)[0])["y"].tolist() == [7.0] * 65536
    sent = counting.bodies[-2]["outputs"][0]["parameters"]
    assert sent["shared_memory_byte_size"] == 4 * 65536
