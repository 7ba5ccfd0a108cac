"""Triton backend `openvino`: runs a version's `model.xml` (or `model.onnx`) on the CPU.

This folder's files run inside Triton's Python stub, one process an instance, in the embedded server's environment:
numpy < 2, openvino and the standard library. They keep the interface of Triton's own OpenVINO backend, so that the
container serves the same `cpu.pbtxt`. Parameters of a model's configuration, named as there: `INFERENCE_NUM_THREADS`,
`NUM_STREAMS`, `PERFORMANCE_HINT`, `HINT_BF16` (`YES` or `NO`); ours alone: `BATCH_SIZES`, such as `1,2,4,8`.
"""

import json
import os
from pathlib import Path
from typing import Any

import openvino as ov
import triton_python_backend_utils as pb
from runner import Array, Runner  # type: ignore[import-not-found] # beside this file, which Triton puts on the path

Calls = dict[int, list[Array]]
"""Arrays of some requests, in the order of the model's inputs, by the request's place in the batch."""

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
        """Compile the model.

        Args:
            args: Triton's description of the instance; `model_config` is JSON.

        Raises:
            TritonModelException: The model cannot be served; Triton writes the reason to its log.
        """
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batch = config["max_batch_size"]
        try:
            model = ov.Core().read_model(_file(folder, config))
            _check(model, config)
            self.runner = Runner(model, self.inputs, self.outputs, _properties(folder, config))
            self.runner.prepare(self.batch, _given_sizes(config))
            pb.Logger.log_info(f"{args['model_instance_name']}: {self.runner.described()}")
        except RuntimeError as error:
            raise pb.TritonModelException(f"OpenVINO cannot load {folder}: {_said(error)}") from error

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests of a batch, each with its outputs or with an error of its own.

        Args:
            requests: What Triton has gathered; their shapes differ where the configuration allows ragged batches.

        Returns:
            One response for each request, in order.
        """
        answers: dict[int, Any] = {}
        groups: dict[Any, Calls] = {}
        for index, request in enumerate(requests):
            tensors = {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}
            absent = [name for name in self.inputs if name not in tensors]
            if absent:
                answers[index] = _error(f"input '{absent[0]}' is missing")
                continue
            arrays = [tensors[name] for name in self.inputs]
            shapes = tuple(array.shape[1:] for array in arrays) if self.batch else index
            groups.setdefault(shapes, {})[index] = arrays
        for calls in groups.values():
            answers.update(self._answer(calls, keep=len(groups) > 1))
        return [answers[index] for index in range(len(requests))]

    def _answer(self, calls: Calls, *, keep: bool) -> dict[int, Any]:
        try:
            outputs = self.runner.run(list(calls.values()))
        except (RuntimeError, ValueError) as error:
            if len(calls) == 1:
                return dict.fromkeys(calls, _error(_said(error)))
            # One request must not spoil the others' answers.
            return {index: self._answer({index: calls[index]}, keep=True)[index] for index in calls}
        if keep:
            # Triton reads the answers after all of them are given; the next run writes to the same memory.
            outputs = [array.copy() for array in outputs]
        answers = {}
        start = 0
        for index, arrays in calls.items():
            end = start + len(arrays[0]) if self.batch else None
            tensors = [pb.Tensor(name, array[start:end]) for name, array in zip(self.outputs, outputs, strict=True)]
            answers[index] = pb.InferenceResponse(tensors)
            start = end or 0
        return answers


def _file(folder: Path, config: dict[str, Any]) -> Path:
    for name in (config.get("default_model_filename"), "model.xml", "model.onnx"):
        if name and (folder / name).exists():
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
    if len(model.inputs) != len(config["input"]):
        names = ", ".join(port.get_any_name() for port in model.inputs)
        raise pb.TritonModelException(f"the configuration lacks an input, the model has: {names}")


def _properties(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    given = {name: value["string_value"] for name, value in config["parameters"].items()}
    instances = sum(max(1, group["count"]) for group in config["instance_group"]) or 1
    properties = {
        "INFERENCE_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) // instances)),
        "NUM_STREAMS": "1",
        # Each instance is a process that knows nothing of the others: all would pin their threads to the same cores.
        "ENABLE_CPU_PINNING": "NO",
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


def _given_sizes(config: dict[str, Any]) -> list[int]:
    given = config["parameters"].get("BATCH_SIZES", {}).get("string_value", "")
    return [int(size) for size in given.split(",") if size]


def _error(message: str) -> Any:
    return pb.InferenceResponse(output_tensors=[], error=pb.TritonError(message))


def _said(error: Exception) -> str:
    # OpenVINO's messages begin with lines on where in its sources they were raised.
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return " ".join(told) or type(error).__name__
