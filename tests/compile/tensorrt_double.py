"""Stand-ins for TensorRT's Python module, made from what the real bindings of a version offer (`surfaces/`).

A class, method, property or enum member that the real module has not got raises AttributeError; a call whose arguments
do not fit the recorded signature raises TypeError. Behind that stands as much behaviour as the code under test needs:
the parser reads real ONNX files, a plan is the ONNX file itself, and an engine runs it in ONNX Runtime on the raw
addresses it is given.
"""

import ctypes
import enum
import inspect
import json
import keyword
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

SURFACES = Path(__file__).parent / "surfaces"
PROPERTY = "property"

CONSTRUCTED = {"Builder", "ILogger", "Logger", "OnnxParser", "Runtime"}
"""Classes that a program makes itself; every other object comes from one of these."""

TYPES = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64", 9: "BOOL", 10: "HALF", 16: "BF16"}
"""TensorRT's name of ONNX's element types (`onnx.TensorProto.DataType`)."""


@dataclass
class Script:
    """What goes wrong, for tests of that.

    Attributes:
        parser_errors: (node, operator, description) of what the parser refuses.
        builds: Whether the builder makes a plan.
        logged: Errors written to the logger while it builds or loads.
        loads: Whether the runtime loads a plan.
        runs: Whether an engine runs.
    """

    parser_errors: tuple[tuple[str, str, str], ...] = ()
    builds: bool = True
    logged: tuple[str, ...] = ()
    loads: bool = True
    runs: bool = True


@dataclass(frozen=True)
class Call:
    """One call or assignment that was made: `Builder.create_network` with its arguments by name."""

    name: str
    arguments: dict[str, Any]


@dataclass(eq=False)
class Double:
    """The stand-in for one version's module.

    Attributes:
        surface: The recorded surface.
        script: What goes wrong.
        calls: What was called, and which properties were set, in order.
        gpu: The GPU that it measures on.
    """

    surface: dict[str, Any]
    script: Script = field(default_factory=Script)
    calls: list[Call] = field(default_factory=list)
    gpu: str = ""

    def __post_init__(self) -> None:
        self.__name__ = self.surface["module"]
        self.__version__ = self.surface["version"]
        for name, members in self.surface["enums"].items():
            setattr(self, name, _enum(name, members))
        for name, members in self.surface["classes"].items():
            setattr(self, name, _class(self, name, members))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.surface['module']} {self.surface['version']} has no '{name}'")

    def make(self, name: str, **state: Any) -> Any:
        """An object of one of the module's classes, with state that only the behaviours see."""
        made = object.__new__(getattr(self, name))
        object.__setattr__(made, "state", state)
        return made

    def called(self, name: str) -> list[dict[str, Any]]:
        """Arguments of every call or assignment of one name, such as `IBuilderConfig.set_flag`."""
        return [call.arguments for call in self.calls if call.name == name]


def double(version: str, **script: Any) -> Double:
    """The stand-in for a version of which there is a surface, such as `tensorrt-11.4`."""
    surface = json.loads((SURFACES / f"{version}.json").read_text(encoding="utf-8"))
    return Double(surface, Script(**script))


def signature_from_text(text: str) -> inspect.Signature | None:
    """The signature that a binding's docstring shows; None for an overload, which shows nothing but `*args`.

    A text that was cut at its end allows further arguments.
    """
    if "*args" in text or "(" not in text:
        return None
    whole, cut = text.partition("(")[2], "->" not in text
    parts = list(_split(whole if cut else whole.rpartition("->")[0].rstrip().removesuffix(")")))
    named = [part for part in parts if part == "self" or ":" in part]
    parameters = [
        inspect.Parameter(
            _name(part),
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=None if "=" in part else inspect.Parameter.empty,
        )
        for part in named
    ]
    further = [inspect.Parameter("further", inspect.Parameter.VAR_POSITIONAL)] if cut else []
    return inspect.Signature([*parameters, *further])


def _name(part: str) -> str:
    """The name before the colon; one that is a word of Python, such as `in`, can be given by position only."""
    name = part.partition(":")[0].strip()
    return f"{name}_" if keyword.iskeyword(name) else name


def _split(text: str) -> Iterator[str]:
    """Arguments between commas, those within brackets left whole."""
    depth, part = 0, ""
    for letter in text:
        depth += (letter in "[(") - (letter in "])")
        if letter == "," and depth == 0:
            yield part.strip()
            part = ""
        else:
            part += letter
    if part.strip():
        yield part.strip()


def _enum(name: str, members: list[str]) -> Any:
    """An enum as pybind11 makes it: it has names and numbers, and does no arithmetic."""
    made = enum.Enum(name, {member: index for index, member in enumerate(members)})  # type: ignore[misc]
    made.__int__ = lambda self: self.value  # type: ignore[attr-defined]
    return made


