"""Engines added to published versions, compiled for real by TensorRT for RTX, which needs no GPU for that."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engineroom.compile import engines
from engineroom.compile.engines import STAGING, Engine, add_engine, engine_target
from engineroom.compile.fallback import OnnxRuntime
from engineroom.compile.options import BuildOptions
from engineroom.compile.pipeline import build
from engineroom.compile.recipes import recipe_from_name
from engineroom.compile.record import held_targets
from engineroom.compile.targets import tensorrt
from engineroom.compile.targets.gpu import Gpu
from engineroom.compile.targets.tensorrt import TensorRT
from engineroom.errors import CompileError, RepositoryError
from engineroom.project import Project
from engineroom.repository.config import config_from_file
from engineroom.repository.files import sha256
from engineroom.repository.layout import GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Passport, passport_from_file
from engineroom.repository.place import Place
from engineroom.repository.preflight import preflight
from engineroom.repository.wiring import rewire

TARGET = "tensorrt-rtx:sm89"
PLAN = "model.rtx-sm89.plan"


@pytest.fixture
def model(tmp_path: Path, publish_tiny: Any) -> ModelFolder:
    published: ModelFolder = publish_tiny(tmp_path / "models")
    return published


@pytest.fixture(scope="module")
def target() -> TensorRT:
    return engine_target(TARGET)


def add(model: ModelFolder, target: TensorRT, *, force: bool = False) -> Engine:
    return add_engine(model, target, lambda _: nullcontext(), force=force)


def passport(model: ModelFolder) -> Passport:
    return passport_from_file(model.version(1) / MANIFEST)


def rewrite(model: ModelFolder, **changes: Any) -> None:
    """Change what the manifest says of the engine."""
    known = passport(model)
    changed = tuple(replace(one, **changes) if one.target == TARGET else one for one in known.artefacts)
    (model.version(1) / MANIFEST).write_text(replace(known, artefacts=changed).to_json())


def test_missing_engine_is_compiled_and_recorded(model: ModelFolder, target: TensorRT) -> None:
    stages = []

    @contextmanager
    def watch(stage: str) -> Iterator[None]:
        stages.append(stage)
        yield

    engine = add_engine(model, target, watch)
    assert (engine.compiled, engine.reason, stages) == (True, "missing", [f"compile {PLAN} (missing)"])
    plan, artefact = model.version(1) / PLAN, passport(model).artefact(TARGET)
    assert artefact == engine.artefact
    assert artefact is not None
    assert artefact.built_with.startswith("tensorrt_rtx ")
    assert (artefact.size_bytes, artefact.sha256) == (plan.stat().st_size, sha256(plan))
    assert artefact.precision["HALF"] > artefact.precision.get("FLOAT", 0)
    assert (artefact.proven, artefact.parity, artefact.device) == ((), (), "")
    assert passport(model).artefact("openvino") is not None
    assert not (model.path / STAGING).exists()


def test_fitting_engine_is_left_alone_unless_forced(model: ModelFolder, target: TensorRT) -> None:
    add(model, target)
    before = (model.version(1) / PLAN).stat().st_mtime_ns
    assert add(model, target).reason == "up to date"
    assert (model.version(1) / PLAN).stat().st_mtime_ns == before
    assert add(model, target, force=True).compiled
    assert (model.version(1) / PLAN).stat().st_mtime_ns > before
    assert [one.target for one in passport(model).artefacts] == ["openvino", TARGET]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"built_with": "tensorrt_rtx 1.6.0.1"}, r"made by TensorRT 1\.6\.0\.1, not 1\.7\."),
        ({"sha256": "0"}, "not the file that the manifest describes"),
    ],
    ids=["another TensorRT", "another file"],
)
def test_engine_that_does_not_fit_here_is_compiled_again(
    model: ModelFolder, target: TensorRT, changes: dict[str, str], reason: str
) -> None:
    add(model, target)
    rewrite(model, **changes)
    engine = add(model, target)
    assert engine.compiled
    assert re.match(reason, engine.reason)
    assert add(model, target).reason == "up to date"


def test_plan_that_was_deleted_is_compiled_again(model: ModelFolder, target: TensorRT) -> None:
    add(model, target)
    (model.version(1) / PLAN).unlink()
    assert add(model, target).reason == "missing"


def killed(model: ModelFolder, at: str) -> None:
    """Add the engine in a process that dies, as by SIGKILL, where it would call `at`."""
    code = f"""
