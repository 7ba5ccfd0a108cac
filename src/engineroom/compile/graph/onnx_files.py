"""ONNX files: protobuf holds 2 GB, so the weights of a larger graph stand in a second file beside it."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engineroom.compile.graph.naming import subgraphs

EXTERNAL_FROM_BYTES = 1_800_000_000
"""Weights of this size go into a file of their own: a protobuf message ends at 2 GiB, its other parts included."""

SMALLEST_BYTES = 1024
"""Tensors below this stay in the graph: shapes and axes, which parsers want to see there."""


def data_file(graph: Path) -> Path:
    """The file beside a graph that holds its weights, whether or not it is there."""
    return graph.with_name(f"{graph.name}.data")


def files_of(graph: Path) -> tuple[Path, ...]:
    """A graph's files: itself, and the one with its weights where there is one."""
    return tuple(path for path in (graph, data_file(graph)) if path == graph or path.is_file())


def save_onnx(model: Any, path: Path) -> None:
    """Write a graph; its weights into a file beside it where protobuf would not hold them.

    Args:
        model: `onnx.ModelProto`, its weights loaded. Where they go into a file, they leave the model.
        path: The `.onnx` file to write.
    """
    import onnx

    data = data_file(path)
    # The writer appends to a file that is there.
    data.unlink(missing_ok=True)
    if weights_bytes(model.graph) < EXTERNAL_FROM_BYTES:
        onnx.save(model, str(path))
        return
    onnx.save(
        model, str(path), save_as_external_data=True, all_tensors_to_one_file=True,
        location=data.name, size_threshold=SMALLEST_BYTES, convert_attribute=False,
    )  # fmt: skip


def copy_onnx(source: Path, path: Path) -> None:
    """Copy a graph under another name, its weights with it."""
    import onnx

    if data_file(source).is_file():
        # The graph names the file of its weights.
        save_onnx(onnx.load(str(source)), path)
    else:
        data_file(path).unlink(missing_ok=True)
        shutil.copyfile(source, path)


@contextlib.contextmanager
def loadable(model: Any) -> Iterator[str | bytes]:
    """A model in memory as ONNX Runtime takes it: its bytes, or the path of a file that lasts as long as this.

    Args:
        model: `onnx.ModelProto`. Where its weights go into a file, they leave the model.
    """
    if weights_bytes(model.graph) < EXTERNAL_FROM_BYTES:
        yield model.SerializeToString()
        return
    with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
        path = Path(folder) / "model.onnx"
        save_onnx(model, path)
        yield str(path)


def inferred(model: Any) -> Any:
    """A model with the type and shape of every value, as far as they are known without running it.

    Args:
        model: `onnx.ModelProto`. A large one is empty afterwards.

    Returns:
        `onnx.ModelProto`, its weights loaded.
    """
    import onnx

    if weights_bytes(model.graph) < EXTERNAL_FROM_BYTES:
        return onnx.shape_inference.infer_shapes(model)
    with tempfile.TemporaryDirectory(prefix="engineroom-") as folder:
        path, known = Path(folder) / "model.onnx", Path(folder) / "known.onnx"
        save_onnx(model, path)
        onnx.shape_inference.infer_shapes_path(str(path), str(known))
        return onnx.load(str(known))


def weights_bytes(graph: Any) -> int:
    """Bytes of a graph's weights, subgraphs included."""
    own = sum(len(item.raw_data) for item in graph.initializer)
    return own + sum(weights_bytes(inner) for node in graph.node for inner in subgraphs(node))