def _class(module: Double, name: str, members: dict[str, str]) -> type:
    """One class: every member of the surface, and nothing else."""
    body: dict[str, Any] = {"__init__": _constructor(module, name), "__setattr__": _refuse_unknown}
    severities = [member for member, text in members.items() if "severity of a message" in text and member.isupper()]
    for member, text in members.items():
        if text == PROPERTY:
            body[member] = _property(module, name, member)
        elif "(" in text:
            body[member] = _method(module, name, member, text)
    if severities:
        severity = _enum("Severity", severities)
        body.update({"Severity": severity, **severity.__members__})
    return type(name, (), body)


def _constructor(module: Double, name: str) -> Callable[..., None]:
    def construct(self: Any, *arguments: Any) -> None:
        if name not in CONSTRUCTED:
            raise TypeError(f"{module.__name__}.{name}: No constructor defined!")
        object.__setattr__(self, "state", {"arguments": arguments})

    return construct


def _refuse_unknown(self: Any, name: str, value: Any) -> None:
    if not isinstance(getattr(type(self), name, None), property):
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
    object.__setattr__(self, name, value)


def _property(module: Double, owner: str, name: str) -> property:
    def read(self: Any) -> Any:
        known = BEHAVIOUR.get(f"{owner}.{name}")
        return known(module, self) if known else self.state.get(name)

    def write(self: Any, value: Any) -> None:
        module.calls.append(Call(f"{owner}.{name}", {"value": value}))
        self.state[name] = value

    return property(read, write)


def _method(module: Double, owner: str, name: str, text: str) -> Callable[..., Any]:
    signature = signature_from_text(text)
    returns = text.rpartition("->")[2].strip()

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        given = {"args": args, **kwargs}
        if signature is not None:
            given = dict(signature.bind(self, *args, **kwargs).arguments)
            given.pop("self", None)
        module.calls.append(Call(f"{owner}.{name}", given))
        if known := BEHAVIOUR.get(f"{owner}.{name}"):
            return known(module, self, *args, **kwargs)
        if returns in module.surface["classes"]:
            return module.make(returns)
        return {"bool": True, "int": 0, "str": ""}.get(returns)

    return method


def _parse(module: Double, parser: Any, path: str) -> bool:
    """Read a real ONNX file into the network the parser was made for."""
    import onnx

    network, _ = parser.state["arguments"]
    if module.script.parser_errors:
        return False
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    values = (*model.graph.value_info, *model.graph.output, *model.graph.input)
    kinds = {value.name: TYPES[value.type.tensor_type.elem_type] for value in values}
    network.state["graph"] = model.SerializeToString()
    network.state["kinds"] = [kinds[node.output[0]] for node in model.graph.node if node.output[0] in kinds]
    return True


def _layer(module: Double, network: Any, index: int) -> Any:
    kind = getattr(module.DataType, network.state["kinds"][index])
    return module.make("ILayer", num_outputs=1, output=module.make("ITensor", dtype=kind))


def _error(module: Double, parser: Any, index: int) -> Any:
    node, operator, desc = module.script.parser_errors[index]
    return module.make("ParserError", node=node, operator=operator, desc=desc)


def _log(module: Double, holder: Any) -> None:
    logger = holder.state["arguments"][0]
    severity = module.ILogger.Severity
    logger.log(severity.VERBOSE, "nothing of importance")
    for line in module.script.logged:
        logger.log(severity.ERROR, line)


def _set_shape(module: Double, profile: Any, name: str, *shapes: tuple[int, ...]) -> None:
    profile.state.setdefault("shapes", {})[name] = shapes


def _add_profile(module: Double, config: Any, profile: Any) -> int:
    """The profile's number; -1, as the real library, where its smallest sizes are above its largest."""
    shapes = profile.state["shapes"]
    if any(low > usual or usual > high for sizes in shapes.values() for low, usual, high in zip(*sizes, strict=True)):
        return -1
    config.state["profile"] = shapes
    return 0


def _build(module: Double, builder: Any, network: Any, config: Any) -> Any:
    """A plan: the profile and the graph. None where the script says so."""
    _log(module, builder)
    if not module.script.builds:
        return None
    if timing := config.state.get("timing"):
        timing.state["kernels"] |= set(network.state["kinds"])
    return json.dumps(config.state["profile"]).encode() + b"\0" + network.state["graph"]


def _create_timing_cache(module: Double, config: Any, serialized: bytes) -> Any:
    """A cache: the GPU that it was made on, and the kernels that were measured. None of bytes that are no cache."""
    gpu, *kernels = bytes(serialized).decode().split("\n") if serialized else [module.gpu]
    return module.make("ITimingCache", gpu=gpu, kernels=set(kernels))


def _set_timing_cache(module: Double, config: Any, cache: Any, ignore_mismatch: bool) -> bool:
    if cache.state["gpu"] != module.gpu and not ignore_mismatch:
        return False
    config.state["timing"] = cache
    return True


def _combine(module: Double, cache: Any, input_cache: Any, ignore_mismatch: bool) -> bool:
    cache.state["kernels"] |= input_cache.state["kernels"]
    return True


def _serialize_timing(module: Double, cache: Any) -> bytes:
    return "\n".join([cache.state["gpu"], *sorted(cache.state["kernels"])]).encode()


