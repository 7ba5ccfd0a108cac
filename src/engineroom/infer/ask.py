"""Asking a batch: a row that the model refuses fails alone."""

from dataclasses import dataclass

import numpy as np

from engineroom.client import (
    CallError,
    Client,
    DeadlineExceeded,
    ModelMetadata,
    ModelNotFound,
    Rejected,
    ServerUnavailable,
)
from engineroom.infer.parts import Outcome
from engineroom.infer.rows import Batch


@dataclass(frozen=True)
class Asker:
    """Whom to ask.

    Attributes:
        client: The server.
        model: The model, of the version that is asked.
        outputs: What is asked for.
        timeout_s: Longest wait for an answer.
    """

    client: Client
    model: ModelMetadata
    outputs: tuple[str, ...]
    timeout_s: float

    def ask(self, batch: Batch) -> dict[int, Outcome]:
        """What became of every row.

        Raises:
            ServerUnavailable: Nobody answers: no row's fault.
            ModelNotFound: The model is gone.
        """
        outcomes: dict[int, Outcome] = dict(batch.failed)
        if batch.inputs:
            try:
                outcomes |= self._answers(batch)
            except (ServerUnavailable, ModelNotFound):
                raise
            except (DeadlineExceeded, Rejected) as error:
                outcomes |= dict.fromkeys(batch.inputs, str(error))
            except CallError as error:
                outcomes |= self._one_by_one(batch, error)
        return dict(sorted(outcomes.items()))

    def _answers(self, batch: Batch) -> dict[int, Outcome]:
        answer = self.client.infer(
            self.model.name,
            batch.request(self.model),
            outputs=self.outputs,
            version=self.model.version,
            timeout_s=self.timeout_s,
        )
        if not self.model.max_batch_size:
            return dict.fromkeys(batch.inputs, answer)
        return {
            row: {name: np.array(array[number]) for name, array in answer.items()}
            for number, row in enumerate(batch.inputs)
        }

    def _one_by_one(self, batch: Batch, error: CallError) -> dict[int, Outcome]:
        if len(batch.inputs) == 1:
            return dict.fromkeys(batch.inputs, str(error))
        outcomes: dict[int, Outcome] = {}
        for row, inputs in batch.inputs.items():
            outcomes |= self.ask(Batch({row: inputs}))
        return outcomes
