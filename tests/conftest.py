"""What tests of several rooms share: the three real models built, a tiny one, and one published in an instant."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from counterparts import programs

from engineroom.cli import main
from engineroom.project import Project
from engineroom.repository.agreement import Limits
from engineroom.repository.files import exclusive, sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder, Repository
from engineroom.repository.passport import Artefact, Parity, Passport, Profile

Run = Callable[..., tuple[int, str, str]]
"""`engineroom("build", "tiny")`: exit status, standard output, standard error."""

PublishTiny = Callable[..., ModelFolder]
"""`publish_tiny(repository, name="tiny", precision="fp16", on_cpu=False)`."""

Counterpart = Callable[[str], Path]
"""`counterpart("mlflow")`: the folder of its programs."""

CONFIG = """
name: "{name}"
platform: "tensorrt_plan"
max_batch_size: 4
input {{ name: "x" data_type: TYPE_FP32 dims: [8] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [8] }}
"""


ROOT = Path(__file__).parents[1]


# A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def built() -> Repository:
    """The project's own model repository with the latest build of the three real recipes in it.

    Each has artefacts for `openvino` and `tensorrt-rtx:sm89`. A build that is up to date takes seconds; the first one
    takes a minute. Read it, serve it, and leave it as it is.
    """
    command = [sys.executable, "-m", "engineroom", "build", "--target", "openvino", "--target", "tensorrt-rtx:sm89"]
    with exclusive(ROOT / ".tools" / "build.lock"):  # Tests may run in several processes.
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=560, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Repository(ROOT / "model_repository")


@pytest.fixture(scope="module")
def own_ports() -> Iterator[None]:
    """Triton's own ports (8000 to 8002), which one process of the tests at a time can have."""
    with exclusive(ROOT / ".tools" / "ports.lock"):
        yield


@pytest.fixture(scope="session")
def tiny_built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with `recipes/tiny.py` in it, built once for `openvino` and `tensorrt-rtx:sm89`. Leave it as it is."""
    from engineroom.compile.options import BuildOptions
    from engineroom.compile.pipeline import build
    from engineroom.compile.recipes import recipe_from_name

    project = Project(tmp_path_factory.mktemp("tiny"))
    project.recipes.mkdir()
    shutil.copy(ROOT / "tests" / "recipes" / "tiny.py", project.recipes)
    options = BuildOptions(("openvino", "tensorrt-rtx:sm89"), command="engineroom build tiny --target openvino")
    build(recipe_from_name(project, "tiny"), project, options, lambda _: nullcontext())
    return project


@pytest.fixture
def engineroom(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: exit status, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["engineroom", *words])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def counterpart() -> Counterpart:
    """Gives the programs of an environment that does not fit beside the toolchain, made once."""
    return programs


@pytest.fixture
def tiny_project(tiny_built: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the built project, for one test to do with as it likes; commands find it by themselves."""
    project = Project(tmp_path / "project")
    shutil.copytree(tiny_built.root, project.root)
    monkeypatch.setenv("ENGINEROOM_PROJECT", str(project.root))
    return project


@pytest.fixture(scope="session")
def publish_tiny() -> PublishTiny:
    """Publishes `y = relu(relu(x) * 2)` in FP16: a graph, a manifest with one proven artefact, and a golden answer.

    Only with `on_cpu` is that artefact real, and can be served.
    """

    def publish(repository: Path, name: str = "tiny", precision: str = "fp16", on_cpu: bool = False) -> ModelFolder:
        model = ModelFolder(repository / name)
        version = model.version((model.latest or 0) + 1)
        version.mkdir(parents=True)
        model.config.write_text(CONFIG.format(name=name))
        _write_graph(version / GRAPH, precision)
        x = np.arange(16, dtype=np.float32).reshape(2, 8)
        np.savez(version / GOLDEN, **{"input.x": x, "output.y": 2 * x})
        if on_cpu:
            _write_cpu(model, version)
        else:
            (version / "model.xml").write_text("")
        (version / MANIFEST).write_text(_passport(name, version).to_json())
        return model

    return publish


def _write_graph(path: Path, precision: str) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind, dtype = (TensorProto.FLOAT16, np.float16) if precision == "fp16" else (TensorProto.FLOAT, np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["cast"], to=kind),
        helper.make_node("Relu", ["cast"], ["first"]),
        helper.make_node("MatMul", ["first", "weight"], ["product"]),
        helper.make_node("Relu", ["product"], ["second"]),
        helper.make_node("Cast", ["second"], ["y"], to=TensorProto.FLOAT),
    ]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in "xy")
    weight = numpy_helper.from_array(2 * np.eye(8, dtype=dtype), "weight")
    graph = helper.make_graph(nodes, "tiny", [x], [y], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)


def _write_cpu(model: ModelFolder, version: Path) -> None:
    import openvino

    openvino.save_model(openvino.convert_model(version / GRAPH), version / "model.xml")
    model.cpu_config.parent.mkdir(exist_ok=True)
    model.cpu_config.write_text(
        CONFIG.format(name=model.name).replace('platform: "tensorrt_plan"', 'backend: "openvino"')
    )


def _passport(name: str, version: Path) -> Passport:
    proof = Parity("openvino f32", (1, 4), 0.0, 0.0, 1.0)
    size_bytes, digest = sum(path.stat().st_size for path in version.glob("model.[xb]*")), sha256(version / "model.xml")
    openvino = Artefact(
        "model.xml", "openvino", size_bytes, digest, "openvino 2026.4.1", 0.1, proven=("f32",), parity=(proof,),
        companions={path.name: sha256(path) for path in version.glob("model.bin")},
    )  # fmt: skip
    return Passport(
        model=name,
        fingerprint="mark",
        built_at="2026-01-01T00:00:00+00:00",
        command=f"engineroom build {name}",
        profile=Profile("fp16", {"x": ((1, 8), (2, 8), (4, 8))}),
        limits={"y": Limits(max_abs=0.05)},
        libraries={},
        machine={},
        artefacts=(openvino,),
        files={name: sha256(version / name) for name in (GRAPH, GOLDEN)},
    )
