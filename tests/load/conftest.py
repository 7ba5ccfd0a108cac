"""Results and models for the tests of load."""

import pytest

from engineroom.client import ModelMetadata, TensorMetadata
from engineroom.client.transport import address_from_url
from engineroom.load.result import Conditions, Latency, LoadResult, Offered, ServerTime
from engineroom.load.served import ServedModel


@pytest.fixture
def conditions():
    return Conditions("a processor", 2, {"perf_analyzer": "2.60.0"}, "engineroom load …", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def result(conditions):
    return LoadResult(
        tool="locust",
        model="digits",
        protocol="grpc",
        offered=Offered("users", 8),
        duration_s=10.0,
        requests=1000,
        failures=20,
        rows_per_request=4,
        latency=Latency(mean_ms=2.5, p50_ms=2.0, p90_ms=3.0, p95_ms=4.0, p99_ms=9.0, max_ms=50.0),
        conditions=conditions,
        server=ServerTime(100.0, 20.0, 900.0, 50.0),
        notes=("a remark",),
        samples="result.samples.npz",
    )


@pytest.fixture
def served():
    image = TensorMetadata("image", "UINT8", (8, 8, 3))
    metadata = ModelMetadata("identity", (image,), (TensorMetadata("sum", "FP32", (3,)),), max_batch_size=16)
    return ServedModel(address_from_url("grpc://127.0.0.1:8001"), metadata, "1", "triton 2.51.0")


@pytest.fixture
def dynamic():
    ids = TensorMetadata("input_ids", "INT64", (-1,))
    metadata = ModelMetadata("seq", (ids,), (TensorMetadata("out", "FP32", (4,)),), max_batch_size=16)
    return ServedModel(address_from_url("http://127.0.0.1:8000"), metadata, "1", "triton 2.51.0")
