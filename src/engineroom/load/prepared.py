"""Requests that are serialised once and sent many times, and answers read with as little work as is honest.

Neither `tritonclient`'s `infer` nor our own client is used for the requests themselves: both build and serialise the
message for every call, and the load generator shares its machine with the server more often than not. Every answer is
parsed, and compared with its golden answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.check import checked
from engineroom.errors import GoldenMismatch
from engineroom.load.served import ServedModel
from engineroom.repository.golden import Golden

METHOD = "/inference.GRPCInferenceService/ModelInfer"
"""The inference call of the KServe v2 protocol, which Triton speaks."""


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent any number of times.

    Attributes:
        model: The model's name.
        rows: Its batch size.
        body: What goes over the wire.
        json_bytes: HTTP alone: length of the JSON part of the body, before the binary tensors.
        golden: What was asked, and what must be answered.
    """

    model: str
    rows: int
    body: bytes
    json_bytes: int | None
    golden: Golden

    def arrays(self, body: bytes, json_bytes: int | None) -> dict[str, npt.NDArray[Any]]:
        """Read an answer, by output name. A request to a server with a body format of its own overrides this.

        Args:
            body: What came back.
            json_bytes: HTTP alone: length of the JSON part of the body.
        """
        if self.json_bytes is not None:
            return arrays_from_http(body, json_bytes)
        from tritonclient.grpc import service_pb2

        return arrays_from_grpc(service_pb2.ModelInferResponse.FromString(body))

    def mismatch(self, answer: Mapping[str, npt.NDArray[Any]]) -> GoldenMismatch | None:
        """What is wrong with an answer; None where it is right."""
        try:
            self.golden.check(answer)
        except GoldenMismatch as error:
            return error
        return None


def requests_from_golden(golden: Golden, served: ServedModel, rows: int) -> tuple[Request, ...]:
    """Prepare one request for every golden row to begin with.

    Args:
        golden: Inputs and answers.
        served: The model that takes them.
        rows: Batch size of a request.

    Raises:
        BadInput: The golden inputs are not what the model takes.
    """
    batches = golden.batches(rows)
    checked(served.metadata, batches[0].inputs)
    if served.address.scheme == "grpc":
        return tuple(Request(golden.model, rows, _grpc_body(batch), None, batch) for batch in batches)
    return tuple(Request(golden.model, rows, *_http_body(batch), batch) for batch in batches)


def _grpc_body(batch: Golden) -> bytes:
    from tritonclient.grpc import service_pb2
    from tritonclient.utils import np_to_triton_dtype

    message = service_pb2.ModelInferRequest(model_name=batch.model)
    for name, array in batch.inputs.items():
        message.inputs.add(name=name, datatype=np_to_triton_dtype(array.dtype), shape=array.shape)
        message.raw_input_contents.append(array.tobytes())
    body: bytes = message.SerializeToString()
    return body


def _http_body(batch: Golden) -> tuple[bytes, int | None]:
    from tritonclient.http import InferenceServerClient, InferInput
    from tritonclient.utils import np_to_triton_dtype

    inputs = []
    for name, array in batch.inputs.items():
        inputs.append(InferInput(name, array.shape, np_to_triton_dtype(array.dtype)))
        inputs[-1].set_data_from_numpy(array, binary_data=True)
    body, json_bytes = InferenceServerClient.generate_request_body(inputs)
    return bytes(body), json_bytes


def arrays_from_grpc(answer: Any) -> dict[str, npt.NDArray[Any]]:
    """View the tensors of a `ModelInferResponse` as arrays, by output name."""
    from tritonclient.utils import triton_to_np_dtype

    return {
        tensor.name: np.frombuffer(raw, triton_to_np_dtype(tensor.datatype)).reshape(tensor.shape)
        for tensor, raw in zip(answer.outputs, answer.raw_output_contents, strict=True)
    }


def arrays_from_http(body: bytes, json_bytes: int | None) -> dict[str, npt.NDArray[Any]]:
    """View the tensors of an HTTP answer as arrays, by output name.

    Args:
        body: The answer's body.
        json_bytes: Length of its JSON part, before the binary tensors; None where all of it is JSON.
    """
    from tritonclient.http import InferenceServerClient

    result = InferenceServerClient.parse_response_body(body, header_length=json_bytes)
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}
