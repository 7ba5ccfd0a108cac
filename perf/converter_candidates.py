"""The converters that can put FP16 into a graph: ours, and those that others keep, called as their makers mean it.

Every one gets the FP32 graph (or the module) and real samples, and is asked to leave the types at the edges alone.
"""

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from engineroom.compile.graph.export import onnx_from_module
from engineroom.compile.graph.half import FP32_ISLANDS, half_from_fp32
from engineroom.compile.graph.ranges import nodes_beyond_half, ranges_from_onnx
from engineroom.compile.truth.reference import Reference
from engineroom.recipe import Arrays, Recipe


@dataclass(frozen=True)
class Job:
    """One conversion.

    Attributes:
        recipe: The model.
        source: Its FP32 graph.
        requests: Real inputs by name, shape (rows, ...).
        path: The `.onnx` file to write.
    """

    recipe: Recipe
    source: Path
    requests: Sequence[Arrays]
    path: Path


@dataclass(frozen=True)
class Candidate:
    """A converter.

    Attributes:
        name: What it is called in the tables.
        package: The distribution it comes in.
        convert: Does one job.
        install: What to install for it; empty where engineroom brings it.
    """

    name: str
    package: str
    convert: Callable[[Job], None]
    install: str = ""

    @property
    def version(self) -> str:
        """Version of its distribution; empty where that is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return ""


def by_engineroom(job: Job) -> None:
    """The project's own stage."""
    import onnx

    onnx.save(half_from_fp32(job.recipe.name, job.source, job.requests)[0], job.path)


def by_onnxruntime(job: Job) -> None:
    """What the project's stage is made of, with all defaults."""
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(job.source), keep_io_types=True), job.path)


def by_onnxruntime_with_islands(job: Job) -> None:
    """The same with the project's choice of nodes that stay FP32, and onnxruntime's own tidying of casts and order."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    converted = convert_float_to_float16(
        onnx.load(job.source),
        keep_io_types=True,
        op_block_list=[*FP32_ISLANDS, *DEFAULT_OP_BLOCK_LIST],
        node_block_list=list(nodes_beyond_half(job.source, ranges_from_onnx(job.source, job.requests))),
    )
    tidied = OnnxModel(converted)
    tidied.remove_cascaded_cast_nodes()
    tidied.remove_useless_cast_nodes()
    tidied.topological_sort(is_deterministic=True)
    onnx.save(tidied.model, job.path)


def by_converter_common(job: Job) -> None:
    """The ancestor of the one in onnxruntime, with all defaults."""
    import onnx
    from onnxconverter_common.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(job.source), keep_io_types=True), job.path)


def by_auto_mixed_precision(job: Job) -> None:
    """Bisects until ONNX Runtime's answers are within a hundredth; it takes one request only."""
    import onnx
    from onnxconverter_common.auto_mixed_precision import auto_convert_mixed_precision

    request = dict(job.requests[0])
    model = auto_convert_mixed_precision(onnx.load(job.source), request, rtol=0.01, atol=0.001, keep_io_types=True)
    onnx.save(model, job.path)


def by_autocast(job: Job) -> None:
    """NVIDIA's, with its defaults and real samples: values beyond 512 stay FP32."""
    _autocast(job)


def by_autocast_with_islands(job: Job) -> None:
    """NVIDIA's with the project's choice: the same kinds of nodes stay FP32, and the same range."""
    _autocast(job, data_max=65504.0 / 4, op_types_to_exclude=list(FP32_ISLANDS))


def _autocast(job: Job, **options: Any) -> None:
    import onnx
    from modelopt.onnx.autocast import convert_to_mixed_precision

    with TemporaryDirectory() as folder:
        for index, request in enumerate(job.requests):
            np.savez(Path(folder, f"{index:03}.npz"), **request)  # type: ignore[arg-type]
        model = convert_to_mixed_precision(str(job.source), keep_io_types=True, calibration_data=folder, **options)
    onnx.save(model, job.path)


def by_half(job: Job) -> None:
    """PyTorch's `module.half()`, with casts at the edges, through the project's export."""

    def halved() -> Any:
        module = job.recipe.module().eval().half()
        module.register_forward_pre_hook(lambda _, inputs: tuple(_to(value, "half") for value in inputs))
        module.register_forward_hook(lambda *call: _to(call[-1], "float"))
        return module

    onnx_from_module(Reference(replace(job.recipe, module=halved)), job.path)


def by_autocasting(job: Job) -> None:
    """The FP32 module under PyTorch's `autocast`, which has lists of what stays FP32, through the project's export."""
    import torch

    casting = torch.autocast("cpu", torch.float16)

    def begin(*_: Any) -> None:
        casting.__enter__()

    def end(*call: Any) -> Any:
        casting.__exit__(None, None, None)
        return _to(call[-1], "float")

    def inner() -> Any:
        module = job.recipe.module().eval()
        module.register_forward_pre_hook(begin)
        module.register_forward_hook(end)
        return module

    onnx_from_module(Reference(replace(job.recipe, module=inner)), job.path)


def _to(value: Any, kind: str) -> Any:
    """A tensor, or each of several, in another floating-point type; whole numbers stay."""
    if isinstance(value, tuple | list):
        return tuple(_to(one, kind) for one in value)
    return getattr(value, kind)() if value.is_floating_point() else value


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Silence what converters print."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


COMMON = "pip install onnxconverter-common==1.16.0"
MODELOPT = "pip install --no-deps nvidia-modelopt==0.47.0 onnx-graphsurgeon polygraphy onnxslim nvidia-ml-py lief"

CANDIDATES = (
    Candidate("engineroom", "engineroom", by_engineroom),
    Candidate("onnxruntime", "onnxruntime", by_onnxruntime),
    Candidate("onnxruntime, our islands", "onnxruntime", by_onnxruntime_with_islands),
    Candidate("converter-common", "onnxconverter-common", by_converter_common, COMMON),
    Candidate("converter-common auto", "onnxconverter-common", by_auto_mixed_precision, COMMON),
    Candidate("AutoCast", "nvidia-modelopt", by_autocast, MODELOPT),
    Candidate("AutoCast, our islands", "nvidia-modelopt", by_autocast_with_islands, MODELOPT),
    Candidate("torch half", "torch", by_half),
    Candidate("torch autocast", "torch", by_autocasting),
)
"""Every converter compared; the first is the project's own."""