import os
from contextlib import nullcontext
from pathlib import Path
from engineroom.compile import engines
from engineroom.repository.layout import ModelFolder

target = engines.engine_target({TARGET!r})
engines.{at} = lambda *_: os._exit(9)
engines.add_engine(ModelFolder(Path({str(model.path)!r})), target, lambda _: nullcontext())
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9


@pytest.mark.parametrize("at", ["plan_from_onnx", "sync_file", "sync_folder", "write_atomically"])
def test_kill_leaves_a_version_that_is_served_and_compiled_again(model: ModelFolder, target: TensorRT, at: str) -> None:
    before = passport(model)
    killed(model, at)
    assert passport(model) == before
    assert model.versions == (1,)
    assert (model.version(1) / PLAN).exists() == (at in ("sync_folder", "write_atomically"))
    assert add(model, target).reason == "missing"
    assert not (model.path / STAGING).exists()
    assert add(model, target).reason == "up to date"


def test_processes_that_add_the_same_engine_take_turns(model: ModelFolder) -> None:
    command = [sys.executable, "-m", "engineroom", "models", "engines", "--json", "--target", TARGET]
    command += ["--repository", str(model.path.parent)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    told = [json.loads(process.communicate(timeout=120)[0])[0] for process in both]
    assert sorted(one["reason"] for one in told) == ["missing", "up to date"]


def test_full_disk_leaves_the_version_as_it_was(
    model: ModelFolder, target: TensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(model.path / STAGING / PLAN))

    before = passport(model)
    monkeypatch.setattr(engines, "plan_from_onnx", full)
    with pytest.raises(RepositoryError, match=r"tiny: cannot write .*No space left.* Version 1 stays published"):
        add(model, target)
    assert passport(model) == before
    assert not (model.path / STAGING).exists()


def test_graph_that_is_not_fp16_is_refused(tmp_path: Path, publish_tiny: Any, target: TensorRT) -> None:
    model = publish_tiny(tmp_path, precision="fp32")
    with pytest.raises(CompileError, match="precision fp16 was asked for"):
        add(model, target)
    assert not (model.version(1) / PLAN).exists()


def test_version_without_a_graph_says_how_to_get_one(model: ModelFolder, target: TensorRT) -> None:
    (model.version(1) / GRAPH).unlink()
    with pytest.raises(RepositoryError, match=r"tiny: .* has no model.graph.onnx .* engineroom build tiny"):
        add(model, target)


@pytest.mark.parametrize("content", [b"", b"not a graph", None], ids=["empty", "text", "half"])
def test_graph_that_is_not_the_manifests_is_not_compiled(
    model: ModelFolder, target: TensorRT, content: bytes | None
) -> None:
    graph, before = model.version(1) / GRAPH, passport(model)
    graph.write_bytes(graph.read_bytes()[:50] if content is None else content)
    with pytest.raises(
        RepositoryError, match=r"model\.graph\.onnx is not the file that the manifest describes.*build tiny --force"
    ):
        add(model, target)
    assert passport(model) == before
    assert not (model.path / STAGING).exists()


def test_version_whose_graph_is_served_needs_no_engine(model: ModelFolder, target: TensorRT) -> None:
    """A container starts all the same where a build has put the model on ONNX Runtime."""
    known, words = passport(model), "tensorrt 11.4 does not take this graph: the_det (Det): UNSUPPORTED_NODE"
    graph = Artefact(GRAPH, "onnxruntime", 4, "", "onnxruntime", 0.1, instead_of={"tensorrt": words})
    (model.version(1) / MANIFEST).write_text(replace(known, artefacts=(graph,)).to_json())
    rewire(model, (graph,))
    engine = add(model, target)
    assert (engine.compiled, engine.artefact) == (False, None)
    assert engine.reason == f"config.pbtxt gives it to ONNX Runtime, because {words}"
    assert add(model, target, force=True).compiled


def test_model_of_another_kind_is_skipped_with_the_reason(model: ModelFolder, target: TensorRT) -> None:
    (model.version(1) / MANIFEST).unlink()
    engine = add(model, target)
    assert (engine.compiled, engine.artefact) == (False, None)
    assert engine.reason == "not built by engineroom: it has no manifest.json"


def test_engine_added_here_is_not_asked_of_the_next_build(model: ModelFolder, target: TensorRT) -> None:
    """A build repeats what the same build made before; it may run where this engine cannot be compiled."""
    add(model, target)
    assert held_targets(passport(model), "") == {"openvino"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openvino", "target 'openvino' has no engines. Use --target tensorrt"),
        ("tensorrt-rtx:sm90", "target 'tensorrt-rtx:sm90' is unknown: TensorRT for RTX .* compiles for sm75"),
        ("cuda", "target 'cuda' is unknown"),
    ],
)
def test_target_without_engines_is_refused(name: str, message: str) -> None:
    with pytest.raises(CompileError, match=message):
        engine_target(name)


