"""A model of functions, and files of every format that feed it."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engineroom.client import Client, FunctionTransport, InferenceFailed, ModelMetadata, RetryPolicy, TensorMetadata
from engineroom.infer.run import Wish, infer_files, planned

X = TensorMetadata("x", "FP32", (2,))
Y = TensorMetadata("y", "FP32", (2,))
N = TensorMetadata("n", "INT64", (1,))
DOUBLE = ModelMetadata("double", (X,), (Y, N), 4)


class Doubling(FunctionTransport):
    """Doubles; refuses requests with a negative number in them.

    Attributes:
        before: Called with each request before it is answered.
    """

    def __init__(self, model: ModelMetadata = DOUBLE) -> None:
        self.before: Callable[[object], None] = lambda request: None
        super().__init__({model: self.double})

    def metadata(self, model, version):
        return replace(super().metadata(model, version), version=version)

    def infer(self, request):
        self.before(request)
        return super().infer(request)

    @property
    def rows(self) -> int:
        """Rows asked so far."""
        return sum(len(request.inputs[0].array) for request in self.requests)

    @staticmethod
    def double(arrays):
        if (arrays["x"] < 0).any():
            raise InferenceFailed("negative")
        return {"y": arrays["x"] * 2, "n": arrays["x"][:, :1].astype(np.int64)}


@pytest.fixture
def transport():
    return Doubling()


@pytest.fixture
def client(transport):
    with Client(transport=transport, retry=RetryPolicy(attempts=1)) as client:
        yield client


@pytest.fixture
def infer(client):
    """Runs one wish: its record."""

    def run(output: Path, *files: Path, model: str = "double", **wished):
        return infer_files(client, planned(client, Wish(model, files, output, **wished)))

    return run


def write_rows(path: Path, x: np.ndarray) -> Path:
    """A file of any format with the rows of one input `x`."""
    if path.suffix == ".npy":
        np.save(path, x)
    elif path.suffix == ".npz":
        np.savez_compressed(path, x=x)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([[f"x.{number}" for number in range(x.shape[1])], *x.tolist()])
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"x": row}) + "\n" for row in x.tolist()))
    else:
        from pyarrow import parquet, table

        parquet.write_table(table({"x": x.tolist()}), path, row_group_size=3)
    return path


@pytest.fixture
def file_of(tmp_path):
    """Writes rows: `file_of("a.csv", array)`."""
    return lambda name, x: write_rows(tmp_path / name, np.asarray(x, np.float32))


@pytest.fixture
def numbers():
    """float32 (count, 2): row i holds i and i + 0.5."""
    return lambda count: np.arange(count, dtype=np.float32)[:, np.newaxis] + np.array([0, 0.5], np.float32)
