"""Requests as each peer takes them: the same tensors, prepared once, and answers read as each peer gives them."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engineroom.client.metadata import ModelMetadata
from engineroom.client.protocol.transport import Address
from engineroom.load.prepared import Request, requests_from_golden
from engineroom.load.served import ServedModel
from engineroom.repository.golden import Golden


@dataclass(frozen=True)
class RawRequest(Request):
    """A tensor's bytes as the body, and the answer's bytes back."""

    def arrays(self, body: bytes, json_bytes: int | None) -> dict[str, npt.NDArray[Any]]:  # noqa: ARG002
        """View the answer as the one output."""
        return _only_output(self.golden, body)


@dataclass(frozen=True)
class BytesRequest(Request):
    """The KServe protocol over gRPC with the tensor's bytes as one element of type BYTES, both ways."""

    def arrays(self, body: bytes, json_bytes: int | None) -> dict[str, npt.NDArray[Any]]:  # noqa: ARG002
        """View the answer as the one output; its length stands before it, in four bytes."""
        from tritonclient.grpc import service_pb2

        (raw,) = service_pb2.ModelInferResponse.FromString(body).raw_output_contents
        return _only_output(self.golden, raw[4:])


@dataclass(frozen=True)
class Base64Request(Request):
    """The tensor's bytes as base64 in a JSON object, the answer's in a JSON array."""

    def arrays(self, body: bytes, json_bytes: int | None) -> dict[str, npt.NDArray[Any]]:  # noqa: ARG002
        """View the answer as the one output."""
        (text,) = json.loads(body)
        return _only_output(self.golden, base64.b64decode(text))


def requests_for(body: str, golden: Golden, served: ServedModel) -> tuple[Request, ...]:
    """One request of one row for every golden row.

    Args:
        body: How the tensor travels, as `Peer.body` says it.
        golden: Inputs and answers, of a model with one input and one output.
        served: Who is asked.
    """
    if body == "v2":
        return requests_from_golden(golden, served, 1)
    kind, text = KINDS[body]
    over_grpc = served.address.scheme == "grpc"
    batches = [golden.batch(start, 1) for start in range(golden.rows)]
    return tuple(kind(one.model, 1, text(one), None if over_grpc else 0, one) for one in batches)


def served_at(address: Address, metadata: ModelMetadata, title: str) -> ServedModel:
    """A model on a server that need not know how to tell about itself."""
    return ServedModel(address, metadata, "", title)


def _tensor(batch: Golden) -> bytes:
    (array,) = batch.inputs.values()
    return array.tobytes()


def _text(batch: Golden) -> bytes:
    return json.dumps({"rows": [base64.b64encode(_tensor(batch)).decode()]}).encode()


def _message(batch: Golden) -> bytes:
    from tritonclient.grpc import service_pb2

    message = service_pb2.ModelInferRequest(model_name=batch.model)
    (name,) = batch.inputs
    tensor = _tensor(batch)
    message.inputs.add(name=name, datatype="BYTES", shape=[1])
    message.raw_input_contents.append(len(tensor).to_bytes(4, "little") + tensor)
    body: bytes = message.SerializeToString()
    return body


def _only_output(golden: Golden, body: bytes) -> dict[str, npt.NDArray[Any]]:
    ((name, expected),) = golden.outputs.items()
    return {name: np.frombuffer(body, expected.dtype).reshape(expected.shape)}


KINDS: Mapping[str, tuple[type[Request], Callable[[Golden], bytes]]] = {
    "v2": (Request, _tensor),
    "raw": (RawRequest, _tensor),
    "bytes": (BytesRequest, _message),
    "base64": (Base64Request, _text),
}
"""The kind of request to each body, and what makes the body; `v2` is prepared as everywhere else."""
