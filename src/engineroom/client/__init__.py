"""Ask a Triton server: arrays in, arrays out, over gRPC or HTTP.

Usable in an application that has numpy and tritonclient and nothing else of engineroom's toolchain.

    from engineroom.client import Client

    with Client("grpc://127.0.0.1:8001") as client:
        answer = client.infer("digits", image=images)
        rows = client.classify("digits", {"image": images}, top=3)
"""

from engineroom.client.async_client import AsyncClient
from engineroom.client.classification import Classification
from engineroom.client.client import Client
from engineroom.client.metadata import ModelMetadata, TensorMetadata
from engineroom.client.protocol.async_functions import AsyncFunctionTransport
from engineroom.client.protocol.async_transport import AsyncTransport
from engineroom.client.protocol.functions import FunctionTransport
from engineroom.client.protocol.tls import TLS
from engineroom.client.protocol.transport import Arrays, InputTensor, Request, RequestedOutput, Transport
from engineroom.client.survival.hedge import HedgePolicy
from engineroom.client.survival.retry import RetryPolicy
from engineroom.errors import (
    BadInput,
    CallError,
    DeadlineExceeded,
    InferenceFailed,
    ModelNotFound,
    Rejected,
    ServerUnavailable,
    ServerUntrusted,
)

__all__ = [
    "TLS",
    "Arrays",
    "AsyncClient",
    "AsyncFunctionTransport",
    "AsyncTransport",
    "BadInput",
    "CallError",
    "Classification",
    "Client",
    "DeadlineExceeded",
    "FunctionTransport",
    "HedgePolicy",
    "InferenceFailed",
    "InputTensor",
    "ModelMetadata",
    "ModelNotFound",
    "Rejected",
    "Request",
    "RequestedOutput",
    "RetryPolicy",
    "ServerUnavailable",
    "ServerUntrusted",
    "TensorMetadata",
    "Transport",
]
