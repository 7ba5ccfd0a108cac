"""The operator's commands, as they are typed, against a running server that they find by themselves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engineroom.repository.history import history
from engineroom.repository.journal import held, pending
from engineroom.serve.server import ServerOptions, running

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(engineroom, floor, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Runs `engineroom` in the project of the served repository."""
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(floor.model.path.parent.parent))
    return engineroom


def test_set_shows_what_it_needs_and_apply_makes_it_live(typed: Typed, floor) -> None:
    change = ("config", "set", "tiny", "dynamic_batching.max_queue_delay_microseconds=250", "--why", "fuller batches")
    status, out, _ = typed(*change, "--dry-run")
    assert (status, history(floor.model)) == (0, ())
    assert "+  max_queue_delay_microseconds: 250" in out
    assert "needs a reload" in out
    status, again, _ = typed(*change)
    assert (status, again.startswith(out)) == (0, True)
    assert "tiny: change 1: set, written; a server serves it from its next start, or after:" in again
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 0
    status, out, err = typed("config", "apply", "tiny", "--observe-s", "0.1")
    assert status == 0
    assert "+  max_queue_delay_microseconds: 250" in out
    assert "tiny: change 2: apply, applied" in out
    assert "golden input p50, ms" in out
    assert "rehearse on http://127.0.0.1:" in err
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 250
    status, out, _ = typed("config", "rollback", "tiny", "--observe-s", "0")
    assert status == 0
    assert "rollback of 1, 2, applied" in out
    assert floor.control.configuration("tiny").dynamic_batching.max_queue_delay_microseconds == 0


def test_what_the_check_warns_of_is_shown(typed: Typed) -> None:
    status, out, _ = typed("config", "set", "tiny", "instance_group[0].count=64", "--dry-run")
    assert (status, "cpu.pbtxt:16:1: warning ER606" in out) == (0, True), out


def test_the_history_tells_who_when_why(typed: Typed, floor) -> None:
    typed("config", "set", "tiny", "instance_group[0].count=2", "--by", "first@host", "--why", "more at once")
    _, out, _ = typed("config", "history", "tiny")
    assert out.strip().endswith("first@host  set, written: more at once")
    _, out, _ = typed("config", "history", "tiny", "--show", "1")
    assert "-  count: 1\n+  count: 2" in out
    _, out, _ = typed("config", "history", "tiny", "--json")
    assert json.loads(out)[0]["why"] == "more at once"
    assert typed("config", "history", "tiny", "--show", "7")[0] == 1


def test_versions_from_the_command_line(typed: Typed, floor) -> None:
    status, out, _ = typed("models", "promote", "tiny", "1", "--observe-s", "0", "--why", "the old one was right")
    assert status == 0
    assert "change 1: promote 1, applied" in out
    status, out, _ = typed("models", "promote", "tiny", "2", "--dry-run")
    assert "-    versions: [1]\n+    versions: [2]" in out
    _, out, _ = typed("models", "show", "tiny")
    assert "version 1" in out
    assert f"{floor.control} has loaded it" in out
    _, out, _ = typed("models", "list")
    assert "  version 1: built 2026-01-01T00:00:00+00:00, served" in out
    status, _, err = typed("models", "retire", "tiny", "1")
    assert status == 1
    assert "version 1 is in use" in err
    status, out, _ = typed("models", "rollback", "tiny", "--observe-s", "0", "--json")
    assert json.loads(out)["action"] == "rollback to 3"
    assert floor.control.versions("tiny") == (3,)
    status, out, _ = typed("models", "retire", "tiny", "--keep", "1", "--dry-run", "--json")
    assert json.loads(out) == {"model": "tiny", "retired": [1, 2]}


