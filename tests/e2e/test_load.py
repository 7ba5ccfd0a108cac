"""perf_analyzer and Locust against a real Triton."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from waiting import wait_until

from engineroom.client.protocol.transport import address_from_url
from engineroom.errors import LoadError, ToolMissing
from engineroom.load.perf_analyzer.binary import find_perf_analyzer
from engineroom.load.perf_analyzer.install import install_perf_analyzer
from engineroom.load.perf_analyzer.run import PerfRun
from engineroom.load.perf_analyzer.tool import measure_with_perf_analyzer
from engineroom.load.result import results_from_file
from engineroom.load.samples import samples_beside, samples_from_file
from engineroom.load.served import served_model

ROOT = Path(__file__).parents[2]
QUICK = ("--window-ms", "150", "--stability-percent", "90")
SHORT = ("--users", "2", "--seconds", "2")


@dataclass(frozen=True)
class Place:
    """A project with a server of its models."""

    root: Path
    grpc: str
    http: str

    def url(self, protocol):
        return f"{protocol}://{getattr(self, protocol)}"


def write_golden(version, width, error=0.0):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, width)).astype(np.float32)
    np.savez(version / "golden.npz", **{"input.a": a, "input.b": b, "output.sum": a + b + np.float32(error)})


@pytest.fixture(scope="session")
def tool():
    """The real perf_analyzer, in the user's own cache: fetched by the first run of the tests, reused by all others."""
    return install_perf_analyzer()