L4, L40, H200 = Gpu("NVIDIA L4", "8.9"), Gpu("NVIDIA L40", "8.9"), Gpu("NVIDIA H200", "9.0")


@pytest.mark.parametrize(
    ("nodes", "shown", "message"),
    [
        (False, (), "no NVIDIA GPU is visible here. Give the container one: docker run --gpus all"),
        (True, (), "its driver shows none to this process. Run nvidia-smi"),
        (True, (L4, H200, L4), r"this machine has: NVIDIA H200, compute capability 9\.0; NVIDIA L4, .*CUDA_VISIBLE"),
    ],
    ids=["no GPU", "broken driver", "two kinds"],
)
def test_machine_that_no_engine_can_be_compiled_on(
    monkeypatch: pytest.MonkeyPatch, nodes: bool, shown: tuple[Gpu, ...], message: str
) -> None:
    monkeypatch.setattr(engines, "has_gpu", lambda: nodes)
    monkeypatch.setattr(engines, "gpus", lambda: shown)
    with pytest.raises(CompileError, match=message):
        engine_target("tensorrt")


@pytest.fixture(params=["tensorrt-10.16", "tensorrt-11.4"])
def on_gpu(
    request: pytest.FixtureRequest, tensorrt_double: Any, as_tensorrt: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Gpu | None], Any]:
    """Makes this a machine with one kind of GPU, or with one that the driver does not name, and a TensorRT."""
    double = as_tensorrt(tensorrt_double.double(request.param))
    monkeypatch.setattr(engines, "load", lambda _: double)

    def machine(gpu: Gpu | None) -> Any:
        for module in (engines, tensorrt):
            monkeypatch.setattr(module, "has_gpu", lambda: True)
            monkeypatch.setattr(module, "gpus", lambda: (gpu,) if gpu else ())
        return double

    return machine


def test_engines_for_several_gpus_live_in_one_version_and_are_named(model: ModelFolder, on_gpu: Any) -> None:
    """What node B needs is made beside what node A has, and Triton finds each by its compute capability."""
    double, before = on_gpu(L4), model.config.read_text()
    first = add(model, engine_target("tensorrt"))
    assert first.artefact is not None
    assert (first.artefact.file, first.artefact.device) == ("model.sm89.plan", str(L4))
    assert first.artefact.built_with == f"tensorrt {double.__version__}"
    assert first.wiring == 'config.pbtxt: + cc_model_filenames { key: "8.9" value: "model.sm89.plan" }'
    on_gpu(H200)
    second = add(model, engine_target("tensorrt"))
    assert (second.reason, second.wiring.rpartition("+ ")[2]) == (
        "missing", 'cc_model_filenames { key: "9.0" value: "model.sm90.plan" }',
    )  # fmt: skip
    assert [(one.target, one.capability) for one in passport(model).artefacts] == [
        ("openvino", ""), ("tensorrt", "sm89"), ("tensorrt", "sm90"),
    ]  # fmt: skip
    config = config_from_file(model.config)
    assert dict(config.cc_model_filenames) == {"8.9": "model.sm89.plan", "9.0": "model.sm90.plan"}
    assert model.config.read_text().startswith(before)
    for gpu in (L4, H200):
        on_gpu(gpu)
        assert (add(model, engine_target("tensorrt")).reason, preflight(model, Place(str(gpu))).loads) == (
            "up to date", True,
        )  # fmt: skip
    assert not preflight(model, Place("sm120")).loads


