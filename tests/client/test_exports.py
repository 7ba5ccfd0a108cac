import engineroom.client


def test_the_public_names_are_these():
    assert set(engineroom.client.__all__) == {
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
        "TLS",
        "TensorMetadata",
        "Transport",
    }
