"""Aliases drive promotions, and promotions move aliases: real MLflow, real repository, and Triton for one of them."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from waiting import wait_until

from engineroom.registry.log import log_version
from engineroom.registry.record import record_from_version
from engineroom.registry.server import Server
from engineroom.registry.versions import registered_versions
from engineroom.repository.layout import MANIFEST, ModelFolder
from engineroom.repository.policy import served_by
from engineroom.serve.endpoint import loaded_versions
from engineroom.serve.install import install
from engineroom.serve.server import ServerOptions, running

Run = Callable[..., tuple[int, str, str]]
NewModel = Callable[..., ModelFolder]


@pytest.fixture
def logged(server: Server, new_model: NewModel) -> ModelFolder:
    """A model with three versions, the first of them champion and served."""
    model = new_model(versions=3)
    for number in model.versions:
        log_version(record_from_version(model, number), server)
    point_champion(server, model, 1)
    return model


def point_champion(server: Server, model: ModelFolder, version: int) -> None:
    """As somebody does on MLflow's page, or from another machine."""
    with server.asked() as client:
        (one,) = [one for one in registered_versions(client, model.name) if one.version == version]
        client.set_registered_model_alias(model.name, "champion", one.number)


def aliases(server: Server, model: ModelFolder) -> dict[int, tuple[str, ...]]:
    with server.asked() as client:
        return {one.version: one.aliases for one in registered_versions(client, model.name) if one.aliases}


def test_the_champion_is_promoted_once_and_then_served(engineroom: Run, logged: ModelFolder) -> None:
    assert served_by(logged) == {"config.pbtxt": (3,)}
    status, said, problem = engineroom("registry", "follow", logged.name, "--once", "--offline")
    assert (status, problem) == (0, "")
    assert "promote 1" in said
    assert served_by(logged) == {"config.pbtxt": (1,)}
    status, said, _ = engineroom("registry", "follow", logged.name, "--once", "--offline")
    assert (status, said) == (0, f"{logged.name}: version 1, the champion, is served\n")


def test_a_running_triton_serves_the_champion(
    engineroom: Run, publish_tiny: Callable[..., ModelFolder], server: Server, tmp_path: Path
) -> None:
    install(print)
    name = f"tiny_{uuid4().hex[:8]}"
    _, model = (publish_tiny(tmp_path, name, on_cpu=True) for _ in range(2))
    log_version(record_from_version(model, 1), server, "champion")
    with running(ServerOptions(tmp_path, drain_s=0)) as triton:
        assert [one.version for one in triton.models] == [2]
        words = ("registry", "follow", model.name, "--repository", str(tmp_path), "--url", f"http://{triton.http}")
        status, said, problem = engineroom(*words, "--once")
        assert status == 0, said + problem
        assert loaded_versions(triton.http)[model.name] == [1]


def test_history_says_why(engineroom: Run, logged: ModelFolder, server: Server) -> None:
    engineroom("registry", "follow", logged.name, "--once", "--offline")
    _, said, _ = engineroom("config", "history", logged.name, "--json")
    assert f"the champion at {server.uri}" in said


def test_a_dry_run_promotes_nothing(engineroom: Run, logged: ModelFolder) -> None:
    status, said, _ = engineroom("registry", "follow", logged.name, "--once", "--offline", "--dry-run")
    assert (status, said) == (0, f"{logged.name}: version 1, the champion, would be promoted\n")
    assert served_by(logged) == {"config.pbtxt": (3,)}


def test_promote_and_rollback_move_the_champion(engineroom: Run, logged: ModelFolder, server: Server) -> None:
    for number in (2, 3):
        status, _, said = engineroom("models", "promote", logged.name, str(number), "--offline")
        assert status == 0
        assert f"{logged.name}: version {number} is in MLflow already" in said
        assert "champion" in aliases(server, logged)[number]
    assert aliases(server, logged) == {3: ("champion",)}
    status, _, said = engineroom("models", "rollback", logged.name, "--offline")
    assert status == 0
    assert aliases(server, logged) == {2: ("champion",)}


