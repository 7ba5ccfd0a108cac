"""The recipe: what a model is, said once.

Everything downstream (the exported shapes, optimisation profiles, `config.pbtxt`, parity samples, load)
is derived from here. Only the standard library, and numpy where arrays are really touched: reading a recipe must be
cheap, and so must `engineroom --help`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from engineroom.errors import RecipeError

if TYPE_CHECKING:
    import numpy.typing as npt

Arrays: TypeAlias = Mapping[str, "npt.NDArray[Any]"]
"""Arrays by tensor name; in samples the first axis is the batch."""

Precision: TypeAlias = Literal["fp16", "fp32", "int8"]
Sparsity: TypeAlias = Literal["", "2:4"]

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")
"""Element types that Triton, ONNX and numpy share, by numpy's names."""


@dataclass(frozen=True)
class Axis:
    """A size that may vary between requests: the batch, or a dimension such as a sequence length.

    Attributes:
        name: One name is one size: two tensors with the same axis always agree in it.
        min: Smallest size accepted.
        opt: Size that compilers tune for.
        max: Largest size accepted.
    """

    name: str
    min: int
    opt: int
    max: int

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise RecipeError(f"axis '{self.name}': the name must be an identifier, PyTorch's exporter wants one.")
        if not 1 <= self.min <= self.opt <= self.max:
            raise RecipeError(
                f"axis '{self.name}': sizes need 1 <= min <= opt <= max, got {self.min}, {self.opt}, {self.max}."
            )

    @property
    def size(self) -> int:
        """The one size of an axis that does not vary (`min` is `max`); -1, as Triton writes it, where it does."""
        return -1 if self.min < self.max else self.max


