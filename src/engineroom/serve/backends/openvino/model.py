"""Triton backend `openvino`: runs a version's `model.xml` (or `model.onnx`) on the CPU.

This file runs inside Triton's Python stub, one process an instance, in the embedded server's environment: numpy < 2,
openvino and the standard library. It keeps the interface of Triton's own OpenVINO backend, so the same `cpu.pbtxt` is
served by the container. Parameters of the model's configuration, named as there: `INFERENCE_NUM_THREADS`,
`NUM_STREAMS`, `PERFORMANCE_HINT`, `HINT_BF16` (`YES` or `NO`); ours alone: `BATCH_SIZES`, such as `1,2,4,8`.

Why it compiles a model several times: OpenVINO runs a batch whose size is fixed up to a third faster than the same
batch through a model whose batch is dynamic. So there is one compiled model for each of a few sizes, timed when it is
loaded, and a batch is cut into the sizes that take the least time together.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import triton_python_backend_utils as pb

Array = npt.NDArray[Any]

LARGE_BYTES = 256 * 2**20
"""Weights beyond this are compiled once only: every compiled size has its own copy of them."""

USUAL = 8
GAIN = 0.97
SLOW_S = 0.5
"""Sizes are doubled up to the usual one, and on while that brings the time of a row below this share of the best so
far; a batch that takes so many seconds is never doubled."""

TRIALS = (2, 5)
TRIAL_S = 0.1
"""How often a size is timed at least and at most, and the time after which it is enough."""

TRITON_TYPES = {
    "boolean": "TYPE_BOOL",
    "u8": "TYPE_UINT8",
    "i8": "TYPE_INT8",
    "i16": "TYPE_INT16",
    "i32": "TYPE_INT32",
    "i64": "TYPE_INT64",
    "f16": "TYPE_FP16",
    "f32": "TYPE_FP32",
    "f64": "TYPE_FP64",
}


class TritonPythonModel:
    """One instance of a model. Triton calls `initialize` once, then `execute` with the requests of a batch."""

    def initialize(self, args: dict[str, str]) -> None:
        """Compile the model and time its batch sizes.

        Args:
            args: Triton's description of the instance; `model_config` is JSON.

        Raises:
            TritonModelException: The model cannot be served; Triton writes the reason to its log.
        """
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batched = config["max_batch_size"] > 0
        try:
            model = ov.Core().read_model(_file(folder, config))
            _check(model, config)
            self.runner = Runner(model, config, _properties(folder, config))
        except RuntimeError as error:
            raise pb.TritonModelException(f"OpenVINO cannot load {folder}: {_last_line(error)}") from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of a batch, each with its outputs or with an error of its own.

        Args:
            requests: What Triton has gathered; shapes may differ between requests where dimensions are dynamic.

        Returns:
            One response for each request, in order.
        """
        responses: dict[int, Any] = {}
        groups: dict[Any, dict[int, list[Array]]] = {}
        for index, request in enumerate(requests):
            tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            absent = [name for name in self.inputs if name not in tensors]
            if absent:
                responses[index] = _error(f"input '{absent[0]}' is missing")
                continue
            arrays = [tensors[name] for name in self.inputs]
            key = tuple(array.shape[1:] for array in arrays) if self.batched else index
            groups.setdefault(key, {})[index] = arrays
        for group in groups.values():
            responses.update(self._answer(group))
        return [responses[index] for index in range(len(requests))]

    def _answer(self, group: dict[int, list[Array]]) -> dict[int, Any]:
        try:
            outputs = self.runner.run(list(group.values()))
        except (RuntimeError, ValueError) as error:
            if len(group) == 1:
                return dict.fromkeys(group, _error(_last_line(error)))
            # One request must not spoil the others' answers.
            return {index: self._answer({index: arrays})[index] for index, arrays in group.items()}
        answers = {}
        start = 0
        for index, arrays in group.items():
            rows = slice(start, start + len(arrays[0])) if self.batched else slice(None)
            tensors = [pb.Tensor(name, array[rows]) for name, array in zip(self.outputs, outputs)]  # noqa: B905
            answers[index] = pb.InferenceResponse(tensors)
            start = rows.stop or 0
        return answers


