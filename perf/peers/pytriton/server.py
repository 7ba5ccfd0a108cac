"""PyTriton: Triton with Python functions bound to it (triton-inference-server.github.io/pytriton, Binding models).

A list of functions is the documentation's way to several instances, the dynamic batcher its way to batches.
"""

import os
import sysconfig
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from peer_model import Array, Model, Task, task_from_environment
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig
from tritonclient.utils import InferenceServerException

ATTEMPTS = 10
"""A second instance waits for the first for one second only, which a busy machine may need more of."""


def instance(task: Task) -> Callable[..., dict[str, Array]]:
    """One copy of the model, as PyTriton calls it."""
    model = Model(task)

    @batch
    def infer(**inputs: Array) -> dict[str, Array]:
        rows = inputs[task.input]
        return {task.output: model.run(rows)[: len(rows)]}

    return infer


def serve(task: Task) -> None:
    """Serve until a signal."""
    quiet = {"allow_grpc": False, "allow_metrics": False, "exit_timeout_secs": 2}
    batcher = DynamicBatcher(max_queue_delay_microseconds=round(task.wait_ms * 1000))
    config = TritonConfig(http_address="127.0.0.1", http_port=task.port, **quiet)
    # Its own default lies in the user's cache, and stays there when the server is killed.
    with Triton(config=config, workspace=Path(mkdtemp(dir=Path.cwd())) / "workspace") as triton:
        triton.bind(
            model_name=task.model,
            infer_func=[instance(task) for _ in range(task.workers)],
            inputs=[Tensor(name=task.input, dtype=np.dtype(task.dtype).type, shape=task.row)],
            outputs=[Tensor(name=task.output, dtype=np.float32, shape=task.answer)],
            config=ModelConfig(max_batch_size=task.batch, batcher=batcher),
        )
        triton.serve()


if __name__ == "__main__":
    # Triton's Python stubs must find the libpython of this very interpreter, not another one of the same minor version.
    paths = [sysconfig.get_config_var("LIBDIR"), os.environ.get("LD_LIBRARY_PATH")]
    os.environ["LD_LIBRARY_PATH"] = ":".join(filter(None, paths))
    for _ in range(ATTEMPTS):
        with suppress(InferenceServerException):
            serve(task_from_environment())
            break
