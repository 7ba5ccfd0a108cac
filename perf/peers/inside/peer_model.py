"""The model in a peer's worker: rows in, rows out, on ONNX Runtime or on OpenVINO as our own backend runs it.

Runs inside every peer's environment: numpy, onnxruntime, openvino and the standard library. Nothing of ours is there.
"""

import importlib.util
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

VARIABLE = "ENGINEROOM_PEER"
"""Environment variable that holds a task as JSON; every process that a server starts inherits it."""


@dataclass(frozen=True)
class Task:
    """What a server is to serve, and how.

    Attributes:
        model: The model's name.
        runtime: `onnxruntime` or `openvino`.
        file: `model.onnx` in FP32, or `model.xml`.
        runner: The file of our OpenVINO backend that runs batches.
        precision: OpenVINO's own word: `bf16` or `f32`.
        input: Name of the input.
        output: Name of the output.
        dtype: Of the input.
        row: Shape of one row of the input.
        answer: Shape of one row of the output.
        port: Where to listen, on 127.0.0.1.
        workers: Copies of the model, each with an equal share of the cores.
        threads: That share.
        batch: Most rows of one inference.
        wait_ms: Longest wait for a batch to fill.
        slo_ms: What the 99th percentile of the latency must stay within.
    """

    model: str
    runtime: str
    file: str
    runner: str
    precision: str
    input: str
    output: str
    dtype: str
    row: tuple[int, ...]
    answer: tuple[int, ...]
    port: int
    workers: int
    threads: int
    batch: int
    wait_ms: float
    slo_ms: float

    @property
    def path(self) -> str:
        """Where requests go: Triton's own path, so that one generator knows every server."""
        return f"/v2/models/{self.model}/infer"


def task_from_environment() -> Task:
    """The task that the measuring side gave."""
    told: dict[str, Any] = json.loads(os.environ[VARIABLE])
    shapes: dict[str, Any] = {name: tuple(told.pop(name)) for name in ("row", "answer")}
    return Task(**told, **shapes)


class Model:
    """One copy of the model. One inference at a time.

    Args:
        task: What to load.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._run = (_on_openvino if task.runtime == "openvino" else _on_onnxruntime)(task)

    def run(self, rows: Array) -> Array:
        """Infer. The answer is valid until the next run.

        Args:
            rows: Shape (rows, ...).
        """
        answers: Array = self._run(rows)
        return answers

    def answers(self, bodies: Sequence[bytes]) -> list[bytes]:
        """Infer rows that came as bytes.

        Args:
            bodies: The tensor of one row each.
        """
        joined = bodies[0] if len(bodies) == 1 else b"".join(bodies)
        rows = np.frombuffer(joined, self.task.dtype).reshape(len(bodies), *self.task.row)
        return [row.tobytes() for row in self.run(rows)[: len(bodies)]]


def _on_onnxruntime(task: Task) -> Any:
    import onnxruntime

    # As many threads as the copy has cores, one operator after the other and every optimisation: the documentation's
    # advice where requests come in parallel (onnxruntime.ai, Performance > Thread management and Graph optimizations).
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(task.file, options, providers=["CPUExecutionProvider"])
    (name,) = (port.name for port in session.get_inputs())
    return lambda rows: session.run(None, {name: rows})[0]


def _on_openvino(task: Task) -> Any:
    import openvino

    # Our backend's own file, so that every server has the same fixed batch sizes, precision and threads as ours.
    spec = importlib.util.spec_from_file_location("engineroom_runner", Path(task.runner))
    assert spec is not None  # noqa: S101 - the file is in this repository
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    model = openvino.Core().read_model(task.file)
    properties = {
        "INFERENCE_NUM_THREADS": str(task.threads),
        "NUM_STREAMS": "1",
        "ENABLE_CPU_PINNING": "NO",
        "INFERENCE_PRECISION_HINT": task.precision,
    }
    inputs, outputs = ([port.get_any_name() for port in ports] for ports in (model.inputs, model.outputs))
    runner = module.Runner(model, inputs, outputs, properties)
    runner.prepare(task.batch)
    # OpenVINO shares memory only with arrays that may be written to, which bytes off the wire may not.
    return lambda rows: runner.run([[rows if rows.flags.writeable else rows.copy()]])[0]
