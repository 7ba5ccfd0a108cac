"""Logging versions to a real MLflow server."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from engineroom.errors import RegistryError
from engineroom.project import Project
from engineroom.registry.log import Patience, log_version
from engineroom.registry.record import record_from_version
from engineroom.registry.server import Server
from engineroom.registry.versions import Registered, registered_versions
from engineroom.repository.layout import MANIFEST, ModelFolder

Run = Callable[..., tuple[int, str, str]]
NewModel = Callable[..., ModelFolder]


def known(server: Server, name: str) -> tuple[Registered, ...]:
    with server.asked() as client:
        return registered_versions(client, name)


def run_of(server: Server, one: Registered) -> Any:
    with server.asked() as client:
        return client.get_run(one.run)


def test_a_version_is_logged_with_all_that_is_known_of_it(server: Server, tiny_built: Project) -> None:
    record = record_from_version(ModelFolder(tiny_built.repository / "tiny"))
    logged = log_version(record, server)
    (one,) = known(server, "tiny")
    run = run_of(server, one)
    assert (logged.number, logged.run, logged.already) == (one.number, one.run, False)
    assert (one.version, one.passport, one.aliases) == (1, record.digest, ("challenger",))
    assert run.info.status == "FINISHED"
    assert run.data.params == record.parameters
    assert run.data.metrics == pytest.approx(record.figures)
    assert run.data.tags["engineroom.model"] == "tiny"


def test_the_registered_model_is_the_graph_with_its_passport_and_golden_answers(
    server: Server, new_model: NewModel, tmp_path: Path
) -> None:
    from mlflow.artifacts import download_artifacts

    model = new_model()
    log_version(record_from_version(model), server)
    with server.asked():
        got = Path(download_artifacts(f"models:/{model.name}@challenger", dst_path=str(tmp_path / "got")))
    onnx.checker.check_model(onnx.load(got / "model.graph.onnx"))
    assert (got / MANIFEST).read_bytes() == (model.version(1) / MANIFEST).read_bytes()
    assert np.load(got / "golden.npz")["input.x"].shape == (2, 8)


def test_pictures_are_logged(server: Server, new_model: NewModel) -> None:
    logged = log_version(record_from_version(new_model()), server)
    with server.asked() as client:
        assert [found.path for found in client.list_artifacts(logged.run, "plots")] == ["plots/errors.png"]
    assert logged.note == ""


def test_logging_twice_makes_no_second_version(server: Server, new_model: NewModel) -> None:
    record = record_from_version(new_model())
    first, second = (log_version(record, server) for _ in range(2))
    assert (first.already, second.already) == (False, True)
    assert (second.number, second.run) == (first.number, first.run)
    assert len(known(server, record.model)) == 1


def test_a_changed_passport_is_told_to_the_version_that_is_there(server: Server, new_model: NewModel) -> None:
    model = new_model()
    log_version(record_from_version(model), server)
    manifest = model.version(1) / MANIFEST
    manifest.write_text(manifest.read_text() + "\n")
    again = log_version(record_from_version(model), server)
    (one,) = known(server, model.name)
    assert not again.already
    assert one.passport == record_from_version(model).digest
    assert run_of(server, one).data.tags["engineroom.passport"] == one.passport


def test_what_was_cut_short_is_finished_in_the_same_run(server: Server, new_model: NewModel) -> None:
    record = record_from_version(new_model())
    with pytest.raises(RegistryError, match="answers too slowly"):
        log_version(record, server, patience=Patience.of(-1))
    assert known(server, record.model) == ()
    logged = log_version(record, server)
    with server.asked() as client:
        experiment = client.get_experiment_by_name(record.model)
        assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [logged.run]


def test_the_newest_version_is_challenger_until_it_is_champion(server: Server, new_model: NewModel) -> None:
    model = new_model(versions=3)
    log_version(record_from_version(model, 2), server)
    assert log_version(record_from_version(model, 3), server).aliases == ("challenger",)
    assert log_version(record_from_version(model, 1), server).aliases == ()
    assert log_version(record_from_version(model, 3), server, "champion").aliases == ("champion",)
    aliases = {one.version: one.aliases for one in known(server, model.name)}
    assert aliases == {1: (), 2: (), 3: ("champion",)}


def test_an_experiment_of_ones_own_is_used(
    server: Server, new_model: NewModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = record_from_version(new_model())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", f"of {record.model}")
    logged = log_version(record, server)
    with server.asked() as client:
        experiment = client.get_run(logged.run).info.experiment_id
        assert client.get_experiment(experiment).name == f"of {record.model}"


def test_the_command_logs_the_newest_version(engineroom: Run, server: Server, new_model: NewModel) -> None:
    model = new_model(versions=2)
    status, said, _ = engineroom("registry", "log", model.name)
    assert (status, said) == (0, f"{model.name}: version 2 recorded in MLflow, as version 1, challenger\n")
    status, said, _ = engineroom("registry", "log", model.name, "1", "--dry-run")
    assert said.startswith(f"{model.name}: version 1 would be recorded at {server.uri}\n")
    assert [one.version for one in known(server, model.name)] == [2]


def test_a_build_logs_itself_once(engineroom: Run, server: Server, tiny_project: Project) -> None:
    text = (tiny_project.recipes / "tiny.py").read_text().replace('name="tiny"', 'name="logged"')
    (tiny_project.recipes / "logged.py").write_text(text)
    first, second = (engineroom("build", "logged", "--target", "openvino", "--json") for _ in range(2))
    assert (first[0], second[0]) == (0, 0)
    assert first[2].endswith("logged: version 1 recorded in MLflow, as version 1, challenger\n")
    assert "recorded" not in second[2]
    assert json.loads(first[1])[0]["version"] == 1
    (one,) = known(server, "logged")
    assert run_of(server, one).data.params["command"] == "engineroom build logged --target openvino"


def test_nothing_of_mlflow_reaches_the_terminal(server: Server, new_model: NewModel) -> None:
    model = new_model()
    command = [sys.executable, "-W", "error", "-m", "engineroom", "registry", "log", model.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{model.name}: version 1 recorded in MLflow, as version 1, challenger"]


def test_without_matplotlib_the_rest_is_logged_and_it_says_so(server: Server, new_model: NewModel) -> None:
    model = new_model()
    code = "import sys; sys.modules['matplotlib'] = None; from engineroom.cli import main; main()"
    command = [sys.executable, "-c", code, "registry", "log", model.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "without pictures: matplotlib is not installed" in done.stdout
    assert len(known(server, model.name)) == 1
