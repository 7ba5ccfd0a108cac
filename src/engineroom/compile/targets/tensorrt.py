"""The `tensorrt` and `tensorrt-rtx` targets: a strongly typed network from the FP16 graph, compiled into a plan.

One file serves TensorRT 10.12 and later, 11.x and TensorRT for RTX 1.x, through the calls they share: the network is
strongly typed on all of them, so the precision is the graph's and there is no flag to forget.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from engineroom.compile.targets import Compiled, Runners
from engineroom.compile.targets.gpu import find_driver, gpus
from engineroom.compile.targets.tensorrt_messages import Messages, messages
from engineroom.compile.targets.tensorrt_refusal import refusals
from engineroom.compile.targets.timing_cache import TimingCache
from engineroom.errors import CompileError, GraphRefused
from engineroom.hardware import capability, has_gpu
from engineroom.recipe import Recipe
from engineroom.repository.passport import Profile
from engineroom.repository.wiring import engine_name

MODULES = {"tensorrt": ("tensorrt", "tensorrt_bindings"), "tensorrt-rtx": ("tensorrt_rtx",)}
"""Python modules of each kind, in order. `tensorrt_bindings` alone works where the libraries are the system's."""

HALF_SHARE = 0.5
"""Least share of FP16 among the floating-point layers of a network that was asked to be FP16."""


MEND = "Build for another target, or serve the graph itself, slower: engineroom build --fallback onnxruntime"


@dataclass(frozen=True)
class TensorRT:
    """Compiles for one GPU: the one in this machine, or, with TensorRT for RTX, any it is told.

    Attributes:
        name: `tensorrt`, or `tensorrt-rtx:smNN`.
        kind: `tensorrt` or `tensorrt-rtx`.
        capability: `SM89` and the like; empty for the GPU in this machine.
    """

    name: str
    kind: str
    capability: str = ""

    @property
    def plan(self) -> str:
        """Name of the plan's file in a version folder; engines for several GPUs lie there side by side."""
        return f"model.rtx-{self.sm}.plan" if self.capability else engine_name(self.sm)

    @property
    def sm(self) -> str:
        """Compute capability that is compiled for, such as `sm89`; empty where the driver does not tell."""
        return self.capability.lower() or capability(self.device)

    @property
    def device(self) -> str:
        """The GPU in this machine, where the plan is for that one; empty where the driver shows none."""
        return "" if self.capability else next(map(str, gpus()), "")

    @property
    def driver(self) -> str:
        """NVIDIA's driver, where the plan is for the GPU in this machine; empty where there is none."""
        return "" if self.capability else str(find_driver() or "")

    def compile(self, graph: Path, recipe: Recipe, folder: Path) -> Compiled:
        """Write the plan into `folder`, under its name.

        Raises:
            CompileError: TensorRT is missing, refuses the graph, or the network is not FP16 though that was asked.
        """
        return plan_from_onnx(self, graph, Profile.of(recipe), folder / self.plan)

    def runners(self, compiled: Compiled, graph: Path, recipe: Recipe) -> Runners:
        """The engine itself where its GPU is here; its graph elsewhere, with every value rounded as a GPU would."""
        from engineroom.compile.targets.rounding import rounding_runner
        from engineroom.compile.targets.tensorrt_engine import runner_from_plan

        if has_gpu() and not self.capability:
            return ((recipe.precision, partial(runner_from_plan, load(self.kind), compiled.file, recipe.precision)),)
        return ((recipe.precision, partial(rounding_runner, graph, recipe.precision)),)


def target(kind: str, detail: str) -> TensorRT:
    """The target of a name such as `tensorrt` or `tensorrt-rtx:sm89`.

    Raises:
        CompileError: The library is not installed, no GPU is here that it needs, or it has no such capability.
    """
    trt = load(kind)
    if kind == "tensorrt":
        if detail:
            raise CompileError(
                f"target '{kind}:{detail}': TensorRT compiles for the GPU in this machine only. Use --target tensorrt."
            )
        if not has_gpu():
            raise CompileError(
                "target 'tensorrt' needs an NVIDIA GPU to compile on, and none is here. "
                "Use --target openvino, or build in the GPU container."
            )
        return TensorRT(kind, kind)
    known = [name for name in trt.ComputeCapability.__members__ if name.startswith("SM")]
    if detail.upper() not in known:
        raise CompileError(
            f"target '{kind}{':' if detail else ''}{detail}' is unknown: "
            f"TensorRT for RTX {trt.__version__} compiles for {', '.join(name.lower() for name in known)}. "
            f"Use for example --target tensorrt-rtx:{known[-1].lower()}."
        )
    return TensorRT(f"{kind}:{detail.lower()}", kind, detail.upper())