@dataclass(frozen=True)
class Tensor:
    """One input or output, without its batch axis.

    Attributes:
        name: Name on the wire, in the ONNX graph and in the engine.
        dtype: numpy's name of the element type, one of `DTYPES`.
        dims: Sizes without the batch; an `Axis` where the size varies.
        labels: For outputs that score classes: gives one name per class, for Triton's classification extension.
    """

    name: str
    dtype: str
    dims: tuple[int | Axis, ...]
    labels: Callable[[], Sequence[str]] | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise RecipeError(
                f"tensor '{self.name}': dtype '{self.dtype}' is unknown. Use one of: {', '.join(DTYPES)}."
            )
        if not self.dims:
            raise RecipeError(
                f"tensor '{self.name}': has no dims, Triton wants one besides the batch. "
                "Use dims=(1,) and x.unsqueeze(1) in the module."
            )
        if any(isinstance(dim, int) and dim < 1 for dim in self.dims):
            raise RecipeError(
                f"tensor '{self.name}': dims {self.dims} must be positive. Use an Axis for a size that varies."
            )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The varying sizes among `dims`, in order."""
        return tuple(dim for dim in self.dims if isinstance(dim, Axis))

    @property
    def shape(self) -> tuple[int, ...]:
        """`dims` as Triton writes them: -1 where the size varies."""
        return tuple(dim.size if isinstance(dim, Axis) else dim for dim in self.dims)

    def sized(self, which: Literal["min", "opt", "max"]) -> tuple[int, ...]:
        """`dims` with every axis at its smallest, usual or largest size."""
        return tuple(getattr(dim, which) if isinstance(dim, Axis) else dim for dim in self.dims)


@dataclass(frozen=True)
class Tolerance:
    """How far a compiled model may be from the PyTorch module, on real samples.

    The scale comes from the module: how far its answers move when every value is rounded to the element type after
    every operation. An artefact may be some times as far off as that. Limits of one's own can be added; they are
    absolute, and hold besides.

    Attributes:
        noise: How many times the error of the module's own rounding is allowed, in root mean square and in the 99th
            percentile; the largest error may be twice that. docs/proof.md shows what the default rests on.
        max_abs: Largest absolute error of any element.
        mean_abs: Mean absolute error.
        cosine: Smallest cosine between a row's answer and the module's.
        top1: Smallest share of rows whose largest element is the same, where rounding does not decide it.
    """

    noise: float = 4.0
    max_abs: float | None = None
    mean_abs: float | None = None
    cosine: float | None = None
    top1: float = 1.0

    def __post_init__(self) -> None:
        for name in ("noise", "max_abs", "mean_abs"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RecipeError(f"tolerance: {name} must be above 0, got {value}.")
        for name in ("cosine", "top1"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise RecipeError(f"tolerance: {name} is a share of at most 1, got {value}.")


@dataclass(frozen=True)
class SLO:
    """The promise made to callers.

    Attributes:
        p99_ms: 99th percentile of the latency that callers are promised, in milliseconds.
    """

    p99_ms: float = 100.0


@dataclass(frozen=True)
class TaskMetric:
    """How good the model is at its task, on data that was not trained on.

    Attributes:
        name: What is measured, such as `accuracy`.
        score: From the model's outputs on `data()` to a figure, larger is better.
        data: Inputs (first axis: rows) and whatever `score` compares the outputs with.
        max_loss: How far a compiled model's figure may be below the module's.
    """

    name: str
    data: Callable[[], tuple[Arrays, npt.NDArray[Any]]]
    score: Callable[[Arrays, npt.NDArray[Any]], float]
    max_loss: float = 0.01

    def __post_init__(self) -> None:
        if not self.max_loss >= 0:
            raise RecipeError(f"task metric '{self.name}': max_loss must be 0 or more, got {self.max_loss}.")


@dataclass(frozen=True)
class Recipe:
    """Everything engineroom must know of a model.

    Attributes:
        name: Name on the server, and of the file `build/NAME.py`.
        module: Gives the `torch.nn.Module`, FP32 and in eval mode. Its `forward` takes the inputs in order, each with
            a leading batch axis, and returns the outputs in order (one tensor, or a tuple).
        inputs: Tensors of a request.
        outputs: Tensors of an answer.
        samples: Gives real inputs, a sequence of groups: within a group, rows share the sizes of every axis.
        batch: Batch sizes: `max` becomes Triton's `max_batch_size`, all three the optimisation profile.
        precision: What the graph computes in: `fp16`; `int8`, calibrated on the samples, with FP16 around it; `fp32`.
        sparsity: `2:4` sets two of every four weights to zero before the export; empty leaves them alone.
        islands: Names of nodes of the exported graph that stay FP32; `engineroom build --find-islands` names them.
        tolerance: How far compiled answers may be from the module's.
        slo: The promise made to callers.
        task: A task metric, reported for the module and for every artefact that can run.
        instances: Copies of the model that serve in parallel on a CPU.
        packages: Distributions whose version changes the model (its weights, say); checked before the build.
        files: Files and folders that the module and the samples are read from, relative to the recipe's own: weights,
            tokenizers, data. A build is new when one of them changes.
    """

    name: str
    module: Callable[[], Any]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    samples: Callable[[], Sequence[Arrays]]
    batch: Axis = field(default_factory=lambda: Axis("batch", 1, 8, 32))
    precision: Precision = "fp16"
    sparsity: Sparsity = ""
    islands: tuple[str, ...] = ()
    tolerance: Tolerance = field(default_factory=Tolerance)
    slo: SLO = field(default_factory=SLO)
    task: TaskMetric | None = None
    instances: int = 2
    packages: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise RecipeError(f"recipe '{self.name}': the name must be a Python identifier, as in build/NAME.py.")
        if not self.inputs or not self.outputs:
            raise RecipeError(f"{self.name}: a recipe needs at least one input and one output.")
        names = [tensor.name for tensor in (*self.inputs, *self.outputs)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise RecipeError(
                f"{self.name}: tensor names must differ, {', '.join(twice)} occurs twice. Rename one of them."
            )
        if self.precision not in ("fp16", "fp32", "int8"):
            raise RecipeError(f"{self.name}: precision '{self.precision}' is unknown. Use fp16, int8 or fp32.")
        if self.sparsity not in ("", "2:4"):
            raise RecipeError(f"{self.name}: sparsity '{self.sparsity}' is unknown. Use 2:4, or leave it out.")
        if self.batch.min != 1:
            raise RecipeError(f"{self.name}: the batch axis must begin at 1, Triton sends single rows too.")
        self._check_axes()

    def _check_axes(self) -> None:
        seen: dict[str, Axis] = {}
        for axis in (self.batch, *self.axes):
            if seen.setdefault(axis.name, axis) != axis:
                raise RecipeError(
                    f"{self.name}: axis '{axis.name}' is given twice with different sizes. One name is one axis."
                )
        known = {axis.name for tensor in self.inputs for axis in tensor.axes}
        free = sorted({axis.name for tensor in self.outputs for axis in tensor.axes} - known)
        if free:
            raise RecipeError(
                f"{self.name}: output axis {', '.join(free)} is on no input, so nothing decides its size."
            )

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Every varying size but the batch, each once, in order of appearance."""
        return tuple(dict.fromkeys(axis for tensor in (*self.inputs, *self.outputs) for axis in tensor.axes))

    def rows(self, group: Arrays, count: int) -> dict[str, npt.NDArray[Any]]:
        """The first `count` rows of a group of samples, repeated from the start where there are fewer.

        Args:
            group: One group of `samples()`.
            count: Rows wanted, at least 1.

        Returns:
            Arrays of shape (count, ...), by input name, each a copy.
        """
        import numpy as np

        available = len(next(iter(group.values())))
        index = np.arange(count) % available
        return {name: np.ascontiguousarray(array[index]) for name, array in group.items()}
