"""A real MLflow server for the tests, and small model repositories beside it."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from engineroom.registry.server import URI, Server
from engineroom.repository.layout import ModelFolder

NewModel = Callable[..., ModelFolder]
"""`new_model(versions=1)`: a model of a new name with so many published versions."""


@pytest.fixture(scope="session")
def mlflow_server(counterpart: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`mlflow server` on a free port of 127.0.0.1, with SQLite and a folder for files; ended by its process id."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    command = [
        counterpart("mlflow") / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", folder / "files",
    ]  # fmt: skip
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=quiet, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        _wait(f"http://127.0.0.1:{port}/health", process, folder / "log")
        yield Server(f"http://127.0.0.1:{port}")
    finally:
        # It runs a worker of its own: both are in the group that it leads.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


@pytest.fixture
def server(mlflow_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The MLflow server, and the variable that names it to commands."""
    monkeypatch.setenv(URI, mlflow_server.uri)
    return mlflow_server


@pytest.fixture
def new_model(publish_tiny: Callable[..., ModelFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewModel:
    """Models of names that the server has not seen, in a project that commands find by themselves."""
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))

    def publish(versions: int = 1) -> ModelFolder:
        name = f"tiny_{uuid4().hex[:8]}"
        for _ in range(versions):
            model = publish_tiny(tmp_path / "model_repository", name)
        return model

    return publish
