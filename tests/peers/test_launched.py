import signal
import sys
import time

import pytest
from peers.launched import Tree, launched
from waiting import wait_until

FAMILY = """
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        block = b"x" * (64 << 20)
        while True:
            pass
    os._exit(0)
time.sleep(600)
"""
"""A server with a process that has left both its tree and its session, takes memory, and is always at work."""


@pytest.fixture
def family(tmp_path):
    with launched([sys.executable, "-c", FAMILY], {}, tmp_path) as tree:
        wait_until(lambda: tree.memory_bytes() > 64 << 20)
        yield tree


def test_processes_that_have_left_the_tree_belong_to_it(family):
    assert len(family.pids()) == 2
    assert len(Tree(family.root).pids()) == 1
    before_s = family.cpu_s()
    wait_until(lambda: family.cpu_s() > before_s)


def test_who_is_paused_takes_no_processor_time(family):
    family.pause()
    wait_until(lambda: family.cpu_s() == (time.sleep(0.2) or family.cpu_s()))
    before_s = family.cpu_s()
    family.resume()
    wait_until(lambda: family.cpu_s() > before_s)


@pytest.mark.parametrize("paused", [False, True], ids=["awake", "asleep"])
def test_nothing_is_left(tmp_path, paused):
    with launched([sys.executable, "-c", FAMILY], {}, tmp_path) as tree:
        wait_until(lambda: tree.memory_bytes() > 64 << 20)
        if paused:
            tree.pause()
    assert tree.pids() == []


def test_who_ignores_the_request_to_end_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr("peers.launched.END_S", 0.5)
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)\n"
    with launched([sys.executable, "-c", stubborn + "time.sleep(600)"], {}, tmp_path) as tree:
        wait_until((tmp_path / "log").read_text)
        tree.send(signal.SIGTERM)
        assert tree.pids()
    assert tree.pids() == []
