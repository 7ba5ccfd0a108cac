"""A real Triton on a repository of tiny models, for every test of the room."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from engineroom.operate.apply import Options
from engineroom.operate.control import Control, controls
from engineroom.operate.plan import Request
from engineroom.repository.layout import ModelFolder
from engineroom.serve.server import Server, ServerOptions, running

CPU = """\
# {name}: what this test serves
name: "{name}"
backend: "openvino"
default_model_filename: "model.xml"

max_batch_size: 4   # rows
dynamic_batching {{
  default_queue_policy {{
    max_queue_size: 64
  }}
}}

input {{ name: "x" data_type: TYPE_FP32 dims: [8] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [8] }}

instance_group {{
  count: 1
  kind: KIND_CPU
}}
"""

GPU = CPU.replace('backend: "openvino"', 'platform: "tensorrt_plan"').replace("KIND_CPU", "KIND_GPU")


@dataclass(frozen=True)
class Floor:
    """A running server, and what it serves."""

    server: Server
    model: ModelFolder

    @property
    def control(self) -> Control:
        return controls(self.model.path.parent, (), {})[0]

    @property
    def options(self) -> Options:
        return Options((self.control,), observe_s=0)


Publish = Callable[[Path, str], ModelFolder]


@pytest.fixture(scope="session")
def publish_served(publish_tiny: Callable[..., ModelFolder]) -> Publish:
    """Publishes a version of `tiny` that the embedded Triton serves, with both configurations."""

    def publish(repository: Path, name: str = "tiny") -> ModelFolder:
        model = publish_tiny(repository, name, on_cpu=True)
        (model.version(model.latest or 0) / "model.rtx-sm89.plan").unlink(missing_ok=True)
        model.config.write_text(GPU.format(name=name).replace("model.xml", "model.plan"))
        model.cpu_config.write_text(CPU.format(name=name))
        return model

    return publish


@pytest.fixture(scope="package")
def served(tmp_path_factory: pytest.TempPathFactory, publish_served: Publish) -> Iterator[Floor]:
    """One server for all tests of the room; use `floor`."""
    repository = tmp_path_factory.mktemp("served") / "model_repository"
    for _ in range(3):
        model = publish_served(repository, "tiny")
    with running(ServerOptions(repository)) as server:
        yield Floor(server, model)


@pytest.fixture
def floor(served: Floor) -> Iterator[Floor]:
    """The server with `tiny` as it was published: three versions, the newest served, no history."""
    yield served
    model = served.model
    loaded_other = (model.path / "history.jsonl").exists() or served.control.versions("tiny") != (model.latest,)
    for path in (*model.path.glob("*.jsonl"), *model.path.glob(".pending.json")):
        path.unlink()
    model.config.write_text(GPU.format(name="tiny").replace("model.xml", "model.plan"))
    model.cpu_config.write_text(CPU.format(name="tiny"))
    if loaded_other:
        served.control.load("tiny")


@pytest.fixture
def ask(floor: Floor) -> Callable[[], float]:
    """What `tiny` answers to ones: 2 for a right version."""

    def answer() -> float:
        with floor.control.client() as client:
            return float(client.infer("tiny", {"x": np.ones((1, 8), np.float32)})["y"][0, 0])

    return answer


@pytest.fixture
def request_() -> Request:
    """A change by nobody in particular."""
    return Request("apply", by="first@host", why="a test")
