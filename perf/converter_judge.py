"""What is asked of a graph that a converter made: is it valid, is it FP16, and how wrong is it where FP16 rounds."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engineroom.compile.graph.naming import subgraphs
from engineroom.compile.targets import Runner
from engineroom.compile.targets.rounding import rounding_runner
from engineroom.compile.targets.tensorrt import TensorRT, installed, plan_from_onnx
from engineroom.compile.truth.evidence import Evidence
from engineroom.errors import EngineRoomError
from engineroom.recipe import Recipe
from engineroom.repository.passport import Profile

RTX = TensorRT("tensorrt-rtx:sm89", "tensorrt-rtx", "SM89")


@dataclass(frozen=True)
class Error:
    """How far answers are from the module's, over all outputs and requests.

    Attributes:
        max_abs: Largest absolute error; NaN where an answer is not finite.
        rms: Root of the mean square.
        relative: `max_abs` over the largest magnitude of the module's answers.
    """

    max_abs: float
    rms: float
    relative: float


@dataclass(frozen=True)
class Judgement:
    """What was found out about one graph.

    Attributes:
        problems: What is wrong with the file: not valid, other edges, a frozen size, refused by TensorRT.
        casts: Casts in it.
        size_bytes: Its size.
        half_share: Share of FP16 among the floating-point layers that TensorRT parses; None where it refuses.
        error: Where every value is rounded as the graph says; None where it cannot be run.
    """

    problems: tuple[str, ...]
    casts: int
    size_bytes: int
    half_share: float | None
    error: Error | None


def judged(recipe: Recipe, evidence: Evidence, source: Path, graph: Path) -> Judgement:
    """Judge one graph.

    Args:
        recipe: The model.
        evidence: What its module answers.
        source: The FP32 graph.
        graph: What a converter made of it.
    """
    import onnx

    model = onnx.load(str(graph))
    runs, problems = _checked(graph)
    problems += _edges(onnx.load(str(source), load_external_data=False), model)
    share = error = None
    try:
        share = _half_share(recipe, graph)
    except EngineRoomError as refusal:
        problems.append(f"TensorRT: {refusal}")
    try:
        error = error_of(rounding_runner(_in_order(model, graph)), evidence) if runs else None
    except Exception as failure:  # noqa: BLE001
        problems.append(f"does not run: {failure}")
    return Judgement(tuple(problems), _casts(model.graph), graph.stat().st_size, share, error)


def _checked(graph: Path) -> tuple[bool, list[str]]:
    """Whether ONNX Runtime loads a graph, and what it and the checker say against it."""
    import onnx
    import onnxruntime

    problems = []
    try:
        onnx.checker.check_model(str(graph), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        problems.append(f"onnx.checker: {error}")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    runs = True
    try:
        onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001
        runs = False
        problems.append(f"ONNX Runtime: {error}")
    return runs, problems


def _edges(source: Any, model: Any) -> list[str]:
    """Inputs and outputs must keep names, types and open sizes."""
    before, after = (
        [(value.name, value.type.tensor_type.elem_type, _open(value)) for value in (*graph.input, *graph.output)]
        for graph in (source.graph, model.graph)
    )
    return [] if before == after else [f"the edges changed: {before} became {after}"]


def _open(value: Any) -> tuple[int, ...]:
    return tuple(dim.dim_value if dim.HasField("dim_value") else -1 for dim in value.type.tensor_type.shape.dim)


def _half_share(recipe: Recipe, graph: Path) -> float | None:
    """Share of FP16 layers in what TensorRT parses and compiles; the stage's own bar is not asked here."""
    if not installed(RTX.kind):
        return None
    plan = graph.with_suffix(".plan")
    layers = plan_from_onnx(RTX, graph, replace(Profile.of(recipe), precision="fp32"), plan).precision
    plan.unlink()
    halves, floats = layers.get("HALF", 0), layers.get("FLOAT", 0)
    return halves / (halves + floats)


def _in_order(model: Any, graph: Path) -> Path:
    """A copy with its nodes in order and without stated types, so that a file that is only untidy is judged too."""
    import onnx
    from onnxruntime.transformers.onnx_model import OnnxModel

    del model.graph.value_info[:]
    OnnxModel.graph_topological_sort(model.graph, is_deterministic=True)
    path = graph.with_suffix(".sorted.onnx")
    onnx.save(model, str(path))
    return path


def error_of(runner: Runner, evidence: Evidence) -> Error:
    """The error of a runner over everything the module answered."""
    answers = ((case.outputs, runner.answer(case.inputs)) for case in evidence.cases)
    return _error((expected[name], answer[name]) for expected, answer in answers for name in expected)


def rounded_error(evidence: Evidence) -> Error:
    """The error of the module itself where every value in it is rounded to FP16: what no converter needs to beat."""
    answers = ((sample.outputs, sample.rounded["fp16"]) for sample in evidence.samples)
    return _error((expected[name], answer[name]) for expected, answer in answers for name in expected)


def _error(pairs: Iterable[tuple[Any, Any]]) -> Error:
    errors, largest = [], 0.0
    for expected, answer in pairs:
        errors.append(np.ravel(answer.astype(np.float64) - expected))
        largest = max(largest, float(np.abs(expected).max()))
    every = np.concatenate(errors)
    # Infinity is as useless an answer as NaN.
    max_abs = float(np.abs(every).max()) if np.all(np.isfinite(every)) else float("nan")
    return Error(max_abs, float(np.sqrt(np.mean(every**2))), max_abs / largest)


def _casts(graph: Any) -> int:
    casts: int = sum(node.op_type == "Cast" for node in graph.node)
    for node in graph.node:
        casts += sum(map(_casts, subgraphs(node)))
    return casts