def test_builds_on_two_nodes_leave_both_engines_in_the_newest_version(
    tiny_project: Project, on_gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in's engines are proven by their graph, as on a machine without the GPU."""
    monkeypatch.setattr(TensorRT, "runners", lambda _, *arguments: OnnxRuntime().runners(*arguments))
    model, rtx = ModelFolder(tiny_project.repository / "tiny"), import_module("tensorrt_rtx")
    recipe, wanted = recipe_from_name(tiny_project, "tiny"), BuildOptions(("tensorrt",))
    for version, gpu in ((2, L4), (3, H200)):
        double = on_gpu(gpu)
        monkeypatch.setattr(tensorrt, "load", {"tensorrt": double, "tensorrt-rtx": rtx}.__getitem__)
        report = build(recipe, tiny_project, wanted, lambda _: nullcontext())
        assert (report.version, report.up_to_date) == (version, False)
        line = f'+cc_model_filenames {{ key: "{gpu.capability}" value: "{plan(gpu)}" }}'
        assert report.stages[-1].note.splitlines()[-1] == line
    assert all(preflight(model, Place(str(gpu))).loads for gpu in (L4, H200))
    assert {one.file for one in passport_from_file(model.version(3) / MANIFEST).artefacts} == {
        plan(L4), plan(H200), "model.xml", PLAN,
    }  # fmt: skip
    assert build(recipe, tiny_project, wanted, lambda _: nullcontext()).up_to_date


def plan(gpu: Gpu) -> str:
    return f"model.sm{gpu.capability.replace('.', '')}.plan"


def test_engine_is_made_anew_for_another_model_of_the_same_capability(model: ModelFolder, on_gpu: Any) -> None:
    on_gpu(L4)
    add(model, engine_target("tensorrt"))
    on_gpu(L40)
    moved = add(model, engine_target("tensorrt"))
    assert moved.reason == f"made on {L4}, not {L40}"
    assert [one.device for one in passport(model).artefacts] == ["", str(L40)]


def test_gpu_that_the_driver_does_not_name_gets_the_default_engine(
    model: ModelFolder, on_gpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu(None)
    monkeypatch.setattr(engines, "_check_gpu", lambda: None)
    before = model.config.read_text()
    engine = add(model, engine_target("tensorrt"))
    assert engine.artefact is not None
    assert (engine.artefact.file, engine.artefact.capability, engine.wiring) == ("model.plan", "", "")
    assert model.config.read_text() == before
    assert add(model, engine_target("tensorrt")).reason == "up to date"


def test_engine_that_is_there_is_named_where_a_kill_left_it_unnamed(model: ModelFolder, on_gpu: Any) -> None:
    on_gpu(H200)
    before = model.config.read_text()
    add(model, engine_target("tensorrt"))
    named = model.config.read_text()
    model.config.write_text(before)
    assert not preflight(model, Place(str(H200))).loads
    again = add(model, engine_target("tensorrt"))
    assert (again.compiled, again.wiring != "") == (False, True)
    assert model.config.read_text() == named


def test_operators_own_entry_is_left_and_reported(model: ModelFolder, on_gpu: Any) -> None:
    on_gpu(H200)
    own = model.config.read_text() + 'cc_model_filenames { key: "9.0" value: "mine.plan" }  # tuned by hand'
    model.config.write_text(own)
    engine = add(model, engine_target("tensorrt"))
    assert engine.wiring == "config.pbtxt names mine.plan for compute capability 9.0, so model.sm90.plan is not served"
    assert model.config.read_text() == own


def test_plan_for_rtx_is_not_named_to_triton(model: ModelFolder, target: TensorRT) -> None:
    """Triton's TensorRT backend does not read that format."""
    before = model.config.read_text()
    assert add(model, target).wiring == ""
    assert model.config.read_text() == before
