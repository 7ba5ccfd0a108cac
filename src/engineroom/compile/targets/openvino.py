"""The `openvino` target: the FP16 graph as OpenVINO IR, for CPUs."""

from functools import partial
from pathlib import Path
from typing import Any

from engineroom.compile.targets import Compiled, Runner, Runners
from engineroom.errors import CompileError
from engineroom.hardware import has_amx
from engineroom.recipe import Arrays, Recipe


class OpenVINO:
    """Compiles for the CPU backend; proven in FP32, and in bf16 where this CPU has AMX."""

    name = "openvino"

    def compile(self, graph: Path, recipe: Recipe, folder: Path) -> Compiled:
        """Write `model.xml` and `model.bin`.

        Args:
            graph: The ONNX graph after the precision step.
            recipe: Its recipe.
            folder: Where the files go.

        Raises:
            CompileError: OpenVINO is not installed, or refuses the graph.
        """
        openvino = _openvino()
        path = folder / "model.xml"
        try:
            model = openvino.convert_model(str(graph))
            _keep_names(model, recipe)
            openvino.save_model(model, str(path), compress_to_fp16=recipe.precision != "fp32")
        except Exception as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            raise CompileError(f"{recipe.name}: OpenVINO refuses {graph.name}: {reason}") from error
        version = openvino.get_version().split("-")[0]
        return Compiled(path, f"openvino {version}", companions=(path.with_suffix(".bin"),))

    def runners(self, compiled: Compiled, graph: Path, recipe: Recipe) -> Runners:  # noqa: ARG002 - the protocol's
        """FP32 first, then bf16 where the CPU computes it in hardware."""
        types = ("f32", "bf16") if has_amx() else ("f32",)
        judged_by = {"f32": recipe.precision, "bf16": "int8" if recipe.precision == "int8" else "bf16"}
        return tuple((kind, partial(_runner, compiled.file, kind, judged_by[kind])) for kind in types)


def _keep_names(model: Any, recipe: Recipe) -> None:
    """Leave each edge the recipe's name alone: one that only a cast stands behind carries the cast's name as well."""
    for tensor in (*recipe.inputs, *recipe.outputs):
        for port in (*model.inputs, *model.outputs):
            if tensor.name in port.get_names():
                port.get_tensor().set_names({tensor.name})


def target(kind: str, detail: str) -> OpenVINO:
    """The target of a name such as `openvino`.

    Raises:
        CompileError: Something follows a colon.
    """
    if detail:
        raise CompileError(
            f"target '{kind}:{detail}' is unknown: {kind} takes nothing after a colon. Use --target {kind}."
        )
    return OpenVINO()


def _runner(path: Path, kind: str, judged_by: str) -> Runner:
    core = _openvino().Core()
    try:
        model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": kind})
    except Exception as error:
        raise CompileError(f"{path}: OpenVINO cannot run it in {kind}: {str(error).strip()}") from error
    # Names are the file's: a compiled model merges those of values that a vanished cast connected.
    inputs = [port.get_any_name() for port in model.inputs]
    outputs = [port.get_any_name() for port in model.outputs]

    def answer(arrays: Arrays) -> Arrays:
        results = compiled([arrays[name] for name in inputs])
        return {name: results[index].copy() for index, name in enumerate(outputs)}

    return Runner(f"openvino {kind}", answer, judged_by)


def _openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise CompileError(
            "target 'openvino' needs the package openvino. Run: pip install 'engineroom[compile]'"
        ) from error
    return openvino
