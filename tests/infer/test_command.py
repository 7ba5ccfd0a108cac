"""The command itself, against a real server: killed, interrupted, out of room, without its server."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from authority import Authority

from engineroom.serve.server import ServerOptions, running

MODELS = Path(__file__).parent / "models"
ROWS = 16_000
SMALL_DISK = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000));"
RUN = "import sys; from engineroom.cli import main; main()"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = tmp_path_factory.mktemp("infer") / "models"
    return Path(shutil.copytree(MODELS, repository, ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture(scope="module")
def server(repository):
    with running(ServerOptions(repository, drain_s=0)) as server:
        yield server


@pytest.fixture
def x(tmp_path):
    x = np.arange(2 * ROWS, dtype=np.float32).reshape(ROWS, 2)
    np.save(tmp_path / "x.npy", x)
    return x


class Command:
    """`engineroom infer double x.npy --output y.npz`, as a process of its own."""

    def __init__(self, folder, server):
        self.folder = folder
        self.words = ["infer", "double", "x.npy", "--output", "y.npz", "--url", f"grpc://{server.grpc}"]

    def start(self, before=""):
        return subprocess.Popen(
            [sys.executable, "-c", before + RUN, *self.words],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, before=""):
        with self.start(before) as process:
            output, errors = process.communicate(timeout=120)
        return process.returncode, output, errors

    def wait_for_parts(self, count):
        deadline = time.monotonic() + 60
        while len(list(self.folder.glob("y.npz.parts/*.npz"))) < count:
            assert time.monotonic() < deadline, "no part was written"
            time.sleep(0.005)
        assert not (self.folder / "y.npz").exists()

    def check(self, x):
        with np.load(self.folder / "y.npz") as found:
            np.testing.assert_array_equal(found["y"], 2 * x)
            assert found["answered"].all()
        assert sorted(path.name for path in self.folder.iterdir()) == ["x.npy", "y.npz", "y.npz.run.json"]


@pytest.fixture
def command(tmp_path, server):
    return Command(tmp_path, server)


def test_a_killed_run_goes_on_where_it_stopped(command, x):
    for parts in (1, 2):
        with command.start() as process:
            command.wait_for_parts(parts)
            process.kill()
    kept = len(list(command.folder.glob("y.npz.parts/*.npz")))
    assert kept >= 2
    status, _, errors = command.run()
    assert status == 0
    assert not errors.startswith("y.npz: 0 of"), "it began anew"
    command.check(x)


def test_ctrl_c_ends_with_one_line_and_goes_on(command, x):
    with command.start() as process:
        command.wait_for_parts(1)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert "error: stopped. " in errors
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert command.run()[0] == 0
    command.check(x)


def test_a_full_disk_is_one_error_and_nothing_is_lost(command, x):
    status, _, errors = command.run(before=SMALL_DISK)
    assert status == 1
    assert "y.npz.parts: cannot be written (File too large). What was answered before is kept: make room" in errors
    assert "Traceback" not in errors
    assert command.run()[0] == 0
    command.check(x)


def test_a_server_that_dies_is_one_error_and_another_is_asked_for_the_rest(repository, server, tmp_path, x):
    with running(ServerOptions(repository, drain_s=0)) as dying:
        command = Command(tmp_path, dying)
        with command.start() as process:
            command.wait_for_parts(1)
            dying.process.kill()
            dying.process.wait()
            errors = process.communicate(timeout=60)[1]
        assert process.returncode == 1
        assert "no Triton answers at grpc://" in errors
        assert "rows are done and kept: run the same command again to go on." in errors
        assert "Traceback" not in errors
    command = Command(tmp_path, server)
    assert command.run()[0] == 0
    command.check(x)


def test_a_server_that_is_not_there_is_one_error(engineroom, tmp_path, x):
    output = tmp_path / "y.csv"
    status, _, errors = engineroom(
        "infer", "double", str(tmp_path / "x.npy"), "--output", str(output), "--url", "grpc://127.0.0.1:9"
    )
    assert status == 1
    assert errors.startswith("error: no Triton answers at grpc://127.0.0.1:9")
    assert not output.exists()


def test_certificates_are_asked_for_and_shown(engineroom, repository, tmp_path, x):
    authority = Authority(tmp_path)
    (theirs, their_key), (ours, our_key) = authority.issue("server", "engineroom"), authority.issue("caller", "caller")
    files = {"server-cert": theirs, "server-key": their_key, "root-cert": authority.certificate}
    arguments = ["--grpc-use-ssl-mutual=true", *(f"--grpc-{name}={path}" for name, path in files.items())]
    words = ["infer", "double", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy")]
    with running(ServerOptions(repository, drain_s=0, arguments=tuple(arguments))) as server:
        words += ["--url", f"grpcs://{server.grpc}", "--ca", str(authority.certificate), "--server-name", "engineroom"]
        known = ["--certificate", str(ours), "--key", str(our_key)]
        assert "certificate" in engineroom(*words)[2]
        assert engineroom(*words, *known)[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), 2 * x)


def test_a_key_without_its_certificate_is_one_error(infer, x):
    assert infer("x.npy", "--output", "y.npy", "--key", "k.pem")[2].startswith("error: TLS: a key is given without")


@pytest.fixture
def infer(engineroom, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *words: engineroom("infer", "double", *words, "--url", f"grpc://{server.grpc}")


def test_rows_that_fail_end_it_with_status_1(infer, tmp_path):
    (tmp_path / "x.csv").write_text("x.0,x.1\n1,2\n-3,4\nfive,6\n")
    status, output, errors = infer("x.csv", "--output", "y.csv")
    assert (status, output) == (1, "y.csv: 1 of 3 rows answered by double version 1\n")
    assert (
        "error: failed: 2 of 3 rows, see y.csv.errors.jsonl. Run the same command again to ask them once more."
        in errors
    )
    failed = [json.loads(line) for line in (tmp_path / "y.csv.errors.jsonl").read_text().splitlines()]
    assert [line["row"] for line in failed] == [1, 2]
    assert failed[0]["error"].endswith("answers: negative")


def test_json_says_what_was_done(infer, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    status, output, _ = infer("x.csv", "--output", "y.jsonl", "--input", "x=a,b", "--json")
    assert status == 0
    (record,) = json.loads(output)
    told = {"output": "y.jsonl", "model": "double", "version": "1", "inputs": {"x": "a,b"}, "rows": 1, "answered": 1}
    assert told.items() <= record.items()


def test_a_dry_run_writes_nothing(infer, tmp_path):
    (tmp_path / "x.csv").write_text("x.0,x.1\n1,2\n")
    status, output, _ = infer("x.csv", "--output", "y.csv", "--dry-run")
    assert (status, output) == (
        0,
        "y.csv: 1 rows of x.csv, 0 answered already\n"
        "  asked: double version 1, 32 rows a request, 4 requests in flight\n"
        "  written: y (2,)\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_folder_holds_an_output_for_each_file(infer, tmp_path):
    for name, cell in (("a.csv", "1,2"), ("b.csv", "3,4")):
        (tmp_path / name).write_text(f"x.0,x.1\n{cell}\n")
    status, output, _ = infer("a.csv", "b.csv", "--output", "out", "--format", "npz")
    assert status == 0
    assert output.count("1 of 1 rows answered") == 2
    assert np.load(tmp_path / "out" / "b.npz")["y"].tolist() == [[6, 8]]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.csv"], "Missing option '--output'"),
        (["--output", "y.csv"], "Missing argument 'FILES...'"),
        (["x.csv", "--output", "y.csv", "--input", "x"], "'x' is not of the form NAME=COLUMN"),
        (["x.csv", "--output", "y", "--format", "xlsx"], "'xlsx' is not one of"),
        (["x.csv", "--output", "y.csv", "--header", "key"], "--header: write NAME=VALUE"),
    ],
    ids=["no output", "no file", "no column", "no format", "no header"],
)
def test_wrong_usage_is_status_2(engineroom, words, message):
    status, _, errors = engineroom("infer", "double", *words)
    assert status == 2
    assert message in errors
