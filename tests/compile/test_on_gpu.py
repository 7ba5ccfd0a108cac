"""What only a GPU with TensorRT can show: the engine itself, compiled, proven and served."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from engineroom.compile.targets.tensorrt import installed
from engineroom.hardware import has_gpu
from engineroom.project import Project
from engineroom.repository.layout import GOLDEN, MANIFEST, Repository
from engineroom.repository.passport import passport_from_file

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not has_gpu(), reason="no NVIDIA GPU in this machine"),
    pytest.mark.skipif(not installed("tensorrt"), reason="TensorRT's Python module is not installed"),
]


@pytest.mark.parametrize("name", ["digits", "efficientnet_lite0", "minilm"])
def test_engine_is_compiled_and_answers_as_the_module(name: str, tmp_path: Path) -> None:
    """The pipeline itself proves the engine: a version that is published has been run on this GPU."""
    for folder in ("build", "src"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    done = subprocess.run(
        [sys.executable, "-m", "engineroom", "build", name, "--target", "tensorrt", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["version"] == 1
    version = Repository(Project(tmp_path).repository).model(name).version(1)
    artefact = passport_from_file(version / MANIFEST).artefact("tensorrt")
    assert artefact is not None
    assert artefact.parity[0].runner.startswith("tensorrt")
    assert artefact.precision["HALF"] > artefact.precision.get("FLOAT", 0)


def test_engine_is_served(tmp_path: Path) -> None:
    """In the GPU container, Triton's own TensorRT backend answers the golden input through the wire."""
    from engineroom.client import Client
    from engineroom.serve.server import ServerOptions, running
    from engineroom.serve.triton import container_binary

    if container_binary() is None:
        pytest.skip("no tritonserver with a TensorRT backend on this machine: run this in the GPU container")
    (tmp_path / "build").symlink_to(ROOT / "build")
    subprocess.run(
        [sys.executable, "-m", "engineroom", "build", "digits", "--target", "tensorrt"], cwd=tmp_path, check=True
    )
    golden = np.load(tmp_path / "model_repository" / "digits" / "1" / GOLDEN)
    with running(ServerOptions(tmp_path / "model_repository")) as server, Client(f"grpc://{server.grpc}") as client:
        answer = client.infer("digits", {"image": golden["input.image"]})
    np.testing.assert_allclose(answer["probabilities"], golden["output.probabilities"], atol=0.05)