def test_promote_and_keep_is_one_document(engineroom, publish_served, tmp_path: Path, monkeypatch) -> None:
    for _ in range(4):
        model = publish_served(tmp_path / "model_repository")
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))
    _, out, _ = engineroom("models", "promote", "tiny", "3", "--offline", "--dry-run", "--json")
    assert "versions: [3]" in json.loads(out)["config.pbtxt"]["after"]
    _, out, _ = engineroom("models", "promote", "tiny", "3", "--offline", "--keep", "1", "--json")
    assert json.loads(out)["retired"] == [1, 2]
    assert model.versions == (3, 4)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("config", "set", "tiny"), 2, "give at least one KEY=VALUE"),
        (("config", "set", "tiny", "max_batch_size"), 2, "write KEY=VALUE"),
        (("config", "set", "tiny", "max_batchsize=2"), 1, "Did you mean max_batch_size?"),
        (("config", "set", "nobody", "max_batch_size=2"), 1, "nobody: no such model"),
        (("config", "set", "tiny", "max_batch_size=2", "--variant", "tpu"), 1, "It has: gpu, cpu."),
        (("config", "apply", "tiny", "--header", "key"), 2, "write NAME=VALUE"),
        (("config", "apply", "tiny", "--url", "http://127.0.0.1:9"), 1, "http://127.0.0.1:9"),
        (("config", "apply", "tiny", "--url", "grpc://127.0.0.1:9"), 1, "models are loaded over HTTP"),
        (("config", "rollback", "tiny"), 1, "there is no change to take back"),
        (("models", "promote", "tiny", "99"), 1, "there is no version 99"),
        (("models", "rollback", "tiny"), 1, "tells of no version that was served before"),
        (("models", "retire", "tiny"), 2, "give versions, or --keep N"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(typed: Typed, floor, words, status: int, message: str) -> None:
    before = floor.model.cpu_config.read_bytes()
    got, _, err = typed(*words)
    assert (got, message in err) == (status, True), err
    assert floor.model.cpu_config.read_bytes() == before
    assert not pending(floor.model)


def test_a_configuration_in_another_encoding_is_named_and_left(typed: Typed, floor) -> None:
    floor.model.cpu_config.write_bytes("name: 'tiny'".encode("utf-16"))
    status, _, err = typed("config", "set", "tiny", "max_batch_size=2")
    assert (status, "cpu.pbtxt: cannot be read: 'utf-8' codec" in err) == (1, True), err
    assert floor.model.cpu_config.read_bytes().decode("utf-16") == "name: 'tiny'"


def test_who_comes_second_is_told(typed: Typed, floor) -> None:
    with held(floor.model, "promote 2", "first@host"):
        status, _, err = typed("config", "set", "tiny", "instance_group[0].count=2")
    assert (status, "first@host (promote 2, process" in err) == (1, True)


def test_where_nothing_serves_the_files_can_be_changed_alone(engineroom, publish_served, tmp_path: Path, monkeypatch):
    model = publish_served(tmp_path / "model_repository")
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(tmp_path))
    status, _, err = engineroom("models", "promote", "tiny", "1")
    assert (status, "no Triton is found that serves" in err) == (1, True)
    status, out, _ = engineroom("models", "promote", "tiny", "1", "--offline")
    assert (status, "change 1: promote 1, written; a server serves it from its next start" in out) == (0, True)
    assert "versions: [1]" in model.cpu_config.read_text()


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
from engineroom.cli import main
main()
"""


def test_a_full_disk_changes_nothing(floor) -> None:
    before = {path: path.read_bytes() for path in floor.model.configs}
    command = [sys.executable, "-c", FULL, "models", "promote", "tiny", "1", "--observe-s", "0"]
    environment = {**os.environ, "ENGINEROOM_PROJECT": str(floor.model.path.parent.parent)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: tiny: cannot write ")
    assert "What is served stays as it is. Free space" in done.stderr
    assert {path: path.read_bytes() for path in floor.model.configs} == before
    assert floor.control.versions("tiny") == (3,)


def test_a_restricted_server_wants_its_key(typed: Typed, floor) -> None:
    key = "--http-restricted-api=model-repository:admin-key=secret"
    with running(ServerOptions(floor.model.path.parent, arguments=(key,))) as server:
        words = ("config", "apply", "tiny", "--url", f"http://{server.http}", "--observe-s", "0")
        status, _, err = typed(*words)
        assert (status, "This API is restricted" in err or "403" in err) == (1, True), err
        assert typed(*words, "--header", "admin-key=secret")[0] == 0
