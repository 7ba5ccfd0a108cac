"""An MLflow server that is down, silent, or none: what waits for it, and what is said."""

import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from engineroom.errors import RegistryError
from engineroom.project import Project
from engineroom.registry.aliases import follow_promotion
from engineroom.registry.log import log_version
from engineroom.registry.record import record_from_version
from engineroom.registry.server import ASKING, URI, Server
from engineroom.repository.layout import ModelFolder

Run = Callable[..., tuple[int, str, str]]
NewModel = Callable[..., ModelFolder]


@pytest.fixture
def nobody() -> Iterator[Server]:
    """An address where nobody listens, for as long as the test runs."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Server(f"http://127.0.0.1:{held.getsockname()[1]}")


@pytest.fixture
def silent() -> Iterator[Server]:
    """A server that takes connections and never answers."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield Server(f"http://127.0.0.1:{held.getsockname()[1]}")


class Other(BaseHTTPRequestHandler):
    """Answers everything with a page of its own, and status 500 to who asks for registered versions."""

    def do_GET(self) -> None:
        self.send_response(500 if "model-versions" in self.path else 200)
        self.end_headers()
        self.wfile.write(b"<html>something else</html>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def other() -> Iterator[Server]:
    """A server that is no MLflow."""
    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Server(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


def test_a_build_succeeds_and_says_what_was_not_recorded(
    engineroom: Run, tiny_project: Project, nobody: Server
) -> None:
    began = time.monotonic()
    status, _, said = engineroom("build", "tiny", "--target", "openvino", "--mlflow", nobody.uri)
    assert status == 0
    assert time.monotonic() - began < 60
    assert f"tiny: version 1 is not recorded in MLflow. {nobody.uri}: nobody listens there." in said
    assert said.endswith("Record it later: engineroom registry log tiny 1\n")


def test_a_server_that_did_not_answer_for_one_model_is_not_waited_for_again(
    engineroom: Run, tiny_project: Project, nobody: Server
) -> None:
    text = (tiny_project.recipes / "tiny.py").read_text().replace('name="tiny"', 'name="small"')
    (tiny_project.recipes / "small.py").write_text(text)
    status, _, said = engineroom("build", "small", "tiny", "--target", "openvino", "--mlflow", nobody.uri)
    assert status == 0
    assert "tiny: version 1 is not recorded in MLflow." in said
    assert f"{nobody.uri}: was not asked again.\nRecord it later: engineroom registry log tiny 1\n" in said


def test_the_command_for_later_fails_with_one_message(
    engineroom: Run, new_model: NewModel, nobody: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(URI, nobody.uri)
    status, said, problem = engineroom("registry", "log", new_model().name)
    assert (status, said) == (1, "")
    assert problem.startswith(f"error: {nobody.uri}: nobody listens there. Is an MLflow server running there?")


def test_a_silent_server_is_given_up_after_one_wait(
    new_model: NewModel, silent: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ASKING["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "10"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    began = time.monotonic()
    with pytest.raises(RegistryError, match="no answer came in time"):
        log_version(record_from_version(new_model()), silent)
    assert time.monotonic() - began < 8


def test_a_server_that_is_no_mlflow_is_told(new_model: NewModel, other: Server) -> None:
    with pytest.raises(RegistryError, match=f"{other.uri}: "):
        log_version(record_from_version(new_model()), other)


def test_an_address_that_is_none_is_told(new_model: NewModel) -> None:
    with pytest.raises(RegistryError, match=r"nonsense://x: MLflow says: .*unsupported URI"):
        log_version(record_from_version(new_model()), Server("nonsense://x"))


@pytest.mark.parametrize("where", ["nobody", "other"])
def test_a_password_in_the_address_is_not_shown(
    new_model: NewModel, where: str, request: pytest.FixtureRequest
) -> None:
    plain = request.getfixturevalue(where).uri
    secret = Server(plain.replace("http://", "http://ann:sesame@"))
    with pytest.raises(RegistryError, match=f"^{plain}: ") as caught:
        log_version(record_from_version(new_model()), secret)
    assert "sesame" not in str(caught.value)


def test_no_promotion_fails_with_the_registry(new_model: NewModel, nobody: Server) -> None:
    model = new_model()
    said = follow_promotion(model, 1, nobody)
    assert f"version 1 is not recorded in MLflow. {nobody.uri}" in said
    assert said.endswith(f"Record it later: engineroom registry log {model.name} 1 --alias champion")


def test_without_a_registry_a_promotion_says_nothing(new_model: NewModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(URI, raising=False)
    assert follow_promotion(new_model(), 1) == ""


def test_without_mlflow_installed_it_says_what_to_install(new_model: NewModel, nobody: Server) -> None:
    import subprocess
    import sys

    code = "import sys; sys.modules['mlflow'] = None; from engineroom.cli import main; main()"
    command = [sys.executable, "-c", code, "registry", "log", new_model().name, "--mlflow", nobody.uri]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert 'pip install "engineroom[mlflow]"' in done.stderr
    assert "Traceback" not in done.stderr
