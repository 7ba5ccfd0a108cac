"""BentoML: adaptive batching, one worker process a core (docs.bentoml.com, Adaptive batching and Workers).

A batching endpoint takes JSON, lists of whatever JSON knows. So a tensor comes and goes as base64, a third more bytes;
as numbers, an image would be a text of half a megabyte.
"""

import base64
import os
import sys
from pathlib import Path

import bentoml
from peer_model import Model, task_from_environment

task = task_from_environment()


@bentoml.service(workers=task.workers, threads=1, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Rows:
    """The model."""

    def __init__(self) -> None:
        self.model = Model(task)

    @bentoml.api(route=task.path, batchable=True, max_batch_size=task.batch)
    def infer(self, rows: list[str]) -> list[str]:
        """Answer a batch."""
        answers = self.model.answers([base64.b64decode(row) for row in rows])
        return [base64.b64encode(answer).decode() for answer in answers]


if __name__ == "__main__":
    program, here = str(Path(sys.executable).with_name("bentoml")), str(Path(__file__).parent)
    options = ["--host", "127.0.0.1", "--port", str(task.port), "--working-dir", here]
    os.execv(program, [program, "serve", "server:Rows", *options])  # noqa: S606 - replaces this process on purpose
