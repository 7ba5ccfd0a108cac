"""The record of a version: what is read from its folder alone."""

import json
from pathlib import Path

import pytest

from engineroom.errors import RegistryError, RepositoryError
from engineroom.project import Project
from engineroom.registry.folder import write_record
from engineroom.registry.record import LONGEST, record_from_version
from engineroom.repository.files import sha256
from engineroom.repository.layout import MANIFEST, ModelFolder


@pytest.fixture
def tiny(tiny_built: Project) -> ModelFolder:
    return ModelFolder(tiny_built.repository / "tiny")


def test_parameters_say_what_the_version_was_made_with(tiny: ModelFolder) -> None:
    told = record_from_version(tiny).parameters
    assert told["precision"] == "fp16"
    assert told["targets"] == "openvino, tensorrt-rtx:sm89"
    assert (told["batch.min"], told["batch.opt"], told["batch.max"]) == ("1", "4", "8")
    assert told["input.x"] == "1x8 to 8x8"
    assert told["command"] == "engineroom build tiny --target openvino"
    assert float(told["limit.scores.max_abs"]) > 0
    assert told["library.torch"].startswith("2.")
    assert "sparsity" not in told


def test_figures_are_those_of_every_artefact(tiny: ModelFolder) -> None:
    record = record_from_version(tiny)
    openvino, rtx = record.passport.artefacts
    told = record.figures
    assert told["openvino/f32/noise"] == openvino.parity[0].noise
    assert told["openvino/f32/share"] == 1.0
    assert told["tensorrt-rtx-sm89/fp16-rounding/max_abs"] == rtx.parity[0].max_abs
    assert told["tensorrt-rtx-sm89/size_bytes"] == rtx.size_bytes
    assert told["seconds/export"] == record.passport.seconds["export"]


def test_an_engine_added_where_it_is_served_changes_no_parameter(tiny_project: Project) -> None:
    from engineroom.cli.progress import watch
    from engineroom.compile.engines import add_engine, engine_target

    model = ModelFolder(tiny_project.repository / "tiny")
    before = record_from_version(model)
    add_engine(model, engine_target("tensorrt-rtx:sm86"), watch("tiny"))
    after = record_from_version(model)
    assert after.parameters == before.parameters
    assert after.digest != before.digest
    assert "tensorrt-rtx-sm86/size_bytes" in after.figures.keys() - before.figures.keys()


def test_files_are_graph_golden_and_passport(tiny: ModelFolder) -> None:
    names = [path.name for path in record_from_version(tiny).files]
    assert names == ["golden.npz", "manifest.json", "model.graph.onnx"]


def test_a_long_list_of_islands_fits_into_a_parameter(tiny_project: Project) -> None:
    manifest = tiny_project.repository / "tiny" / "1" / MANIFEST
    raw = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**raw, "islands": [f"node_number_{index}" for index in range(1000)]}))
    told = record_from_version(ModelFolder(tiny_project.repository / "tiny")).parameters["islands"]
    assert len(told) == LONGEST
    assert told.endswith("...")


def test_an_unknown_version_is_refused_with_those_there_are(tiny: ModelFolder) -> None:
    with pytest.raises(RepositoryError, match=r"tiny: .* holds no version 7\. It holds: 1\."):
        record_from_version(tiny, 7)


def test_a_written_record_has_names_that_stay(tiny: ModelFolder, tmp_path: Path) -> None:
    names = {path.name for path in write_record(record_from_version(tiny), tmp_path)}
    assert names == {path.name for path in tmp_path.iterdir()}
    assert names == {"parameters.json", "figures.json", "stages.csv", "manifest.json", "errors.png", "stages.png"}
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["openvino"]["f32"]["cosine"] == record_from_version(tiny).figures["openvino/f32/cosine"]
    assert (tmp_path / "stages.csv").read_text().startswith("stage,seconds\n")
    assert sha256(tmp_path / "manifest.json") == record_from_version(tiny).digest
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


def test_a_folder_that_cannot_be_written_is_told(tiny: ModelFolder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RegistryError, match="Name another folder"):
        write_record(record_from_version(tiny), tmp_path / "file" / "folder")
