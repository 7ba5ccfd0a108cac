"""Ray Serve: one replica a core, `serve.batch` in each (docs.ray.io, Serve: Dynamic request batching).

`RAY_SERVE_THROUGHPUT_OPTIMIZED` in the environment is the switch of the page Performance tuning. The blocking call runs
in a thread, so that the replica's event loop goes on gathering the next batch (Asyncio best practices).
"""

import asyncio

import ray
from peer_model import Model, task_from_environment
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

task = task_from_environment()


@serve.deployment(num_replicas=task.workers, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
class Rows:
    """Bytes of a tensor in, bytes of the answer out."""

    def __init__(self) -> None:
        self.model = Model(task)

    @serve.batch(max_batch_size=task.batch, batch_wait_timeout_s=task.wait_ms / 1000)
    async def infer(self, bodies: list[bytes]) -> list[bytes]:
        """Answer a batch."""
        return await asyncio.to_thread(self.model.answers, bodies)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        answer = await self.infer(await request.body())
        return Response(answer, media_type="application/octet-stream")


if __name__ == "__main__":
    ray.init(num_cpus=task.workers, include_dashboard=False, log_to_driver=False, object_store_memory=100 * 2**20)
    serve.start(http_options={"host": "127.0.0.1", "port": task.port})
    serve.run(Rows.bind(), route_prefix=task.path, blocking=True)
