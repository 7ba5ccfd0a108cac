"""Two real Tritons, one of which is killed under load and comes back: callers get their answers all the time."""

import asyncio
import threading
import time
import urllib.request
from contextlib import ExitStack

import numpy as np
import pytest

from engineroom.client import AsyncClient, CallError, Client, ServerUnavailable
from engineroom.serve.server import ServerOptions, running

CALLERS = 6
TIMEOUT_S = 5.0
X = np.arange(8, dtype=np.float32).reshape(1, 8)


class Load:
    """Callers in a closed loop on one client of each kind, until they are told to stop."""

    def __init__(self, urls):
        self.urls = urls
        self.client = Client(urls)
        self.answered = self.answered_in_loop = 0
        self.failures = []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self.call) for _ in range(CALLERS)]
        self.threads.append(threading.Thread(target=lambda: asyncio.run(self.call_in_loop())))

    def call(self):
        while not self.stopped.is_set():
            try:
                answer = self.client.infer("tiny", x=X, timeout_s=TIMEOUT_S)["y"]
                assert np.array_equal(answer, 2 * X)
                self.answered += 1
            except (CallError, AssertionError) as error:
                self.failures.append(error)
            time.sleep(0.002)

    async def call_in_loop(self):
        async with AsyncClient(self.urls) as client:
            await asyncio.gather(*[self.call_asynchronously(client) for _ in range(CALLERS)])

    async def call_asynchronously(self, client):
        while not self.stopped.is_set():
            try:
                answer = await client.infer("tiny", x=X, timeout_s=TIMEOUT_S)
                assert np.array_equal(answer["y"], 2 * X)
                self.answered_in_loop += 1
            except (CallError, AssertionError) as error:
                self.failures.append(error)
            await asyncio.sleep(0.002)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        for thread in self.threads:
            thread.join()
        self.client.close()


class Pair:
    """Two servers of one repository; each can be killed, and started again on its own ports."""

    def __init__(self, repository):
        self.repository = repository
        self.stacks = [ExitStack(), ExitStack()]
        self.servers = [self.start(0), self.start(1)]

    def start(self, which, **ports):
        return self.stacks[which].enter_context(running(ServerOptions(self.repository, drain_s=0, **ports)))

    def kill(self, which):
        self.servers[which].process.kill()
        self.servers[which].process.wait()

    def restart(self, which):
        self.stacks[which].close()
        dead = self.servers[which]
        ports = {f"{name}_port": int(getattr(dead, name).split(":")[1]) for name in ("http", "grpc", "metrics")}
        self.servers[which] = self.start(which, **ports)

    def wait_until_asked(self, which):
        """Wait until the callers have found out that a server is back; its breaker stays open for a second."""
        first, deadline = self.answers(which), time.monotonic() + 10
        while self.answers(which) < first + 10:
            assert time.monotonic() < deadline, "the server that came back is not asked"
            time.sleep(0.05)

    def answers(self, which):
        """Inferences that a server has made, in Triton's own count."""
        with urllib.request.urlopen(f"http://{self.servers[which].metrics}/metrics", timeout=5) as page:
            lines = page.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("nv_inference_request_success"))


@pytest.fixture(scope="module")
def repository(publish_tiny, tmp_path_factory):
    repository = tmp_path_factory.mktemp("pair")
    publish_tiny(repository, on_cpu=True)
    return repository


@pytest.fixture
def pair(repository):
    pair = Pair(repository)
    yield pair
    for stack in pair.stacks:
        stack.close()


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_no_call_fails_while_one_server_is_killed_and_comes_back(pair, protocol):
    urls = [f"{protocol}://{getattr(server, protocol)}" for server in pair.servers]
    with Load(urls) as load:
        for which in (0, 1):
            time.sleep(0.5)
            pair.kill(which)
            pair.restart(which)
            pair.wait_until_asked(which)
    assert load.failures == []
    assert load.answered > 100
    assert load.answered_in_loop > 100
    with Client(urls) as client:
        client.metadata("tiny")
        pair.kill(0)
        pair.kill(1)
        start = time.monotonic()
        with pytest.raises(ServerUnavailable, match=r"^none of .* answers\. The last one: no Triton answers at "):
            client.infer("tiny", x=X, timeout_s=TIMEOUT_S)
        assert time.monotonic() - start < 1


def test_a_server_that_ends_in_order_loses_no_call(pair):
    with Load([f"grpc://{server.grpc}" for server in pair.servers]) as load:
        time.sleep(0.5)
        pair.servers[0].process.terminate()
        pair.servers[0].process.wait(timeout=30)
        time.sleep(0.5)
    assert load.failures == []
