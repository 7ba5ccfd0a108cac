"""What a model takes and gives, as its server tells it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

NUMPY_TYPES: Mapping[str, npt.DTypeLike] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BF16": np.float32,
    "BYTES": np.object_,
}
"""Triton's data types and the numpy type an application sees. numpy has no BF16: it travels as BF16 and is float32
on both sides (rounded to the nearest BF16 when sent). Elements of BYTES are `bytes`."""


@dataclass(frozen=True)
class TensorMetadata:
    """One input or output.

    Attributes:
        name: Name on the wire.
        dtype: Triton's word for the element type, such as `FP32`.
        shape: Sizes without the batch axis, -1 where the size varies.
        optional: Whether a request may leave the input out.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    optional: bool = False

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The numpy type of this tensor's arrays; see `NUMPY_TYPES`."""
        return np.dtype(NUMPY_TYPES[self.dtype])


@dataclass(frozen=True)
class ModelMetadata:
    """One model of a server.

    Attributes:
        name: The model's name.
        inputs: What it takes.
        outputs: What it gives.
        max_batch_size: Most rows of one request; 0 where the model has no batch axis.
        version: The version that was asked for; empty for the one the server chooses.
        decoupled: Whether it gives any number of answers to one request; then it is asked with `Client.stream`.
    """

    name: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    max_batch_size: int = 0
    version: str = ""
    decoupled: bool = False

    def accepted(self, tensor: TensorMetadata) -> str:
        """The shapes of a tensor in words, batch first: `(1..64, 224, 224, 3)`, `any` where a size varies."""
        batch = {0: [], 1: ["1"]}.get(self.max_batch_size, [f"1..{self.max_batch_size}"])
        sizes = [*batch, *("any" if size == -1 else str(size) for size in tensor.shape)]
        return f"({', '.join(sizes)}{',' * (len(sizes) == 1)})"


def metadata_from_config(config: Mapping[str, Any], version: str = "") -> ModelMetadata:
    """Read Triton's model configuration, as JSON has it.

    The configuration rather than the metadata endpoint: only it tells the largest batch and which inputs are optional.

    Args:
        config: Answer of the model configuration extension; 64-bit numbers may be strings, protobuf's JSON form.
        version: The version that was asked for.
    """
    return ModelMetadata(
        name=config["name"],
        inputs=tuple(_tensor(tensor) for tensor in config.get("input", ())),
        outputs=tuple(_tensor(tensor) for tensor in config.get("output", ())),
        max_batch_size=int(config.get("max_batch_size", 0)),
        version=version,
        decoupled=bool(config.get("model_transaction_policy", {}).get("decoupled", False)),
    )


def loaded_from_index(index: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """Name and version of every model that can answer, of Triton's repository index."""
    return tuple((model["name"], model["version"]) for model in index if model.get("state") == "READY")


def _tensor(raw: Mapping[str, Any]) -> TensorMetadata:
    dtype = raw["data_type"].removeprefix("TYPE_")
    return TensorMetadata(
        name=raw["name"],
        dtype="BYTES" if dtype == "STRING" else dtype,
        shape=tuple(int(size) for size in raw.get("dims", ())),
        optional=bool(raw.get("optional", False)),
    )