def plan_from_onnx(target: TensorRT, graph: Path, profile: Profile, path: Path) -> Compiled:
    """Compile a plan.

    Args:
        target: What for.
        graph: The ONNX graph after the precision step.
        profile: Sizes of every input, and the precision that was asked for.
        path: The plan to write.

    Raises:
        CompileError: The graph cannot be parsed or compiled, or is not FP16 though that was asked.
    """
    trt = load(target.kind)
    said = messages(trt)
    said.lines.clear()
    builder = trt.Builder(said.logger)
    network = builder.create_network(_flags(trt))
    _parse(trt, network, graph, said)
    layers = layer_types(network)
    _check_precision(graph, profile, layers)
    config = _config(trt, builder, target, profile)
    timing = TimingCache.of(trt, target.device)
    if target.kind == "tensorrt":
        timing.load_into(config)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        words = f"{trt.__name__} {trt.__version__} cannot compile it for {target.name}: {said.take()}"
        raise GraphRefused(f"{graph}: {words}. {MEND}", words)
    path.write_bytes(memoryview(plan))
    if target.kind == "tensorrt":
        timing.save_from(config)
    made_by, note = f"{trt.__name__} {trt.__version__}", "; ".join(timing.notes)
    return Compiled(path, made_by, layers, device=target.device, driver=target.driver, note=note)


def _flags(trt: Any) -> int:
    """Strong typing: asked for where the flag exists (10.x), the only way where it does not."""
    flag = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(trt: Any, network: Any, graph: Path, said: Messages) -> None:
    parser = trt.OnnxParser(network, said.logger)
    if parser.parse_from_file(str(graph)) and network.num_layers:
        return
    words = f"{trt.__name__} {trt.__version__} does not take this graph: {refusals(parser, graph) or said.take()}"
    raise GraphRefused(f"{graph}: {words}. Replace the operator in the module. {MEND}", words)


def layer_types(network: Any) -> dict[str, int]:
    """Layers of a parsed network by the element type of their first output, such as `{"HALF": 109, "FLOAT": 6}`."""
    layers = (network.get_layer(index) for index in range(network.num_layers))
    return dict(Counter(layer.get_output(0).dtype.name for layer in layers if layer.num_outputs))


def _check_precision(graph: Path, profile: Profile, layers: dict[str, int]) -> None:
    halves, floats = layers.get("HALF", 0), layers.get("FLOAT", 0)
    if profile.precision == "fp16" and halves < HALF_SHARE * (halves + floats):
        raise CompileError(
            f"{graph}: precision fp16 was asked for, but of {halves + floats} floating-point layers "
            f"only {halves} are FP16. "
            "Build it again from the module, or say precision='fp32' in the recipe."
        )
    if profile.precision == "int8" and not layers.get("INT8"):
        raise CompileError(
            f"{graph}: precision int8 was asked for, but no layer of the network is INT8. "
            "Build it again from the module, or say precision='fp16' in the recipe."
        )


def _config(trt: Any, builder: Any, target: TensorRT, profile: Profile) -> Any:
    config = builder.create_builder_config()
    # Needed to see the element types of an engine's layers afterwards.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if target.capability:
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.__members__[target.capability], 0)
    if profile.sparsity:
        config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)
    optimization = builder.create_optimization_profile()
    for name, shapes in profile.inputs.items():
        optimization.set_shape(name, *shapes)
    if config.add_optimization_profile(optimization) < 0:
        raise CompileError(
            f"{target.name}: the optimization profile {dict(profile.inputs)} is refused. Check the recipe's axes."
        )
    return config


def installed(kind: str) -> bool:
    """Whether a Python module of this kind of TensorRT is installed."""
    return any(find_spec(name) is not None for name in MODULES[kind])


def load(kind: str) -> Any:
    """The Python module of a kind of TensorRT.

    Raises:
        CompileError: It is not installed, or cannot be loaded.
    """
    names = [name for name in MODULES[kind] if find_spec(name) is not None]
    if not names:
        extra = "rtx" if kind == "tensorrt-rtx" else "tensorrt"
        raise CompileError(
            f"target '{kind}' needs the package {MODULES[kind][0]}. Run: pip install 'engineroom[{extra}]'"
        )
    try:
        return import_module(names[0])
    except (ImportError, OSError) as error:
        raise CompileError(f"target '{kind}': {names[0]} is installed but cannot be loaded: {error}") from error