def test_a_promotion_logs_a_version_that_mlflow_does_not_know(
    engineroom: Run, new_model: NewModel, server: Server
) -> None:
    model = new_model()
    status, _, said = engineroom("models", "promote", model.name, "--offline")
    assert status == 0
    assert said.endswith(f"{model.name}: version 1 recorded in MLflow, as version 1, champion\n")


def test_a_promotion_stands_although_mlflow_is_down(
    engineroom: Run, new_model: NewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    model = new_model(versions=2)
    status, _, said = engineroom("models", "promote", model.name, "1", "--offline")
    assert status == 0
    assert served_by(model) == {"config.pbtxt": (1,)}
    assert f"Record it later: engineroom registry log {model.name} 1 --alias champion" in said


@pytest.mark.parametrize("missing", ["version", "champion", "same build", "our tags"])
def test_a_champion_that_cannot_be_served_changes_nothing(
    engineroom: Run, logged: ModelFolder, server: Server, missing: str
) -> None:
    expected = spoil(logged, server, missing)
    before = logged.config.read_text()
    status, said, problem = engineroom("registry", "follow", logged.name, "--once", "--offline")
    assert (status, said) == (1, "")
    assert expected in problem
    assert logged.config.read_text() == before


def spoil(model: ModelFolder, server: Server, missing: str) -> str:
    """Take away what following needs; gives what must be said of it."""
    if missing == "version":
        model.version(1).rename(model.path / ".gone")
        return "the champion is version 1: not in this repository; pull it, or build it again"
    if missing == "same build":
        manifest = model.version(1) / MANIFEST
        manifest.write_text(manifest.read_text().replace('"mark"', '"another"'))
        return "MLflow's is another build with the same number"
    with server.asked() as client:
        if missing == "champion":
            client.delete_registered_model_alias(model.name, "champion")
            return f"MLflow knows no champion. Run: engineroom registry log {model.name} --alias champion"
        client.delete_model_version_tag(model.name, "1", "engineroom.version")
    return "MLflow's version 1, was not logged by engineroom"


def test_status_shows_both_sides(engineroom: Run, logged: ModelFolder, server: Server) -> None:
    logged.version(2).rename(logged.path / ".gone")
    logged.version(3).rename(logged.version(4))
    _, said, _ = engineroom("registry", "status", logged.name)
    assert said.splitlines() == [
        logged.name,
        f"  version 4: served by config.pbtxt, not in MLflow: engineroom registry log {logged.name} 4",
        "  version 3: MLflow's 3, challenger, not in this repository; pull it, or build it again",
        "  version 2: MLflow's 2, not in this repository; pull it, or build it again",
        "  version 1: MLflow's 1, champion",
    ]
    _, said, _ = engineroom("registry", "status", logged.name, "--json")
    assert [one["aliases"] for one in json.loads(said)[logged.name]] == [["champion"], [], ["challenger"], []]


@pytest.fixture
def following(logged: ModelFolder, tmp_path: Path) -> Iterator[Path]:
    """`registry follow` that looks every second; gives the file of what it says."""
    command = [sys.executable, "-m", "engineroom", "registry", "follow", logged.name, "--every", "1", "--offline"]
    out = tmp_path / "said"
    with out.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        yield out
        process.terminate()


def test_following_goes_on_and_says_only_what_is_new(following: Path, logged: ModelFolder, server: Server) -> None:
    wait_until(lambda: served_by(logged) == {"config.pbtxt": (1,)})
    point_champion(server, logged, 2)
    wait_until(lambda: served_by(logged) == {"config.pbtxt": (2,)})
    wait_until(lambda: f"{logged.name}: version 2, the champion, is served" in following.read_text())
    time.sleep(1.5)
    lines = [line for line in following.read_text().splitlines() if "the champion, is served" in line]
    assert [line.split()[2] for line in lines] in (["1,", "2,"], ["2,"])
