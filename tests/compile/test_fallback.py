"""Models that the real TensorRT for RTX refuses, published on Triton's ONNX Runtime backend; and engines that stay."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engineroom.compile import record
from engineroom.compile.fallback import OnnxRuntime, joined
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.record import held_targets, kept_engines
from engineroom.compile.report import BuildReport
from engineroom.compile.targets.onnx_runtime import runner_from_onnx
from engineroom.errors import CompileError, GraphRefused, RepositoryError
from engineroom.project import Project
from engineroom.repository.config import config_from_file
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Parity, Passport, passport_from_file
from engineroom.repository.place import Place
from engineroom.repository.preflight import preflight

RTX = "tensorrt-rtx:sm89"
FORWARD = "return self.last(torch.relu(self.first(x)))"
REFUSED = "y = torch.relu(self.first(x)); return self.last(y + (x.to(torch.int32) & 3))"
"""TensorRT for RTX 1.7 has no BitwiseAnd."""


def edit(project: Project, old: str, new: str) -> None:
    path = project.recipes / "tiny.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def run(project: Project, *targets: str, fallback: str = "onnxruntime", force: bool = False) -> BuildReport:
    wanted = BuildOptions(targets or (RTX,), fallback=fallback, force=force)
    return build(recipe_from_name(project, "tiny"), project, wanted, lambda _: nullcontext())


def tiny(project: Project) -> ModelFolder:
    return ModelFolder(project.repository / "tiny")


def passport(project: Project, version: int) -> Passport:
    return passport_from_file(tiny(project).version(version) / MANIFEST)


@pytest.fixture
def refused(tiny_project: Project) -> Project:
    edit(tiny_project, FORWARD, REFUSED)
    return tiny_project


def test_refused_model_is_published_on_onnx_runtime_and_goes_back_when_it_is_taken(refused: Project) -> None:
    model, before = tiny(refused), tiny(refused).config.read_text()
    report = run(refused, RTX, "tensorrt-rtx:sm80", "openvino")

    words = r"tensorrt_rtx 1.7.1.116 does not take this graph: node_bitwise_and (BitwiseAnd): UNSUPPORTED_NODE"
    compiled = next(stage for stage in report.stages if stage.name == f"compile {RTX}")
    assert f"{words}. The graph is served by ONNX Runtime instead. Lost is TensorRT's speed: no engine" in compiled.note
    assert report.stages[-1].note.splitlines()[3:] == [
        '-platform: "tensorrt_plan"',
        '-default_model_filename: "model.plan"',
        '+backend: "onnxruntime"  # tensorrt-rtx refuses the model: --fallback onnxruntime',
        f'+default_model_filename: "{GRAPH}"',
    ]

    known = passport(refused, 2)
    graph, openvino = known.artefacts
    assert (graph.target, graph.file, openvino.target) == ("onnxruntime", GRAPH, "openvino")
    assert graph.instead_of == {RTX: words, "tensorrt-rtx:sm80": words}
    assert graph.sha256 == sha256(model.version(2) / GRAPH)
    assert graph.proven == ("fp16",)

    config = config_from_file(model.config)
    assert (config.platform, config.backend, config.default_model_filename) == ("", "onnxruntime", GRAPH)
    with np.load(model.version(2) / GOLDEN) as golden:
        served = runner_from_onnx(model.version(2) / config.default_model_filename).answer({"x": golden["input.x"]})
        np.testing.assert_allclose(served["scores"], golden["output.scores"], atol=0.01)
    assert preflight(model, Place("sm90")).sentence == "tiny: version 2 loads on sm90."

    assert run(refused, RTX) == BuildReport("tiny", 2, up_to_date=True)
    edit(refused, REFUSED, FORWARD)
    assert run(refused, RTX).version == 3
    assert model.config.read_text() == before


def test_without_the_option_the_refusal_names_it_and_nothing_changes(refused: Project) -> None:
    with pytest.raises(GraphRefused, match=r"BitwiseAnd.* engineroom build --fallback onnxruntime$"):
        run(refused, fallback="")
    assert tiny(refused).versions == (1,)


def test_fallback_of_a_build_is_not_up_to_date_without_the_option(refused: Project) -> None:
    run(refused)
    with pytest.raises(GraphRefused):
        run(refused, fallback="")
    assert tiny(refused).versions == (1, 2)


def test_model_that_is_taken_needs_no_fallback(tiny_project: Project) -> None:
    before = tiny(tiny_project).config.read_text()
    assert run(tiny_project, force=True).version == 2
    assert [one.target for one in passport(tiny_project, 2).artefacts] == [RTX, "openvino"]
    assert tiny(tiny_project).config.read_text() == before


def test_configuration_that_cannot_be_edited_stops_the_build_before_it_publishes(refused: Project) -> None:
    config = tiny(refused).config
    config.write_text(config.read_text().replace("model.plan", "mine.plan"))
    before = config.read_text()
    with pytest.raises(RepositoryError, match=r"config\.pbtxt: names mine\.plan, .* For ONNX Runtime, write backend: "):
        run(refused)
    assert (tiny(refused).versions, config.read_text()) == ((1,), before)


def test_configuration_is_mended_where_a_kill_left_it_with_tensorrt(refused: Project) -> None:
    config = tiny(refused).config
    before = config.read_text()
    run(refused)
    after = config.read_text()
    config.write_text(before)
    (mended,) = run(refused).stages
    assert '+backend: "onnxruntime"' in mended.note
    assert config.read_text() == after


def test_output_of_a_shape_that_the_backend_refuses_is_told(tiny_project: Project) -> None:
    recipe = recipe_from_name(tiny_project, "tiny")
    wider = replace(recipe, outputs=(replace(recipe.outputs[0], dims=(5,), labels=None),))
    graph = tiny(tiny_project).version(1) / GRAPH
    with pytest.raises(CompileError, match=r"output 'scores' is \(-1, 4\), and Triton's .* wants \(-1, 5\) "):
        OnnxRuntime().compile(graph, wider, graph.parent)


def test_one_file_stands_in_for_every_target_that_was_refused() -> None:
    one = Artefact(GRAPH, "onnxruntime", 4, "ab", "onnxruntime", 0.1, instead_of={"tensorrt": "no"})
    two = replace(one, instead_of={RTX: "never"})
    (both,) = joined((one, two))
    assert both.instead_of == {"tensorrt": "no", RTX: "never"}


L4, H200 = "NVIDIA L4, compute capability 8.9", "NVIDIA H200, compute capability 9.0"
PROOF = Parity("tensorrt", (1,), 0.0, 0.0, 1.0)


def add_engine(model: ModelFolder, device: str) -> Path:
    """An engine of the latest version, as its own machine would have built it."""
    version = model.version(model.versions[-1])
    name = f"model.sm{device[-3:].replace('.', '')}.plan"
    (version / name).write_bytes(device.encode())
    size_bytes, digest = len(device), sha256(version / name)
    engine = Artefact(name, "tensorrt", size_bytes, digest, "tensorrt 11.4", 0.1, parity=(PROOF,), device=device)
    known = passport_from_file(version / MANIFEST)
    (version / MANIFEST).write_text(replace(known, artefacts=(*known.artefacts, engine)).to_json())
    return version / name


def test_engines_for_other_gpus_outlive_a_build_of_the_same_graph(tiny_project: Project) -> None:
    add_engine(tiny(tiny_project), L4)
    add_engine(tiny(tiny_project), H200)
    run(tiny_project, "openvino", force=True)
    known = passport(tiny_project, 2)
    assert [one.file for one in known.artefacts if one.target == "tensorrt"] == ["model.sm89.plan", "model.sm90.plan"]
    assert (tiny(tiny_project).version(2) / "model.sm90.plan").read_bytes() == H200.encode()
    config = config_from_file(tiny(tiny_project).config)
    assert dict(config.cc_model_filenames) == {"8.9": "model.sm89.plan", "9.0": "model.sm90.plan"}
    assert preflight(tiny(tiny_project), Place(H200)).loads


@pytest.mark.parametrize("change", ["graph", "build", "damage"])
def test_engine_of_another_graph_or_build_or_a_damaged_one_is_not_kept(
    tmp_path: Path, publish_tiny: Any, change: str
) -> None:
    model = publish_tiny(tmp_path)
    plan, graph = add_engine(model, H200), model.version(1) / GRAPH
    assert list(kept_engines(model, "mark", graph, ())) == [plan]
    if change == "graph":
        graph = tmp_path / "other.onnx"
        graph.write_bytes(b"another graph")
    if change == "damage":
        plan.write_bytes(b"half")
    assert kept_engines(model, "other" if change == "build" else "mark", graph, ()) == {}


@pytest.mark.parametrize(("gpu", "held"), [(H200, {"openvino", "tensorrt"}), (L4, {"openvino"}), ("", {"openvino"})])
def test_engine_for_another_gpu_is_no_reason_to_build_none_for_this_one(
    tmp_path: Path, publish_tiny: Any, monkeypatch: pytest.MonkeyPatch, gpu: str, held: set[str]
) -> None:
    model = publish_tiny(tmp_path)
    add_engine(model, H200)
    monkeypatch.setattr(record, "gpus", lambda: (gpu,) if gpu else ())
    assert held_targets(passport_from_file(model.version(1) / MANIFEST), "") == held
