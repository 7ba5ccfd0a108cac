"""MLServer: adaptive batching, and parallel inference with one worker process a core (docs.seldon.ai/mlserver).

Requests come over gRPC, the only one of its two protocols that carries raw bytes.
"""

import asyncio
import socket

from mlserver import MLServer, ModelSettings, Settings
from peer_model import Task, task_from_environment


async def serve(task: Task) -> None:
    """Serve until a signal."""
    settings = Settings(
        debug=False,
        host="127.0.0.1",
        grpc_port=task.port,
        http_port=free_port(),
        metrics_endpoint=None,
        parallel_workers=task.workers,
        load_models_at_startup=False,
    )
    model = ModelSettings(
        name=task.model,
        implementation="rows.Rows",
        max_batch_size=task.batch,
        max_batch_time=task.wait_ms / 1000,
    )
    await MLServer(settings).start([model])


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


if __name__ == "__main__":
    asyncio.run(serve(task_from_environment()))