class Runner:
    """Compiled models of one instance, by batch size, and the best way to cut a batch into these sizes."""

    def __init__(self, model: ov.Model, config: dict[str, Any], properties: dict[str, Any]) -> None:
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.requests: dict[int, Any] = {}
        self.plans: list[tuple[int, ...]] = []
        limit = config["max_batch_size"]
        if limit and _only_batch_varies(model) and _weight_bytes(model) <= LARGE_BYTES:
            self.room = [_room(model.input(name), 2 * limit) for name in self.inputs]
            self.answers = [_room(model.output(name), 2 * limit) for name in self.outputs]
            self.plans = cheapest_plans(self._compile_sizes(model, _sizes(config, limit), properties), limit)
        else:
            self.requests[0] = ov.Core().compile_model(model, "CPU", properties).create_infer_request()

    def _compile_sizes(self, model: ov.Model, sizes: list[int], properties: dict[str, Any]) -> dict[int, float]:
        core = ov.Core()
        times: dict[int, float] = {}
        for size in sizes:
            fixed = model.clone()
            fixed.reshape({name: [size, *_row(model.input(name))] for name in self.inputs})
            self.requests[size] = core.compile_model(fixed, "CPU", properties).create_infer_request()
            before = min((seconds / rows for rows, seconds in times.items()), default=float("inf"))
            times[size] = self._time(size)
            if times[size] > SLOW_S or (size >= USUAL and times[size] / size > GAIN * before):
                break
        return times

    def _time(self, size: int) -> float:
        arrays = [room[:size] for room in self.room]
        self._infer(size, arrays)
        times: list[float] = []
        while len(times) < TRIALS[0] or (len(times) < TRIALS[1] and sum(times) < TRIAL_S):
            start = time.monotonic()
            self._infer(size, arrays)
            times.append(time.monotonic() - start)
        return min(times)

    def run(self, calls: list[list[Array]]) -> list[Array]:
        """Infer some calls' rows together.

        Args:
            calls: Arrays of each call, in the order of the configuration's inputs.

        Returns:
            Outputs in the order of the configuration, rows of the calls one after the other. They are valid until
            the next call of `run`.
        """
        if not self.plans:
            joined = [arrays[0] if len(calls) == 1 else np.concatenate(arrays) for arrays in zip(*calls)]  # noqa: B905
            return self._infer(0, joined)
        count = sum(len(arrays[0]) for arrays in calls)
        plan = self.plans[count]
        filled = self._gather(calls, count, sum(plan))
        if len(plan) == 1:
            return self._infer(plan[0], [array[: plan[0]] for array in filled])
        start = 0
        for size in plan:
            rows = slice(start, start + size)
            # Copied at once: the same size, run again, writes to the same memory.
            for answer, part in zip(self.answers, self._infer(size, [array[rows] for array in filled])):  # noqa: B905
                answer[rows] = part
            start += size
        return self.answers

    def _gather(self, calls: list[list[Array]], rows: int, padded: int) -> list[Array]:
        if len(calls) == 1 and rows == padded:
            return calls[0]
        for room, arrays in zip(self.room, zip(*calls)):  # noqa: B905
            np.concatenate(arrays, out=room[:rows])
        return self.room

    def _infer(self, size: int, arrays: list[Array]) -> list[Array]:
        request = self.requests[size]
        for name, array in zip(self.inputs, arrays):  # noqa: B905
            request.set_tensor(name, ov.Tensor(np.ascontiguousarray(array), shared_memory=True))
        request.infer()
        return [request.get_tensor(name).data for name in self.outputs]