@pytest.fixture(scope="session")
def place(start_server, write_sum_model, tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    write_golden(write_sum_model(root / "model_repository", "adder", delay_us=0), 4)
    write_golden(write_sum_model(root / "model_repository", "any_width", width=-1, delay_us=0), 7)
    (root / "perf").symlink_to(ROOT / "perf")
    server = start_server(root / "model_repository")
    return Place(root, server.grpc, server.http)


@pytest.fixture
def run(place):
    """Runs a program in the project; answers exit status, standard output and standard error."""

    def run(*command, **environment):
        answer = subprocess.run(
            [str(part) for part in command],
            env={**os.environ, "ENGINEROOM_PROJECT": str(place.root), **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert "Traceback" not in answer.stdout + answer.stderr
        return answer.returncode, answer.stdout, answer.stderr

    return run


@pytest.fixture
def load(run):
    """Runs `engineroom load`."""
    return lambda *arguments, **environment: run(sys.executable, "-m", "engineroom", "load", *arguments, **environment)


@pytest.fixture
def suite(run):
    """Runs Locust as a user does, without its page."""
    locust = [Path(sys.executable).with_name("locust"), "-f", ROOT / "perf" / "locustfile.py", "--headless"]
    return lambda *arguments: run(*locust, "-u", 2, "-r", 2, "-t", "2s", *arguments)


@pytest.mark.parametrize("protocol", ["grpc", "http"])
def test_the_open_loop_and_what_triton_counted_beside_it(load, place, tmp_path, protocol):
    path = tmp_path / "run.json"
    options = ("--url", place.url(protocol), "--rate", 60, "--seconds", 2, "--output", path, "--publish-anyway")
    status, output, errors = load("run", "adder", *map(str, options))
    assert status == 0, errors
    assert "inside Triton" in output
    (result,) = results_from_file(path)
    assert result.failures == 0
    assert 0 < result.server.infer_us < 1000 * result.latency.mean_ms
    assert len(samples_from_file(tmp_path / result.samples)) == result.requests


@pytest.mark.usefixtures("tool")
class TestPerfAnalyzer:
    @pytest.mark.parametrize("protocol", ["grpc", "http"])
    def test_golden_inputs_at_two_loads(self, load, place, protocol):
        options = ("--url", place.url(protocol), "--input-data", "golden", "--batch", 2, "--concurrency", "1:2")
        status, output, _ = load("perf-analyzer", "adder", *options, *QUICK, "--json")
        assert status == 0
        first, second = json.loads(output)["results"]
        assert (first["offered"]["value"], second["offered"]["value"]) == (1, 2)
        for one in (first, second):
            assert one["protocol"] == protocol
            assert one["rows_per_s"] == pytest.approx(2 * one["requests"] / one["duration_s"])
            assert 0 < one["latency"]["p50_ms"] <= one["latency"]["p99_ms"]
            assert 0 < one["server"]["infer_us"] < 1000 * one["latency"]["mean_ms"]
            assert one["conditions"]["versions"]["perf_analyzer"] == "2.60.0"

    def test_a_missed_limit_is_written_down_too(self, load, place, tmp_path):
        path = tmp_path / "result.json"
        limits = ("--max-p99-ms", "0.001", "--output", path)
        status, output, errors = load("perf-analyzer", "adder", "--url", place.url("grpc"), *QUICK, *limits)
        assert status == 1
        assert "p99" in errors
        assert "is above 0.001 ms" in errors
        assert "adder" in output
        (result,) = results_from_file(path)
        assert result.latency.p99_ms > 0.001

    @pytest.mark.parametrize("options", [("--shape", "a:6", "--shape", "b:6"), ("--input-data", "golden")], ids=str)
    def test_a_size_that_varies(self, load, place, options):
        status, output, _ = load("perf-analyzer", "any_width", "--url", place.url("grpc"), *QUICK, *options)
        assert status == 0
        assert "any_width" in output

    def test_a_size_that_varies_and_is_not_said(self, load, place):
        status, _, errors = load("perf-analyzer", "any_width", "--url", place.url("grpc"))
        assert (status, errors.count("\n")) == (1, 1)
        assert "error: any_width: the size of a, b varies. Say --shape a:SIZE" in errors

    def test_a_rate_is_kept(self, load, place):
        options = ("--url", place.url("grpc"), "--rate", "100", "--window-ms", "400", "--stability-percent", "90")
        status, output, _ = load("perf-analyzer", "adder", *options, "--json")
        assert status == 0
        (result,) = json.loads(output)["results"]
        assert result["requests_per_s"] == pytest.approx(100, rel=0.4)
        assert "timed from the actual send" in result["notes"][0]

    def test_every_request_is_kept_where_it_is_wanted(self, load, place, tmp_path):
        path = tmp_path / "result.json"
        options = ("--url", place.url("http"), *QUICK, "--concurrency", "1:2", "--output", path)
        options += ("--keep-samples", "--slo-ms", "5000")
        status, output, errors = load("perf-analyzer", "adder", *options)
        assert status == 0, errors
        assert "which slows perf_analyzer" in output
        results = results_from_file(path)
        assert [one.samples for one in results] == ["result-1.samples.jsonl.gz", "result-2.samples.jsonl.gz"]
        for one in results:
            samples = samples_from_file(tmp_path / one.samples)
            assert len(samples) == one.requests == one.goodput.in_time
            assert np.median(samples.latency_ms) == pytest.approx(one.latency.p50_ms, rel=0.05)
        status, output, _ = load("compare", path, path)
        assert status == 0
        assert "concurrency 2:" in output

    def test_shared_memory(self, load, place):
        status, _, _ = load("perf-analyzer", "adder", "--url", place.url("grpc"), *QUICK, "--shared-memory", "system")
        assert status == 0

    def test_figures_that_do_not_settle_are_none(self, load, place):
        options = ("--window-ms", "100", "--trials", "3", "--stability-percent", "0.0001")
        status, output, errors = load("perf-analyzer", "adder", "--url", place.url("grpc"), *options)
        assert (status, output) == (1, "")
        assert "no three of 3 windows of 100 ms came within 0.0001 % of each other" in errors

    def test_a_server_that_never_answers_is_given_up(self, tool, place):
        served = served_model(address_from_url(place.url("http")), "adder")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = address_from_url(f"http://127.0.0.1:{silent.getsockname()[1]}")
            patient = PerfRun(replace(served, address=address), window_ms=100, trials=3, slack_s=0.5)
            before = time.monotonic()
            with pytest.raises(LoadError, match="was killed"):
                measure_with_perf_analyzer(tool, patient, "")
            assert time.monotonic() - before < 10
        assert not children()

    def test_nothing_of_ours_is_sent_to_its_children(self, tool):
        assert install_perf_analyzer() == tool
        assert not {"LD_LIBRARY_PATH", "LD_PRELOAD"} & {part.partition("=")[0] for part in tool.command}


def children():
    """Processes that this one has started and not ended."""
    found = Path("/proc/self/task").glob("*/children")
    pids = [pid for path in found for pid in path.read_text().split()]
    return [pid for pid in pids if "perf_analyzer" in Path(f"/proc/{pid}/cmdline").read_text()]


class TestInstallation:
    def test_the_second_time_is_quick(self, tool, load):
        before = time.monotonic()
        status, output, _ = load("install-perf-analyzer", "--json")
        assert time.monotonic() - before < 5
        assert status == 0
        assert json.loads(output) == {"version": "2.60.0", "path": tool.origin, "command": list(tool.command)}

    def test_the_placeholder_from_the_index_is_recognised(self, run, load, place, tmp_path):
        pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "packages")
        assert run(*pip, "perf-analyzer==0.1.0")[0] == 0
        environment = {"PYTHONPATH": str(tmp_path / "packages"), "ENGINEROOM_CACHE": str(tmp_path), "PATH": ""}
        status, _, errors = load("perf-analyzer", "adder", "--url", place.url("grpc"), **environment)
        assert status == 1
        assert "perf-analyzer 0.1.0 is a placeholder" in errors
        assert "engineroom load install-perf-analyzer" in errors

    def test_without_apt_nothing_is_left_behind(self, tool, load, tmp_path):
        status, _, errors = load("install-perf-analyzer", ENGINEROOM_CACHE=str(tmp_path), PATH="")
        if "--library-path" in tool.command:
            assert status == 1
            assert "apt-get is not here" in errors
            assert list((tmp_path / "perf_analyzer").iterdir()) == []
        else:
            assert status == 0

    def test_a_broken_installation_is_mended_by_a_new_one(self, tool, tmp_path, monkeypatch):
        monkeypatch.setenv("ENGINEROOM_CACHE", str(tmp_path))
        (tmp_path / "perf_analyzer" / "2.60.0" / "perf_analyzer").mkdir(parents=True)
        with pytest.raises(ToolMissing, match="does not run"):
            find_perf_analyzer()
        mended = install_perf_analyzer()
        assert mended.version == tool.version
        assert find_perf_analyzer() == mended
        assert [path.name for path in (tmp_path / "perf_analyzer").iterdir()] == ["2.60.0"]


class TestLocust:
    @pytest.mark.parametrize("protocol", ["grpc", "http"])
    def test_limits_that_are_kept(self, load, place, tmp_path, protocol):
        path, picture = tmp_path / "out" / "result.json", tmp_path / "out" / "latency.png"
        files = ("--output", path, "--picture", picture)
        limits = ("--max-p95-ms", "10000", "--max-failure-ratio", "0")
        command = ("locust", "adder", "--url", place.url(protocol), *SHORT, "--batch", 3, *files, *limits)
        status, output, errors = load(*command)
        assert (status, errors) == (0, "")
        assert f"locust {protocol}" in output
        (result,) = results_from_file(path)
        samples = samples_from_file(path.with_name(result.samples))
        assert (len(samples), int(samples.failed.sum())) == (result.requests, 0)
        assert result.offered.value == 2
        assert 0.5 < result.duration_s < 4
        assert result.rows_per_s == pytest.approx(3 * result.requests / result.duration_s)
        assert result.latency.max_ms == pytest.approx(samples.latency_ms.max(), abs=0.002)
        assert result.server.infer_us > 0
        with Image.open(picture) as image:
            assert image.format == "PNG"

    def test_a_limit_that_is_missed(self, load, place):
        status, output, errors = load("locust", "adder", "--url", place.url("grpc"), *SHORT, "--max-p95-ms", "0.001")
        assert status == 1
        assert "locust grpc" in output
        assert errors.startswith("error: adder at users 2: p95 ")

    def test_a_size_that_varies(self, load, place):
        status, output, _ = load("locust", "any_width", "--url", place.url("http"), *SHORT, "--json")
        assert status == 0
        assert json.loads(output)["results"][0]["failures"] == 0

    def test_a_wrong_answer_is_no_answer(self, load, place, tmp_path):
        version = tmp_path / "model_repository" / "adder" / "1"
        version.mkdir(parents=True)
        (version.parent / "config.pbtxt").touch()
        (tmp_path / "perf").symlink_to(ROOT / "perf")
        write_golden(version, 4, error=1.0)
        project = {"ENGINEROOM_PROJECT": str(tmp_path)}
        status, _, errors = load("locust", "adder", "--url", place.url("grpc"), *SHORT, **project)
        assert status == 1
        assert "adder: output 'sum' is 1 off its golden answer, 0.05 is allowed" in errors

    def test_a_project_without_a_locust_file(self, load, place, tmp_path):
        project = {"ENGINEROOM_PROJECT": str(tmp_path)}
        status, _, errors = load("locust", "adder", "--url", place.url("grpc"), *SHORT, **project)
        assert status == 1
        assert "locustfile.py is not there" in errors


class TestLocustItself:
    def test_limits_kept_and_files_written(self, suite, place, tmp_path):
        path = tmp_path / "out" / "result.json"
        limits = ("--max-p95-ms", 10_000, "--max-failure-ratio", 0.01)
        status, output, _ = suite("--host", place.url("grpc"), "--model", "adder", "--result", path, *limits)
        assert status == 0
        assert "rows/s" in output
        assert results_from_file(path)[0].requests == len(samples_from_file(samples_beside(path)))

    def test_limits_missed(self, suite, place):
        status, _, errors = suite("--host", place.url("http"), "--model", "adder", "--max-p99-ms", 0.001)
        assert status == 1
        assert "is above 0.001 ms" in errors

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            pytest.param(["--model", "adder"], "no server is named", id="no host"),
            pytest.param([], "no model is named", id="no model"),
            pytest.param(["--model", "adder", "--batch", "9"], "the server takes 1..8", id="batch too large"),
            pytest.param(["--model", "adder", "--master"], "every sample in one process", id="master"),
        ],
    )
    def test_what_cannot_begin(self, suite, place, options, expected):
        host = [] if expected == "no server is named" else ["--host", place.url("grpc")]
        status, _, errors = suite(*host, *options)
        assert status == 1
        assert expected in errors

    def test_processes_are_refused_before_the_first_is_forked(self, suite, place):
        status, _, errors = suite("--host", place.url("grpc"), "--model", "adder", "--processes", "2")
        assert status == 2
        assert "every sample in one process" in errors

    def test_ctrl_c_still_gives_a_result(self, place, tmp_path):
        path = tmp_path / "result.json"
        with locust(place, "--headless", "-u", "2", "-r", "2", "--result", str(path)) as process:
            until("All users spawned", process.stderr)
            # A table every two seconds: between two, even a busy machine answers.
            until("Aggregated", process.stderr)
            until("Aggregated", process.stderr)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=30)
        assert process.returncode == 0, errors
        assert results_from_file(path)[0].failures == 0

    def test_its_page(self, place, tmp_path):
        path = tmp_path / "result.json"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        page = ("--web-host", "127.0.0.1", "--web-port", str(port), "--result", str(path))
        with locust(place, *page) as process:
            for line in process.stderr:
                if "Starting web interface" in line:
                    break
            wait_until(lambda: answers(port))
            form = {"model": "adder", "slo_ms": "5000", "min_goodput_ratio": "0.5", "max_p95_ms": ""}
            post(port, "/swarm", user_count=2, spawn_rate=2, host=place.url("grpc"), **form)
            wait_until(lambda: stats(port)["total_rps"] > 0)
            post(port, "/stop")
            wait_until(path.exists)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
        assert process.returncode == 0
        (result,) = results_from_file(path)
        assert result.goodput.in_time == result.requests > 0


