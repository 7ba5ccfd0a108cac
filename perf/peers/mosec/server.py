"""mosec: an HTTP server in Rust that batches, and worker processes (mosecorg.github.io/mosec, Worker and Interface).

The documentation's `deserialize` and `serialize` are overridden, so that bytes stay bytes instead of JSON.
"""

import sys

import mosec
from peer_model import Model, task_from_environment

task = task_from_environment()


class Rows(mosec.Worker):
    """Bytes of a tensor in, bytes of the answer out."""

    resp_mime_type = "application/octet-stream"

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(task)

    def deserialize(self, data: bytes) -> bytes:
        """The body as it is."""
        return data

    def serialize(self, data: bytes) -> bytes:
        """The answer as it is."""
        return data

    def forward(self, data: list[bytes]) -> list[bytes]:
        """Answer a batch."""
        return self.model.answers(data)


if __name__ == "__main__":
    sys.argv[1:] = ["--address", "127.0.0.1", "--port", str(task.port), "--timeout", "30000", "--log-level", "warning"]
    server = mosec.Server()
    wait_ms = max(1, round(task.wait_ms))
    server.append_worker(Rows, num=task.workers, max_batch_size=task.batch, max_wait_time=wait_ms, route=task.path)
    server.run()
