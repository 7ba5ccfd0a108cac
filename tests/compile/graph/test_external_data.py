"""A graph above protobuf's limit through the whole build: its weights stand beside it, and belong to it everywhere."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from engineroom.compile.engines import add_engine, engine_target
from engineroom.compile.graph import onnx_files
from engineroom.compile.graph.onnx_files import data_file
from engineroom.compile.job import job_of
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.report import BuildReport
from engineroom.project import Project
from engineroom.repository.files import sha256
from engineroom.repository.golden import golden_from_repository
from engineroom.repository.layout import GRAPH, MANIFEST, Repository
from engineroom.repository.passport import passport_from_file

TINY = Path(__file__).parents[2] / "recipes" / "tiny.py"
TARGETS = ("openvino", "tensorrt-rtx:sm89")
DATA = f"{GRAPH}.data"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny recipe, built as if every weight were a large one."""
    project = Project(tmp_path_factory.mktemp("large"))
    project.recipes.mkdir()
    shutil.copy(TINY, project.recipes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", 0)
        patch.setattr(onnx_files, "SMALLEST_BYTES", 64)
        run(project)
    return project


def run(project: Project) -> BuildReport:
    return build(recipe_from_name(project, "tiny"), project, BuildOptions(TARGETS), lambda _: nullcontext())


def version(project: Project) -> Path:
    return project.repository / "tiny" / "1"


@pytest.fixture
def copied(large: Project, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(large.root, tmp_path / "large")))


def test_version_holds_the_weights_and_the_passport_knows_them(large: Project) -> None:
    folder = version(large)
    assert DATA in {path.name for path in folder.iterdir()}
    assert passport_from_file(folder / MANIFEST).files[DATA] == sha256(folder / DATA)
    graph = onnx.load(str(folder / GRAPH), load_external_data=False).graph
    matrices = [item.data_location for item in graph.initializer if len(item.dims) == 2]
    assert matrices == [onnx.TensorProto.EXTERNAL] * 2


def test_graph_answers_from_the_version_alone(copied: Project) -> None:
    shutil.rmtree(copied.work)
    golden = golden_from_repository(Repository(copied.repository), "tiny")
    session = onnxruntime.InferenceSession(str(version(copied) / GRAPH), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["scores"], dict(golden.inputs))[0], golden.outputs["scores"], atol=5e-3)


def test_engine_is_compiled_from_the_version(copied: Project) -> None:
    (model,) = Repository(copied.repository).published(("tiny",))
    engine = add_engine(model, engine_target("tensorrt-rtx:sm120"), lambda _: nullcontext())
    assert engine.compiled
    assert engine.artefact is not None
    assert engine.artefact.precision == passport_from_file(version(copied) / MANIFEST).artefacts[1].precision


def test_lost_weights_are_noticed_and_come_back_from_the_cache(copied: Project) -> None:
    recipe = recipe_from_name(copied, "tiny")
    data_file(version(copied) / GRAPH).unlink()
    assert job_of(recipe, copied, BuildOptions(TARGETS)).missing == f"version 1 has lost {DATA}"
    report = run(copied)
    assert [stage.name for stage in report.stages if not stage.cached] == ["publish"]
    assert (copied.repository / "tiny" / "2" / DATA).is_file()


def test_damaged_weights_in_the_cache_are_made_again(copied: Project) -> None:
    shutil.rmtree(version(copied))
    (data,) = (copied.work / "cache" / "tiny" / "export").glob("*/model.onnx.data")
    data.write_bytes(b"0" * data.stat().st_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_files, "EXTERNAL_FROM_BYTES", 0)
        patch.setattr(onnx_files, "SMALLEST_BYTES", 64)
        report = run(copied)
    assert [stage.name for stage in report.stages if not stage.cached] == ["export", "publish"]
