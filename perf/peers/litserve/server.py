"""LitServe: batching in the API, one worker process a core (lightning.ai/docs/litserve, Batching and LitServer).

`fast_queue` is the documentation's switch for high throughput: ZeroMQ instead of a manager's queues. The endpoint reads
the body by a FastAPI dependency, because LitServe's own requests are JSON or forms.
"""

from typing import Annotated

import litserve
from fastapi import Depends, Request, Response
from peer_model import Model, task_from_environment

task = task_from_environment()


async def body_of(request: Request) -> bytes:
    """The request's bytes."""
    return await request.body()


class Rows(litserve.LitAPI):
    """Bytes of a tensor in, bytes of the answer out."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's own signature
        """Load the model, in every worker."""
        self.model = Model(task)

    def decode_request(self, request: Annotated[bytes, Depends(body_of)]) -> bytes:
        """What the endpoint has read."""
        return request

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """The batch as it is: the model joins it."""
        return inputs

    def predict(self, x: list[bytes]) -> list[bytes]:
        """Answer a batch."""
        return self.model.answers(x)

    def unbatch(self, output: list[bytes]) -> list[bytes]:
        """One answer a request."""
        return output

    def encode_response(self, output: bytes) -> Response:
        """The answer as it is."""
        return Response(output, media_type="application/octet-stream")


if __name__ == "__main__":
    api = Rows(max_batch_size=task.batch, batch_timeout=task.wait_ms / 1000, api_path=task.path)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=task.workers, fast_queue=True)
    server.run(host="127.0.0.1", port=task.port, num_api_servers=1, log_level="warning", generate_client_file=False)
