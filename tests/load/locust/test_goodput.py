"""The plugin in somebody's own Locust file: real runs of Locust."""

import csv
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

OWN_FILE = """
import gevent
from locust import User, constant, events, task

from engineroom.load.locust.goodput import goodput

goodput(events, slo_ms=50)


class Quick(User):
    wait_time = constant(0.02)

    @task
    def ask_all(self):
        self.ask("quick", 1.0)
        self.ask("slow", 200.0)
        self.ask("broken", 1.0, ValueError("no"))

    def ask(self, name, took_ms, exception=None):
        fire = self.environment.events.request.fire
        fire(request_type="own", name=name, response_time=took_ms, response_length=0, exception=exception)


@events.init.add_listener
def end_when_enough_were_asked(environment, **_):
    # However slow the machine is.

    def look():
        while environment.runner.stats.total.num_requests < 60:
            gevent.sleep(0.1)
        environment.runner.quit()

    if environment.parsed_options.headless and not environment.parsed_options.worker:
        gevent.spawn(look)
"""


@pytest.fixture
def locust(tmp_path):
    """Locust's command on a file of somebody's own."""
    (tmp_path / "own.py").write_text(OWN_FILE)
    return [str(Path(sys.executable).with_name("locust")), "-f", str(tmp_path / "own.py"), "-u", "2", "-r", "2"]


@pytest.fixture
def headless(locust, tmp_path):
    def run(*options):
        command = [
            *locust,
            "--headless",
            "-t",
            "100s",
            "--exit-code-on-error",
            "0",
            "--csv",
            str(tmp_path / "out"),
            *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout + done.stderr

    return run


def rows(text):
    return {row["Name"]: row for row in csv.DictReader(text.splitlines())}


def test_it_stands_in_the_terminal_and_in_the_files(headless, tmp_path):
    status, text = headless()
    assert status == 0
    assert "Goodput  within 50 ms" in text
    found = rows((tmp_path / "out_goodput.csv").read_text())
    assert found["quick"]["Goodput (%)"] == "100.0"
    assert found["slow"]["Goodput (%)"] == found["broken"]["Goodput (%)"] == "0.0"
    assert int(found["slow"]["Too late"]) > 0
    assert int(found["broken"]["Failed"]) > 0
    for name in ("quick", "slow", "broken"):
        assert counted(found[name]) == locusts_own(text, "own", name)


def counted(row):
    return sum(int(row[kind]) for kind in ("In time", "Too late", "Failed"))


def locusts_own(text, kind, name):
    """How many requests stand in Locust's last table: its CSV files are a second older."""
    return int(re.findall(rf"{kind}\s+{name}\s+(\d+)\s+\d+\(", text)[-1])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("--min-goodput-ratio", "0.3"), 0, id="kept"),
        pytest.param(("--min-goodput-ratio", "0.3", "--slo-ms", "0.5"), 1, id="missed, by another promise"),
    ],
)
def test_too_little_of_it_is_a_failed_check(headless, options, expected):
    status, text = headless(*options)
    assert status == expected
    assert ("goodput ratio" in text) == bool(expected)


def test_processes_are_counted_together(headless, locust, tmp_path):
    port = str(free_port())
    worker = [*locust[:3], "--worker", "--master-port", port]
    with subprocess.Popen(worker, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            status, text = headless("--master", "--expect-workers", "1", "--master-bind-port", port)
        finally:
            process.kill()
    assert status == 0, text
    found = rows((tmp_path / "out_goodput.csv").read_text())
    assert counted(found["Aggregated"]) == locusts_own(text, "", "Aggregated") > 20, text


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def test_it_is_a_tab_of_the_page(locust):
    with page_of(locust) as ask:
        (arguments,) = re.findall(r"window.templateArgs = (.*)", ask("/").decode())
        assert '"title": "Goodput"' in arguments
        assert '"slo_ms"' in arguments
        assert json.loads(ask("/swarm", user_count=2, spawn_rate=2, host="", slo_ms="0.5", min_goodput_ratio=""))[
            "success"
        ]
        row = waited_for(lambda: total(ask) if total(ask)["too_late"] else None)
        assert (row["slo_ms"], row["in_time"]) == (0.5, 0)
        assert rows(ask("/goodput/csv").decode())["Aggregated"]["SLO (ms)"] == "0.5"
        ask("/stop", now="yes")
        ask("/stats/reset", now="yes")
        assert waited_for(lambda: total(ask)["too_late"] == 0)


def total(ask):
    (table,) = json.loads(ask("/stats/requests"))["extended_stats"]
    assert table["key"] == "goodput"
    return table["data"][-1]


@contextmanager
def page_of(locust):
    port = free_port()

    def ask(path, **form):
        data = urllib.parse.urlencode(form).encode() if form else None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=20) as answer:
            return answer.read()

    def is_there():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    command = [*locust, "--web-host", "127.0.0.1", "--web-port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            waited_for(is_there)
            yield ask
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            finally:
                process.kill()


def waited_for(condition):
    deadline_s = time.monotonic() + 30
    while not (found := condition()):
        assert time.monotonic() < deadline_s, "the condition did not come true in time"
        time.sleep(0.1)
    return found
