"""Real servers for the tests: the embedded Triton, installed once, and a factory of servers on free ports."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engineroom.repository.agreement import Limits
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, MANIFEST
from engineroom.repository.passport import Artefact, Passport, Profile
from engineroom.serve.embedded import EmbeddedServer, embedded_server
from engineroom.serve.install import install
from engineroom.serve.server import Server, ServerOptions, running

StartServer = Callable[..., Server]
"""`start_server(repository, *models, **fields of ServerOptions)`."""

TINY = """
backend: "openvino"
max_batch_size: 8
dynamic_batching {{ max_queue_delay_microseconds: {delay_us} }}
input {{ name: "a" data_type: TYPE_FP32 dims: [{width}] allow_ragged_batch: {ragged} }}
input {{ name: "b" data_type: TYPE_FP32 dims: [{width}] allow_ragged_batch: {ragged} }}
output [{{ name: "sum" data_type: TYPE_FP32 dims: [{width}] }}]
instance_group [{{ count: 1 kind: KIND_CPU }}]
"""


@pytest.fixture(scope="session")
def server_installation() -> EmbeddedServer:
    """The embedded server in the user's own cache: downloaded by the first run of the tests, reused by all others."""
    install(print)
    return embedded_server()


@pytest.fixture(scope="session")
def start_server(server_installation: EmbeddedServer) -> Iterator[StartServer]:
    """Starts servers that live until the end of the session; a test that ends its own uses `running`."""
    with ExitStack() as servers:

        def start(repository: Path, *models: str, **options: Any) -> Server:
            return servers.enter_context(running(ServerOptions(repository, models, **{"drain_s": 0, **options})))

        yield start


@pytest.fixture(scope="session")
def write_sum_model() -> Callable[..., Path]:
    """Writes `sum = a + b` as a published version; `width` -1 is a size that varies between requests."""

    def write(
        repository: Path,
        name: str = "adder",
        *,
        width: int = 4,
        proven: bool = True,
        error: float = 0.0,
        delay_us: int = 20_000,
    ) -> Path:
        import openvino as ov
        from openvino import opset13 as ops

        config = TINY.format(width=width, ragged=str(width < 0).lower(), delay_us=delay_us)
        version = repository / name / "1"
        version.mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(f'name: "{name}"' + config)
        terms = [ops.parameter([-1, width], np.float32, name=letter) for letter in "ab"]
        total = ops.add(*terms)
        for node, tensor in ((terms[0], "a"), (terms[1], "b"), (total, "sum")):
            node.output(0).get_tensor().set_names({tensor})
        ov.save_model(ov.Model([ops.result(total)], terms, name), version / "model.xml")
        if proven:
            a, b = np.ones((3, abs(width)), np.float32), np.full((3, abs(width)), 2, np.float32)
            np.savez(version / GOLDEN, **{"input.a": a, "input.b": b, "output.sum": a + b + np.float32(error)})
            (version / MANIFEST).write_text(_passport(name, version).to_json())
        return version

    return write


def _passport(name: str, version: Path) -> Passport:
    size_bytes, digest = sum(path.stat().st_size for path in version.glob("model.*")), sha256(version / "model.xml")
    companions = {"model.bin": sha256(version / "model.bin")}
    return Passport(
        model=name,
        fingerprint="0",
        built_at="2026-01-01T00:00:00Z",
        command=f"engineroom build {name}",
        profile=Profile("fp32", {}),
        limits={"sum": Limits(max_abs=1e-3)},
        libraries={},
        machine={},
        artefacts=(Artefact("model.xml", "openvino", size_bytes, digest, "openvino", 0.1, companions=companions),),
    )