@contextmanager
def locust(place, *options):
    """Locust as a process of its own, killed if a test leaves it running."""
    command = [Path(sys.executable).with_name("locust"), "-f", ROOT / "perf" / "locustfile.py", "--host"]
    command += [place.url("grpc"), "--model", "adder", *options]
    environment = {**os.environ, "ENGINEROOM_PROJECT": str(place.root)}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def until(words, lines):
    assert any(words in line for line in lines), f"never said: {words}"


def post(port, path, **form):
    data = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data, timeout=20) as answer:
        assert json.load(answer)["success"]


def answers(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stats(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=20) as answer:
        return json.load(answer)


@pytest.mark.usefixtures("tool")
@pytest.mark.parametrize("command", [("perf-analyzer",), ("locust", "--seconds", 1)], ids=lambda command: command[0])
class TestNobodyToMeasure:
    @pytest.mark.parametrize("protocol", ["grpc", "http"])
    def test_no_server(self, load, command, protocol):
        status, output, errors = load(*command, "adder", "--url", f"{protocol}://127.0.0.1:1")
        assert (status, output) == (1, "")
        assert errors.startswith(f"error: no Triton answers at {protocol}://127.0.0.1:1")
        assert errors.count("\n") == 1

    def test_no_such_model(self, load, place, command):
        status, _, errors = load(*command, "addr", "--url", place.url("grpc"))
        assert status == 1
        assert errors.startswith("error: addr: ")
        assert "Did you mean 'adder'?" in errors

    def test_a_load_that_is_none(self, load, place, command):
        status, _, errors = load(*command, "adder", "--url", place.url("grpc"), "--batch", 0)
        assert status == 2
        assert "Invalid value for '--batch'" in errors