def cheapest_plans(times: dict[int, float], limit: int) -> list[tuple[int, ...]]:
    """The cheapest way to run any number of rows with batches of some sizes, the last of them padded.

    Args:
        times: Time of one batch, by its size.
        limit: Largest number of rows.

    Returns:
        Sizes to run, largest first, by the number of rows.
    """
    plans: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    for rows in range(1, limit + 1):
        ways = ((times[size] + plans[max(0, rows - size)][0], size) for size in times)
        cost, size = min(ways)
        plans.append((cost, tuple(sorted((size, *plans[max(0, rows - size)][1]), reverse=True))))
    return [plan for _, plan in plans]


def _file(folder: Path, config: dict[str, Any]) -> Path:
    names = (config.get("default_model_filename") or "model.xml", "model.xml", "model.onnx")
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise pb.TritonModelException(f"{folder} holds neither model.xml nor model.onnx")


def _check(model: ov.Model, config: dict[str, Any]) -> None:
    for kind, ports in (("input", model.inputs), ("output", model.outputs)):
        known = {name: port.get_element_type().get_type_name() for port in ports for name in port.get_names()}
        for tensor in config[kind]:
            name, wanted = tensor["name"], tensor["data_type"]
            if name not in known:
                names = ", ".join(sorted(known))
                raise pb.TritonModelException(f"the configuration has {kind} '{name}', the model has: {names}")
            found = TRITON_TYPES.get(known[name], known[name])
            if found != wanted:
                raise pb.TritonModelException(f"{kind} '{name}' is {wanted} in the configuration, {found} in the model")


def _properties(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    given = {name: value["string_value"] for name, value in config["parameters"].items()}
    instances = sum(max(1, group["count"]) for group in config["instance_group"]) or 1
    properties: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": max(1, len(os.sched_getaffinity(0)) // instances),
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": "bf16" if _runs_bf16(folder, given.get("HINT_BF16", "").upper()) else "f32",
    }
    named = ("INFERENCE_NUM_THREADS", "NUM_STREAMS", "PERFORMANCE_HINT")
    return {**properties, **{name: given[name] for name in named if name in given}}


def _runs_bf16(folder: Path, hint: str) -> bool:
    if hint in ("YES", "NO"):
        return hint == "YES"
    manifest = folder / "manifest.json"
    artefacts = json.loads(manifest.read_text())["artefacts"] if manifest.exists() else []
    proven = any(artefact["target"] == "openvino" and "bf16" in artefact["proven"] for artefact in artefacts)
    return proven and "amx_bf16" in Path("/proc/cpuinfo").read_text().split()


def _only_batch_varies(model: ov.Model) -> bool:
    shapes = [port.get_partial_shape() for port in (*model.inputs, *model.outputs)]
    return all(
        shape.rank.is_static
        and len(shape) > 0
        and shape[0].is_dynamic
        and all(size.is_static for size in list(shape)[1:])
        for shape in shapes
    )


def _weight_bytes(model: ov.Model) -> int:
    constants = (node for node in model.get_ops() if node.get_type_name() == "Constant")
    return sum(node.get_byte_size() for node in constants)


def _sizes(config: dict[str, Any], limit: int) -> list[int]:
    given = config["parameters"].get("BATCH_SIZES")
    if given:
        return sorted({min(limit, int(size)) for size in given["string_value"].split(",")})
    return [2**power for power in range(limit.bit_length()) if 2**power <= limit]


def _row(port: Any) -> list[int]:
    return [size.get_length() for size in list(port.get_partial_shape())[1:]]


def _room(port: Any, rows: int) -> Array:
    return np.zeros((rows, *_row(port)), port.get_element_type().to_dtype())


def _error(message: str) -> Any:
    return pb.InferenceResponse(output_tensors=[], error=pb.TritonError(message))


def _last_line(error: Exception) -> str:
    # OpenVINO's messages begin with lines on where in its sources they were raised.
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return " ".join(said) or type(error).__name__
