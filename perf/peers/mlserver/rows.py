"""The runtime that MLServer's workers load (docs.seldon.ai/mlserver, Custom inference runtimes)."""

from mlserver import MLModel
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput
from peer_model import Model, task_from_environment

task = task_from_environment()


class Rows(MLModel):
    """Bytes of a tensor in, bytes of the answer out: one element of type BYTES each.

    MLServer makes a Python list of numbers of every tensor of another type, also over gRPC.
    """

    async def load(self) -> bool:
        """Load the model, in every worker."""
        self.model = Model(task)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Answer a batch."""
        answers = self.model.answers(list(payload.inputs[0].data))
        output = ResponseOutput(name=task.output, shape=[len(answers)], datatype="BYTES", data=answers)
        return InferenceResponse(model_name=self.name, outputs=[output])
