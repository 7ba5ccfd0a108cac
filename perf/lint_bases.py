"""The models that the cases of tests/corpus are configurations of: small ones, published as a build publishes.

rows     x FP32 [batch, 8]                        -> y FP32 [batch, 8], twice the rows; batches of 1 to 4
tokens   ids, mask INT64 [batch, sequence]        -> embedding FP32 [batch, 4]; batches of 1 to 8, sequences of 1 to 128
image    image FP32 [batch, 3, 4, 6]              -> scores FP32 [batch, 5]; batches of 1 to 8
whole    x FP32 [1, 8]                            -> y FP32 [1, 8]; no batch axis
engines  as rows, and with files that stand for TensorRT engines: model.plan, and one each for sm80 and sm89
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engineroom.repository.agreement import Limits
from engineroom.repository.files import sha256
from engineroom.repository.layout import GOLDEN, GRAPH, MANIFEST, ModelFolder
from engineroom.repository.passport import Artefact, Parity, Passport, Profile

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Base:
    """A model.

    Attributes:
        name: Its name.
        inputs: Type and largest shape, by name.
        free: Names of the axes that vary, in the order of the axes; a model without a batch axis has none.
        output: Name and row's shape of the output.
        plans: Files that stand for engines, with the capabilities that they are for.
    """

    name: str
    inputs: Mapping[str, tuple[str, Shape]]
    free: tuple[str, ...]
    output: tuple[str, Shape]
    plans: tuple[tuple[str, str], ...] = ()

    @property
    def batch(self) -> int:
        """Largest batch; 0 without a batch axis."""
        return next(iter(self.inputs.values()))[1][0] if self.free else 0


ROWS = {"x": ("float32", (4, 8))}
IDS = {"ids": ("int64", (8, 128)), "mask": ("int64", (8, 128))}
PLANS = (("model.plan", ""), ("model.sm80.plan", "8.0"), ("model.sm89.plan", "8.9"))

BASES = (
    Base("rows", ROWS, ("batch",), ("y", (8,))),
    Base("tokens", IDS, ("batch", "sequence"), ("embedding", (4,))),
    Base("image", {"image": ("float32", (8, 3, 4, 6))}, ("batch",), ("scores", (5,))),
    Base("whole", {"x": ("float32", (1, 8))}, (), ("y", (8,))),
    Base("engines", ROWS, ("batch",), ("y", (8,)), PLANS),
)


def publish_bases(repository: Path) -> None:
    """Publish every base with the configuration that fits it: cases are copies of them, and ensembles use them.

    Args:
        repository: A folder that has none of them yet.
    """
    for base in BASES:
        model = ModelFolder(repository / base.name)
        version = model.version(1)
        version.mkdir(parents=True)
        _write_graph(base, version)
        _write_golden(base, version)
        for file, _ in base.plans:
            (version / file).write_bytes(file.encode())
        (version / MANIFEST).write_text(_passport(base, version).to_json())
        model.cpu_config.parent.mkdir()
        model.cpu_config.write_text(_config(base))


def _write_graph(base: Base, version: Path) -> None:
    import onnx
    import openvino
    from onnx import TensorProto, helper

    kinds = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(name, kinds[kind], [*base.free, *shape[len(base.free) :]])
        for name, (kind, shape) in base.inputs.items()
    ]
    name, row = base.output
    output = helper.make_tensor_value_info(name, TensorProto.FLOAT, [*base.free[:1], *row] if base.free else [1, *row])
    nodes, weights = _tokens_body() if base.name == "tokens" else _row_body(base)
    graph = helper.make_graph(nodes, base.name, inputs, [output], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, version / GRAPH)
    openvino.save_model(openvino.convert_model(version / GRAPH), version / "model.xml")


def _row_body(base: Base) -> tuple[Sequence[Any], Sequence[Any]]:
    from onnx import helper, numpy_helper

    ((source, (_, shape)),) = base.inputs.items()
    name, row = base.output
    weight = 2 * np.eye(int(np.prod(shape[1:])), row[-1], dtype=np.float32)
    nodes = [helper.make_node("Flatten", [source], ["flat"]), helper.make_node("MatMul", ["flat", "weight"], [name])]
    return nodes, [numpy_helper.from_array(weight, "weight")]


def _tokens_body() -> tuple[Sequence[Any], Sequence[Any]]:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Mul", ["ids", "mask"], ["seen"]),
        helper.make_node("Cast", ["seen"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axis"], ["mean"], keepdims=1),
        helper.make_node("MatMul", ["mean", "weight"], ["embedding"]),
    ]
    weight = np.arange(1, 5, dtype=np.float32).reshape(1, 4)
    return nodes, [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(weight, "weight")]


def _write_golden(base: Base, version: Path) -> None:
    import openvino

    inputs = {name: _ramp(kind, (max(1, base.batch // 4), *shape[1:])) for name, (kind, shape) in base.inputs.items()}
    exact = openvino.compile_model(version / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answer = exact(inputs)[base.output[0]]
    np.savez(
        version / GOLDEN,
        **{f"input.{name}": array for name, array in inputs.items()},
        **{f"output.{base.output[0]}": answer},
    )


def _ramp(kind: str, shape: Shape) -> Any:
    return (np.arange(np.prod(shape)) % 7).astype(kind).reshape(shape)


def _config(base: Base) -> str:
    kinds = {"float32": "TYPE_FP32", "int64": "TYPE_INT64"}
    free = len(base.free)
    inputs = "".join(
        f'input {{ name: "{name}" data_type: {kinds[kind]} dims: {[-1] * (free - 1) + list(shape[free:])} }}\n'
        for name, (kind, shape) in base.inputs.items()
    )
    name, row = base.output
    dims = list(row) if free else [1, *row]
    return (
        f'backend: "openvino"\nmax_batch_size: {base.batch}\n{inputs}'
        f'output {{ name: "{name}" data_type: TYPE_FP32 dims: {dims} }}\n' + ("dynamic_batching { }\n" if free else "")
    )


def _passport(base: Base, version: Path) -> Passport:
    proof = Parity("openvino f32", (1, max(1, base.batch)), 0.0, 0.0, 1.0)
    digests = {path.name: sha256(path) for path in version.iterdir()}
    openvino = Artefact(
        "model.xml", "openvino", 1, digests["model.xml"], "openvino 2026.4.1", 0.1, proven=("f32",), parity=(proof,),
        companions={"model.bin": digests["model.bin"]},
    )  # fmt: skip
    engines = tuple(
        Artefact(
            file,
            "tensorrt",
            1,
            digests[file],
            "tensorrt 11.4.0.38",
            0.1,
            device=f"NVIDIA GPU (compute capability {key})" if key else "",
        )
        for file, key in base.plans
    )
    return Passport(
        model=base.name,
        fingerprint="mark",
        built_at="2026-01-01T00:00:00+00:00",
        command=f"engineroom build {base.name}",
        profile=Profile("fp32", {name: _range(base, shape) for name, (_, shape) in base.inputs.items()}),
        limits={base.output[0]: Limits(max_abs=0.05)},
        libraries={},
        machine={},
        artefacts=(openvino, *engines),
        files={name: digests[name] for name in (GRAPH, GOLDEN)},
    )


def _range(base: Base, largest: Shape) -> tuple[Shape, Shape, Shape]:
    free, fixed = len(base.free), largest[len(base.free) :]
    return (1,) * free + fixed, tuple(max(1, size // 2) for size in largest[:free]) + fixed, largest