def _deserialize(module: Double, runtime: Any, plan: bytes) -> Any:
    import onnxruntime

    _log(module, runtime)
    if not module.script.loads:
        return None
    profile, _, graph = plan.partition(b"\0")
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    inputs, outputs = (
        {value.name: value for value in edges} for edges in (session.get_inputs(), session.get_outputs())
    )
    return module.make(
        "ICudaEngine", session=session, inputs=inputs, outputs=outputs, names=[*inputs, *outputs],
        profile=json.loads(profile),
    )  # fmt: skip


def _tensor_type(module: Double, engine: Any, name: str) -> Any:
    kinds = {"float": "FLOAT", "float16": "HALF", "uint8": "UINT8", "int64": "INT64", "int32": "INT32", "bool": "BOOL"}
    value = {**engine.state["inputs"], **engine.state["outputs"]}[name]
    return getattr(module.DataType, kinds[value.type.removeprefix("tensor(").removesuffix(")")])


def _mode(module: Double, engine: Any, name: str) -> Any:
    return module.TensorIOMode.INPUT if name in engine.state["inputs"] else module.TensorIOMode.OUTPUT


def _context(module: Double, engine: Any) -> Any:
    return module.make("IExecutionContext", engine=engine, shapes={}, addresses={})


def _set_input_shape(module: Double, context: Any, name: str, shape: tuple[int, ...]) -> bool:
    low, _, high = context.state["engine"].state["profile"][name]
    if len(shape) != len(low) or not all(
        least <= size <= most for least, size, most in zip(low, shape, high, strict=True)
    ):
        return False
    context.state["shapes"][name] = shape
    return True


def _shape(module: Double, context: Any, name: str) -> tuple[int, ...]:
    """The shape of an output for the inputs' present shapes, seen by running zeros of them."""
    engine = context.state["engine"]
    zeros = {one: np.zeros(context.state["shapes"][one], _dtype(engine, one)) for one in engine.state["inputs"]}
    return tuple(engine.state["session"].run([name], zeros)[0].shape)


def _execute(module: Double, context: Any, stream: int) -> bool:
    """Read the inputs at their addresses, write the outputs to theirs."""
    if not module.script.runs:
        return False
    engine, addresses = context.state["engine"], context.state["addresses"]
    inputs = {
        name: _at(addresses[name], context.state["shapes"][name], _dtype(engine, name))
        for name in engine.state["inputs"]
    }
    outputs = list(engine.state["outputs"])
    for name, array in zip(outputs, engine.state["session"].run(outputs, inputs), strict=True):
        _at(addresses[name], array.shape, array.dtype)[...] = array
    return True


def _dtype(engine: Any, name: str) -> np.dtype[Any]:
    kind = {**engine.state["inputs"], **engine.state["outputs"]}[name].type
    return np.dtype({"float": "float32"}.get(kind[7:-1], kind[7:-1]))


def _at(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """The memory at an address as an array."""
    memory = (ctypes.c_char * (int(np.prod(shape)) * dtype.itemsize)).from_address(address)
    return np.frombuffer(memory, dtype).reshape(shape)


def _set_address(module: Double, context: Any, name: str, memory: int) -> bool:
    context.state["addresses"][name] = memory
    return True


BEHAVIOUR: dict[str, Callable[..., Any]] = {
    "Builder.build_serialized_network": _build,
    "ICudaEngine.create_execution_context": _context,
    "ICudaEngine.get_tensor_dtype": _tensor_type,
    "ICudaEngine.get_tensor_mode": _mode,
    "ICudaEngine.get_tensor_name": lambda _, engine, index: engine.state["names"][index],
    "ICudaEngine.num_io_tensors": lambda _, engine: len(engine.state["names"]),
    "IBuilderConfig.add_optimization_profile": _add_profile,
    "IBuilderConfig.create_timing_cache": _create_timing_cache,
    "IBuilderConfig.get_timing_cache": lambda _, config: config.state.get("timing"),
    "IBuilderConfig.set_timing_cache": _set_timing_cache,
    "IExecutionContext.execute_async_v3": _execute,
    "IExecutionContext.get_tensor_shape": _shape,
    "IExecutionContext.set_input_shape": _set_input_shape,
    "IExecutionContext.set_tensor_address": _set_address,
    "ILayer.get_output": lambda _, layer, index: layer.state["output"],
    "INetworkDefinition.get_layer": _layer,
    "INetworkDefinition.num_layers": lambda _, network: len(network.state["kinds"]),
    "IOptimizationProfile.set_shape": _set_shape,
    "ITimingCache.combine": _combine,
    "ITimingCache.serialize": _serialize_timing,
    "OnnxParser.get_error": _error,
    "OnnxParser.num_errors": lambda module, _: len(module.script.parser_errors),
    "OnnxParser.parse_from_file": _parse,
    "ParserError.code": lambda module, _: module.ErrorCode.UNSUPPORTED_NODE,
    "ParserError.desc": lambda _, error: error.state["desc"],
    "ParserError.node_name": lambda _, error: error.state["node"],
    "ParserError.node_operator": lambda _, error: error.state["operator"],
    "Runtime.deserialize_cuda_engine": _deserialize,
}
"""What the members do that the code under test relies on, keyed `Class.member`."""
